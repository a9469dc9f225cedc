/** What the next step of a zone's keys is, as data (`nextAction`), and what it was decided by. Whoever holds the zone does
 *  it and asks again:
 *
 *    nextAction(timeline, policy, facts, now) ─▶ generate │ retire │ publish │ want-ds │ destroy  ─▶ done, timeline after it
 *                                            └─▶ ask-parent │ ask-servers ─▶ what was seen goes into the timeline
 *                                            └─▶ wait, until a time or until somebody says something
 *
 *  I1  The action is the same for the same input; nothing is random, nothing is read.
 *  I2  After `publish` and `want-ds` no cache that RFC 7583's times allow makes the zone bogus, now or later. */

import type { KeyInfo, KeyRole } from './keystore.ts'
import type { KeyRecord, RecordState } from './timeline.ts'

/** What the decision needs to know besides timeline and policy. */
export interface RollFacts {
  /** Ids of keys that the stores hold; one that is missing is never signed with, and never replaced because of that. */
  readonly held: ReadonlySet<string>
  /** Largest TTL of the zone as it is served. */
  readonly zoneTtlSeconds: number
  /** Serial that is served; a new epoch gets one after it. */
  readonly serial: number
  /** An operator wants a new key of that role now, whatever its lifetime. */
  readonly asked?: readonly { readonly role: KeyRole; readonly reason: string }[]
}

/** Keys of an epoch that is to come. */
export interface ApexKeys {
  readonly published: readonly string[]
  readonly keySigners: readonly string[]
  readonly zoneSigners: readonly string[]
}

/** One record of one key that an action moves; for people. */
export interface RecordMove {
  readonly key: string
  readonly record: KeyRecord
  readonly from: RecordState
  readonly to: RecordState
}

export type RollAction =
  | {
      readonly kind: 'generate'
      readonly role: KeyRole
      readonly algorithm: number
      readonly bits?: number
      readonly predecessor?: string
      readonly reason: string
    }
  | { readonly kind: 'retire'; readonly key: string; readonly reason: string }
  /** A new version with these keys at the apex; its serial and time make the epoch. */
  | {
      readonly kind: 'publish'
      readonly apex: ApexKeys
      readonly moves: readonly RecordMove[]
      readonly reason: string
    }
  /** CDS and CDNSKEY ask for the DS of these keys; none: for none (RFC 8078 §4). */
  | { readonly kind: 'want-ds'; readonly keys: readonly string[]; readonly reason: string }
  | { readonly kind: 'ask-parent'; readonly keys: readonly string[]; readonly reason: string }
  | { readonly kind: 'ask-servers'; readonly serial: number; readonly reason: string }
  | { readonly kind: 'destroy'; readonly key: string; readonly reason: string }
  /** The zone may be published without any signature or key: nothing secure is left in any cache. */
  | { readonly kind: 'unsign'; readonly reason: string }
  /** Nothing to do until then; without a time, until something else happens. */
  | { readonly kind: 'wait'; readonly untilUnix?: number; readonly reason: string }

/** What became of an action, to be put into the timeline. */
export type RollEvent =
  | {
      readonly kind: 'generated'
      readonly info: KeyInfo
      readonly predecessor?: string
      readonly reason: string
    }
  | { readonly kind: 'retired'; readonly key: string; readonly reason: string }
  | {
      readonly kind: 'published'
      readonly apex: ApexKeys
      readonly serial: number
      readonly dnskeyTtlSeconds: number
      readonly zoneTtlSeconds: number
    }
  | { readonly kind: 'ds-wanted'; readonly keys: readonly string[] }
  /** The parent has exactly these; also said by an operator. */
  | {
      readonly kind: 'ds-confirmed'
      readonly keys: readonly string[]
      readonly ttlSeconds: number
      readonly by: 'parent' | 'operator' | 'time' | 'assumed'
    }
  | { readonly kind: 'everywhere'; readonly serial: number }
  | { readonly kind: 'destroyed'; readonly key: string }
  | { readonly kind: 'unsigning'; readonly begun: boolean }
