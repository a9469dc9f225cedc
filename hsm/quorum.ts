/** A quorum as its users see it: the types of the coordinator's side (coordinator.ts is what does it).
 *
 *  I1  Every message of a request has an outcome of its own; an absent, slow or lying node is never an exception.
 *  I2  What is `signed` was verified under the key's public key when its parts were combined (frost.ts I3, rsa.ts I3).
 *  I3  A key is believed when so many nodes show the same record of it as the configured threshold: fewer could make one up. */

import type { Clock } from '../base/index.ts'
import type { Combiner } from './combiner.ts'
import type { Identity, PublicIdentity } from './identity.ts'
import type { KeyRole, QuorumKeyRecord } from './key-record.ts'
import type { Approval, KeyEpoch, Membership, NodeRequest, QuorumAlgorithm } from './messages.ts'

/** The way to one node: octets of envelopes both ways, in order or not, once, twice or not at all. */
export interface NodeLink {
  /** Never throws; what cannot be sent is lost. */
  send(octets: Uint8Array): void
  /** Called once, before anything is sent. */
  onMessage(call: (octets: Uint8Array) => void): void
  /** For links that notice: the way is open, or has broken, and what was sent is not answered. Called once, like onMessage. */
  onChange?(call: (state: 'open' | 'broken') => void): void
  close(): void
}

export interface NodeConnection {
  readonly node: PublicIdentity
  readonly link: NodeLink
}

export interface CoordinatorOptions {
  readonly identity: Identity
  readonly nodes: readonly NodeConnection[]
  /** How many nodes suffice, for keys to be made, and for a key to be believed (I3). */
  readonly threshold: number
  readonly clock: Clock
  /** What outlives a restart: heads of audit logs, confirmations that were under way. */
  readonly memory: CoordinatorMemory
  /** Where signatures are put together; without it here, with a turn of the event loop after each. */
  readonly combiner?: Combiner
  readonly onEvent?: (event: QuorumEvent) => void
}

/** One value, kept whole: octets as they were saved last, or undefined before. */
export interface CoordinatorMemory {
  load(): Promise<Uint8Array | undefined>
  /** Resolves when it is durable. */
  save(octets: Uint8Array): Promise<void>
}

/** What operators should hear of. */
export type QuorumEvent =
  | { readonly kind: 'node up'; readonly node: string; readonly version: string }
  | { readonly kind: 'node down'; readonly node: string; readonly why: string }
  /** The node sent what is proven wrong, and is left out. */
  | { readonly kind: 'culprit'; readonly node: string; readonly what: string }
  /** The node's audit log is shorter than it was, or another one. */
  | { readonly kind: 'audit rollback'; readonly node: string; readonly what: string }
  | { readonly kind: 'clock skew'; readonly node: string; readonly seconds: number }
  /** A key that too few nodes show, or not alike. */
  | { readonly kind: 'key not usable'; readonly key: string; readonly what: string }
  | { readonly kind: 'failure'; readonly what: string; readonly error: unknown }

/** A key that this quorum can be asked for. */
export interface QuorumKey {
  readonly id: string
  readonly record: QuorumKeyRecord
  /** The record's octets, the same at all holders. */
  readonly octets: Uint8Array
  /** Names of nodes that show it. */
  readonly holders: readonly string[]
}

export interface QuorumSignRequest {
  readonly key: string
  /** RRSIG-to-be-signed octets, whole. */
  readonly messages: readonly Uint8Array[]
  readonly approvals?: readonly Approval[]
  /** May be infinite. */
  readonly deadlineUnix: number
  readonly signal?: AbortSignal
}

export type MessageOutcome =
  | { readonly kind: 'signed'; readonly signature: Uint8Array }
  | { readonly kind: 'pending'; readonly needs: string }
  /** More nodes refuse than a quorum can miss; `by` is the first of them. */
  | { readonly kind: 'refused'; readonly code: string; readonly by: string; readonly what: string }
  /** `what` names the nodes that are missing. */
  | {
      readonly kind: 'unavailable'
      readonly code: string
      readonly what: string
      readonly retryAfterSeconds: number
    }

