/** A node: all that a version of a zone holds at one owner name, as octets in the zone tree.
 *
 *    node   = flags:u8  cutLabels:u8  rrsets:u8  [caseLength:u8 labels]  rrset*
 *    rrset  = type:u16  source:u8  signatures:u8  records:u16  dataOctets:u16  signatureOctets:u16  record*  record*
 *    record = C0 0C  type:u16  class:u16  ttl:u32  rdlength:u16  rdata         as in a message whose question is the owner
 *
 *  An RRset's RRSIG records stand right behind it, so an answer is one copy, with or without its signatures.
 *  I1  RRsets are in ascending order of type; the records of one in canonical order of RDATA (RFC 4034 §6.3), each once.
 *  I2  All records of an RRset have the same TTL (RFC 2181 §5.2); its RRSIGs carry that TTL too (RFC 4034 §3).
 *  I3  RDATA is uncompressed and keeps its case; owner names are lower case in keys, and the optional labels after the
 *      counts (flag CASE) keep the spelling of the zone file.
 *  I4  cutLabels is 0 unless OCCLUDED is set: then the labels, below the apex, of the topmost zone cut or DNAME above,
 *      0 for a DNAME at the apex.
 *  I5  In an NSEC3 tree the key is the raw hash and the node holds one NSEC3 RRset. */

import { RRSETS_PER_NAME_MAX } from './limits.ts'

/** A zone cut: NS below the apex, and not itself below a cut (RFC 9499 §7). */
export const NODE_DELEGATION = 1
/** Below a zone cut (glue, or occluded by it) or below a DNAME: never authoritative data. */
export const NODE_OCCLUDED = 2
/** Owns a DNAME. */
export const NODE_DNAME = 4
/** Has a child whose first label is `*`. */
export const NODE_WILDCARD_CHILD = 8
/** Empty non-terminal (RFC 4592 §2.2.2): owns nothing, but a descendant does. */
export const NODE_EMPTY_NON_TERMINAL = 16
export const NODE_APEX = 32
/** The spelling of the owner in the zone file follows the counts. */
export const NODE_CASE = 64

export const NODE_HEADER_OCTETS = 3
export const RRSET_HEADER_OCTETS = 10
/** Pointer, type, class, TTL and RDLENGTH of a stored record. */
export const RECORD_HEADER_OCTETS = 12

/** Where an RRset comes from: decides what a new version of the source replaces, and what the signer owns. */
export const SOURCE_FILE = 0
export const SOURCE_SIGNER = 1
export const SOURCE_PROGRAM = 2
export const SOURCE_FOREIGN = 3

/** An RRset out of a node; views, not copies. Signing and lint use it; the answer path reads the octets itself. */
export interface NodeRRset {
  readonly type: number
  readonly source: number
  readonly ttl: number
  /** RDATA of each record, canonical order. */
  readonly rdata: readonly Uint8Array[]
  /** RDATA of each RRSIG that covers it. */
  readonly signatures: readonly Uint8Array[]
}

export interface NodeContent {
  readonly flags: number
  readonly cutLabels: number
  /** Labels of the owner as spelled, relative to the apex, wire form without the final zero octet. */
  readonly spelling?: Uint8Array | undefined
  readonly rrsets: readonly NodeRRset[]
}

const TYPE_RRSIG = 46
const CLASS_IN = 1

/** Offset of the first RRset of the node at `start`. */
export function firstRRsetAt(octets: Uint8Array, start: number): number {
  const at = start + NODE_HEADER_OCTETS
  return (octets[start]! & NODE_CASE) === 0 ? at : at + 1 + octets[at]!
}

/** Offset of the RRset after the one at `at`. */
export function nextRRsetAt(octets: Uint8Array, at: number): number {
  return at + RRSET_HEADER_OCTETS + u16(octets, at + 6) + u16(octets, at + 8)
}

