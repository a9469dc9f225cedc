/** How a draft's tree shrinks: pages that are nearly empty are joined. growth.ts has how it grows, draft.ts the operations on
 *  keys and values, pages.ts the invariants. */

import { TreeGrowth } from './growth.ts'
import { BRANCH, HEADER_WORDS, LEAF, PAGE_OCTETS, UNIT_OCTETS } from './layout.ts'
import {
  baseOf,
  liveOctets,
  loadSlotKey,
  pageCount,
  pageKind,
  pageUnits,
  removeCell,
  restLength,
  shrinkLeaf,
  takenOctets,
} from './page.ts'

/** A page with fewer octets in use is joined with a neighbour, if both then fill at most JOIN_OCTETS_MAX. */
const JOIN_BELOW_OCTETS: number = (PAGE_OCTETS / 8) * 3
const JOIN_OCTETS_MAX: number = (PAGE_OCTETS / 8) * 7

export class TreeEdit extends TreeGrowth {
  /** After a cell was taken out of the path's page of that level. */
  settle(level: number): void {
    this.forgetPath()
    const ref = this.path.pages[level]!
    const words = this.words(ref)
    const base = baseOf(ref)
    if (pageCount(words, base) === 0) this.#dropPage(level)
    else if (level === 0) this.#lowerRoot()
    else if (liveOctets(words, base) < JOIN_BELOW_OCTETS) this.#join(level)
  }

  #dropPage(level: number): void {
    this.retirePage(this.path.pages[level]!)
    if (level === 0) this.root = 0
    else {
      this.#removeChild(this.path.pages[level - 1]!, this.path.slots[level - 1]!)
      this.settle(level - 1)
    }
  }

  #removeChild(branch: number, slot: number): void {
    const words = this.words(branch)
    const base = baseOf(branch)
    removeCell(words, base, slot, restLength(words[base + HEADER_WORDS + slot * 3 + 1]!))
    if (slot > 0 || pageCount(words, base) === 0) return
    // The key of the new slot 0 is looked at no more.
    const word = base + HEADER_WORDS + 1
    words[base + 2] = words[base + 2]! + restLength(words[word]!)
    words[word] = 0
  }

  /** A root with one child makes way for it. */
  #lowerRoot(): void {
    for (;;) {
      const words = this.words(this.root)
      const base = baseOf(this.root)
      if (pageKind(words, base) === LEAF || pageCount(words, base) > 1) return
      const child = words[base + HEADER_WORDS + 2]!
      this.retirePage(this.root)
      this.root = child
    }
  }

  /** Joins the path's page with its right or left neighbour under the same parent, where both fit. */
  #join(level: number): void {
    const parent = this.path.pages[level - 1]!
    const slot = this.path.slots[level - 1]!
    const count = pageCount(this.words(parent), baseOf(parent))
    if (slot + 1 < count && this.#joinPair(level, slot, slot + 1)) return
    if (slot > 0) this.#joinPair(level, slot - 1, slot)
  }

  /** The pages under slots `left` and `right` of the parent, one of which is the path's own. */
  #joinPair(level: number, left: number, right: number): boolean {
    const { assembly } = this.space
    const own = this.path.pages[level]!
    const parent = this.path.pages[level - 1]!
    const words = this.words(parent)
    const slots = baseOf(parent) + HEADER_WORDS
    const leftRef = words[slots + left * 3 + 2]!
    const rightRef = words[slots + right * 3 + 2]!
    const octets =
      liveOctets(this.words(leftRef), baseOf(leftRef)) + liveOctets(this.words(rightRef), baseOf(rightRef))
    const units = pageUnits(this.words(own), baseOf(own))
    const octetsMax = Math.min(JOIN_OCTETS_MAX, units * UNIT_OCTETS)
    if (octets > octetsMax) return false
    this.#takePair(leftRef, rightRef, parent, right)
    const prefixLength = assembly.prefixOf(0, assembly.count)
    if (assembly.sizeOf(0, assembly.count, prefixLength) > octetsMax) return false
    this.writePage(own, units, 0, assembly.count, prefixLength)
    this.setChild(parent, left, own)
    this.#removeChild(parent, right)
    this.retirePage(own === leftRef ? rightRef : leftRef)
    this.settle(level - 1)
    return true
  }

  #takePair(left: number, right: number, parent: number, rightSlot: number): void {
    const { assembly } = this.space
    const leftWords = this.words(left)
    const rightWords = this.words(right)
    const kind = pageKind(leftWords, baseOf(left))
    const rightCount = pageCount(rightWords, baseOf(right))
    assembly.begin(kind)
    assembly.take(leftWords, this.octets(left), baseOf(left), 0, pageCount(leftWords, baseOf(left)))
    let from = 0
    if (kind === BRANCH) {
      const { separator } = this
      const length = loadSlotKey(
        this.words(parent),
        this.octets(parent),
        baseOf(parent),
        rightSlot,
        separator,
        0,
      )
      assembly.addChild(separator, 0, length, rightWords[baseOf(right) + HEADER_WORDS + 2]!)
      from = 1
    }
    assembly.take(rightWords, this.octets(right), baseOf(right), from, rightCount)
  }

  /** Gives back what a root leaf of this draft does not fill. It goes to where it leaves no gap, or `stays`. */
  pack(stays: boolean): void {
    this.settleRun()
    const ref = this.root
    if (ref === 0 || this.packed || !this.owns(ref)) return
    const words = this.words(ref)
    const base = baseOf(ref)
    if (pageKind(words, base) !== LEAF) return
    const { allocator } = this.space
    const units = pageUnits(words, base)
    const needed = Math.ceil(takenOctets(words, base) / UNIT_OCTETS)
    this.packed = true
    if (needed >= units) return
    if (!stays) this.root = this.makePage(needed)
    shrinkLeaf(words, base, this.words(this.root), baseOf(this.root), needed)
    if (stays) allocator.free(ref + needed, units - needed)
    else allocator.free(ref, units)
    this.forgetPath()
  }
}
