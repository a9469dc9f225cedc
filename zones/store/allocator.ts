/** Gives out extents of units and takes them back; the writing thread's alone.
 *  Free extents hang in lists by size: exact up to 64 units, then by power of two. They carry their own bookkeeping:
 *
 *    free extent = units, next, previous ... units        (32-bit words; the last word repeats the size)
 *
 *  I1  Two free extents never touch: they are joined when the second becomes free.
 *  I2  A unit's bit in the map is set exactly when it is the first or last unit of a free extent.
 *  I3  What lies behind an arena's tail was never given out or has been joined to it again.
 *  I4  Free octets other than that bookkeeping mean nothing: their memory may be the system's. */

import { ConclaveError, giveBackPages } from '../../base/index.ts'
import {
  ARENA_UNITS,
  ARENA_UNITS_SHIFT,
  UNIT_MASK,
  UNIT_OCTETS,
  UNIT_OCTETS_SHIFT,
  UNIT_WORDS_SHIFT,
} from './layout.ts'
import type { Memory } from './memory.ts'

const EXACT_BINS = 64
/** Exact bins 1 to 64, then one for each power of two up to a whole arena. */
const BINS: number = EXACT_BINS + ARENA_UNITS_SHIFT - 4
/** How many extents of one mixed bin are looked at before a larger bin is taken. */
const FIT_TRIES_MAX = 16
const GROWTH_OCTETS_MIN = 1 << 20
const GROWTH_OCTETS_MAX = 1 << 26
/** Once so much was freed, free memory goes back to the system: that of extents of at least so many units. */
const GIVE_BACK_UNITS: number = (4 << 20) >>> UNIT_OCTETS_SHIFT
const GIVE_BACK_EXTENT_UNITS: number = (128 << 10) >>> UNIT_OCTETS_SHIFT
/** Bookkeeping at the start and at the end of a free extent. */
const FREE_HEAD_OCTETS = 12
const FREE_END_OCTETS = 4

/** Ordinary drafts leave this much, so that a full store can still drop a zone: paths of the catalogue are short. */
const RESERVE_OCTETS_MAX = 1 << 18

export class Allocator {
  readonly #memory: Memory
  readonly #heads = new Int32Array(BINS)
  readonly #filled = new Int32Array((BINS + 31) >>> 5)
  readonly #edges: Int32Array[] = []
  readonly #tails: number[] = []
  readonly #unitsMax: number
  readonly #unitsReserved: number
  unitsUsed = 0
  #unitsFreed = 0
  /** Extents that were given out a second time. */
  reused = 0
  /** While true, the reserve may be used. */
  privileged = false

  constructor(memory: Memory) {
    this.#memory = memory
    let units = 0
    for (let number = 0; number < memory.octets.length; number++) {
      this.#edges.push(new Int32Array(0))
      this.#tails.push(number === 0 ? 1 : 0)
      units += memory.arenaOctetsMax(number) >>> UNIT_OCTETS_SHIFT
    }
    this.#unitsMax = units
    this.#unitsReserved = Math.min(RESERVE_OCTETS_MAX >>> UNIT_OCTETS_SHIFT, units >>> 3)
  }

