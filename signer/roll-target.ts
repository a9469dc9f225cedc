/** Which keys a zone is to have by its policy: those to make, to let go, and what the apex and the parent show in the end.
 *
 *    asked for, or the policy changed:  retire the old ─▶ generate its successor ─▶ it takes over
 *    end of a lifetime near:            generate a successor, shown beside ─▶ at the end retire the old ─▶ it takes over
 *
 *  I1  A key is made only where the policy wants one and the timeline has none in use, or one whose lifetime ends. Whether
 *      a key can be read has no say in it.
 *  I2  A key that was let go does all that it did until one in use can do it. */

import { createHash } from 'node:crypto'
import { algorithmOf } from './algorithms.ts'
import type { KeyRole } from './keystore.ts'
import type { SigningPolicy } from './policy.ts'
import type { ApexKeys, RollAction, RollFacts } from './roll-types.ts'
import { confirmedDs, sameKeys, shownKeys, wantedDs } from './roll-views.ts'
import type { KeyLife, ZoneTimeline } from './timeline.ts'

/** Keys that a zone's apex may show: two of each role of two algorithms. More only makes answers larger, and means that
 *  rolls are asked for faster than they can be done. */
export const KEYS_SHOWN_MAX = 8

export interface Target {
  readonly apex: ApexKeys
  readonly ds: readonly string[]
}

export function rolesOf(policy: SigningPolicy): readonly KeyRole[] {
  return policy.splitKeys ? ['ksk', 'zsk'] : ['csk']
}

export function keysInUse({ keys }: ZoneTimeline): KeyLife[] {
  return keys.filter(({ goal }) => goal === 'in-use')
}

export function isKeySigner({ role }: Pick<KeyLife, 'role'>): boolean {
  return role !== 'zsk'
}

export function isZoneSigner({ role }: Pick<KeyLife, 'role'>): boolean {
  return role !== 'ksk'
}

/** What keys are to be made, kept or let go now; nothing, when those there are fit. */
export function keyNeed(
  timeline: ZoneTimeline,
  policy: SigningPolicy,
  facts: RollFacts,
  now: number,
): RollAction | undefined {
  if (timeline.unsigningUnix !== undefined) return retireUnsigned(timeline)
  return (
    retireUnfit(timeline, policy) ??
    fillSlots(timeline, policy, facts) ??
    retireOld(timeline, policy, now) ??
    prepareSuccessor(timeline, policy, facts, now)
  )
}

/** The zone went unsigned: its keys are of no more use, and signing it again takes new ones. */
function retireUnsigned(timeline: ZoneTimeline): RollAction | undefined {
  if (timeline.epochs.length === 0 || shownKeys(timeline).published.length > 0) return undefined
  const key = keysInUse(timeline)[0]
  return key && retire(key, 'unsigned', 'the zone is unsigned')
}

function retire(key: KeyLife, because: NonNullable<KeyLife['retiredBecause']>, reason: string): RollAction {
  return { kind: 'retire', key: key.id, because, reason }
}

function fits(key: KeyLife, policy: SigningPolicy): boolean {
  return key.algorithm === policy.algorithm && rolesOf(policy).includes(key.role)
}

function retireUnfit(timeline: ZoneTimeline, policy: SigningPolicy): RollAction | undefined {
  const key = keysInUse(timeline).find(one => !fits(one, policy))
  if (key === undefined) return undefined
  const wanted = rolesOf(policy).join(' and ').toUpperCase()
  return retire(key, 'policy', `the policy wants ${wanted} with ${algorithmOf(policy.algorithm).mnemonic}`)
}

/** I1: every role that the policy wants has a key in use. */
function fillSlots(timeline: ZoneTimeline, policy: SigningPolicy, facts: RollFacts): RollAction | undefined {
  for (const role of rolesOf(policy)) {
    if (keysInUse(timeline).some(key => key.role === role)) continue
    const again = timeline.keys.find(key => canStay(timeline, key, role, policy))
    if (again !== undefined) return { kind: 'keep', key: again.id, reason: 'the policy wants it again' }
    if (cannotGenerate(timeline, facts) !== undefined) continue
    const old = predecessorOf(timeline, role)
    const reason =
      old === undefined
        ? `the policy wants a ${role.toUpperCase()}`
        : `${nameOfKey(old)} is to go: ${old.reason}`
    return generate(policy, role, old, reason)
  }
  return undefined
}

