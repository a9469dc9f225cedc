/** Making a FROST key that is whole nowhere: Pedersen's distributed key generation (RFC 9591 leaves it out), with promises ahead
 *  and an echo behind (Lindell, ePrint 2022/374, Protocol 6.1).
 *
 *    pledge    everybody ─▶ all: hash of its round 1, and of some salt
 *    round 1   everybody ─▶ all: commitments to a polynomial, proofs of knowing every coefficient, the salt
 *    round 2   everybody ─▶ each other, in secret: the polynomial's value there
 *    echo      everybody ─▶ all: hash of all pledges, and so of the whole round 1, and of the public key that came of it
 *
 *  I1  A node shows its round 1 when it has one pledge of each node, and takes from each the round 1 that was pledged: nobody chooses
 *      its own when it has seen another's.
 *  I2  Every list is sound and proven (secret-polynomial.ts). An equivocator shows itself in the echo: a key is used only when
 *      all `nodes` echoes are equal.
 *  I3  Pledges cover session, suite, size and index, so no message of another session fits.
 *  I4  What cannot be gone on with names the node at fault where one is. Steps happen once each, in order. */

import { randomBytes } from 'node:crypto'
import {
  decodeScalar,
  type EdwardsPoint,
  FROST_SUITES,
  type FrostSuite,
  type FrostSuiteName,
} from './edwards.ts'
import type { FrostQuorumKey, FrostShare } from './frost.ts'
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
import { hashOf } from './transcript.ts'

export interface KeygenPledge {
  readonly index: number
  readonly pledge: Uint8Array
}

export interface KeygenRound1 extends ProvenCommitments {
  readonly index: number
  readonly salt: Uint8Array
}

export interface KeygenPart {
  readonly from: number
  readonly value: Uint8Array
}

export interface MadeFrostKey {
  readonly key: FrostQuorumKey
  readonly share: FrostShare
  /** What every node must echo alike before the key is used (I2). */
  readonly echo: Uint8Array
}

/** A node that sent what cannot be right. */
export class KeygenFault extends Error {
  readonly culprit: number
  /** What the node did. */
  readonly deed: string

  constructor(culprit: number, deed: string) {
    super(`node ${culprit} ${deed}`)
    this.culprit = culprit
    this.deed = deed
  }
}

type Step = 'reveal' | 'round 2' | 'finish' | 'nothing'

const SALT_OCTETS = 32

/** One node's part in making one key. */
export class FrostKeygen {
  readonly pledge: KeygenPledge
  readonly #suite: FrostSuite
  readonly #size: QuorumSize
  readonly #session: Uint8Array
  readonly #round1: KeygenRound1
  #polynomial: SecretPolynomial | undefined
  #next: Step = 'reveal'
  #pledges: readonly KeygenPledge[] = []
  /** Each node's commitments. */
  #points: readonly (readonly EdwardsPoint[])[] = []

