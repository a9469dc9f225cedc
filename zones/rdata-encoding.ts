/** Base64, base32hex and hexadecimal of RDATA (RFC 4648 §4, §7, §8). Readers take the current token and, where a field
 *  may be written in several pieces (RFC 4034 §2.2, RFC 3597 §5), those that follow; they return the offset behind
 *  what they wrote.
 *  I1  Only the encoding that a writer would choose is read (RFC 4648 §3.5): right padding, no stray bits. */

import { type RdataTokens, shownToken } from './rdata-tokens.ts'

/** Value of each character, 255 for those outside the alphabet. */
function alphabet(characters: string, anyCase = false): Uint8Array {
  const values = new Uint8Array(256).fill(BAD)
  for (let value = 0; value < characters.length; value++) {
    values[characters.charCodeAt(value)] = value
    if (anyCase) values[characters.toLowerCase().charCodeAt(value)] = value
  }
  return values
}

const BAD = 255
const PAD = 0x3d
const BASE64 = alphabet('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')
const BASE32HEX_DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUV'
const BASE32HEX = alphabet(BASE32HEX_DIGITS, true)
const HEX = alphabet('0123456789ABCDEF', true)

/** Value of a hexadecimal digit, or 255. */
export function hexDigit(octet: number): number {
  return HEX[octet]!
}

/** Base64 over the current token and all that follow. */
export function readBase64(tokens: RdataTokens, out: Uint8Array, start: number, label: string): number {
  let at = start
  let bits = 0
  let held = 0
  let pads = 0
  do {
    const { octets, end } = tokens
    let from = tokens.start
    if (held === 0 && pads === 0) {
      // Four characters at a time: the whole of an ordinary key or signature goes through here.
      for (; from + 4 <= end; from += 4) {
        const a = BASE64[octets[from]!]!
        const b = BASE64[octets[from + 1]!]!
        const c = BASE64[octets[from + 2]!]!
        const d = BASE64[octets[from + 3]!]!
        if ((a | b | c | d) > 63) break
        out[at] = (a << 2) | (b >> 4)
        out[at + 1] = (b << 4) | (c >> 2)
        out[at + 2] = (c << 6) | d
        at += 3
      }
    }
    for (; from < end; from++) {
      const octet = octets[from]!
      const value = BASE64[octet]!
      if (octet === PAD && held >= 2 && held + pads < 4) pads++
      else if (value === BAD || pads > 0) badCharacter(tokens, from, 'base64', label)
      else {
        bits = ((bits << 6) | value) & 0xffffff
        if (++held === 4) {
          out[at++] = bits >> 16
          out[at++] = bits >> 8
          out[at++] = bits
          held = 0
        }
      }
    }
  } while (tokens.next())
  return endBase64(tokens, out, at, bits, held, pads, label)
}

function endBase64(
  tokens: RdataTokens,
  out: Uint8Array,
  at: number,
  bits: number,
  held: number,
  pads: number,
  label: string,
): number {
  if (held === 0) return at
  if (held + pads !== 4)
    tokens.fault('the end of base64 in the middle of a group', `${label}, padded with "="`)
  if ((held === 2 ? bits & 15 : bits & 3) !== 0) {
    tokens.fault('base64 with bits set behind its last octet', `${label}, whole octets`)
  }
  const group = bits << (6 * pads)
  out[at++] = group >> 16
  if (held === 3) out[at++] = group >> 8
  return at
}

/** Hexadecimal over the current token and all that follow. */
export function readHexRest(tokens: RdataTokens, out: Uint8Array, start: number, label: string): number {
  let at = start
  let high = -1
  do {
    const { octets, end } = tokens
    let from = tokens.start
    if (high < 0) {
      // An octet at a time, as long as all is well.
      for (; from + 2 <= end; from += 2) {
        const first = HEX[octets[from]!]!
        const second = HEX[octets[from + 1]!]!
        if ((first | second) > 15) break
        out[at++] = (first << 4) | second
      }
    }
    for (; from < end; from++) {
      const value = HEX[octets[from]!]!
      if (value === BAD) badCharacter(tokens, from, 'hexadecimal', label)
      if (high < 0) high = value
      else {
        out[at++] = (high << 4) | value
        high = -1
      }
    }
  } while (tokens.next())
  if (high >= 0) tokens.fault('an odd number of hexadecimal digits', `${label}, two digits an octet`)
  return at
}