/** A key let go because of a policy that holds no more, before anything of it was taken back. */
function canStay(timeline: ZoneTimeline, key: KeyLife, role: KeyRole, policy: SigningPolicy): boolean {
  return (
    key.retiredBecause === 'policy' &&
    key.role === role &&
    fits(key, policy) &&
    shownKeys(timeline).published.includes(key.id)
  )
}

/** The key let go last that does what a key of that role will do. */
function predecessorOf(timeline: ZoneTimeline, role: KeyRole): KeyLife | undefined {
  const shown = shownKeys(timeline)
  return timeline.keys.findLast(
    ({ id, goal }) =>
      goal === 'retired' && (role === 'zsk' ? shown.zoneSigners.includes(id) : shown.keySigners.includes(id)),
  )
}

/** Why no key can be made, if so. */
export function cannotGenerate(timeline: ZoneTimeline, facts: RollFacts): string | undefined {
  if (facts.cannotGenerate !== undefined) return facts.cannotGenerate
  const shown = new Set([...shownKeys(timeline).published, ...keysInUse(timeline).map(({ id }) => id)])
  if (shown.size < KEYS_SHOWN_MAX) return undefined
  return `the zone has ${shown.size} keys already: rolls under way have to end first`
}

function generate(
  policy: SigningPolicy,
  role: KeyRole,
  predecessor: KeyLife | undefined,
  reason: string,
): RollAction {
  return {
    kind: 'generate',
    role,
    algorithm: policy.algorithm,
    ...(algorithmOf(policy.algorithm).kind === 'rsa' ? { bits: policy.rsaBits } : {}),
    ...(predecessor === undefined ? {} : { predecessor: predecessor.id }),
    reason,
  }
}

/** When a key's lifetime ends (LIFETIME_SPREAD); nothing when it has none, or has not begun. */
export function lifetimeEnd(
  key: Pick<KeyLife, 'id' | 'role' | 'activeUnix'>,
  policy: Pick<SigningPolicy, 'zskLifetimeSeconds' | 'kskLifetimeSeconds'>,
): number | undefined {
  const seconds = key.role === 'zsk' ? policy.zskLifetimeSeconds : policy.kskLifetimeSeconds
  if (seconds === null || key.activeUnix === undefined) return undefined
  return key.activeUnix + seconds - Math.floor(seconds * LIFETIME_SPREAD * fractionOf(key.id))
}

/** From when a key may be destroyed; nothing while something of it may be in a cache, or when that is never done. */
export function destroyUnix(
  { goneUnix }: Pick<KeyLife, 'goneUnix'>,
  { purgeSeconds }: Pick<SigningPolicy, 'purgeSeconds'>,
  { destroyFromUnix = 0 }: Pick<RollFacts, 'destroyFromUnix'>,
): number | undefined {
  if (goneUnix === undefined || purgeSeconds === null) return undefined
  return Math.max(goneUnix + purgeSeconds, destroyFromUnix)
}

/** Zones that began together do not roll together: a lifetime is shorter by up to so much, by the key's id. */
const LIFETIME_SPREAD = 1 / 10

/** From 0 to 1, the same for the same id. */
function fractionOf(id: string): number {
  return createHash('sha256').update(id).digest().readUInt32BE() / 2 ** 32
}

/** RFC 7583 §3.2.1 (3), §3.3.1: Ipub = Dprp + TTLkey, so much before the end of a lifetime the successor is shown. */
export function publicationSeconds(timeline: ZoneTimeline, policy: SigningPolicy): number {
  const ttl = Math.max(timeline.epochs.at(-1)?.dnskeyTtlSeconds ?? 0, policy.dnskeyTtlSeconds)
  return policy.propagationSeconds + ttl + policy.publishSafetySeconds
}

/** The key of each role that is in use longest, and the one to come after it. */
export function incumbents(timeline: ZoneTimeline): { readonly key: KeyLife; readonly next?: KeyLife }[] {
  const inUse = keysInUse(timeline)
  return (['ksk', 'zsk', 'csk'] as const).flatMap(role => {
    const [key, next] = inUse.filter(one => one.role === role)
    if (key === undefined) return []
    return next === undefined ? [{ key }] : [{ key, next }]
  })
}

function retireOld(timeline: ZoneTimeline, policy: SigningPolicy, now: number): RollAction | undefined {
  for (const { key, next } of incumbents(timeline)) {
    const end = lifetimeEnd(key, policy)
    if (next === undefined || end === undefined || now < end) continue
    return retire(key, 'lifetime', 'its lifetime is over')
  }
  return undefined
}

