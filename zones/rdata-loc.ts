/** LOC (RFC 1876): version:u8 size:u8 horizontal:u8 vertical:u8 latitude:u32 longitude:u32 altitude:u32.
 *  Sizes are centimetres as mantissa and power of ten, a digit each; angles are thousandths of a second of arc around
 *  2^31; the altitude is centimetres above a point 100,000 m below the reference spheroid. */

import { u32 } from './node.ts'
import { type Mismatch, mismatch } from './rdata-mismatch.ts'
import { readText } from './rdata-name.ts'
import { type RdataTokens, shownToken } from './rdata-tokens.ts'

export const LOC_OCTETS = 16
const EQUATOR = 2 ** 31
const DEGREE = 3_600_000
const MINUTE = 60_000
const ALTITUDE_BASE_METRES = 100_000
/** RFC 1876 §3: without them, a size of 1 m and precisions of 10,000 m and 10 m. */
const DEFAULT_PRECISIONS = [0x12, 0x16, 0x13]
const PRECISION_LABELS = ['size', 'horizontal precision', 'vertical precision']
/** 90,000 km, the greatest size, in centimetres. */
const PRECISION_MAX = 9e9

/** `d [m [s]] N|S  d [m [s]] E|W  altitude [size [horizontal [vertical]]]`. The first token is current. */
export function readLoc(tokens: RdataTokens, out: Uint8Array, at: number): number {
  const latitude = readAngle(tokens, 'latitude', 'N', 'S', 90)
  nextToken(tokens, 'longitude')
  const longitude = readAngle(tokens, 'longitude', 'E', 'W', 180)
  nextToken(tokens, 'altitude')
  const altitude = readCentimetres(tokens, 'altitude', -ALTITUDE_BASE_METRES * 100, 42_849_672_95)
  out[at] = 0
  let more = true
  for (let index = 0; index < 3; index++) {
    more = more && tokens.next()
    out[at + 1 + index] = more
      ? precisionOf(readCentimetres(tokens, PRECISION_LABELS[index]!, 0, PRECISION_MAX))
      : DEFAULT_PRECISIONS[index]!
  }
  putU32(out, at + 4, latitude)
  putU32(out, at + 8, longitude)
  putU32(out, at + 12, altitude + ALTITUDE_BASE_METRES * 100)
  if (more && tokens.next())
    tokens.fault(shownToken(tokens), 'the end of the record behind the vertical precision')
  return at + LOC_OCTETS
}

function nextToken(tokens: RdataTokens, label: string): void {
  if (!tokens.next()) tokens.fault('the end of the record', label)
}

/** Degrees, minutes and seconds up to the letter of the hemisphere. */
function readAngle(
  tokens: RdataTokens,
  label: string,
  plus: string,
  minus: string,
  degreesMax: number,
): number {
  const expected = `${label}, degrees up to ${degreesMax}, minutes and seconds below 60, then ${plus} or ${minus}`
  let angle = 0
  for (let part = 0; part < 4; part++) {
    const text = tokenText(tokens)
    const letter = text.toUpperCase()
    if (part > 0 && (letter === plus || letter === minus)) {
      if (angle > degreesMax * DEGREE) tokens.fault(`an angle above ${degreesMax} degrees`, expected)
      return letter === plus ? EQUATOR + angle : EQUATOR - angle
    }
    const pattern = part === 2 ? /^\d{1,2}(\.\d{1,3})?$/ : /^\d{1,3}$/
    const value = Number(text)
    if (part > 2 || !pattern.test(text) || (part > 0 && value >= 60))
      tokens.fault(shownToken(tokens), expected)
    angle += part === 2 ? Math.round(value * 1000) : value * (part === 0 ? DEGREE : MINUTE)
    nextToken(tokens, `${plus} or ${minus}`)
  }
  return tokens.fault(shownToken(tokens), expected)
}

function readCentimetres(tokens: RdataTokens, label: string, min: number, max: number): number {
  const text = tokenText(tokens)
  const value = Math.round(Number(text.replace(/m$/i, '')) * 100)
  if (!/^-?\d{1,8}(\.\d{0,2})?m?$/i.test(text) || value < min || value > max) {
    tokens.fault(
      shownToken(tokens),
      `${label}, metres from ${min / 100} to ${max / 100} such as 10m or 2.50m`,
    )
  }
  return value
}

const textScratch = new Uint8Array(65_535)

function tokenText(tokens: RdataTokens): string {
  return new TextDecoder().decode(textScratch.subarray(0, readText(tokens, textScratch, 0, 'location')))
}

/** Mantissa and exponent; what has more digits than one is cut. */
function precisionOf(centimetres: number): number {
  let exponent = 0
  let mantissa = centimetres
  for (; mantissa > 9; exponent++) mantissa = Math.floor(mantissa / 10)
  return (mantissa << 4) | exponent
}

function putU32(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24
  out[at + 1] = value >>> 16
  out[at + 2] = value >>> 8
  out[at + 3] = value
}

export function checkLoc(octets: Uint8Array, at: number, end: number): number | Mismatch {
  if (end - at !== LOC_OCTETS) return mismatch(`${end - at} octets`, `${LOC_OCTETS}`)
  if (octets[at] !== 0) return mismatch(`version ${octets[at]}`, '0')
  for (let index = 1; index <= 3; index++) {
    const precision = octets[at + index]!
    if (precision >> 4 > 9 || (precision & 15) > 9) return mismatch('a size that is not two digits', '0 to 9')
  }
  if (Math.abs(u32(octets, at + 4) - EQUATOR) > 90 * DEGREE)
    return mismatch('a latitude above 90 degrees', 'less')
  if (Math.abs(u32(octets, at + 8) - EQUATOR) > 180 * DEGREE)
    return mismatch('a longitude above 180 degrees', 'less')
  return at + LOC_OCTETS
}

/** Text of a LOC that was checked; undefined for the zero sizes that text cannot tell apart (0·10^n). */
export function locToText(octets: Uint8Array, at: number): string | undefined {
  const precisions = [1, 2, 3].map(index => octets[at + index]!)
  if (precisions.some(precision => precision >> 4 === 0 && precision !== 0)) return undefined
  const metres = (centimetres: number): string => `${(centimetres / 100).toFixed(2)}m`
  return [
    angleToText(u32(octets, at + 4), 'N', 'S'),
    angleToText(u32(octets, at + 8), 'E', 'W'),
    metres(u32(octets, at + 12) - ALTITUDE_BASE_METRES * 100),
    ...precisions.map(precision => metres((precision >> 4) * 10 ** (precision & 15))),
  ].join(' ')
}

function angleToText(wire: number, plus: string, minus: string): string {
  const angle = Math.abs(wire - EQUATOR)
  const minutes = Math.floor((angle % DEGREE) / MINUTE)
  const seconds = ((angle % MINUTE) / 1000).toFixed(3)
  return `${Math.floor(angle / DEGREE)} ${minutes} ${seconds} ${wire < EQUATOR ? minus : plus}`
}
