/** Keys made, dealt and used by share nodes in one process, step by step, as a coordinator would. */

import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto'
import { FrostQuorum } from '../../hsm/frost.ts'
import { sealTo } from '../../hsm/identity.ts'
import { integerOf, octetsOf, signedOctets } from '../../hsm/integers.ts'
import { decodeKeyRecord, encodeKeyRecord, type QuorumKeyRecord, quorumKeyId } from '../../hsm/key-record.ts'
import type {
  Approval,
  NodeRequest,
  NumberedCommitment,
  ReshareOutcome,
  SealedPart,
  SignedDealing,
  SignedEcho,
  SignedPledge,
  SignedRound1,
  SignResult,
} from '../../hsm/messages.ts'
import { dealContext } from '../../hsm/node-keygen.ts'
import { dnskeyOf, keyTagOf } from '../../hsm/node-keys.ts'
import { outcomeOf, reshareWork } from '../../hsm/reshare-outcome.ts'
import { pkcs1Block, RsaQuorum } from '../../hsm/rsa.ts'
import { shareSafePrimes } from '../../hsm/rsa-deal.ts'
import type { ToSign } from '../../hsm/to-be-signed.ts'
import { canonicalName, type Name, nameFromText, rdataFromText, TYPE } from '../../zones/index.ts'
import { NOW, type TestNode, type TestQuorum } from './nodes.ts'
import { SAFE_PRIMES_1024 } from './safe-primes.ts'

export interface MadeKey {
  readonly id: string
  readonly record: QuorumKeyRecord
  readonly octets: Uint8Array
}

export const session = (): Uint8Array => new Uint8Array(randomBytes(32))

export interface KeygenChange {
  readonly role?: 'csk' | 'ksk'
  readonly members?: readonly string[]
}

/** Drives key generation through all nodes. */
export async function keygen(
  quorum: TestQuorum,
  threshold: number,
  change: KeygenChange = {},
): Promise<MadeKey> {
  const confirm = await keygenToEchoes(quorum, threshold, change)
  for (const name of change.members ?? quorum.members)
    await quorum.expect(quorum.named(name), confirm, 'active')
  return heldKey(quorum)
}

/** How far a key is brought. */
export interface KeygenShown {
  readonly session: Uint8Array
  readonly nodes: readonly TestNode[]
  readonly pledges: readonly SignedPledge[]
  readonly round1: readonly SignedRound1[]
}

export type KeygenBegin = Extract<NodeRequest, { kind: 'keygen' }>

export function keygenBegin(
  quorum: TestQuorum,
  threshold: number,
  { role = 'csk', members = quorum.members }: KeygenChange = {},
): KeygenBegin {
  const common = { kind: 'keygen', session: session(), zone: 'example.', algorithm: 15 } as const
  return { ...common, role, createdUnix: NOW, members, threshold }
}

/** To round 1 of all. */
export async function keygenToRound1(quorum: TestQuorum, begin: KeygenBegin): Promise<KeygenShown> {
  const { session, members } = begin
  const nodes = members.map(one => quorum.named(one))
  const pledges: SignedPledge[] = []
  for (const node of nodes) pledges.push((await quorum.expect(node, begin, 'pledge')).pledge)
  const reveal: NodeRequest = { kind: 'keygen-reveal', session, pledges }
  const round1: SignedRound1[] = []
  for (const node of nodes) round1.push((await quorum.expect(node, reveal, 'round1')).round1)
  return { session, nodes, pledges, round1 }
}

/** What all nodes are to be told then. */
export async function keygenToEchoes(
  quorum: TestQuorum,
  threshold: number,
  change: KeygenChange = {},
): Promise<NodeRequest> {
  const begin = keygenBegin(quorum, threshold, change)
  const { session: name, nodes, round1 } = await keygenToRound1(quorum, begin)
  const parts = []
  for (const node of nodes) {
    parts.push(...(await quorum.expect(node, { kind: 'keygen-parts', session: name, round1 }, 'parts')).parts)
  }
  const echoes = []
  for (const node of nodes) {
    echoes.push((await quorum.expect(node, { kind: 'keygen-finish', session: name, parts }, 'echo')).echo)
  }
  return { kind: 'keygen-confirm', session: name, echoes }
}

export async function heldKey(quorum: TestQuorum, node: TestNode = quorum.nodes[0]!): Promise<MadeKey> {
  const state = await quorum.expect(node, { kind: 'hello' }, 'state')
  const held = state.keys.at(-1)!
  return { id: held.key, record: decodeKeyRecord(held.record)!, octets: held.record }
}

export async function deal(
  quorum: TestQuorum,
  threshold: number,
  members: readonly string[] = quorum.members,
): Promise<MadeKey> {
  const { key, shares } = shareSafePrimes(...SAFE_PRIMES_1024, { threshold, nodes: members.length })
  const record: QuorumKeyRecord = {
    zone: 'example.',
    role: 'csk',
    algorithm: 8,
    createdUnix: NOW,
    epoch: 1,
    members,
    scheme: { kind: 'rsa', key },
  }
  const octets = encodeKeyRecord(record)
  for (const [at, name] of members.entries()) {
    const node = quorum.named(name)
    const share = sealTo(
      quorum.dealer,
      node.identity.publicIdentity,
      dealContext(octets),
      signedOctets(shares[at]!.value),
    )
    await quorum.expect(node, { kind: 'deal', record: octets, share, dealer: 'dealer' }, 'active')
  }
  return { id: quorumKeyId(record), record, octets }
}

