/** A quorum in a world of its own: seeded chance, time that jumps from event to event, links that lose, double, delay, reorder
 *  and garble, nodes that crash and come back, also from an old disk, nodes that lie, and a coordinator that lies.
 *
 *    World ── links ── ShareNodes on disks of memory
 *      └── Coordinator                         everything that passes is seen by the Witness, which knows the rules:
 *
 *  S1  A nonce goes into one share, ever.                              S2  No share and no secret passes in the clear.
 *  S3  What is signed is right, and something the rules allow.         S4  Only liars are blamed.
 *  S5  Active shares fit their record, and no two nodes that are honest hold different records of one epoch. */

import { type KeyObject, randomBytes, verify } from 'node:crypto'
import { decode, encode } from 'cborg'
import type { Clock, Timer } from '../../base/index.ts'
import { type Combiner, combineParts, KeysAtWork } from '../../hsm/combiner.ts'
import { Coordinator } from '../../hsm/coordinator.ts'
import { FROST_SUITES, scalarOctets } from '../../hsm/edwards.ts'
import { generateIdentity, type Identity, identityOf, signAs } from '../../hsm/identity.ts'
import { octetsOf } from '../../hsm/integers.ts'
import { decodeKeyRecord, type QuorumKeyRecord, quorumKeyId } from '../../hsm/key-record.ts'
import type { NodeAnswer, NodeRequest } from '../../hsm/messages.ts'
import { Modulus } from '../../hsm/modulus.ts'
import { ShareNode } from '../../hsm/node.ts'
import type { StoredShare } from '../../hsm/node-keys.ts'
import type { NodePolicy } from '../../hsm/node-policy.ts'
import type { MessageOutcome, NodeLink, QuorumEvent, QuorumKey } from '../../hsm/quorum.ts'
import { type ToSign, writeToSign } from '../../hsm/to-be-signed.ts'
import { Disk, NOW, openPolicy } from './nodes.ts'
import { HeldMemory, publicKeyOf, toSign } from './quorum-support.ts'

/** Numbers that a seed decides (mulberry32). */
export class Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }

  /** In [0, end). */
  below(end: number): number {
    return Math.floor(this.next() * end)
  }

  happens(probability: number): boolean {
    return this.next() < probability
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!
  }

  /** So many of them, in any order. */
  some<T>(items: readonly T[], count: number): T[] {
    const left = [...items]
    return Array.from({ length: count }, () => left.splice(this.below(left.length), 1)[0]!)
  }
}

/** Time that jumps to the next thing that is due. */
export class EventClock implements Clock {
  #now = NOW
  #number = 0
  #due: { readonly at: number; readonly number: number; readonly call: () => void }[] = []

  now(): number {
    return this.#now
  }

  after(seconds: number, call: () => void): Timer {
    const entry = { at: this.#now + Math.max(0, seconds), number: this.#number++, call }
    this.#due.push(entry)
    return {
      cancel: () => {
        const at = this.#due.indexOf(entry)
        if (at >= 0) this.#due.splice(at, 1)
      },
    }
  }

  /** Does what is due next, if it is before that time; else it is that time. */
  step(endUnix: number): boolean {
    let first = this.#due[0]
    for (const entry of this.#due) {
      if (entry.at < first!.at || (entry.at === first!.at && entry.number < first!.number)) first = entry
    }
    if (first === undefined || first.at > endUnix) {
      this.#now = Math.max(this.#now, endUnix)
      return false
    }
    this.#due.splice(this.#due.indexOf(first), 1)
    this.#now = Math.max(this.#now, first.at)
    first.call()
    return true
  }
}

export interface Weather {
  readonly drop: number
  readonly double: number
  readonly garble: number
  readonly delaySecondsMax: number
}

export const CALM: Weather = { drop: 0, double: 0, garble: 0, delaySecondsMax: 0.002 }

/** What a lying node does to its answers. */
export type Lie = 'field' | 'share' | 'refuse' | 'pending' | 'spent' | 'silent' | 'garbage'
export const LIES: readonly Lie[] = ['field', 'share', 'refuse', 'pending', 'spent', 'silent', 'garbage']

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
    return this.lie === undefined
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
  readonly #template: Template
  #links = new Set<SimulatedLink>()

