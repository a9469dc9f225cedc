/** The changes that lead from what the apex shows to what it is to show, in the order in which they are tried.
 *
 *    ZSK        show its DNSKEY ─▶ sign the zone with it instead of the old one ─▶ take the old DNSKEY away
 *    KSK        show its DNSKEY, signed by both ─▶ (DS) ─▶ take the old one away
 *    CSK        show its DNSKEY, signed by both ─▶ (DS), sign the zone with it instead ─▶ take the old one away
 *    algorithm  sign everything with it ─▶ show its DNSKEYs ─▶ (DS) ─▶ take the old DNSKEYs away ─▶ and their signatures
 *
 *  I1  Moves only propose: each apex that results is shown only if it is safe (roll-safety.ts), so an order that is wrong
 *      costs time and not validity.
 *  I2  A zone is signed by one key of an algorithm at a time, before and after each move. */

import { algorithmOf } from './algorithms.ts'
import { inOrder, nameOfKey } from './roll-target.ts'
import type { ApexKeys } from './roll-types.ts'
import { sameApex } from './roll-views.ts'
import type { KeyLife, ZoneTimeline } from './timeline.ts'

export interface Move {
  readonly apex: ApexKeys
  /** What it is, for people. */
  readonly what: string
  readonly keys: readonly string[]
}

/** Moves from `apex` towards `target`, each by itself; those that change nothing are left out. Called again after each that
 *  was taken. */
export function movesFrom(timeline: ZoneTimeline, apex: ApexKeys, target: ApexKeys): Move[] {
  const moves = [...additions(timeline, apex, target), ...removals(timeline, apex, target)]
  return moves
    .map(move => ({ ...move, apex: inOrder(timeline, move.apex) }))
    .filter(move => !sameApex(move.apex, apex))
}

function* additions(timeline: ZoneTimeline, apex: ApexKeys, target: ApexKeys): Generator<Move> {
  for (const algorithm of algorithmsOf(timeline, target.published)) {
    const { mnemonic } = algorithmOf(algorithm)
    const own = (ids: readonly string[]): string[] => idsOf(timeline, ids, algorithm)
    const wanted: ApexKeys = {
      published: own(target.published),
      keySigners: own(target.keySigners),
      zoneSigners: own(target.zoneSigners),
    }
    if (own(apex.published).length === 0) {
      const keys = wanted.published
      yield { what: `show the keys of ${mnemonic}`, keys, apex: joined(apex, wanted) }
      // RFC 6781 §4.1.4: signatures come before the DNSKEYs that make validators ask for them.
      yield { what: `sign with ${mnemonic} too`, keys, apex: joined(apex, { ...wanted, published: [] }) }
      continue
    }
    for (const key of keysOf(timeline, wanted.published)) {
      const added = {
        published: [key.id],
        keySigners: wanted.keySigners.filter(id => id === key.id),
        zoneSigners: [],
      }
      yield { what: `show ${nameOfKey(key)}`, keys: [key.id], apex: joined(apex, added) }
    }
    yield* signerSwitch(timeline, apex, wanted.zoneSigners, own(apex.zoneSigners))
  }
}

/** I2. */
function* signerSwitch(
  timeline: ZoneTimeline,
  apex: ApexKeys,
  wanted: readonly string[],
  old: readonly string[],
): Generator<Move> {
  if (wanted.length === 0) return
  const zoneSigners = [...apex.zoneSigners.filter(id => !old.includes(id)), ...wanted]
  const names = keysOf(timeline, wanted).map(nameOfKey).join(', ')
  yield { what: `sign the zone with ${names}`, keys: [...wanted, ...old], apex: { ...apex, zoneSigners } }
}

function* removals(timeline: ZoneTimeline, apex: ApexKeys, target: ApexKeys): Generator<Move> {
  const there = [...new Set([...apex.published, ...apex.keySigners, ...apex.zoneSigners])]
  const wanted = new Set(algorithmsOf(timeline, target.published))
  for (const algorithm of algorithmsOf(timeline, there).filter(one => !wanted.has(one))) {
    const { mnemonic } = algorithmOf(algorithm)
    const keys = idsOf(timeline, there, algorithm)
    yield { what: `take ${mnemonic} away`, keys, apex: without(apex, keys) }
    // RFC 6781 §4.1.4: signatures go after the DNSKEYs that make validators ask for them.
    const published = apex.published.filter(id => !keys.includes(id))
    yield { what: `take the DNSKEYs of ${mnemonic} away`, keys, apex: { ...apex, published } }
  }
  for (const key of keysOf(timeline, there)) {
    if (target.published.includes(key.id) || !wanted.has(key.algorithm)) continue
    yield { what: `take ${nameOfKey(key)} away`, keys: [key.id], apex: without(apex, [key.id]) }
  }
  const spare = apex.keySigners.filter(id => target.published.includes(id) && !target.keySigners.includes(id))
  for (const key of keysOf(timeline, spare)) {
    const keySigners = apex.keySigners.filter(id => id !== key.id)
    const what = `sign the DNSKEYs no longer with ${nameOfKey(key)}`
    yield { what, keys: [key.id], apex: { ...apex, keySigners } }
  }
}

function joined(a: ApexKeys, b: ApexKeys): ApexKeys {
  return {
    published: [...a.published, ...b.published],
    keySigners: [...a.keySigners, ...b.keySigners],
    zoneSigners: [...a.zoneSigners, ...b.zoneSigners],
  }
}

function without(apex: ApexKeys, keys: readonly string[]): ApexKeys {
  const rest = (ids: readonly string[]): string[] => ids.filter(id => !keys.includes(id))
  return {
    published: rest(apex.published),
    keySigners: rest(apex.keySigners),
    zoneSigners: rest(apex.zoneSigners),
  }
}

function keysOf(timeline: ZoneTimeline, ids: readonly string[]): KeyLife[] {
  return timeline.keys.filter(({ id }) => ids.includes(id))
}

function idsOf(timeline: ZoneTimeline, ids: readonly string[], algorithm: number): string[] {
  return keysOf(timeline, ids)
    .filter(key => key.algorithm === algorithm)
    .map(({ id }) => id)
}

function algorithmsOf(timeline: ZoneTimeline, ids: readonly string[]): number[] {
  return [...new Set(keysOf(timeline, ids).map(({ algorithm }) => algorithm))]
}
