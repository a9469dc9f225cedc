/** The octets of a zone that its digest is made of (RFC 8976 §3.3.1, §3.4.1): RRs of one owner after the other, each with
 *  its owner name, in canonical form (RFC 4034 §6.2) and order.
 *
 *    node  = … [C00C type class TTL length RDATA]*        as stored: a pointer where the owner belongs
 *    part  =   [owner type class TTL length RDATA]*       lower case where it is canonical
 *
 *    memory = owner | leaf of names | leaf of hashes | large node | records of a larger one | part | part
 *
 *  I1  Every RR once, glue and occluded names too; not the apex's ZONEMD RRset nor the RRSIGs over it.
 *  I2  RRs of an owner go by type, where all RRSIGs are of type 46 whatever they cover; of a type by canonical RDATA.
 *  I3  One part is composed while the other is hashed; what is being hashed is not written, and its memory is lent to nobody
 *      else, whatever happens. */

import { giveBackPages } from '../base/index.ts'
import {
  canonicalizeInPlace,
  compareCanonicalRdata,
  firstRRsetAt,
  hasLoweredNames,
  LEAF_OCTETS,
  type LeafRoom,
  nextRRsetAt,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  type TreeCursor,
  TYPE,
  u16,
  writeLabelsOfKey,
} from '../zones/index.ts'
import { HASHED_LABEL_OCTETS, writeBase32Hex } from './nsec3.ts'
import { OVERRUN_OCTETS, type OwnerMemory, ownerMemory } from './owner-memory.ts'
import { RRSIG_FIXED_OCTETS } from './rrsig.ts'
import type { ZoneHash } from './zone-hash.ts'

/** What is handed to the hash at once. */
const PART_OCTETS = 1 << 20
/** Records of an RRset, or their signatures, that get their owners at once; each RR alone at least. */
const RUN_OCTETS_MAX = 1 << 17
/** Type, class, TTL and length. */
const OWNED_HEADER_OCTETS = 10
/** V8 copies shared memory in words only to where they begin as well. */
const WORD_OCTETS = 8
/** A part is handed over behind an owner; RRs that have no room in it until then spill. */
const PART_ROOM = PART_OCTETS + RUN_OCTETS_MAX
/** From one part to the other: what is written beyond one is not in the other (I3). */
const PART_STRIDE = PART_ROOM + OVERRUN_OCTETS + 1
/** The owner's labels end where the apex is, which all owners have. */
const APEX_AT = 512
const NAMES_AT = 1 << 12
const HASHES_AT = NAMES_AT + LEAF_OCTETS
const NODE_AT = HASHES_AT + LEAF_OCTETS
/** Of a node that is not in its leaf; larger ones stay where they are. */
const NODE_OCTETS_MAX = 1 << 16
const RUN_AT = NODE_AT + NODE_OCTETS_MAX + WORD_OCTETS
const PARTS_AT = RUN_AT + (1 << 16)
export const DIGESTER_OCTETS: number = PARTS_AT + 2 * PART_STRIDE

export class ZoneDigester {
  /** For the cursors of both trees. */
  readonly namesRoom: LeafRoom
  readonly hashesRoom: LeafRoom
  readonly #hash: ZoneHash
  readonly #apexOctets: number
  readonly #apexWords: readonly number[]
  readonly #memory: OwnerMemory
  readonly #lent: boolean
  readonly #octets: Uint8Array
  readonly #view: DataView
  /** The part that is composed, and how far. */
  #start = PARTS_AT
  #at = PARTS_AT
  /** What comes before it: of an owner with more RRs than a part has room for. */
  #spilled: Uint8Array[] = []
  #hashing: Promise<void> | undefined
  /** What the node at hand is in: our memory, or the store's. */
  #node: Uint8Array
  #owner = APEX_AT
  #ownerOctets = 0

