/** Proofs of what is not there, out of the NSEC records in the names tree (RFC 4035 §3.1.3) or the NSEC3 records in the
 *  tree of hashes (RFC 5155 §7.2). Not here: when which proof is due (answer.ts).
 *  I1  Each NSEC or NSEC3 record stands once in a response (RFC 4035 §3.1.3.2).
 *  I2  A record that does not fit sets TC: a validator can do nothing without it (RFC 4035 §3.1.1).
 *  I3  Names are given by the octets of their absolute key: an ancestor of the name at hand is a prefix of its key. */

import {
  DENIAL_NONE,
  DENIAL_NSEC,
  findRRset,
  firstRRsetAt,
  NODE_CASE,
  NODE_EMPTY_NON_TERMINAL,
  NODE_OCCLUDED,
  u16,
  writeLabelsOfKey,
} from '../zones/reading.ts'
import { type AnswerState, labelBoundary, wireOctetsOfKey } from './answer-state.ts'
import type { SnapshotCursor } from './answerer.ts'
import { NSEC3_HASH_OCTETS } from './nsec3-hash.ts'
import { HEADER_OCTETS } from './query.ts'
import { composeBlock, type ReadyBlock } from './ready-block.ts'
import { AUTHORITY, OWNER_WRITTEN, RECORDS_AND_SIGNATURES } from './response.ts'
import type { ZoneView } from './zone-view.ts'

const TYPE_NSEC = 47
const TYPE_NSEC3 = 50
const ASTERISK = 0x2a

/** Steps back from an empty non-terminal to the name before it: chains of them are at most as long as names have
 *  labels, and occluded names are left by one look-up. */
const STEPS_MAX = 256

/** That the type is not at the name, which exists; `node` is its node (RFC 4035 §3.1.3.1, RFC 5155 §7.2.3, §7.2.4). */
export function proveNoData(state: AnswerState, view: ZoneView, octets: Uint8Array, node: number): void {
  if (view.denial === DENIAL_NONE) return
  if (view.denial !== DENIAL_NSEC) {
    proveNoDataNsec3(state, view, state.keyOctets)
    return
  }
  const rrset = findRRset(octets, node, TYPE_NSEC)
  if (rrset >= 0) putAtName(state, octets, rrset, state.keyOctets)
  // RFC 4035 §2.3: an empty non-terminal has no NSEC; the record before it says that nothing is there.
  else coverName(state, view, state.key, state.keyOctets)
}

/** That the name at hand does not exist and no wildcard does either (RFC 4035 §3.1.3.2, RFC 5155 §7.2.2).
 *  `state.cursor` stands on the floor of the name and, when the wildcard was sought, `state.side` on that of the wildcard. */
export function proveNameError(state: AnswerState, view: ZoneView, encloser: number, sought: boolean): void {
  if (view.denial === DENIAL_NONE) return
  if (encloser === view.apexKeyOctets && state.chain === 0 && putReadyNameError(state, view)) return
  if (view.denial === DENIAL_NSEC) {
    putCovering(state, view, state.cursor)
    if (!sought) findWildcard(state, view, encloser)
    putCovering(state, view, state.side)
    return
  }
  const found = proveEncloser(state, view, encloser)
  if (found < 0) return
  hashOfKey(state, view, found, true)
  putCoveringNsec3(state, view)
}

/** That the name at hand does not exist, so that the wildcard below `encloser` may speak for it (RFC 4035 §3.1.3.3,
 *  RFC 5155 §7.2.6). `state.cursor` stands on the floor of the name. */
export function proveWildcardAnswer(state: AnswerState, view: ZoneView, encloser: number): void {
  if (view.denial === DENIAL_NONE) return
  if (view.denial === DENIAL_NSEC) putCovering(state, view, state.cursor)
  else coverNextCloser(state, view, encloser)
}

/** That the wildcard which speaks for the name at hand has no such type (RFC 4035 §3.1.3.4, RFC 5155 §7.2.5).
 *  `state.cursor` stands on the floor of the name, `state.side` on the wildcard. */
export function proveWildcardNoData(state: AnswerState, view: ZoneView, encloser: number): void {
  if (view.denial === DENIAL_NONE) return
  if (view.denial === DENIAL_NSEC) {
    const { side } = state
    const rrset = findRRset(side.bytes, side.valueStart, TYPE_NSEC)
    if (rrset >= 0) putBelowApex(state, view, side, rrset)
    else putCovering(state, view, side)
    putCovering(state, view, state.cursor)
    return
  }
  if (proveEncloser(state, view, encloser) < 0) return
  hashOfKey(state, view, encloser, true)
  if (findNsec3(state, view)) putNsec3(state, view)
}

