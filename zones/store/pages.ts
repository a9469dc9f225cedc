/** The pages that a draft makes, owns and leaves behind.
 *  I1  A page that the draft owns (by its stamp) is reached only through pages that it owns.
 *  I2  Memory that a step needs is taken before the step changes anything: STORE_FULL leaves a whole tree behind.
 *  I3  Published pages and extents that the draft no longer reaches are in `retired`, each once. */

import type { Allocator } from './allocator.ts'
import type { Assembly } from './assembly.ts'
import type { TreeCursor } from './cursor.ts'
import { ARENA_UNITS_SHIFT, DEPTH_MAX, HEADER_WORDS, PAGE_UNITS } from './layout.ts'
import type { LeafRun } from './leaf-run.ts'
import type { Memory } from './memory.ts'
import { baseOf, pageUnits } from './page.ts'

/** What a draft's edits work with, and then those of another draft. */
export interface EditRoom {
  readonly path: TreeCursor
  /** For passes over the draft. */
  readonly pass: TreeCursor
  /** Keys. */
  readonly bound: Uint8Array
  readonly separator: Uint8Array
}

/** What all drafts of a store share. */
export interface Space {
  /** Of drafts that have ended. */
  readonly rooms: EditRoom[]
  readonly memory: Memory
  readonly allocator: Allocator
  readonly assembly: Assembly
  readonly run: LeafRun
}

/** Published extents that a draft left behind; parallel lists. */
export interface Retired {
  readonly refs: number[]
  readonly units: number[]
  readonly stamps: number[]
}

const STAMP_LOW = 2 ** 32

export class DraftPages {
  /** 0: an empty tree. */
  root: number
  readonly stamp: number
  readonly retired: Retired = { refs: [], units: [], stamps: [] }
  readonly space: Space
  readonly #stampLow: number
  readonly #stampHigh: number
  readonly #spare: number[] = []

  constructor(space: Space, stamp: number, root: number) {
    this.space = space
    this.stamp = stamp
    this.#stampLow = stamp | 0
    this.#stampHigh = Math.floor(stamp / STAMP_LOW)
    this.root = root
  }

  words(ref: number): Int32Array {
    return this.space.memory.words[ref >>> ARENA_UNITS_SHIFT]!
  }

  octets(ref: number): Uint8Array {
    return this.space.memory.octets[ref >>> ARENA_UNITS_SHIFT]!
  }

  owns(ref: number): boolean {
    const words = this.words(ref)
    const base = baseOf(ref)
    return words[base + 3] === this.#stampLow && words[base + 2]! >>> 16 === this.#stampHigh
  }

  setChild(branch: number, slot: number, child: number): void {
    this.words(branch)[baseOf(branch) + HEADER_WORDS + slot * 3 + 2] = child
  }

  makePage(units: number): number {
    // The first: what a leaf leaves of its page lies before the page of the next one.
    const spare = units === PAGE_UNITS ? this.#spare.shift() : undefined
    const ref = spare ?? this.space.allocator.allocate(units)
    this.stampPage(ref)
    return ref
  }

  stampPage(ref: number): void {
    const words = this.words(ref)
    const base = baseOf(ref)
    words[base + 2] = (words[base + 2]! & 0xffff) | (this.#stampHigh << 16)
    words[base + 3] = this.#stampLow
  }

  /** Takes what a split on every level can need, the leaf's being `depth` (I2). */
  reserve(depth: number): void {
    const pages = depth + 3
    if (pages > DEPTH_MAX) throw new Error('store: a tree is too deep')
    try {
      while (this.#spare.length < pages) this.#spare.push(this.space.allocator.allocate(PAGE_UNITS))
    } catch (error) {
      this.release()
      throw error
    }
  }

  get reserved(): boolean {
    return this.#spare.length > 0
  }

  /** Gives back what was reserved and not needed. */
  release(): void {
    while (this.#spare.length > 0) this.space.allocator.free(this.#spare.pop()!, PAGE_UNITS)
  }

  /** The draft no longer reaches the page. */
  retirePage(ref: number): void {
    const words = this.words(ref)
    const base = baseOf(ref)
    const units = pageUnits(words, base)
    this.retire(ref, units, (words[base + 2]! >>> 16) * STAMP_LOW + (words[base + 3]! >>> 0))
  }

  /** Frees an own extent; notes a published one. */
  retire(ref: number, units: number, stamp: number): void {
    if (stamp === this.stamp) this.space.allocator.free(ref, units)
    else {
      this.retired.refs.push(ref)
      this.retired.units.push(units)
      this.retired.stamps.push(stamp)
    }
  }

  writePage(ref: number, units: number, from: number, to: number, prefixLength: number): void {
    this.space.assembly.write(this.words(ref), this.octets(ref), baseOf(ref), units, from, to, prefixLength)
  }
}
