/** The coordinator's end of one node: requests and their answers, and whether it is worth asking (a circuit breaker).
 *
 *      greeting ──state──▶ up ──a request unanswered──▶ recovering ──state──▶ up
 *          └───────no answer──────▶ down ◀──no answer──────┘
 *                                   down: a hello after 1, 2, 4 … 30 s; its answer makes it up
 *
 *  I1  Requests go only to a node that is up; one that is not gets nothing but hello, and costs nobody a wait.
 *  I2  The first hello after trouble goes on in the talk there is; later ones begin a new one, in case the node has forgotten
 *      ours, or took up another with a second process of ours.
 *  I3  Answers under way are lost at once when the node or we begin anew: nobody waits for them.
 *  I4  A culprit stays out until a person forgives it.
 *  I5  Of a link that breaks nothing is waited for; one that opens is greeted at once. */

import { LRUCache } from 'lru-cache'
import type { Clock, Timer } from '../base/index.ts'
import { Conversation, newBoot } from './envelope.ts'
import type { Identity } from './identity.ts'
import { Latency } from './latency.ts'
import { readAnswer } from './message-schema.ts'
import type { NodeAnswer, NodeRequest } from './messages.ts'
import type { NodeConnection } from './quorum.ts'

export type NodeState = Extract<NodeAnswer, { kind: 'state' }>

export type Asked =
  | { readonly kind: 'answer'; readonly answer: NodeAnswer }
  | { readonly kind: 'lost'; readonly why: string }

export interface PeerListener {
  onUp(peer: NodePeer): void
  onDown(peer: NodePeer): void
  /** With every answer that carries a head of the audit log. */
  onHead(peer: NodePeer, head: { readonly auditLength: number; readonly auditHead: Uint8Array }): void
}

interface Waiting {
  readonly sentUnix: number
  readonly timer: Timer
  readonly settle: (asked: Asked) => void
}

const PROBE_SECONDS_MIN = 1
const PROBE_SECONDS_MAX = 30
/** A request is given up after so many times what it should take, in these bounds. */
const TIMEOUT_FACTOR = 10
const TIMEOUT_SECONDS_MIN = 3
const TIMEOUT_SECONDS_MAX = 60
/** How long a node that failed stands behind the others: doubles with each failure in a row. */
const SUSPECT_SECONDS_MIN = 2
const SUSPECT_SECONDS_MAX = 300
const METERS_MAX = 256

export class NodePeer {
  readonly name: string
  readonly #own: Identity
  readonly #connection: NodeConnection
  readonly #clock: Clock
  readonly #listener: PeerListener
  readonly #waiting = new Map<number, Waiting>()
  readonly #meters = new LRUCache<string, Latency>({ max: METERS_MAX })
  #talk: Conversation
  #boot = ''
  #condition: 'greeting' | 'up' | 'recovering' | 'down' | 'closed' = 'greeting'
  #why = 'it has not answered yet'
  #culprit: string | undefined
  #probes = 0
  #probeTimer: Timer | undefined
  /** The newest probe. */
  #greeting: Promise<Asked> | undefined
  #greeted: () => void = () => {}
  #failures = 0
  #suspectUntil = 0
  #state: NodeState | undefined
  #roundTrip: { readonly seconds: number; readonly skewSeconds: number } | undefined
  /** Answers that are late, whoever waits for them. */
  #overdue = 0
  /** Units of work under way. */
  #load = 0

