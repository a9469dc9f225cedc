import { readFileSync } from 'node:fs'
import test, { type ExecutionContext } from 'ava'
import { ManualClock, silentLogger } from '../../base/index.ts'
import {
  afterBuild,
  afterSubmit,
  type BuildOutcome,
  RETRY_SECONDS_MAX,
  type ZoneQueueState,
  ZoneQueues,
} from '../../server/zone-queue.ts'

const merge = (earlier: string, later: string): string => earlier + later
const published: BuildOutcome = { kind: 'published', serial: 1 }
const failed: BuildOutcome = { kind: 'failed', error: new Error('keys away') }
const refused: BuildOutcome = { kind: 'refused', error: new Error('bad input') }

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

interface Building {
  readonly zone: string
  readonly change: string
  end(outcome: BuildOutcome): Promise<void>
}

function bench(t: ExecutionContext, buildsMax = 1) {
  const clock = new ManualClock(0)
  const building: Building[] = []
  const queues = new ZoneQueues<string>({
    clock,
    log: silentLogger,
    buildsMax,
    merge,
    build: (zone, change) =>
      new Promise(resolve => {
        building.push({
          zone,
          change,
          async end(outcome) {
            resolve(outcome)
            await turn()
            await turn()
          },
        })
      }),
  })
  t.teardown(async () => {
    const closing = queues.close()
    for (const one of building) void one.end(published)
    await closing
  })
  return { clock, queues, building }
}

test('a burst is one version; what comes while it is built is the next', async t => {
  const { queues, building } = bench(t)
  const first = [queues.submit('z', 'a'), queues.submit('z', 'b')]
  await turn()
  t.is(building[0]?.change, 'ab')
  const second = [queues.submit('z', 'c'), queues.submit('z', 'd')]
  t.is(queues.state('z').kind, 'building-dirty')
  await building[0]?.end({ kind: 'published', serial: 7 })
  t.deepEqual(await Promise.all(first), [
    { kind: 'published', serial: 7 },
    { kind: 'published', serial: 7 },
  ])
  t.is(building[1]?.change, 'cd')
  await building[1]?.end({ kind: 'published', serial: 8 })
  t.deepEqual(await Promise.all(second), [
    { kind: 'published', serial: 8 },
    { kind: 'published', serial: 8 },
  ])
  t.is(queues.state('z').kind, 'idle')
})

test('a zone that waits for a slot takes more changes into the same version', async t => {
  const { queues, building } = bench(t)
  void queues.submit('a', '1')
  void queues.submit('b', '1')
  await turn()
  const late = queues.submit('b', '2')
  t.is(building.length, 1)
  await building[0]?.end(published)
  t.deepEqual([building[1]?.zone, building[1]?.change], ['b', '12'])
  await building[1]?.end(published)
  t.deepEqual(await late, published)
})

test('I1, I2: a failure is tried again later with what came since; a refusal is not', async t => {
  const { clock, queues, building } = bench(t)
  const asked = [queues.submit('z', 'a')]
  await turn()
  asked.push(queues.submit('z', 'b'))
  await building[0]?.end(failed)
  t.like(queues.state('z'), { kind: 'failed', waiting: 'ab', failures: 1, retryAtUnix: 2 })
  clock.advance(2)
  await turn()
  t.is(building[1]?.change, 'ab')
  await building[1]?.end(failed)
  t.like(queues.state('z'), { kind: 'failed', failures: 2, retryAtUnix: 6 })
  asked.push(queues.submit('z', 'c'))
  await turn()
  t.is(building[2]?.change, 'abc', 'a new change does not wait for the retry time')
  await building[2]?.end(refused)
  t.deepEqual(await Promise.all(asked), [refused, refused, refused])
  t.is(queues.state('z').kind, 'idle')
  clock.advance(10_000)
  await turn()
  t.is(building.length, 3)
})

test('a zone that fails does not hold up another', async t => {
  const { queues, building } = bench(t)
  void queues.submit('bad', '1')
  const good = queues.submit('good', '1')
  await turn()
  await building[0]?.end(failed)
  await building[1]?.end(published)
  t.deepEqual(await good, published)
})

test('a build that throws is a refusal', async t => {
  const queues = new ZoneQueues<string>({
    clock: new ManualClock(0),
    log: silentLogger,
    merge,
    build: () => Promise.reject(new Error('a bug')),
  })
  const outcome = await queues.submit('z', 'a')
  t.is(outcome.kind, 'refused')
  await queues.close()
})

test('close tells those who wait, and waits for what is built', async t => {
  const { queues, building } = bench(t)
  const first = queues.submit('z', 'a')
  await turn()
  const second = queues.submit('z', 'b')
  const other = queues.submit('y', 'b')
  const closing = queues.close()
  t.is((await second).kind, 'refused')
  t.is((await other).kind, 'refused')
  await building[0]?.end(published)
  t.deepEqual(await first, published)
  await closing
  t.is((await queues.submit('z', 'c')).kind, 'refused')
})

test('the back-off doubles, is bounded, and heeds what the key store asks for', t => {
  let state: ZoneQueueState<string> = { kind: 'building', change: 'a', failures: 0 }
  const waits: number[] = []
  for (let attempt = 0; attempt < 12; attempt++) {
    state = afterBuild(state, failed, 100, merge)
    if (state.kind !== 'failed') return t.fail()
    waits.push(state.retryAtUnix - 100)
    state = { kind: 'building', change: state.waiting, failures: state.failures }
  }
  t.deepEqual(waits.slice(0, 4), [2, 4, 8, 16])
  t.is(waits.at(-1), RETRY_SECONDS_MAX)
  const asked = afterBuild(state, { ...failed, retryAfterSeconds: 9999 } as BuildOutcome, 0, merge)
  t.like(asked, { retryAtUnix: RETRY_SECONDS_MAX })
})

test('the drawing of the states names each of them, and no other', t => {
  const source = readFileSync(new URL('../../../server/zone-queue.ts', import.meta.url), 'utf8')
  const drawing = source.slice(0, source.indexOf('*/')).split('I1')[0] ?? ''
  const kinds: ZoneQueueState<string>['kind'][] = ['idle', 'building', 'building-dirty', 'failed']
  for (const kind of kinds) t.regex(drawing, new RegExp(`(^|\\s)${kind}(\\s|$)`, 'm'))
})

test('every state takes a submit, and only building ones an outcome', t => {
  const states: ZoneQueueState<string>[] = [
    { kind: 'idle' },
    { kind: 'building', change: 'a', failures: 0 },
    { kind: 'building-dirty', change: 'a', waiting: 'b', failures: 0 },
    { kind: 'failed', waiting: 'a', failures: 1, retryAtUnix: 5 },
  ]
  t.deepEqual(
    states.map(state => afterSubmit(state, 'x', merge).kind),
    ['building', 'building-dirty', 'building-dirty', 'building'],
  )
  t.deepEqual(
    states.map(state => afterBuild(state, published, 0, merge).kind),
    ['idle', 'idle', 'building', 'failed'],
  )
})
