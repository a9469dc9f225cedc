/** What will happen to a zone's keys as things stand: `nextAction` played forward with keys that are made up, servers that keep
 *  to the propagation time and a parent that takes as long as is assumed.
 *  I1  Nothing is changed or made; the same input gives the same plan.
 *  I2  Each state of each record is in the plan with its times. */

import type { KeyInfo, KeyRole } from './keystore.ts'
import type { SigningPolicy } from './policy.ts'
import { nextAction } from './roll.ts'
import { applyEvent, settle } from './roll-events.ts'
import { nameOfKey } from './roll-target.ts'
import type { RecordMove, RollAction, RollEvent, RollFacts } from './roll-types.ts'
import { isDsPending, NO_KEYS, wantedDs } from './roll-views.ts'
import { namesOf, timeText } from './roll-words.ts'
import type { KeyLife, KeyRecord, RecordState, ZoneTimeline } from './timeline.ts'

export interface PlanAssumptions {
  /** From a DS being wanted until the parent is seen with it; null: it never is. Default what the policy gives it, else an
   *  hour. */
  readonly parentSeconds?: number | null
  /** From a version being shown until all servers have it. Default the policy's propagation time. */
  readonly serversSeconds?: number
  /** The plan ends after so many steps of keys, of about a millisecond each; default PLAN_STEPS_MAX. */
  readonly stepsMax?: number
}

export interface PlanEvent {
  readonly atUnix: number
  readonly kind: Exclude<RollAction['kind'], 'wait'> | 'ds-seen' | 'everywhere'
  readonly keys: readonly string[]
  readonly moves: readonly RecordMove[]
  /** What is done and why. */
  readonly reason: string
}

/** A record of a key, and a state that it has from then to then. */
export interface PlanSpan {
  readonly record: KeyRecord
  readonly state: Exclude<RecordState, 'hidden'>
  readonly fromUnix: number
  readonly toUnix: number
}

export interface PlanKey {
  readonly id: string
  readonly name: string
  readonly role: KeyRole
  readonly algorithm: number
  /** It does not exist yet. */
  readonly planned: boolean
  readonly spans: readonly PlanSpan[]
}

export interface Plan {
  readonly fromUnix: number
  readonly untilUnix: number
  readonly events: readonly PlanEvent[]
  readonly keys: readonly PlanKey[]
  /** Why nothing happens after the last event, when it ends early. */
  readonly ends?: string
}

/** Ten years of a roll each day take less. */
export const PLAN_STEPS_MAX = 100_000
const PARENT_SECONDS = 3600

export function plan(
  timeline: ZoneTimeline,
  policy: SigningPolicy,
  facts: RollFacts,
  now: number,
  untilUnix: number,
  assumptions: PlanAssumptions = {},
): Plan {
  const future = new Future(timeline, policy, facts, now, assumptions)
  const ends = future.play(untilUnix)
  const keys = future.keys(untilUnix)
  return { fromUnix: now, untilUnix, events: future.events, keys, ...(ends === undefined ? {} : { ends }) }
}

class Future {
  readonly events: PlanEvent[] = []
  readonly #policy: SigningPolicy
  readonly #facts: RollFacts
  readonly #assumptions: PlanAssumptions
  readonly #held: Set<string>
  readonly #seen = new Map<string, SeenKey>()
  #timeline: ZoneTimeline
  #now: number
  #made = 0
  #serial: number

  constructor(
    timeline: ZoneTimeline,
    policy: SigningPolicy,
    facts: RollFacts,
    now: number,
    assumptions: PlanAssumptions,
  ) {
    this.#policy = policy
    this.#facts = facts
    this.#assumptions = assumptions
    this.#held = new Set(facts.held)
    this.#now = now
    this.#serial = facts.serial
    this.#timeline = timeline
    this.#take(settle(timeline, policy, now))
  }

