/** New sharings of a key, at one node: as a holder that deals, as a new member that gets a share, or both.
 *
 *    reshare   ─▶ dealing and parts (holders in the set) ─▶ prepared, echo (new members)
 *    confirm   ─▶ new members: the new epoch is active, the old share erased (node-sessions.ts)
 *              ─▶ holders that are none: the old share is erased
 *
 *  I1  Old shares go only when every new member has shown the same echo.
 *  I2  A dealing is by a member of the record, signed over everything it depends on, and proven to be of its share. */

import { FrostReshare } from './frost-reshare.ts'
import { isSignedBy, signAs } from './identity.ts'
import { integerOf, octetsOf, signedInteger, signedOctets } from './integers.ts'
import {
  decodeKeyRecord,
  encodeKeyRecord,
  type QuorumKeyRecord,
  type QuorumScheme,
  quorumKeyId,
} from './key-record.ts'
import type { NodeAnswer, SignedDealing } from './messages.ts'
import type { HeldShare } from './node-keys.ts'
import { SessionTable } from './node-sessions.ts'
import { hex, NodeRefusal, type NodeTrust, type RequestOf, refusing } from './node-trust.ts'
import { RsaReshare } from './rsa-reshare.ts'
import { hashOf } from './transcript.ts'

interface ReshareSession {
  readonly request: RequestOf<'reshare'>
  readonly old: QuorumKeyRecord
  readonly work: FrostReshare | RsaReshare
  /** Among the new members; 0: none. */
  readonly index: number
}

const LABEL_DEALING = 'reshare dealing'

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
    const held = this.#trust.context.keys.active(coordinator, key)
    if (held !== undefined && Buffer.compare(held.record, record) !== 0) {
      throw new NodeRefusal('RECORD', 'the record is not the one this node has')
    }
    const index = this.#trust.checkMembers(members, threshold)
    for (const name of old.members) this.#trust.node(name)
    const size = { threshold, nodes: members.length }
    const { scheme } = old
    const work = refusing('SET', () =>
      scheme.kind === 'frost'
        ? new FrostReshare(scheme.key, set, size)
        : new RsaReshare(scheme.key, set, size),
    )
    this.#sessions.begin(coordinator, session, { request, old, work, index })
    await this.#trust.note(coordinator, 'reshare', { key, epoch: old.epoch, session: hex(session) })
    if (held === undefined || !set.includes(held.index)) return { kind: 'done' }
    return this.#deal(session, request, held, work)
  }

  #deal(
    session: Uint8Array,
    request: RequestOf<'reshare'>,
    held: HeldShare,
    work: FrostReshare | RsaReshare,
  ): NodeAnswer {
    const own = { index: held.index, value: held.share }
    const { commitments, secrets } = dealtOctets(work, own)
    const from = held.index
    const bound = [session, request.record, from, ...request.members, request.threshold, ...commitments]
    const signature = signAs(this.#trust.context.identity, LABEL_DEALING, ...bound)
    const parts = new Map(secrets.map((secret, at) => [at + 1, secret]))
    return {
      kind: 'dealt',
      dealing: { from, commitments, signature },
      parts: this.#trust.sealed(session, 'reshare', from, request.members, parts, true),
    }
  }

  async reshareParts(
    coordinator: string,
    { session, dealings, parts }: RequestOf<'reshare-parts'>,
  ): Promise<NodeAnswer> {
    const state = this.#sessions.get(coordinator, session)
    const { request, old, index } = state
    if (index === 0) throw new NodeRefusal('MEMBERS', 'this node is not among the new members')
    if (dealings.length !== request.set.length) throw new NodeRefusal('DEALINGS', 'a dealing is missing')
    for (const dealing of dealings) this.#checkDealing(state, dealing)
    const received = this.#trust.opened(session, 'reshare', index, old.members, parts)
    const { share, scheme } = combined(state, dealings, received)
    const record = encodeKeyRecord({ ...old, epoch: old.epoch + 1, members: request.members, scheme })
    const echo = hashOf(
      'reshare echo',
      session,
      record,
      ...dealings.flatMap(({ commitments }) => commitments),
    )
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

  #checkDealing(
    { request, old, work }: ReshareSession,
    { from, commitments, signature }: SignedDealing,
  ): void {
    const node = this.#trust.member(old.members, from)
    const bound = [
      request.session,
      request.record,
      from,
      ...request.members,
      request.threshold,
      ...commitments,
    ]
    if (!isSignedBy(node, signature, LABEL_DEALING, ...bound)) {
      throw new NodeRefusal('SIGNATURE', `the dealing of node ${node.name} is not signed by it`)
    }
    if (!isSoundDealing(work, from, commitments)) {
      throw new NodeRefusal('DEALING', `the dealing of node ${node.name} is wrong`, from)
    }
  }

  /** What is confirmed to a holder that is no new member: its share goes (I1). */
  async leave(coordinator: string, request: RequestOf<'reshare-confirm'>): Promise<NodeAnswer> {
    const { session, echoes } = request
    const state = this.#sessions.get(coordinator, session)
    this.#trust.checkEchoes(session, state.request.members, echoes, echoes[0]?.echo ?? new Uint8Array())
    const held = this.#trust.context.keys.active(coordinator, state.request.key)
    await this.#trust.note(coordinator, 'reshare left', { key: state.request.key, epoch: state.old.epoch })
    if (held !== undefined && held.parsed.epoch === state.old.epoch)
      await this.#trust.context.keys.erase(held)
    this.#sessions.forget(coordinator, session)
    return { kind: 'done' }
  }

  abandon(coordinator: string, session: Uint8Array): void {
    this.#sessions.forget(coordinator, session)
  }
}

