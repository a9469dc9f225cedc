/** Cells of ascending keys on their way into one leaf. The leaf is written when no more of them fit, or when somebody wants to
 *  see the tree: once, with the longest prefix that its keys have, where putting each cell into it would move all of them
 *  whenever the prefix changes. Scratch of the writing thread, used by one draft at a time (growth.ts).
 *  I1  What was added fits a page. */

import { copyOctets, viewOf } from '../../base/octets.ts'
import { KEY_OCTETS_MAX } from '../name.ts'
import {
  HEADER_OCTETS,
  HEADER_WORDS,
  LEAF,
  LEAF_SLOT_OCTETS,
  PAGE_OCTETS,
  UNIT_OCTETS,
  UNIT_WORDS_SHIFT,
} from './layout.ts'
import { headAt } from './page.ts'

const CELLS_MAX: number = (PAGE_OCTETS - HEADER_OCTETS) / LEAF_SLOT_OCTETS
/** Keys are whole here, where a page has them without their prefix. */
const BODY_OCTETS: number = CELLS_MAX * KEY_OCTETS_MAX + PAGE_OCTETS

export class LeafRun {
  count = 0
  /** Whose run it is. */
  #owner: { settleRun(): void } | undefined = undefined
  /** Keys with their payloads behind them: cell n is body[#at[n]..#at[n + 1]), its key ends at #keyEnd[n]. */
  readonly body: Uint8Array = new Uint8Array(BODY_OCTETS)
  readonly #bodyView = new DataView(this.body.buffer)
  readonly #at = new Int32Array(CELLS_MAX + 1)
  readonly #keyEnd = new Int32Array(CELLS_MAX)
  readonly #fields = new Int32Array(CELLS_MAX)
  /** Octets that all keys share, and those of a page with that prefix. */
  #prefix = 0
  #octets = 0
  /** The page as it is to be, which goes to the store in words. */
  readonly #page = new Int32Array(PAGE_OCTETS >>> 2)
  readonly #pageView = new DataView(this.#page.buffer)

  /** Begins a run; that of another draft is written. */
  begin(owner: { settleRun(): void }): void {
    this.#owner?.settleRun()
    this.#owner = owner
    this.count = 0
  }

  /** From now on it is nobody's; false when it was not this draft's. */
  end(owner: { settleRun(): void }): boolean {
    if (this.#owner !== owner) return false
    this.#owner = undefined
    return true
  }

  isOf(owner: { settleRun(): void }): boolean {
    return this.#owner === owner
  }

  /** The last key is body[lastStart..lastEnd). */
  get lastStart(): number {
    return this.#at[this.count - 1]!
  }

  get lastEnd(): number {
    return this.#keyEnd[this.count - 1]!
  }

  /** Whether the key is greater than all there are. */
  isBehind(key: Uint8Array, start: number, end: number): boolean {
    const body = this.body
    if (this.count === 0) return true
    const last = this.lastStart
    const lastOctets = this.lastEnd - last
    const shorter = Math.min(end - start, lastOctets)
    for (let index = 0; index < shorter; index++) {
      const difference = key[start + index]! - body[last + index]!
      if (difference !== 0) return difference > 0
    }
    return end - start > lastOctets
  }

  /** False, with nothing changed: there is no room. */
  add(
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    payload: Uint8Array,
    payloadStart: number,
    payloadEnd: number,
    field: number,
  ): boolean {
    const { count } = this
    const keyOctets = keyEnd - keyStart
    const payloadOctets = payloadEnd - payloadStart
    const prefix = count === 0 ? keyOctets : this.#shared(key, keyStart, keyOctets)
    const octets = count > 0 && prefix === this.#prefix ? this.#octets : this.#octetsWith(prefix)
    const added = octets + LEAF_SLOT_OCTETS + restOctets(keyOctets, prefix) + payloadOctets
    const at = this.#at[count]!
    if (added > PAGE_OCTETS) return false
    const body = this.body
    for (let index = 0; index < keyOctets; index++) body[at + index] = key[keyStart + index]!
    copyOctets(viewOf(payload), payloadStart, this.#bodyView, at + keyOctets, payloadOctets)
    this.#keyEnd[count] = at + keyOctets
    this.#fields[count] = field
    this.#at[count + 1] = at + keyOctets + payloadOctets
    this.#prefix = prefix
    this.#octets = added
    this.count = count + 1
    return true
  }

  /** Octets of the prefix that the key shares. */
  #shared(key: Uint8Array, keyStart: number, keyOctets: number): number {
    const body = this.body
    const shorter = Math.min(this.#prefix, keyOctets)
    let shared = 0
    while (shared < shorter && key[keyStart + shared] === body[shared]) shared++
    return shared
  }

  /** Octets of a page of what there is with that prefix. */
  #octetsWith(prefix: number): number {
    let octets = HEADER_OCTETS + prefix
    for (let cell = 0; cell < this.count; cell++) {
      const end = this.#keyEnd[cell]!
      octets += LEAF_SLOT_OCTETS + restOctets(end - this.#at[cell]!, prefix) + this.#at[cell + 1]! - end
    }
    return octets
  }

  /** What a page of them needs. */
  get units(): number {
    return Math.ceil(this.#octets / UNIT_OCTETS)
  }

  /** Writes them as a page of so many units; only the stamp stays as it is. */
  write(words: Int32Array, base: number, units: number): void {
    const { count } = this
    const page = this.#page
    // One key alone gives none: more will come.
    const prefix = count === 1 ? 0 : this.#prefix
    let heap = units * UNIT_OCTETS - prefix
    copyOctets(this.#bodyView, 0, this.#pageView, heap, prefix)
    let slot = HEADER_WORDS
    for (let cell = 0; cell < count; cell++, slot += 2) {
      const keyAt = this.#at[cell]! + prefix
      const keyEnd = this.#keyEnd[cell]!
      // The rest of the key and the payload are next to each other here, too.
      const from = Math.min(keyAt + 4, keyEnd)
      const end = this.#at[cell + 1]!
      heap -= end - from
      copyOctets(this.#bodyView, from, this.#pageView, heap, end - from)
      page[slot] = headAt(this.body, keyAt, keyEnd)
      page[slot + 1] = (heap & 0xfff) | ((keyEnd - keyAt) << 12) | (this.#fields[cell]! << 21)
    }
    page[0] = count | (LEAF << 16) | (units << 24)
    page[1] = heap | (prefix << 16)
    page[2] = words[base + 2]! & ~0xffff
    page[3] = words[base + 3]!
    words.set(page.subarray(0, slot), base)
    words.set(page.subarray(heap >>> 2, units << UNIT_WORDS_SHIFT), base + (heap >>> 2))
  }
}

/** Octets of a key's suffix behind its head. */
function restOctets(keyOctets: number, prefix: number): number {
  return Math.max(0, keyOctets - prefix - 4)
}
