/** The response being written: header and question, whole RRsets with compressed names, OPT (RFC 1035 §4.1,
 *  RFC 2181 §9, RFC 3597 §4, RFC 6891 §6, RFC 8914 §2). Not here: what belongs in it.
 *  I1  An RRset is written whole or not at all; `at` never passes `limit`, and the OPT record always fits behind.
 *  I2  Only names in RDATA of RFC 1035's own types are compressed (RFC 3597 §4); pointers only point back.
 *  I3  The suffix table has an entry for each label written so far that a pointer can reach: where it stands, and
 *      the entry of the label to its right. Entry −1 is the root. The question enters when first needed.
 *  I4  Writing allocates nothing. */

import { copyOctets, viewOf } from '../base/octets.ts'
import {
  compressibleNames,
  lowerCase,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  u16,
} from '../zones/reading.ts'
import { FLAG_AA, FLAG_QR, FLAG_RD, FLAG_TC, HEADER_OCTETS, OPT_OCTETS, type Query } from './query.ts'
import { EDE_NONE } from './rcode.ts'
import type { ReadyBlock } from './ready-block.ts'
import type { NegativeBlock } from './zone-view.ts'

export const ANSWER = 0
export const AUTHORITY = 1
export const ADDITIONAL = 2
export type Section = typeof ANSWER | typeof AUTHORITY | typeof ADDITIONAL

/** Which records of an RRset are meant. */
export const RECORDS = 1
export const SIGNATURES = 2
export const RECORDS_AND_SIGNATURES = 3
export type Parts = typeof RECORDS | typeof SIGNATURES | typeof RECORDS_AND_SIGNATURES

/** RFC 1035 §4.1.4: a pointer to the question's name; stored records begin with it. */
export const POINTER_TO_QUESTION = 0xc00c
/** For `putRRset`: the owner was written with `putOwnerName` or `putOwnerLabels` just before. */
export const OWNER_WRITTEN = 0

/** RFC 1035 §4.1.4: 14 bits of offset. */
const POINTER_REACH = 0x4000
/** Suffixes remembered in one message; names that come later are compressed against these only. */
const SUFFIXES_MAX = 128
const SUFFIX_ROOT = -1
/** Names in RDATA whose places are remembered, for additional records that they own. */
const TARGETS_MAX = 64
/** An OPT record with one Extended DNS Error option without text (RFC 8914 §2). */
const EDE_OCTETS = 6
const OPTION_EDE = 15

/** Where names stand in the RDATA of RFC 1035's types, by type: 0 none, 1 one name, 2 one name behind 16 bits,
 *  3 two names and the rest. */
export const NAMES_IN_RDATA: Uint8Array = new Uint8Array(256)
for (let type = 0; type < NAMES_IN_RDATA.length; type++) {
  const names = compressibleNames(type)
  if (names !== undefined) NAMES_IN_RDATA[type] = names.count > 1 ? 3 : names.offset > 0 ? 2 : 1
}

export class Response {
  out: Uint8Array = new Uint8Array(0)
  view: DataView = new DataView(this.out.buffer)
  at = 0
  /** First octet that records may not reach. */
  limit = 0
  truncated = false
  readonly counts: Uint16Array = new Uint16Array(3)
  #query: Query
  /** Records of the last RRset with compressed RDATA, and where the first name of each stands. */
  targets = 0
  readonly #targetAt = new Uint16Array(TARGETS_MAX)
  #ownerStart = 0
  #ownerEnd = 0
  #ownerUsed = false
  #suffixes = 0
  readonly #suffixOffset = new Uint16Array(SUFFIXES_MAX)
  readonly #suffixParent = new Int16Array(SUFFIXES_MAX)
  readonly #suffixTag = new Int32Array(SUFFIXES_MAX)
  readonly #labelAt = new Int32Array(128)
  #source: Uint8Array = this.out
  #sourceView: DataView = this.view

  constructor(query: Query) {
    this.#query = query
  }

  /** Begins the response to the query, with its question when that was whole. */
  start(out: Uint8Array, octetsMax: number): void {
    const query = this.#query
    if (out !== this.out) {
      this.out = out
      this.view = viewOf(out)
    }
    this.limit = Math.min(octetsMax, out.length) - (query.edns ? OPT_OCTETS : 0)
    this.truncated = false
    this.counts[ANSWER] = 0
    this.counts[AUTHORITY] = 0
    this.counts[ADDITIONAL] = 0
    this.#suffixes = 0
    const { octets } = query
    const end = query.questionEnd
    out[0] = octets[0]!
    out[1] = octets[1]!
    for (let at = HEADER_OCTETS; at < end; at++) out[at] = octets[at]!
    this.at = end === 0 ? HEADER_OCTETS : end
  }

