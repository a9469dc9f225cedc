/** Sees everything that passes in a world, and holds it against the rules:
 *
 *  S1  A nonce goes into one share, ever.                              S2  No share and no secret passes in the clear.
 *  S3  What is signed is right, and something the rules allow.         S4  Only liars are blamed.
 *  S5  Active shares fit their record, and no two nodes that are honest hold different records of one epoch.
 *  S6  What is active at an honest node was prepared alike by each honest member of its record.
 *  S7  Who is honest shows its round 1 once, when it was shown pledges of all members, those of honest ones as they gave them. */

import { type KeyObject, verify } from 'node:crypto'
import { FROST_SUITES, scalarOctets } from '../../../hsm/edwards.ts'
import { octetsOf } from '../../../hsm/integers.ts'
import { decodeKeyRecord, type QuorumKeyRecord, quorumKeyId } from '../../../hsm/key-record.ts'
import type { NodeAnswer, NodeRequest } from '../../../hsm/messages.ts'
import { Modulus } from '../../../hsm/modulus.ts'
import type { MessageOutcome, QuorumKey } from '../../../hsm/quorum.ts'
import { publicKeyOf } from '../quorum-support.ts'
import type { SimulatedNode, World } from './world.ts'

export class Witness {
  readonly faults: string[] = []
  /** Signatures that were seen, and outcomes by kind. */
  readonly counts: Map<string, number> = new Map()
  readonly #world: World
  readonly #spent = new Map<string, string>()
  /** Messages that no rule allows. */
  readonly forbidden: Set<string> = new Set()
  #secrets: { readonly of: string; readonly octets: Uint8Array }[] = []
  #savesSeen = -1
  /** What honest nodes have pledged, and among whom, by node and session. */
  readonly #pledged = new Map<string, { readonly members: readonly string[]; readonly texts: Set<string> }>()
  readonly #shown = new Set<string>()

  constructor(world: World) {
    this.#world = world
  }

  /** S2. */
  passes(octets: Uint8Array): void {
    this.#learnSecrets()
    const text = Buffer.from(octets)
    for (const secret of this.#secrets) {
      if (text.includes(Buffer.from(secret.octets)))
        this.faults.push(`a share of ${secret.of} passed in the clear`)
    }
  }