  constructor(own: Identity, connection: NodeConnection, clock: Clock, listener: PeerListener) {
    this.name = connection.node.name
    this.#own = own
    this.#connection = connection
    this.#clock = clock
    this.#listener = listener
    this.#talk = this.#newTalk()
    connection.link.onMessage(octets => this.#receive(octets))
    connection.link.onChange?.(state => this.#linkChanged(state))
  }

  /** Resolves when the first hello is answered, or was not in time. */
  start(): Promise<void> {
    const greeted = new Promise<void>(resolve => {
      this.#greeted = resolve
    })
    this.#probe()
    return greeted
  }

  get isUp(): boolean {
    return this.#condition === 'up' && this.#culprit === undefined
  }

  /** Not up, but a hello is under way that may soon say otherwise. */
  get mayComeUp(): boolean {
    const soon = this.#condition === 'greeting' || this.#condition === 'recovering'
    return soon && this.#culprit === undefined
  }

  get isCulprit(): boolean {
    return this.#culprit !== undefined
  }

  /** Why it is not up. */
  get why(): string | undefined {
    if (this.#culprit !== undefined) return this.#culprit
    return this.#condition === 'up' ? undefined : this.#why
  }

  /** The node's start, in hex. */
  get boot(): string {
    return this.#boot
  }

  get state(): NodeState | undefined {
    return this.#state
  }

  get roundTrip(): { readonly seconds: number; readonly skewSeconds: number } | undefined {
    return this.#roundTrip
  }

  /** Failed lately; others are asked first. */
  get isSuspect(): boolean {
    return this.#clock.now() < this.#suspectUntil
  }

  get isOverdue(): boolean {
    return this.#overdue > 0
  }

  /** One answer more, or fewer, is late. */
  noteOverdue(change: 1 | -1): void {
    this.#overdue += change
  }

  /** When an answer to so much work may be expected, with what is under way. */
  expectedSeconds(meter: string, units: number): number {
    return this.#meter(meter).expectedSeconds(this.#load + units)
  }

  /** When it is late enough to ask another node. */
  patienceSeconds(meter: string, units: number): number {
    return this.#meter(meter).patienceSeconds(this.#load + units)
  }

  /** `meter`: what kind of work it is, to measure like by like; `units` of it. */
  async ask(request: NodeRequest, meter: string, units: number): Promise<Asked> {
    if (!this.isUp) return { kind: 'lost', why: this.why ?? '' }
    const late = TIMEOUT_FACTOR * this.patienceSeconds(meter, units)
    const startUnix = this.#clock.now()
    this.#load += units
    const timeout = Math.min(TIMEOUT_SECONDS_MAX, Math.max(TIMEOUT_SECONDS_MIN, late))
    const asked = await this.#send(request, timeout)
    this.#load -= units
    if (asked.kind === 'answer') {
      this.#meter(meter).note(this.#clock.now() - startUnix, units)
    }
    return asked
  }

  /** It did what it should not, as far as can be told: others come first for a while. */
  setBack(): void {
    const seconds = SUSPECT_SECONDS_MIN * 2 ** Math.min(this.#failures++, 16)
    this.#suspectUntil = this.#clock.now() + Math.min(SUSPECT_SECONDS_MAX, seconds)
  }

  /** What it gave was part of a signature. */
  didWell(): void {
    this.#failures = 0
  }

  /** I4. */
  blame(what: string): void {
    this.#culprit = what
    this.#listener.onDown(this)
  }

  forgive(): void {
    if (this.#culprit === undefined) return
    this.#culprit = undefined
    if (this.#condition === 'up') this.#listener.onUp(this)
  }

  /** Asks for the state anew; what it said is in `state`. */
  async look(): Promise<void> {
    const sentUnix = this.#clock.now()
    const asked = await this.ask({ kind: 'hello' }, 'hello', 1)
    if (asked.kind === 'answer' && asked.answer.kind === 'state') this.#heard(asked.answer, sentUnix)
  }

  close(): void {
    this.#probeTimer?.cancel()
    this.#fail('closed', 'the coordinator was closed')
    this.#loseAll('the coordinator was closed')
    this.#greeted()
    this.#connection.link.close()
  }

  #newTalk(): Conversation {
    return new Conversation(this.#own, this.#connection.node, newBoot(this.#clock.now()))
  }

  #meter(name: string): Latency {
    const known = this.#meters.get(name) ?? new Latency()
    this.#meters.set(name, known)
    return known
  }

  #send(request: NodeRequest, timeoutSeconds: number): Promise<Asked> {
    return new Promise(resolve => {
      const { octets, sequence } = this.#talk.write(request)
      const timer = this.#clock.after(timeoutSeconds, () => this.#late(sequence))
      this.#waiting.set(sequence, { sentUnix: this.#clock.now(), timer, settle: resolve })
      this.#connection.link.send(octets)
    })
  }

  #settle(sequence: number, asked: Asked): void {
    const waiting = this.#waiting.get(sequence)
    if (waiting === undefined) return
    this.#waiting.delete(sequence)
    waiting.timer.cancel()
    waiting.settle(asked)
  }

  #late(sequence: number): void {
    this.#settle(sequence, { kind: 'lost', why: 'it does not answer' })
    if (this.#condition === 'up') this.#recover('it does not answer')
  }

  #recover(why: string): void {
    this.setBack()
    this.#fail('recovering', why)
    this.#probes = 0
    this.#probe()
  }

  /** I5. */
  #linkChanged(state: 'open' | 'broken'): void {
    if (state === 'broken' && this.#condition === 'up') {
      // Before the hello is under way.
      this.#loseAll('the connection broke')
      this.#recover('the connection broke')
    } else if (state === 'open' && this.#condition === 'down') {
      this.#probeTimer?.cancel()
      this.#probe()
    }
  }

  #fail(condition: 'recovering' | 'down' | 'closed', why: string): void {
    this.#condition = condition
    this.#why = why
    this.#listener.onDown(this)
  }

