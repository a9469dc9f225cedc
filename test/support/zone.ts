/** Zones for tests of answers, out of text and as they are: no signing, no checks. A plain second way to what the
 *  version builder of signer/ makes, so that the two can be held against each other.
 *  I1  Flags, cuts and empty non-terminals are annotated as zones/node.ts says; NSEC3 records go to a tree of hashes. */

import { createHash } from 'node:crypto'
import {
  compareOctets,
  encodeNode,
  encodeZoneRecord,
  keyLabelCount,
  keyOf,
  type Name,
  NODE_APEX,
  NODE_DELEGATION,
  NODE_DNAME,
  NODE_EMPTY_NON_TERMINAL,
  NODE_OCCLUDED,
  NODE_WILDCARD_CHILD,
  type NodeRRset,
  nameFromText,
  nameOfKey,
  parentKeyLength,
  rdataFromText,
  rootName,
  Store,
  type TreeDraft,
  TYPE,
  typeFromText,
} from '../../zones/index.ts'

export interface TestRecord {
  readonly owner: Name
  readonly type: number
  readonly ttl: number
  readonly rdata: Uint8Array
}

/** `owner [ttl] [IN] type rdata` lines with $ORIGIN, $TTL, `@`, blank owners, parentheses and comments. */
export function parseRecords(text: string): TestRecord[] {
  let origin = rootName
  let owner = rootName
  let ttl = 3600
  const records: TestRecord[] = []
  for (const line of logicalLines(text)) {
    const words = line.trim().split(/\s+/)
    if (words[0] === '$ORIGIN') origin = nameFromText(words[1]!, origin)
    else if (words[0] === '$TTL') ttl = Number(words[1])
    else {
      if (!/^\s/.test(line)) owner = nameFromText(words.shift()!, origin)
      let recordTtl = ttl
      while (/^(\d+|IN)$/.test(words[0]!)) {
        const word = words.shift()!
        if (word !== 'IN') recordTtl = Number(word)
      }
      const type = typeFromText(words.shift()!)!
      records.push({ owner, type, ttl: recordTtl, rdata: rdataFromText(type, words.join(' '), origin) })
    }
  }
  return records
}

