/** The keys of one zone while it is served: what the timeline says is done, step by step, and what was done is written into
 *  the timeline (signer/timeline.ts).
 *
 *    facts: stores ──held──┐                                steps (zone-key-steps.ts)
 *           state ──timeline──▶ nextAction ─▶ generate │ retire │ publish │ want-ds │ destroy ─▶ timeline ─▶ nextAction …
 *           policy ────────┘             └─▶ wait: until a time, or until somebody says something
 *
 *  I1  A step that fails is tried again later; serving goes on.
 *  I2  A key that no store has any more is told of, and never replaced because of that.
 *  I3  On the word of a clock that jumped no step is taken for an hour, and no key destroyed for a day.
 *  I4  Everything here is called in the zone's turn. */
import {
  type KeyBundles,
  type KeyInfo,
  nextAction,
  type RollAction,
  type RollEvent,
  sameApex,
  shownKeys,
} from '../signer/index.ts'
import type { OrderEffect } from './key-desk.ts'
import type { Wait } from './offline-keys.ts'
import { ZoneKeyFacts } from './zone-key-facts.ts'
import { ZoneKeySteps } from './zone-key-steps.ts'
import { ZoneKeyVersions } from './zone-key-versions.ts'
import type { KeyedZone, KeysEnvironment } from './zone-keys-types.ts'

/** Steps in a row; more than any roll has at once. */
const STEPS_MAX = 64
const RETRY_SECONDS = 60
const RETRY_SECONDS_MAX = 3600

export class ZoneKeys {
  readonly #zone: KeyedZone
  readonly #environment: KeysEnvironment
  readonly facts: ZoneKeyFacts
  readonly versions: ZoneKeyVersions
  readonly #steps: ZoneKeySteps
  #failures = 0
  #waiting: Wait | undefined

  constructor(zone: KeyedZone, environment: KeysEnvironment) {
    this.#zone = zone
    this.#environment = environment
    this.facts = new ZoneKeyFacts(zone, environment)
    this.#steps = new ZoneKeySteps(zone, environment, this.facts)
    this.versions = new ZoneKeyVersions(zone, environment, this.facts, this.#steps)
  }

  /** What they wait for, after the last look at them. */
  get waiting(): Wait | undefined {
    return this.facts.offlineWait ?? this.#waiting
  }

  /** Looks into the stores, and takes a key whose making was begun (ZoneKeySteps I1).
   *  @throws ConclaveError what the stores throw, of a zone without a timeline */
  async look(): Promise<void> {
    await this.facts.look()
    await this.#steps.takeGenerated()
  }

  /** Unless that was done before.
   *  @throws ConclaveError what the stores throw, of a zone without a timeline */
  async lookOnce(): Promise<void> {
    if (!this.facts.isLooked) await this.look()
  }

  /** Takes steps until there is nothing to do but wait; when to look again, in Unix seconds. */
  async run(): Promise<number | undefined> {
    const now = this.#environment.clock.now()
    const { policy, timeline } = this.facts
    if (policy === undefined || timeline === undefined || this.#zone.record === undefined) return undefined
    const { stepsFromUnix } = this.#environment.trust()
    try {
      await this.look()
      if (now < stepsFromUnix) return stepsFromUnix
      const { response } = this.facts
      if (response !== undefined) return await this.#runOffline(response)
      await this.#followWish()
      for (let steps = 0; steps < STEPS_MAX; steps++) {
        await this.#steps.noteShown()
        const action = this.#next()
        if (action.kind === 'wait') {
          this.#waiting = action
          this.#failures = 0
          return this.#lookAgain(action.untilUnix)
        }
        if (!(await this.#steps.do(action))) break
      }
    } catch (error) {
      this.#environment.log.error('a step of the keys failed', { zone: this.#zone.zone, error })
    }
    if (this.versions.needs !== undefined) return now + RETRY_SECONDS
    return now + Math.min(RETRY_SECONDS_MAX, RETRY_SECONDS * 2 ** this.#failures++)
  }

  /** Shows what the response has for now; nothing else is decided. */
  async #runOffline(response: KeyBundles): Promise<number | undefined> {
    const now = this.#environment.clock.now()
    const { offline, held } = this.facts
    await this.#steps.noteShown()
    const { step, ready } = this.versions.offlineVersion(response, now)
    if (ready !== offline.shown || !sameApex(step.apex, shownKeys(this.facts.timeline!))) {
      const reason = 'the signed key response has these keys from now on'
      if (!(await this.#steps.show(step, { kind: 'publish', apex: step.apex, moves: [], reason }))) {
        return now + RETRY_SECONDS
      }
      offline.shown = ready
      await this.#steps.noteShown()
    }
    offline.warn(response, held, this.facts.policy!, now)
    this.#failures = 0
    return this.waiting?.untilUnix
  }

  #next(): RollAction {
    const { policy, timeline } = this.facts
    return nextAction(timeline!, policy!, this.facts.rollFacts(), this.#environment.clock.now())
  }

  #lookAgain(untilUnix: number | undefined): number | undefined {
    const isMissing = this.facts.known.missing.length > 0
    const again = isMissing ? this.#environment.clock.now() + RETRY_SECONDS_MAX : Infinity
    const first = Math.min(untilUnix ?? Infinity, again)
    return Number.isFinite(first) ? first : undefined
  }

  /** Whether the zone is to be signed: the policy's word, turned into an event once. */
  async #followWish(): Promise<void> {
    const begun = this.#zone.settings.signing?.unsign === true
    if ((this.facts.timeline?.unsigningUnix !== undefined) === begun) return
    const reason = begun ? 'the zone is to be unsigned' : 'the zone is to be signed'
    await this.#steps.apply({ kind: 'unsigning', begun }, reason)
  }

  /** What somebody saw or said. Whether it is in the timeline now. */
  async note(event: RollEvent, reason: string): Promise<boolean> {
    const { policy, timeline } = this.facts
    if (policy === undefined || timeline === undefined) return false
    return this.#steps.apply(event, reason)
  }

  /** Does what an operator wants; what follows is for `run`. */
  async follow({ events, reason }: OrderEffect): Promise<void> {
    for (const event of events) await this.note(event, reason)
  }

  /** Takes keys that somebody put into a store into use, beside those that are: what becomes of them is the policy's.
   *  Those that are in use already are left as they are. */
  async adoptKeys(ids: readonly string[], reason: string): Promise<readonly KeyInfo[]> {
    await this.look()
    const adopted = this.facts.unused.filter(({ id }) => ids.includes(id))
    for (const info of adopted) await this.note({ kind: 'generated', info, reason }, reason)
    return adopted
  }
}
