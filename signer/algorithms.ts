/** The algorithms Conclave signs with (RFC 5702, 6605, 8080; status by RFC 9904), one row each, and their public keys
 *  between the DNSKEY's wire form and node:crypto.
 *  Left out: DSA, RSAMD5, RSASHA1 and its NSEC3 alias (RFC 9905: must not be used to sign), GOST.
 *  I1  A public key that leaves this file as a KeyObject is sound: RSA within the limits below, EC points on their curve. */

import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { ConclaveError } from '../base/errors.ts'

export type KeyKind = 'rsa' | 'ec' | 'ed'

export interface Algorithm {
  readonly number: number
  /** Mnemonic of the IANA registry; in lower case the word of `--algorithm`. */
  readonly mnemonic: string
  readonly kind: KeyKind
  /** Digest node:crypto signs with; null where the scheme has its own. */
  readonly digest: 'sha256' | 'sha384' | 'sha512' | null
  /** node:crypto's name of the curve in a JWK; empty for RSA. */
  readonly curve: string
  /** Octets of the DNSKEY's public key field; 0 for RSA: as the key has it. */
  readonly publicKeyOctets: number
  /** Octets of a signature; 0 for RSA: as many as the modulus has. */
  readonly signatureOctets: number
  /** Rough cost of one signature on one core, for choosing where to make it. */
  readonly signMicroseconds: number
  readonly verifyMicroseconds: number
}

type Row = readonly [
  number: number,
  mnemonic: string,
  kind: KeyKind,
  digest: Algorithm['digest'],
  curve: string,
  publicKeyOctets: number,
  signatureOctets: number,
  signMicroseconds: number,
  verifyMicroseconds: number,
]

const ROWS: readonly Row[] = [
  // RFC 5702 §2 and §3: PKCS #1 v1.5 signatures.
  [8, 'RSASHA256', 'rsa', 'sha256', '', 0, 0, 800, 25],
  [10, 'RSASHA512', 'rsa', 'sha512', '', 0, 0, 800, 25],
  // RFC 6605 §4: Q is x | y, and a signature is r | s, each as long as the curve's field.
  [13, 'ECDSAP256SHA256', 'ec', 'sha256', 'P-256', 64, 64, 30, 80],
  [14, 'ECDSAP384SHA384', 'ec', 'sha384', 'P-384', 96, 96, 900, 800],
  // RFC 8080 §3 and §4.
  [15, 'ED25519', 'ed', null, 'Ed25519', 32, 64, 45, 120],
  [16, 'ED448', 'ed', null, 'Ed448', 57, 114, 250, 400],
]

const BY_NUMBER: ReadonlyMap<number, Algorithm> = new Map(
  ROWS.map(row => {
    const [number, mnemonic, kind, digest, curve, publicKeyOctets, signatureOctets, sign, verify] = row
    const costs = { signMicroseconds: sign, verifyMicroseconds: verify }
    return [number, { number, mnemonic, kind, digest, curve, publicKeyOctets, signatureOctets, ...costs }]
  }),
)

/** Numbers of the algorithms, ascending. */
export const ALGORITHMS: readonly number[] = [...BY_NUMBER.keys()]
export const ALGORITHM_DEFAULT = 13
export const RSA_BITS_DEFAULT = 2048
/** RFC 5702 §2.1 and §2.2: 512 (RSA/SHA-512: 1024) to 4096 bits. New keys have at least 2048. */
export const RSA_BITS_MAX = 4096
export const RSA_BITS_GENERATE_MIN = 2048
const RSA_BITS_MIN: Readonly<Record<number, number>> = { 8: 512, 10: 1024 }
/** RFC 3110 §2 allows exponents as long as the modulus; OpenSSL takes at most 64 bits with large moduli, and a longer
 *  one only makes verifying slow. Deviation: see docs/deviations.md. */
const RSA_EXPONENT_OCTETS_MAX = 8

