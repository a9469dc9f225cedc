/** Keys of TSIG (RFC 8945 §6): algorithms, keys as they are given, and the ring in which a message's key is looked up.
 *  Not here: how a message is signed (tsig.ts), nor which key may do what (access.ts).
 *  I1  A secret is a KeyObject: its octets are OpenSSL's, shared by threads, wiped with the last reference, and shown
 *      by neither `inspect` nor JSON.
 *  I2  Names are compared in canonical form (RFC 8945 §4.3.3); one name has one key, of one algorithm. */
import { createSecretKey, type KeyObject } from 'node:crypto'
import { ConclaveError, type Place } from '../base/index.ts'
import { decodeBase64 } from '../signer/index.ts'
import { canonicalName, type Name, nameFromText, nameToText, rootName } from '../zones/index.ts'

interface Algorithm {
  readonly hash: string
  readonly digestOctets: number
  /** What is sent of the digest. */
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

/** A key from texts, as dig's -y, BIND's and Knot's configurations have them; the secret is base64 (RFC 4648 §4).
 *  @throws ConclaveError NAME_SYNTAX, TSIG_ALGORITHM, TSIG_SECRET */
export function tsigKey(
  name: string,
  algorithm: string,
  secret: string | Uint8Array,
  place: Place = {},
): TsigKey {
  const canonical = keyNameText(name, place)
  const known = algorithm.toLowerCase().replace(/\.$/, '')
  if (!Object.hasOwn(ALGORITHMS, known)) {
    throw new ConclaveError(
      'TSIG_ALGORITHM',
      `${JSON.stringify(algorithm)} is no TSIG algorithm known here`,
      {
        place,
        remedy: `Take one of ${TSIG_ALGORITHMS.join(', ')}.`,
      },
    )
  }
  return { name: canonical, algorithm: known as TsigAlgorithm, secret: secretOf(secret, canonical, place) }
}

/** The canonical text of a key's name, as `TsigKey` has it.
 *  @throws ConclaveError NAME_SYNTAX */
export function keyNameText(name: string, place: Place = {}): string {
  try {
    return nameToText(canonicalName(nameFromText(name, rootName)))
  } catch (error) {
    if (!(error instanceof ConclaveError)) throw error
    throw new ConclaveError(error.code, error.message, { place, cause: error })
  }
}

function secretOf(secret: string | Uint8Array, name: string, place: Place): KeyObject {
  const octets = decodeBase64(typeof secret === 'string' ? new TextEncoder().encode(secret) : secret)
  try {
    if (octets !== undefined && octets.length > 0) return octets.use(createSecretKey)
  } finally {
    octets?.wipe()
  }
  // The text itself is not shown: most of it may be the secret.
  throw new ConclaveError('TSIG_SECRET', `the secret of the TSIG key ${name} is not base64`, {
    place,
    remedy: 'Write the secret in base64, for example what `openssl rand -base64 32` prints.',
  })
}

/** A key as messages refer to it. */
export interface RingKey extends Algorithm {
  /** In canonical form, wire octets. */
  readonly name: Name
  readonly algorithmName: Name
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
      const algorithmName = nameFromText(`${key.algorithm}.`)
      this.#byName.set(key.name, { name, algorithmName, key, ...ALGORITHMS[key.algorithm] })
    }
  }

  /** I2; the name is in canonical form. */
  find(name: Name): RingKey | undefined {
    return this.#byName.size === 0 ? undefined : this.#byName.get(nameToText(name))
  }

  has(name: string): boolean {
    return this.#byName.has(name)
  }
}
