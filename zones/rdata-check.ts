/** The check of RDATA in wire form, driven by the rows of rdata-table.ts: what `\# n hex` holds, what comes over the
 *  network, what a program hands in. What parseRdata writes passes it. Unknown types have no wrong form.
 *  A fault reads `found …, expected …`, with the field's label. */

import { nameLengthAt } from './name.ts'
import { checkApl } from './rdata-apl.ts'
import { checkNxtTypes, checkTypes } from './rdata-bitmap.ts'
import { checkLoc } from './rdata-loc.ts'
import { type Mismatch, mismatch } from './rdata-mismatch.ts'
import { checkGateway, checkHip, checkRelay } from './rdata-relay.ts'
import { checkSvcParameters } from './rdata-svcb.ts'
import { compileByType, type Field, type FieldKind, rowOfType } from './rdata-table.ts'

/** What is wrong with octets[start..end) as RDATA of that type; undefined when nothing is. Names are uncompressed. */
export function rdataFault(type: number, octets: Uint8Array, start: number, end: number): string | undefined {
  const fault = rdataMismatch(type, octets, start, end)
  return fault === undefined ? undefined : `found ${fault.found}, expected ${fault.expected}`
}

/** As rdataFault, in two halves. */
export function rdataMismatch(
  type: number,
  octets: Uint8Array,
  start: number,
  end: number,
): Mismatch | undefined {
  const fields = fieldsOfRow[rowOfType[type]!]
  if (fields === undefined) return undefined
  let at = start
  for (const field of fields) {
    if (at === end && field.optional) break
    const next = CHECKS[field.kind](octets, at, end)
    if (typeof next !== 'number') return mismatch(next.found, `${field.label}, ${next.expected}`)
    at = next
  }
  return at === end ? undefined : mismatch(`${end - at} octets more`, 'the end of the RDATA')
}

const fieldsOfRow: readonly (readonly Field[] | undefined)[] = compileByType(fields => fields)

/** The offset behind the field, or what is wrong. */
type Check = (octets: Uint8Array, at: number, end: number) => number | Mismatch

/** Offset behind field `index` of RDATA that was checked; the walk of everything that needs one field only. */
export function endOfField(field: Field, octets: Uint8Array, at: number, end: number): number {
  if (at === end && field.optional) return at
  const next = CHECKS[field.kind](octets, at, end)
  return typeof next === 'number' ? next : end
}

function fixed(length: number): Check {
  return (_octets, at, end) =>
    at + length > end ? mismatch(`${end - at} octets`, `${length} octets`) : at + length
}

const name: Check = (octets, at, end) => {
  const length = nameLengthAt(octets, at, end)
  return length < 0 ? mismatch('no whole name', 'one without compression, at most 255 octets') : at + length
}

const string: Check = (octets, at, end) => {
  if (at >= end) return mismatch('its end', 'a string')
  const next = at + 1 + octets[at]!
  return next > end ? mismatch(`${end - at - 1} octets`, `a string of ${octets[at]}`) : next
}

const strings: Check = (octets, start, end) => {
  let at = start
  do {
    const next = string(octets, at, end)
    if (typeof next !== 'number') return next
    at = next
  } while (at < end)
  return at
}

const some: Check = (_octets, at, end) => (at < end ? end : mismatch('nothing', 'at least one octet'))
const any: Check = (_octets, _at, end) => end

const tag: Check = (octets, at, end) => {
  const next = string(octets, at, end)
  if (typeof next !== 'number') return next
  if (next === at + 1) return mismatch('an empty tag', 'letters and digits')
  for (let index = at + 1; index < next; index++) {
    if (!isLetterOrDigit(octets[index]!)) return mismatch(`octet ${octets[index]}`, 'letters and digits')
  }
  return next
}

/** RFC 8659 §4.1: what the tag of CAA is made of. */
export function isLetterOrDigit(octet: number): boolean {
  const letter = octet | 0x20
  return (octet >= 0x30 && octet <= 0x39) || (letter >= 0x61 && letter <= 0x7a)
}

/** Types of digests (the octet in front) with the octets that they have. */
export const DIGEST_OCTETS: { readonly [kind in DigestKind]: ReadonlyMap<number, number> } = {
  // RFC 3658 §2.4, 4509 §2.2, 5933 §4, 6605 §2, 9558 §4, 9563 §2.
  'ds-digest': new Map([
    [1, 20],
    [2, 32],
    [3, 32],
    [4, 48],
    [5, 32],
    [6, 32],
  ]),
  // RFC 4255 §3.1.2, 6594 §4.
  fingerprint: new Map([
    [1, 20],
    [2, 32],
  ]),
  // RFC 8976 §2.2.3.
  'zone-digest': new Map([
    [1, 48],
    [2, 64],
  ]),
}
/** RFC 8976 §5.2. */
const ZONEMD_SCHEME_SIMPLE = 1
export type DigestKind = 'ds-digest' | 'fingerprint' | 'zone-digest'

/** How long the digest at `at` is, when its type says so. RFC 8976 appendix A.3 has a digest of 20 octets with the number
 *  of SHA-384 under a scheme for private use: the scheme decides what the hash's number means. */
export function digestOctets(kind: DigestKind, octets: ArrayLike<number>, at: number): number | undefined {
  if (kind === 'zone-digest' && octets[at - 2] !== ZONEMD_SCHEME_SIMPLE) return undefined
  return DIGEST_OCTETS[kind].get(octets[at - 1]!)
}

function digest(kind: DigestKind, octetsMin: number): Check {
  return (octets, at, end) => {
    const length = digestOctets(kind, octets, at)
    if (length !== undefined && end - at !== length) {
      return mismatch(`${end - at} octets`, `${length} by its type ${octets[at - 1]}`)
    }
    return end - at < octetsMin ? mismatch(`${end - at} octets`, `at least ${octetsMin}`) : end
  }
}

const hash: Check = (octets, at, end) => {
  const next = string(octets, at, end)
  return next === at + 1 || octets[at]! > 39
    ? mismatch(`a hash of ${octets[at]} octets`, '20 octets, never over 39')
    : next
}

const types: Check = (octets, at, end) => (at < end ? checkTypes(octets, at, end) : mismatch('none', 'types'))

const CHECKS: { readonly [kind in FieldKind]: Check } = {
  u8: fixed(1),
  u16: fixed(2),
  u32: fixed(4),
  ttl: fixed(4),
  time: fixed(4),
  type: fixed(2),
  algorithm: fixed(1),
  certificate: fixed(2),
  scheme: fixed(1),
  ipv4: fixed(4),
  ipv6: fixed(16),
  eui48: fixed(6),
  eui64: fixed(8),
  locator: fixed(8),
  'compressed-name': name,
  name,
  'cased-name': name,
  string,
  'string?': string,
  strings,
  tag,
  text: any,
  'text+': some,
  base64: some,
  'base64?': some,
  hex: some,
  'ds-digest': digest('ds-digest', 1),
  fingerprint: digest('fingerprint', 1),
  'zone-digest': digest('zone-digest', 12),
  salt: string,
  hash,
  types,
  'types?': checkTypes,
  'nxt-types': checkNxtTypes,
  nsap: some,
  loc: checkLoc,
  'apl?': checkApl,
  gateway: checkGateway,
  relay: checkRelay,
  hip: checkHip,
  'svcparams?': checkSvcParameters,
}
