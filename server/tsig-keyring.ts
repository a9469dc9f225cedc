/** The ring in which the key of a signed message is looked up, and the algorithms (RFC 8945 §6). Not here: how keys are
 *  given (tsig-keys.ts); this file is loaded by every answering thread.
 *  I1  Names are compared in canonical form (RFC 8945 §4.3.3); one name has one key, of one algorithm. */
import type { KeyObject } from 'node:crypto'
import { ConclaveError } from '../base/errors.ts'
import { type Name, nameFromText, nameToText } from '../zones/reading.ts'

interface Algorithm {
  readonly hash: string
  readonly digestOctets: number
  /** What is sent of the digest, and the least that is accepted. */
  readonly macOctets: number
}

/** RFC 8945 §6. Left out: HMAC-MD5, which must not be used, and GSS-TSIG. */
export const TSIG_ALGORITHMS = [
  'hmac-sha1',
  'hmac-sha224',
  'hmac-sha256',
  'hmac-sha256-128',
  'hmac-sha384',
  'hmac-sha384-192',
  'hmac-sha512',
  'hmac-sha512-256',
] as const

export type TsigAlgorithm = (typeof TSIG_ALGORITHMS)[number]

const ALGORITHMS: Readonly<Record<TsigAlgorithm, Algorithm>> = {
  'hmac-sha1': { hash: 'sha1', digestOctets: 20, macOctets: 20 },
  'hmac-sha224': { hash: 'sha224', digestOctets: 28, macOctets: 28 },
  'hmac-sha256': { hash: 'sha256', digestOctets: 32, macOctets: 32 },
  'hmac-sha256-128': { hash: 'sha256', digestOctets: 32, macOctets: 16 },
  'hmac-sha384': { hash: 'sha384', digestOctets: 48, macOctets: 48 },
  'hmac-sha384-192': { hash: 'sha384', digestOctets: 48, macOctets: 24 },
  'hmac-sha512': { hash: 'sha512', digestOctets: 64, macOctets: 64 },
  'hmac-sha512-256': { hash: 'sha512', digestOctets: 64, macOctets: 32 },
}

/** A secret shared with a peer. Make it with `tsigKey`. */
export interface TsigKey {
  /** In lower case, with its last dot. */
  readonly name: string
  readonly algorithm: TsigAlgorithm
  readonly secret: KeyObject
}

/** A key as messages refer to it. */
export interface RingKey extends Algorithm {
  /** In canonical form, wire octets. */
  readonly name: Name
  /** Names that messages may give the algorithm: its own, and that of the whole digest, which BIND and others send with
   *  truncated MACs. */
  readonly algorithmNames: readonly Name[]
  readonly key: TsigKey
}

/** Where an answerer asks for the keys of this moment. */
export interface KeyringSource {
  current(): TsigKeyring
}

export class TsigKeyring {
  readonly keys: readonly TsigKey[]
  readonly #byName = new Map<string, RingKey>()

  /** @throws ConclaveError TSIG_TWICE */
  constructor(keys: readonly TsigKey[]) {
    this.keys = keys
    for (const key of keys) {
      if (this.#byName.has(key.name)) {
        throw new ConclaveError('TSIG_TWICE', `there are two TSIG keys named ${key.name}`, {
          remedy: 'Give each key a name of its own: messages name their key by it.',
        })
      }
      const name = nameFromText(key.name)
      const algorithm = ALGORITHMS[key.algorithm]
      const names = new Set([`${key.algorithm}.`, `hmac-${algorithm.hash}.`])
      const algorithmNames = [...names].map(one => nameFromText(one))
      this.#byName.set(key.name, { name, algorithmNames, key, ...algorithm })
    }
  }

  /** I1; the name is in canonical form. */
  find(name: Name): RingKey | undefined {
    return this.#byName.size === 0 ? undefined : this.#byName.get(nameToText(name))
  }

  has(name: string): boolean {
    return this.#byName.has(name)
  }
}
