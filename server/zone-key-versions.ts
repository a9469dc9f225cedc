/** What versions of one zone are signed with, and what is kept with them.
 *
 *    never signed ─▶ the keys that are there, and those that lack are made
 *    a step of the timeline, or none ─▶ what the timeline shows
 *    KSK offline ─▶ what the signed key response has for now
 *
 *  I1  What a version shows of keys is in the timeline before the version can be seen; both are one transaction.
 *  I2  Everything here is called in the zone's turn. */
import {
  applyEvent,
  type BuildResult,
  type FirstKeysFace,
  firstKeys,
  type KeyBundles,
  type KeyInfo,
  type KeyStore,
  nextAction,
  type PendingSignature,
  type SigningPolicy,
  shownKeys,
  type ZoneTimeline,
} from '../signer/index.ts'
import { type Beginning, beginTimeline } from './key-beginning.ts'
import {
  type KeyStep,
  type Shown,
  storedKeys,
  timelineAfter,
  type VersionKeys,
  versionKeys,
} from './key-plan.ts'
import type { StoredKeys } from './state-record.ts'
import type { ZoneKeyFacts } from './zone-key-facts.ts'
import type { ZoneKeySteps } from './zone-key-steps.ts'
import type { KeyedZone, KeysEnvironment } from './zone-keys-types.ts'

export class ZoneKeyVersions {
  readonly #zone: KeyedZone
  readonly #environment: KeysEnvironment
  readonly #facts: ZoneKeyFacts
  readonly #steps: ZoneKeySteps
  #changed = false
  #needs: string | undefined

  constructor(zone: KeyedZone, environment: KeysEnvironment, facts: ZoneKeyFacts, steps: ZoneKeySteps) {
    this.#zone = zone
    this.#environment = environment
    this.#facts = facts
    this.#steps = steps
  }

  /** What the next version is signed with. Makes the keys of a zone that was never signed.
   *  @throws ConclaveError what the stores throw */
  async forVersion(beginning: Beginning, step?: KeyStep): Promise<VersionKeys> {
    const now = this.#environment.clock.now()
    const response = this.#facts.response
    if (response !== undefined) return this.offlineVersion(response, now)
    const chosen = step ?? (await this.#step(beginning, now))
    const unsign = this.#zone.settings.signing?.unsign === true
    const { policy, infos, known } = this.#facts
    return versionKeys(chosen, unsign, policy!, infos, info => known.storeOf(info), now)
  }

  /** What the response has for now.
   *  @throws ConclaveError SKR_REFUSED, KSR_KEYS */
  offlineVersion(response: KeyBundles, now: number): VersionKeys {
    const { held, timeline, policy, known, offline } = this.#facts
    const storeOf = (info: KeyInfo): KeyStore => known.storeOf(info)
    return offline.version(response, timeline, held, storeOf, policy!, now)
  }

  async #step(beginning: Beginning, now: number): Promise<KeyStep> {
    const stored = this.#facts.timeline
    const timeline = stored ?? (await this.#begin(beginning, now))
    const { published } = shownKeys(timeline)
    const isFirst = stored === undefined && published.length === 0
    if (isFirst && this.#zone.settings.signing?.unsign !== true) return this.#first(timeline, beginning, now)
    return { timeline, apex: shownKeys(timeline) }
  }

  /** @throws ConclaveError TAKEOVER_REFUSED, KEYS_NONE */
  #begin(beginning: Beginning, now: number): Promise<ZoneTimeline> {
    const { zone } = this.#zone
    const { log } = this.#environment
    const { served } = this.#environment.state
    const { policy, infos } = this.#facts
    return beginTimeline({ zone, beginning, policy: policy!, infos, served, now, log })
  }

  /** Before a zone was ever signed nothing is kept of its keys but the keys themselves (FirstKeys I1). */
  async #first(begun: ZoneTimeline, { strange, avoidTags }: Beginning, now: number): Promise<KeyStep> {
    if (strange && begun.keys.length === 0) return { timeline: begun, apex: shownKeys(begun) }
    const face: FirstKeysFace = {
      policy: () => this.#facts.policy!,
      facts: () => this.#facts.rollFacts(),
      make: action => this.#steps.make(action, avoidTags),
    }
    const { timeline, apex, made } = await firstKeys(begun, face, now)
    if (apex === undefined) return { timeline, apex: shownKeys(timeline) }
    if (made.length > 0) this.#environment.keysMade(made)
    return this.#withDs({ timeline, apex }, this.#facts.policy!, now)
  }

  /** A DS that may be asked for as soon as the version is seen is asked for by it. */
  #withDs(step: KeyStep, policy: SigningPolicy, now: number): KeyStep {
    const after = timelineAfter(step, policy, { serial: 0, zoneTtlSeconds: 0 }, now)
    const shown = applyEvent(after, { kind: 'shown' }, policy, now)
    const next = nextAction(shown, policy, this.#facts.rollFacts(), now)
    return next.kind === 'want-ds' ? { ...step, dsWanted: next.keys } : step
  }

  /** What is to be kept with a version that shows those keys, from the moment it can be seen (I1). */
  kept({ step, policy }: VersionKeys, shown: Shown, pending: readonly PendingSignature[]): StoredKeys {
    const timeline = timelineAfter(step, policy, shown, this.#environment.clock.now())
    const before = this.#facts.timeline?.epochs
    this.#changed = this.#zone.record === undefined || before?.at(-1) !== timeline.epochs.at(-1)
    return storedKeys(this.#facts.stored, timeline, policy, this.#facts.infos, pending)
  }

  /** Whether the version that was published last may have made a step possible; asked once. */
  takeChanged(): boolean {
    const changed = this.#changed
    this.#changed = false
    return changed
  }

  /** Versions with those keys are served now. */
  served(keys: VersionKeys | undefined): void {
    this.#facts.offline.shown = keys?.ready
  }

  /** Signatures that the next build will want. */
  async keepPending({ pending, needs }: Extract<BuildResult, { kind: 'pending' }>): Promise<void> {
    await this.#environment.state.saveKeys({ ...this.#facts.stored, pending })
    this.#needs = needs
  }

  /** What signatures of this zone wait for. */
  get needs(): string | undefined {
    return this.#facts.stored.pending === undefined ? undefined : this.#needs
  }
}
