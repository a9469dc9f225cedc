/** When which zone needs attention: refreshing signatures, rolling keys, trying again. One job for each zone and reason,
 *  ordered by due time, on the injected clock; what is done is the caller's.
 *
 *    waiting ──due──▶ ready ──most urgent, a slot, and the zone is free──▶ running ──▶ forgotten, unless scheduled again
 *
 *  I1  A job runs at its time or later, never earlier by the clock; jobs of one zone run one at a time.
 *  I2  Scheduling a job again, also while it runs, replaces its time.
 *  I3  The clock is looked at anew at least every CHECK_SECONDS, so a clock that was set is noticed. A step back delays
 *      jobs and loses none. A step far forward is believed only after JUMP_GRACE_SECONDS, time for it to be corrected;
 *      nothing is removed or signed on its word before.
 *  I4  A job that throws is logged, and other jobs go on. */

import type { Clock, Logger, Timer } from '../base/index.ts'

export interface SchedulerOptions {
  readonly clock: Clock
  readonly log: Logger
  /** Jobs of different zones that run at a time; default 2. */
  readonly runsMax?: number
  run(job: DueJob): Promise<void>
  /** The clock was set by so many seconds, or the machine slept. */
  jumped?(seconds: number): void
}

export interface DueJob {
  readonly zone: string
  readonly reason: string
  readonly dueUnix: number
}

/** The longest wait between two looks at the clock. */
const CHECK_SECONDS = 30
/** The clock moved so much more than was waited for: it was set, or the machine slept. */
const JUMP_SECONDS = 300
const JUMP_GRACE_SECONDS = 60
const RUNS_MAX = 2

interface Job extends DueJob {
  readonly name: string
  readonly urgencyUnix: number
}