  constructor(seed: number, template: Template) {
    this.chance = new Chance(seed)
    this.#template = template
    this.nodes = template.nodes.map(({ identity, shares, log }) => {
      const node = new SimulatedNode(identity)
      node.disk.log = log
      for (const share of shares) void node.disk.save(share)
      return node
    })
    this.memory.octets = template.memory
    this.witness = new Witness(this)
    for (const node of this.nodes) this.start(node)
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

class SimulatedLink implements NodeLink {
  readonly #world: World
  readonly #node: SimulatedNode
  #call: (octets: Uint8Array) => void = () => {}
  #closed = false

  constructor(world: World, node: SimulatedNode) {
    this.#world = world
    this.#node = node
  }

  send(octets: Uint8Array): void {
    if (this.#closed) return
    const { chance, coordinatorLies, coordinatorIdentity, told } = this.#world
    if (coordinatorLies > 0) told.push(bodyOf(octets))
    const sent = chance.happens(coordinatorLies)
      ? retold(octets, coordinatorIdentity, body => coordinatorLie(chance, body, told))
      : octets
    this.#world.witness.passes(sent)
    this.#carry(sent, one => this.#atNode(one))
  }

  /** As the weather is. */
  #carry(octets: Uint8Array, deliver: (octets: Uint8Array) => void): void {
    const { chance, clock, weather } = this.#world
    const copies = chance.happens(weather.double) ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      if (chance.happens(weather.drop)) continue
      const arrives = chance.happens(weather.garble) ? garbled(chance, octets) : octets
      clock.after(chance.next() * weather.delaySecondsMax, () => deliver(arrives))
    }
  }

  #atNode(octets: Uint8Array): void {
    const { node } = this.#node
    if (node === undefined) return
    const request = bodyOf(octets) as NodeRequest | undefined
    void node.receive('coordinator', octets).then(answer => {
      if (answer === undefined || this.#node.node !== node) return
      if (this.#node.isHonest) this.#world.witness.answered(this.#node, request, bodyOf(answer) as NodeAnswer)
      const said = this.#said(answer)
      if (said === undefined) return
      this.#world.witness.passes(said)
      this.#carry(said, one => {
        if (!this.#closed) this.#call(one)
      })
    })
  }

  /** What the node says instead, when it lies. */
  #said(answer: Uint8Array): Uint8Array | undefined {
    const { lie, identity } = this.#node
    const { chance } = this.#world
    if (lie === undefined || !chance.happens(0.8)) return answer
    if (lie === 'silent') return undefined
    if (lie === 'garbage')
      return chance.happens(0.5) ? garbled(chance, answer) : new Uint8Array(randomBytes(40))
    return retold(answer, identity, body => lieOf(lie, chance, body as NodeAnswer))
  }

  onMessage(call: (octets: Uint8Array) => void): void {
    this.#call = call
  }

  close(): void {
    this.#closed = true
  }
}

/** Something else instead: what was said before to anybody, with another thing in it, or for other messages. */
function coordinatorLie(chance: Chance, body: unknown, told: readonly unknown[]): unknown {
  const said = chance.happens(0.6) ? chance.of(told) : body
  const way = chance.below(3)
  if (way === 0) return said
  if (way === 1) return changed(chance, said)
  const requests = told.filter(isSigning)
  if (!isSigning(said) || requests.length === 0) return changed(chance, said)
  const { messages } = chance.of(requests)
  return { ...said, messages: said.messages.map((_, at) => messages[at] ?? messages[0]) }
}

function isSigning(body: unknown): body is Extract<NodeRequest, { kind: 'sign' }> {
  return (body as Partial<NodeRequest> | undefined)?.kind === 'sign'
}

