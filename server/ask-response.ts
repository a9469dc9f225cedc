/** Responses to questions of ours, read (RFC 1035 §4.1, RFC 6891 §6.1.3). They come from strangers.
 *
 *  Queries are made with dns2's `Packet`; responses are read here, because dns2's reader drops records that it cannot read
 *  and goes on, has names as text (a label `a.b` equals two labels), decodes RDATA into fields with its names in
 *  text, and takes seconds over a header that announces 65,535 records which are not there.
 *
 *  I1  Anything malformed makes the whole response malformed; nothing is thrown to callers.
 *  I2  Nothing outside the octets is read, and a compression pointer only points back, before the name it is in. The
 *      work is bounded: a record has at least 11 octets, its names have at most 255 octets and POINTERS_MAX pointers each.
 *  I3  Owners, and RDATA of the types whose names may be compressed (RFC 3597 §4), are uncompressed copies. */
import {
  asName,
  compressibleNames,
  LABEL_OCTETS_MAX,
  NAME_OCTETS_MAX,
  type Name,
  rdataFault,
  sameName,
  TYPE,
  u16,
} from '../zones/index.ts'
import { FLAG_AA, HEADER_OCTETS } from './query.ts'

export interface ResponseRecord {
  readonly owner: Name
  readonly type: number
  readonly class: number
  readonly ttl: number
  readonly rdata: Uint8Array
}

export interface Response {
  /** With its upper eight bits from the OPT record. */
  readonly rcode: number
  readonly authoritative: boolean
  readonly answer: readonly ResponseRecord[]
  readonly authority: readonly ResponseRecord[]
}

/** Reads a response with at most one question; undefined when it is malformed (I1). */
export function readResponse(octets: Uint8Array): Response | undefined {
  try {
    return new ResponseReader(octets).read()
  } catch (error) {
    if (error instanceof Malformed) return undefined
    throw error
  }
}

/** The records of that owner and type; class IN only. */
export function recordsOf(records: readonly ResponseRecord[], owner: Name, type: number): ResponseRecord[] {
  return records.filter(
    record => record.type === type && record.class === CLASS_IN && sameName(record.owner, owner),
  )
}

/** For messages: RFC 1035 §4.1.1, RFC 2136 §2.2. */
export function rcodeText(rcode: number): string {
  return RCODES[rcode] ?? `RCODE ${rcode}`
}

const RCODES = [
  'NOERROR',
  'FORMERR',
  'SERVFAIL',
  'NXDOMAIN',
  'NOTIMP',
  'REFUSED',
  'YXDOMAIN',
  'YXRRSET',
  'NXRRSET',
  'NOTAUTH',
]
const CLASS_IN = 1
/** RFC 8767 §4: a TTL with its highest bit set is a large one. */
const TTL_MAX = 0x7fffffff
/** Type and class behind the name of a question. */
const QUESTION_FIXED_OCTETS = 4
/** Type, class, TTL and RDLENGTH behind an owner. */
const RECORD_FIXED_OCTETS = 10
const POINTER_FLAGS = 0xc0
/** RFC 1035 §2.3.4: 255 octets are at most 127 labels, and a pointer stands behind a label if it saves anything. */
const POINTERS_MAX = 127

class Malformed extends Error {}

class ResponseReader {
  readonly #octets: Uint8Array
  #at = HEADER_OCTETS
  #extendedRcode = 0

  constructor(octets: Uint8Array) {
    // Slices of a Buffer are no copies (I3).
    this.#octets = new Uint8Array(octets.buffer, octets.byteOffset, octets.length)
  }

  read(): Response {
    const octets = this.#octets
    if (octets.length < HEADER_OCTETS) throw new Malformed()
    const questions = u16(octets, 4)
    if (questions > 1) throw new Malformed()
    if (questions === 1) {
      this.#name()
      this.#skip(QUESTION_FIXED_OCTETS)
    }
    const answer = this.#section(u16(octets, 6))
    const authority = this.#section(u16(octets, 8))
    this.#section(u16(octets, 10))
    return {
      rcode: (octets[3]! & 15) | (this.#extendedRcode << 4),
      authoritative: (octets[2]! & FLAG_AA) !== 0,
      answer,
      authority,
    }
  }

  #section(count: number): ResponseRecord[] {
    const records: ResponseRecord[] = []
    for (let left = count; left > 0; left--) {
      const record = this.#record()
      // RFC 6891 §6.1.3: the OPT record's TTL has the upper eight bits of the RCODE.
      if (record.type === TYPE.OPT) this.#extendedRcode = record.ttl >>> 24
      else records.push({ ...record, ttl: Math.min(record.ttl, TTL_MAX) })
    }
    return records
  }

  #record(): ResponseRecord {
    const owner = this.#name()
    const fixed = this.#skip(RECORD_FIXED_OCTETS)
    const octets = this.#octets
    const type = u16(octets, fixed)
    const ttl = u16(octets, fixed + 4) * 0x10000 + u16(octets, fixed + 6)
    const end = this.#at + u16(octets, fixed + 8)
    if (end > octets.length) throw new Malformed()
    return { owner, type, class: u16(octets, fixed + 2), ttl, rdata: this.#rdata(type, end) }
  }

  #rdata(type: number, end: number): Uint8Array {
    const names = compressibleNames(type)
    const rdata = names === undefined ? this.#octets.slice(this.#at, end) : this.#uncompressed(names, end)
    this.#at = end
    if (type !== TYPE.OPT && rdataFault(type, rdata, 0, rdata.length) !== undefined) throw new Malformed()
    return rdata
  }

  #uncompressed(names: { readonly offset: number; readonly count: number }, end: number): Uint8Array {
    const parts: Uint8Array[] = [this.#octets.subarray(this.#at, this.#at + names.offset)]
    this.#skip(names.offset)
    for (let left = names.count; left > 0; left--) parts.push(this.#name())
    if (this.#at > end) throw new Malformed()
    parts.push(this.#octets.subarray(this.#at, end))
    return Uint8Array.from(Buffer.concat(parts))
  }

  /** Moves on and returns where it was. */
  #skip(octets: number): number {
    const from = this.#at
    if (from + octets > this.#octets.length) throw new Malformed()
    this.#at = from + octets
    return from
  }

  /** RFC 1035 §4.1.4: labels, ended by the root or by a pointer to the rest. */
  #name(): Name {
    const octets = this.#octets
    const name = new Uint8Array(NAME_OCTETS_MAX)
    let length = 0
    let at = this.#at
    let segmentStart = at
    let behind = -1
    let pointers = 0
    for (;;) {
      const label = octets[at]
      if (label === undefined) throw new Malformed()
      if (label >= POINTER_FLAGS) {
        if (behind < 0) behind = at + 2
        if (at + 1 >= octets.length) throw new Malformed()
        at = u16(octets, at) & 0x3fff
        // I2: each pointer leads further to the front, so there is no loop.
        if (at >= segmentStart || at < HEADER_OCTETS || ++pointers > POINTERS_MAX) throw new Malformed()
        segmentStart = at
        continue
      }
      const next = at + 1 + label
      if (label > LABEL_OCTETS_MAX || next > octets.length) throw new Malformed()
      if (length + 1 + label > NAME_OCTETS_MAX) throw new Malformed()
      name.set(octets.subarray(at, next), length)
      length += 1 + label
      at = next
      if (label === 0) break
    }
    this.#at = behind < 0 ? at : behind
    return asName(name.slice(0, length))
  }
}
