/** A place in a tree. One cursor is made once and used for any number of trees and look-ups: it allocates nothing.
 *  I1  While `positioned`, the value is bytes[valueStart..valueEnd) and `keyLength` is the key's length; the key itself
 *      is in `key` after `loadKey()`.
 *  I2  A cursor that is not positioned stands before the first key or behind the last; next() and prev() go on from there.
 *  I3  A reader's cursor is good while its version is announced. On a draft, any write to this draft makes it bad until
 *      the next find or seek.
 *  I4  A copying cursor copies each leaf as it comes to it: what then is read octet by octet is in the cache, and plain
 *      memory. That is for passes over a whole tree; after a look-up it reads the tree itself until the next leaf. */

import { libc } from '../../base/libc.ts'
import { KEY_OCTETS_MAX } from '../name.ts'
import { u32 } from '../node.ts'
import { scratchOctets, scratchWords } from '../scratch.ts'
import {
  ARENA_UNITS_SHIFT,
  DEPTH_MAX,
  HEADER_WORDS,
  LEAF,
  OVERFLOW,
  PAGE_OCTETS,
  UNIT_MASK,
  UNIT_OCTETS,
  UNIT_OCTETS_SHIFT,
} from './layout.ts'
import type { Memory } from './memory.ts'
import { baseOf, loadSlotKey, loadSlotSuffix, pageUnits, searchBranch, searchLeaf } from './page.ts'

const nothing = new Uint8Array(0)
const noWords = new Int32Array(0)

/** Where a copying cursor has its leaf: LEAF_OCTETS octets from `at` on, both beginning where a word does. Values that are in
 *  the leaf are then in `octets`. */
export interface LeafRoom {
  readonly octets: Uint8Array
  readonly at: number
}

export const LEAF_OCTETS: number = PAGE_OCTETS

export function leafRoom(): LeafRoom {
  return { octets: new Uint8Array(LEAF_OCTETS), at: 0 }
}

/** memcpy(3), where it can be called: V8 copies shared memory word by word, which takes ten times as many instructions. */
type Memcpy = (to: number, from: number, octets: number) => number
let loaded: { memcpy: Memcpy | undefined } | undefined

function memcpyOfLibc(): Memcpy | undefined {
  loaded ??= { memcpy: libc()?.function('size_t memcpy(size_t, size_t, size_t)') }
  return loaded.memcpy
}

function addressOf(array: Uint8Array | Int32Array): number {
  return libc()?.addressOf(array) ?? 0
}

function wordsOf({ buffer, byteOffset, length }: Uint8Array): Int32Array {
  return new Int32Array(buffer, byteOffset, length >> 2)
}

export class TreeCursor {
  bytes: Uint8Array = nothing
  valueStart = 0
  valueEnd = 0
  keyLength = 0
  readonly key: Uint8Array = scratchOctets(KEY_OCTETS_MAX)
  positioned = false
  /** After find(): octets that the sought key shares with the floor's. */
  commonOctets = 0

  /** The path: page and slot of each level; `depth` is the leaf's. Drafts use it, others must not. */
  readonly pages: Int32Array = scratchWords(DEPTH_MAX)
  readonly slots: Int32Array = scratchWords(DEPTH_MAX)
  depth = -1
  words: Int32Array = noWords
  octets: Uint8Array = nothing
  base = 0
  readonly #memory: Memory
  readonly #room: LeafRoom | undefined
  readonly #roomWords: Int32Array
  readonly #roomAddress: number
  readonly #memcpy: Memcpy | undefined
  /** Where the arena is that the last leaf was copied from. */
  #source: Int32Array = noWords
  #sourceAddress = 0
  /** Whether `key` begins with the prefix of the leaf. */
  #prefixLoaded = false

  /** `room`: makes it a copying one, for passes over whole trees by seekFirst, seekLast, next and prev (I4). */
  constructor(memory: Memory, room?: LeafRoom) {
    this.#memory = memory
    this.#room = room
    this.#roomWords = room === undefined ? noWords : wordsOf(room.octets)
    this.#memcpy = room === undefined ? undefined : memcpyOfLibc()
    this.#roomAddress = room === undefined ? 0 : addressOf(room.octets) + room.at
  }

