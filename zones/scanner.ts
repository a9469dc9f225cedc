/** Tokens of zone files (RFC 1035 §5.1): one pass over octets, nothing copied, nothing allocated.
 *
 *    line    = blank? token (blank token)* blank? comment? newline        a logical line: see I2
 *    token   = word | quoted                                              `start`..`end`, outer quotes left out
 *    word    = octets up to a blank, a newline or one of ( ) ; "          `\` takes the next octet along
 *    quoted  = `"` octets up to the next `"` that has no `\` before it; never over a newline
 *
 *  I1  A token is a view of the raw text: escapes are not yet undone (`escaped` tells that there are some).
 *  I2  Inside parentheses a newline is a blank, so `next` stays on one logical line until a newline outside of them,
 *      and goes on returning false there until `endLine`.
 *  I3  `line` is the number of the physical line that `at` is on; columns count octets from `lineStart`.
 *  I4  Carriage returns are blanks, so that CRLF needs no more thought.
 *
 *  Deviation: nested parentheses and a newline in a quoted string are faults, as for two of NSD, Knot and BIND. */

import { ConclaveError, type Place } from '../base/index.ts'
import type { RdataTokens } from './rdata-tokens.ts'

/** What stands in the way of a record or directive. Thrown by the scanner and by readers of RDATA, and caught once
 *  per logical line by the parser of zone files. */
export class ZoneSyntaxError extends ConclaveError {
  constructor(what: string, place: Place) {
    super('ZONE_SYNTAX', what, { place })
    this.name = 'ZoneSyntaxError'
  }
}

/** What an octet is to the scanner. Everything not listed is part of a word. */
const WORD = 0
const BLANK = 1
const NEWLINE = 2
const COMMENT = 3
const OPEN = 4
const CLOSE = 5
const QUOTE = 6
const ESCAPE = 7

const KIND = new Uint8Array(256)
KIND[0x20] = BLANK
KIND[0x09] = BLANK
KIND[0x0d] = BLANK
KIND[0x0a] = NEWLINE
KIND[0x3b] = COMMENT
KIND[0x28] = OPEN
KIND[0x29] = CLOSE
KIND[0x22] = QUOTE
KIND[0x5c] = ESCAPE

const LINE_FEED = 0x0a
const EQUALS_SIGN = 0x3d

/** Where a scanner stands, so that it can read another text in between and come back. */
export interface ScannerState {
  readonly octets: Uint8Array
  readonly limit: number
  readonly file: string
  readonly at: number
  readonly line: number
  readonly lineStart: number
  readonly fixedPlace: Place | undefined
}

export class Scanner implements RdataTokens {
  octets: Uint8Array
  /** The text ends here. */
  limit: number
  file: string
  /** Next octet to look at. */
  at = 0
  line = 1
  lineStart = 0
  start = 0
  end = 0
  quoted = false
  escaped = false
  /** Whether `key="a b"` is one token, quotes included (SvcParams, RFC 9460 §2.1); otherwise a quote ends a word. */
  keyValues = false
  /** Set while text is read that stands in no file: what $GENERATE makes has the place of its directive. */
  fixedPlace: Place | undefined = undefined
  /** The open parenthesis; −1 outside of parentheses. */
  #openAt = -1
  #openLine = 0
  #openLineStart = 0
  /** The text was read to its end inside parentheses: it holds no more that close. */
  #neverClosed = false

  constructor(octets: Uint8Array, file: string) {
    this.octets = octets
    this.limit = octets.length
    this.file = file
    // A byte order mark is not part of the text.
    if (octets[0] === 0xef && octets[1] === 0xbb && octets[2] === 0xbf) this.at = this.lineStart = 3
  }

  /** At the start of a line: skips empty lines. False at the end of the text. */
  nextLine(): boolean {
    const { octets, limit } = this
    let at = this.at
    for (; at < limit; at++) {
      const octet = octets[at]!
      if (octet === LINE_FEED) this.#newline(at)
      else if (octet !== 0x0d || octets[at + 1] !== LINE_FEED) break
    }
    this.at = at
    return at < limit
  }

  /** At the start of a line: whether it begins with a blank, so that its record has the owner of the one before. */
  blankStart(): boolean {
    return KIND[this.octets[this.at]!] === BLANK
  }

