/** The additional section: addresses of the names that NS, MX, SRV and their like hold (RFC 1035 §3.3, RFC 2782,
 *  RFC 9460 §4), and glue of referrals (RFC 1034 §4.3.2, RFC 9471). Only names of the zone that answers are looked up.
 *  I1  Glue for names below the cut is required: what does not fit sets TC (RFC 9471 §3.1). All else is optional and
 *      left out in silence (RFC 2181 §9), and so are RRSIGs here (RFC 4035 §3.1.1).
 *  I2  The addresses of a name stand there once. */

import {
  additionalNameAt,
  findRRset,
  NODE_OCCLUDED,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  TYPE,
  u16,
  writeKey,
} from '../zones/reading.ts'
import type { AnswerState } from './answer-state.ts'
import type { SnapshotCursor } from './answerer.ts'
import { ADDITIONAL, NAMES_IN_RDATA, OWNER_WRITTEN, type Parts, RECORDS } from './response.ts'
import type { ZoneView } from './zone-view.ts'

/** Offset, plus one, of the name in RDATA whose addresses are wanted, by type. */
const TARGET = new Uint8Array(256)
const NO_RDATA = new Uint8Array(1)
for (let type = 0; type < TARGET.length; type++) {
  // NAPTR's stands behind strings, wherever they end; LP's asks for locators, not for addresses (RFC 6742 §2.4.3).
  if (type !== TYPE.NAPTR && type !== TYPE.LP) TARGET[type] = 1 + additionalNameAt(type, NO_RDATA, 0)
}

/** Names for which additional data are looked for in one response; RFC 9471 §3.1 asks for all in-domain glue, so a
 *  delegation has room for more nameservers than any known. */
const TARGETS_MAX = 64
/** The name is not in RDATA that was written with compression. */
const NO_RECORD = 0xffff

