/** A batch under an RSA key: any `threshold` shares make the signature, so each node is asked for what is still lacking.
 *
 *    ask k ─▶ bare shares ─▶ combine ─▶ signed
 *                               └ wrong ─▶ ask the same k for proofs ─▶ name the culprit, go on with others
 *
 *  I1  A node is blamed only for a proof that fails, is for another share than it gave, or cannot be read. */

import { integerOf, signedInteger } from './integers.ts'
import { BATCH_UNITS } from './latency.ts'
import type { NodeAnswer, NodeRequest, SignResult } from './messages.ts'
import type { Asked, NodePeer } from './node-peer.ts'
import type { RsaQuorum } from './rsa.ts'
import { pkcs1Block, type RsaHash } from './rsa.ts'
import { type Errand, Pursued, type SigningContext, SigningJob } from './signing-job.ts'

export class RsaPursued extends Pursued {
  readonly shares: Map<NodePeer, Uint8Array> = new Map()
  readonly errands: Set<Errand> = new Set()
  /** Its shares are being combined, or looked into. */
  busy = false
}

/** A proof is three times the work of a share (research of the scheme: 6.3 ms to 2.5 ms). */
const PROOF_UNITS: number = BATCH_UNITS + 3

export class RsaSigningJob extends SigningJob<RsaPursued> {
  readonly #quorum: RsaQuorum
  readonly #hash: RsaHash

  constructor(
    context: SigningContext,
    messages: readonly Uint8Array[],
    { quorum, hash }: { readonly quorum: RsaQuorum; readonly hash: RsaHash },
  ) {
    super(
      context,
      messages.map(octets => new RsaPursued(octets)),
    )
    this.#quorum = quorum
    this.#hash = hash
  }

  protected plan(undecided: readonly RsaPursued[]): void {
    const candidates = this.candidates()
    const coming = this.comingUp()
    const wanted = new Map<NodePeer, RsaPursued[]>()
    for (const pursued of undecided) {
      if (pursued.busy) continue
      const asked = new Set([...pursued.shares.keys(), ...[...pursued.errands].map(({ peer }) => peer)])
      const may = (peer: NodePeer): boolean =>
        !asked.has(peer) && !pursued.refusals.has(peer) && !pursued.pendings.has(peer)
      const more = candidates.filter(may)
      if (asked.size + more.length + coming.filter(may).length < this.threshold) {
        this.short(pursued)
        continue
      }
      const inTime = [...pursued.errands].filter(({ overdue }) => !overdue).length
      const lacking = this.threshold - pursued.shares.size - inTime
      for (const peer of more.slice(0, Math.max(0, lacking))) {
        wanted.set(peer, [...(wanted.get(peer) ?? []), pursued])
      }
    }
    for (const [peer, messages] of wanted) this.#ask(peer, messages)
  }

