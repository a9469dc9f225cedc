/** The records of one owner on their way from a zone's source into a node (zones/node.ts): collected in the order they
 *  come, then written as RRsets with their RRSIGs.
 *  I1  The result does not depend on the order in which records came, but for places in warnings.
 *  I2  No object is made per record: all is in arrays that are used again for the next owner. */

import {
  RECORDS_PER_RRSET_USUAL,
  RRSETS_PER_NAME_MAX,
  rrsetOctetsMax,
  SIGNATURES_PER_RRSET_MAX,
} from './limits.ts'
import {
  firstRRsetAt,
  NODE_CASE,
  NODE_HEADER_OCTETS,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  u16,
  u32,
} from './node.ts'
import { compareCanonicalRdata, hasLoweredNames } from './rdata-canonical.ts'
import type { RuleCode } from './rules.ts'
import { CLASS, TYPE, typeToText } from './types.ts'

/** Told of what is wrong with a record: `index` is what `add` returned for it. */
export type ReportRecord = (rule: RuleCode, what: string, type: number, index: number) => void

const FIRST_RECORDS = 64
const FIRST_OCTETS = 8192
/** Below this a loop copies faster than `set` with its view. */
const LOOP_COPY_OCTETS_MAX = 48
const SAVED_COUNT_OCTETS = 4
const SAVED_RECORD_OCTETS = 16

export class OwnerRecords {
  count = 0
  /** A number of the caller's for each record: where it stands. 0 for records out of an earlier node. */
  places: Float64Array = new Float64Array(FIRST_RECORDS)
  #types = new Uint16Array(FIRST_RECORDS)
  #ttls = new Uint32Array(FIRST_RECORDS)
  #starts = new Uint32Array(FIRST_RECORDS)
  #ends = new Uint32Array(FIRST_RECORDS)
  /** Twice the type, or the type covered, and one more for RRSIG: ascending it is the order in the node. */
  #keys = new Uint32Array(FIRST_RECORDS)
  #order = new Uint32Array(FIRST_RECORDS)
  #data = new Uint8Array(FIRST_OCTETS)
  #dataEnd = 0

  /** The node that `write` wrote, from the start of these octets. */
  out: Uint8Array = new Uint8Array(FIRST_OCTETS)
  /** Records in it. */
  written = 0

  clear(): void {
    this.count = 0
    this.#dataEnd = 0
  }

