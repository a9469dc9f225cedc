/** One batch on its way through the quorum: what all schemes have in common. Whenever something happens, `pump` decides what is
 *  to be asked of whom, and asks; a message leaves as soon as it has an outcome.
 *
 *  I1  Each message has one outcome, exactly once, and no later than the deadline.
 *  I2  A message is refused when more nodes refuse it than a quorum can miss (n − k): no set could sign it. With fewer
 *      refusals others are asked. Pending counts alike.
 *  I3  A node that is late is not waited for while others can do it (hedging); when it answers after all, that is used.
 *  I4  A node is asked for a batch again only a few times after it failed; one that sent what is wrong is not.
 *  I5  Below the threshold nothing is waited for but nodes that are just being greeted. */

import type { Clock, Timer } from '../base/index.ts'
import type { Combiner, KeyAtWork, SignatureParts } from './combiner.ts'
import type { CommitmentPools } from './commitment-pool.ts'
import { BATCH_UNITS } from './latency.ts'
import type { Approval, NodeRequest } from './messages.ts'
import type { Asked, NodePeer } from './node-peer.ts'
import type { MessageOutcome, QuorumKey } from './quorum.ts'

export interface SigningContext {
  readonly key: QuorumKey
  readonly atWork: KeyAtWork
  /** The members that there are links to, by index from 1. */
  readonly members: ReadonlyMap<number, NodePeer>
  readonly approvals: readonly Approval[]
  readonly deadlineUnix: number
  readonly signal: AbortSignal | undefined
  readonly clock: Clock
  readonly combiner: Combiner
  readonly pools: CommitmentPools
  /** What was proven wrong. */
  readonly blame: (node: NodePeer, what: string) => void
  readonly onFailure: (what: string, error: unknown) => void
}

/** One message on its way. */
export class Pursued {
  readonly octets: Uint8Array
  outcome: MessageOutcome | undefined
  readonly refusals: Map<NodePeer, { readonly code: string; readonly what: string }> = new Map()
  readonly pendings: Map<NodePeer, string> = new Map()

  constructor(octets: Uint8Array) {
    this.octets = octets
  }
}

/** Something a node was asked, and has not answered. */
export interface Errand {
  readonly peer: NodePeer
  overdue: boolean
}

const FAILURES_MAX = 3
const RETRY_SECONDS_SHORT = 5
const RETRY_SECONDS = 1

export abstract class SigningJob<P extends Pursued> {
  protected readonly context: SigningContext
  protected readonly pursued: readonly P[]
  readonly #failures = new Map<NodePeer, number>()
  #finish: (() => void) | undefined
  #timer: Timer | undefined

  constructor(context: SigningContext, pursued: readonly P[]) {
    this.context = context
    this.pursued = pursued
  }

  /** Never rejects. */
  async run(): Promise<MessageOutcome[]> {
    const { clock, deadlineUnix, signal } = this.context
    const abort = (): void => this.#giveUpAll({ code: 'ABORTED', what: 'the request was abandoned' })
    const late = { code: 'DEADLINE', what: 'the time for it was over' }
    await new Promise<void>(resolve => {
      this.#finish = resolve
      if (deadlineUnix <= clock.now()) this.#giveUpAll(late)
      else if (signal?.aborted === true) abort()
      else {
        signal?.addEventListener('abort', abort)
        const seconds = deadlineUnix - clock.now()
        if (Number.isFinite(seconds)) {
          this.#timer = clock.after(seconds, () => this.#giveUpAll(late))
        }
        this.pump()
      }
    })
    this.#timer?.cancel()
    signal?.removeEventListener('abort', abort)
    this.#setBackOutvoted()
    return this.pursued.map(({ outcome }) => outcome!)
  }

