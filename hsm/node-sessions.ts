/** Keys that nodes make among themselves, and new sharings of them, at one node. The coordinator carries messages; what nodes
 *  tell each other is signed by the node it is from, or sealed to the node it is for, and bound to the session.
 *
 *    keygen    ─▶ round 1 ─▶ parts ─▶ prepared, echo ─▶ all echoes equal: active
 *    reshare   ─▶ dealing and parts (holders in the set) ─▶ prepared, echo (new members) ─▶ new epoch active, old share erased
 *    deal      ─▶ a share by the dealer, checked against the record ─▶ active
 *
 *  I1  A share is used only after every member has shown the same echo, a hash of record and transcript: nobody was told
 *      another story. Old shares go only then.
 *  I2  A session is known by its own name, at one coordinator, and each of its steps happens once; sessions are few, and the
 *      oldest is forgotten first. What is prepared outlives a restart and can still be confirmed.
 *  I3  Members are nodes whose identities this node has pinned; a name it does not know has no part. */

import type { Clock } from '../base/index.ts'
import { nameFromText } from '../zones/index.ts'
import type { AuditLog } from './audit.ts'
import type { FrostSuiteName } from './edwards.ts'
import { FrostKeygen, KeygenFault, type KeygenRound1 } from './frost-keygen.ts'
import { FrostReshare } from './frost-reshare.ts'
import { type Identity, isSignedBy, openFrom, type PublicIdentity, sealTo, signAs } from './identity.ts'
import { integerOf, octetsOf, signedInteger, signedOctets } from './integers.ts'
import {
  decodeKeyRecord,
  encodeKeyRecord,
  type QuorumKeyRecord,
  type QuorumScheme,
  quorumKeyId,
} from './key-record.ts'
import type { NodeAnswer, NodeRequest, SealedPart, SignedDealing, SignedEcho } from './messages.ts'
import { Modulus } from './modulus.ts'
import type { HeldShare, NodeKeys } from './node-keys.ts'
import { type NodePolicy, ruleOf } from './node-policy.ts'
import { checkQuorumSize } from './quorum-size.ts'
import { RsaReshare } from './rsa-reshare.ts'
import { hashOf } from './transcript.ts'

export interface SessionContext {
  readonly identity: Identity
  /** All nodes this one knows, itself too, by name. */
  readonly nodes: ReadonlyMap<string, PublicIdentity>
  readonly dealers: ReadonlyMap<string, PublicIdentity>
  readonly keys: NodeKeys
  readonly policy: () => NodePolicy
  readonly log: AuditLog
  readonly clock: Clock
}

type Of<K extends NodeRequest['kind']> = Extract<NodeRequest, { kind: K }>

interface KeygenSession {
  readonly kind: 'keygen'
  readonly request: Of<'keygen'>
  readonly index: number
  readonly keygen: FrostKeygen
  stage: 'round1' | 'parts' | 'finished'
}

interface ReshareSession {
  readonly kind: 'reshare'
  readonly request: Of<'reshare'>
  readonly old: QuorumKeyRecord
  readonly work: FrostReshare | RsaReshare
  /** Among the new members; 0: none. */
  readonly index: number
}

type Session = KeygenSession | ReshareSession

const SESSIONS_MAX = 64
/** How far the coordinator's idea of the time of a key's making may be from ours. */
const CREATED_SECONDS_OFF = 3600
const LABEL_ROUND1 = 'keygen round 1'
const LABEL_ECHO = 'echo'
const LABEL_DEALING = 'reshare dealing'

/** A request that cannot be done; its text goes to the coordinator. */
export class NodeRefusal extends Error {
  readonly code: string
  readonly culprit: number | undefined

  constructor(code: string, what: string, culprit?: number) {
    super(what)
    this.code = code
    this.culprit = culprit
  }
}

export class NodeSessions {
  readonly #context: SessionContext
  readonly #sessions = new Map<string, Session>()

  constructor(context: SessionContext) {
    this.#context = context
  }

