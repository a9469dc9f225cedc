/** Owners that do not come in canonical order, with their nodes, until all are there: then in order. A tree whose keys
 *  are put in order is made several times faster than one that gets them at random, and its pages are full.
 *
 *    entry  = keyOctets:u15 anew:u1 records:u32 nodeOctets:u32 key node place:u48*      a place for each record of the node
 *    pair   = entry:u32 head:u32       chunk and offset of the entry; four octets of its key, big-endian
 *
 *  I1  Sorted, equal keys are next to each other in the order they came: entries ascend.
 *  I2  No key is a prefix of another followed by 00 (name.ts I2), so a key that has ended may be padded with 00.
 *  I3  Entries are in chunks of ordinary buffers (V8 reads resizable ones two to four times slower), which `clear` gives
 *      back at once; a small zone needs none but the first, which is kept for the next.
 *  I4  An entry whose records are not to be taken as they are, because there is something to report of them, is `anew`. */

import { letGo, type Steps } from '../base/index.ts'
import { KEY_OCTETS_MAX } from './name.ts'
import { u16, u32 } from './node.ts'

/** An entry begins within this many octets of its chunk's start; one that is larger has a chunk of its own. */
const CHUNK_OCTETS_SHIFT = 20
const CHUNK_OCTETS: number = 1 << CHUNK_OCTETS_SHIFT
const FIRST_CHUNK_OCTETS = 1 << 18
/** References have 32 bits, enough for 4,096 chunks. */
const FULL_OCTETS = 2 ** 31
const HEADER_OCTETS = 10
const ANEW = 0x8000
export const PLACE_OCTETS = 6
const OWNERS_A_STEP = 2048
/** So few are sorted faster by comparing whole keys. */
const INSERTION_MAX = 12
/** Which word of a pair is the lower half of its 64 bits: there is the reference. */
const REF: number = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1
const HEAD: number = 1 - REF

const CACHE_LINE_OCTETS = 64
const RANKS_A_TOUCH = 16

const nothing: Uint8Array = new Uint8Array(0)
const noPairs = new Uint32Array(0)

export class WaitingOwners {
  count = 0
  /** The entry that was opened or loaded last: where it is, its key, node and number of records. */
  octets: Uint8Array = nothing
  keyStart = 0
  keyEnd = 0
  nodeEnd = 0
  records = 0
  anew = false
  /** Means nothing: without it V8 would leave out the reading (`touch`). */
  touched = 0
  readonly #chunks: Uint8Array[] = []
  #chunk: Uint8Array = nothing
  /** How much of each chunk is in use. */
  #ends: number[] = []
  /** Octets of the chunks before the last. */
  #octetsBefore = 0
  #start = 0
  #end = 0
  #pairs: Uint32Array = noPairs
  /** For a few, as small zones have. */
  readonly #fewPairs = new Uint32Array(2 * INSERTION_MAX)
  readonly #fullOctets: number

  /** Is `full` with so many octets. */
  constructor(fullOctets: number = FULL_OCTETS) {
    this.#fullOctets = fullOctets
  }

  /** No more should wait; one more owner can. */
  get full(): boolean {
    return this.#octetsBefore + this.#end >= this.#fullOctets
  }