  /** Writes the header and OPT, and returns the message's length. */
  finish(rcode: number, authoritative: boolean, ede: number, udpOctetsMax: number): number {
    const { out, counts } = this
    const query = this.#query
    if (query.edns) this.#putOpt(rcode, ede, udpOctetsMax)
    // RFC 1035 §4.1.1; RA, AD and CD stay clear: this server neither recurses nor validates (RFC 4035 §3.1.6).
    out[2] =
      FLAG_QR |
      (query.octets[2]! & 0x78) |
      (authoritative ? FLAG_AA : 0) |
      (this.truncated ? FLAG_TC : 0) |
      (query.octets[2]! & FLAG_RD)
    out[3] = rcode & 15
    out[4] = 0
    out[5] = query.questionEnd === 0 ? 0 : 1
    this.#putU16At(6, counts[ANSWER]!)
    this.#putU16At(8, counts[AUTHORITY]!)
    this.#putU16At(10, counts[ADDITIONAL]! + (query.edns ? 1 : 0))
    return this.at
  }

  /** RFC 6891 §6.1.2 and §6.1.3; RFC 3225 §3: the DO bit is copied. */
  #putOpt(rcode: number, ede: number, udpOctetsMax: number): void {
    const { out } = this
    const start = this.at
    const withEde = ede !== EDE_NONE && start + EDE_OCTETS <= this.limit
    out[start] = 0
    this.#putU16At(start + 1, 41)
    this.#putU16At(start + 3, udpOctetsMax)
    out[start + 5] = rcode >> 4
    out[start + 6] = 0
    out[start + 7] = this.#query.dnssecOk ? 0x80 : 0
    out[start + 8] = 0
    this.#putU16At(start + 9, withEde ? EDE_OCTETS : 0)
    this.at = start + OPT_OCTETS
    if (!withEde) return
    this.#putU16At(this.at, OPTION_EDE)
    this.#putU16At(this.at + 2, 2)
    this.#putU16At(this.at + 4, ede)
    this.at += EDE_OCTETS
  }

  /** Writes an RRset out of a node at `octets[rrset]` (zones/node.ts). The owner is a pointer, or OWNER_WRITTEN.
   *  False when it does not fit: then nothing is written, not even the owner (I1). */
  putRRset(section: Section, octets: Uint8Array, rrset: number, parts: Parts, owner: number): boolean {
    const start = owner === OWNER_WRITTEN ? this.#ownerStart : this.at
    const suffixes = this.#suffixes
    const records = (parts & RECORDS) === 0 ? 0 : u16(octets, rrset + 4)
    const signatures = (parts & SIGNATURES) === 0 ? 0 : octets[rrset + 3]!
    const data = rrset + RRSET_HEADER_OCTETS
    const signaturesAt = data + u16(octets, rrset + 6)
    const type = u16(octets, rrset)
    const compressible = type < 256 && NAMES_IN_RDATA[type] !== 0
    const fits =
      (records === 0 ||
        (compressible
          ? this.#putCompressed(octets, data, records, owner)
          : this.#putRecords(octets, data, signaturesAt - data, records, owner))) &&
      (signatures === 0 || this.#putRecords(octets, signaturesAt, u16(octets, rrset + 8), signatures, owner))
    if (!fits) {
      this.at = start
      this.#suffixes = suffixes
      this.targets = 0
      return false
    }
    this.counts[section]! += records + signatures
    return true
  }

  /** Copies `count` stored records as one block and gives each its owner. */
  #putRecords(octets: Uint8Array, start: number, length: number, count: number, owner: number): boolean {
    if (owner === OWNER_WRITTEN) return this.#putRecordsBehindOwner(octets, start, count)
    const to = this.at
    if (to + length > this.limit) return false
    copyOctets(this.#viewOf(octets), start, this.view, to, length)
    this.at = to + length
    if (owner === POINTER_TO_QUESTION) return true
    for (let at = to; at < this.at; at += RECORD_HEADER_OCTETS + u16(this.out, at + 10))
      this.#putU16At(at, owner)
    return true
  }

  #putRecordsBehindOwner(octets: Uint8Array, start: number, count: number): boolean {
    let at = start
    for (let left = count; left > 0; left--) {
      const length = RECORD_HEADER_OCTETS - 2 + u16(octets, at + 10)
      if (!this.#putWrittenOwner() || this.at + length > this.limit) return false
      copyOctets(this.#viewOf(octets), at + 2, this.view, this.at, length)
      this.at += length
      at += 2 + length
    }
    return true
  }

  /** The owner of the next record under OWNER_WRITTEN: it is there for the first; then a pointer to it, or the
   *  same octets again where a pointer cannot reach. */
  #putWrittenOwner(): boolean {
    const start = this.#ownerStart
    if (!this.#ownerUsed) {
      this.#ownerUsed = true
      this.#ownerEnd = this.at
      return true
    }
    const far = start >= POINTER_REACH
    const length = far ? this.#ownerEnd - start : 2
    if (this.at + length > this.limit) return false
    if (far) this.out.copyWithin(this.at, start, this.#ownerEnd)
    else this.#putU16At(this.at, this.out[start]! >= 0xc0 ? u16(this.out, start) : 0xc000 | start)
    this.at += length
    return true
  }

  /** Records whose RDATA has names that may be compressed (I2), one by one. */
  #putCompressed(octets: Uint8Array, start: number, count: number, owner: number): boolean {
    let at = start
    this.targets = 0
    for (let left = count; left > 0; left--) {
      if (owner === OWNER_WRITTEN) {
        if (!this.#putWrittenOwner()) return false
      } else {
        if (this.at + 2 > this.limit) return false
        this.#putU16At(this.at, owner)
        this.at += 2
      }
      const end = at + RECORD_HEADER_OCTETS + u16(octets, at + 10)
      if (!this.#putCompressedRecord(octets, at, end)) return false
      at = end
    }
    return true
  }

  /** A record behind its owner. */
  #putCompressedRecord(octets: Uint8Array, start: number, end: number): boolean {
    const { out, limit } = this
    const kind = NAMES_IN_RDATA[octets[start + 3]!]!
    const fixed = kind === 2 ? 12 : 10
    const lengthAt = this.at + 8
    if (this.at + fixed > limit) return false
    for (let index = 0; index < fixed; index++) out[this.at + index] = octets[start + 2 + index]!
    this.at += fixed
    if (this.targets < TARGETS_MAX) this.#targetAt[this.targets++] = this.at
    let from = this.putName(octets, start + 2 + fixed)
    if (from < 0) return false
    if (kind === 3) {
      from = this.putName(octets, from)
      if (from < 0 || this.at + end - from > limit) return false
      while (from < end) out[this.at++] = octets[from++]!
    }
    this.#putU16At(lengthAt, this.at - lengthAt - 2)
    return true
  }

  /** Writes a wire name, compressed; returns the offset behind it in `octets`, or −1 when it does not fit. */
  putName(octets: Uint8Array, start: number): number {
    if (this.#suffixes === 0) this.#learnQuestion()
    const labelAt = this.#labelAt
    let labels = 0
    let end = start
    for (; octets[end] !== 0; end += 1 + octets[end]!) labelAt[labels++] = end
    let suffix = SUFFIX_ROOT
    while (labels > 0) {
      const found = this.#findSuffix(suffix, octets, labelAt[labels - 1]!)
      if (found < 0) break
      suffix = found
      labels--
    }
    const literalEnd = labels === 0 ? start : labelAt[labels - 1]! + 1 + octets[labelAt[labels - 1]!]!
    const to = this.at
    if (to + literalEnd - start + (suffix < 0 ? 1 : 2) > this.limit) return -1
    const { out } = this
    for (let from = start, at = to; from < literalEnd; from++, at++) out[at] = octets[from]!
    this.at = to + literalEnd - start
    if (suffix < 0) out[this.at++] = 0
    else {
      this.#putU16At(this.at, 0xc000 | this.#suffixOffset[suffix]!)
      this.at += 2
    }
    for (let label = labels - 1; label >= 0; label--)
      suffix = this.#learn(suffix, to + labelAt[label]! - start)
    return end + 1
  }

  /** Writes a name as the owner of the RRset that follows (with OWNER_WRITTEN); false when it does not fit. */
  putOwnerName(octets: Uint8Array, start: number): boolean {
    this.beginOwner()
    return this.putName(octets, start) >= 0
  }

  /** A pointer to the first name in the RDATA of that record of the RRset last written with compressed RDATA, or
   *  OWNER_WRITTEN (which is no pointer) when none can be. */
  targetPointer(record: number): number {
    if (record >= this.targets) return OWNER_WRITTEN
    const at = this.#targetAt[record]!
    return at < POINTER_REACH ? 0xc000 | at : OWNER_WRITTEN
  }

  /** The caller writes the owner of the RRset that follows at `at` itself, and moves `at` behind it. */
  beginOwner(): void {
    this.#ownerStart = this.at
    this.#ownerUsed = false
  }

  /** Ends a name with the last `octets` octets of the question's name; the caller has made sure of the room. */
  putSuffixOfQuestion(octets: number): void {
    if (octets === 1) {
      this.out[this.at++] = 0
      return
    }
    this.#putU16At(this.at, 0xc000 | (HEADER_OCTETS + this.#query.nameOctets - octets))
    this.at += 2
  }

  /** The SOA of a negative answer as it was composed with its zone's view; `apex` is where its owner stands. */
  putNegative(block: NegativeBlock, signed: boolean, apex: number): boolean {
    const { octets, patches } = block
    const length = signed ? octets.length : block.soaOctets
    const count = signed ? patches.length : block.soaPatches
    const to = this.at
    if (to + length > this.limit) return false
    copyOctets(block.view, 0, this.view, to, length)
    for (let index = 0; index < count; index++) this.#putU16At(to + patches[index]!, 0xc000 | apex)
    this.at = to + length
    this.counts[AUTHORITY]! += signed ? 1 + block.signatures : 1
    return true
  }

  /** A CNAME record with the TTL of the record whose TTL stands at `octets[ttl]`; false when it does not fit. */
  putCname(owner: number, octets: Uint8Array, ttl: number, target: Uint8Array): boolean {
    const start = owner === OWNER_WRITTEN ? this.#ownerStart : this.at
    if (owner !== OWNER_WRITTEN) {
      this.#putU16At(this.at, owner)
      this.at += 2
    }
    const { out, at } = this
    // RFC 1035 §3.3.1: type CNAME, class IN.
    if (at + 10 <= this.limit) {
      this.#putU16At(at, 5)
      this.#putU16At(at + 2, 1)
      for (let index = 0; index < 4; index++) out[at + 4 + index] = octets[ttl + index]!
      this.at = at + 10
      if (this.putName(target, 0) >= 0) {
        this.#putU16At(at + 8, this.at - at - 10)
        this.counts[ANSWER]!++
        return true
      }
    }
    this.at = start
    return false
  }

  /** Records composed beforehand; `apex` is where its name stands. False when they do not fit. */
  putBlock(section: Section, block: ReadyBlock, apex: number): boolean {
    const { octets, apexPatches, ownPatches } = block
    const to = this.at
    if (to + octets.length > this.limit) return false
    copyOctets(block.view, 0, this.view, to, octets.length)
    for (let index = 0; index < apexPatches.length; index++)
      this.#putU16At(to + apexPatches[index]!, 0xc000 | apex)
    for (let index = 0; index < ownPatches.length; index++)
      this.#putU16At(to + ownPatches[index]!, 0xc000 | to)
    this.at = to + octets.length
    this.counts[section]! += block.records
    return true
  }

  /** Most records come out of one array, the store's memory. */
  #viewOf(octets: Uint8Array): DataView {
    if (octets !== this.#source) {
      this.#source = octets
      this.#sourceView = viewOf(octets)
    }
    return this.#sourceView
  }

  #putU16At(at: number, value: number): void {
    this.out[at] = value >> 8
    this.out[at + 1] = value
  }

  #learnQuestion(): void {
    const labelAt = this.#labelAt
    let labels = 0
    for (let at = HEADER_OCTETS; this.out[at] !== 0; at += 1 + this.out[at]!) labelAt[labels++] = at
    let suffix = SUFFIX_ROOT
    while (labels > 0) suffix = this.#learn(suffix, labelAt[--labels]!)
  }

  /** Enters the label at `offset`, whose right neighbour is `parent`; returns the entry. Labels out of a pointer's
   *  reach, and those past the table's end, are not entered, nor are any to their left. */
  #learn(parent: number, offset: number): number {
    const index = this.#suffixes
    if (offset >= POINTER_REACH || index === SUFFIXES_MAX || parent < SUFFIX_ROOT) return SUFFIX_ROOT - 1
    this.#suffixOffset[index] = offset
    this.#suffixParent[index] = parent
    this.#suffixTag[index] = labelTag(this.out, offset)
    this.#suffixes = index + 1
    return index
  }

  #findSuffix(parent: number, octets: Uint8Array, at: number): number {
    const tag = labelTag(octets, at)
    const parents = this.#suffixParent
    const tags = this.#suffixTag
    const count = this.#suffixes
    for (let index = 0; index < count; index++) {
      if (
        tags[index] === tag &&
        parents[index] === parent &&
        this.#sameLabel(this.#suffixOffset[index]!, octets, at)
      )
        return index
    }
    return -1
  }

  #sameLabel(offset: number, octets: Uint8Array, at: number): boolean {
    const { out } = this
    for (let index = octets[at]!; index > 0; index--) {
      if (lowerCase[out[offset + index]!] !== lowerCase[octets[at + index]!]) return false
    }
    return true
  }
}

/** Length, first and last octet of a label in lower case: equal labels have equal tags. */
function labelTag(octets: Uint8Array, at: number): number {
  const length = octets[at]!
  return length | (lowerCase[octets[at + 1]!]! << 8) | (lowerCase[octets[at + length]!]! << 16)
}
