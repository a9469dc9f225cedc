/** A part of a batch, as it goes to a thread and is worked on there (crypto-worker.ts) or on the spot (sign-pool.ts).
 *
 *    chunk ─┬─ many messages of ECDSAP256SHA256, OpenSSL at hand ─▶ base/openssl.ts
 *           └─ else ─────────────────────────────────────────────▶ verify-signature.ts, by node:crypto
 *
 *  I1  A KeyObject is a handle to the key that OpenSSL holds once per process; no octet of a private key passes between
 *      threads. Where a chunk is signed by OpenSSL itself, the thread gets the scalar out of the handle, gives it to
 *      OpenSSL, wipes it, and has OpenSSL clear its copy when the chunk ends.
 *  I2  `done` of a message is set after its signature is written, or verified. */

import type { KeyObject } from 'node:crypto'
import { openssl, type P256Key } from '../base/index.ts'
import { algorithmOf } from './algorithms.ts'
import { numbersOfKey } from './private-key-der.ts'
import { type LoadedKey, makeSignature, verifySignature } from './verify-signature.ts'

/** Messages start..end of a batch. Octets are shared memory (SharedArrayBuffer) where there are many of them. */
export interface CryptoChunk {
  readonly chunk: number
  readonly verify: boolean
  readonly algorithm: number
  readonly key: KeyObject
  /** The DNSKEY's public key field. */
  readonly publicKey: Uint8Array
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
  /** What was said of the first message that could not be signed. */
  readonly fault?: string
}

/** ECDSAP256SHA256 (RFC 6605). */
const P256_SHA256 = 13
/** Opening a key takes as long as half a signature. */
const MANY_MESSAGES = 16

/** A key at work. */
export interface ChunkEngine {
  /** Signs or verifies one message; false: the signature is wrong.
   *  @throws Error when it could not be signed */
  step(index: number): boolean
  close(): void
}

/** Does the work of one chunk; returns the first fault. */
export function runChunk(work: CryptoChunk): string | undefined {
  const engine = opensslEngine(work) ?? nodeEngine(work)
  let fault: string | undefined
  try {
    for (let index = work.start; index < work.end; index++) {
      try {
        if (engine.step(index)) work.done[index] = 1
      } catch (error) {
        fault ??= error instanceof Error ? error.message : String(error)
      }
    }
  } finally {
    engine.close()
  }
  return fault
}

export function nodeEngine(work: CryptoChunk): ChunkEngine {
  const { octets, offsets, signatures, signatureOctets } = work
  const key: LoadedKey = { ...work, algorithm: algorithmOf(work.algorithm) }
  const message = (index: number): Uint8Array => octets.subarray(offsets[index]!, offsets[index + 1]!)
  const signature = (slot: number): Uint8Array => signatures.subarray(slot, slot + signatureOctets)
  const verify = (index: number): boolean =>
    verifySignature(key, message(index), signature(index * signatureOctets))
  const sign = (index: number): boolean => {
    signatures.set(makeSignature(key, message(index)), index * signatureOctets)
    return true
  }
  return { step: work.verify ? verify : sign, close: () => undefined }
}

/** Undefined where it would not serve. */
export function opensslEngine(work: CryptoChunk): ChunkEngine | undefined {
  const { octets, offsets, signatures, signatureOctets } = work
  if (work.algorithm !== P256_SHA256 || work.end - work.start < MANY_MESSAGES) return undefined
  const library = openssl()
  if (library === undefined || !(octets.buffer instanceof SharedArrayBuffer)) return undefined
  const key = work.verify ? library.publicKey(work.publicKey) : privateKey(work)
  if (key === undefined) return undefined
  const base = library.addressOf(octets)
  const verify = (index: number): boolean => {
    const start = offsets[index]!
    return key.verify(base + start, offsets[index + 1]! - start, signatures, index * signatureOctets)
  }
  const sign = (index: number): boolean => {
    const start = offsets[index]!
    if (key.sign(base + start, offsets[index + 1]! - start, signatures, index * signatureOctets)) return true
    throw new Error('OpenSSL could not sign')
  }
  return { step: work.verify ? verify : sign, close: () => key.close() }
}

/** I1. */
function privateKey({ algorithm, key }: CryptoChunk): P256Key | undefined {
  const scalar = numbersOfKey(algorithmOf(algorithm), key)[0]!
  try {
    return scalar.use(octets => openssl()?.privateKey(octets))
  } finally {
    scalar.wipe()
  }
}
