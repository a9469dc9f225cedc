/** Parameters of SVCB and HTTPS (RFC 9460 §2.1, §2.2 and appendix A; dohpath RFC 9461 §5, ohttp RFC 9540 §4).
 *
 *    wire   (key:u16 length:u16 value)*  in ascending order of key
 *    text   key[=value] …                in any order
 *
 *  I1  Each key stands once; `mandatory` names others that are present, ascending, itself never (RFC 9460 §8).
 *  I2  A value of a key written `keyNNNNN` is the value's octets; that form works for known keys too, and is then
 *      checked as the known key's wire form.
 *  I3  In AliasMode (priority 0) parameters are allowed and have no meaning (RFC 9460 §2.4.2). */

import { u16 } from './node.ts'
import { type Mismatch, mismatch } from './rdata-mismatch.ts'
import { quotedText, readText } from './rdata-name.ts'
import { type RdataTokens, shownToken, TokenPart } from './rdata-tokens.ts'
import { checkSvcValue, SVC_KEY_MAX, SVC_PARAMETERS, type SvcParameter } from './svc-parameter.ts'

interface Parameter {
  readonly key: number
  readonly value: Uint8Array
}

/** Reads parameters to the end of the record. The first token is current. */
export function readSvcParameters(tokens: RdataTokens, out: Uint8Array, start: number): number {
  const parameters: Parameter[] = []
  for (let more = true; more; ) {
    const key = readKey(tokens)
    const value = readValue(tokens)
    parameters.push({ key: key.key, value: encodeValue(tokens, key, value.octets) })
    more = value.more
  }
  parameters.sort((a, b) => a.key - b.key)
  let at = start
  for (const { key, value } of parameters) {
    // Before it is written: a length has 16 bits, and one that is cut would be read as other parameters.
    if (at + HEADER_OCTETS + value.length - start > PARAMETERS_OCTETS_MAX)
      tokens.fault(`parameters of over ${PARAMETERS_OCTETS_MAX} octets`, 'fewer')
    putU16(out, at, key)
    putU16(out, at + 2, value.length)
    out.set(value, at + HEADER_OCTETS)
    at += HEADER_OCTETS + value.length
  }
  const end = checkSvcParameters(out, start, at)
  return typeof end === 'number' ? end : tokens.fault(end.found, end.expected)
}

const HEADER_OCTETS = 4
/** RFC 1035 §3.2.1: what RDLENGTH can say. */
const PARAMETERS_OCTETS_MAX = 65_535
const EQUALS = 0x3d
const QUOTE = 0x22

interface Key {
  readonly key: number
  readonly name: string
  /** undefined for unknown keys and the form keyNNNNN (I2). */
  readonly parameter: SvcParameter | undefined
}

/** The key in front of `=`, or the whole token. */
function readKey(tokens: RdataTokens): Key {
  const name = new TextDecoder().decode(tokens.octets.subarray(tokens.start, keyEnd(tokens)))
  const parameter = SVC_PARAMETERS.find(known => known.name === name)
  if (parameter !== undefined) return { key: parameter.key, name, parameter }
  const key = /^key(0|[1-9]\d{0,4})$/.test(name) ? Number(name.slice(3)) : SVC_KEY_MAX + 1
  // RFC 9460 §14.3.2: 65535 is reserved as the invalid key.
  if (key > SVC_KEY_MAX) {
    const names = SVC_PARAMETERS.map(known => known.name).join(', ')
    tokens.fault(shownToken(tokens), `a parameter: ${names} or key0 to key${SVC_KEY_MAX}`)
  }
  return { key, name, parameter: undefined }
}

function keyEnd(tokens: RdataTokens): number {
  for (let at = tokens.start; at < tokens.end; at++) if (tokens.octets[at] === EQUALS) return at
  return tokens.end
}

/** The value behind `=` with its escapes undone (undefined when there is no `=`), and whether a token follows.
 *  A quoted value is part of its token, or the next token right behind `=`. */
