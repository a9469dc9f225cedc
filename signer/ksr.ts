/** What a zone with an offline KSK does by itself (RFC 6781 §3.2, ksr-text.ts): its ZSKs made ahead with their times
 *  (RFC 6781 §4.1.1.1, RFC 7583 §2.1), the request for the DNSKEY RRsets that they ask for, and which of them signs when.
 *
 *    ZSK 1   publish activate ──────────── inactive ── delete
 *    ZSK 2                        publish  activate ──────────── inactive ── delete
 *    request ├─────── 1 ─────────┼──── 1, 2 ─────────┼──── 2 ───┤
 *
 *  I1  A ZSK signs from `activate` on, when every cache that has a DNSKEY RRset has one with it, and its DNSKEY stays
 *      after `inactive` until no cache has data that it signed.
 *  I2  At any time one ZSK of the zone is active. */

import { ConclaveError } from '../base/index.ts'
import { compareOctets, type Name, nameToText, TYPE } from '../zones/index.ts'
import type { SigningKey, SigningSettings } from './build-types.ts'
import { dnskeyRdata } from './dnskey.ts'
import type { KeyTiming } from './key-timing.ts'
import type { KeyInfo, KeyStore } from './keystore.ts'
import type { KeyBundle, KeyBundles } from './ksr-text.ts'
import { bundleAt } from './skr.ts'
import type { HeldKeys } from './zone-stores.ts'

export interface ZskPlan {
  readonly lifetimeSeconds: number
  readonly dnskeyTtlSeconds: number
  /** The largest TTL of the zone. */
  readonly zoneTtlSeconds: number
  readonly propagationSeconds: number
  /** Beyond what TTLs ask for. */
  readonly safetySeconds: number
}

/** Keys that a plan of so many years asks for; more is a mistake in the times. */
const ZSKS_MAX = 1000

/** The times of the ZSKs that are missing until then, beside those that there are. */
export function missingZsks(
  zsks: readonly KeyInfo[],
  plan: ZskPlan,
  fromUnix: number,
  untilUnix: number,
): Required<KeyTiming>[] {
  const { lifetimeSeconds, dnskeyTtlSeconds, zoneTtlSeconds, propagationSeconds, safetySeconds } = plan
  const missing: Required<KeyTiming>[] = []
  let activateUnix = Math.max(fromUnix, ...zsks.map(timesOf).map(times => times.inactiveUnix))
  let first = zsks.length === 0
  // The one that takes over at the end is asked for as soon as it is to be published.
  const ahead = dnskeyTtlSeconds + propagationSeconds + safetySeconds
  while (activateUnix - ahead < untilUnix) {
    if (missing.length === ZSKS_MAX) throw tooMany()
    const inactiveUnix = activateUnix + lifetimeSeconds
    const deleteUnix = inactiveUnix + zoneTtlSeconds + propagationSeconds + safetySeconds
    missing.push({
      publishUnix: first ? fromUnix : activateUnix - ahead,
      activateUnix,
      inactiveUnix,
      deleteUnix,
    })
    first = false
    activateUnix = inactiveUnix
  }
  return missing
}

function tooMany(): ConclaveError {
  return new ConclaveError('KSR_KEYS', `more than ${ZSKS_MAX} ZSKs until then`, {
    remedy: 'Ask for a shorter time, or give ZSKs a longer life.',
  })
}

/** @throws ConclaveError KSR_KEYS */
function timesOf({ timing = {}, keyTag, where }: KeyInfo): Required<KeyTiming> {
  const { publishUnix, activateUnix, inactiveUnix, deleteUnix } = timing
  if (
    publishUnix !== undefined &&
    activateUnix !== undefined &&
    inactiveUnix !== undefined &&
    deleteUnix !== undefined
  ) {
    return { publishUnix, activateUnix, inactiveUnix, deleteUnix }
  }
  throw new ConclaveError('KSR_KEYS', `nobody noted when ZSK ${keyTag} is used`, {
    place: { file: where },
    remedy:
      'With an offline KSK, ZSKs are planned ahead: give it Publish, Activate, Inactive and Delete, or move it away.',
  })
}

/** The request for that time; the ZSKs must be there.
 *  @throws ConclaveError KSR_KEYS */
export function keySigningRequest(
  zone: Name,
  zsks: readonly KeyInfo[],
  dnskeyTtlSeconds: number,
  fromUnix: number,
  untilUnix: number,
): KeyBundles {
  const planned = zsks.map(info => ({ dnskey: dnskeyRdata(info), ...timesOf(info) }))
  const changes = planned
    .flatMap(({ publishUnix, deleteUnix }) => [publishUnix, deleteUnix])
    .filter(unix => unix > fromUnix && unix < untilUnix)
  const times = [...new Set([fromUnix, ...changes, untilUnix])].sort((a, b) => a - b)
  const bundles = times.map((unix): KeyBundle => {
    const shown = planned.filter(({ publishUnix, deleteUnix }) => publishUnix <= unix && unix < deleteUnix)
    if (shown.length === 0) throw noZsk(zone)
    const rdata = shown.map(({ dnskey }) => dnskey).sort(compareOctets)
    return { fromUnix: unix, rrsets: [{ type: TYPE.DNSKEY, ttl: dnskeyTtlSeconds, rdata, signatures: [] }] }
  })
  return { kind: 'KeySigningRequest', zone, bundles }
}

function noZsk(zone: Name): ConclaveError {
  return new ConclaveError('KSR_KEYS', 'at some time no ZSK is published', {
    place: { zone: nameToText(zone) },
    remedy: 'Begin at a time for which there are ZSKs.',
  })
}

/** The settings of a build whose DNSKEY, CDS and CDNSKEY are those that a response has for now.
 *  @throws ConclaveError SKR_REFUSED when it has none, KSR_KEYS when no ZSK is active */
export function offlineSettings(
  settings: SigningSettings,
  response: KeyBundles,
  { infos, storeOf }: HeldKeys,
): SigningSettings {
  const bundle = bundleAt(response, settings.now)
  if (bundle === undefined) {
    throw new ConclaveError('SKR_REFUSED', 'the signed key response does not cover the time that it is now', {
      place: { zone: nameToText(response.zone) },
      remedy: 'Import a response that does: `conclave keys ksr`, `sign-ksr`, `import-skr`.',
    })
  }
  const zsks = infos.filter(({ role }) => role === 'zsk')
  const keys = offlineSigningKeys(bundle, zsks, info => storeOf(info.id)!, settings.now)
  return { ...settings, keys, ready: bundle.rrsets }
}

/** The ZSKs at work while a bundle is published; the DNSKEY RRset itself is the bundle's.
 *  @throws ConclaveError KSR_KEYS when none is active */
export function offlineSigningKeys(
  { rrsets }: KeyBundle,
  zsks: readonly KeyInfo[],
  storeOf: (info: KeyInfo) => KeyStore,
  now: number,
): SigningKey[] {
  const dnskeys = rrsets[0]!.rdata
  const active = zsks.filter(info => {
    const { activateUnix = 0, inactiveUnix = Infinity } = info.timing ?? {}
    const own = dnskeyRdata(info)
    return activateUnix <= now && now < inactiveUnix && dnskeys.some(one => compareOctets(one, own) === 0)
  })
  if (active.length === 0) {
    throw new ConclaveError('KSR_KEYS', 'no ZSK at hand is active and among the signed DNSKEY records', {
      remedy: 'Import the ZSKs that the request was made for, or make and sign a new request.',
    })
  }
  return active.map(info => {
    return { info, store: storeOf(info), published: true, signsKeys: false, signsZone: true, cds: false }
  })
}
