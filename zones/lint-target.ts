/** Lint of the names that NS, MX and SRV point at, as far as they lie in the same zone: they should exist, have
 *  addresses and be no aliases; those of nameservers below their own zone cut are glue (RFC 1034 §4.2.1, RFC 2181 §10.3).
 *  I1  Many zones name the same few hosts over and over: a small cache by octets makes them cost one look-up. Those in
 *      other zones cost none. */

import type { LintedZone } from './lint.ts'
import { HAS_ADDRESS, HAS_CNAME, HAS_DNAME, HAS_NS, nodeBits, type ReportType } from './lint-node.ts'
import { KEY_OCTETS_MAX, keyOf, lowerCase, nameToText, parentKeyLength, writeKey } from './name.ts'
import { findRRset, RECORD_HEADER_OCTETS, RRSET_HEADER_OCTETS, u16 } from './node.ts'
import type { RuleCode } from './rules.ts'
import { scratchOctets } from './scratch.ts'
import type { TreeCursor } from './store/cursor.ts'
import { TYPE, typeToText } from './types.ts'

/** Types looked at, the offset of the name in their RDATA (RFC 1035 §3.3.9, §3.3.11, RFC 2782), and the alias's rule. */
const HOSTS: readonly { readonly type: number; readonly offset: number; readonly alias: RuleCode }[] = [
  { type: TYPE.NS, offset: 0, alias: 'ns-is-alias' },
  { type: TYPE.MX, offset: 2, alias: 'mx-is-alias' },
  { type: TYPE.SRV, offset: 6, alias: 'srv-is-alias' },
]

/** What is at a target: an address, or nothing to say; an alias; no address where one is expected; no address here, but
 *  it may come from a delegated zone, a DNAME or a wildcard. */
const FINE = 0
const ALIAS = 1
const MISSING = 2
const ELSEWHERE = 3
type Finding = typeof FINE | typeof ALIAS | typeof MISSING | typeof ELSEWHERE

const CACHE_SLOTS = 1024
/** Thousands of small zones are linted one after the other, a few at a time. */
const CACHES_KEPT = 4
const cachePool: (Uint8Array | undefined)[][] = []
const emptyCache = (): (Uint8Array | undefined)[] => new Array(CACHE_SLOTS).fill(undefined)
/** The label `*` in a key. */
const WILDCARD_KEY = [0x2a, 0x00]

export class TargetLint {
  readonly #cursor: TreeCursor
  readonly #zone: LintedZone
  readonly #report: ReportType
  readonly #apexKey: Uint8Array
  readonly #key = scratchOctets(KEY_OCTETS_MAX)
  readonly #wildcard = scratchOctets(KEY_OCTETS_MAX + WILDCARD_KEY.length)
  /** Targets seen lately, in wire form with their case, and what was found. */
  readonly #cached = cachePool.pop() ?? emptyCache()
  readonly #found = scratchOctets(CACHE_SLOTS)

  constructor(cursor: TreeCursor, zone: LintedZone, report: ReportType) {
    this.#cursor = cursor
    this.#zone = zone
    this.#report = report
    this.#apexKey = keyOf(zone.apex)
  }