function readValue(tokens: RdataTokens): { octets: Uint8Array | undefined; more: boolean } {
  const equals = keyEnd(tokens)
  if (equals === tokens.end) return { octets: undefined, more: tokens.next() }
  const { octets, end } = tokens
  if (equals + 1 < end) {
    const quoted = octets[equals + 1] === QUOTE && octets[end - 1] === QUOTE && end - equals > 2
    const value = quoted
      ? textOf(new TokenPart(tokens, equals + 2, end - 1))
      : textOf(new TokenPart(tokens, equals + 1, end))
    return { octets: value, more: tokens.next() }
  }
  if (!tokens.next()) return { octets: new Uint8Array(0), more: false }
  const adjacent = tokens.quoted && tokens.octets === octets && tokens.start === end + 1
  if (!adjacent) return { octets: new Uint8Array(0), more: true }
  const value = textOf(tokens)
  return { octets: value, more: tokens.next() }
}

function textOf(tokens: RdataTokens): Uint8Array {
  const value = new Uint8Array(tokens.end - tokens.start)
  return value.subarray(0, readText(tokens, value, 0, 'value'))
}

function encodeValue(tokens: RdataTokens, key: Key, text: Uint8Array | undefined): Uint8Array {
  if (key.parameter === undefined) return text ?? new Uint8Array(0)
  const value = key.parameter.encode(text ?? new Uint8Array(0))
  return 'found' in value ? tokens.fault(value.found, `${key.name}, ${value.expected}`) : value
}

/** Checks wire form (I1); the end, or what is wrong. */
export function checkSvcParameters(octets: Uint8Array, start: number, end: number): number | Mismatch {
  const present = new Set<number>()
  let last = -1
  for (let at = start; at < end; ) {
    if (at + HEADER_OCTETS > end) return mismatch(`${end - at} octets`, 'a key and a length')
    const key = u16(octets, at)
    const valueAt = at + HEADER_OCTETS
    const valueEnd = valueAt + u16(octets, at + 2)
    const name = svcKeyToText(key)
    if (key === last) return mismatch(`${name} twice`, 'each key once')
    if (key < last) return mismatch(`${name} behind ${svcKeyToText(last)}`, 'ascending keys')
    if (key > SVC_KEY_MAX) return mismatch(`key${key}`, `key0 to key${SVC_KEY_MAX}`)
    if (valueEnd > end) return mismatch(`${end - valueAt} octets`, `${name}, ${valueEnd - valueAt} octets`)
    const fault = checkSvcValue(key, octets.subarray(valueAt, valueEnd))
    if (fault !== undefined) return mismatch(fault.found, `${name}, ${fault.expected}`)
    present.add(key)
    last = key
    at = valueEnd
  }
  return missingMandatory(octets, start, present) ?? end
}

/** `mandatory` has key 0, so it stands first. */
function missingMandatory(
  octets: Uint8Array,
  start: number,
  present: ReadonlySet<number>,
): Mismatch | undefined {
  if (!present.has(0)) return undefined
  const valueAt = start + HEADER_OCTETS
  for (let at = valueAt; at < valueAt + u16(octets, start + 2); at += 2) {
    const key = u16(octets, at)
    if (!present.has(key))
      return mismatch(`mandatory without ${svcKeyToText(key)}`, 'it among the parameters')
  }
  return undefined
}

/** Text of parameters that were checked, each with a blank in front. */
export function svcParametersToText(octets: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let at = start; at < end; ) {
    const key = u16(octets, at)
    const valueEnd = at + HEADER_OCTETS + u16(octets, at + 2)
    const value = octets.subarray(at + HEADER_OCTETS, valueEnd)
    const parameter = SVC_PARAMETERS.find(known => known.key === key)
    text += ` ${svcKeyToText(key)}`
    if (value.length > 0) text += `=${valueText(parameter === undefined ? value : parameter.decode(value))}`
    at = valueEnd
  }
  return text
}

/** Plain where nothing needs quotes or escapes. */
function valueText(value: Uint8Array): string {
  const plain = value.every(octet => PLAIN.has(octet))
  return plain ? new TextDecoder().decode(value) : quotedText(value, 0, value.length)
}

const PLAIN: ReadonlySet<number> = new Set(
  new TextEncoder().encode('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:,/+='),
)

export function svcKeyToText(key: number): string {
  return SVC_PARAMETERS.find(known => known.key === key)?.name ?? `key${key}`
}

function putU16(out: Uint8Array, at: number, value: number): void {
  out[at] = value >> 8
  out[at + 1] = value
}
