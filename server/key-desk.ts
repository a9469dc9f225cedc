/** What operators ask and say about the keys of a zone: how they are, what will happen, what is to be done. The same for a
 *  running server and for the state directory of a stopped one.
 *  I1  Nothing here changes anything: an order gives the events that it stands for, and what would follow from them. */
import { ConclaveError } from '../base/index.ts'
import {
  algorithmOf,
  applyEvent,
  dnskeyRdata,
  dsRdata,
  dsText,
  explain,
  type KeyInfo,
  type KeyRole,
  type Plan,
  plan,
  type RollAction,
  type RollEvent,
  type RollFacts,
  type RollStatus,
  type SigningPolicy,
  timeText,
  wantedDs,
  type ZoneTimeline,
} from '../signer/index.ts'
import { type Name, nameToText } from '../zones/index.ts'

/** All that is known of a zone's keys at some time. */
export interface KeySituation {
  readonly zone: Name
  readonly timeline: ZoneTimeline
  readonly policy: SigningPolicy
  readonly infos: readonly KeyInfo[]
  readonly unused: readonly KeyInfo[]
  readonly facts: RollFacts
  readonly now: number
  /** Why the last question to parent or servers did not help. */
  readonly said?: string
  /** The KSK is offline: what is shown when stands in a signed key response, and the next of it is waited for. */
  readonly offline?: Extract<RollAction, { kind: 'wait' }>
  /** The clock jumped: until then no step is taken. */
  readonly stepsFromUnix?: number
  /** Its keys are of another kind than the policy has for zones without keys. */
  readonly keepsKeys?: boolean
}

export interface KeyReport extends RollStatus {
  readonly zone: string
  /** DS records for the parent, of the keys that it is to have. */
  readonly dsRecords: readonly string[]
  /** Keys in the stores that the zone makes no use of. */
  readonly unused: readonly { readonly id: string; readonly name: string; readonly where: string }[]
  readonly said?: string
}

/** What an operator wants of a zone's keys. */
export type KeyOrder =
  /** New keys of that role, or of all. */
  | { readonly kind: 'roll'; readonly role?: KeyRole; readonly reason?: string }
  /** Another key in place of this one: an id, or a key tag. */
  | { readonly kind: 'retire'; readonly key: string; readonly reason?: string }
  /** The parent has the DS of these keys, ids or key tags; default those that it was asked for. None: it has no DS. */
  | { readonly kind: 'ds-seen'; readonly keys?: readonly string[] }

/** What an order comes to. */
export interface OrderEffect {
  readonly events: readonly RollEvent[]
  readonly reason: string
}

const DAY_SECONDS = 86_400
/** How long no key is destroyed after a start or a jump of the clock. */
export const DESTROY_HOLD_SECONDS: number = DAY_SECONDS
/** How far ahead is looked at what follows from an order. */
const AHEAD_SECONDS: number = 90 * DAY_SECONDS
/** A server has other things to do: a plan takes about a millisecond a step. */
const PLAN_STEPS_SERVED = 3000
const ORDER_STEPS_SERVED = 200

export function keyReport(situation: KeySituation): KeyReport {
  const { zone, timeline, policy, infos, unused, facts, now, said, offline, stepsFromUnix } = situation
  const wanted = infos.filter(({ id }) => wantedDs(timeline).includes(id))
  const status = explain(timeline, policy, facts, now)
  const told = [
    ...(stepsFromUnix === undefined
      ? []
      : [`The clock jumped: no step is taken before ${timeText(stepsFromUnix)}.`]),
    ...(offline === undefined ? status.sentences : [`${offline.reason}.`]),
  ]
  return {
    zone: nameToText(zone),
    ...status,
    ...(offline === undefined ? {} : { action: offline }),
    sentences: situation.keepsKeys === true ? [...told, keptSentence(policy)] : told,
    dsRecords: wanted.map(info => dsText(zone, dsRdata(zone, dnskeyRdata(info)))),
    unused: unused.map(info => ({ id: info.id, name: nameOf(info), where: info.where })),
    ...(said === undefined ? {} : { said }),
  }
}

function keptSentence({ splitKeys, algorithm }: SigningPolicy): string {
  const kind = splitKeys ? 'KSK and ZSK' : 'CSK'
  return `Its keys stay ${kind} with ${algorithmOf(algorithm).mnemonic}: the policy says nothing else of zones that have keys.`
}

