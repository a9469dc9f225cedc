/** RDATA from presentation form, driven by the rows of rdata-table.ts; every type also as `\# n hex` (RFC 3597 §5),
 *  whose octets are then checked as the type's wire form. This is the hot path of loading zones: a list of readers a
 *  type, octets in and octets out, and no allocation for the types that fill zones.
 *  I1  A reader starts on a current token and leaves the last token that it used current.
 *  I2  Numbers read are written big-endian; what does not fit 65,535 octets is a fault. */

import { LABEL_OCTETS_MAX, type Name } from './name.ts'
import {
  EUI48,
  EUI64,
  groupedHexFromOctets,
  type HexGroups,
  ipv4FromOctets,
  ipv6FromOctets,
  LOCATOR,
} from './rdata-address.ts'
import { readApl, readNsap } from './rdata-apl.ts'
import { readNxtTypes, readTypes } from './rdata-bitmap.ts'
import { type DigestKind, digestOctets, isLetterOrDigit, rdataMismatch } from './rdata-check.ts'
import { readBase32Hex, readBase64, readHex, readHexRest } from './rdata-encoding.ts'
import { readLoc } from './rdata-loc.ts'
import { readName, readString, readText } from './rdata-name.ts'
import {
  ALGORITHM_MNEMONICS,
  CERTIFICATE_MNEMONICS,
  type Mnemonics,
  readDecimal,
  readMnemonic,
  readTime,
  readTtl,
  readType,
  SCHEME_MNEMONICS,
} from './rdata-number.ts'
import { readGateway, readHip, readRelay } from './rdata-relay.ts'
import { readSvcParameters } from './rdata-svcb.ts'
import { compileByType, type Field, type FieldKind, rowOfType } from './rdata-table.ts'
import { type RdataTokens, shownToken } from './rdata-tokens.ts'
import { typeToText } from './types.ts'

/** RFC 1035 §3.2.1: RDLENGTH has 16 bits. */
export const RDATA_OCTETS_MAX = 65_535
/** Room that `out` must have behind `outStart`: RDATA that is too long is found only when it has been written. */
export const RDATA_SCRATCH_OCTETS: number = RDATA_OCTETS_MAX + 512

/** Reads the tokens of one record's RDATA into `out` at `outStart` and returns the offset behind the wire form.
 *  `out` should have RDATA_SCRATCH_OCTETS behind `outStart`.
 *  @throws what tokens.fault throws */
export function parseRdata(
  type: number,
  tokens: RdataTokens,
  origin: Name,
  out: Uint8Array,
  outStart: number,
): number {
  const readers = readersOfRow[rowOfType[type]!]
  let more = tokens.next()
  if (more && isGenericMark(tokens)) return readGeneric(type, tokens, out, outStart)
  if (readers === undefined) return unknownType(type, tokens)
  let at = outStart
  for (let index = 0; index < readers.length; index++) {
    const reader = readers[index]!
    if (!more) {
      if (reader.optional) break
      tokens.fault('the end of the record', reader.label)
    }
    at = reader.read(tokens, origin, out, at, reader.label)
    more = !reader.rest && tokens.next()
  }
  if (more) tokens.fault(shownToken(tokens), 'the end of the record')
  if (at - outStart > RDATA_OCTETS_MAX)
    tokens.fault(`${at - outStart} octets of RDATA`, `at most ${RDATA_OCTETS_MAX}`)
  return at
}

interface Reader {
  readonly read: ReadField
  readonly label: string
  readonly rest: boolean
  readonly optional: boolean
}
type ReadField = (tokens: RdataTokens, origin: Name, out: Uint8Array, at: number, label: string) => number

function isGenericMark(tokens: RdataTokens): boolean {
  const { octets, start } = tokens
  return octets[start] === 0x5c && octets[start + 1] === 0x23 && tokens.end - start === 2 && !tokens.quoted
}

