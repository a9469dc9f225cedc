/** NSEC (RFC 4034 §4, RFC 4035 §2.3, RFC 9077): which names have one, and what is in it. Not here: the order of names,
 *  which the planner walks.
 *  I1  Every authoritative name that has content and every zone cut has one NSEC; occluded names and empty non-terminals
 *      have none.
 *  I2  Following `next` from the apex visits each once, in canonical order, and returns to the apex. */

import {
  canonicalName,
  encodeTypes,
  firstRRsetAt,
  NAME_OCTETS_MAX,
  type Name,
  NODE_DELEGATION,
  NODE_EMPTY_NON_TERMINAL,
  NODE_OCCLUDED,
  nextRRsetAt,
  TYPE,
  u16,
  u32,
  writeLabelsOfKey,
} from '../zones/index.ts'

/** Octets of SOA RDATA from its end to MINIMUM and to SERIAL (RFC 1035 §3.3.13). */
const SOA_MINIMUM_FROM_END = 4
const SOA_SERIAL_FROM_END = 20

export function soaSerial(soa: Uint8Array): number {
  return u32(soa, soa.length - SOA_SERIAL_FROM_END)
}

export function soaMinimum(soa: Uint8Array): number {
  return u32(soa, soa.length - SOA_MINIMUM_FROM_END)
}

export function soaWithSerial(soa: Uint8Array, serial: number): Uint8Array {
  const out = soa.slice()
  new DataView(out.buffer).setUint32(out.length - SOA_SERIAL_FROM_END, serial)
  return out
}

// RFC 9077 §3.1 and §3.2: the TTL of NSEC and NSEC3 is the lesser of SOA MINIMUM and the SOA's own TTL.
export function denialTtl(soa: Uint8Array, soaTtl: number): number {
  return Math.min(soaMinimum(soa), soaTtl)
}

/** I1. */
export function hasNsec(flags: number): boolean {
  return (flags & (NODE_OCCLUDED | NODE_EMPTY_NON_TERMINAL)) === 0
}

/** RFC 4035 §2.2: signed is what is authoritative: nothing below a cut, and at a cut only DS and the denial. */
export function isSignedRRset(flags: number, type: number): boolean {
  if ((flags & NODE_OCCLUDED) !== 0) return false
  return (flags & NODE_DELEGATION) === 0 || type === TYPE.DS || type === TYPE.NSEC
}

/** RFC 4035 §2.3: at a cut the bits of NS and of what the parent is authoritative for, and no others. */
export function isInBitmap(flags: number, type: number): boolean {
  return (flags & NODE_DELEGATION) === 0 || type === TYPE.NS || type === TYPE.DS || type === TYPE.NSEC
}

/** Type bit maps of an NSEC from the node's other types. The NSEC and its RRSIG are always there. */
export function nsecBitmap(flags: number, rrsets: readonly { readonly type: number }[]): Uint8Array {
  const types: number[] = []
  for (let index = 0; index < rrsets.length; index++) {
    const { type } = rrsets[index]!
    if (type !== TYPE.NSEC && isInBitmap(flags, type)) types.push(type)
  }
  types.push(TYPE.RRSIG, TYPE.NSEC)
  return bitmapOf(types)
}

/** Few sets of types make up a zone. */
const BITMAPS_MAX = 1024
const bitmaps = new Map<string, Uint8Array>()
/** Most names have the types of the one before. */
let lastTypes: readonly number[] = []
let lastBitmap: Uint8Array = encodeTypes([])

/** Type bit maps (RFC 4034 §4.1.2); shared, so not to be written to. */
export function bitmapOf(types: readonly number[]): Uint8Array {
  if (!sameTypes(types, lastTypes)) {
    lastTypes = types.slice()
    lastBitmap = knownBitmap(types)
  }
  return lastBitmap
}

function sameTypes(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false
  return true
}

function knownBitmap(types: readonly number[]): Uint8Array {
  const known = String.fromCharCode(...types)
  let bitmap = bitmaps.get(known)
  if (bitmap === undefined) {
    if (bitmaps.size === BITMAPS_MAX) bitmaps.clear()
    bitmap = encodeTypes(types)
    bitmaps.set(known, bitmap)
  }
  return bitmap
}

/** All windows of type bit maps (RFC 4034 §4.1.2), of 32 octets and two more each. */
const BITMAP_OCTETS_MAX = 256 * 34
const nameScratch = new Uint8Array(2 * NAME_OCTETS_MAX + BITMAP_OCTETS_MAX)

/** RFC 4034 §4.1: next domain name, type bit maps. `canonicalApex` is the apex in lower case. */
export function nsecRdata(nextKey: Uint8Array, canonicalApex: Uint8Array, bitmap: Uint8Array): Uint8Array {
  let end = writeOwner(nextKey, canonicalApex, nameScratch)
  for (let at = 0; at < bitmap.length; at++) nameScratch[end++] = bitmap[at]!
  return nameScratch.slice(0, end)
}

/** Writes the wire name of a relative key, in lower case, and returns its length. */
export function writeOwner(key: Uint8Array, canonicalApex: Uint8Array, out: Uint8Array, start = 0): number {
  const labels = writeLabelsOfKey(key, 0, key.length, out, start)
  for (let at = 0; at < canonicalApex.length; at++) out[start + labels + at] = canonicalApex[at]!
  return labels + canonicalApex.length
}

export function ownerOf(key: Uint8Array, apex: Name): Name {
  const length = writeOwner(key, canonicalName(apex), nameScratch)
  return nameScratch.slice(0, length) as Name
}

/** Types of the RRsets with data at a node, ascending. */
export function nodeTypes(node: Uint8Array, start = 0): number[] {
  const types: number[] = []
  let at = firstRRsetAt(node, start)
  for (let left = node[start + 2]!; left > 0; left--) {
    if (u16(node, at + 4) > 0) types.push(u16(node, at))
    at = nextRRsetAt(node, at)
  }
  return types
}
