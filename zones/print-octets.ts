/** Presentation form written as octets, for printing whole zones: what rdata-write.ts gives as text, without a string for
 *  every field. Kinds of fields that make up large zones are written here; a type that has another kind among its
 *  fields, and RDATA that is not right, go through `rdataToText`.
 *  I1  What is written for RDATA are the characters of `rdataToText`, which are ASCII.
 *  I2  There is room for what a step writes before it begins; `octets` is another array after `take`, and when it grows. */

import { nameLengthAt } from './name.ts'
import { u16, u32 } from './node.ts'
import { checkTypes } from './rdata-bitmap.ts'
import { timeToText } from './rdata-number.ts'
import { compileByType, type FieldKind, rdataFields, rowOfType } from './rdata-table.ts'
import { type RdataTextOptions, rdataToText } from './rdata-write.ts'
import { typeToText } from './types.ts'

/** Octets that a name can take: each as `\DDD`, and dots. Of the fields that are written here only base64 and type bit
 *  maps can be longer. */
const FIELD_TEXT_MAX = 1280
/** `TYPE65535`, or a number, and what separates it. */
const WORD_TEXT_MAX = 20
const SPACE = 0x20

export class TextOctets {
  octets: Uint8Array
  at = 0
  readonly #options: RdataTextOptions
  readonly #start: number

  constructor(octetsStart: number, options: RdataTextOptions) {
    this.#start = octetsStart
    this.#options = options
    this.octets = new Uint8Array(octetsStart)
  }

