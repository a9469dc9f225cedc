/** FROST (RFC 9591 §5) for Ed25519 and Ed448: two rounds, whose signatures are RFC 8032's.
 *
 *    round one   node: nonces (d, e) ─▶ commitments (D, E)            made ahead, without a message
 *    round two   all commitments + message ─▶ binding factors ρ_i, R = Σ D_i + ρ_i E_i, challenge c
 *                node: z_i = d_i + e_i ρ_i + λ_i s_i c                the nonces are spent
 *    combine     z = Σ z_i, signature R ‖ z, verified by OpenSSL; if it is wrong, each z_i is checked (§5.4)
 *
 *  I1  Nonces are spent by their first use, also by one that fails: two answers with one nonce give the share away.
 *  I2  A node signs only a list that has its own commitment and exactly `threshold` different nodes.
 *  I3  What is combined was verified under the key's public key by node:crypto, or nobody gets it.
 *  I4  Keys and their verifying shares are in the prime-order group (checked when they are loaded). Commitments of others are
 *      decoded strictly, but not each multiplied by the group's order, which would be half the cost: a node's answer
 *      depends on their octets alone, and a combination with such a part in it fails and names the node. */

import { createPublicKey, type KeyObject, randomBytes, verify } from 'node:crypto'
import {
  decodeScalar,
  type EdwardsPoint,
  FROST_SUITES,
  type FrostSuite,
  type FrostSuiteName,
  isInGroup,
  scalarOctets,
  sumOfProducts,
} from './edwards.ts'
import { inverseModulo, modulo } from './integers.ts'

/** What everybody may know of a key. */
export interface FrostQuorumKey {
  readonly suite: FrostSuiteName
  /** How many shares suffice. */
  readonly threshold: number
  readonly nodes: number
  /** RFC 8032's, as in a DNSKEY (RFC 8080 §3). */
  readonly publicKey: Uint8Array
  /** s_i × the base point, of node i at [i − 1]. */
  readonly verifiers: readonly Uint8Array[]
}

export interface FrostShare {
  /** From 1. */
  readonly index: number
  readonly value: bigint
}

export interface FrostCommitment {
  readonly index: number
  readonly hiding: Uint8Array
  readonly binding: Uint8Array
}

export interface FrostSignatureShare {
  readonly index: number
  readonly value: Uint8Array
}

/** Two secrets for one signature (I1). */
export class FrostNonces {
  readonly commitment: FrostCommitment
  #secrets: { readonly hiding: bigint; readonly binding: bigint } | undefined

  constructor(commitment: FrostCommitment, hiding: bigint, binding: bigint) {
    this.commitment = commitment
    this.#secrets = { hiding, binding }
  }

  get spent(): boolean {
    return this.#secrets === undefined
  }

  /** @throws RangeError when they were spent */
  spend(): { readonly hiding: bigint; readonly binding: bigint } {
    const secrets = this.#secrets
    this.#secrets = undefined
    if (secrets === undefined) throw new RangeError('nonces are used once')
    return secrets
  }
}

/** One set of commitments and one message, as every node of the set sees them. */
interface Session {
  readonly order: readonly FrostCommitment[]
  readonly factors: ReadonlyMap<number, bigint>
  readonly groupCommitment: Uint8Array
  readonly challenge: bigint
}

const NONCE_OCTETS = 32
/** RFC 8410 §4: SubjectPublicKeyInfo up to the key. */
const SPKI: Readonly<Record<FrostSuiteName, string>> = {
  ed25519: '302a300506032b6570032100',
  ed448: '3043300506032b6571033a00',
}

/** A key at work, with or without a share. */
export class FrostQuorum {
  readonly key: FrostQuorumKey
  readonly suite: FrostSuite
  readonly #verifying: KeyObject