  async keygen(coordinator: string, request: Of<'keygen'>): Promise<NodeAnswer> {
    const { zone, role, algorithm, members, threshold, session } = request
    this.#checkAllowed('keygen', zone, role)
    const index = this.#checkMembers(members, threshold)
    if (index === 0) throw new NodeRefusal('MEMBERS', 'this node is not among the members')
    if (algorithm !== 15 && algorithm !== 16)
      throw new NodeRefusal('ALGORITHM', 'RSA keys come from a dealer')
    if (Math.abs(request.createdUnix - this.#context.clock.now()) > CREATED_SECONDS_OFF) {
      throw new NodeRefusal('CLOCK', 'the time of the key is far from the clock of this node')
    }
    const suite: FrostSuiteName = algorithm === 15 ? 'ed25519' : 'ed448'
    const name = hashOf(
      'keygen session',
      session,
      zone,
      role,
      algorithm,
      threshold,
      request.createdUnix,
      ...members,
    )
    const keygen = new FrostKeygen(suite, { threshold, nodes: members.length }, index, name)
    this.#begin(coordinator, session, { kind: 'keygen', request, index, keygen, stage: 'round1' })
    await this.#note(coordinator, 'keygen', { zone, role, algorithm, session: hex(session) })
    const { commitments, proof } = keygen.round1
    const signature = signAs(this.#context.identity, LABEL_ROUND1, session, index, proof, ...commitments)
    return { kind: 'round1', round1: { index, commitments, proof, signature } }
  }

  keygenParts(coordinator: string, { session, round1 }: Of<'keygen-parts'>): NodeAnswer {
    const state = this.#session(coordinator, session, 'keygen')
    if (state.stage !== 'round1') throw new NodeRefusal('SESSION', 'this step of the session was done')
    const { members } = state.request
    for (const { index, commitments, proof, signature } of round1) {
      const node = this.#member(members, index)
      if (!isSignedBy(node, signature, LABEL_ROUND1, session, index, proof, ...commitments)) {
        throw new NodeRefusal('SIGNATURE', `round 1 of node ${node.name} is not signed by it`)
      }
    }
    const all: KeygenRound1[] = round1.map(({ index, commitments, proof }) => ({ index, commitments, proof }))
    const own = all.find(({ index }) => index === state.index)
    if (own === undefined || !sameRound1(own, state.keygen.round1)) {
      throw new NodeRefusal('SESSION', 'round 1 of this node is not among them as it was')
    }
    state.stage = 'parts'
    const parts = blamed(() => state.keygen.round2(all))
    return { kind: 'parts', parts: this.#sealed(session, 'keygen', state.index, members, parts) }
  }

  async keygenFinish(coordinator: string, { session, parts }: Of<'keygen-finish'>): Promise<NodeAnswer> {
    const state = this.#session(coordinator, session, 'keygen')
    if (state.stage !== 'parts')
      throw new NodeRefusal('SESSION', 'this step of the session was done, or is not due')
    state.stage = 'finished'
    const { zone, role, algorithm, members, createdUnix } = state.request
    const received = this.#opened(session, 'keygen', state.index, members, parts)
    const made = blamed(() =>
      state.keygen.finish(received.map(({ from, secret }) => ({ from, value: secret }))),
    )
    const record = encodeKeyRecord({
      zone,
      role,
      algorithm,
      createdUnix,
      epoch: 1,
      members,
      scheme: { kind: 'frost', key: made.key },
    })
    const echo = hashOf('keygen echo', session, made.echo, record)
    const { index, value: share } = made.share
    await this.#note(coordinator, 'keygen prepared', { zone, session: hex(session) })
    await this.#context.keys.prepare({
      coordinator,
      state: 'prepared',
      session: hex(session),
      echo,
      record,
      index,
      share,
    })
    return this.#echo(session, index, echo)
  }

  keygenConfirm(coordinator: string, request: Of<'keygen-confirm'>): Promise<NodeAnswer> {
    return this.#confirm(coordinator, request)
  }

  async deal(coordinator: string, { record, share, dealer }: Of<'deal'>): Promise<NodeAnswer> {
    const parsed = decodeKeyRecord(record)
    if (parsed === undefined || parsed.scheme.kind !== 'rsa' || parsed.epoch !== 1) {
      throw new NodeRefusal('RECORD', 'the record is not that of a dealt key')
    }
    const { key } = parsed.scheme
    this.#checkAllowed('deal', parsed.zone, parsed.role)
    const index = this.#checkMembers(parsed.members, key.threshold)
    if (index === 0) throw new NodeRefusal('MEMBERS', 'this node is not among the members')
    const from = this.#context.dealers.get(dealer)
    if (from === undefined) throw new NodeRefusal('DEALER', `this node knows no dealer ${dealer}`)
    const id = quorumKeyId(parsed)
    const opened = openFrom(this.#context.identity, from, dealContext(record), share)
    const value = opened === undefined ? undefined : signedInteger(opened)
    if (value === undefined)
      throw new NodeRefusal('SEALED', 'the share is not sealed to this node by the dealer')
    if (new Modulus(key.modulus).power(key.base, value) !== key.verifiers[index - 1]) {
      throw new NodeRefusal('SHARE', 'the share does not fit the record')
    }
    if (this.#context.keys.active(coordinator, id) !== undefined) {
      throw new NodeRefusal('KEY_EXISTS', 'this node has a share of that key')
    }
    await this.#note(coordinator, 'deal', { zone: parsed.zone, role: parsed.role, key: id, dealer })
    const session = hex(hashOf('deal session', record))
    const held = await this.#context.keys.prepare({
      coordinator,
      state: 'prepared',
      session,
      echo: hashOf('deal echo', record),
      record,
      index,
      share: value,
    })
    await this.#context.keys.activate(held)
    return { kind: 'active', key: id, epoch: 1 }
  }