function logicalLines(text: string): string[] {
  const lines: string[] = []
  let open = ''
  for (const raw of text.split('\n')) {
    const line = raw.replace(/;[^"]*$/, '')
    const joined = open === '' ? line : `${open} ${line.trim()}`
    const depth = (joined.match(/\(/g) ?? []).length - (joined.match(/\)/g) ?? []).length
    open = depth > 0 ? joined : ''
    if (depth <= 0 && joined.trim() !== '') lines.push(joined.replace(/[()]/g, ' '))
  }
  return lines
}

/** The zone with an NSEC or NSEC3 chain (no salt, no iterations) of its own. */
export function withDenial(records: readonly TestRecord[], denial: 'nsec' | 'nsec3'): TestRecord[] {
  const apex = records.find(record => record.type === TYPE.SOA)!.owner
  const owners = annotate(ownersOf(records, keyOf(apex).length)).filter(
    ({ flags }) =>
      (flags & NODE_OCCLUDED) === 0 && (denial === 'nsec3' || (flags & NODE_EMPTY_NON_TERMINAL) === 0),
  )
  const names = owners.map(({ key }) => nameOfKey(key, apex))
  if (denial === 'nsec') {
    return records.concat(
      owners.map((owner, index) => ({
        owner: names[index]!,
        type: TYPE.NSEC,
        ttl: 3600,
        rdata: Uint8Array.from([
          ...names[(index + 1) % names.length]!,
          ...bitmap(owner, [TYPE.RRSIG, TYPE.NSEC]),
        ]),
      })),
    )
  }
  const hashes = names
    .map((name, index) => ({ hash: createHash('sha1').update(name).digest(), owner: owners[index]! }))
    .sort((a, b) => compareOctets(a.hash, b.hash))
  return records.concat(
    hashes.map(({ hash, owner }, index) => ({
      owner: nameFromText(toBase32hex(hash), apex),
      type: TYPE.NSEC3,
      ttl: 3600,
      rdata: Uint8Array.from([
        ...[1, 0, 0, 0, 0, hash.length, ...hashes[(index + 1) % hashes.length]!.hash],
        ...bitmap(owner, owner.records.length === 0 ? [] : [TYPE.RRSIG]),
      ]),
    })),
  )
}

/** RFC 4034 §4.1.2, for types below 256. */
function bitmap({ flags, records }: Owner, more: readonly number[]): number[] {
  const octets = new Uint8Array(32)
  const cut = (flags & NODE_DELEGATION) !== 0
  const own = records.map(record => record.type).filter(type => !cut || type === TYPE.NS || type === TYPE.DS)
  const types = [...own, ...more]
  for (const type of types) octets[type >> 3]! |= 0x80 >> (type & 7)
  const length = types.length === 0 ? 0 : (Math.max(...types) >> 3) + 1
  return length === 0 ? [] : [0, length, ...octets.subarray(0, length)]
}

function toBase32hex(octets: Uint8Array): string {
  let bits = ''
  for (const octet of octets) bits += octet.toString(2).padStart(8, '0')
  return bits.replace(/.{5}/g, five => Number.parseInt(five, 2).toString(32))
}

/** The zone with a stand-in RRSIG behind every RRset that a signer would sign: true in all but the signature itself,
 *  which is as long as those of ECDSA P-256. */
export function withSignatures(records: readonly TestRecord[]): TestRecord[] {
  const apex = records.find(record => record.type === TYPE.SOA)!.owner
  const hashed = hashedOwners(records)
  const owners = annotate(
    ownersOf(
      records.filter(one => !isHashed(one, hashed)),
      keyOf(apex).length,
    ),
  )
  const signatures: TestRecord[] = []
  const sign = (owner: readonly TestRecord[], isSigned: (type: number) => boolean): void => {
    for (const type of new Set(owner.map(record => record.type))) {
      if (isSigned(type)) signatures.push(standIn(owner.find(record => record.type === type)!, apex))
    }
  }
  for (const { flags, records: own } of owners) {
    if ((flags & NODE_OCCLUDED) !== 0) continue
    const cut = (flags & NODE_DELEGATION) !== 0
    sign(own, type => !cut || type === TYPE.DS || type === TYPE.NSEC)
  }
  for (const owner of ownersOf(
    records.filter(one => isHashed(one, hashed)),
    0,
  ).values())
    sign(owner.records, () => true)
  return [...records, ...signatures]
}

function standIn({ owner, type, ttl }: TestRecord, apex: Name): TestRecord {
  const labels = keyLabelCount(keyOf(owner)) - (owner[0] === 1 && owner[1] === 0x2a ? 1 : 0)
  const rdata = [type >> 8, type & 255, 13, labels, 0, 0, ttl >> 8, ttl & 255]
  rdata.push(...[0x40, 0x9e, 0x7c, 0x53], ...[0x40, 0x76, 0xef, 0x53], 0x96, 0x77, ...apex)
  for (let index = 0; index < 64; index++) rdata.push((type * 7 + labels + index) & 255)
  return { owner, type: TYPE.RRSIG, ttl, rdata: Uint8Array.from(rdata) }
}

interface Owner {
  readonly key: Uint8Array
  flags: number
  cutLabels: number
  readonly records: TestRecord[]
}

/** A store that holds the zones, in one version. */
export function storeOf(...zones: readonly (string | readonly TestRecord[])[]): Store {
  const store = new Store({ octetsMax: 2 ** 28 })
  commitZones(store, ...zones)
  return store
}

export function commitZones(store: Store, ...zones: readonly (string | readonly TestRecord[])[]): void {
  const changes: { apexKey: Uint8Array; value: Uint8Array }[] = []
  const drafts: TreeDraft[] = []
  for (const zone of zones) {
    const built = buildZone(store, typeof zone === 'string' ? parseRecords(zone) : zone)
    changes.push(built)
    drafts.push(...built.drafts)
  }
  store.commit({ zones: changes, drafts, dropped: [] })
}

function buildZone(
  store: Store,
  records: readonly TestRecord[],
): { apexKey: Uint8Array; value: Uint8Array; drafts: TreeDraft[] } {
  const soa = records.find(record => record.type === TYPE.SOA)!
  const apexKey = keyOf(soa.owner)
  const hashed = hashedOwners(records)
  const owners = annotate(
    ownersOf(
      records.filter(record => !isHashed(record, hashed)),
      apexKey.length,
    ),
  )
  const names = store.newTree()
  for (const owner of owners) names.put(owner.key, nodeOf(owner))
  const nsec3 = store.newTree()
  for (const owner of ownersOf(
    records.filter(record => isHashed(record, hashed)),
    0,
  ).values()) {
    const text = new TextDecoder().decode(owner.records[0]!.owner.subarray(1, 33))
    nsec3.put(fromBase32hex(text), nodeOf(owner))
  }
  const parameters = records.find(record => record.type === TYPE.NSEC3)?.rdata
  const optOut = records.some(record => record.type === TYPE.NSEC3 && (record.rdata[1]! & 1) !== 0)
  const value = encodeZoneRecord({
    namesRoot: names.root,
    nsec3Root: nsec3.root,
    serial: 1,
    sourceSerial: 1,
    denial: parameters !== undefined ? (optOut ? 3 : 2) : records.some(one => one.type === TYPE.NSEC) ? 1 : 0,
    signed: records.some(record => record.type === TYPE.RRSIG),
    nsec3: {
      iterations: parameters === undefined ? 0 : (parameters[2]! << 8) | parameters[3]!,
      salt: parameters === undefined ? new Uint8Array(0) : parameters.slice(5, 5 + parameters[4]!),
    },
    names: owners.length,
    records: records.length,
    apex: soa.owner,
  })
  return { apexKey, value, drafts: nsec3.root === 0 ? [names] : [names, nsec3] }
}

/** Keys of the owners of NSEC3 records. */
function hashedOwners(records: readonly TestRecord[]): Set<string> {
  return new Set(records.filter(record => record.type === TYPE.NSEC3).map(record => hex(keyOf(record.owner))))
}

function isHashed({ owner, type, rdata }: TestRecord, hashed: ReadonlySet<string>): boolean {
  const covered = type === TYPE.RRSIG ? (rdata[0]! << 8) | rdata[1]! : type
  return covered === TYPE.NSEC3 && hashed.has(hex(keyOf(owner)))
}

function ownersOf(records: readonly TestRecord[], apexOctets: number): Map<string, Owner> {
  const owners = new Map<string, Owner>()
  for (const record of records) {
    const key = keyOf(record.owner).slice(apexOctets)
    const owner = owners.get(hex(key)) ?? { key, flags: 0, cutLabels: 0, records: [] }
    owners.set(hex(key), owner)
    owner.records.push(record)
  }
  return owners
}

/** Sorted, with empty non-terminals, flags and cuts (I1). */
function annotate(owners: Map<string, Owner>): Owner[] {
  for (const { key } of [...owners.values()]) {
    for (let end = key.length; end > 0; ) {
      end = parentKeyLength(key, end)
      const ancestor = key.slice(0, end)
      if (!owners.has(hex(ancestor))) {
        owners.set(hex(ancestor), {
          key: ancestor,
          flags: NODE_EMPTY_NON_TERMINAL,
          cutLabels: 0,
          records: [],
        })
      }
    }
  }
  const sorted = [...owners.values()].sort((a, b) => compareOctets(a.key, b.key))
  let cut: Owner | undefined
  for (const owner of sorted) {
    const { key, records } = owner
    if (key.length === 0) owner.flags |= NODE_APEX
    else if (key[key.length - 2] === 0x2a && (key.length === 2 || key[key.length - 3] === 0)) {
      owners.get(hex(key.slice(0, key.length - 2)))!.flags |= NODE_WILDCARD_CHILD
    }
    if (cut !== undefined && key.length > cut.key.length && startsWith(key, cut.key)) {
      owner.flags |= NODE_OCCLUDED
      owner.cutLabels = keyLabelCount(cut.key)
      continue
    }
    cut = undefined
    if (key.length > 0 && records.some(record => record.type === TYPE.NS)) owner.flags |= NODE_DELEGATION
    if (records.some(record => record.type === TYPE.DNAME)) owner.flags |= NODE_DNAME
    if ((owner.flags & (NODE_DELEGATION | NODE_DNAME)) !== 0) cut = owner
  }
  return sorted
}

function nodeOf({ flags, cutLabels, records }: Owner): Uint8Array {
  const types = new Map<number, { ttl: number; rdata: Uint8Array[]; signatures: Uint8Array[] }>()
  for (const { type, ttl, rdata } of records) {
    const covered = type === TYPE.RRSIG ? (rdata[0]! << 8) | rdata[1]! : type
    const rrset = types.get(covered) ?? { ttl, rdata: [], signatures: [] }
    types.set(covered, rrset)
    ;(type === TYPE.RRSIG ? rrset.signatures : rrset.rdata).push(rdata)
  }
  const rrsets: NodeRRset[] = [...types]
    .sort(([a], [b]) => a - b)
    .map(([type, { ttl, rdata, signatures }]) => ({
      type,
      source: 0,
      ttl,
      rdata: rdata.sort(compareOctets),
      signatures,
    }))
  return encodeNode({ flags, cutLabels, rrsets })
}

function startsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((octet, index) => key[index] === octet)
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString('hex')
}

function fromBase32hex(text: string): Uint8Array {
  const out: number[] = []
  let bits = 0
  let count = 0
  for (const character of text.toLowerCase()) {
    bits = (bits << 5) | '0123456789abcdefghijklmnopqrstuv'.indexOf(character)
    count += 5
    if (count >= 8) {
      count -= 8
      out.push((bits >> count) & 255)
    }
  }
  return Uint8Array.from(out)
}
