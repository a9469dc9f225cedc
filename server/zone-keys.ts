/** The keys of one zone while it is served: what the timeline says is done, step by step, and what was done is written into
 *  the timeline (signer/timeline.ts).
 *
 *    stores ──held──┐
 *    state ──timeline──▶ nextAction ─▶ generate │ retire │ publish │ want-ds │ destroy ─▶ timeline, durable ─▶ nextAction …
 *    policy ────────┘             └─▶ wait: until a time, or until somebody says something
 *
 *  I1  What a version shows of keys is in the timeline before the version can be seen; both are one transaction.
 *  I2  A step that fails changes nothing, and is tried again later; serving goes on. One that was cut off by a crash is
 *      done over, or found done: a key that was made and not noted is taken, not made twice.
 *  I3  A key that no store has any more is told of, and never replaced because of that.
 *  I4  On the word of a clock that jumped no step is taken for an hour, and no key destroyed for a day.
 *  I5  Everything here is called in the zone's turn. */
import type { Clock, Logger } from '../base/index.ts'
import {
  applyEvent,
  type KeyBundles,
  type KeyInfo,
  type KeyStore,
  nextAction,
  type PendingSignature,
  type ResumedSignature,
  type RollAction,
  type RollEvent,
  type RollFacts,
  resumePending,
  type SigningPolicy,
  sameApex,
  shownKeys,
  storeOfRole,
  type ZoneTimeline,
} from '../signer/index.ts'
import type { Name, ZoneRecord } from '../zones/index.ts'
import { type Beginning, beginTimeline } from './key-beginning.ts'
import type { KeySituation, OrderEffect } from './key-desk.ts'
import {
  isLive,
  type KeyStep,
  policyOfKeys,
  publicKeys,
  type Shown,
  sameSignals,
  storedKeys,
  tagsToAvoid,
  timelineAfter,
  type VersionKeys,
  versionKeys,
} from './key-plan.ts'
import { KnownKeys } from './known-keys.ts'
import { OfflineKeys, offlinePolicy, offlineWait, type Wait } from './offline-keys.ts'
import type { StoredKeys } from './state-record.ts'
import type { ZoneState } from './state-zone.ts'
import type { ZoneOutcome, ZoneSettings } from './zone-life-types.ts'

/** The zone, as its keys see it. */
export interface KeyedZone {
  readonly apex: Name
  readonly zone: string
  readonly settings: ZoneSettings
  readonly record: ZoneRecord | undefined
  /** Of the served version's RRsets. */
  readonly ttlGreatest: number
  /** A version with the same content, and these keys. */
  publishKeys(step: KeyStep, reason: string): Promise<ZoneOutcome>
}

export interface KeysEnvironment {
  readonly clock: Clock
  readonly log: Logger
  state(): ZoneState
  keysMade(keys: readonly KeyInfo[]): void
  rollover(step: RolloverStep): void
  /** I4. */
  readonly trust: ClockTrust
}

/** Since when the clock is trusted again, in Unix seconds. */
export interface ClockTrust {
  readonly destroyFromUnix: number
  readonly stepsFromUnix: number
}

/** A step that was taken; for logs and listeners. */
export interface RolloverStep {
  readonly zone: string
  readonly action: RollAction['kind'] | RollEvent['kind']
  readonly reason: string
  readonly keys: readonly { readonly role: string; readonly algorithm: number; readonly tag: number }[]
}

/** Steps in a row; more than any roll has at once. */
const STEPS_MAX = 64
const RETRY_SECONDS = 60
const RETRY_SECONDS_MAX = 3600

export class ZoneKeys {
  readonly #zone: KeyedZone
  readonly #environment: KeysEnvironment
  readonly #known: KnownKeys
  readonly #offline: OfflineKeys
  #failures = 0
  #changed = false
  #waiting: Wait | undefined