  async reshare(coordinator: string, request: Of<'reshare'>): Promise<NodeAnswer> {
    const { session, record, set, members, threshold, key } = request
    const old = decodeKeyRecord(record)
    if (old === undefined || quorumKeyId(old) !== key || old.epoch !== request.epoch) {
      throw new NodeRefusal('RECORD', 'the record is not that of the key and epoch')
    }
    this.#checkAllowed('reshare', old.zone, old.role)
    const held = this.#context.keys.active(coordinator, key)
    if (held !== undefined && Buffer.compare(held.record, record) !== 0) {
      throw new NodeRefusal('RECORD', 'the record is not the one this node has')
    }
    const index = this.#checkMembers(members, threshold)
    for (const name of old.members) this.#node(name)
    const size = { threshold, nodes: members.length }
    const { scheme } = old
    const work = refusing('SET', () =>
      scheme.kind === 'frost'
        ? new FrostReshare(scheme.key, set, size)
        : new RsaReshare(scheme.key, set, size),
    )
    this.#begin(coordinator, session, { kind: 'reshare', request, old, work, index })
    await this.#note(coordinator, 'reshare', { key, epoch: old.epoch, session: hex(session) })
    if (held === undefined || !set.includes(held.index)) return { kind: 'done' }
    return this.#deal(session, request, held, work)
  }

