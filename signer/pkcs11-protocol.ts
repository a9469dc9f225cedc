/** What a PKCS #11 key store and its child process say to each other, by Node.js' IPC with structured clones, so that
 *  octets travel as octets.
 *
 *    store ── open ──▶ child        loads the library and finds the token
 *          ◀─ facts ──
 *          ── login ─▶              when the token asks for it; the only message with a secret
 *          ── list, generate, destroy, sign, sign … ─▶
 *          ◀─ answers, in any order, by id; `alive` now and then while there is work ─
 *          ── close ─▶              sessions closed, library finalised, process gone
 *
 *  I1  Every request but `close` gets one answer, unless the process dies.
 *  I2  Handles are of one life of the child: the store throws them away with it. */

import type { Fault } from './pkcs11-faults.ts'

/** Which token, and what the library is. */
export interface OpenRequest {
  readonly kind: 'open'
  readonly id: number
  /** Paths to try in order. */
  readonly modules: readonly string[]
  readonly choice: TokenChoice
  /** A single call that takes longer is taken for hung. */
  readonly callSecondsMax: number
}

/** What must be as given; the others do not matter. */
export interface TokenChoice {
  readonly token?: string | undefined
  readonly manufacturer?: string | undefined
  readonly model?: string | undefined
  readonly serial?: string | undefined
  readonly slotId?: number | undefined
  readonly slotDescription?: string | undefined
  readonly slotManufacturer?: string | undefined
  readonly libraryDescription?: string | undefined
  readonly libraryManufacturer?: string | undefined
  readonly libraryVersion?: string | undefined
}

export interface LoginRequest {
  readonly kind: 'login'
  readonly id: number
  /** Absent where the token asks for none. */
  readonly pin?: Uint8Array
  readonly sessions: number
}

export interface ListRequest {
  readonly kind: 'list'
  readonly id: number
}

export interface GenerateRequest {
  readonly kind: 'generate'
  readonly id: number
  readonly algorithm: number
  readonly bits: number
  readonly objectId: Uint8Array
  readonly label: Uint8Array
}

export interface DestroyRequest {
  readonly kind: 'destroy'
  readonly id: number
  /** Of the private key. */
  readonly handle: Uint8Array
}

export interface SignRequest {
  readonly kind: 'sign'
  readonly id: number
  readonly handle: Uint8Array
  readonly algorithm: number
  readonly signatureOctets: number
  readonly deadlineUnix: number
  readonly octets: Uint8Array
  readonly offsets: Uint32Array
  readonly count: number
}

/** What is not begun of that request need not be. */
export interface CancelRequest {
  readonly kind: 'cancel'
  readonly id: number
}

export interface CloseRequest {
  readonly kind: 'close'
}

export type AskingRequest =
  | OpenRequest
  | LoginRequest
  | ListRequest
  | GenerateRequest
  | DestroyRequest
  | SignRequest
export type Request = AskingRequest | CancelRequest | CloseRequest

/** A token as it says of itself. */
export interface TokenFacts {
  readonly label: string
  readonly manufacturer: string
  readonly model: string
  readonly serial: string
  readonly loginRequired: boolean
  readonly writeProtected: boolean
  /** DNSSEC algorithms that it can both generate and sign with. */
  readonly algorithms: readonly number[]
}

/** A private key on the token with all that is known of its public half. */
export interface TokenKey {
  readonly handle: Uint8Array
  readonly objectId: Uint8Array
  readonly label: string
  /** `RSA`, `P-256`, `P-384`, `Ed25519`, `Ed448`; undefined for a key that is of no use here. */
  readonly curve: string | undefined
  /** As in a DNSKEY; undefined when the token does not give it, `fault` says why. */
  readonly publicKey: Uint8Array | undefined
  readonly fault: string | undefined
}

/** Why the token did not do it. */
export interface TokenFault extends Fault {
  readonly kind: 'fault'
  readonly id: number
}

export interface SignAnswer {
  readonly kind: 'signed'
  readonly id: number
  /** Signature i at i × signatureOctets. */
  readonly signatures: Uint8Array
  /** By message: 1 when signed. */
  readonly done: Uint8Array
  /** Why some are not. */
  readonly failure?: Fault | undefined
}

export type Answer =
  | { readonly kind: 'opened'; readonly id: number; readonly facts: TokenFacts }
  | { readonly kind: 'loggedIn'; readonly id: number }
  | { readonly kind: 'listed'; readonly id: number; readonly keys: readonly TokenKey[] }
  | { readonly kind: 'generated'; readonly id: number; readonly key: TokenKey }
  | { readonly kind: 'destroyed'; readonly id: number }
  | SignAnswer
  | TokenFault

/** `alive`: work is under way and the process is not stuck. `hung`: a call on a thread has taken longer than it may. */
export type FromChild = Answer | { readonly kind: 'alive' } | { readonly kind: 'hung' }
