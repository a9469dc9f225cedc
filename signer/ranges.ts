/** Which stretches of a names tree an edit can change (RFC 4035 §2.3, RFC 4592 §2.2.2). The builder does those again,
 *  from content; everything else of the published version stays as it is.
 *
 *      authoritative   occluded, empty        edited   …   authoritative
 *      [start                                    k          )end
 *
 *  I1  A range starts at an authoritative name with content (or the apex) and ends before another such name, or at the
 *      end of the zone. So it needs no context: no cut is in force at its start, and the NSEC of its last authoritative
 *      name points at its end.
 *  I2  What an edit of k can change lies between k's authoritative neighbours (NSEC, empty non-terminals above k, names
 *      that k occludes now), below k when k no longer occludes, or is the parent of a wildcard above k.
 *  I3  Ranges are in ascending order and apart. */

import { compareOctets, keyLabelCount, type TreeCursor } from '../zones/index.ts'
import { type ContentRules, hasContent, occludes } from './content.ts'

export interface KeyRange {
  readonly start: Uint8Array
  /** Undefined: to the end of the zone. */
  readonly end: Uint8Array | undefined
}

export const APEX_KEY: Uint8Array = new Uint8Array(0)
export const WHOLE_ZONE: KeyRange = { start: APEX_KEY, end: undefined }

/** A names tree and how to read its content. */
export interface ContentTree {
  readonly cursor: TreeCursor
  readonly root: number
  readonly rules: ContentRules
}

/** A name that changed; `uncovers` when it was a cut or owned a DNAME, and no longer does. */
export interface ChangedName {
  readonly key: Uint8Array
  readonly uncovers: boolean
}

/** The ranges of changed names, over a tree that has the changes already. */
export function rangesOf(tree: ContentTree, changed: readonly ChangedName[]): KeyRange[] {
  const names = [...changed, ...changed.flatMap(({ key }) => wildcardParents(key))]
  names.sort((a, b) => compareOctets(a.key, b.key))
  const ranges: KeyRange[] = []
  for (const { key, uncovers } of names) {
    const last = ranges.at(-1)
    // Inside the last range already, with all that is below.
    if (last !== undefined && isBefore(key, last.end) && !uncovers) continue
    const after = uncovers ? subtreeEnd(key) : keyAfter(key)
    const start = key.length === 0 ? APEX_KEY : authoritativeBefore(tree, key)
    const end = after === undefined ? undefined : authoritativeFrom(tree, after)
    if (last === undefined || isBefore(last.end, start)) ranges.push({ start, end })
    else if (isBefore(last.end, end)) ranges[ranges.length - 1] = { start: last.start, end }
  }
  return ranges
}

/** Whether `a` comes before `b`, undefined being the end of the zone. */
function isBefore(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined) return false
  return b === undefined || compareOctets(a, b) < 0
}

/** RFC 4592 §2.1.1: names of which a child `*` is, or is above, that key. */
function wildcardParents(key: Uint8Array): ChangedName[] {
  const parents: ChangedName[] = []
  for (let at = 0; at + 1 < key.length; at++) {
    const labelStart = at === 0 || key[at - 1] === 0
    if (labelStart && key[at] === 0x2a && key[at + 1] === 0) {
      parents.push({ key: key.slice(0, at), uncovers: false })
    }
  }
  return parents
}

/** The smallest key after a name that a descendant could have. */
export function keyAfter(key: Uint8Array): Uint8Array {
  const after = new Uint8Array(key.length + 1)
  after.set(key)
  return after
}

/** The smallest key after a name and all below it; undefined for the apex. Descendants go on behind the final 00. */
export function subtreeEnd(key: Uint8Array): Uint8Array | undefined {
  if (key.length === 0) return undefined
  const end = key.slice()
  end[key.length - 1] = 1
  return end
}

/** Octets of the key of the topmost zone cut or DNAME above that name, or −1. */
export function occluderAbove({ cursor, root }: ContentTree, key: Uint8Array): number {
  for (let length = 0; length < key.length; length = key.indexOf(0, length) + 1) {
    if (!cursor.find(root, key, 0, length)) continue
    if (occludes(cursor.bytes, cursor.valueStart, length === 0) !== 0) return length
  }
  return -1
}

/** The last authoritative name with content before that key; the apex if there is none. */
export function authoritativeBefore(tree: ContentTree, key: Uint8Array): Uint8Array {
  const { cursor, root, rules } = tree
  let placed = cursor.find(root, key, 0, key.length) ? cursor.prev() : cursor.positioned
  while (placed) {
    const here = currentKey(cursor)
    if (hasContent(rules, here, cursor.bytes, cursor.valueStart)) {
      const found = here.slice()
      const occluder = occluderAbove(tree, found)
      return occluder < 0 ? found : found.slice(0, occluder)
    }
    placed = cursor.prev()
  }
  return APEX_KEY
}

/** The first authoritative name with content at or after that key. */
export function authoritativeFrom(tree: ContentTree, key: Uint8Array): Uint8Array | undefined {
  const { cursor, root, rules } = tree
  let from: Uint8Array | undefined = key
  while (from !== undefined && cursor.seekCeiling(root, from, 0, from.length)) {
    const found = currentKey(cursor).slice()
    if (!hasContent(rules, found, cursor.bytes, cursor.valueStart)) {
      from = keyAfter(found)
      continue
    }
    const occluder = occluderAbove(tree, found)
    if (occluder < 0) return found
    from = subtreeEnd(found.slice(0, occluder))
  }
  return undefined
}

/** Whether a name with content lies at or below that key. */
export function hasContentAtOrBelow({ cursor, root, rules }: ContentTree, key: Uint8Array): boolean {
  let placed = cursor.seekCeiling(root, key, 0, key.length)
  while (placed) {
    const here = currentKey(cursor)
    if (!startsWith(here, key)) return false
    if (hasContent(rules, here, cursor.bytes, cursor.valueStart)) return true
    placed = cursor.next()
  }
  return false
}

/** The key at the cursor; a view that its next move changes. */
export function currentKey(cursor: TreeCursor): Uint8Array {
  cursor.loadKey()
  return cursor.key.subarray(0, cursor.keyLength)
}

/** Whether the name at the cursor is at or below that key. */
export function isBelow(cursor: TreeCursor, key: Uint8Array): boolean {
  return cursor.loadKey() >= key.length && startsWith(cursor.key, key)
}

export function startsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  if (key.length < prefix.length) return false
  for (let at = 0; at < prefix.length; at++) if (key[at] !== prefix[at]) return false
  return true
}

/** Labels, below the apex, of a name. */
export function labelsOfKey(key: Uint8Array, length: number = key.length): number {
  return keyLabelCount(key, 0, length)
}
