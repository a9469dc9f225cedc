/** Private keys between their bare numbers, which BIND's files hold, and node:crypto: PKCS #8 (RFC 5958) around PKCS #1
 *  (RFC 8017 appendix A.1.2), SEC 1 (RFC 5915) and RFC 8410, in DER. JWK would carry the numbers as strings.
 *  I1  Every buffer with private octets that is made here is wiped before its function returns, the result excepted. */

import { createPrivateKey, type KeyObject } from 'node:crypto'
import type { Algorithm } from './algorithms.ts'
import { Secret } from './secret.ts'

const INTEGER = 0x02
const OCTET_STRING = 0x04
const SEQUENCE = 0x30
const EXPLICIT_0 = 0xa0
const EXPLICIT_1 = 0xa1
/** Of the identifier of ECDSA keys, the part in front of the curve. */
const EC_PUBLIC_KEY_OCTETS = 9

/** Object identifiers, already in DER with their tags: RFC 8017 §A.1 with NULL, RFC 5480 §2.1.1, RFC 8410 §3. */
const ALGORITHM_IDENTIFIERS: Readonly<Record<string, readonly number[]>> = {
  '': [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x05, 0],
  'P-256': [0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
  'P-384': [0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 0x06, 5, 0x2b, 0x81, 0x04, 0, 0x22],
  Ed25519: [0x06, 3, 0x2b, 0x65, 0x70],
  Ed448: [0x06, 3, 0x2b, 0x65, 0x71],
}

/** Numbers of a private key. RSA: n, e, d, p, q, d mod p−1, d mod q−1, q⁻¹ mod p. ECDSA: the scalar, as long as the field or
 *  shorter by zeros in front. EdDSA: the seed. */
export type PrivateNumbers = readonly Secret[]

export const RSA_NUMBERS = 8

/** Octets of the one number of an ECDSA or EdDSA key. */
export function privateOctetsOf(algorithm: Algorithm): number {
  return algorithm.kind === 'ec' ? algorithm.publicKeyOctets / 2 : algorithm.publicKeyOctets
}

/** The key with these numbers; what node:crypto says when they are none. */
export function keyOfNumbers(algorithm: Algorithm, numbers: PrivateNumbers): KeyObject {
  const inner = innerOf(algorithm, numbers)
  const identifier = der(SEQUENCE, Uint8Array.from(ALGORITHM_IDENTIFIERS[algorithm.curve]!))
  const octetString = der(OCTET_STRING, inner)
  const pkcs8 = der(SEQUENCE, Uint8Array.of(INTEGER, 1, 0), identifier, octetString)
  return wiping([inner, octetString, pkcs8], () => keyOfPkcs8(pkcs8))
}

/** The key of PKCS #8 octets. OpenSSL 3 takes 0.6 ms to find out what such octets are, and a third of that for the same
 *  ECDSA key as SEC 1, which counts with thousands of zones.
 *  @throws Error of node:crypto */
export function keyOfPkcs8(pkcs8: Uint8Array): KeyObject {
  const sec1 = sec1Of(pkcs8)
  if (sec1 === undefined) return createPrivateKey({ key: bufferOf(pkcs8), format: 'der', type: 'pkcs8' })
  return wiping([sec1], () => createPrivateKey({ key: bufferOf(sec1), format: 'der', type: 'sec1' }))
}

/** The ECPrivateKey (RFC 5915 §3) inside, with the curve that PKCS #8 says beside it; undefined for other keys. */
function sec1Of(pkcs8: Uint8Array): Uint8Array | undefined {
  const [, identifier, inner] = childrenOf(childrenOf(pkcs8)[0] ?? pkcs8)
  if (identifier === undefined || inner === undefined) return undefined
  for (const curve of ['P-256', 'P-384']) {
    const own = ALGORITHM_IDENTIFIERS[curve]!
    if (!bufferOf(identifier).equals(Uint8Array.from(own))) continue
    const [, scalar, publicKey, more] = childrenOf(childrenOf(inner)[0] ?? inner)
    if (scalar === undefined || publicKey === undefined || more !== undefined) return undefined
    const parameters = der(EXPLICIT_0, Uint8Array.from(own.slice(EC_PUBLIC_KEY_OCTETS)))
    const octetString = der(OCTET_STRING, scalar)
    const version = Uint8Array.of(INTEGER, 1, 1)
    return wiping([octetString], () =>
      der(SEQUENCE, version, octetString, parameters, der(EXPLICIT_1, publicKey)),
    )
  }
  return undefined
}

function bufferOf(octets: Uint8Array): Buffer {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.length)
}

