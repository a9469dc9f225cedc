/** Why the keys of a zone wait, until when, and what to ask meanwhile.
 *  I1  A wait ends at the first time at which anything may become possible or due; events may end it before. */

import type { SigningPolicy } from './policy.ts'
import {
  cannotGenerate,
  destroyUnix,
  incumbents,
  isDsAsWanted,
  keysInUse,
  lifetimeEnd,
  nameOfKey,
  rolesOf,
  successorUnix,
} from './roll-target.ts'
import type { Questions, RollAction, RollFacts } from './roll-types.ts'
import { type Ending, isDsPending, possibleViews, shownKeys, wantedDs } from './roll-views.ts'
import { namesOf, timeText } from './roll-words.ts'
import type { ZoneTimeline } from './timeline.ts'

/** What a decision is made from. */
export interface Situation {
  readonly timeline: ZoneTimeline
  readonly policy: SigningPolicy
  readonly facts: RollFacts
  readonly now: number
}

/** A step that is wanted and not possible yet. */
export interface Blocked extends Ending {
  readonly what: string
  readonly keys: readonly string[]
  /** A sentence. */
  readonly why: string
}

export function waitAction(situation: Situation, blocked: readonly Blocked[]): RollAction {
  const untilUnix = firstTime(situation, blocked)
  const ask = questionsOf(situation)
  const reason = waitingReason(situation, blocked, untilUnix)
  return { kind: 'wait', ...(untilUnix === undefined ? {} : { untilUnix }), ask, reason }
}

/** I1. */
function firstTime(
  { timeline, policy, facts, now }: Situation,
  blocked: readonly Blocked[],
): number | undefined {
  const times = [
    ...blocked.map(({ untilUnix }) => untilUnix),
    ...incumbents(timeline).map(one => successorUnix(timeline, one, policy)),
    ...incumbents(timeline).map(({ key }) => lifetimeEnd(key, policy)),
    ...timeline.keys.map(key => destroyUnix(key, policy, facts)),
    confirmedByTimeUnix(timeline, policy),
    ...viewEnds(timeline, policy, now),
  ].filter(time => time !== undefined && Number.isFinite(time) && time > now)
  return times.length === 0 ? undefined : Math.min(...(times as number[]))
}

/** Views that end may let a key be gone, though no step waits for that. */
function viewEnds(timeline: ZoneTimeline, policy: SigningPolicy, now: number): number[] {
  const { dnskey, zone, ds } = possibleViews(timeline, policy, now)
  return [...dnskey, ...zone, ...ds].map(({ untilUnix }) => untilUnix)
}

/** What only others know: the DS RRset at the parent, the version at the zone's servers. */
function questionsOf({ timeline, policy }: Situation): Questions {
  const newest = timeline.epochs.at(-1)
  const servers = policy.propagation === 'observe' && timeline.epochs.length > 1 ? newest : undefined
  const parent = policy.parent.confirmation === 'observe' && isDsPending(timeline)
  return {
    ...(parent ? { parent: wantedDs(timeline) } : {}),
    ...(servers === undefined || servers.everywhereUnix !== undefined ? {} : { servers: servers.serial }),
  }
}

export function confirmedByTimeUnix(timeline: ZoneTimeline, { parent }: SigningPolicy): number | undefined {
  const { confirmation } = parent
  if (!isDsPending(timeline) || typeof confirmation !== 'object') return undefined
  return timeline.dsWanted!.sinceUnix + confirmation.afterSeconds
}

function waitingReason(
  { timeline, policy, facts }: Situation,
  blocked: readonly Blocked[],
  untilUnix: number | undefined,
): string {
  const first = blocked.find(({ end }) => end !== 'stays') ?? blocked[0]
  if (first !== undefined) return `${first.what}: ${first.why}`
  const cannot = cannotGenerate(timeline, facts)
  const missing = rolesOf(policy).find(role => !keysInUse(timeline).some(key => key.role === role))
  if (missing !== undefined && cannot !== undefined)
    return `a new ${missing.toUpperCase()} is needed: ${cannot}`
  if (isDsPending(timeline)) return dsReason(timeline, policy)
  const next = nextOfLife(timeline, policy)
  if (next !== undefined) return next
  return untilUnix === undefined
    ? 'nothing is to be done'
    : `nothing is to be done before ${timeText(untilUnix)}`
}

function dsReason(timeline: ZoneTimeline, { parent }: SigningPolicy): string {
  const wanted = wantedDs(timeline)
  const what = wanted.length === 0 ? 'no DS any more' : `the DS of ${namesOf(timeline, wanted)}`
  const since = timeText(timeline.dsWanted!.sinceUnix)
  if (parent.confirmation === 'operator')
    return `an operator has to say that the parent has ${what} (wanted since ${since})`
  return `the parent was not seen with ${what} yet (wanted since ${since})`
}

/** The end of the first lifetime, when all is well. */
function nextOfLife(timeline: ZoneTimeline, policy: SigningPolicy): string | undefined {
  if (!isDsAsWanted(timeline) || shownKeys(timeline).published.length === 0) return undefined
  const ends = incumbents(timeline).flatMap(one => {
    const end = lifetimeEnd(one.key, policy)
    return end === undefined ? [] : [{ name: nameOfKey(one.key), end }]
  })
  const first = ends.sort((a, b) => a.end - b.end)[0]
  return first && `${first.name} is replaced at the end of its lifetime, ${timeText(first.end)}`
}
