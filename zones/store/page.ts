/** Reading pages, and changing one in place (layout.ts draws them). The hot functions of the store: no allocation, and
 *  plain integers in and out. A page is named by the views of its arena and `base`, the index of its first word. */

import {
  BRANCH_SLOT_OCTETS,
  HEADER_OCTETS,
  HEADER_WORDS,
  LEAF,
  LEAF_SLOT_OCTETS,
  UNIT_MASK,
  UNIT_OCTETS,
  UNIT_WORDS_SHIFT,
} from './layout.ts'

export function baseOf(ref: number): number {
  return (ref & UNIT_MASK) << UNIT_WORDS_SHIFT
}

export function pageCount(words: Int32Array, base: number): number {
  return words[base]! & 0xffff
}

export function pageKind(words: Int32Array, base: number): number {
  return (words[base]! >>> 16) & 0xff
}

export function pageUnits(words: Int32Array, base: number): number {
  return words[base]! >>> 24
}

export function prefixLengthOf(words: Int32Array, base: number): number {
  return words[base + 1]! >>> 16
}

/** Octet index, in the arena, of the page's prefix. */
export function prefixAt(words: Int32Array, base: number): number {
  return (base << 2) + pageUnits(words, base) * UNIT_OCTETS - prefixLengthOf(words, base)
}

/** Octets that are taken, gaps between cells included. */
export function takenOctets(words: Int32Array, base: number): number {
  const w0 = words[base]!
  const slotOctets = ((w0 >>> 16) & 0xff) === LEAF ? LEAF_SLOT_OCTETS : BRANCH_SLOT_OCTETS
  const heap = (w0 >>> 24) * UNIT_OCTETS - (words[base + 1]! & 0xffff)
  return HEADER_OCTETS + (w0 & 0xffff) * slotOctets + heap
}

/** Octets that are in use: what the page would fill if it had no gaps. */
export function liveOctets(words: Int32Array, base: number): number {
  return takenOctets(words, base) - (words[base + 2]! & 0xffff)
}

export function cellOffset(word: number): number {
  return word & 0xfff
}

export function suffixLengthOf(word: number): number {
  return (word >>> 12) & 0x1ff
}

export function valueFieldOf(word: number): number {
  return word >>> 21
}

/** Suffix octets in the cell: those behind the head. */
export function restLength(word: number): number {
  const suffix = (word >>> 12) & 0x1ff
  return suffix > 4 ? suffix - 4 : 0
}

/** The head (I1) of the suffix that starts at `at`. */
export function headAt(key: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) {
    return ((key[at]! << 24) | (key[at + 1]! << 16) | (key[at + 2]! << 8) | key[at + 3]!) ^ -0x80000000
  }
  let head = 0
  for (let index = 0; index < 4; index++) head = (head << 8) | (at + index < end ? key[at + index]! : 0)
  return head ^ -0x80000000
}

/** Zero when the key starts with the page's prefix, else whether it sorts before (−) or after (+) all such keys. */
export function comparePrefix(
  octets: Uint8Array,
  at: number,
  prefixLength: number,
  key: Uint8Array,
  start: number,
  end: number,
): number {
  const length = end - start
  const shorter = Math.min(length, prefixLength)
  for (let index = 0; index < shorter; index++) {
    const difference = key[start + index]! - octets[at + index]!
    if (difference !== 0) return difference
  }
  return length < prefixLength ? -1 : 0
}

/** Cell against key, both suffixes with the same head. Zero-padding is undone by the lengths: where one suffix has at
 *  most four octets and the heads agree, it is a prefix of the other but for zeros that the longer one really has. */
export function compareTail(
  word: number,
  octets: Uint8Array,
  pageAt: number,
  key: Uint8Array,
  at: number,
  end: number,
): number {
  const suffix = (word >>> 12) & 0x1ff
  const length = end - at
  if (suffix > 4 && length > 4) {
    let cell = pageAt + (word & 0xfff)
    const stop = at + Math.min(suffix, length)
    for (let index = at + 4; index < stop; index++) {
      const difference = octets[cell++]! - key[index]!
      if (difference !== 0) return difference
    }
  }
  return suffix - length
}