export interface KeygenSpec {
  readonly zone: string
  readonly role: KeyRole
  /** 15 or 16: RSA keys come from a dealer (ceremony.ts). */
  readonly algorithm: QuorumAlgorithm
  /** All nodes of the coordinator without it. */
  readonly members?: readonly string[]
  readonly threshold?: number
  /** Whether a key with this DNSKEY public key field is wanted (its key tag may be taken); asked before it is made. */
  readonly accepts?: (publicKey: Uint8Array) => boolean
  readonly deadlineUnix?: number
}

export interface ReshareSpec extends Membership {
  readonly key: string
  readonly deadlineUnix?: number
}

/** A share for each member by name, as requests ready to be sent (ceremony.ts). */
export interface DealtKey {
  readonly record: Uint8Array
  readonly requests: ReadonlyMap<string, Extract<NodeRequest, { kind: 'deal' }>>
}

export interface NodeStatus {
  readonly name: string
  readonly state: 'up' | 'down' | 'culprit'
  /** Why it is not up. */
  readonly why: string | undefined
  readonly version: string | undefined
  /** The node's clock less ours, to half the way there and back. */
  readonly skewSeconds: number | undefined
  /** There and back of the last greeting. */
  readonly roundTripSeconds: number | undefined
  readonly audit: { readonly length: number; readonly head: Uint8Array } | undefined
  /** When its audit log was found rolled back. */
  readonly rolledBackUnix: number | undefined
  readonly keys: readonly KeyEpoch[]
}

export interface KeyStatus extends KeyEpoch {
  readonly zone: string
  readonly role: KeyRole
  readonly algorithm: QuorumAlgorithm
  readonly threshold: number
  readonly members: readonly string[]
  /** Members that are up and hold this epoch. */
  readonly holders: readonly string[]
  /** How many more may be lost; below zero, so many are missing. */
  readonly headroom: number
}

export interface QuorumStatus {
  readonly nodes: readonly NodeStatus[]
  readonly keys: readonly KeyStatus[]
  /** Sessions of which a confirmation is still to be given to somebody. */
  readonly confirming: readonly { readonly what: string; readonly nodes: readonly string[] }[]
}

/** Errors are ConclaveErrors; their place names node or key. */
export interface Quorum {
  /** How many nodes suffice. */
  readonly threshold: number
  /** From now on. @throws RangeError when there are not so many */
  setThreshold(threshold: number): Promise<void>
  /** Greets the nodes; resolves when all have answered, or after a while. */
  start(): Promise<void>
  /** Keys that can be believed (I3), of nodes that are up. */
  keys(): QuorumKey[]
  /** Never rejects (I1). */
  sign(request: QuorumSignRequest): Promise<MessageOutcome[]>
  /** So many signatures will be wanted soon: nonce commitments are fetched ahead. */
  prepare(key: string, signatures: number): void
  /** Every member must be up.
   *  @throws ConclaveError QUORUM_SHORT, KEYGEN_FAILED, KEY_NEEDS_DEALER */
  keygen(spec: KeygenSpec): Promise<QuorumKey>
  /** @throws ConclaveError QUORUM_SHORT, DEAL_FAILED */
  deal(dealt: DealtKey): Promise<QuorumKey>
  /** New shares for these members; the old ones are erased.
   *  @throws ConclaveError QUORUM_SHORT, KEY_UNKNOWN, RESHARE_FAILED */
  reshare(spec: ReshareSpec): Promise<QuorumKey>
  /** New shares for the same members. */
  refresh(key: string): Promise<QuorumKey>
  /** The nodes erase their shares, where their policy allows it.
   *  @throws ConclaveError QUORUM_SHORT, KEY_UNKNOWN, ERASE_REFUSED */
  erase(key: string): Promise<void>
  /** Asks every node anew. */
  status(): Promise<QuorumStatus>
  /** A culprit is used again, after a person has looked at it. */
  forgive(node: string): void
  close(): Promise<void>
}