  /** @throws RangeError when the key's record is not sound */
  constructor(key: FrostQuorumKey) {
    this.key = key
    this.suite = FROST_SUITES[key.suite]
    const points = [key.publicKey, ...key.verifiers].map(octets => this.suite.decode(octets))
    if (
      key.verifiers.length !== key.nodes ||
      !points.every(point => point !== undefined && isInGroup(point))
    ) {
      throw new RangeError("the key's record is not sound")
    }
    const der = Buffer.concat([Buffer.from(SPKI[key.suite], 'hex'), key.publicKey])
    this.#verifying = createPublicKey({ key: der, format: 'der', type: 'spki' })
  }

  /** Round one (§5.1). `entropy` is for vectors only. */
  commit(share: FrostShare, entropy: () => Uint8Array = () => randomBytes(NONCE_OCTETS)): FrostNonces {
    const { suite } = this
    const secret = scalarOctets(suite, share.value)
    const nonce = (): bigint => suite.h3(Buffer.concat([entropy(), secret]))
    const [hiding, binding] = [nonce(), nonce()]
    const element = (scalar: bigint): Uint8Array => suite.base.multiply(scalar).toBytes()
    const commitment = { index: share.index, hiding: element(hiding), binding: element(binding) }
    return new FrostNonces(commitment, hiding, binding)
  }

  /** Whether this may be the list of a session (I2). */
  isSet(commitments: readonly FrostCommitment[]): boolean {
    const { threshold, nodes } = this.key
    const indices = commitments.map(({ index }) => index)
    return (
      indices.length === threshold &&
      new Set(indices).size === threshold &&
      indices.every(index => Number.isInteger(index) && index >= 1 && index <= nodes)
    )
  }

  /** Round two (§5.2); undefined when a commitment is no point. The nonces are spent in any case.
   *  @throws RangeError for nonces that were spent, and for a list that is not this node's session (I2) */
  sign(
    share: FrostShare,
    nonces: FrostNonces,
    commitments: readonly FrostCommitment[],
    message: Uint8Array,
  ): FrostSignatureShare | undefined {
    const { hiding, binding } = nonces.spend()
    const own = commitments.find(({ index }) => index === share.index)
    if (!this.isSet(commitments) || own === undefined || !sameCommitment(own, nonces.commitment)) {
      throw new RangeError('the commitments are not those of a session with this node')
    }
    const session = this.#session(commitments, message, { index: share.index, hiding, binding })
    if (session === undefined) return undefined
    const lambda = lagrangeAtZero(this.suite, share.index, indicesOf(session))
    const { order } = this.suite
    const value =
      hiding + binding * session.factors.get(share.index)! + lambda * share.value * session.challenge
    return { index: share.index, value: scalarOctets(this.suite, modulo(value, order)) }
  }

