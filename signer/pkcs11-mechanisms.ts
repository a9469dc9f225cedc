/** How a token makes the signatures of each DNSSEC algorithm, and its public keys in the form of a DNSKEY.
 *
 *  A signature is made over the digest where the token does that (CKM_RSA_PKCS on a DigestInfo, RFC 8017 §9.2; CKM_ECDSA on
 *  the hash): little travels, and few tokens have the mechanisms that hash. Where it has only those, over the message.
 *  I1  What goes into CKM_ECDSA has exactly the length of the hash: SoftHSM takes any and cuts it.
 *  I2  A signature is as RFC 5702, 6605 and 8080 want it; Cryptoki's ECDSA is r | s of full length already. */

import { hash } from 'node:crypto'
import { type Algorithm, algorithmOf, publicKeyFault, publicKeyObject, publicKeyOf } from './algorithms.ts'
import {
  CKM_EC_EDWARDS_KEY_PAIR_GEN,
  CKM_EC_KEY_PAIR_GEN,
  CKM_ECDSA,
  CKM_ECDSA_SHA256,
  CKM_ECDSA_SHA384,
  CKM_EDDSA,
  CKM_RSA_PKCS,
  CKM_RSA_PKCS_KEY_PAIR_GEN,
  CKM_SHA256_RSA_PKCS,
  CKM_SHA512_RSA_PKCS,
} from './pkcs11-cryptoki.ts'

export interface Signing {
  readonly mechanism: number
  /** What C_Sign is given for a message. */
  input(message: Uint8Array): Buffer
}

// RFC 8017 §9.2, note 1: DER of DigestInfo in front of the digest.
const DIGEST_INFO_SHA256 = Buffer.from('3031300d060960864801650304020105000420', 'hex')
const DIGEST_INFO_SHA512 = Buffer.from('3051300d060960864801650304020305000440', 'hex')

const whole = (message: Uint8Array): Buffer =>
  Buffer.from(message.buffer, message.byteOffset, message.byteLength)
const digestOf =
  (name: string) =>
  (message: Uint8Array): Buffer =>
    hash(name, message, 'buffer')
const digestInfo =
  (name: string, prefix: Buffer) =>
  (message: Uint8Array): Buffer =>
    Buffer.concat([prefix, hash(name, message, 'buffer')])

/** By algorithm: mechanism that makes keys; ways to sign, the best first. */
const ROWS: ReadonlyMap<number, readonly [generate: number, ways: readonly Signing[]]> = new Map([
  [
    8,
    [
      CKM_RSA_PKCS_KEY_PAIR_GEN,
      [
        { mechanism: CKM_RSA_PKCS, input: digestInfo('sha256', DIGEST_INFO_SHA256) },
        { mechanism: CKM_SHA256_RSA_PKCS, input: whole },
      ],
    ],
  ],
  [
    10,
    [
      CKM_RSA_PKCS_KEY_PAIR_GEN,
      [
        { mechanism: CKM_RSA_PKCS, input: digestInfo('sha512', DIGEST_INFO_SHA512) },
        { mechanism: CKM_SHA512_RSA_PKCS, input: whole },
      ],
    ],
  ],
  [
    13,
    [
      CKM_EC_KEY_PAIR_GEN,
      [
        { mechanism: CKM_ECDSA, input: digestOf('sha256') },
        { mechanism: CKM_ECDSA_SHA256, input: whole },
      ],
    ],
  ],
  [
    14,
    [
      CKM_EC_KEY_PAIR_GEN,
      [
        { mechanism: CKM_ECDSA, input: digestOf('sha384') },
        { mechanism: CKM_ECDSA_SHA384, input: whole },
      ],
    ],
  ],
  // PKCS #11 3.0 §2.3.14: without CK_EDDSA_PARAMS it is Ed25519 as RFC 8032 has it. For Ed448 the standard wants them,
  // which pkcs11js cannot write; SoftHSM takes none, and a token that refuses is heard when it signs.
  [15, [CKM_EC_EDWARDS_KEY_PAIR_GEN, [{ mechanism: CKM_EDDSA, input: whole }]]],
  [16, [CKM_EC_EDWARDS_KEY_PAIR_GEN, [{ mechanism: CKM_EDDSA, input: whole }]]],
])

/** Mechanisms of a token with the largest keys of each, in bits; 0 where the token does not say. */
export type Mechanisms = ReadonlyMap<number, number>