/** That a delegation has no DS (RFC 4035 §3.1.4, RFC 5155 §7.2.7); its key has `cutEnd` octets. */
export function proveNoDs(
  state: AnswerState,
  view: ZoneView,
  octets: Uint8Array,
  node: number,
  cutEnd: number,
): void {
  if (view.denial === DENIAL_NONE) return
  if (view.denial !== DENIAL_NSEC) {
    proveNoDataNsec3(state, view, cutEnd)
    return
  }
  const rrset = findRRset(octets, node, TYPE_NSEC)
  if (rrset >= 0) putAtName(state, octets, rrset, cutEnd)
}

/** Puts `state.side` on the wildcard below the closest encloser, or on its floor. */
export function findWildcard(state: AnswerState, view: ZoneView, encloser: number): boolean {
  const { side, sideKey, key } = state
  for (let at = view.apexKeyOctets; at < encloser; at++) sideKey[at] = key[at]!
  sideKey[encloser] = ASTERISK
  sideKey[encloser + 1] = 0
  return side.find(view.namesRoot, sideKey, view.apexKeyOctets, encloser + 2)
}

// Names right below the apex

/** The same for a name whose closest encloser is the apex: all but one record is the same for each. */
function putReadyNameError(state: AnswerState, view: ZoneView): boolean {
  view.nameErrorBlocks ??= nameErrorBlocks(state, view)
  const blocks = view.nameErrorBlocks
  if (blocks.length === 0) return false
  const { response } = state
  const apex = HEADER_OCTETS + state.nameLength - view.apex.length
  if (view.denial === DENIAL_NSEC) putCovering(state, view, state.cursor)
  for (let index = 0; index < blocks.length; index++) {
    const block = blocks[index]!
    if (!state.isNewRRset(block.source, block.rrset)) continue
    if (!response.putBlock(AUTHORITY, block, apex)) response.truncated = true
  }
  if (view.denial !== DENIAL_NSEC) coverNextCloser(state, view, view.apexKeyOctets)
  return true
}

/** NSEC: what covers the wildcard; NSEC3: what matches the apex, and what covers the wildcard. */
function nameErrorBlocks(state: AnswerState, view: ZoneView): readonly ReadyBlock[] {
  const { side } = state
  if (view.denial === DENIAL_NSEC) {
    findWildcard(state, view, view.apexKeyOctets)
    const rrset = toNsec(state, view, side)
    if (rrset < 0) return []
    const length = putLabels(side, 0, side.loadKey(), nameScratch, 0)
    return [composeBlock(nameScratch.subarray(0, length), side.bytes, rrset)]
  }
  hashOfKey(state, view, view.apexKeyOctets, false)
  if (!findNsec3(state, view)) return []
  const encloser = nsec3Block(side)
  hashOfKey(state, view, view.apexKeyOctets, true)
  if (findNsec3(state, view) || !toCovering(state, view)) return []
  return [encloser, nsec3Block(side)]
}

function nsec3Block(side: SnapshotCursor): ReadyBlock {
  side.loadKey()
  nameScratch[0] = HASH_LABEL_OCTETS
  const length = writeBase32hex(side.key, nameScratch, 1)
  return composeBlock(nameScratch.subarray(0, length), side.bytes, firstRRsetAt(side.bytes, side.valueStart))
}

// NSEC

/** Covers the name of that absolute key. */
function coverName(state: AnswerState, view: ZoneView, key: Uint8Array, keyOctets: number): void {
  const { side } = state
  side.find(view.namesRoot, key, view.apexKeyOctets, keyOctets)
  putCovering(state, view, side)
}

function putCovering(state: AnswerState, view: ZoneView, cursor: SnapshotCursor): void {
  const rrset = toNsec(state, view, cursor)
  if (rrset >= 0) putBelowApex(state, view, cursor, rrset)
}

/** Moves the cursor to the last authoritative name at or before it, and returns its NSEC, or −1. Empty non-terminals and
 *  names below a zone cut have none (RFC 4035 §2.3). */
function toNsec(state: AnswerState, view: ZoneView, cursor: SnapshotCursor): number {
  for (let left = STEPS_MAX; left > 0; left--) {
    const octets = cursor.bytes
    const node = cursor.valueStart
    const flags = octets[node]!
    if ((flags & NODE_OCCLUDED) !== 0) {
      if (!toCut(state, view, cursor)) return -1
      continue
    }
    const rrset = (flags & NODE_EMPTY_NON_TERMINAL) !== 0 ? -1 : findRRset(octets, node, TYPE_NSEC)
    if (rrset >= 0) return rrset
    if (!cursor.prev()) return -1
  }
  return -1
}

