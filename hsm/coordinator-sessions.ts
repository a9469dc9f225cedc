/** Sessions as the coordinator drives them: keys made by the nodes among themselves, dealt, shared anew or erased.
 *
 *    keygen    pledges of all ─▶ round 1 of all ─▶ parts ─▶ echoes, all alike ─▶ kept ─▶ confirmed by all (coordinator-confirm.ts)
 *    reshare   coordinator-reshare.ts
 *
 *  I1  A session that comes to nothing is begun again under another name, a few times (coordinator-steps.ts). */

import { type Clock, ConclaveError } from '../base/index.ts'
import { SessionEnds } from './coordinator-confirm.ts'
import type { Confirmation, Memory } from './coordinator-memory.ts'
import { ReshareSessions } from './coordinator-reshare.ts'
import {
  allUp,
  askAll,
  askEchoes,
  isRefusal,
  keygenFailed,
  known,
  newSession,
  partsTo,
  STEP_UNITS,
  StepFailed,
  TRIES_MAX,
  tries,
} from './coordinator-steps.ts'
import { FROST_SUITES } from './edwards.ts'
import type { NodeRequest } from './messages.ts'
import type { NodePeer } from './node-peer.ts'
import type { DealtKey, KeygenSpec, QuorumEvent, QuorumKey, ReshareSpec } from './quorum.ts'
import { checkQuorumSize } from './quorum-size.ts'

export interface SessionsContext {
  readonly peers: ReadonlyMap<string, NodePeer>
  readonly threshold: () => number
  readonly clock: Clock
  readonly memory: Memory
  readonly key: (id: string) => QuorumKey | undefined
  /** Has the nodes show their keys anew. */
  readonly look: (peers: readonly NodePeer[]) => Promise<void>
  readonly forget: (id: string) => Promise<void>
  readonly report: (event: QuorumEvent) => void
}

/** A key tag is taken by chance once in thousands of times; the caller's say has an end. */
const ACCEPT_TRIES_MAX = 32

export class QuorumSessions {
  readonly #context: SessionsContext
  readonly #ends: SessionEnds
  readonly #reshares: ReshareSessions

  constructor(context: SessionsContext) {
    this.#context = context
    this.#ends = new SessionEnds(context)
    this.#reshares = new ReshareSessions(context, this.#ends)
  }

  async keygen(spec: KeygenSpec): Promise<QuorumKey> {
    const {
      algorithm,
      members = [...this.#context.peers.keys()],
      threshold = this.#context.threshold(),
    } = spec
    if (algorithm !== 15 && algorithm !== 16) {
      throw new ConclaveError('KEY_NEEDS_DEALER', 'nodes cannot make an RSA key among themselves', {
        place: { zone: spec.zone },
        remedy: 'Deal one with `conclave hsm keygen`, or take ed25519 or ed448.',
      })
    }
    checkQuorumSize({ threshold, nodes: members.length })
    const peers = allUp(this.#context.peers, members, 'make a key')
    const confirmation = await tries(keygenFailed, () => this.#keygenOnce(spec, members, threshold, peers))
    return this.#ends.confirmed(confirmation, peers, threshold, spec.deadlineUnix, keygenFailed)
  }

  /** To the echoes. */
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
      const echoes = await this.#ends.abandoning(session, peers, async () => {
        const pledged = await askAll(peers, () => begin, 'pledge')
        const pledges = bySender(
          peers,
          pledged.map(answer => answer.pledge),
        )
        const shown = await askAll(peers, () => ({ kind: 'keygen-reveal', session, pledges }), 'round1')
        const round1 = bySender(
          peers,
          shown.map(answer => answer.round1),
        )
        const publicKey = publicKeyOf(
          algorithm,
          round1.map(({ commitments }) => commitments[0]),
        )
        if (publicKey !== undefined && accepts?.(publicKey) === false) return undefined
        const parts = await askAll(peers, () => ({ kind: 'keygen-parts', session, round1 }), 'parts')
        const all = parts.flatMap(answer => answer.parts)
        return askEchoes(peers, at => ({ kind: 'keygen-finish', session, parts: partsTo(all, at + 1) }))
      })
      if (echoes !== undefined) return this.#ends.keep({ what: 'keygen', session, echoes, nodes: members })
    }
    throw new StepFailed('', 'ACCEPT', `none of ${ACCEPT_TRIES_MAX} keys was accepted`)
  }

  async deal({ record, requests }: DealtKey): Promise<QuorumKey> {
    const peers = allUp(this.#context.peers, [...requests.keys()], 'be dealt shares')
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

  refresh(id: string): Promise<QuorumKey> {
    return this.#reshares.refresh(id)
  }

  reshare(spec: ReshareSpec): Promise<QuorumKey> {
    return this.#reshares.reshare(spec)
  }

  async erase(id: string): Promise<void> {
    const key = known(this.#context, id)
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

  /** A node is up. */
  cameUp(peer: NodePeer): void {
    this.#ends.cameUp(peer)
  }
}

/** What each node says, when it says it for itself: others would be accused of it.
 *  @throws StepFailed */
function bySender<T extends { readonly index: number }>(
  peers: readonly NodePeer[],
  said: readonly T[],
): readonly T[] {
  const at = said.findIndex(({ index }, at) => index !== at + 1)
  if (at < 0) return said
  const { name } = peers[at]!
  throw new StepFailed(name, 'ANSWER', `${name} speaks for another`)
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