  add(type: number, ttl: number, rdata: Uint8Array, start: number, end: number, place: number): void {
    if (this.count === this.#types.length) this.#growRecords()
    const index = this.count++
    const at = this.#dataEnd
    if (at + end - start > this.#data.length) this.#growData(at + end - start)
    const data = this.#data
    copyOctets(rdata, start, end, data, at)
    this.#types[index] = type
    this.#ttls[index] = ttl
    this.#starts[index] = at
    this.#ends[index] = this.#dataEnd = at + end - start
    this.#keys[index] = type === TYPE.RRSIG && end - start >= 2 ? 2 * u16(data, at) + 1 : 2 * type
    this.places[index] = place
  }

  /** Octets that `save` writes. */
  get savedOctets(): number {
    return SAVED_COUNT_OCTETS + this.count * SAVED_RECORD_OCTETS + this.#dataEnd
  }

  /** Writes the records, in the order they came, for `load` to add them again later; returns the offset behind:
   *  count:u32, then for each type:u16 ttl:u32 place:u32+u32 rdlength:u16 rdata. */
  save(out: Uint8Array, start: number): number {
    putU32(out, start, this.count)
    let at = start + SAVED_COUNT_OCTETS
    for (let index = 0; index < this.count; index++) {
      const place = this.places[index]!
      const end = this.#ends[index]!
      putU16(out, at, this.#types[index]!)
      putU32(out, at + 2, this.#ttls[index]!)
      putU32(out, at + 6, Math.floor(place / 2 ** 32))
      putU32(out, at + 10, place % 2 ** 32)
      putU16(out, at + 14, end - this.#starts[index]!)
      at += SAVED_RECORD_OCTETS
      at = copyOctets(this.#data, this.#starts[index]!, end, out, at)
    }
    return at
  }

  /** Adds what `save` wrote at `start`. */
  load(octets: Uint8Array, start: number): void {
    let at = start + SAVED_COUNT_OCTETS
    for (let left = u32(octets, start); left > 0; left--) {
      const rdata = at + SAVED_RECORD_OCTETS
      const end = rdata + u16(octets, at + 14)
      const place = u32(octets, at + 6) * 2 ** 32 + u32(octets, at + 10)
      this.add(u16(octets, at), u32(octets, at + 2), octets, rdata, end, place)
      at = end
    }
  }

  /** Adds the records of a node that was written before for the same owner, and tells how many. */
  addNode(octets: Uint8Array): number {
    const before = this.count
    let at = firstRRsetAt(octets, 0)
    for (let left = octets[2]!; left > 0; left--) {
      const records = u16(octets, at + 4) + octets[at + 3]!
      at += RRSET_HEADER_OCTETS
      for (let record = 0; record < records; record++) {
        const end = at + RECORD_HEADER_OCTETS + u16(octets, at + 10)
        this.add(u16(octets, at + 2), u32(octets, at + 6), octets, at + RECORD_HEADER_OCTETS, end, 0)
        at = end
      }
    }
    return this.count - before
  }

  /** Writes the node into `out` and returns its length. `spellingEnd` is 0, or the octets of the owner's
   *  labels that have capitals to keep. */
  write(
    source: number,
    owner: Uint8Array,
    ownerOctets: number,
    spellingEnd: number,
    report: ReportRecord,
  ): number {
    this.#sort()
    // Every record has a header, every RRset one more, and at worst each record is an RRset.
    const most = 512 + this.#dataEnd + this.count * (RECORD_HEADER_OCTETS + RRSET_HEADER_OCTETS)
    if (this.out.length < most) {
      this.out = new Uint8Array(2 * most)
    }
    const { out } = this
    this.written = 0
    out[0] = spellingEnd === 0 ? 0 : NODE_CASE
    out[1] = 0
    let at = NODE_HEADER_OCTETS
    if (spellingEnd > 0) {
      out[at++] = spellingEnd
      for (let from = 0; from < spellingEnd; from++) out[at++] = owner[from]!
    }
    let rrsets = 0
    for (let from = 0; from < this.count; rrsets++) {
      const to = this.#rrsetEnd(from)
      at = this.#writeRRset(source, from, to, at, rrsetOctetsMax(ownerOctets), report)
      from = to
    }
    if (rrsets > RRSETS_PER_NAME_MAX) {
      const last = this.#order[this.count - 1]!
      const what = `${rrsets} types at one name; expected at most ${RRSETS_PER_NAME_MAX}`
      report('types-per-name', what, this.#types[last]!, last)
    }
    out[2] = rrsets
    return at
  }

  /** Behind the last record, in order, of the type that `from` has, RRSIGs included. */
  #rrsetEnd(from: number): number {
    const type = this.#keys[this.#order[from]!]! >>> 1
    let to = from + 1
    while (to < this.count && this.#keys[this.#order[to]!]! >>> 1 === type) to++
    return to
  }

  #writeRRset(
    source: number,
    from: number,
    to: number,
    start: number,
    octetsMax: number,
    report: ReportRecord,
  ): number {
    const { out } = this
    const type = this.#keys[this.#order[from]!]! >>> 1
    const ttl = this.#lowestTtl(type, from, to, report)
    let at = start + RRSET_HEADER_OCTETS
    let signaturesAt = -1
    let records = 0
    let signatures = 0
    for (let rank = from; rank < to; rank++) {
      const index = this.#order[rank]!
      if (rank > from && this.#compare(this.#order[rank - 1]!, index) === 0) {
        const what = `a second ${typeToText(this.#types[index]!)} record with the same RDATA; it is left out`
        report('duplicate', what, this.#types[index]!, this.#placed(index, this.#order[rank - 1]!))
        continue
      }
      if ((this.#keys[index]! & 1) === 1) {
        if (signaturesAt < 0) signaturesAt = at
        signatures++
      } else records++
      at = this.#writeRecord(index, ttl, at)
    }
    if (signaturesAt < 0) signaturesAt = at
    this.written += records + signatures
    this.#checkCounts(type, records, signatures, at - start - RRSET_HEADER_OCTETS, octetsMax, from, report)
    out[start] = type >>> 8
    out[start + 1] = type
    out[start + 2] = source
    out[start + 3] = signatures
    out[start + 4] = records >>> 8
    out[start + 5] = records
    putU16(out, start + 6, signaturesAt - start - RRSET_HEADER_OCTETS)
    putU16(out, start + 8, at - signaturesAt)
    return at
  }

  /** RFC 2181 §5.2: where the TTLs of an RRset differ, all are taken to be the lowest. */
  #lowestTtl(type: number, from: number, to: number, report: ReportRecord): number {
    const first = this.#order[from]!
    let lowest = this.#ttls[first]!
    let other = -1
    for (let rank = from + 1; rank < to; rank++) {
      const index = this.#order[rank]!
      const ttl = this.#ttls[index]!
      if (ttl !== this.#ttls[first]) other = this.#placed(index, first)
      if (ttl < lowest) lowest = ttl
    }
    if (other >= 0) {
      const what = `the records of the ${typeToText(type)} RRset have different TTLs; the lowest, ${lowest}, is used (RFC 2181 §5.2)`
      report('ttl-differs', what, this.#types[other]!, other)
    }
    return lowest
  }

  /** Of two records the one that came later, among those whose place is known. */
  #placed(a: number, b: number): number {
    if (this.places[a] === 0 || this.places[b] === 0) return this.places[a] === 0 ? b : a
    return Math.max(a, b)
  }

  #checkCounts(
    type: number,
    records: number,
    signatures: number,
    octets: number,
    octetsMax: number,
    from: number,
    report: ReportRecord,
  ): void {
    const index = this.#order[from]!
    const name = typeToText(type)
    if (type === TYPE.SOA && records > 1) {
      const second = this.#placed(index, this.#order[from + 1]!)
      report('soa-double', 'a second SOA record; expected one', type, second)
    }
    if (octets > octetsMax) {
      const what = `the ${name} RRset takes ${octets} octets; expected at most ${octetsMax}, what a message can hold`
      report('rrset-too-large', what, type, index)
    }
    if (signatures > SIGNATURES_PER_RRSET_MAX) {
      const what = `${signatures} RRSIG records for ${name}; expected at most ${SIGNATURES_PER_RRSET_MAX}`
      report('signatures-per-rrset', what, TYPE.RRSIG, index)
    }
    if (records > RECORDS_PER_RRSET_USUAL) {
      const what = `${records} records in the ${name} RRset; BIND refuses more than ${RECORDS_PER_RRSET_USUAL} unless told otherwise`
      report('records-per-rrset', what, type, index)
    }
  }

  #writeRecord(index: number, ttl: number, start: number): number {
    const { out } = this
    const data = this.#data
    const type = this.#types[index]!
    const from = this.#starts[index]!
    const end = this.#ends[index]!
    out[start] = 0xc0
    out[start + 1] = 0x0c
    out[start + 2] = type >>> 8
    out[start + 3] = type
    out[start + 4] = 0
    out[start + 5] = CLASS.IN
    out[start + 6] = ttl >>> 24
    out[start + 7] = ttl >>> 16
    out[start + 8] = ttl >>> 8
    out[start + 9] = ttl
    out[start + 10] = (end - from) >>> 8
    out[start + 11] = end - from
    return copyOctets(data, from, end, out, start + RECORD_HEADER_OCTETS)
  }

  /** Insertion sort for the few records that a name usually has; it is stable, and free for those in order. */
  #sort(): void {
    const { count } = this
    const order = this.#order
    for (let index = 0; index < count; index++) order[index] = index
    if (count > FIRST_RECORDS) {
      order.subarray(0, count).sort((a, b) => this.#compare(a, b) || a - b)
      return
    }
    for (let index = 1; index < count; index++) {
      let rank = index
      for (; rank > 0 && this.#compare(order[rank - 1]!, index) > 0; rank--) order[rank] = order[rank - 1]!
      order[rank] = index
    }
  }

  #compare(a: number, b: number): number {
    const difference = this.#keys[a]! - this.#keys[b]!
    if (difference !== 0) return difference
    const data = this.#data
    const aEnd = this.#ends[a]!
    const bEnd = this.#ends[b]!
    let aAt = this.#starts[a]!
    let bAt = this.#starts[b]!
    const type = this.#types[a]!
    // RFC 4034 §6.2 changes nothing but capitals, so without them plain octets are in canonical order (§6.3).
    if (hasLoweredNames(type) && (hasCapital(data, aAt, aEnd) || hasCapital(data, bAt, bEnd))) {
      return compareCanonicalRdata(type, data.subarray(aAt, aEnd), data.subarray(bAt, bEnd))
    }
    for (; aAt < aEnd && bAt < bEnd; aAt++, bAt++) {
      const octets = data[aAt]! - data[bAt]!
      if (octets !== 0) return octets
    }
    return aEnd - aAt - (bEnd - bAt)
  }

  #growRecords(): void {
    const size = 2 * this.#types.length
    this.#types = grown(this.#types, new Uint16Array(size))
    this.#ttls = grown(this.#ttls, new Uint32Array(size))
    this.#starts = grown(this.#starts, new Uint32Array(size))
    this.#ends = grown(this.#ends, new Uint32Array(size))
    this.#keys = grown(this.#keys, new Uint32Array(size))
    this.#order = new Uint32Array(size)
    this.places = grown(this.places, new Float64Array(size))
  }

  #growData(needed: number): void {
    this.#data = grown(this.#data, new Uint8Array(2 * needed))
  }
}

function grown<Numbers extends Uint8Array | Uint16Array | Uint32Array | Float64Array>(
  from: Numbers,
  to: Numbers,
): Numbers {
  to.set(from)
  return to
}

/** Returns the offset behind the copy. */
function copyOctets(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): number {
  if (end - start > LOOP_COPY_OCTETS_MAX) to.set(from.subarray(start, end), at)
  else for (let index = start; index < end; index++) to[at + index - start] = from[index]!
  return at + end - start
}

function putU32(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24
  out[at + 1] = value >>> 16
  out[at + 2] = value >>> 8
  out[at + 3] = value
}

function putU16(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 8
  out[at + 1] = value
}

function hasCapital(octets: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const octet = octets[at]!
    if (octet >= 0x41 && octet <= 0x5a) return true
  }
  return false
}
