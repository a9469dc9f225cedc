/** New shares of an RSA key for the same or other nodes, without a dealer: `threshold` holders share their shares over the
 *  integers (after T. Rabin, CRYPTO 98, and Frankel, Gemmell, MacKenzie, Yung, FOCS 97).
 *
 *    holder i of a set S     a_i = λ_i s_i,  Σ a_i = Δ c d        deals g_i with g_i(0) = Δ′ a_i, commits to coefficients
 *    new node j              s′_j = Σ_i g_i(j)                    interpolates to c′ d, c′ = Δ′ Δ c
 *
 *  I1  The verifiers of the record are of its public key. A dealing is taken when v^(g_i(0)) is what v_i says it must be, it has threshold′ commitments, and the part of
 *      node j fits the commitments: one false holder is named, and cannot make a wrong share.
 *  I2  Coefficients are longer than what they hide by 128 bits; shares grow by some 150 bits with each reshare, and the
 *      time to sign with them. Rolling the key makes them short again.
 *  I3  Old shares go on being good for the same key: who keeps `threshold` of an epoch can sign, so holders erase them.
 *
 *  That coefficients are known is not proven, as it is for EdDSA (secret-polynomial.ts): without a known order that takes more than
 *  Schnorr's proof and strong RSA assumptions, and there is nothing to be won. The key stays, the constants are held against v_i. */

import { bitLength, evaluate, factorial, lagrangeTimes, randomBits } from './integers.ts'
import { Modulus } from './modulus.ts'
import { checkQuorumSize, type QuorumSize } from './quorum-size.ts'
import type { RsaQuorumKey, RsaShare } from './rsa.ts'
import { HIDING_BITS } from './rsa-deal.ts'

/** What one holder tells everybody, and each new node in secret. */
export interface RsaDealing {
  readonly from: number
  /** v to the power of each coefficient, by ascending degree. */
  readonly commitments: readonly bigint[]
}

export interface DealtParts {
  readonly dealing: RsaDealing
  /** New node j's at [j − 1]; nobody else's business. */
  readonly parts: readonly bigint[]
}

export class RsaReshare {
  readonly #key: RsaQuorumKey
  readonly #size: QuorumSize
  readonly #set: readonly number[]
  readonly #modulus: Modulus
  readonly #oldDelta: bigint
  readonly #newDelta: bigint

  /** `set`: the holders that deal, exactly `threshold` of the key.
   *  @throws RangeError */
  constructor(key: RsaQuorumKey, set: readonly number[], size: QuorumSize) {
    checkQuorumSize(size)
    const known = set.every(index => Number.isInteger(index) && index >= 1 && index <= key.nodes)
    if (!known || set.length !== key.threshold || new Set(set).size !== set.length) {
      throw new RangeError(`${key.threshold} different holders deal, not ${set.join(', ')}`)
    }
    if (key.publicExponent <= BigInt(size.nodes))
      throw new RangeError('the public exponent is below an index')
    this.#key = key
    this.#set = set
    this.#size = size
    this.#modulus = new Modulus(key.modulus)
    this.#oldDelta = factorial(key.nodes)
    this.#newDelta = factorial(size.nodes)
    this.#checkProduct()
  }

  /** I1: ∏ v_i^(λ_i) is v^(Δ c d), and to the power of e it is v^(Δ c). */
  #checkProduct(): void {
    const { base, verifiers, multiplier, publicExponent } = this.#key
    const modulus = this.#modulus
    const product = this.#set.reduce(
      (one, index) =>
        modulus.multiply(
          one,
          modulus.power(verifiers[index - 1]!, lagrangeTimes(this.#oldDelta, index, this.#set)),
        ),
      1n,
    )
    if (modulus.power(product, publicExponent) !== modulus.power(base, this.#oldDelta * multiplier)) {
      throw new RangeError('the verifiers of the record are not of its public key')
    }
  }

  /** At holder `share.index`. */
  deal(share: RsaShare): DealtParts {
    const secret = this.#newDelta * lagrangeTimes(this.#oldDelta, share.index, this.#set) * share.value
    const bits = this.#coefficientBits()
    const more = Array.from({ length: this.#size.threshold - 1 }, () => randomBits(bits))
    const coefficients = [secret, ...more]
    return {
      dealing: {
        from: share.index,
        commitments: coefficients.map(coefficient => this.#modulus.power(this.#key.base, coefficient)),
      },
      parts: Array.from({ length: this.#size.nodes }, (_, at) => evaluate(coefficients, BigInt(at + 1))),
    }
  }

  /** I1: what anybody can check of a dealing. */
  isDealing({ from, commitments }: RsaDealing): boolean {
    const { modulus, verifiers } = this.#key
    if (!this.#set.includes(from) || commitments.length !== this.#size.threshold) return false
    if (!commitments.every(one => one > 0n && one < modulus)) return false
    const exponent = this.#newDelta * lagrangeTimes(this.#oldDelta, from, this.#set)
    return this.#modulus.power(verifiers[from - 1]!, exponent) === commitments[0]
  }

  /** I1: what new node `to` checks of its part. */
  isPart(dealing: RsaDealing, to: number, part: bigint): boolean {
    if (bitLength(part < 0n ? -part : part) > this.#shareBits()) return false
    return this.#modulus.power(this.#key.base, part) === this.#committed(dealing, to)
  }

  /** New node `to`'s share from its parts, one of each holder. */
  share(to: number, parts: readonly bigint[]): RsaShare {
    if (parts.length !== this.#set.length) throw new RangeError(`${this.#set.length} parts make a share`)
    return { index: to, value: parts.reduce((sum, part) => sum + part, 0n) }
  }

  /** The key's public record of the new shares. */
  newKey(dealings: readonly RsaDealing[]): RsaQuorumKey {
    const { threshold, nodes } = this.#size
    return {
      ...this.#key,
      threshold,
      nodes,
      multiplier: this.#key.multiplier * this.#oldDelta * this.#newDelta,
      shareBits: this.#shareBits() + bitLength(BigInt(this.#set.length)),
      verifiers: Array.from({ length: nodes }, (_, at) =>
        dealings.reduce(
          (product, dealing) => this.#modulus.multiply(product, this.#committed(dealing, at + 1)),
          1n,
        ),
      ),
    }
  }

  /** v^(g_i(to)) from the commitments. */
  #committed({ commitments }: RsaDealing, to: number): bigint {
    return commitments.reduceRight(
      (product, commitment) => this.#modulus.multiply(this.#modulus.power(product, BigInt(to)), commitment),
      1n,
    )
  }

  /** I2. */
  #coefficientBits(): number {
    const grown = bitLength(this.#oldDelta) * 2 + bitLength(this.#newDelta)
    return this.#key.shareBits + grown + HIDING_BITS
  }

  /** Of one part: the largest power of the largest index times a coefficient, and the sum of them. */
  #shareBits(): number {
    const { threshold, nodes } = this.#size
    return this.#coefficientBits() + (threshold - 1) * bitLength(BigInt(nodes)) + bitLength(BigInt(threshold))
  }
}
