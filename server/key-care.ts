/** Looks after the keys of all zones of a nameserver: when which zone's keys are looked at, and who is asked what meanwhile.
 *
 *    published, an operator's word, due ─▶ run: steps of the zone's keys ─▶ due again, at a time
 *                                                 └─▶ waits for others ─▶ ask: parent, servers ─▶ seen ─▶ run
 *
 *  I1  Asking is done outside of the zone's turn: servers that do not answer hold up nothing.
 *  I2  The same question is asked less and less often, and at once again when there is another. */
import type { Clock, Logger } from '../base/index.ts'
import type { Questions } from '../signer/index.ts'
import type { Store } from '../zones/index.ts'
import { DESTROY_HOLD_SECONDS } from './key-desk.ts'
import { type Asking, askParent, askServers, canAsk, type Seen, serversOfZone } from './key-questions.ts'
import { Slots } from './slots.ts'
import type { ZoneLife } from './zone-life.ts'

export interface KeyCareOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly store: Store
  /** Ends questions that are under way. */
  readonly signal: AbortSignal
  schedule(life: ZoneLife, reason: string, atUnix: number): void
  cancel(life: ZoneLife, reason: string): void
}

/** Reasons of scheduled work. */
export const KEYS = 'keys'
export const ASK = 'ask'

/** The first pause between two times of asking; less where a DS RRset lives shorter than that. */
const ASK_SECONDS = 30
const ASK_SECONDS_MAX = 3600
/** Zones whose parents and servers are asked at a time. */
const ASKING_MAX = 16
/** How long after a jump the clock is not trusted with anything. */
const STEPS_HOLD_SECONDS = 3600
/** A clock that was corrected by less, as time servers do, is no jump. */
const JUMP_SECONDS = 3600

interface Asked {
  /** The questions, as text. */
  readonly text: string
  readonly seconds: number
  /** The answer that was told of last. */
  said?: string
}

export class KeyCare {
  readonly #options: KeyCareOptions
  readonly #asked = new Map<string, Asked>()
  readonly #asking = new Set<Promise<void>>()
  readonly #slots = new Slots(ASKING_MAX)
  /** ZoneKeys I3: until then no key is destroyed, and no step taken. */
  destroyFromUnix: number
  stepsFromUnix = 0

  constructor(options: KeyCareOptions) {
    this.#options = options
    this.destroyFromUnix = options.clock.now() + DESTROY_HOLD_SECONDS
  }

  jumped(seconds: number): void {
    if (Math.abs(seconds) < JUMP_SECONDS) return
    const now = this.#options.clock.now()
    this.destroyFromUnix = now + DESTROY_HOLD_SECONDS
    this.stepsFromUnix = now + STEPS_HOLD_SECONDS
  }

  /** Takes the steps that are to be taken; resolves when the zone's keys wait. */
  run(life: ZoneLife): Promise<void> {
    return life.inTurn(async () => {
      const keys = life.ownKeys
      if (keys === undefined || life.removed || this.#options.signal.aborted) return
      const again = await keys.run()
      if (again === undefined) this.#options.cancel(life, KEYS)
      else this.#options.schedule(life, KEYS, again)
      this.#planAsking(life)
    })
  }

  forget(life: ZoneLife): void {
    this.#asked.delete(life.zone)
  }

  /** Resolves when nobody is asked. */
  async idle(): Promise<void> {
    while (this.#asking.size > 0) await Promise.all(this.#asking)
  }

  /** I2. */
  #planAsking(life: ZoneLife): void {
    const questions = life.keys.waiting?.ask ?? {}
    const { policy } = life.keys.facts
    if (policy === undefined || !canAsk(policy, questions)) {
      this.#asked.delete(life.zone)
      return this.#options.cancel(life, ASK)
    }
    const text = JSON.stringify(questions)
    if (this.#asked.get(life.zone)?.text === text) return
    const seconds = Math.min(ASK_SECONDS, Math.max(1, policy.parent.dsTtlSeconds))
    this.#asked.set(life.zone, { text, seconds })
    this.#options.schedule(life, ASK, this.#options.clock.now())
  }

  /** I1: returns at once. */
  ask(life: ZoneLife): void {
    const asking = this.#slots.run(1, () => this.#ask(life)).finally(() => this.#asking.delete(asking))
    this.#asking.add(asking)
  }

  async #ask(life: ZoneLife): Promise<void> {
    const { log, clock, signal } = this.#options
    try {
      const questions = life.keys.waiting?.ask ?? {}
      const heard = await this.#hear(life, questions)
      if (signal.aborted || life.removed) return
      for (const one of heard) await this.#take(life, one)
    } catch (error) {
      log.error('asking for the sake of keys failed', { zone: life.zone, error })
    }
    const asked = this.#asked.get(life.zone)
    if (asked === undefined) return
    this.#options.schedule(life, ASK, clock.now() + asked.seconds)
    this.#asked.set(life.zone, { ...asked, seconds: Math.min(ASK_SECONDS_MAX, 2 * asked.seconds) })
  }

  async #hear(life: ZoneLife, questions: Questions): Promise<(Seen | string | undefined)[]> {
    const { policy, timeline, publicKeys: infos } = life.keys.facts
    const { record, apex: zone } = life
    if (policy === undefined || timeline === undefined || record === undefined) return []
    const { store } = this.#options
    const asking: Asking = { zone, policy, timeline, infos, questions }
    return Promise.all([
      askParent(asking, this.#options),
      askServers(asking, () => serversOfZone(store, zone, record.namesRoot), this.#options),
    ])
  }

  async #take(life: ZoneLife, heard: Seen | string | undefined): Promise<void> {
    if (heard === undefined) return
    if (typeof heard === 'string') return this.#tell(life, heard)
    const { event, reason } = heard
    if (await life.inTurn(() => life.keys.note(event, reason))) await this.run(life)
  }

  /** What stands in the way, once. */
  #tell(life: ZoneLife, why: string): void {
    const asked = this.#asked.get(life.zone)
    if (asked === undefined || asked.said === why) return
    asked.said = why
    this.#options.log.info('keys wait for others', { zone: life.zone, why })
  }

  /** Why the last answer did not help. */
  saidOf(life: ZoneLife): string | undefined {
    return this.#asked.get(life.zone)?.said
  }
}