function dealtOctets(
  work: FrostReshare | RsaReshare,
  own: { readonly index: number; readonly value: bigint },
): { commitments: readonly Uint8Array[]; secrets: readonly Uint8Array[] } {
  if (work instanceof FrostReshare) {
    const { dealing, parts } = work.deal(own)
    return { commitments: dealing.commitments, secrets: parts }
  }
  const { dealing, parts } = work.deal(own)
  return {
    commitments: dealing.commitments.map(value => octetsOf(value)),
    secrets: parts.map(signedOctets),
  }
}

function isSoundDealing(
  work: FrostReshare | RsaReshare,
  from: number,
  commitments: readonly Uint8Array[],
): boolean {
  if (work instanceof FrostReshare) return work.isDealing({ from, commitments })
  return work.isDealing({ from, commitments: commitments.map(integerOf) })
}

/** This node's new share and the key's new public part, from dealings that were checked.
 *  @throws NodeRefusal naming the holder whose part does not fit */
function combined(
  { work, request, old, index }: ReshareSession,
  dealings: readonly SignedDealing[],
  parts: readonly { readonly from: number; readonly secret: Uint8Array }[],
): { share: bigint; scheme: QuorumScheme } {
  const secrets = request.set.map(from => {
    const dealing = dealings.filter(one => one.from === from)
    const part = parts.filter(one => one.from === from)
    if (dealing.length === 1 && part.length === 1 && fits(work, dealing[0]!, index, part[0]!.secret)) {
      return part[0]!.secret
    }
    throw new NodeRefusal('PART', `the part of node ${old.members[from - 1]} does not fit its dealing`, from)
  })
  if (work instanceof FrostReshare) {
    return { share: work.share(index, secrets).value, scheme: { kind: 'frost', key: work.newKey(dealings) } }
  }
  const values = secrets.map(secret => signedInteger(secret)!)
  const key = work.newKey(
    dealings.map(({ from, commitments }) => ({ from, commitments: commitments.map(integerOf) })),
  )
  return { share: work.share(index, values).value, scheme: { kind: 'rsa', key } }
}

function fits(
  work: FrostReshare | RsaReshare,
  { from, commitments }: SignedDealing,
  index: number,
  secret: Uint8Array,
): boolean {
  if (work instanceof FrostReshare) return work.isPart({ from, commitments }, index, secret)
  const value = signedInteger(secret)
  return value !== undefined && work.isPart({ from, commitments: commitments.map(integerOf) }, index, value)
}
