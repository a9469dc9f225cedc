/** Keys that nodes make among themselves, and keys that are dealt to them, at one node.
 *
 *    keygen    ─▶ pledge ─▶ round 1 ─▶ parts ─▶ prepared, echo ─▶ all echoes equal: active (node-sessions.ts)
 *    deal      ─▶ a share by the dealer, checked against the record ─▶ active
 *
 *  I1  Each step of a session happens once, in order (frost-keygen.ts). What this node shows stands in its log: who ends sessions
 *      after that, to have another key come out, is seen there.
 *  I2  What is prepared is durable before it is echoed. */

import { canonicalName, nameFromText, nameToText } from '../zones/index.ts'
import type { FrostSuiteName } from './edwards.ts'
import { FrostKeygen, KeygenFault, type KeygenRound1 } from './frost-keygen.ts'
import { isSignedBy, openFrom, signAs } from './identity.ts'
import { signedInteger } from './integers.ts'
import { decodeKeyRecord, encodeKeyRecord, quorumKeyId } from './key-record.ts'
import type { NodeAnswer } from './messages.ts'
import { Modulus } from './modulus.ts'
import { SessionTable } from './node-sessions.ts'
import { hex, NodeRefusal, type NodeTrust, type RequestOf } from './node-trust.ts'
import { hashOf } from './transcript.ts'

interface KeygenSession {
  readonly request: RequestOf<'keygen'>
  readonly keygen: FrostKeygen
}

/** How far the coordinator's idea of the time of a key's making may be from ours. */
const CREATED_SECONDS_OFF = 3600
export const LABEL_PLEDGE = 'keygen pledge'
export const LABEL_ROUND1 = 'keygen round 1'

export class NodeKeygen {
  readonly #trust: NodeTrust
  readonly #sessions: SessionTable<KeygenSession>

  constructor(trust: NodeTrust) {
    this.#trust = trust
    this.#sessions = new SessionTable(trust.context.keys)
  }

