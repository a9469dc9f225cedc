/** Copies of nodes for a pass over a whole tree. V8 takes long over each access to memory that threads share and that can
 *  grow; what is read octet by octet is copied first, some nodes at a time, by memcpy(3) where it can be called: V8 copies
 *  shared memory word by word.
 *  I1  The nodes of the tree do not change during the pass; what else is in the blocks may.
 *  I2  Blocks start where words do, in the tree's memory as in the copy: else V8 copies octet by octet.
 *  I3  A node that is larger than the room for copies is read where it is. */

import { libc } from '../base/index.ts'
import type { TreeCursor } from '../zones/index.ts'

/** A page of the tree, which has several nodes. */
const BLOCK_OCTETS = 1 << 12
/** What a copy needs. */
export const NODE_COPY_OCTETS: number = 4 * BLOCK_OCTETS

/** To and from addresses. */
type Memcpy = (to: number, from: number, octets: number) => number
let loaded: { memcpy: Memcpy | undefined } | undefined

export class NodeCopy {
  /** Where the node is: the memory given, or the tree's. */
  octets: Uint8Array
  /** Whether it is in the memory given. */
  copied = false
  readonly #memory: Uint8Array
  readonly #at: number
  readonly #memcpy: Memcpy | undefined
  readonly #address: number
  /** #memory[#at ..) begins with a copy of #source[#start .. #end). */
  #source: Uint8Array | undefined
  #sourceAddress = 0
  #start = 0
  #end = 0

  /** Copies go to memory[at .. at + NODE_COPY_OCTETS), where a word starts (I2). */
  constructor(memory: Uint8Array, at: number) {
    loaded ??= { memcpy: libc()?.function('size_t memcpy(size_t, size_t, size_t)') }
    this.octets = memory
    this.#memory = memory
    this.#at = at
    this.#memcpy = loaded.memcpy
    this.#address = addressOf(memory) + at
  }

  /** Where in `octets` the cursor's node starts. */
  load({ bytes, valueStart, valueEnd }: TreeCursor): number {
    const there = this.#source === bytes && valueStart >= this.#start && valueEnd <= this.#end
    this.copied = there || this.#copy(bytes, valueStart & -BLOCK_OCTETS, valueEnd)
    this.octets = this.copied ? this.#memory : bytes
    return this.copied ? this.#at + valueStart - this.#start : valueStart
  }

  /** False: I3. */
  #copy(bytes: Uint8Array, start: number, needed: number): boolean {
    const end = Math.min(bytes.length, (needed + BLOCK_OCTETS - 1) & -BLOCK_OCTETS)
    if (end - start > NODE_COPY_OCTETS) return false
    if (this.#source !== bytes) this.#sourceAddress = addressOf(bytes)
    if (this.#memcpy === undefined) this.#memory.set(bytes.subarray(start, end), this.#at)
    else this.#memcpy(this.#address, this.#sourceAddress + start, end - start)
    this.#source = bytes
    this.#start = start
    this.#end = end
    return true
  }
}

function addressOf(octets: Uint8Array): number {
  return libc()?.addressOf(octets) ?? 0
}
