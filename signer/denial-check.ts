/** Whether the denial chain of a signed zone is right: NSEC or NSEC3, their links, bitmaps, parameters and TTLs (RFC 4034 §4,
 *  RFC 5155 §7.1). zone-check.ts leads it over the names, then over the hashes. */

import { Turns } from '../base/index.ts'
import {
  checkTypes,
  compareOctets,
  decodeNode,
  decodeTypes,
  findRRset,
  firstRRsetAt,
  lowerCase,
  type Name,
  NODE_DELEGATION,
  NODE_EMPTY_NON_TERMINAL,
  NODE_OCCLUDED,
  type NodeRRset,
  nameLengthAt,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  type Store,
  type TreeCursor,
  TYPE,
  typeToText,
  u16,
  u32,
} from '../zones/index.ts'
import { denialTtl, writeOwner } from './nsec.ts'
import { decodeNsec3, FLAG_OPT_OUT, HASH_OCTETS, NSEC3_SHA1, nsec3Hash } from './nsec3.ts'
import { APEX_KEY, currentKey, keyAfter, startsWith } from './ranges.ts'
import type { RrsigChecker } from './rrsig-check.ts'
import type { ZoneFaults, ZoneSpot } from './zone-faults.ts'
import type { ZoneRoots } from './zonemd.ts'

/** What the zone says of itself at its apex. */
export interface ZoneFacts {
  readonly store: Store
  readonly roots: ZoneRoots
  readonly canonicalApex: Name
  readonly soa: NodeRRset
  /** RDATA of the chain's NSEC3PARAM; undefined: NSEC. */
  readonly nsec3param: Uint8Array | undefined
}

/** A name of the zone, as content has it. */
export interface CheckedName {
  readonly spot: ZoneSpot
  readonly key: Uint8Array
  /** Its node. */
  readonly octets: Uint8Array
  readonly start: number
  readonly types: readonly number[]
  readonly occluded: boolean
  /** A zone cut. */
  readonly cut: boolean
  /** Without records. */
  readonly empty: boolean
}

export class DenialChecker {
  readonly #facts: ZoneFacts
  readonly #faults: ZoneFaults
  readonly #rrsigs: RrsigChecker
  readonly #below: TreeCursor
  readonly #hashes: TreeCursor
  readonly #owner = new Uint8Array(512)
  readonly #denialTtl: number
  readonly #turns = new Turns()
  /** NSEC3 that names lead to. */
  #matched = 0
  /** The authoritative name whose NSEC waits for its successor, and where the NSEC's next name stands. */
  #waiting: Uint8Array | undefined
  #next: Uint8Array = APEX_KEY
  #nextAt = 0

  constructor(facts: ZoneFacts, faults: ZoneFaults, rrsigs: RrsigChecker) {
    this.#facts = facts
    this.#faults = faults
    this.#rrsigs = rrsigs
    this.#below = facts.store.readTree()
    this.#hashes = facts.store.readTree()
    this.#denialTtl = denialTtl(facts.soa.rdata[0]!, facts.soa.ttl)
  }

  /** Names that follow each other come next. */
  begin(): void {
    this.#waiting = undefined
  }

