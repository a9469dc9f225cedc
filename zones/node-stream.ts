/** A node (zones/node.ts) that is written in place, record by record, as long as records come in the order that it has
 *  them in: those of most owners do. Then their RDATA is read to where it stays, and nothing is copied or sorted.
 *  I1  A record that would have to be reported, or does not come next, is not taken; the node is whole without it. */

import { RECORDS_PER_RRSET_USUAL, RRSETS_PER_NAME_MAX, rrsetOctetsMax } from './limits.ts'
import { NODE_CASE, NODE_HEADER_OCTETS, RECORD_HEADER_OCTETS, RRSET_HEADER_OCTETS, u16 } from './node.ts'
import { compareRdata } from './owner-records.ts'
import { CLASS, TYPE } from './types.ts'

export class NodeStream {
  octets: Uint8Array = new Uint8Array(0)
  /** The node is octets[start..end). */
  start = 0
  end = 0
  /** Records, RRSIGs included. */
  count = 0
  /** A number of the caller's for each record. */
  readonly places: Float64Array = new Float64Array(RECORDS_PER_RRSET_USUAL)
  #source = 0
  #rrsetOctetsMax = 0
  /** The last RRset: its header, and what is in it. */
  #rrset = 0
  #type = -1
  #ttl = 0
  #records = 0
  #signatures = 0
  /** The last record's RDATA. */
  #rdata = 0

  /** A node without records at `start`, whose owner's first `spellingEnd` octets are kept as they are spelled. */
  begin(octets: Uint8Array, start: number, source: number, owner: Uint8Array, spellingEnd: number): void {
    if (octets !== this.octets) this.octets = octets
    this.#source = source
    this.#rrsetOctetsMax = rrsetOctetsMax(owner.length)
    this.start = start
    this.count = 0
    this.#type = -1
    octets[start] = spellingEnd === 0 ? 0 : NODE_CASE
    octets[start + 1] = 0
    octets[start + 2] = 0
    let at = start + NODE_HEADER_OCTETS
    if (spellingEnd > 0) {
      octets[at++] = spellingEnd
      for (let from = 0; from < spellingEnd; from++) octets[at++] = owner[from]!
    }
    this.end = at
  }

  /** Where the RDATA of the next record goes if it is of that type. */
  rdataAt(type: number): number {
    const header = type === this.#type || type === TYPE.RRSIG ? 0 : RRSET_HEADER_OCTETS
    return this.end + header + RECORD_HEADER_OCTETS
  }

  /** Takes a record whose RDATA ends at `end` and begins where `rdataAt` said. False: it is not taken (I1). */
  add(type: number, ttl: number, end: number, place: number): boolean {
    const rdata = this.rdataAt(type)
    const last = this.#rdata
    const record = this.end
    let order = 1
    if (type === TYPE.RRSIG) {
      if (!this.#goesOn(ttl, end) || u16(this.octets, rdata) !== this.#type) return false
      if (this.#signatures > 0) order = compareRdata(type, this.octets, rdata, end, last, record)
      if (order <= 0) return false
      this.#signatures++
    } else if (type === this.#type) {
      if (this.#signatures > 0 || type === TYPE.SOA || !this.#goesOn(ttl, end)) return false
      order = compareRdata(type, this.octets, rdata, end, last, record)
      // Of two the second may be the first.
      if (order === 0 || (order < 0 && this.#records > 1)) return false
      this.#records++
    } else if (!this.#open(type, ttl, end)) return false
    this.#writeHeader(type, ttl, rdata, end)
    this.places[this.count++] = place
    if (order < 0) this.#swap(last - RECORD_HEADER_OCTETS, record)
    return true
  }

  /** Whether the last RRset can have one more record with that TTL. */
  #goesOn(ttl: number, end: number): boolean {
    if (ttl !== this.#ttl || this.#type < 0 || this.count === this.places.length) return false
    return end - this.#rrset - RRSET_HEADER_OCTETS <= this.#rrsetOctetsMax
  }

  /** Puts the record at `second`, the last one, before the one at `first`. */
  #swap(first: number, second: number): void {
    const { octets, places, count, end } = this
    const moved = octets.slice(second, end)
    octets.copyWithin(first + moved.length, first, second)
    octets.set(moved, first)
    this.#rdata = first + moved.length + RECORD_HEADER_OCTETS
    const place = places[count - 1]!
    places[count - 1] = places[count - 2]!
    places[count - 2] = place
  }

  /** A new RRset of that type; false when it would not be the next. */
  #open(type: number, ttl: number, end: number): boolean {
    const { octets } = this
    const rrsets = octets[this.start + 2]!
    if (type < this.#type || rrsets === RRSETS_PER_NAME_MAX || this.count === this.places.length) return false
    if (end - this.end - RRSET_HEADER_OCTETS > this.#rrsetOctetsMax) return false
    octets[this.start + 2] = rrsets + 1
    this.#rrset = this.end
    this.#type = type
    this.#ttl = ttl
    this.#records = 1
    this.#signatures = 0
    octets[this.#rrset] = type >>> 8
    octets[this.#rrset + 1] = type
    octets[this.#rrset + 2] = this.#source
    octets[this.#rrset + 8] = 0
    octets[this.#rrset + 9] = 0
    return true
  }

  /** The record's header, and what changes in its RRset's. */
  #writeHeader(type: number, ttl: number, rdata: number, end: number): void {
    const { octets } = this
    const rrset = this.#rrset
    const at = rdata - RECORD_HEADER_OCTETS
    octets[at] = 0xc0
    octets[at + 1] = 0x0c
    octets[at + 2] = type >>> 8
    octets[at + 3] = type
    octets[at + 4] = 0
    octets[at + 5] = CLASS.IN
    octets[at + 6] = ttl >>> 24
    octets[at + 7] = ttl >>> 16
    octets[at + 8] = ttl >>> 8
    octets[at + 9] = ttl
    octets[at + 10] = (end - rdata) >>> 8
    octets[at + 11] = end - rdata
    octets[rrset + 3] = this.#signatures
    octets[rrset + 4] = this.#records >>> 8
    octets[rrset + 5] = this.#records
    const signed = this.#signatures > 0
    const before = signed ? u16(octets, rrset + 6) : 0
    const added = end - rrset - RRSET_HEADER_OCTETS - before
    octets[rrset + (signed ? 8 : 6)] = added >>> 8
    octets[rrset + (signed ? 9 : 7)] = added
    this.#rdata = rdata
    this.end = end
  }
}
