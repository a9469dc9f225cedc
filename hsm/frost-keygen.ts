/** Making a FROST key that is whole nowhere: Pedersen's distributed key generation with proofs of knowledge, as @noble/curves has
 *  it (RFC 9591 leaves it out), with the echo that it lacks.
 *
 *    round 1   everybody ─▶ all: commitments to a polynomial, proof of knowing its constant
 *    round 2   everybody ─▶ each other, in secret: the polynomial's value there
 *    echo      everybody ─▶ all: hash of the whole round 1, and the public key that came of it
 *
 *  I1  Every node has exactly one commitment list, of exactly `threshold` points in the prime-order group; an equivocator shows
 *      itself in the echo: a key is used only when all `nodes` echoes are equal.
 *  I2  The hash covers session, suite, size and every message, so no message of another session fits.
 *  I3  What cannot be gone on with names the node at fault where one is. */

import type { DKG_Round1, DKG_Secret } from '@noble/curves/abstract/frost.js'
import { ed448_FROST } from '@noble/curves/ed448.js'
import { ed25519_FROST } from '@noble/curves/ed25519.js'
import { FROST_SUITES, type FrostSuiteName, littleEndian } from './edwards.ts'
import type { FrostQuorumKey, FrostShare } from './frost.ts'
import { checkQuorumSize, type QuorumSize } from './quorum-size.ts'
import { Transcript } from './transcript.ts'

export interface KeygenRound1 {
  readonly index: number
  readonly commitments: readonly Uint8Array[]
  readonly proof: Uint8Array
}

export interface KeygenPart {
  readonly from: number
  readonly value: Uint8Array
}

export interface MadeFrostKey {
  readonly key: FrostQuorumKey
  readonly share: FrostShare
  /** What every node must echo alike before the key is used (I1). */
  readonly echo: Uint8Array
}

/** A node that sent what cannot be right. */
export class KeygenFault extends Error {
  readonly culprit: number

  constructor(culprit: number, what: string, cause?: unknown) {
    super(what, cause === undefined ? undefined : { cause })
    this.culprit = culprit
  }
}

const SUITES = { ed25519: ed25519_FROST, ed448: ed448_FROST }

/** One node's part in making one key. Its steps happen once each, in order. */
export class FrostKeygen {
  readonly round1: KeygenRound1
  readonly #suite: FrostSuiteName
  readonly #size: QuorumSize
  readonly #session: Uint8Array
  readonly #secret: DKG_Secret
  #others: DKG_Round1[] | undefined
  #transcript: Uint8Array | undefined

  /** `session`: what all nodes agreed on for this run, never used before.
   *  @throws RangeError */
  constructor(suite: FrostSuiteName, size: QuorumSize, index: number, session: Uint8Array) {
    checkQuorumSize(size)
    const { Identifier, DKG } = SUITES[suite]
    const made = DKG.round1(Identifier.fromNumber(index), { min: size.threshold, max: size.nodes })
    this.#suite = suite
    this.#size = size
    this.#session = session
    this.#secret = made.secret
    this.round1 = { index, commitments: made.public.commitment, proof: made.public.proofOfKnowledge }
  }

