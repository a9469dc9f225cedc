/** New shares of a key, as the coordinator has them made.
 *
 *    dealings of k holders ─▶ parts ─▶ echoes of the new members, all alike ─▶ kept ─▶ confirmed by all, leavers too
 *
 *  I1  A key is shared anew by one session at a time, and only from the newest epoch that may have been confirmed anywhere.
 *  I2  A node that accuses another is not believed more than the other: both are avoided. Holders that were accused, or failed,
 *      deal only when there are no others.
 *  I3  Holders that are away are told when they are back that their shares are to go. */

import type { SessionEnds } from './coordinator-confirm.ts'
import type { Confirmation } from './coordinator-memory.ts'
import type { SessionsContext } from './coordinator-sessions.ts'
import {
  allUp,
  askAll,
  askEchoes,
  known,
  newSession,
  partsTo,
  reshareFailed,
  StepFailed,
  short,
  TRIES_MAX,
  tries,
} from './coordinator-steps.ts'
import { decodeKeyRecord, type QuorumKeyRecord, quorumKeyId } from './key-record.ts'
import type { NodeRequest, ReshareOutcome, SignedDealing, SignedEcho } from './messages.ts'
import type { NodePeer } from './node-peer.ts'
import type { QuorumKey, ReshareSpec } from './quorum.ts'
import { checkQuorumSize } from './quorum-size.ts'
import { outcomeOf, reshareEcho, reshareWork } from './reshare-outcome.ts'

export class ReshareSessions {
  readonly #context: SessionsContext
  readonly #ends: SessionEnds
  /** The last one of each key (I1). */
  readonly #last = new Map<string, Promise<unknown>>()

  constructor(context: SessionsContext, ends: SessionEnds) {
    this.#context = context
    this.#ends = ends
  }

  refresh(id: string): Promise<QuorumKey> {
    return this.#oneAtATime(id, () => {
      const { members, scheme } = known(this.#context, id).record
      return this.#reshare({ key: id, members, threshold: scheme.key.threshold })
    })
  }

  reshare(spec: ReshareSpec): Promise<QuorumKey> {
    return this.#oneAtATime(spec.key, () => this.#reshare(spec))
  }

  /** I1. */
  #oneAtATime<T>(key: string, work: () => Promise<T>): Promise<T> {
    const done = (this.#last.get(key) ?? Promise.resolve()).then(work)
    const last = done.then(
      () => {},
      () => {},
    )
    this.#last.set(key, last)
    void last.then(() => {
      if (this.#last.get(key) === last) this.#last.delete(key)
    })
    return done
  }

  async #reshare(spec: ReshareSpec): Promise<QuorumKey> {
    const { members, threshold } = spec
    const key = known(this.#context, spec.key)
    checkQuorumSize({ threshold, nodes: members.length })
    const receivers = allUp(this.#context.peers, members, 'take new shares')
    this.#checkSettled(key)
    const avoided = new Set<string>()
    const spare = key.record.members.length - key.record.scheme.key.threshold
    const confirmation = await tries(
      reshareFailed,
      () => this.#reshareOnce(key, spec, receivers, avoided),
      TRIES_MAX + spare,
    )
    return this.#ends.confirmed(confirmation, receivers, threshold, spec.deadlineUnix, reshareFailed)
  }

  /** I1: an epoch that all its members have echoed may be confirmed at any time, though too few show it. */
  #checkSettled({ id, record }: QuorumKey): void {
    for (const { outcome, nodes } of this.#context.memory.confirmations) {
      const anew = outcome === undefined ? undefined : decodeKeyRecord(outcome.record)
      if (anew === undefined || quorumKeyId(anew) !== id || anew.epoch <= record.epoch) continue
      throw reshareFailed(`epoch ${anew.epoch} is still to be confirmed by ${nodes.join(', ')}`, {
        remedy: 'Start those nodes; it is confirmed then, and new shares can be made.',
      })
    }
  }

  async #reshareOnce(
    key: QuorumKey,
    { members, threshold }: ReshareSpec,
    receivers: readonly NodePeer[],
    avoided: Set<string>,
  ): Promise<Confirmation> {
    const session = newSession()
    const { holders, dealers } = this.#dealersOf(key, avoided)
    const begin: Extract<NodeRequest, { kind: 'reshare' }> = {
      kind: 'reshare',
      session,
      key: key.id,
      epoch: key.record.epoch,
      record: key.octets,
      set: dealers.map(peer => key.record.members.indexOf(peer.name) + 1),
      members,
      threshold,
    }
    const everybody = [...new Set([...holders, ...receivers])]
    const others = everybody.filter(peer => !dealers.includes(peer))
    const reshared = await this.#ends.abandoning(session, everybody, async () => {
      try {
        const [dealt] = await Promise.all([
          askAll(dealers, () => begin, 'dealt'),
          askAll(others, () => begin, 'done'),
        ])
        const dealings = dealt.map(({ dealing }) => dealing)
        const parts = dealt.flatMap(answer => answer.parts)
        const echoes = await askEchoes(receivers, at => {
          return { kind: 'reshare-parts', session, dealings, parts: partsTo(parts, at + 1) }
        })
        return { echoes, outcome: checkedOutcome(key.record, begin, dealings, echoes) }
      } catch (error) {
        // I2.
        if (error instanceof StepFailed) {
          avoided.add(error.node)
          if (error.culprit !== undefined) avoided.add(key.record.members[error.culprit - 1] ?? '')
        }
        throw error
      }
    })
    const away = key.record.members.filter(name => !everybody.some(peer => peer.name === name))
    const nodes = [
      ...everybody.map(({ name }) => name),
      ...away.filter(name => this.#context.peers.has(name)),
    ]
    return this.#ends.keep({ what: 'reshare', session, ...reshared, nodes })
  }

  /** Holders that are up, and those of them that deal: `threshold`, the fastest. */
  #dealersOf(
    key: QuorumKey,
    avoided: ReadonlySet<string>,
  ): { readonly holders: NodePeer[]; readonly dealers: NodePeer[] } {
    const { threshold } = key.record.scheme.key
    const holders = key.holders.flatMap(name => {
      const peer = this.#context.peers.get(name)
      return peer?.isUp === true ? [peer] : []
    })
    if (holders.length < threshold) {
      const missing = key.record.members.filter(name => !holders.some(peer => peer.name === name))
      throw short(`${threshold} holders must deal`, missing)
    }
    const rank = (peer: NodePeer): number => (avoided.has(peer.name) ? 1 : 0)
    const seconds = (peer: NodePeer): number => peer.expectedSeconds(`sign ${key.id}`, 1)
    const best = [...holders].sort((a, b) => rank(a) - rank(b) || seconds(a) - seconds(b))
    return { holders, dealers: best.slice(0, threshold) }
  }
}

/** What the members echoed, worked out here; the same, or what they say is of something else.
 *  @throws StepFailed */
function checkedOutcome(
  old: QuorumKeyRecord,
  { session, set, members, threshold }: Extract<NodeRequest, { kind: 'reshare' }>,
  dealings: readonly SignedDealing[],
  echoes: readonly SignedEcho[],
): ReshareOutcome {
  try {
    const work = reshareWork(old, set, { threshold, nodes: members.length })
    const outcome = outcomeOf(old, work, members, dealings)
    if (Buffer.compare(reshareEcho(session, outcome), echoes[0]!.echo) === 0) return outcome
  } catch {
    // Dealings that honest members would not have echoed.
  }
  throw new StepFailed('', 'ECHO', 'the members echo something that the dealings do not make')
}
