/** What one thread keeps while it answers: the query, the response, and where in the zones we are.
 *  I1  One object per thread, made once; answering allocates nothing.
 *  I2  `names` are the names asked one after the other: 0 is the question, each next the target of a CNAME or DNAME.
 *      `key` is the absolute key of the last, and `view` the zone that it is looked up in. */

import { KEY_OCTETS_MAX, lowerCase, NAME_OCTETS_MAX, writeKey } from '../zones/reading.ts'
import type { SnapshotCursor, SnapshotReader } from './answerer.ts'
import { Nsec3Hasher } from './nsec3-hash.ts'
import { HEADER_OCTETS, Query } from './query.ts'
import { RCODE_NOERROR } from './rcode.ts'
import {
  OWNER_WRITTEN,
  type Parts,
  POINTER_TO_QUESTION,
  RECORDS,
  RECORDS_AND_SIGNATURES,
  Response,
} from './response.ts'
import { type ZoneView, ZoneViews } from './zone-view.ts'

/** CNAMEs and DNAMEs followed for one question: as many as BIND 9.18 follows. */
export const CNAME_CHAIN_MAX = 16
/** RRsets that several names of a chain may ask for, each once in a response: for each name three NSEC or NSEC3
 *  (RFC 5155 §7.2) and a DNAME. */
const ONCE_MAX = 4 * (CNAME_CHAIN_MAX + 1)

const EMPTY = new Uint8Array(0)

export class AnswerState {
  readonly query: Query = new Query()
  readonly response: Response = new Response(this.query)
  /** Positioned by the look-up of the name asked. */
  readonly cursor: SnapshotCursor
  /** For everything else. */
  readonly side: SnapshotCursor
  readonly catalogue: SnapshotCursor
  readonly views: ZoneViews = new ZoneViews()
  readonly hasher: Nsec3Hasher = new Nsec3Hasher()
  catalogueRoot = 0

  view: ZoneView | undefined
  /** I2. */
  chain = 0
  nameOctets: Uint8Array = EMPTY
  nameStart = 0
  nameLength = 0
  readonly key: Uint8Array = new Uint8Array(KEY_OCTETS_MAX + 2)
  keyOctets = 0
  readonly sideKey: Uint8Array = new Uint8Array(KEY_OCTETS_MAX + 2)
  sideKeyOctets = 0

  /** The node whose addresses are wanted now. */
  targetOctets: Uint8Array = EMPTY
  targetNode = 0
  /** Nodes whose addresses are in the additional section. */
  additionals = 0
  readonly additionalOctets: Uint8Array[] = []
  readonly additionalAt: Float64Array = new Float64Array(64)

  rcode: number = RCODE_NOERROR
  authoritative = true
  /** RRSIGs are wanted (RFC 4035 §3.1). */
  parts: Parts = RECORDS
  /** Statistics of this response. */
  referral = false
  noData = false
  wildcard = false

  /** Names 1 and on of the chain, a row of 256 octets each, and the source of synthesis' zone where a wildcard
   *  answered (its proof is due), with the octets of the closest encloser in the name's key. */
  readonly #targets: Uint8Array[] = []
  readonly #targetLengths = new Int32Array(CNAME_CHAIN_MAX + 1)
  readonly wildcardViews: (ZoneView | undefined)[] = []
  readonly wildcardEnclosers: Int32Array = new Int32Array(CNAME_CHAIN_MAX + 1)
  wildcards = 0

  readonly #onceOctets: Uint8Array[] = []
  readonly #onceAt = new Float64Array(ONCE_MAX)
  #onceCount = 0

  constructor(reader: SnapshotReader) {
    this.cursor = reader.cursor()
    this.side = reader.cursor()
    this.catalogue = reader.cursor()
    for (let index = 0; index <= CNAME_CHAIN_MAX; index++) {
      this.#targets.push(new Uint8Array(NAME_OCTETS_MAX + 1))
      this.wildcardViews.push(undefined)
    }
    for (let index = 0; index < ONCE_MAX; index++) this.#onceOctets.push(EMPTY)
    for (let index = 0; index < this.additionalAt.length; index++) this.additionalOctets.push(EMPTY)
  }