/** Writes the node of an owner that has the RRsets of two nodes, and returns its end; −1 where more is to be done than to put
 *  those of one behind those of the other, or an owner's spelling is to be chosen. Allocates nothing. */
export function joinNodes(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
  out: Uint8Array,
): number {
  const rrsets = a[aStart + 2]! + b[bStart + 2]!
  if ((a[aStart]! | b[bStart]!) !== 0 || rrsets > RRSETS_PER_NAME_MAX) return -1
  const aFirst = lastTypeOf(a, aStart) < u16(b, bStart + NODE_HEADER_OCTETS)
  if (!aFirst && lastTypeOf(b, bStart) >= u16(a, aStart + NODE_HEADER_OCTETS)) return -1
  out[0] = out[1] = 0
  out[2] = rrsets
  const middle = aFirst ? aEnd - aStart : bEnd - bStart
  out.set(a.subarray(aStart + NODE_HEADER_OCTETS, aEnd), aFirst ? NODE_HEADER_OCTETS : middle)
  out.set(b.subarray(bStart + NODE_HEADER_OCTETS, bEnd), aFirst ? middle : NODE_HEADER_OCTETS)
  return aEnd - aStart + bEnd - bStart - NODE_HEADER_OCTETS
}

/** Type of the last RRset of a node, which has one. */
function lastTypeOf(octets: Uint8Array, start: number): number {
  let at = firstRRsetAt(octets, start)
  for (let left = octets[start + 2]!; left > 1; left--) at = nextRRsetAt(octets, at)
  return u16(octets, at)
}

/** Offset of the RRset of that type, or −1. Allocates nothing. */
export function findRRset(octets: Uint8Array, start: number, type: number): number {
  let at = firstRRsetAt(octets, start)
  for (let left = octets[start + 2]!; left > 0; left--) {
    const here = u16(octets, at)
    if (here === type) return at
    if (here > type) return -1
    at = nextRRsetAt(octets, at)
  }
  return -1
}

export function u16(octets: Uint8Array, at: number): number {
  return (octets[at]! << 8) | octets[at + 1]!
}

export function u32(octets: Uint8Array, at: number): number {
  return ((octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8) | octets[at + 3]!) >>> 0
}

function putU16(octets: Uint8Array, at: number, value: number): void {
  octets[at] = value >>> 8
  octets[at + 1] = value
}

function putU32(octets: Uint8Array, at: number, value: number): void {
  putU16(octets, at, value >>> 16)
  putU16(octets, at + 2, value)
}

/** Octets of a node as values; the RDATA are views into `octets`. */
export function decodeNode(octets: Uint8Array, start = 0): NodeContent {
  const flags = octets[start]!
  const rrsets: NodeRRset[] = []
  let at = firstRRsetAt(octets, start)
  for (let left = octets[start + 2]!; left > 0; left--) {
    rrsets.push(decodeRRset(octets, at))
    at = nextRRsetAt(octets, at)
  }
  const base = { flags, cutLabels: octets[start + 1]!, rrsets }
  if ((flags & NODE_CASE) === 0) return base
  const spellingAt = start + NODE_HEADER_OCTETS + 1
  return { ...base, spelling: octets.subarray(spellingAt, spellingAt + octets[spellingAt - 1]!) }
}

/** The RRset whose header is at `at`. */
export function decodeRRset(octets: Uint8Array, at: number): NodeRRset {
  const data = at + RRSET_HEADER_OCTETS
  const signatures = data + u16(octets, at + 6)
  return {
    type: u16(octets, at),
    source: octets[at + 2]!,
    ttl: u32(octets, data + 6),
    rdata: rdataViews(octets, data, u16(octets, at + 4)),
    signatures: rdataViews(octets, signatures, octets[at + 3]!),
  }
}

function rdataViews(octets: Uint8Array, start: number, count: number): Uint8Array[] {
  const views: Uint8Array[] = []
  for (let at = start; views.length < count; ) {
    const end = at + RECORD_HEADER_OCTETS + u16(octets, at + 10)
    views.push(octets.subarray(at + RECORD_HEADER_OCTETS, end))
    at = end
  }
  return views
}

