/** Owners that do not come in canonical order, with their records, until all are there: then in order. A tree whose keys
 *  are put in order is made several times faster than one that gets them at random, and its pages are full.
 *
 *    entry  = keyOctets:u16 spellingOctets:u8 key spelling records      OwnerRecords.save
 *    pair   = entry:u32 head:u32       where the entry is; four octets of its key, big-endian
 *
 *  I1  Sorted, equal keys are next to each other in the order they came: entries ascend.
 *  I2  No key is a prefix of another followed by 00 (name.ts I2), so a key that has ended may be padded with 00.
 *  I3  What was needed is given back at once by `clear`: buffers shrink in place, and are used for the next zone. */

import type { Steps } from '../base/index.ts'
import { u16 } from './node.ts'
import type { OwnerRecords } from './owner-records.ts'

/** References have 32 bits; the space is address space until it is used. The half suffices for one more owner. */
const ENTRIES_OCTETS_MAX = 2 ** 32
const FULL_OCTETS: number = ENTRIES_OCTETS_MAX / 2
const PAIR_OCTETS = 8
/** The shortest entry has more octets than two pairs. */
const PAIRS_OCTETS_MAX: number = ENTRIES_OCTETS_MAX / 2
/** Octets that a buffer keeps for the next zone. */
const KEPT_OCTETS = 1 << 16
const HEADER_OCTETS = 3
const OWNERS_A_STEP = 2048
/** So few are sorted faster by comparing whole keys. */
const INSERTION_MAX = 12
/** Which word of a pair is the lower half of its 64 bits: there is the reference. */
const REF: number = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1
const HEAD: number = 1 - REF

interface Buffers {
  readonly entries: ArrayBuffer
  readonly pairs: ArrayBuffer
}

/** Buffers that are not in use; more than one pair only where zones are read while others are. */
const spare: Buffers[] = []

function takeBuffers(): Buffers {
  return (
    spare.pop() ?? {
      entries: new ArrayBuffer(KEPT_OCTETS, { maxByteLength: ENTRIES_OCTETS_MAX }),
      pairs: new ArrayBuffer(KEPT_OCTETS, { maxByteLength: PAIRS_OCTETS_MAX }),
    }
  )
}

export class WaitingOwners {
  count = 0
  #buffers: Buffers | undefined
  /** Views of fixed length: those that follow a buffer's are read much slower. */
  #entries = new Uint8Array(0)
  #pairs = new Uint32Array(0)
  #end = 0
  readonly #fullOctets: number

  /** Is `full` with so many octets. */
  constructor(fullOctets: number = FULL_OCTETS) {
    this.#fullOctets = fullOctets
  }

