/** What a node is asked to sign, read strictly (RFC 4034 §3.1.8.1):
 *
 *    RRSIG RDATA without signature | RR | RR | …        RR = owner | type | class IN | original TTL | RDLENGTH | RDATA
 *
 *  I1  What was read is written anew in canonical form and must come out octet for octet the same: there is one way to
 *      say a thing, so that what a policy judged is what is signed.
 *  I2  All records have one owner, type and TTL, those of the RRSIG; they ascend, each once (RFC 4034 §6.3).
 *  I3  The owner is at or below the signer's name; Labels counts the owner's own (RFC 4034 §3.1.3): nothing is signed for a
 *      name that a wildcard was expanded to. */

import {
  asName,
  canonicalRdata,
  compareCanonicalRdata,
  isAtOrBelow,
  lowerCase,
  type Name,
  nameLengthAt,
  rdataFault,
  u16,
  u32,
} from '../zones/index.ts'

export interface ToSign {
  readonly type: number
  readonly algorithm: number
  readonly ttl: number
  /** As on the wire, modulo 2^32. */
  readonly expirationUnix: number
  readonly inceptionUnix: number
  readonly keyTag: number
  /** The zone's apex; lower case. */
  readonly signer: Name
  readonly owner: Name
  readonly rdata: readonly Uint8Array[]
}

export type ToSignOutcome =
  | { readonly kind: 'read'; readonly toSign: ToSign }
  | { readonly kind: 'malformed'; readonly what: string }

/** RFC 4034 §3.1: octets of RRSIG RDATA before the signer's name. */
const RRSIG_FIXED_OCTETS = 18
const RR_FIXED_OCTETS = 10
const CLASS_IN = 1

/** Reads one message; octets of any kind. */
export function readToSign(octets: Uint8Array): ToSignOutcome {
  const signerOctets = octets.length <= RRSIG_FIXED_OCTETS ? -1 : nameLengthAt(octets, RRSIG_FIXED_OCTETS)
  if (signerOctets < 0) return malformed('the RRSIG RDATA is not whole')
  const first = RRSIG_FIXED_OCTETS + signerOctets
  const ownerOctets = nameLengthAt(octets, first)
  if (ownerOctets < 0) return malformed('there is no record')
  const rdata = readRecords(octets, first, ownerOctets)
  if (typeof rdata === 'string') return malformed(rdata)
  const toSign: ToSign = {
    type: u16(octets, 0),
    algorithm: octets[2]!,
    ttl: u32(octets, 4),
    expirationUnix: u32(octets, 8),
    inceptionUnix: u32(octets, 12),
    keyTag: u16(octets, 16),
    signer: asName(octets.slice(RRSIG_FIXED_OCTETS, first)),
    owner: asName(octets.slice(first, first + ownerOctets)),
    rdata,
  }
  const fault = faultOf(toSign)
  if (fault !== undefined) return malformed(fault)
  // I1.
  if (Buffer.compare(writeToSign(toSign), octets) !== 0) return malformed('it is not in canonical form')
  return { kind: 'read', toSign }
}

function malformed(what: string): ToSignOutcome {
  return { kind: 'malformed', what }
}

/** RDATA of the records from `first` to the end, or what is wrong; owner, type, class and TTL are compared by I1. */
function readRecords(octets: Uint8Array, first: number, ownerOctets: number): Uint8Array[] | string {
  const rdata: Uint8Array[] = []
  for (let at = first; at < octets.length; ) {
    const data = at + ownerOctets + RR_FIXED_OCTETS
    if (data > octets.length) return 'a record is not whole'
    at = data + u16(octets, data - 2)
    if (at > octets.length) return 'a record is not whole'
    rdata.push(octets.slice(data, at))
  }
  return rdata
}

function faultOf({ type, signer, owner, rdata }: ToSign): string | undefined {
  if (!isAtOrBelow(owner, signer)) return "the owner is not in the signer's zone"
  for (const [at, one] of rdata.entries()) {
    const fault = rdataFault(type, one, 0, one.length)
    if (fault !== undefined) return `the RDATA is wrong: ${fault}`
    const before = rdata[at - 1]
    if (before !== undefined && compareCanonicalRdata(type, before, one) >= 0)
      return 'the records do not ascend'
  }
  return undefined
}

/** The message of an RRset, in canonical form. */
export function writeToSign(toSign: ToSign): Uint8Array {
  const { type, algorithm, ttl, expirationUnix, inceptionUnix, keyTag, signer, owner, rdata } = toSign
  const head = Buffer.alloc(RRSIG_FIXED_OCTETS)
  head.writeUInt16BE(type, 0)
  head[2] = algorithm
  head[3] = labelsOf(owner)
  head.writeUInt32BE(ttl, 4)
  head.writeUInt32BE(expirationUnix, 8)
  head.writeUInt32BE(inceptionUnix, 12)
  head.writeUInt16BE(keyTag, 16)
  const parts: Uint8Array[] = [head, lowered(signer)]
  for (const one of rdata) {
    const canonical = canonicalRdata(type, one)
    const fixed = Buffer.alloc(RR_FIXED_OCTETS)
    fixed.writeUInt16BE(type, 0)
    fixed.writeUInt16BE(CLASS_IN, 2)
    fixed.writeUInt32BE(ttl, 4)
    fixed.writeUInt16BE(canonical.length, 8)
    parts.push(lowered(owner), fixed, canonical)
  }
  return new Uint8Array(Buffer.concat(parts))
}

/** I3. */
function labelsOf(owner: Uint8Array): number {
  let count = owner[0] === 1 && owner[1] === 0x2a ? -1 : 0
  for (let at = 0; owner[at] !== 0; at += 1 + owner[at]!) count++
  return count
}

/** Length octets are below 64 and no letters, so that all octets may go through the table. */
function lowered(name: Uint8Array): Uint8Array {
  return name.map(octet => lowerCase[octet]!)
}