/** Additional data for an RRset in the answer. */
export function putAdditional(state: AnswerState, view: ZoneView, octets: Uint8Array, rrset: number): void {
  const type = u16(octets, rrset)
  if (type > 255 || TARGET[type] === 0) return
  const service = type === TYPE.SVCB || type === TYPE.HTTPS
  const offset = RECORD_HEADER_OCTETS + TARGET[type]! - 1
  const records = Math.min(u16(octets, rrset + 4), TARGETS_MAX)
  let at = rrset + RRSET_HEADER_OCTETS
  state.additionals = 0
  if (NAMES_IN_RDATA[type] === 0) state.response.targets = 0
  for (let index = 0; index < records; index++) {
    if (service) putServiceTarget(state, view, octets, at, type)
    else if (keyTarget(state, view, octets, at + offset) && findTarget(state, view)) {
      putAddresses(state, index, octets, at + offset)
    }
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
  const self = octets[priority + 2] === 0
  if (self && u16(octets, priority) === 0) return
  const nameOctets = self ? state.nameOctets : octets
  const name = self ? state.nameStart : priority + 2
  if (!keyTarget(state, view, nameOctets, name) || !findTarget(state, view)) return
  putAddresses(state, NO_RECORD, nameOctets, name)
  if (!self) putOptional(state, type, NO_RECORD, nameOctets, name)
}

/** Glue for the nameservers in an NS RRset at the cut whose key has `cutEnd` octets: first the required. `state.cursor`
 *  stands on the cut or on a wildcard; glue below the cut stands behind it, mostly in the order of the NS records. */
export function putGlue(
  state: AnswerState,
  view: ZoneView,
  octets: Uint8Array,
  rrset: number,
  cutEnd: number,
): void {
  const records = Math.min(u16(octets, rrset + 4), TARGETS_MAX)
  let others = false
  state.additionals = 0
  let walking = state.cursor.next()
  let at = rrset + RRSET_HEADER_OCTETS + RECORD_HEADER_OCTETS
  for (let index = 0; index < records; index++) {
    if (!keyTarget(state, view, octets, at)) {
      // The zone does not have it.
    } else if (!isBelow(state, cutEnd)) others = true
    else {
      const here = walking && isHere(state, view)
      if (here ? isNewTarget(state, state.cursor) : findTarget(state, view)) {
        putRequiredAddresses(state, index, octets, at)
      }
      if (here) walking = state.cursor.next()
    }
    at += RECORD_HEADER_OCTETS + u16(octets, at - 2)
  }
  if (others) putSiblingGlue(state, view, octets, rrset, cutEnd)
}

function putSiblingGlue(
  state: AnswerState,
  view: ZoneView,
  octets: Uint8Array,
  rrset: number,
  cutEnd: number,
): void {
  const records = Math.min(u16(octets, rrset + 4), TARGETS_MAX)
  let at = rrset + RRSET_HEADER_OCTETS + RECORD_HEADER_OCTETS
  for (let index = 0; index < records; index++) {
    if (keyTarget(state, view, octets, at) && !isBelow(state, cutEnd) && findTarget(state, view)) {
      putAddresses(state, index, octets, at)
    }
    at += RECORD_HEADER_OCTETS + u16(octets, at - 2)
  }
}

/** Puts the key of the name into `state.sideKey`; false when the zone does not hold it. */
function keyTarget(state: AnswerState, view: ZoneView, octets: Uint8Array, name: number): boolean {
  state.sideKeyOctets = writeKey(octets, name, state.sideKey)
  return isBelow(state, view.apexKeyOctets)
}

/** Whether the key in `sideKey` begins with the first octets of the name's at hand. */
function isBelow(state: AnswerState, end: number): boolean {
  const { sideKey, key } = state
  if (state.sideKeyOctets < end) return false
  for (let at = 0; at < end; at++) if (sideKey[at] !== key[at]) return false
  return true
}

/** Whether `state.cursor` stands on the name whose key is in `sideKey`. */
function isHere(state: AnswerState, view: ZoneView): boolean {
  const { cursor, sideKey } = state
  const start = view.apexKeyOctets
  const length = state.sideKeyOctets - start
  if (cursor.keyLength !== length) return false
  cursor.loadKey()
  for (let at = 0; at < length; at++) if (cursor.key[at] !== sideKey[start + at]) return false
  return true
}

/** Looks the name up whose key is in `sideKey`. */
function findTarget(state: AnswerState, view: ZoneView): boolean {
  const { side } = state
  return (
    side.find(view.namesRoot, state.sideKey, view.apexKeyOctets, state.sideKeyOctets) &&
    isNewTarget(state, side)
  )
}

/** Makes the cursor's node the target at hand; false when its addresses are there already (I2). */
function isNewTarget(state: AnswerState, cursor: SnapshotCursor): boolean {
  const { additionalOctets, additionalAt } = state
  const octets = cursor.bytes
  const node = cursor.valueStart
  state.targetOctets = octets
  state.targetNode = node
  for (let index = 0; index < state.additionals; index++) {
    if (additionalAt[index] === node && additionalOctets[index] === octets) return false
  }
  if (state.additionals < TARGETS_MAX) {
    additionalOctets[state.additionals] = octets
    additionalAt[state.additionals++] = node
  }
  return true
}

/** A and AAAA of the target at hand, as far as they fit. `record` is that of the RRset last written whose RDATA has the
 *  name. */
function putAddresses(state: AnswerState, record: number, octets: Uint8Array, name: number): void {
  putOptional(state, TYPE.A, record, octets, name)
  putOptional(state, TYPE.AAAA, record, octets, name)
}

function putOptional(
  state: AnswerState,
  type: number,
  record: number,
  octets: Uint8Array,
  name: number,
): void {
  const { targetOctets, targetNode } = state
  const rrset = findRRset(targetOctets, targetNode, type)
  if (rrset < 0) return
  // RFC 4035 §3.1.1: glue has no signatures; where RRSIGs do not fit here, the RRset may go alone.
  const signed = state.parts !== RECORDS && (targetOctets[targetNode]! & NODE_OCCLUDED) === 0
  if (signed && putHere(state, rrset, record, octets, name, state.parts)) return
  putHere(state, rrset, record, octets, name, RECORDS)
}

function putRequiredAddresses(state: AnswerState, record: number, octets: Uint8Array, name: number): void {
  const { targetOctets, targetNode } = state
  const a = findRRset(targetOctets, targetNode, TYPE.A)
  const aaaa = findRRset(targetOctets, targetNode, TYPE.AAAA)
  if (a >= 0 && !putHere(state, a, record, octets, name, RECORDS)) state.response.truncated = true
  if (aaaa >= 0 && !putHere(state, aaaa, record, octets, name, RECORDS)) state.response.truncated = true
}

/** An RRset of the target at hand; its owner is the name that led to it, and stands in the message already when that
 *  was in compressible RDATA. */
function putHere(
  state: AnswerState,
  rrset: number,
  record: number,
  octets: Uint8Array,
  name: number,
  parts: Parts,
): boolean {
  const { response, targetOctets } = state
  const pointer = response.targetPointer(record)
  if (pointer !== OWNER_WRITTEN) return response.putRRset(ADDITIONAL, targetOctets, rrset, parts, pointer)
  const start = response.at
  if (response.putOwnerName(octets, name)) {
    return response.putRRset(ADDITIONAL, targetOctets, rrset, parts, OWNER_WRITTEN)
  }
  response.at = start
  return false
}