export class Scheduler {
  readonly #options: SchedulerOptions
  /** Binary heap by due time. A job whose name leads to another one in #jobs is void. */
  readonly #heap: Job[] = []
  readonly #jobs = new Map<string, Job>()
  /** Binary heap by urgency, of what is due. */
  readonly #ready: Job[] = []
  readonly #running = new Map<string, Promise<void>>()
  #timer: Timer | undefined
  #armedAt: number
  #armedFor = 0
  #believedFrom = 0
  #closed = false

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.#armedAt = options.clock.now()
    this.#arm()
  }

  /** Runs a zone's job at a time, in place of the time it had. Of jobs that are due the most urgent goes first. */
  schedule(zone: string, atUnix: number, reason: string, urgencyUnix: number = atUnix): void {
    if (this.#closed) return
    const name = nameOf(zone, reason)
    this.cancel(zone, reason)
    const job = { name, zone, reason, dueUnix: atUnix, urgencyUnix }
    this.#jobs.set(name, job)
    push(this.#heap, job, 'dueUnix')
    if (atUnix < this.#armedAt + this.#armedFor) this.#arm()
  }

  /** Takes back a job, or all jobs of a zone. One that runs goes on. */
  cancel(zone: string, reason?: string): void {
    if (reason === undefined) {
      for (const job of [...this.#jobs.values()]) if (job.zone === zone) this.cancel(zone, job.reason)
      return
    }
    const job = this.#jobs.get(nameOf(zone, reason))
    if (job === undefined) return
    this.#jobs.delete(job.name)
    this.#sweepHeap()
  }

  /** What is waiting or ready, by due time. */
  jobs(): DueJob[] {
    return [...this.#jobs.values()]
      .sort((a, b) => a.dueUnix - b.dueUnix)
      .map(({ zone, reason, dueUnix }) => ({ zone, reason, dueUnix }))
  }

  /** Resolves when no job runs, and none that is due could. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values())
  }

  /** Starts nothing more; resolves when what runs has ended. */
  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    this.#jobs.clear()
    this.#ready.length = 0
    await Promise.all(this.#running.values())
  }

  #arm(): void {
    this.#timer?.cancel()
    if (this.#closed) return
    const now = this.#observe()
    const due = Math.max(
      this.#topOf(this.#heap, 'dueUnix')?.dueUnix ?? Number.POSITIVE_INFINITY,
      this.#believedFrom,
    )
    this.#armedFor = Math.min(CHECK_SECONDS, Math.max(0, due - now))
    this.#timer = this.#options.clock.after(this.#armedFor, () => this.#look())
  }

  #look(): void {
    const now = this.#observe()
    if (now >= this.#believedFrom) {
      for (
        let job = this.#topOf(this.#heap, 'dueUnix');
        job !== undefined && job.dueUnix <= now;
        job = this.#topOf(this.#heap, 'dueUnix')
      ) {
        pop(this.#heap, 'dueUnix')
        push(this.#ready, job, 'urgencyUnix')
      }
      this.#start()
    }
    this.#arm()
  }

  /** Reads the clock, and compares it with what it should show since the last reading (I3). */
  #observe(): number {
    const now = this.#options.clock.now()
    const moved = now - this.#armedAt - this.#armedFor
    this.#armedAt = now
    this.#armedFor = 0
    if (Math.abs(moved) > JUMP_SECONDS) this.#options.jumped?.(moved)
    if (moved > JUMP_SECONDS) {
      this.#believedFrom = now + JUMP_GRACE_SECONDS
      this.#options.log.warn(
        'the clock went forward; scheduled work waits a minute before it believes that',
        {
          seconds: Math.round(moved),
        },
      )
    } else if (moved < -JUMP_SECONDS) {
      this.#believedFrom = 0
      this.#options.log.warn('the clock went back; scheduled work waits for it', {
        seconds: Math.round(-moved),
      })
    }
    return now
  }

  #start(): void {
    const busy: Job[] = []
    while (this.#running.size < (this.#options.runsMax ?? RUNS_MAX)) {
      const job = this.#topOf(this.#ready, 'urgencyUnix')
      if (job === undefined) break
      pop(this.#ready, 'urgencyUnix')
      if (this.#running.has(job.zone)) busy.push(job)
      else {
        this.#jobs.delete(job.name)
        this.#running.set(job.zone, this.#run(job))
      }
    }
    for (const job of busy) push(this.#ready, job, 'urgencyUnix')
  }

  async #run(job: Job): Promise<void> {
    // The map must hold the promise before the job can end.
    await undefined
    try {
      await this.#options.run({ zone: job.zone, reason: job.reason, dueUnix: job.dueUnix })
    } catch (error) {
      this.#options.log.error('scheduled work failed', { zone: job.zone, reason: job.reason, error })
    }
    this.#running.delete(job.zone)
    if (!this.#closed) this.#start()
  }

  /** The first job that is not void. */
  #topOf(heap: Job[], by: Order): Job | undefined {
    for (;;) {
      const job = heap[0]
      if (job === undefined || this.#jobs.get(job.name) === job) return job
      pop(heap, by)
    }
  }

  /** Void jobs may not outnumber the others. */
  #sweepHeap(): void {
    if (this.#heap.length < 64 || this.#heap.length < 2 * this.#jobs.size) return
    const kept = this.#heap.filter(job => this.#jobs.get(job.name) === job)
    this.#heap.length = 0
    for (const job of kept) push(this.#heap, job, 'dueUnix')
  }
}

function nameOf(zone: string, reason: string): string {
  return `${reason}\n${zone}`
}

/** What a heap is ordered by. */
type Order = 'dueUnix' | 'urgencyUnix'

function push(heap: Job[], job: Job, by: Order): void {
  let at = heap.push(job) - 1
  while (at > 0) {
    const parent = (at - 1) >> 1
    const above = heap[parent]
    if (above === undefined || above[by] <= job[by]) break
    heap[at] = above
    heap[parent] = job
    at = parent
  }
}

function pop(heap: Job[], by: Order): void {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    const left = heap[child]
    const right = heap[child + 1]
    if (left === undefined) break
    const smaller = right !== undefined && right[by] < left[by] ? right : left
    if (smaller === right) child++
    if (smaller[by] >= last[by]) break
    heap[at] = smaller
    at = child
  }
  heap[at] = last
}
