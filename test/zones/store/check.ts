/** Walks a tree and asserts the invariants of zones/store/layout.ts; for tests. */

import assert from 'node:assert/strict'
import { compareOctets } from '../../../zones/index.ts'
import {
  BRANCH,
  HEADER_OCTETS,
  HEADER_WORDS,
  LEAF,
  OVERFLOW,
  PAGE_UNITS,
  UNIT_MASK,
  UNIT_OCTETS,
} from '../../../zones/store/layout.ts'
import { Memory, type StoreHandle } from '../../../zones/store/memory.ts'
import * as page from '../../../zones/store/page.ts'

export interface TreeFacts {
  keys: number
  leaves: number
  branches: number
  depth: number
  /** Octets of pages and of overflow extents, as the allocator counts them. */
  octets: number
  liveOctets: number
}

/** @throws AssertionError where an invariant does not hold. */
export function checkTree(handle: StoreHandle, root: number): TreeFacts {
  const walk = new Walk(handle)
  if (root !== 0) walk.page(root, 1, undefined, undefined)
  return walk.facts
}

class Walk {
  readonly facts: TreeFacts = { keys: 0, leaves: 0, branches: 0, depth: 0, octets: 0, liveOctets: 0 }
  readonly #memory: Memory
  readonly #key = new Uint8Array(1024)
  #leafDepth = 0

  constructor(handle: StoreHandle) {
    this.#memory = new Memory(handle)
  }

  page(ref: number, depth: number, low: Uint8Array | undefined, high: Uint8Array | undefined): void {
    const words = this.#memory.words[ref >>> 22]!
    const base = page.baseOf(ref)
    const kind = page.pageKind(words, base)
    const units = page.pageUnits(words, base)
    assert.ok(kind === LEAF || kind === BRANCH, `page ${ref} has kind ${kind}`)
    assert.ok(units === PAGE_UNITS || (units > 0 && units < PAGE_UNITS && kind === LEAF), 'I4')
    assert.ok(page.pageCount(words, base) > 0, 'an empty page')
    this.facts.octets += units * UNIT_OCTETS
    this.facts.liveOctets += page.liveOctets(words, base)
    this.facts.depth = Math.max(this.facts.depth, depth)
    this.#heap(ref)
    const keys = this.#keys(ref, kind, low, high)
    if (kind === LEAF) this.#leaf(ref, depth, keys.length)
    else {
      this.facts.branches++
      for (let slot = 0; slot < keys.length; slot++) {
        const child = words[base + HEADER_WORDS + slot * 3 + 2]!
        this.page(child, depth + 1, slot === 0 ? low : keys[slot], keys[slot + 1] ?? high)
      }
    }
  }

  /** Slots, cells and gaps make up the page; heads are those of the suffixes. */
  #heap(ref: number): void {
    const words = this.#memory.words[ref >>> 22]!
    const base = page.baseOf(ref)
    const branch = page.pageKind(words, base) === BRANCH
    const count = page.pageCount(words, base)
    const heap = words[base + 1]! & 0xffff
    let octets = page.prefixLengthOf(words, base) + (words[base + 2]! & 0xffff)
    for (let slot = 0; slot < count; slot++) {
      const word = words[page.slotAt(words, base, slot) + 1]!
      const field = page.valueFieldOf(word)
      octets += page.restLength(word) + (branch ? 0 : field === OVERFLOW ? 14 : field)
    }
    assert.equal(heap + octets, page.pageUnits(words, base) * UNIT_OCTETS, 'the heap adds up')
    assert.ok(HEADER_OCTETS + count * (branch ? 12 : 8) <= heap, 'slots and heap do not overlap')
  }

  #keys(ref: number, kind: number, low: Uint8Array | undefined, high: Uint8Array | undefined): Uint8Array[] {
    const words = this.#memory.words[ref >>> 22]!
    const octets = this.#memory.octets[ref >>> 22]!
    const base = page.baseOf(ref)
    const keys: Uint8Array[] = []
    for (let slot = 0; slot < page.pageCount(words, base); slot++) {
      const length = page.loadSlotKey(words, octets, base, slot, this.#key, 0)
      const key = this.#key.slice(0, length)
      keys.push(key)
      if (kind === BRANCH && slot === 0) continue
      const before = slot === (kind === BRANCH ? 1 : 0) ? undefined : keys[slot - 1]
      if (before !== undefined) assert.ok(compareOctets(before, key) < 0, 'I2: keys ascend')
      if (low !== undefined) assert.ok(compareOctets(low, key) <= (kind === BRANCH ? -1 : 0), 'I2: low bound')
      if (high !== undefined) assert.ok(compareOctets(key, high) < 0, 'I2: high bound')
      const at = page.prefixLengthOf(words, base)
      assert.equal(words[page.slotAt(words, base, slot)], page.headAt(key, at, length), 'I1: head')
    }
    return keys
  }

  #leaf(ref: number, depth: number, count: number): void {
    const words = this.#memory.words[ref >>> 22]!
    const octets = this.#memory.octets[ref >>> 22]!
    const base = page.baseOf(ref)
    if (this.#leafDepth === 0) this.#leafDepth = depth
    assert.equal(depth, this.#leafDepth, 'all leaves are equally deep')
    this.facts.leaves++
    this.facts.keys += count
    for (let slot = 0; slot < count; slot++) {
      const word = words[page.slotAt(words, base, slot) + 1]!
      if (page.valueFieldOf(word) !== OVERFLOW) continue
      const at = (base << 2) + page.cellOffset(word) + page.restLength(word)
      const view = new DataView(octets.buffer, at, 8)
      assert.ok((view.getUint32(0) & UNIT_MASK) < octets.length / UNIT_OCTETS)
      this.facts.octets += Math.ceil(view.getUint32(4) / UNIT_OCTETS) * UNIT_OCTETS
    }
  }
}
