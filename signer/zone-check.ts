/** Whether a signed zone is whole: every RRset that should be signed is, the denial chain and its bitmaps are right
 *  (denial-check.ts), the annotations say what the content says (RFC 4035 §2). The gate runs it over what a build touched,
 *  `verify` over everything. It judges content by itself and shares no decision with the planner.
 *  I1  Walking all names checks every NSEC and finds missing NSEC3; walking all hashes finds wrong links and extra ones.
 *  I2  Over a range it checks the same, but that nothing outside points into it wrongly: what a build left alone was
 *      checked when it was built. */

import { Turns } from '../base/index.ts'
import {
  compareOctets,
  firstRRsetAt,
  NODE_APEX,
  NODE_CASE,
  NODE_DELEGATION,
  NODE_DNAME,
  NODE_EMPTY_NON_TERMINAL,
  NODE_OCCLUDED,
  NODE_WILDCARD_CHILD,
  nextRRsetAt,
  parentKeyLength,
  type TreeCursor,
  TYPE,
  u16,
} from '../zones/index.ts'
import { DenialChecker, type ZoneFacts } from './denial-check.ts'
import { nodeTypes } from './nsec.ts'
import { APEX_KEY, currentKey, isBelow, type KeyRange, labelsOfKey, startsWith } from './ranges.ts'
import type { RrsigChecker } from './rrsig-check.ts'
import type { ZoneFaults, ZoneSpot } from './zone-faults.ts'

export class ZoneChecker {
  readonly #facts: ZoneFacts
  readonly #faults: ZoneFaults
  readonly #rrsigs: RrsigChecker
  readonly #denial: DenialChecker
  readonly #ahead: TreeCursor
  readonly #turns = new Turns()
  #occluder: Uint8Array | undefined
  #previous: Uint8Array | undefined

  constructor(facts: ZoneFacts, faults: ZoneFaults, rrsigs: RrsigChecker) {
    this.#facts = facts
    this.#faults = faults
    this.#rrsigs = rrsigs
    this.#denial = new DenialChecker(facts, faults, rrsigs)
    this.#ahead = facts.store.readTree()
  }

  /** Names of a range that starts and ends as ranges.ts I1 has it. */
  async names(range: KeyRange): Promise<void> {
    const { store, roots } = this.#facts
    const cursor = store.readTree()
    this.#occluder = undefined
    this.#previous = undefined
    this.#denial.begin()
    let placed = cursor.seekCeiling(roots.namesRoot, range.start, 0, range.start.length)
    while (placed && !this.#faults.list.full) {
      const key = currentKey(cursor).slice()
      if (range.end !== undefined && compareOctets(key, range.end) >= 0) break
      // The tree stays as it is, so octets stay good when the cursor moves on.
      const { bytes, valueStart } = cursor
      placed = cursor.next()
      const hasDescendant = placed && isBelow(cursor, key)
      this.#name(key, bytes, valueStart, hasDescendant)
      this.#previous = key
      if (this.#turns.due()) await this.#turns.take()
    }
    this.#denial.arrive(range.end ?? APEX_KEY)
  }

  /** The whole NSEC3 tree, after all names. */
  allHashes(): Promise<void> {
    return this.#denial.allHashes()
  }

  /** These hashes, whether they are in the tree or not, and what points past them. */
  someHashes(hashes: readonly Uint8Array[]): Promise<void> {
    return this.#denial.someHashes(hashes)
  }

  #name(key: Uint8Array, octets: Uint8Array, start: number, hasDescendant: boolean): void {
    const spot: ZoneSpot = { kind: 'name', key }
    const apex = key.length === 0
    if (this.#occluder !== undefined && !startsWith(key, this.#occluder)) this.#occluder = undefined
    const occluded = this.#occluder !== undefined
    const types = nodeTypes(octets, start)
    const cut = !occluded && !apex && types.includes(TYPE.NS)
    const dname = !occluded && !cut && types.includes(TYPE.DNAME)
    const kind = occluded ? NODE_OCCLUDED : cut ? NODE_DELEGATION : dname ? NODE_DNAME : 0
    this.#annotation(spot, key, octets, start, kind, hasDescendant)
    let at = firstRRsetAt(octets, start)
    for (let left = octets[start + 2]!; left > 0; left--) {
      const type = u16(octets, at)
      // RFC 4035 §2.2: at a cut only DS and NSEC are the parent's.
      const signed = !occluded && (!cut || type === TYPE.DS || type === TYPE.NSEC)
      this.#rrsigs.rrset(spot, octets, at, signed)
      at = nextRRsetAt(octets, at)
    }
    if (types.includes(TYPE.NSEC3))
      this.#faults.add('nsec3-extra', spot, TYPE.NSEC3, 'found an NSEC3 outside of the chain')
    const empty = octets[start + 2] === 0
    this.#denial.name({ spot, key, octets, start, types, occluded, cut, empty })
    if (cut || dname) this.#occluder = key
  }

  /** Flags and cutLabels against the content, and that no name lacks its parents. */
  #annotation(
    spot: ZoneSpot,
    key: Uint8Array,
    octets: Uint8Array,
    start: number,
    kind: number,
    hasDescendant: boolean,
  ): void {
    const occluded = kind === NODE_OCCLUDED
    const empty = octets[start + 2] === 0
    const wildcard = !occluded && hasDescendant && this.#hasNode([...key, 0x2a, 0])
    const expected =
      (key.length === 0 ? NODE_APEX : 0) |
      kind |
      (empty ? NODE_EMPTY_NON_TERMINAL : 0) |
      (wildcard ? NODE_WILDCARD_CHILD : 0)
    const found = octets[start]! & ~NODE_CASE
    if (found !== expected) {
      this.#faults.add('annotation', spot, undefined, `found the flags ${found}; expected ${expected}`)
    }
    const cutLabels = occluded ? labelsOfKey(this.#occluder!) : 0
    if (octets[start + 1] !== cutLabels) {
      const what = `found ${octets[start + 1]} labels of a cut; expected ${cutLabels}`
      this.#faults.add('annotation', spot, undefined, what)
    }
    if (empty && !hasDescendant) {
      this.#faults.add('annotation', spot, undefined, 'found an empty name with nothing below it')
    }
    const parent = parentLength(key)
    if (this.#previous !== undefined && parent > 0 && !startsWith(this.#previous, key.subarray(0, parent))) {
      this.#faults.add('annotation', spot, undefined, 'found a name whose parent is not in the tree')
    }
  }

  #hasNode(key: readonly number[]): boolean {
    return this.#ahead.find(this.#facts.roots.namesRoot, Uint8Array.from(key), 0, key.length)
  }
}

/** Octets of the parent's key. */
function parentLength(key: Uint8Array): number {
  return key.length === 0 ? 0 : parentKeyLength(key)
}