  /** Begins an entry with so much room for its node and places: its key is to be written to `octets` from `keyStart` on,
   *  `keyEnd` set, its node written from there on, and `close` called; or not, then there is no entry. */
  open(room: number): void {
    const most = HEADER_OCTETS + KEY_OCTETS_MAX + room
    if (this.#end + most > this.#chunk.length) this.#addChunk(most)
    if (this.octets !== this.#chunk) this.octets = this.#chunk
    this.#start = this.#end
    this.keyStart = this.#start + HEADER_OCTETS
  }

  /** Begins an entry that has the key of the one opened last. */
  openAgain(room: number): void {
    const { octets, keyStart, keyEnd } = this
    this.open(room)
    this.octets.set(octets.subarray(keyStart, keyEnd), this.keyStart)
    this.keyEnd = this.keyStart + keyEnd - keyStart
  }

  /** The node ends at `nodeEnd`; `places` has a number for each of its records. */
  close(nodeEnd: number, records: number, places: Float64Array, anew: boolean): void {
    const { octets } = this
    const at = this.#start
    const keyField = (this.keyEnd - this.keyStart) | (anew ? ANEW : 0)
    octets[at] = keyField >>> 8
    octets[at + 1] = keyField
    putU32(octets, at + 2, records)
    putU32(octets, at + 6, nodeEnd - this.keyEnd)
    let end = nodeEnd
    for (let record = 0; record < records; record++, end += PLACE_OCTETS) {
      const place = places[record]!
      const high = Math.floor(place / 2 ** 32)
      octets[end] = high >>> 8
      octets[end + 1] = high
      putU32(octets, end + 2, place % 2 ** 32)
    }
    this.#end = end
    this.count++
  }

  #addChunk(octets: number): void {
    const first = this.#chunks.length === 0
    if (!first) {
      this.#ends.push(this.#end)
      this.#octetsBefore += this.#end
    }
    const wanted = Math.max(octets, first ? FIRST_CHUNK_OCTETS : CHUNK_OCTETS)
    this.#chunk = new Uint8Array(wanted)
    this.#chunks.push(this.#chunk)
    this.#end = 0
  }

  /** I1. From here on owners have ranks, from 0 to `count`, and none may be added. */
  *sort(): Steps<void> {
    this.#pairs = this.count <= INSERTION_MAX ? this.#fewPairs : new Uint32Array(2 * this.count)
    this.#ends.push(this.#end)
    let index = 0
    for (let chunk = 0; chunk < this.#chunks.length; chunk++) {
      index = this.#addPairs(chunk, index)
      // A small zone goes on at once, so that the next one has its chunk.
      if (chunk + 1 < this.#chunks.length) yield
    }
    if (this.count <= INSERTION_MAX) {
      this.#insertionSort(0, this.count, 0)
      return
    }
    new BigUint64Array(this.#pairs.buffer).sort()
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

  #addPairs(chunk: number, first: number): number {
    const pairs = this.#pairs
    const octets = this.#chunks[chunk]!
    const end = this.#ends[chunk]!
    let index = first
    for (let at = 0; at < end; index++) {
      const key = at + HEADER_OCTETS
      const keyEnd = key + keyOctetsAt(octets, at)
      pairs[2 * index + REF] = (chunk << CHUNK_OCTETS_SHIFT) | at
      pairs[2 * index + HEAD] = headOf(octets, key, keyEnd)
      at = keyEnd + u32(octets, at + 6) + PLACE_OCTETS * u32(octets, at + 2)
    }
    return index
  }

  /** Sorts ranks whose keys agree in the first `depth` octets: by the next four, then those that agree in these too. */
  #sort(from: number, to: number, depth: number): void {
    if (to - from <= INSERTION_MAX) {
      this.#insertionSort(from, to, depth)
      return
    }
    const pairs = this.#pairs
    for (let rank = from; rank < to; rank++) pairs[2 * rank + HEAD] = this.#headAt(rank, depth)
    new BigUint64Array(pairs.buffer, 8 * from, to - from).sort()
    for (let start = from; start < to; ) start = this.#sortRun(start, to, depth)
  }

  /** Of ranks in order of their heads, those that have the head of the first; returns the rank behind them. */
  #sortRun(start: number, to: number, depth: number): number {
    const pairs = this.#pairs
    const head = pairs[2 * start + HEAD]!
    let end = start + 1
    while (end < to && pairs[2 * end + HEAD] === head) end++
    // I2: keys that end before the head does are equal; one that ends with it may be a prefix of others.
    if (end - start > 1 && this.#keyOctets(start) >= depth + 4) this.#sort(start, end, depth + 4)
    return end
  }

  #headAt(rank: number, depth: number): number {
    const ref = this.#pairs[2 * rank + REF]!
    const octets = this.#chunks[ref >>> CHUNK_OCTETS_SHIFT]!
    const at = ref & (CHUNK_OCTETS - 1)
    const key = at + HEADER_OCTETS
    return headOf(octets, key + depth, key + keyOctetsAt(octets, at))
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
  #compare(refA: number, refB: number, depth: number): number {
    const a = this.#chunks[refA >>> CHUNK_OCTETS_SHIFT]!
    const b = this.#chunks[refB >>> CHUNK_OCTETS_SHIFT]!
    const atA = refA & (CHUNK_OCTETS - 1)
    const atB = refB & (CHUNK_OCTETS - 1)
    const octetsA = keyOctetsAt(a, atA)
    const octetsB = keyOctetsAt(b, atB)
    const shorter = Math.min(octetsA, octetsB)
    for (let at = HEADER_OCTETS + depth; at < HEADER_OCTETS + shorter; at++) {
      const difference = a[atA + at]! - b[atB + at]!
      if (difference !== 0) return difference
    }
    return octetsA - octetsB || refA - refB
  }

  #keyOctets(rank: number): number {
    const ref = this.#pairs[2 * rank + REF]!
    return keyOctetsAt(this.#chunks[ref >>> CHUNK_OCTETS_SHIFT]!, ref & (CHUNK_OCTETS - 1))
  }

  /** Goes to the entry of that rank: `octets`, `keyStart` and so on are its. */
  load(rank: number): void {
    const ref = this.#pairs[2 * rank + REF]!
    const octets = this.#chunks[ref >>> CHUNK_OCTETS_SHIFT]!
    const at = ref & (CHUNK_OCTETS - 1)
    this.octets = octets
    this.anew = (octets[at]! & 0x80) !== 0
    this.records = u32(octets, at + 2)
    this.keyStart = at + HEADER_OCTETS
    this.keyEnd = this.keyStart + keyOctetsAt(octets, at)
    this.nodeEnd = this.keyEnd + u32(octets, at + 6)
  }

  /** Reads a little of the entries from that rank on, and returns the rank of the first that it did not. They lie all over the
   *  memory: their cache lines come together now, not one after the other when they are needed. */
  touch(rank: number): number {
    const pairs = this.#pairs
    const end = Math.min(rank + RANKS_A_TOUCH, this.count)
    let octets = 0
    for (let next = rank; next < end; next++) {
      const ref = pairs[2 * next + REF]!
      const chunk = this.#chunks[ref >>> CHUNK_OCTETS_SHIFT]!
      const at = ref & (CHUNK_OCTETS - 1)
      octets ^= chunk[at]! ^ chunk[Math.min(at + CACHE_LINE_OCTETS, chunk.length - 1)]!
    }
    this.touched = octets
    return end
  }

  /** Whether the rank behind the loaded one is there and has the same key. */
  isSameNext(rank: number): boolean {
    const next = rank + 1
    if (next >= this.count) return false
    const octets = this.keyEnd - this.keyStart
    const ref = this.#pairs[2 * next + REF]!
    const other = this.#chunks[ref >>> CHUNK_OCTETS_SHIFT]!
    const at = ref & (CHUNK_OCTETS - 1)
    if (keyOctetsAt(other, at) !== octets) return false
    for (let index = octets - 1; index >= 0; index--) {
      if (this.octets[this.keyStart + index] !== other[at + HEADER_OCTETS + index]) return false
    }
    return true
  }

  /** Place of the loaded entry's record of that number. */
  placeOf(record: number): number {
    const at = this.nodeEnd + PLACE_OCTETS * record
    return u16(this.octets, at) * 2 ** 32 + u32(this.octets, at + 2)
  }

  /** Forgets all (I3). */
  clear(): void {
    const kept = this.#chunks[0]?.length === FIRST_CHUNK_OCTETS ? 1 : 0
    if (this.#chunks.length > kept) letGo(this.#pairs, ...this.#chunks.splice(kept))
    this.#pairs = noPairs
    this.octets = nothing
    this.#chunk = this.#chunks[0] ?? nothing
    this.#ends = []
    this.count = this.#octetsBefore = this.#end = 0
  }
}

function keyOctetsAt(octets: Uint8Array, entry: number): number {
  return u16(octets, entry) & ~ANEW
}

function putU32(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24
  out[at + 1] = value >>> 16
  out[at + 2] = value >>> 8
  out[at + 3] = value
}

/** Four octets of the key, from `at` on. */
function headOf(key: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end)
    return ((key[at]! << 24) | (key[at + 1]! << 16) | (key[at + 2]! << 8) | key[at + 3]!) >>> 0
  let head = 0
  for (let index = at; index < at + 4; index++) head = (head << 8) | (index < end ? key[index]! : 0)
  return head >>> 0
}
