/** RDATA to presentation form, driven by the rows of rdata-table.ts: one line, absolute names, strings in quotes, numbers
 *  for algorithms, so that a printed zone can be compared line by line.
 *  I1  Reading the text of right RDATA gives the same octets again. What a type's own form cannot express, unknown
 *      types, and wrong RDATA are written `\# n hex` (RFC 3597 §5). */

import { nameToText } from './name.ts'
import { u16, u32 } from './node.ts'
import { EUI48, EUI64, groupedHexToText, ipv4ToText, ipv6ToText, LOCATOR } from './rdata-address.ts'
import { aplToText } from './rdata-apl.ts'
import { decodeNxtTypes, decodeTypes, typesToText } from './rdata-bitmap.ts'
import { endOfField, rdataFault } from './rdata-check.ts'
import { base32HexToText, base64ToText, hexToText } from './rdata-encoding.ts'
import { locToText } from './rdata-loc.ts'
import { quotedText } from './rdata-name.ts'
import { timeToText } from './rdata-number.ts'
import { gatewayToText, hipToText, relayToText } from './rdata-relay.ts'
import { svcParametersToText } from './rdata-svcb.ts'
import { type FieldKind, rdataFields } from './rdata-table.ts'

export interface RdataTextOptions {
  /** Types to be written as `\# n hex`, and as TYPEnnn where a field names them: for readers that do not know them. */
  readonly generic?: ReadonlySet<number>
}

/** Presentation form of RDATA; never fails (I1). */
export function rdataToText(type: number, rdata: Uint8Array, options: RdataTextOptions = {}): string {
  const fields = rdataFields.get(type)
  if (
    fields === undefined ||
    options.generic?.has(type) ||
    rdataFault(type, rdata, 0, rdata.length) !== undefined
  ) {
    return genericRdataText(rdata)
  }
  let text = ''
  let at = 0
  for (const field of fields) {
    const end = endOfField(field, rdata, at, rdata.length)
    if (field.optional && end === at) break
    const part = WRITERS[field.kind](rdata, at, end, options)
    if (part === undefined) return genericRdataText(rdata)
    text += text === '' ? part : ` ${part}`
    at = end
  }
  return text
}

/** RFC 3597 §5: `\# n hex`. */
export function genericRdataText(rdata: Uint8Array): string {
  return rdata.length === 0 ? '\\# 0' : `\\# ${rdata.length} ${hexToText(rdata, 0, rdata.length)}`
}

/** Text of the field octets[at..end), which was checked; undefined when its form cannot express it. */
type Write = (octets: Uint8Array, at: number, end: number, options: RdataTextOptions) => string | undefined

const u8Text: Write = (octets, at) => String(octets[at])
const u16Text: Write = (octets, at) => String(u16(octets, at))
const u32Text: Write = (octets, at) => String(u32(octets, at))
const base64: Write = (octets, at, end) => base64ToText(octets, at, end)
const hex: Write = (octets, at, end) => hexToText(octets, at, end)
const name: Write = (octets, at) => nameToText(octets, at)
const string: Write = (octets, at, end) => quotedText(octets, at + 1, end)
const types: Write = (octets, at, end, { generic }) => typesToText(decodeTypes(octets, at, end), generic)

function strings(octets: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let at = start; at < end; at += 1 + octets[at]!) {
    text += `${at === start ? '' : ' '}${quotedText(octets, at + 1, at + 1 + octets[at]!)}`
  }
  return text
}

function plainText(octets: Uint8Array, start: number, end: number): string {
  return new TextDecoder().decode(octets.subarray(start, end))
}

const WRITERS: { readonly [kind in FieldKind]: Write } = {
  u8: u8Text,
  u16: u16Text,
  u32: u32Text,
  ttl: u32Text,
  time: (octets, at) => timeToText(u32(octets, at)),
  type: (octets, at, _end, { generic }) => typesToText([u16(octets, at)], generic),
  algorithm: u8Text,
  certificate: u16Text,
  scheme: u8Text,
  ipv4: ipv4ToText,
  ipv6: ipv6ToText,
  eui48: (octets, at) => groupedHexToText(octets, at, EUI48),
  eui64: (octets, at) => groupedHexToText(octets, at, EUI64),
  locator: (octets, at) => groupedHexToText(octets, at, LOCATOR),
  'compressed-name': name,
  name,
  'cased-name': name,
  string,
  'string?': string,
  strings,
  tag: (octets, at, end) => plainText(octets, at + 1, end),
  text: quotedText,
  'text+': quotedText,
  base64,
  'base64?': base64,
  hex,
  'ds-digest': hex,
  fingerprint: hex,
  'zone-digest': hex,
  salt: (octets, at, end) => (end === at + 1 ? '-' : hexToText(octets, at + 1, end)),
  hash: (octets, at, end) => base32HexToText(octets, at + 1, end),
  types,
  'types?': types,
  'nxt-types': (octets, at, end, { generic }) => typesToText(decodeNxtTypes(octets, at, end), generic),
  nsap: (octets, at, end) => `0x${hexToText(octets, at, end)}`,
  loc: locToText,
  'apl?': aplToText,
  gateway: gatewayToText,
  relay: relayToText,
  hip: hipToText,
  'svcparams?': (octets, at, end) => svcParametersToText(octets, at, end).slice(1),
}