/** Octets that `encodeNode` will write. */
export function nodeOctets(node: NodeContent): number {
  let octets = NODE_HEADER_OCTETS + (node.spelling === undefined ? 0 : 1 + node.spelling.length)
  for (const rrset of node.rrsets) octets += rrsetOctets(rrset)
  return octets
}

export function rrsetOctets({ rdata, signatures }: NodeRRset): number {
  return RRSET_HEADER_OCTETS + recordOctets(rdata) + recordOctets(signatures)
}

function recordOctets(rdata: readonly Uint8Array[]): number {
  let octets = 0
  for (let index = 0; index < rdata.length; index++) octets += RECORD_HEADER_OCTETS + rdata[index]!.length
  return octets
}

/** Writes the node into `out` (default: octets of its own size) and returns the part written.
 *  The caller keeps I1 and I2; the flag CASE is set from `spelling`. */
export function encodeNode(
  node: NodeContent,
  out: Uint8Array = new Uint8Array(nodeOctets(node)),
): Uint8Array {
  let at = encodeNodeHead(node, out)
  for (const rrset of node.rrsets) at = encodeRRset(rrset, out, at)
  return out.subarray(0, at)
}

/** Header and spelling (I3: at most 255 octets with its length). */
export const NODE_HEAD_OCTETS_MAX: number = NODE_HEADER_OCTETS + 256

/** Writes what stands before the RRsets, and returns its length. */
export function encodeNodeHead({ flags, cutLabels, spelling, rrsets }: NodeContent, out: Uint8Array): number {
  out[0] = spelling === undefined ? flags & ~NODE_CASE : flags | NODE_CASE
  out[1] = cutLabels
  out[2] = rrsets.length
  if (spelling === undefined) return NODE_HEADER_OCTETS
  out[NODE_HEADER_OCTETS] = spelling.length
  out.set(spelling, NODE_HEADER_OCTETS + 1)
  return NODE_HEADER_OCTETS + 1 + spelling.length
}

/** Writes an RRset with its signatures and returns its end. */
export function encodeRRset(rrset: NodeRRset, out: Uint8Array, start: number): number {
  const { type, source, ttl, rdata, signatures } = rrset
  putU16(out, start, type)
  out[start + 2] = source
  putU16(out, start + 4, rdata.length)
  const data = start + RRSET_HEADER_OCTETS
  const dataEnd = encodeRecords(type, ttl, rdata, out, data)
  putU16(out, start + 6, dataEnd - data)
  const end = encodeRecords(TYPE_RRSIG, ttl, signatures, out, dataEnd)
  writeSignatureCounts(out, start, signatures.length, end - dataEnd)
  return end
}

/** Notes in the RRset at `start` how many signatures were written behind it. */
export function writeSignatureCounts(
  out: Uint8Array,
  start: number,
  signatures: number,
  octets: number,
): void {
  out[start + 3] = signatures
  putU16(out, start + 8, octets)
}

function encodeRecords(
  type: number,
  ttl: number,
  rdata: readonly Uint8Array[],
  out: Uint8Array,
  start: number,
): number {
  let at = start
  for (let index = 0; index < rdata.length; index++) {
    const one = rdata[index]!
    at = writeRecordHeader(type, ttl, one.length, out, at)
    out.set(one, at)
    at += one.length
  }
  return at
}

/** Writes all of a record but its RDATA, and returns where that begins. */
export function writeRecordHeader(
  type: number,
  ttl: number,
  rdataOctets: number,
  out: Uint8Array,
  at: number,
): number {
  putU16(out, at, 0xc00c)
  putU16(out, at + 2, type)
  putU16(out, at + 4, CLASS_IN)
  putU32(out, at + 6, ttl)
  putU16(out, at + 10, rdataOctets)
  return at + RECORD_HEADER_OCTETS
}