function nameOf({ role, keyTag, algorithm }: KeyInfo): string {
  return `${role.toUpperCase()} ${keyTag} ${algorithmOf(algorithm).mnemonic}`
}

/** @throws ConclaveError KEYS_OFFLINE */
export function keyPlan(situation: KeySituation, untilUnix: number): Plan {
  checkOnline(situation)
  const { timeline, policy, facts, now } = situation
  return plan(timeline, policy, facts, now, untilUnix, { stepsMax: PLAN_STEPS_SERVED })
}

function checkOnline({ zone, offline }: KeySituation): void {
  if (offline === undefined) return
  throw new ConclaveError(
    'KEYS_OFFLINE',
    'the KSK is offline, and its signed key response says what rolls when',
    {
      place: { zone: nameToText(zone) },
      remedy:
        'Plan keys with `conclave keys ksr` and `sign-ksr`; `conclave keys status` tells what is shown now.',
    },
  )
}

/** @throws ConclaveError KEY_UNKNOWN, KEY_AMBIGUOUS, KEY_ROLE, KEYS_OFFLINE */
export function orderEffect(situation: KeySituation, order: KeyOrder): OrderEffect {
  const { policy } = situation
  if (order.kind !== 'ds-seen') checkOnline(situation)
  switch (order.kind) {
    case 'roll': {
      const reason = order.reason ?? 'an operator asked for it'
      return { events: keysOfRole(situation, order.role).map(key => retired(key, reason)), reason }
    }
    case 'retire': {
      const reason = order.reason ?? 'an operator asked for it'
      return { events: [retired(keyOf(situation, order.key), reason)], reason }
    }
    case 'ds-seen': {
      const keys = order.keys?.map(key => keyOf(situation, key)) ?? wantedDs(situation.timeline)
      const ttlSeconds = policy.parent.dsTtlSeconds
      const events = [{ kind: 'ds-confirmed', keys, ttlSeconds, by: 'operator' } as const]
      return { events, reason: 'an operator saw the DS at the parent' }
    }
  }
}

/** What would happen. */
export function orderPlan(situation: KeySituation, effect: OrderEffect): Plan {
  if (situation.offline !== undefined) {
    return {
      fromUnix: situation.now,
      untilUnix: situation.now,
      events: [],
      keys: [],
      ends: situation.offline.reason,
    }
  }
  const { policy, facts, now } = situation
  const timeline = effect.events.reduce(
    (before, event) => applyEvent(before, event, policy, now),
    situation.timeline,
  )
  return plan(timeline, policy, facts, now, now + AHEAD_SECONDS, { stepsMax: ORDER_STEPS_SERVED })
}

/** Another one is made in its place, which takes over from it (signer/roll-target.ts). */
function retired(key: string, reason: string): RollEvent {
  return { kind: 'retired', key, because: 'asked', reason }
}

/** The keys in use.
 *  @throws ConclaveError KEY_ROLE */
function keysOfRole({ timeline, zone }: KeySituation, role: KeyRole | undefined): string[] {
  const inUse = timeline.keys.filter(({ goal }) => goal === 'in-use')
  const chosen = inUse.filter(key => role === undefined || key.role === role)
  if (chosen.length > 0) return chosen.map(({ id }) => id)
  if (role === undefined) return []
  const roles = [...new Set(inUse.map(key => key.role))]
  throw new ConclaveError('KEY_ROLE', `the zone has no ${role.toUpperCase()} in use`, {
    place: { zone: nameToText(zone) },
    remedy: `It has ${roles.map(one => one.toUpperCase()).join(' and ') || 'no keys'}.`,
  })
}

/** @throws ConclaveError KEY_UNKNOWN, KEY_AMBIGUOUS */
function keyOf({ timeline, zone }: KeySituation, word: string): string {
  const found = timeline.keys.filter(({ id, keyTag }) => id === word || String(keyTag) === word)
  const place = { zone: nameToText(zone), key: word }
  const [first, second] = found
  if (first === undefined) {
    const remedy = 'See `conclave keys status` for the keys of the zone.'
    throw new ConclaveError('KEY_UNKNOWN', 'the zone has no such key', { place, remedy })
  }
  if (second === undefined) return first.id
  const remedy = `Say which by its id: ${found.map(({ id }) => id).join(', ')}.`
  throw new ConclaveError('KEY_AMBIGUOUS', 'two keys of the zone have that key tag', { place, remedy })
}
