/** When memory of old versions may be used again.
 *  I1  An extent with stamp s that died with version d was seen by versions v with s < v < d only (layout.ts I3): it is
 *      freed when no reader announces such a version.
 *  I2  What is held back waits under the smallest version that holds it, and is looked at again when this one is no
 *      longer announced; so a pinned version costs nothing while it lasts. */

import { u32 } from '../node.ts'
import { ARENA_UNITS_SHIFT, HEADER_WORDS, LEAF, OVERFLOW, UNIT_OCTETS } from './layout.ts'
import { baseOf, cellOffset, pageCount, pageKind, pageUnits, restLength } from './page.ts'
import type { Retired, Space } from './pages.ts'

/** What died with one version: extents, and whole trees by their roots. */
export interface Batch {
  readonly died: number
  readonly extents: Retired
  readonly trees: readonly number[]
}

export class Reclaimer {
  readonly #space: Space
  readonly #waiting = new Map<number, Batch[]>()

  constructor(space: Space) {
    this.#space = space
  }

  /** Batches that wait for a reader. */
  get waiting(): number {
    let batches = 0
    for (const list of this.#waiting.values()) batches += list.length
    return batches
  }

  /** Frees what no announced version sees. `announced` is ascending. */
  add(batch: Batch, announced: readonly number[]): void {
    const oldest = announced[0]
    if (oldest === undefined || oldest >= batch.died) this.#freeBatch(batch)
    else this.#sort(batch, announced)
  }

  run(announced: readonly number[]): void {
    for (const [version, batches] of [...this.#waiting]) {
      if (announced.includes(version)) continue
      this.#waiting.delete(version)
      for (const batch of batches) this.add(batch, announced)
    }
  }

  #freeBatch(batch: Batch): void {
    const { refs, units } = batch.extents
    for (let index = 0; index < refs.length; index++) this.#space.allocator.free(refs[index]!, units[index]!)
    for (const root of batch.trees) freeTree(this.#space, root)
  }

  #sort(batch: Batch, announced: readonly number[]): void {
    const { died } = batch
    const held = new Map<number, { died: number; extents: Retired; trees: number[] }>()
    const hold = (version: number): { extents: Retired; trees: number[] } => {
      let part = held.get(version)
      if (part === undefined) {
        part = { died, extents: { refs: [], units: [], stamps: [] }, trees: [] }
        held.set(version, part)
      }
      return part
    }
    const { refs, units, stamps } = batch.extents
    for (let index = 0; index < refs.length; index++) {
      const holder = holderOf(announced, stamps[index]!, died)
      if (holder === 0) this.#space.allocator.free(refs[index]!, units[index]!)
      else {
        const { extents } = hold(holder)
        extents.refs.push(refs[index]!)
        extents.units.push(units[index]!)
        extents.stamps.push(stamps[index]!)
      }
    }
    for (const root of batch.trees) hold(announced[0]!).trees.push(root)
    for (const [version, part] of held) {
      const list = this.#waiting.get(version)
      if (list === undefined) this.#waiting.set(version, [part])
      else list.push(part)
    }
  }
}

/** The smallest announced version that saw an extent of that life; 0: none. */
function holderOf(announced: readonly number[], stamp: number, died: number): number {
  for (const version of announced) if (version > stamp) return version < died ? version : 0
  return 0
}

/** Frees a tree with its overflow extents: all of it, or what the draft of that stamp made. */
export function freeTree(space: Space, ref: number, stamp?: number): void {
  const words = space.memory.words[ref >>> ARENA_UNITS_SHIFT]!
  const base = baseOf(ref)
  const own = (words[base + 2]! >>> 16) * 2 ** 32 + (words[base + 3]! >>> 0)
  if (stamp !== undefined && own !== stamp) return
  const count = pageCount(words, base)
  if (pageKind(words, base) === LEAF) freeOverflow(space, ref, stamp)
  else {
    for (let slot = 0; slot < count; slot++)
      freeTree(space, words[base + HEADER_WORDS + slot * 3 + 2]!, stamp)
  }
  space.allocator.free(ref, pageUnits(words, base))
}

function freeOverflow(space: Space, ref: number, stamp?: number): void {
  const words = space.memory.words[ref >>> ARENA_UNITS_SHIFT]!
  const octets = space.memory.octets[ref >>> ARENA_UNITS_SHIFT]!
  const base = baseOf(ref)
  const count = pageCount(words, base)
  for (let slot = 0; slot < count; slot++) {
    const word = words[base + HEADER_WORDS + 2 * slot + 1]!
    if (word >>> 21 !== OVERFLOW) continue
    const at = (base << 2) + cellOffset(word) + restLength(word)
    const own = ((octets[at + 8]! << 8) | octets[at + 9]!) * 2 ** 32 + u32(octets, at + 10)
    if (stamp !== undefined && own !== stamp) continue
    space.allocator.free(u32(octets, at), Math.ceil(u32(octets, at + 4) / UNIT_OCTETS))
  }
}
