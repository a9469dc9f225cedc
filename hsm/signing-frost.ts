/** A batch under an EdDSA key. The signing set is part of what is signed (RFC 9591 §4.4), so one node that fails ends the try of
 *  its messages, and others begin a new one with new commitments.
 *
 *    try: k nodes ─▶ their commitments from the pools ─▶ sign, one round trip ─▶ combine ─▶ signed
 *                                                          │                       └ wrong ─▶ check each share (§5.4)
 *                                                          └ lost, refused, late ─▶ another try
 *
 *  I1  Commitments are used in one try, each; those that were not sent go back to their pool (commitment-pool.ts I1).
 *  I2  A late try goes on beside its successor, and counts when it comes first.
 *  I3  A message is tried a limited number of times: as often as there can be nodes that spoil it, and some for chance. */

import type { CommitmentPool } from './commitment-pool.ts'
import { FROST_SUITES } from './edwards.ts'
import type { FrostQuorum } from './frost.ts'
import { BATCH_UNITS } from './latency.ts'
import type { NumberedCommitment, SignResult } from './messages.ts'
import type { Asked, NodePeer } from './node-peer.ts'
import { NODES_MAX } from './quorum-size.ts'
import { Pursued, type SigningContext, SigningJob } from './signing-job.ts'

/** One try of one message. */
interface Try {
  readonly attempt: Attempt
  readonly commitments: readonly NumberedCommitment[]
  readonly shares: Map<NodePeer, Uint8Array>
  over: boolean
}

/** Some messages with one signing set. */
interface Attempt {
  readonly set: readonly NodePeer[]
  late: boolean
}

export class FrostPursued extends Pursued {
  readonly tries: Try[] = []
  tried = 0
  /** Commitments for it are on their way. */
  readonly starting: Set<Attempt> = new Set()
  busy = false
}

/** I3. */
const TRIES_MAX: number = NODES_MAX / 2 + 4
/** Codes of nodes that say nothing of the message, but of the try. */
const SPENT = 'NONCE_SPENT'
const NOT_OURS = 'COMMITMENTS'

export class FrostSigningJob extends SigningJob<FrostPursued> {
  readonly #quorum: FrostQuorum

  constructor(context: SigningContext, messages: readonly Uint8Array[], quorum: FrostQuorum) {
    super(
      context,
      messages.map(octets => new FrostPursued(octets)),
    )
    this.#quorum = quorum
  }

  protected plan(undecided: readonly FrostPursued[]): void {
    const candidates = this.candidates()
    const coming = this.comingUp()
    const groups = new Map<string, { set: NodePeer[]; messages: FrostPursued[] }>()
    for (const pursued of undecided) {
      const set = pursued.busy ? undefined : this.#setFor(pursued, candidates, coming)
      if (set === undefined) continue
      const name = set.map(peer => peer.name).join(' ')
      const group = groups.get(name) ?? { set, messages: [] }
      group.messages.push(pursued)
      groups.set(name, group)
    }
    for (const { set, messages } of groups.values()) void this.#attempt(set, messages)
  }

