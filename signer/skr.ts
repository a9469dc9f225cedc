/** Signing key signing requests where the KSK is, and judging the response where the zone is (ksr-text.ts).
 *
 *    request   ├── ZSKs 1 ──────────────┼── ZSKs 1, 2 ──┼── ZSKs 2 ──────────┤ until
 *    response  ├─ signed ─┼─ signed ────┼─ signed ──────┼─ signed ─┼─ signed ─┼─ signed
 *
 *  I1  A bundle's signatures are valid from its time until that of the next one at least, so that the one to be used is the
 *      last that has begun.
 *  I2  Nothing is taken but what was verified: every signature, no span without one, the DS of the parent. */

import { ConclaveError } from '../base/index.ts'
import {
  canonicalName,
  compareOctets,
  type Name,
  type NodeRRset,
  nameToText,
  TYPE,
  typeToText,
} from '../zones/index.ts'
import { childSignals, dnskeyRdata, dsMatches, FLAG_SEP, keyTagOf } from './dnskey.ts'
import type { KeyInfo, KeyStore } from './keystore.ts'
import type { KeyBundle, KeyBundles, KeyRRset } from './ksr-text.ts'
import { decodeRrsig, ToBeSigned } from './rrsig.ts'
import { zoneKeysOf } from './rrsig-check.ts'
import { isSignedBy } from './signed-zone.ts'

export interface ResponseOptions {
  /** KSKs and CSKs of the zone, and the store that has them. */
  readonly keys: readonly KeyInfo[]
  readonly store: KeyStore
  readonly validitySeconds: number
  /** A bundle is followed by another so long before its signatures end. */
  readonly refreshSeconds: number
  readonly inceptionOffsetSeconds: number
  /** Unix seconds. */
  readonly now: number
}

/** Time that a store has for one bundle. */
const DEADLINE_SECONDS = 300

/** The response to a request. A KSK with timing is published and signs as that says; one without always does.
 *  @throws ConclaveError SKR_KEYS when no KSK signs, SKR_SIGN when the store does not */
export async function signKeyRequest(request: KeyBundles, options: ResponseOptions): Promise<KeyBundles> {
  const bundles: KeyBundle[] = []
  const { validitySeconds, refreshSeconds } = options
  const step = validitySeconds - refreshSeconds
  for (const [index, bundle] of request.bundles.entries()) {
    const until = request.bundles[index + 1]?.fromUnix ?? bundle.fromUnix + 1
    for (let from = bundle.fromUnix; from < until; from += step) {
      bundles.push(await signBundle(request.zone, { ...bundle, fromUnix: from }, options))
    }
  }
  return { kind: 'SignedKeyResponse', zone: request.zone, bundles }
}

async function signBundle(zone: Name, bundle: KeyBundle, options: ResponseOptions): Promise<KeyBundle> {
  const { fromUnix } = bundle
  const at = (unix: number | undefined, otherwise: boolean): boolean =>
    unix === undefined ? otherwise : unix <= fromUnix
  const shown = options.keys.filter(
    ({ timing = {} }) => at(timing.publishUnix, true) && !at(timing.deleteUnix, false),
  )
  const signers = shown.filter(
    ({ timing = {} }) => at(timing.activateUnix, true) && !at(timing.inactiveUnix, false),
  )
  if (signers.length === 0) {
    throw new ConclaveError('SKR_KEYS', 'no KSK of the zone is here that signs at that time', {
      place: { zone: nameToText(zone) },
      remedy:
        'Name the directory of the KSK with --keys; a KSK with times signs between Activate and Inactive.',
    })
  }
  const asked = bundle.rrsets.find(({ type }) => type === TYPE.DNSKEY)!
  const { cds, cdnskey } = childSignals(zone, signers)
  const rrset = (type: number, rdata: readonly Uint8Array[]): KeyRRset => {
    const sorted = [...rdata].sort(compareOctets)
    const once = sorted.filter((one, place) => place === 0 || compareOctets(one, sorted[place - 1]!) !== 0)
    return { type, ttl: asked.ttl, rdata: once, signatures: [] }
  }
  const unsigned = [
    rrset(TYPE.DNSKEY, [...asked.rdata, ...shown.map(dnskeyRdata)]),
    rrset(TYPE.CDS, cds),
    rrset(TYPE.CDNSKEY, cdnskey),
  ]
  const rrsets: KeyRRset[] = []
  for (const one of unsigned)
    rrsets.push({ ...one, signatures: await signRRset(zone, one, signers, fromUnix, options) })
  return { fromUnix, rrsets }
}

async function signRRset(
  zone: Name,
  { type, ttl, rdata }: KeyRRset,
  signers: readonly KeyInfo[],
  fromUnix: number,
  { store, validitySeconds, inceptionOffsetSeconds, now }: ResponseOptions,
): Promise<Uint8Array[]> {
  const signatures: Uint8Array[] = []
  for (const { id, algorithm, keyTag } of signers) {
    const message = new ToBeSigned(1)
    const signer = { algorithm, keyTag, signerName: canonicalName(zone) }
    message.add(signer, zone, type, ttl, fromUnix - inceptionOffsetSeconds, fromUnix + validitySeconds, rdata)
    const [outcome] = await store.sign(message.batch(id), { deadlineUnix: now + DEADLINE_SECONDS })
    if (outcome?.kind !== 'signed') {
      throw new ConclaveError('SKR_SIGN', `the key store did not sign: ${outcome?.kind ?? 'nothing'}`, {
        place: { zone: nameToText(zone), key: id },
        remedy: 'See that the key store is there, and sign the request again.',
      })
    }
    signatures.push(message.rrsig(0, outcome.signature))
  }
  return signatures.sort(compareOctets)
}

