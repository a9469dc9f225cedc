/** What embedders of a nameserver give and get. Data only; nameserver.ts does the work. */
import type { Clock, Logger } from '../base/index.ts'
import type { KeyInfo, KeyStore, SerialPolicy, SigningPolicy, ZoneStores } from '../signer/index.ts'
import type { Fault, Name, StoreStats } from '../zones/index.ts'
import type { TransferRules } from './access.ts'
import type { ListenCounters } from './listen.ts'
import type { ZoneChange } from './program-zone.ts'
import type { Refusal } from './refusal.ts'
import type { TsigKey } from './tsig-keyring.ts'
import type { RolloverStep } from './zone-keys-types.ts'
import type { PublishedVersion, ZoneOutcome } from './zone-life-types.ts'
import type { ZoneStatus } from './zone-status.ts'

export interface NameserverOptions {
  /** `ADDRESS@PORT`; port 0 takes a free one for UDP and TCP. Default: none, `answer` works all the same. */
  readonly listen?: readonly string[]
  /** State directory. Default: a temporary one that `close` removes, keys included. */
  readonly state?: string
  /** False: zones are served as they are. */
  readonly signing?: false | Partial<SigningPolicy>
  /** Algorithm and split of keys are for zones without keys: keys of another kind are not replaced. Default: so when
   *  `signing` says neither. */
  readonly keepKeys?: boolean
  /** Where the keys are; default: files in the state directory. It stays the caller's to close. */
  readonly keys?: KeyStore
  /** Stores in which keys of zones are looked for that are not where new ones are made; default: those of `keys`. They stay
   *  the caller's to close. */
  otherKeys?(): Iterable<KeyStore>
  readonly serialPolicy?: SerialPolicy
  /** Threads that answer UDP; default min(cores, 2). */
  readonly workers?: number
  readonly udp?: 'batch' | 'dgram'
  /** Keys with which queries and transfers may be signed (RFC 8945); see `tsigKey`. */
  readonly tsig?: readonly TsigKey[]
  /** Who may transfer zones, by prefixes and keys. */
  readonly transfer?: TransferRules
  /** Address prefixes that may transfer zones where `transfer` has no rules; default loopback. */
  readonly axfrAllow?: readonly string[]
  /** Follow changes of zone files; default true. */
  readonly watch?: boolean
  readonly clock?: Clock
  readonly log?: Logger
}

/** How one zone is signed. */
export interface ZoneSigning {
  /** `signingPolicyOf` makes one. */
  readonly policy: SigningPolicy
  /** Where its keys are; default: those of the nameserver. They stay the caller's to close. */
  readonly stores?: ZoneStores
  /** Algorithm and split of keys are for a zone without keys: keys of another kind are not replaced. Default false. */
  readonly keepKeys?: boolean
  /** The zone is to be unsigned: it stays signed until no cache has a DS of it (RFC 8078 §4). */
  readonly unsign?: boolean
}

/** What holds for the zones of one source, instead of what the nameserver's options say. */
export interface ZoneOptions {
  /** False: served as it is. */
  readonly signing?: ZoneSigning | false
  readonly serialPolicy?: SerialPolicy
}

export interface FileOptions extends ZoneOptions {
  /** The zone, where the file does not say it. */
  readonly origin?: Name | string
}

export interface TextOptions extends ZoneOptions {
  readonly origin?: string
  /** Of the text, for faults. */
  readonly name?: string
}

export interface RefusedEvent {
  /** Absent when the source did not say which zone it is. */
  readonly zone?: string
  readonly source: string
  readonly refusal: Refusal
}

export interface KeyEvent {
  readonly zone: string
  readonly key: KeyInfo
  /** The DS record for the parent; absent for a ZSK. */
  readonly ds?: string
}

export interface NameserverEvents {
  published: [PublishedVersion]
  refused: [RefusedEvent]
  /** Signatures could not be refreshed, or are not ours to refresh, and the first ends soon. */
  expiring: [{ readonly zone: string; readonly firstExpirationUnix: number }]
  key: [KeyEvent]
  /** A step in the life of a zone's keys was taken. */
  rollover: [RolloverStep]
  progress: [{ readonly zone: string; readonly signaturesMade: number }]
  /** Versions of large zones begin to be made, or none is any more. */
  working: [boolean]
}

/** A zone that this program owns. */
export interface ProgramZone {
  readonly name: string
  /** Resolves when the change is signed and live; changes made meanwhile share a version. Rejects when it was refused:
   *  then nothing of it was done.
   *  @throws ConclaveError what is wrong with the change, why it cannot be signed, ZONE_REMOVED, SERVER_CLOSED */
  change(change: ZoneChange): Promise<ChangeOutcome>
}

export type ChangeOutcome = Exclude<ZoneOutcome, { kind: 'refused' }>

export interface ServerStats {
  /** Absent before the server listens. */
  readonly listeners?: ListenCounters
  readonly store: StoreStats
}

export interface ServerStatus {
  readonly version: string
  readonly pid: number
  readonly upSeconds: number
  readonly addresses: readonly string[]
  readonly state: string
  readonly zones: readonly ZoneStatus[]
  /** Sources that gave no zone so far. */
  readonly refusedSources: readonly RefusedEvent[]
  readonly configuration?: ConfigurationStatus
}

/** Of a server that has a configuration file. */
export interface ConfigurationStatus {
  readonly file: string
  readonly appliedUnix: number
  /** The last reading that was refused, if none was applied after it. */
  readonly refused?: { readonly atUnix: number; readonly faults: readonly Fault[] }
}
