/** Threshold RSA: V. Shoup, Practical Threshold Signatures, EUROCRYPT 2000, Protocol 1 (§2.1–2.2), with shares that may also
 *  interpolate to a public multiple of the private exponent, as they do after an import or a reshare.
 *
 *    share       x_i = x^(2Δ s_i)                                    Δ = n!, x the PKCS#1 block
 *    combine     w = ∏ x_i^(2 λ_i) = x^(e′ d),  e′ = 4 Δ² c          λ_i = Δ × Lagrange's coefficient
 *                a e′ + b e = 1,  y = w^a x^b                        y^e = x: an ordinary RSA signature
 *    proof       log_v v_i = log_(x^4Δ) x_i²                         made only when a combined signature is wrong
 *
 *  I1  `threshold` shares suffice, and exactly so many are combined; indices are distinct and from 1 to n.
 *  I2  A share is taken only when 1 < x_i < N and it has no factor in common with N.
 *  I3  What is combined was checked against the public key (y^e = x), or nobody gets it.
 *  I4  v and v_i of a proof are the key record's; a prover that brings its own proves nothing. */

import { createHash, timingSafeEqual } from 'node:crypto'
import { bezout, factorial, integerOf, lagrangeTimes, modulo, octetsOf, randomBits } from './integers.ts'
import { Modulus } from './modulus.ts'
import { hashOf } from './transcript.ts'

/** What everybody may know of a key. */
export interface RsaQuorumKey {
  readonly modulus: bigint
  readonly publicExponent: bigint
  /** How many shares suffice. */
  readonly threshold: number
  readonly nodes: number
  /** Shares interpolate at 0 to this times the private exponent: 1 from a dealer, more after import and reshare. */
  readonly multiplier: bigint
  /** No share is longer, its sign apart. */
  readonly shareBits: number
  /** A random square v, and v^(s_i) of node i at [i − 1]. */
  readonly base: bigint
  readonly verifiers: readonly bigint[]
}

export interface RsaShare {
  /** From 1. */
  readonly index: number
  readonly value: bigint
}

export interface RsaSignatureShare {
  readonly index: number
  readonly value: bigint
}

export interface RsaProof {
  readonly challenge: Uint8Array
  readonly response: bigint
}

export type RsaHash = 'sha256' | 'sha512'

/** RFC 8017 §9.2, notes 1: DER of DigestInfo up to the digest. */
const DIGEST_INFO: Readonly<Record<RsaHash, string>> = {
  sha256: '3031300d060960864801650304020105000420',
  sha512: '3051300d060960864801650304020305000440',
}
/** RFC 8017 §9.2: at least eight octets of padding, and three others. */
const PADDING_OCTETS_MIN = 11
const CHALLENGE_BITS = 256
/** Statistical distance of a masked share from a random number: 2^-256. */
const MASK_BITS = 2 * CHALLENGE_BITS

/** EMSA-PKCS1-v1_5 of a message (RFC 8017 §9.2), for RFC 5702's algorithms 8 and 10. */
export function pkcs1Block(hash: RsaHash, message: Uint8Array, modulusOctets: number): bigint {
  const info = Buffer.concat([
    Buffer.from(DIGEST_INFO[hash], 'hex'),
    createHash(hash).update(message).digest(),
  ])
  if (modulusOctets < info.length + PADDING_OCTETS_MIN) throw new RangeError('the modulus is too short')
  const block = Buffer.alloc(modulusOctets, 0xff)
  block[0] = 0
  block[1] = 1
  block[modulusOctets - info.length - 1] = 0
  info.copy(block, modulusOctets - info.length)
  return integerOf(block)
}

/** A key at work: at a node with its share, elsewhere without one. */
export class RsaQuorum {
  readonly key: RsaQuorumKey
  readonly octets: number
  readonly #modulus: Modulus
  readonly #delta: bigint

  constructor(key: RsaQuorumKey) {
    this.key = key
    this.#modulus = new Modulus(key.modulus)
    this.#delta = factorial(key.nodes)
    this.octets = this.#modulus.octets
  }

