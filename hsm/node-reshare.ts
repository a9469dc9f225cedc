/** New sharings of a key, at one node: as a holder that deals, as a new member that gets a share, or both.
 *
 *    reshare   ─▶ dealing and parts (holders in the set) ─▶ prepared, echo (new members)
 *    confirm   ─▶ new members: the new epoch is active, the old share erased (node-sessions.ts)
 *              ─▶ holders that are none, also when they were away before: the old share is erased
 *
 *  I1  Old shares go only when every new member has shown the same echo, of a record of the same key and a later epoch.
 *  I2  A dealing is by a member of the record, signed over everything it depends on, and proven to be of its share.
 *  I3  A node gives one echo a session. One whose own share is of an earlier epoch than the record is as one without. */

import { FrostReshare } from './frost-reshare.ts'
import { isSignedBy, signAs } from './identity.ts'
import { integerOf, octetsOf, signedInteger, signedOctets } from './integers.ts'
import { decodeKeyRecord, type QuorumKeyRecord, quorumKeyId } from './key-record.ts'
import type { NodeAnswer, SignedDealing } from './messages.ts'
import type { HeldShare } from './node-keys.ts'
import { SessionTable } from './node-sessions.ts'
import { hex, NodeRefusal, type NodeTrust, type RequestOf, refusing } from './node-trust.ts'
import { outcomeOf, type ReshareWork, reshareEcho, reshareWork } from './reshare-outcome.ts'
import { hashOf } from './transcript.ts'

interface ReshareSession {
  readonly request: RequestOf<'reshare'>
  readonly old: QuorumKeyRecord
  readonly work: ReshareWork
  /** Among the new members; 0: none. */
  readonly index: number
  /** I3. */
  hasEchoed: boolean
}

type Dealing = Omit<SignedDealing, 'signature'>

export const LABEL_DEALING = 'reshare dealing'

export class NodeReshare {
  readonly #trust: NodeTrust
  readonly #sessions: SessionTable<ReshareSession>

  constructor(trust: NodeTrust) {
    this.#trust = trust
    this.#sessions = new SessionTable(trust.context.keys)
  }

  async reshare(coordinator: string, request: RequestOf<'reshare'>): Promise<NodeAnswer> {
    const { session, record, set, members, threshold, key } = request
    const old = decodeKeyRecord(record)
    if (old === undefined || quorumKeyId(old) !== key || old.epoch !== request.epoch) {
      throw new NodeRefusal('RECORD', 'the record is not that of the key and epoch')
    }
    this.#trust.checkAllowed('reshare', old.zone, old.role)
    const held = this.#holder(coordinator, request, old)
    const index = this.#trust.checkMembers(members, threshold)
    for (const name of old.members) this.#trust.node(name)
    this.#trust.checkThreshold(threshold, old.scheme.key.threshold)
    if (held === undefined) this.#trust.checkThreshold(old.scheme.key.threshold)
    this.#trust.checkRate(coordinator)
    const work = refusing('SET', () => reshareWork(old, set, { threshold, nodes: members.length }))
    this.#sessions.begin(coordinator, session, { request, old, work, index, hasEchoed: false })
    await this.#trust.note(coordinator, 'reshare', { key, epoch: old.epoch, session: hex(session) })
    if (held === undefined || !set.includes(held.index)) return { kind: 'done' }
    return this.#deal(request, held, work)
  }

