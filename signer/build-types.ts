/** What building a zone version takes and gives (ARCHITECTURE.md: the life of a zone). Data only; build.ts does the work.
 *  I1  A result of any kind but `built` leaves nothing behind: the drafts are discarded, the old version stays as it was.
 *  I2  What `built` returns is private until the caller commits the drafts and drops `dropped`. */

import type { Fault, Name, Store, TreeDraft, ZoneContent, ZoneRecord } from '../zones/index.ts'
import type { KeyInfo, KeyStore } from './keystore.ts'
import type { KeyRRset } from './ksr-text.ts'
import type { PendingSignature } from './pending.ts'
import type { CryptoPool } from './sign-pool.ts'

export type DenialMode = 'nsec' | 'nsec3' | 'opt-out'
export type ZonemdMode = 'sha384' | 'sha512' | 'none'

/** A key and what it does in this version; a roll moves each of these at its own time (RFC 7583). */
export interface SigningKey {
  readonly info: KeyInfo
  readonly store: KeyStore
  /** Its DNSKEY is in the zone. */
  readonly published: boolean
  /** It signs the DNSKEY, CDS and CDNSKEY RRsets. */
  readonly signsKeys: boolean
  /** It signs all other RRsets. */
  readonly signsZone: boolean
  /** CDS and CDNSKEY ask the parent for its DS. */
  readonly cds: boolean
}

/** Records of keys that others hold (multi-signer, RFC 8901), or that are still in caches; RDATA. */
export interface ForeignKeys {
  readonly dnskey?: readonly Uint8Array[]
  readonly cds?: readonly Uint8Array[]
  readonly cdnskey?: readonly Uint8Array[]
}

export interface Nsec3Parameters {
  readonly iterations: number
  readonly salt: Uint8Array
}

export interface SigningSettings {
  readonly keys: readonly SigningKey[]
  readonly foreign?: ForeignKeys
  /** DNSKEY, CDS and CDNSKEY as they were signed elsewhere (offline KSK): they are published in place of what would be
   *  made of `keys` and `foreign`. */
  readonly ready?: readonly KeyRRset[]
  readonly denial: DenialMode
  /** Default: no iterations, no salt (RFC 9276 §3.1). */
  readonly nsec3?: Nsec3Parameters
  readonly zonemd: ZonemdMode
  /** Unix seconds. */
  readonly now: number
  /** Expiration is at most this far from now; default 14 days. */
  readonly signatureValiditySeconds?: number
  /** A signature with less than this left is made anew; default a third of the validity. */
  readonly refreshSeconds?: number
  /** Expirations are spread over so much before the furthest; default a seventh of the validity. */
  readonly jitterSeconds?: number
  /** Default an hour: clocks of validators differ. */
  readonly inceptionOffsetSeconds?: number
  /** These, instead of what `now` and the above give: for `sign --inception --expiration`; no jitter then. */
  readonly inceptionUnix?: number
  readonly expirationUnix?: number
  /** Decides the jitter together with owner and type. */
  readonly seed: string
  /** Of DNSKEY, CDS and CDNSKEY; default 3600. */
  readonly dnskeyTtl?: number
  /** Greater TTLs of the content are lowered to this. */
  readonly ttlMax?: number
  /** Unix seconds until when key stores may answer; default five minutes after now. */
  readonly deadlineUnix?: number
}

/** A name and all that the source says of it now, as an encoded node without flags; null when the name is gone. */
export interface ContentEdit {
  /** Relative to the apex. */
  readonly key: Uint8Array
  readonly node: Uint8Array | null
}

export type Edits =
  /** A whole zone. The content's tree is only read when the zone is signed; else it may become the version's own. */
  | { readonly kind: 'all'; readonly content: ZoneContent }
  /** Changes to the previous version's content, in ascending order of keys. */
  | { readonly kind: 'some'; readonly edits: Iterable<ContentEdit> }
  /** The content is as it was: settings changed, or signatures are due. */
  | { readonly kind: 'refresh' }

export interface PreviousVersion {
  readonly record: ZoneRecord
  /** What `built` said of it; without it the result has none either unless the version is built whole. */
  readonly contentHash?: string | undefined
  /** The settings' `ttlMax` that it was built with. */
  readonly ttlMax?: number | undefined
}