/** Hexadecimal in one token; `separator` may stand between octets. */
export function readHex(
  tokens: RdataTokens,
  out: Uint8Array,
  start: number,
  label: string,
  from: number = tokens.start,
): number {
  const { octets, end } = tokens
  let at = start
  if ((end - from) % 2 !== 0) tokens.fault(shownToken(tokens), `${label}, two hexadecimal digits an octet`)
  for (let index = from; index < end; index += 2) {
    const high = HEX[octets[index]!]!
    const low = HEX[octets[index + 1]!]!
    if (high === BAD || low === BAD)
      badCharacter(tokens, high === BAD ? index : index + 1, 'hexadecimal', label)
    out[at++] = (high << 4) | low
  }
  return at
}

/** Base32 with the extended hex alphabet, unpadded, in one token (RFC 5155 §3.3). */
export function readBase32Hex(tokens: RdataTokens, out: Uint8Array, start: number, label: string): number {
  const end = decodeBase32Hex(tokens.octets, tokens.start, tokens.end, out, start)
  if (end < 0) tokens.fault(shownToken(tokens), `${label}, unpadded base32hex (0 to 9, A to V)`)
  return end
}

/** Decodes unpadded base32hex; −1 when it is not whole octets of that alphabet. Allocates nothing. */
export function decodeBase32Hex(
  octets: Uint8Array,
  from: number,
  end: number,
  out: Uint8Array,
  start: number,
): number {
  let at = start
  let bits = 0
  let held = 0
  let index = from
  // Eight characters are five octets: a SHA-1 hash goes through here in four steps.
  for (; index + 8 <= end; index += 8, at += 5) {
    const a = BASE32HEX[octets[index]!]!
    const b = BASE32HEX[octets[index + 1]!]!
    const c = BASE32HEX[octets[index + 2]!]!
    const d = BASE32HEX[octets[index + 3]!]!
    const e = BASE32HEX[octets[index + 4]!]!
    const f = BASE32HEX[octets[index + 5]!]!
    const g = BASE32HEX[octets[index + 6]!]!
    const h = BASE32HEX[octets[index + 7]!]!
    if ((a | b | c | d | e | f | g | h) > 31) return -1
    out[at] = (a << 3) | (b >> 2)
    out[at + 1] = (b << 6) | (c << 1) | (d >> 4)
    out[at + 2] = (d << 4) | (e >> 1)
    out[at + 3] = (e << 7) | (f << 2) | (g >> 3)
    out[at + 4] = (g << 5) | h
  }
  for (; index < end; index++) {
    const value = BASE32HEX[octets[index]!]!
    if (value === BAD) return -1
    bits = ((bits << 5) | value) & 0xfff
    held += 5
    if (held >= 8) {
      held -= 8
      out[at++] = bits >> held
    }
  }
  // What is left over is fewer bits than a character has, all zero.
  return held >= 5 || (bits & ((1 << held) - 1)) !== 0 ? -1 : at
}

/** Writes octets[from..end) as unpadded base32hex in lower case, as owner names of NSEC3 have it; returns the offset
 *  behind. Allocates nothing. */
export function encodeBase32Hex(
  octets: Uint8Array,
  from: number,
  end: number,
  out: Uint8Array,
  start: number,
): number {
  let at = start
  let bits = 0
  let held = 0
  for (let index = from; index < end; index++) {
    bits = ((bits << 8) | octets[index]!) & 0xfff
    held += 8
    while (held >= 5) {
      held -= 5
      out[at++] = base32Character((bits >> held) & 31)
    }
  }
  if (held > 0) out[at++] = base32Character((bits << (5 - held)) & 31)
  return at
}

function base32Character(value: number): number {
  return value < 10 ? 0x30 + value : 0x57 + value
}

export function base32HexToText(octets: Uint8Array, start: number, end: number): string {
  const out = new Uint8Array(Math.ceil(((end - start) * 8) / 5))
  encodeBase32Hex(octets, start, end, out, 0)
  return new TextDecoder().decode(out)
}

function view(octets: Uint8Array, start: number, end: number): Buffer {
  return Buffer.from(octets.buffer, octets.byteOffset + start, end - start)
}

export function base64ToText(octets: Uint8Array, start: number, end: number): string {
  return view(octets, start, end).toString('base64')
}

/** Upper case, as RFCs print digests. */
export function hexToText(octets: Uint8Array, start: number, end: number): string {
  return view(octets, start, end).toString('hex').toUpperCase()
}

function badCharacter(tokens: RdataTokens, at: number, encoding: string, label: string): never {
  const octet = tokens.octets[at]!
  const shown = octet > 0x20 && octet < 0x7f ? JSON.stringify(String.fromCharCode(octet)) : `octet ${octet}`
  return tokens.fault(`${shown} in ${shownToken(tokens)}`, `${label} in ${encoding}`)
}