/** Slot of the greatest key ≤ the sought one, times two (−2: none), plus 1 when they are equal. */
export function searchLeaf(
  words: Int32Array,
  octets: Uint8Array,
  base: number,
  key: Uint8Array,
  start: number,
  end: number,
): number {
  const w0 = words[base]!
  const prefixLength = words[base + 1]! >>> 16
  let high = w0 & 0xffff
  let at = start
  if (prefixLength !== 0) {
    const prefix = (base << 2) + (w0 >>> 24) * UNIT_OCTETS - prefixLength
    const order = comparePrefix(octets, prefix, prefixLength, key, start, end)
    if (order !== 0) return order < 0 ? -2 : (high - 1) << 1
    at = start + prefixLength
  }
  const head = headAt(key, at, end)
  const slots = base + HEADER_WORDS
  let low = 0
  while (low < high) {
    const middle = (low + high) >>> 1
    const slot = slots + (middle << 1)
    const here = words[slot]!
    if (here < head) low = middle + 1
    else if (here > head) high = middle
    else {
      const order = compareTail(words[slot + 1]!, octets, base << 2, key, at, end)
      if (order === 0) return (middle << 1) | 1
      if (order < 0) low = middle + 1
      else high = middle
    }
  }
  return (low - 1) << 1
}

/** Slot of the child that the key belongs under. */
export function searchBranch(
  words: Int32Array,
  octets: Uint8Array,
  base: number,
  key: Uint8Array,
  start: number,
  end: number,
): number {
  const w0 = words[base]!
  const prefixLength = words[base + 1]! >>> 16
  let high = w0 & 0xffff
  let at = start
  if (prefixLength !== 0) {
    const prefix = (base << 2) + (w0 >>> 24) * UNIT_OCTETS - prefixLength
    const order = comparePrefix(octets, prefix, prefixLength, key, start, end)
    if (order !== 0) return order < 0 ? 0 : high - 1
    at = start + prefixLength
  }
  const head = headAt(key, at, end)
  const slots = base + HEADER_WORDS
  let low = 1
  while (low < high) {
    const middle = (low + high) >>> 1
    const slot = slots + middle * 3
    const here = words[slot]!
    if (here < head) low = middle + 1
    else if (here > head) high = middle
    else {
      const order = compareTail(words[slot + 1]!, octets, base << 2, key, at, end)
      if (order === 0) return middle
      if (order < 0) low = middle + 1
      else high = middle
    }
  }
  return low - 1
}

/** Index of the first word of a slot. */
export function slotAt(words: Int32Array, base: number, slot: number): number {
  return base + HEADER_WORDS + slot * (((words[base]! >>> 16) & 0xff) === LEAF ? 2 : 3)
}

/** Writes the key of a slot into `out` and returns its length. */
export function loadSlotKey(
  words: Int32Array,
  octets: Uint8Array,
  base: number,
  slot: number,
  out: Uint8Array,
  outStart: number,
): number {
  const prefixLength = prefixLengthOf(words, base)
  const prefix = prefixAt(words, base)
  for (let index = 0; index < prefixLength; index++) out[outStart + index] = octets[prefix + index]!
  return loadSlotSuffix(words, octets, base, slot, out, outStart)
}

/** The same where the page's prefix is in `out` already. */
export function loadSlotSuffix(
  words: Int32Array,
  octets: Uint8Array,
  base: number,
  slot: number,
  out: Uint8Array,
  outStart: number,
): number {
  const prefixLength = prefixLengthOf(words, base)
  const at = slotAt(words, base, slot)
  const head = words[at]! ^ -0x80000000
  const word = words[at + 1]!
  const suffix = suffixLengthOf(word)
  const to = outStart + prefixLength
  if (suffix > 0) out[to] = head >>> 24
  if (suffix > 1) out[to + 1] = head >>> 16
  if (suffix > 2) out[to + 2] = head >>> 8
  if (suffix > 3) out[to + 3] = head
  const cell = (base << 2) + cellOffset(word) - 4
  for (let index = 4; index < suffix; index++) out[to + index] = octets[cell + index]!
  return prefixLength + suffix
}

