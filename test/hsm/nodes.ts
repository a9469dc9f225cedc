/** Share nodes in one process with memory for a disk, and a hand that speaks to them as their coordinator. */

import { ManualClock } from '../../base/index.ts'
import type { AuditStorage } from '../../hsm/audit.ts'
import { Conversation, newBoot } from '../../hsm/envelope.ts'
import { generateIdentity, type Identity, identityOf } from '../../hsm/identity.ts'
import { readAnswer } from '../../hsm/message-schema.ts'
import type { NodeAnswer, NodeRequest } from '../../hsm/messages.ts'
import { ShareNode } from '../../hsm/node.ts'
import type { ShareStorage, StoredShare } from '../../hsm/node-keys.ts'
import type { NodePolicy, ZoneRule } from '../../hsm/node-policy.ts'
import { nameFromText } from '../../zones/index.ts'

export const NOW = 1_800_000_000
const DAY_SECONDS = 86_400

export const openRule: ZoneRule = {
  zone: nameFromText('example.'),
  roles: ['csk', 'ksk', 'zsk'],
  types: 'any',
  validitySecondsMax: 14 * DAY_SECONDS,
  inceptionPastSecondsMax: 2 * 3600,
  inceptionFutureSecondsMax: 300,
  ttlSecondsMax: DAY_SECONDS,
  recordsMax: 100,
  messagesPerRequestMax: 512,
  messagesPerMinuteMax: 1000,
  dnskeys: 'any',
}

export const openPolicy: NodePolicy = {
  zones: [openRule],
  keygen: true,
  deal: true,
  reshare: true,
  erase: true,
}

/** What a disk keeps over a restart. */
export class Disk implements ShareStorage {
  readonly shares: Map<string, StoredShare> = new Map()
  /** Records of all shares that were ever on it. */
  readonly everSaved: Set<string> = new Set()
  /** Directories list files in any order. */
  isReversed = false
  /** Of writing and removing shares; after them it fails. */
  stepsLeft: number = Number.POSITIVE_INFINITY
  log = ''
  saves = 0

  load(): StoredShare[] {
    const shares = [...this.shares.values()]
    return this.isReversed ? shares.reverse() : shares
  }

  async save(share: StoredShare): Promise<void> {
    this.#step()
    this.saves++
    this.everSaved.add(Buffer.from(share.record).toString('latin1'))
    this.shares.set(nameOf(share), share)
  }

  async remove(share: StoredShare): Promise<void> {
    this.#step()
    this.shares.delete(nameOf(share))
  }

  #step(): void {
    if (this.stepsLeft-- <= 0) throw new Error('the disk has gone')
  }

  get audit(): AuditStorage {
    return {
      append: async text => {
        this.log += text
      },
      lines: () => this.log.split('\n').slice(0, -1),
    }
  }
}

function nameOf({ coordinator, session }: StoredShare): string {
  return `${session} ${coordinator}`
}

export class TestNode {
  readonly identity: Identity
  readonly disk: Disk = new Disk()
  node!: ShareNode
  readonly bugs: unknown[] = []
  /** Codes of requests that it refused. */
  readonly refused: string[] = []

  constructor(name: string) {
    this.identity = identityOf(generateIdentity(name))
  }
}

/** Nodes n1 … and the coordinator's side of each conversation. */
export class TestQuorum {
  readonly clock: ManualClock
  readonly coordinator: Identity = identityOf(generateIdentity('coordinator'))
  readonly dealer: Identity
  readonly nodes: readonly TestNode[]
  readonly #talks = new Map<string, Conversation>()
  policy: NodePolicy

  constructor(
    count: number,
    policy: NodePolicy = openPolicy,
    dealer: Identity = identityOf(generateIdentity('dealer')),
    clock: ManualClock = new ManualClock(NOW),
  ) {
    this.clock = clock
    this.policy = policy
    this.dealer = dealer
    this.nodes = Array.from({ length: count }, (_, at) => new TestNode(`n${at + 1}`))
    for (const node of this.nodes) this.start(node)
  }

  get members(): string[] {
    return this.nodes.map(({ identity }) => identity.publicIdentity.name)
  }

  named(name: string): TestNode {
    return this.nodes.find(({ identity }) => identity.publicIdentity.name === name)!
  }

  /** Starts it, or starts it again from its disk. */
  start(node: TestNode): void {
    node.node = new ShareNode({
      identity: node.identity,
      coordinators: [this.coordinator.publicIdentity],
      nodes: this.nodes.map(({ identity }) => identity.publicIdentity),
      dealers: [this.dealer.publicIdentity],
      policy: this.policy,
      shares: node.disk,
      audit: node.disk.audit,
      clock: this.clock,
      version: 'test',
      onBug: error => node.bugs.push(error),
      onRefused: (coordinator, code) => node.refused.push(`${coordinator} ${code}`),
    })
    this.clock.advance(1)
    const talk = new Conversation(this.coordinator, node.identity.publicIdentity, newBoot(this.clock.now()))
    this.#talks.set(node.identity.publicIdentity.name, talk)
  }

  talk(node: TestNode): Conversation {
    return this.#talks.get(node.identity.publicIdentity.name)!
  }

  /** Asks, after a hello where there was none. */
  async ask(node: TestNode, request: NodeRequest): Promise<NodeAnswer> {
    if (this.talk(node).peerBoot === undefined && request.kind !== 'hello') {
      await this.ask(node, { kind: 'hello' })
    }
    const talk = this.talk(node)
    const answer = await node.node.receive('coordinator', talk.write(request).octets)
    if (answer === undefined) throw new Error('the node gave no answer')
    const receipt = talk.read(answer, () => true)
    if (receipt.kind === 'dropped') throw new Error(receipt.why)
    const read = readAnswer(receipt.message.body)
    if (read === undefined) throw new Error('the answer is malformed')
    return read
  }

  /** The answer, when it is of that kind. */
  async expect<K extends NodeAnswer['kind']>(
    node: TestNode,
    request: NodeRequest,
    kind: K,
  ): Promise<Extract<NodeAnswer, { kind: K }>> {
    const answer = await this.ask(node, request)
    if (answer.kind !== kind) throw new Error(`${request.kind}: ${JSON.stringify(answer)}`)
    return answer as Extract<NodeAnswer, { kind: K }>
  }
}
