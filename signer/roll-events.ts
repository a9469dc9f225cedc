/** What happened to a zone's keys, put into its timeline; and what time alone does to it.
 *  I1  `applyEvent` is pure; the timeline it gives is on disk before the world sees the event (timeline.ts I1).
 *  I2  Nothing is forgotten that a cache may hold: an epoch or DS RRset is left out when its last view has ended. */

import type { KeyInfo } from './keystore.ts'
import type { SigningPolicy } from './policy.ts'
import type { ApexKeys, RollAction, RollEvent } from './roll-types.ts'
import {
  dnskeyEnding,
  dsEnding,
  isDsPending,
  NO_KEYS,
  possibleViews,
  recordState,
  sameApex,
  sameKeys,
  type Views,
  zoneEnding,
} from './roll-views.ts'
import { isSerialAfter } from './serial.ts'
import type {
  ApexEpoch,
  DsEpoch,
  KeyLife,
  KeyRecord,
  KeyRecords,
  RecordSince,
  ZoneTimeline,
} from './timeline.ts'

/** What is known of a zone when its timeline begins. */
export type ZoneBefore =
  /** Nobody has asked for it so far. */
  | { readonly kind: 'nothing' }
  /** It was served without signatures, here or elsewhere. */
  | { readonly kind: 'unsigned'; readonly zoneTtlSeconds: number }
  /** It was served for long with these keys. */
  | {
      readonly kind: 'signed'
      readonly apex: ApexKeys
      readonly serial: number
      readonly dnskeyTtlSeconds: number
      readonly zoneTtlSeconds: number
      /** Keys whose DS the parent may have: all of them, each alone, or none; nobody asked it yet. */
      readonly dsMaybe: readonly string[]
    }

/** The timeline of a zone that has none so far; `settle` it to have its records' states. */
export function initialTimeline(keys: readonly KeyInfo[], before: ZoneBefore, now: number): ZoneTimeline {
  const none: ZoneTimeline = { keys: [], epochs: [], ds: [], settledUnix: now }
  const known = keys.reduce((timeline, info) => withKey(timeline, info, 'it was there', undefined, now), none)
  if (before.kind === 'nothing') return known
  const begun = keys.reduce((least, { createdUnix }) => Math.min(least, createdUnix), now)
  if (before.kind === 'unsigned') {
    const { zoneTtlSeconds } = before
    return withEpoch(known, { ...NO_KEYS, fromUnix: begun, serial: 0, dnskeyTtlSeconds: 0, zoneTtlSeconds })
  }
  const { apex, serial, dnskeyTtlSeconds, zoneTtlSeconds, dsMaybe } = before
  const shown = withEpoch(known, { ...apex, fromUnix: begun, serial, dnskeyTtlSeconds, zoneTtlSeconds })
  const active = mapKeys(shown, key => (isSigner(apex, key.id) ? { ...key, activeUnix: now } : key))
  if (dsMaybe.length === 0) return active
  const some = dsMaybe.length === 1 ? [] : dsMaybe.map(key => [key])
  return { ...active, dsWanted: { keys: dsMaybe, sinceUnix: begun }, dsMaybe: some }
}

function isSigner(apex: ApexKeys, key: string): boolean {
  return apex.keySigners.includes(key) || apex.zoneSigners.includes(key)
}

/** What an action is for the timeline that changes nothing else. */
export function eventOf(action: Extract<RollAction, { kind: 'retire' | 'keep' | 'confirm-ds' }>): RollEvent {
  switch (action.kind) {
    case 'retire':
      return { ...action, kind: 'retired' }
    case 'keep':
      return { ...action, kind: 'kept' }
    case 'confirm-ds':
      return { kind: 'ds-confirmed', keys: action.keys, ttlSeconds: action.ttlSeconds, by: 'time' }
  }
}

/** The timeline after that. The policy tells how long caches hold things. */
export function applyEvent(
  timeline: ZoneTimeline,
  event: RollEvent,
  policy: SigningPolicy,
  now: number,
): ZoneTimeline {
  // A clock that went back does not undo what was.
  const at = Math.max(now, timeline.settledUnix)
  return settle(changed(settle(timeline, policy, at), event, at), policy, at)
}

function changed(timeline: ZoneTimeline, event: RollEvent, now: number): ZoneTimeline {
  switch (event.kind) {
    case 'generated':
      return withKey(timeline, event.info, event.reason, event.predecessor, now)
    case 'retired':
      return withGoal(timeline, event.key, {
        goal: 'retired',
        retiredBecause: event.because,
        reason: event.reason,
        goalUnix: now,
      })
    case 'kept':
      return withGoal(timeline, event.key, { goal: 'in-use', reason: event.reason, goalUnix: now })
    case 'published': {
      const { apex, serial, dnskeyTtlSeconds, zoneTtlSeconds } = event
      return withEpoch(timeline, {
        ...apex,
        fromUnix: now,
        pending: true,
        serial,
        dnskeyTtlSeconds,
        zoneTtlSeconds,
      })
    }
    case 'shown':
      return withShown(timeline, now)
    case 'ds-wanted':
      return withWanted(timeline, event.keys, now)
    case 'ds-confirmed':
      return withConfirmed(timeline, {
        fromUnix: now,
        keys: event.keys,
        ttlSeconds: event.ttlSeconds,
        by: event.by,
      })
    case 'everywhere':
      return withEverywhere(timeline, event.serial, now)
    case 'destroyed':
      return { ...timeline, keys: timeline.keys.filter(({ id }) => id !== event.key) }
    case 'unsigning':
      return withUnsigning(timeline, event.begun, now)
  }
}

