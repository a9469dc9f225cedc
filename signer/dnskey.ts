/** DNSKEY, DS, CDS and CDNSKEY RDATA (RFC 4034 §2, §5 and appendix B; RFC 4509, 6605 §2, 7344, 8078).
 *  I1  A key tag is a hint (RFC 4034 §5.2): whether a DS belongs to a DNSKEY is decided by its digest, `dsMatches`. */

import { createHash } from 'node:crypto'
import { ConclaveError } from '../base/index.ts'
import { canonicalName, type Name, nameToText, u16 } from '../zones/index.ts'
import { type KeyInfo, type KeyRole, keyId } from './keystore.ts'

export const FLAG_ZONE_KEY = 0x0100
/** RFC 5011 §3. */
export const FLAG_REVOKE = 0x0080
export const FLAG_SEP = 0x0001
/** RFC 4034 §2.1.2: the protocol is always 3. */
const PROTOCOL_DNSSEC = 3
const DNSKEY_FIXED_OCTETS = 4
const DS_FIXED_OCTETS = 4

export const DIGEST_SHA256 = 2
export const DIGEST_SHA384 = 4
/** node:crypto's names. RFC 9905: SHA-1 is recognised, for DS records that exist, and never made. */
const DIGESTS: Readonly<Record<number, string>> = { 1: 'sha1', 2: 'sha256', 4: 'sha384' }

export interface Dnskey {
  readonly flags: number
  readonly protocol: number
  readonly algorithm: number
  readonly publicKey: Uint8Array
}

export interface Ds {
  readonly keyTag: number
  readonly algorithm: number
  readonly digestType: number
  readonly digest: Uint8Array
}

/** RFC 4034 §2.1.1: zone key; with SEP when a DS is to point at it. */
export function flagsOfRole(role: KeyRole): number {
  return role === 'zsk' ? FLAG_ZONE_KEY : FLAG_ZONE_KEY | FLAG_SEP
}

/** DNSKEY RDATA of a key; CDNSKEY RDATA is the same (RFC 7344 §3.2). */
export function dnskeyRdata(key: Pick<KeyInfo, 'flags' | 'algorithm' | 'publicKey'>): Uint8Array {
  const rdata = new Uint8Array(DNSKEY_FIXED_OCTETS + key.publicKey.length)
  rdata.set([key.flags >>> 8, key.flags & 255, PROTOCOL_DNSSEC, key.algorithm])
  rdata.set(key.publicKey, DNSKEY_FIXED_OCTETS)
  return rdata
}

/** The fields, with a view of the key; undefined when the RDATA is too short. */
export function decodeDnskey(rdata: Uint8Array): Dnskey | undefined {
  if (rdata.length <= DNSKEY_FIXED_OCTETS) return undefined
  const publicKey = rdata.subarray(DNSKEY_FIXED_OCTETS)
  return { flags: u16(rdata, 0), protocol: rdata[2]!, algorithm: rdata[3]!, publicKey }
}

/** What a DNSKEY says of a key whose private part is not here. RFC 4034 §2.1.1: a key with SEP is taken for a KSK. */
export function keyInfoOf(zone: Name, rdata: Uint8Array, createdUnix: number): KeyInfo {
  const flags = u16(rdata, 0)
  const publicKey = rdata.slice(DNSKEY_FIXED_OCTETS)
  return {
    id: keyId(zone, rdata[3]!, publicKey),
    zone: canonicalName(zone),
    algorithm: rdata[3]!,
    role: (flags & FLAG_SEP) === 0 ? 'zsk' : 'ksk',
    flags,
    publicKey,
    keyTag: keyTagOf(rdata),
    createdUnix: Math.floor(createdUnix),
    where: 'elsewhere',
  }
}

/** RFC 4034 appendix B. */
export function keyTagOf(dnskey: Uint8Array): number {
  // Appendix B.1: for algorithm 1 two octets near the modulus' end, the last but one as the lower.
  if (dnskey[3] === 1) return dnskey.length < 7 ? 0 : u16(dnskey, dnskey.length - 3)
  let sum = 0
  for (let at = 0; at < dnskey.length; at++) sum += at % 2 === 0 ? dnskey[at]! << 8 : dnskey[at]!
  return (sum + ((sum >>> 16) & 0xffff)) & 0xffff
}

