/** Sessions as the coordinator drives them: keys made and shared anew by the nodes among themselves, dealt or erased.
 *
 *    keygen    round 1 of all ─▶ parts ─▶ echoes, all alike ─▶ kept ─▶ confirmed by all
 *    reshare   dealings of k holders ─▶ parts ─▶ echoes of the new members, all alike ─▶ kept ─▶ confirmed by all, leavers too
 *
 *  I1  What all members echoed alike is kept durably before the first confirmation is sent: from then on the session ends in
 *      one way, and a node that misses its confirmation gets it when it is up again, also after a restart of ours.
 *  I2  A session that comes to nothing before is abandoned at all nodes and begun again under another name, a few times.
 *  I3  A node that accuses another is not believed more than the other: both are named. */

import { randomBytes } from 'node:crypto'
import { type Clock, ConclaveError, type ErrorDetails } from '../base/index.ts'
import type { Confirmation, Memory } from './coordinator-memory.ts'
import { FROST_SUITES } from './edwards.ts'
import type { KeyEpoch, NodeAnswer, NodeRequest, SealedPart, SignedEcho } from './messages.ts'
import type { NodePeer } from './node-peer.ts'
import type { DealtKey, KeygenSpec, QuorumEvent, QuorumKey, ReshareSpec } from './quorum.ts'
import { checkQuorumSize } from './quorum-size.ts'

export interface SessionsContext {
  readonly peers: ReadonlyMap<string, NodePeer>
  readonly threshold: number
  readonly clock: Clock
  readonly memory: Memory
  readonly key: (id: string) => QuorumKey | undefined
  /** Has the nodes show their keys anew. */
  readonly look: (peers: readonly NodePeer[]) => Promise<void>
  readonly forget: (id: string) => Promise<void>
  readonly report: (event: QuorumEvent) => void
}

type Failure = (what: string, details: ErrorDetails) => ConclaveError

const keygenFailed: Failure = (what, details) => new ConclaveError('KEYGEN_FAILED', what, details)
const reshareFailed: Failure = (what, details) => new ConclaveError('RESHARE_FAILED', what, details)

type AnswerOf<K extends NodeAnswer['kind']> = Extract<NodeAnswer, { kind: K }>

/** A step that some node did not do. */
class StepFailed extends Error {
  readonly node: string
  readonly code: string
  /** Index of the member that the node accuses. */
  readonly culprit: number | undefined

  constructor(node: string, code: string, what: string, culprit?: number) {
    super(what)
    this.node = node
    this.code = code
    this.culprit = culprit
  }
}

const TRIES_MAX = 3
const SESSION_OCTETS = 32
/** Work of a step, in messages: proofs and checks grow with the square of the members. */
const STEP_UNITS = 50
/** How long is waited for confirmations by default; others come later (I1). */
const CONFIRM_SECONDS = 60
const CONFIRM_PAUSE_SECONDS = 1
/** A key tag is taken by chance once in thousands of times; the caller's say has an end. */
const ACCEPT_TRIES_MAX = 32

export class QuorumSessions {
  readonly #context: SessionsContext
  readonly #confirming = new Map<Confirmation, Promise<void>>()
  readonly #made = new Map<Confirmation, KeyEpoch[]>()

  constructor(context: SessionsContext) {
    this.#context = context
  }

  async keygen(spec: KeygenSpec): Promise<QuorumKey> {
    const { algorithm, members = [...this.#context.peers.keys()], threshold = this.#context.threshold } = spec
    if (algorithm !== 15 && algorithm !== 16) {
      throw new ConclaveError('KEY_NEEDS_DEALER', 'nodes cannot make an RSA key among themselves', {
        place: { zone: spec.zone },
        remedy: 'Deal one with `conclave hsm keygen`, or take ed25519 or ed448.',
      })
    }
    checkQuorumSize({ threshold, nodes: members.length })
    const peers = this.#allUp(members, 'make a key')
    const confirmation = await this.#tries(keygenFailed, () =>
      this.#keygenOnce(spec, members, threshold, peers),
    )
    return this.#confirmed(confirmation, peers, threshold, spec.deadlineUnix, keygenFailed)
  }

  /** To the echoes (I2). */
  async #keygenOnce(
    { zone, role, algorithm, accepts }: KeygenSpec,
    members: readonly string[],
    threshold: number,
    peers: readonly NodePeer[],
  ): Promise<Confirmation> {
    for (let tries = 0; tries < ACCEPT_TRIES_MAX; tries++) {
      const session = newSession()
      const createdUnix = Math.floor(this.#context.clock.now())
      const begin: NodeRequest = {
        kind: 'keygen',
        session,
        zone,
        role,
        algorithm,
        createdUnix,
        members,
        threshold,
      }
      const echoes = await this.#abandoning(session, peers, async () => {
        const round1 = (await this.#all(peers, () => begin, 'round1')).map(answer => answer.round1)
        const publicKey = publicKeyOf(
          algorithm,
          round1.map(({ commitments }) => commitments[0]),
        )
        if (publicKey !== undefined && accepts?.(publicKey) === false) return undefined
        const parts = await this.#all(peers, () => ({ kind: 'keygen-parts', session, round1 }), 'parts')
        const all = parts.flatMap(answer => answer.parts)
        return this.#echoes(peers, at => ({ kind: 'keygen-finish', session, parts: partsTo(all, at + 1) }))
      })
      if (echoes !== undefined) return this.#keep('keygen', session, echoes, peers)
    }
    throw new StepFailed('', 'ACCEPT', `none of ${ACCEPT_TRIES_MAX} keys was accepted`)
  }

