/** What a zone's keys do next (RFC 7583, RFC 6781 §4.1): one pure function over timeline, policy and time.
 *
 *    keys needed? ─▶ DS to ask for, or confirmed by time? ─▶ apex to change? ─▶ keys to destroy? ─▶ wait
 *
 *  I1  An apex is shown and a DS asked for only if no combination of what caches may hold with it is bogus
 *      (roll-safety.ts). Since views only go, it stays so until the next change (roll-views.ts I2).
 *  I2  Nothing is done because a key cannot be read: an apex that it would have to sign is not shown, and that is said.
 *  I3  A time that was already and lies ahead means that the clock went back: then nothing is done before it. */

import type { SigningPolicy } from './policy.ts'
import { settle } from './roll-events.ts'
import { type Move, movesFrom } from './roll-moves.ts'
import { greatestDanger } from './roll-safety.ts'
import { destroyUnix, keyNeed, targetOf } from './roll-target.ts'
import type { ApexKeys, RecordMove, RollAction, RollFacts } from './roll-types.ts'
import {
  type Ending,
  NO_KEYS,
  possibleViews,
  recordState,
  sameApex,
  sameKeys,
  shownKeys,
  type Views,
  wantedDs,
} from './roll-views.ts'
import { type Blocked, confirmedByTimeUnix, type Situation, waitAction } from './roll-waiting.ts'
import { dangerWords, namesOf, reasonOf, timeText } from './roll-words.ts'
import type { KeyRecord, ZoneTimeline } from './timeline.ts'

/** The action, and all that waits. */
export interface Decision {
  readonly action: RollAction
  readonly blocked: readonly Blocked[]
}

export function nextAction(
  timeline: ZoneTimeline,
  policy: SigningPolicy,
  facts: RollFacts,
  now: number,
): RollAction {
  return decide(timeline, policy, facts, now).action
}

export function decide(
  timeline: ZoneTimeline,
  policy: SigningPolicy,
  facts: RollFacts,
  now: number,
): Decision {
  const seenUnix = Math.max(timeline.settledUnix, facts.clockSeenUnix ?? 0)
  if (now < seenUnix) return { action: waitForClock(seenUnix, now), blocked: [] }
  const situation = { timeline: withTtl(settle(timeline, policy, now), facts), policy, facts, now }
  const blocked: Blocked[] = []
  const action =
    pendingApex(situation) ??
    keyNeed(situation.timeline, policy, facts, now) ??
    confirmByTime(situation) ??
    nextDs(situation, blocked) ??
    nextApex(situation, blocked) ??
    nextDestroyed(situation) ??
    waitAction(situation, blocked)
  return { action, blocked }
}

/** I3. */
function waitForClock(seenUnix: number, now: number): RollAction {
  const reason = `the clock says ${timeText(now)}, and it has been ${timeText(seenUnix)} already`
  return { kind: 'wait', untilUnix: seenUnix, ask: {}, reason }
}

/** What was decided comes first, before anything is decided on top of it. */
function pendingApex(situation: Situation): RollAction | undefined {
  const newest = situation.timeline.epochs.at(-1)
  if (newest?.pending !== true) return undefined
  const { published, keySigners, zoneSigners } = newest
  const apex = { published, keySigners, zoneSigners }
  const reason = 'it was decided already, and is not served yet'
  const missing = missingSigners(situation, apex)
  if (missing !== undefined) return { kind: 'wait', ask: {}, reason: `${reason}: ${missing.why}` }
  return sameApex(apex, NO_KEYS) ? { kind: 'unsign', reason } : { kind: 'publish', apex, moves: [], reason }
}

/** The zone's TTLs may have grown since the epoch began. */
function withTtl(timeline: ZoneTimeline, { zoneTtlSeconds }: RollFacts): ZoneTimeline {
  const newest = timeline.epochs.at(-1)
  if (newest === undefined || newest.zoneTtlSeconds >= zoneTtlSeconds) return timeline
  return { ...timeline, epochs: [...timeline.epochs.slice(0, -1), { ...newest, zoneTtlSeconds }] }
}

function confirmByTime({ timeline, policy, now }: Situation): RollAction | undefined {
  const untilUnix = confirmedByTimeUnix(timeline, policy)
  if (untilUnix === undefined || untilUnix > now) return undefined
  const { dsTtlSeconds } = policy.parent
  const reason = `the parent is given ${untilUnix - timeline.dsWanted!.sinceUnix} seconds for the DS`
  return { kind: 'confirm-ds', keys: wantedDs(timeline), ttlSeconds: dsTtlSeconds, reason }
}

function nextDs(situation: Situation, blocked: Blocked[]): RollAction | undefined {
  const { timeline } = situation
  const { ds } = targetOf(timeline)
  if (sameKeys(ds, wantedDs(timeline))) return undefined
  const what =
    ds.length === 0 ? 'ask the parent for no DS' : `ask the parent for the DS of ${namesOf(timeline, ds)}`
  const block = dsBlock(situation, ds)
  if (block !== undefined) {
    blocked.push({ what, keys: ds, ...block })
    return undefined
  }
  const why = ds.length === 0 ? 'the zone is to be unsigned' : reasonOf(timeline, ds)
  return { kind: 'want-ds', keys: ds, reason: `${what}: ${why}` }
}

