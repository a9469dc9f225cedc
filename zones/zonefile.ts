/** Zone files (RFC 1035 §5, RFC 2308 §4, RFC 3597 §5): record lines and directives, read into a sink.
 *
 *    [owner] [TTL] [class] type RDATA      TTL and class in either order; no owner: that of the record before
 *    $ORIGIN name                          for relative names of what follows in this file
 *    $TTL ttl                              for records without a TTL
 *    $INCLUDE file [origin]                relative to this file; begins with the last owner; its origin and owner end with it
 *    $GENERATE range template              zones/generate.ts; its owners end with it
 *
 *  I1  A fault costs its logical line; all others are read, until FAULTS_MAX errors are collected.
 *  I2  The sink gets scratch octets that are good until it returns.
 *  I3  TTL of a record: its own; else $TTL's, also one of an included file (as BIND and NSD have it); else that of the
 *      last record that had one (RFC 1035 §5.1); else the SOA's MINIMUM; else TTL_DEFAULT, with a warning. */

import { atOnce, ConclaveError, type Place, type Steps } from '../base/index.ts'
import { type Fault, FaultList } from './fault.ts'
import type { ReadFile } from './include.ts'
import { type Name, nameFromText } from './name.ts'
import { type ParserScratch, parserScratch, ZoneParser } from './zone-parser.ts'

/** Where the record that a sink is given stands. */
export interface RecordPlace {
  readonly file: string
  readonly line: number
  place(): Place
}

export interface RecordSink {
  /** For sinks that care where RDATA is read to: called before it is, and says where in `octets`, with
   *  RDATA_SCRATCH_OCTETS of room; −1: anywhere. Then `newOwner` is told here alone, the owner's octets stay until
   *  another one is told, and a record follows unless there is a fault. */
  rdataAt?(owner: Name, newOwner: boolean, type: number): number
  readonly octets?: Uint8Array
  /** `newOwner`: the owner's octets differ from the record's before. Owner and RDATA are scratch (I2). */
  record(
    owner: Name,
    newOwner: boolean,
    type: number,
    ttl: number,
    rdata: Uint8Array,
    start: number,
    end: number,
    at: RecordPlace,
  ): void
  /** Set by a sink that has seen enough: reading stops. */
  readonly done?: boolean
}

export interface ParseOptions {
  /** Names the text in places; $INCLUDE is relative to its directory. */
  readonly file: string
  /** Default: the file's name less `.zone`, `.db`, `db.`. */
  readonly origin?: Name | undefined
  /** Without it $INCLUDE is a fault. */
  readonly read?: ReadFile | undefined
  /** The text is the rest of a zone file from a landmark on. */
  readonly context?: LineContext | undefined
  /** Told of a line in every LANDMARK_OCTETS of the zone file itself that has an owner of its own, by its offset: from
   *  there on the text can be read without what is before it. */
  readonly onLandmark?: ((at: number, context: LineContext) => void) | undefined
  /** Default LANDMARK_OCTETS. */
  readonly landmarkOctets?: number | undefined
  /** Told now and then that the text before that offset will not be looked at again. */
  readonly onPassed?: ((at: number) => void) | undefined
}

/** What lines have settled for those after them, but for the owner. */
export interface LineContext {
  readonly origin: Name | undefined
  /** Of $TTL, and of the last record that had one; −1: none. */
  readonly ttlDefault: number
  readonly ttlLast: number
  /** Records that $GENERATE made. */
  readonly generated: number
}

export interface ParseResult {
  readonly errors: readonly Fault[]
  readonly warnings: readonly Fault[]
  /** Paths of the files included, each once. */
  readonly includes: readonly string[]
  /** At the end of the text. */
  readonly after: LineContext
}

/** Reads a zone file, record by record. Throws nothing that the text could cause. */
export function parseZone(text: Uint8Array, options: ParseOptions, sink: RecordSink): ParseResult {
  return atOnce(parseSteps(text, options, sink))
}

const LINES_A_STEP = 2048
/** Of parsers that have ended, whose last owner a sink may still look at until its next turn; more than one only where a
 *  sink parses while it is called. */
const scratchPool: ParserScratch[] = []

/** The same, LINES_A_STEP lines a step. */
export function* parseSteps(text: Uint8Array, options: ParseOptions, sink: RecordSink): Steps<ParseResult> {
  const faults = new FaultList()
  const scratch = scratchPool.pop() ?? parserScratch()
  const origin = options.origin ?? originOfFile(options.file)
  const parser = new ZoneParser(text, options, origin, sink, faults, scratch)
  while (parser.lines(LINES_A_STEP)) {
    options.onPassed?.(parser.passed)
    yield
  }
  scratchPool.push(scratch)
  const { errors, warnings } = faults
  return {
    errors: faults.full ? faults.all().filter(isError) : errors,
    warnings,
    includes: parser.included,
    after: parser.context,
  }
}

function isError(fault: Fault): boolean {
  return fault.severity === 'error'
}

/** `example.org` of `/etc/zones/example.org.zone` or `db.example.org`; undefined when that is no name. */
export function originOfFile(file: string): Name | undefined {
  const name = file.slice(file.lastIndexOf('/') + 1)
  const whole = name.startsWith('db.') ? name.slice(3) : name
  const text = whole.endsWith('.zone')
    ? whole.slice(0, -5)
    : whole.endsWith('.db')
      ? whole.slice(0, -3)
      : whole
  if (text === '' || text === '-') return undefined
  try {
    return nameFromText(text.endsWith('.') ? text : `${text}.`)
  } catch (error) {
    if (error instanceof ConclaveError) return undefined
    throw error
  }
}
