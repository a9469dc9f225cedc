/** Templates of $GENERATE (BIND's directive; no RFC has it): a line of a zone file in which `$` stands for a number
 *  that counts from start to stop by step.
 *
 *    $GENERATE start-stop[/step] owner [ttl] [class] type rdata
 *
 *    $                        the number, decimal
 *    ${offset}                the number plus offset
 *    ${offset,width,base}     at least `width` characters, zeros in front; base d, o, x, X, or n, N: hexadecimal
 *                             digits from the last to the first with dots between, for ip6.arpa names
 *    $$  \$                   a dollar sign
 *
 *  I1  RDATA that is one quoted string is taken without its quotes, as BIND does: "10 mail$" is two fields. */

import { GENERATE_LINE_OCTETS_MAX, GENERATE_VALUE_MAX, GENERATE_WIDTH_MAX } from './limits.ts'
import { Scanner } from './scanner.ts'
import { typeFromOctets } from './types.ts'

export interface GenerateRange {
  readonly start: number
  readonly stop: number
  readonly step: number
}

type Base = 'd' | 'o' | 'x' | 'X' | 'n' | 'N'

type TemplatePart =
  | { readonly kind: 'literal'; readonly octets: Uint8Array }
  | { readonly kind: 'number'; readonly offset: number; readonly width: number; readonly base: Base }

export type Template = readonly TemplatePart[]

/** The range of a directive; undefined when it is none. */
export function parseRange(text: string): GenerateRange | undefined {
  const match = /^(\d{1,10})-(\d{1,10})(?:\/(\d{1,10}))?$/.exec(text)
  if (match === null) return undefined
  const start = Number(match[1])
  const stop = Number(match[2])
  const step = Number(match[3] ?? 1)
  if (start > stop || stop > GENERATE_VALUE_MAX || step < 1 || step > GENERATE_VALUE_MAX) return undefined
  return { start, stop, step }
}

/** How many numbers a range has. */
export function rangeCount(range: GenerateRange): number {
  return Math.floor((range.stop - range.start) / range.step) + 1
}

const DOLLAR = 0x24
const BACKSLASH = 0x5c
const QUOTE = 0x22
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const ESCAPED_DOLLAR = new Uint8Array([BACKSLASH, DOLLAR])
/** `${-2147483648,1020,x}` is the longest modifier. */
const MODIFIER_OCTETS_MAX = 24

/** The rest of the scanner's line, behind the range (I1). */
export function templateLine(scanner: Scanner): Uint8Array {
  const line = scanner.restOfLine()
  if (line.length === 0) scanner.fault('the end of the line', 'an owner, a type and RDATA')
  const tokens = new Scanner(line, scanner.file)
  tokens.fixedPlace = scanner.place()
  let typeSeen = false
  for (let index = 0; !typeSeen && tokens.next(); index++) {
    typeSeen = index > 0 && typeFromOctets(line, tokens.start, tokens.end) >= 0
  }
  if (!tokens.next() || !tokens.quoted) return line
  const { start, end } = tokens
  return tokens.next() ? line : withoutQuotes(line, start, end)
}

/** The line with the quoted string line[start..end) out of its quotes: its escaped quotes are quotes of the RDATA. */
function withoutQuotes(line: Uint8Array, start: number, end: number): Uint8Array {
  const out: number[] = [...line.subarray(0, start - 1)]
  for (let at = start; at < end; at++) {
    const escaping = line[at] === BACKSLASH
    if (escaping && line[at + 1] !== QUOTE) out.push(line[at]!)
    if (escaping) at++
    out.push(line[at]!)
  }
  return Uint8Array.from(out)
}

/** Parts of a line. A string tells which modifier is bad. */
export function parseTemplate(line: Uint8Array): Template | string {
  const parts: TemplatePart[] = []
  let literalStart = 0
  const literal = (end: number): void => {
    if (end > literalStart) parts.push({ kind: 'literal', octets: line.subarray(literalStart, end) })
  }
  for (let at = 0; at < line.length; at++) {
    if (line[at] === BACKSLASH) at++
    else if (line[at] === DOLLAR) {
      literal(at)
      if (line[at + 1] === DOLLAR) {
        parts.push({ kind: 'literal', octets: ESCAPED_DOLLAR })
        at++
      } else if (line[at + 1] === OPEN_BRACE) {
        const end = line.indexOf(CLOSE_BRACE, at)
        const text = new TextDecoder().decode(line.subarray(at, end < 0 ? at + MODIFIER_OCTETS_MAX : end + 1))
        const part = modifier(text)
        if (part === undefined) return text
        parts.push(part)
        at = end
      } else parts.push({ kind: 'number', offset: 0, width: 0, base: 'd' })
      literalStart = at + 1
    }
  }
  literal(line.length)
  return parts
}

function modifier(text: string): TemplatePart | undefined {
  const match = /^\$\{([+-]?\d{1,10})(?:,(\d{1,4})(?:,([doxXnN]))?)?\}$/.exec(text)
  if (match === null) return undefined
  const offset = Number(match[1])
  const width = Number(match[2] ?? 0)
  if (width > GENERATE_WIDTH_MAX || Math.abs(offset) > GENERATE_VALUE_MAX) return undefined
  return { kind: 'number', offset, width, base: (match[3] ?? 'd') as Base }
}

/** Writes the line for one number; −1 when it grows beyond GENERATE_LINE_OCTETS_MAX, which is what `out` holds. */
export function expandTemplate(template: Template, value: number, out: Uint8Array): number {
  let to = 0
  for (const part of template) {
    if (part.kind === 'literal') {
      if (to + part.octets.length > GENERATE_LINE_OCTETS_MAX) return -1
      out.set(part.octets, to)
      to += part.octets.length
    } else {
      const text = numberText(value + part.offset, part.width, part.base)
      if (to + text.length > GENERATE_LINE_OCTETS_MAX) return -1
      for (let at = 0; at < text.length; at++) out[to++] = text.charCodeAt(at)
    }
  }
  return to
}

const RADIX = { d: 10, o: 8, x: 16, X: 16 } as const

function numberText(value: number, width: number, base: Base): string {
  if (base === 'n' || base === 'N') return nibbles(value, width, base === 'N')
  // printf's %o and %x show a negative number as 32 bits of two's complement, and BIND with them.
  const digits = Math.abs(base === 'd' ? value : value >>> 0).toString(RADIX[base])
  const sign = base === 'd' && value < 0 ? '-' : ''
  const text = sign + digits.padStart(width - sign.length, '0')
  return base === 'X' ? text.toUpperCase() : text
}

/** The width counts the dots too; one that ends behind a dot leaves it there, for a label that follows. */
function nibbles(value: number, width: number, upper: boolean): string {
  const digits = [...(value >>> 0).toString(16)].reverse()
  let text = digits.join('.')
  while (text.length < width) text += text.endsWith('.') ? '0' : '.'
  return upper ? text.toUpperCase() : text
}