  /** @throws ConclaveError STORE_FULL, with nothing changed. */
  allocate(units: number): number {
    if (!this.privileged && this.unitsUsed + units > this.#unitsMax - this.#unitsReserved) throw this.#full()
    const ref = this.#fromBins(units) || this.#fromTail(units)
    if (ref === 0) throw this.#full()
    this.unitsUsed += units
    return ref
  }

  free(ref: number, units: number): void {
    if (this.#edgeAt(ref)) throw new Error(`store: extent ${ref} is free already`)
    this.unitsUsed -= units
    this.#unitsFreed += units
    let start = ref
    let length = units
    if ((start & UNIT_MASK) !== 0 && this.#edgeAt(start - 1)) {
      const before = this.#word(start, -1)
      start -= before
      length += before
      this.#unlink(start)
    }
    const arena = start >>> ARENA_UNITS_SHIFT
    const end = (start & UNIT_MASK) + length
    if (end === this.#tails[arena]) {
      this.#tails[arena] = start & UNIT_MASK
      return
    }
    if (this.#edgeAt(start + length)) {
      const after = this.#word(start + length, 0)
      this.#unlink(start + length)
      length += after
      if ((start & UNIT_MASK) + length === this.#tails[arena]) {
        this.#tails[arena] = start & UNIT_MASK
        return
      }
    }
    this.#link(start, length)
  }

  /** Gives memory of what is free to the system, when enough was freed since it did (I4). */
  giveBack(unitsMin: number = GIVE_BACK_UNITS): void {
    if (this.#unitsFreed < unitsMin) return
    this.#unitsFreed = 0
    for (let bin = binOf(GIVE_BACK_EXTENT_UNITS); bin < BINS; bin++) {
      for (let ref = this.#heads[bin]!; ref !== 0; ref = this.#word(ref, 1)) {
        const start = (ref & UNIT_MASK) * UNIT_OCTETS
        const end = start + this.#word(ref, 0) * UNIT_OCTETS
        const octets = this.#memory.octets[ref >>> ARENA_UNITS_SHIFT]!
        giveBackPages(octets, start + FREE_HEAD_OCTETS, end - FREE_END_OCTETS)
      }
    }
    for (let arena = 0; arena < this.#tails.length; arena++) {
      const octets = this.#memory.octets[arena]!
      giveBackPages(octets, this.#tails[arena]! * UNIT_OCTETS, octets.length)
    }
  }

  #fromBins(units: number): number {
    const own = binOf(units)
    let ref = 0
    if (own >= EXACT_BINS) {
      let tries = FIT_TRIES_MAX
      for (ref = this.#heads[own]!; ref !== 0 && this.#word(ref, 0) < units; ref = this.#word(ref, 1)) {
        if (--tries === 0) {
          ref = 0
          break
        }
      }
    }
    if (ref === 0) {
      const bin = this.#filledFrom(own >= EXACT_BINS ? own + 1 : own)
      if (bin < 0) return 0
      ref = this.#heads[bin]!
    }
    const found = this.#word(ref, 0)
    this.#unlink(ref)
    if (found > units) this.#link(ref + units, found - units)
    this.reused++
    return ref
  }

  #fromTail(units: number): number {
    for (let arena = 0; arena < this.#tails.length; arena++) {
      const tail = this.#tails[arena]!
      const end = (tail + units) * UNIT_OCTETS
      if (end > this.#memory.octets[arena]!.length && !this.#grow(arena, end)) continue
      this.#tails[arena] = tail + units
      return (arena << ARENA_UNITS_SHIFT) | tail
    }
    return 0
  }

  #grow(arena: number, octetsNeeded: number): boolean {
    const max = this.#memory.arenaOctetsMax(arena)
    if (octetsNeeded > max) return false
    const now = this.#memory.octets[arena]!.length
    const step = Math.max(GROWTH_OCTETS_MIN, Math.min(GROWTH_OCTETS_MAX, now >>> 1))
    this.#memory.grow(arena, Math.min(max, Math.max(octetsNeeded, now + step)))
    if (this.#edges[arena]!.length === 0) this.#edges[arena] = new Int32Array(ARENA_UNITS >>> 5)
    return true
  }

  /** The smallest bin from `bin` on that holds something, or −1. */
  #filledFrom(bin: number): number {
    let word = bin >>> 5
    let bits = this.#filled[word]! & (-1 << (bin & 31))
    while (bits === 0) {
      if (++word === this.#filled.length) return -1
      bits = this.#filled[word]!
    }
    return (word << 5) + 31 - Math.clz32(bits & -bits)
  }

  #link(ref: number, units: number): void {
    const bin = binOf(units)
    const next = this.#heads[bin]!
    this.#setWord(ref, 0, units)
    this.#setWord(ref, 1, next)
    this.#setWord(ref, 2, 0)
    this.#setWord(ref + units, -1, units)
    if (next !== 0) this.#setWord(next, 2, ref)
    this.#heads[bin] = ref
    this.#filled[bin >>> 5]! |= 1 << (bin & 31)
    this.#setEdges(ref, units, true)
  }

  #unlink(ref: number): void {
    const units = this.#word(ref, 0)
    const next = this.#word(ref, 1)
    const previous = this.#word(ref, 2)
    const bin = binOf(units)
    if (next !== 0) this.#setWord(next, 2, previous)
    if (previous !== 0) this.#setWord(previous, 1, next)
    else {
      this.#heads[bin] = next
      if (next === 0) this.#filled[bin >>> 5]! &= ~(1 << (bin & 31))
    }
    this.#setEdges(ref, units, false)
  }

  #edgeAt(ref: number): boolean {
    const unit = ref & UNIT_MASK
    return ((this.#edges[ref >>> ARENA_UNITS_SHIFT]![unit >>> 5]! >>> (unit & 31)) & 1) === 1
  }

  #setEdges(ref: number, units: number, on: boolean): void {
    const edges = this.#edges[ref >>> ARENA_UNITS_SHIFT]!
    const first = ref & UNIT_MASK
    const last = first + units - 1
    if (on) {
      edges[first >>> 5]! |= 1 << (first & 31)
      edges[last >>> 5]! |= 1 << (last & 31)
    } else {
      edges[first >>> 5]! &= ~(1 << (first & 31))
      edges[last >>> 5]! &= ~(1 << (last & 31))
    }
  }

  /** A word counted from the start of a unit; −1 is the word before it, in the same arena. */
  #word(ref: number, index: number): number {
    const arena = index < 0 ? (ref - 1) >>> ARENA_UNITS_SHIFT : ref >>> ARENA_UNITS_SHIFT
    return this.#memory.words[arena]![((ref - (arena << ARENA_UNITS_SHIFT)) << UNIT_WORDS_SHIFT) + index]!
  }

  #setWord(ref: number, index: number, value: number): void {
    const arena = index < 0 ? (ref - 1) >>> ARENA_UNITS_SHIFT : ref >>> ARENA_UNITS_SHIFT
    this.#memory.words[arena]![((ref - (arena << ARENA_UNITS_SHIFT)) << UNIT_WORDS_SHIFT) + index] = value
  }

  #full(): ConclaveError {
    const max = this.#unitsMax * UNIT_OCTETS
    return new ConclaveError(
      'STORE_FULL',
      `the store is full: ${this.unitsUsed * UNIT_OCTETS} of ${max} octets`,
      {
        remedy: 'Raise the memory limit, or serve fewer or smaller zones.',
      },
    )
  }
}

function binOf(units: number): number {
  return units <= EXACT_BINS ? units - 1 : EXACT_BINS + 31 - Math.clz32(units) - 6
}
