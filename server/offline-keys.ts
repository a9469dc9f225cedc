/** A zone whose KSK is kept where no network is (RFC 6781 §3.2): its DNSKEY, CDS and CDNSKEY RRsets come ready signed, for
 *  spans of time, out of a signed key response (signer/skr.ts) that lies beside its ZSKs. Who signs the rest, and when, is
 *  what the ZSKs were made with.
 *
 *    response ├─ bundle ─┼─ bundle ─┼─ bundle ─┤ end      the one that has begun last is shown
 *    ZSKs     ─── 1 signs ───────┼─ 2 signs ───
 *
 *  I1  A response is used while no KSK or CSK of the zone is held, and only once all of it was verified; a new one that is
 *      wrong is told of, and the one before goes on.
 *  I2  The timeline has all that is shown, so that a zone without its response is never signed by other keys instead. */
import { ConclaveError, type Logger } from '../base/index.ts'
import {
  applyEvent,
  bundleAt,
  decodeRrsig,
  dnskeyRdata,
  dsMatches,
  endOf,
  initialTimeline,
  isDsPending,
  type KeyBundle,
  type KeyBundles,
  type KeyInfo,
  type KeyRRset,
  type KeyStore,
  keyInfoOf,
  offlineSigningKeys,
  parseKeyBundles,
  type RollAction,
  responseFaults,
  type SigningPolicy,
  timeText,
  wantedDs,
  type ZoneStores,
  type ZoneTimeline,
} from '../signer/index.ts'
import { compareOctets, type Name, TYPE } from '../zones/index.ts'
import type { VersionKeys } from './key-plan.ts'

export type Wait = Extract<RollAction, { kind: 'wait' }>

export class OfflineKeys {
  readonly #apex: Name
  readonly #zone: string
  readonly #log: Logger
  /** That of the response. */
  #text: string | undefined
  #response: KeyBundles | undefined
  /** Why a newer one is not used. */
  #told: string | undefined
  /** There is none to go on with, and there should be: nothing is made or signed. */
  failed = false
  /** It was told that this one ends. */
  #warned: KeyBundles | undefined
  /** What is served now, of the bundle that it came from. */
  shown: VersionKeys['ready']

  constructor(apex: Name, zone: string, log: Logger) {
    this.#apex = apex
    this.#zone = zone
    this.#log = log
  }