export interface ResponseCheck {
  /** DS RDATA of the parent; absent: not looked at. */
  readonly ds?: readonly Uint8Array[]
  /** ZSKs at hand: those with timing must be in the bundles of their time. */
  readonly zsks: readonly KeyInfo[]
  /** Unix seconds: the response must cover it. */
  readonly now: number
}

/** What is wrong with a response, a sentence each; none: it can be used (I1, I2). */
export function responseFaults({ zone, bundles }: KeyBundles, check: ResponseCheck): string[] {
  const first = bundles[0]!.fromUnix
  const faults = bundles.flatMap((bundle, index) => {
    const until = bundles[index + 1]?.fromUnix ?? bundle.fromUnix
    return bundleFaults(zone, bundle, until, check).map(what => `from ${dateOf(bundle.fromUnix)}: ${what}`)
  })
  if (first > check.now) faults.unshift(`it begins ${dateOf(first)}: nothing covers the time until then`)
  if (endOf({ bundles }) <= check.now) faults.unshift('its last signature has expired')
  return faults
}

/** When the last signatures over the DNSKEY RRset end, in Unix seconds. */
export function endOf({ bundles }: Pick<KeyBundles, 'bundles'>): number {
  const ends = bundles.at(-1)!.rrsets[0]!.signatures.map(rdata => decodeRrsig(rdata)?.expirationUnix ?? 0)
  return Math.min(...ends)
}

function bundleFaults(
  zone: Name,
  { fromUnix, rrsets }: KeyBundle,
  untilUnix: number,
  { ds, zsks }: ResponseCheck,
): string[] {
  const dnskeys = rrsets.find(({ type }) => type === TYPE.DNSKEY)!.rdata
  const faults = rrsets.flatMap(rrset => rrsetFaults(zone, rrset, dnskeys, fromUnix, untilUnix))
  const algorithms = new Set(ds?.map(one => one[2]))
  const signers = signersOf(zone, rrsets[0]!, dnskeys, fromUnix)
  for (const algorithm of algorithms) {
    // RFC 4035 §5.2: a DS leads to a DNSKEY that signs the DNSKEY RRset.
    const leads = ds?.some(one => one[2] === algorithm && signers.some(key => dsMatches(zone, key, one)))
    if (leads !== true)
      faults.push(`no DS of algorithm ${algorithm} leads to a key that signs the DNSKEY RRset`)
  }
  for (const info of zsks) {
    const { publishUnix = Infinity, deleteUnix = Infinity } = info.timing ?? {}
    if (fromUnix < publishUnix || fromUnix >= deleteUnix) continue
    const own = dnskeyRdata(info)
    if (!dnskeys.some(dnskey => compareOctets(dnskey, own) === 0))
      faults.push(`ZSK ${info.keyTag} is missing`)
  }
  return faults
}

function signersOf(zone: Name, rrset: KeyRRset, dnskeys: readonly Uint8Array[], at: number): Uint8Array[] {
  return zoneKeysOf(dnskeys)
    .filter(key => rrset.signatures.some(rrsig => isSignedBy(zone, nodeRRset(rrset), rrsig, key, at)))
    .map(({ dnskey }) => dnskey)
}

function rrsetFaults(
  zone: Name,
  rrset: KeyRRset,
  dnskeys: readonly Uint8Array[],
  fromUnix: number,
  untilUnix: number,
): string[] {
  const what = typeToText(rrset.type)
  if (rrset.signatures.length === 0) return [`${what} has no signature`]
  const keys = zoneKeysOf(dnskeys)
  return rrset.signatures.flatMap(rdata => {
    const right = [fromUnix, untilUnix].every(at =>
      keys.some(key => isSignedBy(zone, nodeRRset(rrset), rdata, key, at)),
    )
    if (right) return []
    const valid = keys.some(key => isSignedBy(zone, nodeRRset(rrset), rdata, key, fromUnix))
    return valid
      ? [`a signature over ${what} ends before the next section begins`]
      : [`a signature over ${what} is wrong, or not valid then`]
  })
}

function nodeRRset({ type, ttl, rdata, signatures }: KeyRRset): NodeRRset {
  return { type, source: 0, ttl, rdata, signatures }
}

/** The bundle that is to be published then; undefined when the response does not cover that time. */
export function bundleAt({ bundles }: Pick<KeyBundles, 'bundles'>, now: number): KeyBundle | undefined {
  const begun = bundles.filter(({ fromUnix }) => fromUnix <= now).at(-1)
  if (begun === undefined || endOf({ bundles: [begun] }) <= now) return undefined
  return begun
}

/** Tags of the KSKs in a response. */
export function signerTags({ bundles }: Pick<KeyBundles, 'bundles'>): number[] {
  const dnskeys = bundles.flatMap(({ rrsets }) => rrsets[0]!.rdata)
  return [...new Set(dnskeys.filter(rdata => (rdata[1]! & FLAG_SEP) !== 0).map(keyTagOf))]
}

function dateOf(unix: number): string {
  return new Date(unix * 1000).toISOString().replace(/:\d\d\.000Z$/, 'Z')
}
