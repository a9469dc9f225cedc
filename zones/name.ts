/** Domain names (RFC 1034 §3.1, RFC 1035 §2.3.4 and §5.1, RFC 4343) and their tree keys (RFC 4034 §6.1).
 *  I1  A Name is absolute, uncompressed wire form with its case kept: length-prefixed labels and a final zero octet.
 *  I2  A key is the canonical form of a name turned into octets whose plain comparison is the canonical order of
 *      names: labels from the root down, lower case, each ended by 00; inside a label 00 becomes 01 01 and 01
 *      becomes 01 02. So an ancestor's key is a prefix of its descendants' keys, and the root's key is empty.
 *  I3  A key relative to an apex is the name's key without the apex's key in front; the apex's own is empty. */

import { ConclaveError } from '../base/errors.ts'

declare const nameBrand: unique symbol
/** Absolute domain name in wire form, 1 to 255 octets. */
export type Name = Uint8Array & { readonly [nameBrand]: true }

/** RFC 1035 §2.3.4: a name has at most 255 octets, a label at most 63. */
export const NAME_OCTETS_MAX = 255
export const LABEL_OCTETS_MAX = 63
/** Each of at most 254 label octets may be escaped into two, and each of at most 127 labels ends with 00. */
export const KEY_OCTETS_MAX: number = 2 * NAME_OCTETS_MAX

export const rootName: Name = new Uint8Array([0]) as Name

/** Trusts that the octets are a Name (I1). For octets that were checked already. */
export function asName(octets: Uint8Array): Name {
  return octets as Name
}

/** RFC 4343 §3: only A to Z have a case. */
const LOWER = new Uint8Array(256)
for (let octet = 0; octet < 256; octet++) LOWER[octet] = octet >= 0x41 && octet <= 0x5a ? octet + 32 : octet
/** Lower case of each octet. */
export const lowerCase: Uint8Array = LOWER

/** Name from presentation form, escapes `\X` and `\DDD` included; relative text needs an origin.
 *  @throws ConclaveError NAME_SYNTAX */
export function nameFromText(text: string, origin?: Name): Name {
  if (text === '.') return rootName
  if (text === '@' && origin !== undefined) return origin
  const octets = Buffer.from(text)
  const out = new Uint8Array(octets.length + 2 + (origin?.length ?? 0))
  let at = 1
  let labelStart = 0
  let absolute = false
  const endLabel = (): void => {
    const length = at - labelStart - 1
    if (length === 0) throw nameSyntax(text, 'an empty label', 'a label between dots')
    if (length > LABEL_OCTETS_MAX) throw nameSyntax(text, `a label of ${length} octets`, 'at most 63')
    out[labelStart] = length
    labelStart = at++
  }
  if (octets.length === 0) throw nameSyntax(text, 'no name', 'a domain name')
  for (let index = 0; index < octets.length; index++) {
    const octet = octets[index]!
    if (octet === 0x2e) {
      endLabel()
      absolute = index === octets.length - 1
    } else if (octet === 0x5c) {
      const escaped = escapeAt(octets, index + 1)
      if (escaped === undefined) throw nameSyntax(text, 'a bad escape', '\\X or \\DDD with DDD up to 255')
      out[at++] = escaped.octet
      index += escaped.length
    } else out[at++] = octet
  }
  if (!absolute) {
    endLabel()
    if (origin === undefined) throw nameSyntax(text, 'a relative name', 'a dot at its end, or an origin')
    out.set(origin, labelStart)
    at = labelStart + origin.length
  }
  if (at > NAME_OCTETS_MAX) throw nameSyntax(text, `a name of ${at} octets`, 'at most 255')
  return out.slice(0, at) as Name
}

/** The escape after a backslash: three decimal digits up to 255, or any other octet for itself (RFC 1035 §5.1). */
export function escapeAt(octets: Uint8Array, index: number): { octet: number; length: number } | undefined {
  const first = octets[index]
  if (first === undefined) return undefined
  if (first < 0x30 || first > 0x39) return { octet: first, length: 1 }
  let value = 0
  for (let digit = 0; digit < 3; digit++) {
    const code = octets[index + digit]
    if (code === undefined || code < 0x30 || code > 0x39) return undefined
    value = value * 10 + code - 0x30
  }
  return value > 255 ? undefined : { octet: value, length: 3 }
}

function nameSyntax(text: string, found: string, expected: string): ConclaveError {
  return new ConclaveError('NAME_SYNTAX', `${JSON.stringify(text)}: ${found}; expected ${expected}`)
}

/** Presentation form, absolute. Octets outside printable ASCII become \DDD; `. ; ( ) " \ @ $` are escaped. */
export function nameToText(name: Uint8Array, start = 0): string {
  if (name[start] === 0) return '.'
  let octets = 0
  for (let at = start; name[at] !== 0; TEXT[octets++] = 0x2e) {
    const end = at + 1 + name[at]!
    for (at++; at < end; at++) {
      const octet = name[at]!
      if (PLAIN[octet] === 1) TEXT[octets++] = octet
      else for (const character of escaped(octet)) TEXT[octets++] = character.charCodeAt(0)
    }
  }
  // Put together of pieces, a string would keep them for as long as it lives.
  return TEXT.toString('latin1', 0, octets)
}

/** Room for a name all of whose octets are escaped into four. */
const TEXT = Buffer.alloc(4 * NAME_OCTETS_MAX)
/** 1: stands for itself. */
const PLAIN = new Uint8Array(256).fill(1, 0x21, 0x7f)
for (const character of '.;()"\\@$') PLAIN[character.charCodeAt(0)] = 0

function escaped(octet: number): string {
  const printable = octet >= 0x21 && octet <= 0x7e
  return `\\${printable ? String.fromCharCode(octet) : octet.toString().padStart(3, '0')}`
}