  /** §5.3; undefined when a commitment or share is wrong (I3).
   *  @throws RangeError when they are not of one session (I2) */
  combine(
    commitments: readonly FrostCommitment[],
    shares: readonly FrostSignatureShare[],
    message: Uint8Array,
  ): Uint8Array | undefined {
    const ours = commitments.every(({ index }) => shares.filter(share => share.index === index).length === 1)
    if (!this.isSet(commitments) || shares.length !== commitments.length || !ours) {
      throw new RangeError('the shares are not those of a session')
    }
    const scalars = shares.map(({ value }) => decodeScalar(this.suite, value))
    const session = this.#session(commitments, message)
    if (session === undefined || scalars.includes(undefined)) return undefined
    const z = scalars.reduce<bigint>((sum, scalar) => sum + scalar!, 0n)
    const half = scalarOctets(this.suite, modulo(z, this.suite.order))
    const signature = Buffer.concat([session.groupCommitment, half])
    return verify(null, message, this.#verifying, signature) ? new Uint8Array(signature) : undefined
  }

  /** The nodes whose commitment or share is wrong (§5.4), when a combination has failed. */
  culprits(
    commitments: readonly FrostCommitment[],
    shares: readonly FrostSignatureShare[],
    message: Uint8Array,
  ): number[] {
    const broken = commitments.filter(commitment => !this.#isCommitment(commitment))
    if (broken.length > 0) return broken.map(({ index }) => index)
    const session = this.#session(commitments, message)!
    const wrong = commitments.filter(commitment => {
      const share = shares.find(({ index }) => index === commitment.index)
      return share === undefined || !this.#isShare(session, commitment, share)
    })
    return wrong.map(({ index }) => index)
  }

  #isCommitment({ hiding, binding }: FrostCommitment): boolean {
    return [hiding, binding].every(octets => {
      const point = this.suite.decode(octets)
      return point !== undefined && isInGroup(point)
    })
  }

  /** z_i B = D_i + ρ_i E_i + c λ_i Y_i (§5.4). */
  #isShare(
    session: Session,
    { index, hiding, binding }: FrostCommitment,
    share: FrostSignatureShare,
  ): boolean {
    const { suite } = this
    const z = decodeScalar(suite, share.value)
    if (z === undefined) return false
    const verifier = suite.decode(this.key.verifiers[index - 1]!)!
    const factor = modulo(session.challenge * lagrangeAtZero(suite, index, indicesOf(session)), suite.order)
    const right = sumOfProducts(
      suite,
      [suite.decode(hiding)!, suite.decode(binding)!, verifier],
      [1n, session.factors.get(index)!, factor],
    )
    return suite.base.multiplyUnsafe(z).equals(right)
  }

  /** §4.4 to §4.6. With nonces of one's own, one term is a multiple of the base point, which is cheaper. */
  #session(
    commitments: readonly FrostCommitment[],
    message: Uint8Array,
    own?: { readonly index: number; readonly hiding: bigint; readonly binding: bigint },
  ): Session | undefined {
    const { suite, key } = this
    const order = [...commitments].sort((a, b) => a.index - b.index)
    const scalar = (index: number): Uint8Array => scalarOctets(suite, BigInt(index))
    const encoded = order.flatMap(({ index, hiding, binding }) => [scalar(index), hiding, binding])
    const prefix = Buffer.concat([key.publicKey, suite.h4(message), suite.h5(Buffer.concat(encoded))])
    const factors = new Map(
      order.map(({ index }) => [index, suite.h1(Buffer.concat([prefix, scalar(index)]))]),
    )
    const points: EdwardsPoint[] = []
    const scalars: bigint[] = []
    let sum = suite.zero
    for (const { index, hiding, binding } of order) {
      const factor = factors.get(index)!
      if (index === own?.index) {
        sum = sum.add(suite.base.multiply(modulo(own.hiding + own.binding * factor, suite.order)))
        continue
      }
      const [d, e] = [suite.decode(hiding), suite.decode(binding)]
      if (d === undefined || e === undefined) return undefined
      sum = sum.add(d)
      points.push(e)
      scalars.push(factor)
    }
    sum = sum.add(sumOfProducts(suite, points, scalars))
    if (sum.is0()) return undefined
    const groupCommitment = sum.toBytes()
    const challenge = suite.h2(Buffer.concat([groupCommitment, key.publicKey, message]))
    return { order, factors, groupCommitment, challenge }
  }
}

/** RFC 9591 §4.2: the Lagrange coefficient of a node at 0. */
export function lagrangeAtZero(suite: FrostSuite, index: number, set: readonly number[]): bigint {
  let [numerator, denominator] = [1n, 1n]
  for (const other of set) {
    if (other === index) continue
    numerator *= BigInt(other)
    denominator *= BigInt(other - index)
  }
  return modulo(numerator * inverseModulo(denominator, suite.order), suite.order)
}

function sameCommitment(a: FrostCommitment, b: FrostCommitment): boolean {
  return Buffer.compare(a.hiding, b.hiding) === 0 && Buffer.compare(a.binding, b.binding) === 0
}

function indicesOf({ order }: Session): number[] {
  return order.map(({ index }) => index)
}
