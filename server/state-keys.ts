/** Keys of the state's databases, and ordered reading and removal of ranges of them.
 *
 *    zones       z apexKey                        the zone's record (state-record.ts); LMDB has no empty keys, and the root's is empty
 *    signatures  id:u32 kind:u8 nodeKey           a block (signer/signature-pack.ts): nodeKey has at most 510 octets, LMDB allows 1978
 *    journal     id:u32 sequence:u32              an entry (state-journal.ts)
 *    meta        text                             format version and the like (state.ts)
 *
 *  I1  Big-endian numbers in front keep a zone's keys together, and node keys in canonical order. */

import type { Database } from 'lmdb'
import type { TreeKind } from '../signer/index.ts'

/** Which tree of the zone a block belongs to: the names, or the NSEC3 hashes. */
export type SignatureKind = TreeKind

/** A block put (octets) or deleted (null). Octets must not change until `publish` has resolved. */
export interface SignatureChange {
  readonly kind: SignatureKind
  /** The node's key relative to the apex, or the NSEC3 hash. */
  readonly key: Uint8Array
  /** Opaque here; a block that is older or newer than the version it is read for does no harm (signature-pack.ts I1). */
  readonly block: Uint8Array | null
}

export type OctetsDatabase = Database<Uint8Array, Uint8Array>

export interface Databases {
  readonly zones: OctetsDatabase
  readonly signatures: OctetsDatabase
  readonly journal: OctetsDatabase
}

/** Keys that one transaction takes before the event loop gets its turn: about 10 ms of work. */
export const KEYS_PER_TRANSACTION = 4096
const KEYS_PER_READ = 512
const RECORD_PREFIX = 0x7a
const SIGNATURE_PREFIX_OCTETS = 5
const KINDS: Readonly<Record<SignatureKind, number>> = { names: 0, nsec3: 1 }

/** Keys from `start` up to, not including, `end`. */
export interface KeyRange {
  readonly start: Uint8Array
  readonly end: Uint8Array
}

export const RECORD_RANGE: KeyRange = {
  start: Uint8Array.of(RECORD_PREFIX),
  end: Uint8Array.of(RECORD_PREFIX + 1),
}

export function recordKey(apexKey: Uint8Array): Uint8Array {
  const key = new Uint8Array(1 + apexKey.length)
  key[0] = RECORD_PREFIX
  key.set(apexKey, 1)
  return key
}

export function apexKeyOf(recordKey: Uint8Array): Uint8Array {
  return new Uint8Array(recordKey.subarray(1))
}

export function signatureKey(id: number, kind: SignatureKind, nodeKey: Uint8Array): Uint8Array {
  const key = new Uint8Array(SIGNATURE_PREFIX_OCTETS + nodeKey.length)
  writeU32(key, 0, id)
  key[4] = KINDS[kind]
  key.set(nodeKey, SIGNATURE_PREFIX_OCTETS)
  return key
}

/** The zone's number in a key of the signature or journal database. */
export function zoneIdOf(key: Uint8Array): number {
  return ((key[0]! << 24) | (key[1]! << 16) | (key[2]! << 8) | key[3]!) >>> 0
}

export function journalKey(id: number, sequence: number): Uint8Array {
  const key = new Uint8Array(8)
  writeU32(key, 0, id)
  writeU32(key, 4, sequence)
  return key
}

/** All keys of a zone in the signature and journal databases, or the signatures of one kind. */
export function zoneRange(id: number, kind?: SignatureKind): KeyRange {
  if (kind === undefined)
    return { start: journalKey(id, 0).slice(0, 4), end: journalKey(id + 1, 0).slice(0, 4) }
  const end = signatureKey(id, kind, NO_OCTETS)
  end[4] = KINDS[kind] + 1
  return { start: signatureKey(id, kind, NO_OCTETS), end }
}

function writeU32(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24
  out[at + 1] = value >>> 16
  out[at + 2] = value >>> 8
  out[at + 3] = value
}

/** Ordered reading of signature blocks. After `next()` gave true, `key` (the node's) and `block` are copies of the
 *  entry's octets. It reads ahead in parts, each its own transaction: none is held between calls. */
export interface SignatureWalk {
  readonly key: Uint8Array
  readonly block: Uint8Array
  next(): boolean
}

const NO_OCTETS = new Uint8Array(0)

interface Entry {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

export class RangeWalk implements SignatureWalk {
  key: Uint8Array = NO_OCTETS
  block: Uint8Array = NO_OCTETS
  readonly #database: OctetsDatabase
  readonly #end: Uint8Array
  #start: Uint8Array
  #entries: Entry[] = []
  #at = 0
  #more = true

  constructor(database: OctetsDatabase, range: KeyRange) {
    this.#database = database
    this.#start = range.start
    this.#end = range.end
  }

  next(): boolean {
    if (this.#at === this.#entries.length) this.#readOn()
    const entry = this.#entries[this.#at++]
    if (entry === undefined) return false
    this.key = plainOctets(entry.key, SIGNATURE_PREFIX_OCTETS)
    this.block = plainOctets(entry.value)
    return true
  }

  #readOn(): void {
    this.#at = 0
    this.#entries = this.#more
      ? [...this.#database.getRange({ start: this.#start, end: this.#end, limit: KEYS_PER_READ })]
      : []
    this.#more = this.#entries.length === KEYS_PER_READ
    const last = this.#entries.at(-1)
    if (last === undefined) return
    // The least key above the last one.
    this.#start = new Uint8Array(last.key.length + 1)
    this.#start.set(last.key)
  }
}

/** The same memory without the Buffer type, whose `slice` does not copy. */
export function plainOctets(octets: Uint8Array, start = 0): Uint8Array {
  return new Uint8Array(octets.buffer, octets.byteOffset + start, octets.length - start)
}

/** Removes a range, in parts. */
export async function removeRange(database: OctetsDatabase, range: KeyRange): Promise<void> {
  for (;;) {
    const keys = [...database.getKeys({ ...range, limit: KEYS_PER_TRANSACTION })]
    if (keys.length === 0) return
    await database.batch(() => {
      for (const key of keys) database.remove(key)
    })
  }
}
