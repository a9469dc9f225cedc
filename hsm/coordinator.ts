/** The coordinator of a quorum: it carries messages, puts parts together and verifies; nobody need trust it with a secret, and
 *  it cannot get signed what the nodes' own rules forbid.
 *
 *    sign ─▶ split into batches ─▶ one job each (signing-rsa.ts, signing-frost.ts) ─▶ outcomes, message by message
 *    keygen, reshare, deal, erase ─▶ coordinator-sessions.ts        nodes ─▶ node-peer.ts        keys ─▶ key-view.ts
 *
 *  I1  Jobs hear of every node that comes up or goes down, so none waits for what cannot come.
 *  I2  When a key's epoch rises under a batch, what is not signed is begun again with the new one, once. */

import { AuditWatch } from './audit-watch.ts'
import { type Combiner, KeysAtWork, TurnByTurnCombiner } from './combiner.ts'
import { CommitmentPools } from './commitment-pool.ts'
import { Memory } from './coordinator-memory.ts'
import { QuorumSessions } from './coordinator-sessions.ts'
import { quorumStatus } from './coordinator-status.ts'
import { FROST_SUITES } from './edwards.ts'
import { decodeKeyRecord, quorumKeyId } from './key-record.ts'
import { KeyView } from './key-view.ts'
import { BATCH_MAX } from './message-schema.ts'
import { NodePeer } from './node-peer.ts'
import type {
  CoordinatorOptions,
  DealtKey,
  KeygenSpec,
  MessageOutcome,
  Quorum,
  QuorumEvent,
  QuorumKey,
  QuorumSignRequest,
  QuorumStatus,
  ReshareSpec,
} from './quorum.ts'
import { FrostSigningJob } from './signing-frost.ts'
import type { SigningContext } from './signing-job.ts'
import { RsaSigningJob } from './signing-rsa.ts'

/** Messages of one request, so that it stays below MESSAGE_OCTETS_MAX with its commitments. */
const BATCH_OCTETS_MAX = 4 << 20
const SKEW_SECONDS_REPORTED = 10
const RETRY_SECONDS = 5

export class Coordinator implements Quorum {
  readonly #options: CoordinatorOptions
  readonly #peers = new Map<string, NodePeer>()
  readonly #jobs = new Set<{ pump(): void }>()
  readonly #combiner: Combiner
  readonly #atWork = new KeysAtWork()
  readonly #pools = new CommitmentPools()
  readonly #memory: Memory
  readonly #view: KeyView
  readonly #watch: AuditWatch
  readonly #sessions: QuorumSessions
  #closed = false