/** RFC 3597 §5: `\# n` and n octets in hexadecimal. */
function readGeneric(type: number, tokens: RdataTokens, out: Uint8Array, outStart: number): number {
  if (!tokens.next()) tokens.fault('the end of the record', 'the number of octets behind \\#')
  const length = readDecimal(tokens, RDATA_OCTETS_MAX, 'the number of octets')
  const end = tokens.next() ? readHexRest(tokens, out, outStart, 'octets of RDATA') : outStart
  if (end - outStart !== length)
    tokens.fault(`${end - outStart} octets of RDATA`, `${length}, as \\# ${length} says`)
  const fault = rdataMismatch(type, out, outStart, end)
  if (fault === undefined) return end
  return tokens.fault(`RDATA that is no ${typeToText(type)} (${fault.found})`, fault.expected)
}

function unknownType(type: number, tokens: RdataTokens): never {
  const found = tokens.end > tokens.start ? shownToken(tokens) : 'the end of the record'
  return tokens.fault(found, `\\# and the octets in hexadecimal, the only form of ${typeToText(type)}`)
}

function unsigned(octets: 1 | 2 | 4): ReadField {
  const max = 2 ** (8 * octets) - 1
  return (tokens, _origin, out, at, label) => put(octets, out, at, readDecimal(tokens, max, label))
}

function mnemonic(octets: 1 | 2, mnemonics: Mnemonics): ReadField {
  const max = 2 ** (8 * octets) - 1
  return (tokens, _origin, out, at, label) =>
    put(octets, out, at, readMnemonic(tokens, mnemonics, max, label))
}

function put(octets: number, out: Uint8Array, at: number, value: number): number {
  if (octets === 4) {
    out[at++] = value >>> 24
    out[at++] = value >>> 16
  }
  if (octets >= 2) out[at++] = value >>> 8
  out[at++] = value
  return at
}

function groupedHex(form: HexGroups, example: string): ReadField {
  return (tokens, _origin, out, at, label) => {
    const end = groupedHexFromOctets(tokens.octets, tokens.start, tokens.end, form, out, at)
    return end < 0 ? tokens.fault(shownToken(tokens), `${label} such as ${example}`) : end
  }
}

/** Digests whose length follows from the octet in front of them. */
function digest(kind: DigestKind): ReadField {
  return (tokens, _origin, out, at, label) => {
    const end = readHexRest(tokens, out, at, label)
    const octets = digestOctets(kind, out, at)
    if (octets !== undefined && end - at !== octets) {
      tokens.fault(`a ${label} of ${end - at} octets`, `${octets} by its type ${out[at - 1]}`)
    }
    return end === at ? tokens.fault(`an empty ${label}`, 'hexadecimal digits') : end
  }
}

function some(read: (tokens: RdataTokens, out: Uint8Array, at: number, label: string) => number): ReadField {
  return (tokens, _origin, out, at, label) => {
    const end = read(tokens, out, at, label)
    return end === at ? tokens.fault(`an empty ${label}`, 'at least one octet') : end
  }
}

const readNameField: ReadField = (tokens, origin, out, at, label) => readName(tokens, origin, out, at, label)

const readBase64Field: ReadField = (tokens, _origin, out, at, label) => {
  const end = readBase64(tokens, out, at, label)
  return end === at ? tokens.fault(`an empty ${label}`, 'base64') : end
}

