/** What is known of the keys of one zone: those that its stores have, those that the timeline has, by which policy they are
 *  handled, and what a signed key response says in place of a KSK.
 *  I1  Nothing here changes a key, the timeline or the zone.
 *  I2  What is told is of this moment; it is asked for in the zone's turn, but for reports. */
import {
  type KeyBundles,
  type KeyInfo,
  policyOfKeys,
  type RollFacts,
  type SigningPolicy,
  shownKeys,
  type ZoneTimeline,
} from '../signer/index.ts'
import type { KeySituation } from './key-desk.ts'
import { isLive, publicKeys } from './key-plan.ts'
import { KnownKeys } from './known-keys.ts'
import { OfflineKeys, offlinePolicy, offlineWait, type Wait } from './offline-keys.ts'
import type { StoredKeys } from './state-record.ts'
import type { KeyedZone, KeysEnvironment } from './zone-keys-types.ts'

export class ZoneKeyFacts {
  readonly #zone: KeyedZone
  readonly #environment: KeysEnvironment
  readonly known: KnownKeys
  readonly offline: OfflineKeys

  constructor(zone: KeyedZone, environment: KeysEnvironment) {
    this.#zone = zone
    this.#environment = environment
    this.known = new KnownKeys({
      apex: zone.apex,
      zone: zone.zone,
      log: environment.log,
      stored: () => this.stored,
      stores: () => zone.settings.signing?.stores,
      otherStores: () => environment.otherStores(),
    })
    this.offline = new OfflineKeys(zone.apex, zone.zone, environment.log)
  }

  /** Whether the stores were asked, and there is nothing that stands in the way. */
  get isLooked(): boolean {
    return this.known.isLooked && !this.offline.failed
  }

  /** Looks into the stores; those that cannot say leave what was known, once the zone has a timeline.
   *  @throws ConclaveError what the stores throw */
  async look(): Promise<void> {
    await this.known.look()
    const { signing } = this.#zone.settings
    if (signing === undefined) return
    const now = this.#environment.clock.now()
    const away = this.known.fault !== undefined
    await this.offline.look(signing.stores, this.held, away, this.timeline, now)
  }

  /** Keys that the stores have. */
  get held(): readonly KeyInfo[] {
    return this.known.held
  }

  get stored(): StoredKeys {
    return this.#environment.state.keys
  }

  get timeline(): ZoneTimeline | undefined {
    return this.stored.timeline
  }

  /** Whether anything of the zone's signatures may be in a cache. */
  get isLive(): boolean {
    return isLive(this.stored)
  }

  /** By which keys are handled: the zone's own policy, where it leaves their kind open that of the keys there are. */
  get policy(): SigningPolicy | undefined {
    const { signing } = this.#zone.settings
    if (signing === undefined) return undefined
    const response = this.response
    if (response !== undefined) return offlinePolicy(signing.policy, response)
    if (signing.keepKeys !== true) return signing.policy
    const inUse = this.timeline?.keys.filter(({ goal }) => goal === 'in-use')
    return policyOfKeys(signing.policy, inUse ?? this.held)
  }

  /** Where the KSK is offline. */
  get response(): KeyBundles | undefined {
    return this.offline.usedWith(this.held)
  }

  /** Public parts of all keys: those that the stores have, and those that are known from before. */
  get infos(): readonly KeyInfo[] {
    return this.known.infos
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
    return this.known.unused
  }

  rollFacts(): RollFacts {
    const { record, ttlGreatest } = this.#zone
    const { served } = this.#environment.state
    return {
      held: new Set(this.held.map(({ id }) => id)),
      zoneTtlSeconds: ttlGreatest,
      serial: record?.serial ?? served?.serial ?? 0,
      ...(served === undefined ? {} : { clockSeenUnix: served.newestInceptionUnix }),
      ...(this.known.fault === undefined ? {} : { cannotGenerate: this.known.fault }),
      destroyFromUnix: this.#environment.trust().destroyFromUnix,
    }
  }

  get offlineWait(): Wait | undefined {
    const { timeline, policy } = this
    const response = this.response
    if (response === undefined || timeline === undefined || policy === undefined) return undefined
    return offlineWait(response, timeline, this.held, policy, this.#environment.clock.now())
  }

  /** All there is to know; undefined for a zone that was never signed. */
  situation(): KeySituation | undefined {
    const { timeline, policy, publicKeys: infos, unused } = this
    if (timeline === undefined || policy === undefined) return undefined
    const now = this.#environment.clock.now()
    const offline = this.offlineWait
    const given = this.#zone.settings.signing!.policy
    const keepsKeys = policy.algorithm !== given.algorithm || policy.splitKeys !== given.splitKeys
    const { stepsFromUnix } = this.#environment.trust()
    const situation = {
      ...{ zone: this.#zone.apex, timeline, policy, infos, unused, facts: this.rollFacts(), now },
      ...(now < stepsFromUnix ? { stepsFromUnix } : {}),
    }
    return offline === undefined ? { ...situation, keepsKeys } : { ...situation, offline }
  }
}