function withKey(
  timeline: ZoneTimeline,
  info: KeyInfo,
  reason: string,
  predecessor: string | undefined,
  now: number,
): ZoneTimeline {
  const { id, role, algorithm, keyTag, createdUnix } = info
  const hidden: RecordSince = { state: 'hidden', sinceUnix: now }
  const records: KeyRecords = { dnskey: hidden, ds: hidden, keySignature: hidden, zoneSignature: hidden }
  const facts = { id, role, algorithm, keyTag, createdUnix, goal: 'in-use', reason, goalUnix: now } as const
  const key: KeyLife = { ...facts, records, ...(predecessor === undefined ? {} : { predecessor }) }
  return { ...timeline, keys: [...timeline.keys.filter(other => other.id !== id), key] }
}

function withGoal(
  timeline: ZoneTimeline,
  id: string,
  goal: Pick<KeyLife, 'goal' | 'reason' | 'goalUnix' | 'retiredBecause'>,
): ZoneTimeline {
  return mapKeys(timeline, key => {
    if (key.id !== id) return key
    const { retiredBecause: _, ...rest } = key
    return { ...rest, ...goal }
  })
}

function withEpoch(timeline: ZoneTimeline, seen: ApexEpoch): ZoneTimeline {
  const newest = timeline.epochs.at(-1)
  // That there is no DNSKEY is cached as long as any negative answer (RFC 2308 §5).
  const dnskeyTtlSeconds = seen.published.length > 0 ? seen.dnskeyTtlSeconds : seen.zoneTtlSeconds
  const epoch = { ...seen, dnskeyTtlSeconds }
  if (newest !== undefined && sameApex(newest, epoch) && sameTtls(newest, epoch)) return timeline
  return { ...timeline, epochs: [...timeline.epochs, epoch] }
}

/** I1 of timeline.ts. An epoch that was pending, and another one after it, may have been seen at any time until now. */
function withShown(timeline: ZoneTimeline, now: number): ZoneTimeline {
  const newest = timeline.epochs.at(-1)
  if (newest?.pending !== true) return timeline
  const epochs = timeline.epochs.map(({ pending, ...epoch }) =>
    pending ? { ...epoch, fromUnix: now } : epoch,
  )
  return mapKeys({ ...timeline, epochs }, key => {
    const { id, role } = key
    const introduced = newest.published.includes(id) || isSigner(newest, id)
    const active = role === 'zsk' && newest.zoneSigners.includes(id)
    return {
      ...key,
      ...(introduced && key.introducedUnix === undefined ? { introducedUnix: now } : {}),
      ...(active && key.activeUnix === undefined ? { activeUnix: now } : {}),
    }
  })
}

function sameTtls(a: ApexEpoch, b: ApexEpoch): boolean {
  return a.dnskeyTtlSeconds === b.dnskeyTtlSeconds && a.zoneTtlSeconds === b.zoneTtlSeconds
}

function withWanted(timeline: ZoneTimeline, keys: readonly string[], now: number): ZoneTimeline {
  const { dsWanted, dsMaybe = [] } = timeline
  // A parent may be slow and do what it was asked before. (Having no DS is no danger.)
  const before = isDsPending(timeline) && dsWanted !== undefined ? [dsWanted.keys] : []
  const maybe = [...dsMaybe, ...before].filter(other => other.length > 0 && !sameKeys(other, keys))
  return { ...timeline, dsWanted: { keys, sinceUnix: now }, dsMaybe: maybe }
}

/** When what the parent had before is wanted again, seeing it does not tell that the parent will not do what it was asked in
 *  between; after so long it will not. Parents look for CDS once a day (RFC 8078 §3), and registrars queue for days. */
const PARENT_FORGETS_SECONDS = 7 * 86_400