const READERS: { readonly [kind in FieldKind]: ReadField } = {
  u8: unsigned(1),
  u16: unsigned(2),
  u32: unsigned(4),
  ttl: (tokens, _origin, out, at, label) => put(4, out, at, readTtl(tokens, label)),
  time: (tokens, _origin, out, at, label) => put(4, out, at, readTime(tokens, label)),
  type: (tokens, _origin, out, at, label) => put(2, out, at, readType(tokens, label)),
  algorithm: mnemonic(1, ALGORITHM_MNEMONICS),
  certificate: mnemonic(2, CERTIFICATE_MNEMONICS),
  scheme: mnemonic(1, SCHEME_MNEMONICS),
  ipv4: (tokens, _origin, out, at, label) => {
    const end = ipv4FromOctets(tokens.octets, tokens.start, tokens.end, out, at)
    return end < 0 ? tokens.fault(shownToken(tokens), `${label}, IPv4 such as 192.0.2.1`) : end
  },
  ipv6: (tokens, _origin, out, at, label) => {
    const end = ipv6FromOctets(tokens.octets, tokens.start, tokens.end, out, at)
    return end < 0 ? tokens.fault(shownToken(tokens), `${label}, IPv6 such as 2001:db8::1`) : end
  },
  eui48: groupedHex(EUI48, '00-00-5e-00-53-2a'),
  eui64: groupedHex(EUI64, '00-00-5e-ef-10-00-00-2a'),
  locator: groupedHex(LOCATOR, '2001:0db8:1140:1000'),
  'compressed-name': readNameField,
  name: readNameField,
  'cased-name': readNameField,
  string: (tokens, _origin, out, at, label) => readString(tokens, out, at, label),
  'string?': (tokens, _origin, out, at, label) => readString(tokens, out, at, label),
  strings: (tokens, _origin, out, start, label) => {
    let at = start
    do at = readString(tokens, out, at, label)
    while (tokens.next())
    return at
  },
  tag: readTag,
  text: (tokens, _origin, out, at, label) => readText(tokens, out, at, label),
  'text+': some(readText),
  base64: readBase64Field,
  'base64?': readBase64Field,
  hex: some(readHexRest),
  'ds-digest': digest('ds-digest'),
  fingerprint: digest('fingerprint'),
  'zone-digest': readZoneDigest,
  salt: readSalt,
  hash: readHash,
  types: (tokens, _origin, out, at, label) => readTypes(tokens, out, at, label),
  'types?': (tokens, _origin, out, at, label) => readTypes(tokens, out, at, label),
  'nxt-types': (tokens, _origin, out, at, label) => readNxtTypes(tokens, out, at, label),
  nsap: (tokens, _origin, out, at, label) => readNsap(tokens, out, at, label),
  loc: (tokens, _origin, out, at) => readLoc(tokens, out, at),
  'apl?': (tokens, _origin, out, at, label) => readApl(tokens, out, at, label),
  gateway: readGateway,
  relay: readRelay,
  hip: (tokens, origin, out, at) => readHip(tokens, origin, out, at),
  'svcparams?': (tokens, _origin, out, at) => readSvcParameters(tokens, out, at),
}

const readersOfRow: readonly (readonly Reader[] | undefined)[] = compileByType(fields => fields.map(readerOf))

function readerOf(field: Field): Reader {
  return { read: READERS[field.kind], label: field.label, rest: field.rest, optional: field.optional }
}

/** RFC 8659 §4.1: the tag of CAA is letters and digits. */
function readTag(tokens: RdataTokens, _origin: Name, out: Uint8Array, at: number, label: string): number {
  const end = readString(tokens, out, at, label)
  for (let index = at + 1; index < end; index++) {
    if (!isLetterOrDigit(out[index]!)) tokens.fault(shownToken(tokens), `${label} of letters and digits`)
  }
  return end === at + 1 ? tokens.fault(`an empty ${label}`, 'letters and digits such as issue') : end
}

/** RFC 5155 §3.3: `-` is no salt. */
function readSalt(tokens: RdataTokens, _origin: Name, out: Uint8Array, at: number, label: string): number {
  const none = tokens.end - tokens.start === 1 && tokens.octets[tokens.start] === 0x2d
  const end = none ? at + 1 : readHex(tokens, out, at + 1, label)
  if (end - at - 1 > 255) tokens.fault(`a salt of ${end - at - 1} octets`, `${label}, at most 255`)
  out[at] = end - at - 1
  return end
}

function readHash(tokens: RdataTokens, _origin: Name, out: Uint8Array, at: number, label: string): number {
  const end = readBase32Hex(tokens, out, at + 1, label)
  const length = end - at - 1
  // The owner name carries the hash as one label, so more octets cannot be (RFC 5155 §3).
  if (length === 0 || length * 8 > LABEL_OCTETS_MAX * 5)
    tokens.fault(`a hash of ${length} octets`, `${label}, 20 octets`)
  out[at] = length
  return end
}

/** RFC 8976 §2.2.4: never less than 12 octets. */
function readZoneDigest(
  tokens: RdataTokens,
  origin: Name,
  out: Uint8Array,
  at: number,
  label: string,
): number {
  const end = READ_ZONE_DIGEST(tokens, origin, out, at, label)
  return end - at < 12 ? tokens.fault(`a ${label} of ${end - at} octets`, 'at least 12') : end
}
const READ_ZONE_DIGEST = digest('zone-digest')
