/** The timeline of a zone that is taken over (takeover.ts): what caches may hold of it, made of what the zone shows and what
 *  its former holder noted, so that `nextAction` can go on from there.
 *
 *    silent keys come in ──▶ old data's signers, one after the other ──▶ the old server's version ──▶ ours   all end now
 *
 *  I1  What is not known counts as the worst that it may be: a DNSKEY that is to sign has only just come when nobody noted
 *      when it did, one that is not may have signed what is still in caches, and any KSK may have had a DS.
 *  I2  The last epoch is the one to publish: every DNSKEY of the old zone, signed by keys at hand alone.
 *  I3  What a cache may hold of the others together with it is never bogus (roll-safety.ts), or the zone is not taken. */

import type { ForeignKeys } from './build-types.ts'
import type { SigningPolicy } from './policy.ts'
import { settle } from './roll-events.ts'
import { greatestDanger } from './roll-safety.ts'
import { possibleViews, shownKeys } from './roll-views.ts'
import { dangerWords } from './roll-words.ts'
import type { SignedZone } from './signed-zone.ts'
import {
  inspectTakeover,
  type TakenKey,
  type Takeover,
  type TakeoverFault,
  type TakeoverInput,
} from './takeover.ts'
import type { ApexEpoch, DsEpoch, KeyLife, RecordSince, ZoneTimeline } from './timeline.ts'

export type TakeoverTimeline =
  | { readonly kind: 'taken'; readonly timeline: ZoneTimeline; readonly findings: readonly string[] }
  | { readonly kind: 'refused'; readonly faults: readonly TakeoverFault[] }

/** Inspects, and makes the timeline; it is to be published at once. */
export function takeoverTimeline(input: TakeoverInput, policy: SigningPolicy): TakeoverTimeline {
  const takeover = inspectTakeover(input)
  return takeover.kind === 'refused' ? takeover : timelineOf(takeover, input, policy)
}

function timelineOf(
  { keys, findings }: Extract<Takeover, { kind: 'taken' }>,
  input: TakeoverInput,
  policy: SigningPolicy,
): TakeoverTimeline {
  const { now } = input
  const timeline = settle(
    {
      keys: keys.map(key => lifeOf(key, keys, now)),
      epochs: [...pastEpochs(keys, input), ourEpoch(keys, input, policy)],
      ...dsOf(keys, input, policy),
      settledUnix: now,
    },
    policy,
    now,
  )
  const algorithms = new Map(keys.map(({ id, algorithm }) => [id, algorithm]))
  const danger = greatestDanger(possibleViews(timeline, policy, now), id => algorithms.get(id))
  if (danger === undefined) return { kind: 'taken', timeline, findings }
  const remedy =
    'Import the keys that are missing; or wait until caches have let go of what the other server showed before.'
  return { kind: 'refused', faults: [{ rule: 'unsafe', what: dangerWords(timeline, danger), remedy }] }
}

/** DNSKEYs that the newest epoch shows and that no store of ours has. */
export function foreignKeysShown(timeline: ZoneTimeline, held: ReadonlySet<string>): ForeignKeys {
  const { published } = shownKeys(timeline)
  const dnskey = timeline.keys.flatMap(key => {
    if (key.dnskey === undefined || held.has(key.id) || !published.includes(key.id)) return []
    return [Uint8Array.from(Buffer.from(key.dnskey, 'base64'))]
  })
  return { dnskey }
}

function lifeOf(key: TakenKey, all: readonly TakenKey[], now: number): KeyLife {
  const { id, role, algorithm, keyTag, info, timing, goal, reason } = key
  const hidden: RecordSince = { state: 'hidden', sinceUnix: now }
  const signs = key.signsZone || (key.signsKeys && role !== 'zsk')
  const begun = Math.min(timing.activateUnix ?? now, now)
  const successorTo = goal === 'in-use' ? all.find(other => isRetiring(other, key)) : undefined
  return {
    id,
    role,
    algorithm,
    keyTag,
    createdUnix: info?.createdUnix ?? 0,
    goal,
    reason: `${reason} when the zone was taken over`,
    goalUnix: now,
    ...(key.published ? { introducedUnix: Math.min(timing.publishUnix ?? now, now) } : {}),
    ...(signs ? { activeUnix: begun } : {}),
    ...(successorTo === undefined ? {} : { predecessor: successorTo.id }),
    ...(info === undefined ? { dnskey: Buffer.from(key.dnskey).toString('base64') } : {}),
    records: { dnskey: hidden, ds: hidden, keySignature: hidden, zoneSignature: hidden },
  }
}

function isRetiring(old: TakenKey, key: TakenKey): boolean {
  return old.goal === 'retired' && old.role === key.role && old.algorithm === key.algorithm && old.signsSome
}

const idsOf = (keys: readonly TakenKey[]): string[] => keys.map(({ id }) => id)