export function isSupported(algorithm: number): boolean {
  return BY_NUMBER.has(algorithm)
}

/** @throws ConclaveError ALGORITHM_UNSUPPORTED */
export function algorithmOf(number: number): Algorithm {
  const algorithm = BY_NUMBER.get(number)
  if (algorithm !== undefined) return algorithm
  throw new ConclaveError('ALGORITHM_UNSUPPORTED', `DNSSEC algorithm ${number} is not supported`, {
    remedy: `Use one of ${wordsOfAlgorithms()}.`,
  })
}

/** Algorithm from a mnemonic in any case (`ecdsap256sha256`) or a number.
 *  @throws ConclaveError ALGORITHM_UNSUPPORTED */
export function algorithmFromText(text: string): Algorithm {
  for (const algorithm of BY_NUMBER.values()) {
    if (algorithm.mnemonic === text.toUpperCase() || String(algorithm.number) === text) return algorithm
  }
  throw new ConclaveError(
    'ALGORITHM_UNSUPPORTED',
    `${JSON.stringify(text)} is not an algorithm we sign with`,
    {
      remedy: `Use one of ${wordsOfAlgorithms()}.`,
    },
  )
}

function wordsOfAlgorithms(): string {
  return [...BY_NUMBER.values()].map(algorithm => algorithm.mnemonic.toLowerCase()).join(', ')
}

/** What an operator should hear about signing with it; undefined when there is nothing to say. */
export function algorithmWarning(algorithm: number): string | undefined {
  // RFC 8624 §3.1, kept by RFC 9904: RSASHA512 is NOT RECOMMENDED for signing.
  if (algorithm !== 10) return undefined
  return 'RSASHA512 (10) is not recommended for signing (RFC 9904); use ecdsap256sha256'
}

/** Octets of a signature by that key. */
export function signatureOctetsOf(algorithm: Algorithm, publicKey: Uint8Array): number {
  if (algorithm.kind !== 'rsa') return algorithm.signatureOctets
  return rsaParts(publicKey)?.modulus.length ?? 0
}

/** What is wrong with a DNSKEY's public key field, apart from points that are not on their curve; undefined: nothing. */
export function publicKeyFault(algorithm: Algorithm, publicKey: Uint8Array): string | undefined {
  if (algorithm.kind === 'rsa') return rsaFault(algorithm, publicKey)
  if (publicKey.length === algorithm.publicKeyOctets) return undefined
  return `a public key of ${publicKey.length} octets; ${algorithm.mnemonic} has ${algorithm.publicKeyOctets}`
}

function rsaFault(algorithm: Algorithm, publicKey: Uint8Array): string | undefined {
  const parts = rsaParts(publicKey)
  if (parts === undefined) return 'an RSA public key that is cut short'
  const { exponent, modulus } = parts
  const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24
  const bitsMin = RSA_BITS_MIN[algorithm.number]!
  // RFC 3110 §2: leading zero octets are prohibited in both.
  if (modulus[0] === 0 || exponent[0] === 0) return 'an RSA public key with leading zero octets'
  if (bits < bitsMin || bits > RSA_BITS_MAX)
    return `an RSA modulus of ${bits} bits, not ${bitsMin} to ${RSA_BITS_MAX}`
  if (exponent.length > RSA_EXPONENT_OCTETS_MAX) return `an RSA exponent of ${exponent.length} octets`
  if (exponent.at(-1)! % 2 === 0 || (exponent.length === 1 && exponent[0] === 1)) {
    return 'an RSA exponent that is even or 1'
  }
  return modulus.at(-1)! % 2 === 0 ? 'an even RSA modulus' : undefined
}

