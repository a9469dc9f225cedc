/** ZONEMD (RFC 8976): the digest of a whole zone, scheme SIMPLE, with SHA-384 or SHA-512.
 *
 *    names tree   ──┐
 *                   ├─▶ owners in canonical order ─▶ RRs in canonical form and order ─▶ hash
 *    NSEC3 tree   ──┘
 *
 *  I1  RFC 8976 §3.3.1: every RR once, glue and occluded names too; not the apex's ZONEMD RRset nor the RRSIGs over it.
 *  I2  RRs of an owner go by type, where all RRSIGs are of type 46 whatever they cover; of a type by canonical RDATA.
 *  I3  The hash is fed in parts of HASH_OCTETS, and others get a turn every TURN_PARTS. */

import { createHash, type Hash } from 'node:crypto'
import {
  canonicalName,
  canonicalRdata,
  compareCanonicalRdata,
  firstRRsetAt,
  hasLoweredNames,
  type Name,
  type NodeRRset,
  nextRRsetAt,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  type Store,
  type TreeCursor,
  TYPE,
  u16,
  u32,
} from '../zones/index.ts'
import { soaSerial, writeOwner } from './nsec.ts'
import { HASH_OCTETS as NSEC3_HASH_OCTETS, writeBase32Hex, writeHashedOwner } from './nsec3.ts'
import { rrsetOfType } from './previous.ts'
import { APEX_KEY } from './ranges.ts'

/** RFC 8976 §5.2 and §5.3. */
export const ZONEMD_SCHEME_SIMPLE = 1
export const ZONEMD_SHA384 = 1
export const ZONEMD_SHA512 = 2
const HASHES: Readonly<Record<number, { name: string; octets: number }>> = {
  [ZONEMD_SHA384]: { name: 'sha384', octets: 48 },
  [ZONEMD_SHA512]: { name: 'sha512', octets: 64 },
}
/** Serial, scheme, hash algorithm. */
const ZONEMD_FIXED_OCTETS = 6

const HASH_OCTETS = 1 << 18
/** The largest RR: owner, ten octets, RDATA. */
const RR_OCTETS_MAX = 255 + 10 + 65535
const TURN_PARTS = 16

export interface ZoneRoots {
  readonly namesRoot: number
  /** 0: none. */
  readonly nsec3Root: number
}

/** RFC 8976 §2.2. */
export function zonemdRdata(serial: number, algorithm: number, digest: Uint8Array): Uint8Array {
  const rdata = new Uint8Array(ZONEMD_FIXED_OCTETS + digest.length)
  new DataView(rdata.buffer).setUint32(0, serial)
  rdata.set([ZONEMD_SCHEME_SIMPLE, algorithm], 4)
  rdata.set(digest, ZONEMD_FIXED_OCTETS)
  return rdata
}

