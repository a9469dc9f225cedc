/** Changes of zones on their way to becoming versions. Each zone builds one version at a time; what comes meanwhile is
 *  merged into the next one; zones do not wait for each other except for a slot.
 *
 *              submit                        published, refused
 *    idle ───────────────▶ building ───────────────────────────────▶ idle
 *                            │  ▲  │ submit         published, refused
 *                     failed │  │  └────▶ building-dirty ─────────────▶ building (what waited)
 *                            ▼  │ retry time, submit   │ failed
 *                          failed ◀────────────────────┘  (both merged)
 *
 *  I1  A version contains every change submitted before its building began, in order, or none is lost: after a failure
 *      the change is built again, merged with what came since.
 *  I2  `refused` (a fault in the input) is not tried again by itself: the same input has the same fault. `failed` (keys
 *      away, store full) is, after RETRY_SECONDS doubled each time up to RETRY_SECONDS_MAX.
 *  I3  The promise of a submit resolves when a version that contains the change is published, or it is refused. */

import type { Clock, Logger, Timer } from '../base/index.ts'

export type BuildOutcome =
  | { readonly kind: 'published'; readonly serial: number }
  /** Nothing differs from what is served. */
  | { readonly kind: 'unchanged'; readonly serial: number }
  | { readonly kind: 'refused'; readonly error: Error }
  | { readonly kind: 'failed'; readonly error: Error; readonly retryAfterSeconds?: number }

/** A zone's outcome that ends a submit: failures are tried again until something else comes of it. */
export type FinalOutcome = Exclude<BuildOutcome, { kind: 'failed' }>

export type ZoneQueueState<Change> =
  | { readonly kind: 'idle' }
  | { readonly kind: 'building'; readonly change: Change; readonly failures: number }
  | {
      readonly kind: 'building-dirty'
      readonly change: Change
      readonly waiting: Change
      readonly failures: number
    }
  | {
      readonly kind: 'failed'
      readonly waiting: Change
      readonly failures: number
      readonly retryAtUnix: number
    }

export interface ZoneQueueOptions<Change> {
  readonly clock: Clock
  readonly log: Logger
  /** Zones that build at a time; default 1. */
  readonly buildsMax?: number
  /** One change with the effect of `earlier` and then `later`. */
  merge(earlier: Change, later: Change): Change
  /** Builds and publishes a version. A throw counts as refused. */
  build(zone: string, change: Change): Promise<BuildOutcome>
}

export const RETRY_SECONDS = 2
export const RETRY_SECONDS_MAX = 300

type Merge<Change> = (earlier: Change, later: Change) => Change

/** The state after a change came in. */
export function afterSubmit<Change>(
  state: ZoneQueueState<Change>,
  change: Change,
  merge: Merge<Change>,
): ZoneQueueState<Change> {
  switch (state.kind) {
    case 'idle':
      return { kind: 'building', change, failures: 0 }
    case 'building':
      return { ...state, kind: 'building-dirty', waiting: change }
    case 'building-dirty':
      return { ...state, waiting: merge(state.waiting, change) }
    case 'failed':
      return { kind: 'building', change: merge(state.waiting, change), failures: state.failures }
  }
}

/** The state after the building ended. */
export function afterBuild<Change>(
  state: ZoneQueueState<Change>,
  outcome: BuildOutcome,
  now: number,
  merge: Merge<Change>,
): ZoneQueueState<Change> {
  if (state.kind !== 'building' && state.kind !== 'building-dirty') return state
  const dirty = state.kind === 'building-dirty'
  if (outcome.kind === 'failed') {
    const failures = state.failures + 1
    const waiting = dirty ? merge(state.change, state.waiting) : state.change
    return { kind: 'failed', waiting, failures, retryAtUnix: now + retrySeconds(failures, outcome) }
  }
  return dirty ? { kind: 'building', change: state.waiting, failures: 0 } : { kind: 'idle' }
}

function retrySeconds(failures: number, outcome: { readonly retryAfterSeconds?: number }): number {
  const backOff = RETRY_SECONDS * 2 ** Math.min(failures - 1, 16)
  return Math.min(RETRY_SECONDS_MAX, Math.max(backOff, outcome.retryAfterSeconds ?? 0))
}

interface Entry<Change> {
  readonly zone: string
  state: ZoneQueueState<Change>
  /** Who waits for the version that is being built, and for the next one. */
  asked: ((outcome: FinalOutcome) => void)[]
  askedNext: ((outcome: FinalOutcome) => void)[]
  timer: Timer | undefined
}

export class ZoneQueues<Change> {
  readonly #options: ZoneQueueOptions<Change>
  readonly #entries = new Map<string, Entry<Change>>()
  /** Zones whose state is building, but that have no slot yet, first come first served. */
  readonly #slotless = new Set<Entry<Change>>()
  readonly #running = new Set<Promise<void>>()
  #closed = false

  constructor(options: ZoneQueueOptions<Change>) {
    this.#options = options
  }

