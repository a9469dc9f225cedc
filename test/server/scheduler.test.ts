import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { type Logger, ManualClock, silentLogger } from '../../base/index.ts'
import { type DueJob, Scheduler } from '../../server/scheduler.ts'

interface Bench {
  readonly clock: ManualClock
  readonly scheduler: Scheduler
  readonly runs: string[]
  readonly warnings: string[]
}

/** `run` may hold a job back; by default each ends at once. */
function bench(
  t: ExecutionContext,
  run: (job: DueJob) => Promise<void> = async () => {},
  runsMax = 2,
): Bench {
  const clock = new ManualClock(1000)
  const runs: string[] = []
  const warnings: string[] = []
  const log: Logger = {
    ...silentLogger,
    warn: text => warnings.push(text),
    error: text => warnings.push(text),
  }
  const scheduler = new Scheduler({
    clock,
    log,
    runsMax,
    run: job => {
      runs.push(`${job.zone} ${job.reason} ${clock.now()}`)
      return run(job)
    },
  })
  t.teardown(() => scheduler.close())
  return { clock, scheduler, runs, warnings }
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** Moves time second by second, with a turn of the event loop after each. */
async function pass(clock: ManualClock, seconds: number): Promise<void> {
  for (let left = seconds; left > 0; left--) {
    clock.advance(1)
    await turn()
  }
}

test('jobs run in order of their times, not before, each once', async t => {
  const { clock, scheduler, runs } = bench(t)
  scheduler.schedule('b', 1020, 'refresh')
  scheduler.schedule('a', 1010, 'refresh')
  scheduler.schedule('a', 1030, 'roll')
  t.deepEqual(
    scheduler.jobs().map(job => job.dueUnix),
    [1010, 1020, 1030],
  )
  await pass(clock, 9)
  t.deepEqual(runs, [])
  await pass(clock, 91)
  t.deepEqual(runs, ['a refresh 1010', 'b refresh 1020', 'a roll 1030'])
  t.deepEqual(scheduler.jobs(), [])
})

test('I2: scheduling again replaces the time; cancelling takes it back', async t => {
  const { clock, scheduler, runs } = bench(t)
  scheduler.schedule('a', 1010, 'refresh')
  scheduler.schedule('a', 1050, 'refresh')
  scheduler.schedule('b', 1010, 'refresh')
  scheduler.schedule('b', 1010, 'roll')
  scheduler.cancel('b')
  await pass(clock, 40)
  t.deepEqual(runs, [])
  scheduler.schedule('a', 1045, 'refresh')
  await pass(clock, 60)
  t.deepEqual(runs, ['a refresh 1045'])
})

test('I1: jobs of one zone run one at a time, of others beside it as far as there are slots', async t => {
  const ends: (() => void)[] = []
  const { clock, scheduler, runs } = bench(t, () => new Promise(resolve => ends.push(resolve)))
  scheduler.schedule('a', 1001, 'refresh')
  scheduler.schedule('a', 1002, 'roll')
  scheduler.schedule('b', 1003, 'refresh')
  scheduler.schedule('c', 1004, 'refresh')
  await pass(clock, 10)
  t.deepEqual(
    runs.map(run => run.slice(0, 6)),
    ['a refr', 'b refr'],
  )
  ends.shift()?.()
  await turn()
  t.is(runs.length, 3)
  t.regex(runs[2] ?? '', /^a roll/)
  while (ends.length > 0 || runs.length < 4) {
    ends.shift()?.()
    await turn()
  }
  t.regex(runs[3] ?? '', /^c refresh/)
})

test('I3: a clock set back delays jobs and loses none', async t => {
  const { clock, scheduler, runs, warnings } = bench(t)
  scheduler.schedule('a', 1100, 'refresh')
  clock.advance(-5000)
  await pass(clock, 5090)
  t.deepEqual(runs, [])
  await pass(clock, 20)
  t.is(runs.length, 1)
  t.deepEqual(warnings, [])
})

test('I3: a step far forward is believed only after a minute, and not at all when it is taken back', async t => {
  const clock = new SteppingClock()
  const runs: string[] = []
  const warnings: string[] = []
  const scheduler = new Scheduler({
    clock,
    log: { ...silentLogger, warn: text => warnings.push(text) },
    run: async job => {
      runs.push(job.zone)
    },
  })
  scheduler.schedule('a', clock.now() + 3600, 'remove key')
  clock.step(86400)
  await pass(clock, 50)
  t.regex(warnings[0] ?? '', /forward/)
  t.deepEqual(runs, [])
  clock.step(-86400)
  await pass(clock, 200)
  t.regex(warnings[1] ?? '', /back/)
  t.deepEqual(runs, [])
  clock.step(86400)
  await pass(clock, 120)
  t.deepEqual(runs, ['a'])
  await scheduler.close()
})

/** A clock that is set while timers run on, as the real one does. */
class SteppingClock extends ManualClock {
  #offset = 0

  constructor() {
    super(1000)
  }

  override now(): number {
    return super.now() + this.#offset
  }

  step(seconds: number): void {
    this.#offset += seconds
  }
}

test('I4: a job that throws is logged; the next one runs', async t => {
  const { clock, scheduler, runs, warnings } = bench(t, async job => {
    if (job.zone === 'a') throw new Error('broken')
  })
  scheduler.schedule('a', 1001, 'refresh')
  scheduler.schedule('b', 1002, 'refresh')
  await pass(clock, 20)
  t.is(runs.length, 2)
  t.deepEqual(warnings, ['scheduled work failed'])
})

test('close waits for what runs and starts nothing more', async t => {
  let end: () => void = () => {}
  const { clock, scheduler, runs } = bench(t, () => new Promise(resolve => (end = resolve)), 1)
  scheduler.schedule('a', 1001, 'refresh')
  scheduler.schedule('b', 1001, 'refresh')
  await pass(clock, 20)
  t.is(runs.length, 1)
  let closed = false
  const closing = scheduler.close().then(() => {
    closed = true
  })
  await turn()
  t.false(closed)
  end()
  await closing
  t.is(runs.length, 1)
})

test('property: any schedule runs each last-scheduled job once, in order of time', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 500 }), fc.boolean()), {
        maxLength: 200,
      }),
      async actions => {
        const clock = new ManualClock(0)
        const ran: DueJob[] = []
        const scheduler = new Scheduler({
          clock,
          log: silentLogger,
          runsMax: 100,
          run: async job => {
            ran.push(job)
          },
        })
        const expected = new Map<string, number>()
        for (const [zone, at, keep] of actions) {
          if (keep) scheduler.schedule(`z${zone}`, at, 'r')
          else scheduler.cancel(`z${zone}`, 'r')
          if (keep) expected.set(`z${zone}`, at)
          else expected.delete(`z${zone}`)
        }
        await pass(clock, 520)
        await scheduler.close()
        const due = ran.map(job => job.dueUnix)
        t.deepEqual(
          new Map(ran.map(job => [job.zone, job.dueUnix])),
          new Map([...expected].sort((a, b) => a[1] - b[1])),
        )
        t.is(ran.length, expected.size)
        t.deepEqual(
          due,
          [...due].sort((a, b) => a - b),
        )
      },
    ),
    { seed: 20, numRuns: 50 },
  )
})
