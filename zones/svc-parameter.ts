/** Values of the registered SvcParamKeys (RFC 9460 §7, §8, §14.3.2), one row a key: from text whose character-string
 *  escapes are undone (appendix A) to wire form, back, and the check of wire form. */

import { u16 } from './node.ts'
import { ipv4FromOctets, ipv4ToText, ipv6FromOctets, ipv6ToText } from './rdata-address.ts'
import { base64ToText } from './rdata-encoding.ts'
import { type Mismatch, mismatch } from './rdata-mismatch.ts'

/** RFC 9460 §14.3.2: 65535 is the invalid key. */
export const SVC_KEY_MAX = 65_534

export interface SvcParameter {
  readonly key: number
  readonly name: string
  /** Wire form of the value, or the fault. An absent value is empty. */
  readonly encode: (text: Uint8Array) => Uint8Array | Mismatch
  /** Text of a checked value, before character-string escapes. */
  readonly decode: (value: Uint8Array) => Uint8Array
  readonly check: (value: Uint8Array) => Mismatch | undefined
}

/** The fault of a known key's value in wire form; undefined when it is right or the key is unknown. */
export function checkSvcValue(key: number, value: Uint8Array): Mismatch | undefined {
  return SVC_PARAMETERS.find(known => known.key === key)?.check(value)
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text)
const shown = (octets: Uint8Array): string => JSON.stringify(new TextDecoder().decode(octets))

/** Items between commas, without escapes: empty ones and an empty list are kept for the caller to refuse. */
function split(text: Uint8Array): Uint8Array[] {
  const items: Uint8Array[] = []
  let start = 0
  for (let at = 0; at <= text.length; at++) {
    if (at < text.length && text[at] !== COMMA) continue
    items.push(text.subarray(start, at))
    start = at + 1
  }
  return items
}

const COMMA = 0x2c
const BACKSLASH = 0x5c

/** Values that are a list of items of a fixed size. */
function listOf(
  octets: number,
  what: string,
  encodeItem: (item: Uint8Array, out: Uint8Array, at: number) => number,
  itemToText: (value: Uint8Array, at: number) => string,
): Pick<SvcParameter, 'encode' | 'decode' | 'check'> {
  return {
    encode(text) {
      const items = split(text)
      const out = new Uint8Array(items.length * octets)
      for (const [index, item] of items.entries()) {
        if (encodeItem(item, out, index * octets) < 0) return mismatch(shown(item), what)
      }
      return out
    },
    decode(value) {
      const items: string[] = []
      for (let at = 0; at < value.length; at += octets) items.push(itemToText(value, at))
      return ascii(items.join(','))
    },
    check(value) {
      if (value.length === 0) return mismatch('no value', what)
      return value.length % octets === 0 ? undefined : mismatch(`${value.length} octets`, `${octets} an item`)
    },
  }
}

function encodeU16(item: Uint8Array, out: Uint8Array, at: number): number {
  const text = new TextDecoder().decode(item)
  const value = Number(text)
  if (!/^\d{1,5}$/.test(text) || value > 0xffff) return -1
  out[at] = value >> 8
  out[at + 1] = value
  return at + 2
}

function encodeKey(item: Uint8Array, out: Uint8Array, at: number): number {
  const text = new TextDecoder().decode(item)
  const known = SVC_PARAMETERS.find(parameter => parameter.name === text)
  if (known === undefined && !/^key(0|[1-9]\d{0,4})$/.test(text)) return -1
  return encodeU16(known === undefined ? item.subarray(3) : ascii(String(known.key)), out, at)
}

function keyToText(value: Uint8Array, at: number): string {
  const key = u16(value, at)
  return SVC_PARAMETERS.find(known => known.key === key)?.name ?? `key${key}`
}

const keys = listOf(2, 'a list of parameters such as alpn,port', encodeKey, keyToText)
const groups = listOf(2, 'a list of numbers from 0 to 65535', encodeU16, (value, at) =>
  String(u16(value, at)),
)

/** RFC 9460 §8: ascending, each once, never `mandatory` itself. */
const mandatory: Pick<SvcParameter, 'encode' | 'decode' | 'check'> = {
  encode(text) {
    const value = keys.encode(text)
    if ('found' in value) return value
    const sorted = Array.from({ length: value.length / 2 }, (_, index) => u16(value, 2 * index))
    sorted.sort((a, b) => a - b)
    return Uint8Array.from(sorted.flatMap(key => [key >> 8, key & 0xff]))
  },
  decode: keys.decode,
  check(value) {
    const fault = keys.check(value)
    if (fault !== undefined) return fault
    for (let at = 0; at < value.length; at += 2) {
      if (u16(value, at) === 0) return mismatch('mandatory in its own list', 'other parameters')
      if (at === 0) continue
      if (u16(value, at) === u16(value, at - 2)) return mismatch(`${keyToText(value, at)} twice`, 'each once')
      if (u16(value, at) < u16(value, at - 2)) return mismatch('descending keys', 'ascending ones')
    }
    return undefined
  },
}