/** Key tag of a key, and the one it would have when revoked (RFC 5011 §2.1). */
export function keyTagsOf(
  key: Pick<KeyInfo, 'flags' | 'algorithm' | 'publicKey'>,
): [tag: number, revoked: number] {
  const revoked = { ...key, flags: key.flags | FLAG_REVOKE }
  return [keyTagOf(dnskeyRdata(key)), keyTagOf(dnskeyRdata(revoked))]
}

/** DS RDATA (also CDS, RFC 7344 §3.1) of a DNSKEY at `owner`: the digest is over canonical owner and RDATA
 *  (RFC 4034 §5.1.4).
 *  @throws ConclaveError DIGEST_UNSUPPORTED */
export function dsRdata(owner: Name, dnskey: Uint8Array, digestType: number = DIGEST_SHA256): Uint8Array {
  const name = DIGESTS[digestType]
  if (name === undefined) {
    throw new ConclaveError('DIGEST_UNSUPPORTED', `DS digest type ${digestType} is not supported`, {
      remedy: 'Use 2 (SHA-256) or 4 (SHA-384).',
    })
  }
  const digest = createHash(name).update(canonicalName(owner)).update(dnskey).digest()
  const rdata = new Uint8Array(DS_FIXED_OCTETS + digest.length)
  const keyTag = keyTagOf(dnskey)
  rdata.set([keyTag >>> 8, keyTag & 255, dnskey[3]!, digestType])
  rdata.set(digest, DS_FIXED_OCTETS)
  return rdata
}

export function decodeDs(rdata: Uint8Array): Ds | undefined {
  if (rdata.length <= DS_FIXED_OCTETS) return undefined
  const digest = rdata.subarray(DS_FIXED_OCTETS)
  return { keyTag: u16(rdata, 0), algorithm: rdata[2]!, digestType: rdata[3]!, digest }
}

/** Whether the DS or CDS belongs to that DNSKEY. A digest type that we do not know matches nothing. */
export function dsMatches(owner: Name, dnskey: Uint8Array, ds: Uint8Array): boolean {
  const digestType = ds[3]
  if (digestType === undefined || DIGESTS[digestType] === undefined) return false
  return Buffer.from(dsRdata(owner, dnskey, digestType)).equals(ds)
}

/** What a zone publishes for its parent: CDS and CDNSKEY RDATA of the keys that a DS is to point at, the CDS in the order
 *  of keys and digest types. RFC 7344 §4: the same keys in both; RFC 8624 §3.3: SHA-256 unless asked otherwise. */
export function childSignals(
  apex: Name,
  keys: readonly Pick<KeyInfo, 'flags' | 'algorithm' | 'publicKey'>[],
  digestTypes: readonly number[] = [DIGEST_SHA256],
): { cds: Uint8Array[]; cdnskey: Uint8Array[] } {
  const cdnskey = keys.map(dnskeyRdata)
  const cds = cdnskey.flatMap(rdata => digestTypes.map(type => dsRdata(apex, rdata, type)))
  return { cds, cdnskey }
}

/** RFC 8078 §4: the records that ask the parent to remove the DS RRset. */
export const CDS_DELETE: Uint8Array = Uint8Array.of(0, 0, 0, 0, 0)
export const CDNSKEY_DELETE: Uint8Array = Uint8Array.of(0, 0, 3, 0, 0)

/** The DS record to hand to the parent, in presentation form without TTL. */
export function dsText(owner: Name, ds: Uint8Array): string {
  const { keyTag, algorithm, digestType, digest } = decodeDs(ds)!
  const hex = Buffer.from(digest).toString('hex').toUpperCase()
  return `${nameToText(canonicalName(owner))} IN DS ${keyTag} ${algorithm} ${digestType} ${hex}`
}