/** RFC 3110 §2: the exponent's length in one octet, or in two behind a zero octet; exponent; modulus. */
function rsaParts(publicKey: Uint8Array): { exponent: Uint8Array; modulus: Uint8Array } | undefined {
  const long = publicKey[0] === 0
  const length = long ? ((publicKey[1] ?? 0) << 8) | (publicKey[2] ?? 0) : (publicKey[0] ?? 0)
  const start = long ? 3 : 1
  if (length === 0 || publicKey.length <= start + length) return undefined
  return { exponent: publicKey.subarray(start, start + length), modulus: publicKey.subarray(start + length) }
}

/** KeyObject of a DNSKEY's public key field (I1).
 *  @throws ConclaveError KEY_MALFORMED */
export function publicKeyObject(algorithm: Algorithm, publicKey: Uint8Array): KeyObject {
  const fault = publicKeyFault(algorithm, publicKey)
  if (fault !== undefined) throw new ConclaveError('KEY_MALFORMED', fault)
  try {
    // OpenSSL refuses coordinates of a point that is not on the curve.
    return createPublicKey({ key: jwkOf(algorithm, publicKey), format: 'jwk' })
  } catch (cause) {
    throw new ConclaveError('KEY_MALFORMED', `not a public key of ${algorithm.mnemonic}`, { cause })
  }
}

function jwkOf(algorithm: Algorithm, publicKey: Uint8Array): JsonWebKey {
  const half = publicKey.length / 2
  switch (algorithm.kind) {
    case 'rsa': {
      const { exponent, modulus } = rsaParts(publicKey)!
      return { kty: 'RSA', n: toBase64Url(modulus), e: toBase64Url(exponent) }
    }
    case 'ec': {
      const [x, y] = [toBase64Url(publicKey.subarray(0, half)), toBase64Url(publicKey.subarray(half))]
      return { kty: 'EC', crv: algorithm.curve, x, y }
    }
    case 'ed':
      return { kty: 'OKP', crv: algorithm.curve, x: toBase64Url(publicKey) }
  }
}

/** DNSKEY's public key field of a KeyObject, private or public; undefined when it is no key of the algorithm. */
export function publicKeyOf(algorithm: Algorithm, key: KeyObject): Uint8Array | undefined {
  const jwk = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' })
  if (algorithm.kind === 'rsa' && jwk.kty === 'RSA')
    return rsaPublicKey(fromBase64Url(jwk.e), fromBase64Url(jwk.n))
  if (algorithm.kind === 'rsa' || jwk.crv !== algorithm.curve) return undefined
  const x = fromBase64Url(jwk.x)
  return algorithm.kind === 'ed' ? x : Uint8Array.of(...x, ...fromBase64Url(jwk.y))
}

/** RFC 3110 §2; see rsaParts. */
function rsaPublicKey(exponent: Uint8Array, modulus: Uint8Array): Uint8Array {
  const { length } = exponent
  const head = length < 256 ? [length] : [0, length >>> 8, length & 255]
  return Uint8Array.of(...head, ...exponent, ...modulus)
}

/** The algorithm a private key is of when nothing else says so: for RSA, RSASHA256. */
export function algorithmOfKey(key: KeyObject): Algorithm | undefined {
  if (key.asymmetricKeyType === 'rsa') return BY_NUMBER.get(8)
  const jwk = key.asymmetricKeyType === undefined ? undefined : exportedCurve(key)
  return [...BY_NUMBER.values()].find(algorithm => algorithm.curve !== '' && algorithm.curve === jwk)
}

const CURVE_BY_TYPE: Readonly<Record<string, string>> = { ed25519: 'Ed25519', ed448: 'Ed448' }
const CURVE_BY_NAME: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384' }

function exportedCurve(key: KeyObject): string | undefined {
  if (key.asymmetricKeyType === 'ec') return CURVE_BY_NAME[key.asymmetricKeyDetails?.namedCurve ?? '']
  return CURVE_BY_TYPE[key.asymmetricKeyType ?? '']
}

function toBase64Url(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('base64url')
}

function fromBase64Url(text: string | undefined): Uint8Array {
  return new Uint8Array(Buffer.from(text ?? '', 'base64url'))
}
