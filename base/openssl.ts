/** ECDSA with P-256 and SHA-256 by the OpenSSL that the running program has linked in, through koffi, for many messages and
 *  one key: node:crypto looks up algorithms by name for each, which costs a quarter of a signature. Undefined where there
 *  is no such OpenSSL (another library in its place, no koffi) or where FIPS rules, so every user has another way.
 *  Left out: other algorithms, of which node:crypto's own share is small.
 *  I1  Nothing but 1 is success or a right signature; OpenSSL's queue of errors is empty after a call, as node:crypto
 *      expects it.
 *  I2  Octets that OpenSSL sees lie in shared memory, which the collector never moves.
 *  I3  The private scalar is OpenSSL's, from `privateKey` to `close`, which clears it. */

import { getFips } from 'node:crypto'
import { type Libc, libc } from './libc.ts'

/** Messages lie at an address in memory; a signature is r | s, 64 octets. */
export interface P256Key {
  /** False: OpenSSL could not. */
  sign(address: number, octets: number, signature: Uint8Array, start: number): boolean
  verify(address: number, octets: number, signature: Uint8Array, start: number): boolean
  close(): void
}

export interface Openssl {
  /** A key with that scalar, which is copied, or point x | y; undefined when it is none. */
  privateKey(scalar: Uint8Array): P256Key | undefined
  publicKey(point: Uint8Array): P256Key | undefined
  addressOf(octets: Uint8Array): number
}

let loaded: { openssl: Openssl | undefined } | undefined

export function openssl(): Openssl | undefined {
  loaded ??= { openssl: load() }
  return loaded.openssl
}

/** Functions are those of OpenSSL 3.0; what stands in its place elsewhere calls itself 1.1.1. */
const VERSION_MIN = 0x3000_0000
/** NID_X9_62_prime256v1 of obj_mac.h. */
const P256 = 415
/** Of the field, and of SHA-256. */
const OCTETS = 32
/** SEC 1 §2.3.3. */
const POINT_UNCOMPRESSED = 4
const INTEGER = 2
const SEQUENCE = 0x30
/** Scratch memory: SHA256_CTX has 112 octets, a signature's DER at most 72. */
const DIGEST_AT = 128
const LENGTH_AT = 160
const DER_AT = 168
const SCRATCH_OCTETS = 256

type Call = (...args: number[]) => number

interface Calls {
  readonly addressOf: Libc['addressOf']
  readonly newKey: Call
  readonly freeKey: Call
  readonly setPrivate: Call
  readonly setPublic: Call
  readonly begin: Call
  readonly update: Call
  readonly end: Call
  readonly sign: Call
  readonly verify: Call
  readonly clearErrors: Call
}

function load(): Openssl | undefined {
  const library = libc()
  if (library === undefined || getFips() !== 0) return undefined
  try {
    if (library.function('unsigned int OpenSSL_version_num()')() < VERSION_MIN) return undefined
    const calls = callsOf(library)
    return {
      privateKey: scalar => openKey(calls, calls.setPrivate, scalar),
      publicKey: point => openKey(calls, calls.setPublic, Uint8Array.of(POINT_UNCOMPRESSED, ...point)),
      addressOf: library.addressOf,
    }
  } catch {
    return undefined
  }
}

/** Addresses go as numbers, over which koffi takes no time. */
function callsOf({ function: c, addressOf }: Libc): Calls {
  return {
    addressOf,
    newKey: c('size_t EC_KEY_new_by_curve_name(int)'),
    freeKey: c('void EC_KEY_free(size_t)'),
    setPrivate: c('int EC_KEY_oct2priv(size_t, size_t, size_t)'),
    setPublic: c('int EC_KEY_oct2key(size_t, size_t, size_t, size_t)'),
    begin: c('int SHA256_Init(size_t)'),
    update: c('int SHA256_Update(size_t, size_t, size_t)'),
    end: c('int SHA256_Final(size_t, size_t)'),
    sign: c('int ECDSA_sign(int, size_t, int, size_t, size_t, size_t)'),
    verify: c('int ECDSA_verify(int, size_t, int, size_t, int, size_t)'),
    clearErrors: c('void ERR_clear_error()'),
  }
}

function openKey(calls: Calls, set: Call, octets: Uint8Array): P256Key | undefined {
  // I2
  const copy = new Uint8Array(new SharedArrayBuffer(octets.length))
  copy.set(octets)
  const key = calls.newKey(P256)
  const rest = set === calls.setPublic ? [0] : []
  const right = key !== 0 && set(key, calls.addressOf(copy), copy.length, ...rest) === 1
  copy.fill(0)
  if (right) return new OpensslKey(calls, key)
  calls.freeKey(key)
  calls.clearErrors()
  return undefined
}

class OpensslKey implements P256Key {
  readonly #calls: Calls
  readonly #key: number
  readonly #scratch = new Uint8Array(new SharedArrayBuffer(SCRATCH_OCTETS))
  readonly #at: number

  constructor(calls: Calls, key: number) {
    this.#calls = calls
    this.#key = key
    this.#at = calls.addressOf(this.#scratch)
  }

  sign(address: number, octets: number, signature: Uint8Array, start: number): boolean {
    const at = this.#at
    const { sign, clearErrors } = this.#calls
    const signed =
      this.#digest(address, octets) &&
      sign(0, at + DIGEST_AT, OCTETS, at + DER_AT, at + LENGTH_AT, this.#key) === 1
    if (!signed) {
      clearErrors()
      return false
    }
    const s = this.#takeInteger(DER_AT + 2, signature, start)
    this.#takeInteger(s, signature, start + OCTETS)
    return true
  }

  verify(address: number, octets: number, signature: Uint8Array, start: number): boolean {
    const at = this.#at
    const { verify, clearErrors } = this.#calls
    const s = this.#putInteger(DER_AT + 2, signature, start)
    const end = this.#putInteger(s, signature, start + OCTETS)
    this.#scratch[DER_AT] = SEQUENCE
    this.#scratch[DER_AT + 1] = end - DER_AT - 2
    const right =
      this.#digest(address, octets) &&
      verify(0, at + DIGEST_AT, OCTETS, at + DER_AT, end - DER_AT, this.#key) === 1
    if (!right) clearErrors()
    return right
  }

  close(): void {
    this.#calls.freeKey(this.#key)
  }

  #digest(address: number, octets: number): boolean {
    const { begin, update, end } = this.#calls
    const at = this.#at
    return begin(at) === 1 && update(at, address, octets) === 1 && end(at + DIGEST_AT, at) === 1
  }

  /** Copies the INTEGER at `at` to octets of full length; returns where it ends. */
  #takeInteger(at: number, out: Uint8Array, start: number): number {
    const scratch = this.#scratch
    const end = at + 2 + scratch[at + 1]!
    let from = end
    for (let to = start + OCTETS - 1; to >= start; to--) out[to] = from > at + 2 ? scratch[--from]! : 0
    return end
  }

  /** Writes octets of full length as an INTEGER (X.690 §8.3): none needless, and a zero before a first bit that is set. */
  #putInteger(at: number, octets: Uint8Array, start: number): number {
    const scratch = this.#scratch
    const end = start + OCTETS
    let from = start
    while (from < end - 1 && octets[from] === 0) from++
    let to = at + 2
    if (octets[from]! > 0x7f) scratch[to++] = 0
    while (from < end) scratch[to++] = octets[from++]!
    scratch[at] = INTEGER
    scratch[at + 1] = to - at - 2
    return to
  }
}
