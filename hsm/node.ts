/** A share node, but for sockets and files: octets from a coordinator in, octets for it out.
 *
 *  I1  Whatever comes, the node goes on, and only a message that its coordinator signed, in turn and well formed, moves its
 *      state. Everything else is counted.
 *  I2  Coordinators have conversations, keys and sessions apart.
 *  I3  Requests of one coordinator are answered one after the other, in order; so many wait, and more are dropped. */

import type { Clock } from '../base/index.ts'
import { AuditLog, type AuditStorage } from './audit.ts'
import { Conversation, newBoot } from './envelope.ts'
import type { Identity, PublicIdentity } from './identity.ts'
import { Inceptions } from './inceptions.ts'
import { readRequest } from './message-schema.ts'
import type { NodeAnswer, NodeRequest } from './messages.ts'
import { NodeKeygen } from './node-keygen.ts'
import { NodeKeys, type ShareStorage } from './node-keys.ts'
import type { NodePolicy } from './node-policy.ts'
import { NodeReshare } from './node-reshare.ts'
import { confirmPrepared, erase } from './node-sessions.ts'
import { NodeSigning } from './node-signing.ts'
import { hex, NodeRefusal, NodeTrust, type RequestOf } from './node-trust.ts'

export interface ShareNodeOptions {
  readonly identity: Identity
  readonly coordinators: readonly PublicIdentity[]
  /** All nodes that may be members beside this one. */
  readonly nodes: readonly PublicIdentity[]
  readonly dealers: readonly PublicIdentity[]
  readonly policy: NodePolicy
  readonly shares: ShareStorage
  readonly audit: AuditStorage
  readonly clock: Clock
  readonly version: string
  /** Hears what was dropped or refused, and bugs. */
  readonly onDropped?: (coordinator: string, why: string) => void
  readonly onRefused?: (coordinator: string, code: string, what: string) => void
  readonly onBug?: (error: unknown) => void
}

interface Peer {
  readonly conversation: Conversation
  last: Promise<unknown>
  waiting: number
}

const AUDIT_LINES_MAX = 1000
/** I3. Batches for as many zones at once, and some; with the longest messages, 2 GiB. */
const WAITING_MAX = 256

export class ShareNode {
  /** Messages that were answered, and those that changed nothing. */
  readonly counters: { answered: number; dropped: number } = { answered: 0, dropped: 0 }
  readonly #options: ShareNodeOptions
  readonly #keys: NodeKeys
  readonly #log: AuditLog
  readonly #signing: NodeSigning
  readonly #trust: NodeTrust
  readonly #keygen: NodeKeygen
  readonly #reshare: NodeReshare
  readonly #peers = new Map<string, Peer>()
  #policy: NodePolicy