  /** Why it ended early, if it did. */
  play(untilUnix: number): string | undefined {
    const { stepsMax = PLAN_STEPS_MAX } = this.#assumptions
    for (let steps = 0; steps < stepsMax; steps++) {
      // That a key store is away now is nothing to plan with.
      const { cannotGenerate: _, ...facts } = this.#facts
      const now = this.#now
      const action = nextAction(
        this.#timeline,
        this.#policy,
        { ...facts, held: this.#held, serial: this.#serial },
        now,
      )
      if (action.kind === 'wait') {
        const seen = this.#seenNext(action)
        const next = Math.min(
          action.untilUnix ?? Number.POSITIVE_INFINITY,
          seen?.atUnix ?? Number.POSITIVE_INFINITY,
        )
        if (!Number.isFinite(next)) return action.reason
        if (next >= untilUnix) return undefined
        this.#now = Math.max(now, next)
        if (seen !== undefined && seen.atUnix <= this.#now) this.#happen(seen)
        else this.#take(settle(this.#timeline, this.#policy, this.#now))
      } else this.#do(action)
    }
    return `more than ${stepsMax} steps`
  }

  /** What others are first seen with. */
  #seenNext({ ask }: Extract<RollAction, { kind: 'wait' }>): Seen | undefined {
    const { policy, parentSeconds } = { policy: this.#policy, parentSeconds: this.#parentSeconds() }
    const newest = this.#timeline.epochs.at(-1)
    const all: Seen[] = []
    if (ask.servers !== undefined && newest !== undefined) {
      const lag = this.#assumptions.serversSeconds ?? policy.propagationSeconds
      all.push({ kind: 'everywhere', atUnix: newest.fromUnix + lag, serial: ask.servers })
    }
    if (
      isDsPending(this.#timeline) &&
      parentSeconds !== null &&
      typeof policy.parent.confirmation !== 'object'
    ) {
      all.push({ kind: 'ds-seen', atUnix: this.#timeline.dsWanted!.sinceUnix + parentSeconds })
    }
    return all.sort((a, b) => a.atUnix - b.atUnix)[0]
  }

  #parentSeconds(): number | null {
    const { parentSeconds } = this.#assumptions
    return parentSeconds === undefined ? PARENT_SECONDS : parentSeconds
  }

  #happen(seen: Seen): void {
    if (seen.kind === 'everywhere') {
      this.#note('everywhere', [], 'all servers of the zone are seen with the newest version')
      return this.#apply({ kind: 'everywhere', serial: seen.serial })
    }
    const keys = wantedDs(this.#timeline)
    const { confirmation, dsTtlSeconds } = this.#policy.parent
    const what = keys.length === 0 ? 'no DS' : `the DS of ${namesOf(this.#timeline, keys)}`
    this.#note('ds-seen', keys, `the parent is seen with ${what}`)
    const by = confirmation === 'operator' ? 'operator' : 'parent'
    this.#apply({ kind: 'ds-confirmed', keys, ttlSeconds: dsTtlSeconds, by })
  }

  #do(action: Exclude<RollAction, { kind: 'wait' }>): void {
    const { reason } = action
    switch (action.kind) {
      case 'generate': {
        const info = this.#generate(action.role, action.algorithm)
        const { predecessor } = action
        this.#apply({
          kind: 'generated',
          info,
          reason,
          ...(predecessor === undefined ? {} : { predecessor }),
        })
        return this.#note('generate', [info.id], `make ${namesOf(this.#timeline, [info.id])}: ${reason}`)
      }
      case 'retire':
        this.#note('retire', [action.key], `${this.#name(action.key)} is to go: ${reason}`)
        return this.#apply({ kind: 'retired', key: action.key, because: action.because, reason })
      case 'keep':
        this.#note('keep', [action.key], `${this.#name(action.key)} stays: ${reason}`)
        return this.#apply({ kind: 'kept', key: action.key, reason })
      case 'publish':
        this.#note('publish', [...new Set(action.moves.map(({ key }) => key))], reason, action.moves)
        return this.#publish(action.apex)
      case 'unsign':
        this.#note('unsign', [], `publish the zone unsigned: ${reason}`)
        return this.#publish(NO_KEYS)
      case 'want-ds':
        this.#note('want-ds', action.keys, reason)
        return this.#apply({ kind: 'ds-wanted', keys: action.keys })
      case 'confirm-ds': {
        const { keys, ttlSeconds } = action
        this.#note('confirm-ds', keys, reason)
        return this.#apply({ kind: 'ds-confirmed', keys, ttlSeconds, by: 'time' })
      }
      case 'destroy':
        this.#note('destroy', [action.key], `destroy ${this.#name(action.key)}: ${reason}`)
        this.#held.delete(action.key)
        return this.#apply({ kind: 'destroyed', key: action.key })
    }
  }

  #generate(role: KeyRole, algorithm: number): KeyInfo {
    const keyTag = -++this.#made
    const id = `new-${this.#made}`
    this.#held.add(id)
    const flags = role === 'zsk' ? 256 : 257
    const nothing = new Uint8Array(0)
    return {
      id,
      zone: nothing as KeyInfo['zone'],
      algorithm,
      role,
      flags,
      publicKey: nothing,
      keyTag,
      createdUnix: this.#now,
      where: '',
    }
  }

