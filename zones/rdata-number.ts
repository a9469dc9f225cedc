/** Numbers in zone files: decimal integers, spans of time (`1h30m`), points in time (RFC 4034 §3.2), and the mnemonics
 *  of numbers. Functions ending in FromOctets read octets[start..end) and give −1 for what they cannot read; those
 *  beginning with read take a token, and fault. No allocation unless there is a fault. */

import { type RdataTokens, shownToken } from './rdata-tokens.ts'
import { typeFromOctets } from './types.ts'

const U32_MAX = 0xffffffff
/** Ten digits hold every u32; more cannot be one. */
const DECIMAL_DIGITS_MAX = 10

/** A decimal integer of at most ten digits, leading zeros allowed. */
export function decimalFromOctets(octets: Uint8Array, start: number, end: number): number {
  if (end === start || end - start > DECIMAL_DIGITS_MAX) return -1
  let value = 0
  for (let at = start; at < end; at++) {
    const digit = octets[at]! - 0x30
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value
}

/** Seconds as a number or as numbers with the units w d h m s in any order and case (a widespread extension of
 *  RFC 1035 §5.1); at most 2^32 − 1. */
export function ttlFromOctets(octets: Uint8Array, start: number, end: number): number {
  let total = 0
  let value = -1
  for (let at = start; at < end; at++) {
    const octet = octets[at]!
    if (octet >= 0x30 && octet <= 0x39) value = (value < 0 ? 0 : value * 10) + octet - 0x30
    else {
      const unit = unitSeconds(octet | 0x20)
      if (unit === 0 || value < 0) return -1
      total += value * unit
      value = -1
    }
    if (total > U32_MAX || value > U32_MAX) return -1
  }
  if (value >= 0) total += value
  return end === start || total > U32_MAX ? -1 : total
}

function unitSeconds(letter: number): number {
  switch (letter) {
    case 0x73: // s
      return 1
    case 0x6d: // m
      return 60
    case 0x68: // h
      return 3600
    case 0x64: // d
      return 86_400
    case 0x77: // w
      return 604_800
    default:
      return 0
  }
}

const TIME_DIGITS = 14
const DAY_SECONDS = 86_400
/** RFC 4034 §3.1.5: times are 32 bits; these are the points in time that 14 digits can name of them. */
const LAST_YEAR = 2106

/** RFC 4034 §3.2: YYYYMMDDHHmmSS in UTC, or seconds since 1970 as a decimal u32. */
export function timeFromOctets(octets: Uint8Array, start: number, end: number): number {
  if (end - start !== TIME_DIGITS) {
    const seconds = decimalFromOctets(octets, start, end)
    return seconds > U32_MAX ? -1 : seconds
  }
  const date = decimalFromOctets(octets, start, start + 8)
  const time = decimalFromOctets(octets, start + 8, end)
  if (date !== lastDate) {
    lastDays = daysSince1970(Math.floor(date / 10_000), Math.floor(date / 100) % 100, date % 100)
    lastDate = date
  }
  const hour = Math.floor(time / 10_000)
  const minute = Math.floor(time / 100) % 100
  const second = time % 100
  if (lastDays < 0 || time < 0 || hour > 23 || minute > 59 || second > 59) return -1
  const seconds = lastDays * DAY_SECONDS + hour * 3600 + minute * 60 + second
  return seconds > U32_MAX ? -1 : seconds
}

/** All signatures of a zone tend to have the same few dates. */
let lastDate = -1
let lastDays = -1

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
}

function daysIn(year: number, month: number): number {
  if (month === 2) return isLeap(year) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/** Days of the months before each, in a common year. */
const DAYS_BEFORE = [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]

/** −1 when there is no such day, or it is outside of 1970 to 2106. */
function daysSince1970(year: number, month: number, day: number): number {
  if (year < 1970 || year > LAST_YEAR || month < 1 || month > 12 || day < 1 || day > daysIn(year, month))
    return -1
  const before = year - 1
  const leaps = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400) - 477
  const inYear = DAYS_BEFORE[month]! + (month > 2 && isLeap(year) ? 1 : 0)
  return (year - 1970) * 365 + leaps + inYear + day - 1
}

