/** Hashes for challenges, session ids and transcripts: each begins with a label of its own, and each part with its length, so
 *  that no two meanings share octets (CVE-2022-47931 and the TSSHOCK attacks lived on the opposite). */

import { createHash, type Hash } from 'node:crypto'
import { octetsOf } from './integers.ts'

const PREFIX = 'conclave hsm v1: '

export type TranscriptPart = Uint8Array | string | number | bigint

export class Transcript {
  readonly #hash: Hash

  constructor(label: string) {
    this.#hash = createHash('sha256')
    this.add(`${PREFIX}${label}`)
  }

  /** Numbers are octets of 64 bits; integers have a sign of their own in front. */
  add(...parts: readonly TranscriptPart[]): this {
    for (const part of parts) {
      const octets = octetsOfPart(part)
      const length = new Uint8Array(5)
      length[0] = typeof part === 'string' ? 0x73 : typeof part === 'object' ? 0x6f : 0x69
      new DataView(length.buffer).setUint32(1, octets.length)
      this.#hash.update(length).update(octets)
    }
    return this
  }

  digest(): Uint8Array {
    return new Uint8Array(this.#hash.digest())
  }
}

/** A hash in one go. */
export function hashOf(label: string, ...parts: readonly TranscriptPart[]): Uint8Array {
  return new Transcript(label).add(...parts).digest()
}

function octetsOfPart(part: TranscriptPart): Uint8Array {
  if (typeof part === 'string') return new TextEncoder().encode(part)
  if (typeof part === 'object') return part
  const value = BigInt(part)
  const magnitude = octetsOf(value < 0n ? -value : value)
  return Uint8Array.of(value < 0n ? 1 : 0, ...magnitude)
}
