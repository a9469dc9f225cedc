/** A reading thread's door to the store.
 *  I1  Between announce() and release() everything under the returned root stays as it is.
 *  I2  One reader announces one version; whoever needs two at a time (a transfer beside answers) makes two readers. */

import { ConclaveError } from '../../base/errors.ts'
import { type LeafRoom, TreeCursor } from './cursor.ts'
import {
  CONTROL_READERS,
  CONTROL_READERS_MAX,
  CONTROL_ROOTS,
  CONTROL_VERSION,
  READER_WORDS,
} from './layout.ts'
import { Memory, type StoreHandle } from './memory.ts'

export class StoreReader {
  /** For Store.clearReader when this thread dies. */
  readonly slot: number
  /** Low 32 bits of the announced version; 0: none. */
  version = 0
  readonly #memory: Memory
  readonly #at: number

  /** @throws ConclaveError STORE_READERS when all slots are taken. */
  constructor(handle: StoreHandle) {
    this.#memory = new Memory(handle)
    this.slot = claimSlot(this.#memory.control)
    this.#at = CONTROL_READERS + this.slot * READER_WORDS
  }

  /** Pins the newest version and returns its catalogue's root (0: no zones). Announcing again moves the pin. */
  announce(): number {
    const { control } = this.#memory
    for (;;) {
      const version = Atomics.load(control, CONTROL_VERSION)
      Atomics.store(control, this.#at, version)
      const root = Atomics.load(control, CONTROL_ROOTS + (version & 1))
      // Only if the version is still the newest, the writer saw the announcement before it freed anything of it.
      if (Atomics.load(control, CONTROL_VERSION) !== version) continue
      this.#memory.renew()
      this.version = version >>> 0
      return root
    }
  }

  /** Lets go of the version; cursors of this reader must not be used until the next announce(). */
  release(): void {
    Atomics.store(this.#memory.control, this.#at, 0)
    this.version = 0
  }

  /** `room`: for a pass over a whole tree, see TreeCursor. */
  cursor(room?: LeafRoom): TreeCursor {
    return new TreeCursor(this.#memory, room)
  }

  /** Gives the slot back. */
  close(): void {
    this.release()
    Atomics.store(this.#memory.control, this.#at + 1, 0)
  }
}

function claimSlot(control: Int32Array): number {
  const readersMax = control[CONTROL_READERS_MAX]!
  for (let slot = 0; slot < readersMax; slot++) {
    if (Atomics.compareExchange(control, CONTROL_READERS + slot * READER_WORDS + 1, 0, 1) === 0) return slot
  }
  throw new ConclaveError('STORE_READERS', `all ${readersMax} reader slots of the store are taken`, {
    remedy: 'Close readers that are not used, or raise readersMax.',
  })
}
