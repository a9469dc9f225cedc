/** New shares of a key, as the coordinator has them made.
 *
 *    dealings of k holders ─▶ parts ─▶ echoes of the new members, all alike ─▶ kept ─▶ confirmed by all, leavers too
 *
 *  I1  A key is shared anew by one session at a time, and only from the newest epoch that may have been confirmed anywhere.
 *  I2  Holders that failed, or were accused by a new member, least often deal first. The accuser is not avoided for it: without
 *      its echo nothing comes of any session, whoever is right.
 *  I3  Holders that neither deal nor stay have no part in a session, and cannot spoil it: that their shares are to go they are
 *      told at the end, or when they are back. */

import type { SessionEnds } from './coordinator-confirm.ts'
import type { Confirmation } from './coordinator-memory.ts'
import type { SessionsContext } from './coordinator-sessions.ts'
import {
  type AnswerOf,
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
    const failures = new Map<string, number>()
    const spare = key.record.members.length - key.record.scheme.key.threshold
    const confirmation = await tries(
      reshareFailed,
      () => this.#reshareOnce(key, spec, receivers, failures),
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
    failures: Map<string, number>,
  ): Promise<Confirmation> {
    const session = newSession()
    const dealers = this.#dealersOf(key, failures)
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
    const everybody = [...new Set([...dealers, ...receivers])]
    const others = receivers.filter(peer => !dealers.includes(peer))
    const reshared = await this.#ends.abandoning(session, everybody, async () => {
      try {
        const [dealt] = await Promise.all([
          askAll(dealers, () => begin, 'dealt'),
          askAll(others, () => begin, 'done'),
        ])
        checkSenders(begin, dealers, dealt)
        const dealings = dealt.map(({ dealing }) => dealing)
        const parts = dealt.flatMap(answer => answer.parts)
        const echoes = await askEchoes(receivers, at => {
          return { kind: 'reshare-parts', session, dealings, parts: partsTo(parts, at + 1) }
        })
        return { echoes, outcome: checkedOutcome(key.record, begin, dealings, echoes) }
      } catch (error) {
        // I2.
        if (error instanceof StepFailed) {
          const name = failedIn(error, key.record.members, members)
          failures.set(name, (failures.get(name) ?? 0) + 1)
        }
        throw error
      }
    })
    // I3.
    const left = key.record.members.filter(name => !everybody.some(peer => peer.name === name))
    const nodes = [
      ...everybody.map(({ name }) => name),
      ...left.filter(name => this.#context.peers.has(name)),
    ]
    return this.#ends.keep({ what: 'reshare', session, ...reshared, nodes })
  }

  /** `threshold` holders that are up: of those that failed least (I2), the fastest. */
  #dealersOf(key: QuorumKey, failures: ReadonlyMap<string, number>): NodePeer[] {
    const { threshold } = key.record.scheme.key
    const holders = key.holders.flatMap(name => {
      const peer = this.#context.peers.get(name)
      return peer?.isUp === true ? [peer] : []
    })
    if (holders.length < threshold) {
      const missing = key.record.members.filter(name => !holders.some(peer => peer.name === name))
      throw short(`${threshold} holders must deal`, missing)
    }
    const rank = (peer: NodePeer): number => failures.get(peer.name) ?? 0
    const seconds = (peer: NodePeer): number => peer.expectedSeconds(`sign ${key.id}`, 1)
    const best = [...holders].sort((a, b) => rank(a) - rank(b) || seconds(a) - seconds(b))
    return best.slice(0, threshold)
  }
}

/** Whose failure it is taken for (I2). */
function failedIn(
  { node, culprit }: StepFailed,
  holders: readonly string[],
  receivers: readonly string[],
): string {
  const accused = culprit === undefined || !receivers.includes(node) ? undefined : holders[culprit - 1]
  return accused ?? node
}

/** Each dealer speaks for itself: others would be accused of what it says in their names.
 *  @throws StepFailed */
function checkSenders(
  { set }: Extract<NodeRequest, { kind: 'reshare' }>,
  dealers: readonly NodePeer[],
  dealt: readonly AnswerOf<'dealt'>[],
): void {
  const at = dealt.findIndex(({ dealing, parts }, at) =>
    [dealing, ...parts].some(({ from }) => from !== set[at]),
  )
  if (at < 0) return
  const { name } = dealers[at]!
  throw new StepFailed(name, 'ANSWER', `${name} deals in the name of another`)
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