/** RFC 9460 §7.1.1 and appendix A.1: items whose commas and backslashes are escaped a second time. */
const alpn: Pick<SvcParameter, 'encode' | 'decode' | 'check'> = {
  encode(text) {
    const out: number[] = []
    let item: number[] = []
    for (let at = 0; at <= text.length; at++) {
      const octet = text[at]
      if (octet === undefined || octet === COMMA) {
        if (item.length === 0 || item.length > 255) return badProtocol(item.length)
        out.push(item.length, ...item)
        item = []
      } else if (octet === BACKSLASH) {
        const escaped = text[++at]
        if (escaped !== COMMA && escaped !== BACKSLASH) {
          return mismatch('a bad escape in the list', '\\\\, or \\\\\\\\ for a comma or backslash in an item')
        }
        item.push(escaped)
      } else item.push(octet)
    }
    return Uint8Array.from(out)
  },
  decode(value) {
    const out: number[] = []
    for (let at = 0; at < value.length; at += 1 + value[at]!) {
      if (at > 0) out.push(COMMA)
      for (const octet of value.subarray(at + 1, at + 1 + value[at]!)) {
        if (octet === COMMA || octet === BACKSLASH) out.push(BACKSLASH)
        out.push(octet)
      }
    }
    return Uint8Array.from(out)
  },
  check(value) {
    let at = 0
    for (; at < value.length; at += 1 + value[at]!) if (value[at] === 0) return badProtocol(0)
    if (value.length === 0) return mismatch('no value', 'a list of protocols such as h2,h3')
    return at === value.length ? undefined : mismatch('its end inside a protocol', 'whole ones')
  },
}

function badProtocol(octets: number): Mismatch {
  return mismatch(`a protocol of ${octets} octets`, 'a list such as h2,h3 of 1 to 255 octets each')
}

const empty: Pick<SvcParameter, 'encode' | 'decode' | 'check'> = {
  encode: text => (text.length === 0 ? text : mismatch(`value ${shown(text)}`, 'none')),
  decode: value => value,
  check: value => (value.length === 0 ? undefined : mismatch(`${value.length} octets`, 'no value')),
}

const port: Pick<SvcParameter, 'encode' | 'decode' | 'check'> = {
  encode(text) {
    const value = new Uint8Array(2)
    return encodeU16(text, value, 0) < 0 ? mismatch(`${shown(text)}`, 'a number from 0 to 65535') : value
  },
  decode: value => ascii(String(u16(value, 0))),
  check: value => (value.length === 2 ? undefined : mismatch(`${value.length} octets`, 'a number in 2')),
}

const ech: Pick<SvcParameter, 'encode' | 'decode' | 'check'> = {
  encode(text) {
    const value = Buffer.from(new TextDecoder().decode(text), 'base64')
    const same = value.toString('base64') === new TextDecoder().decode(text)
    return same && value.length > 0 ? new Uint8Array(value) : mismatch(`${shown(text)}`, 'base64')
  },
  decode: value => ascii(base64ToText(value, 0, value.length)),
  check: value => (value.length > 0 ? undefined : mismatch('no value', 'a list of ECH configurations')),
}

/** RFC 9461 §5: a URI template in UTF-8. */
const template: Pick<SvcParameter, 'encode' | 'decode' | 'check'> = {
  encode: text => (text.length > 0 ? text : mismatch('no value', 'a URI template such as /dns-query{?dns}')),
  decode: value => value,
  check: value => (value.length > 0 ? undefined : mismatch('no value', 'a URI template')),
}

export const SVC_PARAMETERS: readonly SvcParameter[] = [
  { key: 0, name: 'mandatory', ...mandatory },
  { key: 1, name: 'alpn', ...alpn },
  { key: 2, name: 'no-default-alpn', ...empty },
  { key: 3, name: 'port', ...port },
  {
    key: 4,
    name: 'ipv4hint',
    ...listOf(
      4,
      'a list of IPv4 addresses',
      (item, out, at) => ipv4FromOctets(item, 0, item.length, out, at),
      ipv4ToText,
    ),
  },
  { key: 5, name: 'ech', ...ech },
  {
    key: 6,
    name: 'ipv6hint',
    ...listOf(
      16,
      'a list of IPv6 addresses',
      (item, out, at) => ipv6FromOctets(item, 0, item.length, out, at),
      ipv6ToText,
    ),
  },
  { key: 7, name: 'dohpath', ...template },
  { key: 8, name: 'ohttp', ...empty },
  { key: 9, name: 'tls-supported-groups', ...groups },
]
