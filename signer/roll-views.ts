/** What resolvers and the parent may hold of a zone now (RFC 7583 §2.1): every DNSKEY RRset, every set of signatures and
 *  every DS RRset that some cache or server can still have.
 *
 *    DNSKEY       shown │████████████│ propagation │ TTL │ publish safety │ gone
 *    signatures   shown │████████████│ propagation │ greatest TTL │ retire safety │ gone
 *    DS           asked for or confirmed │█████████│ propagation unless all were asked │ TTL │ retire safety │ gone
 *
 *  I1  What is not listed is in no cache; what is listed may be there together with anything else that is listed.
 *  I2  The list for a later time is a part of that for an earlier one, as long as nothing new is shown. */

import type { SigningPolicy } from './policy.ts'
import type { ApexKeys } from './roll-types.ts'
import type { ApexEpoch, DsEpoch, KeyRecord, RecordState, ZoneTimeline } from './timeline.ts'

/** What makes a view go, or lets a step go on. `servers`, `parent`: when those are seen with something newer. `store`: when a
 *  key store has the key. `stays`: it is what is shown now, until another step is done. */
export type ViewEnd = 'time' | 'servers' | 'parent' | 'store' | 'stays'

export interface Ending {
  /** Infinity unless the end is known. */
  readonly untilUnix: number
  readonly end: ViewEnd
}

export interface ApexView extends ApexKeys, Ending {}

export interface DsView extends Ending {
  readonly keys: readonly string[]
}

/** CDS and CDNSKEY have the DNSKEY RRset's signers and TTL: their views are `dnskey`'s too. */
export interface Views {
  readonly dnskey: readonly ApexView[]
  readonly zone: readonly ApexView[]
  readonly ds: readonly DsView[]
}

const STAYS: Ending = { untilUnix: Number.POSITIVE_INFINITY, end: 'stays' }
const UNTIL_PARENT: Ending = { untilUnix: Number.POSITIVE_INFINITY, end: 'parent' }
const UNTIL_SERVERS: Ending = { untilUnix: Number.POSITIVE_INFINITY, end: 'servers' }
export const NO_KEYS: ApexKeys = { published: [], keySigners: [], zoneSigners: [] }

export function possibleViews(timeline: ZoneTimeline, policy: SigningPolicy, now: number): Views {
  const { epochs } = timeline
  const dnskey = epochs.map((epoch, at) => viewOf(epoch, dnskeyEnding(epochs, at, policy)))
  const zone = epochs.map((epoch, at) => viewOf(epoch, zoneEnding(epochs, at, policy)))
  return {
    dnskey: merged(left(dnskey, now)),
    zone: merged(left(zone, now)),
    ds: dsViews(timeline, policy, now),
  }
}

/** When the DNSKEY RRset of that epoch has left the caches. */
export function dnskeyEnding(epochs: readonly ApexEpoch[], at: number, policy: SigningPolicy): Ending {
  return later(leftServers(epochs, at, policy), epochs[at]!.dnskeyTtlSeconds + policy.publishSafetySeconds)
}

/** When the signatures of that epoch have. */
export function zoneEnding(epochs: readonly ApexEpoch[], at: number, policy: SigningPolicy): Ending {
  return later(leftServers(epochs, at, policy), epochs[at]!.zoneTtlSeconds + policy.retireSafetySeconds)
}

/** When none of the zone's servers has that epoch any more (RFC 7583 §3.2.1, Dprp). */
function leftServers(epochs: readonly ApexEpoch[], at: number, policy: SigningPolicy): Ending {
  const next = epochs[at + 1]
  if (next === undefined || next.pending === true) return STAYS
  const times = epochs.slice(at + 1).flatMap(({ everywhereUnix }) => everywhereUnix ?? [])
  if (policy.propagation === 'time') times.push(next.fromUnix + policy.propagationSeconds)
  return times.length === 0 ? UNTIL_SERVERS : { untilUnix: Math.min(...times), end: 'time' }
}

function later({ untilUnix, end }: Ending, seconds: number): Ending {
  return { untilUnix: untilUnix + seconds, end }
}

