/** A zone as canonical, diffable text: one record a line, `owner TTL class type RDATA` with tabs between, absolute
 *  names, SOA first, then names in canonical order (RFC 4034 §6.1), the types of a name ascending, records in canonical
 *  order, each RRset's RRSIGs right behind it.
 *  I1  Reading the text again gives the same content; only what a zone file cannot hold (flags, sources) is lost.
 *  I2  NSEC3 records, which have a tree of their own once a version is built, follow behind all names, by hash.
 *  I3  Text comes in chunks, so that a zone of any size needs no string of its size. */

import { type Name, nameToText, writeLabelsOfKey } from './name.ts'
import { decodeNode, NODE_CASE, NODE_HEADER_OCTETS, type NodeRRset } from './node.ts'
import { base32HexToText } from './rdata-encoding.ts'
import { type RdataTextOptions, rdataToText } from './rdata-write.ts'
import type { TreeCursor } from './store/cursor.ts'
import { TYPE, typeToText } from './types.ts'

export interface PrintedZone {
  readonly apex: Name
  readonly namesRoot: number
  /** 0 or absent: no NSEC3 tree. */
  readonly nsec3Root?: number
}

/** Chunks are about this long. */
const CHUNK_CHARACTERS = 65_536

/** The zone's text in chunks of whole lines. The cursor is used until the last chunk. `generic`: types that are
 *  written as TYPEnnn and `\# n hex`, for readers that do not know them. */
export function* printZone(
  cursor: TreeCursor,
  zone: PrintedZone,
  options: RdataTextOptions = {},
): Generator<string, void, undefined> {
  const apexText = nameToText(zone.apex)
  let chunk = ''
  for (let more = cursor.seekFirst(zone.namesRoot); more; more = cursor.next()) {
    if (cursor.bytes[cursor.valueStart + 2] !== 0) chunk += nodeText(cursor, zone.apex, options)
    if (chunk.length >= CHUNK_CHARACTERS) {
      yield chunk
      chunk = ''
    }
  }
  for (let more = cursor.seekFirst(zone.nsec3Root ?? 0); more; more = cursor.next()) {
    chunk += hashText(cursor, apexText, options)
    if (chunk.length >= CHUNK_CHARACTERS) {
      yield chunk
      chunk = ''
    }
  }
  if (chunk !== '') yield chunk
}

/** Lines of the node that the cursor is on. */
function nodeText(cursor: TreeCursor, apex: Name, options: RdataTextOptions): string {
  const { rrsets } = decodeNode(cursor.bytes, cursor.valueStart)
  const owner = nameToText(ownerOf(cursor, apex))
  // At the apex SOA comes before A and NS, whose types are lower.
  const soa = rrsets.find(rrset => rrset.type === TYPE.SOA)
  let text = soa === undefined ? '' : rrsetText(owner, soa, options)
  for (const rrset of rrsets) if (rrset !== soa) text += rrsetText(owner, rrset, options)
  return text
}

const ownerScratch = new Uint8Array(1024)

/** The owner as it was spelled in the zone's source. */
function ownerOf(cursor: TreeCursor, apex: Name): Uint8Array {
  const { bytes, valueStart } = cursor
  if ((bytes[valueStart]! & NODE_CASE) !== 0) {
    const start = valueStart + NODE_HEADER_OCTETS + 1
    const length = bytes[start - 1]!
    ownerScratch.set(bytes.subarray(start, start + length))
    ownerScratch.set(apex, length)
    return ownerScratch
  }
  const length = writeLabelsOfKey(cursor.key, 0, cursor.loadKey(), ownerScratch, 0)
  ownerScratch.set(apex, length)
  return ownerScratch
}

function hashText(cursor: TreeCursor, apexText: string, options: RdataTextOptions): string {
  const owner = `${base32HexToText(cursor.key, 0, cursor.loadKey())}.${apexText === '.' ? '' : apexText}`
  let text = ''
  for (const rrset of decodeNode(cursor.bytes, cursor.valueStart).rrsets)
    text += rrsetText(owner, rrset, options)
  return text
}

function rrsetText(owner: string, rrset: NodeRRset, options: RdataTextOptions): string {
  let text = ''
  for (const rdata of rrset.rdata) text += recordText(owner, rrset.ttl, rrset.type, rdata, options)
  for (const rdata of rrset.signatures) text += recordText(owner, rrset.ttl, TYPE.RRSIG, rdata, options)
  return text
}

/** One record as a line of a zone file. */
export function recordText(
  owner: string,
  ttl: number,
  type: number,
  rdata: Uint8Array,
  options: RdataTextOptions = {},
): string {
  const typeText = options.generic?.has(type) ? `TYPE${type}` : typeToText(type)
  return `${owner}\t${ttl}\tIN\t${typeText}\t${rdataToText(type, rdata, options)}\n`
}
