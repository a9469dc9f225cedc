/** Owners that do not come in canonical order, with their records, until all are there: then in order. A tree whose keys
 *  are put in order is made several times faster than one that gets them at random, and its pages are full.
 *
 *    entry  = keyOctets:u16 spellingOctets:u8 key spelling records      OwnerRecords.save
 *    chunk  = entries, one behind the other; one that is larger than a chunk has its own
 *    pair   = ref:u32 head:u32     ref: chunk number and offset; head: four octets of the key, big-endian
 *
 *  I1  Sorted, equal keys are next to each other in the order they came: references ascend.
 *  I2  No key is a prefix of another followed by 00 (name.ts I2), so a key that has ended may be padded with 00. */

import { u16 } from './node.ts'
import type { OwnerRecords } from './owner-records.ts'

const CHUNK_OCTETS_SHIFT = 20
const CHUNK_OCTETS: number = 1 << CHUNK_OCTETS_SHIFT
const HEADER_OCTETS = 3
const FIRST_PAIRS = 1024
/** So few are sorted faster by comparing whole keys. */
const INSERTION_MAX = 12
/** Which word of a pair is the lower half of its 64 bits: there is the reference. */
const REF: number = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1
const HEAD: number = 1 - REF

/** A chunk for the next zone: most need one or none. */
let spare: Uint8Array | undefined

export class WaitingOwners {
  count = 0
  #pairs = new Uint32Array(0)
  readonly #chunks: Uint8Array[] = []
  #chunk: Uint8Array = new Uint8Array(0)
  #end = 0

  /** Takes key[keyStart..keyEnd), the owner's labels with capitals if it has any, and copies of the records. */
  add(
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    spelling: Uint8Array,
    spellingOctets: number,
    records: OwnerRecords,
  ): void {
    const keyOctets = keyEnd - keyStart
    this.#makeRoom(HEADER_OCTETS + keyOctets + spellingOctets + records.savedOctets)
    const chunk = this.#chunk
    let at = this.#end
    this.#addPair(((this.#chunks.length - 1) << CHUNK_OCTETS_SHIFT) | at, headOf(key, keyStart, keyEnd))
    chunk[at++] = keyOctets >>> 8
    chunk[at++] = keyOctets
    chunk[at++] = spellingOctets
    for (let from = keyStart; from < keyEnd; from++) chunk[at++] = key[from]!
    for (let from = 0; from < spellingOctets; from++) chunk[at++] = spelling[from]!
    this.#end = records.save(chunk, at)
  }

  #makeRoom(octets: number): void {
    if (this.#end + octets <= this.#chunk.length) return
    const shared = octets <= CHUNK_OCTETS
    this.#chunk = (shared ? spare : undefined) ?? new Uint8Array(Math.max(octets, CHUNK_OCTETS))
    if (shared) spare = undefined
    this.#chunks.push(this.#chunk)
    this.#end = 0
  }

  #addPair(ref: number, head: number): void {
    if (2 * this.count === this.#pairs.length) {
      const pairs = new Uint32Array(Math.max(2 * FIRST_PAIRS, 2 * this.#pairs.length))
      pairs.set(this.#pairs)
      this.#pairs = pairs
    }
    this.#pairs[2 * this.count + REF] = ref
    this.#pairs[2 * this.count + HEAD] = head
    this.count++
  }

  /** I1. From here on owners have ranks, from 0 to `count`. */
  sort(): void {
    this.#sort(0, this.count, 0)
  }

  /** Sorts ranks whose keys agree in the first `depth` octets: by the next four, then those that agree in these too. */
  #sort(from: number, to: number, depth: number): void {
    if (to - from <= INSERTION_MAX) {
      this.#insertionSort(from, to, depth)
      return
    }
    const pairs = this.#pairs
    if (depth > 0) for (let rank = from; rank < to; rank++) pairs[2 * rank + HEAD] = this.#headAt(rank, depth)
    new BigUint64Array(pairs.buffer, 8 * from, to - from).sort()
    for (let start = from; start < to; ) {
      const head = pairs[2 * start + HEAD]!
      let end = start + 1
      while (end < to && pairs[2 * end + HEAD] === head) end++
      // I2: an octet of 00 at the end of all, or behind it, leaves nothing to compare.
      if (end - start > 1 && this.keyOctets(start) > depth + 4) this.#sort(start, end, depth + 4)
      start = end
    }
  }

  #headAt(rank: number, depth: number): number {
    const chunk = this.#chunkOf(rank)
    const key = this.#offsetOf(rank) + HEADER_OCTETS
    return headOf(chunk, key + depth, key + this.keyOctets(rank))
  }