  constructor(zone: KeyedZone, environment: KeysEnvironment) {
    this.#zone = zone
    this.#environment = environment
    this.#known = new KnownKeys({
      apex: zone.apex,
      zone: zone.zone,
      log: environment.log,
      stored: () => this.#stored,
      stores: () => zone.settings.signing?.stores,
    })
    this.#offline = new OfflineKeys(zone.apex, zone.zone, environment.log)
  }

  /** What keys wait for, after the last look at them. */
  get waiting(): Wait | undefined {
    return this.#offlineWait ?? this.#waiting
  }

  get #offlineWait(): Wait | undefined {
    const { timeline, policy } = this
    const response = this.#response
    if (response === undefined || timeline === undefined || policy === undefined) return undefined
    return offlineWait(response, timeline, this.#known.held, policy, this.#environment.clock.now())
  }

  get #stored(): StoredKeys {
    return this.#environment.state().keys
  }

  get timeline(): ZoneTimeline | undefined {
    return this.#stored.timeline
  }

  /** Whether anything of the zone's signatures may be in a cache. */
  get isLive(): boolean {
    return isLive(this.#stored)
  }

  /** By which keys are handled: the zone's own policy, where it leaves their kind open that of the keys there are. */
  get policy(): SigningPolicy | undefined {
    const { signing } = this.#zone.settings
    if (signing === undefined) return undefined
    const response = this.#response
    if (response !== undefined) return offlinePolicy(signing.policy, response)
    if (signing.keepKeys !== true) return signing.policy
    const inUse = this.timeline?.keys.filter(({ goal }) => goal === 'in-use')
    return policyOfKeys(signing.policy, inUse ?? this.#known.held)
  }

  /** Where the KSK is offline. */
  get #response(): KeyBundles | undefined {
    return this.#offline.usedWith(this.#known.held)
  }

  /** Public parts of all keys: those that the stores have, and those that are known from before. */
  get infos(): readonly KeyInfo[] {
    return this.#known.infos
  }

  /** The same, and those that were never here. */
  get publicKeys(): readonly KeyInfo[] {
    return publicKeys(this.#zone.apex, this.timeline, this.infos)
  }

  /** Keys that the zone shows or signs with. */
  get shown(): readonly KeyInfo[] {
    const { timeline } = this
    if (timeline === undefined) return []
    const { published, keySigners, zoneSigners } = shownKeys(timeline)
    return this.publicKeys.filter(({ id }) => [...published, ...keySigners, ...zoneSigners].includes(id))
  }

  /** Keys in the stores that the zone makes no use of. */
  get unused(): readonly KeyInfo[] {
    return this.#known.unused
  }

  /** Looks into the stores; those that cannot say leave what was known, once the zone has a timeline.
   *  @throws ConclaveError what the stores throw */
  async look(): Promise<void> {
    await this.#known.look()
    const { signing } = this.#zone.settings
    if (signing === undefined) return
    const now = this.#environment.clock.now()
    await this.#offline.look(signing.stores, this.#known.held, this.timeline, now)
    await this.#takeGenerated()
  }

  /** I2: a key whose making was begun, and which is there. */
  async #takeGenerated(): Promise<void> {
    const { generating, ...rest } = this.#stored
    const { timeline } = rest
    if (generating === undefined || timeline === undefined || this.#known.fault !== undefined) return
    const { role, algorithm, sinceUnix, predecessor, reason } = generating
    const info = this.unused.find(
      key => key.role === role && key.algorithm === algorithm && key.createdUnix >= Math.floor(sinceUnix),
    )
    if (info === undefined) return this.#environment.state().saveKeys(rest)
    const from = predecessor === undefined ? {} : { predecessor }
    await this.#apply({ kind: 'generated', info, reason, ...from }, reason)
  }

  /** What the next version is signed with. Makes the keys of a zone that was never signed.
   *  @throws ConclaveError what the stores throw */
  async forVersion(beginning: Beginning, step?: KeyStep): Promise<VersionKeys> {
    const now = this.#environment.clock.now()
    const response = this.#response
    if (response !== undefined) return this.#offlineVersion(response, now)
    const chosen = step ?? (await this.#step(beginning, now))
    const unsign = this.#zone.settings.signing?.unsign === true
    return versionKeys(chosen, unsign, this.policy!, this.infos, info => this.#known.storeOf(info), now)
  }

  /** @throws ConclaveError SKR_REFUSED, KSR_KEYS */
  #offlineVersion(response: KeyBundles, now: number): VersionKeys {
    const { held } = this.#known
    const storeOf = (info: KeyInfo): KeyStore => this.#known.storeOf(info)
    return this.#offline.version(response, this.timeline, held, storeOf, this.policy!, now)
  }

  async #step(beginning: Beginning, now: number): Promise<KeyStep> {
    const stored = this.timeline
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
    const { served } = this.#environment.state()
    return beginTimeline({ zone, beginning, policy: this.policy!, infos: this.infos, served, now, log })
  }

  /** Before a zone was ever signed nothing is kept of its keys but the keys themselves: those that are there are taken,
   *  those that lack are made (I2). */
  async #first(begun: ZoneTimeline, { strange, avoidTags }: Beginning, now: number): Promise<KeyStep> {
    let timeline = begun
    const made: KeyInfo[] = []
    for (let steps = 0; steps < STEPS_MAX && !(strange && timeline.keys.length === 0); steps++) {
      const policy = this.policy!
      const action = nextAction(timeline, policy, this.#facts(), now)
      if (action.kind === 'generate') {
        const info = await this.#make(action, avoidTags)
        made.push(info)
        timeline = applyEvent(timeline, { kind: 'generated', info, reason: action.reason }, policy, now)
      } else if (action.kind === 'retire' || action.kind === 'keep') {
        timeline = applyEvent(timeline, eventOf(action), policy, now)
      } else if (action.kind === 'publish') {
        if (made.length > 0) this.#environment.keysMade(made)
        return this.#withDs({ timeline, apex: action.apex }, policy, now)
      } else break
    }
    return { timeline, apex: shownKeys(timeline) }
  }

  /** A DS that may be asked for as soon as the version is seen is asked for by it. */
  #withDs(step: KeyStep, policy: SigningPolicy, now: number): KeyStep {
    const after = timelineAfter(step, policy, { serial: 0, zoneTtlSeconds: 0 }, now)
    const shown = applyEvent(after, { kind: 'shown' }, policy, now)
    const next = nextAction(shown, policy, this.#facts(), now)
    return next.kind === 'want-ds' ? { ...step, dsWanted: next.keys } : step
  }

  #facts(): RollFacts {
    const { record, ttlGreatest } = this.#zone
    const { served } = this.#environment.state()
    return {
      held: new Set(this.#known.held.map(({ id }) => id)),
      zoneTtlSeconds: ttlGreatest,
      serial: record?.serial ?? served?.serial ?? 0,
      ...(served === undefined ? {} : { clockSeenUnix: served.newestInceptionUnix }),
      ...(this.#known.fault === undefined ? {} : { cannotGenerate: this.#known.fault }),
    }
  }

  /** What is to be kept with a version that shows those keys, from the moment it can be seen (I1). */
  kept({ step, policy }: VersionKeys, shown: Shown): StoredKeys {
    const timeline = timelineAfter(step, policy, shown, this.#environment.clock.now())
    const before = this.timeline?.epochs
    this.#changed = this.#zone.record === undefined || before?.at(-1) !== timeline.epochs.at(-1)
    return storedKeys(this.#stored, timeline, policy, this.infos)
  }

  /** Whether the version that was published last may have made a step possible; asked once. */
  takeChanged(): boolean {
    const changed = this.#changed
    this.#changed = false
    return changed
  }

  /** The stores may be others. */
  lookAnew(): void {
    this.#known.forget()
  }

  /** Looks into the stores unless that was done before.
   *  @throws ConclaveError what the stores throw */
  async lookOnce(): Promise<void> {
    if (!this.#known.isLooked || this.#offline.failed) await this.look()
  }

  /** Signatures that the next build will want. */
  keepPending(pending: readonly PendingSignature[]): Promise<void> {
    return this.#environment.state().saveKeys({ ...this.#stored, pending })
  }

  /** What became of signatures that the last build left pending.
   *  @throws what a store throws for a bug */
  async resumed(): Promise<ResumedSignature[]> {
    const { pending } = this.#stored
    if (pending === undefined) return []
    return resumePending(pending, id => {
      const info = this.infos.find(key => key.id === id)
      return info === undefined ? undefined : this.#known.storeOf(info)
    })
  }

  /** Takes steps until there is nothing to do but wait; when to look again, in Unix seconds. */
  async run(): Promise<number | undefined> {
    const now = this.#environment.clock.now()
    if (this.policy === undefined || this.timeline === undefined || this.#zone.record === undefined)
      return undefined
    const { destroyFromUnix, stepsFromUnix } = this.#environment.trust
    try {
      await this.look()
      if (now < stepsFromUnix) return stepsFromUnix
      const response = this.#response
      if (response !== undefined) return await this.#runOffline(response)
      await this.#followWish()
      for (let steps = 0; steps < STEPS_MAX; steps++) {
        await this.#noteShown()
        const action = this.#next(destroyFromUnix)
        if (action.kind === 'wait') {
          this.#waiting = action
          this.#failures = 0
          return this.#lookAgain(action.untilUnix, destroyFromUnix)
        }
        if (!(await this.#do(action))) break
      }
    } catch (error) {
      this.#environment.log.error('a step of the keys failed', { zone: this.#zone.zone, error })
    }
    return now + Math.min(RETRY_SECONDS_MAX, RETRY_SECONDS * 2 ** this.#failures++)
  }

  /** Shows what the response has for now; nothing else is decided. */
  async #runOffline(response: KeyBundles): Promise<number | undefined> {
    const now = this.#environment.clock.now()
    await this.#noteShown()
    const { step, ready } = this.#offlineVersion(response, now)
    if (ready !== this.#offline.shown || !sameApex(step.apex, shownKeys(this.timeline!))) {
      const reason = 'the signed key response has these keys from now on'
      if (!(await this.#show(step, { kind: 'publish', apex: step.apex, moves: [], reason }))) {
        return now + RETRY_SECONDS
      }
      this.#offline.shown = ready
      await this.#noteShown()
    }
    this.#offline.warn(response, this.#known.held, this.policy!, now)
    this.#failures = 0
    return this.waiting?.untilUnix
  }

  /** Versions with those keys are served now. */
  served(keys: VersionKeys | undefined): void {
    this.#offline.shown = keys?.ready
  }

  /** What was written with the newest version is served now. */
  async #noteShown(): Promise<void> {
    const timeline = this.timeline!
    if (timeline.epochs.at(-1)?.pending !== true) return
    await this.#save(applyEvent(timeline, { kind: 'shown' }, this.policy!, this.#environment.clock.now()))
  }

  /** I4. */
  #next(destroyFromUnix: number): RollAction {
    const now = this.#environment.clock.now()
    const policy = now < destroyFromUnix ? { ...this.policy!, purgeSeconds: null } : this.policy!
    return nextAction(this.timeline!, policy, this.#facts(), now)
  }

  #lookAgain(untilUnix: number | undefined, destroyFromUnix: number): number | undefined {
    const now = this.#environment.clock.now()
    const times = [untilUnix ?? Infinity, now < destroyFromUnix ? destroyFromUnix : Infinity]
    const first = Math.min(...times)
    return Number.isFinite(first) ? first : undefined
  }

  /** Whether the zone is to be signed: the policy's word, turned into an event once. */
  async #followWish(): Promise<void> {
    const begun = this.#zone.settings.signing?.unsign === true
    if ((this.timeline?.unsigningUnix !== undefined) === begun) return
    const reason = begun ? 'the zone is to be unsigned' : 'the zone is to be signed'
    await this.#apply({ kind: 'unsigning', begun }, reason)
  }

  /** Whether it was done. */
  async #do(action: Exclude<RollAction, { kind: 'wait' }>): Promise<boolean> {
    const timeline = this.timeline!
    switch (action.kind) {
      case 'generate':
        return this.#generate(action)
      case 'publish':
        return this.#show({ timeline, apex: action.apex }, action)
      case 'unsign':
        return this.#show({ timeline, apex: NO_KEYS }, action)
      case 'want-ds':
        return this.#show({ timeline, apex: shownKeys(timeline), dsWanted: action.keys }, action)
      case 'destroy':
        await this.#known.destroy(action.key)
        return this.#apply({ kind: 'destroyed', key: action.key }, action.reason)
      default:
        return this.#apply(eventOf(action), action.reason)
    }
  }

  /** A version that shows the step. One that would be the same as what is served is not made; the step is taken. */
  async #show(step: KeyStep, action: RollAction): Promise<boolean> {
    const outcome = await this.#zone.publishKeys(step, action.reason)
    if (outcome.kind === 'refused') return false
    if (outcome.kind === 'unchanged') {
      const shown = { serial: this.#zone.record!.serial, zoneTtlSeconds: this.#zone.ttlGreatest }
      const timeline = timelineAfter(step, this.policy!, shown, this.#environment.clock.now())
      await this.#save(timeline)
    }
    this.#tell(action.kind, action.reason, idsOf(action))
    return true
  }

  /** What happened goes into the timeline, and into the zone when CDS and CDNSKEY follow from it. */
  async #apply(event: RollEvent, reason: string): Promise<boolean> {
    const policy = this.policy!
    const before = this.timeline!
    const timeline = applyEvent(before, event, policy, this.#environment.clock.now())
    if (this.#zone.record === undefined || sameSignals(before, timeline, policy, this.infos)) {
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
    const { generating: _, ...stored } = this.#stored
    const { pending } = stored
    const kept = storedKeys(stored, timeline, this.policy!, this.infos)
    await this.#environment.state().saveKeys({ ...kept, ...(pending === undefined ? {} : { pending }) })
  }

  #tell(action: RolloverStep['action'], reason: string, ids: readonly string[]): void {
    const keys = (this.timeline?.keys ?? [])
      .filter(({ id }) => ids.includes(id))
      .map(({ role, algorithm, keyTag: tag }) => ({ role, algorithm, tag }))
    this.#environment.rollover({ zone: this.#zone.zone, action, reason, keys })
  }

  /** I2: that it is being made is on disk before, that it was made after. */
  async #generate(action: Extract<RollAction, { kind: 'generate' }>): Promise<boolean> {
    const { role, algorithm, predecessor, reason } = action
    const sinceUnix = this.#environment.clock.now()
    const from = predecessor === undefined ? {} : { predecessor }
    const generating = { role, algorithm, sinceUnix, reason, ...from }
    await this.#environment.state().saveKeys({ ...this.#stored, generating })
    const info = await this.#make(action, [])
    this.#environment.keysMade([info])
    return this.#apply({ kind: 'generated', info, reason, ...from }, reason)
  }

  /** @throws ConclaveError what the store throws */
  async #make(
    { role, algorithm, bits }: Extract<RollAction, { kind: 'generate' }>,
    others: readonly number[],
  ): Promise<KeyInfo> {
    const { stores } = this.#zone.settings.signing!
    const avoidTags = tagsToAvoid(this.infos, others)
    const size = bits === undefined ? {} : { bits }
    const spec = { zone: this.#zone.apex, algorithm, role, avoidTags, ...size }
    const info = await storeOfRole(stores, role).generate(spec)
    await this.#known.look()
    return info
  }

  /** What somebody saw or said. Whether it is in the timeline now. */
  async note(event: RollEvent, reason: string): Promise<boolean> {
    if (this.policy === undefined || this.timeline === undefined) return false
    return this.#apply(event, reason)
  }

  /** All there is to know; undefined for a zone that was never signed. */
  situation(): KeySituation | undefined {
    const { timeline, policy, publicKeys: infos, unused } = this
    if (timeline === undefined || policy === undefined) return undefined
    const now = this.#environment.clock.now()
    const offline = this.#offlineWait
    const given = this.#zone.settings.signing!.policy
    const keepsKeys = policy.algorithm !== given.algorithm || policy.splitKeys !== given.splitKeys
    const situation = { zone: this.#zone.apex, timeline, policy, infos, unused, facts: this.#facts(), now }
    return offline === undefined ? { ...situation, keepsKeys } : { ...situation, offline }
  }

  /** Does what an operator wants; what follows is for `run`. */
  async follow({ events, reason }: OrderEffect): Promise<void> {
    for (const event of events) await this.note(event, reason)
  }

  /** Takes keys that somebody put into a store into use, beside those that are: what becomes of them is the policy's.
   *  Those that are in use already are left as they are. */
  async adoptKeys(ids: readonly string[], reason: string): Promise<readonly KeyInfo[]> {
    await this.look()
    const adopted = this.unused.filter(({ id }) => ids.includes(id))
    for (const info of adopted) await this.note({ kind: 'generated', info, reason }, reason)
    return adopted
  }
}

const NO_KEYS = { published: [], keySigners: [], zoneSigners: [] }

function eventOf(action: Extract<RollAction, { kind: 'retire' | 'keep' | 'confirm-ds' }>): RollEvent {
  switch (action.kind) {
    case 'retire':
      return { ...action, kind: 'retired' }
    case 'keep':
      return { ...action, kind: 'kept' }
    case 'confirm-ds':
      return { kind: 'ds-confirmed', keys: action.keys, ttlSeconds: action.ttlSeconds, by: 'time' }
  }
}

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