  async deal({ record, requests }: DealtKey): Promise<QuorumKey> {
    const peers = this.#allUp([...requests.keys()], 'be dealt shares')
    const dealt = await Promise.all(
      peers.map(async peer => {
        for (let tries = 0; tries < TRIES_MAX; tries++) {
          const asked = await peer.ask(requests.get(peer.name)!, 'session', STEP_UNITS)
          if (asked.kind === 'lost') continue
          // An answer that was lost makes the second request one too many.
          if (asked.answer.kind === 'active' || isRefusal(asked.answer, 'KEY_EXISTS')) return undefined
          return asked.answer.kind === 'refused' ? asked.answer.what : 'it gave another answer'
        }
        return 'it does not answer'
      }),
    )
    const at = dealt.findIndex(why => why !== undefined)
    if (at >= 0) {
      throw new ConclaveError('DEAL_FAILED', `a share was not taken: ${dealt[at]}`, {
        place: { node: peers[at]!.name },
      })
    }
    await this.#context.look(peers)
    const key = this.#keyWith(record)
    if (key !== undefined) return key
    throw new ConclaveError('DEAL_FAILED', 'the nodes do not show the key that was dealt')
  }

  #keyWith(record: Uint8Array): QuorumKey | undefined {
    for (const peer of this.#context.peers.values()) {
      const held = peer.state?.keys.find(one => Buffer.compare(one.record, record) === 0)
      const key = held === undefined ? undefined : this.#context.key(held.key)
      if (key !== undefined && Buffer.compare(key.octets, record) === 0) return key
    }
    return undefined
  }

  async refresh(id: string): Promise<QuorumKey> {
    const key = this.#known(id)
    const { members, scheme } = key.record
    return this.reshare({ key: id, members, threshold: scheme.key.threshold })
  }

  async reshare(spec: ReshareSpec): Promise<QuorumKey> {
    const { members, threshold } = spec
    const key = this.#known(spec.key)
    checkQuorumSize({ threshold, nodes: members.length })
    const receivers = this.#allUp(members, 'take new shares')
    const avoided = new Set<string>()
    const confirmation = await this.#tries(reshareFailed, () =>
      this.#reshareOnce(key, spec, receivers, avoided),
    )
    return this.#confirmed(confirmation, receivers, threshold, spec.deadlineUnix, reshareFailed)
  }

  async #reshareOnce(
    key: QuorumKey,
    { members, threshold }: ReshareSpec,
    receivers: readonly NodePeer[],
    avoided: Set<string>,
  ): Promise<Confirmation> {
    const session = newSession()
    const { holders, dealers } = this.#dealersOf(key, avoided)
    const begin: NodeRequest = {
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
    const echoes = await this.#abandoning(session, everybody, async () => {
      const others = everybody.filter(peer => !dealers.includes(peer))
      const [dealt] = await Promise.all([
        this.#all(dealers, () => begin, 'dealt'),
        this.#all(others, () => begin, 'done'),
      ])
      const dealings = dealt.map(({ dealing }) => dealing)
      const parts = dealt.flatMap(answer => answer.parts)
      try {
        return await this.#echoes(receivers, at => {
          return { kind: 'reshare-parts', session, dealings, parts: partsTo(parts, at + 1) }
        })
      } catch (error) {
        if (error instanceof StepFailed && error.culprit !== undefined) {
          avoided.add(key.record.members[error.culprit - 1] ?? '')
        }
        throw error
      }
    })
    return this.#keep('reshare', session, echoes, everybody)
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
    const willing = holders.filter(({ name }) => !avoided.has(name))
    if (willing.length < threshold) {
      const missing = key.record.members.filter(name => !willing.some(peer => peer.name === name))
      throw short(`${threshold} holders must deal`, missing)
    }
    const seconds = (peer: NodePeer): number => peer.expectedSeconds(`sign ${key.id}`, 1)
    return { holders, dealers: willing.sort((a, b) => seconds(a) - seconds(b)).slice(0, threshold) }
  }

  async erase(id: string): Promise<void> {
    const key = this.#known(id)
    const { members, epoch, scheme } = key.record
    const peers = members.flatMap(name => this.#context.peers.get(name) ?? [])
    const left = await Promise.all(
      peers.map(async peer => {
        const asked = await peer.ask({ kind: 'erase', key: id, epoch }, 'session', STEP_UNITS)
        if (asked.kind === 'lost') return `${peer.name} (${asked.why})`
        if (asked.answer.kind === 'done' || isRefusal(asked.answer, 'KEY_UNKNOWN')) return undefined
        return `${peer.name} (${asked.answer.kind === 'refused' ? asked.answer.what : 'another answer'})`
      }),
    )
    // Fewer shares than suffice are worth nothing.
    const kept = left.filter(why => why !== undefined)
    if (members.length - peers.length + kept.length >= scheme.key.threshold) {
      throw new ConclaveError('ERASE_REFUSED', `shares are still there: ${kept.join(', ')}`, {
        place: { key: id },
        remedy: 'Allow `erase` in the policy of the nodes, and see that they are up.',
      })
    }
    await this.#context.look(peers.filter(peer => peer.isUp))
    await this.#context.forget(id)
  }

  /** A node is up: what it has not confirmed yet, it is asked to (I1). */
  cameUp(peer: NodePeer): void {
    for (const confirmation of this.#context.memory.confirmations) {
      if (!confirmation.nodes.includes(peer.name)) continue
      void this.#confirm(confirmation).then(() => this.#context.look(peer.isUp ? [peer] : []))
    }
  }

  /** Runs the steps again under another session when a node failed one (I2). */
  async #tries(failure: Failure, once: () => Promise<Confirmation>): Promise<Confirmation> {
    for (let tries = 1; ; tries++) {
      try {
        return await once()
      } catch (error) {
        if (!(error instanceof StepFailed)) throw error
        if (tries < TRIES_MAX) continue
        const place = error.node === '' ? {} : { place: { node: error.node } }
        throw failure(error.message, { ...place, cause: error })
      }
    }
  }

  async #abandoning<T>(session: Uint8Array, peers: readonly NodePeer[], work: () => Promise<T>): Promise<T> {
    let result: T | undefined
    try {
      result = await work()
      return result
    } finally {
      if (result === undefined) {
        for (const peer of peers) void peer.ask({ kind: 'abandon', session }, 'session', STEP_UNITS)
      }
    }
  }

  /** The answers of all, when each is of that kind.
   *  @throws StepFailed naming the first that is not */
  async #all<K extends NodeAnswer['kind']>(
    peers: readonly NodePeer[],
    request: (at: number) => NodeRequest,
    kind: K,
  ): Promise<AnswerOf<K>[]> {
    const answers = await Promise.all(
      peers.map((peer, at) => peer.ask(request(at), 'session', STEP_UNITS * peers.length)),
    )
    return answers.map((asked, at) => {
      const { name } = peers[at]!
      if (asked.kind === 'lost') throw new StepFailed(name, 'LOST', `${name}: ${asked.why}`)
      const { answer } = asked
      if (answer.kind === 'refused') {
        throw new StepFailed(name, answer.code, `${name} refuses: ${answer.what}`, answer.culprit)
      }
      if (answer.kind !== kind) throw new StepFailed(name, 'ANSWER', `${name} gave another answer`)
      return answer as AnswerOf<K>
    })
  }

  /** The echoes of all members, when all say the same. */
  async #echoes(peers: readonly NodePeer[], request: (at: number) => NodeRequest): Promise<SignedEcho[]> {
    const echoes = (await this.#all(peers, request, 'echo')).map(({ echo }) => echo)
    const [first] = echoes
    const other = echoes.findIndex(({ echo }) => Buffer.compare(echo, first!.echo) !== 0)
    if (other >= 0) {
      const names = `${peers[0]!.name} and ${peers[other]!.name}`
      throw new StepFailed(peers[other]!.name, 'ECHO', `${names} were told different things, or one says so`)
    }
    return echoes
  }

  /** I1. */
  async #keep(
    what: Confirmation['what'],
    session: Uint8Array,
    echoes: readonly SignedEcho[],
    peers: readonly NodePeer[],
  ): Promise<Confirmation> {
    const confirmation: Confirmation = { what, session, echoes, nodes: peers.map(({ name }) => name) }
    const { memory } = this.#context
    memory.confirmations.push(confirmation)
    await memory.save()
    return confirmation
  }

  /** Until all have confirmed, or time is up and enough have. */
  async #confirmed(
    confirmation: Confirmation,
    receivers: readonly NodePeer[],
    threshold: number,
    deadlineUnix: number = this.#context.clock.now() + CONFIRM_SECONDS,
    failure: Failure,
  ): Promise<QuorumKey> {
    const { clock } = this.#context
    for (;;) {
      await this.#confirm(confirmation)
      if (confirmation.nodes.length === 0 || clock.now() >= deadlineUnix) break
      await new Promise<void>(resolve => clock.after(CONFIRM_PAUSE_SECONDS, resolve))
    }
    await this.#context.look(receivers.filter(peer => peer.isUp))
    const made = mostNamed(this.#made.get(confirmation) ?? [])
    this.#made.delete(confirmation)
    const key = made === undefined ? undefined : this.#context.key(made.key)
    if (key !== undefined && key.record.epoch === made!.epoch && key.holders.length >= threshold) return key
    throw failure(`not confirmed by ${confirmation.nodes.join(', ')}`, {
      remedy:
        'Start those nodes: the coordinator goes on asking them while it runs, and when it is started again.',
    })
  }

  /** Asks each node once that has not confirmed. */
  #confirm(confirmation: Confirmation): Promise<void> {
    const running = this.#confirming.get(confirmation)
    if (running !== undefined) return running
    const work = this.#confirmOnce(confirmation).finally(() => this.#confirming.delete(confirmation))
    this.#confirming.set(confirmation, work)
    return work
  }

  async #confirmOnce(confirmation: Confirmation): Promise<void> {
    const { what, session, echoes, nodes } = confirmation
    const request: NodeRequest = { kind: `${what}-confirm`, session, echoes }
    const left = await Promise.all(
      nodes.map(async name => {
        const peer = this.#context.peers.get(name)
        const asked = await peer?.ask(request, 'session', STEP_UNITS)
        if (asked === undefined || asked.kind === 'lost') return [name]
        this.#tookConfirm(confirmation, name, asked.answer)
        return []
      }),
    )
    confirmation.nodes = left.flat()
    const { memory, report } = this.#context
    if (confirmation.nodes.length === 0) {
      memory.confirmations = memory.confirmations.filter(one => one !== confirmation)
    }
    await memory.save().catch((error: unknown) => {
      report({ kind: 'failure', what: 'a confirmation could not be saved', error })
    })
  }

  #tookConfirm(confirmation: Confirmation, name: string, answer: NodeAnswer): void {
    if (answer.kind === 'active') {
      const { key, epoch } = answer
      this.#made.set(confirmation, [...(this.#made.get(confirmation) ?? []), { key, epoch }])
    } else if (answer.kind !== 'done') {
      const what = answer.kind === 'refused' ? answer.what : 'it gave another answer'
      const error = new ConclaveError('CONFIRM_REFUSED', what, { place: { node: name } })
      this.#context.report({ kind: 'failure', what: `${confirmation.what} was not confirmed`, error })
    }
  }

  #known(id: string): QuorumKey {
    const key = this.#context.key(id)
    if (key !== undefined) return key
    throw new ConclaveError('KEY_UNKNOWN', 'the quorum has no such key', { place: { key: id } })
  }

  #allUp(names: readonly string[], why: string): NodePeer[] {
    const peers = names.map(name => this.#context.peers.get(name))
    const missing = names.filter((_, at) => peers[at]?.isUp !== true)
    if (missing.length > 0) throw short(`all of ${names.length} nodes must ${why}`, missing)
    return peers as NodePeer[]
  }
}

