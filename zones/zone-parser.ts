/** The lines of a zone file, one after the other (RFC 1035 §5). The forms of lines, and I1 to I3, are at the head of zonefile.ts. */

import type { Place } from '../base/index.ts'
import type { FaultList } from './fault.ts'
import {
  expandTemplate,
  type GenerateRange,
  parseRange,
  parseTemplate,
  rangeCount,
  type Template,
  templateLine,
} from './generate.ts'
import { Includes } from './include.ts'
import { GENERATE_LINE_OCTETS_MAX, GENERATE_RECORDS_MAX, TTL_DEFAULT, TTL_MAX } from './limits.ts'
import { asName, NAME_OCTETS_MAX, type Name, rootName } from './name.ts'
import { u32 } from './node.ts'
import { readName } from './rdata-name.ts'
import { readTtl } from './rdata-number.ts'
import { parseRdata, RDATA_SCRATCH_OCTETS } from './rdata-parse.ts'
import { shownToken } from './rdata-tokens.ts'
import { faultOf, type RuleCode } from './rules.ts'
import { Scanner, type ScannerState, ZoneSyntaxError } from './scanner.ts'
import { scratchOctets } from './scratch.ts'
import { CLASS, classFromOctets, isMetaType, TYPE, typeFromOctets } from './types.ts'
import type { LineContext, ParseOptions, RecordPlace, RecordSink } from './zonefile.ts'

const LANDMARK_OCTETS: number = 16 << 10
const DOLLAR = 0x24
const BACKSLASH = 0x5c
/** readName may write a label and an origin beyond the longest name before it finds the name too long. */
const NAME_SCRATCH_OCTETS = 4 * NAME_OCTETS_MAX

/** Whether a line with that octet first has an owner. Others may, too; one is that of a byte order mark. */
function beginsOwner(octet: number): boolean {
  if (octet <= 0x20 || octet > 0x7e) return false
  return octet !== DOLLAR && octet !== 0x3b && octet !== 0x28 && octet !== 0x29 && octet !== 0x22
}

/** A buffer for owners, with a view of each length made once. */
interface OwnerScratch {
  readonly octets: Uint8Array
  readonly views: (Name | undefined)[]
}

/** What a parser needs while it reads. */
export interface ParserScratch {
  readonly rdata: Uint8Array
  readonly owners: readonly [OwnerScratch, OwnerScratch]
}

export function parserScratch(): ParserScratch {
  return { rdata: new Uint8Array(RDATA_SCRATCH_OCTETS), owners: [ownerScratch(), ownerScratch()] }
}

function ownerScratch(): OwnerScratch {
  return {
    octets: scratchOctets(NAME_SCRATCH_OCTETS),
    views: new Array<Name | undefined>(NAME_OCTETS_MAX + 1).fill(undefined),
  }
}

/** A file that an $INCLUDE, just read, names. */
interface Included {
  readonly path: string
  readonly octets: Uint8Array
  readonly origin: Name | undefined
}

/** Where and how the including file goes on. */
interface Including {
  readonly state: ScannerState
  readonly origin: Name | undefined
  readonly last: LastOwner
}

/** The owner of records that have none; it is the same again behind what is included or made. */
interface LastOwner {
  readonly owner: Name
  readonly owned: boolean
  readonly faulty: boolean
}

export class ZoneParser implements RecordPlace {
  line = 0
  readonly #includes: Includes
  #included: Included | undefined
  readonly #including: Including[] = []
  readonly #sink: RecordSink
  readonly #faults: FaultList
  readonly #scanner: Scanner
  readonly #rdata: Uint8Array
  #origin: Name | undefined
  /** The owner of the last record, and the buffer that the next one is read into. */
  #owner: Name = rootName
  #scratch: OwnerScratch
  #scratchNext: OwnerScratch
  /** Where the last owner was read, while the same word means the same name; −1 octets otherwise. */
  #wordAt = 0
  #wordOctets = -1
  /** There is a last owner. */
  #owned = false
  /** The last owner could not be read: records without an owner are passed over, with no fault of their own. */
  #ownerFaulty = false
  /** The sink has not seen this owner yet. */
  #ownerNew = true
  #ttlDefault = -1
  #ttlLast = -1
  #column = 0
  #generated = 0
  readonly #onLandmark: ParseOptions['onLandmark']
  readonly #landmarkOctets: number
  #landmarkAt: number

