/** The unsigned content of a zone, out of a zone file or of records that a program has, as a names tree of the store.
 *
 *    text ──parseZone──▶ records ──ContentBuilder──▶ nodes ──▶ TreeDraft
 *
 *  I1  Nodes have no flags but CASE, no cuts marked, no empty non-terminals: a version is built from the content later.
 *  I2  RRSIGs stand behind the RRset they cover; one that covers nothing is an RRset with no records. NSEC and NSEC3 are
 *      RRsets at their owner names, hashed ones too.
 *  I3  The apex is the owner of the first SOA; records outside of it are left out, with a warning.
 *  I4  A failed reading leaves nothing in the store. */

import { atOnce, type Place, type Steps } from '../base/index.ts'
import { ContentBuilder } from './content-builder.ts'
import { type Fault, FaultList } from './fault.ts'
import { asName, type Name, nameToText } from './name.ts'
import { SOURCE_FILE, SOURCE_PROGRAM } from './node.ts'
import { rdataFault } from './rdata-check.ts'
import { faultOf } from './rules.ts'
import type { TreeDraft } from './store/draft.ts'
import type { Store } from './store/store.ts'
import { isMetaType, TYPE, typeToText } from './types.ts'
import { type ParseOptions, parseSteps, parseZone, type RecordPlace, type RecordSink } from './zonefile.ts'

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
  return atOnce(contentSteps(store, text, options))
}

/** What whoever reads a large text is told on the way. */
export interface TextReading {
  /** The text before that offset is needed no more. */
  letGoBefore?(at: number): void
  /** None of it is. Called in the end, whatever happens. */
  letGo?(): void
  readonly onLandmark?: NonNullable<ParseOptions['onLandmark']>
}

/** The same in steps. */
export function* contentSteps(
  store: Store,
  text: Uint8Array,
  options: ParseOptions,
  reading?: TextReading,
): Steps<ContentOutcome> {
  const faults = new FaultList()
  const builder = new ContentBuilder(store.newTree(), SOURCE_FILE, faults)
  try {
    const told = toldOptions(options, builder, reading)
    const sink = new ContentSink(builder, () => findApex(text, { ...options, read: told.read }))
    const parsed = yield* parseSteps(text, told, sink)
    reading?.letGo?.()
    faults.addAll(parsed.errors)
    faults.addAll(parsed.warnings)
    return yield* builder.finish(parsed.includes, { file: options.file })
  } catch (error) {
    reading?.letGo?.()
    builder.discard()
    throw error
  }
}

/** Until its apex is known, a text may have to be read again from its start. */
function toldOptions(
  { file, origin, read, context, landmarkOctets }: ParseOptions,
  builder: ContentBuilder,
  reading: TextReading | undefined,
): ParseOptions {
  const onPassed = (at: number): void => {
    if (builder.begun) reading?.letGoBefore?.(at)
  }
  const onLandmark = reading?.onLandmark
  return { file, origin, read: read && readOnce(read), context, landmarkOctets, onLandmark, onPassed }
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
    return atOnce(builder.finish([], { zone: nameToText(apex) }))
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
  else {
    if (!builder.isOwner(owner)) builder.enter(asName(owner.slice()))
    builder.add(type, ttl, rdata, 0, rdata.length, 0)
  }
}

/** An included file is read once, also when the text is gone through twice. */
function readOnce(read: NonNullable<ParseOptions['read']>): NonNullable<ParseOptions['read']> {
  let files: Map<string, Uint8Array> | undefined
  return (path, from) => {
    files ??= new Map()
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

  rdataAt(owner: Name, newOwner: boolean, type: number): number {
    const builder = this.#builder
    if (!builder.begun && !this.#begin(owner, type)) return -1
    if (newOwner) builder.enter(owner)
    return builder.rdataAt(type)
  }

  get octets(): Uint8Array {
    return this.#builder.octets
  }

  record(
    _owner: Name,
    _newOwner: boolean,
    type: number,
    ttl: number,
    rdata: Uint8Array,
    start: number,
    end: number,
    at: RecordPlace,
  ): void {
    if (!this.#builder.begun) return
    if (at.file !== this.#file) this.#enter(at.file)
    this.#builder.add(type, ttl, rdata, start, end, this.#fileBase + at.line)
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
