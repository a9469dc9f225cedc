/** What the life of a zone is given, and what it tells. Data and faces only; zone-life.ts does the work. */
import type { Clock, Logger } from '../base/index.ts'
import type {
  CryptoPool,
  Edits,
  KeyInfo,
  KeyStore,
  SerialPolicy,
  SigningPolicy,
  ZoneStores,
} from '../signer/index.ts'
import type { Fault, Name, Store } from '../zones/index.ts'
import type { Effort } from './effort.ts'
import type { Refusal } from './refusal.ts'
import type { SharedPublication } from './shared-publication.ts'
import type { ZoneState } from './state-zone.ts'
import type { ClockTrust, RolloverStep } from './zone-keys-types.ts'
import type { ZoneLife } from './zone-life.ts'

export interface ZoneEnvironment {
  readonly store: Store
  readonly publications: SharedPublication
  readonly clock: Clock
  readonly log: Logger
  readonly pool: CryptoPool
  readonly effort: Effort
  /** Ends builds that are under way; nothing is published afterwards. */
  readonly signal: AbortSignal
  stateOf(apexKey: Uint8Array): ZoneState
  keysMade(zone: Name, keys: readonly KeyInfo[]): void
  rollover(step: RolloverStep): void
  /** Since when keys go by the clock. */
  clockTrust(): ClockTrust
  /** Where keys are when nobody says. */
  ownStores(): Promise<ZoneStores>
  /** Where keys may be besides. */
  otherStores(): Promise<Iterable<KeyStore>>
  published(life: ZoneLife, version: PublishedVersion): void
  refused(life: ZoneLife, refusal: Refusal, edits: Edits['kind']): void
  progress(zone: string, signaturesMade: number): void
}

/** How a zone is signed. */
export interface SignedSettings {
  readonly policy: SigningPolicy
  readonly stores: ZoneStores
  /** The policy's algorithm and split of keys are for zones that have no keys yet. */
  readonly keepKeys?: boolean
  /** The zone is on its way to being served unsigned. */
  readonly unsign?: boolean
}

/** How one zone is served. */
export interface ZoneSettings {
  /** Absent: the zone is served as it is. */
  readonly signing?: SignedSettings
  /** Absent: what is usual for the zone (zone-builds.ts I5). */
  readonly serialPolicy?: SerialPolicy
}

export interface PublishedVersion {
  readonly zone: string
  readonly serial: number
  readonly names: number
  readonly records: number
  readonly signaturesMade: number
  readonly signaturesReused: number
  readonly reason: string
  readonly warnings: readonly Fault[]
}

export type ZoneOutcome =
  | { readonly kind: 'published'; readonly version: PublishedVersion }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