  /** Asks for a version with this change. */
  submit(zone: string, change: Change): Promise<FinalOutcome> {
    if (this.#closed) return Promise.resolve({ kind: 'refused', error: new Error('the server is closing') })
    const entry = this.#entry(zone)
    const started = this.#slotless.has(entry)
      ? this.#mergeUnstarted(entry, change)
      : this.#submit(entry, change)
    return new Promise(resolve => (started === 'this' ? entry.asked : entry.askedNext).push(resolve))
  }

  state(zone: string): ZoneQueueState<Change> {
    return this.#entries.get(zone)?.state ?? { kind: 'idle' }
  }

  /** Drops what waits for a zone; a building that runs goes on, and its outcome is told. */
  forget(zone: string): void {
    const entry = this.#entries.get(zone)
    if (entry === undefined) return
    this.#drop(entry, 'the zone was removed')
    this.#entries.delete(zone)
  }

  /** Starts nothing more; resolves when what is being built has ended. */
  async close(): Promise<void> {
    this.#closed = true
    for (const entry of this.#entries.values()) this.#drop(entry, 'the server is closing')
    await Promise.all(this.#running)
  }

  #entry(zone: string): Entry<Change> {
    const known = this.#entries.get(zone)
    if (known !== undefined) return known
    const entry: Entry<Change> = { zone, state: { kind: 'idle' }, asked: [], askedNext: [], timer: undefined }
    this.#entries.set(zone, entry)
    return entry
  }

  /** A zone that has no slot yet takes the change into the version it is about to build. */
  #mergeUnstarted(entry: Entry<Change>, change: Change): 'this' {
    if (entry.state.kind === 'building') {
      entry.state = { ...entry.state, change: this.#options.merge(entry.state.change, change) }
    }
    return 'this'
  }

  #submit(entry: Entry<Change>, change: Change): 'this' | 'next' {
    const before = entry.state.kind
    entry.state = afterSubmit(entry.state, change, this.#options.merge)
    if (before !== 'idle' && before !== 'failed') return 'next'
    this.#ready(entry)
    return 'this'
  }

  #ready(entry: Entry<Change>): void {
    entry.timer?.cancel()
    entry.timer = undefined
    this.#slotless.add(entry)
    // A burst in one turn of the event loop is one version.
    setImmediate(() => this.#start())
  }

  #start(): void {
    for (const entry of this.#slotless) {
      if (this.#closed || this.#running.size >= (this.#options.buildsMax ?? 1)) return
      this.#slotless.delete(entry)
      const running = this.#build(entry).finally(() => {
        this.#running.delete(running)
        this.#start()
      })
      this.#running.add(running)
    }
  }

  async #build(entry: Entry<Change>): Promise<void> {
    const { state } = entry
    if (state.kind !== 'building') return
    const outcome = await this.#outcome(entry.zone, state.change)
    const now = this.#options.clock.now()
    entry.state = afterBuild(entry.state, outcome, now, this.#options.merge)
    if (outcome.kind === 'failed') this.#retryLater(entry, outcome.error, now)
    else {
      const asked = entry.asked
      entry.asked = entry.askedNext
      entry.askedNext = []
      for (const tell of asked) tell(outcome)
    }
    // The kind is read anew: afterBuild may have made it `building` again.
    if (this.state(entry.zone).kind === 'building') this.#ready(entry)
    else if (this.state(entry.zone).kind === 'idle') this.#entries.delete(entry.zone)
  }

  async #outcome(zone: string, change: Change): Promise<BuildOutcome> {
    try {
      return await this.#options.build(zone, change)
    } catch (cause) {
      return { kind: 'refused', error: cause instanceof Error ? cause : new Error(String(cause)) }
    }
  }

  #retryLater(entry: Entry<Change>, error: Error, now: number): void {
    const { state, zone } = entry
    if (state.kind !== 'failed' || this.#closed || this.#entries.get(zone) !== entry) return
    // What came while it was building is part of the next attempt.
    entry.asked.push(...entry.askedNext)
    entry.askedNext = []
    const seconds = state.retryAtUnix - now
    this.#options.log.warn('a version could not be made and is tried again', { zone, error, seconds })
    entry.timer = this.#options.clock.after(seconds, () => {
      if (entry.state.kind !== 'failed') return
      entry.state = { kind: 'building', change: entry.state.waiting, failures: entry.state.failures }
      this.#ready(entry)
    })
  }

  /** Ends what has not begun: those who wait for it are told. */
  #drop(entry: Entry<Change>, why: string): void {
    entry.timer?.cancel()
    const refused: FinalOutcome = { kind: 'refused', error: new Error(why) }
    const building = entry.state.kind === 'building' || entry.state.kind === 'building-dirty'
    const unstarted = this.#slotless.delete(entry)
    const told =
      building && !unstarted
        ? entry.askedNext.splice(0)
        : [...entry.asked.splice(0), ...entry.askedNext.splice(0)]
    for (const tell of told) tell(refused)
    if (entry.state.kind === 'building-dirty') {
      entry.state = { kind: 'building', change: entry.state.change, failures: entry.state.failures }
    } else if (!building || unstarted) entry.state = { kind: 'idle' }
  }
}
