/** Steps in the life of one zone's keys, done and noted in the timeline; what is to be done others decide (zone-keys.ts).
 *
 *    generate: that it begins is on disk ─▶ the store makes a key ─▶ timeline
 *    publish, unsign, want-ds: a version that shows it, with the timeline in its transaction
 *    destroy: the store has the key no more ─▶ timeline
 *
 *  I1  A step that fails changes nothing. One that was cut off by a crash is done over, or found done: a key that was made
 *      and not noted is taken, not made twice.
 *  I2  Everything here is called in the zone's turn. */
import {
  applyEvent,
  eventOf,
  type KeyInfo,
  type RollAction,
  type RollEvent,
  shownKeys,
  storeOfRole,
  type ZoneTimeline,
} from '../signer/index.ts'
import { type KeyStep, sameSignals, storedKeys, tagsToAvoid, timelineAfter } from './key-plan.ts'
import type { ZoneKeyFacts } from './zone-key-facts.ts'
import type { KeyedZone, KeysEnvironment, RolloverStep } from './zone-keys-types.ts'

export class ZoneKeySteps {
  readonly #zone: KeyedZone
  readonly #environment: KeysEnvironment
  readonly #facts: ZoneKeyFacts

  constructor(zone: KeyedZone, environment: KeysEnvironment, facts: ZoneKeyFacts) {
    this.#zone = zone
    this.#environment = environment
    this.#facts = facts
  }

  /** Whether it was done. */
  async do(action: Exclude<RollAction, { kind: 'wait' }>): Promise<boolean> {
    const timeline = this.#facts.timeline!
    switch (action.kind) {
      case 'generate':
        return this.#generate(action)
      case 'publish':
        return this.show({ timeline, apex: action.apex }, action)
      case 'unsign':
        return this.show({ timeline, apex: NO_KEYS }, action)
      case 'want-ds':
        return this.show({ timeline, apex: shownKeys(timeline), dsWanted: action.keys }, action)
      case 'destroy':
        await this.#facts.known.destroy(action.key)
        return this.apply({ kind: 'destroyed', key: action.key }, action.reason)
      default:
        return this.apply(eventOf(action), action.reason)
    }
  }

  /** A version that shows the step. One that would be the same as what is served is not made; the step is taken. */
  async show(step: KeyStep, action: RollAction): Promise<boolean> {
    const outcome = await this.#zone.publishKeys(step, action.reason)
    if (outcome.kind === 'refused') return false
    if (outcome.kind === 'unchanged') {
      const shown = { serial: this.#zone.record!.serial, zoneTtlSeconds: this.#zone.ttlGreatest }
      const timeline = timelineAfter(step, this.#facts.policy!, shown, this.#environment.clock.now())
      await this.#save(timeline)
    }
    this.#tell(action.kind, action.reason, idsOf(action))
    return true
  }

  /** What happened goes into the timeline, and into the zone when CDS and CDNSKEY follow from it. */
  async apply(event: RollEvent, reason: string): Promise<boolean> {
    const policy = this.#facts.policy!
    const before = this.#facts.timeline!
    const timeline = applyEvent(before, event, policy, this.#environment.clock.now())
    if (this.#zone.record === undefined || sameSignals(before, timeline, policy, this.#facts.infos)) {
      await this.#save(timeline)
    } else {
      const outcome = await this.#zone.publishKeys({ timeline, apex: shownKeys(timeline) }, reason)
      if (outcome.kind === 'refused') return false
      if (outcome.kind === 'unchanged') await this.#save(timeline)
    }
    this.#tell(event.kind, reason, idsOfEvent(event))
    return true
  }

  async #save(timeline: ZoneTimeline): Promise<void> {
    const { generating: _, ...stored } = this.#facts.stored
    const kept = storedKeys(stored, timeline, this.#facts.policy!, this.#facts.infos)
    await this.#environment.state.saveKeys(kept)
  }

  #tell(action: RolloverStep['action'], reason: string, ids: readonly string[]): void {
    const keys = (this.#facts.timeline?.keys ?? [])
      .filter(({ id }) => ids.includes(id))
      .map(({ role, algorithm, keyTag: tag }) => ({ role, algorithm, tag }))
    this.#environment.rollover({ zone: this.#zone.zone, action, reason, keys })
  }

  /** I1: that it is being made is on disk before, that it was made after. */
  async #generate(action: Extract<RollAction, { kind: 'generate' }>): Promise<boolean> {
    const { role, algorithm, predecessor, reason } = action
    const sinceUnix = this.#environment.clock.now()
    const from = predecessor === undefined ? {} : { predecessor }
    const generating = { role, algorithm, sinceUnix, reason, ...from }
    await this.#environment.state.saveKeys({ ...this.#facts.stored, generating })
    const info = await this.make(action, [])
    this.#environment.keysMade([info])
    return this.apply({ kind: 'generated', info, reason, ...from }, reason)
  }

  /** @throws ConclaveError what the store throws */
  async make(
    { role, algorithm, bits }: Extract<RollAction, { kind: 'generate' }>,
    others: readonly number[],
  ): Promise<KeyInfo> {
    const { stores } = this.#zone.settings.signing!
    const avoidTags = tagsToAvoid(this.#facts.infos, others)
    const size = bits === undefined ? {} : { bits }
    const spec = { zone: this.#zone.apex, algorithm, role, avoidTags, ...size }
    const info = await storeOfRole(stores, role).generate(spec)
    await this.#facts.known.look()
    return info
  }

  /** What was written with the newest version is served now. */
  async noteShown(): Promise<void> {
    const timeline = this.#facts.timeline!
    if (timeline.epochs.at(-1)?.pending !== true) return
    const now = this.#environment.clock.now()
    await this.#save(applyEvent(timeline, { kind: 'shown' }, this.#facts.policy!, now))
  }

  /** I1: a key whose making was begun, and which is there. */
  async takeGenerated(): Promise<void> {
    const { generating, ...rest } = this.#facts.stored
    const { timeline } = rest
    if (generating === undefined || timeline === undefined || this.#facts.known.fault !== undefined) return
    const { role, algorithm, sinceUnix, predecessor, reason } = generating
    const info = this.#facts.unused.find(
      key => key.role === role && key.algorithm === algorithm && key.createdUnix >= Math.floor(sinceUnix),
    )
    if (info === undefined) return this.#environment.state.saveKeys(rest)
    const from = predecessor === undefined ? {} : { predecessor }
    await this.apply({ kind: 'generated', info, reason, ...from }, reason)
  }
}

const NO_KEYS = { published: [], keySigners: [], zoneSigners: [] }

function idsOf(action: RollAction): readonly string[] {
  switch (action.kind) {
    case 'publish':
      return [...new Set(action.moves.map(({ key }) => key))]
    case 'want-ds':
    case 'confirm-ds':
      return action.keys
    case 'retire':
    case 'keep':
    case 'destroy':
      return [action.key]
    default:
      return []
  }
}

function idsOfEvent(event: RollEvent): readonly string[] {
  switch (event.kind) {
    case 'generated':
      return [event.info.id]
    case 'retired':
    case 'kept':
    case 'destroyed':
      return [event.key]
    case 'ds-wanted':
    case 'ds-confirmed':
      return event.keys
    default:
      return []
  }
}
