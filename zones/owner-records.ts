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
import { NAME_OCTETS_MAX } from './name.ts'
import {
  firstRRsetAt,
  NODE_CASE,
  NODE_HEADER_OCTETS,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  u16,
  u32,
} from './node.ts'
import { compareCanonicalRdata, hasCapital, hasLoweredNames } from './rdata-canonical.ts'
import type { RuleCode } from './rules.ts'
import { CLASS, TYPE, typeToText } from './types.ts'

/** Told of what is wrong with a record: `index` is what `add` returned for it. */
export type ReportRecord = (rule: RuleCode, what: string, type: number, index: number) => void

const FIRST_RECORDS = 16
const FIRST_OCTETS = 1024
/** Below this a loop copies faster than `set` with its view. */
const LOOP_COPY_OCTETS_MAX = 48

/** There is room when there are records: those of most zones never come here. */
const NO_PLACES = new Float64Array(0)
const NO_TYPES = new Uint16Array(0)
const NO_WORDS = new Uint32Array(0)
const NO_OCTETS = new Uint8Array(0)

export class OwnerRecords {
  count = 0
  /** A number of the caller's for each record: where it stands. 0 for records out of an earlier node. */
  places: Float64Array = NO_PLACES
  #types = NO_TYPES
  #ttls = NO_WORDS
  #starts = NO_WORDS
  #ends = NO_WORDS
  /** Twice the type, or the type covered, and one more for RRSIG: ascending it is the order in the node. */
  #keys = NO_WORDS
  #order = NO_WORDS
  #data = NO_OCTETS
  #dataEnd = 0

  /** Where `write` writes to. */
  #out: Uint8Array = new Uint8Array(0)
  /** Records in the node that was written last. */
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

  /** Adds the records of the node at `start`, which was written before for the same owner, and tells how many;
   *  `placeOf` gives the place of each. */
  addNode(octets: Uint8Array, start: number, placeOf: (record: number) => number): number {
    const before = this.count
    let at = firstRRsetAt(octets, start)
    for (let left = octets[start + 2]!; left > 0; left--) {
      const records = u16(octets, at + 4) + octets[at + 3]!
      at += RRSET_HEADER_OCTETS
      for (let record = 0; record < records; record++) {
        const end = at + RECORD_HEADER_OCTETS + u16(octets, at + 10)
        const place = placeOf(this.count - before)
        this.add(u16(octets, at + 2), u32(octets, at + 6), octets, at + RECORD_HEADER_OCTETS, end, place)
        at = end
      }
    }
    return this.count - before
  }

  /** Octets that `write` writes at most: every record has a header, every RRset one more, and at worst each record is an
   *  RRset. */
  get nodeOctetsMax(): number {
    return (
      NODE_HEADER_OCTETS +
      1 +
      NAME_OCTETS_MAX +
      this.#dataEnd +
      this.count * (RECORD_HEADER_OCTETS + RRSET_HEADER_OCTETS)
    )
  }

