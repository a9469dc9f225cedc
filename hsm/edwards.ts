/** The two groups of RFC 9591 that DNSSEC uses (§6.1 Ed25519, §6.3 Ed448), on the arithmetic of @noble/curves, with the hashes
 *  of their ciphersuites.
 *
 *  I1  `decode` takes canonical encodings of points other than the identity (RFC 9591 §3.1); that a point has no part in
 *      the small subgroup is a check of its own, `isInGroup`, since it costs more than all the rest. */

import { createHash } from 'node:crypto'
import type { EdwardsPoint } from '@noble/curves/abstract/edwards.js'
import { ed448 } from '@noble/curves/ed448.js'
import { ed25519 } from '@noble/curves/ed25519.js'
import { modulo } from './integers.ts'

export type FrostSuiteName = 'ed25519' | 'ed448'
export type { EdwardsPoint }

export interface FrostSuite {
  readonly name: FrostSuiteName
  readonly order: bigint
  readonly elementOctets: number
  /** RFC 8032 §5: half of a signature; for Ed448 an octet longer than a scalar needs. */
  readonly scalarOctets: number
  readonly base: EdwardsPoint
  readonly zero: EdwardsPoint
  /** RFC 9591 §6: "rho", "nonce", and the challenge as integers; "msg" and "com" as octets. */
  h1(octets: Uint8Array): bigint
  h2(octets: Uint8Array): bigint
  h3(octets: Uint8Array): bigint
  h4(octets: Uint8Array): Uint8Array
  h5(octets: Uint8Array): Uint8Array
  /** I1. */
  decode(octets: Uint8Array): EdwardsPoint | undefined
}

/** RFC 9591 §6.1: SHA-512; H2 without a prefix, so that signatures are RFC 8032's. */
const sha512 = (octets: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha512').update(octets).digest())
/** RFC 9591 §6.3: SHAKE256 with 114 octets; H2 with RFC 8032 §5.2's dom4(0, ""). */
const shake256 = (octets: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('shake256', { outputLength: 114 }).update(octets).digest())
const DOM4 = Buffer.from('SigEd448\0\0', 'latin1')

export const FROST_SUITES: Readonly<Record<FrostSuiteName, FrostSuite>> = {
  ed25519: makeSuite('ed25519', ed25519.Point, 32, 'FROST-ED25519-SHA512-v1', sha512, Buffer.alloc(0)),
  ed448: makeSuite('ed448', ed448.Point, 57, 'FROST-ED448-SHAKE256-v1', shake256, DOM4),
}

type PointClass = typeof ed25519.Point | typeof ed448.Point

function makeSuite(
  name: FrostSuiteName,
  points: PointClass,
  octets: number,
  context: string,
  hash: (octets: Uint8Array) => Uint8Array,
  challengePrefix: Uint8Array,
): FrostSuite {
  const order = points.Fn.ORDER
  const prefixed = (label: string): ((octets: Uint8Array) => Uint8Array) => {
    const prefix = Buffer.from(`${context}${label}`, 'latin1')
    return message => hash(Buffer.concat([prefix, message]))
  }
  const [rho, nonce, msg, com] = ['rho', 'nonce', 'msg', 'com'].map(prefixed)
  return {
    name,
    order,
    elementOctets: octets,
    scalarOctets: octets,
    base: points.BASE as EdwardsPoint,
    zero: points.ZERO as EdwardsPoint,
    h1: message => modulo(littleEndian(rho!(message)), order),
    h2: message => modulo(littleEndian(hash(Buffer.concat([challengePrefix, message]))), order),
    h3: message => modulo(littleEndian(nonce!(message)), order),
    h4: msg!,
    h5: com!,
    decode: element => decodePoint(points, element, octets),
  }
}

function decodePoint(points: PointClass, element: Uint8Array, octets: number): EdwardsPoint | undefined {
  if (element.length !== octets) return undefined
  try {
    const point = points.fromBytes(element) as EdwardsPoint
    return point.is0() ? undefined : point
  } catch {
    return undefined
  }
}

/** RFC 9591 §3.1: no part in the small subgroup. */
export function isInGroup(point: EdwardsPoint): boolean {
  return point.isTorsionFree()
}

export function littleEndian(octets: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(octets).reverse().toString('hex')}`)
}

/** RFC 9591 §6: SerializeScalar.
 *  @throws RangeError for what is no scalar */
export function scalarOctets(suite: FrostSuite, scalar: bigint): Uint8Array {
  if (scalar < 0n || scalar >= suite.order) throw new RangeError('not a scalar')
  const hex = scalar.toString(16).padStart(2 * suite.scalarOctets, '0')
  return new Uint8Array(Buffer.from(hex, 'hex').reverse())
}

/** RFC 9591 §6: DeserializeScalar; undefined for what is not below the order. */
export function decodeScalar(suite: FrostSuite, octets: Uint8Array): bigint | undefined {
  if (octets.length !== suite.scalarOctets) return undefined
  const scalar = littleEndian(octets)
  return scalar < suite.order ? scalar : undefined
}

/** Digits of a public scalar are odd, below 2^(WIDTH − 1) either way, or zero: after one that is not come WIDTH − 1 that are. */
const WIDTH = 5

/** Σ scalar × point, all of it public, with the doublings shared (Straus): not constant in time. */
export function sumOfProducts(
  suite: FrostSuite,
  points: readonly EdwardsPoint[],
  scalars: readonly bigint[],
): EdwardsPoint {
  const tables = points.map(oddMultiplesOf)
  const digits = scalars.map(signedDigits)
  let sum = suite.zero
  for (let at = Math.max(0, ...digits.map(({ length }) => length)) - 1; at >= 0; at--) {
    sum = sum.double()
    for (let index = 0; index < tables.length; index++) {
      const digit = digits[index]![at] ?? 0
      if (digit > 0) sum = sum.add(tables[index]![digit >> 1]!)
      else if (digit < 0) sum = sum.subtract(tables[index]![-digit >> 1]!)
    }
  }
  return sum
}

/** The (2 i + 1)-fold at [i]. */
function oddMultiplesOf(point: EdwardsPoint): EdwardsPoint[] {
  const double = point.double()
  const multiples = [point]
  while (multiples.length < 1 << (WIDTH - 2)) multiples.push(multiples.at(-1)!.add(double))
  return multiples
}

/** Least first (Solinas' width-w NAF). */
function signedDigits(scalar: bigint): number[] {
  const bits = scalar.toString(2)
  const bit = (at: number): number => (bits[bits.length - 1 - at] === '1' ? 1 : 0)
  const digits: number[] = []
  let carry = 0
  for (let at = 0; at < bits.length + carry; at++) {
    if ((bit(at) ^ carry) === 0) {
      digits[at] = 0
      continue
    }
    let window = carry
    for (let width = 0; width < WIDTH; width++) window += bit(at + width) * 2 ** width
    carry = window >> (WIDTH - 1)
    digits[at] = window - (carry << WIDTH)
    for (let width = 1; width < WIDTH; width++) digits[++at] = 0
  }
  return digits
}