/** From an occluded node to the zone cut or DNAME above it. */
function toCut(state: AnswerState, view: ZoneView, cursor: SnapshotCursor): boolean {
  const cutLabels = cursor.bytes[cursor.valueStart + 1]!
  cursor.loadKey()
  const key = state.sideKey
  const cutOctets = labelsEnd(cursor.key, 0, cutLabels)
  for (let at = 0; at < cutOctets; at++) key[at] = cursor.key[at]!
  return cursor.find(view.namesRoot, key, 0, cutOctets)
}

/** Offset behind that many labels of a key. */
export function labelsEnd(key: Uint8Array, start: number, labels: number): number {
  let at = start
  for (let left = labels; left > 0; at++) if (key[at] === 0) left--
  return at
}

/** An RRset of the name at hand or an ancestor of it. */
function putAtName(state: AnswerState, octets: Uint8Array, rrset: number, keyEnd: number): void {
  if (!state.isNewRRset(octets, rrset)) return
  const owner = state.owner(keyEnd)
  if (owner < 0 || !state.response.putRRset(AUTHORITY, octets, rrset, RECORDS_AND_SIGNATURES, owner)) {
    state.response.truncated = true
  }
}

/** An RRset of the node that the cursor stands on, its owner spelled out of its key. */
function putBelowApex(state: AnswerState, view: ZoneView, cursor: SnapshotCursor, rrset: number): void {
  const octets = cursor.bytes
  if (!state.isNewRRset(octets, rrset)) return
  const keyLength = cursor.loadKey()
  const { response } = state
  const start = response.at
  const written =
    state.chain === 0
      ? putOwnerAtQuestion(state, view, cursor, keyLength)
      : putOwnerOfKey(state, view, cursor, keyLength)
  if (!written || !response.putRRset(AUTHORITY, octets, rrset, RECORDS_AND_SIGNATURES, OWNER_WRITTEN)) {
    response.at = start
    response.truncated = true
  }
}

/** The owner as labels and a pointer to what it shares with the question. */
function putOwnerAtQuestion(
  state: AnswerState,
  view: ZoneView,
  cursor: SnapshotCursor,
  keyLength: number,
): boolean {
  const { response, key } = state
  const apexEnd = view.apexKeyOctets
  const shorter = Math.min(keyLength, state.keyOctets - apexEnd)
  let shared = 0
  while (shared < shorter && cursor.key[shared] === key[apexEnd + shared]) shared++
  shared = labelBoundary(cursor.key, shared, 0)
  response.beginOwner()
  if (response.at + wireOctetsOfKey(cursor.key, shared, keyLength) + 1 > response.limit) return false
  response.at += putLabels(cursor, shared, keyLength, response.out, response.at)
  response.putSuffixOfQuestion(wireOctetsOfKey(key, 0, apexEnd + shared))
  return true
}

const nameScratch = new Uint8Array(512)

/** The owner as a whole name, compressed against what the message has. */
function putOwnerOfKey(
  state: AnswerState,
  view: ZoneView,
  cursor: SnapshotCursor,
  keyLength: number,
): boolean {
  const length = putLabels(cursor, 0, keyLength, nameScratch, 0)
  nameScratch.set(view.apex, length)
  return state.response.putOwnerName(nameScratch, 0)
}

/** Writes the labels of the cursor's node that stand left of the first `shared` octets of its key, as they are
 *  spelled in the zone. */
function putLabels(
  cursor: SnapshotCursor,
  shared: number,
  keyLength: number,
  out: Uint8Array,
  outStart: number,
): number {
  const octets = cursor.bytes
  const node = cursor.valueStart
  if ((octets[node]! & NODE_CASE) === 0) return writeLabelsOfKey(cursor.key, shared, keyLength, out, outStart)
  const spelling = node + 4
  const length = wireOctetsOfKey(cursor.key, shared, keyLength) - 1
  for (let at = 0; at < length; at++) out[outStart + at] = octets[spelling + at]!
  return length
}

// NSEC3

/** RFC 5155 §7.2.3 and §7.2.4: the NSEC3 that matches the name; where opt-out left the name without one, the closest
 *  provable encloser and the record that covers the next closer name. */
function proveNoDataNsec3(state: AnswerState, view: ZoneView, keyEnd: number): void {
  hashOfKey(state, view, keyEnd, false)
  if (findNsec3(state, view)) putNsec3(state, view)
  else if (keyEnd > view.apexKeyOctets) {
    proveEncloser(state, view, labelBoundary(state.key, keyEnd - 1, view.apexKeyOctets))
  }
}