/** The digest of a zone (I1). The trees must not change meanwhile. */
export async function zoneDigest(
  store: Store,
  { namesRoot, nsec3Root }: ZoneRoots,
  apex: Name,
  algorithm: number,
): Promise<Uint8Array> {
  const digester = new Digester(createHash(HASHES[algorithm]!.name), canonicalName(apex))
  const names = store.readTree()
  const hashes = store.readTree()
  const hashedKey = new Uint8Array(33)
  let placed = names.seekFirst(namesRoot)
  let hashPlaced = hashes.seekFirst(nsec3Root)
  if (hashPlaced) loadHashedKey(hashes, hashedKey)
  while (placed || hashPlaced) {
    if (placed && (!hashPlaced || compareKeyTo(names, hashedKey) < 0)) {
      digester.name(names)
      placed = names.next()
    } else {
      digester.hash(hashes)
      hashPlaced = hashes.next()
      if (hashPlaced) loadHashedKey(hashes, hashedKey)
    }
    if (digester.parts >= TURN_PARTS) {
      digester.parts = 0
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  return digester.end()
}

/** The tree key that the owner name of the hash at the cursor has. */
function loadHashedKey(cursor: TreeCursor, out: Uint8Array): void {
  cursor.loadKey()
  out[writeBase32Hex(cursor.key.subarray(0, NSEC3_HASH_OCTETS), out, 0)] = 0
}

/** Compares the cursor's key with another. */
function compareKeyTo(cursor: TreeCursor, other: Uint8Array): number {
  const length = cursor.loadKey()
  const shorter = Math.min(length, other.length)
  for (let at = 0; at < shorter; at++) {
    const difference = cursor.key[at]! - other[at]!
    if (difference !== 0) return difference
  }
  return length - other.length
}

class Digester {
  /** Parts hashed since the last turn (I3). */
  parts = 0
  readonly #hash: Hash
  readonly #apex: Uint8Array
  readonly #out = new Uint8Array(HASH_OCTETS)
  #at = 0
  readonly #owner = new Uint8Array(512)
  #ownerOctets = 0

  constructor(hash: Hash, canonicalApex: Uint8Array) {
    this.#hash = hash
    this.#apex = canonicalApex
  }

  name(cursor: TreeCursor): void {
    const length = cursor.loadKey()
    if (cursor.bytes[cursor.valueStart + 2] === 0) return
    const key = cursor.key.subarray(0, length)
    this.#ownerOctets = writeOwner(key, this.#apex, this.#owner)
    this.#node(cursor.bytes, cursor.valueStart, length === 0)
  }

  hash(cursor: TreeCursor): void {
    const hash = cursor.key.subarray(0, cursor.loadKey())
    this.#ownerOctets = writeHashedOwner(hash, this.#apex, this.#owner)
    this.#node(cursor.bytes, cursor.valueStart, false)
  }

  end(): Uint8Array {
    this.#flush()
    return this.#hash.digest()
  }

  /** I2: RRsets of types below 46, then every RRset's signatures, which ascend with the type they cover, then the rest. */
  #node(octets: Uint8Array, start: number, apex: boolean): void {
    const rrsets = octets[start + 2]!
    let at = firstRRsetAt(octets, start)
    let left = rrsets
    for (; left > 0 && u16(octets, at) < TYPE.RRSIG; left--) {
      this.#rrset(octets, at)
      at = nextRRsetAt(octets, at)
    }
    const behind = at
    at = firstRRsetAt(octets, start)
    for (let index = rrsets; index > 0; index--) {
      if (!apex || u16(octets, at) !== TYPE.ZONEMD) this.#signatures(octets, at)
      at = nextRRsetAt(octets, at)
    }
    for (at = behind; left > 0; left--) {
      if (!apex || u16(octets, at) !== TYPE.ZONEMD) this.#rrset(octets, at)
      at = nextRRsetAt(octets, at)
    }
  }

  #rrset(octets: Uint8Array, at: number): void {
    const count = u16(octets, at + 4)
    const type = u16(octets, at)
    // Lower case can change the order of several records.
    if (count > 1 && hasLoweredNames(type)) this.#sorted(octets, at, count)
    else this.#records(octets, at + RRSET_HEADER_OCTETS, count, type)
  }

  #signatures(octets: Uint8Array, at: number): void {
    const count = octets[at + 3]!
    const start = at + RRSET_HEADER_OCTETS + u16(octets, at + 6)
    if (count > 0) this.#records(octets, start, count, TYPE.RRSIG)
  }

  #records(octets: Uint8Array, start: number, count: number, type: number): void {
    const lowered = hasLoweredNames(type)
    let at = start
    for (let left = count; left > 0; left--) {
      const end = at + RECORD_HEADER_OCTETS + u16(octets, at + 10)
      this.#beginRecord(end - at)
      if (lowered) {
        this.#copy(octets, at + 2, at + RECORD_HEADER_OCTETS)
        const rdata = canonicalRdata(type, octets.subarray(at + RECORD_HEADER_OCTETS, end))
        this.#copy(rdata, 0, rdata.length)
      } else this.#copy(octets, at + 2, end)
      at = end
    }
  }

  #sorted(octets: Uint8Array, at: number, count: number): void {
    const start = at + RRSET_HEADER_OCTETS
    const type = u16(octets, at)
    const records: Uint8Array[] = []
    for (let record = start; records.length < count; ) {
      const end = record + RECORD_HEADER_OCTETS + u16(octets, record + 10)
      records.push(octets.subarray(record, end))
      record = end
    }
    const rdataOf = (record: Uint8Array): Uint8Array => record.subarray(RECORD_HEADER_OCTETS)
    records.sort((a, b) => compareCanonicalRdata(type, rdataOf(a), rdataOf(b)))
    for (const record of records) {
      const rdata = canonicalRdata(type, rdataOf(record))
      this.#beginRecord(record.length)
      this.#copy(record, 2, RECORD_HEADER_OCTETS)
      this.#copy(rdata, 0, rdata.length)
    }
  }

  /** The owner, with room for the record. */
  #beginRecord(octets: number): void {
    if (this.#at + this.#ownerOctets + octets > HASH_OCTETS) this.#flush()
    this.#copy(this.#owner, 0, this.#ownerOctets)
  }

  #copy(octets: Uint8Array, start: number, end: number): void {
    const out = this.#out
    let to = this.#at
    for (let at = start; at < end; at++) out[to++] = octets[at]!
    this.#at = to
  }

  #flush(): void {
    this.#hash.update(this.#out.subarray(0, this.#at))
    this.#at = 0
    this.parts++
  }
}

