/** What each key of a zone is, why, and what comes next: data and sentences for `conclave keys status`.
 *  I1  Nothing is decided here: it tells what `decide` decides. */

import { algorithmOf } from './algorithms.ts'
import type { KeyRole } from './keystore.ts'
import type { SigningPolicy } from './policy.ts'
import { decide } from './roll.ts'
import { settle } from './roll-events.ts'
import { destroyUnix, incumbents, lifetimeEnd, nameOfKey, successorUnix } from './roll-target.ts'
import type { RollAction, RollFacts } from './roll-types.ts'
import { confirmedDs, isDsPending, shownKeys, wantedDs } from './roll-views.ts'
import type { Blocked } from './roll-waiting.ts'
import { recordWords, timeText } from './roll-words.ts'
import type { KeyLife, KeyRecords, ZoneTimeline } from './timeline.ts'

/** Something that will happen, and what has to come first. */
export interface NextStep {
  readonly what: string
  readonly why: string
  readonly waitsFor: 'time' | 'servers' | 'parent' | 'operator' | 'store' | 'step'
  readonly atUnix?: number
}

export interface KeyStatus {
  readonly id: string
  /** For people: `ZSK 12345`. */
  readonly name: string
  readonly role: KeyRole
  readonly algorithm: number
  readonly mnemonic: string
  readonly keyTag: number
  readonly createdUnix: number
  readonly goal: KeyLife['goal']
  readonly reason: string
  readonly goalUnix: number
  readonly activeUnix?: number
  readonly lifetimeEndUnix?: number
  readonly predecessor?: string
  readonly goneUnix?: number
  /** Whether a key store has it now. */
  readonly held: boolean
  readonly records: KeyRecords
  readonly next: readonly NextStep[]
  readonly sentences: readonly string[]
}

export interface RollStatus {
  readonly keys: readonly KeyStatus[]
  readonly ds: {
    readonly confirmed: readonly string[]
    readonly wanted: readonly string[]
    readonly pending: boolean
    readonly wantedSinceUnix?: number
  }
  readonly unsigningUnix?: number
  readonly action: RollAction
  readonly sentences: readonly string[]
}

export function explain(
  timeline: ZoneTimeline,
  policy: SigningPolicy,
  facts: RollFacts,
  now: number,
): RollStatus {
  const settled = settle(timeline, policy, now)
  const { action, blocked } = decide(timeline, policy, facts, now)
  const keys = settled.keys.map(key => keyStatus(key, settled, policy, facts, blocked))
  const { dsWanted, unsigningUnix } = settled
  return {
    keys,
    ds: {
      confirmed: confirmedDs(settled),
      wanted: wantedDs(settled),
      pending: isDsPending(settled),
      ...(dsWanted === undefined ? {} : { wantedSinceUnix: dsWanted.sinceUnix }),
    },
    ...(unsigningUnix === undefined ? {} : { unsigningUnix }),
    action,
    sentences: [actionSentence(action), ...blocked.map(({ what, why }) => `To ${what}: ${why}.`)],
  }
}

function actionSentence(action: RollAction): string {
  if (action.kind !== 'wait') return `Now: ${action.reason}.`
  const until = action.untilUnix === undefined ? '' : ` until ${timeText(action.untilUnix)}`
  return `Waits${until}: ${action.reason}.`
}

function keyStatus(
  key: KeyLife,
  timeline: ZoneTimeline,
  policy: SigningPolicy,
  facts: RollFacts,
  blocked: readonly Blocked[],
): KeyStatus {
  const { id, role, algorithm, keyTag, createdUnix, goal, reason, goalUnix, records } = key
  const held = facts.held.has(id)
  const lifetimeEndUnix = lifetimeEnd(key, policy)
  const next = nextSteps(key, timeline, policy, facts, blocked)
  return {
    ...{ id, name: nameOfKey(key), role, algorithm, mnemonic: algorithmOf(algorithm).mnemonic, keyTag },
    ...{ createdUnix, goal, reason, goalUnix, held, records, next },
    ...(key.activeUnix === undefined ? {} : { activeUnix: key.activeUnix }),
    ...(lifetimeEndUnix === undefined ? {} : { lifetimeEndUnix }),
    ...(key.predecessor === undefined ? {} : { predecessor: key.predecessor }),
    ...(key.goneUnix === undefined ? {} : { goneUnix: key.goneUnix }),
    sentences: [...keySentences(key, timeline, held), ...next.map(stepSentence)],
  }
}