  /** From here on records have ranks, from 0 to `count`, in the order of a node. */
  sort(): void {
    const { count } = this
    const order = this.#order
    for (let index = 0; index < count; index++) order[index] = index
    if (count > FIRST_RECORDS) {
      order.subarray(0, count).sort((a, b) => this.#compare(a, b) || a - b)
      return
    }
    // Insertion sort for the few records that a name usually has; it is stable, and free for those in order.
    for (let index = 1; index < count; index++) {
      let rank = index
      for (; rank > 0 && this.#compare(order[rank - 1]!, index) > 0; rank--) order[rank] = order[rank - 1]!
      order[rank] = index
    }
  }

  /** Places of the ranks from..to. */
  placesOf(from: number, to: number): Float64Array {
    const places = new Float64Array(to - from)
    for (let rank = from; rank < to; rank++) places[rank - from] = this.places[this.#order[rank]!]!
    return places
  }

  /** Writes the sorted records of ranks from..to as a node into `out` at `start`, and returns the offset behind it.
   *  `spellingEnd` is 0, or the octets of the owner's labels that have capitals to keep. */
  write(
    from: number,
    to: number,
    source: number,
    owner: Uint8Array,
    spellingEnd: number,
    report: ReportRecord,
    out: Uint8Array,
    start: number,
  ): number {
    this.#out = out
    this.written = 0
    out[start] = spellingEnd === 0 ? 0 : NODE_CASE
    out[start + 1] = 0
    let at = start + NODE_HEADER_OCTETS
    if (spellingEnd > 0) {
      out[at++] = spellingEnd
      for (let index = 0; index < spellingEnd; index++) out[at++] = owner[index]!
    }
    let rrsets = 0
    for (let rank = from; rank < to; rrsets++) {
      const end = this.#rrsetEnd(rank, to)
      at = this.#writeRRset(source, rank, end, at, rrsetOctetsMax(owner.length), report)
      rank = end
    }
    if (rrsets > RRSETS_PER_NAME_MAX) {
      const last = this.#order[to - 1]!
      const what = `${rrsets} types at one name; expected at most ${RRSETS_PER_NAME_MAX}`
      report('types-per-name', what, this.#types[last]!, last)
    }
    out[start + 2] = rrsets
    return at
  }

  /** Behind the last record, in order, of the type that `from` has, RRSIGs included. */
  #rrsetEnd(from: number, limit: number): number {
    const type = this.#keys[this.#order[from]!]! >>> 1
    let to = from + 1
    while (to < limit && this.#keys[this.#order[to]!]! >>> 1 === type) to++
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
    const out = this.#out
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

  /** Of two records the one that came later; records whose place is not known have 0. */
  #placed(a: number, b: number): number {
    return this.places[a]! >= this.places[b]! ? a : b
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
    const out = this.#out
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

  #compare(a: number, b: number): number {
    const difference = this.#keys[a]! - this.#keys[b]!
    if (difference !== 0) return difference
    const starts = this.#starts
    const ends = this.#ends
    return compareRdata(this.#types[a]!, this.#data, starts[a]!, ends[a]!, starts[b]!, ends[b]!)
  }

  #growRecords(): void {
    const size = Math.max(FIRST_RECORDS, 2 * this.#types.length)
    this.#types = grown(this.#types, new Uint16Array(size))
    this.#ttls = grown(this.#ttls, new Uint32Array(size))
    this.#starts = grown(this.#starts, new Uint32Array(size))
    this.#ends = grown(this.#ends, new Uint32Array(size))
    this.#keys = grown(this.#keys, new Uint32Array(size))
    this.#order = new Uint32Array(size)
    this.places = grown(this.places, new Float64Array(size))
  }

  #growData(needed: number): void {
    this.#data = grown(this.#data, new Uint8Array(Math.max(FIRST_OCTETS, 2 * needed)))
  }
}

/** RFC 4034 §6.3: order of data[aStart..aEnd) and data[bStart..bEnd), two RDATA of one type. */
export function compareRdata(
  type: number,
  data: Uint8Array,
  aStart: number,
  aEnd: number,
  bStart: number,
  bEnd: number,
): number {
  // RFC 4034 §6.2 changes nothing but capitals, so without them plain octets are in canonical order.
  if (hasLoweredNames(type) && (hasCapital(data, aStart, aEnd) || hasCapital(data, bStart, bEnd))) {
    return compareCanonicalRdata(type, data.subarray(aStart, aEnd), data.subarray(bStart, bEnd))
  }
  const shorter = Math.min(aEnd - aStart, bEnd - bStart)
  for (let at = 0; at < shorter; at++) {
    const octets = data[aStart + at]! - data[bStart + at]!
    if (octets !== 0) return octets
  }
  return aEnd - aStart - (bEnd - bStart)
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

function putU16(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 8
  out[at + 1] = value
}