function prepareSuccessor(
  timeline: ZoneTimeline,
  policy: SigningPolicy,
  facts: RollFacts,
  now: number,
): RollAction | undefined {
  if (cannotGenerate(timeline, facts) !== undefined) return undefined
  const key = incumbents(timeline).find(one => {
    const at = successorUnix(timeline, one, policy)
    return at !== undefined && at <= now
  })?.key
  return key && generate(policy, key.role, key, `the lifetime of ${nameOfKey(key)} ends`)
}

/** When a successor is to be made; nothing when it is there, or its predecessor's predecessor still is. */
export function successorUnix(
  timeline: ZoneTimeline,
  { key, next }: { readonly key: KeyLife; readonly next?: KeyLife },
  policy: SigningPolicy,
): number | undefined {
  const end = lifetimeEnd(key, policy)
  if (end === undefined || next !== undefined || isRolling(timeline, key.role)) return undefined
  return end - publicationSeconds(timeline, policy)
}

/** One roll of a role at a time, as far as lifetimes decide. */
function isRolling(timeline: ZoneTimeline, role: KeyRole): boolean {
  const shown = shownKeys(timeline).published
  return timeline.keys.some(key => key.goal === 'retired' && key.role === role && shown.includes(key.id))
}

/** What the zone and its parent are to show when nothing waits any more. */
export function targetOf(timeline: ZoneTimeline): Target {
  const shown = shownKeys(timeline)
  if (timeline.unsigningUnix !== undefined) return { apex: shown, ds: [] }
  const inUse = completeKeys(timeline)
  const keySigners = idsOr(inUse.filter(isKeySigner), shown.keySigners)
  const zoneSigners = zoneSignersOf(inUse, shown.zoneSigners)
  const published = new Set([...inUse.map(({ id }) => id), ...keySigners, ...zoneSigners])
  const apex = inOrder(timeline, { published: [...published], keySigners, zoneSigners })
  return { apex, ds: dsOf(timeline, inUse) }
}

/** Keys in use; those of an algorithm that the zone does not show yet only when it can sign everything (I2). */
function completeKeys(timeline: ZoneTimeline): KeyLife[] {
  const inUse = keysInUse(timeline)
  const shown = shownKeys(timeline).published
  const isShown = (algorithm: number): boolean =>
    timeline.keys.some(key => key.algorithm === algorithm && shown.includes(key.id))
  return inUse.filter(({ algorithm }) => {
    const fellows = inUse.filter(key => key.algorithm === algorithm)
    return isShown(algorithm) || (fellows.some(isKeySigner) && fellows.some(isZoneSigner))
  })
}

function idsOr(keys: readonly KeyLife[], others: readonly string[]): readonly string[] {
  return keys.length > 0 ? keys.map(({ id }) => id) : others
}

/** One key, so that a zone is signed once: the one that does it now, else the one in use longest. */
function zoneSignersOf(inUse: readonly KeyLife[], shown: readonly string[]): readonly string[] {
  const able = inUse.filter(isZoneSigner)
  const chosen = able.find(({ id }) => shown.includes(id)) ?? able[0]
  return chosen === undefined ? shown : [chosen.id]
}

/** Keys in use that the parent has or was asked for; else the one in use longest. */
function dsOf(timeline: ZoneTimeline, inUse: readonly KeyLife[]): readonly string[] {
  const able = inUse.filter(isKeySigner).map(({ id }) => id)
  const there = able.filter(id => wantedDs(timeline).includes(id))
  if (there.length > 0) return there
  return able.length > 0 ? able.slice(0, 1) : wantedDs(timeline)
}

/** The same keys in the order of the timeline. */
export function inOrder({ keys }: ZoneTimeline, apex: ApexKeys): ApexKeys {
  const order = (ids: readonly string[]): string[] => keys.map(({ id }) => id).filter(id => ids.includes(id))
  return {
    published: order(apex.published),
    keySigners: order(apex.keySigners),
    zoneSigners: order(apex.zoneSigners),
  }
}

/** `ZSK 12345`; for people only: a tag does not identify a key. Keys that are only planned have none: theirs are negative. */
export function nameOfKey({ role, keyTag }: Pick<KeyLife, 'role' | 'keyTag'>): string {
  return `${role.toUpperCase()} ${keyTag < 0 ? `new-${-keyTag}` : keyTag}`
}

/** Whether the parent has what the zone wants, so that nobody needs to be asked. */
export function isDsAsWanted(timeline: ZoneTimeline): boolean {
  return sameKeys(wantedDs(timeline), confirmedDs(timeline))
}
