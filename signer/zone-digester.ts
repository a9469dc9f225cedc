/** The octets of a zone that its digest is made of (RFC 8976 §3.3.1, §3.4.1): RRs of one owner after the other, each with
 *  its owner name, in canonical form (RFC 4034 §6.2) and order.
 *
 *    node  = … [C00C type class TTL length RDATA]*        as stored: a pointer where the owner belongs
 *    part  =   [owner type class TTL length RDATA]*       lower case where it is canonical
 *
 *    memory = owner | leaf of names | leaf of hashes | RRset of a larger node | part
 *
 *  I1  Every RR once, glue and occluded names too; not the apex's ZONEMD RRset nor the RRSIGs over it.
 *  I2  RRs of an owner go by type, where all RRSIGs are of type 46 whatever they cover; of a type by canonical RDATA, as they
 *      are stored (zones/node.ts I1).
 *  I3  A part is hashed by whom it is composed, while the processor still has it in its cache: on another thread that takes
 *      less time, but more CPU time. */

import { giveBackPages } from '../base/index.ts'
import {
  canonicalizeInPlace,
  firstRRsetAt,
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
import {
  ABOVE,
  APEX_AT,
  BELOW,
  LOOK,
  OVERRUN_OCTETS,
  type OwnerMemory,
  ownerMemory,
  SIGNATURES,
} from './owner-memory.ts'

/** What is hashed at once. */
const PART_OCTETS = 1 << 17
/** Records of an RRset, or their signatures: no more than 65,535 octets of at least 12 each, of which each gets an owner of at
 *  most 255 octets; those of all RRsets of a node that is in its leaf are fewer. */
const RUN_OCTETS_MAX = 3 << 19
/** V8 copies shared memory in words only to where they begin as well. */
const WORD_OCTETS = 8
const NAMES_AT = 1 << 12
const HASHES_AT = NAMES_AT + LEAF_OCTETS
/** An RRset of a node that is not in its leaf. */
const RRSET_AT = HASHES_AT + LEAF_OCTETS
const PART_AT = RRSET_AT + (1 << 18)
export const DIGESTER_OCTETS: number = PART_AT + PART_OCTETS + RUN_OCTETS_MAX + OVERRUN_OCTETS

/** As node:crypto has it. */
export interface ZoneHash {
  update(octets: Uint8Array): unknown
  digest(): Uint8Array
}

export class ZoneDigester {
  /** For the cursors of both trees. */
  readonly namesRoom: LeafRoom
  readonly hashesRoom: LeafRoom
  /** How many have been hashed. */
  parts = 0
  readonly #hash: ZoneHash
  readonly #apexOctets: number
  readonly #memory: OwnerMemory
  readonly #lent: boolean
  readonly #octets: Uint8Array
  /** The end of the part. */
  #at = PART_AT

  /** `own`: memory of DIGESTER_OCTETS; without, some is lent. */
  constructor(hash: ZoneHash, canonicalApex: Uint8Array, own?: OwnerMemory) {
    const memory = own ?? lend()
    this.#lent = own === undefined
    this.#hash = hash
    this.#apexOctets = canonicalApex.length
    memory.octets.set(canonicalApex, APEX_AT)
    this.#memory = memory
    this.#octets = memory.octets
    this.namesRoom = { octets: memory.octets, at: NAMES_AT }
    this.hashesRoom = { octets: memory.octets, at: HASHES_AT }
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

  end(): Uint8Array {
    this.#update()
    return this.#hash.digest()
  }

  /** Afterwards nothing here is of use. */
  close(): void {
    if (!this.#lent) return
    // Small zones, of which there may be thousands, touch little of it.
    if (this.parts > 1) giveBackPages(this.#octets, 0, this.#octets.length)
    free = this.#memory
  }

  /** I2: RRsets of types below 46, then every RRset's signatures, which ascend with the type they cover, then the rest. */
  #records({ bytes, valueStart, valueEnd }: TreeCursor, labels: number): void {
    const first = firstRRsetAt(bytes, valueStart)
    if (bytes === this.#octets && labels > 0) this.#own(labels, first, valueEnd, BELOW | SIGNATURES | ABOVE)
    else for (const wanted of [BELOW, SIGNATURES, ABOVE]) this.#each(bytes, labels, first, valueEnd, wanted)
  }

  /** Of a node that is not in its leaf, or is the apex, RRsets one after the other. */
  #each(bytes: Uint8Array, labels: number, first: number, end: number, wanted: number): void {
    for (let at = first; at < end; ) {
      const next = nextRRsetAt(bytes, at)
      if (labels > 0 || u16(bytes, at) !== TYPE.ZONEMD) {
        const copy = RRSET_AT + (at % WORD_OCTETS)
        this.#octets.set(bytes.subarray(at, next), copy)
        this.#own(labels, copy, copy + next - at, wanted)
      }
      at = next
    }
  }

  /** What is wanted of RRsets in our memory. */
  #own(labels: number, start: number, end: number, wanted: number): void {
    if (this.#at > PART_AT + PART_OCTETS) this.#update()
    const { own } = this.#memory
    const at = own(this.#at, labels, this.#apexOctets, start, end, wanted | LOOK)
    if (at === 0) canonicalizeRRsets(this.#octets, start, end)
    this.#at = at || own(this.#at, labels, this.#apexOctets, start, end, wanted)
  }

  #update(): void {
    this.#hash.update(this.#octets.subarray(PART_AT, this.#at))
    this.#at = PART_AT
    this.parts++
  }
}

/** Turns RRsets with their signatures into canonical form. */
function canonicalizeRRsets(octets: Uint8Array, start: number, end: number): void {
  for (let at = start; at < end; ) {
    const data = at + RRSET_HEADER_OCTETS
    const signatures = data + u16(octets, at + 6)
    canonicalizeRecords(u16(octets, at), octets, data, signatures)
    at = nextRRsetAt(octets, at)
    canonicalizeRecords(TYPE.RRSIG, octets, signatures, at)
  }
}

function canonicalizeRecords(type: number, octets: Uint8Array, start: number, end: number): void {
  for (let at = start; at < end; ) {
    const rdata = at + RECORD_HEADER_OCTETS
    at = rdata + u16(octets, rdata - 2)
    canonicalizeInPlace(type, octets, rdata, at)
  }
}

/** What a digest uses is kept for the next one, without its pages; those that are made at the same time have their own. */
let free: OwnerMemory | undefined

function lend(): OwnerMemory {
  const memory = free ?? ownerMemory(DIGESTER_OCTETS)
  free = undefined
  return memory
}