  /** No more should wait; one more owner can. */
  get full(): boolean {
    return this.#end >= this.#fullOctets
  }

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
    let at = this.#end
    const end = at + HEADER_OCTETS + keyOctets + spellingOctets + records.savedOctets
    this.#makeRoom(end, (this.count + 1) * PAIR_OCTETS)
    const entries = this.#entries
    this.#pairs[2 * this.count + REF] = at
    this.#pairs[2 * this.count++ + HEAD] = headOf(key, keyStart, keyEnd)
    entries[at++] = keyOctets >>> 8
    entries[at++] = keyOctets
    entries[at++] = spellingOctets
    for (let from = keyStart; from < keyEnd; from++) entries[at++] = key[from]!
    for (let from = 0; from < spellingOctets; from++) entries[at++] = spelling[from]!
    this.#end = records.save(entries, at)
  }

  #makeRoom(entriesOctets: number, pairsOctets: number): void {
    if (entriesOctets <= this.#entries.length && pairsOctets <= this.#pairs.byteLength) return
    this.#buffers ??= takeBuffers()
    const { entries, pairs } = this.#buffers
    grow(entries, entriesOctets)
    grow(pairs, pairsOctets)
    this.#entries = new Uint8Array(entries, 0, entries.byteLength)
    this.#pairs = new Uint32Array(pairs, 0, pairs.byteLength / 4)
  }

  /** I1. From here on owners have ranks, from 0 to `count`. */
  *sort(): Steps<void> {
    new BigUint64Array(this.#pairs.buffer, 0, this.count).sort()
    let sorted = 0
    for (let start = 0; start < this.count; ) {
      const end = this.#sortRun(start, this.count, 0)
      if (end - sorted > OWNERS_A_STEP) {
        yield
        sorted = end
      }
      start = end
    }
  }

  /** Sorts ranks whose keys agree in the first `depth` octets: by the next four, then those that agree in these too. */
  #sort(from: number, to: number, depth: number): void {
    if (to - from <= INSERTION_MAX) {
      this.#insertionSort(from, to, depth)
      return
    }
    const pairs = this.#pairs
    for (let rank = from; rank < to; rank++) pairs[2 * rank + HEAD] = this.#headAt(rank, depth)
    new BigUint64Array(pairs.buffer, PAIR_OCTETS * from, to - from).sort()
    for (let start = from; start < to; ) start = this.#sortRun(start, to, depth)
  }

  /** Of ranks in order of their heads, those that have the head of the first; returns the rank behind them. */
  #sortRun(start: number, to: number, depth: number): number {
    const pairs = this.#pairs
    const head = pairs[2 * start + HEAD]!
    let end = start + 1
    while (end < to && pairs[2 * end + HEAD] === head) end++
    // I2: an octet of 00 at the end of all, or behind it, leaves nothing to compare.
    if (end - start > 1 && this.keyOctets(start) > depth + 4) this.#sort(start, end, depth + 4)
    return end
  }

  #headAt(rank: number, depth: number): number {
    const key = this.#entryOf(rank) + HEADER_OCTETS
    return headOf(this.#entries, key + depth, key + this.keyOctets(rank))
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
    const entries = this.#entries
    const octetsA = u16(entries, a)
    const octetsB = u16(entries, b)
    const shorter = Math.min(octetsA, octetsB)
    for (let at = HEADER_OCTETS + depth; at < HEADER_OCTETS + shorter; at++) {
      const difference = entries[a + at]! - entries[b + at]!
      if (difference !== 0) return difference
    }
    return octetsA - octetsB || a - b
  }

  #entryOf(rank: number): number {
    return this.#pairs[2 * rank + REF]!
  }

  keyOctets(rank: number): number {
    return u16(this.#entries, this.#entryOf(rank))
  }

  /** Whether the owner is that of the rank before. */
  isSameAsBefore(rank: number): boolean {
    if (rank === 0) return false
    const octets = this.keyOctets(rank)
    if (octets !== this.keyOctets(rank - 1)) return false
    const entries = this.#entries
    const at = this.#entryOf(rank) + HEADER_OCTETS
    const before = this.#entryOf(rank - 1) + HEADER_OCTETS
    for (let index = octets - 1; index >= 0; index--) {
      if (entries[at + index] !== entries[before + index]) return false
    }
    return true
  }

  /** Writes the key to `out` at `start` and returns the offset behind it. */
  copyKey(rank: number, out: Uint8Array, start: number): number {
    const from = this.#entryOf(rank) + HEADER_OCTETS
    const octets = this.keyOctets(rank)
    for (let index = 0; index < octets; index++) out[start + index] = this.#entries[from + index]!
    return start + octets
  }

  /** Writes the owner's labels as they were spelled, and returns their octets; 0 when there are no capitals. */
  copySpelling(rank: number, out: Uint8Array): number {
    const at = this.#entryOf(rank)
    const octets = this.#entries[at + 2]!
    const from = at + HEADER_OCTETS + this.keyOctets(rank)
    for (let index = 0; index < octets; index++) out[index] = this.#entries[from + index]!
    return octets
  }

  /** Adds the owner's records to `records`. */
  loadRecords(rank: number, records: OwnerRecords): void {
    const at = this.#entryOf(rank)
    records.load(this.#entries, at + HEADER_OCTETS + this.keyOctets(rank) + this.#entries[at + 2]!)
  }

  /** Forgets all (I3). */
  clear(): void {
    this.#entries = new Uint8Array(0)
    this.#pairs = new Uint32Array(0)
    this.count = this.#end = 0
    if (this.#buffers === undefined) return
    for (const buffer of [this.#buffers.entries, this.#buffers.pairs]) buffer.resize(KEPT_OCTETS)
    spare.push(this.#buffers)
    this.#buffers = undefined
  }
}

function grow(buffer: ArrayBuffer, octets: number): void {
  if (octets <= buffer.byteLength) return
  const wanted = Math.max(octets, 2 * buffer.byteLength)
  // Views of 32-bit words end on a word.
  buffer.resize(Math.min(buffer.maxByteLength, Math.ceil(wanted / PAIR_OCTETS) * PAIR_OCTETS))
}

/** Four octets of the key, from `at` on. */
function headOf(key: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end)
    return ((key[at]! << 24) | (key[at + 1]! << 16) | (key[at + 2]! << 8) | key[at + 3]!) >>> 0
  let head = 0
  for (let index = at; index < at + 4; index++) head = (head << 8) | (index < end ? key[index]! : 0)
  return head >>> 0
}
