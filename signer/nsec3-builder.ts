/** The NSEC3 tree of a version (RFC 5155 §7.1), from its finished names tree.
 *
 *    names ─▶ hash, bitmap ─▶ tree in order of hashes ─▶ next hash ─▶ sign
 *
 *  From nothing all names are hashed into a helping tree first, because hashes come in no order; an edit changes the
 *  entries of the names that differ, and their predecessors.
 *  I1  An entry depends on its name's node alone. */

import { Turns } from '../base/index.ts'
import {
  compareOctets,
  type Name,
  type Store,
  type TreeCursor,
  type TreeDraft,
  TYPE,
} from '../zones/index.ts'
import type { DenialMode, Nsec3Parameters } from './build-types.ts'
import { nodeTypes, writeOwner } from './nsec.ts'
import { decodeNsec3, HASH_OCTETS, nsec3Bitmap, nsec3Hash, nsec3Rdata, unsignedNsec3Node } from './nsec3.ts'
import type { PlannedNode } from './planner.ts'
import { rrsetOfType } from './previous.ts'
import { currentKey } from './ranges.ts'
import { BuildStop, CHUNK_NODES, type SignedWriter } from './writer.ts'

export interface Nsec3Options {
  readonly store: Store
  readonly namesRoot: number
  readonly canonicalApex: Name
  readonly denial: DenialMode
  readonly parameters: Nsec3Parameters
  readonly ttl: number
}

/** Hashes of names, and what their NSEC3 should say. */
class Entries {
  readonly #options: Nsec3Options
  readonly #owner = new Uint8Array(512)

  constructor(options: Nsec3Options) {
    this.#options = options
  }

