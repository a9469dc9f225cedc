/** The shared store: trees of zone data in memory that all threads read without copying (layout.ts). One thread writes.
 *  A version is a catalogue tree (apex key → zone record) and everything that it leads to.
 *  I1  A version never changes. A new one becomes visible by one atomic store, whole.
 *  I2  Versions ascend, but not by ones: drafts take their stamps from the same count (layout.ts I3).
 *  I3  Memory of a version is used again only when no reader announces a version that saw it (reclaim.ts).
 *  I4  Two versions in a row differ in their lowest bit, so a catalogue root stays in its place of the ring while a
 *      reader that announced its version looks at it. */

import { Allocator } from './allocator.ts'
import { Assembly } from './assembly.ts'
import { type LeafRoom, TreeCursor } from './cursor.ts'
import { TreeDraft } from './draft.ts'
import {
  ARENA_OCTETS,
  CONTROL_READERS,
  CONTROL_ROOTS,
  CONTROL_VERSION,
  READER_WORDS,
  UNIT_OCTETS,
} from './layout.ts'
import { LeafRun } from './leaf-run.ts'
import { createHandle, Memory, type StoreHandle } from './memory.ts'
import type { Space } from './pages.ts'
import { Reclaimer } from './reclaim.ts'

/** References are positive 32-bit integers: at most 511 arenas of 1 GiB. */
const ARENAS_MAX = 511
const OCTETS_MAX_DEFAULT: number = 4 * ARENA_OCTETS
const READERS_MAX_DEFAULT = 64
const LOW = 2 ** 32

export interface StoreOptions {
  /** Memory limit in octets, default 4 GiB; reserved as addresses, used as needed. */
  readonly octetsMax?: number
  /** Readers at a time, default 64. */
  readonly readersMax?: number
  /** Largest arena, at most 1 GiB; no value is larger. For tests. */
  readonly arenaOctetsMax?: number
}

/** One atomic step from a version to the next. */
export interface Change {
  /** Catalogue entries to set or, with null, to take out. */
  readonly zones: readonly { readonly apexKey: Uint8Array; readonly value: Uint8Array | null }[]
  /** Open drafts that become immutable; each replaces the tree that it started as. */
  readonly drafts: readonly TreeDraft[]
  /** Trees that nothing refers to any more, not counting those that a draft replaces. */
  readonly dropped: readonly number[]
}

export interface StoreStats {
  readonly version: number
  /** Zones in the catalogue. */
  readonly zones: number
  readonly octetsUsed: number
  readonly octetsReserved: number
  readonly octetsMax: number
  /** Parts of old versions that wait for a reader. */
  readonly batchesWaiting: number
  /** Extents given out a second time. */
  readonly extentsReused: number
  readonly openDrafts: number
}

export class Store {
  readonly handle: StoreHandle
  readonly #memory: Memory
  readonly #space: Space
  readonly #allocator: Allocator
  readonly #reclaimer: Reclaimer
  /** Immutable trees and their keys' counts. */
  readonly #trees = new Map<number, number>()
  readonly #drafts = new Set<TreeDraft>()
  #clock = 1
  #version = 1
  #catalogue = 0

