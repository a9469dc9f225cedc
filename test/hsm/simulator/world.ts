/** A quorum in a world of its own: nodes on disks of memory, links, a coordinator, and a witness who sees everything.
 *
 *    World ── links (link.ts) ── ShareNodes on disks of memory
 *      ├── Coordinator                   may lie (lies.ts), or be another who knows its secrets (intruder.ts)
 *      └── Witness (witness.ts)          knows the rules S1 to S6 */

import type { Combiner } from '../../../hsm/combiner.ts'
import { combineParts, KeysAtWork } from '../../../hsm/combiner.ts'
import { Coordinator } from '../../../hsm/coordinator.ts'
import type { KeygenRound1 } from '../../../hsm/frost-keygen.ts'
import { generateIdentity, type Identity, identityOf } from '../../../hsm/identity.ts'
import type { NodeRequest } from '../../../hsm/messages.ts'
import { ShareNode } from '../../../hsm/node.ts'
import type { StoredShare } from '../../../hsm/node-keys.ts'
import type { NodePolicy } from '../../../hsm/node-policy.ts'
import type { MessageOutcome, QuorumEvent, QuorumKey } from '../../../hsm/quorum.ts'
import { type ToSign, writeToSign } from '../../../hsm/to-be-signed.ts'
import { Disk, openPolicy } from '../nodes.ts'
import { HeldMemory, toSign } from '../quorum-support.ts'
import { Chance, EventClock } from './chance.ts'
import type { Lie, SessionBegin } from './lies.ts'
import { CALM, SimulatedLink, type Weather } from './link.ts'
import { Witness } from './witness.ts'

/** A quorum with a key, to begin runs from. */
export interface Template {
  readonly threshold: number
  readonly coordinator: Identity
  readonly dealer: Identity
  readonly nodes: readonly {
    readonly identity: Identity
    readonly shares: readonly StoredShare[]
    readonly log: string
  }[]
  readonly memory: Uint8Array | undefined
}

export function newTemplate(nodes: number, threshold: number): Template {
  const identity = (name: string): Identity => identityOf(generateIdentity(name))
  return {
    threshold,
    coordinator: identity('coordinator'),
    dealer: identity('dealer'),
    nodes: Array.from({ length: nodes }, (_, at) => ({
      identity: identity(`n${at + 1}`),
      shares: [],
      log: '',
    })),
    memory: undefined,
  }
}

export class SimulatedNode {
  readonly identity: Identity
  readonly disk: Disk = new Disk()
  lie: Lie | undefined
  hasLied = false
  /** What it has pledged to show in sessions, when it lies in them. */
  readonly pledged: Map<string, KeygenRound1> = new Map()
  node: ShareNode | undefined
  /** Rolled back to an older disk at some time: it may know less than it once promised. */
  isRolledBack = false

  constructor(identity: Identity) {
    this.identity = identity
  }

  get name(): string {
    return this.identity.publicIdentity.name
  }

  get isHonest(): boolean {
    return this.lie === undefined && !this.hasLied
  }

  repent(): void {
    if (this.lie !== undefined) this.hasLied = true
    this.lie = undefined
  }
}

/** Signatures are put together at once: threads would bring chance of their own. */
class PromptCombiner implements Combiner {
  static readonly keys: KeysAtWork = new KeysAtWork()

  async combine(
    record: Uint8Array,
    parts: Parameters<Combiner['combine']>[1],
  ): Promise<(Uint8Array | undefined)[]> {
    const key = PromptCombiner.keys.of(record)
    return parts.map(one => combineParts(key, one))
  }

  async close(): Promise<void> {}
}

export class World {
  readonly chance: Chance
  readonly clock: EventClock = new EventClock()
  readonly nodes: readonly SimulatedNode[]
  readonly memory: HeldMemory = new HeldMemory()
  readonly witness: Witness
  readonly events: QuorumEvent[] = []
  readonly bugs: unknown[] = []
  weather: Weather = CALM
  /** How often what the coordinator says is changed by itself. */
  coordinatorLies = 0
  /** What it has said to anybody, to be said again. */
  readonly told: unknown[] = []
  policy: NodePolicy = openPolicy
  coordinator!: Coordinator
  readonly #begun = new Map<string, SessionBegin>()
  readonly #template: Template
  #links = new Set<SimulatedLink>()

  constructor(seed: number, template: Template) {
    this.chance = new Chance(seed)
    this.#template = template
    this.nodes = template.nodes.map(({ identity, shares, log }) => {
      const node = new SimulatedNode(identity)
      node.disk.isReversed = this.chance.happens(0.5)
      node.disk.log = log
      for (const share of shares) void node.disk.save(share)
      return node
    })
    this.memory.octets = template.memory
    this.witness = new Witness(this)
    for (const node of this.nodes) this.start(node)
  }

