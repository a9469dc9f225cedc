/** New shares of a FROST key for the same or other nodes, without a dealer (Feldman's verifiable sharing of each holder's part):
 *
 *    holder i of a set S     a_i = λ_i s_i,  Σ a_i = s          deals g_i with g_i(0) = a_i, commits to coefficients
 *    new node j              s′_j = Σ_i g_i(j)
 *
 *  I1  A dealing has exactly threshold′ commitments, each proven (secret-polynomial.ts), the first of them λ_i × the holder's
 *      verifying share: nobody can bring in another secret. The sum of the firsts is the key's public key.
 *  I2  A part fits its commitments, or its holder is named.
 *  I3  Old shares go on being good for the same key: holders erase them when the new ones are confirmed.
 *
 *  Nothing is pledged ahead, as key generation does (frost-keygen.ts): the key stays what it is, and what a dealer adds to the
 *  others' coefficients it knows, and so learns nothing by choosing it late. */

import { decodeScalar, type EdwardsPoint, FROST_SUITES, type FrostSuite, sumOfProducts } from './edwards.ts'
import { type FrostQuorumKey, type FrostShare, lagrangeAtZero } from './frost.ts'
import { modulo } from './integers.ts'
import { checkQuorumSize, type QuorumSize } from './quorum-size.ts'
import {
  committedAt,
  fitsCommitments,
  type ProofPlace,
  type ProvenCommitments,
  provenPoints,
  SecretPolynomial,
  sumOfLists,
} from './secret-polynomial.ts'

export interface FrostDealing extends ProvenCommitments {
  readonly from: number
}

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

  /** At holder `share.index`: what it tells everybody, and each new node j in secret at [j − 1]. `session`: what all agreed on for
   *  this run, never used before. */
  deal(
    share: FrostShare,
    session: Uint8Array,
  ): { readonly dealing: FrostDealing; readonly parts: readonly Uint8Array[] } {
    const from = share.index
    const secret = modulo(this.#lambda(from) * share.value, this.#suite.order)
    const polynomial = SecretPolynomial.random(this.#suite, this.#size.threshold, secret)
    const { commitments } = polynomial
    return {
      dealing: { from, commitments, proofs: polynomial.proofs(this.#place(from, session)) },
      parts: Array.from({ length: this.#size.nodes }, (_, at) => polynomial.valueAt(at + 1)),
    }
  }

  /** I1: what anybody can check of a dealing. */
  isDealing(dealing: FrostDealing, session: Uint8Array): boolean {
    const { from } = dealing
    if (!this.#set.includes(from)) return false
    const points = provenPoints(this.#suite, this.#place(from, session), dealing)
    const verifier = this.#suite.decode(this.#key.verifiers[from - 1]!)!
    const constant = sumOfProducts(this.#suite, [verifier], [this.#lambda(from)])
    return points?.[0]?.equals(constant) === true
  }

  /** I2: what new node `to` checks of its part. */
  isPart(dealing: FrostDealing, to: number, part: Uint8Array): boolean {
    return fitsCommitments(this.#suite, this.#points(dealing), to, part)
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
    const sum = sumOfLists(dealings.map(dealing => this.#points(dealing)))
    return {
      suite: this.#key.suite,
      threshold,
      nodes,
      publicKey: this.#key.publicKey,
      verifiers: Array.from({ length: nodes }, (_, at) => committedAt(this.#suite, sum, at + 1).toBytes()),
    }
  }

  /** Of a dealing that was checked. */
  #points({ commitments }: FrostDealing): EdwardsPoint[] {
    return commitments.map(octets => this.#suite.decode(octets)!)
  }

  #place(index: number, session: Uint8Array): ProofPlace {
    return { purpose: 'reshare', session, size: this.#size, index }
  }

  #lambda(index: number): bigint {
    return lagrangeAtZero(this.#suite, index, this.#set)
  }
}
