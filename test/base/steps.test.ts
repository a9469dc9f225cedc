import test from 'ava'
import { atOnce, inTurns, type Steps } from '../../base/index.ts'

function* three(log: string[]): Steps<number> {
  for (const step of [1, 2]) {
    log.push(`step ${step}`)
    yield
  }
  return 3
}

test('I1: in turns, others have the event loop at every yield', async t => {
  const log: string[] = []
  const other = setInterval(() => log.push('other'), 0)
  const immediate = (): void => {
    log.push('immediate')
    if (log.length < 6) setImmediate(immediate)
  }
  setImmediate(immediate)
  t.is(await inTurns(three(log)), 3)
  clearInterval(other)
  t.deepEqual(log.filter(entry => entry !== 'other').slice(0, 4), [
    'step 1',
    'immediate',
    'step 2',
    'immediate',
  ])
})

test('at once, nobody has', t => {
  const log: string[] = []
  t.is(atOnce(three(log)), 3)
  t.deepEqual(log, ['step 1', 'step 2'])
})