  constructor(
    text: Uint8Array,
    options: ParseOptions,
    origin: Name | undefined,
    sink: RecordSink,
    faults: FaultList,
    scratch: ParserScratch,
  ) {
    this.#rdata = scratch.rdata
    ;[this.#scratch, this.#scratchNext] = scratch.owners
    this.#sink = sink
    this.#faults = faults
    this.#scanner = new Scanner(text, options.file)
    this.#origin = origin
    this.#includes = new Includes(options.file, options.read)
    this.#onLandmark = options.onLandmark
    this.#landmarkOctets = options.landmarkOctets ?? LANDMARK_OCTETS
    this.#landmarkAt = options.onLandmark === undefined ? Number.MAX_SAFE_INTEGER : 0
    const { context } = options
    if (context === undefined) return
    this.#origin = context.origin
    this.#ttlDefault = context.ttlDefault
    this.#ttlLast = context.ttlLast
    this.#generated = context.generated
  }

  get context(): LineContext {
    const [ttlDefault, ttlLast] = [this.#ttlDefault, this.#ttlLast]
    return { origin: this.#origin, ttlDefault, ttlLast, generated: this.#generated }
  }

  /** Between lines: where what may still be looked at begins, which is the next line or the last owner. */
  get passed(): number {
    const at = this.#including[0]?.state.at ?? this.#scanner.at
    return this.#wordOctets < 0 ? at : Math.min(at, this.#wordAt)
  }

  /** Files included so far, each once. */
  get included(): string[] {
    return [...this.#includes.paths]
  }

  get file(): string {
    return this.#scanner.file
  }

  place(): Place {
    return this.#scanner.fixedPlace ?? { file: this.file, line: this.line, column: this.#column }
  }

  /** So many lines (I1), included files' too; false when there are no more. */
  lines(count: number): boolean {
    const scanner: Scanner = this.#scanner
    for (let left = count; left > 0 && !this.#stopped; left--) {
      if (!scanner.nextLine()) {
        if (!this.#leaveFile()) return false
        continue
      }
      if (scanner.at >= this.#landmarkAt) this.#landmark()
      try {
        this.#logicalLine(scanner.blankStart())
        scanner.endLine()
        if (this.#included !== undefined) this.#enterFile(this.#included)
      } catch (error) {
        if (!(error instanceof ZoneSyntaxError)) throw error
        scanner.keyValues = false
        this.#fault('syntax', error.message, error.place)
        scanner.recover()
      }
    }
    return !this.#stopped
  }

  /** At the start of a line that is not empty. */
  #landmark(): void {
    const { octets, at } = this.#scanner
    if (this.#including.length > 0 || !beginsOwner(octets[at]!)) return
    this.#onLandmark!(at, this.context)
    this.#landmarkAt = at + this.#landmarkOctets
  }

  get #stopped(): boolean {
    return this.#faults.full || this.#sink.done === true
  }

  #fault(rule: RuleCode, what: string, place: Place): void {
    this.#faults.add(faultOf(rule, what, place))
  }

  #logicalLine(blank: boolean): void {
    const scanner: Scanner = this.#scanner
    if (!scanner.next()) return
    if (!blank && scanner.octets[scanner.start] === DOLLAR && !scanner.quoted) this.#directive()
    else if (!blank || !this.#ownerFaulty) this.#record(blank)
    else while (scanner.next());
    if (scanner.next()) scanner.fault(shownToken(scanner), 'the end of the line')
  }

  /** The scanner is on the first token. Afterwards the line's tokens are used up, or the rest is a fault. */
  #record(blank: boolean): void {
    const scanner: Scanner = this.#scanner
    this.line = scanner.line
    this.#column = scanner.start - scanner.lineStart + 1
    if (!blank) this.#readOwner()
    else if (!this.#owned) scanner.fault('a record without an owner', 'an owner on the first record')
    let ttl = -1
    let classSeen = false
    let type = -1
    // One TTL, one class and the type, in this or the other order.
    for (;;) {
      const first = scanner.octets[scanner.start]! - 0x30
      if (first >= 0 && first <= 9 && ttl < 0) ttl = readTtl(scanner, 'a TTL')
      else if (!classSeen && this.#isClass()) classSeen = true
      else {
        type = this.#type(ttl >= 0, classSeen)
        break
      }
      if (!scanner.next()) scanner.fault('the end of the line', 'a type')
    }
    this.#data(type, ttl)
  }

  /** Reads the owner and steps to the token after it. */
  #readOwner(): void {
    const scanner: Scanner = this.#scanner
    if (!this.#isSameWord()) this.#newWord()
    if (!scanner.next()) scanner.fault('the end of the line', 'a type')
  }

  #isSameWord(): boolean {
    const { octets, start, end, quoted } = this.#scanner
    if (end - start !== this.#wordOctets || quoted) return false
    const before = this.#wordAt - start
    for (let at = start; at < end; at++) if (octets[at] !== octets[at + before]) return false
    return true
  }

  #newWord(): void {
    const scanner: Scanner = this.#scanner
    const { octets, views } = this.#scratchNext
    this.#wordOctets = -1
    this.#ownerFaulty = true
    this.#owned = true
    if (this.#origin === undefined) this.#requireAbsolute()
    const length = readName(scanner, this.#origin ?? rootName, octets, 0, 'an owner')
    this.#ownerFaulty = false
    if (!this.#isOwner(octets, length)) {
      const view = views[length] ?? asName(octets.subarray(0, length))
      views[length] = view
      this.#owner = view
      this.#ownerNew = true
      const free = this.#scratch
      this.#scratch = this.#scratchNext
      this.#scratchNext = free
    }
    // Without any origin the first owner is that of the zone: its SOA comes first.
    this.#origin ??= asName(this.#owner.slice())
    this.#wordAt = scanner.start
    this.#wordOctets = scanner.quoted || scanner.fixedPlace !== undefined ? -1 : scanner.end - scanner.start
  }

  #isOwner(octets: Uint8Array, length: number): boolean {
    const owner = this.#owner
    if (owner.length !== length) return false
    for (let at = 0; at < length; at++) if (owner[at] !== octets[at]) return false
    return true
  }

  #requireAbsolute(): void {
    const scanner: Scanner = this.#scanner
    let at = scanner.end - 1
    let absolute = scanner.octets[at] === 0x2e
    while (--at >= scanner.start && scanner.octets[at] === BACKSLASH) absolute = !absolute
    if (!absolute) {
      scanner.fault(
        `the relative name ${shownToken(scanner)} and no origin`,
        'a dot at its end, $ORIGIN before it, or an origin given with the file',
      )
    }
  }

  #isClass(): boolean {
    const scanner: Scanner = this.#scanner
    const found = classFromOctets(scanner.octets, scanner.start, scanner.end)
    if (found < 0) return false
    if (found !== CLASS.IN) scanner.fault(`class ${shownToken(scanner)}`, 'class IN, the only one served')
    return true
  }

  #type(ttlSeen: boolean, classSeen: boolean): number {
    const scanner: Scanner = this.#scanner
    const type = typeFromOctets(scanner.octets, scanner.start, scanner.end)
    if (type < 0) {
      const also = `${ttlSeen ? '' : ', a TTL'}${classSeen ? '' : ', a class'}`
      scanner.fault(shownToken(scanner), `a record type${also}`)
    }
    if (isMetaType(type)) scanner.fault(`the meta-type ${shownToken(scanner)}`, 'a type of data')
    return type
  }

  #data(type: number, ttl: number): void {
    const scanner: Scanner = this.#scanner
    const sink = this.#sink
    const at = sink.rdataAt === undefined ? -1 : sink.rdataAt(this.#owner, this.#ownerNew, type)
    const out = at < 0 ? this.#rdata : sink.octets!
    const start = Math.max(0, at)
    // SvcParams are words with quotes inside; anywhere else a quote begins a token of its own.
    scanner.keyValues = type === TYPE.SVCB || type === TYPE.HTTPS
    const end = parseRdata(type, scanner, this.#origin ?? rootName, out, start)
    scanner.keyValues = false
    const used = this.#ttl(type, ttl, out, end)
    const newOwner = this.#ownerNew
    this.#ownerNew = false
    sink.record(this.#owner, newOwner, type, used, out, start, end, this)
  }

  /** I3. `ttl` is −1 when the record gives none. */
  #ttl(type: number, ttl: number, rdata: Uint8Array, rdataEnd: number): number {
    if (ttl >= 0) {
      this.#ttlLast = ttl > TTL_MAX ? this.#bigTtl(ttl, this.place()) : ttl
      return this.#ttlLast
    }
    if (this.#ttlDefault >= 0) return this.#ttlDefault
    if (this.#ttlLast >= 0) return this.#ttlLast
    if (type === TYPE.SOA) this.#ttlDefault = Math.min(u32(rdata, rdataEnd - 4), TTL_MAX)
    else {
      this.#ttlDefault = TTL_DEFAULT
      this.#fault(
        'ttl-missing',
        `no TTL before the first record; expected $TTL; ${TTL_DEFAULT} is used`,
        this.place(),
      )
    }
    return this.#ttlDefault
  }

  /** RFC 2181 §8: a TTL beyond 31 bits is zero. */
  #bigTtl(ttl: number, place: Place): number {
    this.#fault('ttl-range', `TTL ${ttl}; expected at most ${TTL_MAX}; 0 is used (RFC 2181 §8)`, place)
    return 0
  }

  #directive(): void {
    const scanner: Scanner = this.#scanner
    const place = scanner.place()
    this.#wordOctets = -1
    const word = Buffer.prototype.latin1Slice.call(scanner.octets, scanner.start, scanner.end).toUpperCase()
    if (word === '$ORIGIN') this.#origin = this.#nameArgument('an origin')
    else if (word === '$TTL') this.#ttlDirective()
    else if (word === '$INCLUDE') this.#includeDirective(place)
    else if (word === '$GENERATE') this.#generateDirective(place)
    else scanner.fault(shownToken(scanner), '$ORIGIN, $TTL, $INCLUDE or $GENERATE')
  }

  #argument(expected: string): void {
    if (!this.#scanner.next()) this.#scanner.fault('the end of the line', expected)
  }

  #nameArgument(expected: string): Name {
    this.#argument(expected)
    return this.#nameHere(expected)
  }

  #nameHere(expected: string): Name {
    if (this.#origin === undefined) this.#requireAbsolute()
    const length = readName(this.#scanner, this.#origin ?? rootName, this.#rdata, 0, expected)
    return asName(this.#rdata.slice(0, length))
  }

  #ttlDirective(): void {
    this.#argument('a TTL')
    const ttl = readTtl(this.#scanner, 'a TTL')
    this.#ttlDefault = ttl > TTL_MAX ? this.#bigTtl(ttl, this.#scanner.place()) : ttl
  }

  #includeDirective(place: Place): void {
    const scanner: Scanner = this.#scanner
    this.#argument('a file to include')
    const path = this.#includes.path(scanner)
    const origin = scanner.next() ? this.#nameHere('an origin') : this.#origin
    if (scanner.next()) scanner.fault(shownToken(scanner), 'the end of the line')
    this.#included = { path, octets: this.#includes.enter(path, scanner.file, place), origin }
  }

  #enterFile({ path, octets, origin }: Included): void {
    this.#included = undefined
    const state = this.#scanner.save()
    this.#including.push({ state, origin: this.#origin, last: this.#lastOwner() })
    this.#origin = origin
    this.#scanner.read(octets, path)
  }

  /** At the end of an included file; false at that of the zone file. */
  #leaveFile(): boolean {
    const including = this.#including.pop()
    if (including === undefined) return false
    this.#includes.leave()
    this.#scanner.restore(including.state)
    this.#origin = including.origin
    // RFC 1035 §5.1: what follows has the owner it would have had without the include.
    this.#restoreOwner(including.last)
    return true
  }

  #lastOwner(): LastOwner {
    return { owner: asName(this.#owner.slice()), owned: this.#owned, faulty: this.#ownerFaulty }
  }

  #restoreOwner({ owner, owned, faulty }: LastOwner): void {
    this.#wordOctets = -1
    this.#owner = owner
    this.#owned = owned
    this.#ownerFaulty = faulty
    this.#ownerNew = true
  }

  #generateDirective(place: Place): void {
    const scanner: Scanner = this.#scanner
    this.#argument('a range')
    const range = parseRange(new TextDecoder().decode(scanner.octets.subarray(scanner.start, scanner.end)))
    if (range === undefined) scanner.fault(shownToken(scanner), 'a range: start-stop or start-stop/step')
    this.#generated += rangeCount(range)
    if (this.#generated > GENERATE_RECORDS_MAX) {
      scanner.fault(`$GENERATE of ${this.#generated} records`, `at most ${GENERATE_RECORDS_MAX} in a zone`)
    }
    const template = parseTemplate(templateLine(scanner))
    if (typeof template === 'string') {
      const expected = `\${offset,width,base} with base d, o, x, X, n or N`
      throw new ZoneSyntaxError(`the modifier ${JSON.stringify(template)}; expected ${expected}`, place)
    }
    this.#generate(range, template, place)
  }

  #generate(range: GenerateRange, template: Template, place: Place): void {
    const scanner: Scanner = this.#scanner
    const state = scanner.save()
    const last = this.#lastOwner()
    const out = new Uint8Array(GENERATE_LINE_OCTETS_MAX)
    let value = range.start
    try {
      for (; value <= range.stop && !this.#stopped; value += range.step) {
        const limit = expandTemplate(template, value, out)
        if (limit < 0) scanner.fault('a $GENERATE line that grows too long', `at most ${out.length} octets`)
        scanner.restore({
          octets: out,
          limit,
          file: state.file,
          at: 0,
          line: state.line,
          lineStart: 0,
          fixedPlace: place,
        })
        scanner.next()
        this.#record(false)
      }
    } catch (error) {
      if (!(error instanceof ZoneSyntaxError)) throw error
      throw new ZoneSyntaxError(`$GENERATE at ${value}: ${error.message}`, error.place)
    } finally {
      scanner.restore(state)
      // As BIND has it, whose directive it is: what follows has the owner it would have had without it.
      this.#restoreOwner(last)
    }
  }
}
