/** A tree of the published version: where unchanged nodes and signatures are found again. */

import { decodeRRset, findRRset, type NodeRRset, type TreeCursor } from '../zones/index.ts'

export class PreviousTree {
  /** The output starts as a copy of this tree, so equal nodes need not be written. */
  readonly isCopiedFrom: boolean
  readonly #cursor: TreeCursor
  readonly #root: number

  constructor(cursor: TreeCursor, root: number, isCopiedFrom: boolean) {
    this.#cursor = cursor
    this.#root = root
    this.isCopiedFrom = isCopiedFrom
  }

  /** The node's octets; a view that stays as it is while the version is published. */
  octetsOf(key: Uint8Array): Uint8Array | undefined {
    const cursor = this.#cursor
    if (this.#root === 0 || !cursor.find(this.#root, key, 0, key.length)) return undefined
    return cursor.bytes.subarray(cursor.valueStart, cursor.valueEnd)
  }
}

export function rrsetOfType(node: Uint8Array, type: number): NodeRRset | undefined {
  const at = findRRset(node, 0, type)
  return at < 0 ? undefined : decodeRRset(node, at)
}
