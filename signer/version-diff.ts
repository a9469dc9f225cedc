/** What differs between two trees, over ranges of keys; and between a content tree and a published one.
 *  I1  Both walks go in canonical order and hold one node of each side at a time. */

import { Turns } from '../base/index.ts'
import {
  compareOctets,
  decodeNode,
  firstRRsetAt,
  type NodeRRset,
  nextRRsetAt,
  RRSET_HEADER_OCTETS,
  type Store,
  type TreeCursor,
  TYPE,
  u16,
  u32,
} from '../zones/index.ts'
import type { ContentEdit } from './build-types.ts'
import { type ContentRules, contentRRset, hasContent, keepsRRset } from './content.ts'
import { soaSerial, soaWithSerial } from './nsec.ts'
import { type KeyRange, WHOLE_ZONE } from './ranges.ts'

/** One side's node, or undefined where that side has none. Views, good during the visit. */
export type VisitDifference = (
  key: Uint8Array,
  old: Uint8Array | undefined,
  now: Uint8Array | undefined,
) => void

/** Visits the keys whose nodes differ between two trees (0: an empty one), in one range. */
export async function diffTrees(
  store: Store,
  oldRoot: number,
  newRoot: number,
  range: KeyRange,
  visit: VisitDifference,
): Promise<void> {
  const turns = new Turns()
  const old = new Side(store.readTree(), oldRoot, range)
  const now = new Side(store.readTree(), newRoot, range)
  while (old.key !== undefined || now.key !== undefined) {
    const order = compareSides(old, now)
    if (order < 0) visit(old.key!, old.value, undefined)
    else if (order > 0) visit(now.key!, undefined, now.value)
    else if (!sameOctets(old, now)) visit(old.key!, old.value, now.value)
    if (turns.due()) await turns.take()
    if (order <= 0) old.next()
    if (order >= 0) now.next()
  }
}

function compareSides(a: Side, b: Side): number {
  if (a.key === undefined) return 1
  return b.key === undefined ? -1 : compareOctets(a.key, b.key)
}

function sameOctets(a: Side, b: Side): boolean {
  return compareOctets(a.value, b.value) === 0
}

/** A walk over one tree's part of a range. */
class Side {
  /** Undefined at the end of the range. */
  key: Uint8Array | undefined
  readonly #cursor: TreeCursor
  readonly #end: Uint8Array | undefined

  constructor(cursor: TreeCursor, root: number, { start, end }: KeyRange) {
    this.#cursor = cursor
    this.#end = end
    this.#settle(root !== 0 && cursor.seekCeiling(root, start, 0, start.length))
  }

  get value(): Uint8Array {
    return this.#cursor.bytes.subarray(this.#cursor.valueStart, this.#cursor.valueEnd)
  }

  next(): void {
    this.#settle(this.#cursor.next())
  }

  #settle(placed: boolean): void {
    const key = placed ? this.#cursor.key.subarray(0, this.#cursor.loadKey()) : undefined
    const inside = key !== undefined && (this.#end === undefined || compareOctets(key, this.#end) < 0)
    this.key = inside ? key : undefined
  }
}

/** What turns the content of the published tree into that of the other. The apex counts as changed when more than its
 *  serial is. Undefined when there are more than `editsMax` differences: building whole is cheaper then. */
export async function diffContent(
  store: Store,
  contentRoot: number,
  publishedRoot: number,
  rules: ContentRules,
  editsMax: number = Number.POSITIVE_INFINITY,
): Promise<ContentEdit[] | undefined> {
  const turns = new Turns()
  const edits: ContentEdit[] = []
  const old = new Side(store.readTree(), publishedRoot, WHOLE_ZONE)
  const now = new Side(store.readTree(), contentRoot, WHOLE_ZONE)
  while (old.key !== undefined || now.key !== undefined) {
    const order = compareSides(old, now)
    const oldNode = order <= 0 && hasContent(rules, old.key!, old.value) ? old.value : undefined
    const newNode = order >= 0 && hasContent(rules, now.key!, now.value) ? now.value : undefined
    const key = order <= 0 ? old.key! : now.key!
    if (newNode === undefined ? oldNode !== undefined : !sameContent(rules, key, oldNode, newNode)) {
      if (edits.length >= editsMax) return undefined
      edits.push({ key: key.slice(), node: newNode?.slice() ?? null })
    }
    if (turns.due()) await turns.take()
    if (order <= 0) old.next()
    if (order >= 0) now.next()
  }
  return edits
}

