/** What the key stores on files have in common: keys held as KeyObjects by this process and used by the pool.
 *  I1  A key is in the store only with a private key that fits its public key.
 *  I2  No two keys of a zone in one store share a key tag, nor one that either would have when revoked (RFC 5011 §2.1):
 *      new ones are made until that is so. Keys that were there already are taken as they are. */

import { generateKeyPair, type KeyObject } from 'node:crypto'
import { ConclaveError, type Place } from '../base/index.ts'
import { canonicalName, type Name, nameToText } from '../zones/index.ts'
import {
  ALGORITHMS,
  type Algorithm,
  algorithmOf,
  publicKeyFault,
  publicKeyOf,
  RSA_BITS_DEFAULT,
  RSA_BITS_GENERATE_MIN,
  RSA_BITS_MAX,
  signatureOctetsOf,
} from './algorithms.ts'
import { dnskeyRdata, flagsOfRole, keyTagOf, keyTagsOf } from './dnskey.ts'
import { KeyRing } from './key-ring.ts'
import type { KeyTiming } from './key-timing.ts'
import {
  type Capabilities,
  type GenerateSpec,
  type KeyInfo,
  type KeyRole,
  type KeyStore,
  keyId,
  type SignBatch,
  type SignOptions,
  type SignOutcome,
  sameOutcome,
} from './keystore.ts'
import { BATCH_MESSAGES } from './rrsig.ts'
import type { CryptoPool, PoolResult } from './sign-pool.ts'
import type { LoadedKey } from './verify-signature.ts'

/** Batches that keep every thread of the pool busy while the next is made. */
const IN_FLIGHT_MAX = 4
/** A tag is taken by at most 2 of 65,536 a key; so many tries fail by chance never, only by a mistake. */
const GENERATE_TRIES_MAX = 32
const RETRY_SECONDS = 1

/** A private key and what it is. */
export interface LocalKey {
  readonly info: KeyInfo
  readonly loaded: LoadedKey
}

/** What is known of a key before its public key is looked at. */
export interface KeyFacts {
  readonly zone: Name
  readonly algorithm: Algorithm
  readonly role: KeyRole
  readonly flags?: number
  readonly createdUnix: number
  readonly where: string
  readonly timing?: KeyTiming
}

/** A key of these facts; `key` is private.
 *  @throws ConclaveError KEY_MALFORMED when it is no sound key of the algorithm */
export function localKey(facts: KeyFacts, key: KeyObject): LocalKey {
  const { algorithm, zone, role, createdUnix, where } = facts
  const publicKey = publicKeyOf(algorithm, key)
  const fault =
    publicKey === undefined ? `not a key of ${algorithm.mnemonic}` : publicKeyFault(algorithm, publicKey)
  if (publicKey === undefined || fault !== undefined) {
    throw new ConclaveError('KEY_MALFORMED', fault!, { place: { file: where } })
  }
  const flags = facts.flags ?? flagsOfRole(role)
  const fields = { flags, algorithm: algorithm.number, publicKey }
  const keyTag = keyTagOf(dnskeyRdata(fields))
  const id = keyId(zone, algorithm.number, publicKey)
  const timing = facts.timing === undefined ? {} : { timing: facts.timing }
  const info: KeyInfo = {
    id,
    zone: canonicalName(zone),
    role,
    keyTag,
    createdUnix,
    where,
    ...fields,
    ...timing,
  }
  const signatureOctets = signatureOctetsOf(algorithm, publicKey)
  return { info, loaded: { algorithm, key, publicKey, signatureOctets } }
}

/** Keys made in another form of file are still of one store: what differs is where a new one goes. */
export abstract class LocalKeyStore implements KeyStore {
  protected readonly keys: KeyRing<LocalKey> = new KeyRing<LocalKey>()
  readonly #pool: CryptoPool
  /** Key tags of keys being made, as `zone/tag`. */
  readonly #reserved = new Set<string>()

  constructor(pool: CryptoPool) {
    this.#pool = pool
  }