function short(what: string, missing: readonly string[]): ConclaveError {
  return new ConclaveError('QUORUM_SHORT', `${what}; missing: ${missing.join(', ')}`, {
    remedy: 'Start the nodes that are missing; `conclave hsm status` shows them.',
  })
}

function newSession(): Uint8Array {
  return new Uint8Array(randomBytes(SESSION_OCTETS))
}

function partsTo(parts: readonly SealedPart[], index: number): SealedPart[] {
  return parts.filter(({ to }) => to === index)
}

function isRefusal(answer: NodeAnswer, code: string): boolean {
  return answer.kind === 'refused' && answer.code === code
}

function mostNamed(named: readonly KeyEpoch[]): KeyEpoch | undefined {
  const count = (one: KeyEpoch): number =>
    named.filter(({ key, epoch }) => key === one.key && epoch === one.epoch).length
  return [...named].sort((a, b) => count(b) - count(a))[0]
}

/** The public key that will come of these first commitments: their sum (frost-keygen.ts). */
function publicKeyOf(
  algorithm: number,
  commitments: readonly (Uint8Array | undefined)[],
): Uint8Array | undefined {
  const suite = FROST_SUITES[algorithm === 15 ? 'ed25519' : 'ed448']
  const points = commitments.map(octets => (octets === undefined ? undefined : suite.decode(octets)))
  if (points.includes(undefined)) return undefined
  return points.reduce((sum, point) => sum!.add(point!), suite.zero)!.toBytes()
}
