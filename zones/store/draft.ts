/** A tree being written: starts empty or as a copy-on-write view of a published tree, belongs to the writing thread,
 *  and ends by being committed, frozen or discarded.
 *  I1  Nothing that a reader sees changes before the commit.
 *  I2  STORE_FULL leaves the draft as it was before the call; it can go on, or be discarded. */

import { KEY_OCTETS_MAX } from '../name.ts'
import { u32 } from '../node.ts'
import { payloadOctets } from './assembly.ts'
import type { TreeCursor } from './cursor.ts'
import { TreeEdit } from './edit.ts'
import {
  HEADER_OCTETS,
  HEADER_WORDS,
  INLINE_VALUE_OCTETS_MAX,
  LEAF_SLOT_OCTETS,
  OVERFLOW,
  OVERFLOW_OCTETS,
  UNIT_MASK,
  UNIT_OCTETS,
  UNIT_OCTETS_SHIFT,
} from './layout.ts'
import {
  cellOffset,
  comparePrefix,
  copyOctets,
  insertCell,
  pageCount,
  prefixAt,
  prefixLengthOf,
  removeCell,
  restLength,
  valueFieldOf,
} from './page.ts'
import type { Space } from './pages.ts'
import { freeTree } from './reclaim.ts'

const descriptor = new Uint8Array(OVERFLOW_OCTETS)

export class TreeDraft {
  /** The store's: how the draft's tree is made, and what it left behind. */
  readonly edit: TreeEdit
  /** The published tree that this one started as; 0: none. */
  readonly base: number
  #count: number
  #open = true
  readonly #space: Space
  readonly #closed: (draft: TreeDraft) => void

  constructor(space: Space, stamp: number, base: number, count: number, closed: (draft: TreeDraft) => void) {
    this.#space = space
    this.base = base
    this.#count = count
    this.#closed = closed
    this.edit = new TreeEdit(space, stamp, base)
  }

  /** The tree as it is now; every write may change it. 0: empty. */
  get root(): number {
    this.edit.settleRun()
    return this.edit.root
  }

  /** Keys in the tree. */
  get count(): number {
    return this.#count
  }

  get open(): boolean {
    return this.#open
  }

  /** The value, as a view that is good until the draft's next write. */
  get(key: Uint8Array): Uint8Array | undefined {
    this.#check()
    const { path } = this.edit
    this.edit.forgetPath()
    if (!path.descend(this.root, key, 0, key.length)) return undefined
    return path.bytes.subarray(path.valueStart, path.valueEnd)
  }

  /** Keys put in ascending order fill pages full.
   *  @throws ConclaveError STORE_FULL */
  put(key: Uint8Array, value: Uint8Array): void {
    this.putRange(key, 0, key.length, value, 0, value.length)
  }

  /** The same from parts of larger buffers; the value may lie in the store itself. */
  putRange(
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    this.#check()
    if (keyEnd - keyStart > KEY_OCTETS_MAX)
      throw new RangeError(`store: a key of ${keyEnd - keyStart} octets`)
    const first = this.edit.root === 0
    if (first) this.edit.plant()
    try {
      this.#put(key, keyStart, keyEnd, value, valueStart, valueEnd)
    } catch (error) {
      if (first) this.edit.uproot()
      throw error
    }
  }