  #deal(
    session: Uint8Array,
    request: Of<'reshare'>,
    held: HeldShare,
    work: FrostReshare | RsaReshare,
  ): NodeAnswer {
    const own = { index: held.index, value: held.share }
    const { commitments, secrets } = dealtOctets(work, own)
    const from = held.index
    const bound = [session, request.record, from, ...request.members, request.threshold, ...commitments]
    const signature = signAs(this.#context.identity, LABEL_DEALING, ...bound)
    const parts = new Map(secrets.map((secret, at) => [at + 1, secret]))
    return {
      kind: 'dealt',
      dealing: { from, commitments, signature },
      parts: this.#sealed(session, 'reshare', from, request.members, parts, true),
    }
  }

  async reshareParts(
    coordinator: string,
    { session, dealings, parts }: Of<'reshare-parts'>,
  ): Promise<NodeAnswer> {
    const state = this.#session(coordinator, session, 'reshare')
    const { request, old, index } = state
    if (index === 0) throw new NodeRefusal('MEMBERS', 'this node is not among the new members')
    if (dealings.length !== request.set.length) throw new NodeRefusal('DEALINGS', 'a dealing is missing')
    for (const dealing of dealings) this.#checkDealing(state, dealing)
    const received = this.#opened(session, 'reshare', index, old.members, parts)
    const { share, scheme } = combined(state, dealings, received)
    const record = encodeKeyRecord({ ...old, epoch: old.epoch + 1, members: request.members, scheme })
    const echo = hashOf(
      'reshare echo',
      session,
      record,
      ...dealings.flatMap(({ commitments }) => commitments),
    )
    await this.#note(coordinator, 'reshare prepared', { key: request.key, epoch: old.epoch + 1 })
    await this.#context.keys.prepare({
      coordinator,
      state: 'prepared',
      session: hex(session),
      echo,
      record,
      index,
      share,
    })
    return this.#echo(session, index, echo)
  }

  #checkDealing(
    { request, old, work }: ReshareSession,
    { from, commitments, signature }: SignedDealing,
  ): void {
    const node = this.#member(old.members, from)
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

  /** New members take up the new epoch; holders that are none erase the old one. */
  async reshareConfirm(coordinator: string, request: Of<'reshare-confirm'>): Promise<NodeAnswer> {
    const { session, echoes } = request
    if (this.#context.keys.prepared(coordinator, hex(session)) !== undefined) {
      return this.#confirm(coordinator, request)
    }
    const state = this.#session(coordinator, session, 'reshare')
    this.#checkEchoes(session, state.request.members, echoes, echoes[0]?.echo ?? new Uint8Array())
    const held = this.#context.keys.active(coordinator, state.request.key)
    await this.#note(coordinator, 'reshare left', { key: state.request.key, epoch: state.old.epoch })
    if (held !== undefined && held.parsed.epoch === state.old.epoch) await this.#context.keys.erase(held)
    this.#sessions.delete(nameOf(coordinator, session))
    return { kind: 'done' }
  }

  async erase(coordinator: string, { key, epoch }: Of<'erase'>): Promise<NodeAnswer> {
    const held = this.#context.keys.active(coordinator, key)
    if (held === undefined || held.parsed.epoch !== epoch) {
      throw new NodeRefusal('KEY_UNKNOWN', 'there is no share of that key and epoch here')
    }
    this.#checkAllowed('erase', held.parsed.zone, held.parsed.role)
    await this.#note(coordinator, 'erase', { key, epoch })
    await this.#context.keys.erase(held)
    return { kind: 'done' }
  }

  abandon(coordinator: string, { session }: Of<'abandon'>): NodeAnswer {
    this.#sessions.delete(nameOf(coordinator, session))
    return { kind: 'done' }
  }

  /** I1. */
  async #confirm(
    coordinator: string,
    { session, echoes }: Of<'keygen-confirm'> | Of<'reshare-confirm'>,
  ): Promise<NodeAnswer> {
    const held = this.#context.keys.prepared(coordinator, hex(session))
    if (held === undefined) throw new NodeRefusal('SESSION', 'nothing was prepared in that session')
    this.#checkEchoes(session, held.parsed.members, echoes, held.echo)
    const { id, parsed } = held
    if (held.state === 'prepared') {
      await this.#note(coordinator, 'active', { key: id, epoch: parsed.epoch, session: hex(session) })
      await this.#context.keys.activate(held)
    }
    this.#sessions.delete(nameOf(coordinator, session))
    return { kind: 'active', key: id, epoch: parsed.epoch }
  }

  #checkEchoes(
    session: Uint8Array,
    members: readonly string[],
    echoes: readonly SignedEcho[],
    expected: Uint8Array,
  ): void {
    if (echoes.length !== members.length) throw new NodeRefusal('ECHO', 'the echo of a member is missing')
    for (let index = 1; index <= members.length; index++) {
      const echo = echoes.find(one => one.index === index)
      const node = this.#member(members, index)
      if (echo === undefined || !isSignedBy(node, echo.signature, LABEL_ECHO, session, index, echo.echo)) {
        throw new NodeRefusal('SIGNATURE', `the echo of node ${node.name} is missing, or not signed by it`)
      }
      if (Buffer.compare(echo.echo, expected) !== 0) {
        throw new NodeRefusal('ECHO', `node ${node.name} was told something else than this one`)
      }
    }
  }

  #echo(session: Uint8Array, index: number, echo: Uint8Array): NodeAnswer {
    const signature = signAs(this.#context.identity, LABEL_ECHO, session, index, echo)
    return { kind: 'echo', echo: { index, echo, signature } }
  }

  #sealed(
    session: Uint8Array,
    what: string,
    from: number,
    members: readonly string[],
    parts: ReadonlyMap<number, Uint8Array>,
    own = false,
  ): SealedPart[] {
    const { identity } = this.#context
    return [...parts].flatMap(([to, secret]) => {
      if (to === from && !own) return []
      const sealed = sealTo(identity, this.#member(members, to), partContext(what, session, from, to), secret)
      return [{ from, to, sealed }]
    })
  }

  /** Parts for this node; `from` counts among the senders, `to` among the receivers. */
  #opened(
    session: Uint8Array,
    what: string,
    to: number,
    senders: readonly string[],
    parts: readonly SealedPart[],
  ): { from: number; secret: Uint8Array }[] {
    return parts
      .filter(part => part.to === to)
      .map(({ from, sealed }) => {
        const node = this.#member(senders, from)
        const secret = openFrom(this.#context.identity, node, partContext(what, session, from, to), sealed)
        if (secret === undefined) {
          throw new NodeRefusal('SEALED', `the part of node ${node.name} is not sealed to this one by it`)
        }
        return { from, secret }
      })
  }

  #begin(coordinator: string, session: Uint8Array, state: Session): void {
    const name = nameOf(coordinator, session)
    const prepared = this.#context.keys.prepared(coordinator, hex(session))
    if (this.#sessions.has(name) || prepared !== undefined || session.length < 16) {
      throw new NodeRefusal('SESSION', 'the name of the session was used, or is too short')
    }
    this.#sessions.set(name, state)
    for (const oldest of this.#sessions.keys()) {
      if (this.#sessions.size <= SESSIONS_MAX) break
      this.#sessions.delete(oldest)
    }
  }

  #session<K extends Session['kind']>(
    coordinator: string,
    session: Uint8Array,
    kind: K,
  ): Extract<Session, { kind: K }> {
    const state = this.#sessions.get(nameOf(coordinator, session))
    if (state?.kind === kind) return state as Extract<Session, { kind: K }>
    throw new NodeRefusal('SESSION', 'there is no such session, or this node was started anew since')
  }

  #checkAllowed(what: 'keygen' | 'deal' | 'reshare' | 'erase', zone: string, role: string): void {
    const policy = this.#context.policy()
    const rule = refusing('ZONE', () => ruleOf(policy, nameFromText(zone)))
    if (!policy[what] || rule === undefined || !rule.roles.some(one => one === role)) {
      throw new NodeRefusal('POLICY', `the policy has no ${what} of a ${role} for ${zone}`)
    }
  }

  /** I3. This node's index among them; 0 when it is none of them. */
  #checkMembers(members: readonly string[], threshold: number): number {
    refusing('MEMBERS', () => checkQuorumSize({ threshold, nodes: members.length }))
    if (new Set(members).size !== members.length) throw new NodeRefusal('MEMBERS', 'a member stands twice')
    for (const name of members) this.#node(name)
    return members.indexOf(this.#context.identity.publicIdentity.name) + 1
  }

  #member(members: readonly string[], index: number): PublicIdentity {
    const name = members[index - 1]
    if (name === undefined) throw new NodeRefusal('MEMBERS', `there is no member ${index}`)
    return this.#node(name)
  }

  #node(name: string): PublicIdentity {
    const node = this.#context.nodes.get(name)
    if (node === undefined) throw new NodeRefusal('MEMBERS', `this node knows no node ${name}`)
    return node
  }

  #note(by: string, what: string, details: Record<string, string | number>): Promise<void> {
    const { log, clock } = this.#context
    return log.append([{ atUnix: clock.now(), by, what, ...details }])
  }
}

/** What a share from a dealer is sealed in. */
export function dealContext(record: Uint8Array): string {
  return `deal ${hex(hashOf('deal', record))}`
}

function partContext(what: string, session: Uint8Array, from: number, to: number): string {
  return `${what} ${hex(session)} ${from} to ${to}`
}

function nameOf(coordinator: string, session: Uint8Array): string {
  return `${hex(session)} ${coordinator}`
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString('hex')
}

function sameRound1(a: KeygenRound1, b: KeygenRound1): boolean {
  return (
    Buffer.compare(a.proof, b.proof) === 0 &&
    a.commitments.every((one, at) => Buffer.compare(one, b.commitments[at] ?? new Uint8Array()) === 0)
  )
}

function blamed<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof KeygenFault) throw new NodeRefusal('KEYGEN', error.message, error.culprit)
    if (error instanceof RangeError) throw new NodeRefusal('KEYGEN', error.message)
    throw error
  }
}

function refusing<T>(code: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new NodeRefusal(code, error instanceof Error ? error.message : String(error))
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