  keygen(coordinator: string, request: RequestOf<'keygen'>): NodeAnswer {
    const { zone, role, algorithm, members, threshold, session } = request
    this.#trust.checkAllowed('keygen', zone, role)
    const index = this.#trust.checkMembers(members, threshold)
    if (index === 0) throw new NodeRefusal('MEMBERS', 'this node is not among the members')
    this.#trust.checkThreshold(threshold)
    if (nameToText(canonicalName(nameFromText(zone))) !== zone) {
      throw new NodeRefusal('ZONE', 'the name of the zone is not absolute, or not in lower case')
    }
    if (algorithm !== 15 && algorithm !== 16)
      throw new NodeRefusal('ALGORITHM', 'RSA keys come from a dealer')
    if (Math.abs(request.createdUnix - this.#trust.context.clock.now()) > CREATED_SECONDS_OFF) {
      throw new NodeRefusal('CLOCK', 'the time of the key is far from the clock of this node')
    }
    this.#trust.checkRate(coordinator)
    const suite: FrostSuiteName = algorithm === 15 ? 'ed25519' : 'ed448'
    const size = { threshold, nodes: members.length }
    const keygen = new FrostKeygen(suite, size, index, keygenName(request))
    this.#sessions.begin(coordinator, session, { request, keygen })
    const { pledge } = keygen.pledge
    const signature = signAs(this.#trust.context.identity, LABEL_PLEDGE, session, index, pledge)
    return { kind: 'pledge', pledge: { index, pledge, signature } }
  }

  async keygenReveal(
    coordinator: string,
    { session, pledges }: RequestOf<'keygen-reveal'>,
  ): Promise<NodeAnswer> {
    const { request, keygen } = this.#sessions.get(coordinator, session)
    for (const { index, pledge, signature } of pledges) {
      this.#checkSigned(request, signature, LABEL_PLEDGE, index, pledge)
    }
    const round1 = blamed(request, () => keygen.reveal(pledges))
    const { zone, role, algorithm } = request
    await this.#trust.note(coordinator, 'keygen', { zone, role, algorithm, session: hex(session) })
    const { identity } = this.#trust.context
    const signature = signAs(identity, LABEL_ROUND1, session, round1.index, ...saidInRound1(round1))
    return { kind: 'round1', round1: { ...round1, signature } }
  }

  keygenParts(coordinator: string, { session, round1 }: RequestOf<'keygen-parts'>): NodeAnswer {
    const { request, keygen } = this.#sessions.get(coordinator, session)
    for (const one of round1) {
      this.#checkSigned(request, one.signature, LABEL_ROUND1, one.index, ...saidInRound1(one))
    }
    const parts = blamed(request, () => keygen.round2(round1))
    const { index } = keygen.pledge
    return { kind: 'parts', parts: this.#trust.sealed(session, 'keygen', index, request.members, parts) }
  }

  /** What a member says in that session.
   *  @throws NodeRefusal */
  #checkSigned(
    { session, members }: RequestOf<'keygen'>,
    signature: Uint8Array,
    label: string,
    index: number,
    ...said: readonly (Uint8Array | number)[]
  ): void {
    const node = this.#trust.member(members, index)
    if (isSignedBy(node, signature, label, session, index, ...said)) return
    throw new NodeRefusal('SIGNATURE', `what is said for node ${node.name} is not signed by it`)
  }

  async keygenFinish(
    coordinator: string,
    { session, parts }: RequestOf<'keygen-finish'>,
  ): Promise<NodeAnswer> {
    const { request, keygen } = this.#sessions.get(coordinator, session)
    const { zone, role, algorithm, members, createdUnix } = request
    const received = this.#trust.opened(session, 'keygen', keygen.pledge.index, members, parts)
    const made = blamed(request, () =>
      keygen.finish(received.map(({ from, secret }) => ({ from, value: secret }))),
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
    await this.#trust.note(coordinator, 'keygen prepared', { zone, session: hex(session) })
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

  async deal(coordinator: string, { record, share, dealer }: RequestOf<'deal'>): Promise<NodeAnswer> {
    const parsed = decodeKeyRecord(record)
    if (parsed === undefined || parsed.scheme.kind !== 'rsa' || parsed.epoch !== 1) {
      throw new NodeRefusal('RECORD', 'the record is not that of a dealt key')
    }
    const { key } = parsed.scheme
    this.#trust.checkAllowed('deal', parsed.zone, parsed.role)
    const index = this.#trust.checkMembers(parsed.members, key.threshold)
    if (index === 0) throw new NodeRefusal('MEMBERS', 'this node is not among the members')
    this.#trust.checkThreshold(key.threshold)
    const from = this.#trust.context.dealers.get(dealer)
    if (from === undefined) throw new NodeRefusal('DEALER', `this node knows no dealer ${dealer}`)
    const id = quorumKeyId(parsed)
    const opened = openFrom(this.#trust.context.identity, from, dealContext(record), share)
    const value = opened === undefined ? undefined : signedInteger(opened)
    if (value === undefined)
      throw new NodeRefusal('SEALED', 'the share is not sealed to this node by the dealer')
    if (new Modulus(key.modulus).power(key.base, value) !== key.verifiers[index - 1]) {
      throw new NodeRefusal('SHARE', 'the share does not fit the record')
    }
    if (this.#trust.context.keys.active(coordinator, id) !== undefined) {
      throw new NodeRefusal('KEY_EXISTS', 'this node has a share of that key')
    }
    await this.#trust.note(coordinator, 'deal', { zone: parsed.zone, role: parsed.role, key: id, dealer })
    const session = hex(hashOf('deal session', record))
    const held = await this.#trust.context.keys.prepare({
      coordinator,
      state: 'prepared',
      session,
      echo: hashOf('deal echo', record),
      record,
      index,
      share: value,
    })
    await this.#trust.context.keys.activate(held)
    return { kind: 'active', key: id, epoch: 1 }
  }

  abandon(coordinator: string, session: Uint8Array): void {
    this.#sessions.forget(coordinator, session)
  }
}

/** What a share from a dealer is sealed in. */
export function dealContext(record: Uint8Array): string {
  return `deal ${hex(hashOf('deal', record))}`
}

/** What pledges and proofs are bound to: the session, and all that it is of. */
export function keygenName(request: RequestOf<'keygen'>): Uint8Array {
  const { session, zone, role, algorithm, threshold, createdUnix, members } = request
  return hashOf('keygen session', session, zone, role, algorithm, threshold, createdUnix, ...members)
}

/** What a node's round 1 is signed over, behind session and index. */
export function saidInRound1({ salt, commitments, proofs }: KeygenRound1): (Uint8Array | number)[] {
  return [salt, commitments.length, ...commitments, ...proofs]
}

function blamed<T>({ members }: RequestOf<'keygen'>, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof KeygenFault) {
      const { culprit, deed } = error
      throw new NodeRefusal('KEYGEN', `${members[culprit - 1]} ${deed}`, culprit)
    }
    if (error instanceof RangeError) throw new NodeRefusal('SESSION', error.message)
    throw error
  }
}