  /** Reads the response when there is another one (I1). While the stores are away, and `held` says nothing, a zone whose KSK was
   *  not offline goes on as it was.
   *  @throws ConclaveError KSR_MALFORMED, SKR_REFUSED, FILE_READ when there is none to go on with */
  async look(
    stores: ZoneStores,
    held: readonly KeyInfo[],
    away: boolean,
    timeline: ZoneTimeline | undefined,
    now: number,
  ): Promise<void> {
    this.failed = false
    if (hasKsk(held) || (away && !wasOffline(timeline))) return
    try {
      const file = await stores.zsk.signedKeys?.(this.#apex)
      if (file === undefined && !wasOffline(timeline)) return
      if (file === undefined) throw missingResponse(this.#zone)
      if (file.text === this.#text) return
      this.#response = this.#checked(file.text, file.where, now)
      this.#text = file.text
      this.#told = undefined
    } catch (error) {
      if (this.#response === undefined) {
        this.failed = true
        throw error
      }
      this.#tell(error instanceof Error ? error.message : String(error))
    }
  }

  #tell(why: string): void {
    if (this.#told === why) return
    this.#told = why
    this.#log.error('a signed key response is not used; the one before goes on', { zone: this.#zone, why })
  }

  #checked(text: string, where: string, now: number): KeyBundles {
    const response = parseKeyBundles(text, where)
    // Those that are there now may have been made for the next request.
    const [fault] = responseFaults(response, { zsks: [], now })
    if (fault === undefined) return response
    throw new ConclaveError('SKR_REFUSED', fault, {
      place: { file: where, zone: this.#zone },
      remedy: 'Import a response that is right: `conclave keys ksr`, `sign-ksr`, `import-skr`.',
    })
  }

  /** The response to be used with those keys (I1). */
  usedWith(held: readonly KeyInfo[]): KeyBundles | undefined {
    return hasKsk(held) ? undefined : this.#response
  }

  /** What is to be shown now.
   *  @throws ConclaveError SKR_REFUSED, KSR_KEYS */
  version(
    response: KeyBundles,
    before: ZoneTimeline | undefined,
    held: readonly KeyInfo[],
    storeOf: (info: KeyInfo) => KeyStore,
    policy: SigningPolicy,
    now: number,
  ): VersionKeys {
    const bundle = bundleAt(response, now)
    if (bundle === undefined) throw uncovered(this.#zone)
    const zsks = held.filter(({ role }) => role === 'zsk')
    const keys = offlineSigningKeys(bundle, zsks, storeOf, now)
    const begun = before ?? initialTimeline([], { kind: 'nothing' }, now)
    const infos = rrsetOf(bundle, TYPE.DNSKEY).rdata.map(rdata => keyInfoOf(this.#apex, rdata, now))
    const timeline = withGoals(withKeys(begun, infos, held, policy, now), infos, zsks, policy, now)
    const published = infos.map(({ id }) => id)
    const keySigners = infos.filter(info => isSigner(info, bundle)).map(({ id }) => id)
    const apex = { published, keySigners, zoneSigners: keys.map(({ info }) => info.id) }
    const dsWanted = askedFor(this.#apex, infos, bundle)
    const step = { timeline, apex, ...(dsWanted.length === 0 ? {} : { dsWanted }) }
    return { step, policy, unsigned: false, keys, foreign: {}, ready: bundle.rrsets }
  }

  /** Tells once that a response ends soon. */
  warn(response: KeyBundles, held: readonly KeyInfo[], { refreshSeconds }: SigningPolicy, now: number): void {
    const endsUnix = coveredUnix(response, held)
    if (now < endsUnix - refreshSeconds || this.#warned === response) return
    this.#warned = response
    this.#log.warn('the signed key response ends soon; import the next one', { zone: this.#zone, endsUnix })
  }
}

/** Until when there are signatures over the keys, and a ZSK that signs the rest. */
function coveredUnix(response: KeyBundles, held: readonly KeyInfo[]): number {
  const { rdata } = rrsetOf(response.bundles.at(-1)!, TYPE.DNSKEY)
  const last = held.filter(info => rdata.some(one => compareOctets(one, dnskeyRdata(info)) === 0))
  const signs = Math.max(...last.map(({ timing }) => timing?.inactiveUnix ?? Number.POSITIVE_INFINITY))
  return Math.min(endOf(response), signs)
}

/** What comes next, and until when it lasts. */
export function offlineWait(
  response: KeyBundles,
  timeline: ZoneTimeline,
  held: readonly KeyInfo[],
  policy: SigningPolicy,
  now: number,
): Wait {
  const end = coveredUnix(response, held)
  const endsSoon = now >= end - policy.refreshSeconds
  const times = [
    ...response.bundles.map(({ fromUnix }) => fromUnix),
    ...held.flatMap(({ timing = {} }) => [timing.activateUnix ?? 0, timing.inactiveUnix ?? 0]),
    end - policy.refreshSeconds,
    end,
  ].filter(unix => unix > now)
  const asks = isDsPending(timeline) && policy.parent.confirmation === 'observe'
  const soon = endsSoon ? ': that is soon, import the next signed key response' : ''
  return {
    kind: 'wait',
    ...(times.length === 0 ? {} : { untilUnix: Math.min(...times) }),
    ask: asks ? { parent: wantedDs(timeline) } : {},
    reason: `the KSK is offline, and what it signed lasts until ${timeText(end)}${soon}`,
  }
}

/** The zone's own policy, as far as a response leaves anything to it. */
export function offlinePolicy(policy: SigningPolicy, { bundles }: KeyBundles): SigningPolicy {
  const { ttl, rdata } = rrsetOf(bundles[0]!, TYPE.DNSKEY)
  return {
    ...policy,
    algorithm: rdata[0]![3]!,
    splitKeys: true,
    kskLifetimeSeconds: null,
    zskLifetimeSeconds: null,
    dnskeyTtlSeconds: ttl,
  }
}

function hasKsk(held: readonly KeyInfo[]): boolean {
  return held.some(({ role }) => role !== 'zsk')
}

/** I2: whether the zone was served with an offline KSK. */
function wasOffline(timeline: ZoneTimeline | undefined): boolean {
  const keys = timeline?.keys ?? []
  return keys.some(({ goal, dnskey, role }) => goal === 'in-use' && dnskey !== undefined && role !== 'zsk')
}

function missingResponse(zone: string): ConclaveError {
  return new ConclaveError('SKR_REFUSED', 'the KSK is offline, and there is no signed key response', {
    place: { zone },
    remedy: 'Import it again with `conclave keys import-skr`, or bring the KSK back.',
  })
}

function uncovered(zone: string): ConclaveError {
  return new ConclaveError('SKR_REFUSED', 'the signed key response does not cover the time that it is now', {
    place: { zone },
    remedy: 'Import a response that does: `conclave keys ksr`, `sign-ksr`, `import-skr`.',
  })
}

function rrsetOf({ rrsets }: KeyBundle, type: number): KeyRRset {
  return rrsets.find(rrset => rrset.type === type) ?? { type, ttl: 0, rdata: [], signatures: [] }
}

function withKeys(
  timeline: ZoneTimeline,
  infos: readonly KeyInfo[],
  held: readonly KeyInfo[],
  policy: SigningPolicy,
  now: number,
): ZoneTimeline {
  const reason = 'the signed key response has it'
  const added = infos
    .filter(({ id }) => timeline.keys.every(key => key.id !== id))
    .reduce((before, info) => applyEvent(before, { kind: 'generated', info, reason }, policy, now), timeline)
  const keys = added.keys.map(key => {
    const info = infos.find(({ id }) => id === key.id)
    if (info === undefined || held.some(({ id }) => id === key.id)) return key
    return { ...key, dnskey: Buffer.from(dnskeyRdata(info)).toString('base64') }
  })
  return { ...added, keys }
}

/** Keys of the bundle are in use, but for ZSKs that have done their part. */
function withGoals(
  timeline: ZoneTimeline,
  infos: readonly KeyInfo[],
  zsks: readonly KeyInfo[],
  policy: SigningPolicy,
  now: number,
): ZoneTimeline {
  const isOver = (id: string): boolean => {
    const timing = zsks.find(info => info.id === id)?.timing
    return timing?.inactiveUnix !== undefined && timing.inactiveUnix <= now
  }
  return timeline.keys.reduce((before, { id, goal }) => {
    const inUse = infos.some(info => info.id === id) && !isOver(id)
    if (inUse === (goal === 'in-use')) return before
    const event = inUse
      ? ({ kind: 'kept', key: id, reason: 'the signed key response has it' } as const)
      : ({ kind: 'retired', key: id, because: 'lifetime', reason: 'its time is over' } as const)
    return applyEvent(before, event, policy, now)
  }, timeline)
}

function isSigner({ algorithm, keyTag }: KeyInfo, bundle: KeyBundle): boolean {
  return rrsetOf(bundle, TYPE.DNSKEY).signatures.some(rdata => {
    const rrsig = decodeRrsig(rdata)
    return rrsig?.algorithm === algorithm && rrsig.keyTag === keyTag
  })
}

/** RFC 7344 §4: the keys that CDS asks a DS of. */
function askedFor(apex: Name, infos: readonly KeyInfo[], bundle: KeyBundle): string[] {
  const { rdata } = rrsetOf(bundle, TYPE.CDS)
  return infos.filter(info => rdata.some(cds => dsMatches(apex, dnskeyRdata(info), cds))).map(({ id }) => id)
}
