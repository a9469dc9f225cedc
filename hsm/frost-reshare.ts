/** New shares of a FROST key for the same or other nodes, without a dealer (Feldman's verifiable sharing of each holder's part):
 *
 *    holder i of a set S     a_i = λ_i s_i,  Σ a_i = s          deals g_i with g_i(0) = a_i, commits to coefficients
 *    new node j              s′_j = Σ_i g_i(j)
 *
 *  I1  A dealing has exactly threshold′ commitments in the prime-order group, the first of them λ_i × the holder's verifying
 *      share: nobody can bring in another secret. The sum of the firsts is the key's public key.
 *  I2  A part fits its commitments, or its holder is named.
 *  I3  Old shares go on being good for the same key: holders erase them when the new ones are confirmed. */

import { randomBytes } from 'node:crypto'
import {
  decodeScalar,
  type EdwardsPoint,
  FROST_SUITES,
  type FrostSuite,
  isInGroup,
  scalarOctets,
  sumOfProducts,
} from './edwards.ts'
import { type FrostQuorumKey, type FrostShare, lagrangeAtZero } from './frost.ts'
import { integerOf, modulo } from './integers.ts'
import { checkQuorumSize, type QuorumSize } from './quorum-size.ts'

export interface FrostDealing {
  readonly from: number
  /** Base point times each coefficient, by ascending degree. */
  readonly commitments: readonly Uint8Array[]
}

/** RFC 9591 §4.1 asks for 32 random octets a scalar; 16 more make the remainder even. */
const EXTRA_OCTETS = 16

export class FrostReshare {
  readonly #key: FrostQuorumKey
  readonly #suite: FrostSuite
  readonly #size: QuorumSize
  readonly #set: readonly number[]

  /** `set`: the holders that deal, exactly `threshold` of the key.
   *  @throws RangeError */
  constructor(key: FrostQuorumKey, set: readonly number[], size: QuorumSize) {
    checkQuorumSize(size)
    const known = set.every(index => Number.isInteger(index) && index >= 1 && index <= key.nodes)
    if (!known || set.length !== key.threshold || new Set(set).size !== set.length) {
      throw new RangeError(`${key.threshold} different holders deal, not ${set.join(', ')}`)
    }
    this.#key = key
    this.#suite = FROST_SUITES[key.suite]
    this.#set = set
    this.#size = size
    this.#checkSum()
  }

  /** I1: a record whose verifying shares are those of another key is not dealt on. */
  #checkSum(): void {
    const { publicKey, verifiers } = this.#key
    const points = this.#set.map(index => this.#suite.decode(verifiers[index - 1]!))
    const factors = this.#set.map(index => this.#lambda(index))
    const right =
      points.every(point => point !== undefined) &&
      Buffer.compare(sumOfProducts(this.#suite, points as EdwardsPoint[], factors).toBytes(), publicKey) === 0
    if (!right) throw new RangeError('the verifying shares of the record are not of its public key')
  }

  /** At holder `share.index`: what it tells everybody, and each new node j in secret at [j − 1]. */
  deal(share: FrostShare): { readonly dealing: FrostDealing; readonly parts: readonly Uint8Array[] } {
    const suite = this.#suite
    const random = (): bigint =>
      (integerOf(randomBytes(suite.scalarOctets + EXTRA_OCTETS)) % (suite.order - 1n)) + 1n
    const secret = modulo(this.#lambda(share.index) * share.value, suite.order)
    const coefficients = [secret, ...Array.from({ length: this.#size.threshold - 1 }, random)]
    const valueAt = (at: number): bigint =>
      coefficients.reduceRight((value, one) => modulo(value * BigInt(at) + one, suite.order), 0n)
    return {
      dealing: {
        from: share.index,
        commitments: coefficients.map(one => suite.base.multiply(one).toBytes()),
      },
      parts: Array.from({ length: this.#size.nodes }, (_, at) => scalarOctets(suite, valueAt(at + 1))),
    }
  }

  /** I1: what anybody can check of a dealing. */
  isDealing({ from, commitments }: FrostDealing): boolean {
    if (!this.#set.includes(from) || commitments.length !== this.#size.threshold) return false
    const points = commitments.map(octets => this.#suite.decode(octets))
    if (!points.every(point => point !== undefined && isInGroup(point))) return false
    const verifier = this.#suite.decode(this.#key.verifiers[from - 1]!)!
    return sumOfProducts(this.#suite, [verifier], [this.#lambda(from)]).equals(points[0]!)
  }

  /** I2: what new node `to` checks of its part. */
  isPart(dealing: FrostDealing, to: number, part: Uint8Array): boolean {
    const value = decodeScalar(this.#suite, part)
    if (value === undefined || value === 0n) return false
    return this.#suite.base.multiply(value).equals(this.#committed(dealing, to))
  }

  /** New node `to`'s share from its parts, one of each holder. */
  share(to: number, parts: readonly Uint8Array[]): FrostShare {
    if (parts.length !== this.#set.length) throw new RangeError(`${this.#set.length} parts make a share`)
    const sum = parts.reduce((total, part) => total + decodeScalar(this.#suite, part)!, 0n)
    return { index: to, value: modulo(sum, this.#suite.order) }
  }

  /** The key's public record of the new shares, from dealings that were checked. */
  newKey(dealings: readonly FrostDealing[]): FrostQuorumKey {
    const { threshold, nodes } = this.#size
    const at = (index: number): EdwardsPoint =>
      dealings.reduce((sum, dealing) => sum.add(this.#committed(dealing, index)), this.#suite.zero)
    return {
      suite: this.#key.suite,
      threshold,
      nodes,
      publicKey: this.#key.publicKey,
      verifiers: Array.from({ length: nodes }, (_, index) => at(index + 1).toBytes()),
    }
  }

  /** g_i(to) × the base point from the commitments. */
  #committed({ commitments }: FrostDealing, to: number): EdwardsPoint {
    const points = commitments.map(octets => this.#suite.decode(octets)!)
    const powers = points.map((_, degree) => modulo(BigInt(to) ** BigInt(degree), this.#suite.order))
    return sumOfProducts(this.#suite, points, powers)
  }

  #lambda(index: number): bigint {
    return lagrangeAtZero(this.#suite, index, this.#set)
  }
}
