/** Polynomials by which nodes share secrets among themselves (Feldman, FOCS 87): coefficients that stay, a commitment to each for
 *  all, a value for each node in secret; and proofs of knowing every coefficient (Schnorr, CRYPTO 89), not the constant alone.
 *
 *    commitment  C = a × base       proof  (c, z): c = hash(place, coefficient, C, r × base), z = r + c a
 *
 *  I1  A list is sound with exactly `threshold` canonical points of the prime-order group, none of them the identity, each with a
 *      proof: nobody brings in what it made of others' commitments and does not know itself.
 *  I2  A proof is bound to purpose, session, suite, size, node and coefficient, and fits nowhere else.
 *  I3  A value fits when its multiple of the base is what the commitments say; zero fits nothing. */

import {
  decodeScalar,
  type EdwardsPoint,
  type FrostSuite,
  isInGroup,
  scalarOctets,
  sumOfProducts,
} from './edwards.ts'
import { evaluate, integerOf, modulo, randomBelow } from './integers.ts'
import type { QuorumSize } from './quorum-size.ts'
import { hashOf } from './transcript.ts'

/** What is told to everybody, by ascending degree. */
export interface ProvenCommitments {
  readonly commitments: readonly Uint8Array[]
  readonly proofs: readonly Uint8Array[]
}

/** Whose polynomial it is, and for what (I2). */
export interface ProofPlace {
  readonly purpose: 'keygen' | 'reshare'
  /** What all nodes agreed on for this run, never used before. */
  readonly session: Uint8Array
  readonly size: QuorumSize
  readonly index: number
}

const CHALLENGE_OCTETS = 32

export class SecretPolynomial {
  readonly commitments: readonly Uint8Array[]
  readonly #suite: FrostSuite
  readonly #coefficients: readonly bigint[]

  /** By ascending degree, none of them zero. */
  constructor(suite: FrostSuite, coefficients: readonly bigint[]) {
    this.#suite = suite
    this.#coefficients = coefficients
    this.commitments = coefficients.map(one => suite.base.multiply(one).toBytes())
  }

  static random(
    suite: FrostSuite,
    threshold: number,
    constant: bigint = randomScalar(suite),
  ): SecretPolynomial {
    const more = Array.from({ length: threshold - 1 }, () => randomScalar(suite))
    return new SecretPolynomial(suite, [constant, ...more])
  }

  proofs(place: ProofPlace): Uint8Array[] {
    const suite = this.#suite
    return this.#coefficients.map((secret, degree) => {
      const nonce = randomScalar(suite)
      const challenge = challengeOf(
        suite,
        place,
        degree,
        this.commitments[degree]!,
        suite.base.multiply(nonce),
      )
      const response = modulo(nonce + integerOf(challenge) * secret, suite.order)
      return Uint8Array.of(...challenge, ...scalarOctets(suite, response))
    })
  }

  /** The secret part of node `index`. */
  valueAt(index: number): Uint8Array {
    const value = modulo(evaluate(this.#coefficients, BigInt(index)), this.#suite.order)
    return scalarOctets(this.#suite, value)
  }
}

/** I1. The points of a sound list; undefined for another. */
export function provenPoints(
  suite: FrostSuite,
  place: ProofPlace,
  { commitments, proofs }: ProvenCommitments,
): EdwardsPoint[] | undefined {
  const { threshold } = place.size
  if (commitments.length !== threshold || proofs.length !== threshold) return undefined
  const points: EdwardsPoint[] = []
  for (const [degree, octets] of commitments.entries()) {
    const point = suite.decode(octets)
    if (point === undefined || !isInGroup(point)) return undefined
    if (!isProven(suite, place, degree, octets, point, proofs[degree]!)) return undefined
    points.push(point)
  }
  return points
}

function isProven(
  suite: FrostSuite,
  place: ProofPlace,
  degree: number,
  commitment: Uint8Array,
  point: EdwardsPoint,
  proof: Uint8Array,
): boolean {
  const challenge = proof.subarray(0, CHALLENGE_OCTETS)
  const response = decodeScalar(suite, proof.subarray(CHALLENGE_OCTETS))
  if (response === undefined) return false
  const factor = modulo(-integerOf(challenge), suite.order)
  const nonce = sumOfProducts(suite, [suite.base, point], [response, factor])
  return Buffer.compare(challengeOf(suite, place, degree, commitment, nonce), challenge) === 0
}

/** I2. */
function challengeOf(
  suite: FrostSuite,
  { purpose, session, size, index }: ProofPlace,
  degree: number,
  commitment: Uint8Array,
  nonce: EdwardsPoint,
): Uint8Array {
  return hashOf(
    'coefficient proof',
    purpose,
    session,
    suite.name,
    size.threshold,
    size.nodes,
    index,
    degree,
    commitment,
    nonce.toBytes(),
  )
}

/** The commitments of the sum of polynomials. */
export function sumOfLists(lists: readonly (readonly EdwardsPoint[])[]): EdwardsPoint[] {
  return lists.reduce<EdwardsPoint[]>(
    (sums, list) => list.map((point, degree) => sums[degree]?.add(point) ?? point),
    [],
  )
}

/** The base point times the polynomial's value there. */
export function committedAt(suite: FrostSuite, points: readonly EdwardsPoint[], index: number): EdwardsPoint {
  const powers = points.map((_, degree) => modulo(BigInt(index) ** BigInt(degree), suite.order))
  return sumOfProducts(suite, points, powers)
}

/** I3: what node `index` checks of the part it was given. */
export function fitsCommitments(
  suite: FrostSuite,
  points: readonly EdwardsPoint[],
  index: number,
  part: Uint8Array,
): boolean {
  const value = decodeScalar(suite, part)
  if (value === undefined || value === 0n) return false
  return suite.base.multiply(value).equals(committedAt(suite, points, index))
}

function randomScalar(suite: FrostSuite): bigint {
  return randomBelow(suite.order - 1n) + 1n
}