function viewOf({ published, keySigners, zoneSigners }: ApexEpoch, ending: Ending): ApexView {
  return { published, keySigners, zoneSigners, ...ending }
}

function left<V extends Ending>(views: readonly V[], now: number): V[] {
  return views.filter(({ untilUnix }) => untilUnix > now)
}

/** Epochs that differ in TTLs only look the same in a cache; the longest counts. The newest stays last. */
function merged(views: readonly ApexView[]): ApexView[] {
  return views.filter((view, at) => !views.some((other, place) => place > at && hides(other, view)))
}

function hides(later: ApexView, view: ApexView): boolean {
  return sameApex(later, view) && later.untilUnix >= view.untilUnix
}

function dsViews(timeline: ZoneTimeline, policy: SigningPolicy, now: number): DsView[] {
  const { ds, dsWanted, dsMaybe } = timeline
  const newest = confirmedDs(timeline)
  const old = ds.slice(0, -1).map(({ keys }, at) => ({ keys, ...dsEnding(ds, at, policy) }))
  if (!isDsPending(timeline)) return [...left(old, now), { keys: newest, ...STAYS }]
  const maybe = [...(dsMaybe ?? []), newest].map(keys => ({ keys, ...UNTIL_PARENT }))
  return [...left(old, now), ...maybe, { keys: dsWanted?.keys ?? newest, ...STAYS }]
}

/** When a DS RRset that was confirmed has left the caches, another one having been confirmed since. */
export function dsEnding(ds: readonly DsEpoch[], at: number, policy: SigningPolicy): Ending {
  const next = ds[at + 1]
  if (next === undefined) return STAYS
  // Whoever asked all of the parent's servers knows that none has the old one.
  const propagation = next.by === 'parent' ? 0 : policy.parent.propagationSeconds
  const untilUnix = next.fromUnix + propagation + ds[at]!.ttlSeconds + policy.retireSafetySeconds
  return { untilUnix, end: 'time' }
}

/** The keys of the DS RRset that the parent was last seen with. */
export function confirmedDs({ ds }: ZoneTimeline): readonly string[] {
  return ds.at(-1)?.keys ?? []
}

/** The DS RRset that the zone wants at its parent. */
export function wantedDs(timeline: ZoneTimeline): readonly string[] {
  return timeline.dsWanted?.keys ?? confirmedDs(timeline)
}

/** Whether the parent may have something else than what it was last seen with. */
export function isDsPending(timeline: ZoneTimeline): boolean {
  const { dsWanted, dsMaybe } = timeline
  return (
    dsWanted !== undefined &&
    (!sameKeys(dsWanted.keys, confirmedDs(timeline)) || (dsMaybe !== undefined && dsMaybe.length > 0))
  )
}

/** The keys that the apex shows now. */
export function shownKeys({ epochs }: ZoneTimeline): ApexKeys {
  return epochs.at(-1) ?? NO_KEYS
}

export function recordState(
  timeline: ZoneTimeline,
  views: Views,
  key: string,
  record: KeyRecord,
): RecordState {
  const shown = shownKeys(timeline)
  switch (record) {
    case 'dnskey':
      return state(views.dnskey, shown.published.includes(key), view => view.published.includes(key))
    case 'keySignature':
      return state(views.dnskey, shown.keySigners.includes(key), view => view.keySigners.includes(key))
    case 'zoneSignature':
      return state(views.zone, shown.zoneSigners.includes(key), view => view.zoneSigners.includes(key))
    case 'ds':
      return state(views.ds, wantedDs(timeline).includes(key), view => view.keys.includes(key))
  }
}

function state<V>(views: readonly V[], shown: boolean, has: (view: V) => boolean): RecordState {
  if (shown) return views.every(has) ? 'omnipresent' : 'rumoured'
  return views.some(has) ? 'unretentive' : 'hidden'
}

export function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every(key => b.includes(key))
}

export function sameApex(a: ApexKeys, b: ApexKeys): boolean {
  return (
    sameKeys(a.published, b.published) &&
    sameKeys(a.keySigners, b.keySigners) &&
    sameKeys(a.zoneSigners, b.zoneSigners)
  )
}
