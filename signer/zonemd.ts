/** ZONEMD (RFC 8976): the digest of a whole zone, scheme SIMPLE, with SHA-384 or SHA-512.
 *
 *    names tree   ──┐
 *                   ├─▶ owners in canonical order ─▶ RRs in canonical form and order ─▶ hash
 *    NSEC3 tree   ──┘
 *
 *  I1  Owners in canonical order (RFC 8976 §3.3.1), those of hashes among them; zone-digester.ts has the RRs of each.
 *  I2  Others have the event loop now and then (base/turns.ts). */

import { createHash } from 'node:crypto'
import { Turns } from '../base/index.ts'
import {
  canonicalName,
  type Name,
  type NodeRRset,
  type Store,
  type TreeCursor,
  TYPE,
  u32,
} from '../zones/index.ts'
import { soaSerial } from './nsec.ts'
import { HASH_OCTETS, writeBase32Hex } from './nsec3.ts'
import { rrsetOfType } from './previous.ts'
import { APEX_KEY } from './ranges.ts'
import { ZoneDigester } from './zone-digester.ts'

/** RFC 8976 §5.2 and §5.3. */
export const ZONEMD_SCHEME_SIMPLE = 1
export const ZONEMD_SHA384 = 1
export const ZONEMD_SHA512 = 2
const HASHES: Readonly<Record<number, { name: 'sha384' | 'sha512'; octets: number }>> = {
  [ZONEMD_SHA384]: { name: 'sha384', octets: 48 },
  [ZONEMD_SHA512]: { name: 'sha512', octets: 64 },
}
/** Serial, scheme, hash algorithm. */
const ZONEMD_FIXED_OCTETS = 6

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

/** The digest of a zone. The trees must not change until the promise is settled.
 *  @throws the signal's reason, at the next part after it was aborted */
export async function zoneDigest(
  store: Store,
  roots: ZoneRoots,
  apex: Name,
  algorithm: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const digester = new ZoneDigester(createHash(HASHES[algorithm]!.name), canonicalName(apex))
  try {
    await digestTrees(digester, store, roots, signal)
    return digester.end()
  } finally {
    digester.close()
  }
}

/** I1. */
async function digestTrees(
  digester: ZoneDigester,
  store: Store,
  { namesRoot, nsec3Root }: ZoneRoots,
  signal: AbortSignal | undefined,
): Promise<void> {
  const names = store.readTree(digester.namesRoom)
  const hashes = store.readTree(digester.hashesRoom)
  const hashedKey = new Uint8Array(33)
  const turns = new Turns(1)
  let parts = 0
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
    if (digester.parts === parts) continue
    parts = digester.parts
    signal?.throwIfAborted()
    if (turns.due()) await turns.take()
  }
}

/** The tree key that the owner name of the hash at the cursor has. */
function loadHashedKey(cursor: TreeCursor, out: Uint8Array): void {
  cursor.loadKey()
  out[writeBase32Hex(cursor.key.subarray(0, HASH_OCTETS), out, 0)] = 0
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