if (HASH_OCTETS < RR_OCTETS_MAX) throw new Error('zonemd: a part must hold any record')

export type ZonemdOutcome =
  | { readonly kind: 'none' }
  | { readonly kind: 'verified' }
  /** No record has a scheme and hash that we know, or its serial is not the SOA's (RFC 8976 §4 steps 4 and 5). */
  | { readonly kind: 'unusable'; readonly why: string }
  | {
      readonly kind: 'mismatch'
      readonly algorithm: number
      readonly found: Uint8Array
      readonly expected: Uint8Array
    }

/** RFC 8976 §4: the zone is right when one ZONEMD that can be checked matches. */
export async function verifyZonemd(store: Store, roots: ZoneRoots, apex: Name): Promise<ZonemdOutcome> {
  const node = apexNode(store, roots.namesRoot)
  const zonemd = node === undefined ? undefined : rrsetOfType(node, TYPE.ZONEMD)
  const soa = node === undefined ? undefined : rrsetOfType(node, TYPE.SOA)
  if (zonemd === undefined || soa === undefined || zonemd.rdata.length === 0) return { kind: 'none' }
  const usable = usableRecords(zonemd)
  if (usable.length === 0) return { kind: 'unusable', why: 'no scheme and hash algorithm that is known' }
  const serial = soaSerial(soa.rdata[0]!)
  const current = usable.filter(rdata => u32(rdata, 0) === serial)
  if (current.length === 0) {
    return { kind: 'unusable', why: `serial ${u32(usable[0]!, 0)}, where the SOA has ${serial}` }
  }
  let outcome: ZonemdOutcome = { kind: 'none' }
  for (const rdata of current) {
    const algorithm = rdata[5]!
    const found = rdata.slice(ZONEMD_FIXED_OCTETS)
    const expected = await zoneDigest(store, roots, apex, algorithm)
    if (Buffer.from(found).equals(expected)) return { kind: 'verified' }
    outcome = { kind: 'mismatch', algorithm, found, expected }
  }
  return outcome
}

/** RFC 8976 §4 step 4: SIMPLE with a known hash of its full length, and no other record with the same two. */
function usableRecords(zonemd: NodeRRset): Uint8Array[] {
  const known = zonemd.rdata.filter(rdata => {
    const octets = HASHES[rdata[5] ?? 0]?.octets
    return rdata[4] === ZONEMD_SCHEME_SIMPLE && rdata.length === ZONEMD_FIXED_OCTETS + (octets ?? -1)
  })
  return known.filter(rdata => known.filter(other => other[5] === rdata[5]).length === 1)
}

export function apexNode(store: Store, namesRoot: number): Uint8Array | undefined {
  const cursor = store.readTree()
  if (namesRoot === 0 || !cursor.find(namesRoot, APEX_KEY, 0, 0)) return undefined
  return cursor.bytes.slice(cursor.valueStart, cursor.valueEnd)
}