  #put(
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    const octets = valueEnd - valueStart
    const inline = octets <= INLINE_VALUE_OCTETS_MAX
    if (inline && this.edit.extendRun(key, keyStart, keyEnd, value, valueStart, valueEnd)) {
      this.#count++
      return
    }
    const exact = this.edit.seek(key, keyStart, keyEnd)
    this.edit.ownPath()
    if (inline) {
      this.#putCell(exact, key, keyStart, keyEnd, value, valueStart, valueEnd, octets)
      return
    }
    this.edit.reserve(this.edit.path.depth)
    try {
      this.#describe(value, valueStart, valueEnd)
      this.#putCell(exact, key, keyStart, keyEnd, descriptor, 0, OVERFLOW_OCTETS, OVERFLOW)
    } finally {
      this.edit.release()
    }
  }

  /** Copies the value to an extent of its own. */
  #describe(value: Uint8Array, start: number, end: number): void {
    const ref = this.#space.allocator.allocate(Math.ceil((end - start) / UNIT_OCTETS))
    const octets = this.edit.octets(ref)
    octets.set(value.subarray(start, end), (ref & UNIT_MASK) << UNIT_OCTETS_SHIFT)
    const { stamp } = this.edit
    const view = new DataView(descriptor.buffer)
    view.setUint32(0, ref)
    view.setUint32(4, end - start)
    view.setUint16(8, Math.floor(stamp / 2 ** 32))
    view.setUint32(10, stamp % 2 ** 32)
  }

  #putCell(
    exact: boolean,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    payload: Uint8Array,
    payloadStart: number,
    payloadEnd: number,
    field: number,
  ): void {
    if (exact) {
      this.#replace(key, keyStart, keyEnd, payload, payloadStart, payloadEnd, field)
      return
    }
    const { edit } = this
    const { words, octets, base, slots, depth } = edit.path
    const slot = slots[depth]! + 1
    const prefixLength = prefixLengthOf(words, base)
    const fits =
      (prefixLength === 0 ||
        comparePrefix(octets, prefixAt(words, base), prefixLength, key, keyStart, keyEnd) === 0) &&
      insertCell(
        words,
        octets,
        base,
        slot,
        key,
        keyStart + prefixLength,
        keyEnd,
        payload,
        payloadStart,
        payloadEnd,
        field,
        0,
      )
    if (fits) {
      slots[depth] = slot
      edit.note(slot)
    } else edit.insertAnew(slot, false, key, keyStart, keyEnd, payload, payloadStart, payloadEnd, field)
    this.#count++
  }

  /** A value that is not longer goes where the old one was; else the cell moves inside the page, or the page is
   *  written anew. */
  #replace(
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    payload: Uint8Array,
    payloadStart: number,
    payloadEnd: number,
    field: number,
  ): void {
    const { edit } = this
    const { words, octets, base, slots, depth } = edit.path
    const slot = slots[depth]!
    const slotAt = base + HEADER_WORDS + 2 * slot + 1
    const word = words[slotAt]!
    const rest = restLength(word)
    const at = (base << 2) + cellOffset(word) + rest
    const oldOctets = payloadOctets(valueFieldOf(word))
    const octetsNow = payloadEnd - payloadStart
    const old = valueFieldOf(word) === OVERFLOW ? this.#overflowAt(octets, at) : undefined
    if (octetsNow <= oldOctets) {
      copyOctets(payload, payloadStart, payloadEnd, octets, at)
      words[slotAt] = (word & 0x1fffff) | (field << 21)
      words[base + 2] = words[base + 2]! + oldOctets - octetsNow
    } else {
      const heap = words[base + 1]! & 0xffff
      const room = heap - HEADER_OCTETS - pageCount(words, base) * LEAF_SLOT_OCTETS
      if (rest + octetsNow <= room) {
        removeCell(words, base, slot, rest + oldOctets)
        const keyAt = keyStart + prefixLengthOf(words, base)
        insertCell(words, octets, base, slot, key, keyAt, keyEnd, payload, payloadStart, payloadEnd, field, 0)
      } else edit.insertAnew(slot, true, key, keyStart, keyEnd, payload, payloadStart, payloadEnd, field)
    }
    if (old !== undefined) edit.retire(old.ref, old.units, old.stamp)
  }

  #overflowAt(octets: Uint8Array, at: number): { ref: number; units: number; stamp: number } {
    const stamp = ((octets[at + 8]! << 8) | octets[at + 9]!) * 2 ** 32 + u32(octets, at + 10)
    return { ref: u32(octets, at), units: Math.ceil(u32(octets, at + 4) / UNIT_OCTETS), stamp }
  }

  /** False when there was no such key. */
  delete(key: Uint8Array): boolean {
    this.#check()
    const { edit } = this
    if (!edit.seek(key, 0, key.length)) return false
    edit.ownPath()
    const { words, octets, base, slots, depth } = edit.path
    const slot = slots[depth]!
    const word = words[base + HEADER_WORDS + 2 * slot + 1]!
    const rest = restLength(word)
    const field = valueFieldOf(word)
    if (field === OVERFLOW) {
      const old = this.#overflowAt(octets, (base << 2) + cellOffset(word) + rest)
      edit.retire(old.ref, old.units, old.stamp)
    }
    removeCell(words, base, slot, rest + payloadOctets(field))
    this.#count--
    edit.settle(depth)
    return true
  }

  /** The cursor for passes over this draft, one at a time, while it is open: `cursor.find(draft.root, …)`. Bad after any
   *  write until it is sought again. */
  cursor(): TreeCursor {
    this.#check()
    return this.edit.pass
  }

  /** Gives back all that the draft alone uses. */
  discard(): void {
    if (!this.#open) return
    this.#open = false
    if (this.root !== 0) freeTree(this.#space, this.root, this.edit.stamp)
    this.edit.end()
    this.#closed(this)
  }

  /** No more is about to be written: a small tree takes the room that it needs. Its root may be another one. */
  pack(): void {
    this.#check()
    this.edit.pack(false)
  }

  /** The store's: no more writes; what was written stays. */
  close(): void {
    this.#check()
    this.#open = false
    this.edit.pack(true)
    this.edit.end()
    this.#closed(this)
  }

  #check(): void {
    if (!this.#open) throw new Error('store: the draft was committed, frozen or discarded')
  }
}
