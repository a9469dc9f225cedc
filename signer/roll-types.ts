/** What the next step of a zone's keys is, as data (`nextAction`), and what it was decided by. Whoever holds the zone does
 *  it and asks again:
 *
 *    nextAction(timeline, policy, facts, now)
 *      ─▶ generate │ retire │ keep │ publish │ want-ds │ confirm-ds │ unsign │ destroy ─▶ done ─▶ applyEvent ─▶ timeline after it
 *      ─▶ wait, until a time or an event; meanwhile ask the parent or the servers ─▶ applyEvent: what was seen
 *
 *  I1  The action is the same for the same input; nothing is random, nothing is read.
 *  I2  After `publish` and `want-ds` no cache that RFC 7583's times allow makes the zone bogus, now or later. */

import type { KeyInfo, KeyRole } from './keystore.ts'
import type { KeyRecord, RecordState, RetiredBecause } from './timeline.ts'

/** What the decision needs to know besides timeline and policy. */
export interface RollFacts {
  /** Ids of keys that the stores hold; one that is missing is never signed with, and never replaced because of that. */
  readonly held: ReadonlySet<string>
  /** Largest TTL of the zone as it is served. */
  readonly zoneTtlSeconds: number
  /** Serial that is served; a new epoch gets one after it. */
  readonly serial: number
  /** The latest time the clock is known to have said, before a restart too (the newest inception of a signature, say):
   *  a clock that is behind it went back, and what is written down by it would seem to be longer ago than it is. */
  readonly clockSeenUnix?: number
  /** Why no key can be generated for now (the store is away, or an approval is pending): what else can go on does. */
  readonly cannotGenerate?: string
  /** Until then no key is destroyed, since what the clock says is not trusted with what cannot be undone. */
  readonly destroyFromUnix?: number
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
  | {
      readonly kind: 'retire'
      readonly key: string
      readonly because: RetiredBecause
      readonly reason: string
    }
  /** A key that was to go because the policy wanted another kind stays: the policy wants it again. */
  | { readonly kind: 'keep'; readonly key: string; readonly reason: string }
  /** A new version with these keys at the apex: events `published` and `shown`. Once more, if it was not `shown`. */
  | {
      readonly kind: 'publish'
      readonly apex: ApexKeys
      readonly moves: readonly RecordMove[]
      readonly reason: string
    }
  /** CDS and CDNSKEY ask for the DS of these keys; none: for none (RFC 8078 §4). */
  | { readonly kind: 'want-ds'; readonly keys: readonly string[]; readonly reason: string }
  /** The time that the policy gives the parent is over; event `ds-confirmed`, by `time`. */
  | {
      readonly kind: 'confirm-ds'
      readonly keys: readonly string[]
      readonly ttlSeconds: number
      readonly reason: string
    }
  | { readonly kind: 'destroy'; readonly key: string; readonly reason: string }
  /** The zone may be published without any signature or key: nothing secure is left in any cache. Events `published`
   *  with no keys at all, and `shown`. */
  | { readonly kind: 'unsign'; readonly reason: string }
  /** Nothing to do until then; without a time, until something else happens. */
  | {
      readonly kind: 'wait'
      readonly untilUnix?: number
      readonly ask: Questions
      readonly reason: string
    }

/** What is to be asked of others, now and then, while waiting; the next step may depend on it. */
export interface Questions {
  /** Whether all servers of the parent have a DS RRset of exactly these keys. */
  readonly parent?: readonly string[]
  /** Whether all servers of the zone have this serial or one after it. */
  readonly servers?: number
}

/** What became of an action, to be put into the timeline. */
export type RollEvent =
  | {
      readonly kind: 'generated'
      readonly info: KeyInfo
      readonly predecessor?: string
      readonly reason: string
    }
  | {
      readonly kind: 'retired'
      readonly key: string
      readonly because: RetiredBecause
      readonly reason: string
    }
  | { readonly kind: 'kept'; readonly key: string; readonly reason: string }
  | {
      /** To be on disk before the version can be seen; then `shown`. Also when only TTLs are others than before. */
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
  /** All servers of the zone have that serial or one after it. */
  | { readonly kind: 'everywhere'; readonly serial: number }
  /** What was `published` last is served now. */
  | { readonly kind: 'shown' }
  | { readonly kind: 'destroyed'; readonly key: string }
  /** Policy says from now on that the zone is to be unsigned, or signed again. */
  | { readonly kind: 'unsigning'; readonly begun: boolean }