  /** `session`: what all nodes agreed on for this run, never used before.
   *  @throws RangeError */
  constructor(
    suite: FrostSuiteName,
    size: QuorumSize,
    index: number,
    session: Uint8Array,
    polynomial: SecretPolynomial = SecretPolynomial.random(FROST_SUITES[suite], size.threshold),
  ) {
    checkQuorumSize(size)
    this.#suite = FROST_SUITES[suite]
    this.#size = size
    this.#session = session
    this.#polynomial = polynomial
    const { commitments } = polynomial
    const salt = new Uint8Array(randomBytes(SALT_OCTETS))
    this.#round1 = { index, salt, commitments, proofs: polynomial.proofs(this.#place(index)) }
    this.pledge = { index, pledge: this.#pledgeOf(this.#round1) }
  }

  /** Takes the pledges of all nodes, this one's too; gives its round 1 (I1).
   *  @throws KeygenFault; RangeError */
  reveal(all: readonly KeygenPledge[]): KeygenRound1 {
    const sorted = this.#oneOfEach(all, 'pledge')
    if (!same(sorted[this.pledge.index - 1]!.pledge, this.pledge.pledge)) {
      throw new RangeError("this node's pledge is not among them as it was")
    }
    this.#advance('reveal', 'round 2')
    this.#pledges = sorted
    return this.#round1
  }

  /** Takes round 1 of all nodes, this one's too; gives the value for each other node.
   *  @throws KeygenFault; RangeError */
  round2(all: readonly KeygenRound1[]): Map<number, Uint8Array> {
    const sorted = this.#oneOfEach(all, 'round 1')
    this.#advance('round 2', 'finish')
    this.#points = sorted.map((round1, at) => this.#checked(round1, this.#pledges[at]!))
    const others = sorted.filter(({ index }) => index !== this.pledge.index)
    return new Map(others.map(({ index }) => [index, this.#polynomial!.valueAt(index)]))
  }

  /** Takes the values that all others sent to this node. The secret polynomial is gone afterwards.
   *  @throws KeygenFault; RangeError */
  finish(received: readonly KeygenPart[]): MadeFrostKey {
    this.#advance('finish', 'nothing')
    const suite = this.#suite
    const { index } = this.pledge
    const parts = this.#points.map((points, at) =>
      at + 1 === index ? this.#polynomial!.valueAt(index) : this.#part(at + 1, points, received),
    )
    this.#polynomial = undefined
    const sum = parts.reduce((total, part) => total + decodeScalar(suite, part)!, 0n)
    const key = this.#key()
    return { key, share: { index, value: modulo(sum, suite.order) }, echo: this.#echo(key) }
  }

  /** I4. */
  #advance(due: Step, next: Step): void {
    if (this.#next !== due) throw new RangeError(`this step is not due, but ${this.#next}`)
    this.#next = next
  }

  /** By index. That one is missing, or stands twice, is the doing of who brought them. */
  #oneOfEach<T extends { readonly index: number }>(all: readonly T[], what: string): T[] {
    const { nodes } = this.#size
    if (all.length > nodes) throw new RangeError(`${nodes} nodes make the key, not ${all.length}`)
    return Array.from({ length: nodes }, (_, at) => {
      const own = all.filter(({ index }) => index === at + 1)
      if (own.length === 1) return own[0]!
      throw new RangeError(`there is not one ${what} of node ${at + 1}`)
    })
  }

  /** I1, I2. */
  #checked(round1: KeygenRound1, { pledge }: KeygenPledge): EdwardsPoint[] {
    const { index } = round1
    if (!same(this.#pledgeOf(round1), pledge)) {
      throw new KeygenFault(index, 'shows another round 1 than it has pledged')
    }
    const points = provenPoints(this.#suite, this.#place(index), round1)
    if (points !== undefined) return points
    throw new KeygenFault(index, 'has commitments that are wrong, or not proven')
  }

  #part(from: number, points: readonly EdwardsPoint[], received: readonly KeygenPart[]): Uint8Array {
    const own = received.filter(part => part.from === from)
    if (own.length !== 1) throw new RangeError(`there is not one value of node ${from}`)
    const { value } = own[0]!
    if (fitsCommitments(this.#suite, points, this.pledge.index, value)) return value
    throw new KeygenFault(from, 'has sent a value that does not fit its commitments')
  }

  #key(): FrostQuorumKey {
    const { threshold, nodes } = this.#size
    const sum = sumOfLists(this.#points)
    const verifiers = Array.from({ length: nodes }, (_, at) => committedAt(this.#suite, sum, at + 1))
    if ([sum[0]!, ...verifiers].some(point => point.is0())) throw new RangeError('the key would be no point')
    return {
      suite: this.#suite.name,
      threshold,
      nodes,
      publicKey: sum[0]!.toBytes(),
      verifiers: verifiers.map(point => point.toBytes()),
    }
  }

  #place(index: number): ProofPlace {
    return { purpose: 'keygen', session: this.#session, size: this.#size, index }
  }

  #pledgeOf(round1: KeygenRound1): Uint8Array {
    return pledgeOf(this.#suite.name, this.#place(round1.index), round1)
  }

  /** I2, I3. */
  #echo({ publicKey, verifiers }: FrostQuorumKey): Uint8Array {
    const pledges = this.#pledges.map(({ pledge }) => pledge)
    return hashOf('frost keygen echo', ...pledges, publicKey, ...verifiers)
  }
}

/** The pledge of a round 1 (I3). */
export function pledgeOf(
  suite: FrostSuiteName,
  { session, size, index }: ProofPlace,
  { salt, commitments, proofs }: Omit<KeygenRound1, 'index'>,
): Uint8Array {
  const { threshold, nodes } = size
  const round1 = [salt, commitments.length, ...commitments, ...proofs]
  return hashOf('frost keygen pledge', session, suite, threshold, nodes, index, ...round1)
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