function keySentences(key: KeyLife, timeline: ZoneTimeline, held: boolean): string[] {
  const name = nameOfKey(key)
  const goal = key.goal === 'in-use' ? 'is in use' : 'is to go'
  return [
    `${name} ${goal} since ${timeText(key.goalUnix)}: ${key.reason}.`,
    `It ${doings(key, timeline)}.`,
    ...recordWords(key.records),
    ...(held ? [] : [`No key store has ${name} now: nothing new can be signed with it.`]),
  ]
}

/** What it does now. */
function doings({ id, goneUnix }: KeyLife, timeline: ZoneTimeline): string {
  const { published, keySigners, zoneSigners } = shownKeys(timeline)
  const all = [
    ...(keySigners.includes(id) ? ['signs the DNSKEYs'] : []),
    ...(zoneSigners.includes(id) ? ['signs the zone'] : []),
    ...(confirmedDs(timeline).includes(id) ? ['is what a DS of the parent points at'] : []),
    ...(published.includes(id) && !keySigners.includes(id) && !zoneSigners.includes(id)
      ? ['is shown, and signs nothing']
      : []),
  ]
  if (all.length > 0) return all.join(', ')
  return goneUnix === undefined ? 'does nothing' : 'does nothing, and is in no cache'
}

function nextSteps(
  key: KeyLife,
  timeline: ZoneTimeline,
  policy: SigningPolicy,
  facts: RollFacts,
  blocked: readonly Blocked[],
): NextStep[] {
  const waiting = blocked
    .filter(({ keys, end }) => end !== 'stays' && keys.includes(key.id))
    .map(block => blockedStep(block, policy))
  return [...waiting, ...parentStep(key, timeline, policy), ...lifeSteps(key, timeline, policy, facts)]
}

function blockedStep({ what, why, end, untilUnix }: Blocked, policy: SigningPolicy): NextStep {
  const waitsFor = end === 'stays' ? 'step' : end === 'parent' ? confirmer(policy) : end
  return { what, why, waitsFor, ...(Number.isFinite(untilUnix) ? { atUnix: untilUnix } : {}) }
}

function confirmer({ parent }: SigningPolicy): 'operator' | 'parent' | 'time' {
  if (parent.confirmation === 'operator') return 'operator'
  return parent.confirmation === 'observe' ? 'parent' : 'time'
}

function parentStep({ id }: KeyLife, timeline: ZoneTimeline, policy: SigningPolicy): NextStep[] {
  if (!isDsPending(timeline) || !wantedDs(timeline).includes(id) || confirmedDs(timeline).includes(id))
    return []
  const since = timeText(timeline.dsWanted!.sinceUnix)
  const step = { what: 'the parent has its DS', why: `it is wanted since ${since}` }
  const { confirmation } = policy.parent
  if (typeof confirmation !== 'object') return [{ ...step, waitsFor: confirmer(policy) }]
  return [{ ...step, waitsFor: 'time', atUnix: timeline.dsWanted!.sinceUnix + confirmation.afterSeconds }]
}

const HELD = '; for a day after a start, or a jump of the clock, no key is destroyed'

function lifeSteps(
  key: KeyLife,
  timeline: ZoneTimeline,
  policy: SigningPolicy,
  facts: RollFacts,
): NextStep[] {
  const atUnix = destroyUnix(key, policy, facts)
  if (atUnix !== undefined) {
    const held = atUnix === facts.destroyFromUnix
    const why = `nothing of it is in any cache${held ? HELD : ''}`
    return [{ what: 'it is destroyed', why, waitsFor: 'time', atUnix }]
  }
  const one = incumbents(timeline).find(({ key: { id } }) => id === key.id)
  const end = lifetimeEnd(key, policy)
  if (one === undefined || end === undefined) return []
  const made = successorUnix(timeline, one, policy)
  const why = 'its lifetime ends'
  return [
    ...(made === undefined
      ? []
      : [{ what: 'a successor is made', why, waitsFor: 'time', atUnix: made } as const]),
    { what: 'its successor begins to take over', why, waitsFor: 'time', atUnix: end },
  ]
}

function stepSentence({ what, why, atUnix, waitsFor }: NextStep): string {
  const at = atUnix === undefined ? WAITS[waitsFor] : `at ${timeText(atUnix)}`
  return `Next, ${at}: ${what} (${why}).`
}

const WAITS: Readonly<Record<NextStep['waitsFor'], string>> = {
  time: 'in time',
  servers: 'when all servers of the zone were seen with the newest version',
  parent: 'when all servers of the parent were seen with it',
  operator: 'when an operator says so',
  store: 'when a key store has the key',
  step: 'after another step',
}