  /** The next token of this logical line; false at its end. */
  next(): boolean {
    // Nearly always a blank and a plain word: loops without calls, whose variables are small integers all the time.
    const { octets } = this
    const limit = this.limit | 0
    let start = this.at | 0
    while (start < limit && KIND[octets[start]!] === BLANK) start++
    let at = start
    while (at < limit && KIND[octets[at]!] === WORD) at++
    if (at === start || (at < limit && KIND[octets[at]!]! >= QUOTE)) return this.#next(start)
    this.start = start
    this.end = this.at = at
    this.quoted = this.escaped = false
    return true
  }

  #next(from: number): boolean {
    const { octets, limit } = this
    let at = from
    for (; at < limit; at++) {
      switch (KIND[octets[at]!]) {
        case BLANK:
          continue
        case WORD:
        case ESCAPE:
          return this.#word(at)
        case QUOTE:
          return this.#quotedString(at)
        case COMMENT:
          at = this.#newlineAfter(at) - 1
          continue
        case NEWLINE:
          if (this.#openAt < 0) return this.#noToken(at)
          this.#newline(at)
          continue
        case OPEN:
          this.#open(at)
          continue
        default:
          this.#close(at)
      }
    }
    if (this.#openAt >= 0) this.#unclosed()
    return this.#noToken(limit)
  }

  /** Goes to the next line; the logical line must be at its end (`next` gave false). */
  endLine(): void {
    if (this.at >= this.limit) return
    this.#newline(this.at)
    this.at++
  }

  /** After a fault: goes to the line after the logical line, or, when its parenthesis is never closed, to the line
   *  after the fault, so that one forgotten parenthesis does not hide all that follows. */
  recover(): void {
    const { at, line, lineStart } = this
    const end = this.#logicalEnd(at)
    if (end < 0) {
      this.line = line
      this.lineStart = lineStart
    }
    this.#openAt = -1
    this.at = end < 0 ? this.#newlineAfter(at) : end
    this.endLine()
  }

  /** Offset of the newline that ends the logical line, counting lines on the way; −1 when a parenthesis is never closed.
   *  Here nothing is a fault. */
  #logicalEnd(start: number): number {
    const { octets, limit } = this
    let open = this.#openAt >= 0
    for (let at = start; at < limit; at++) {
      const kind = KIND[octets[at]!]
      if (kind === NEWLINE && (!open || this.#neverClosed)) return open ? -1 : at
      if (kind === NEWLINE) this.#newline(at)
      else if (kind === OPEN) open = true
      else if (kind === CLOSE) open = false
      else if (kind === ESCAPE && octets[at + 1] !== LINE_FEED) at++
      else if (kind === COMMENT) at = this.#newlineAfter(at) - 1
      else if (kind === QUOTE) at = this.#skippedString(at)
    }
    if (open) this.#neverClosed = true
    return open ? -1 : limit
  }

  /** Offset of the last octet of the quoted string that begins at `open`, which may lack its end. */
  #skippedString(open: number): number {
    const { octets, limit } = this
    for (let at = open + 1; at < limit; at++) {
      const octet = octets[at]!
      if (octet === 0x22) return at
      if (octet === LINE_FEED) return at - 1
      if (octet === 0x5c && octets[at + 1] !== LINE_FEED) at++
    }
    return limit
  }

  #newlineAfter(at: number): number {
    const newline = this.octets.indexOf(LINE_FEED, at)
    return newline < 0 || newline > this.limit ? this.limit : newline
  }

  /** The rest of the logical line as raw text from the next token on; used for templates of $GENERATE. */
  restOfLine(): Uint8Array {
    if (!this.next()) return this.octets.subarray(this.at, this.at)
    const start = this.quoted ? this.start - 1 : this.start
    let end = this.at
    while (this.next()) end = this.at
    return this.octets.subarray(start, end)
  }

  save(): ScannerState {
    const { octets, limit, file, at, line, lineStart, fixedPlace } = this
    return { octets, limit, file, at, line, lineStart, fixedPlace }
  }

  /** Stands at `state`, outside of parentheses. */
  restore(state: ScannerState): void {
    this.octets = state.octets
    this.limit = state.limit
    this.file = state.file
    this.at = state.at
    this.line = state.line
    this.lineStart = state.lineStart
    this.fixedPlace = state.fixedPlace
    this.#openAt = -1
    this.#neverClosed = false
  }