  sign(share: RsaShare, x: bigint): RsaSignatureShare {
    return { index: share.index, value: this.#modulus.power(x, 2n * this.#delta * share.value) }
  }

  /** I2. */
  isShare({ index, value }: RsaSignatureShare): boolean {
    const { modulus, nodes } = this.key
    if (!Number.isInteger(index) || index < 1 || index > nodes) return false
    return value > 1n && value < modulus && bezout(value, modulus).gcd === 1n
  }

  /** The signature, or undefined when a share among them is wrong (I3).
   *  @throws RangeError when they are not `threshold` shares of different nodes (I1) */
  combine(x: bigint, shares: readonly RsaSignatureShare[]): Uint8Array | undefined {
    const { threshold, multiplier, publicExponent } = this.key
    const indices = shares.map(({ index }) => index)
    if (shares.length !== threshold || new Set(indices).size !== threshold) {
      throw new RangeError(`${threshold} shares of different nodes are combined, not ${indices.join(', ')}`)
    }
    if (!shares.every(share => this.isShare(share))) return undefined
    const modulus = this.#modulus
    let w = 1n
    for (const { index, value } of shares) {
      w = modulus.multiply(w, modulus.power(value, 2n * lagrangeTimes(this.#delta, index, indices)))
    }
    const { gcd, x: a, y: b } = bezout(4n * this.#delta ** 2n * multiplier, publicExponent)
    if (gcd !== 1n)
      throw new RangeError('the public exponent has a factor in common with what shares interpolate to')
    const signature = modulus.multiply(modulus.power(w, a), modulus.power(x, b))
    return modulus.power(signature, publicExponent) === x ? octetsOf(signature, this.octets) : undefined
  }

  /** That the share of the signature is of the node's share of the key (§2.2, "proof of correctness"). */
  prove(share: RsaShare, x: bigint): RsaProof {
    const modulus = this.#modulus
    const mask = randomBits(this.key.shareBits + MASK_BITS)
    const point = this.#provedBase(x)
    const challenge = this.#challenge(
      share.index,
      point,
      this.sign(share, x).value,
      modulus.power(this.key.base, mask),
      modulus.power(point, mask),
    )
    return { challenge, response: share.value * integerOf(challenge) + mask }
  }

  /** Whether a share of a signature is what node `index` had to give (I4). */
  verifyProof(x: bigint, share: RsaSignatureShare, proof: RsaProof): boolean {
    if (!this.isShare(share) || proof.challenge.length * 8 !== CHALLENGE_BITS) return false
    const { base, verifiers, shareBits } = this.key
    const limit = 1n << BigInt(shareBits + MASK_BITS + CHALLENGE_BITS + 1)
    if (proof.response > limit || -proof.response > limit) return false
    const modulus = this.#modulus
    const c = integerOf(proof.challenge)
    const point = this.#provedBase(x)
    const first = modulus.multiply(
      modulus.power(base, proof.response),
      modulus.power(verifiers[share.index - 1]!, -c),
    )
    const second = modulus.multiply(modulus.power(point, proof.response), modulus.power(share.value, -2n * c))
    const expected = this.#challenge(share.index, point, share.value, first, second)
    return timingSafeEqual(expected, proof.challenge)
  }

  /** The nodes whose share or proof is wrong. */
  culprits(
    x: bigint,
    shares: readonly { readonly share: RsaSignatureShare; readonly proof?: RsaProof }[],
  ): number[] {
    const wrong = shares.filter(
      ({ share, proof }) => proof === undefined || !this.verifyProof(x, share, proof),
    )
    return wrong.map(({ share }) => share.index)
  }

  #provedBase(x: bigint): bigint {
    return this.#modulus.power(x, 4n * this.#delta)
  }

  #challenge(index: number, point: bigint, share: bigint, first: bigint, second: bigint): Uint8Array {
    const { modulus, base, verifiers } = this.key
    const squared = modulo(share * share, modulus)
    const verifier = verifiers[index - 1]!
    return hashOf('rsa share proof', modulus, index, base, point, verifier, squared, first, second)
  }
}
