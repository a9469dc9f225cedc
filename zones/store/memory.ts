/** The store's shared memory as one thread sees it: growable SharedArrayBuffers, made at the start with no octets, read
 *  through fixed-length views (length-tracking views read eleven times slower).
 *  I1  A thread's views cover everything that was published before its last `renew`.
 *  I2  Arenas only grow; a view that was handed out stays valid. */

import {
  ARENA_OCTETS,
  CONTROL_GROWTHS,
  CONTROL_READERS,
  CONTROL_READERS_MAX,
  READER_WORDS,
} from './layout.ts'

/** What another thread needs to read the store; goes through postMessage and workerData. */
export interface StoreHandle {
  readonly control: SharedArrayBuffer
  readonly arenas: readonly SharedArrayBuffer[]
}

export function createHandle(octetsMax: number, arenaOctetsMax: number, readersMax: number): StoreHandle {
  const control = new SharedArrayBuffer(4 * (CONTROL_READERS + readersMax * READER_WORDS))
  new Int32Array(control)[CONTROL_READERS_MAX] = readersMax
  const arenas: SharedArrayBuffer[] = []
  const arenaOctets = Math.min(arenaOctetsMax, ARENA_OCTETS)
  for (let left = octetsMax; left > 0; left -= arenaOctets) {
    arenas.push(new SharedArrayBuffer(0, { maxByteLength: Math.min(left, arenaOctets) }))
  }
  return { control, arenas }
}

export class Memory {
  readonly control: Int32Array
  /** By arena number. */
  readonly octets: Uint8Array[] = []
  readonly words: Int32Array[] = []
  readonly #arenas: readonly SharedArrayBuffer[]
  #growths = -1

  constructor(handle: StoreHandle) {
    this.control = new Int32Array(handle.control)
    this.#arenas = handle.arenas
    for (const arena of handle.arenas) {
      this.octets.push(new Uint8Array(arena, 0, 0))
      this.words.push(new Int32Array(arena, 0, 0))
    }
    this.renew()
  }

  /** Takes note of growth; cheap when there was none. */
  renew(): void {
    const growths = Atomics.load(this.control, CONTROL_GROWTHS)
    if (growths === this.#growths) return
    this.#growths = growths
    for (let number = 0; number < this.#arenas.length; number++) this.#renewArena(number)
  }

  #renewArena(number: number): void {
    const arena = this.#arenas[number]!
    const octets = arena.byteLength
    if (octets === this.octets[number]!.length) return
    this.octets[number] = new Uint8Array(arena, 0, octets)
    this.words[number] = new Int32Array(arena, 0, octets >>> 2)
  }

  arenaOctetsMax(number: number): number {
    return this.#arenas[number]!.maxByteLength
  }

  /** The writer's: lets an arena have that many octets. */
  grow(number: number, octets: number): void {
    this.#arenas[number]!.grow(octets)
    Atomics.add(this.control, CONTROL_GROWTHS, 1)
    this.renew()
  }
}
