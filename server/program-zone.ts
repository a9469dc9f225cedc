/** Zones that a program owns: changes to RRsets, as the content edits that the version builder takes.
 *  I1  A change is whole or refused: nothing of a faulty one reaches the zone.
 *  I2  What only the signer makes, a program cannot set.
 *  I3  Each change sees those before it; together they leave a zone that lint has no error for. */
import { ConclaveError } from '../base/index.ts'
import { type ContentEdit, isSignersType } from '../signer/index.ts'
import {
  compareCanonicalRdata,
  compareOctets,
  decodeNode,
  encodeNode,
  isMetaType,
  type Name,
  type NodeRRset,
  nameFromText,
  type ProgramRecord,
  rdataFromText,
  relativeKeyOf,
  SOURCE_FOREIGN,
  SOURCE_PROGRAM,
  SOURCE_SIGNER,
  type Store,
  TYPE,
  typeFromText,
} from '../zones/index.ts'
import {
  changeFault,
  checkOwner,
  checkPlace,
  isCut,
  type OwnerContent,
  type ProgramContent,
} from './program-lint.ts'

/** A record as text: `{ name: 'www', type: 'A', ttl: 300, data: '192.0.2.1' }`. Names are relative to the zone. */
export interface RecordText {
  readonly name: string
  readonly type: string
  /** Seconds; default that of the RRset, or else 3600. */
  readonly ttl?: number
  readonly data: string
}

/** Removals come first, so a change of a record is its removal and its addition. */
export interface ZoneChange {
  /** Without data the whole RRset goes, without a type all RRsets of the name. */
  readonly remove?: readonly { readonly name: string; readonly type?: string; readonly data?: string }[]
  readonly add?: readonly RecordText[]
}

const TTL_DEFAULT = 3600
const TTL_MAX = 0x7fffffff

/** @throws ConclaveError NAME_SYNTAX, RECORD_TYPE, RECORD_TTL, and what RDATA text can have wrong */
export function recordFromText(record: RecordText, apex: Name): ProgramRecord {
  const type = typeOf(record.type)
  const ttl = record.ttl ?? TTL_DEFAULT
  if (!Number.isInteger(ttl) || ttl < 0 || ttl > TTL_MAX) {
    throw new ConclaveError('RECORD_TTL', `${ttl} is no TTL`, {
      place: { record: `${record.name} ${record.type}` },
      remedy: 'A TTL is a whole number of seconds from 0 to 2147483647 (RFC 2181 §8).',
    })
  }
  return { owner: nameFromText(record.name, apex), type, ttl, rdata: rdataFromText(type, record.data, apex) }
}

/** I2.
 *  @throws ConclaveError RECORD_OF_SIGNER */
export function checkSigner(record: ProgramRecord, apex: Name): void {
  const atApex = record.owner.length === apex.length
  if (isSignersType(record.type, atApex)) throw ofSigner(record.owner, record.type)
}

function ofSigner(owner: Name, type: number): ConclaveError {
  return changeFault('RECORD_OF_SIGNER', owner, type, 'records of this type are made by the signer')
}

function typeOf(text: string): number {
  const type = typeFromText(text)
  if (type !== undefined && !isMetaType(type)) return type
  throw new ConclaveError('RECORD_TYPE', `${JSON.stringify(text)} is no type of records`, {
    remedy: 'Use a mnemonic such as A, or TYPE65280 (RFC 3597 §5).',
  })
}

/** What is asked of one owner name. */
interface OwnerChange {
  readonly key: Uint8Array
  readonly remove: { readonly type?: number; readonly rdata?: Uint8Array }[]
  readonly add: (ProgramRecord & { readonly ttlSaid: boolean })[]
}

/** The served version, as far as changes look at it. */
export interface ServedNodes {
  /** The node of that key, copied. */
  node(key: Uint8Array): Uint8Array | undefined
  /** Keys of nodes below that key. */
  below(key: Uint8Array): Iterable<Uint8Array>
}

