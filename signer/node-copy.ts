/** Copies of nodes for a pass over a whole tree. V8 takes long over each access to memory that threads share and that can
 *  grow; what is read octet by octet is copied first, some nodes at a time.
 *  I1  The nodes of the tree do not change during the pass; what else is in the blocks may.
 *  I2  Blocks start where words do, in the tree's memory as in the copy: else V8 copies octet by octet. */

import type { TreeCursor } from '../zones/index.ts'

/** A page of the tree, which has several nodes. */
const BLOCK_OCTETS = 1 << 12

export class NodeCopy {
  /** Another array when a node needed more room. */
  octets: Uint8Array = new Uint8Array(0)
  words: DataView = new DataView(this.octets.buffer)
  readonly #roomBehind: number
  /** `octets` begins with a copy of #source[#start .. #end). */
  #source: Uint8Array | undefined
  #start = 0
  #end = 0

  /** `octets` go on for so many octets at least behind every node. */
  constructor(roomBehind = 0) {
    this.#roomBehind = roomBehind
  }

  /** Where in `octets` the cursor's node starts. */
  load({ bytes, valueStart, valueEnd }: TreeCursor): number {
    const copied = this.#source === bytes && valueStart >= this.#start && valueEnd <= this.#end
    if (!copied) this.#copy(bytes, valueStart & -BLOCK_OCTETS, valueEnd)
    return valueStart - this.#start
  }

  #copy(bytes: Uint8Array, start: number, needed: number): void {
    const end = Math.min(bytes.length, (needed + BLOCK_OCTETS - 1) & -BLOCK_OCTETS)
    const octets = end - start + this.#roomBehind
    if (octets > this.octets.length) {
      this.octets = new Uint8Array(2 * octets)
      this.words = new DataView(this.octets.buffer)
    }
    this.octets.set(bytes.subarray(start, end))
    this.#source = bytes
    this.#start = start
    this.#end = end
  }
}