  constructor(options: StoreOptions = {}) {
    const octetsMax = options.octetsMax ?? OCTETS_MAX_DEFAULT
    const arenaOctetsMax = options.arenaOctetsMax ?? ARENA_OCTETS
    if (octetsMax / arenaOctetsMax > ARENAS_MAX) throw new RangeError(`store: more than ${ARENAS_MAX} arenas`)
    this.handle = createHandle(octetsMax, arenaOctetsMax, options.readersMax ?? READERS_MAX_DEFAULT)
    this.#memory = new Memory(this.handle)
    this.#allocator = new Allocator(this.#memory)
    const [memory, allocator] = [this.#memory, this.#allocator]
    this.#space = { memory, allocator, assembly: new Assembly(), run: new LeafRun(), rooms: [] }
    this.#reclaimer = new Reclaimer(this.#space)
    Atomics.store(this.#memory.control, CONTROL_VERSION, this.#version)
  }

  /** An empty tree. */
  newTree(): TreeDraft {
    return this.#draft(0, 0)
  }

  /** A changed copy of a committed or frozen tree, which must not have another open draft. */
  editTree(root: number): TreeDraft {
    if (root === 0) return this.newTree()
    return this.#draft(root, this.treeCount(root))
  }

  /** Keys of a committed or frozen tree. */
  treeCount(root: number): number {
    if (root === 0) return 0
    const count = this.#trees.get(root)
    if (count === undefined) throw new Error(`store: ${root} is no committed or frozen tree`)
    return count
  }

  #draft(base: number, count: number): TreeDraft {
    if (base !== 0 && this.#isBase(base)) throw new Error(`store: tree ${base} has an open draft already`)
    const draft = new TreeDraft(this.#space, ++this.#clock, base, count, closed => {
      this.#drafts.delete(closed)
      this.#allocator.giveBack()
    })
    this.#drafts.add(draft)
    return draft
  }

  #isBase(root: number): boolean {
    for (const draft of this.#drafts) if (draft.base === root) return true
    return false
  }

  /** A cursor of the writing thread: over any draft, frozen tree, or tree of the newest version. */
  readTree(room?: LeafRoom): TreeCursor {
    return new TreeCursor(this.#memory, room)
  }

  /** Root of the newest version's catalogue; 0: no zones. */
  catalogueRoot(): number {
    return this.#catalogue
  }

  /** Ends a draft without publishing it, for trees that the catalogue does not lead to. Returns its root. */
  freeze(draft: TreeDraft): number {
    this.#adopt(draft)
    const died = this.#nextVersion()
    this.#clock = died
    this.#reclaimer.add({ died, extents: draft.edit.retired, trees: [] }, this.#announced())
    return draft.root
  }

  /** Publishes a new version. Fails as a whole: then the newest version is what it was, and the drafts stay open.
   *  @throws ConclaveError STORE_FULL */
  commit(change: Change): number {
    this.#checkChange(change)
    this.#reclaimer.run(this.#announced())
    const catalogue = this.#writeCatalogue(change)
    for (const draft of change.drafts) this.#adopt(draft)
    this.#adopt(catalogue)
    const version = this.#nextVersion()
    this.#publish(version, catalogue.root)
    const announced = this.#announced()
    for (const draft of [...change.drafts, catalogue]) {
      this.#reclaimer.add({ died: version, extents: draft.edit.retired, trees: [] }, announced)
    }
    const dropped = change.dropped.filter(root => root !== 0)
    for (const root of dropped) this.#trees.delete(root)
    if (dropped.length > 0) {
      this.#reclaimer.add(
        { died: version, extents: { refs: [], units: [], stamps: [] }, trees: dropped },
        announced,
      )
    }
    this.#allocator.giveBack()
    return version
  }

  #checkChange(change: Change): void {
    const gone = new Set<number>()
    for (const root of change.dropped) {
      if (root === 0) continue
      this.treeCount(root)
      if (gone.has(root) || this.#isBase(root))
        throw new Error(`store: tree ${root} is dropped twice or being edited`)
      gone.add(root)
    }
    for (const draft of change.drafts) {
      if (!this.#drafts.has(draft)) throw new Error('store: a draft of another store, or not open any more')
    }
  }

  #writeCatalogue(change: Change): TreeDraft {
    const catalogue = this.editTree(this.#catalogue)
    this.#allocator.privileged = true
    try {
      for (const { apexKey, value } of change.zones) {
        if (value === null) catalogue.delete(apexKey)
        else catalogue.put(apexKey, value)
      }
      return catalogue
    } catch (error) {
      catalogue.discard()
      throw error
    } finally {
      this.#allocator.privileged = false
    }
  }

  #adopt(draft: TreeDraft): void {
    draft.close()
    if (draft.base !== 0) this.#trees.delete(draft.base)
    if (draft.root !== 0) this.#trees.set(draft.root, draft.count)
  }

  /** I4; and 0 in a reader's slot means "none". */
  #nextVersion(): number {
    let version = this.#clock + 1
    while (((version ^ this.#version) & 1) === 0 || version % LOW === 0) version++
    return version
  }

  #publish(version: number, catalogue: number): void {
    const { control } = this.#memory
    Atomics.store(control, CONTROL_ROOTS + (version & 1), catalogue)
    Atomics.store(control, CONTROL_VERSION, version | 0)
    this.#clock = version
    this.#version = version
    this.#catalogue = catalogue
  }

  /** Announced versions, ascending. Slots hold their low 32 bits; none is 2^32 behind. */
  #announced(): number[] {
    const { control } = this.#memory
    const versions: number[] = []
    for (let at = CONTROL_READERS; at < control.length; at += READER_WORDS) {
      const low = Atomics.load(control, at)
      if (low !== 0) versions.push(this.#version - ((this.#version - low) >>> 0))
    }
    return versions.sort((a, b) => a - b)
  }

  /** Frees what no reader holds any more; commits do this too. */
  reclaim(): void {
    this.#reclaimer.run(this.#announced())
  }

  /** Gives back the slot of a reader whose thread has ended without `close`. */
  clearReader(slot: number): void {
    const at = CONTROL_READERS + slot * READER_WORDS
    Atomics.store(this.#memory.control, at, 0)
    Atomics.store(this.#memory.control, at + 1, 0)
  }

  stats(): StoreStats {
    let octetsReserved = 0
    for (const arena of this.handle.arenas) octetsReserved += arena.byteLength
    let octetsMax = 0
    for (const arena of this.handle.arenas) octetsMax += arena.maxByteLength
    return {
      version: this.#version,
      zones: this.treeCount(this.#catalogue),
      octetsUsed: this.#allocator.unitsUsed * UNIT_OCTETS,
      octetsReserved,
      octetsMax,
      batchesWaiting: this.#reclaimer.waiting,
      extentsReused: this.#allocator.reused,
      openDrafts: this.#drafts.size,
    }
  }
}
