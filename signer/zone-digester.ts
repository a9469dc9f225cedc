/** The octets of a zone that its digest is made of (RFC 8976 §3.3.1, §3.4.1): RRs of one owner after the other, each with
 *  its owner name, in canonical form (RFC 4034 §6.2) and order.
 *
 *    node  = … [C00C type class TTL length RDATA]*        as stored: a pointer where the owner belongs
 *    out   =   [owner type class TTL length RDATA]*       lower case where it is canonical
 *
 *  I1  Every RR once, glue and occluded names too; not the apex's ZONEMD RRset nor the RRSIGs over it.
 *  I2  RRs of an owner go by type, where all RRSIGs are of type 46 whatever they cover; of a type by canonical RDATA.
 *  I3  Octets are copied in words, which may write up to three octets too far: the next copy writes there. */

import type { Hash } from 'node:crypto'
import {
  canonicalizeInPlace,
  compareCanonicalRdata,
  firstRRsetAt,
  hasLoweredNames,
  nextRRsetAt,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  type TreeCursor,
  TYPE,
  u16,
  writeLabelsOfKey,
} from '../zones/index.ts'
import { NodeCopy } from './node-copy.ts'
import { writeHashedOwner } from './nsec3.ts'
import { RRSIG_FIXED_OCTETS } from './rrsig.ts'

/** What is handed to the hash at once. */
const PART_OCTETS = 1 << 18
/** The largest RR: owner, ten octets, RDATA. */
const RR_OCTETS_MAX = 255 + 10 + 65535
const WORD_OCTETS = 4

export class ZoneDigester {
  /** Parts hashed so far; whoever counts may set it back. */
  parts = 0
  readonly #hash: Hash
  readonly #apex: Uint8Array
  readonly #out = new Uint8Array(PART_OCTETS + RR_OCTETS_MAX + WORD_OCTETS)
  readonly #outWords = new DataView(this.#out.buffer)
  #at = 0
  /** Of the two trees. */
  readonly #names = new NodeCopy(WORD_OCTETS)
  readonly #hashes = new NodeCopy(WORD_OCTETS)
  #node = this.#names.octets
  #nodeWords = this.#names.words
  readonly #owner = new Uint8Array(512)
  readonly #ownerWords = new DataView(this.#owner.buffer)
  #ownerOctets = 0

  constructor(hash: Hash, canonicalApex: Uint8Array) {
    this.#hash = hash
    this.#apex = canonicalApex
  }

  /** The owner that the cursor of the names tree is on. */
  name(cursor: TreeCursor): void {
    const length = cursor.loadKey()
    const labels = writeLabelsOfKey(cursor.key, 0, length, this.#owner, 0)
    for (let at = 0; at < this.#apex.length; at++) this.#owner[labels + at] = this.#apex[at]!
    this.#ownerOctets = labels + this.#apex.length
    this.#records(this.#names, cursor, length === 0)
  }

  /** The hash that the cursor of the NSEC3 tree is on. */
  hash(cursor: TreeCursor): void {
    const hash = cursor.key.subarray(0, cursor.loadKey())
    this.#ownerOctets = writeHashedOwner(hash, this.#apex, this.#owner)
    this.#records(this.#hashes, cursor, false)
  }

  end(): Uint8Array {
    this.#flush()
    return this.#hash.digest()
  }

  /** I2: RRsets of types below 46, then every RRset's signatures, which ascend with the type they cover, then the rest. */
  #records(copy: NodeCopy, cursor: TreeCursor, apex: boolean): void {
    const start = copy.load(cursor)
    const node = copy.octets
    this.#node = node
    this.#nodeWords = copy.words
    const rrsets = node[start + 2]!
    const first = firstRRsetAt(node, start)
    let at = first
    let left = rrsets
    for (; left > 0 && u16(node, at) < TYPE.RRSIG; left--) {
      this.#rrset(at)
      at = nextRRsetAt(node, at)
    }
    const behind = at
    at = first
    for (let index = rrsets; index > 0; index--) {
      const signatures = at + RRSET_HEADER_OCTETS + u16(node, at + 6)
      if (!apex || u16(node, at) !== TYPE.ZONEMD) this.#copyRecords(signatures, node[at + 3]!, TYPE.RRSIG)
      at = nextRRsetAt(node, at)
    }
    for (at = behind; left > 0; left--) {
      if (!apex || u16(node, at) !== TYPE.ZONEMD) this.#rrset(at)
      at = nextRRsetAt(node, at)
    }
  }

  #rrset(at: number): void {
    const node = this.#node
    const count = u16(node, at + 4)
    const type = u16(node, at)
    const lowered = hasLoweredNames(type) ? type : NOT_LOWERED
    // Lower case can change the order of several records.
    if (count > 1 && lowered !== NOT_LOWERED) this.#copySorted(at + RRSET_HEADER_OCTETS, count, type)
    else this.#copyRecords(at + RRSET_HEADER_OCTETS, count, lowered)
  }

  #copyRecords(start: number, count: number, lowered: number): void {
    const node = this.#node
    let at = start
    for (let left = count; left > 0; left--) {
      const end = at + RECORD_HEADER_OCTETS + u16(node, at + 10)
      this.#copyRecord(at, end, lowered)
      at = end
    }
  }

  #copySorted(start: number, count: number, type: number): void {
    const node = this.#node
    const starts: number[] = []
    for (let at = start; starts.length < count; at += RECORD_HEADER_OCTETS + u16(node, at + 10))
      starts.push(at)
    const rdataAt = (at: number): Uint8Array => {
      return node.subarray(at + RECORD_HEADER_OCTETS, at + RECORD_HEADER_OCTETS + u16(node, at + 10))
    }
    starts.sort((a, b) => compareCanonicalRdata(type, rdataAt(a), rdataAt(b)))
    for (const at of starts) this.#copyRecord(at, at + RECORD_HEADER_OCTETS + u16(node, at + 10), type)
  }

  /** `lowered`: the type, when RDATA of it have names in lower case. */
  #copyRecord(start: number, end: number, lowered: number): void {
    const type16 = start + 2
    const owned = this.#at + this.#ownerOctets
    const to = owned + end - type16
    copyWords(this.#ownerWords, 0, this.#ownerOctets, this.#outWords, this.#at)
    copyWords(this.#nodeWords, type16, end, this.#outWords, owned)
    const rdata = owned + RECORD_HEADER_OCTETS - 2
    const right =
      lowered === NOT_LOWERED || (lowered === TYPE.RRSIG && this.#isApex(rdata + RRSIG_FIXED_OCTETS))
    if (!right) canonicalizeInPlace(lowered, this.#out, rdata, to)
    this.#at = to
    if (to >= PART_OCTETS) this.#flush()
  }

  /** Whether the name is the apex in lower case already, as in nearly every RRSIG, which are half of all records. */
  #isApex(start: number): boolean {
    const apex = this.#apex
    const out = this.#out
    let at = 0
    while (at < apex.length && out[start + at] === apex[at]) at++
    return at === apex.length
  }

  #flush(): void {
    this.#hash.update(this.#out.subarray(0, this.#at))
    this.#at = 0
    this.parts++
  }
}

const NOT_LOWERED = 0

/** I3. */
function copyWords(from: DataView, start: number, end: number, out: DataView, outStart: number): void {
  let to = outStart
  for (let at = start; at < end; at += WORD_OCTETS) {
    out.setUint32(to, from.getUint32(at, true), true)
    to += WORD_OCTETS
  }
}