/** RFC 5155 §7.2.1: the closest encloser that has an NSEC3, at or above `encloser`, and the record that covers the next
 *  closer name. Returns the octets of its key, or −1 when the chain is broken. */
function proveEncloser(state: AnswerState, view: ZoneView, encloser: number): number {
  let end = encloser
  for (;;) {
    hashOfKey(state, view, end, false)
    if (findNsec3(state, view)) break
    if (end <= view.apexKeyOctets) return -1
    end = labelBoundary(state.key, end - 1, view.apexKeyOctets)
  }
  putNsec3(state, view)
  coverNextCloser(state, view, end)
  return end
}

/** The name one label longer than the closest encloser, on the way to the name at hand (RFC 5155 §1.3). */
function coverNextCloser(state: AnswerState, view: ZoneView, encloser: number): void {
  hashOfKey(state, view, labelsEnd(state.key, encloser, 1), false)
  putCoveringNsec3(state, view)
}

/** Hashes the name at hand, or an ancestor of it, or the wildcard below that. */
function hashOfKey(state: AnswerState, view: ZoneView, keyEnd: number, wildcard: boolean): void {
  const length = wireOctetsOfKey(state.key, 0, keyEnd)
  const start = state.nameStart + state.nameLength - length
  state.hasher.hash(view.nsec3, state.nameOctets, start, length, wildcard)
}

function findNsec3(state: AnswerState, view: ZoneView): boolean {
  return state.side.find(view.nsec3Root, state.hasher.digest, 0, NSEC3_HASH_OCTETS)
}

/** The record whose span the hash lies in: the floor, or the last one when the hash is before the first. */
function putCoveringNsec3(state: AnswerState, view: ZoneView): void {
  findNsec3(state, view)
  if (toCovering(state, view)) putNsec3(state, view)
}

function toCovering(state: AnswerState, view: ZoneView): boolean {
  return state.side.positioned || state.side.seekLast(view.nsec3Root)
}

const BASE32HEX = new TextEncoder().encode('0123456789abcdefghijklmnopqrstuv')
/** RFC 5155 §3: the base32hex of 20 octets, without padding. */
const HASH_LABEL_OCTETS = 32

/** The NSEC3 that `state.side` stands on. */
function putNsec3(state: AnswerState, view: ZoneView): void {
  const { side, response } = state
  const octets = side.bytes
  const rrset = firstRRsetAt(octets, side.valueStart)
  if (u16(octets, rrset) !== TYPE_NSEC3 || !state.isNewRRset(octets, rrset)) return
  const start = response.at
  side.loadKey()
  if (
    !putHashOwner(state, view) ||
    !response.putRRset(AUTHORITY, octets, rrset, RECORDS_AND_SIGNATURES, OWNER_WRITTEN)
  ) {
    response.at = start
    response.truncated = true
  }
}

function putHashOwner(state: AnswerState, view: ZoneView): boolean {
  const { response } = state
  const direct = state.chain === 0
  const out = direct ? response.out : nameScratch
  let at = direct ? response.at : 0
  if (direct && at + HASH_LABEL_OCTETS + 3 > response.limit) return false
  out[at++] = HASH_LABEL_OCTETS
  at = writeBase32hex(state.side.key, out, at)
  if (!direct) {
    nameScratch.set(view.apex, at)
    return response.putOwnerName(nameScratch, 0)
  }
  response.beginOwner()
  response.at = at
  response.putSuffixOfQuestion(view.apex.length)
  return true
}

/** RFC 4648 §7, for 20 octets: four times five octets into eight characters. */
function writeBase32hex(hash: Uint8Array, out: Uint8Array, start: number): number {
  let at = start
  for (let from = 0; from < NSEC3_HASH_OCTETS; from += 5) {
    const high = (hash[from]! << 12) | (hash[from + 1]! << 4) | (hash[from + 2]! >> 4)
    const low = ((hash[from + 2]! & 15) << 16) | (hash[from + 3]! << 8) | hash[from + 4]!
    out[at] = BASE32HEX[high >> 15]!
    out[at + 1] = BASE32HEX[(high >> 10) & 31]!
    out[at + 2] = BASE32HEX[(high >> 5) & 31]!
    out[at + 3] = BASE32HEX[high & 31]!
    out[at + 4] = BASE32HEX[low >> 15]!
    out[at + 5] = BASE32HEX[(low >> 10) & 31]!
    out[at + 6] = BASE32HEX[(low >> 5) & 31]!
    out[at + 7] = BASE32HEX[low & 31]!
    at += 8
  }
  return at
}
