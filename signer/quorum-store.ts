/** The key store of a quorum: no private key is anywhere whole; nodes sign what their own rules allow (hsm/).
 *
 *    sign ─▶ Coordinator ─▶ signed │ refused │ unavailable │ pending ─▶ kept in pending/ ─ approvals/ ─▶ resume ─▶ signed
 *
 *  I1  Approvals that operators left go with every batch of their key, so that a message asked for anew, with new times, is
 *      signed without another word of theirs, as long as theirs covers those times.
 *  I2  A pending message is on disk before its ticket is given; it is gone when it was signed or refused.
 *  I3  Signatures were verified when they were combined; the gate checks what is published (keystore I3 and verify-signature I1).
 *  I4  No two keys of a zone in one store share a key tag, nor one that either would have when revoked (RFC 5011 §2.1). */

import { type Clock, ConclaveError, systemClock } from '../base/index.ts'
import { dnskeyField } from '../hsm/key-record.ts'
import type { Approval, QuorumAlgorithm } from '../hsm/messages.ts'
import { ApprovalFiles, PendingFiles, type PendingMessage, rrsetOf, ticketOf } from '../hsm/pending-files.ts'
import type { MessageOutcome, Quorum, QuorumKey } from '../hsm/quorum.ts'
import { canonicalName, type Name, nameFromText, nameToText, sameName } from '../zones/index.ts'
import { algorithmOf } from './algorithms.ts'
import { dnskeyRdata, flagsOfRole, keyTagOf, keyTagsOf } from './dnskey.ts'
import type {
  Capabilities,
  GenerateSpec,
  KeyInfo,
  KeyStore,
  SignBatch,
  SignOptions,
  SignOutcome,
} from './keystore.ts'

export interface QuorumStoreOptions {
  /** Started; the store closes it. */
  readonly quorum: Quorum
  /** For people: where its keys are said to be. */
  readonly name: string
  /** Of pending messages and approvals. */
  readonly stateDirectory: string
  readonly clock?: Clock
}

/** Some seconds of work for five nodes; what is not signed when a batch ends badly is little. */
const BATCH_MAX = 256
/** While nodes sign one batch, the parts of another are combined, and a third is made. */
const IN_FLIGHT_MAX = 3
/** What nodes can make among themselves; RSA keys of a dealer are signed with, too. */
const GENERATED: readonly QuorumAlgorithm[] = [15, 16]
/** message-schema.ts has the same limit. */
const APPROVALS_MAX = 32
const RESUME_SECONDS_MAX = 60
const RETRY_SECONDS = 60

export class QuorumKeyStore implements KeyStore {
  readonly #quorum: Quorum
  readonly #name: string
  readonly #clock: Clock
  readonly #pending: PendingFiles
  readonly #approvals: ApprovalFiles
  /** Keys are made one after the other, so that each knows the tags of the ones before (I4). */
  #making: Promise<unknown> = Promise.resolve()

  constructor(options: QuorumStoreOptions) {
    this.#quorum = options.quorum
    this.#name = options.name
    this.#clock = options.clock ?? systemClock
    this.#pending = new PendingFiles(options.stateDirectory)
    this.#approvals = new ApprovalFiles(options.stateDirectory)
  }

  capabilities(): Capabilities {
    return { algorithms: GENERATED, batchMax: BATCH_MAX, inFlightMax: IN_FLIGHT_MAX, latency: 'quorum' }
  }

  /** Nodes that are down hide no key that was seen before; a quorum that was never seen is not taken for an empty one.
   *  @throws ConclaveError QUORUM_SHORT */
  async list(): Promise<KeyInfo[]> {
    const { nodes } = await this.#quorum.status()
    const keys = this.#quorum.keys()
    const missing = nodes.filter(({ state }) => state !== 'up').map(({ name }) => name)
    if (keys.length === 0 && nodes.length - missing.length < this.#quorum.threshold) {
      throw new ConclaveError(
        'QUORUM_SHORT',
        `too few nodes to say which keys there are; missing: ${missing}`,
        {
          remedy: 'Start the nodes that are missing; `conclave hsm status` shows them.',
        },
      )
    }
    return keys.map(key => this.#infoOf(key))
  }

  async keysOf(zone: Name): Promise<KeyInfo[]> {
    const ofZone = (infos: readonly KeyInfo[]): KeyInfo[] => infos.filter(info => sameName(info.zone, zone))
    const known = ofZone(this.#quorum.keys().map(key => this.#infoOf(key)))
    return known.length > 0 ? known : ofZone(await this.list())
  }

  #infoOf({ id, record }: QuorumKey): KeyInfo {
    const { algorithm, role, createdUnix } = record
    const flags = flagsOfRole(role)
    const publicKey = dnskeyField(record)
    return {
      id,
      zone: nameFromText(record.zone),
      algorithm,
      role,
      flags,
      publicKey,
      keyTag: keyTagOf(dnskeyRdata({ flags, algorithm, publicKey })),
      createdUnix,
      where: `quorum ${this.#name}`,
    }
  }

  generate(spec: GenerateSpec): Promise<KeyInfo> {
    const made = this.#making.then(() => this.#make(spec))
    this.#making = made.catch(() => {})
    return made
  }

  async #make({ zone, algorithm, role, avoidTags = [] }: GenerateSpec): Promise<KeyInfo> {
    const name = nameToText(canonicalName(zone))
    const { kind, mnemonic } = algorithmOf(algorithm)
    if (!isGenerated(algorithm)) {
      const remedy =
        kind === 'rsa'
          ? `Deal one with \`conclave hsm keygen ${name} --algorithm rsasha256\`.`
          : 'Use ed25519 or ed448.'
      throw new ConclaveError('KEY_NEEDS_DEALER', `a quorum does not make ${mnemonic} keys by itself`, {
        place: { zone: name },
        remedy,
      })
    }
    const flags = flagsOfRole(role)
    const tags = new Set([...avoidTags, ...(await this.keysOf(zone)).flatMap(keyTagsOf)])
    const accepts = (publicKey: Uint8Array): boolean =>
      !keyTagsOf({ flags, algorithm, publicKey }).some(tag => tags.has(tag))
    return this.#infoOf(await this.#quorum.keygen({ zone: name, role, algorithm, accepts }))
  }

