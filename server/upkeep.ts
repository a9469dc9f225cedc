/** When the zones of a nameserver need attention without anybody asking: signatures that are due, and what could not be
 *  done and may go now.
 *
 *    published ─▶ 'refresh' at the first expiration less refreshSeconds ─▶ published │ unchanged │ refused ─▶ again, later
 *    refused, and the fault may pass ─▶ 'retry' ─▶ the source is read again
 *
 *  I1  A zone with signatures always has a refresh planned, whatever became of the last one.
 *  I2  Failures in a row wait longer and longer, but never so long that a tenth of what is left of a signature passes. */
import type { Clock, Logger } from '../base/index.ts'
import { defaultSigningPolicy } from '../signer/index.ts'
import type { Store } from '../zones/index.ts'
import { ASK, KEYS, KeyCare } from './key-care.ts'
import { type Refusal, waitsForApproval } from './refusal.ts'
import { type DueJob, Scheduler } from './scheduler.ts'
import type { ZoneLife } from './zone-life.ts'

export interface UpkeepOptions {
  readonly clock: Clock
  readonly log: Logger
  /** Of the zones' database, and for ending questions that are under way. */
  readonly store: Store
  readonly signal: AbortSignal
  lifeOf(zone: string): ZoneLife | undefined
  /** Reads the zone's source again. */
  retry(life: ZoneLife): void
  /** The first signature ends soon, and was not made anew. */
  expiring(life: ZoneLife, firstExpirationUnix: number): void
}

const REFRESH = 'refresh'
const RETRY = 'retry'
const RETRY_SECONDS = 10
const RETRY_SECONDS_MAX = 3600
/** What falls due within this part of the time to refresh goes together: an hour of four and two thirds days, so that a
 *  small zone has a version an hour, not one for each of its signatures. */
const REFRESH_BATCH = 1 / 112
const LEFT_SHARE = 1 / 10

export class Upkeep {
  readonly #options: UpkeepOptions
  readonly keys: KeyCare
  readonly #scheduler: Scheduler
  /** Failures in a row, by zone and reason. */
  readonly #failures = new Map<string, number>()

  constructor(options: UpkeepOptions) {
    const { clock, log } = options
    this.#options = options
    this.#scheduler = new Scheduler({
      clock,
      log,
      run: job => this.#run(job),
      jumped: seconds => this.keys.jumped(seconds),
    })
    this.keys = new KeyCare({
      ...options,
      schedule: (life, reason, atUnix) => this.#scheduler.schedule(life.zone, atUnix, reason),
      cancel: (life, reason) => this.#scheduler.cancel(life.zone, reason),
    })
  }

  /** A version is served. */
  published(life: ZoneLife): void {
    // What its source gave is still owed when only signatures or keys were made anew.
    if (life.refusedContent === undefined) {
      this.#scheduler.cancel(life.zone, RETRY)
      this.#failures.delete(nameOf(life, RETRY))
    }
    this.#planRefresh(life)
    if (life.ownKeys?.versions.takeChanged() === true) void this.keys.run(life)
  }

  /** A version that a source gave was refused. */
  refused(life: ZoneLife, refusal: Refusal): void {
    const { retryAfterSeconds: seconds } = refusal
    if (seconds === undefined) this.#scheduler.cancel(life.zone, RETRY)
    // No failure: people take their time, and what they said is to be noticed soon.
    else if (waitsForApproval(refusal)) this.#scheduler.schedule(life.zone, refusal.atUnix + seconds, RETRY)
    else this.#later(life, RETRY, seconds)
  }

  forget(life: ZoneLife): void {
    this.#scheduler.cancel(life.zone)
    this.keys.forget(life)
    for (const reason of [REFRESH, RETRY]) this.#failures.delete(nameOf(life, reason))
  }

  /** Resolves when nothing that was due is under way. */
  async idle(): Promise<void> {
    await this.#scheduler.idle()
    await this.keys.idle()
  }

  /** Starts nothing more; resolves when what runs has ended. */
  async close(): Promise<void> {
    await this.#scheduler.close()
    await this.keys.idle()
  }

  async #run({ zone, reason }: DueJob): Promise<void> {
    const life = this.#options.lifeOf(zone)
    if (life === undefined) return
    if (reason === KEYS) await this.keys.run(life)
    else if (reason === ASK) this.keys.ask(life)
    else if (reason === RETRY) this.#options.retry(life)
    else if (life.firstExpirationUnix !== undefined) await this.#refresh(life)
  }

  async #refresh(life: ZoneLife): Promise<void> {
    // Signatures of a zone that is served as it is are somebody else's.
    if (life.settings.signing === undefined) return this.#tellExpiring(life, RETRY_SECONDS_MAX)
    const outcome = await life.inTurn(() => life.publishEdits({ kind: 'refresh' }, 'signatures refreshed'))
    if (life.removed) return
    if (outcome.kind === 'refused') return this.#tellExpiring(life, outcome.refusal.retryAfterSeconds ?? 0)
    this.#failures.delete(nameOf(life, REFRESH))
    this.#planRefresh(life)
  }

  #tellExpiring(life: ZoneLife, retryAfterSeconds: number): void {
    this.#later(life, REFRESH, retryAfterSeconds)
    const { firstExpirationUnix } = life
    if (firstExpirationUnix !== undefined) this.#options.expiring(life, firstExpirationUnix)
  }

  /** I1. A failing refresh keeps its own rhythm when edits go on being published. */
  #planRefresh(life: ZoneLife): void {
    const { clock } = this.#options
    const { refreshSeconds } = life.settings.signing?.policy ?? defaultSigningPolicy
    const first = life.firstExpirationUnix
    if (first === undefined) return this.#scheduler.cancel(life.zone, REFRESH)
    if (this.#failures.has(nameOf(life, REFRESH))) return
    const now = clock.now()
    const due = Math.max(first - refreshSeconds, now + refreshSeconds * REFRESH_BATCH)
    this.#scheduler.schedule(life.zone, due, REFRESH, first)
  }

  /** I2. */
  #later(life: ZoneLife, reason: string, retryAfterSeconds: number): void {
    const name = nameOf(life, reason)
    const failures = (this.#failures.get(name) ?? 0) + 1
    this.#failures.set(name, failures)
    const now = this.#options.clock.now()
    const backOff = Math.min(RETRY_SECONDS_MAX, RETRY_SECONDS * 2 ** Math.min(failures - 1, 16))
    const left = (life.firstExpirationUnix ?? Number.POSITIVE_INFINITY) - now
    const wait = Math.min(Math.max(backOff, retryAfterSeconds), Math.max(RETRY_SECONDS, left * LEFT_SHARE))
    this.#scheduler.schedule(life.zone, now + wait, reason, life.firstExpirationUnix)
  }
}

function nameOf(life: ZoneLife, reason: string): string {
  return `${reason} ${life.zone}`
}
