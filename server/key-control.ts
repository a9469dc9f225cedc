/** Keys of zones over the control socket, and of a state directory that no server uses; both give the same answers.
 *  I1  Without a server, looking and trying take no lock and write nothing; an order takes the directory's lock. */

import { existsSync } from 'node:fs'
import { basename, isAbsolute, join } from 'node:path'
import type { ControlHandler } from '../base/index.ts'
import { type Clock, ConclaveError, systemClock } from '../base/index.ts'
import { applyEvent, type KeyInfo, type KeyTiming, type Plan, timingOf } from '../signer/index.ts'
import { keyOf, type Name, nameFromText, nameOfKey, nameToText, rootName } from '../zones/index.ts'
import {
  DESTROY_HOLD_SECONDS,
  type KeyOrder,
  type KeyReport,
  type KeySituation,
  keyPlan,
  keyReport,
  orderEffect,
  orderPlan,
} from './key-desk.ts'
import { storedKeys } from './key-plan.ts'
import type { Nameserver } from './nameserver.ts'
import { openState, STATE_FILE_NAME, type State } from './state.ts'
import type { ZoneState } from './state-zone.ts'

/** What `conclave keys` asks about the keys of zones in use. */
export interface KeysFace {
  /** Of all signed zones, or of one.
   *  @throws ConclaveError ZONE_UNKNOWN, ZONE_NOT_SIGNED */
  status(zone?: string): Promise<KeyReport[]>
  plan(zone: string, seconds: number): Promise<Plan>
  order(zone: string, order: KeyOrder, trial: boolean): Promise<Plan>
}

/** Handlers of a running server's control socket. */
export function keyHandlers(server: Nameserver, clock: Clock = systemClock): Record<string, ControlHandler> {
  const text = (value: unknown): string => {
    if (typeof value === 'string') return value
    throw new ConclaveError('CONTROL_REQUEST', 'the request names no zone')
  }
  return {
    'keys-status': ({ zone }) => {
      const zones = zone === undefined ? server.zones().map(one => one.zone) : [text(zone)]
      return zones.flatMap(one => server.keys.status(one) ?? [])
    },
    'keys-plan': ({ zone, seconds }) => server.keys.plan(text(zone), clock.now() + Number(seconds)),
    'keys-order': ({ zone, order, trial }) => server.keys.order(text(zone), orderOf(order), trial === true),
    'state-backup': ({ directory, keys }) => server.backupState(text(directory), { keys: keys === true }),
  }
}

/** @throws ConclaveError CONTROL_REQUEST */
function orderOf(value: unknown): KeyOrder {
  const kinds: readonly unknown[] = ['roll', 'retire', 'ds-seen']
  if (typeof value === 'object' && value !== null && 'kind' in value && kinds.includes(value.kind)) {
    return value as KeyOrder
  }
  throw new ConclaveError('CONTROL_REQUEST', 'the request has no order that is known')
}

/** The keys in the state directory of a stopped server.
 *  @throws ConclaveError STATE_OPEN, STATE_LOCKED, … */
export function stoppedKeys(directory: string, clock: Clock = systemClock): KeysFace {
  const reading = async <T>(work: (state: State) => T): Promise<T> => {
    const state = await openState(directory, { readOnly: true })
    try {
      return work(state)
    } finally {
      await state.close()
    }
  }
  return {
    status: zone =>
      reading(state => {
        const chosen = zone === undefined ? zonesOf(state) : [nameFromText(zone, rootName)]
        const found = chosen.flatMap(name => situationIn(state, name, clock.now()) ?? [])
        if (zone !== undefined && found.length === 0) throw notSigned(chosen[0]!)
        return found.map(keyReport)
      }),
    plan: (zone, seconds) =>
      reading(state => keyPlan(neededIn(state, zone, clock.now()), clock.now() + seconds)),
    order: async (zone, order, trial) => {
      if (!trial) return orderStopped(directory, zone, order, clock.now())
      return reading(state => {
        const situation = neededIn(state, zone, clock.now())
        return orderPlan(situation, orderEffect(situation, order))
      })
    },
  }
}

/** When keys were shown and signed, by what the state directory knows; nothing without one. It may be in use.
 *  @throws ConclaveError STATE_FORMAT, STATE_CORRUPT, STATE_OPEN */
export async function keyTimes(directory: string, zone: Name): Promise<ReadonlyMap<string, KeyTiming>> {
  if (!existsSync(join(directory, STATE_FILE_NAME))) return new Map()
  const state = await openState(directory, { readOnly: true })
  try {
    const { timeline } = state.zone(keyOf(zone)).keys
    return new Map(timeline?.keys.map(key => [key.id, timingOf(key)]))
  } finally {
    await state.close()
  }
}

async function orderStopped(directory: string, zone: string, order: KeyOrder, now: number): Promise<Plan> {
  const state = await openState(directory)
  try {
    const situation = neededIn(state, zone, now)
    const { policy, timeline, infos } = situation
    const effect = orderEffect(situation, order)
    const plan = orderPlan(situation, effect)
    const after = effect.events.reduce((before, event) => applyEvent(before, event, policy, now), timeline)
    const zoneState = state.zone(keyOf(situation.zone))
    await zoneState.saveKeys(storedKeys(zoneState.keys, after, policy, infos))
    return plan
  } finally {
    await state.close()
  }
}

function zonesOf(state: State): Name[] {
  return state.zones().map(key => nameOfKey(key, rootName))
}

function neededIn(state: State, zone: string, now: number): KeySituation {
  const name = nameFromText(zone, rootName)
  const situation = situationIn(state, name, now)
  if (situation !== undefined) return situation
  throw notSigned(name)
}

function notSigned(zone: Name): ConclaveError {
  return new ConclaveError('ZONE_NOT_SIGNED', 'the state directory knows no keys of the zone', {
    place: { zone: nameToText(zone) },
    remedy: 'Name the state directory with --state.',
  })
}

/** Whether a key in a file is there still; of keys in tokens and quorums that is taken for granted, since only a server asks
 *  them. A state directory that was moved, or restored, has its own keys below itself. */
function isThere({ where }: KeyInfo, keysDirectory: string): boolean {
  if (!isAbsolute(where)) return true
  const places = [where, join(keysDirectory, basename(where))]
  return places.some(place => existsSync(place.replace(/\.key$/, '.private')))
}

/** As the directory has it. */
function situationIn(state: State, zone: Name, now: number): KeySituation | undefined {
  const { keys, served }: ZoneState = state.zone(keyOf(zone))
  const { timeline, policy } = keys
  if (timeline === undefined || policy === undefined) return undefined
  const infos = keys.infos.map((info): KeyInfo => ({ ...info, zone }))
  const newest = timeline.epochs.at(-1)
  const facts = {
    held: new Set(infos.filter(info => isThere(info, state.keysDirectory)).map(({ id }) => id)),
    zoneTtlSeconds: newest?.zoneTtlSeconds ?? 0,
    serial: served?.serial ?? newest?.serial ?? 0,
    // As if a server were started now.
    destroyFromUnix: now + DESTROY_HOLD_SECONDS,
  }
  return { zone, timeline, policy, infos, unused: [], facts, now }
}
