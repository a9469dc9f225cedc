/** What a version takes away and brings, as IXFR wants it (RFC 1995 §4): records with their owners, signatures too, the SOAs
 *  first.
 *  I1  A list that grows too long is none: a whole transfer is cheaper then, and nothing more is done for it. */

import {
  asName,
  compareOctets,
  decodeNode,
  firstRRsetAt,
  type Name,
  nextRRsetAt,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  TYPE,
  u16,
} from '../zones/index.ts'
import type { Changes } from './build-types.ts'
import { soaSerial, writeOwner } from './nsec.ts'
import { writeHashedOwner } from './nsec3.ts'

/** Collects what a version takes away and brings, as IXFR wants it. */
export class ChangeList {
  readonly #removed: Uint8Array[] = []
  readonly #added: Uint8Array[] = []
  #octetsLeft: number
  readonly #apex: Name
  readonly #canonicalApex: Uint8Array

  constructor(apex: Name, canonicalApex: Uint8Array, octetsMax: number) {
    this.#apex = apex
    this.#canonicalApex = canonicalApex
    this.#octetsLeft = octetsMax
  }

  /** A node of the names tree that differs; SOAs are left to `changes`. */
  name(key: Uint8Array, old: Uint8Array | undefined, now: Uint8Array | undefined): void {
    const node = now ?? old
    if (node === undefined || this.#tooLong) return
    this.#node(ownerOfNode(key, node, this.#apex, this.#canonicalApex), old, now)
  }

  hash(key: Uint8Array, old: Uint8Array | undefined, now: Uint8Array | undefined): void {
    if (this.#tooLong) return
    const owner = new Uint8Array(NAME_SPACE_OCTETS)
    this.#node(owner.subarray(0, writeHashedOwner(key, this.#canonicalApex, owner)), old, now)
  }

  get #tooLong(): boolean {
    return this.#octetsLeft < 0
  }

  /** The list, unless it grew too long. */
  changes(oldApex: Uint8Array, newApex: Uint8Array): Changes | undefined {
    if (this.#tooLong) return undefined
    const before = soaOf(oldApex, this.#apex)
    const after = soaOf(newApex, this.#apex)
    return {
      fromSerial: before.serial,
      toSerial: after.serial,
      removed: Buffer.concat([...before.records, ...this.#removed]),
      added: Buffer.concat([...after.records, ...this.#added]),
    }
  }

  /** RRsets of both, by type; SOAs are not among them. Signatures apart from the data: mostly one of the two is the same. */
  #node(owner: Uint8Array, old: Uint8Array | undefined, now: Uint8Array | undefined): void {
    const before = new RRsetWalk(old)
    const after = new RRsetWalk(now)
    while (before.type !== END || after.type !== END) {
      const type = Math.min(before.type, after.type)
      if (type !== TYPE.SOA) {
        const [oldData, oldSignatures] = before.type === type ? before.parts() : NO_PARTS
        const [newData, newSignatures] = after.type === type ? after.parts() : NO_PARTS
        this.#records(owner, oldData, newData)
        this.#records(owner, oldSignatures, newSignatures)
      }
      if (before.type === type) before.next()
      if (after.type === type) after.next()
    }
  }

  #records(owner: Uint8Array, old: Uint8Array, now: Uint8Array): void {
    if (compareOctets(old, now) === 0) return
    const before = new Map(recordsIn(old).map(record => [recordId(record), record]))
    for (const record of recordsIn(now)) {
      if (!before.delete(recordId(record))) this.#push(this.#added, owner, record)
    }
    for (const record of before.values()) this.#push(this.#removed, owner, record)
  }

  #push(list: Uint8Array[], owner: Uint8Array, record: Uint8Array): void {
    this.#octetsLeft -= owner.length + record.length
    if (this.#tooLong) list.length = 0
    else list.push(wireRecord(owner, record))
  }
}

const NAME_SPACE_OCTETS = 512
/** After all types. */
const END = 0x10000
const EMPTY = new Uint8Array(0)
const NO_PARTS: readonly [Uint8Array, Uint8Array] = [EMPTY, EMPTY]

/** The RRsets of a node, one after the other. */
class RRsetWalk {
  /** END behind the last. */
  type = END
  readonly #node: Uint8Array
  #at = 0
  #left = 0

  constructor(node: Uint8Array | undefined) {
    this.#node = node ?? EMPTY
    if (node === undefined) return
    this.#at = firstRRsetAt(node, 0)
    this.#left = node[2]!
    this.#settle()
  }

  next(): void {
    this.#at = nextRRsetAt(this.#node, this.#at)
    this.#left--
    this.#settle()
  }

  /** Its records, and those of its signatures; views. */
  parts(): readonly [data: Uint8Array, signatures: Uint8Array] {
    const data = this.#at + RRSET_HEADER_OCTETS
    const signatures = data + u16(this.#node, this.#at + 6)
    const end = nextRRsetAt(this.#node, this.#at)
    return [this.#node.subarray(data, signatures), this.#node.subarray(signatures, end)]
  }

  #settle(): void {
    this.type = this.#left > 0 ? u16(this.#node, this.#at) : END
  }
}

function recordId(record: Uint8Array): string {
  return Buffer.from(record.buffer, record.byteOffset, record.length).toString('latin1')
}

/** Views. */
function recordsIn(octets: Uint8Array): Uint8Array[] {
  const records: Uint8Array[] = []
  for (let at = 0; at < octets.length; ) {
    const end = at + RECORD_HEADER_OCTETS + u16(octets, at + RECORD_HEADER_OCTETS - 2)
    records.push(octets.subarray(at, end))
    at = end
  }
  return records
}

/** The owner instead of the pointer. */
function wireRecord(owner: Uint8Array, stored: Uint8Array): Uint8Array {
  const record = new Uint8Array(owner.length + stored.length - 2)
  record.set(owner)
  record.set(stored.subarray(2), owner.length)
  return record
}

/** The SOA first, then its signatures. */
function soaOf(apexNode: Uint8Array, apex: Name): { serial: number; records: Uint8Array[] } {
  const walk = new RRsetWalk(apexNode)
  while (walk.type < TYPE.SOA) walk.next()
  if (walk.type !== TYPE.SOA) return { serial: 0, records: [] }
  const [data, signatures] = walk.parts()
  const soa = recordsIn(data)
  const records = [...soa, ...recordsIn(signatures)].map(record => wireRecord(apex, record))
  return { serial: soaSerial(soa[0]!.subarray(RECORD_HEADER_OCTETS)), records }
}

function ownerOfNode(key: Uint8Array, node: Uint8Array, apex: Name, canonicalApex: Uint8Array): Name {
  if (key.length === 0) return apex
  const { spelling } = decodeNode(node)
  if (spelling !== undefined) return asName(Buffer.concat([spelling, apex]))
  const owner = new Uint8Array(NAME_SPACE_OCTETS)
  return asName(owner.subarray(0, writeOwner(key, canonicalApex, owner)))
}