  #learnSecrets(): void {
    const seen = this.#world.nodes.reduce((sum, { disk }) => sum + disk.saves, 0)
    if (seen === this.#savesSeen) return
    this.#savesSeen = seen
    const shares = this.#world.nodes.flatMap(({ disk }) => disk.load())
    const known = this.#secrets
    this.#secrets = shares.flatMap(({ share, index, record }) => {
      const { scheme } = recordOf(record)
      const magnitude = octetsOf(share < 0n ? -share : share)
      const of = `member ${index}`
      const plain = { of, octets: magnitude }
      if (scheme.kind === 'rsa') return [plain]
      return [plain, { of, octets: scalarOctets(FROST_SUITES[scheme.key.suite], share) }]
    })
    // Those of before stay secrets.
    this.#secrets.push(...known)
  }

  /** An honest node's answer. */
  answered(node: SimulatedNode, request: NodeRequest | undefined, answer: NodeAnswer): void {
    this.#signed(node, request, answer)
    if (request?.kind === 'keygen' && answer.kind === 'pledge') {
      const name = sessionName(node.name, request)
      const { texts } = this.#pledged.get(name) ?? { texts: new Set() }
      texts.add(hex(answer.pledge.pledge))
      this.#pledged.set(name, { members: request.members, texts })
    }
    if (request?.kind === 'keygen-reveal' && answer.kind === 'round1') this.#revealed(node, request)
  }

  /** S7. */
  #revealed(node: SimulatedNode, request: Extract<NodeRequest, { kind: 'keygen-reveal' }>): void {
    const { members } = this.#pledged.get(sessionName(node.name, request))!
    for (const [at, member] of members.entries()) {
      const own = request.pledges.filter(({ index }) => index === at + 1)
      const known = this.#pledged.get(sessionName(member, request))?.texts
      const isGiven =
        !this.#world.named(member).isHonest || known?.has(hex(own[0]?.pledge ?? new Uint8Array()))
      if (own.length !== 1 || !isGiven) this.faults.push(`${node.name} has shown its round 1 too early`)
      if (member !== node.name) continue
      const name = `${sessionName(node.name, request)} ${hex(own[0]!.pledge)}`
      if (this.#shown.has(name)) this.faults.push(`${node.name} has shown its round 1 twice`)
      this.#shown.add(name)
    }
  }

  /** S1. */
  #signed(node: SimulatedNode, request: NodeRequest | undefined, answer: NodeAnswer): void {
    if (answer.kind !== 'shares' || request?.kind !== 'sign' || request.sets === undefined) return
    for (const [at, result] of answer.results.entries()) {
      if (result.kind !== 'share') continue
      const own = request.sets[at]!.map(({ hiding }) => Buffer.from(hiding).toString('hex'))
      const share = Buffer.from(result.share).toString('hex')
      // Which of the commitments is the node's own is not believed of the request: each may be, once a node.
      const index = request.sets[at]!.findIndex(one => this.#isOwn(node, request.key, one.index))
      const name = `${node.name} ${own[index]}`
      const before = this.#spent.get(name)
      if (before !== undefined && before !== share) this.faults.push(`${node.name} has used a nonce twice`)
      this.#spent.set(name, share)
      if (this.forbidden.has(Buffer.from(request.messages[at]!).toString('hex'))) {
        this.faults.push(`${node.name} has signed what its rules forbid`)
      }
    }
  }

  #isOwn(node: SimulatedNode, key: string, index: number): boolean {
    return node.disk.load().some(share => {
      return share.index === index && quorumKeyId(recordOf(share.record)) === key
    })
  }

  /** S3. */
  outcomes(key: QuorumKey, messages: readonly Uint8Array[], outcomes: readonly MessageOutcome[]): void {
    if (outcomes.length !== messages.length) this.faults.push('a message has no outcome')
    for (const [at, outcome] of outcomes.entries()) {
      this.counts.set(outcome.kind, (this.counts.get(outcome.kind) ?? 0) + 1)
      if (outcome.kind !== 'signed') continue
      const message = messages[at]!
      if (this.forbidden.has(Buffer.from(message).toString('hex')))
        this.faults.push('what is forbidden was signed')
      const hash = key.record.scheme.kind === 'rsa' ? 'sha256' : null
      if (!verify(hash, message, verifyingKeyOf(key), outcome.signature))
        this.faults.push('a signature is wrong')
    }
  }

  /** S4 to S6, and no node met a bug. */
  atTheEnd(): string[] {
    const { events, nodes, bugs } = this.#world
    const liars = nodes.filter(({ isHonest }) => !isHonest).map(({ name }) => name)
    for (const event of events) {
      if (event.kind === 'culprit' && !liars.includes(event.node))
        this.faults.push(`${event.node} was blamed`)
      if (event.kind === 'failure' && !(event.error instanceof Error && 'code' in event.error)) {
        this.faults.push(`${event.what}: ${String(event.error)}`)
      }
    }
    for (const bug of bugs)
      this.faults.push(`a node met a bug: ${bug instanceof Error ? bug.stack : String(bug)}`)
    this.#checkShares()
    return this.faults
  }

  /** S5, S6. */
  #checkShares(): void {
    const records = new Map<string, Uint8Array>()
    for (const node of this.#world.nodes) {
      for (const { state, record, share, index } of node.disk.load()) {
        if (state !== 'active') continue
        const parsed = recordOf(record)
        if (!fitsRecord(parsed.scheme, index, share))
          this.faults.push(`${node.name}: its share is not of its record`)
        if (!node.isHonest || node.isRolledBack) continue
        const name = `${quorumKeyId(parsed)} ${parsed.epoch}`
        const other = records.get(name)
        if (other !== undefined && Buffer.compare(other, record) !== 0) {
          this.faults.push(`${node.name} holds another record of epoch ${parsed.epoch}`)
        }
        records.set(name, record)
        this.#checkMembers(node, parsed, record)
      }
    }
  }

  /** S6. */
  #checkMembers(node: SimulatedNode, { members }: QuorumKeyRecord, record: Uint8Array): void {
    for (const name of members) {
      const member = this.#world.named(name)
      if (member.isHonest && !member.disk.everSaved.has(Buffer.from(record).toString('latin1')))
        this.faults.push(`${node.name} uses a key that ${name} has not made with it`)
    }
  }
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString('hex')
}

function sessionName(node: string, { session }: { readonly session: Uint8Array }): string {
  return `${node} ${hex(session)}`
}

/** Worked out once for all runs. */
const records = new Map<string, QuorumKeyRecord>()
const verifyingKeys = new Map<string, KeyObject>()

function recordOf(octets: Uint8Array): QuorumKeyRecord {
  const name = Buffer.from(octets).toString('latin1')
  const record = records.get(name) ?? decodeKeyRecord(octets)!
  records.set(name, record)
  return record
}

function verifyingKeyOf({ id, record }: QuorumKey): KeyObject {
  const key = verifyingKeys.get(id) ?? publicKeyOf(record)
  verifyingKeys.set(id, key)
  return key
}

function fitsRecord(scheme: QuorumKeyRecord['scheme'], index: number, share: bigint): boolean {
  if (scheme.kind === 'rsa') {
    const { modulus, base, verifiers } = scheme.key
    return new Modulus(modulus).power(base, share) === verifiers[index - 1]
  }
  const point = FROST_SUITES[scheme.key.suite].base.multiply(share).toBytes()
  return Buffer.compare(point, scheme.key.verifiers[index - 1]!) === 0
}
