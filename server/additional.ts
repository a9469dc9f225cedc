/** The additional section: addresses of the names that NS, MX, SRV and their like hold (RFC 1035 §3.3, RFC 2782,
 *  RFC 9460 §4), and glue of referrals (RFC 1034 §4.3.2, RFC 9471). Only names of the zone that answers are looked up.
 *  I1  Glue for names below the cut is required: what does not fit sets TC (RFC 9471 §3.1). All else is optional and
 *      left out in silence (RFC 2181 §9), and so are RRSIGs here (RFC 4035 §3.1.1).
 *  I2  The addresses of a name stand there once. */

import {
  findRRset,
  NODE_OCCLUDED,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  u16,
  writeKey,
} from '../zones/index.ts'
import type { AnswerState } from './answer-state.ts'
import { ADDITIONAL, OWNER_WRITTEN, RECORDS } from './response.ts'
import type { ZoneView } from './zone-view.ts'

const TYPE_A = 1
const TYPE_AAAA = 28
const TYPE_SVCB = 64
const TYPE_HTTPS = 65

/** Offset, plus one, of the name in RDATA whose addresses are wanted, by type. */
const TARGET = new Uint8Array(256)
for (const type of [2, 3, 4, 7]) TARGET[type] = 1 // NS, MD, MF, MB (RFC 1035 §3.3)
for (const type of [15, 18, 21, 36]) TARGET[type] = 3 // MX, AFSDB, RT (RFC 1183), KX (RFC 2230 §3)
TARGET[33] = 7 // SRV (RFC 2782)
for (const type of [TYPE_SVCB, TYPE_HTTPS]) TARGET[type] = 3

/** Names for which additional data are looked for in one response; RFC 9471 §3.1 asks for all in-domain glue, so a
 *  delegation has room for more nameservers than any known. */
const TARGETS_MAX = 64

/** Additional data for an RRset in the answer. */
export function putAdditional(state: AnswerState, view: ZoneView, octets: Uint8Array, rrset: number): void {
  const type = u16(octets, rrset)
  if (type > 255 || TARGET[type] === 0) return
  const service = type === TYPE_SVCB || type === TYPE_HTTPS
  const offset = RECORD_HEADER_OCTETS + TARGET[type]! - 1
  let at = rrset + RRSET_HEADER_OCTETS
  state.additionals = 0
  for (let left = Math.min(u16(octets, rrset + 4), TARGETS_MAX); left > 0; left--) {
    if (service) putServiceTarget(state, view, octets, at, type)
    else if (findTarget(state, view, octets, at + offset)) putAddresses(state, octets, at + offset)
    at += RECORD_HEADER_OCTETS + u16(octets, at + 10)
  }
}

/** RFC 9460 §4.1: the A, AAAA and SVCB records of the TargetName; "." is the owner in ServiceMode (§2.5.2), and nothing
 *  in AliasMode (§2.5.1). */
function putServiceTarget(
  state: AnswerState,
  view: ZoneView,
  octets: Uint8Array,
  record: number,
  type: number,
): void {
  const priority = record + RECORD_HEADER_OCTETS
  const target = priority + 2
  if (octets[target] !== 0) {
    if (!findTarget(state, view, octets, target)) return
    putAddresses(state, octets, target)
    putOptional(state, type, octets, target)
  } else if (u16(octets, priority) !== 0 && findTarget(state, view, state.nameOctets, state.nameStart)) {
    putAddresses(state, state.nameOctets, state.nameStart)
  }
}

/** Glue for the nameservers in an NS RRset at the cut whose key has `cutEnd` octets: first the required. */
export function putGlue(
  state: AnswerState,
  view: ZoneView,
  octets: Uint8Array,
  rrset: number,
  cutEnd: number,
): void {
  const offset = RECORD_HEADER_OCTETS
  const records = Math.min(u16(octets, rrset + 4), TARGETS_MAX)
  let others = false
  state.additionals = 0
  for (let pass = 0; pass < 2; pass++) {
    let at = rrset + RRSET_HEADER_OCTETS
    for (let left = records; left > 0; left--) {
      const below = keyTarget(state, view, octets, at + offset) ? isBelow(state, cutEnd) : undefined
      if (below === false) others = true
      if (below === (pass === 0) && findKeyed(state, view)) {
        if (pass === 1) putAddresses(state, octets, at + offset)
        else putRequiredAddresses(state, octets, at + offset)
      }
      at += RECORD_HEADER_OCTETS + u16(octets, at + 10)
    }
    if (!others) return
  }
}