  private constructor(options: CoordinatorOptions, memory: Memory) {
    const { identity, nodes, threshold, clock } = options
    this.#options = options
    this.#memory = memory
    this.#combiner = options.combiner ?? new TurnByTurnCombiner()
    this.#view = new KeyView(threshold, memory.records)
    this.#watch = new AuditWatch(
      memory,
      () => clock.now(),
      (node, what) => {
        this.#report({ kind: 'audit rollback', node, what })
        this.#save()
      },
    )
    const listener = {
      onUp: (peer: NodePeer): void => this.#cameUp(peer),
      onDown: (peer: NodePeer): void => this.#wentDown(peer),
      onHead: (peer: NodePeer, head: Parameters<AuditWatch['note']>[1]): void => this.#watch.note(peer, head),
    }
    for (const connection of nodes) {
      this.#peers.set(connection.node.name, new NodePeer(identity, connection, clock, listener))
    }
    this.#sessions = new QuorumSessions({
      peers: this.#peers,
      threshold: () => this.threshold,
      clock,
      memory,
      key: id => this.#view.get(id),
      look: peers => this.#look(peers),
      forget: id => this.#forget(id),
      report: event => this.#report(event),
    })
  }

  /** @throws ConclaveError HSM_MEMORY */
  static async open(options: CoordinatorOptions): Promise<Coordinator> {
    const memory = await Memory.open(options.memory, octets => {
      const record = decodeKeyRecord(octets)
      return record === undefined ? undefined : quorumKeyId(record)
    })
    return new Coordinator(options, memory)
  }

  get threshold(): number {
    return this.#view.threshold
  }

  /** @throws RangeError */
  setThreshold(threshold: number): Promise<void> {
    if (!Number.isInteger(threshold) || threshold < 1 || threshold > this.#peers.size)
      return Promise.reject(new RangeError(`a threshold of ${threshold} with ${this.#peers.size} nodes`))
    this.#view.threshold = threshold
    this.#takeKeys()
    return Promise.resolve()
  }

  async start(): Promise<void> {
    await Promise.all([...this.#peers.values()].map(peer => peer.start()))
  }

  keys(): QuorumKey[] {
    return this.#view.keys
  }

  async sign(request: QuorumSignRequest): Promise<MessageOutcome[]> {
    const batches = batchesOf(request.messages)
    const outcomes = await Promise.all(batches.map(messages => this.#signBatch({ ...request, messages })))
    return outcomes.flat()
  }

  /** I2. */
  async #signBatch(request: QuorumSignRequest): Promise<MessageOutcome[]> {
    const key = this.#view.get(request.key)
    const outcomes = await this.#run(key, request)
    const after = this.#view.get(request.key)
    if (key === undefined || after === undefined || after.record.epoch === key.record.epoch) return outcomes
    const left = outcomes.flatMap(({ kind }, at) =>
      kind === 'unavailable' || kind === 'refused' ? [at] : [],
    )
    const again = await this.#run(after, { ...request, messages: left.map(at => request.messages[at]!) })
    return outcomes.map((outcome, at) => again[left.indexOf(at)] ?? outcome)
  }

  async #run(key: QuorumKey | undefined, request: QuorumSignRequest): Promise<MessageOutcome[]> {
    const { messages, approvals = [], deadlineUnix, signal } = request
    if (messages.length === 0) return []
    if (key === undefined || this.#closed) return messages.map(() => this.#noKey())
    const context: SigningContext = {
      key,
      atWork: this.#atWork.of(key.octets),
      members: this.#membersOf(key),
      approvals,
      deadlineUnix,
      signal,
      clock: this.#options.clock,
      combiner: this.#combiner,
      pools: this.#pools,
      blame: (peer, what) => this.#blame(peer, what),
      onFailure: (what, error) => this.#report({ kind: 'failure', what, error }),
    }
    const { atWork } = context
    const job =
      atWork.kind === 'rsa'
        ? new RsaSigningJob(context, messages, atWork)
        : new FrostSigningJob(context, messages, atWork.quorum)
    this.#jobs.add(job)
    try {
      return await job.run()
    } finally {
      this.#jobs.delete(job)
    }
  }

  /** Too few nodes answer to know, or there is no such key. */
  #noKey(): MessageOutcome {
    const up = [...this.#peers.values()].filter(peer => peer.isUp)
    if (this.#closed || up.length < this.threshold) {
      const what = `${up.length} of ${this.#peers.size} nodes are up`
      return { kind: 'unavailable', code: 'QUORUM_SHORT', what, retryAfterSeconds: RETRY_SECONDS }
    }
    return { kind: 'refused', code: 'KEY_UNKNOWN', by: 'coordinator', what: 'no node shows such a key' }
  }

  #membersOf(key: QuorumKey): Map<number, NodePeer> {
    return new Map(
      key.record.members.flatMap((name, at): [number, NodePeer][] => {
        const peer = this.#peers.get(name)
        return peer === undefined ? [] : [[at + 1, peer]]
      }),
    )
  }

  prepare(id: string, signatures: number): void {
    const key = this.#view.get(id)
    if (key === undefined || key.record.scheme.kind !== 'frost') return
    const suite = FROST_SUITES[key.record.scheme.key.suite]
    for (const [index, peer] of this.#membersOf(key)) {
      const isPoint = (octets: Uint8Array): boolean => suite.decode(octets) !== undefined
      if (!peer.isUp) continue
      this.#pools.of({ peer, key: id, epoch: key.record.epoch, index, isPoint }).prepare(signatures)
    }
  }

  keygen(spec: KeygenSpec): Promise<QuorumKey> {
    return this.#sessions.keygen(spec)
  }

  deal(dealt: DealtKey): Promise<QuorumKey> {
    return this.#sessions.deal(dealt)
  }

  reshare(spec: ReshareSpec): Promise<QuorumKey> {
    return this.#sessions.reshare(spec)
  }

  refresh(key: string): Promise<QuorumKey> {
    return this.#sessions.refresh(key)
  }

  erase(key: string): Promise<void> {
    return this.#sessions.erase(key)
  }

  async status(): Promise<QuorumStatus> {
    await this.#look([...this.#peers.values()].filter(peer => peer.isUp))
    return quorumStatus([...this.#peers.values()], this.#view.keys, this.#memory)
  }

  forgive(node: string): void {
    this.#peers.get(node)?.forgive()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const peer of this.#peers.values()) peer.close()
    await this.#memory.save()
    await this.#combiner.close()
  }

  async #look(peers: readonly NodePeer[]): Promise<void> {
    await Promise.all(peers.map(peer => peer.look()))
    for (const peer of peers) void this.#watch.check(peer)
    this.#takeKeys()
  }

  #cameUp(peer: NodePeer): void {
    this.#report({ kind: 'node up', node: peer.name, version: peer.state?.version ?? '' })
    const seconds = peer.roundTrip?.skewSeconds ?? 0
    if (Math.abs(seconds) > SKEW_SECONDS_REPORTED) {
      this.#report({ kind: 'clock skew', node: peer.name, seconds })
    }
    this.#takeKeys()
    void this.#watch.check(peer)
    this.#sessions.cameUp(peer)
    for (const job of this.#jobs) job.pump()
  }

  #wentDown(peer: NodePeer): void {
    if (!this.#closed) this.#report({ kind: 'node down', node: peer.name, why: peer.why ?? '' })
    for (const job of this.#jobs) job.pump()
  }

  #takeKeys(): void {
    const up = [...this.#peers.values()].filter(peer => peer.isUp)
    const { changed, doubtful } = this.#view.take(
      up.map(peer => ({ node: peer.name, keys: peer.state?.keys ?? [] })),
    )
    for (const { id, octets } of changed) this.#memory.records.set(id, octets)
    if (changed.length > 0) this.#save()
    // While nodes are still being greeted, few of them show anything.
    if ([...this.#peers.values()].some(peer => peer.mayComeUp)) return
    for (const { id, record, holders } of doubtful) {
      const what = `epoch ${record.epoch} of ${record.zone} is shown by ${holders.join(', ')} only`
      this.#report({ kind: 'key not usable', key: id, what })
    }
  }

  async #forget(id: string): Promise<void> {
    this.#view.forget(id)
    this.#memory.records.delete(id)
    await this.#memory.save()
  }

  #blame(peer: NodePeer, what: string): void {
    if (peer.isCulprit) return
    peer.blame(what)
    this.#report({ kind: 'culprit', node: peer.name, what })
  }

  #save(): void {
    this.#memory.save().catch((error: unknown) => {
      this.#report({ kind: 'failure', what: 'what the coordinator remembers could not be saved', error })
    })
  }

  #report(event: QuorumEvent): void {
    this.#options.onEvent?.(event)
  }
}

function batchesOf(messages: readonly Uint8Array[]): Uint8Array[][] {
  const batches: Uint8Array[][] = []
  let octets = Number.POSITIVE_INFINITY
  for (const message of messages) {
    const last = batches.at(-1)
    octets += message.length
    if (last === undefined || last.length === BATCH_MAX || octets > BATCH_OCTETS_MAX) {
      batches.push([message])
      octets = message.length
    } else last.push(message)
  }
  return batches
}