  /** Nothing is asked any more. */
  close(): void {
    this.#cached.fill(undefined)
    if (cachePool.length < CACHES_KEPT) cachePool.push(this.#cached)
  }

  /** All targets of the node that `walk` is on, whose key is `walk.key` when it is a zone cut. */
  node(walk: TreeCursor): void {
    for (const { type, offset, alias } of HOSTS) {
      const rrset = findRRset(walk.bytes, walk.valueStart, type)
      if (rrset < 0) continue
      let at = rrset + RRSET_HEADER_OCTETS
      for (let left = u16(walk.bytes, rrset + 4); left > 0; left--) {
        const end = at + RECORD_HEADER_OCTETS + u16(walk.bytes, at + 10)
        const target = at + RECORD_HEADER_OCTETS + offset
        // RFC 7505 §3, RFC 2782: the root as a target means that there is none.
        if (walk.bytes[target] !== 0 && this.#endsInApex(walk.bytes, target, end))
          this.#target(walk, type, alias, target, end)
        at = end
      }
    }
  }

  /** Whether the last octets of the name are the apex's; then it may still be outside (`#finding`). */
  #endsInApex(octets: Uint8Array, start: number, end: number): boolean {
    const { apex } = this.#zone
    if (end - start < apex.length) return false
    let left = apex.length - 1
    while (left >= 0 && lowerCase[octets[end - apex.length + left]!] === lowerCase[apex[left]!]) left--
    return left < 0
  }

  #target(walk: TreeCursor, type: number, alias: RuleCode, target: number, end: number): void {
    const finding = this.#cachedFinding(walk.bytes, target, end)
    if (finding === FINE) return
    const text = nameToText(walk.bytes, target)
    const name = typeToText(type)
    if (finding === ALIAS) this.#report(alias, type, `${name} points at ${text}, an alias; expected a host`)
    else if (type === TYPE.NS && this.#isBelow(walk, target))
      this.#report(
        'glue-missing',
        type,
        `no address of ${text}; expected glue, for it is below its own zone cut`,
      )
    else if (finding === MISSING)
      this.#report('target-missing', type, `${name} points at ${text}, which has no address in this zone`)
  }

  #isBelow(walk: TreeCursor, target: number): boolean {
    const length = walk.loadKey()
    const targetLength = writeKey(walk.bytes, target, this.#key) - this.#apexKey.length
    if (length === 0 || targetLength < length) return false
    for (let at = 0; at < length; at++)
      if (walk.key[at] !== this.#key[this.#apexKey.length + at]) return false
    return true
  }

  #cachedFinding(octets: Uint8Array, start: number, end: number): Finding {
    let hash = 0
    for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + octets[at]!) | 0
    const slot = (hash ^ (hash >>> 15)) & (CACHE_SLOTS - 1)
    const known = this.#cached[slot]
    if (known !== undefined && sameOctets(known, octets, start, end)) return this.#found[slot] as Finding
    const finding = this.#finding(octets, start)
    this.#cached[slot] = octets.slice(start, end)
    this.#found[slot] = finding
    return finding
  }

  #finding(octets: Uint8Array, start: number): Finding {
    const apex = this.#apexKey
    const end = writeKey(octets, start, this.#key)
    for (let at = 0; at < apex.length; at++) if (this.#key[at] !== apex[at]) return FINE
    if (end < apex.length) return FINE
    const bits = this.#bitsAt(this.#key, apex.length, end)
    if (bits > 0 && (bits & HAS_CNAME) !== 0) return ALIAS
    if (bits > 0 && (bits & HAS_ADDRESS) !== 0) return FINE
    return this.#isElsewhere(apex.length, end, bits) ? ELSEWHERE : MISSING
  }

  /** Bits of the node with that key; −1 when there is none. */
  #bitsAt(key: Uint8Array, start: number, end: number): number {
    const cursor = this.#cursor
    return cursor.find(this.#zone.namesRoot, key, start, end) ? nodeBits(cursor.bytes, cursor.valueStart) : -1
  }

  /** `bits` are those of the name itself: where it exists no wildcard stands in for it (RFC 4592 §2.2.1). */
  #isElsewhere(start: number, end: number, bits: number): boolean {
    const key = this.#key
    if (bits > 0 && (bits & HAS_NS) !== 0) return true
    let length = end - start
    while (length > 0) {
      length = parentKeyLength(key.subarray(start), length)
      if (bits < 0 && this.#hasWildcard(start, length)) return true
      if (length === 0) return false
      const above = this.#bitsAt(key, start, start + length)
      if (above > 0 && (above & (HAS_NS | HAS_DNAME)) !== 0) return true
    }
    return false
  }

  #hasWildcard(start: number, length: number): boolean {
    const wildcard = this.#wildcard
    wildcard.set(this.#key.subarray(start, start + length))
    wildcard.set(WILDCARD_KEY, length)
    return this.#bitsAt(wildcard, 0, length + WILDCARD_KEY.length) > 0
  }
}

function sameOctets(known: Uint8Array, octets: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false
  for (let at = 0; at < known.length; at++) if (known[at] !== octets[start + at]) return false
  return true
}