  /** Writes a new key and returns it as it will be found there; resolves when it is durable. */
  protected abstract keep(spec: GenerateSpec, key: KeyObject, keyTag: number): Promise<LocalKey>
  /** Removes the files of a key. */
  protected abstract remove(key: LocalKey): Promise<void>

  capabilities(): Capabilities {
    const shared = { batchMax: BATCH_MESSAGES, inFlightMax: IN_FLIGHT_MAX }
    return { algorithms: ALGORITHMS, ...shared, latency: 'local' }
  }

  list(): Promise<KeyInfo[]> {
    return Promise.resolve(Array.from(this.keys.values(), key => key.info))
  }

  keysOf(zone: Name): Promise<KeyInfo[]> {
    return Promise.resolve(this.keys.ofZone(zone).map(key => key.info))
  }

  /** The private key itself, to write it elsewhere.
   *  @throws ConclaveError KEY_UNKNOWN */
  privateKey(id: string): KeyObject {
    const key = this.keys.get(id)?.loaded.key
    if (key !== undefined) return key
    throw new ConclaveError('KEY_UNKNOWN', 'there is no such key in this store', { place: { key: id } })
  }

  async generate(spec: GenerateSpec): Promise<KeyInfo> {
    const algorithm = algorithmOf(spec.algorithm)
    for (let tries = 0; tries < GENERATE_TRIES_MAX; tries++) {
      const key = await newPrivateKey(algorithm, spec.bits ?? RSA_BITS_DEFAULT)
      const fields = {
        flags: flagsOfRole(spec.role),
        algorithm: algorithm.number,
        publicKey: publicKeyOf(algorithm, key)!,
      }
      const tags = keyTagsOf(fields)
      const reserved = tags.map(tag => `${nameToText(canonicalName(spec.zone))}/${tag}`)
      if (tags.some(tag => this.#tagsOf(spec).has(tag)) || reserved.some(tag => this.#reserved.has(tag)))
        continue
      for (const tag of reserved) this.#reserved.add(tag)
      try {
        const kept = await this.keep(spec, key, tags[0])
        this.keys.set(kept)
        return kept.info
      } finally {
        for (const tag of reserved) this.#reserved.delete(tag)
      }
    }
    throw new ConclaveError('KEY_GENERATE', 'no key with a key tag of its own could be made', {
      place: { zone: nameToText(spec.zone) },
      remedy: 'Remove keys of the zone that are no longer used.',
    })
  }

  #tagsOf(spec: GenerateSpec): Set<number> {
    const tags = new Set(spec.avoidTags)
    for (const { info } of this.keys.ofZone(spec.zone)) {
      for (const tag of keyTagsOf(info)) tags.add(tag)
    }
    return tags
  }

  async sign(batch: SignBatch, options: SignOptions): Promise<SignOutcome[]> {
    if (batch.count > BATCH_MESSAGES) throw new Error(`a batch of ${batch.count} messages`)
    const key = this.keys.get(batch.key)
    if (key === undefined) {
      return sameOutcome(batch.count, { kind: 'refused', code: 'KEY_UNKNOWN', by: 'key store' })
    }
    return outcomesOf(await this.#pool.sign(key.loaded, batch, options), batch.count)
  }

  /** Nothing is ever pending here. */
  resume(tickets: readonly string[]): Promise<SignOutcome[]> {
    return Promise.resolve(
      sameOutcome(tickets.length, { kind: 'refused', code: 'TICKET_UNKNOWN', by: 'key store' }),
    )
  }

  async destroy(key: string): Promise<void> {
    const found = this.keys.get(key)
    if (found === undefined) {
      throw new ConclaveError('KEY_UNKNOWN', 'there is no such key', {
        place: { key },
        remedy: 'List the keys with `conclave keys list`.',
      })
    }
    await this.remove(found)
    this.keys.delete(key)
  }

  /** Lets go of the keys: OpenSSL clears a key when its last handle is collected. The pool is the caller's. */
  close(): Promise<void> {
    this.keys.clear()
    return Promise.resolve()
  }
}

/** A new private key; RSA with exponent 65537. Not by `generateKeyPairSync`: what is left of that call locks the key when it is
 *  collected, and should it be while the key is exported as JWK, Node.js 20.20 stands still for ever.
 *  @throws ConclaveError KEY_GENERATE */
export function newPrivateKey(algorithm: Algorithm, bits: number): Promise<KeyObject> {
  if (algorithm.kind === 'rsa' && !(bits >= RSA_BITS_GENERATE_MIN && bits <= RSA_BITS_MAX)) {
    throw new ConclaveError('KEY_GENERATE', `an RSA key of ${bits} bits`, {
      remedy: `Ask for ${RSA_BITS_GENERATE_MIN} to ${RSA_BITS_MAX} bits.`,
    })
  }
  return new Promise((resolve, reject) => {
    const made = (error: Error | null, _publicKey: KeyObject, privateKey: KeyObject): void => {
      if (error === null) resolve(privateKey)
      else reject(new ConclaveError('KEY_GENERATE', 'node:crypto could not make a key', { cause: error }))
    }
    if (algorithm.kind === 'rsa') generateKeyPair('rsa', { modulusLength: bits }, made)
    else if (algorithm.kind === 'ec') generateKeyPair('ec', { namedCurve: algorithm.curve }, made)
    else if (algorithm.number === 15) generateKeyPair('ed25519', undefined, made)
    else generateKeyPair('ed448', undefined, made)
  })
}

function outcomesOf(result: PoolResult, count: number): SignOutcome[] {
  const { signatures, signatureOctets, done, failure } = result
  const failed: SignOutcome = {
    kind: 'unavailable',
    code: failure ?? 'CRYPTO_FAULT',
    retryAfterSeconds: RETRY_SECONDS,
  }
  const outcomes: SignOutcome[] = []
  for (let index = 0; index < count; index++) {
    const start = index * signatureOctets
    if (done[index] !== 1) outcomes.push(failed)
    else outcomes.push({ kind: 'signed', signature: signatures.subarray(start, start + signatureOctets) })
  }
  return outcomes
}

/** The error for a key that is there and cannot be used: never a reason to make a new one (keystore I5). */
export function keyUnreadable(place: Place, what: string, remedy: string, cause?: unknown): ConclaveError {
  return new ConclaveError('KEY_UNREADABLE', what, { place, remedy, cause })
}

/** Whether a public key field is that of a private key. */
export function isPublicKeyOf(algorithm: Algorithm, publicKey: Uint8Array, key: KeyObject): boolean {
  const own = publicKeyOf(algorithm, key)
  return own !== undefined && Buffer.from(own).equals(publicKey)
}

/** A name as part of a file's name, as BIND writes it: lower case, octets beyond letters, digits, `-`, `_` as %XX; the
 *  dots between labels stay. Long ones are cut and get a hash, since a file's name has at most 255 octets. */
export function fileNameOf(zone: Name): string {
  let text = ''
  const name = canonicalName(zone)
  for (let at = 0; name[at] !== 0; ) {
    const end = at + 1 + name[at]!
    for (at++; at < end; at++) text += fileCharacter(name[at]!)
    text += '.'
  }
  if (text.length <= FILE_NAME_PART_MAX) return text === '' ? '.' : text
  return `${text.slice(0, FILE_NAME_PART_KEPT)}~${keyId(zone, 0, new Uint8Array())}`
}

/** Leaves room in 255 for `K`, algorithm, key tag, role and ending; 32 of it are the hash. */
const FILE_NAME_PART_MAX = 220
const FILE_NAME_PART_KEPT = 180

function fileCharacter(octet: number): string {
  const character = String.fromCharCode(octet)
  return /[a-z0-9_-]/.test(character) ? character : `%${octet.toString(16).padStart(2, '0').toUpperCase()}`
}
