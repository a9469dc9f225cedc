/** Keys that nodes make among themselves, and keys that are dealt to them, at one node.
 *
 *    keygen    ─▶ round 1 ─▶ parts ─▶ prepared, echo ─▶ all echoes equal: active (node-sessions.ts)
 *    deal      ─▶ a share by the dealer, checked against the record ─▶ active
 *
 *  I1  Each step of a session happens once, in order.
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
  readonly index: number
  readonly keygen: FrostKeygen
  stage: 'round1' | 'parts' | 'finished'
}

/** How far the coordinator's idea of the time of a key's making may be from ours. */
const CREATED_SECONDS_OFF = 3600
export const LABEL_ROUND1 = 'keygen round 1'

export class NodeKeygen {
  readonly #trust: NodeTrust
  readonly #sessions: SessionTable<KeygenSession>

  constructor(trust: NodeTrust) {
    this.#trust = trust
    this.#sessions = new SessionTable(trust.context.keys)
  }

  async keygen(coordinator: string, request: RequestOf<'keygen'>): Promise<NodeAnswer> {
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
    this.#sessions.begin(coordinator, session, { request, index, keygen, stage: 'round1' })
    await this.#trust.note(coordinator, 'keygen', { zone, role, algorithm, session: hex(session) })
    const { commitments, proof } = keygen.round1
    const signature = signAs(
      this.#trust.context.identity,
      LABEL_ROUND1,
      session,
      index,
      proof,
      ...commitments,
    )
    return { kind: 'round1', round1: { index, commitments, proof, signature } }
  }

  keygenParts(coordinator: string, { session, round1 }: RequestOf<'keygen-parts'>): NodeAnswer {
    const state = this.#sessions.get(coordinator, session)
    if (state.stage !== 'round1') throw new NodeRefusal('SESSION', 'this step of the session was done')
    const { members } = state.request
    for (const { index, commitments, proof, signature } of round1) {
      const node = this.#trust.member(members, index)
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
    return { kind: 'parts', parts: this.#trust.sealed(session, 'keygen', state.index, members, parts) }
  }

  async keygenFinish(
    coordinator: string,
    { session, parts }: RequestOf<'keygen-finish'>,
  ): Promise<NodeAnswer> {
    const state = this.#sessions.get(coordinator, session)
    if (state.stage !== 'parts')
      throw new NodeRefusal('SESSION', 'this step of the session was done, or is not due')
    state.stage = 'finished'
    const { zone, role, algorithm, members, createdUnix } = state.request
    const received = this.#trust.opened(session, 'keygen', state.index, members, parts)
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