/** Short copies as a loop: a call into the engine costs as much as some thirty octets. */
const LOOP_OCTETS_MAX = 32

export function copyOctets(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  if (end - start > LOOP_OCTETS_MAX)
    to.set(start === 0 && end === from.length ? from : from.subarray(start, end), at)
  else for (let index = start; index < end; index++) to[at + index - start] = from[index]!
}

/** Puts a cell into a leaf or, with `child`, into a branch. `keyAt` is behind the page's prefix, which the key has.
 *  False, with nothing changed, when the room between slots and heap does not suffice. */
export function insertCell(
  words: Int32Array,
  octets: Uint8Array,
  base: number,
  slot: number,
  key: Uint8Array,
  keyAt: number,
  keyEnd: number,
  payload: Uint8Array,
  payloadStart: number,
  payloadEnd: number,
  valueField: number,
  child: number,
): boolean {
  const w0 = words[base]!
  const w1 = words[base + 1]!
  const count = w0 & 0xffff
  const slotWords = child === 0 ? 2 : 3
  const rest = keyEnd - keyAt > 4 ? keyEnd - keyAt - 4 : 0
  const offset = (w1 & 0xffff) - rest - (payloadEnd - payloadStart)
  if (HEADER_OCTETS + (count + 1) * slotWords * 4 > offset) return false
  let to = (base << 2) + offset
  for (let index = keyAt + 4; index < keyEnd; index++) octets[to++] = key[index]!
  copyOctets(payload, payloadStart, payloadEnd, octets, to)
  const slots = base + HEADER_WORDS
  const at = slots + slot * slotWords
  if (slot < count) words.copyWithin(at + slotWords, at, slots + count * slotWords)
  words[at] = headAt(key, keyAt, keyEnd)
  words[at + 1] = (offset & 0xfff) | ((keyEnd - keyAt) << 12) | (valueField << 21)
  if (child !== 0) words[at + 2] = child
  words[base] = w0 + 1
  words[base + 1] = (w1 & ~0xffff) | offset
  return true
}

/** Makes a leaf of so many units, fewer than it has and enough for what is in it, gaps included: in its place, or in that of
 *  another page, which keeps its stamp. */
export function shrinkLeaf(
  words: Int32Array,
  base: number,
  toWords: Int32Array,
  toBase: number,
  units: number,
): void {
  const w0 = words[base]!
  const w1 = words[base + 1]!
  const end = (w0 >>> 24) << UNIT_WORDS_SHIFT
  const shift = end - (units << UNIT_WORDS_SHIFT)
  for (let word = (w1 & 0xffff) >>> 2; word < end; word++)
    toWords[toBase + word - shift] = words[base + word]!
  const slotsEnd = HEADER_WORDS + 2 * (w0 & 0xffff)
  for (let at = HEADER_WORDS; at < slotsEnd; at += 2) {
    const word = words[base + at + 1]!
    toWords[toBase + at] = words[base + at]!
    toWords[toBase + at + 1] = (word & ~0xfff) | ((word - (shift << 2)) & 0xfff)
  }
  toWords[toBase] = (w0 & 0xffffff) | (units << 24)
  toWords[toBase + 1] = w1 - (shift << 2)
  toWords[toBase + 2] = (toWords[toBase + 2]! & ~0xffff) | (words[base + 2]! & 0xffff)
}

/** Takes a slot and its cell out. */
export function removeCell(words: Int32Array, base: number, slot: number, cellOctets: number): void {
  const w0 = words[base]!
  const count = w0 & 0xffff
  const slotWords = ((w0 >>> 16) & 0xff) === LEAF ? 2 : 3
  const at = slotAt(words, base, slot)
  const w1 = words[base + 1]!
  if (cellOctets > 0 && (w1 & 0xffff) === cellOffset(words[at + 1]!)) words[base + 1] = w1 + cellOctets
  else words[base + 2] = words[base + 2]! + cellOctets
  if (slot + 1 < count) {
    words.copyWithin(at, at + slotWords, base + HEADER_WORDS + count * slotWords)
  }
  words[base] = w0 - 1
}
