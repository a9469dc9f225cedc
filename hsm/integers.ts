/** Integers of any size as octets and back, and the little number theory that shares need. Not constant in time: what
 *  is secret is multiplied or added here, never used as an exponent (modulus.ts). */

import { randomBytes } from 'node:crypto'

/** Big-endian, without a sign. */
export function integerOf(octets: Uint8Array): bigint {
  if (octets.length === 0) return 0n
  return BigInt(`0x${Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('hex')}`)
}

/** Big-endian, with zeros in front up to `length`.
 *  @throws RangeError for a negative integer, or one that needs more octets */
export function octetsOf(value: bigint, length: number = octetsNeeded(value)): Uint8Array {
  const hex = value.toString(16).padStart(2 * length, '0')
  if (value < 0n || hex.length > 2 * length) throw new RangeError(`an integer does not fit ${length} octets`)
  return new Uint8Array(Buffer.from(hex, 'hex'))
}

function octetsNeeded(value: bigint): number {
  return Math.ceil(value.toString(16).length / 2)
}

export function bitLength(value: bigint): number {
  return value === 0n ? 0 : value.toString(2).length
}

/** The representative in [0, modulus). */
export function modulo(value: bigint, modulus: bigint): bigint {
  const rest = value % modulus
  return rest < 0n ? rest + modulus : rest
}

/** Extended Euclid: gcd = a x + b y. */
export function bezout(
  a: bigint,
  b: bigint,
): { readonly gcd: bigint; readonly x: bigint; readonly y: bigint } {
  let [r0, r1, x0, x1, y0, y1] = [a, b, 1n, 0n, 0n, 1n]
  while (r1 !== 0n) {
    const quotient = r0 / r1
    ;[r0, r1] = [r1, r0 - quotient * r1]
    ;[x0, x1] = [x1, x0 - quotient * x1]
    ;[y0, y1] = [y1, y0 - quotient * y1]
  }
  return r0 < 0n ? { gcd: -r0, x: -x0, y: -y0 } : { gcd: r0, x: x0, y: y0 }
}

/** @throws RangeError when there is none */
export function inverseModulo(value: bigint, modulus: bigint): bigint {
  const { gcd, x } = bezout(modulo(value, modulus), modulus)
  if (gcd !== 1n) throw new RangeError('the integer has no inverse')
  return modulo(x, modulus)
}

export function factorial(n: number): bigint {
  let product = 1n
  for (let factor = 2; factor <= n; factor++) product *= BigInt(factor)
  return product
}

/** Uniform in [0, bound), by rejection: a remainder would prefer small ones. */
export function randomBelow(bound: bigint): bigint {
  const bits = bitLength(bound - 1n)
  const octets = Math.ceil(bits / 8)
  for (;;) {
    const drawn = integerOf(randomBytes(octets)) >> BigInt(8 * octets - bits)
    if (drawn < bound) return drawn
  }
}

/** Δ times the Lagrange coefficient at 0 of node i among the nodes of a set: an integer, since Δ = n! for n ≥ every
 *  index (Shoup, EUROCRYPT 2000, §2.2). */
export function lagrangeTimes(delta: bigint, index: number, set: readonly number[]): bigint {
  let numerator = delta
  let denominator = 1n
  for (const other of set) {
    if (other === index) continue
    numerator *= BigInt(-other)
    denominator *= BigInt(index - other)
  }
  return numerator / denominator
}

/** The polynomial's value at an integer; coefficients by ascending degree. */
export function evaluate(coefficients: readonly bigint[], at: bigint): bigint {
  return coefficients.reduceRight((value, coefficient) => value * at + coefficient, 0n)
}

/** Uniform in [0, 2^bits). */
export function randomBits(bits: number): bigint {
  return randomBelow(1n << BigInt(bits))
}

/** With a sign in front, 1 for a negative one: shares of shares may be below zero. */
export function signedOctets(value: bigint): Uint8Array {
  return value < 0n ? Uint8Array.of(1, ...octetsOf(-value)) : Uint8Array.of(0, ...octetsOf(value))
}

/** Undefined for what `signedOctets` did not write. */
export function signedInteger(octets: Uint8Array): bigint | undefined {
  if (octets.length < 2 || octets[0]! > 1) return undefined
  const magnitude = integerOf(octets.subarray(1))
  return octets[0] === 1 ? -magnitude : magnitude
}
