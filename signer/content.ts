/** What a node of a names tree holds of the zone's own content, apart from what signing added to it. The same functions
 *  read an unsigned content tree, a published tree and a draft between the two.
 *  I1  Content of a zone that we sign: every RRset but the signer's and foreign keys', without signatures; of DNSSEC's own
 *      types none (RRSIG, NSEC, NSEC3 anywhere; DNSKEY, CDS, CDNSKEY, NSEC3PARAM, ZONEMD at the apex).
 *  I2  Content of a zone that is served as it is: everything, signatures too, but NSEC3 RRsets at hashed owner names of
 *      the zone's chain, which move to the NSEC3 tree.
 *  I3  A name without content does not exist, or is an empty non-terminal. */

import {
  compareOctets,
  decodeRRset,
  findRRset,
  firstRRsetAt,
  NODE_DELEGATION,
  NODE_DNAME,
  type NodeRRset,
  nextRRsetAt,
  SOURCE_FOREIGN,
  SOURCE_SIGNER,
  TYPE,
  u16,
} from '../zones/index.ts'
import { readBase32Hex } from './nsec3.ts'

/** How content is read: as the input of signing (I1), or as it is (I2). */
export interface ContentRules {
  readonly signs: boolean
  /** TTLs above it are read as that; only of input of signing. */
  readonly ttlMax?: number | undefined
  /** The chain's parameters when NSEC3 RRsets are to be moved; RDATA of the apex's NSEC3PARAM. */
  readonly nsec3param?: Uint8Array | undefined
}

/** Octets of the tree key of a name whose one label is a hash: 32 of base32hex and the end of the label. */
export const HASHED_KEY_OCTETS = 33

export function keepsRRset(rules: ContentRules, key: Uint8Array, octets: Uint8Array, at: number): boolean {
  const type = u16(octets, at)
  if (!rules.signs) {
    return type !== TYPE.NSEC3 || !isHashedOwner(key) || !inChain(rules.nsec3param, octets, at)
  }
  const source = octets[at + 2]!
  if (source === SOURCE_SIGNER || source === SOURCE_FOREIGN || u16(octets, at + 4) === 0) return false
  return !isSignersType(type, key.length === 0)
}

/** Whether every RRset of a node of that key is content, whatever it is, without looking at it. */
export function keepsAll(rules: ContentRules, key: Uint8Array): boolean {
  return !rules.signs && (rules.nsec3param === undefined || key.length !== HASHED_KEY_OCTETS)
}

/** Types that only the signer makes in a zone that we sign. RFC 9615 has CDS and CDNSKEY below the apex too. */
export function isSignersType(type: number, apex: boolean): boolean {
  switch (type) {
    case TYPE.RRSIG:
    case TYPE.NSEC:
    case TYPE.NSEC3:
      return true
    case TYPE.DNSKEY:
    case TYPE.CDS:
    case TYPE.CDNSKEY:
    case TYPE.NSEC3PARAM:
    case TYPE.ZONEMD:
      return apex
    default:
      return false
  }
}

/** RFC 5155 §3: the owner of an NSEC3 is the base32hex of the hash as one label below the apex. */
function isHashedOwner(key: Uint8Array): boolean {
  if (key.length !== HASHED_KEY_OCTETS || key.indexOf(0) !== HASHED_KEY_OCTETS - 1) return false
  return readBase32Hex(key, 0) !== undefined
}

/** Whether the NSEC3 RRset's first record has the parameters of that NSEC3PARAM. */
function inChain(nsec3param: Uint8Array | undefined, octets: Uint8Array, at: number): boolean {
  if (nsec3param === undefined || u16(octets, at + 4) === 0) return false
  const rdata = decodeRRset(octets, at).rdata[0]!
  return sameChain(rdata, nsec3param)
}

/** RFC 5155 §4: algorithm, iterations and salt of an NSEC3 are those of the NSEC3PARAM; the flags may differ. */
export function sameChain(nsec3: Uint8Array, nsec3param: Uint8Array): boolean {
  if (nsec3.length < nsec3param.length || nsec3[0] !== nsec3param[0]) return false
  return compareOctets(nsec3.subarray(2, nsec3param.length), nsec3param.subarray(2)) === 0
}

/** Content RRsets of the node at `start` (views), in ascending order of type. */
export function contentRRsets(
  rules: ContentRules,
  key: Uint8Array,
  octets: Uint8Array,
  start = 0,
): NodeRRset[] {
  const rrsets: NodeRRset[] = []
  let at = firstRRsetAt(octets, start)
  for (let left = octets[start + 2]!; left > 0; left--) {
    if (keepsRRset(rules, key, octets, at)) rrsets.push(contentRRset(rules, octets, at))
    at = nextRRsetAt(octets, at)
  }
  return rrsets
}

const NO_SIGNATURES: readonly Uint8Array[] = []

export function contentRRset(rules: ContentRules, octets: Uint8Array, at: number): NodeRRset {
  const rrset = decodeRRset(octets, at)
  if (!rules.signs) return rrset
  const ttl = Math.min(rrset.ttl, rules.ttlMax ?? rrset.ttl)
  return rrset.signatures.length > 0 || ttl !== rrset.ttl
    ? { ...rrset, ttl, signatures: NO_SIGNATURES }
    : rrset
}

/** How many of the node's content RRsets have a TTL that is lowered. */
export function countLowered(rules: ContentRules, key: Uint8Array, octets: Uint8Array): number {
  const { ttlMax } = rules
  if (ttlMax === undefined) return 0
  let lowered = 0
  let at = firstRRsetAt(octets, 0)
  for (let left = octets[2]!; left > 0; left--) {
    if (keepsRRset(rules, key, octets, at) && decodeRRset(octets, at).ttl > ttlMax) lowered++
    at = nextRRsetAt(octets, at)
  }
  return lowered
}

export function hasContent(rules: ContentRules, key: Uint8Array, octets: Uint8Array, start = 0): boolean {
  let at = firstRRsetAt(octets, start)
  for (let left = octets[start + 2]!; left > 0; left--) {
    if (keepsRRset(rules, key, octets, at)) return true
    at = nextRRsetAt(octets, at)
  }
  return false
}

/** NODE_DELEGATION or NODE_DNAME when names below that node are not authoritative; 0 otherwise. RFC 6672 §2.3: a DNAME
 *  beside the NS of a cut belongs to the child. */
export function occludes(octets: Uint8Array, start: number, apex: boolean): number {
  if (!apex && findRRset(octets, start, TYPE.NS) >= 0) return NODE_DELEGATION
  return findRRset(octets, start, TYPE.DNAME) >= 0 ? NODE_DNAME : 0
}