function lieOf(lie: Lie, chance: Chance, body: NodeAnswer): unknown {
  if (lie === 'field') return changed(chance, body)
  if (body.kind !== 'shares') return body
  const results = body.results.map(result => {
    if (lie === 'refuse') return { kind: 'refused', code: 'POLICY_TTL', what: 'no' }
    if (lie === 'pending') return { kind: 'pending', needs: 'patience' }
    if (lie === 'spent') return { kind: 'refused', code: 'NONCE_SPENT', what: 'gone' }
    return result.kind === 'share' ? { kind: 'share', share: wrongShare(chance, result.share) } : result
  })
  return { ...body, results }
}

/** One that could be right. */
function wrongShare(chance: Chance, share: Uint8Array): Uint8Array {
  const other = share.slice()
  other[chance.below(Math.min(16, other.length))]! ^= 1 << chance.below(8)
  return other
}

function garbled(chance: Chance, octets: Uint8Array): Uint8Array {
  const other = octets.slice(0, chance.happens(0.2) ? chance.below(octets.length) : octets.length)
  if (other.length > 0) other[chance.below(other.length)]! ^= 1 << chance.below(8)
  return other
}

/** The body of an envelope; undefined for octets that are none. */
function bodyOf(octets: Uint8Array): unknown {
  try {
    const [payload] = decode(octets) as [Uint8Array]
    return (decode(payload) as unknown[])[7]
  } catch {
    return undefined
  }
}

/** The same envelope with another body, signed by who has the key to do that. */
function retold(octets: Uint8Array, sender: Identity, tell: (body: unknown) => unknown): Uint8Array {
  const [payload] = decode(octets) as [Uint8Array]
  const fields = decode(payload) as unknown[]
  const other = encode([...fields.slice(0, 7), tell(fields[7])])
  return encode([other, signAs(sender, 'envelope', other)])
}

/** A copy with one thing changed, wherever it is. */
export function changed(chance: Chance, value: unknown): unknown {
  const octets: Uint8Array[] = []
  const count = countParts(value, octets)
  let at = chance.below(count)
  const walk = (part: unknown): unknown => {
    if (at-- === 0) return otherPart(chance, part, octets)
    if (Array.isArray(part)) return part.map(walk)
    if (part instanceof Uint8Array || typeof part !== 'object' || part === null) return part
    return Object.fromEntries(Object.entries(part).map(([name, one]) => [name, walk(one)]))
  }
  return walk(value)
}

function countParts(value: unknown, octets: Uint8Array[]): number {
  if (value instanceof Uint8Array) {
    octets.push(value)
    return 1
  }
  if (typeof value !== 'object' || value === null) return 1
  return Object.values(value).reduce<number>((sum, one) => sum + countParts(one, octets), 1)
}

function otherPart(chance: Chance, part: unknown, octets: readonly Uint8Array[]): unknown {
  if (part instanceof Uint8Array) {
    const way = chance.below(5)
    if (way === 0) return chance.of(octets)
    if (way === 1) return new Uint8Array(part.length)
    if (way === 2) return part.slice(0, -1)
    return part.length === 0 ? Uint8Array.of(1) : wrongShare(chance, part)
  }
  if (typeof part === 'number') return chance.of([part + 1, part - 1, 0, 2 ** 40])
  if (typeof part === 'string') return chance.of(['', 'n1', 'n2', 'sign', 'state', 'shares', 'x'.repeat(300)])
  if (Array.isArray(part)) {
    const at = chance.below(part.length)
    return chance.of([[], part.slice(1), [...part, part[at]], [...part].reverse()])
  }
  if (typeof part !== 'object' || part === null) return 0
  const names = Object.keys(part)
  const without = chance.of(names)
  return chance.happens(0.5)
    ? Object.fromEntries(Object.entries(part).filter(([name]) => name !== without))
    : { ...part, more: 1 }
}

/** Sees everything that passes, and holds it against the rules S1 to S5. */
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

  /** S1: an honest node's answer. */
  answered(node: SimulatedNode, request: NodeRequest | undefined, answer: NodeAnswer): void {
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

  /** S4, S5, and no node met a bug. */
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

  /** S5. */
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
      }
    }
  }
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