  /** Reads another text from its start. */
  read(octets: Uint8Array, file: string, limit: number = octets.length): void {
    this.restore({ octets, limit, file, at: 0, line: 1, lineStart: 0, fixedPlace: undefined })
    if (octets[0] === 0xef && octets[1] === 0xbb && octets[2] === 0xbf) this.at = this.lineStart = 3
  }

  /** The place of the current token; at the end of a line, of that end. */
  place(): Place {
    return this.fixedPlace ?? this.#placeAt(this.quoted ? this.start - 1 : this.start)
  }

  #placeAt(at: number): Place {
    return { file: this.file, line: this.line, column: at - this.lineStart + 1 }
  }

  fault(found: string, expected: string): never {
    throw new ZoneSyntaxError(`${found}; expected ${expected}`, this.place())
  }

  #faultAt(at: number, found: string, expected: string): never {
    throw new ZoneSyntaxError(`${found}; expected ${expected}`, this.fixedPlace ?? this.#placeAt(at))
  }

  #newline(at: number): void {
    this.line++
    this.lineStart = at + 1
  }

  #noToken(at: number): false {
    this.at = this.start = this.end = at
    this.quoted = this.escaped = false
    return false
  }

  #word(start: number): true {
    const { octets, limit } = this
    let at = start
    let escaped = false
    for (;;) {
      while (at < limit && KIND[octets[at]!] === WORD) at++
      if (at >= limit) break
      const kind = KIND[octets[at]!]
      if (kind === ESCAPE) {
        escaped = true
        at = this.#escapedOctet(at)
      } else if (kind === QUOTE && this.keyValues && octets[at - 1] === EQUALS_SIGN && at > start) {
        at = this.#quoteEnd(at) + 1
        escaped = escaped || this.escaped
      } else break
    }
    this.start = start
    this.end = this.at = at
    this.quoted = false
    this.escaped = escaped
    return true
  }

  #quotedString(open: number): true {
    const end = this.#quoteEnd(open)
    this.start = open + 1
    this.end = end
    this.at = end + 1
    this.quoted = true
    return true
  }

  /** Offset of the quote that closes the one at `open`; sets `escaped`. */
  #quoteEnd(open: number): number {
    const { octets, limit } = this
    this.escaped = false
    for (let at = open + 1; at < limit; at++) {
      const octet = octets[at]!
      if (octet === 0x22) return at
      if (octet === 0x5c) {
        this.escaped = true
        at = this.#escapedOctet(at) - 1
      } else if (octet === LINE_FEED) {
        this.at = at
        this.#faultAt(open, 'a quoted string without an end on its line', 'a closing quote')
      }
    }
    this.at = limit
    return this.#faultAt(open, 'a quoted string without an end', 'a closing quote')
  }

  /** Offset after the backslash at `at` and the octet it takes along. */
  #escapedOctet(at: number): number {
    const next = at + 1 < this.limit ? this.octets[at + 1]! : LINE_FEED
    if (next !== LINE_FEED && !(next === 0x0d && this.octets[at + 2] === LINE_FEED)) return at + 2
    this.at = at + 1
    return this.#faultAt(at, 'a backslash at the end of the line', '\\X or \\DDD')
  }

  #open(at: number): void {
    if (this.#openAt >= 0) {
      this.at = at + 1
      this.#faultAt(at, `a parenthesis inside that of line ${this.#openLine}`, ') first')
    }
    this.#openAt = at
    this.#openLine = this.line
    this.#openLineStart = this.lineStart
  }

  #close(at: number): void {
    if (this.#openAt < 0) {
      this.at = at + 1
      this.#faultAt(at, 'a closing parenthesis', '( before it')
    }
    this.#openAt = -1
  }

  /** Stands behind the parenthesis again: what follows on its line is lost, the next lines are not. */
  #unclosed(): never {
    this.at = this.#openAt + 1
    this.line = this.#openLine
    this.lineStart = this.#openLineStart
    this.#openAt = -1
    this.#neverClosed = true
    return this.#faultAt(this.at - 1, 'a parenthesis that is never closed', ') before the end of the text')
  }
}