  async sign({ key, octets, offsets, count }: SignBatch, options: SignOptions): Promise<SignOutcome[]> {
    // Copies: what is sent may not be shared memory.
    const messages = Array.from({ length: count }, (_, at) => octets.slice(offsets[at], offsets[at + 1]))
    return this.#sign(key, messages, options)
  }

  async #sign(key: string, messages: readonly Uint8Array[], options: SignOptions): Promise<SignOutcome[]> {
    if (messages.length === 0) return []
    const approvals = await this.#approvalsFor(key, messages)
    const outcomes = await this.#quorum.sign({ key, messages, approvals, ...options })
    return Promise.all(outcomes.map((outcome, at) => this.#outcomeOf(key, messages[at]!, outcome)))
  }

  /** I1. Approvals that cannot be read are as good as none: their messages are pending. */
  async #approvalsFor(key: string, messages: readonly Uint8Array[]): Promise<Approval[]> {
    const now = this.#clock.now()
    try {
      const all = await this.#approvals.of(key, now)
      if (all.length <= APPROVALS_MAX) return all
      const fitting = await this.#approvals.of(key, now, new Set(messages.map(rrsetOf)))
      return fitting.slice(0, APPROVALS_MAX)
    } catch {
      return []
    }
  }

  async #outcomeOf(key: string, octets: Uint8Array, outcome: MessageOutcome): Promise<SignOutcome> {
    switch (outcome.kind) {
      case 'signed':
        return outcome
      case 'pending':
        return this.#keep(key, octets, outcome.needs)
      case 'refused':
        return { kind: 'refused', code: outcome.code, by: outcome.by }
      case 'unavailable': {
        const { code, retryAfterSeconds } = outcome
        return { kind: 'unavailable', code, retryAfterSeconds }
      }
    }
  }

  /** I2. */
  async #keep(key: string, octets: Uint8Array, needs: string): Promise<SignOutcome> {
    const ticket = ticketOf(key, octets)
    const zone = this.#quorum.keys().find(({ id }) => id === key)?.record.zone ?? ''
    try {
      await this.#pending.add({ ticket, key, zone, needs, sinceUnix: this.#clock.now(), octets })
    } catch {
      return { kind: 'unavailable', code: 'PENDING_NOT_KEPT', retryAfterSeconds: RETRY_SECONDS }
    }
    return { kind: 'pending', ticket, needs }
  }

  async resume(tickets: readonly string[]): Promise<SignOutcome[]> {
    const messages = await Promise.all(tickets.map(ticket => this.#pending.get(ticket)))
    const unknown: SignOutcome = { kind: 'refused', code: 'TICKET_UNKNOWN', by: this.#name }
    return Promise.all(messages.map(message => (message === undefined ? unknown : this.#resumeOne(message))))
  }

  async #resumeOne({ ticket, key, octets }: PendingMessage): Promise<SignOutcome> {
    const deadlineUnix = this.#clock.now() + RESUME_SECONDS_MAX
    const [outcome] = await this.#sign(key, [octets], { deadlineUnix })
    if (outcome!.kind === 'signed' || outcome!.kind === 'refused') await this.#pending.remove(ticket)
    return outcome!
  }

  prepare(key: string, signatures: number): void {
    this.#quorum.prepare(key, signatures)
  }

  /** @throws ConclaveError KEY_UNKNOWN, ERASE_REFUSED, QUORUM_SHORT */
  destroy(key: string): Promise<void> {
    return this.#quorum.erase(key)
  }

  close(): Promise<void> {
    return this.#quorum.close()
  }
}

function isGenerated(algorithm: number): algorithm is QuorumAlgorithm {
  return GENERATED.some(one => one === algorithm)
}