  /** @throws Error when the audit log or a share cannot be read */
  constructor(options: ShareNodeOptions) {
    const { identity, coordinators, nodes, dealers, clock } = options
    this.#options = options
    this.#policy = options.policy
    this.#keys = new NodeKeys(options.shares)
    const inceptions = new Inceptions()
    this.#log = AuditLog.open(options.audit, line => inceptions.read(line))
    const common = { keys: this.#keys, policy: () => this.#policy, log: this.#log, clock }
    this.#signing = new NodeSigning(common, inceptions)
    const known = [...nodes, identity.publicIdentity]
    this.#trust = new NodeTrust({ ...common, identity, nodes: byName(known), dealers: byName(dealers) })
    this.#keygen = new NodeKeygen(this.#trust)
    this.#reshare = new NodeReshare(this.#trust)
    const boot = newBoot(clock.now())
    for (const coordinator of coordinators) {
      const conversation = new Conversation(identity, coordinator, boot)
      this.#peers.set(coordinator.name, { conversation, last: Promise.resolve(), waiting: 0 })
    }
  }

  /** Ends what a crash has interrupted; before anything is received. */
  tidy(): Promise<void> {
    return this.#keys.tidy()
  }

  /** Rules that were changed; keys and sessions stay. */
  setPolicy(policy: NodePolicy): void {
    this.#policy = policy
  }

  get audit(): { readonly length: number; readonly head: Uint8Array } {
    return this.#log.state
  }

  /** The answer to what came on a coordinator's link; undefined where none is given (I1). Never rejects. */
  receive(coordinator: string, octets: Uint8Array): Promise<Uint8Array | undefined> {
    const peer = this.#peers.get(coordinator)
    if (peer === undefined) return Promise.resolve(this.#drop(coordinator, 'there is no such coordinator'))
    const receipt = peer.conversation.read(octets, isHello)
    if (receipt.kind === 'dropped') return Promise.resolve(this.#drop(coordinator, receipt.why))
    if (peer.waiting >= WAITING_MAX) return Promise.resolve(this.#drop(coordinator, 'too many requests wait'))
    const { sequence, body } = receipt.message
    const asker = peer.conversation.peerBoot
    peer.waiting++
    const answered = peer.last.then(async () => {
      const answer = await this.#answer(coordinator, body)
      if (answer.kind === 'refused') this.#options.onRefused?.(coordinator, answer.code, answer.what)
      peer.waiting--
      this.counters.answered++
      // The coordinator began anew meanwhile: this number would name another request of it.
      if (Buffer.compare(asker!, peer.conversation.peerBoot!) !== 0) return undefined
      return peer.conversation.write(answer, sequence).octets
    })
    peer.last = answered
    return answered
  }

  #drop(coordinator: string, why: string): undefined {
    this.counters.dropped++
    this.#options.onDropped?.(coordinator, why)
    return undefined
  }

  async #answer(coordinator: string, body: unknown): Promise<NodeAnswer> {
    const request = readRequest(body)
    if (request === undefined) return { kind: 'refused', code: 'MALFORMED', what: 'the request is malformed' }
    try {
      return await this.#dispatch(coordinator, request)
    } catch (error) {
      if (error instanceof NodeRefusal) {
        const { code, message: what, culprit } = error
        return { kind: 'refused', code, what, ...(culprit === undefined ? {} : { culprit }) }
      }
      this.#options.onBug?.(error)
      return { kind: 'refused', code: 'NODE_FAILED', what: 'the node could not do that; its log says why' }
    }
  }

  #dispatch(coordinator: string, request: NodeRequest): NodeAnswer | Promise<NodeAnswer> {
    switch (request.kind) {
      case 'hello':
        return this.#state(coordinator)
      case 'commit':
        return this.#signing.commit(coordinator, request)
      case 'sign':
        return this.#signing.sign(coordinator, request)
      case 'prove':
        return this.#signing.prove(coordinator, request)
      case 'keygen':
        return this.#keygen.keygen(coordinator, request)
      case 'keygen-reveal':
        return this.#keygen.keygenReveal(coordinator, request)
      case 'keygen-parts':
        return this.#keygen.keygenParts(coordinator, request)
      case 'keygen-finish':
        return this.#keygen.keygenFinish(coordinator, request)
      case 'keygen-confirm':
        return this.#confirm(coordinator, request)
      case 'deal':
        return this.#keygen.deal(coordinator, request)
      case 'reshare':
        return this.#reshare.reshare(coordinator, request)
      case 'reshare-parts':
        return this.#reshare.reshareParts(coordinator, request)
      case 'reshare-confirm':
        return this.#confirm(coordinator, request)
      case 'abandon':
        return this.#abandon(coordinator, request.session)
      case 'erase':
        return erase(this.#trust, coordinator, request)
      case 'audit':
        return this.#audit(request.from)
    }
  }

  async #confirm(
    coordinator: string,
    request: RequestOf<'keygen-confirm'> | RequestOf<'reshare-confirm'>,
  ): Promise<NodeAnswer> {
    const active = await confirmPrepared(this.#trust, coordinator, request)
    if (active !== undefined) {
      await this.#abandon(coordinator, request.session)
      return active
    }
    if (request.kind === 'reshare-confirm') return this.#reshare.leave(coordinator, request)
    throw new NodeRefusal('SESSION', 'nothing was prepared in that session')
  }

  async #abandon(coordinator: string, session: Uint8Array): Promise<NodeAnswer> {
    this.#keygen.abandon(coordinator, session)
    this.#reshare.abandon(coordinator, session)
    await this.#keys.abandon(coordinator, hex(session))
    return { kind: 'done' }
  }

  #state(coordinator: string): NodeAnswer {
    const { clock, version } = this.#options
    const { length, head } = this.#log.state
    const held = this.#keys.all(coordinator)
    const active = held.filter(one => one === this.#keys.active(coordinator, one.id))
    const prepared = held.filter(({ state }) => state === 'prepared')
    return {
      kind: 'state',
      version,
      clockUnix: clock.now(),
      auditLength: length,
      auditHead: head,
      keys: active.map(({ id, parsed, index, record }) => ({ key: id, epoch: parsed.epoch, index, record })),
      prepared: prepared.map(({ session }) => new Uint8Array(Buffer.from(session, 'hex'))),
    }
  }

  #audit(from: number): NodeAnswer {
    const lines = [...this.#log.from(from, AUDIT_LINES_MAX)]
    return { kind: 'audit', records: lines.map(line => new TextEncoder().encode(line)) }
  }
}

function isHello(body: unknown): boolean {
  return readRequest(body)?.kind === 'hello'
}

function byName(parties: readonly PublicIdentity[]): ReadonlyMap<string, PublicIdentity> {
  return new Map(parties.map(party => [party.name, party]))
}
