/** Which keys a tree has, for ascending keys that are put in right after they were asked. Zone files are mostly in order,
 *  so that the next key mostly falls between the last one and the one behind it in the tree: then it is not there, and
 *  the tree need not be asked.
 *  I1  Keys are asked in ascending order; nothing but these is put into the tree, each right after it was asked. */

import { KEY_OCTETS_MAX } from './name.ts'
import { scratchOctets } from './scratch.ts'
import type { TreeCursor } from './store/cursor.ts'
import type { TreeDraft } from './store/draft.ts'

export class KeyGap {
  readonly #tree: TreeDraft
  readonly #cursor: TreeCursor
  /** The key behind the last one asked that the tree had at the start; −1 octets when there is none. */
  readonly #end = scratchOctets(KEY_OCTETS_MAX)
  #endOctets = 0

  constructor(tree: TreeDraft) {
    this.#tree = tree
    this.#cursor = tree.cursor()
  }

  /** Whether the tree has key[start..end). */
  has(key: Uint8Array, start: number, end: number): boolean {
    if (this.#endOctets < 0 || compareRange(key, start, end, this.#end, this.#endOctets) < 0) return false
    return this.#seek(key, start, end)
  }

  #seek(key: Uint8Array, start: number, end: number): boolean {
    const cursor = this.#cursor
    this.#endOctets = -1
    let more = cursor.seekCeiling(this.#tree.root, key, start, end)
    const found = more && compareRange(key, start, end, cursor.key, cursor.loadKey()) === 0
    if (found) more = cursor.next()
    if (!more) return found
    this.#endOctets = cursor.loadKey()
    for (let at = 0; at < this.#endOctets; at++) this.#end[at] = cursor.key[at]!
    return found
  }
}

/** Order of key[start..end) and other[0..octets). */
function compareRange(
  key: Uint8Array,
  start: number,
  end: number,
  other: Uint8Array,
  octets: number,
): number {
  const shorter = Math.min(end - start, octets)
  for (let at = 0; at < shorter; at++) {
    const difference = key[start + at]! - other[at]!
    if (difference !== 0) return difference
  }
  return end - start - octets
}
