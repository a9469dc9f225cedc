/** Type bit maps of NSEC, NSEC3 and CSYNC (RFC 4034 §4.1.2): windows of 256 types, each present only when it has a
 *  type, in ascending order, as number:u8 length:u8 and 1 to 32 octets without trailing zeros; and the single bit map of
 *  NXT (RFC 2535 §5.2).
 *  I1  There is exactly one right encoding of a set of types; wire form that departs from it is a fault. */

import { type Mismatch, mismatch } from './rdata-mismatch.ts'
import { readType } from './rdata-number.ts'
import { type RdataTokens, shownToken } from './rdata-tokens.ts'
import { typeToText } from './types.ts'

const WINDOW_OCTETS_MAX = 32
/** All types as bits while a record is read, and of each window the octets in use; both are zero between calls. */
const bits = new Uint8Array(256 * WINDOW_OCTETS_MAX)
const octetsInUse = new Uint8Array(256)

/** Reads mnemonics and TYPEnnn to the end of the record, in any order. The first token is current. */
export function readTypes(tokens: RdataTokens, out: Uint8Array, start: number, label: string): number {
  let lastWindow = 0
  try {
    do {
      const type = readType(tokens, label)
      const window = type >> 8
      const octet = (type & 0xff) >> 3
      bits[window * WINDOW_OCTETS_MAX + octet]! |= 0x80 >> (type & 7)
      if (octet >= octetsInUse[window]!) octetsInUse[window] = octet + 1
      if (window > lastWindow) lastWindow = window
    } while (tokens.next())
    return writeWindows(out, start, lastWindow)
  } finally {
    for (let window = 0; window <= lastWindow; window++) {
      for (let octet = 0; octet < octetsInUse[window]!; octet++) bits[window * WINDOW_OCTETS_MAX + octet] = 0
      octetsInUse[window] = 0
    }
  }
}

function writeWindows(out: Uint8Array, start: number, lastWindow: number): number {
  let at = start
  for (let window = 0; window <= lastWindow; window++) {
    const length = octetsInUse[window]!
    if (length === 0) continue
    out[at++] = window
    out[at++] = length
    for (let octet = 0; octet < length; octet++) out[at++] = bits[window * WINDOW_OCTETS_MAX + octet]!
  }
  return at
}

/** Wire form of a set of types. */
export function encodeTypes(types: Iterable<number>): Uint8Array {
  const sorted = [...new Set(types)].sort((a, b) => a - b)
  const out: number[] = []
  for (let index = 0; index < sorted.length; ) {
    const window = sorted[index]! >> 8
    const map: number[] = []
    for (; index < sorted.length && sorted[index]! >> 8 === window; index++) {
      const type = sorted[index]!
      const octet = (type & 0xff) >> 3
      while (map.length <= octet) map.push(0)
      map[octet]! |= 0x80 >> (type & 7)
    }
    out.push(window, map.length, ...map)
  }
  return Uint8Array.from(out)
}

/** The types of bit maps in octets[start..end), ascending. */
export function decodeTypes(octets: Uint8Array, start: number, end: number): number[] {
  const types: number[] = []
  for (let at = start; at < end; at += 2 + octets[at + 1]!) {
    pushTypes(octets, at + 2, at + 2 + octets[at + 1]!, octets[at]! << 8, types)
  }
  return types
}

function pushTypes(octets: Uint8Array, start: number, end: number, base: number, types: number[]): void {
  for (let at = start; at < end; at++) {
    for (let bit = 0; bit < 8; bit++) {
      if ((octets[at]! & (0x80 >> bit)) !== 0) types.push(base + (at - start) * 8 + bit)
    }
  }
}

/** Checks wire form; the end, or what is wrong. */
export function checkTypes(octets: Uint8Array, start: number, end: number): number | Mismatch {
  let last = -1
  for (let at = start; at < end; ) {
    if (at + 2 > end) return mismatch('half a window', 'its number and length')
    const window = octets[at]!
    const length = octets[at + 1]!
    if (window <= last) return mismatch(`window ${window} behind window ${last}`, 'ascending order')
    if (length === 0 || length > WINDOW_OCTETS_MAX) return mismatch(`a window of ${length} octets`, '1 to 32')
    if (at + 2 + length > end) return mismatch(`${end - at - 2} octets of a window`, `${length} octets`)
    at += 2 + length
    if (octets[at - 1] === 0) return mismatch('a zero octet at the end of a window', 'none')
    last = window
  }
  return end
}

/** Mnemonics in ascending order; those in `generic` as TYPEnnn. */
export function typesToText(types: readonly number[], generic?: ReadonlySet<number>): string {
  return types.map(type => (generic?.has(type) ? `TYPE${type}` : typeToText(type))).join(' ')
}

const NXT_TYPE_MAX = 127

/** NXT: one bit map of types 1 to 127, bit 0 zero. */
export function readNxtTypes(tokens: RdataTokens, out: Uint8Array, start: number, label: string): number {
  let end = start
  do {
    const type = readType(tokens, label)
    if (type === 0 || type > NXT_TYPE_MAX) tokens.fault(shownToken(tokens), `${label}, types from 1 to 127`)
    const at = start + (type >> 3)
    while (end <= at) out[end++] = 0
    out[at]! |= 0x80 >> (type & 7)
  } while (tokens.next())
  return end
}

export function decodeNxtTypes(octets: Uint8Array, start: number, end: number): number[] {
  const types: number[] = []
  pushTypes(octets, start, end, 0, types)
  return types
}

export function checkNxtTypes(octets: Uint8Array, start: number, end: number): number | Mismatch {
  if (end - start < 1 || end - start > 16) return mismatch(`${end - start} octets`, 'a bit map of 1 to 16')
  if ((octets[start]! & 0x80) !== 0) return mismatch('bit 0 set', 'types from 1 to 127')
  return octets[end - 1] === 0 ? mismatch('a zero octet at the end', 'none') : end
}