/** The names tree `root` of the store; 0: nothing is served. */
export function servedNodes(store: Store, root: number): ServedNodes {
  const reading = store.readTree()
  return {
    node: key => {
      if (root === 0 || !reading.find(root, key, 0, key.length)) return undefined
      return reading.bytes.slice(reading.valueStart, reading.valueEnd)
    },
    *below(key) {
      const cursor = store.readTree()
      let placed = root !== 0 && cursor.seekCeiling(root, key, 0, key.length)
      for (; placed; placed = cursor.next()) {
        const here = cursor.key.slice(0, cursor.loadKey())
        if (Buffer.compare(here.subarray(0, key.length), key) !== 0) return
        if (here.length > key.length) yield here
      }
    },
  }
}

/** Changes to one version of a zone, one after the other. */
export class ChangeSet implements ProgramContent {
  readonly apex: Name
  readonly #apexKey: Uint8Array
  readonly #signs: boolean
  readonly #served: ServedNodes
  /** What was looked at in the served version, by key. */
  readonly #read = new Map<string, OwnerContent>()
  #changed = new Map<string, OwnerContent>()
  /** The change that is being looked at. */
  #staged = new Map<string, OwnerContent>()

  /** `signs`: the signer's types are not for programs (I2). */
  constructor(apex: Name, apexKey: Uint8Array, served: ServedNodes, signs = true) {
    this.apex = apex
    this.#apexKey = apexKey
    this.#served = served
    this.#signs = signs
  }

  /** Takes the change, or throws and takes nothing of it (I1).
   *  @throws ConclaveError */
  add(change: ZoneChange): void {
    this.#take(() => [...this.#collect(change).values()].map(owner => this.#apply(owner)))
  }

  /** The same for owners as they are from now on.
   *  @throws ConclaveError */
  replace(edits: readonly ContentEdit[]): void {
    const owners = edits.map(({ key, node }) => contentOf(key, node ?? undefined))
    for (const owner of owners) checkOwner(owner, this.apex)
    this.#take(() => owners)
  }