  #ask(peer: NodePeer, messages: readonly RsaPursued[]): void {
    const { key, atWork, approvals } = this.context
    const request: NodeRequest = {
      kind: 'sign',
      key: key.id,
      epoch: atWork.record.epoch,
      messages: messages.map(({ octets }) => octets),
      approvals,
    }
    const errand = this.ask(peer, request, messages.length, asked => {
      for (const pursued of messages) pursued.errands.delete(errand)
      this.#took(peer, messages, asked)
    })
    for (const pursued of messages) pursued.errands.add(errand)
  }

  #took(peer: NodePeer, messages: readonly RsaPursued[], asked: Asked): void {
    if (asked.kind === 'lost') return this.failed(peer)
    const { answer } = asked
    if (answer.kind !== 'shares' || answer.results.length !== messages.length) return this.wrong(peer)
    for (const [at, pursued] of messages.entries()) this.#takeResult(peer, pursued, answer.results[at]!)
    const whole = messages.filter(
      one => one.outcome === undefined && !one.busy && one.shares.size >= this.threshold,
    )
    if (whole.length > 0) void this.#combine(whole)
  }

  #takeResult(peer: NodePeer, pursued: RsaPursued, result: SignResult): void {
    if (pursued.outcome !== undefined) return
    if (result.kind === 'share') pursued.shares.set(peer, result.share)
    else if (result.kind === 'pending') pursued.pendings.set(peer, result.needs)
    else pursued.refusals.set(peer, result)
    this.judge(pursued)
  }

  async #combine(messages: readonly RsaPursued[]): Promise<void> {
    for (const pursued of messages) pursued.busy = true
    const sets = messages.map(({ shares }) => [...shares].slice(0, this.threshold))
    const signatures = await this.combine(
      messages.map(({ octets }, at) => ({
        message: octets,
        commitments: [],
        shares: sets[at]!.map(([peer, value]) => ({ index: this.indexOf(peer), value })),
      })),
    )
    const failed = messages.filter((pursued, at) => {
      const signature = signatures[at]
      if (signature !== undefined) {
        pursued.outcome ??= { kind: 'signed', signature }
        for (const [peer] of sets[at]!) peer.didWell()
      }
      return signature === undefined
    })
    const [first] = failed
    if (first !== undefined && first.outcome === undefined) {
      const set = sets[messages.indexOf(first)]!.map(([peer]) => peer)
      if (!(await this.#findCulprits(first, set))) {
        for (const pursued of failed) {
          if (pursued.outcome === undefined)
            this.giveUp(pursued, { code: 'QUORUM_FAILED', what: 'the shares make no signature' })
        }
      }
    }
    for (const pursued of messages) pursued.busy = false
    // Shares that came meanwhile may suffice already.
    const again = failed.filter(one => one.outcome === undefined && one.shares.size >= this.threshold)
    if (again.length > 0) void this.#combine(again)
    this.pump()
  }

  /** Whether anybody's shares were taken out. */
  async #findCulprits(pursued: RsaPursued, set: readonly NodePeer[]): Promise<boolean> {
    const { key, atWork } = this.context
    const request: NodeRequest = {
      kind: 'prove',
      key: key.id,
      epoch: atWork.record.epoch,
      messages: [pursued.octets],
    }
    const meter = `prove ${key.id}`
    const answers = await Promise.all(set.map(peer => peer.ask(request, meter, PROOF_UNITS)))
    const out = set.filter((peer, at) => {
      const verdict = this.#verdict(pursued, peer, answers[at]!)
      if (verdict === 'proven') return false
      if (verdict === 'wrong') this.context.blame(peer, 'its share of an RSA signature is wrong')
      this.wrong(peer)
      return true
    })
    for (const one of this.pursued) {
      for (const peer of out) one.shares.delete(peer)
    }
    return out.length > 0
  }

  /** I1. A node that gives no proof may have forgotten the message with a restart. */
  #verdict(pursued: RsaPursued, peer: NodePeer, asked: Asked): 'proven' | 'wrong' | 'no proof' {
    if (asked.kind === 'lost' || asked.answer.kind !== 'proofs') return 'no proof'
    const proof = onlyProof(asked.answer)
    const share = pursued.shares.get(peer)
    if (proof === undefined || share === undefined) return 'wrong'
    const response = signedInteger(proof.response)
    if (response === undefined || Buffer.compare(proof.share, share) !== 0) return 'wrong'
    const x = pkcs1Block(this.#hash, pursued.octets, this.#quorum.octets)
    const given = { index: this.indexOf(peer), value: integerOf(share) }
    const right = this.#quorum.verifyProof(x, given, { challenge: proof.challenge, response })
    return right ? 'proven' : 'wrong'
  }
}

function onlyProof(
  answer: Extract<NodeAnswer, { kind: 'proofs' }>,
): (typeof answer.proofs)[number] | undefined {
  return answer.proofs.length === 1 ? answer.proofs[0] : undefined
}
