/** Fields whose form another field decides: the gateway of IPSECKEY (RFC 4025 §2.5), the relay of AMTRELAY (RFC 8777
 *  §4.2), and the lengths in front of HIP (RFC 8005 §5). */

import { type Name, nameLengthAt, nameToText } from './name.ts'
import { ipv4FromOctets, ipv4ToText, ipv6FromOctets, ipv6ToText } from './rdata-address.ts'
import { base64ToText, hexToText, readBase64, readHex } from './rdata-encoding.ts'
import { type Mismatch, mismatch } from './rdata-mismatch.ts'
import { readName } from './rdata-name.ts'
import { readDecimal } from './rdata-number.ts'
import { type RdataTokens, shownToken, TokenPart } from './rdata-tokens.ts'

/** RFC 4025 §2.3 and RFC 8777 §4.2.3 agree: 0 none (written as a dot), 1 IPv4, 2 IPv6, 3 a name. */
const NONE = 0
const IPV4 = 1
const IPV6 = 2
const NAME = 3

/** IPSECKEY: precedence, gateway type and algorithm are in front; the type is two octets back. */
export function readGateway(
  tokens: RdataTokens,
  origin: Name,
  out: Uint8Array,
  at: number,
  label: string,
): number {
  return readHost(tokens, origin, out, at, out[at - 2]!, label)
}

function readHost(
  tokens: RdataTokens,
  origin: Name,
  out: Uint8Array,
  at: number,
  type: number,
  label: string,
): number {
  const { octets, start, end } = tokens
  switch (type) {
    case NONE:
      if (end - start !== 1 || octets[start] !== 0x2e) {
        tokens.fault(shownToken(tokens), `${label}, "." because its type is 0`)
      }
      return at
    case IPV4: {
      const next = ipv4FromOctets(octets, start, end, out, at)
      return next < 0 ? tokens.fault(shownToken(tokens), `${label}, an IPv4 address by its type 1`) : next
    }
    case IPV6: {
      const next = ipv6FromOctets(octets, start, end, out, at)
      return next < 0 ? tokens.fault(shownToken(tokens), `${label}, an IPv6 address by its type 2`) : next
    }
    case NAME:
      return readName(tokens, origin, out, at, label)
    default:
      return tokens.fault(`${label} of type ${type}`, 'type 0 to 3, or the record in the form \\# n hex')
  }
}

/** The end of a host of that type, or what is wrong. */
function checkHost(octets: Uint8Array, at: number, end: number, type: number): number | Mismatch {
  switch (type) {
    case NONE:
      return at
    case IPV4:
      return at + 4 > end ? mismatch(`${end - at} octets`, 'an IPv4 address') : at + 4
    case IPV6:
      return at + 16 > end ? mismatch(`${end - at} octets`, 'an IPv6 address') : at + 16
    case NAME: {
      const length = nameLengthAt(octets, at, end)
      return length < 0 ? mismatch('no whole name', 'one without compression') : at + length
    }
    default:
      return mismatch(`type ${type}`, '0 to 3')
  }
}

function hostToText(octets: Uint8Array, at: number, type: number): string {
  if (type === NONE) return '.'
  if (type === IPV4) return ipv4ToText(octets, at)
  return type === IPV6 ? ipv6ToText(octets, at) : nameToText(octets, at)
}

export function checkGateway(octets: Uint8Array, at: number, end: number): number | Mismatch {
  return checkHost(octets, at, end, octets[at - 2]!)
}

export function gatewayToText(octets: Uint8Array, at: number): string {
  return hostToText(octets, at, octets[at - 2]!)
}

/** RFC 8777 §4.2.2: the top bit says that discovery is optional; the rest is the relay's type. */
const DISCOVERY_OPTIONAL = 0x80

/** AMTRELAY: `D type relay`. The first token is current. */
export function readRelay(
  tokens: RdataTokens,
  origin: Name,
  out: Uint8Array,
  at: number,
  label: string,
): number {
  const discovery = readDecimal(tokens, 1, 'discovery optional')
  if (!tokens.next()) tokens.fault('the end of the record', 'a relay type')
  const type = readDecimal(tokens, NAME, 'relay type')
  if (!tokens.next()) tokens.fault('the end of the record', label)
  out[at] = (discovery << 7) | type
  return readHost(tokens, origin, out, at + 1, type, label)
}

export function checkRelay(octets: Uint8Array, at: number, end: number): number | Mismatch {
  if (at >= end) return mismatch('its end', 'a relay type')
  return checkHost(octets, at + 1, end, octets[at]! & ~DISCOVERY_OPTIONAL)
}

export function relayToText(octets: Uint8Array, at: number): string {
  const type = octets[at]! & ~DISCOVERY_OPTIONAL
  return `${octets[at]! >> 7} ${type} ${hostToText(octets, at + 1, type)}`
}

/** RFC 8005 §5: hit length:u8, algorithm:u8, key length:u16, then the HIT, the key and rendezvous servers. */
const HIP_HEADER_OCTETS = 4

/** HIP: `algorithm hit key server …`. The first token is current. */
export function readHip(tokens: RdataTokens, origin: Name, out: Uint8Array, start: number): number {
  out[start + 1] = readDecimal(tokens, 255, 'public key algorithm')
  const hitAt = start + HIP_HEADER_OCTETS
  if (!tokens.next()) tokens.fault('the end of the record', 'a host identity tag')
  const keyAt = readHex(tokens, out, hitAt, 'host identity tag')
  if (keyAt === hitAt || keyAt - hitAt > 255) tokens.fault(shownToken(tokens), 'a tag of 1 to 255 octets')
  if (!tokens.next()) tokens.fault('the end of the record', 'a public key')
  let at = readBase64(new TokenPart(tokens), out, keyAt, 'public key')
  if (at === keyAt) tokens.fault('no public key', 'base64')
  out[start] = keyAt - hitAt
  out[start + 2] = (at - keyAt) >> 8
  out[start + 3] = at - keyAt
  while (tokens.next()) at = readName(tokens, origin, out, at, 'rendezvous server')
  return at
}

export function checkHip(octets: Uint8Array, start: number, end: number): number | Mismatch {
  if (start + HIP_HEADER_OCTETS > end) return mismatch(`${end - start} octets`, 'lengths and an algorithm')
  const hitOctets = octets[start]!
  const keyOctets = (octets[start + 2]! << 8) | octets[start + 3]!
  if (hitOctets === 0 || keyOctets === 0) return mismatch('an empty tag or key', 'both')
  let at = start + HIP_HEADER_OCTETS + hitOctets + keyOctets
  if (at > end) return mismatch('its end inside the tag or key', 'the octets that their lengths promise')
  while (at < end) {
    const length = nameLengthAt(octets, at, end)
    if (length < 0) return mismatch('no whole name', 'a rendezvous server')
    at += length
  }
  return at
}

export function hipToText(octets: Uint8Array, start: number, end: number): string {
  const keyAt = start + HIP_HEADER_OCTETS + octets[start]!
  const keyEnd = keyAt + ((octets[start + 2]! << 8) | octets[start + 3]!)
  const hit = hexToText(octets, start + HIP_HEADER_OCTETS, keyAt)
  let text = `${octets[start + 1]} ${hit} ${base64ToText(octets, keyAt, keyEnd)}`
  for (let at = keyEnd; at < end; at += nameLengthAt(octets, at, end)) text += ` ${nameToText(octets, at)}`
  return text
}
