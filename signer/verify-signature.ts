/** The one function that verifies a signature, and its twin that makes one with a private key of this process.
 *  I1  Every signature that is published was accepted by `verifySignature`, or drawn as `gate: keys` allows; also those
 *      of tokens and quorums.
 *  I2  A signature is in the form of an RRSIG's signature field: ECDSA as r | s of full length (RFC 6605 §4), never DER. */

import { type KeyObject, sign, verify } from 'node:crypto'
import { type Algorithm, algorithmOf, publicKeyObject, signatureOctetsOf } from './algorithms.ts'

/** A public or private key, ready for use. */
export interface LoadedKey {
  readonly algorithm: Algorithm
  readonly key: KeyObject
  /** The DNSKEY's public key field. */
  readonly publicKey: Uint8Array
  readonly signatureOctets: number
}

/** The key of a DNSKEY's algorithm and public key field.
 *  @throws ConclaveError ALGORITHM_UNSUPPORTED, KEY_MALFORMED */
export function verifyingKey(algorithm: number, publicKey: Uint8Array): LoadedKey {
  const row = algorithmOf(algorithm)
  const key = publicKeyObject(row, publicKey)
  return { algorithm: row, key, publicKey, signatureOctets: signatureOctetsOf(row, publicKey) }
}

/** Whether the key made the signature over the message. */
export function verifySignature(key: LoadedKey, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== key.signatureOctets) return false
  return verify(key.algorithm.digest, message, cryptoInput(key.key), signature)
}

/** The signature over a message by a private key. Of the six algorithms only ECDSA draws a nonce; OpenSSL mixes the key
 *  and the digest into it, so a weak random source does not give the key away. */
export function makeSignature(key: LoadedKey, message: Uint8Array): Uint8Array {
  return sign(key.algorithm.digest, message, cryptoInput(key.key))
}

/** makeSignature on a thread of node:crypto's own, for few signatures that are dear. */
export function makeSignatureLater(key: LoadedKey, message: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    sign(key.algorithm.digest, message, cryptoInput(key.key), (error, signature) => {
      if (error === null) resolve(signature)
      else reject(error)
    })
  })
}

interface CryptoInput {
  readonly key: KeyObject
  readonly dsaEncoding: 'ieee-p1363'
}

const inputs = new WeakMap<KeyObject, CryptoInput>()

function cryptoInput(key: KeyObject): CryptoInput {
  let input = inputs.get(key)
  if (input === undefined) {
    input = { key, dsaEncoding: 'ieee-p1363' }
    inputs.set(key, input)
  }
  return input
}