function withConfirmed(timeline: ZoneTimeline, seen: DsEpoch): ZoneTimeline {
  const { ds, dsWanted, dsMaybe = [] } = timeline
  const newest = ds.at(-1)
  const same = newest !== undefined && sameKeys(newest.keys, seen.keys)
  const asWanted = dsWanted !== undefined && sameKeys(dsWanted.keys, seen.keys)
  const unclear =
    same && asWanted && seen.by === 'parent' && seen.fromUnix < dsWanted.sinceUnix + PARENT_FORGETS_SECONDS
  const settled = asWanted && !unclear
  // They may have been there until now.
  const passed = settled ? dsMaybe.map(keys => ({ ...seen, keys })) : []
  const ttlSeconds = same ? Math.max(newest.ttlSeconds, seen.ttlSeconds) : seen.ttlSeconds
  const before = ds.length === 0 ? [{ ...seen, keys: [] }] : ds
  const list =
    same && passed.length === 0
      ? [...ds.slice(0, -1), { ...newest, ttlSeconds }]
      : [...before, ...passed, seen]
  const confirmed = { ...timeline, ds: list, ...(settled ? { dsMaybe: [] } : {}) }
  return mapKeys(confirmed, key =>
    seen.keys.includes(key.id) && key.activeUnix === undefined ? { ...key, activeUnix: seen.fromUnix } : key,
  )
}

function withEverywhere(timeline: ZoneTimeline, serial: number, now: number): ZoneTimeline {
  const epochs = timeline.epochs.map(epoch =>
    epoch.everywhereUnix === undefined && !isSerialAfter(epoch.serial, serial)
      ? { ...epoch, everywhereUnix: now }
      : epoch,
  )
  return { ...timeline, epochs }
}

function withUnsigning(timeline: ZoneTimeline, begun: boolean, now: number): ZoneTimeline {
  const { unsigningUnix, ...rest } = timeline
  return begun ? { ...rest, unsigningUnix: unsigningUnix ?? now } : rest
}

function mapKeys(timeline: ZoneTimeline, change: (key: KeyLife) => KeyLife): ZoneTimeline {
  return { ...timeline, keys: timeline.keys.map(change) }
}

/** The timeline as time has made it until now: states of records followed, and what no cache holds left out (I2). */
export function settle(timeline: ZoneTimeline, policy: SigningPolicy, now: number): ZoneTimeline {
  if (now < timeline.settledUnix) return timeline
  const keys = endings(timeline, policy)
    .filter(time => time > timeline.settledUnix && time < now)
    .sort((a, b) => a - b)
    .concat(now)
    .reduce((followed, time) => keysAt({ ...timeline, keys: followed }, policy, time), timeline.keys)
  const { epochs, ds } = timeline
  const first = epochs.findIndex((_, at) => Math.max(...epochEndings(epochs, at, policy)) > now)
  const firstDs = ds.findIndex((_, at) => dsEnding(ds, at, policy).untilUnix > now)
  return { ...timeline, keys, epochs: epochs.slice(first), ds: ds.slice(firstDs), settledUnix: now }
}

function epochEndings(epochs: readonly ApexEpoch[], at: number, policy: SigningPolicy): number[] {
  return [dnskeyEnding(epochs, at, policy).untilUnix, zoneEnding(epochs, at, policy).untilUnix]
}

/** Times at which views end. */
function endings(timeline: ZoneTimeline, policy: SigningPolicy): number[] {
  const { epochs, ds } = timeline
  return [
    ...epochs.flatMap((_, at) => epochEndings(epochs, at, policy)),
    ...ds.map((_, at) => dsEnding(ds, at, policy).untilUnix),
  ].filter(Number.isFinite)
}

const RECORDS: readonly KeyRecord[] = ['dnskey', 'ds', 'keySignature', 'zoneSignature']

function keysAt(timeline: ZoneTimeline, policy: SigningPolicy, now: number): readonly KeyLife[] {
  const views = possibleViews(timeline, policy, now)
  const seen = keysIn(views)
  return timeline.keys.map(key => {
    // Most keys of an old zone are gone for good.
    if (key.goneUnix !== undefined && key.goal === 'retired' && !seen.has(key.id)) return key
    const states = RECORDS.map(record => recordState(timeline, views, key.id, record))
    const same = RECORDS.every((record, at) => key.records[record].state === states[at])
    const records = same ? key.records : newStates(key.records, states, now)
    const gone = key.goal === 'retired' && !seen.has(key.id)
    if (same && !gone && key.goneUnix === undefined) return key
    const { goneUnix, ...rest } = key
    return gone ? { ...rest, records, goneUnix: goneUnix ?? now } : { ...rest, records }
  })
}

function keysIn({ dnskey, zone, ds }: Views): Set<string> {
  const lists = [
    ...dnskey.flatMap(({ published, keySigners }) => [published, keySigners]),
    ...zone.map(({ zoneSigners }) => zoneSigners),
    ...ds.map(({ keys }) => keys),
  ]
  return new Set(lists.flat())
}

function newStates(records: KeyRecords, states: readonly RecordSince['state'][], now: number): KeyRecords {
  const entries = RECORDS.map((record, at) => {
    const state = states[at]!
    return [record, records[record].state === state ? records[record] : { state, sinceUnix: now }] as const
  })
  return Object.fromEntries(entries) as Record<KeyRecord, RecordSince>
}