  /** This node's share of that epoch, if it has one (I3). */
  #holder(
    coordinator: string,
    { key, record }: RequestOf<'reshare'>,
    old: QuorumKeyRecord,
  ): HeldShare | undefined {
    const held = this.#trust.context.keys.active(coordinator, key)
    if (held === undefined || held.parsed.epoch < old.epoch) return undefined
    if (Buffer.compare(held.record, record) === 0) return held
    throw new NodeRefusal('RECORD', 'the record is not the one this node has')
  }

  #deal(request: RequestOf<'reshare'>, held: HeldShare, work: ReshareWork): NodeAnswer {
    const own = { index: held.index, value: held.share }
    const { dealing, secrets } = dealtOctets(work, own, reshareName(request))
    const { session } = request
    const { from } = dealing
    const bound = dealingBound(request, dealing)
    const signature = signAs(this.#trust.context.identity, LABEL_DEALING, ...bound)
    const parts = new Map(secrets.map((secret, at) => [at + 1, secret]))
    return {
      kind: 'dealt',
      dealing: { ...dealing, signature },
      parts: this.#trust.sealed(session, 'reshare', from, request.members, parts, true),
    }
  }

  async reshareParts(
    coordinator: string,
    { session, dealings, parts }: RequestOf<'reshare-parts'>,
  ): Promise<NodeAnswer> {
    const state = this.#sessions.get(coordinator, session)
    const { request, old, work, index } = state
    if (state.hasEchoed) throw new NodeRefusal('SESSION', 'this step of the session was done')
    if (index === 0) throw new NodeRefusal('MEMBERS', 'this node is not among the new members')
    if (dealings.length !== request.set.length) throw new NodeRefusal('DEALINGS', 'a dealing is missing')
    for (const dealing of dealings) this.#checkDealing(state, dealing)
    const received = this.#trust.opened(session, 'reshare', index, old.members, parts)
    const share = combined(state, dealings, received)
    // A session begun before another one was confirmed is over.
    this.#holder(coordinator, request, old)
    state.hasEchoed = true
    const outcome = outcomeOf(old, work, request.members, dealings)
    const { record } = outcome
    if (decodeKeyRecord(record) === undefined) {
      throw new NodeRefusal('RECORD', 'the key was shared anew too often; roll it')
    }
    const echo = reshareEcho(session, outcome)
    await this.#trust.note(coordinator, 'reshare prepared', { key: request.key, epoch: old.epoch + 1 })
    await this.#trust.context.keys.prepare({
      coordinator,
      state: 'prepared',
      session: hex(session),
      echo,
      record,
      index,
      share,
    })
    return this.#trust.echo(session, index, echo)
  }

  #checkDealing({ request, old, work }: ReshareSession, dealing: SignedDealing): void {
    const { from, signature } = dealing
    const node = this.#trust.member(old.members, from)
    if (!isSignedBy(node, signature, LABEL_DEALING, ...dealingBound(request, dealing))) {
      throw new NodeRefusal('SIGNATURE', `the dealing of node ${node.name} is not signed by it`, from)
    }
    if (!isSoundDealing(work, dealing, reshareName(request))) {
      throw new NodeRefusal('DEALING', `the dealing of node ${node.name} is wrong`, from)
    }
  }

  /** What is confirmed to a holder that is no new member: its share goes (I1). It need not have been in the session. */
  async leave(coordinator: string, request: RequestOf<'reshare-confirm'>): Promise<NodeAnswer> {
    const { session, echoes, outcome } = request
    const anew = outcome === undefined ? undefined : decodeKeyRecord(outcome.record)
    if (outcome === undefined || anew === undefined) {
      throw new NodeRefusal(
        'SESSION',
        'nothing was prepared in that session, or it is not said what it was of',
      )
    }
    const key = quorumKeyId(anew)
    this.#trust.checkAllowed('reshare', anew.zone, anew.role)
    if (this.#trust.checkMembers(anew.members, anew.scheme.key.threshold) !== 0) {
      throw new NodeRefusal('SESSION', 'this node is a member, and has prepared nothing in that session')
    }
    this.#trust.checkEchoes(session, anew.members, echoes, reshareEcho(session, outcome))
    this.#sessions.forget(coordinator, session)
    const held = this.#trust.context.keys.active(coordinator, key)
    if (held === undefined || held.parsed.epoch >= anew.epoch) return { kind: 'done' }
    this.#trust.checkThreshold(anew.scheme.key.threshold, held.parsed.scheme.key.threshold)
    await this.#trust.note(coordinator, 'reshare left', { key, epoch: held.parsed.epoch })
    await this.#trust.context.keys.erase(held)
    return { kind: 'done' }
  }

  abandon(coordinator: string, session: Uint8Array): void {
    this.#sessions.forget(coordinator, session)
  }
}

/** I2: what a dealing is signed over. */
export function dealingBound(
  { session, record, members, threshold }: RequestOf<'reshare'>,
  { from, commitments, proofs }: Dealing,
): (Uint8Array | string | number)[] {
  return [session, record, from, ...members, threshold, commitments.length, ...commitments, ...proofs]
}

/** What proofs are bound to: the session, and all that it is of. */
export function reshareName({ session, record, members, threshold }: RequestOf<'reshare'>): Uint8Array {
  return hashOf('reshare session', session, record, threshold, ...members)
}

/** What a holder tells everybody, and each new node j in secret at [j − 1]. */
export function dealtOctets(
  work: ReshareWork,
  own: { readonly index: number; readonly value: bigint },
  session: Uint8Array,
): { readonly dealing: Dealing; readonly secrets: readonly Uint8Array[] } {
  if (work instanceof FrostReshare) {
    const { dealing, parts } = work.deal(own, session)
    return { dealing, secrets: parts }
  }
  const { dealing, parts } = work.deal(own)
  const commitments = dealing.commitments.map(value => octetsOf(value))
  return { dealing: { from: dealing.from, commitments, proofs: [] }, secrets: parts.map(signedOctets) }
}

function isSoundDealing(work: ReshareWork, dealing: Dealing, session: Uint8Array): boolean {
  if (work instanceof FrostReshare) return work.isDealing(dealing, session)
  const { from, commitments, proofs } = dealing
  return proofs.length === 0 && work.isDealing({ from, commitments: commitments.map(integerOf) })
}

/** This node's new share, from dealings that were checked.
 *  @throws NodeRefusal naming the holder whose part does not fit */
function combined(
  { work, request, old, index }: ReshareSession,
  dealings: readonly SignedDealing[],
  parts: readonly { readonly from: number; readonly secret: Uint8Array }[],
): bigint {
  const secrets = request.set.map(from => {
    const dealing = dealings.filter(one => one.from === from)
    const part = parts.filter(one => one.from === from)
    if (dealing.length === 1 && part.length === 1 && fits(work, dealing[0]!, index, part[0]!.secret)) {
      return part[0]!.secret
    }
    throw new NodeRefusal('PART', `the part of node ${old.members[from - 1]} does not fit its dealing`, from)
  })
  if (work instanceof FrostReshare) return work.share(index, secrets).value
  const values = secrets.map(secret => signedInteger(secret)!)
  return work.share(index, values).value
}

function fits(work: ReshareWork, dealing: Dealing, index: number, secret: Uint8Array): boolean {
  if (work instanceof FrostReshare) return work.isPart(dealing, index, secret)
  const { from, commitments } = dealing
  const value = signedInteger(secret)
  return value !== undefined && work.isPart({ from, commitments: commitments.map(integerOf) }, index, value)
}
