/** How a draft's tree grows: the path to a key is found, pages are copied before their first change and split when full.
 *  pages.ts has the invariants. */

import { KEY_OCTETS_MAX } from '../name.ts'
import { scratchOctets } from '../scratch.ts'
import { TreeCursor } from './cursor.ts'
import { BRANCH, LEAF, PAGE_OCTETS, PAGE_UNITS, UNIT_OCTETS, UNIT_WORDS_SHIFT } from './layout.ts'
import {
  baseOf,
  comparePrefix,
  insertCell,
  loadSlotKey,
  pageCount,
  pageUnits,
  prefixAt,
  prefixLengthOf,
  searchLeaf,
} from './page.ts'
import { DraftPages, type EditRoom, type Space } from './pages.ts'

const nothing = new Uint8Array(0)

function newRoom({ memory }: Space): EditRoom {
  const separator = scratchOctets(KEY_OCTETS_MAX)
  const bound = scratchOctets(KEY_OCTETS_MAX)
  return { path: new TreeCursor(memory), pass: new TreeCursor(memory), bound, separator }
}

export class TreeGrowth extends DraftPages {
  readonly path: TreeCursor
  readonly pass: TreeCursor
  readonly #room: EditRoom
  /** Room for one. */
  protected readonly separator: Uint8Array
  #separatorLength = 0
  /** The path leads to the leaf of the last put; whether this is the tree's last leaf, else the key that it ends before. */
  #finger = false
  #lastLeaf = false
  /** Whether a root leaf has the size that it needs. */
  protected packed = false
  readonly #bound: Uint8Array
  #boundLength = 0
  /** Page and slot of the last put: an ascending run splits pages behind itself and leaves them full. */
  #runPage = 0
  #runSlot = -1

  constructor(space: Space, stamp: number, root: number) {
    super(space, stamp, root)
    this.#room = space.rooms.pop() ?? newRoom(space)
    this.path = this.#room.path
    this.pass = this.#room.pass
    this.#bound = this.#room.bound
    this.separator = this.#room.separator
  }