  /** `own`: memory of DIGESTER_OCTETS; without, some is lent. */
  constructor(hash: ZoneHash, canonicalApex: Uint8Array, own?: OwnerMemory) {
    const memory = own ?? lend()
    this.#lent = own === undefined
    this.#hash = hash
    this.#apexOctets = canonicalApex.length
    memory.octets.set(canonicalApex, APEX_AT)
    this.#view = new DataView(memory.octets.buffer)
    this.#apexWords = wordsAt(canonicalApex.length).map(at => this.#view.getInt32(APEX_AT + at))
    this.#memory = memory
    this.#octets = memory.octets
    this.namesRoom = { octets: memory.octets, at: NAMES_AT }
    this.hashesRoom = { octets: memory.octets, at: HASHES_AT }
    this.#node = memory.octets
  }

  /** The owner that the cursor of the names tree is on. */
  name(cursor: TreeCursor): void {
    const length = cursor.loadKey()
    // Labels are as long as the key that they are of, or shorter.
    const at = APEX_AT - length
    const labels = writeLabelsOfKey(cursor.key, 0, length, this.#octets, at)
    if (labels < length) this.#octets.copyWithin(APEX_AT - labels, at, at + labels)
    this.#records(cursor, labels)
  }

  /** The hash that the cursor of the NSEC3 tree is on. */
  hash(cursor: TreeCursor): void {
    const hash = cursor.key.subarray(0, cursor.loadKey())
    this.#octets[APEX_AT - 1 - HASHED_LABEL_OCTETS] = HASHED_LABEL_OCTETS
    writeBase32Hex(hash, this.#octets, APEX_AT - HASHED_LABEL_OCTETS)
    this.#records(cursor, 1 + HASHED_LABEL_OCTETS)
  }

  /** Whether a part is to be handed over before the next owner. */
  get full(): boolean {
    return this.#spilled.length > 0 || this.#at - this.#start >= PART_OCTETS
  }

  async handOver(): Promise<void> {
    const parts = [...this.#spilled, this.#octets.subarray(this.#start, this.#at)]
    this.#spilled = []
    for (const part of parts) {
      await this.#hashing
      this.#hashing = this.#hash.part(part)
    }
    // I3: the other one is hashed now.
    this.#start = this.#start === PARTS_AT ? PARTS_AT + PART_STRIDE : PARTS_AT
    this.#at = this.#start
  }

  async end(): Promise<Uint8Array> {
    if (this.#spilled.length > 0) await this.handOver()
    await this.#hashing
    return this.#hash.end(this.#octets.subarray(this.#start, this.#at))
  }

  /** Afterwards nothing here is of use. */
  async close(): Promise<void> {
    await this.#hashing?.catch(() => undefined)
    if (!this.#lent) return
    // Small zones, of which there may be thousands, touch little of it.
    if (this.#hashing !== undefined) giveBackPages(this.#octets, 0, this.#octets.length)
    free = this.#memory
  }

  /** I2: RRsets of types below 46, then every RRset's signatures, which ascend with the type they cover, then the rest. */
  #records(cursor: TreeCursor, labels: number): void {
    const apex = labels === 0
    this.#owner = APEX_AT - labels
    this.#ownerOctets = labels + this.#apexOctets
    const start = this.#load(cursor)
    const node = this.#node
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
      const next = signatures + u16(node, at + 8)
      if (!apex || u16(node, at) !== TYPE.ZONEMD) this.#run(signatures, next, node[at + 3]!, TYPE.RRSIG)
      at = next
    }
    for (at = behind; left > 0; left--) {
      if (!apex || u16(node, at) !== TYPE.ZONEMD) this.#rrset(at)
      at = nextRRsetAt(node, at)
    }
  }

  /** Where the node starts. */
  #load({ bytes, valueStart, valueEnd }: TreeCursor): number {
    this.#node = this.#octets
    if (bytes === this.#octets) return valueStart
    if (valueEnd - valueStart <= NODE_OCTETS_MAX) {
      const at = NODE_AT + (valueStart % WORD_OCTETS)
      this.#octets.set(bytes.subarray(valueStart, valueEnd), at)
      return at
    }
    this.#node = bytes
    return valueStart
  }

  #rrset(at: number): void {
    const node = this.#node
    const type = u16(node, at)
    const count = u16(node, at + 4)
    const start = at + RRSET_HEADER_OCTETS
    const end = start + u16(node, at + 6)
    const lowered = hasLoweredNames(type) ? type : NOT_LOWERED
    // Lower case can change the order of several records.
    if (count > 1 && lowered !== NOT_LOWERED) this.#sorted(start, end, type)
    else this.#run(start, end, count, lowered)
  }

  #sorted(start: number, end: number, type: number): void {
    const node = this.#node
    const starts = this.#starts(start, end)
    const rdataAt = (at: number): Uint8Array => node.subarray(at + RECORD_HEADER_OCTETS, recordEnd(node, at))
    starts.sort((a, b) => compareCanonicalRdata(type, rdataAt(a), rdataAt(b)))
    for (const at of starts) this.#run(at, recordEnd(node, at), 1, type)
  }

  #starts(start: number, end: number): number[] {
    const starts: number[] = []
    for (let at = start; at < end; at = recordEnd(this.#node, at)) starts.push(at)
    return starts
  }

  /** Records [start..end) of the node, so many. `lowered`: the type, when RDATA of it have names in lower case. */
  #run(start: number, end: number, count: number, lowered: number): void {
    if (count === 0) return
    const octets = count * this.#ownerOctets + end - start
    if (octets > RUN_OCTETS_MAX) {
      for (const at of this.#starts(start, end)) this.#run(at, recordEnd(this.#node, at), 1, lowered)
      return
    }
    if (this.#at + octets > this.#start + PART_ROOM) this.#spill()
    const near = this.#node === this.#octets
    if (!near) this.#octets.set(this.#node.subarray(start, end), RUN_AT)
    const from = near ? start : RUN_AT
    const to = this.#at
    this.#at = this.#memory.own(to, this.#owner, this.#ownerOctets, from, from + end - start)
    if (lowered !== NOT_LOWERED) this.#lower(to, lowered)
  }

  /** Records in the part from there on. */
  #lower(start: number, type: number): void {
    for (let at = start; at < this.#at; ) {
      const rdata = at + this.#ownerOctets + OWNED_HEADER_OCTETS
      at = rdata + u16(this.#octets, rdata - 2)
      const right = type === TYPE.RRSIG && this.#isApex(rdata + RRSIG_FIXED_OCTETS)
      if (!right) canonicalizeInPlace(type, this.#octets, rdata, at)
    }
  }

  /** Whether the name is the apex in lower case already, as in nearly every RRSIG, which are half of all records. */
  #isApex(start: number): boolean {
    const words = this.#apexWords
    const last = words.length - 1
    for (let index = 0; index < last; index++) {
      if (this.#view.getInt32(start + 4 * index) !== words[index]) return false
    }
    return last >= 0 && this.#view.getInt32(start + this.#apexOctets - 4) === words[last]
  }

  #spill(): void {
    this.#spilled.push(this.#octets.slice(this.#start, this.#at))
    this.#at = this.#start
  }
}

const NOT_LOWERED = 0

/** Where words begin that cover so many octets: one after the other, but for the last, which ends there. None for fewer. */
function wordsAt(octets: number): number[] {
  const starts: number[] = []
  for (let at = 0; at + 4 < octets; at += 4) starts.push(at)
  return octets < 4 ? [] : [...starts, octets - 4]
}

function recordEnd(node: Uint8Array, at: number): number {
  return at + RECORD_HEADER_OCTETS + u16(node, at + 10)
}

/** What a digest uses is kept for the next one, without its pages; those that are made at the same time have their own. */
let free: OwnerMemory | undefined

function lend(): OwnerMemory {
  const memory = free ?? ownerMemory(DIGESTER_OCTETS)
  free = undefined
  return memory
}
