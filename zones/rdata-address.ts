/** Addresses in presentation form: IPv4 and IPv6 (RFC 4291 §2.2, written as RFC 5952 §4 has it), EUI-48 and EUI-64
 *  (RFC 7043 §3.2 and §4.2), and the locators of ILNP (RFC 6742 §2.1.2). Readers return the offset behind the octets they
 *  wrote, −1 for text that is no address, and allocate nothing. */

import { hexDigit, hexToText } from './rdata-encoding.ts'

const DOT = 0x2e
const COLON = 0x3a
const IPV6_GROUPS = 8

/** Four decimal numbers up to 255 without leading zeros (which some read as octal). */
export function ipv4FromOctets(
  octets: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
): number {
  let value = -1
  let numbers = 0
  for (let index = start; index < end; index++) {
    const octet = octets[index]!
    if (octet === DOT) {
      if (value < 0 || numbers === 3) return -1
      out[at + numbers++] = value
      value = -1
      continue
    }
    const digit = octet - 0x30
    if (digit < 0 || digit > 9 || value === 0) return -1
    value = value < 0 ? digit : value * 10 + digit
    if (value > 255) return -1
  }
  if (value < 0 || numbers !== 3) return -1
  out[at + 3] = value
  return at + 4
}

/** RFC 4291 §2.2: groups, one `::`, and a dotted quad at the end. */
export function ipv6FromOctets(
  octets: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
): number {
  let groups = 0
  /** Groups in front of `::`. */
  let gap = -1
  let index = start
  if (octets[start] === COLON) {
    if (end - start < 2 || octets[start + 1] !== COLON) return -1
    gap = 0
    index += 2
  }
  while (index < end) {
    if (groups === IPV6_GROUPS) return -1
    const groupStart = index
    let value = 0
    for (; index < end; index++) {
      const digit = hexDigit(octets[index]!)
      if (digit > 15) break
      value = (value << 4) | digit
    }
    const digits = index - groupStart
    if (octets[index] === DOT && index < end) {
      if (groups > IPV6_GROUPS - 2) return -1
      if (ipv4FromOctets(octets, groupStart, end, out, at + 2 * groups) < 0) return -1
      groups += 2
      break
    }
    if (digits === 0 || digits > 4) return -1
    out[at + 2 * groups] = value >> 8
    out[at + 2 * groups + 1] = value
    groups++
    if (index === end) break
    if (octets[index] !== COLON || ++index === end) return -1
    if (octets[index] === COLON) {
      if (gap >= 0) return -1
      gap = groups
      index++
    }
  }
  return spreadGap(out, at, groups, gap)
}

/** Moves the groups behind `::` to the end and puts zeros where it stood. */
function spreadGap(out: Uint8Array, at: number, groups: number, gap: number): number {
  const end = at + 2 * IPV6_GROUPS
  if (gap < 0) return groups === IPV6_GROUPS ? end : -1
  if (groups === IPV6_GROUPS) return -1
  const behind = 2 * (groups - gap)
  for (let index = 1; index <= behind; index++) out[end - index] = out[at + 2 * groups - index]!
  for (let index = at + 2 * gap; index < end - behind; index++) out[index] = 0
  return end
}

export function ipv4ToText(octets: Uint8Array, at: number): string {
  return `${octets[at]}.${octets[at + 1]}.${octets[at + 2]}.${octets[at + 3]}`
}

/** RFC 5952 §4: lower case, no leading zeros, `::` for the longest run of two or more zero groups, the first of equals.
 *  §5: IPv4-mapped addresses end in a dotted quad. */
export function ipv6ToText(octets: Uint8Array, at: number): string {
  const groups: number[] = []
  for (let index = 0; index < IPV6_GROUPS; index++) {
    groups.push((octets[at + 2 * index]! << 8) | octets[at + 2 * index + 1]!)
  }
  if (groups.slice(0, 5).every(group => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${ipv4ToText(octets, at + 12)}`
  }
  const { start, length } = longestZeroRun(groups)
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map(group => group.toString(16))
      .join(':')
  return length < 2 ? hex(0, IPV6_GROUPS) : `${hex(0, start)}::${hex(start + length, IPV6_GROUPS)}`
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  for (let start = 0; start < groups.length; start++) {
    let length = 0
    while (groups[start + length] === 0) length++
    if (length > best.length) best = { start, length }
  }
  return best
}

/** Groups of hexadecimal digits, each of exactly `octetsPerGroup` octets or (locators) of one to four digits. */
export function groupedHexFromOctets(
  octets: Uint8Array,
  start: number,
  end: number,
  form: HexGroups,
  out: Uint8Array,
  at: number,
): number {
  let group = 0
  let digits = 0
  let value = 0
  for (let index = start; index <= end; index++) {
    if (index === end || octets[index] === form.separator) {
      if (digits < form.digitsMin || group === form.groups) return -1
      if (form.octets === 2) out[at++] = value >> 8
      out[at++] = value
      group++
      digits = value = 0
      continue
    }
    const digit = hexDigit(octets[index]!)
    if (digit > 15 || ++digits > 2 * form.octets) return -1
    value = (value << 4) | digit
  }
  return group === form.groups ? at : -1
}

export interface HexGroups {
  readonly separator: number
  readonly groups: number
  readonly octets: 1 | 2
  readonly digitsMin: number
}
const HYPHEN = 0x2d
export const EUI48: HexGroups = { separator: HYPHEN, groups: 6, octets: 1, digitsMin: 2 }
export const EUI64: HexGroups = { separator: HYPHEN, groups: 8, octets: 1, digitsMin: 2 }
export const LOCATOR: HexGroups = { separator: COLON, groups: 4, octets: 2, digitsMin: 1 }

export function groupedHexToText(octets: Uint8Array, at: number, form: HexGroups): string {
  const groups: string[] = []
  for (let index = 0; index < form.groups; index++) {
    const start = at + index * form.octets
    groups.push(hexToText(octets, start, start + form.octets).toLowerCase())
  }
  return groups.join(String.fromCharCode(form.separator))
}