  hashOf(key: Uint8Array): Uint8Array {
    const length = writeOwner(key, this.#options.canonicalApex, this.#owner)
    return nsec3Hash(this.#owner.subarray(0, length), this.#options.parameters)
  }

  /** Undefined when the name has no NSEC3. */
  bitmapOf(node: Uint8Array): Uint8Array | undefined {
    return nsec3Bitmap(node[0]!, nodeTypes(node), this.#options.denial)
  }

  nodeOf(bitmap: Uint8Array): Uint8Array {
    const { parameters, denial, ttl } = this.#options
    return unsignedNsec3Node(parameters, denial === 'opt-out', ttl, bitmap)
  }
}

/** Unsigned entries of all names, in a tree that only helps. */
export async function hashAllNames(options: Nsec3Options): Promise<TreeDraft> {
  const turns = new Turns()
  const entries = new Entries(options)
  const tree = options.store.newTree()
  const cursor = options.store.readTree()
  try {
    let placed = cursor.seekFirst(options.namesRoot)
    while (placed) {
      const key = currentKey(cursor).slice()
      const bitmap = entries.bitmapOf(cursor.bytes.slice(cursor.valueStart, cursor.valueEnd))
      if (bitmap !== undefined) addEntry(tree, entries.hashOf(key), entries.nodeOf(bitmap))
      if (turns.due()) await turns.take()
      placed = cursor.next()
    }
  } catch (error) {
    tree.discard()
    throw error
  }
  return tree
}

/** RFC 5155 §7.1: should two names have one hash, another salt is needed. */
function addEntry(tree: TreeDraft, hash: Uint8Array, node: Uint8Array): void {
  const before = tree.count
  tree.put(hash, node)
  if (tree.count !== before) return
  const what = 'two names have the same NSEC3 hash; expected none, choose another salt'
  const fault = { place: {}, what, severity: 'error' as const, rule: 'nsec3-collision' }
  throw new BuildStop({ kind: 'refused', code: 'NSEC3_COLLISION', faults: [fault] })
}

/** Writes a whole chain from unsigned entries. */
export async function linkAll(
  options: Nsec3Options,
  entriesRoot: number,
  writer: SignedWriter,
): Promise<void> {
  const cursor = options.store.readTree()
  if (!cursor.seekFirst(entriesRoot)) return
  const first = currentKey(cursor).slice()
  let key: Uint8Array | undefined = first
  let nodes: PlannedNode[] = []
  while (key !== undefined) {
    const entry = cursor.bytes.slice(cursor.valueStart, cursor.valueEnd)
    const next: Uint8Array | undefined = cursor.next() ? currentKey(cursor).slice() : undefined
    nodes.push(linkedNode(options, key, entry, next ?? first))
    if (nodes.length >= CHUNK_NODES || next === undefined) {
      await writer.write(nodes)
      nodes = []
    }
    key = next
  }
  await writer.end()
}

function linkedNode(
  { parameters, denial, ttl }: Nsec3Options,
  key: Uint8Array,
  entry: Uint8Array,
  next: Uint8Array,
): PlannedNode {
  const old = rrsetOfType(entry, TYPE.NSEC3)!
  const { bitmap } = decodeNsec3(old.rdata[0]!)!
  const rdata = [nsec3Rdata(parameters, denial === 'opt-out', next, bitmap)]
  const rrset = { type: TYPE.NSEC3, source: old.source, ttl, rdata, signatures: [] }
  return { key, remove: false, flags: 0, cutLabels: 0, rrsets: [rrset] }
}

/** Brings a published chain up to date with the names that differ, and returns the hashes whose nodes may have changed.
 *  `tree` is an open copy of it. */
export async function relink(
  options: Nsec3Options,
  tree: TreeDraft,
  changedKeys: readonly Uint8Array[],
  dueHashes: readonly Uint8Array[],
  writer: SignedWriter,
): Promise<Uint8Array[]> {
  const touched = new Hashes(dueHashes)
  const turns = new Turns()
  await updateEntries(options, tree, changedKeys, touched, turns)
  const affected = new Hashes()
  const cursor = options.store.readTree()
  for (const hash of touched.values()) {
    if (turns.due()) await turns.take()
    if (cursor.find(tree.root, hash, 0, HASH_OCTETS)) affected.add(hash)
    const before = hashBefore(cursor, tree.root, hash)
    if (before !== undefined) affected.add(before)
  }
  const nodes: PlannedNode[] = []
  for (const hash of affected.values()) {
    if (turns.due()) await turns.take()
    cursor.find(tree.root, hash, 0, HASH_OCTETS)
    const entry = cursor.bytes.slice(cursor.valueStart, cursor.valueEnd)
    if (!cursor.next()) cursor.seekFirst(tree.root)
    nodes.push(linkedNode(options, hash, entry, currentKey(cursor).slice()))
  }
  for (let at = 0; at < nodes.length; at += CHUNK_NODES) await writer.write(nodes.slice(at, at + CHUNK_NODES))
  await writer.end()
  for (const hash of affected.values()) touched.add(hash)
  return touched.values()
}

async function updateEntries(
  options: Nsec3Options,
  tree: TreeDraft,
  keys: readonly Uint8Array[],
  touched: Hashes,
  turns: Turns,
): Promise<void> {
  const entries = new Entries(options)
  const cursor = options.store.readTree()
  for (const key of keys) {
    if (turns.due()) await turns.take()
    const found = cursor.find(options.namesRoot, key, 0, key.length)
    const node = found ? cursor.bytes.slice(cursor.valueStart, cursor.valueEnd) : undefined
    const wanted = node === undefined ? undefined : entries.bitmapOf(node)
    const hash = entries.hashOf(key)
    const had = bitmapIn(tree.get(hash))
    if (wanted === undefined ? had === undefined : had !== undefined && compareOctets(had, wanted) === 0)
      continue
    if (wanted === undefined) tree.delete(hash)
    else tree.put(hash, entries.nodeOf(wanted))
    touched.add(hash)
  }
}

function bitmapIn(node: Uint8Array | undefined): Uint8Array | undefined {
  const rdata = node === undefined ? undefined : rrsetOfType(node, TYPE.NSEC3)?.rdata[0]
  return rdata === undefined ? undefined : decodeNsec3(rdata)?.bitmap
}

/** The hash before that one in the chain, around its end; undefined in an empty tree. */
function hashBefore(cursor: TreeCursor, root: number, hash: Uint8Array): Uint8Array | undefined {
  const found = cursor.find(root, hash, 0, HASH_OCTETS)
  const placed = found ? cursor.prev() : cursor.positioned
  if (!placed && !cursor.seekLast(root)) return undefined
  return currentKey(cursor).slice()
}

/** A set of octet strings, listed in ascending order. */
class Hashes {
  readonly #known = new Map<string, Uint8Array>()

  constructor(values: Iterable<Uint8Array> = []) {
    for (const value of values) this.add(value)
  }

  add(value: Uint8Array): void {
    this.#known.set(Buffer.from(value).toString('latin1'), value)
  }

  values(): Uint8Array[] {
    return [...this.#known.values()].sort(compareOctets)
  }
}