export function toSign({ record }: MadeKey, change: Partial<ToSign> = {}): ToSign {
  const zone = canonicalName(nameFromText('example.'))
  return {
    type: TYPE.A,
    algorithm: record.algorithm,
    ttl: 300,
    expirationUnix: NOW + 86_400,
    inceptionUnix: NOW - 3600,
    keyTag: keyTagOf(dnskeyOf(record)),
    signer: zone,
    owner: canonicalName(nameFromText('www', zone)),
    rdata: [rdataFromText(TYPE.A, '192.0.2.1', zone)],
    ...change,
  }
}

export function publicKeyOf({ scheme }: QuorumKeyRecord): KeyObject {
  const text = (octets: Uint8Array): string => Buffer.from(octets).toString('base64url')
  const jwk =
    scheme.kind === 'frost'
      ? { kty: 'OKP', crv: 'Ed25519', x: text(scheme.key.publicKey) }
      : { kty: 'RSA', n: text(octetsOf(scheme.key.modulus)), e: text(octetsOf(scheme.key.publicExponent)) }
  return createPublicKey({ key: jwk, format: 'jwk' })
}

/** Has nodes of that index sign a message; the signature is combined here. */
export async function signBy(
  quorum: TestQuorum,
  made: MadeKey,
  set: readonly number[],
  message: Uint8Array,
): Promise<Uint8Array | undefined> {
  const { id: key, record } = made
  const nodes = set.map(index => quorum.named(record.members[index - 1]!))
  const request = { kind: 'sign', key, epoch: record.epoch, messages: [message], approvals: [] } as const
  const shares = []
  if (record.scheme.kind === 'rsa') {
    const rsa = new RsaQuorum(record.scheme.key)
    for (const [at, node] of nodes.entries()) {
      const [result] = (await quorum.expect(node, request, 'shares')).results
      shares.push({ index: set[at]!, value: integerOf(shareOf(result)) })
    }
    return rsa.combine(pkcs1Block('sha256', message, rsa.octets), shares)
  }
  const commitments = await commitmentsOf(quorum, made, set)
  for (const [at, node] of nodes.entries()) {
    const [result] = (await quorum.expect(node, { ...request, sets: [commitments] }, 'shares')).results
    shares.push({ index: set[at]!, value: shareOf(result) })
  }
  return new FrostQuorum(record.scheme.key).combine(commitments, shares, message)
}

export async function commitmentsOf(
  quorum: TestQuorum,
  { id: key, record }: MadeKey,
  set: readonly number[],
): Promise<NumberedCommitment[]> {
  const commitments: NumberedCommitment[] = []
  for (const index of set) {
    const node = quorum.named(record.members[index - 1]!)
    const request = { kind: 'commit', key, epoch: record.epoch, count: 1 } as const
    commitments.push(...(await quorum.expect(node, request, 'commitments')).commitments)
  }
  return commitments
}

export function shareOf(result: SignResult | undefined): Uint8Array {
  if (result?.kind !== 'share') throw new Error(JSON.stringify(result))
  return result.share
}

/** What becomes of one message, at node 1. */
export async function outcome(
  quorum: TestQuorum,
  made: MadeKey,
  message: Uint8Array,
  approvals: readonly Approval[] = [],
): Promise<SignResult> {
  const request = { kind: 'sign', key: made.id, epoch: 1, messages: [message], approvals } as const
  return (await quorum.expect(quorum.nodes[0]!, request, 'shares')).results[0]!
}

export const zone: Name = canonicalName(nameFromText('example.'))

/** How far new shares of a key are brought. */
export interface Reshared {
  readonly session: Uint8Array
  readonly echoes: readonly SignedEcho[]
  readonly outcome: ReshareOutcome
}

export interface ReshareChange {
  readonly set: readonly number[]
  readonly members: readonly string[]
  readonly threshold?: number
  /** Nodes that take no notice. */
  readonly away?: readonly string[]
  readonly session?: Uint8Array
}

/** To the echoes of all new members. */
export async function reshareToEchoes(
  quorum: TestQuorum,
  { id: key, record, octets }: MadeKey,
  { set, members, threshold = 2, away = [], session: name = session() }: ReshareChange,
): Promise<Reshared> {
  const { epoch } = record
  const begin: NodeRequest = {
    kind: 'reshare',
    session: name,
    key,
    epoch,
    record: octets,
    set,
    members,
    threshold,
  }
  const dealings: SignedDealing[] = []
  const parts: SealedPart[] = []
  for (const node of quorum.nodes) {
    if (away.includes(node.identity.publicIdentity.name)) continue
    const answer = await quorum.ask(node, begin)
    if (answer.kind === 'dealt') {
      dealings.push(answer.dealing)
      parts.push(...answer.parts)
    } else if (answer.kind !== 'done') throw new Error(JSON.stringify(answer))
  }
  const echoes = []
  for (const member of members) {
    const request: NodeRequest = { kind: 'reshare-parts', session: name, dealings, parts }
    echoes.push((await quorum.expect(quorum.named(member), request, 'echo')).echo)
  }
  const work = reshareWork(record, set, { threshold, nodes: members.length })
  return { session: name, echoes, outcome: outcomeOf(record, work, members, dealings) }
}

export function confirmation({ session: name, echoes, outcome: made }: Reshared): NodeRequest {
  return { kind: 'reshare-confirm', session: name, echoes, outcome: made }
}