/** Puts the key of the name into `state.sideKey`; false when the zone does not hold it. */
function keyTarget(state: AnswerState, view: ZoneView, octets: Uint8Array, name: number): boolean {
  const { sideKey, key } = state
  state.sideKeyOctets = writeKey(octets, name, sideKey)
  const apexEnd = view.apexKeyOctets
  if (state.sideKeyOctets < apexEnd) return false
  for (let at = 0; at < apexEnd; at++) if (sideKey[at] !== key[at]) return false
  return true
}

function isBelow(state: AnswerState, cutEnd: number): boolean {
  const { sideKey, key } = state
  if (state.sideKeyOctets < cutEnd) return false
  for (let at = 0; at < cutEnd; at++) if (sideKey[at] !== key[at]) return false
  return true
}

function findKeyed(state: AnswerState, view: ZoneView): boolean {
  const { side } = state
  return (
    side.find(view.namesRoot, state.sideKey, view.apexKeyOctets, state.sideKeyOctets) && isNewTarget(state)
  )
}

function findTarget(state: AnswerState, view: ZoneView, octets: Uint8Array, name: number): boolean {
  return keyTarget(state, view, octets, name) && findKeyed(state, view)
}

/** I2. */
function isNewTarget(state: AnswerState): boolean {
  const { side, additionalOctets, additionalAt } = state
  for (let index = 0; index < state.additionals; index++) {
    if (additionalAt[index] === side.valueStart && additionalOctets[index] === side.bytes) return false
  }
  if (state.additionals < TARGETS_MAX) {
    additionalOctets[state.additionals] = side.bytes
    additionalAt[state.additionals++] = side.valueStart
  }
  return true
}

/** A and AAAA of the node that `state.side` stands on, as far as they fit. */
function putAddresses(state: AnswerState, octets: Uint8Array, name: number): void {
  putOptional(state, TYPE_A, octets, name)
  putOptional(state, TYPE_AAAA, octets, name)
}

function putOptional(state: AnswerState, type: number, octets: Uint8Array, name: number): void {
  const { side } = state
  const rrset = findRRset(side.bytes, side.valueStart, type)
  if (rrset < 0) return
  // RFC 4035 §3.1.1: glue has no signatures; where RRSIGs do not fit here, the RRset may go alone.
  const signed = state.parts !== RECORDS && (side.bytes[side.valueStart]! & NODE_OCCLUDED) === 0
  if (signed && putHere(state, rrset, octets, name, true)) return
  putHere(state, rrset, octets, name, false)
}

function putRequiredAddresses(state: AnswerState, octets: Uint8Array, name: number): void {
  const { side } = state
  const a = findRRset(side.bytes, side.valueStart, TYPE_A)
  const aaaa = findRRset(side.bytes, side.valueStart, TYPE_AAAA)
  const whole =
    (a < 0 || putHere(state, a, octets, name, false)) &&
    (aaaa < 0 || putHere(state, aaaa, octets, name, false))
  if (!whole) state.response.truncated = true
}

/** The RRset of `state.side`'s node, its owner the name that led to it. */
function putHere(
  state: AnswerState,
  rrset: number,
  octets: Uint8Array,
  name: number,
  signed: boolean,
): boolean {
  const { response, side } = state
  const start = response.at
  if (!response.putOwnerName(octets, name)) {
    response.at = start
    return false
  }
  return response.putRRset(ADDITIONAL, side.bytes, rrset, signed ? state.parts : RECORDS, OWNER_WRITTEN)
}
