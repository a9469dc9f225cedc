/** Cells taken out of pages, in order, to be written into pages again: how pages are compacted, split and joined, and
 *  how their prefixes change. Scratch of the writing thread, used for one step at a time. */

import { KEY_OCTETS_MAX } from '../name.ts'
import {
  BRANCH,
  BRANCH_SLOT_OCTETS,
  HEADER_OCTETS,
  HEADER_WORDS,
  LEAF,
  LEAF_SLOT_OCTETS,
  OVERFLOW,
  OVERFLOW_OCTETS,
  PAGE_OCTETS,
  UNIT_OCTETS,
} from './layout.ts'
import {
  cellOffset,
  copyOctets,
  headAt,
  loadSlotKey,
  pageUnits,
  restLength,
  slotAt,
  valueFieldOf,
} from './page.ts'

/** Two pages of the smallest cells (8 octets each) and one more cell. */
const CELLS_MAX: number = 2 * (PAGE_OCTETS / LEAF_SLOT_OCTETS) + 1

export class Assembly {
  count = 0
  readonly keys: Uint8Array = new Uint8Array(CELLS_MAX * KEY_OCTETS_MAX)
  /** Key n is keys[keyAt[n]..keyAt[n + 1]). */
  readonly keyAt: Int32Array = new Int32Array(CELLS_MAX + 1)
  /** At most two pages and a cell, or one page twice and a cell. */
  readonly #body = new Uint8Array(3 * PAGE_OCTETS)
  readonly #payloadAt = new Int32Array(CELLS_MAX)
  readonly #payloadEnd = new Int32Array(CELLS_MAX)
  readonly #fields = new Int32Array(CELLS_MAX)
  readonly #children = new Int32Array(CELLS_MAX)
  #bodyEnd = 0
  #kind = LEAF

  begin(kind: number): void {
    this.#kind = kind
    this.count = 0
    this.#bodyEnd = 0
  }

  /** Takes slots [from, to) of a page. */
  take(words: Int32Array, octets: Uint8Array, base: number, from: number, to: number): void {
    const pageAt = base << 2
    const bodyAt = this.#bodyEnd
    if (this.#kind === LEAF && to > from) {
      const pageOctets = pageUnits(words, base) * UNIT_OCTETS
      this.#body.set(octets.subarray(pageAt, pageAt + pageOctets), bodyAt)
      this.#bodyEnd += pageOctets
    }
    for (let slot = from; slot < to; slot++) {
      const at = slotAt(words, base, slot)
      const word = words[at + 1]!
      const keyStart = this.keyAt[this.count]!
      const keyLength = loadSlotKey(words, octets, base, slot, this.keys, keyStart)
      if (this.#kind === BRANCH) this.#children[this.count] = words[at + 2]!
      else this.#setPayload(bodyAt + cellOffset(word) + restLength(word), valueFieldOf(word))
      this.keyAt[++this.count] = keyStart + keyLength
    }
  }

  #setPayload(at: number, field: number): void {
    this.#payloadAt[this.count] = at
    this.#payloadEnd[this.count] = at + payloadOctets(field)
    this.#fields[this.count] = field
  }

  addLeafCell(
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    payload: Uint8Array,
    payloadStart: number,
    payloadEnd: number,
    field: number,
  ): void {
    copyOctets(payload, payloadStart, payloadEnd, this.#body, this.#bodyEnd)
    this.#setPayload(this.#bodyEnd, field)
    this.#bodyEnd += payloadEnd - payloadStart
    this.#addKey(key, keyStart, keyEnd)
  }

  addChild(key: Uint8Array, keyStart: number, keyEnd: number, child: number): void {
    this.#children[this.count] = child
    this.#addKey(key, keyStart, keyEnd)
  }

  #addKey(key: Uint8Array, keyStart: number, keyEnd: number): void {
    const to = this.keyAt[this.count]!
    for (let index = keyStart; index < keyEnd; index++) this.keys[to + index - keyStart] = key[index]!
    this.keyAt[++this.count] = to + keyEnd - keyStart
  }

  /** Octets that the keys of two cells share. */
  common(first: number, second: number): number {
    const a = this.keyAt[first]!
    const b = this.keyAt[second]!
    const shorter = Math.min(this.keyAt[first + 1]! - a, this.keyAt[second + 1]! - b)
    let common = 0
    while (common < shorter && this.keys[a + common] === this.keys[b + common]) common++
    return common
  }