  /** Nodes that refused what others signed: next time the others come first. */
  #setBackOutvoted(): void {
    const signed = this.pursued.filter(({ outcome }) => outcome?.kind === 'signed')
    const outvoted = signed.flatMap(({ refusals, pendings }) => [...refusals.keys(), ...pendings.keys()])
    for (const peer of new Set(outvoted)) peer.setBack()
  }

  /** Something happened: also, a node came up or went down. */
  pump(): void {
    if (this.#finish === undefined) return
    this.plan(this.undecided())
    if (this.undecided().length > 0) return
    const finish = this.#finish
    this.#finish = undefined
    finish()
  }

  /** Asks whom it takes, and gives up what cannot be. */
  protected abstract plan(undecided: readonly P[]): void

  protected undecided(): P[] {
    return this.pursued.filter(({ outcome }) => outcome === undefined)
  }

  protected get threshold(): number {
    return this.context.atWork.record.scheme.key.threshold
  }

  protected indexOf(peer: NodePeer): number {
    return this.context.atWork.record.members.indexOf(peer.name) + 1
  }

  protected get meter(): string {
    return `sign ${this.context.key.id}`
  }

  /** Nodes that may be asked, best first. */
  protected candidates(): NodePeer[] {
    const members = [...this.context.members.values()]
    const usable = members.filter(peer => peer.isUp && this.#holds(peer) && this.#mayFail(peer))
    const rank = (peer: NodePeer): number => (peer.isOverdue ? 2 : 0) + (peer.isSuspect ? 1 : 0)
    const units = BATCH_UNITS + this.pursued.length
    const seconds = new Map(usable.map(peer => [peer, peer.expectedSeconds(this.meter, units)]))
    return usable.sort((a, b) => rank(a) - rank(b) || seconds.get(a)! - seconds.get(b)!)
  }

  /** Nodes that may soon be candidates (I5). */
  protected comingUp(): NodePeer[] {
    return [...this.context.members.values()].filter(peer => peer.mayComeUp && this.#mayFail(peer))
  }

  #holds(peer: NodePeer): boolean {
    const { key, atWork } = this.context
    const held = peer.state?.keys.find(one => one.key === key.id)
    return held?.epoch === atWork.record.epoch && held.index === this.indexOf(peer)
  }

  #mayFail(peer: NodePeer): boolean {
    return (this.#failures.get(peer) ?? 0) < FAILURES_MAX
  }

  /** It was lost, or could not; it may be tried again (I4). */
  protected failed(peer: NodePeer): void {
    this.#failures.set(peer, (this.#failures.get(peer) ?? 0) + 1)
  }

  /** It sent what cannot be right: nothing of it is used in this batch. */
  protected wrong(peer: NodePeer): void {
    this.#failures.set(peer, FAILURES_MAX)
    peer.setBack()
  }

  /** I3: keeps an eye on the time that something takes. `then` is not called when the batch is done already. */
  protected errand<T>(
    peer: NodePeer,
    seconds: number,
    work: Promise<T>,
    then: (value: T) => void,
    late: () => void = () => {},
  ): Errand {
    const errand: Errand = { peer, overdue: false }
    const timer = this.context.clock.after(seconds, () => {
      errand.overdue = true
      peer.noteOverdue(1)
      late()
      this.pump()
    })
    void work.then(value => {
      timer.cancel()
      if (errand.overdue) peer.noteOverdue(-1)
      if (this.#finish === undefined) return
      then(value)
      this.pump()
    })
    return errand
  }

  protected ask(
    peer: NodePeer,
    request: NodeRequest,
    count: number,
    then: (asked: Asked) => void,
    late?: () => void,
  ): Errand {
    const units = BATCH_UNITS + count
    const patience = peer.patienceSeconds(this.meter, units)
    return this.errand(peer, patience, peer.ask(request, this.meter, units), then, late)
  }

  /** I2. */
  protected judge(pursued: P): void {
    const missable = this.context.atWork.record.members.length - this.threshold
    const { refusals, pendings } = pursued
    if (refusals.size > missable) {
      const [[by, { code, what }]] = [...refusals] as [[NodePeer, { code: string; what: string }]]
      pursued.outcome = { kind: 'refused', code, what, by: by.name }
    } else if (pendings.size > 0 && refusals.size + pendings.size > missable) {
      pursued.outcome = { kind: 'pending', needs: [...pendings.values()][0]! }
    }
  }

  /** Too few nodes are left for it. */
  protected short(pursued: P): void {
    const { record } = this.context.atWork
    const missing = record.members.flatMap((name, at) => {
      const peer = this.context.members.get(at + 1)
      const why = this.#whyNot(pursued, peer)
      return why === undefined ? [] : [`${name} (${why})`]
    })
    const what = `${this.threshold} of ${record.members.length} nodes must sign; missing: ${missing.join(', ')}`
    pursued.outcome = {
      kind: 'unavailable',
      code: 'QUORUM_SHORT',
      what,
      retryAfterSeconds: RETRY_SECONDS_SHORT,
    }
  }

  #whyNot({ refusals, pendings }: P, peer: NodePeer | undefined): string | undefined {
    if (peer === undefined) return 'there is no link to it'
    if (!peer.isUp) return peer.why
    if (!this.#holds(peer)) return `it has no share of epoch ${this.context.atWork.record.epoch}`
    if (refusals.has(peer)) return `it refuses: ${refusals.get(peer)!.code}`
    if (pendings.has(peer)) return 'it waits for approvals'
    return this.#mayFail(peer) ? undefined : 'it failed in this batch'
  }

  protected giveUp(pursued: P, why: { readonly code: string; readonly what: string }): void {
    pursued.outcome = { kind: 'unavailable', ...why, retryAfterSeconds: RETRY_SECONDS }
  }

  #giveUpAll(why: { readonly code: string; readonly what: string }): void {
    for (const pursued of this.undecided()) this.giveUp(pursued, why)
    this.pump()
  }

  /** Never rejects. */
  protected async combine(parts: readonly SignatureParts[]): Promise<(Uint8Array | undefined)[]> {
    const { combiner, key, onFailure } = this.context
    try {
      return await combiner.combine(key.octets, parts)
    } catch (error) {
      onFailure('signatures could not be put together', error)
      return parts.map(() => undefined)
    }
  }
}
