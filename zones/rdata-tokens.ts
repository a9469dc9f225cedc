/** Tokens of one record's RDATA (RFC 1035 §5.1): what the scanner of zone files hands to parseRdata, and a small
 *  reader of the same over plain text, for records that are built in code.
 *  I1  A token is a view of raw text: escapes are not yet undone, outer quotes are left out.
 *  I2  A quote inside an unquoted token belongs to it, with everything up to the closing quote, spaces too, as in
 *      SVCB's `alpn="h2,h3"` (RFC 9460 §2.1).
 *  I3  `quoted` tells "@" and "\#" in quotes, which are plain strings, from the special tokens. */

import { ConclaveError } from '../base/errors.ts'

export interface RdataTokens {
  /** Advances to the next token of this record; false at its end. */
  next(): boolean
  /** The token's raw text is octets[start..end), without its quotes. */
  readonly octets: Uint8Array
  readonly start: number
  readonly end: number
  readonly quoted: boolean
  /** The token contains a backslash. */
  readonly escaped: boolean
  /** Throws: `<place of the token>: found …; expected …`. */
  fault(found: string, expected: string): never
}

/** At most this much of a bad token is repeated in a message. */
const SHOWN_CHARACTERS_MAX = 40

/** The current token as a message shows it: in quotes, cut when long. */
export function shownToken(tokens: RdataTokens): string {
  const end = Math.min(tokens.end, tokens.start + 4 * SHOWN_CHARACTERS_MAX)
  const text = new TextDecoder().decode(tokens.octets.subarray(tokens.start, end))
  const cut = text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text
  return JSON.stringify(cut)
}

/** A part of the current token of another, as a token of its own; nothing follows it. */
export class TokenPart implements RdataTokens {
  readonly octets: Uint8Array
  readonly start: number
  readonly end: number
  readonly quoted: boolean
  readonly escaped: boolean
  readonly #whole: RdataTokens

  constructor(whole: RdataTokens, start: number = whole.start, end: number = whole.end) {
    this.octets = whole.octets
    this.start = start
    this.end = end
    this.quoted = whole.quoted
    this.escaped = whole.escaped
    this.#whole = whole
  }

  next(): boolean {
    return false
  }

  fault(found: string, expected: string): never {
    return this.#whole.fault(found, expected)
  }
}

/** Tokens of RDATA given as a string. Parentheses and line ends count as blanks; comments are not known. */
export class TextTokens implements RdataTokens {
  readonly octets: Uint8Array
  start = 0
  end = 0
  quoted = false
  escaped = false
  #at = 0

  constructor(text: string) {
    this.octets = new TextEncoder().encode(text)
  }

  next(): boolean {
    const { octets } = this
    let at = this.#at
    while (at < octets.length && isBlank(octets[at]!)) at++
    this.escaped = false
    this.quoted = octets[at] === QUOTE
    this.start = this.quoted ? at + 1 : at
    if (at >= octets.length) {
      this.start = this.end = this.#at = octets.length
      return false
    }
    this.end = this.quoted ? this.#quoteEnd(at) : this.#wordEnd(at)
    this.#at = this.quoted ? this.end + 1 : this.end
    return true
  }

  /** @throws ConclaveError RDATA_SYNTAX */
  fault(found: string, expected: string): never {
    throw new ConclaveError('RDATA_SYNTAX', `found ${found}; expected ${expected}`, {
      place: { column: this.start + 1 },
    })
  }

  #wordEnd(start: number): number {
    let at = start
    for (; at < this.octets.length && !isBlank(this.octets[at]!); at++) {
      const octet = this.octets[at]!
      if (octet === BACKSLASH) {
        this.escaped = true
        at++
      } else if (octet === QUOTE) at = this.#quoteEnd(at)
    }
    return Math.min(at, this.octets.length)
  }

  /** Offset of the quote that closes the one at `start`. */
  #quoteEnd(start: number): number {
    for (let at = start + 1; at < this.octets.length; at++) {
      const octet = this.octets[at]!
      if (octet === QUOTE) return at
      if (octet === BACKSLASH) {
        this.escaped = true
        at++
      }
    }
    return this.fault('the end of the text inside quotes', 'a closing quote')
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

function isBlank(octet: number): boolean {
  return (
    octet === 0x20 || octet === 0x09 || octet === 0x0a || octet === 0x0d || octet === 0x28 || octet === 0x29
  )
}