/** What the old server shows and has shown. */
function pastEpochs(keys: readonly TakenKey[], { zone, now }: TakeoverInput): ApexEpoch[] {
  const published = keys.filter(key => key.published)
  const silent = published.filter(key => !key.signsKeys && !key.signsSome && !key.signsZone)
  const fresh = silent.filter(key => !mayHaveSigned(key, now))
  const cameUnix = (key: TakenKey): number => Math.min(key.timing.publishUnix ?? now, now)
  const times = [...new Set(fresh.map(cameUnix))].sort((a, b) => a - b)
  const newest = epochOf(zone, now, published, zoneSigners(keys, zone.zoneSigners))
  const from = times[0] === undefined ? now : times[0] - 1
  const chain = [from, ...times].map((fromUnix): ApexEpoch => {
    const shown = published.filter(key => !fresh.includes(key) || cameUnix(key) <= fromUnix)
    return { ...newest, published: idsOf(shown), fromUnix }
  })
  const sets = zone.signerSets.map(set => zoneSigners(keys, set)).filter(set => set.length > 0)
  const maybe = silent.filter(key => !fresh.includes(key)).map(key => withAlgorithm(keys, key, zone))
  return [...chain, ...[...maybe, ...sets].map(set => ({ ...newest, zoneSigners: idsOf(set) })), newest]
}

function epochOf(
  zone: SignedZone,
  fromUnix: number,
  published: readonly TakenKey[],
  signers: readonly TakenKey[],
): ApexEpoch {
  const { serial, dnskeyTtlSeconds, zoneTtlSeconds } = zone
  return {
    fromUnix,
    serial,
    published: idsOf(published),
    keySigners: idsOf(published.filter(key => key.signsKeys)),
    zoneSigners: idsOf(signers),
    dnskeyTtlSeconds,
    zoneTtlSeconds,
  }
}

function zoneSigners(keys: readonly TakenKey[], dnskeys: readonly Uint8Array[]): TakenKey[] {
  return keys.filter(({ dnskey }) => dnskeys.some(one => Buffer.compare(one, dnskey) === 0))
}

/** I1. A key that came lately has not signed, and one that has signed did not come lately: what was noted tells them
 *  apart, and what signs nothing any more counts as the latter when nothing was. */
function mayHaveSigned({ role, timing }: TakenKey, now: number): boolean {
  const { publishUnix, activateUnix } = timing
  if (role === 'ksk') return false
  return activateUnix === undefined ? publishUnix === undefined : activateUnix <= now
}

/** That key, in the place of what signs with its algorithm now. */
function withAlgorithm(keys: readonly TakenKey[], key: TakenKey, zone: SignedZone): TakenKey[] {
  const others = zoneSigners(keys, zone.zoneSigners).filter(({ algorithm }) => algorithm !== key.algorithm)
  return [...others, key]
}

/** I2. */
function ourEpoch(keys: readonly TakenKey[], { zone, now }: TakeoverInput, policy: SigningPolicy): ApexEpoch {
  const published = keys.filter(key => key.published || key.ds === true)
  const held = keys.filter(key => key.info !== undefined)
  const own = epochOf(zone, now, published, [])
  const able = held.filter(key => key.role !== 'zsk' && (key.signsKeys || key.ds === true))
  const signing = able.length > 0 ? able : held.filter(key => key.signsKeys)
  return {
    ...own,
    keySigners: idsOf(signing),
    zoneSigners: idsOf(dataSigners(held, zone)),
    dnskeyTtlSeconds: policy.dnskeyTtlSeconds,
    // timeline.ts I1: the event `shown` begins it.
    pending: true,
  }
}

/** Of each algorithm those that sign now; else those that signed; else those that caches know. */
function dataSigners(held: readonly TakenKey[], { dnskeys }: SignedZone): TakenKey[] {
  return [...new Set(dnskeys.map(dnskey => dnskey[3]!))].flatMap(algorithm => {
    const own = held.filter(key => key.algorithm === algorithm && key.published)
    const choices = [
      own.filter(key => key.signsZone),
      own.filter(key => key.signsSome),
      own.filter(key => key.role !== 'ksk'),
    ]
    return choices.find(choice => choice.length > 0) ?? []
  })
}

function dsOf(
  keys: readonly TakenKey[],
  { ds, now }: TakeoverInput,
  policy: SigningPolicy,
): Pick<ZoneTimeline, 'ds' | 'dsWanted' | 'dsMaybe'> {
  const signers = keys.filter(key => key.signsKeys && key.role !== 'zsk')
  if (ds === undefined) {
    const wanted = idsOf(signers)
    const some = wanted.length === 1 ? [] : wanted.map(id => [id])
    return { ds: [], dsWanted: { keys: wanted, sinceUnix: now }, dsMaybe: some }
  }
  const current = keys.filter(key => key.ds === true)
  const epoch = (some: readonly TakenKey[]): DsEpoch => {
    return { fromUnix: now, keys: idsOf(some), ttlSeconds: policy.parent.dsTtlSeconds, by: 'assumed' }
  }
  // I1: a DS that has just left the parent.
  const before = signers.filter(key => key.ds === false && ds.length > 0).map(key => epoch([key]))
  return { ds: current.length === 0 ? [] : [...before, epoch(current)] }
}
