/** Presentation form written as octets, for printing whole zones: what rdata-write.ts gives as text, without a string for
 *  every field. Kinds of fields that make up large zones are written here; a type that has another kind among its
 *  fields, and RDATA that is not right, go through `rdataToText`.
 *  I1  What is written for RDATA are the characters of `rdataToText`, which are ASCII.
 *  I2  There is room for what a step writes before it begins; `octets` is another array after `take`, and when it grows. */

import { u16, u32 } from './node.ts'
import { endOfField, rdataFault } from './rdata-check.ts'
import { timeToText } from './rdata-number.ts'
import { type Field, type FieldKind, rdataFields } from './rdata-table.ts'
import { type RdataTextOptions, rdataToText } from './rdata-write.ts'
import { typeToText } from './types.ts'

/** Octets that a name can take: each as `\DDD`, and dots. */
const NAME_TEXT_MAX = 1280
/** A number, a time, an address or `TYPE65535`, and what separates it. */
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

  ascii(text: string): void {
    this.room(text.length)
    for (let index = 0; index < text.length; index++) this.octets[this.at++] = text.charCodeAt(index)
  }

  /** Presentation form of a wire name (as nameToText). */
  name(name: Uint8Array, start: number): void {
    this.room(NAME_TEXT_MAX)
    const out = this.octets
    let at = this.at
    if (name[start] === 0) out[at++] = DOT
    for (let from = start; name[from] !== 0; ) {
      const end = from + 1 + name[from]!
      for (from++; from < end; from++) {
        const octet = name[from]!
        const form = FORM[octet]!
        if (form === FORM_ESCAPED) out[at++] = BACKSLASH
        if (form !== FORM_DECIMAL) out[at++] = octet
        else {
          out[at++] = BACKSLASH
          out[at++] = ZERO + Math.floor(octet / 100)
          out[at++] = ZERO + (Math.floor(octet / 10) % 10)
          out[at++] = ZERO + (octet % 10)
        }
      }
      out[at++] = DOT
    }
    this.at = at
  }

  type(type: number): void {
    if (this.#options.generic?.has(type) === true) this.ascii(`TYPE${type}`)
    else this.copy(mnemonic(type))
  }

  decimal(value: number): void {
    this.room(WORD_TEXT_MAX)
    let digits = 1
    for (let power = 10; power <= value; power *= 10) digits++
    let left = value
    for (let at = this.at + digits - 1; at >= this.at; at--) {
      const tenth = Math.floor(left / 10)
      this.octets[at] = ZERO + left - tenth * 10
      left = tenth
    }
    this.at += digits
  }

  /** I1. */
  rdata(type: number, octets: Uint8Array, start: number, end: number): void {
    const fields = this.#options.generic?.has(type) === true ? undefined : plainFields(type)
    if (fields === undefined || rdataFault(type, octets, start, end) !== undefined) {
      this.ascii(rdataToText(type, octets.subarray(start, end), this.#options))
      return
    }
    for (let at = start, index = 0; index < fields.length; index++) {
      const field = fields[index]!
      const next = endOfField(field, octets, at, end)
      if (field.optional && next === at) return
      this.room(WORD_TEXT_MAX)
      if (index > 0) this.octets[this.at++] = SPACE
      this.#field(field.kind, octets, at, next)
      at = next
    }
  }

  #field(kind: FieldKind, octets: Uint8Array, at: number, end: number): void {
    switch (kind) {
      case 'u8':
      case 'algorithm':
        return this.decimal(octets[at]!)
      case 'u16':
        return this.decimal(u16(octets, at))
      case 'u32':
      case 'ttl':
        return this.decimal(u32(octets, at))
      case 'time':
        return this.#time(u32(octets, at))
      case 'type':
        return this.type(u16(octets, at))
      case 'ipv4':
        return this.#ipv4(octets, at)
      case 'compressed-name':
      case 'name':
      case 'cased-name':
        return this.name(octets, at)
      case 'base64':
        return this.#base64(octets, at, end)
      case 'types':
      case 'types?':
        return this.#types(octets, at, end)
      default:
        throw new Error(`print: a field of kind ${kind}`)
    }
  }

  /** RFC 4034 §3.2: YYYYMMDDHHmmSS. */
  #time(seconds: number): void {
    const day = Math.floor(seconds / DAY_SECONDS)
    this.copy(dateOf(day))
    const rest = seconds - day * DAY_SECONDS
    this.#twoDigits(Math.floor(rest / 3600))
    this.#twoDigits(Math.floor(rest / 60) % 60)
    this.#twoDigits(rest % 60)
  }

  #twoDigits(value: number): void {
    this.octets[this.at++] = ZERO + Math.floor(value / 10)
    this.octets[this.at++] = ZERO + (value % 10)
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
    for (let at = start; at < end; at += 3) {
      const left = end - at
      const bits =
        (octets[at]! << 16) | (left > 1 ? octets[at + 1]! << 8 : 0) | (left > 2 ? octets[at + 2]! : 0)
      out[to] = BASE64[bits >> 18]!
      out[to + 1] = BASE64[(bits >> 12) & 63]!
      out[to + 2] = left > 1 ? BASE64[(bits >> 6) & 63]! : PAD
      out[to + 3] = left > 2 ? BASE64[bits & 63]! : PAD
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
const BASE64 = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')

/** How an octet of a label is written (RFC 1035 §5.1). */
const FORM_ESCAPED = 1
const FORM_DECIMAL = 2
const FORM = new Uint8Array(256).map((_, octet) =>
  octet < 0x21 || octet > 0x7e
    ? FORM_DECIMAL
    : '.;()"\\@$'.includes(String.fromCharCode(octet))
      ? FORM_ESCAPED
      : 0,
)

const PLAIN_KINDS: ReadonlySet<FieldKind> = new Set<FieldKind>([
  ...(['u8', 'u16', 'u32', 'ttl', 'time', 'type', 'algorithm', 'ipv4', 'base64', 'types', 'types?'] as const),
  ...(['compressed-name', 'name', 'cased-name'] as const),
])

const plain = new Map<number, readonly Field[] | undefined>()

/** The fields of a type whose kinds are all written here; undefined for others. */
function plainFields(type: number): readonly Field[] | undefined {
  const known = plain.get(type)
  if (known !== undefined || plain.has(type)) return known
  const fields = rdataFields.get(type)
  const all = fields?.every(({ kind }) => PLAIN_KINDS.has(kind)) === true ? fields : undefined
  plain.set(type, all)
  return all
}

const mnemonics = new Map<number, Uint8Array>()

function mnemonic(type: number): Uint8Array {
  let text = mnemonics.get(type)
  if (text === undefined) {
    text = Buffer.from(typeToText(type))
    mnemonics.set(type, text)
  }
  return text
}

/** Signatures of a zone begin and end on few days. */
const DATES_MAX = 64
const dates = new Map<number, Uint8Array>()

/** YYYYMMDD. */
function dateOf(day: number): Uint8Array {
  let text = dates.get(day)
  if (text === undefined) {
    if (dates.size === DATES_MAX) dates.clear()
    text = Buffer.from(timeToText(day * DAY_SECONDS).slice(0, 8))
    dates.set(day, text)
  }
  return text
}
