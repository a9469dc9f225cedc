/** Signatures that a build made, kept apart until its version is committed: entries end to end in one buffer, since a
 *  first signing has millions of them.
 *
 *    entry = kind:u8  keyLength:u16  packLength:u32 (2^32 − 1: none left)  key  pack */
import type { TreeKind } from '../signer/index.ts'

const HEADER_OCTETS = 7
const START_OCTETS = 1 << 12
const NONE_LEFT = 0xffffffff

export interface LoggedSignatures {
  readonly kind: TreeKind
  readonly key: Uint8Array
  /** Null: the node has no signatures any more. */
  readonly block: Uint8Array | null
}

const nothing = Buffer.alloc(0)

export class SignatureLog implements Iterable<LoggedSignatures> {
  #octets: Buffer = nothing
  #end = 0

  get empty(): boolean {
    return this.#end === 0
  }

  clear(): void {
    this.#end = 0
  }

  add(key: Uint8Array, kind: TreeKind, pack: Uint8Array | null): void {
    const at = this.#room(HEADER_OCTETS + key.length + (pack?.length ?? 0))
    this.#octets[at] = kind === 'names' ? 0 : 1
    this.#octets.writeUInt16BE(key.length, at + 1)
    this.#octets.writeUInt32BE(pack?.length ?? NONE_LEFT, at + 3)
    this.#octets.set(key, at + HEADER_OCTETS)
    if (pack !== null) this.#octets.set(pack, at + HEADER_OCTETS + key.length)
  }

  #room(octets: number): number {
    const at = this.#end
    this.#end += octets
    if (this.#end > this.#octets.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#end, START_OCTETS, 2 * this.#octets.length))
      this.#octets.copy(larger, 0, 0, at)
      this.#octets = larger
    }
    return at
  }

  /** Views into the log, in the order they were added. */
  *[Symbol.iterator](): Generator<LoggedSignatures> {
    for (let at = 0; at < this.#end; ) {
      const keyAt = at + HEADER_OCTETS
      const packAt = keyAt + this.#octets.readUInt16BE(at + 1)
      const packLength = this.#octets.readUInt32BE(at + 3)
      const end = packAt + (packLength === NONE_LEFT ? 0 : packLength)
      yield {
        kind: this.#octets[at] === 0 ? 'names' : 'nsec3',
        key: this.#octets.subarray(keyAt, packAt),
        block: packLength === NONE_LEFT ? null : this.#octets.subarray(packAt, end),
      }
      at = end
    }
  }
}