/** Whether two nodes have the same content: spelling, and RRsets but for signatures and the serial. */
export function sameContent(
  rules: ContentRules,
  key: Uint8Array,
  a: Uint8Array | undefined,
  b: Uint8Array | undefined,
): boolean {
  if (a === undefined || b === undefined) return a === b
  const aSpelling = decodeNode(a).spelling
  const bSpelling = decodeNode(b).spelling
  if ((aSpelling === undefined) !== (bSpelling === undefined)) return false
  if (aSpelling !== undefined && compareOctets(aSpelling, bSpelling!) !== 0) return false
  const left = keptAt(rules, key, a)
  const right = keptAt(rules, key, b)
  if (left.length !== right.length) return false
  return left.every((at, index) => sameRRsetData(rules, a, at, b, right[index]!))
}

/** Offsets of the RRsets that are content. */
function keptAt(rules: ContentRules, key: Uint8Array, node: Uint8Array): number[] {
  const offsets: number[] = []
  let at = firstRRsetAt(node, 0)
  for (let left = node[2]!; left > 0; left--) {
    if (keepsRRset(rules, key, node, at)) offsets.push(at)
    at = nextRRsetAt(node, at)
  }
  return offsets
}

/** Owner, type and class are before it. */
const RECORD_TTL = 6
/** MNAME, RNAME, then SERIAL and 16 octets more. */
const SOA_SERIAL_FROM_END = 20

function sameRRsetData(rules: ContentRules, a: Uint8Array, aAt: number, b: Uint8Array, bAt: number): boolean {
  const octets = u16(a, aAt + 6) + (rules.signs ? 0 : u16(a, aAt + 8))
  if (u16(a, aAt) !== u16(b, bAt) || u16(a, aAt + 6) !== u16(b, bAt + 6)) return false
  if (!rules.signs && u16(a, aAt + 8) !== u16(b, bAt + 8)) return false
  const ttl = RRSET_HEADER_OCTETS + RECORD_TTL
  if (rules.ttlMax !== undefined && u32(a, aAt + ttl) !== u32(b, bAt + ttl)) {
    return sameLowered(contentRRset(rules, a, aAt), contentRRset(rules, b, bAt))
  }
  const soa = u16(a, aAt) === TYPE.SOA
  const serial = RRSET_HEADER_OCTETS + u16(a, aAt + 6) - SOA_SERIAL_FROM_END
  for (let at = RRSET_HEADER_OCTETS; at < RRSET_HEADER_OCTETS + octets; at++) {
    if (a[aAt + at] !== b[bAt + at] && !(soa && at >= serial && at < serial + 4)) return false
  }
  return true
}

/** Whether two RRsets of one type, their TTLs lowered, are the same but for the serial of a SOA. */
function sameLowered(a: NodeRRset, b: NodeRRset): boolean {
  if (a.ttl !== b.ttl || a.rdata.length !== b.rdata.length) return false
  return a.rdata.every((rdata, index) => {
    const other = b.rdata[index]!
    return compareOctets(a.type === TYPE.SOA ? soaWithSerial(rdata, soaSerial(other)) : rdata, other) === 0
  })
}

/** Records of a node, signatures included. */
export function countRecords(node: Uint8Array | undefined, start = 0): number {
  if (node === undefined) return 0
  let records = 0
  let at = firstRRsetAt(node, start)
  for (let left = node[start + 2]!; left > 0; left--) {
    records += u16(node, at + 4) + node[at + 3]!
    at = nextRRsetAt(node, at)
  }
  return records
}

/** The greatest TTL among the RRsets of a names tree. */
export function greatestTtlOf(store: Store, root: number): number {
  const cursor = store.readTree()
  let greatest = 0
  for (let placed = root !== 0 && cursor.seekFirst(root); placed; placed = cursor.next()) {
    greatest = Math.max(greatest, greatestTtl(cursor.bytes, cursor.valueStart))
  }
  return greatest
}

/** The greatest TTL among a node's RRsets. */
export function greatestTtl(node: Uint8Array | undefined, start = 0): number {
  if (node === undefined) return 0
  let greatest = 0
  let at = firstRRsetAt(node, start)
  for (let left = node[start + 2]!; left > 0; left--) {
    if (u16(node, at + 4) > 0) greatest = Math.max(greatest, u32(node, at + RRSET_HEADER_OCTETS + RECORD_TTL))
    at = nextRRsetAt(node, at)
  }
  return greatest
}
