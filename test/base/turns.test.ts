import test from 'ava'
import { TURN_MILLISECONDS, Turns } from '../../base/index.ts'

test('I1: a turn is due when so much time has passed, whatever the number of steps', async t => {
  let now = 0
  const turns = new Turns(2, () => now)
  const due = (): boolean => [turns.due(), turns.due()].includes(true)
  for (let step = 0; step < 1000; step++) t.false(due())
  now = TURN_MILLISECONDS
  t.true(due())
  t.true(due(), 'it stays due until it is taken')
  await turns.take()
  t.false(due())
  now += TURN_MILLISECONDS - 1
  t.false(due())
  now += 1
  t.true(due())
})

test('others have the event loop in a turn', async t => {
  let ran = false
  setImmediate(() => {
    ran = true
  })
  await new Turns().take()
  t.true(ran)
})
