/** NSEC3 hashes of names asked about (RFC 5155 §5): SHA-1 over the lower-case wire name and the salt, iterated. A SHA-1
 *  (FIPS 180-4 §6.1) of our own, since one block through node:crypto costs four to six times as much and allocates.
 *  Nothing secret is hashed here.
 *  I1  `hash` is exactly RFC 5155 §5's IH(salt, x, k); the result stands in `digest` until the next call.
 *  I2  The cache is direct-mapped and of fixed size; an entry is used only for the same name, salt and iterations. */

import { lowerCase } from '../zones/reading.ts'

export const NSEC3_HASH_OCTETS = 20
/** A name of 255 octets and a salt of 255, and room for padding: nine blocks of 64. */
const MESSAGE_OCTETS = 576
/** Entries in the cache, a power of two: 4,096 × (20 + 64 + 12) octets are 400 KB a thread. */
const CACHE_ENTRIES = 4096
/** Longer names are hashed each time. */
const CACHED_NAME_OCTETS = 64

const schedule = new Int32Array(80)
const words = new Int32Array(5)

export class Nsec3Hasher {
  readonly digest: Uint8Array = new Uint8Array(NSEC3_HASH_OCTETS)
  readonly #message = new Uint8Array(MESSAGE_OCTETS)
  readonly #names = new Uint8Array(CACHE_ENTRIES * CACHED_NAME_OCTETS)
  readonly #digests = new Uint8Array(CACHE_ENTRIES * NSEC3_HASH_OCTETS)
  readonly #lengths = new Uint8Array(CACHE_ENTRIES)
  readonly #parameters: (Nsec3Parameters | undefined)[] = new Array<undefined>(CACHE_ENTRIES).fill(undefined)

  /** Hashes `*.` (when `wildcard`) and the wire name of `octets` octets at `start`, in any case, into `digest`. */
  hash(
    parameters: Nsec3Parameters,
    name: Uint8Array,
    start: number,
    octets: number,
    wildcard: boolean,
  ): void {
    const message = this.#message
    let length = 0
    if (wildcard) {
      message[0] = 1
      message[1] = 0x2a
      length = 2
    }
    for (let at = start; at < start + octets; at++) message[length++] = lowerCase[name[at]!]!
    // RFC 9276 §3.1: the usual chain has no iterations; then one hash costs no more than looking for it.
    if (length > CACHED_NAME_OCTETS || parameters.iterations === 0) {
      this.#compute(parameters, length)
      return
    }
    const entry = this.#entryOf(length)
    if (this.#cached(parameters, entry, length)) return
    this.#lengths[entry] = length
    this.#parameters[entry] = parameters
    for (let at = 0; at < length; at++) this.#names[entry * CACHED_NAME_OCTETS + at] = message[at]!
    this.#compute(parameters, length)
    for (let at = 0; at < NSEC3_HASH_OCTETS; at++)
      this.#digests[entry * NSEC3_HASH_OCTETS + at] = this.digest[at]!
  }

  #entryOf(length: number): number {
    let check = length
    for (let at = 0; at < length; at++) check = (Math.imul(check, 31) + this.#message[at]!) | 0
    return (check ^ (check >>> 12)) & (CACHE_ENTRIES - 1)
  }

  #cached(parameters: Nsec3Parameters, entry: number, length: number): boolean {
    if (this.#lengths[entry] !== length || this.#parameters[entry] !== parameters) return false
    const base = entry * CACHED_NAME_OCTETS
    for (let at = 0; at < length; at++) if (this.#names[base + at] !== this.#message[at]) return false
    const from = entry * NSEC3_HASH_OCTETS
    for (let at = 0; at < NSEC3_HASH_OCTETS; at++) this.digest[at] = this.#digests[from + at]!
    return true
  }

  /** RFC 5155 §5: IH(salt, x, 0) = H(x || salt); IH(salt, x, k) = H(IH(salt, x, k-1) || salt). */
  #compute({ salt, iterations }: Nsec3Parameters, nameOctets: number): void {
    const message = this.#message
    let length = nameOctets
    for (let left = iterations; ; left--) {
      for (let at = 0; at < salt.length; at++) message[length + at] = salt[at]!
      sha1(message, length + salt.length, this.digest)
      if (left === 0) return
      for (let at = 0; at < NSEC3_HASH_OCTETS; at++) message[at] = this.digest[at]!
      length = NSEC3_HASH_OCTETS
    }
  }
}

/** Salt and iterations of a chain; the same object means the same values (I2). */
export interface Nsec3Parameters {
  readonly salt: Uint8Array
  readonly iterations: number
}

/** FIPS 180-4 §5.1.1 and §6.1.2. `message` has room for the padding behind `length` octets. */
function sha1(message: Uint8Array, length: number, digest: Uint8Array): void {
  const blocks = (length + 9 + 63) >>> 6
  const end = blocks << 6
  message[length] = 0x80
  for (let at = length + 1; at < end; at++) message[at] = 0
  message[end - 2] = length >>> 5
  message[end - 1] = length << 3
  message[end - 3] = length >>> 13
  words[0] = 0x67452301
  words[1] = 0xefcdab89
  words[2] = 0x98badcfe
  words[3] = 0x10325476
  words[4] = 0xc3d2e1f0
  for (let at = 0; at < end; at += 64) sha1Block(message, at)
  for (let index = 0; index < 5; index++) {
    const word = words[index]!
    digest[4 * index] = word >>> 24
    digest[4 * index + 1] = word >>> 16
    digest[4 * index + 2] = word >>> 8
    digest[4 * index + 3] = word
  }
}

function sha1Block(message: Uint8Array, start: number): void {
  const w = schedule
  for (let i = 0, at = start; i < 16; i++, at += 4) {
    w[i] = (message[at]! << 24) | (message[at + 1]! << 16) | (message[at + 2]! << 8) | message[at + 3]!
  }
  for (let i = 16; i < 80; i++) {
    const x = w[i - 3]! ^ w[i - 8]! ^ w[i - 14]! ^ w[i - 16]!
    w[i] = (x << 1) | (x >>> 31)
  }
  let a = words[0]!
  let b = words[1]!
  let c = words[2]!
  let d = words[3]!
  let e = words[4]!
  let i = 0
  for (; i < 20; i++) {
    const t = (((a << 5) | (a >>> 27)) + ((b & c) | (~b & d)) + e + 0x5a827999 + w[i]!) | 0
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = t
  }
  for (; i < 40; i++) {
    const t = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + e + 0x6ed9eba1 + w[i]!) | 0
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = t
  }
  for (; i < 60; i++) {
    const t = (((a << 5) | (a >>> 27)) + ((b & c) | (b & d) | (c & d)) + e + 0x8f1bbcdc + w[i]!) | 0
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = t
  }
  for (; i < 80; i++) {
    const t = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + e + 0xca62c1d6 + w[i]!) | 0
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = t
  }
  words[0] = (words[0]! + a) | 0
  words[1] = (words[1]! + b) | 0
  words[2] = (words[2]! + c) | 0
  words[3] = (words[3]! + d) | 0
  words[4] = (words[4]! + e) | 0
}
