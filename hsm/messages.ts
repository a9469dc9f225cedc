/** What coordinator and nodes say to each other, as bodies of envelopes (message-schema.ts reads them strictly).
 *
 *    coordinator ─ request ─▶ node ─ answer ─▶ coordinator            one answer to each request
 *
 *    sign          RSA: one round. EdDSA: with commitments that nodes gave ahead (`commit`), so one round too.
 *    keygen        start ─▶ pledges of all ─▶ round 1 of all ─▶ parts, sealed from node to node ─▶ echo of all ─▶ active
 *    reshare       start (also to leavers and newcomers) ─▶ dealings and parts ─▶ echo of all ─▶ new epoch, old shares erased
 *    deal          a share from the dealer, sealed to the node
 *
 *  I1  A request never holds a digest to be signed: whole messages only (to-be-signed.ts).
 *  I2  What nodes tell each other passes through the coordinator signed (pledges, round 1, dealings, echoes) or sealed (parts). */

import type { KeyRole } from './key-record.ts'

export type QuorumAlgorithm = 8 | 10 | 15 | 16

/** An operator says that exactly these octets may be signed in this window (approval.ts). */
export interface Approval {
  /** Ed25519 public key. */
  readonly operator: Uint8Array
  readonly statement: Uint8Array
  readonly signature: Uint8Array
}

/** A node's commitment for one signature, with the node's own number for the nonces behind it. */
export interface NumberedCommitment {
  readonly index: number
  readonly nonce: number
  readonly hiding: Uint8Array
  readonly binding: Uint8Array
}

/** Key generation: the hash of what its node will show as round 1, signed over session and content. */
export interface SignedPledge {
  readonly index: number
  readonly pledge: Uint8Array
  readonly signature: Uint8Array
}

/** Key generation, round 1, signed the same way. */
export interface SignedRound1 {
  readonly index: number
  readonly salt: Uint8Array
  readonly commitments: readonly Uint8Array[]
  /** Of each coefficient. */
  readonly proofs: readonly Uint8Array[]
  readonly signature: Uint8Array
}

export interface SealedPart {
  readonly from: number
  readonly to: number
  readonly sealed: Uint8Array
}

export interface SignedEcho {
  readonly index: number
  readonly echo: Uint8Array
  readonly signature: Uint8Array
}

export interface SignedDealing {
  readonly from: number
  readonly commitments: readonly Uint8Array[]
  /** Of each coefficient, for EdDSA; none for RSA. */
  readonly proofs: readonly Uint8Array[]
  readonly signature: Uint8Array
}

/** The record of a new sharing, and the hash of the dealings it came of. */
export interface ReshareOutcome {
  readonly record: Uint8Array
  readonly dealings: Uint8Array
}

/** Which key, and which sharing of it. */
export interface KeyEpoch {
  /** Id of a key in the quorum: hash of its first public record, in hex. */
  readonly key: string
  readonly epoch: number
}

/** Names of the nodes that hold shares, by index from 1; `threshold` of them suffice. */
export interface Membership {
  readonly members: readonly string[]
  readonly threshold: number
}

