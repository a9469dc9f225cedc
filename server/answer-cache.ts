/** Answers that this thread has given before, whole, to be given again while the version is the same. Not here: what is
 *  answered; a query with TSIG, or one that failed before it was looked up, never comes here.
 *
 *    hash of question and limit ─▶ set of four slots: hash, place
 *    place = generation:11 | 16 octets:21 ─▶ ring of entries, the oldest is written over
 *    entry = key:u32  questionEnd:u16 kinds:u16  octets:u32  unused:u32  the response
 *
 *  I1  The response to a query is decided by version, question (as spelled), EDNS, DO and the octets it may have; of the
 *      rest of the query it repeats only ID and RD. All that decides is in the key or the question, and is compared.
 *  I2  An entry counts only in the version that it was made in, and until the ring has come round to it: `generation`
 *      goes up with each version and with each turn of the ring, and a slot of another one is empty. It starts over
 *      only after the slots were cleared.
 *  I3  What is asked once, of whichever thread, is not kept: names made up at random push nothing out. Threads note that in
 *      one block and without atomics: what a race loses is noted when it is asked again.
 *  I4  Nothing is allocated per query; memory is touched only as answers are kept.
 *  I5  Who chooses questions whose hashes collide makes a few of them be composed as often as they are asked. */

import { copyOctets, viewOf } from '../base/octets.ts'
import { FLAG_RD, HEADER_OCTETS, type Query } from './query.ts'

/** 65,536 answers of 512 octets. */
export const CACHE_OCTETS: number = 32 << 20
/** Twice as many slots as those answers, so that few sets of four overflow. */
const SLOTS = 1 << 17
const WAYS = 4
/** Longer answers are rare, and copying is most of what they cost. */
const ENTRY_OCTETS_MAX = 1536
const ENTRY_HEADER_OCTETS = 16
const UNIT_SHIFT = 4
const GENERATION_SHIFT = 21
const UNIT_MASK: number = (1 << GENERATION_SHIFT) - 1
/** No slot of an empty table looks like one of the first generation, or of the one before. */
const GENERATION_FIRST = 2
const GENERATION_MAX = 2046
/** Bits of questions that were asked once, emptied when a quarter is set; how many are, stands behind them. */
const SEEN_BITS = 1 << 20
const SEEN_MAX: number = SEEN_BITS >> 2
const SEEN_WORDS: number = SEEN_BITS >> 5
export const SEEN_OCTETS: number = (SEEN_WORDS + 1) * 4

const KEY_EDNS = 1 << 16
const KEY_DNSSEC_OK = 1 << 17

export class AnswerCache {
  /** Of the answer that `answer` gave last: what was passed to `keep` with it. */
  kinds = 0
  readonly #slots = new Int32Array(SLOTS * 2)
  readonly #seen: Int32Array
  readonly #octets: Uint8Array
  readonly #words: Int32Array
  readonly #view: DataView
  #version = -1
  #generation = GENERATION_FIRST
  /** Where the next entry goes. */
  #head = 0
  /** Of the query asked for last. */
  #key = 0
  #hash = 0

  /** `seen` has SEEN_OCTETS, the same of all threads that get each other's questions; `ringOctets` is a power of two, at
   *  most 32 MiB. */
  constructor(seen: SharedArrayBuffer, ringOctets: number = CACHE_OCTETS) {
    this.#seen = new Int32Array(seen)
    const ring = new ArrayBuffer(ringOctets)
    this.#octets = new Uint8Array(ring)
    this.#words = new Int32Array(ring)
    this.#view = new DataView(ring)
  }