export type SerialPolicy = 'increment' | 'unixtime' | 'dateserial' | 'keep'

export interface SerialSettings {
  readonly policy: SerialPolicy
  /** The newest serial that was ever served, when there is no previous version at hand (a restart). */
  readonly lastServed?: number | undefined
  /** The content hash of the version that had it: while that is the same, so is the serial. */
  readonly lastContentHash?: string | undefined
  /** For policies that tell the time; default the signing settings' `now`. */
  readonly nowUnix?: number | undefined
}

export type TreeKind = 'names' | 'nsec3'
export type GateMode = 'full' | 'keys'

export interface BuildInput {
  readonly store: Store
  readonly apex: Name
  readonly previous?: PreviousVersion | undefined
  readonly edits: Edits
  /** Absent: the content is served as it is, signed or not. */
  readonly signing?: SigningSettings | undefined
  /** Sign input that carries signatures by keys we do not hold (`--replace-keys`). */
  readonly replaceKeys?: boolean | undefined
  /** The previous version was signed here, and its content is served without signatures from now on. */
  readonly unsign?: boolean | undefined
  /** Take content whose own ZONEMD does not match it, for `verify`, which tells of it together with all else. */
  readonly ignoreDigest?: boolean
  /** Signatures from disk by tree key, as `onSignatures` gave them; used where the previous version has none. */
  readonly reuse?: ((key: Uint8Array, kind: TreeKind) => Uint8Array | undefined) | undefined
  /** Signatures that earlier builds left pending. */
  readonly pending?: readonly PendingSignature[] | undefined
  readonly serial: SerialSettings
  /** Default `full`. */
  readonly gate?: GateMode | undefined
  /** Verifies new signatures; default one of the build's own. */
  readonly pool?: CryptoPool
  /** The signatures of a node, packed (signature-pack.ts), whenever they changed; null when none are left. The octets
   *  are only lent. Called while building: keep them apart until the version is committed. */
  readonly onSignatures?: (key: Uint8Array, kind: TreeKind, pack: Uint8Array | null) => void
  /** Signatures made so far; called now and then. */
  readonly onProgress?: (signaturesMade: number) => void
  /** Beyond so many octets the changes are not listed; default 64 MiB. */
  readonly changesOctetsMax?: number
  readonly signal?: AbortSignal
}

/** What differs from the previous version, as IXFR has it (RFC 1995 §4): wire records with uncompressed owners, end to
 *  end; the first of each is the SOA. Absent when there was no previous version or the list grew too long. */
export interface Changes {
  readonly fromSerial: number
  readonly toSerial: number
  readonly removed: Uint8Array
  readonly added: Uint8Array
}

export interface BuiltVersion {
  readonly kind: 'built'
  readonly names: TreeDraft
  readonly nsec3?: TreeDraft
  /** Drafts to commit, and roots to drop with that commit. */
  readonly drafts: readonly TreeDraft[]
  readonly dropped: readonly number[]
  readonly record: ZoneRecord
  readonly contentHash?: string
  readonly signaturesMade: number
  readonly signaturesReused: number
  /** Unix seconds: when the first of the zone's signatures expires; after edits the first of those around them, and the
   *  others are as they were. None when nothing is signed. */
  readonly firstExpirationUnix?: number | undefined
  readonly expirationOf: 'zone' | 'edits'
  /** The greatest TTL of the zone's RRsets; after edits, of those around them. */
  readonly ttlGreatest: number
  readonly changes?: Changes
  readonly warnings: readonly Fault[]
  /** Of earlier builds, for what this version does not have. */
  readonly pending: readonly PendingSignature[]
}

export type BuildResult =
  | BuiltVersion
  /** `firstExpirationUnix`: that of the zone, after a refresh. */
  | { readonly kind: 'unchanged'; readonly warnings: readonly Fault[]; readonly firstExpirationUnix?: number }
  | { readonly kind: 'refused'; readonly code: string; readonly faults: readonly Fault[] }
  /** To be kept, and given to the next build (pending.ts). */
  | { readonly kind: 'pending'; readonly pending: readonly PendingSignature[]; readonly needs: string }
  | { readonly kind: 'unavailable'; readonly code: string; readonly retryAfterSeconds: number }
