/** APL (RFC 3123): any number of items family:u16 prefix:u8 negation and length:u8 address, whose trailing zero
 *  octets are left out; and NSAP addresses (RFC 1706 §7). */

import { ipv4FromOctets, ipv4ToText, ipv6FromOctets, ipv6ToText } from './rdata-address.ts'
import { hexDigit } from './rdata-encoding.ts'
import { type Mismatch, mismatch } from './rdata-mismatch.ts'
import { decimalFromOctets } from './rdata-number.ts'
import { type RdataTokens, shownToken } from './rdata-tokens.ts'

const ITEM_OCTETS = 4
const NEGATION = 0x80
/** IANA's address family numbers. */
const FAMILY_IPV4 = 1
const FAMILY_IPV6 = 2
const address = new Uint8Array(16)
const COLON = 0x3a
const SLASH = 0x2f

/** `[!]family:address/prefix …`. The first token is current. */
export function readApl(tokens: RdataTokens, out: Uint8Array, start: number, label: string): number {
  let at = start
  do at = readItem(tokens, out, at, label)
  while (tokens.next())
  return at
}

function readItem(tokens: RdataTokens, out: Uint8Array, at: number, label: string): number {
  const { octets, start, end } = tokens
  const bad = (): never =>
    tokens.fault(shownToken(tokens), `${label}, such as 1:192.0.2.0/24 or !2:2001:db8::/32`)
  const negated = octets[start] === 0x21
  const familyAt = negated ? start + 1 : start
  let colon = familyAt
  while (colon < end && octets[colon] !== COLON) colon++
  let slash = end - 1
  while (slash > colon && octets[slash] !== SLASH) slash--
  if (slash <= colon) return bad()
  const family = decimalFromOctets(octets, familyAt, colon)
  const prefix = decimalFromOctets(octets, slash + 1, end)
  if (family !== FAMILY_IPV4 && family !== FAMILY_IPV6) return bad()
  const read = family === FAMILY_IPV4 ? ipv4FromOctets : ipv6FromOctets
  const length = read(octets, colon + 1, slash, address, 0)
  if (length < 0 || prefix < 0 || prefix > 8 * length) return bad()
  let kept = length
  while (kept > 0 && address[kept - 1] === 0) kept--
  out[at] = 0
  out[at + 1] = family
  out[at + 2] = prefix
  out[at + 3] = (negated ? NEGATION : 0) | kept
  for (let index = 0; index < kept; index++) out[at + ITEM_OCTETS + index] = address[index]!
  return at + ITEM_OCTETS + kept
}

export function checkApl(octets: Uint8Array, start: number, end: number): number | Mismatch {
  let at = start
  while (at < end) {
    if (at + ITEM_OCTETS > end) return mismatch(`${end - at} octets`, 'family, prefix and length')
    const family = (octets[at]! << 8) | octets[at + 1]!
    const kept = octets[at + 3]! & ~NEGATION
    const octetsMax = family === FAMILY_IPV4 ? 4 : family === FAMILY_IPV6 ? 16 : 127
    if (kept > octetsMax) return mismatch(`${kept} octets of address`, `at most ${octetsMax}`)
    if (family <= FAMILY_IPV6 && family > 0 && octets[at + 2]! > 8 * octetsMax) {
      return mismatch(`prefix ${octets[at + 2]}`, `at most ${8 * octetsMax}`)
    }
    at += ITEM_OCTETS + kept
    if (at > end) return mismatch('its end inside an address', 'the octets that its length promises')
    // RFC 3123 §4: trailing zero octets are not sent.
    if (kept > 0 && octets[at - 1] === 0) return mismatch('a zero octet at the end of an address', 'none')
  }
  return at
}

/** Text of an APL that was checked; undefined when it has a family that text cannot express. */
export function aplToText(octets: Uint8Array, start: number, end: number): string | undefined {
  const items: string[] = []
  for (let at = start; at < end; at += ITEM_OCTETS + (octets[at + 3]! & ~NEGATION)) {
    const family = (octets[at]! << 8) | octets[at + 1]!
    if (family !== FAMILY_IPV4 && family !== FAMILY_IPV6) return undefined
    address.fill(0)
    address.set(octets.subarray(at + ITEM_OCTETS, at + ITEM_OCTETS + (octets[at + 3]! & ~NEGATION)))
    const text = family === FAMILY_IPV4 ? ipv4ToText(address, 0) : ipv6ToText(address, 0)
    items.push(`${octets[at + 3]! & NEGATION ? '!' : ''}${family}:${text}/${octets[at + 2]}`)
  }
  return items.join(' ')
}

/** `0x` and hexadecimal digits, dots anywhere between octets or digits. */
export function readNsap(tokens: RdataTokens, out: Uint8Array, start: number, label: string): number {
  const { octets, end } = tokens
  const expected = `${label}, 0x and pairs of hexadecimal digits`
  const from = tokens.start
  if (octets[from] !== 0x30 || (octets[from + 1]! | 0x20) !== 0x78) tokens.fault(shownToken(tokens), expected)
  let at = start
  let high = -1
  for (let index = from + 2; index < end; index++) {
    if (octets[index] === 0x2e) continue
    const digit = hexDigit(octets[index]!)
    if (digit > 15) tokens.fault(shownToken(tokens), expected)
    if (high < 0) high = digit
    else {
      out[at++] = (high << 4) | digit
      high = -1
    }
  }
  if (high >= 0 || at === start) tokens.fault(shownToken(tokens), expected)
  return at
}