  named(name: string): SimulatedNode {
    return this.nodes.find(node => node.name === name)!
  }

  /** How sessions began is known to everybody in them. */
  noteSession(request: NodeRequest | undefined): void {
    if (request?.kind !== 'keygen' && request?.kind !== 'reshare') return
    if (!(request.session instanceof Uint8Array) || !Array.isArray(request.members)) return
    if (request.members.every(name => this.members.includes(name)))
      this.#begun.set(sessionName(request.session), request)
  }

  sessionOf(request: NodeRequest | undefined): SessionBegin | undefined {
    const isOfOne = request !== undefined && 'session' in request && request.session instanceof Uint8Array
    return isOfOne ? this.#begun.get(sessionName(request.session)) : undefined
  }

  get threshold(): number {
    return this.#template.threshold
  }

  get members(): string[] {
    return this.nodes.map(({ name }) => name)
  }

  get dealer(): Identity {
    return this.#template.dealer
  }

  get coordinatorIdentity(): Identity {
    return this.#template.coordinator
  }

  /** What the next world may begin from. */
  template(): Template {
    return {
      ...this.#template,
      nodes: this.nodes.map(({ identity, disk }) => ({ identity, shares: disk.load(), log: disk.log })),
      memory: this.memory.octets,
    }
  }

  start(node: SimulatedNode): void {
    node.node = new ShareNode({
      identity: node.identity,
      coordinators: [this.#template.coordinator.publicIdentity],
      nodes: this.nodes.map(({ identity }) => identity.publicIdentity),
      dealers: [this.#template.dealer.publicIdentity],
      policy: this.policy,
      shares: node.disk,
      audit: node.disk.audit,
      clock: this.clock,
      version: 'simulated',
      onBug: error => this.bugs.push(error),
    })
    void node.node.tidy()
  }

  crash(node: SimulatedNode): void {
    node.node = undefined
  }

  /** Starts a coordinator, in place of one that crashed without a word. */
  async startCoordinator(): Promise<void> {
    for (const link of this.#links) link.close()
    this.#links.clear()
    const nodes = this.nodes.map(node => {
      const link = new SimulatedLink(this, node)
      this.#links.add(link)
      return { node: node.identity.publicIdentity, link }
    })
    const { clock, memory, threshold } = this
    this.coordinator = await Coordinator.open({
      identity: this.#template.coordinator,
      nodes,
      threshold,
      clock,
      memory,
      combiner: new PromptCombiner(),
      onEvent: event => this.events.push(event),
    })
    await this.until(this.coordinator.start(), 60)
  }

  /** Lets the world go on until that is done; undefined when it is not in so many seconds. */
  async until<T>(work: Promise<T>, seconds: number): Promise<T | undefined> {
    const endUnix = this.clock.now() + seconds
    let done = false
    let value: T | undefined
    let failure: { readonly error: unknown } | undefined
    work.then(
      result => {
        value = result
        done = true
      },
      error => {
        failure = { error }
        done = true
      },
    )
    for (;;) {
      await turn()
      if (done) break
      if (!this.clock.step(endUnix)) return undefined
    }
    if (failure !== undefined) throw failure.error
    return value
  }

  async pass(seconds: number): Promise<void> {
    await this.until(new Promise(() => {}), seconds)
  }

  /** Asks again while the quorum says that it may do it later. */
  async signPatiently(key: QuorumKey, messages: readonly Uint8Array[], tries = 6): Promise<MessageOutcome[]> {
    for (let left = tries; ; left--) {
      const deadlineUnix = this.clock.now() + 120
      const outcomes = await this.until(this.coordinator.sign({ key: key.id, messages, deadlineUnix }), 130)
      if (outcomes === undefined) throw new Error('a batch has no outcome after its deadline')
      this.witness.outcomes(key, messages, outcomes)
      if (left === 1 || outcomes.every(({ kind }) => kind !== 'unavailable')) return outcomes
      await this.pass(10)
    }
  }

  message(key: QuorumKey, change: Partial<ToSign> = {}): Uint8Array {
    return writeToSign(toSign(key, this.clock.now(), change))
  }
}

/** The event loop's turn: all promises that can go on have. Signing yields after some shares, so there are two. */
async function turn(): Promise<void> {
  await new Promise(resolve => setImmediate(resolve))
}

function sessionName(session: Uint8Array): string {
  return Buffer.from(session).toString('hex')
}