  /** I2, I3. */
  #probe(): void {
    if (this.#probes > 0) {
      this.#loseAll('the talk began anew')
      this.#talk = this.#newTalk()
    }
    const seconds = Math.min(PROBE_SECONDS_MAX, PROBE_SECONDS_MIN * 2 ** Math.min(this.#probes++, 16))
    const sentUnix = this.#clock.now()
    const greeting = this.#send({ kind: 'hello' }, seconds)
    this.#greeting = greeting
    void greeting.then(asked => {
      if (this.#condition === 'closed' || this.#condition === 'up' || this.#greeting !== greeting) return
      if (asked.kind === 'answer' && asked.answer.kind === 'state') {
        this.#cameUp(asked.answer, sentUnix)
        return
      }
      if (this.#condition !== 'down') this.#fail('down', 'it does not answer')
      this.#greeted()
      const left = Math.max(0, sentUnix + seconds - this.#clock.now())
      this.#probeTimer = this.#clock.after(left, () => this.#probe())
    })
  }

  #cameUp(state: NodeState, sentUnix: number): void {
    this.#condition = 'up'
    this.#heard(state, sentUnix)
    this.#listener.onUp(this)
    this.#greeted()
  }

  #heard(state: NodeState, sentUnix: number): void {
    this.#state = state
    const now = this.#clock.now()
    this.#roundTrip = { seconds: now - sentUnix, skewSeconds: state.clockUnix - (sentUnix + now) / 2 }
  }

  #receive(octets: Uint8Array): void {
    if (this.#condition === 'closed') return
    const receipt = this.#talk.read(octets, () => false)
    if (receipt.kind === 'dropped') return
    const { inReplyTo, body } = receipt.message
    const boot = Buffer.from(this.#talk.peerBoot ?? []).toString('hex')
    if (boot !== this.#boot) {
      // I3: an earlier process of the node had those requests.
      this.#loseAll('it was started anew', inReplyTo)
      this.#boot = boot
    }
    if (inReplyTo === undefined || !this.#waiting.has(inReplyTo)) return
    const answer = readAnswer(body)
    if (answer === undefined) {
      this.setBack()
      this.#settle(inReplyTo, { kind: 'lost', why: 'its answer is malformed' })
      return
    }
    if ('auditHead' in answer) this.#listener.onHead(this, answer)
    this.#settle(inReplyTo, { kind: 'answer', answer })
  }

  #loseAll(why: string, but?: number): void {
    for (const sequence of [...this.#waiting.keys()]) {
      if (sequence !== but) this.#settle(sequence, { kind: 'lost', why })
    }
  }
}
