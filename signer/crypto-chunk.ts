/** A part of a batch, as it goes to a thread and is worked on there (crypto-worker.ts) or on the spot (sign-pool.ts).
 *  I1  A KeyObject is a handle to the key that OpenSSL holds once per process: no octet of a private key passes through
 *      JavaScript or between threads, and freeing the last handle clears it.
 *  I2  `done` of a message is set after its signature is written, or verified. */

import type { KeyObject } from 'node:crypto'
import { algorithmOf } from './algorithms.ts'
import { type LoadedKey, makeSignature, verifySignature } from './verify-signature.ts'

/** Messages start..end of a batch. Octets are shared memory (SharedArrayBuffer) throughout. */
export interface CryptoChunk {
  readonly chunk: number
  readonly verify: boolean
  readonly algorithm: number
  readonly key: KeyObject
  readonly octets: Uint8Array
  readonly offsets: Uint32Array
  readonly start: number
  readonly end: number
  /** Signature i is at i × signatureOctets. */
  readonly signatures: Uint8Array
  readonly signatureOctets: number
  /** 1: signed, or the signature is right. */
  readonly done: Uint8Array
}

export interface ChunkReply {
  readonly chunk: number
  /** What node:crypto said of the first message that could not be signed. */
  readonly fault?: string
}

/** Does the work of one chunk; returns the first fault. */
export function runChunk(work: CryptoChunk): string | undefined {
  const { octets, offsets, signatures, signatureOctets, done } = work
  const key: LoadedKey = { algorithm: algorithmOf(work.algorithm), key: work.key, signatureOctets }
  let fault: string | undefined
  for (let index = work.start; index < work.end; index++) {
    const message = octets.subarray(offsets[index]!, offsets[index + 1]!)
    const slot = index * signatureOctets
    try {
      if (work.verify) {
        if (!verifySignature(key, message, signatures.subarray(slot, slot + signatureOctets))) continue
      } else signatures.set(makeSignature(key, message), slot)
      done[index] = 1
    } catch (error) {
      fault ??= error instanceof Error ? error.message : String(error)
    }
  }
  return fault
}
