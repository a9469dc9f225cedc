/** What is known of a zone's keys over time (RFC 7583): which keys the zone and its parent showed, since when, and what a
 *  cache may therefore still hold. Plain JSON data: it lives in the state directory, and `nextAction` decides by it alone.
 *
 *    epochs   ──e1──┬──e2──────┬──e3────────▶ now        a cache may hold DNSKEYs of e2 and e3, signatures of e1 too
 *    ds       ─────d1────────────────┬──d2──▶
 *
 *  I1  An epoch is on disk, as pending, before its version can be seen; it begins when that is seen, and then the one before
 *      ends. Its TTLs are those of all its versions: where they change, another epoch begins.
 *  I2  What an epoch showed may be in a cache until its end + propagation + the TTL it was shown with.
 *  I3  A DS RRset counts as the parent's when it was confirmed; while another one is asked for, either may be there.
 *  I4  A key is in `keys` from its making until nothing of it can be in any cache and its private part was destroyed. */

import type { KeyTiming } from './key-timing.ts'
import type { KeyRole } from './keystore.ts'

export interface ZoneTimeline {
  readonly keys: readonly KeyLife[]
  /** Oldest first; those that no cache can hold any more are left out, the newest never. */
  readonly epochs: readonly ApexEpoch[]
  /** Confirmed DS RRsets of the parent, oldest first, the same way. Empty: it never had one. */
  readonly ds: readonly DsEpoch[]
  /** The DS RRset that the zone wants at its parent; CDS and CDNSKEY, when they are published, ask for it. */
  readonly dsWanted?: DsWanted
  /** DS RRsets that the parent may have besides until it is seen with the wanted one: asked for before, or assumed. */
  readonly dsMaybe?: readonly (readonly string[])[]
  /** Since when the zone is on its way to being unsigned. */
  readonly unsigningUnix?: number
  /** Until when `records` of the keys were followed. */
  readonly settledUnix: number
}

export interface KeyLife {
  readonly id: string
  readonly role: KeyRole
  readonly algorithm: number
  readonly keyTag: number
  readonly createdUnix: number
  /** `retired`: on its way out, or out. */
  readonly goal: 'in-use' | 'retired'
  /** Why it has that goal, and since when. */
  readonly reason: string
  readonly goalUnix: number
  readonly retiredBecause?: RetiredBecause
  /** First in an epoch's `published`, `keySigners` or `zoneSigners`. */
  readonly introducedUnix?: number
  /** Lifetimes count from here (RFC 7583 §3.2.1, §3.3.1, Tact): a ZSK signs the zone; the parent has the DS of a KSK or CSK. */
  readonly activeUnix?: number
  /** The key it takes over from. */
  readonly predecessor?: string
  /** Nothing of it is in any cache since then. */
  readonly goneUnix?: number
  /** RDATA, in base64, of a key that no store of ours has: of a zone that was taken over. Its DNSKEY is shown by this. */
  readonly dnskey?: string
  readonly records: KeyRecords
}

export type RetiredBecause = 'lifetime' | 'asked' | 'policy' | 'unsigned'

/** The state of each of a key's records, and since when. */
export type KeyRecords = Readonly<Record<KeyRecord, RecordSince>>

export interface RecordSince {
  readonly state: RecordState
  readonly sinceUnix: number
}

/** A span of time in which the apex showed the same keys; ids of keys. */
export interface ApexEpoch {
  readonly fromUnix: number
  /** It was decided, and nobody said that it is served; it may be, if somebody crashed in between. */
  readonly pending?: true
  /** Of its first version. */
  readonly serial: number
  /** Their DNSKEYs are in the zone. */
  readonly published: readonly string[]
  /** They sign DNSKEY, CDS and CDNSKEY. */
  readonly keySigners: readonly string[]
  /** They sign all else. */
  readonly zoneSigners: readonly string[]
  readonly dnskeyTtlSeconds: number
  /** The largest TTL of the zone's RRsets, and of its negative answers. */
  readonly zoneTtlSeconds: number
  /** When all of the zone's servers were seen with it; counts instead of the propagation time. */
  readonly everywhereUnix?: number
}

export interface DsEpoch {
  readonly fromUnix: number
  /** Keys whose DS the parent has; none: the zone is insecure. */
  readonly keys: readonly string[]
  readonly ttlSeconds: number
  /** Who said so. `assumed`: a zone taken over, or the parent was never asked. */
  readonly by: 'parent' | 'operator' | 'time' | 'assumed'
}

export interface DsWanted {
  /** None: CDS and CDNSKEY of RFC 8078 §4 ask for the DS to go. */
  readonly keys: readonly string[]
  readonly sinceUnix: number
}

/** RFC 7583 §3.1 and OpenDNSSEC's names for what caches hold of a record. Hidden: in none. Rumoured: shown now, and not in
 *  all yet. Omnipresent: in all that have any. Unretentive: not shown any more, and still in some. */
export type RecordState = 'hidden' | 'rumoured' | 'omnipresent' | 'unretentive'

/** A record of each kind that tells of a key: DNSKEY; DS; RRSIG over DNSKEY; RRSIG over all else. */
export type KeyRecord = 'dnskey' | 'ds' | 'keySignature' | 'zoneSignature'

/** The events of a key as K*.key and others have them; of those that are over and whose time was not kept, the latest that it
 *  can have been. */
export function timingOf({ role, goal, records, introducedUnix, activeUnix }: KeyLife): KeyTiming {
  const { dnskey, keySignature, zoneSignature } = records
  // RFC 6781 §4.1.2: a KSK signs from the moment that it is shown.
  const activateUnix = role === 'zsk' ? activeUnix : introducedUnix
  const signature = role === 'zsk' ? zoneSignature : keySignature
  const isPast = (record: RecordSince): boolean =>
    goal === 'retired' && (record.state === 'unretentive' || record.state === 'hidden')
  return {
    ...(introducedUnix === undefined ? {} : { publishUnix: Math.floor(introducedUnix) }),
    ...(activateUnix === undefined ? {} : { activateUnix: Math.floor(activateUnix) }),
    ...(activateUnix !== undefined && isPast(signature)
      ? { inactiveUnix: Math.floor(signature.sinceUnix) }
      : {}),
    ...(introducedUnix !== undefined && isPast(dnskey) ? { deleteUnix: Math.floor(dnskey.sinceUnix) } : {}),
  }
}