  /** Takes round 1 of all nodes, this one's too; gives the value for each other node.
   *  @throws KeygenFault */
  round2(all: readonly KeygenRound1[]): Map<number, Uint8Array> {
    const sorted = this.#checkRound1(all)
    const { Identifier, DKG } = SUITES[this.#suite]
    const others = sorted
      .filter(({ index }) => index !== this.round1.index)
      .map(({ index, commitments, proof }) => ({
        identifier: Identifier.fromNumber(index),
        commitment: commitments.map(octets => new Uint8Array(octets)),
        proofOfKnowledge: new Uint8Array(proof),
      }))
    const parts = this.#blaming(others, () => DKG.round2(this.#secret, others))
    this.#others = others
    this.#transcript = this.#transcriptOf(sorted)
    return new Map(others.map(({ identifier }) => [numberOf(identifier), parts[identifier]!.signingShare]))
  }

  /** Takes the values that all others sent to this node. The secret polynomial is gone afterwards.
   *  @throws KeygenFault */
  finish(received: readonly KeygenPart[]): MadeFrostKey {
    const others = this.#others
    const transcript = this.#transcript
    if (others === undefined || transcript === undefined) throw new RangeError('round 2 comes first')
    this.#others = undefined
    const { Identifier, DKG } = SUITES[this.#suite]
    const parts = others.map(({ identifier }) => {
      const from = numberOf(identifier)
      const own = received.filter(part => part.from === from)
      const { scalarOctets } = FROST_SUITES[this.#suite]
      if (own.length !== 1 || own[0]!.value.length !== scalarOctets) {
        throw new KeygenFault(from, `node ${from} has sent no value, or a wrong one`)
      }
      return { identifier, signingShare: new Uint8Array(own[0]!.value) }
    })
    const made = this.#blamingParts(others, parts, () => DKG.round3(this.#secret, others, parts))
    DKG.clean(this.#secret)
    const { threshold, nodes } = this.#size
    const index = this.round1.index
    const key: FrostQuorumKey = {
      suite: this.#suite,
      threshold,
      nodes,
      publicKey: made.public.commitments[0]!,
      verifiers: Array.from(
        { length: nodes },
        (_, at) => made.public.verifyingShares[Identifier.fromNumber(at + 1)]!,
      ),
    }
    const echo = new Transcript('frost keygen echo').add(transcript, key.publicKey, ...key.verifiers).digest()
    return { key, share: { index, value: littleEndian(made.secret.signingShare) }, echo }
  }

  /** I1: one list of each node, of the right length. */
  #checkRound1(all: readonly KeygenRound1[]): KeygenRound1[] {
    const { nodes, threshold } = this.#size
    for (let index = 1; index <= nodes; index++) {
      const lists = all.filter(message => message.index === index)
      const right = lists.length === 1 && lists[0]!.commitments.length === threshold
      if (!right) throw new KeygenFault(index, `node ${index} has not sent ${threshold} commitments, once`)
    }
    if (all.length !== nodes) throw new RangeError(`${nodes} nodes make the key, not ${all.length}`)
    return [...all].sort((a, b) => a.index - b.index)
  }

  /** Which node it is that the library refuses: the others are tried one by one with this one's own, good message. */
  #blaming<T>(others: readonly DKG_Round1[], work: () => T): T {
    try {
      return work()
    } catch (cause) {
      const suite = SUITES[this.#suite]
      for (const one of others) {
        const probe = suite.DKG.round1(suite.Identifier.fromNumber(this.round1.index), {
          min: this.#size.threshold,
          max: this.#size.nodes,
        })
        const crowd = others.map(other => (other === one ? one : this.#sound(numberOf(other.identifier))))
        try {
          suite.DKG.round2(probe.secret, crowd)
        } catch {
          const culprit = numberOf(one.identifier)
          throw new KeygenFault(culprit, `the commitments or the proof of node ${culprit} are wrong`, cause)
        }
      }
      throw cause
    }
  }

  /** A message of another node as it should be, to try a third one beside. */
  #sound(index: number): DKG_Round1 {
    const { Identifier, DKG } = SUITES[this.#suite]
    const size = { min: this.#size.threshold, max: this.#size.nodes }
    return DKG.round1(Identifier.fromNumber(index), size).public
  }

  #blamingParts<T>(
    others: readonly DKG_Round1[],
    parts: readonly { readonly identifier: string; readonly signingShare: Uint8Array }[],
    work: () => T,
  ): T {
    try {
      return work()
    } catch (cause) {
      const suite = SUITES[this.#suite]
      for (const [at, { identifier, commitment }] of others.entries()) {
        const secret = {
          identifier: suite.Identifier.fromNumber(this.round1.index),
          signingShare: new Uint8Array(parts[at]!.signingShare),
        }
        const signers = { min: this.#size.threshold, max: this.#size.nodes }
        try {
          suite.validateSecret(secret, { signers, commitments: commitment, verifyingShares: {} })
        } catch {
          const culprit = numberOf(identifier)
          throw new KeygenFault(
            culprit,
            `the value that node ${culprit} sent does not fit its commitments`,
            cause,
          )
        }
      }
      throw cause
    }
  }

  /** I2. */
  #transcriptOf(sorted: readonly KeygenRound1[]): Uint8Array {
    const { threshold, nodes } = this.#size
    const transcript = new Transcript('frost keygen').add(this.#session, this.#suite, threshold, nodes)
    for (const { index, commitments, proof } of sorted) transcript.add(index, ...commitments, proof)
    return transcript.digest()
  }
}

/** noble's identifiers are scalars in hex, little-endian. */
function numberOf(identifier: string): number {
  return Number(littleEndian(Buffer.from(identifier, 'hex')))
}