  /** The version that answers are from now on. */
  use(version: number): void {
    if (version === this.#version) return
    this.#version = version
    // Neither this generation's entries nor those of the ring's turn before.
    this.#turn(2)
  }

  #turn(generations: number): void {
    this.#generation += generations
    this.#head = 0
    if (this.#generation <= GENERATION_MAX) return
    this.#slots.fill(0)
    this.#generation = GENERATION_FIRST
  }

  /** Writes the response to the query into `out` and returns its length; 0 when there is none. */
  answer(query: Query, octetsMax: number, out: Uint8Array): number {
    this.#key = octetsMax | (query.edns ? KEY_EDNS : 0) | (query.dnssecOk ? KEY_DNSSEC_OK : 0)
    this.#hash = hashOf(this.#key, query)
    const at = this.#find(query)
    if (at < 0) return 0
    const words = this.#words
    const octets = words[(at >> 2) + 2]!
    copyOctets(this.#view, at + ENTRY_HEADER_OCTETS, viewOf(out), 0, octets)
    out[0] = query.octets[0]!
    out[1] = query.octets[1]!
    out[2] = (out[2]! & ~FLAG_RD) | (query.octets[2]! & FLAG_RD)
    this.kinds = words[(at >> 2) + 1]! >>> 16
    return octets
  }

  /** Where the entry for the query at hand is in the ring; −1: nowhere. */
  #find(query: Query): number {
    const slots = this.#slots
    const hash = this.#hash
    const set = setOf(hash)
    for (let slot = set; slot < set + 2 * WAYS; slot += 2) {
      if (slots[slot] !== hash) continue
      const at = this.#entryAt(slots[slot + 1]!)
      if (at >= 0 && this.#isOf(at, query)) return at
    }
    return -1
  }

  /** I2: the octet where a slot's entry is, or −1. */
  #entryAt(place: number): number {
    const at = (place & UNIT_MASK) << UNIT_SHIFT
    const generation = place >>> GENERATION_SHIFT
    if (generation === this.#generation) return at < this.#head ? at : -1
    // What is before the head has been written over; entries near it may have been in part.
    return generation === this.#generation - 1 && at >= this.#head ? at : -1
  }

  /** I1. */
  #isOf(at: number, query: Query): boolean {
    const words = this.#words
    const end = query.questionEnd
    if (words[at >> 2] !== this.#key || (words[(at >> 2) + 1]! & 0xffff) !== end) return false
    const stored = this.#octets
    const { octets } = query
    const offset = at + ENTRY_HEADER_OCTETS
    for (let index = HEADER_OCTETS; index < end; index++) {
      if (stored[offset + index] !== octets[index]) return false
    }
    return true
  }

  /** Keeps the response to the query that `answer` did not know, if it was asked before. `kinds` is the caller's, 16 bits. */
  keep(query: Query, out: Uint8Array, octets: number, kinds: number): void {
    if (octets > ENTRY_OCTETS_MAX - ENTRY_HEADER_OCTETS || this.#isNew()) return
    const words = this.#words
    if (this.#head + ENTRY_OCTETS_MAX > this.#octets.length) this.#turn(1)
    const at = this.#head
    const word = at >> 2
    words[word] = this.#key
    words[word + 1] = query.questionEnd | (kinds << 16)
    words[word + 2] = octets
    copyOctets(viewOf(out), 0, this.#view, at + ENTRY_HEADER_OCTETS, octets)
    this.#head = (at + ENTRY_HEADER_OCTETS + octets + 15) & ~15
    this.#enter((this.#generation << GENERATION_SHIFT) | (at >> UNIT_SHIFT))
  }

  /** Into an empty slot of the set, or instead of any. */
  #enter(place: number): void {
    const slots = this.#slots
    const set = setOf(this.#hash)
    let slot = set + 2 * ((place ^ this.#hash) & (WAYS - 1))
    for (let way = 0; way < WAYS; way++) {
      if (this.#entryAt(slots[set + 2 * way + 1]!) < 0) slot = set + 2 * way
    }
    slots[slot] = this.#hash
    slots[slot + 1] = place
  }

  /** I3: true the first time, for all that was not asked lately. */
  #isNew(): boolean {
    const seen = this.#seen
    const word = (this.#hash >>> 7) & (SEEN_WORDS - 1)
    const bit = 1 << (this.#hash & 31)
    if ((seen[word]! & bit) !== 0) return false
    if (seen[SEEN_WORDS]! >= SEEN_MAX) seen.fill(0)
    seen[SEEN_WORDS]!++
    seen[word]! |= bit
    return true
  }
}

function setOf(hash: number): number {
  return ((hash >>> 5) & (SLOTS / WAYS - 1)) * 2 * WAYS
}

/** Of the question's octets, four at a time, and the key. */
function hashOf(key: number, query: Query): number {
  const { octets, questionEnd } = query
  let hash = key
  let at = HEADER_OCTETS
  for (; at + 4 <= questionEnd; at += 4) {
    const four = octets[at]! | (octets[at + 1]! << 8) | (octets[at + 2]! << 16) | (octets[at + 3]! << 24)
    hash = Math.imul(hash ^ four, 0x9e3779b1)
    hash ^= hash >>> 15
  }
  for (; at < questionEnd; at++) hash = Math.imul(hash ^ octets[at]!, 0x9e3779b1)
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  return hash ^ (hash >>> 13)
}
