/** NSEC3 and NSEC3PARAM (RFC 5155 §3, §4, §5, §7.1; RFC 9276): hashes, RDATA, and which names have one.
 *  I1  Every authoritative name, zone cut and empty non-terminal has one NSEC3; with opt-out, insecure delegations have
 *      none. Empty non-terminals that lead only to such may go without one, but then nothing below them can be denied
 *      where a wildcard stands at the closest encloser that can be proven.
 *  I2  Following `next` from any hash visits each once, in the order of hashes, and returns. */

import { hash } from 'node:crypto'
import {
  encodeNode,
  NODE_DELEGATION,
  NODE_EMPTY_NON_TERMINAL,
  NODE_OCCLUDED,
  SOURCE_SIGNER,
  TYPE,
} from '../zones/index.ts'
import type { DenialMode, Nsec3Parameters } from './build-types.ts'
import { bitmapOf, isSignedRRset } from './nsec.ts'

/** RFC 5155 §11: the one hash algorithm, SHA-1, and its octets. */
export const NSEC3_SHA1 = 1
export const HASH_OCTETS = 20
/** In base32hex. */
export const HASHED_LABEL_OCTETS = 32
/** RFC 5155 §3.1.2.1. */
export const FLAG_OPT_OUT = 1

/** RFC 5155 §5: IH(salt, x, 0) = H(x || salt), IH(salt, x, k) = H(IH(salt, x, k − 1) || salt); of the owner in lower case. */
export function nsec3Hash(canonicalOwner: Uint8Array, { iterations, salt }: Nsec3Parameters): Uint8Array {
  let digest: Uint8Array = sha1(canonicalOwner, salt)
  for (let left = iterations; left > 0; left--) digest = sha1(digest, salt)
  return digest
}

function sha1(octets: Uint8Array, salt: Uint8Array): Uint8Array {
  if (salt.length === 0) return hash('sha1', octets, 'buffer')
  const salted = new Uint8Array(octets.length + salt.length)
  salted.set(octets)
  salted.set(salt, octets.length)
  return hash('sha1', salted, 'buffer')
}

/** RFC 5155 §4.1.2: the flags of an NSEC3PARAM are zero. */
export function nsec3paramRdata({ iterations, salt }: Nsec3Parameters): Uint8Array {
  return Uint8Array.of(NSEC3_SHA1, 0, iterations >>> 8, iterations & 255, salt.length, ...salt)
}

/** RFC 5155 §3.2. */
export function nsec3Rdata(
  parameters: Nsec3Parameters,
  optOut: boolean,
  next: Uint8Array,
  bitmap: Uint8Array,
): Uint8Array {
  const head = nsec3paramRdata(parameters)
  head[1] = optOut ? FLAG_OPT_OUT : 0
  const rdata = new Uint8Array(head.length + 1 + next.length + bitmap.length)
  rdata.set(head)
  rdata[head.length] = next.length
  rdata.set(next, head.length + 1)
  rdata.set(bitmap, head.length + 1 + next.length)
  return rdata
}

export interface Nsec3Fields {
  readonly algorithm: number
  readonly flags: number
  readonly iterations: number
  readonly salt: Uint8Array
  readonly next: Uint8Array
  readonly bitmap: Uint8Array
}

/** Fields as views; undefined when the RDATA is not whole. */
export function decodeNsec3(rdata: Uint8Array): Nsec3Fields | undefined {
  const saltEnd = 5 + (rdata[4] ?? 0)
  const nextEnd = saltEnd + 1 + (rdata[saltEnd] ?? 0)
  if (rdata.length < nextEnd || rdata.length < 7) return undefined
  return {
    algorithm: rdata[0]!,
    flags: rdata[1]!,
    iterations: (rdata[2]! << 8) | rdata[3]!,
    salt: rdata.subarray(5, saltEnd),
    next: rdata.subarray(saltEnd + 1, nextEnd),
    bitmap: rdata.subarray(nextEnd),
  }
}

/** The type bit maps of the name's NSEC3, or undefined when it has none (I1). `types` are the node's. */
export function nsec3Bitmap(
  flags: number,
  types: readonly number[],
  denial: DenialMode,
): Uint8Array | undefined {
  if ((flags & NODE_OCCLUDED) !== 0) return undefined
  if ((flags & NODE_EMPTY_NON_TERMINAL) !== 0) return bitmapOf([])
  if ((flags & NODE_DELEGATION) !== 0) {
    // RFC 5155 §7.1: a delegation without DS has no RRSIG, and with opt-out no NSEC3.
    if (types.includes(TYPE.DS)) return bitmapOf([TYPE.NS, TYPE.DS, TYPE.RRSIG])
    return denial === 'opt-out' ? undefined : bitmapOf([TYPE.NS])
  }
  return bitmapOf(types.some(type => isSignedRRset(flags, type)) ? [...types, TYPE.RRSIG] : types)
}

/** A node of the NSEC3 tree before its next hash is known and it is signed. */
export function unsignedNsec3Node(
  parameters: Nsec3Parameters,
  optOut: boolean,
  ttl: number,
  bitmap: Uint8Array,
): Uint8Array {
  const rdata = nsec3Rdata(parameters, optOut, NO_HASH, bitmap)
  const rrset = { type: TYPE.NSEC3, source: SOURCE_SIGNER, ttl, rdata: [rdata], signatures: [] }
  return encodeNode({ flags: 0, cutLabels: 0, rrsets: [rrset] })
}

const NO_HASH = new Uint8Array(HASH_OCTETS)

const BASE32HEX = new TextEncoder().encode('0123456789abcdefghijklmnopqrstuv')

/** RFC 4648 §7 in lower case, without padding: 32 octets for the 20 of a hash. */
export function writeBase32Hex(octets: Uint8Array, out: Uint8Array, start: number): number {
  let bits = 0
  let value = 0
  let at = start
  for (const octet of octets) {
    value = ((value << 8) | octet) & 0xfff
    for (bits += 8; bits >= 5; bits -= 5) out[at++] = BASE32HEX[(value >>> (bits - 5)) & 31]!
  }
  if (bits > 0) out[at++] = BASE32HEX[(value << (5 - bits)) & 31]!
  return at
}

/** The hash in 32 octets of base32hex, any case; undefined when they are none. */
export function readBase32Hex(octets: Uint8Array, start: number): Uint8Array | undefined {
  const out = new Uint8Array(HASH_OCTETS)
  let bits = 0
  let value = 0
  let to = 0
  for (let at = start; at < start + 32; at++) {
    const digit = BASE32HEX.indexOf(
      octets[at]! >= 0x41 && octets[at]! <= 0x5a ? octets[at]! + 32 : octets[at]!,
    )
    if (digit < 0) return undefined
    value = ((value << 5) | digit) & 0xfff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      out[to++] = value >>> bits
    }
  }
  return out
}

/** Writes the wire owner name of a hash: its base32hex as one label, then the apex. Returns the length. */
export function writeHashedOwner(digest: Uint8Array, canonicalApex: Uint8Array, out: Uint8Array): number {
  const end = writeBase32Hex(digest, out, 1)
  out[0] = end - 1
  out.set(canonicalApex, end)
  return end + canonicalApex.length
}
