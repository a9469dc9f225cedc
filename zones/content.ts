/** The unsigned content of a zone, out of a zone file or of records that a program has, as a names tree of the store.
 *
 *    text ──parseZone──▶ records ──OwnerRecords──▶ nodes ──▶ TreeDraft
 *
 *  I1  Nodes have no flags but CASE, no cuts marked, no empty non-terminals: a version is built from the content later.
 *  I2  RRSIGs stand behind the RRset they cover; one that covers nothing is an RRset with no records. NSEC and NSEC3 are
 *      RRsets at their owner names, hashed ones too.
 *  I3  The apex is the owner of the first SOA; records outside of it are left out, with a warning.
 *  I4  A failed reading leaves nothing in the store. */

import type { Place } from '../base/index.ts'
import { type Fault, FaultList } from './fault.ts'
import { KeyGap } from './key-gap.ts'
import {
  asName,
  isAtOrBelow,
  KEY_OCTETS_MAX,
  keyOf,
  lowerCase,
  NAME_OCTETS_MAX,
  type Name,
  nameToText,
  rootName,
  writeKey,
} from './name.ts'
import {
  findRRset,
  NODE_CASE,
  NODE_HEADER_OCTETS,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  SOURCE_FILE,
  SOURCE_PROGRAM,
  u16,
  u32,
} from './node.ts'
import { OwnerRecords, type ReportRecord } from './owner-records.ts'
import { rdataFault } from './rdata-check.ts'
import { faultOf, type RuleCode } from './rules.ts'
import type { TreeDraft } from './store/draft.ts'
import type { Store } from './store/store.ts'
import { isMetaType, TYPE, typeToText } from './types.ts'
import { type ParseOptions, parseZone, type RecordPlace, type RecordSink } from './zonefile.ts'

export interface ZoneContent {
  /** As the SOA's owner is spelled. */
  readonly apex: Name
  readonly apexKey: Uint8Array
  readonly tree: TreeDraft
  readonly soaSerial: number
  /** Owner names. */
  readonly names: number
  /** Records, RRSIGs included. */
  readonly records: number
  /** Paths of the files that the text included. */
  readonly includes: readonly string[]
  readonly warnings: readonly Fault[]
  /** There are RRSIG, NSEC or NSEC3 records. */
  readonly presigned: boolean
}

export type ContentOutcome =
  | { readonly kind: 'content'; readonly content: ZoneContent }
  | { readonly kind: 'faults'; readonly faults: readonly Fault[] }

export interface ProgramRecord {
  readonly owner: Name
  readonly type: number
  readonly ttl: number
  /** Uncompressed wire form. */
  readonly rdata: Uint8Array
}

/** Reads a whole zone file. Faults when there is an error, all of them; warnings alone come with the content.
 *  @throws ConclaveError STORE_FULL */
export function readContent(store: Store, text: Uint8Array, options: ParseOptions): ContentOutcome {
  const parseOptions = { ...options, ...(options.read === undefined ? {} : { read: readOnce(options.read) }) }
  const faults = new FaultList()
  const builder = new ContentBuilder(store.newTree(), SOURCE_FILE, faults)
  try {
    const sink = new ContentSink(builder, () => findApex(text, parseOptions))
    const parsed = parseZone(text, parseOptions, sink)
    faults.addAll(parsed.errors)
    faults.addAll(parsed.warnings)
    return builder.finish(parsed.includes, { file: options.file })
  } catch (error) {
    builder.discard()
    throw error
  }
}

/** The same from records that a program gives, in any order.
 *  @throws ConclaveError STORE_FULL */
export function contentFromRecords(
  store: Store,
  apex: Name,
  records: Iterable<ProgramRecord>,
): ContentOutcome {
  const faults = new FaultList()
  const builder = new ContentBuilder(store.newTree(), SOURCE_PROGRAM, faults)
  try {
    builder.begin(apex)
    for (const record of records) addProgramRecord(builder, record, faults)
    return builder.finish([], { zone: nameToText(apex) })
  } catch (error) {
    builder.discard()
    throw error
  }
}

function addProgramRecord(builder: ContentBuilder, record: ProgramRecord, faults: FaultList): void {
  const { owner, type, ttl, rdata } = record
  const what = isMetaType(type)
    ? 'a meta-type; expected a type of data'
    : rdataFault(type, rdata, 0, rdata.length)
  const place = { record: `${nameToText(owner)} ${typeToText(type)}` }
  if (what !== undefined) faults.add(faultOf('rdata', what, place))
  else builder.add(owner, !builder.isOwner(owner), type, ttl, rdata, 0, rdata.length, 0)
}

