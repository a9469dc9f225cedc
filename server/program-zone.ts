/** Zones that a program owns: changes to RRsets, as the content edits that the version builder takes.
 *  I1  A change is whole or refused: nothing of a faulty one reaches the zone.
 *  I2  DNSSEC records belong to the signer; a program cannot set them. */
import { ConclaveError } from '../base/index.ts'
import type { ContentEdit } from '../signer/index.ts'
import {
  compareCanonicalRdata,
  compareOctets,
  decodeNode,
  encodeNode,
  type Name,
  type NodeRRset,
  nameFromText,
  nameOfKey,
  nameToText,
  type ProgramRecord,
  rdataFromText,
  relativeKeyOf,
  SOURCE_PROGRAM,
  SOURCE_SIGNER,
  TYPE,
  typeFromText,
  typeToText,
} from '../zones/index.ts'

/** A record as text: `{ name: 'www', type: 'A', ttl: 300, data: '192.0.2.1' }`. Names are relative to the zone. */
export interface RecordText {
  readonly name: string
  readonly type: string
  /** Seconds; default 3600. */
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
const SIGNER_TYPES: readonly number[] = [
  TYPE.RRSIG,
  TYPE.NSEC,
  TYPE.NSEC3,
  TYPE.NSEC3PARAM,
  TYPE.DNSKEY,
  TYPE.CDNSKEY,
  TYPE.CDS,
  TYPE.ZONEMD,
]

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

function typeOf(text: string): number {
  const type = typeFromText(text)
  if (type !== undefined) return type
  throw new ConclaveError('RECORD_TYPE', `${JSON.stringify(text)} is no type of records`, {
    remedy: 'Use a mnemonic such as A, or TYPE65280 (RFC 3597 §5).',
  })
}

/** What is asked of one owner name. */
interface OwnerChange {
  readonly key: Uint8Array
  readonly remove: { readonly type?: number; readonly rdata?: Uint8Array }[]
  readonly add: ProgramRecord[]
}

/** The edits that changes make of a zone, in ascending order of keys. `read` gives the node that is served.
 *  @throws ConclaveError for the first fault (I1) */
export function editsOf(
  changes: readonly ZoneChange[],
  apex: Name,
  apexKey: Uint8Array,
  read: (key: Uint8Array) => Uint8Array | undefined,
): ContentEdit[] {
  const owners = new Map<string, OwnerChange>()
  // One change after the other, so that a later one sees what an earlier one did.
  const contents = new Map<string, readonly NodeRRset[]>()
  for (const change of changes) {
    owners.clear()
    collect(change, apex, apexKey, owners)
    for (const [text, owner] of owners) {
      const before = contents.get(text) ?? contentOf(read(owner.key))
      contents.set(text, changedRRsets(before, owner, apex))
    }
  }
  const edits = [...contents].map(([text, rrsets]) => ({ key: Buffer.from(text, 'latin1'), rrsets }))
  edits.sort((a, b) => compareOctets(a.key, b.key))
  return edits.map(({ key, rrsets }) => ({
    key: new Uint8Array(key),
    node: rrsets.length === 0 ? null : encodeNode({ flags: 0, cutLabels: 0, rrsets }),
  }))
}

function collect(
  change: ZoneChange,
  apex: Name,
  apexKey: Uint8Array,
  owners: Map<string, OwnerChange>,
): void {
  const ownerOf = (owner: Name, type: number | undefined): OwnerChange => {
    const key = relativeKeyOf(owner, apexKey)
    if (key === undefined) throw changeFault('RECORD_OUTSIDE', owner, type, 'the name is not in the zone')
    if (type !== undefined && SIGNER_TYPES.includes(type)) {
      throw changeFault('RECORD_OF_SIGNER', owner, type, 'records of this type are made by the signer')
    }
    const text = Buffer.from(key).toString('latin1')
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
    ownerOf(record.owner, record.type).add.push(record)
  }
}

function changeFault(code: string, owner: Name, type: number | undefined, what: string): ConclaveError {
  const typeText = type === undefined ? '' : ` ${typeToText(type)}`
  return new ConclaveError(code, what, { place: { record: nameToText(owner) + typeText } })
}

/** What the program has said of a name so far: no records of the signer, no signatures. */
function contentOf(node: Uint8Array | undefined): readonly NodeRRset[] {
  if (node === undefined) return []
  const { rrsets } = decodeNode(node)
  return rrsets
    .filter(rrset => rrset.source !== SOURCE_SIGNER && rrset.rdata.length > 0)
    .map(rrset => ({ ...rrset, signatures: [] }))
}

function changedRRsets(before: readonly NodeRRset[], owner: OwnerChange, apex: Name): readonly NodeRRset[] {
  let rrsets = before
  for (const { type, rdata } of owner.remove) rrsets = without(rrsets, type, rdata)
  for (const record of owner.add) rrsets = withRecord(rrsets, record)
  checkOwner(rrsets, owner, apex)
  return rrsets
}

function without(rrsets: readonly NodeRRset[], type?: number, rdata?: Uint8Array): NodeRRset[] {
  return rrsets.flatMap(rrset => {
    if (type !== undefined && rrset.type !== type) return [rrset]
    if (type === undefined || rdata === undefined) return []
    const left = rrset.rdata.filter(one => compareCanonicalRdata(type, one, rdata) !== 0)
    return left.length === 0 ? [] : [{ ...rrset, rdata: left }]
  })
}

/** RFC 2181 §5.2: an RRset has one TTL; the newest record says it. A second SOA or CNAME takes the first one's place. */
function withRecord(rrsets: readonly NodeRRset[], record: ProgramRecord): NodeRRset[] {
  const { type, ttl, rdata } = record
  const single = type === TYPE.SOA || type === TYPE.CNAME || type === TYPE.DNAME
  const old = single ? [] : (rrsets.find(rrset => rrset.type === type)?.rdata ?? [])
  const others = old.filter(one => compareCanonicalRdata(type, one, rdata) !== 0)
  const sorted = [...others, rdata].sort((a, b) => compareCanonicalRdata(type, a, b))
  const changed = { type, source: SOURCE_PROGRAM, ttl, rdata: sorted, signatures: [] }
  return [...rrsets.filter(rrset => rrset.type !== type), changed].sort((a, b) => a.type - b.type)
}

function checkOwner(rrsets: readonly NodeRRset[], owner: OwnerChange, apex: Name): void {
  const name = nameOfKey(owner.key, apex)
  const has = (type: number): boolean => rrsets.some(rrset => rrset.type === type)
  if (owner.key.length === 0 && !has(TYPE.SOA)) {
    throw changeFault('ZONE_WITHOUT_SOA', name, TYPE.SOA, 'the apex must keep its SOA')
  }
  if (owner.key.length > 0 && has(TYPE.SOA)) {
    throw changeFault('SOA_BELOW_APEX', name, TYPE.SOA, 'only the apex has a SOA')
  }
  if (has(TYPE.CNAME) && rrsets.length > 1) {
    // RFC 2181 §10.1; what RFC 4035 §2.5 allows beside it is the signer's own.
    throw changeFault('CNAME_AND_OTHER', name, TYPE.CNAME, 'a name with a CNAME has no other records')
  }
}
