/** The one door to private keys: file, PKCS#11 and quorum stores all look like this.
 *  I1  A key is known by its id; ids are opaque, stable over restarts and never reused. A key tag never identifies a key.
 *  I2  A request carries whole RRSIG-to-be-signed octets, never a digest, so that a store can check what it signs.
 *  I3  `sign` answers every message of the batch, in order, and throws only for a bug of the caller: an absent,
 *      slow or unwilling store is an outcome.
 *  I4  Times in the octets are the caller's. A pending message keeps its octets with its ticket, and `resume` signs
 *      exactly those.
 *  I5  Keys that exist but cannot be read make opening or listing fail; they are never replaced by new ones. */

import { createHash } from 'node:crypto'
import { canonicalName, type Name } from '../zones/index.ts'
import type { KeyTiming } from './key-timing.ts'

export type KeyRole = 'ksk' | 'zsk' | 'csk'

export interface KeyInfo {
  /** Opaque (I1). Stores of ours make it with `keyId`. */
  readonly id: string
  readonly zone: Name
  /** DNSSEC algorithm number. */
  readonly algorithm: number
  readonly role: KeyRole
  /** DNSKEY flags: 257 for KSK and CSK, 256 for ZSK. */
  readonly flags: number
  /** The DNSKEY's public key field, whole. */
  readonly publicKey: Uint8Array
  /** For RRSIG and DS; derived, and not unique. */
  readonly keyTag: number
  readonly createdUnix: number
  /** Where it is kept, for people: a path, a PKCS#11 URI, a quorum's name. */
  readonly where: string
  /** Of a key that another server had: what that noted. */
  readonly timing?: KeyTiming
}

export interface GenerateSpec {
  readonly zone: Name
  readonly algorithm: number
  readonly role: KeyRole
  /** RSA modulus; default 2048. */
  readonly bits?: number
  /** Key tags of keys elsewhere that the new one must not share, beside those of the zone's keys in this store. */
  readonly avoidTags?: readonly number[]
  /** When it is to be used; for stores that keep it. */
  readonly timing?: KeyTiming
}

export interface Capabilities {
  /** Algorithm numbers it can generate and sign with. */
  readonly algorithms: readonly number[]
  /** Messages a batch may have. */
  readonly batchMax: number
  /** Batches worth having under way at once. */
  readonly inFlightMax: number
  readonly latency: 'local' | 'token' | 'quorum'
}

/** Messages to sign with one key, end to end in one buffer. The octets must not change until `sign` has answered;
 *  backed by a SharedArrayBuffer they reach signing threads without a copy. `ToBeSigned` in rrsig.ts makes these. */
export interface SignBatch {
  /** Id of the key. */
  readonly key: string
  readonly octets: Uint8Array
  /** Message i is octets[offsets[i] .. offsets[i + 1]); at least count + 1 entries. */
  readonly offsets: Uint32Array
  readonly count: number
}

export interface SignOptions {
  /** Unix seconds after which an answer is no longer wanted; what is not signed by then is `unavailable`. */
  readonly deadlineUnix: number
  readonly signal?: AbortSignal
}

/** `signature` is the RRSIG's signature field, and may be a view into one buffer that the whole batch shares.
 *  `needs` says what a pending one waits for; `code` is stable and upper case. */
export type SignOutcome =
  | { readonly kind: 'signed'; readonly signature: Uint8Array }
  | { readonly kind: 'pending'; readonly ticket: string; readonly needs: string }
  | { readonly kind: 'refused'; readonly code: string; readonly by: string }
  | { readonly kind: 'unavailable'; readonly code: string; readonly retryAfterSeconds: number }

export interface KeyStore {
  capabilities(): Capabilities
  list(): Promise<KeyInfo[]>
  /** The keys of one zone, cheap among many; for stores that can do better than `list`. Keys that were added elsewhere
   *  are found when the zone had none; to have all of them noticed, `list`. */
  keysOf?(zone: Name): Promise<KeyInfo[]>
  /** The signed key response of a zone whose KSK is kept elsewhere (skr.ts), as text, and where it lies; for stores that
   *  keep it beside the ZSKs. */
  signedKeys?(zone: Name): Promise<{ readonly text: string; readonly where: string } | undefined>
  /** Resolves when the key is durable. */
  generate(spec: GenerateSpec): Promise<KeyInfo>
  sign(batch: SignBatch, options: SignOptions): Promise<SignOutcome[]>
  /** Outcomes of pending messages, after approvals and across restarts; in the order of the tickets. One that it
   *  does not know is `refused`, with the code TICKET_UNKNOWN. */
  resume(tickets: readonly string[]): Promise<SignOutcome[]>
  /** A hint that so many signatures will be asked of the key soon. */
  prepare?(key: string, signatures: number): void
  /** The private key is gone when this resolves. */
  destroy(key: string): Promise<void>
  close(): Promise<void>
}

/** Id for a key of a local store: the first 16 octets of SHA-256 over zone, algorithm and public key, in hex, so that
 *  moving or renaming a file changes nothing. */
export function keyId(zone: Name, algorithm: number, publicKey: Uint8Array): string {
  const hash = createHash('sha256')
    .update(canonicalName(zone))
    .update(Uint8Array.of(algorithm))
    .update(publicKey)
  return hash.digest('hex').slice(0, 32)
}

/** The same outcome for every message of a batch. */
export function sameOutcome(count: number, outcome: SignOutcome): SignOutcome[] {
  return new Array<SignOutcome>(count).fill(outcome)
}