  #publish(apex: typeof NO_KEYS): void {
    const { dnskeyTtlSeconds } = this.#policy
    const { zoneTtlSeconds } = this.#facts
    this.#serial++
    this.#apply({ kind: 'published', apex, serial: this.#serial, dnskeyTtlSeconds, zoneTtlSeconds })
    this.#apply({ kind: 'shown' })
  }

  #name(id: string): string {
    return namesOf(this.#timeline, [id])
  }

  #note(
    kind: PlanEvent['kind'],
    keys: readonly string[],
    reason: string,
    moves: readonly RecordMove[] = [],
  ): void {
    this.events.push({ atUnix: this.#now, kind, keys, moves, reason })
  }

  #apply(event: RollEvent): void {
    this.#take(applyEvent(this.#timeline, event, this.#policy, this.#now))
  }

  /** I2: every change of a state is seen, since a wait ends whenever one may come. */
  #take(timeline: ZoneTimeline): void {
    this.#timeline = timeline
    for (const key of timeline.keys) {
      const seen = this.#seen.get(key.id) ?? { key, changes: [] }
      for (const record of RECORDS) {
        const { state, sinceUnix } = key.records[record]
        const last = seen.changes.findLast(change => change.record === record)
        if (last?.state !== state) seen.changes.push({ record, state, sinceUnix })
      }
      this.#seen.set(key.id, seen)
    }
  }

  keys(untilUnix: number): PlanKey[] {
    return [...this.#seen.values()].map(({ key, changes }) => ({
      ...{ id: key.id, name: nameOfKey(key), role: key.role, algorithm: key.algorithm },
      planned: key.keyTag < 0,
      spans: RECORDS.flatMap(record =>
        spansOf(
          changes.filter(change => change.record === record),
          untilUnix,
        ),
      ),
    }))
  }
}

type Seen =
  | { readonly kind: 'everywhere'; readonly atUnix: number; readonly serial: number }
  | { readonly kind: 'ds-seen'; readonly atUnix: number }

interface SeenKey {
  readonly key: KeyLife
  readonly changes: { readonly record: KeyRecord; readonly state: RecordState; readonly sinceUnix: number }[]
}

const RECORDS: readonly KeyRecord[] = ['dnskey', 'ds', 'keySignature', 'zoneSignature']

function spansOf(changes: SeenKey['changes'], untilUnix: number): PlanSpan[] {
  return changes.flatMap(({ record, state, sinceUnix }, at) => {
    const toUnix = changes[at + 1]?.sinceUnix ?? untilUnix
    return state === 'hidden' || toUnix <= sinceUnix ? [] : [{ record, state, fromUnix: sinceUnix, toUnix }]
  })
}

/** The events of a plan, one a line. */
export function planTable({ events, ends }: Plan): string[] {
  const lines = events.map(({ atUnix, kind, reason }) => `${timeText(atUnix)}  ${kind.padEnd(10)}  ${reason}`)
  return ends === undefined ? lines : [...lines, `then nothing more: ${ends}`]
}