/** The best way a token with these mechanisms signs; undefined when it cannot. */
export function signingOf(algorithm: number, mechanisms: Mechanisms): Signing | undefined {
  return ROWS.get(algorithm)?.[1].find(way => mechanisms.has(way.mechanism))
}

export function generatingMechanism(algorithm: number): number {
  return ROWS.get(algorithm)![0]
}

/** DNSSEC algorithms that a token with these mechanisms makes keys for and signs with. */
export function algorithmsOf(mechanisms: Mechanisms): number[] {
  const able = [...ROWS].filter(([algorithm, [generate]]) => {
    const bits = mechanisms.get(generate)
    const large = bits === 0 || (bits !== undefined && bits >= KEY_BITS[algorithm]!)
    return large && signingOf(algorithm, mechanisms) !== undefined
  })
  return able.map(([algorithm]) => algorithm)
}

/** What a mechanism must reach for the algorithm; the list of mechanisms names no curves. */
const KEY_BITS: Readonly<Record<number, number>> = { 8: 2048, 10: 2048, 13: 256, 14: 384, 15: 255, 16: 448 }

/** CKA_EC_PARAMS by curve: DER of the OID, or for Edwards curves of their name too; the first is given for new keys.
 *  PKCS #11 3.0 §2.3.10 allows both forms; SoftHSM 2.6 answers with the name whatever it was given. */
const CURVES: readonly (readonly [curve: string, parameters: readonly string[]])[] = [
  ['P-256', ['06082a8648ce3d030107']],
  ['P-384', ['06052b81040022']],
  ['Ed25519', ['06032b6570', '130c656477617264733235353139', '06092b06010401da470f01']],
  ['Ed448', ['06032b6571', '130a65647761726473343438']],
]

export function curveOfParameters(parameters: Uint8Array): string | undefined {
  const hex = Buffer.from(parameters).toString('hex')
  return CURVES.find(([, known]) => known.includes(hex))?.[0]
}

export function parametersOfCurve(curve: string): Buffer {
  return Buffer.from(CURVES.find(([name]) => name === curve)![1][0]!, 'hex')
}

/** Whether a key on that curve (`RSA` for none) can be one of the algorithm. */
export function fitsAlgorithm(curve: string | undefined, algorithm: Algorithm): boolean {
  return curve === (algorithm.kind === 'rsa' ? 'RSA' : algorithm.curve)
}

/** The DNSKEY's public key in a CKA_EC_POINT. The standard has a DER OCTET STRING around the point (PKCS #11 2.40
 *  §2.3.3; for Edwards curves some 3.0 tokens a BIT STRING), and older libraries have the point bare; the lengths tell. */
export function publicKeyOfPoint(curve: string, point: Uint8Array): Uint8Array | undefined {
  const algorithm = [13, 14, 15, 16].map(algorithmOf).find(row => row.curve === curve)
  if (algorithm === undefined) return undefined
  // SEC 1 §2.3.3: 04, then x | y.
  const lead = algorithm.kind === 'ec' ? [0x04] : []
  const length = lead.length + algorithm.publicKeyOctets
  for (const head of [lead, [0x04, length, ...lead], [0x03, length + 1, 0, ...lead]]) {
    if (point.length !== head.length + algorithm.publicKeyOctets) continue
    if (head.every((octet, index) => point[index] === octet)) return point.slice(head.length)
  }
  return undefined
}

/** RFC 3110 §2. Some tokens give integers with leading zero octets. */
export function publicKeyOfRsa(exponent: Uint8Array, modulus: Uint8Array): Uint8Array {
  const [e, n] = [withoutZeros(exponent), withoutZeros(modulus)]
  const head = e.length < 256 ? [e.length] : [0, e.length >>> 8, e.length & 255]
  return Uint8Array.of(...head, ...e, ...n)
}

function withoutZeros(octets: Uint8Array): Uint8Array {
  const start = octets.findIndex(octet => octet !== 0)
  return start < 0 ? octets : octets.subarray(start)
}

/** Whether it is a sound public key of the algorithm, its point on the curve; the fault as a sentence if not. */
export function unsoundness(algorithm: Algorithm, publicKey: Uint8Array): string | undefined {
  const fault = publicKeyFault(algorithm, publicKey)
  if (fault !== undefined) return fault
  try {
    publicKeyOf(algorithm, publicKeyObject(algorithm, publicKey))
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
