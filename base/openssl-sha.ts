/** SHA-384 and SHA-512 of octets that come in parts, by the OpenSSL that the running program has linked in: one of libuv's
 *  threads hashes a part while its maker is busy with the next. node:crypto hashes where it is called.
 *  I1  Nothing is copied: the octets of a part stay as they are until its promise is kept. Small arrays are none of these,
 *      as V8 moves them.
 *  I2  Parts are hashed one at a time, in their order. */

import { opensslLibrary } from './openssl.ts'

export interface ShaByOpenssl {
  /** I1, I2. */
  part(octets: Uint8Array): Promise<void>
  /** The last part, hashed at once, and the digest of all. */
  end(octets: Uint8Array): Uint8Array
}

/** SHA512_CTX has 216 octets. */
const DIGEST_AT = 256
const SCRATCH_OCTETS = 320
const OCTETS = { sha384: 48, sha512: 64 } as const

type Call = (...args: number[]) => number

interface Calls {
  readonly addressOf: (octets: Uint8Array) => number
  readonly begin: { readonly sha384: Call; readonly sha512: Call }
  readonly update: Call
  readonly updateElsewhere: (...args: number[]) => Promise<number>
  readonly end: Call
}

let loaded: { calls: Calls | undefined } | undefined

/** Undefined where there is no such OpenSSL. */
export function shaByOpenssl(name: 'sha384' | 'sha512'): ShaByOpenssl | undefined {
  loaded ??= { calls: load() }
  const { calls } = loaded
  if (calls === undefined) return undefined
  const scratch = new Uint8Array(new SharedArrayBuffer(SCRATCH_OCTETS))
  const at = calls.addressOf(scratch)
  check(calls.begin[name](at))
  return {
    part: async octets => check(await calls.updateElsewhere(at, calls.addressOf(octets), octets.length)),
    end: octets => {
      check(calls.update(at, calls.addressOf(octets), octets.length))
      check(calls.end(at + DIGEST_AT, at))
      return scratch.slice(DIGEST_AT, DIGEST_AT + OCTETS[name])
    },
  }
}

function load(): Calls | undefined {
  const library = opensslLibrary()
  if (library === undefined) return undefined
  const { function: c, functionElsewhere, addressOf } = library
  const update = 'int SHA512_Update(size_t, size_t, size_t)'
  try {
    return {
      addressOf,
      begin: { sha384: c('int SHA384_Init(size_t)'), sha512: c('int SHA512_Init(size_t)') },
      update: c(update),
      updateElsewhere: functionElsewhere(update),
      // Writes as much as was begun.
      end: c('int SHA512_Final(size_t, size_t)'),
    }
  } catch {
    return undefined
  }
}

function check(outcome: number): void {
  if (outcome !== 1) throw new Error('OpenSSL could not hash')
}