  /** The nodes for a new try, if there is to be one now; a message that cannot be signed is given up. */
  #setFor(
    pursued: FrostPursued,
    candidates: readonly NodePeer[],
    coming: readonly NodePeer[],
  ): NodePeer[] | undefined {
    const living = [
      ...pursued.tries.filter(({ over }) => !over).map(({ attempt }) => attempt),
      ...pursued.starting,
    ]
    if (living.some(({ late }) => !late)) return undefined
    const may = (peer: NodePeer): boolean => !pursued.refusals.has(peer) && !pursued.pendings.has(peer)
    const nodes = candidates.filter(may)
    const set = nodes.slice(0, this.threshold)
    // I2: beside a late try, another one is of use only without those who are late.
    const better = living.length === 0 || !set.some(peer => peer.isOverdue)
    if (set.length === this.threshold && better && pursued.tried < TRIES_MAX) return set
    if (living.length > 0) return undefined
    if (set.length === this.threshold) {
      this.giveUp(pursued, { code: 'QUORUM_FAILED', what: `${pursued.tried} tries came to nothing` })
    } else if (nodes.length + coming.filter(may).length < this.threshold) this.short(pursued)
    return undefined
  }

  async #attempt(set: readonly NodePeer[], messages: readonly FrostPursued[]): Promise<void> {
    const attempt: Attempt = { set, late: false }
    for (const pursued of messages) {
      pursued.tried++
      pursued.starting.add(attempt)
    }
    const boots = set.map(({ boot }) => boot)
    const taken = await Promise.all(set.map(peer => this.#take(peer, attempt, messages.length)))
    for (const pursued of messages) pursued.starting.delete(attempt)
    const wanted = messages.filter(({ outcome }) => outcome === undefined)
    if (taken.includes(undefined) || wanted.length === 0) {
      for (const [at, peer] of set.entries()) {
        if (taken[at] === undefined) this.failed(peer)
        else this.#pool(peer).giveBack(taken[at], boots[at]!)
      }
      this.pump()
      return
    }
    this.#send(
      attempt,
      wanted,
      wanted.map(pursued => taken.map(commitments => commitments![messages.indexOf(pursued)]!)),
    )
  }

  #take(peer: NodePeer, attempt: Attempt, count: number): Promise<readonly NumberedCommitment[] | undefined> {
    const pool = this.#pool(peer)
    const work = pool.take(count)
    const late = (): void => {
      attempt.late = true
    }
    this.errand(peer, peer.patienceSeconds(pool.meter, BATCH_UNITS + count), work, () => {}, late)
    return work
  }

  #pool(peer: NodePeer): CommitmentPool {
    const { key, atWork, pools } = this.context
    const suite = FROST_SUITES[this.#quorum.key.suite]
    return pools.of({
      peer,
      key: key.id,
      epoch: atWork.record.epoch,
      index: this.indexOf(peer),
      isPoint: octets => suite.decode(octets) !== undefined,
    })
  }

  #send(
    attempt: Attempt,
    messages: readonly FrostPursued[],
    sets: readonly (readonly NumberedCommitment[])[],
  ): void {
    const { key, atWork, approvals } = this.context
    const tries = messages.map((pursued, at): Try => {
      const one = { attempt, commitments: sets[at]!, shares: new Map<NodePeer, Uint8Array>(), over: false }
      pursued.tries.push(one)
      return one
    })
    const octets = messages.map(pursued => pursued.octets)
    const { epoch } = atWork.record
    for (const peer of attempt.set) {
      this.ask(
        peer,
        { kind: 'sign', key: key.id, epoch, messages: octets, sets, approvals },
        messages.length,
        asked => this.#took(peer, messages, tries, asked),
        () => {
          attempt.late = true
        },
      )
    }
  }

  #took(peer: NodePeer, messages: readonly FrostPursued[], tries: readonly Try[], asked: Asked): void {
    const answer = asked.kind === 'answer' ? asked.answer : undefined
    if (answer?.kind !== 'shares' || answer.results.length !== messages.length) {
      for (const one of tries) one.over = true
      if (answer === undefined) this.failed(peer)
      else this.wrong(peer)
      return
    }
    for (const [at, pursued] of messages.entries()) {
      this.#takeResult(peer, pursued, tries[at]!, answer.results[at]!)
    }
    const codes = answer.results.map(result => (result.kind === 'refused' ? result.code : ''))
    if (codes.includes(SPENT)) this.#pool(peer).drop()
    if (codes.includes(SPENT) || codes.includes(NOT_OURS)) {
      this.failed(peer)
      peer.setBack()
    }
    const whole = messages.flatMap((pursued, at) => {
      const one = tries[at]!
      const ready = pursued.outcome === undefined && !one.over && one.shares.size === this.threshold
      return ready ? [{ pursued, one }] : []
    })
    if (whole.length > 0) void this.#combine(whole)
  }

  #takeResult(peer: NodePeer, pursued: FrostPursued, one: Try, result: SignResult): void {
    if (pursued.outcome !== undefined) return
    if (result.kind === 'share') {
      one.shares.set(peer, result.share)
      return
    }
    one.over = true
    if (result.kind === 'pending') pursued.pendings.set(peer, result.needs)
    else if (result.code !== SPENT && result.code !== NOT_OURS) pursued.refusals.set(peer, result)
    this.judge(pursued)
  }

  async #combine(whole: readonly { readonly pursued: FrostPursued; readonly one: Try }[]): Promise<void> {
    for (const { pursued } of whole) pursued.busy = true
    const signatures = await this.combine(
      whole.map(({ pursued, one }) => ({
        message: pursued.octets,
        commitments: one.commitments,
        shares: this.#sharesOf(one),
      })),
    )
    const failed = whole.filter(({ pursued, one }, at) => {
      const signature = signatures[at]
      pursued.busy = false
      one.over = true
      if (signature !== undefined) {
        pursued.outcome ??= { kind: 'signed', signature }
        for (const peer of one.attempt.set) peer.didWell()
      }
      return signature === undefined
    })
    const [first] = failed
    if (first !== undefined) this.#findCulprits(first.pursued, first.one)
    this.pump()
  }

  #sharesOf({ shares }: Try): { index: number; value: Uint8Array }[] {
    return [...shares].map(([peer, value]) => ({ index: this.indexOf(peer), value }))
  }

  #findCulprits(pursued: FrostPursued, one: Try): void {
    const indices = this.#quorum.culprits(one.commitments, this.#sharesOf(one), pursued.octets)
    for (const peer of one.attempt.set) {
      if (!indices.includes(this.indexOf(peer))) continue
      this.context.blame(peer, 'its share of an EdDSA signature is wrong')
      this.wrong(peer)
    }
  }
}