function innerOf(algorithm: Algorithm, numbers: PrivateNumbers): Uint8Array {
  const first = numbers[0]!
  if (algorithm.kind === 'ed') return first.use(seed => der(OCTET_STRING, seed))
  if (algorithm.kind === 'ec') {
    const scalar = new Uint8Array(privateOctetsOf(algorithm))
    first.use(octets => scalar.set(octets, scalar.length - octets.length))
    const octetString = der(OCTET_STRING, scalar)
    return wiping([scalar, octetString], () => der(SEQUENCE, Uint8Array.of(INTEGER, 1, 1), octetString))
  }
  const integers = numbers.map(number => number.use(derInteger))
  return wiping(integers, () => der(SEQUENCE, Uint8Array.of(INTEGER, 1, 0), ...integers))
}

function wiping<T>(parts: readonly Uint8Array[], make: () => T): T {
  try {
    return make()
  } finally {
    for (const part of parts) part.fill(0)
  }
}

/** Positive INTEGER of big-endian octets. */
function derInteger(octets: Uint8Array): Uint8Array {
  let start = 0
  while (start < octets.length - 1 && octets[start] === 0) start++
  const sign = octets[start]! >= 0x80 ? Uint8Array.of(0) : new Uint8Array()
  return der(INTEGER, sign, octets.subarray(start))
}

function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const length = contents.reduce((sum, part) => sum + part.length, 0)
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >>> 8, length & 255]
  const out = new Uint8Array(head.length + length)
  out.set(head)
  let at = head.length
  for (const part of contents) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** The numbers of a private key of that algorithm. */
export function numbersOfKey(algorithm: Algorithm, key: KeyObject): PrivateNumbers {
  const types = { rsa: 'pkcs1', ec: 'sec1', ed: 'pkcs8' } as const
  const octets = key.export({ format: 'der', type: types[algorithm.kind] })
  try {
    // RSAPrivateKey: version and eight numbers; ECPrivateKey: version, scalar; PrivateKeyInfo: version, algorithm, key.
    const parts = childrenOf(childrenOf(octets)[0]!)
    if (algorithm.kind === 'rsa') return parts.slice(1, 1 + RSA_NUMBERS).map(unsigned)
    if (algorithm.kind === 'ec') return [padded(parts[1]!, privateOctetsOf(algorithm))]
    return [padded(childrenOf(parts[2]!)[0]!, privateOctetsOf(algorithm))]
  } finally {
    octets.fill(0)
  }
}

/** Contents of the DER values that stand in a row; those that are whole. */
function childrenOf(octets: Uint8Array): Uint8Array[] {
  const children: Uint8Array[] = []
  for (let at = 0; at < octets.length; ) {
    let length = octets[at + 1] ?? 0
    at += 2
    if (length >= 0x80) {
      const end = at + (length & 0x7f)
      for (length = 0; at < end; at++) length = length * 256 + (octets[at] ?? 0)
    }
    if (length > octets.length - at) break
    children.push(octets.subarray(at, at + length))
    at += length
  }
  return children
}

function unsigned(octets: Uint8Array): Secret {
  // Buffer's slice would be a view of octets that are wiped next.
  return new Secret(Uint8Array.from(octets.subarray(octets[0] === 0 && octets.length > 1 ? 1 : 0)))
}

function padded(octets: Uint8Array, length: number): Secret {
  const out = new Uint8Array(length)
  out.set(octets, length - octets.length)
  return new Secret(out)
}