  /** What was written so far; it is the caller's. */
  take(): Uint8Array {
    const taken = this.octets.subarray(0, this.at)
    this.octets = new Uint8Array(this.#start)
    this.at = 0
    return taken
  }

  /** Makes room for so many octets more. */
  room(octets: number): void {
    if (this.at + octets <= this.octets.length) return
    const grown = new Uint8Array(2 * this.octets.length + octets)
    grown.set(this.octets.subarray(0, this.at))
    this.octets = grown
  }

  copy(octets: Uint8Array, end: number = octets.length): void {
    this.room(end)
    const out = this.octets
    let at = this.at
    for (let from = 0; from < end; from++) out[at++] = octets[from]!
    this.at = at
  }

  /** What stands at [start, end) of the text once more. */
  again(start: number, end: number): void {
    this.room(end - start)
    this.octets.copyWithin(this.at, start, end)
    this.at += end - start
  }

  ascii(text: string): void {
    this.room(text.length)
    for (let index = 0; index < text.length; index++) this.octets[this.at++] = text.charCodeAt(index)
  }

  /** Presentation form of a wire name (as nameToText). */
  name(name: Uint8Array, start: number): void {
    this.room(FIELD_TEXT_MAX)
    const out = this.octets
    let at = this.at
    if (name[start] === 0) out[at++] = DOT
    let from = start
    for (let length = name[from]!; length !== 0; length = name[from]!) {
      const end = from + 1 + length
      for (from++; from < end; from++) {
        const octet = name[from]!
        const form = FORM[octet]!
        if (form === FORM_PLAIN) out[at++] = octet
        else at = putEscaped(out, at, octet, form)
      }
      out[at++] = DOT
    }
    this.at = at
  }

  type(type: number): void {
    const text = mnemonics[rowOfType[type]!]
    if (this.#options.generic?.has(type) === true) this.ascii(`TYPE${type}`)
    else if (text === undefined) this.ascii(typeToText(type))
    else this.copy(text)
  }

  decimal(value: number): void {
    this.room(WORD_TEXT_MAX)
    const out = this.octets
    let digits = 1
    for (let power = 10; power <= value; power *= 10) digits++
    this.at += digits
    let left = value
    for (let at = this.at - 1; digits > 0; at--, digits--) {
      const tenth = (left / 10) >>> 0
      out[at] = ZERO + left - tenth * 10
      left = tenth
    }
  }

  /** I1. */
  rdata(type: number, octets: Uint8Array, start: number, end: number): void {
    const before = this.at
    const kinds = this.#options.generic?.has(type) === true ? undefined : writtenKinds[rowOfType[type]!]
    if (kinds !== undefined && this.#fields(kinds, octets, start, end)) return
    this.at = before
    this.ascii(rdataToText(type, octets.subarray(start, end), this.#options))
  }

  /** False when the RDATA is not right. */
  #fields(kinds: Uint8Array, octets: Uint8Array, start: number, end: number): boolean {
    let at = start
    for (let index = 0; index < kinds.length; index++) {
      const kind = kinds[index]!
      if (at === end && kind === TYPES_OPTIONAL) return true
      this.room(FIELD_TEXT_MAX)
      if (index > 0) this.octets[this.at++] = SPACE
      at = this.#field(kind, octets, at, end)
      if (at < 0) return false
    }
    return at === end
  }

  /** The offset behind the field, or −1 when it is not right. */
  #field(kind: number, octets: Uint8Array, at: number, end: number): number {
    if (at + (FIXED_OCTETS[kind] ?? 1) > end) return -1
    switch (kind) {
      case U8:
        this.decimal(octets[at]!)
        return at + 1
      case U16:
        this.decimal(u16(octets, at))
        return at + 2
      case U32:
        this.decimal(u32(octets, at))
        return at + 4
      case TIME:
        this.#time(u32(octets, at))
        return at + 4
      case TYPE_NUMBER:
        this.type(u16(octets, at))
        return at + 2
      case IPV4:
        this.#ipv4(octets, at)
        return at + 4
      case NAME: {
        const length = nameLengthAt(octets, at, end)
        if (length > 0) this.name(octets, at)
        return length < 0 ? -1 : at + length
      }
      case BASE64_REST:
        this.#base64(octets, at, end)
        return end
      default:
        if (typeof checkTypes(octets, at, end) !== 'number') return -1
        this.#types(octets, at, end)
        return end
    }
  }

  /** RFC 4034 §3.2: YYYYMMDDHHmmSS. */
  #time(seconds: number): void {
    const day = Math.floor(seconds / DAY_SECONDS)
    const slot = day & (DATES - 1)
    if (dateDays[slot] !== day) keepDate(slot, day)
    const { octets: out, at } = this
    for (let index = 0; index < DATE_OCTETS; index++) out[at + index] = dates[slot * DATE_OCTETS + index]!
    const minutes = Math.floor((seconds - day * DAY_SECONDS) / 60)
    const hours = Math.floor(minutes / 60)
    putTwoDigits(out, at + 8, hours)
    putTwoDigits(out, at + 10, minutes - hours * 60)
    putTwoDigits(out, at + 12, seconds - day * DAY_SECONDS - minutes * 60)
    this.at = at + 14
  }

  #ipv4(octets: Uint8Array, start: number): void {
    for (let at = start; at < start + 4; at++) {
      if (at > start) this.octets[this.at++] = DOT
      this.decimal(octets[at]!)
    }
  }

  /** RFC 4648 §4. */
  #base64(octets: Uint8Array, start: number, end: number): void {
    this.room(Math.ceil((end - start) / 3) * 4)
    const out = this.octets
    let to = this.at
    const last = end - ((end - start) % 3)
    for (let at = start; at < last; at += 3) {
      const bits = (octets[at]! << 16) | (octets[at + 1]! << 8) | octets[at + 2]!
      out[to] = BASE64[bits >> 18]!
      out[to + 1] = BASE64[(bits >> 12) & 63]!
      out[to + 2] = BASE64[(bits >> 6) & 63]!
      out[to + 3] = BASE64[bits & 63]!
      to += 4
    }
    if (last < end) {
      const bits = (octets[last]! << 16) | (last + 1 < end ? octets[last + 1]! << 8 : 0)
      out[to] = BASE64[bits >> 18]!
      out[to + 1] = BASE64[(bits >> 12) & 63]!
      out[to + 2] = last + 1 < end ? BASE64[(bits >> 6) & 63]! : PAD
      out[to + 3] = PAD
      to += 4
    }
    this.at = to
  }

