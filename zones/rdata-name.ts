/** Names and character-strings of zone files in octets (RFC 1035 §5.1 and §3.3). Allocates nothing unless there is a
 *  fault; nameFromText of name.ts does the same for names that programs and options give. */

import { LABEL_OCTETS_MAX, NAME_OCTETS_MAX, type Name } from './name.ts'
import { type RdataTokens, shownToken } from './rdata-tokens.ts'

const DOT = 0x2e
const AT_SIGN = 0x40
const BACKSLASH = 0x5c

/** RFC 1035 §3.3: the length of a character-string is one octet. */
export const STRING_OCTETS_MAX = 255

/** Why nameFromOctets read no name. */
export const NAME_EMPTY_LABEL = -1
export const NAME_LONG_LABEL = -2
export const NAME_LONG = -3
export const NAME_BAD_ESCAPE = -4
export const NAME_NOTHING = -5

/** Writes the name that octets[start..end) spell (`@`, relative and escapes included) as wire octets to `out` and
 *  returns the offset behind them, or one of NAME_…. Up to 511 octets of `out` from `at` on may be overwritten. */
export function nameFromOctets(
  octets: Uint8Array,
  start: number,
  end: number,
  origin: Name,
  out: Uint8Array,
  at: number,
): number {
  if (end - start <= 1) {
    if (end === start) return NAME_NOTHING
    if (octets[start] === DOT) {
      out[at] = 0
      return at + 1
    }
    if (octets[start] === AT_SIGN) return copyOrigin(origin, out, at, at)
  }
  let labelAt = at
  let to = at + 1
  for (let index = start; index < end; ) {
    // A loop without calls: plain octets of a label, no more than may be written.
    const stop = Math.min(end, index + NAME_OCTETS_MAX + 1) | 0
    let octet = 0
    for (; index < stop; index++) {
      octet = octets[index]!
      if (octet === DOT || octet === BACKSLASH) break
      out[to++] = octet
    }
    if (to - at > NAME_OCTETS_MAX + 1) return NAME_LONG
    if (index === end) break
    if (octet === DOT) {
      const length = to - labelAt - 1
      if (length === 0) return NAME_EMPTY_LABEL
      if (length > LABEL_OCTETS_MAX) return NAME_LONG_LABEL
      out[labelAt] = length
      labelAt = to++
      index++
    } else if (octet === BACKSLASH) {
      const code = escapedAt(octets, index + 1, end)
      if (code < 0) return NAME_BAD_ESCAPE
      out[to++] = code & 0xff
      index += 1 + (code >> 8)
    }
  }
  const length = to - labelAt - 1
  if (length > LABEL_OCTETS_MAX) return NAME_LONG_LABEL
  out[labelAt] = length
  // A dot at the end left an empty last label: the root's.
  if (length === 0) return to - at > NAME_OCTETS_MAX ? NAME_LONG : to
  return copyOrigin(origin, out, at, to)
}

/** Puts the origin behind the labels from `at` to `to`. */
function copyOrigin(origin: Name, out: Uint8Array, at: number, to: number): number {
  if (to + origin.length - at > NAME_OCTETS_MAX) return NAME_LONG
  for (let index = 0; index < origin.length; index++) out[to + index] = origin[index]!
  return to + origin.length
}

/** What is behind a backslash: the octet, and 256 times the octets it took; −1 when it is no escape. */
function escapedAt(octets: Uint8Array, start: number, end: number): number {
  if (start >= end) return -1
  const first = octets[start]! - 0x30
  if (first < 0 || first > 9) return octets[start]! | 0x100
  if (start + 3 > end) return -1
  const second = octets[start + 1]! - 0x30
  const third = octets[start + 2]! - 0x30
  if (second < 0 || second > 9 || third < 0 || third > 9) return -1
  const value = first * 100 + second * 10 + third
  return value > 255 ? -1 : value | 0x300
}

/** What was wrong, and what was expected, when nameFromOctets gave a negative number. */
export function nameFault(reason: number): { found: string; expected: string } {
  switch (reason) {
    case NAME_EMPTY_LABEL:
      return { found: 'an empty label', expected: 'a label between dots' }
    case NAME_LONG_LABEL:
      return { found: 'a label of more than 63 octets', expected: 'labels of at most 63' }
    case NAME_LONG:
      return { found: 'a name of more than 255 octets', expected: 'at most 255, the origin included' }
    case NAME_BAD_ESCAPE:
      return { found: 'a bad escape', expected: '\\X or \\DDD with DDD up to 255' }
    default:
      return { found: 'no name', expected: 'a domain name' }
  }
}

/** The token as a name. */
export function readName(
  tokens: RdataTokens,
  origin: Name,
  out: Uint8Array,
  at: number,
  label: string,
): number {
  const end = nameFromOctets(tokens.octets, tokens.start, tokens.end, origin, out, at)
  if (end >= 0) return end
  const { found, expected } = nameFault(end)
  return tokens.fault(`${found} in ${shownToken(tokens)}`, `${label}, ${expected}`)
}

/** The token with its escapes undone, written to `out`; returns the offset behind. */
export function readText(tokens: RdataTokens, out: Uint8Array, start: number, label: string): number {
  const { octets, end } = tokens
  let at = start
  if (!tokens.escaped) {
    for (let from = tokens.start; from < end; from++) out[at++] = octets[from]!
    return at
  }
  for (let from = tokens.start; from < end; from++) {
    let octet = octets[from]!
    if (octet === BACKSLASH) {
      const code = escapedAt(octets, from + 1, end)
      if (code < 0) tokens.fault(`a bad escape in ${shownToken(tokens)}`, `${label}, \\X or \\DDD up to 255`)
      octet = code & 0xff
      from += code >> 8
    }
    out[at++] = octet
  }
  return at
}

/** The token as a character-string: a length octet and at most 255 octets. */
export function readString(tokens: RdataTokens, out: Uint8Array, at: number, label: string): number {
  const end = readText(tokens, out, at + 1, label)
  const length = end - at - 1
  if (length > STRING_OCTETS_MAX) {
    tokens.fault(
      `a string of ${length} octets`,
      `${label}, at most 255 a string: split it into several, "…" "…", which readers join`,
    )
  }
  out[at] = length
  return end
}

/** octets[start..end) as one quoted string; all but printable ASCII as \DDD. */
export function quotedText(octets: Uint8Array, start: number, end: number): string {
  let text = '"'
  for (let at = start; at < end; at++) {
    const octet = octets[at]!
    if (octet === 0x22 || octet === BACKSLASH) text += `\\${String.fromCharCode(octet)}`
    else if (octet >= 0x20 && octet <= 0x7e) text += String.fromCharCode(octet)
    else text += `\\${octet.toString().padStart(3, '0')}`
  }
  return `${text}"`
}
