/** What the keys of a zone are given, and what they tell. Data and faces only; zone-keys.ts does the work. */
import type { Clock, Logger } from '../base/index.ts'
import type { KeyInfo, KeyStore, RollAction, RollEvent } from '../signer/index.ts'
import type { Name, ZoneRecord } from '../zones/index.ts'
import type { KeyStep } from './key-plan.ts'
import type { ZoneState } from './state-zone.ts'
import type { ZoneOutcome, ZoneSettings } from './zone-life-types.ts'

/** The zone, as its keys see it. */
export interface KeyedZone {
  readonly apex: Name
  readonly zone: string
  readonly settings: ZoneSettings
  readonly record: ZoneRecord | undefined
  /** Of the served version's RRsets. */
  readonly ttlGreatest: number
  /** A version with the same content, and these keys. */
  publishKeys(step: KeyStep, reason: string): Promise<ZoneOutcome>
}

export interface KeysEnvironment {
  readonly clock: Clock
  readonly log: Logger
  readonly state: ZoneState
  keysMade(keys: readonly KeyInfo[]): void
  rollover(step: RolloverStep): void
  /** Where keys may be besides the stores of the zone's settings. */
  otherStores(): Promise<Iterable<KeyStore>>
  /** ZoneKeys I3. */
  trust(): ClockTrust
}

/** Since when the clock is trusted again, in Unix seconds. */
export interface ClockTrust {
  readonly destroyFromUnix: number
  readonly stepsFromUnix: number
}

/** A step that was taken; for logs and listeners. */
export interface RolloverStep {
  readonly zone: string
  readonly action: RollAction['kind'] | RollEvent['kind']
  readonly reason: string
  readonly keys: readonly { readonly role: string; readonly algorithm: number; readonly tag: number }[]
}
