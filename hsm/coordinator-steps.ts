/** Steps of a session, as the coordinator has them done: a request to each node, and an answer of the right kind from all.
 *  I1  A step that some node did not do names that node, and the member that it accuses. */

import { randomBytes } from 'node:crypto'
import { ConclaveError, type ErrorDetails } from '../base/index.ts'
import type { NodeAnswer, NodeRequest, SealedPart, SignedEcho } from './messages.ts'
import type { NodePeer } from './node-peer.ts'
import type { QuorumKey } from './quorum.ts'

export type Failure = (what: string, details: ErrorDetails) => ConclaveError

export const keygenFailed: Failure = (what, details) => new ConclaveError('KEYGEN_FAILED', what, details)
export const reshareFailed: Failure = (what, details) => new ConclaveError('RESHARE_FAILED', what, details)

export type AnswerOf<K extends NodeAnswer['kind']> = Extract<NodeAnswer, { kind: K }>

/** A step that some node did not do. */
export class StepFailed extends Error {
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

export const TRIES_MAX = 3
/** Work of a step, in messages: proofs and checks grow with the square of the members. */
export const STEP_UNITS = 50
const SESSION_OCTETS = 32

/** Runs the steps again under another session when a node failed one (I2). */
export async function tries<T>(
  failure: Failure,
  once: () => Promise<T>,
  triesMax: number = TRIES_MAX,
): Promise<T> {
  for (let count = 1; ; count++) {
    try {
      return await once()
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error
      if (count < triesMax) continue
      const place = error.node === '' ? {} : { place: { node: error.node } }
      throw failure(error.message, { ...place, cause: error })
    }
  }
}

/** The answers of all, when each is of that kind.
 *  @throws StepFailed naming the first that is not */
export async function askAll<K extends NodeAnswer['kind']>(
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
export async function askEchoes(
  peers: readonly NodePeer[],
  request: (at: number) => NodeRequest,
): Promise<SignedEcho[]> {
  const echoes = (await askAll(peers, request, 'echo')).map(({ echo }) => echo)
  const [first] = echoes
  const other = echoes.findIndex(({ echo }) => Buffer.compare(echo, first!.echo) !== 0)
  if (other >= 0) {
    const names = `${peers[0]!.name} and ${peers[other]!.name}`
    throw new StepFailed(peers[other]!.name, 'ECHO', `${names} were told different things, or one says so`)
  }
  return echoes
}

export function short(what: string, missing: readonly string[]): ConclaveError {
  return new ConclaveError('QUORUM_SHORT', `${what}; missing: ${missing.join(', ')}`, {
    remedy: 'Start the nodes that are missing; `conclave hsm status` shows them.',
  })
}

export function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString('hex')
}

export function newSession(): Uint8Array {
  return new Uint8Array(randomBytes(SESSION_OCTETS))
}

export function partsTo(parts: readonly SealedPart[], index: number): SealedPart[] {
  return parts.filter(({ to }) => to === index)
}

/** @throws ConclaveError KEY_UNKNOWN */
export function known(
  context: { readonly key: (id: string) => QuorumKey | undefined },
  id: string,
): QuorumKey {
  const key = context.key(id)
  if (key !== undefined) return key
  throw new ConclaveError('KEY_UNKNOWN', 'the quorum has no such key', { place: { key: id } })
}

/** @throws ConclaveError QUORUM_SHORT */
export function allUp(all: ReadonlyMap<string, NodePeer>, names: readonly string[], why: string): NodePeer[] {
  const peers = names.map(name => all.get(name))
  const missing = names.filter((_, at) => peers[at]?.isUp !== true)
  if (missing.length > 0) throw short(`all of ${names.length} nodes must ${why}`, missing)
  return peers as NodePeer[]
}

export function isRefusal(answer: NodeAnswer, code: string): boolean {
  return answer.kind === 'refused' && answer.code === code
}