  /** There are no more edits. */
  end(): void {
    this.space.rooms.push(this.#room)
  }

  /** Path to the leaf of the key; true when the key is there. The last put's leaf is tried first. */
  seek(key: Uint8Array, start: number, end: number): boolean {
    this.settleRun()
    const path = this.path
    if (this.#finger) {
      const found = searchLeaf(path.words, path.octets, path.base, key, start, end)
      const slot = found >> 1
      const last = pageCount(path.words, path.base) - 1
      if ((found & 1) === 1 || (slot >= 0 && (slot < last || this.#isBelowBound(key, start, end)))) {
        path.slots[path.depth] = slot
        return (found & 1) === 1
      }
    }
    const exact = path.descend(this.root, key, start, end)
    this.#keepBound()
    this.#finger = true
    return exact
  }

  /** Where the path's leaf ends: the separator behind it, of the lowest level that has one. */
  #keepBound(): void {
    const path = this.path
    this.#lastLeaf = true
    for (let level = path.depth - 1; level >= 0 && this.#lastLeaf; level--) {
      const ref = path.pages[level]!
      const words = this.words(ref)
      const slot = path.slots[level]! + 1
      if (slot === pageCount(words, baseOf(ref))) continue
      this.#lastLeaf = false
      this.#boundLength = loadSlotKey(words, this.octets(ref), baseOf(ref), slot, this.#bound, 0)
    }
  }

  #isBelowBound(key: Uint8Array, start: number, end: number): boolean {
    return this.#lastLeaf || comparePrefix(this.#bound, 0, this.#boundLength, key, start, end) < 0
  }

  /** Adds a cell to the leaf that an ascending run of puts is filling, or to the next; false when it does not belong there. */
  extendRun(
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    payload: Uint8Array,
    payloadStart: number,
    payloadEnd: number,
  ): boolean {
    const { run } = this.space
    if (!run.isOf(this) || !run.isBehind(key, keyStart, keyEnd)) return false
    if (!this.#isBelowBound(key, keyStart, keyEnd)) return false
    const field = payloadEnd - payloadStart
    if (!run.add(key, keyStart, keyEnd, payload, payloadStart, payloadEnd, field)) {
      this.settleRun(run.units)
      this.path.descend(this.root, key, keyStart, keyEnd)
      const { assembly } = this.space
      assembly.begin(LEAF)
      assembly.addLeafCell(run.body, run.lastStart, run.lastEnd, nothing, 0, 0, 0)
      this.#appendLeaf(key, keyStart, keyEnd, payload, payloadStart, payloadEnd, field)
    }
    return true
  }

  /** Writes what a run has for its leaf: the tree is all there afterwards. A leaf that is full needs no more than `units`. */
  settleRun(units: number = PAGE_UNITS): void {
    const { run, allocator } = this.space
    if (!run.end(this) || run.count === 0) return
    run.write(this.words(this.#runPage), baseOf(this.#runPage), units)
    if (units < PAGE_UNITS) allocator.free(this.#runPage + units, PAGE_UNITS - units)
    this.#runSlot = run.count - 1
  }

  /** Where the last put went. */
  note(slot: number): void {
    this.#runPage = this.path.pages[this.path.depth]!
    this.#runSlot = slot
  }

  forgetPath(): void {
    this.#finger = false
  }

  /** An empty leaf as root, a whole page until `pack`, with a run; the caller puts a cell into it or calls `uproot`. */
  plant(): void {
    const ref = this.makePage(PAGE_UNITS)
    const base = baseOf(ref)
    const words = this.words(ref)
    words[base] = (LEAF << 16) | (PAGE_UNITS << 24)
    words[base + 1] = PAGE_OCTETS
    words[base + 2] = words[base + 2]! & ~0xffff
    this.root = ref
    this.#lastLeaf = true
    this.#beginRun(ref)
  }

  /** Keys that follow go into that leaf, which is empty, while they ascend. */
  #beginRun(leaf: number): void {
    this.#runPage = leaf
    this.#finger = false
    this.space.run.begin(this)
  }

  uproot(): void {
    this.space.run.end(this)
    this.space.allocator.free(this.root, PAGE_UNITS)
    this.root = 0
    this.#finger = false
  }

  /** Makes every page of the path the draft's own. */
  ownPath(): void {
    this.packed = false
    const path = this.path
    const depth = path.depth
    if (this.owns(path.pages[depth]!)) return
    for (let level = 0; level <= depth; level++) {
      const ref = path.pages[level]!
      if (!this.owns(ref)) path.pages[level] = this.#copyPage(ref, level)
    }
    const leaf = path.pages[depth]!
    path.words = this.words(leaf)
    path.octets = this.octets(leaf)
    path.base = baseOf(leaf)
  }

  #copyPage(ref: number, level: number): number {
    const base = baseOf(ref)
    const units = pageUnits(this.words(ref), base)
    const copy = this.makePage(units)
    const from = this.words(ref).subarray(base, base + (units << UNIT_WORDS_SHIFT))
    this.words(copy).set(from, baseOf(copy))
    this.stampPage(copy)
    if (level === 0) this.root = copy
    else {
      const parent = this.path.pages[level - 1]!
      this.setChild(parent, this.path.slots[level - 1]!, copy)
    }
    this.retirePage(ref)
    return copy
  }

  /** Puts a cell into the leaf of the path at `slot`, or in place of the cell there: writes the page anew, makes it
   *  larger or splits it. */
  insertAnew(
    slot: number,
    replace: boolean,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    payload: Uint8Array,
    payloadStart: number,
    payloadEnd: number,
    field: number,
  ): void {
    const { assembly } = this.space
    const { words, octets, base } = this.path
    const count = pageCount(words, base)
    assembly.begin(LEAF)
    assembly.take(words, octets, base, 0, slot)
    assembly.addLeafCell(key, keyStart, keyEnd, payload, payloadStart, payloadEnd, field)
    assembly.take(words, octets, base, replace ? slot + 1 : slot, count)
    const prefixLength = assembly.prefixOf(0, assembly.count)
    const size = assembly.sizeOf(0, assembly.count, prefixLength)
    const units = pageUnits(words, base)
    if (size <= units * UNIT_OCTETS) {
      assembly.write(words, octets, base, units, 0, assembly.count, prefixLength)
      this.path.slots[this.path.depth] = slot
      this.note(slot)
    } else if (size <= PAGE_OCTETS) this.#enlarge(slot, size, units, prefixLength)
    else if (!replace && slot === count && this.#isRun(slot, true)) {
      this.#leaveLeaf()
      this.#appendLeaf(key, keyStart, keyEnd, payload, payloadStart, payloadEnd, field)
    } else this.#splitLeaf(slot, !replace && this.#isRun(slot, false))
  }

  /** The leaf is smaller than a page (layout.ts I4). */
  #enlarge(slot: number, size: number, units: number, prefixLength: number): void {
    const wanted = Math.min(PAGE_UNITS, Math.max(Math.ceil(size / UNIT_OCTETS), units * 2))
    const larger = this.reserved ? PAGE_UNITS : wanted
    const ref = this.makePage(larger)
    this.writePage(ref, larger, 0, this.space.assembly.count, prefixLength)
    this.#replaceLeaf(ref)
    this.note(slot)
    this.#finger = false
  }

  /** Another page in place of the path's leaf. */
  #replaceLeaf(ref: number): void {
    const { path } = this
    const { depth } = path
    const page = path.pages[depth]!
    path.pages[depth] = ref
    if (depth === 0) this.root = ref
    else this.setChild(path.pages[depth - 1]!, path.slots[depth - 1]!, ref)
    this.retirePage(page)
  }

  #splitLeaf(slot: number, run: boolean): void {
    const { assembly } = this.space
    const { path } = this
    const page = path.pages[path.depth]!
    const at = run ? this.#splitOfRun(slot) : assembly.evenSplit(slot)
    this.reserve(path.depth)
    const whole = pageUnits(path.words, path.base) === PAGE_UNITS
    const left = whole ? page : this.makePage(PAGE_UNITS)
    const right = this.makePage(PAGE_UNITS)
    this.#keepSeparator(at, assembly.common(at - 1, at) + 1)
    this.writePage(left, PAGE_UNITS, 0, at, assembly.prefixOf(0, at))
    // The key of a run's new page tells more about the next keys together with the one before it.
    const alone = assembly.count - at === 1
    const prefixLength = alone ? assembly.common(at - 1, at) : assembly.prefixOf(at, assembly.count)
    this.writePage(right, PAGE_UNITS, at, assembly.count, prefixLength)
    if (!whole) this.#replaceLeaf(left)
    this.#runPage = slot < at ? left : right
    this.#runSlot = slot < at ? slot : slot - at
    this.#insertSeparator(path.depth - 1, left, right, false)
    this.#finger = false
    this.release()
  }

