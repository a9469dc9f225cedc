/** Powers modulo an odd number by OpenSSL: Diffie-Hellman with the modulus for its prime is `BN_mod_exp_mont_consttime`,
 *  constant in time, six to nine times faster than BigInt, and right for composite moduli and exponents of any length.
 *
 *  I1  One object a modulus: making it costs OpenSSL's checks of a prime, 10 to 100 ms.
 *  I2  OpenSSL refuses the bases 0, 1 and −1, and versions differ about the exponent 0: they are answered here. */

import { createDiffieHellman, type DiffieHellman } from 'node:crypto'
import { integerOf, inverseModulo, modulo, octetsOf } from './integers.ts'

/** OPENSSL_DH_MAX_MODULUS_BITS. */
const MODULUS_BITS_MAX = 10_000

export class Modulus {
  readonly value: bigint
  readonly octets: number
  readonly #group: DiffieHellman

  /** @throws RangeError for an even modulus, or one that OpenSSL cannot take */
  constructor(value: bigint) {
    const bits = value.toString(2).length
    if ((value & 1n) === 0n || bits < 512 || bits > MODULUS_BITS_MAX) {
      throw new RangeError(`a modulus of ${bits} bits cannot be used`)
    }
    this.value = value
    this.octets = Math.ceil(bits / 8)
    this.#group = createDiffieHellman(Buffer.from(octetsOf(value, this.octets)), 2)
  }

  /** A negative exponent takes the inverse of the base. */
  power(base: bigint, exponent: bigint): bigint {
    if (exponent < 0n) return this.power(inverseModulo(base, this.value), -exponent)
    const reduced = modulo(base, this.value)
    if (exponent === 0n || reduced === 1n) return 1n
    if (reduced === 0n) return 0n
    // I2: −1 to an even or odd power.
    if (reduced === this.value - 1n) return (exponent & 1n) === 0n ? 1n : reduced
    this.#group.setPrivateKey(Buffer.from(octetsOf(exponent)))
    return integerOf(this.#group.computeSecret(Buffer.from(octetsOf(reduced, this.octets))))
  }

  multiply(a: bigint, b: bigint): bigint {
    return (a * b) % this.value
  }
}
