/** A zone as canonical, diffable text: one record a line, `owner TTL class type RDATA` with tabs between, absolute
 *  names, SOA first, then names in canonical order (RFC 4034 §6.1), the types of a name ascending, records in canonical
 *  order, each RRset's RRSIGs right behind it.
 *  I1  Reading the text again gives the same content; only what a zone file cannot hold (flags, sources) is lost.
 *  I2  NSEC3 records, which have a tree of their own once a version is built, follow behind all names, by hash.
 *  I3  Text comes in chunks of octets, so that a zone of any size needs no memory of its size. */

import { type Name, writeLabelsOfKey } from './name.ts'
import {
  findRRset,
  firstRRsetAt,
  NODE_CASE,
  NODE_HEADER_OCTETS,
  nextRRsetAt,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  u16,
  u32,
} from './node.ts'
import { TextOctets } from './print-octets.ts'
import { encodeBase32Hex } from './rdata-encoding.ts'
import type { RdataTextOptions } from './rdata-write.ts'
import type { TreeCursor } from './store/cursor.ts'
import { TYPE } from './types.ts'

export interface PrintedZone {
  readonly apex: Name
  readonly namesRoot: number
  /** 0 or absent: no NSEC3 tree. */
  readonly nsec3Root?: number
}

/** Chunks are about this long. */
const CHUNK_OCTETS = 1 << 17
/** Most records end before the chunk must grow. */
const CHUNK_ROOM = CHUNK_OCTETS + (1 << 14)
const TAB = 0x09
const NEWLINE = 0x0a

/** The zone's text in chunks of whole lines, all ASCII. The cursor is used until the last chunk. `generic`: types that
 *  are written as TYPEnnn and `\# n hex`, for readers that do not know them. */
export function* printZone(
  cursor: TreeCursor,
  zone: PrintedZone,
  options: RdataTextOptions = {},
): Generator<Uint8Array, void, undefined> {
  const printer = new Printer(zone.apex, options)
  for (const root of [zone.namesRoot, zone.nsec3Root ?? 0]) {
    for (let more = cursor.seekFirst(root); more; more = cursor.next()) {
      if (root === zone.namesRoot) printer.name(cursor)
      else printer.hash(cursor)
      if (printer.text.at >= CHUNK_OCTETS) yield printer.text.take()
    }
  }
  if (printer.text.at > 0) yield printer.text.take()
}

class Printer {
  readonly text: TextOctets
  readonly #apex: Name
  /** The owner of the node being printed. */
  readonly #name = new Uint8Array(1024)
  /** Where, in the text, the last line of this owner starts, and in it owner and class end; −1: there is none yet. */
  #lineStart = -1
  #ownerEnd = 0
  #classEnd = 0
  #ttl = 0

  constructor(apex: Name, options: RdataTextOptions) {
    this.text = new TextOctets(CHUNK_ROOM, options)
    this.#apex = apex
  }

  name(cursor: TreeCursor): void {
    const { bytes, valueStart } = cursor
    if (bytes[valueStart + 2] === 0) return
    this.#loadOwner(cursor)
    // At the apex SOA comes before A and NS, whose types are lower.
    const soa = findRRset(bytes, valueStart, TYPE.SOA)
    if (soa >= 0) this.#rrset(bytes, soa)
    this.#rrsets(bytes, valueStart, soa)
  }

  hash(cursor: TreeCursor): void {
    const octets = encodeBase32Hex(cursor.key, 0, cursor.loadKey(), this.#name, 1)
    this.#name[0] = octets - 1
    this.#name.set(this.#apex, octets)
    this.#lineStart = -1
    this.#rrsets(cursor.bytes, cursor.valueStart, -1)
  }

  /** The owner as it was spelled in the zone's source. */
  #loadOwner(cursor: TreeCursor): void {
    const { bytes, valueStart } = cursor
    const name = this.#name
    let length: number
    if ((bytes[valueStart]! & NODE_CASE) === 0) {
      length = writeLabelsOfKey(cursor.key, 0, cursor.loadKey(), name, 0)
    } else {
      const start = valueStart + NODE_HEADER_OCTETS + 1
      length = bytes[start - 1]!
      name.set(bytes.subarray(start, start + length))
    }
    name.set(this.#apex, length)
    this.#lineStart = -1
  }

  /** What a line begins with: owner, TTL and class with the tabs between; as much as is the same from the line before. */
  #head(ttl: number): void {
    const { text } = this
    const start = text.at
    if (this.#lineStart < 0 || ttl !== this.#ttl) {
      if (this.#lineStart >= 0) text.again(this.#lineStart, this.#ownerEnd)
      else {
        text.name(this.#name, 0)
        text.ascii('\t')
      }
      this.#ownerEnd = text.at
      text.decimal(ttl)
      text.ascii('\tIN\t')
      this.#ttl = ttl
    } else {
      text.again(this.#lineStart, this.#classEnd)
      this.#ownerEnd += start - this.#lineStart
    }
    this.#classEnd = text.at
    this.#lineStart = start
  }

  #rrsets(octets: Uint8Array, start: number, without: number): void {
    let at = firstRRsetAt(octets, start)
    for (let left = octets[start + 2]!; left > 0; left--) {
      if (at !== without) this.#rrset(octets, at)
      at = nextRRsetAt(octets, at)
    }
  }

  /** Records and the RRSIGs behind them, a line each. */
  #rrset(octets: Uint8Array, rrsetAt: number): void {
    const end = nextRRsetAt(octets, rrsetAt)
    const { text } = this
    for (let at = rrsetAt + RRSET_HEADER_OCTETS; at < end; ) {
      const rdata = at + RECORD_HEADER_OCTETS
      const type = u16(octets, at + 2)
      this.#head(u32(octets, at + 6))
      text.type(type)
      text.room(1)
      text.octets[text.at++] = TAB
      at = rdata + u16(octets, at + 10)
      text.rdata(type, octets, rdata, at)
      text.room(1)
      text.octets[text.at++] = NEWLINE
    }
  }
}