  #insertionSort(from: number, to: number, depth: number): void {
    const pairs = this.#pairs
    for (let index = from + 1; index < to; index++) {
      const ref = pairs[2 * index + REF]!
      let rank = index
      for (; rank > from && this.#compare(pairs[2 * rank - 2 + REF]!, ref, depth) > 0; rank--) {
        pairs[2 * rank + REF] = pairs[2 * rank - 2 + REF]!
      }
      pairs[2 * rank + REF] = ref
    }
  }

  /** Order of two entries whose keys agree in the first `depth` octets. */
  #compare(a: number, b: number, depth: number): number {
    const chunkA = this.#chunks[a >>> CHUNK_OCTETS_SHIFT]!
    const chunkB = this.#chunks[b >>> CHUNK_OCTETS_SHIFT]!
    const atA = a & (CHUNK_OCTETS - 1)
    const atB = b & (CHUNK_OCTETS - 1)
    const octetsA = u16(chunkA, atA)
    const octetsB = u16(chunkB, atB)
    const shorter = Math.min(octetsA, octetsB)
    for (let at = depth; at < shorter; at++) {
      const difference = chunkA[atA + HEADER_OCTETS + at]! - chunkB[atB + HEADER_OCTETS + at]!
      if (difference !== 0) return difference
    }
    return octetsA - octetsB || a - b
  }

  #chunkOf(rank: number): Uint8Array {
    return this.#chunks[this.#pairs[2 * rank + REF]! >>> CHUNK_OCTETS_SHIFT]!
  }

  #offsetOf(rank: number): number {
    return this.#pairs[2 * rank + REF]! & (CHUNK_OCTETS - 1)
  }

  keyOctets(rank: number): number {
    return u16(this.#chunkOf(rank), this.#offsetOf(rank))
  }

  /** Whether the owner is that of the rank before. */
  isSameAsBefore(rank: number): boolean {
    if (rank === 0) return false
    const octets = this.keyOctets(rank)
    if (octets !== this.keyOctets(rank - 1)) return false
    const chunk = this.#chunkOf(rank)
    const before = this.#chunkOf(rank - 1)
    const at = this.#offsetOf(rank) + HEADER_OCTETS
    const beforeAt = this.#offsetOf(rank - 1) + HEADER_OCTETS
    for (let index = octets - 1; index >= 0; index--) {
      if (chunk[at + index] !== before[beforeAt + index]) return false
    }
    return true
  }

  /** Writes the key to `out` at `start` and returns the offset behind it. */
  copyKey(rank: number, out: Uint8Array, start: number): number {
    const chunk = this.#chunkOf(rank)
    const from = this.#offsetOf(rank) + HEADER_OCTETS
    const octets = this.keyOctets(rank)
    for (let index = 0; index < octets; index++) out[start + index] = chunk[from + index]!
    return start + octets
  }

  /** Writes the owner's labels as they were spelled, and returns their octets; 0 when there are no capitals. */
  copySpelling(rank: number, out: Uint8Array): number {
    const chunk = this.#chunkOf(rank)
    const at = this.#offsetOf(rank)
    const octets = chunk[at + 2]!
    const from = at + HEADER_OCTETS + this.keyOctets(rank)
    for (let index = 0; index < octets; index++) out[index] = chunk[from + index]!
    return octets
  }

  /** Adds the owner's records to `records`. */
  loadRecords(rank: number, records: OwnerRecords): void {
    const chunk = this.#chunkOf(rank)
    const at = this.#offsetOf(rank)
    records.load(chunk, at + HEADER_OCTETS + this.keyOctets(rank) + chunk[at + 2]!)
  }

  /** Forgets all. */
  clear(): void {
    const first = this.#chunks.find(chunk => chunk.length === CHUNK_OCTETS)
    spare ??= first
    this.#chunks.length = 0
    this.#chunk = new Uint8Array(0)
    this.#pairs = new Uint32Array(0)
    this.count = this.#end = 0
  }
}

/** Four octets of the key, from `at` on. */
function headOf(key: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end)
    return ((key[at]! << 24) | (key[at + 1]! << 16) | (key[at + 2]! << 8) | key[at + 3]!) >>> 0
  let head = 0
  for (let index = at; index < at + 4; index++) head = (head << 8) | (index < end ? key[index]! : 0)
  return head >>> 0
}