  /** True on an exact match; else false and on the floor (the greatest smaller key), if there is one. */
  find(root: number, key: Uint8Array, start: number, end: number): boolean {
    if (this.descend(root, key, start, end)) {
      this.commonOctets = end - start
      return true
    }
    if (this.depth < 0 || (this.slots[this.depth]! < 0 && !this.#previousLeaf())) {
      this.positioned = false
      this.commonOctets = 0
      return false
    }
    this.#settle()
    this.commonOctets = this.#sharedWith(key, start, end)
    return false
  }

  /** To the leaf that the key belongs into. True on an exact match, positioned; else the leaf's slot is that of the
   *  greatest smaller key in this leaf, or −1. */
  descend(root: number, key: Uint8Array, start: number, end: number): boolean {
    this.depth = -1
    if (root === 0) return false
    const memory = this.#memory
    const pages = this.pages
    const slots = this.slots
    let depth = 0
    let ref = root
    let words = memory.words[ref >>> ARENA_UNITS_SHIFT]!
    let octets = memory.octets[ref >>> ARENA_UNITS_SHIFT]!
    let base = baseOf(ref)
    while (((words[base]! >>> 16) & 0xff) !== LEAF) {
      const slot = searchBranch(words, octets, base, key, start, end)
      pages[depth] = ref
      slots[depth++] = slot
      ref = words[base + HEADER_WORDS + slot * 3 + 2]!
      words = memory.words[ref >>> ARENA_UNITS_SHIFT]!
      octets = memory.octets[ref >>> ARENA_UNITS_SHIFT]!
      base = baseOf(ref)
    }
    const found = searchLeaf(words, octets, base, key, start, end)
    pages[depth] = ref
    slots[depth] = found >> 1
    this.depth = depth
    this.words = words
    this.octets = octets
    this.base = base
    this.#prefixLoaded = false
    if ((found & 1) === 0) return false
    this.#settle()
    return true
  }

  seekFirst(root: number): boolean {
    this.depth = -1
    this.positioned = false
    if (root === 0) return false
    this.#down(root, 0, false)
    this.#settle()
    return true
  }

  seekLast(root: number): boolean {
    this.depth = -1
    this.positioned = false
    if (root === 0) return false
    this.#down(root, 0, true)
    this.#settle()
    return true
  }

  /** On the smallest key ≥ the sought one. */
  seekCeiling(root: number, key: Uint8Array, start: number, end: number): boolean {
    if (this.descend(root, key, start, end)) return true
    this.positioned = false
    return this.next()
  }

  next(): boolean {
    const depth = this.depth
    if (depth < 0) return false
    const slot = this.slots[depth]! + 1
    const count = this.words[this.base]! & 0xffff
    if (slot < count) {
      this.slots[depth] = slot
      this.#settle()
      return true
    }
    if (this.#nextLeaf()) {
      this.#settle()
      return true
    }
    this.slots[depth] = count
    this.positioned = false
    return false
  }

  prev(): boolean {
    const depth = this.depth
    if (depth < 0) return false
    const slot = this.slots[depth]! - 1
    if (slot >= 0) {
      this.slots[depth] = slot
      this.#settle()
      return true
    }
    if (this.#previousLeaf()) {
      this.#settle()
      return true
    }
    this.slots[depth] = -1
    this.positioned = false
    return false
  }

  /** Writes the position's key into `key` and returns its length. */
  loadKey(): number {
    const slot = this.slots[this.depth]!
    if (this.#prefixLoaded) return loadSlotSuffix(this.words, this.octets, this.base, slot, this.key, 0)
    this.#prefixLoaded = true
    return loadSlotKey(this.words, this.octets, this.base, slot, this.key, 0)
  }

  #nextLeaf(): boolean {
    for (let level = this.depth - 1; level >= 0; level--) {
      const ref = this.pages[level]!
      const words = this.#memory.words[ref >>> ARENA_UNITS_SHIFT]!
      const base = baseOf(ref)
      const slot = this.slots[level]! + 1
      if (slot >= (words[base]! & 0xffff)) continue
      this.slots[level] = slot
      this.#down(words[base + HEADER_WORDS + slot * 3 + 2]!, level + 1, false)
      return true
    }
    return false
  }

  #previousLeaf(): boolean {
    for (let level = this.depth - 1; level >= 0; level--) {
      const slot = this.slots[level]! - 1
      if (slot < 0) continue
      const ref = this.pages[level]!
      const words = this.#memory.words[ref >>> ARENA_UNITS_SHIFT]!
      this.slots[level] = slot
      this.#down(words[baseOf(ref) + HEADER_WORDS + slot * 3 + 2]!, level + 1, true)
      return true
    }
    return false
  }