  /** Begins with the question. */
  reset(): void {
    const { query } = this
    this.chain = 0
    this.nameOctets = query.octets
    this.nameStart = HEADER_OCTETS
    this.nameLength = query.nameOctets
    this.keyOctets = writeKey(query.octets, HEADER_OCTETS, this.key)
    this.rcode = RCODE_NOERROR
    this.authoritative = true
    this.parts = query.dnssecOk ? RECORDS_AND_SIGNATURES : RECORDS
    this.referral = false
    this.noData = false
    this.wildcard = false
    this.wildcards = 0
    this.#onceCount = 0
  }

  /** Where the next target of the chain is to be written. */
  nextTarget(): Uint8Array {
    return this.#targets[this.chain + 1]!
  }

  /** Goes on with the target of that length in `nextTarget()`; false when the chain ends here, because it is as long
   *  as it may be or has come back to a name that it passed. */
  follow(length: number): boolean {
    if (this.chain + 1 >= CNAME_CHAIN_MAX) return false
    for (let index = 0; index <= this.chain; index++) if (this.#isNextTarget(index, length)) return false
    this.#targetLengths[this.chain + 1] = length
    this.goTo(this.chain + 1)
    return true
  }

  /** Makes the name at that place of the chain the one at hand. */
  goTo(index: number): void {
    this.chain = index
    if (index === 0) {
      this.nameOctets = this.query.octets
      this.nameStart = HEADER_OCTETS
      this.nameLength = this.query.nameOctets
    } else {
      this.nameOctets = this.#targets[index]!
      this.nameStart = 0
      this.nameLength = this.#targetLengths[index]!
    }
    this.keyOctets = writeKey(this.nameOctets, this.nameStart, this.key)
  }

  /** Whether the name at that place of the chain is the one of that length in `nextTarget()`. */
  #isNextTarget(index: number, length: number): boolean {
    const octets = index === 0 ? this.query.octets : this.#targets[index]!
    const start = index === 0 ? HEADER_OCTETS : 0
    if (length !== (index === 0 ? this.query.nameOctets : this.#targetLengths[index]!)) return false
    const target = this.nextTarget()
    for (let at = 0; at < length; at++) {
      if (lowerCase[octets[start + at]!] !== lowerCase[target[at]!]) return false
    }
    return true
  }

  /** Remembers that a wildcard below `enclosers` key octets answered for the name at hand: its proof is due. */
  owesWildcardProof(enclosers: number): void {
    this.wildcard = true
    this.wildcardViews[this.chain] = this.view
    this.wildcardEnclosers[this.chain] = enclosers
    this.wildcards |= 1 << this.chain
  }

  /** The owner, for an RRset of the name at hand or of its ancestor whose key has `keyEnd` octets: a pointer, or
   *  OWNER_WRITTEN after it was written. −1 when it does not fit. */
  owner(keyEnd: number): number {
    if (this.chain === 0) {
      if (keyEnd === this.keyOctets) return POINTER_TO_QUESTION
      return 0xc000 | (HEADER_OCTETS + this.nameLength - wireOctetsOfKey(this.key, 0, keyEnd))
    }
    const start = this.nameStart + this.nameLength - wireOctetsOfKey(this.key, 0, keyEnd)
    return this.response.putOwnerName(this.nameOctets, start) ? OWNER_WRITTEN : -1
  }

  /** True the first time that this RRset is asked about in this response. */
  isNewRRset(octets: Uint8Array, rrset: number): boolean {
    for (let index = 0; index < this.#onceCount; index++) {
      if (this.#onceAt[index] === rrset && this.#onceOctets[index] === octets) return false
    }
    if (this.#onceCount < ONCE_MAX) {
      this.#onceOctets[this.#onceCount] = octets
      this.#onceAt[this.#onceCount++] = rrset
    }
    return true
  }
}

/** Octets of the wire name, its final zero included, whose absolute key this is (zones/name.ts I2: each label has
 *  one octet more in both forms, and an escape has two for one). */
export function wireOctetsOfKey(key: Uint8Array, start: number, end: number): number {
  let octets = end - start + 1
  for (let at = start; at < end; at++) {
    if (key[at] === 1) {
      octets--
      at++
    }
  }
  return octets
}

/** The largest label boundary in the key not above `octets`; `least` is one. */
export function labelBoundary(key: Uint8Array, octets: number, least: number): number {
  let at = octets
  while (at > least && key[at - 1] !== 0) at--
  return at
}