  /** The longest prefix that a page of cells [from, to) can have. One key alone gets none: more will come. */
  prefixOf(from: number, to: number): number {
    const first = this.#kind === BRANCH ? from + 1 : from
    return to - first < 2 ? 0 : this.common(first, to - 1)
  }

  /** Octets of a page of cells [from, to). */
  sizeOf(from: number, to: number, prefixLength: number = this.prefixOf(from, to)): number {
    let octets = HEADER_OCTETS + prefixLength
    for (let cell = from; cell < to; cell++) octets += this.cellSize(cell, prefixLength, from)
    return octets
  }

  cellSize(cell: number, prefixLength: number, first: number): number {
    const rest = Math.max(0, this.keyAt[cell + 1]! - this.keyAt[cell]! - prefixLength - 4)
    if (this.#kind === BRANCH) return BRANCH_SLOT_OCTETS + (cell === first ? 0 : rest)
    return LEAF_SLOT_OCTETS + rest + this.#payloadEnd[cell]! - this.#payloadAt[cell]!
  }

  /** Where to split into halves that fit, `added` being the cell that made the page too full. One of the last two
   *  places always does: without that cell the page fitted, so each side does, and the smaller one takes it in (it is
   *  at most 1514 octets); where it would shorten the prefix it is the first or last, and then stands alone. */
  evenSplit(added: number): number {
    const prefixLength = this.prefixOf(0, this.count)
    const half = this.sizeOf(0, this.count, prefixLength) / 2
    let octets = HEADER_OCTETS
    let at = 0
    while (at < this.count - 1 && octets < half) octets += this.cellSize(at++, prefixLength, 0)
    if (this.fitsSplit(at)) return at
    if (this.fitsSplit(at - 1)) return at - 1
    return this.fitsSplit(added) ? added : added + 1
  }

  fitsSplit(at: number): boolean {
    if (at < 1 || at >= this.count) return false
    return this.sizeOf(0, at) <= PAGE_OCTETS && this.sizeOf(at, this.count) <= PAGE_OCTETS
  }

  /** Writes cells [from, to) as a whole page; only the stamp stays as it is. */
  write(
    words: Int32Array,
    octets: Uint8Array,
    base: number,
    units: number,
    from: number,
    to: number,
    prefixLength: number,
  ): void {
    const branch = this.#kind === BRANCH
    const pageAt = base << 2
    let heap = units * UNIT_OCTETS - prefixLength
    const prefixFrom = this.keyAt[branch && to - from > 1 ? from + 1 : from]!
    for (let index = 0; index < prefixLength; index++)
      octets[pageAt + heap + index] = this.keys[prefixFrom + index]!
    let slot = base + HEADER_WORDS
    for (let cell = from; cell < to; cell++) {
      const keyEnd = this.keyAt[cell + 1]!
      const keyAt = branch && cell === from ? keyEnd : this.keyAt[cell]! + prefixLength
      const rest = Math.max(0, keyEnd - keyAt - 4)
      const payload = branch ? 0 : this.#payloadEnd[cell]! - this.#payloadAt[cell]!
      heap -= rest + payload
      for (let index = 0; index < rest; index++) octets[pageAt + heap + index] = this.keys[keyAt + 4 + index]!
      words[slot++] = headAt(this.keys, keyAt, keyEnd)
      words[slot++] = (heap & 0xfff) | ((keyEnd - keyAt) << 12) | (branch ? 0 : this.#fields[cell]! << 21)
      if (branch) words[slot++] = this.#children[cell]!
      else {
        const at = this.#payloadAt[cell]!
        copyOctets(this.#body, at, at + payload, octets, pageAt + heap + rest)
      }
    }
    words[base] = (to - from) | (this.#kind << 16) | (units << 24)
    words[base + 1] = heap | (prefixLength << 16)
    words[base + 2] = words[base + 2]! & ~0xffff
  }
}

/** Octets of a leaf cell behind its key. */
export function payloadOctets(valueField: number): number {
  return valueField === OVERFLOW ? OVERFLOW_OCTETS : valueField
}