/** YYYYMMDDHHmmSS of a u32 of seconds. */
export function timeToText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 19).replace(/[-T:]/g, '')
}

/** The token as a decimal integer up to `max`. */
export function readDecimal(tokens: RdataTokens, max: number, label: string): number {
  const value = decimalFromOctets(tokens.octets, tokens.start, tokens.end)
  if (value < 0 || value > max) tokens.fault(shownToken(tokens), `${label}, a number from 0 to ${max}`)
  return value
}

export function readTtl(tokens: RdataTokens, label: string): number {
  const value = ttlFromOctets(tokens.octets, tokens.start, tokens.end)
  if (value < 0)
    tokens.fault(shownToken(tokens), `${label}, seconds up to 4294967295 or a span such as 1h30m`)
  return value
}

export function readTime(tokens: RdataTokens, label: string): number {
  const value = timeFromOctets(tokens.octets, tokens.start, tokens.end)
  if (value < 0) {
    tokens.fault(shownToken(tokens), `${label}, YYYYMMDDHHmmSS before February 2106 or seconds since 1970`)
  }
  return value
}

export function readType(tokens: RdataTokens, label: string): number {
  const type = typeFromOctets(tokens.octets, tokens.start, tokens.end)
  if (type < 0) tokens.fault(shownToken(tokens), `${label}, a record type or TYPEnnn`)
  return type
}

export type Mnemonics = ReadonlyMap<string, number>

/** The token as a decimal integer up to `max`, or one of the mnemonics in any case. */
export function readMnemonic(tokens: RdataTokens, mnemonics: Mnemonics, max: number, label: string): number {
  const first = tokens.octets[tokens.start]! - 0x30
  if (first >= 0 && first <= 9) return readDecimal(tokens, max, label)
  const text = new TextDecoder().decode(tokens.octets.subarray(tokens.start, tokens.end)).toUpperCase()
  const value = mnemonics.get(text)
  if (value !== undefined) return value
  const some = [...mnemonics.keys()].slice(0, 4).join(', ')
  return tokens.fault(shownToken(tokens), `${label}, a number from 0 to ${max} or a mnemonic (${some}, …)`)
}

/** RFC 4034 appendix A.1 and IANA's registry of DNSSEC algorithm numbers. */
export const ALGORITHM_MNEMONICS: Mnemonics = new Map([
  ['RSASHA256', 8],
  ['RSASHA512', 10],
  ['ECDSAP256SHA256', 13],
  ['ED25519', 15],
  ['ECDSAP384SHA384', 14],
  ['ED448', 16],
  ['DELETE', 0],
  ['RSAMD5', 1],
  ['DH', 2],
  ['DSA', 3],
  ['RSASHA1', 5],
  ['DSA-NSEC3-SHA1', 6],
  ['RSASHA1-NSEC3-SHA1', 7],
  ['ECC-GOST', 12],
  ['SM2SM3', 17],
  ['ECC-GOST12', 23],
  ['INDIRECT', 252],
  ['PRIVATEDNS', 253],
  ['PRIVATEOID', 254],
])

/** RFC 4398 §2.1. */
export const CERTIFICATE_MNEMONICS: Mnemonics = new Map([
  ['PKIX', 1],
  ['SPKI', 2],
  ['PGP', 3],
  ['IPKIX', 4],
  ['ISPKI', 5],
  ['IPGP', 6],
  ['ACPKIX', 7],
  ['IACPKIX', 8],
  ['URI', 253],
  ['OID', 254],
])

/** RFC 9859 §2.1. */
export const SCHEME_MNEMONICS: Mnemonics = new Map([['NOTIFY', 1]])