/** Length in octets of the uncompressed name that starts at `start`; −1 when it is not whole, too long, or
 *  contains anything but plain labels. */
export function nameLengthAt(octets: Uint8Array, start: number, end: number = octets.length): number {
  let at = start
  while (at < end) {
    const length = octets[at]!
    if (length === 0) return at + 1 - start > NAME_OCTETS_MAX ? -1 : at + 1 - start
    if (length > LABEL_OCTETS_MAX) return -1
    at += 1 + length
  }
  return -1
}

/** The name in lower case (RFC 4034 §6.2: its canonical form). Length octets are below 0x41 and stay. */
export function canonicalName(name: Name): Name {
  const out = new Uint8Array(name.length)
  for (let at = 0; at < name.length; at++) out[at] = LOWER[name[at]!]!
  return out as Name
}

export function sameName(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let at = 0; at < a.length; at++) if (LOWER[a[at]!] !== LOWER[b[at]!]) return false
  return true
}

/** Whether `name` is `ancestor` or lies below it. */
export function isAtOrBelow(name: Uint8Array, ancestor: Uint8Array): boolean {
  let at = 0
  while (name.length - at > ancestor.length) at += 1 + name[at]!
  if (name.length - at !== ancestor.length) return false
  for (let index = 0; index < ancestor.length; index++) {
    if (LOWER[name[at + index]!] !== LOWER[ancestor[index]!]) return false
  }
  return true
}

/** Offsets of labels while a key is made; a name has at most 127 labels. */
const labelStarts = new Uint8Array(128)

/** Writes the absolute key (I2) of the wire name at `start` into `out` and returns its length. Allocates nothing. */
export function writeKey(name: Uint8Array, start: number, out: Uint8Array, outStart = 0): number {
  let end = start
  while (name[end] !== 0) end += 1 + name[end]!
  return writeKeyOfLabels(name, start, end, out, outStart)
}

/** The same of the labels name[start..end) alone. */
export function writeKeyOfLabels(
  name: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  outStart: number,
): number {
  let labels = 0
  for (let at = start; at < end; at += 1 + name[at]!) labelStarts[labels++] = at - start
  let to = outStart
  while (labels > 0) {
    let at = start + labelStarts[--labels]!
    const end = at + 1 + name[at]!
    for (at++; at < end; at++) {
      const octet = LOWER[name[at]!]!
      if (octet > 1) out[to++] = octet
      else {
        out[to++] = 1
        out[to++] = octet + 1
      }
    }
    out[to++] = 0
  }
  return to - outStart
}

const keyScratch = new Uint8Array(KEY_OCTETS_MAX)

/** The absolute key (I2) of a name. */
export function keyOf(name: Uint8Array): Uint8Array {
  return keyScratch.slice(0, writeKey(name, 0, keyScratch))
}

/** The key of a name relative to the apex (I3); undefined when the name lies outside. */
export function relativeKeyOf(name: Name, apexKey: Uint8Array): Uint8Array | undefined {
  const length = writeKey(name, 0, keyScratch)
  if (length < apexKey.length || compareOctets(keyScratch.subarray(0, apexKey.length), apexKey) !== 0)
    return undefined
  return keyScratch.slice(apexKey.length, length)
}

/** Writes the wire labels of a relative key, without a final zero octet, so that the apex's wire name (or a
 *  compression pointer to it) can follow; returns the length. Allocates nothing. */
export function writeLabelsOfKey(
  key: Uint8Array,
  keyStart: number,
  keyEnd: number,
  out: Uint8Array,
  outStart: number,
): number {
  // Most keys are one label, without octets that are kept as two: one pass is enough.
  const shift = outStart + 1 - keyStart
  let plain = keyStart
  for (; plain < keyEnd - 1; plain++) {
    const octet = key[plain]!
    if (octet <= 1) break
    out[plain + shift] = octet
  }
  if (plain === keyEnd - 1) {
    out[outStart] = plain - keyStart
    return keyEnd - keyStart
  }
  let to = outStart
  let labelEnd = keyEnd
  while (labelEnd > keyStart) {
    let labelStart = labelEnd - 1
    while (labelStart > keyStart && key[labelStart - 1] !== 0) labelStart--
    const lengthAt = to++
    for (let at = labelStart; at < labelEnd - 1; at++) {
      const octet = key[at]!
      out[to++] = octet === 1 ? key[++at]! - 1 : octet
    }
    out[lengthAt] = to - lengthAt - 1
    labelEnd = labelStart
  }
  return to - outStart
}

/** The name, in lower case, whose key relative to `apex` this is. */
export function nameOfKey(key: Uint8Array, apex: Name): Name {
  const out = new Uint8Array(NAME_OCTETS_MAX + KEY_OCTETS_MAX)
  const length = writeLabelsOfKey(key, 0, key.length, out, 0)
  out.set(canonicalName(apex), length)
  return out.slice(0, length + apex.length) as Name
}

/** Octets of the key of the parent name; the key must not be empty. */
export function parentKeyLength(key: Uint8Array, keyLength: number = key.length): number {
  let at = keyLength - 1
  while (at > 0 && key[at - 1] !== 0) at--
  return at
}

/** Labels in a key. */
export function keyLabelCount(key: Uint8Array, start = 0, end: number = key.length): number {
  let count = 0
  for (let at = start; at < end; at++) if (key[at] === 0) count++
  return count
}

/** Negative, zero or positive, as memcmp and then by length: for keys the canonical order (I2). */
export function compareOctets(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length)
  for (let at = 0; at < shorter; at++) {
    const difference = a[at]! - b[at]!
    if (difference !== 0) return difference
  }
  return a.length - b.length
}