/** An included file is read once, also when the text is gone through twice. */
function readOnce(read: NonNullable<ParseOptions['read']>): NonNullable<ParseOptions['read']> {
  const files = new Map<string, Uint8Array>()
  return (path, from) => {
    const known = files.get(path)
    if (known !== undefined) return known
    const octets = read(path, from)
    files.set(path, octets)
    return octets
  }
}

/** The owner of the first SOA, for the rare file whose first record is another. */
function findApex(text: Uint8Array, options: ParseOptions): Name | undefined {
  let apex: Name | undefined
  const sink = {
    done: false,
    record(owner: Name, _new: boolean, type: number): void {
      if (type !== TYPE.SOA) return
      apex = asName(owner.slice())
      sink.done = true
    },
  }
  parseZone(text, options, sink)
  return apex
}

/** Lines and files as one number for each record: line + LINES × file. */
const LINES = 2 ** 32

/** Records of the parser, handed on with their places. */
class ContentSink implements RecordSink {
  readonly #builder: ContentBuilder
  readonly #findApex: () => Name | undefined
  readonly #files: string[] = []
  #file: string | undefined = undefined
  #fileBase = 0
  #withoutSoa = false

  constructor(builder: ContentBuilder, apexOf: () => Name | undefined) {
    this.#builder = builder
    this.#findApex = apexOf
    builder.placeOf = place => this.#place(place)
  }

  record(
    owner: Name,
    newOwner: boolean,
    type: number,
    ttl: number,
    rdata: Uint8Array,
    start: number,
    end: number,
    at: RecordPlace,
  ): void {
    if (!this.#builder.begun && !this.#begin(owner, type)) return
    if (at.file !== this.#file) this.#enter(at.file)
    this.#builder.add(owner, newOwner, type, ttl, rdata, start, end, this.#fileBase + at.line)
  }

  /** At the first record. Without any SOA nothing can be kept, but the text is still read for its faults. */
  #begin(owner: Name, type: number): boolean {
    if (this.#withoutSoa) return false
    const apex = type === TYPE.SOA ? asName(owner.slice()) : this.#findApex()
    if (apex !== undefined) this.#builder.begin(apex)
    this.#withoutSoa = apex === undefined
    return apex !== undefined
  }

  #enter(file: string): void {
    let index = this.#files.indexOf(file)
    if (index < 0) index = this.#files.push(file) - 1
    this.#file = file
    this.#fileBase = index * LINES
  }

  #place(place: number): Place {
    const file = this.#files[Math.floor(place / LINES)]
    return file === undefined || place % LINES === 0 ? {} : { file, line: place % LINES }
  }
}

/** Collects the records of an owner, and writes its node when another owner comes. */
class ContentBuilder {
  begun = false
  /** Turns the number that `add` was given with a record into its place. */
  placeOf: (place: number) => Place = () => ({})
  readonly #tree: TreeDraft
  readonly #source: number
  readonly #faults: FaultList
  readonly #records = new OwnerRecords()
  #apex: Name = rootName
  #apexKeyOctets = 0
  /** The owner whose records are being collected, and its absolute key. */
  readonly #owner = new Uint8Array(NAME_OCTETS_MAX)
  #ownerOctets = 0
  readonly #key = new Uint8Array(KEY_OCTETS_MAX)
  #keyOctets = 0
  readonly #gap: KeyGap
  #outside = false
  #recordCount = 0
  #soaSeen = false
  #presigned = false
  readonly #report: ReportRecord = (rule, what, type, index) =>
    this.#fault(rule, what, type, this.#records.places[index]!)

  constructor(tree: TreeDraft, source: number, faults: FaultList) {
    this.#tree = tree
    this.#gap = new KeyGap(tree)
    this.#source = source
    this.#faults = faults
  }

  begin(apex: Name): void {
    this.begun = true
    this.#apex = apex
    this.#apexKeyOctets = writeKey(apex, 0, this.#key)
  }