  #take(owners: () => readonly OwnerContent[]): void {
    this.#staged = new Map()
    try {
      for (const owner of owners()) this.#staged.set(keyText(owner.key), owner)
      for (const owner of this.#staged.values()) {
        checkPlace(this, owner)
        // Names that a zone cut has hidden are looked at for the first time.
        if (isCut(this.#before(owner.key)) && !isCut(owner)) {
          for (const below of this.below(owner.key)) checkPlace(this, below)
        }
      }
      for (const [text, owner] of this.#staged) this.#changed.set(text, owner)
    } finally {
      this.#staged = new Map()
    }
  }

  /** In ascending order of keys. */
  edits(): ContentEdit[] {
    const owners = [...this.#changed.values()].sort((a, b) => compareOctets(a.key, b.key))
    return owners.map(({ key, spelling, rrsets }) => {
      const base = { flags: 0, cutLabels: 0, rrsets }
      const node = encodeNode(spelling === undefined ? base : { ...base, spelling })
      return { key, node: rrsets.length === 0 ? null : node }
    })
  }

  owner(key: Uint8Array): OwnerContent {
    return this.#staged.get(keyText(key)) ?? this.#before(key)
  }

  #before(key: Uint8Array): OwnerContent {
    const text = keyText(key)
    const known = this.#changed.get(text) ?? this.#read.get(text)
    if (known !== undefined) return known
    const read = contentOf(key, this.#served.node(key))
    this.#read.set(text, read)
    return read
  }

  *below(key: Uint8Array): Generator<OwnerContent> {
    for (const served of this.#served.below(key)) yield this.owner(served)
    for (const changed of [this.#changed, this.#staged]) {
      for (const owner of changed.values()) if (isBelow(owner.key, key)) yield this.owner(owner.key)
    }
  }

  #collect(change: ZoneChange): Map<string, OwnerChange> {
    const owners = new Map<string, OwnerChange>()
    const { apex } = this
    const ownerOf = (owner: Name, type: number | undefined): OwnerChange => {
      const key = relativeKeyOf(owner, this.#apexKey)
      if (key === undefined) throw changeFault('RECORD_OUTSIDE', owner, type, 'the name is not in the zone')
      if (this.#signs && type !== undefined && isSignersType(type, key.length === 0))
        throw ofSigner(owner, type)
      const text = keyText(key)
      const known = owners.get(text) ?? { key, remove: [], add: [] }
      owners.set(text, known)
      return known
    }
    for (const { name, type: typeText, data } of change.remove ?? []) {
      const type = typeText === undefined ? undefined : typeOf(typeText)
      const rdata = type === undefined || data === undefined ? undefined : rdataFromText(type, data, apex)
      const one = { ...(type === undefined ? {} : { type }), ...(rdata === undefined ? {} : { rdata }) }
      ownerOf(nameFromText(name, apex), type).remove.push(one)
    }
    for (const text of change.add ?? []) {
      const record = recordFromText(text, apex)
      ownerOf(record.owner, record.type).add.push({ ...record, ttlSaid: text.ttl !== undefined })
    }
    return owners
  }

  #apply(change: OwnerChange): OwnerContent {
    const before = this.owner(change.key)
    let { rrsets, spelling } = before
    for (const { type, rdata } of change.remove) rrsets = without(rrsets, type, rdata)
    for (const record of change.add) rrsets = withRecord(rrsets, record)
    const first = change.add[0]
    if (before.rrsets.length === 0 && first !== undefined) spelling = spellingOf(first.owner, this.apex)
    const owner = { key: change.key, rrsets, ...(spelling === undefined ? {} : { spelling }) }
    checkOwner(owner, this.apex)
    return owner
  }
}

function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
}

function isBelow(key: Uint8Array, above: Uint8Array): boolean {
  return key.length > above.length && compareOctets(key.subarray(0, above.length), above) === 0
}

/** Labels below the apex, when they have a capital (node I3). */
function spellingOf(owner: Name, apex: Name): Uint8Array | undefined {
  const labels = owner.subarray(0, owner.length - apex.length)
  return labels.some(octet => octet >= 0x41 && octet <= 0x5a) ? labels.slice() : undefined
}

/** What the program has said of a name so far: no records of the signer, no signatures. */
export function contentOf(key: Uint8Array, node: Uint8Array | undefined): OwnerContent {
  if (node === undefined) return { key, rrsets: [] }
  const { rrsets, spelling } = decodeNode(node)
  const own = rrsets
    .filter(({ source, rdata }) => source !== SOURCE_SIGNER && source !== SOURCE_FOREIGN && rdata.length > 0)
    .map(rrset => ({ ...rrset, signatures: [] }))
  return { key, rrsets: own, ...(spelling === undefined ? {} : { spelling }) }
}

function without(rrsets: readonly NodeRRset[], type?: number, rdata?: Uint8Array): NodeRRset[] {
  return rrsets.flatMap(rrset => {
    if (type !== undefined && rrset.type !== type) return [rrset]
    if (type === undefined || rdata === undefined) return []
    const left = rrset.rdata.filter(one => compareCanonicalRdata(type, one, rdata) !== 0)
    return left.length === 0 ? [] : [{ ...rrset, rdata: left }]
  })
}

/** RFC 2181 §5.2: an RRset has one TTL; the newest record that says one says it. A second SOA, CNAME or DNAME takes the
 *  first one's place. */
function withRecord(
  rrsets: readonly NodeRRset[],
  record: ProgramRecord & { readonly ttlSaid: boolean },
): NodeRRset[] {
  const { type, rdata } = record
  const before = rrsets.find(rrset => rrset.type === type)
  const ttl = before === undefined || record.ttlSaid ? record.ttl : before.ttl
  const old = isSingle(type) ? [] : (before?.rdata ?? [])
  const changed = { type, source: SOURCE_PROGRAM, ttl, rdata: inserted(type, old, rdata), signatures: [] }
  return [...rrsets.filter(rrset => rrset.type !== type), changed].sort((a, b) => a.type - b.type)
}

/** RFC 1035 §5.2, RFC 2181 §10.1, RFC 6672 §2.4: an owner has one record of these. */
export function isSingle(type: number): boolean {
  return type === TYPE.SOA || type === TYPE.CNAME || type === TYPE.DNAME
}

/** RFC 4034 §6.3: canonical order, each once. */
function inserted(type: number, sorted: readonly Uint8Array[], rdata: Uint8Array): Uint8Array[] {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareCanonicalRdata(type, sorted[middle]!, rdata) < 0) low = middle + 1
    else high = middle
  }
  const same = low < sorted.length && compareCanonicalRdata(type, sorted[low]!, rdata) === 0
  return [...sorted.slice(0, low), rdata, ...sorted.slice(same ? low + 1 : low)]
}
