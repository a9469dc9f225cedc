/** What the files of a quorum say: a node's own (`node.yaml`), and the coordinator's (`quorum.yaml`). Data only; quorum-read.ts
 *  reads them and quorum-init.ts writes the first ones. */

import type { PublicIdentity } from './identity.ts'
import type { NodePolicy } from './node-policy.ts'

/** A party's public halves, its CURVE key too where it has a socket. */
export interface PinnedParty extends PublicIdentity {
  /** Z85. */
  readonly curve: string
}

/** Where a party's own secrets are, and what opens them. */
export interface VaultPlace {
  /** Absolute path of the directory. */
  readonly vault: string
  readonly opener: VaultOpener
}

export type VaultOpener =
  /** A file of random octets. */
  | { readonly kind: 'key-file'; readonly file: string }
  | { readonly kind: 'passphrase-file'; readonly file: string }
  /** A variable of the environment that holds the passphrase. */
  | { readonly kind: 'passphrase-variable'; readonly variable: string }

export interface NodeConfiguration extends VaultPlace {
  readonly file: string
  readonly name: string
  /** Absolute path of the audit log. */
  readonly audit: string
  readonly coordinators: readonly (PinnedParty & { readonly listen: string })[]
  readonly dealers: readonly PublicIdentity[]
  /** All nodes, this one too. */
  readonly nodes: readonly PublicIdentity[]
  readonly policy: NodePolicy
}

export interface QuorumConfiguration extends VaultPlace {
  readonly file: string
  /** The coordinator's own name. */
  readonly name: string
  readonly threshold: number
  /** Absolute path: heads of audit logs, pending messages, approvals. */
  readonly state: string
  readonly nodes: readonly (PinnedParty & { readonly address: string })[]
}

/** Names of what is in a vault besides shares. */
export const VAULT_IDENTITY = 'identity'
export const VAULT_DEALER = 'dealer'