  name(name: CheckedName): void {
    if (this.#facts.nsec3param === undefined) this.#nsec(name)
    else this.#nsec3(name)
  }

  /** The chain comes to that authoritative name, or to the end of a range, which is one. */
  arrive(key: Uint8Array): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting === undefined) return
    const expected = this.#owner
    const length = writeOwner(key, this.#facts.canonicalApex, expected)
    const [next, nextAt] = [this.#next, this.#nextAt]
    let at = 0
    while (at < length && lowerCase[next[nextAt + at]!] === lowerCase[expected[at]!]) at++
    if (at === length) return
    const text = this.#faults.ownerText({ kind: 'name', key })
    const what = `the NSEC does not point at the next name; expected ${text}`
    this.#faults.add('nsec-next', { kind: 'name', key: waiting }, TYPE.NSEC, what)
  }

  /** The whole NSEC3 tree, after all names. */
  async allHashes(): Promise<void> {
    const { store, roots, nsec3param } = this.#facts
    if (nsec3param === undefined) return
    const cursor = store.readTree()
    let count = 0
    for (let placed = cursor.seekFirst(roots.nsec3Root); placed; placed = cursor.next()) {
      this.#hash(currentKey(cursor).slice(), cursor)
      count++
      if (this.#turns.due()) await this.#turns.take()
    }
    if (count > this.#matched) this.#findExtra()
  }

  /** These hashes, whether they are in the tree or not, and what points past them. */
  async someHashes(hashes: readonly Uint8Array[]): Promise<void> {
    const { store, roots } = this.#facts
    const cursor = store.readTree()
    for (const hash of hashes) {
      const found = cursor.find(roots.nsec3Root, hash, 0, hash.length)
      if (found) this.#hash(hash, cursor)
      else if (cursor.positioned || cursor.seekLast(roots.nsec3Root))
        this.#hash(currentKey(cursor).slice(), cursor)
      if (this.#turns.due()) await this.#turns.take()
    }
  }

  #nsec({ spot, key, octets, start, types, occluded, cut, empty }: CheckedName): void {
    const nsecAt = types.includes(TYPE.NSEC) ? findRRset(octets, start, TYPE.NSEC) : -1
    if (occluded || empty) {
      if (nsecAt >= 0)
        this.#faults.add('nsec-extra', spot, TYPE.NSEC, 'found an NSEC where no name is authoritative')
      return
    }
    this.arrive(key)
    if (nsecAt < 0) {
      this.#faults.add('nsec-missing', spot, TYPE.NSEC, 'found no NSEC; expected one')
      return
    }
    const records = u16(octets, nsecAt + 4)
    if (records > 1) {
      this.#faults.add('nsec-extra', spot, TYPE.NSEC, `found ${records} NSEC records; expected one`)
    }
    const record = nsecAt + RRSET_HEADER_OCTETS
    this.#ttl(spot, TYPE.NSEC, u32(octets, record + 6))
    const rdata = record + RECORD_HEADER_OCTETS
    const end = rdata + u16(octets, record + 10)
    const nextOctets = nameLengthAt(octets, rdata, end)
    if (nextOctets < 0) {
      this.#faults.add('nsec-next', spot, TYPE.NSEC, 'found a next name that is not whole')
      return
    }
    this.#waiting = key
    this.#next = octets
    this.#nextAt = rdata
    const listed = cut
      ? types.filter(type => type === TYPE.NS || type === TYPE.DS || type === TYPE.NSEC)
      : types
    this.#bitmap('nsec-bitmap', spot, TYPE.NSEC, octets, rdata + nextOctets, end, listed, true)
  }

  #nsec3({ spot, key, types, occluded, cut, empty }: CheckedName): void {
    if (types.includes(TYPE.NSEC))
      this.#faults.add('nsec-extra', spot, TYPE.NSEC, 'found an NSEC in a zone with NSEC3')
    if (occluded) return
    const { roots, nsec3param, canonicalApex } = this.#facts
    const length = writeOwner(key, canonicalApex, this.#owner)
    const hash = nsec3Hash(this.#owner.subarray(0, length), parametersOf(nsec3param!))
    if (!this.#hashes.find(roots.nsec3Root, hash, 0, HASH_OCTETS)) {
      // RFC 5155 §7.1: with opt-out, insecure delegations and what leads only to them may have none.
      const insecure = (cut && !types.includes(TYPE.DS)) || (empty && !this.#hasSecureDescendant(key))
      if (insecure && this.#coveredByOptOut()) return
      this.#faults.add('nsec3-missing', spot, TYPE.NSEC3, 'found no NSEC3 for the name; expected one')
      return
    }
    this.#matched++
    const cursor = this.#hashes
    const nsec3 = decodeNode(cursor.bytes, cursor.valueStart).rrsets[0]?.rdata[0]
    const fields = nsec3 === undefined ? undefined : decodeNsec3(nsec3)
    if (fields === undefined) return
    const listed = cut ? types.filter(type => type === TYPE.NS || type === TYPE.DS) : types
    const signed = cut ? types.includes(TYPE.DS) : types.length > 0
    const { bitmap } = fields
    this.#bitmap('nsec3-bitmap', spot, TYPE.NSEC3, bitmap, 0, bitmap.length, listed, signed)
  }

  /** Whether the NSEC3 before the hash that was just sought has the opt-out flag. */
  #coveredByOptOut(): boolean {
    const cursor = this.#hashes
    if (!cursor.positioned && !cursor.seekLast(this.#facts.roots.nsec3Root)) return false
    const rdata = decodeNode(cursor.bytes, cursor.valueStart).rrsets[0]?.rdata[0]
    return rdata !== undefined && (rdata[1]! & FLAG_OPT_OUT) !== 0
  }

  #hasSecureDescendant(key: Uint8Array): boolean {
    const cursor = this.#below
    const from = keyAfter(key)
    let placed = cursor.seekCeiling(this.#facts.roots.namesRoot, from, 0, from.length)
    while (placed && startsWith(currentKey(cursor), key)) {
      const flags = cursor.bytes[cursor.valueStart]!
      const empty = (flags & (NODE_OCCLUDED | NODE_EMPTY_NON_TERMINAL)) !== 0
      const insecureCut =
        (flags & NODE_DELEGATION) !== 0 && findRRset(cursor.bytes, cursor.valueStart, TYPE.DS) < 0
      if (!empty && !insecureCut) return true
      placed = cursor.next()
    }
    return false
  }

  /** One NSEC3: its chain, its link, its signatures. */
  #hash(hash: Uint8Array, cursor: TreeCursor): void {
    const spot: ZoneSpot = { kind: 'hash', hash }
    const { nsec3param, roots } = this.#facts
    const { rrsets } = decodeNode(cursor.bytes, cursor.valueStart)
    const rrset = rrsets[0]
    const rdata = rrset?.rdata[0]
    const fields = rdata === undefined ? undefined : decodeNsec3(rdata)
    if (rrset === undefined || fields === undefined || rrsets.length !== 1 || rrset.rdata.length !== 1) {
      this.#faults.add('nsec3-parameters', spot, TYPE.NSEC3, 'found other than one whole NSEC3')
      return
    }
    this.#rrsigs.rrset(spot, cursor.bytes, firstRRsetAt(cursor.bytes, cursor.valueStart), true)
    this.#ttl(spot, TYPE.NSEC3, rrset.ttl)
    const wanted = parametersOf(nsec3param!)
    const same =
      fields.algorithm === NSEC3_SHA1 &&
      fields.iterations === wanted.iterations &&
      compareOctets(fields.salt, wanted.salt) === 0 &&
      (fields.flags & ~FLAG_OPT_OUT) === 0
    if (!same)
      this.#faults.add('nsec3-parameters', spot, TYPE.NSEC3, 'found other parameters than the NSEC3PARAM has')
    const ahead = this.#hashes
    const placed = ahead.find(roots.nsec3Root, hash, 0, hash.length) && ahead.next()
    if (!placed) ahead.seekFirst(roots.nsec3Root)
    if (compareOctets(fields.next, currentKey(ahead)) !== 0) {
      this.#faults.add('nsec3-next', spot, TYPE.NSEC3, 'the NSEC3 does not point at the next hash')
    }
  }

  /** There are more NSEC3 than names lead to: which. */
  #findExtra(): void {
    const { store, roots, canonicalApex, nsec3param } = this.#facts
    const known = new Set<string>()
    const cursor = store.readTree()
    for (let placed = cursor.seekFirst(roots.namesRoot); placed; placed = cursor.next()) {
      if ((cursor.bytes[cursor.valueStart]! & NODE_OCCLUDED) !== 0) continue
      const length = writeOwner(currentKey(cursor), canonicalApex, this.#owner)
      known.add(hexOf(nsec3Hash(this.#owner.subarray(0, length), parametersOf(nsec3param!))))
    }
    for (let placed = cursor.seekFirst(roots.nsec3Root); placed; placed = cursor.next()) {
      const hash = currentKey(cursor).slice()
      if (known.has(hexOf(hash))) continue
      this.#faults.add(
        'nsec3-extra',
        { kind: 'hash', hash },
        TYPE.NSEC3,
        'found an NSEC3 of no name in the zone',
      )
    }
  }

  /** `listed`: types, ascending; `signed`: and RRSIG. */
  #bitmap(
    rule: 'nsec-bitmap' | 'nsec3-bitmap',
    spot: ZoneSpot,
    type: number,
    octets: Uint8Array,
    start: number,
    end: number,
    listed: readonly number[],
    signed: boolean,
  ): void {
    const encoding = checkTypes(octets, start, end)
    if (typeof encoding !== 'number') {
      const what = `found ${encoding.found}; expected ${encoding.expected}`
      this.#faults.add(rule, spot, type, what)
      return
    }
    if (listsExactly(octets, start, end, listed, signed)) return
    const expected = signed ? [...listed, TYPE.RRSIG].sort((a, b) => a - b) : listed
    const found = decodeTypes(octets, start, end)
    this.#faults.add(rule, spot, type, `found the types ${listOf(found)}; expected ${listOf(expected)}`)
  }

  // RFC 9077 updates older zones that are no less valid: a warning.
  #ttl(spot: ZoneSpot, type: number, ttl: number): void {
    if (ttl === this.#denialTtl) return
    this.#faults.add('denial-ttl', spot, type, `found the TTL ${ttl}; expected ${this.#denialTtl}`, 'warning')
  }
}

/** Whether type bit maps, which are well formed, list the types and, if signed, RRSIG. */
function listsExactly(
  octets: Uint8Array,
  start: number,
  end: number,
  listed: readonly number[],
  signed: boolean,
): boolean {
  let next = 0
  let rrsig = !signed
  for (let window = start; window < end; window += 2 + octets[window + 1]!) {
    const first = octets[window]! << 8
    const mapEnd = window + 2 + octets[window + 1]!
    for (let at = window + 2; at < mapEnd; at++) {
      for (let bit = 0, map = octets[at]!; map !== 0; bit++, map = (map << 1) & 0xff) {
        if ((map & 0x80) === 0) continue
        const type = first | ((at - window - 2) << 3) | bit
        if (type === listed[next]) next++
        else if (type === TYPE.RRSIG && !rrsig) rrsig = true
        else return false
      }
    }
  }
  return next === listed.length && rrsig
}

function parametersOf(nsec3param: Uint8Array): { iterations: number; salt: Uint8Array } {
  return {
    iterations: (nsec3param[2]! << 8) | nsec3param[3]!,
    salt: nsec3param.subarray(5, 5 + nsec3param[4]!),
  }
}

function listOf(types: readonly number[]): string {
  return types.length === 0 ? '(none)' : types.map(typeToText).join(' ')
}

function hexOf(octets: Uint8Array): string {
  return Buffer.from(octets).toString('hex')
}