export type NodeRequest =
  /** Begins a talk; answered with `state`. */
  | { readonly kind: 'hello' }
  /** Commitments for so many signatures to come. */
  | ({ readonly kind: 'commit'; readonly count: number } & KeyEpoch)
  /** `sets`, for EdDSA: the commitments of the signing set, message by message. */
  | ({
      readonly kind: 'sign'
      readonly messages: readonly Uint8Array[]
      readonly sets?: readonly (readonly NumberedCommitment[])[]
      readonly approvals: readonly Approval[]
    } & KeyEpoch)
  /** RSA, when a combination has failed: proofs for messages that this node signed. */
  | ({ readonly kind: 'prove'; readonly messages: readonly Uint8Array[] } & KeyEpoch)
  | ({
      readonly kind: 'keygen'
      readonly session: Uint8Array
      readonly zone: string
      readonly role: KeyRole
      readonly algorithm: QuorumAlgorithm
      /** The coordinator's time; goes into the record. */
      readonly createdUnix: number
    } & Membership)
  | {
      readonly kind: 'keygen-reveal'
      readonly session: Uint8Array
      readonly pledges: readonly SignedPledge[]
    }
  | { readonly kind: 'keygen-parts'; readonly session: Uint8Array; readonly round1: readonly SignedRound1[] }
  | { readonly kind: 'keygen-finish'; readonly session: Uint8Array; readonly parts: readonly SealedPart[] }
  | { readonly kind: 'keygen-confirm'; readonly session: Uint8Array; readonly echoes: readonly SignedEcho[] }
  /** `record`: the key's public record; `share`: sealed to the node by the dealer, whose identity the node has pinned. */
  | {
      readonly kind: 'deal'
      readonly record: Uint8Array
      readonly share: Uint8Array
      readonly dealer: string
    }
  /** `set`: members by index that deal. The new members may be the old ones: a refresh. */
  | ({
      readonly kind: 'reshare'
      readonly session: Uint8Array
      readonly record: Uint8Array
      readonly set: readonly number[]
    } & KeyEpoch &
      Membership)
  | {
      readonly kind: 'reshare-parts'
      readonly session: Uint8Array
      readonly dealings: readonly SignedDealing[]
      readonly parts: readonly SealedPart[]
    }
  /** `outcome`: what the echoes are of, for nodes that were not in the session. */
  | {
      readonly kind: 'reshare-confirm'
      readonly session: Uint8Array
      readonly echoes: readonly SignedEcho[]
      readonly outcome?: ReshareOutcome
    }
  /** A session that came to nothing: what was prepared in it goes. */
  | { readonly kind: 'abandon'; readonly session: Uint8Array }
  /** The node's share of the key goes, where its policy allows that. */
  | ({ readonly kind: 'erase' } & KeyEpoch)
  /** Records of the audit log from that number on. */
  | { readonly kind: 'audit'; readonly from: number }

/** A key of which the node holds a share. */
export interface HeldKey extends KeyEpoch {
  /** This node's number among the members. */
  readonly index: number
  /** The public record, the same at all nodes (key-record.ts). */
  readonly record: Uint8Array
}

export type SignResult =
  | { readonly kind: 'share'; readonly share: Uint8Array }
  | { readonly kind: 'pending'; readonly needs: string }
  | { readonly kind: 'refused'; readonly code: string; readonly what: string }

/** How long the audit log is, and the hash of its last record. */
export interface AuditHead {
  readonly auditLength: number
  readonly auditHead: Uint8Array
}

export type NodeAnswer =
  | ({
      readonly kind: 'state'
      readonly version: string
      readonly clockUnix: number
      readonly keys: readonly HeldKey[]
      /** Sessions that made a share which waits for its confirmation. */
      readonly prepared: readonly Uint8Array[]
    } & AuditHead)
  | { readonly kind: 'commitments'; readonly commitments: readonly NumberedCommitment[] }
  | ({ readonly kind: 'shares'; readonly results: readonly SignResult[] } & AuditHead)
  | { readonly kind: 'proofs'; readonly proofs: readonly ShareProof[] }
  | { readonly kind: 'pledge'; readonly pledge: SignedPledge }
  | { readonly kind: 'round1'; readonly round1: SignedRound1 }
  | { readonly kind: 'parts'; readonly parts: readonly SealedPart[] }
  | { readonly kind: 'dealt'; readonly dealing: SignedDealing; readonly parts: readonly SealedPart[] }
  | { readonly kind: 'echo'; readonly echo: SignedEcho }
  | ({ readonly kind: 'active' } & KeyEpoch)
  | { readonly kind: 'audit'; readonly records: readonly Uint8Array[] }
  | { readonly kind: 'done' }
  /** `culprit`: the member whose message was wrong, where one was. */
  | { readonly kind: 'refused'; readonly code: string; readonly what: string; readonly culprit?: number }

export interface ShareProof {
  readonly share: Uint8Array
  readonly challenge: Uint8Array
  /** With a sign octet in front (key-record.ts). */
  readonly response: Uint8Array
}