  /** Whether records are being collected for this owner, spelled like this. */
  isOwner(owner: Uint8Array): boolean {
    if (owner.length !== this.#ownerOctets) return false
    for (let at = 0; at < owner.length; at++) if (owner[at] !== this.#owner[at]) return false
    return true
  }

  /** Takes a record; `newOwner` when it is not that of the record before. Octets are copied. */
  add(
    owner: Name,
    newOwner: boolean,
    type: number,
    ttl: number,
    rdata: Uint8Array,
    start: number,
    end: number,
    place: number,
  ): void {
    if (newOwner) this.#enter(owner, type, place)
    if (this.#outside) return
    if (type === TYPE.SOA && this.#keyOctets > this.#apexKeyOctets) {
      this.#fault('soa-below-apex', 'SOA below the apex; expected SOA at the apex only', type, place)
      return
    }
    if (type === TYPE.SOA) this.#soaSeen = true
    else if (type === TYPE.RRSIG || type === TYPE.NSEC || type === TYPE.NSEC3) this.#presigned = true
    this.#records.add(type, ttl, rdata, start, end, place)
  }

  #enter(owner: Name, type: number, place: number): void {
    this.#flush()
    const octets = this.#owner
    for (let at = 0; at < owner.length; at++) octets[at] = owner[at]!
    this.#ownerOctets = owner.length
    this.#outside = !isAtOrBelow(owner, this.#apex)
    if (!this.#outside) this.#keyOctets = writeKey(owner, 0, this.#key)
    else
      this.#fault(
        'out-of-zone',
        `a record outside of the zone ${nameToText(this.#apex)}; it is left out`,
        type,
        place,
      )
  }

  #flush(): void {
    const records = this.#records
    if (records.count === 0) return
    if (this.#gap.has(this.#key, this.#apexKeyOctets, this.#keyOctets)) this.#merge()
    const labels = this.#ownerOctets - this.#apex.length
    const spellingEnd = hasCapital(this.#owner, labels) ? labels : 0
    const octets = records.write(this.#source, this.#owner, this.#ownerOctets, spellingEnd, this.#report)
    this.#tree.putRange(this.#key, this.#apexKeyOctets, this.#keyOctets, records.out, 0, octets)
    this.#recordCount += records.written
    records.clear()
  }

  /** Adds the records that the owner has in the tree already, and takes the spelling that it has there. */
  #merge(): void {
    const node = this.#tree.get(this.#key.subarray(this.#apexKeyOctets, this.#keyOctets))!
    this.#recordCount -= this.#records.addNode(node)
    const cased = (node[0]! & NODE_CASE) !== 0
    const labels = this.#ownerOctets - this.#apex.length
    for (let at = 0; at < labels; at++) {
      this.#owner[at] = cased ? node[NODE_HEADER_OCTETS + 1 + at]! : lowerCase[this.#owner[at]!]!
    }
  }

  #fault(rule: RuleCode, what: string, type: number, place: number): void {
    const owner = nameToText(this.#owner.subarray(0, this.#ownerOctets))
    const where = { ...this.placeOf(place), record: `${owner} ${typeToText(type)}` }
    this.#faults.add(faultOf(rule, what, where))
  }

  /** The last node, and what there is to say of the whole. `place` is that of the zone. */
  finish(includes: readonly string[], place: Place): ContentOutcome {
    this.#flush()
    const faults = this.#faults
    if (!this.#soaSeen && faults.errors.length === 0) {
      const what = 'no SOA record; expected one at the apex, whose owner is the name of the zone'
      faults.add(faultOf('soa-missing', what, place))
    }
    if (faults.errors.length > 0) {
      this.discard()
      return { kind: 'faults', faults: faults.all() }
    }
    return { kind: 'content', content: this.#content(includes) }
  }

  #content(includes: readonly string[]): ZoneContent {
    const tree = this.#tree
    const node = tree.get(new Uint8Array(0))!
    const soa = findRRset(node, 0, TYPE.SOA) + RRSET_HEADER_OCTETS
    // SERIAL is the first of five 32-bit fields at the end (RFC 1035 §3.3.13).
    const serialAt = soa + RECORD_HEADER_OCTETS + u16(node, soa + 10) - 20
    return {
      apex: this.#apex,
      apexKey: keyOf(this.#apex),
      tree,
      soaSerial: u32(node, serialAt),
      names: tree.count,
      records: this.#recordCount,
      includes,
      warnings: this.#faults.all(),
      presigned: this.#presigned,
    }
  }

  discard(): void {
    this.#tree.discard()
  }
}

/** Whether one of the first `end` octets of an owner is a capital. Length octets are below all capitals. */
function hasCapital(owner: Uint8Array, end: number): boolean {
  for (let at = 0; at < end; at++) if (owner[at]! >= 0x41 && owner[at]! <= 0x5a) return true
  return false
}