/** I1, for a DS RRset. */
function dsBlock(situation: Situation, ds: readonly string[]): Block | undefined {
  const { timeline, policy, now } = situation
  const shown = shownKeys(timeline)
  if (!ds.every(id => shown.published.includes(id) && shown.keySigners.includes(id))) {
    return { ...STAYS, why: `the zone does not show ${namesOf(timeline, ds)} yet` }
  }
  const asked = { ...timeline, dsWanted: { keys: ds, sinceUnix: now } }
  return dangerBlock(situation, possibleViews(asked, policy, now))
}

interface Block extends Ending {
  readonly why: string
}

const STAYS: Ending = { untilUnix: Number.POSITIVE_INFINITY, end: 'stays' }

function dangerBlock({ timeline }: Situation, views: Views): Block | undefined {
  const danger = greatestDanger(views, key => algorithmIn(timeline, key))
  return danger && { untilUnix: danger.untilUnix, end: danger.end, why: dangerWords(timeline, danger) }
}

function algorithmIn({ keys }: ZoneTimeline, id: string): number | undefined {
  return keys.find(key => key.id === id)?.algorithm
}

function nextApex(situation: Situation, blocked: Blocked[]): RollAction | undefined {
  const { timeline } = situation
  const shown = shownKeys(timeline)
  if (timeline.unsigningUnix !== undefined) return nextUnsigned(situation, blocked)
  const target = targetOf(timeline).apex
  const done: string[] = []
  let apex = shown
  for (;;) {
    const move = possibleMove(situation, apex, target, done.length === 0 ? blocked : [])
    if (move === undefined) break
    done.push(move.what)
    apex = move.apex
  }
  if (done.length === 0) return undefined
  const reason = `${done.join('; ')}: ${reasonOf(timeline, changedKeys(shown, apex))}`
  return { kind: 'publish', apex, moves: recordMoves(situation, apex), reason }
}

function possibleMove(
  situation: Situation,
  apex: ApexKeys,
  target: ApexKeys,
  blocked: Blocked[],
): Move | undefined {
  for (const move of movesFrom(situation.timeline, apex, target)) {
    const block = apexBlock(situation, move.apex)
    if (block === undefined) return move
    blocked.push({ what: move.what, keys: move.keys, ...block })
  }
  return undefined
}

/** I1 and I2, for an apex. */
function apexBlock(situation: Situation, apex: ApexKeys): Block | undefined {
  return missingSigners(situation, apex) ?? dangerBlock(situation, viewsWith(situation, apex))
}

/** I2. */
function missingSigners({ timeline, facts }: Situation, apex: ApexKeys): Block | undefined {
  const missing = [...apex.keySigners, ...apex.zoneSigners].filter(id => !facts.held.has(id))
  if (missing.length === 0) return undefined
  const names = namesOf(timeline, [...new Set(missing)])
  return { ...STAYS, end: 'store', why: `no key store has ${names}, which would have to sign` }
}

/** The views as they would be with another epoch. */
function viewsWith({ timeline, policy, facts, now }: Situation, apex: ApexKeys): Views {
  return possibleViews(withEpoch(timeline, apex, policy, facts, now), policy, now)
}

function withEpoch(
  timeline: ZoneTimeline,
  apex: ApexKeys,
  policy: SigningPolicy,
  facts: RollFacts,
  now: number,
): ZoneTimeline {
  const { dnskeyTtlSeconds } = policy
  const { zoneTtlSeconds, serial } = facts
  const epoch = { ...apex, fromUnix: now, serial, dnskeyTtlSeconds, zoneTtlSeconds }
  return { ...timeline, epochs: [...timeline.epochs, epoch] }
}

function nextUnsigned(situation: Situation, blocked: Blocked[]): RollAction | undefined {
  if (sameApex(shownKeys(situation.timeline), NO_KEYS)) return undefined
  const block = apexBlock(situation, NO_KEYS)
  if (block === undefined) return { kind: 'unsign', reason: 'no cache has a DS of the zone any more' }
  const { keys } = situation.timeline
  blocked.push({ what: 'publish the zone unsigned', keys: keys.map(({ id }) => id), ...block })
  return undefined
}

function changedKeys(before: ApexKeys, after: ApexKeys): string[] {
  const lists = ['published', 'keySigners', 'zoneSigners'] as const
  const ids = lists.flatMap(list => [
    ...after[list].filter(id => !before[list].includes(id)),
    ...before[list].filter(id => !after[list].includes(id)),
  ])
  return [...new Set(ids)]
}

const RECORDS: readonly KeyRecord[] = ['dnskey', 'ds', 'keySignature', 'zoneSignature']

function recordMoves(situation: Situation, apex: ApexKeys): RecordMove[] {
  const { timeline, policy, facts, now } = situation
  const after = withEpoch(timeline, apex, policy, facts, now)
  const views = [possibleViews(timeline, policy, now), possibleViews(after, policy, now)] as const
  return timeline.keys.flatMap(({ id }) =>
    RECORDS.flatMap(record => {
      const from = recordState(timeline, views[0], id, record)
      const to = recordState(after, views[1], id, record)
      return from === to ? [] : [{ key: id, record, from, to }]
    }),
  )
}

function nextDestroyed({ timeline, policy, facts, now }: Situation): RollAction | undefined {
  const key = timeline.keys.find(one => (destroyUnix(one, policy, facts) ?? Number.POSITIVE_INFINITY) <= now)
  if (key === undefined) return undefined
  const reason = `nothing of it is in any cache since ${timeText(key.goneUnix!)}`
  return { kind: 'destroy', key: key.id, reason }
}