  /** Type bit maps (RFC 4034 §4.1.2), ascending. */
  #types(octets: Uint8Array, start: number, end: number): void {
    let first = true
    for (let window = start; window < end; window += 2 + octets[window + 1]!) {
      const mapEnd = window + 2 + octets[window + 1]!
      for (let at = window + 2; at < mapEnd; at++) {
        for (let bit = 0, map = octets[at]!; map !== 0; bit++, map = (map << 1) & 0xff) {
          if ((map & 0x80) === 0) continue
          this.room(WORD_TEXT_MAX)
          if (!first) this.octets[this.at++] = SPACE
          first = false
          this.type((octets[window]! << 8) | ((at - window - 2) * 8 + bit))
        }
      }
    }
  }
}

const ZERO = 0x30
const DOT = 0x2e
const PAD = 0x3d
const BACKSLASH = 0x5c
const DAY_SECONDS = 86_400
const BASE64 = octetsOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')

/** How an octet of a label is written (RFC 1035 §5.1). */
const FORM_PLAIN = 0
const FORM_ESCAPED = 1
const FORM_DECIMAL = 2
const FORM = new Uint8Array(256).map((_, octet) =>
  octet < 0x21 || octet > 0x7e
    ? FORM_DECIMAL
    : '.;()"\\@$'.includes(String.fromCharCode(octet))
      ? FORM_ESCAPED
      : FORM_PLAIN,
)

function putEscaped(out: Uint8Array, start: number, octet: number, form: number): number {
  let at = start
  out[at++] = BACKSLASH
  if (form === FORM_ESCAPED) out[at++] = octet
  else {
    out[at++] = ZERO + Math.floor(octet / 100)
    putTwoDigits(out, at, octet % 100)
    at += 2
  }
  return at
}

function putTwoDigits(out: Uint8Array, at: number, value: number): void {
  const tens = Math.floor(value / 10)
  out[at] = ZERO + tens
  out[at + 1] = ZERO + value - tens * 10
}

/** Kinds of fields that are written here, as numbers; none is 0. */
const U8 = 1
const U16 = 2
const U32 = 3
const TIME = 4
const TYPE_NUMBER = 5
const IPV4 = 6
const NAME = 7
const BASE64_REST = 8
const TYPES = 9
const TYPES_OPTIONAL = 10
const WRITTEN: { readonly [kind in FieldKind]?: number } = {
  u8: U8,
  algorithm: U8,
  u16: U16,
  u32: U32,
  ttl: U32,
  time: TIME,
  type: TYPE_NUMBER,
  ipv4: IPV4,
  'compressed-name': NAME,
  name: NAME,
  'cased-name': NAME,
  base64: BASE64_REST,
  types: TYPES,
  'types?': TYPES_OPTIONAL,
}
/** The least that each kind takes. */
const FIXED_OCTETS = Uint8Array.of(0, 1, 2, 4, 4, 2, 4)

/** The fields of each type whose kinds are all written here. */
const writtenKinds = compileByType(fields => {
  const kinds = Uint8Array.from(fields, ({ kind }) => WRITTEN[kind] ?? 0)
  return kinds.includes(0) ? undefined : kinds
})

const mnemonics: readonly (Uint8Array | undefined)[] = [
  undefined,
  ...[...rdataFields.keys()].map(type => octetsOf(typeToText(type))),
]

function octetsOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** YYYYMMDD of the last day met of each remainder: signatures of a zone begin and end on few days. */
const DATES = 16
const DATE_OCTETS = 8
const dateDays = new Int32Array(DATES).fill(-1)
const dates = new Uint8Array(DATES * DATE_OCTETS)

function keepDate(slot: number, day: number): void {
  dateDays[slot] = day
  dates.set(octetsOf(timeToText(day * DAY_SECONDS).slice(0, DATE_OCTETS)), slot * DATE_OCTETS)
}