  /** Whether a put at that slot goes on where the one before was, or at the end of the tree. */
  #isRun(slot: number, last: boolean): boolean {
    const page = this.path.pages[this.path.depth]!
    return (last && this.#lastLeaf) || (page === this.#runPage && slot === this.#runSlot + 1)
  }

  /** An ascending run leaves the path's leaf behind, which takes no more than its cells need: all that the assembly has but the
   *  newest. Afterwards it has the last of them. */
  #leaveLeaf(): void {
    const { assembly, allocator } = this.space
    const { words, octets, base, pages, depth } = this.path
    const left = assembly.count - 1
    const prefixLength = assembly.prefixOf(0, left)
    const units = Math.ceil(assembly.sizeOf(0, left, prefixLength) / UNIT_OCTETS)
    const free = pageUnits(words, base) - units
    assembly.write(words, octets, base, units, 0, left, prefixLength)
    if (free > 0) allocator.free(pages[depth]! + units, free)
    assembly.begin(LEAF)
    assembly.take(words, octets, base, left - 1, left)
  }

  /** The run's leaf stays as it is; behind its last cell, which the assembly has, this one starts a new leaf. */
  #appendLeaf(
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    payload: Uint8Array,
    payloadStart: number,
    payloadEnd: number,
    field: number,
  ): void {
    const { assembly, run } = this.space
    const { path } = this
    assembly.addLeafCell(key, keyStart, keyEnd, payload, payloadStart, payloadEnd, field)
    this.reserve(path.depth)
    const right = this.makePage(PAGE_UNITS)
    this.#keepSeparator(1, assembly.common(0, 1) + 1)
    this.#insertSeparator(path.depth - 1, path.pages[path.depth]!, right, true)
    this.release()
    this.#beginRun(right)
    run.add(key, keyStart, keyEnd, payload, payloadStart, payloadEnd, field)
  }

  /** Behind the run, so that what follows it does not fill the run's pages; or before its newest key. */
  #splitOfRun(slot: number): number {
    const { assembly } = this.space
    if (assembly.fitsSplit(slot + 1)) return slot + 1
    return assembly.fitsSplit(slot) ? slot : assembly.evenSplit(slot)
  }

  #keepSeparator(cell: number, length: number): void {
    const { assembly } = this.space
    const at = assembly.keyAt[cell]!
    for (let index = 0; index < length; index++) this.separator[index] = assembly.keys[at + index]!
    this.#separatorLength = length
  }

  /** Tells the parent level of a split page, whose right half starts at the separator. */
  #insertSeparator(level: number, left: number, right: number, run: boolean): void {
    const { assembly } = this.space
    const { separator } = this
    const length = this.#separatorLength
    if (level < 0) {
      assembly.begin(BRANCH)
      assembly.addChild(nothing, 0, 0, left)
      assembly.addChild(separator, 0, length, right)
      this.root = this.makePage(PAGE_UNITS)
      this.writePage(this.root, PAGE_UNITS, 0, 2, 0)
      return
    }
    const ref = this.path.pages[level]!
    const slot = this.path.slots[level]! + 1
    const words = this.words(ref)
    const octets = this.octets(ref)
    const base = baseOf(ref)
    const prefixLength = prefixLengthOf(words, base)
    if (comparePrefix(octets, prefixAt(words, base), prefixLength, separator, 0, length) === 0) {
      if (insertCell(words, octets, base, slot, separator, prefixLength, length, nothing, 0, 0, 0, right))
        return
    }
    assembly.begin(BRANCH)
    assembly.take(words, octets, base, 0, slot)
    assembly.addChild(separator, 0, length, right)
    assembly.take(words, octets, base, slot, pageCount(words, base))
    const prefix = assembly.prefixOf(0, assembly.count)
    if (assembly.sizeOf(0, assembly.count, prefix) <= PAGE_OCTETS) {
      this.writePage(ref, PAGE_UNITS, 0, assembly.count, prefix)
    } else this.#splitBranch(level, ref, slot, run && slot === assembly.count - 1)
  }

  #splitBranch(level: number, ref: number, slot: number, run: boolean): void {
    const { assembly } = this.space
    const at = run ? slot : assembly.evenSplit(slot)
    const right = this.makePage(PAGE_UNITS)
    this.#keepSeparator(at, assembly.keyAt[at + 1]! - assembly.keyAt[at]!)
    this.writePage(ref, PAGE_UNITS, 0, at, assembly.prefixOf(0, at))
    this.writePage(right, PAGE_UNITS, at, assembly.count, assembly.prefixOf(at, assembly.count))
    this.#insertSeparator(level - 1, ref, right, run)
  }
}