  /** Down the left or right edge of the subtree, to its first or last key. */
  #down(from: number, level: number, right: boolean): void {
    let ref = from
    let depth = level
    for (;;) {
      const words = this.#memory.words[ref >>> ARENA_UNITS_SHIFT]!
      const base = baseOf(ref)
      const slot = right ? (words[base]! & 0xffff) - 1 : 0
      this.pages[depth] = ref
      this.slots[depth] = slot
      if (((words[base]! >>> 16) & 0xff) === LEAF) {
        this.depth = depth
        this.words = words
        this.octets = this.#memory.octets[ref >>> ARENA_UNITS_SHIFT]!
        this.base = base
        this.#prefixLoaded = false
        if (this.#room !== undefined) this.#copyLeaf(this.#room)
        return
      }
      ref = words[base + HEADER_WORDS + slot * 3 + 2]!
      depth++
    }
  }

  /** I4. */
  #copyLeaf({ octets, at }: LeafRoom): void {
    const { words, base } = this
    const leafOctets = pageUnits(words, base) * UNIT_OCTETS
    if (this.#memcpy === undefined)
      this.#roomWords.set(words.subarray(base, base + (leafOctets >> 2)), at >> 2)
    else {
      if (this.#source !== words) this.#sourceAddress = addressOf(words)
      this.#source = words
      this.#memcpy(this.#roomAddress, this.#sourceAddress + 4 * base, leafOctets)
    }
    this.words = this.#roomWords
    this.octets = octets
    this.base = at >> 2
  }

  /** Sets the value and key length from the slot. */
  #settle(): void {
    const words = this.words
    const base = this.base
    const word = words[base + HEADER_WORDS + (this.slots[this.depth]! << 1) + 1]!
    const suffix = (word >>> 12) & 0x1ff
    const at = (base << 2) + (word & 0xfff) + (suffix > 4 ? suffix - 4 : 0)
    const field = word >>> 21
    this.keyLength = (words[base + 1]! >>> 16) + suffix
    this.positioned = true
    if (field === OVERFLOW) this.#settleOverflow(at)
    else {
      this.bytes = this.octets
      this.valueStart = at
      this.valueEnd = at + field
    }
  }

  #settleOverflow(at: number): void {
    const ref = u32(this.octets, at)
    this.bytes = this.#memory.octets[ref >>> ARENA_UNITS_SHIFT]!
    this.valueStart = (ref & UNIT_MASK) << UNIT_OCTETS_SHIFT
    this.valueEnd = this.valueStart + u32(this.octets, at + 4)
  }

  #sharedWith(key: Uint8Array, start: number, end: number): number {
    const words = this.words
    const octets = this.octets
    const base = this.base
    const prefixLength = words[base + 1]! >>> 16
    const prefix = (base << 2) + (words[base]! >>> 24) * UNIT_OCTETS - prefixLength
    const length = end - start
    const shorter = Math.min(length, this.keyLength)
    let common = 0
    for (; common < prefixLength && common < shorter; common++) {
      if (octets[prefix + common] !== key[start + common]) return common
    }
    const slot = base + HEADER_WORDS + (this.slots[this.depth]! << 1)
    const head = words[slot]! ^ -0x80000000
    for (let index = 0; index < 4 && common < shorter; index++, common++) {
      if (((head >>> (24 - 8 * index)) & 0xff) !== key[start + common]) return common
    }
    let cell = (base << 2) + (words[slot + 1]! & 0xfff)
    for (; common < shorter; common++) if (octets[cell++] !== key[start + common]) return common
    return common
  }
}
