/** Secret octets: private fields, redacted when shown, compared in constant time, wiped after use, never a string.
 *  What JavaScript cannot promise: the collector may have moved a copy before `wipe`, and OpenSSL keeps its own. */

import { timingSafeEqual } from 'node:crypto'
import { inspect } from 'node:util'

export class Secret {
  readonly #octets: Uint8Array
  /** Where it was read, for messages. */
  readonly source: string | undefined

  /** Owns the octets from now on. */
  constructor(octets: Uint8Array, source?: string) {
    this.#octets = octets
    this.source = source
  }

  get length(): number {
    return this.#octets.length
  }

  /** Lends the octets for the time of the call: they must not be kept or copied. */
  use<T>(call: (octets: Uint8Array) => T): T {
    return call(this.#octets)
  }

  equals(other: Secret): boolean {
    return this.length === other.length && other.use(octets => timingSafeEqual(this.#octets, octets))
  }

  wipe(): void {
    this.#octets.fill(0)
  }

  toJSON(): string {
    return '[secret]'
  }

  toString(): string {
    return '[secret]'
  }
}
Object.defineProperty(Secret.prototype, inspect.custom, { value: () => 'Secret [redacted]' })

const ALPHABET = new TextEncoder().encode('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')
const PADDING = 0x3d
const NOT_BASE64 = 255
const VALUES = new Uint8Array(256).fill(NOT_BASE64)
ALPHABET.forEach((octet, value) => {
  VALUES[octet] = value
})

/** Base64 (RFC 4648 §4) from octets to octets, since Buffer's would pass through a string; lines of that many
 *  characters when `lineLength` is given (a multiple of 4). */
export function encodeBase64(octets: Uint8Array, lineLength: number = Number.POSITIVE_INFINITY): Uint8Array {
  const characters = 4 * Math.ceil(octets.length / 3)
  const breaks = Number.isFinite(lineLength) ? Math.ceil(characters / lineLength) : 0
  const out = new Uint8Array(characters + breaks)
  let to = 0
  let column = 0
  for (let at = 0; at < octets.length; at += 3) {
    const left = octets.length - at
    const group = (octets[at]! << 16) | ((octets[at + 1] ?? 0) << 8) | (octets[at + 2] ?? 0)
    out[to++] = ALPHABET[group >>> 18]!
    out[to++] = ALPHABET[(group >>> 12) & 63]!
    out[to++] = left > 1 ? ALPHABET[(group >>> 6) & 63]! : PADDING
    out[to++] = left > 2 ? ALPHABET[group & 63]! : PADDING
    column += 4
    if (column < lineLength && left > 3) continue
    if (breaks > 0) out[to++] = 0x0a
    column = 0
  }
  return out
}

/** The octets of base64 text, white space allowed; undefined when it is not base64. */
export function decodeBase64(text: Uint8Array): Secret | undefined {
  const out = new Uint8Array(Math.ceil((text.length * 3) / 4))
  let [to, bits, group, padding] = [0, 0, 0, 0]
  for (const octet of text) {
    if (octet === 0x20 || octet === 0x0a || octet === 0x0d || octet === 0x09) continue
    if (octet === PADDING) {
      padding++
      continue
    }
    const value = VALUES[octet]!
    if (value === NOT_BASE64 || padding > 0) return undefined
    group = ((group << 6) | value) & 0xffff
    bits += 6
    if (bits < 8) continue
    bits -= 8
    out[to++] = group >>> bits
  }
  // What is left over are at most four zero bits, and padding that fills the group of four characters.
  const whole = bits < 6 && (group & ((1 << bits) - 1)) === 0 && (padding === 0 || padding === bits / 2)
  const octets = out.slice(0, to)
  out.fill(0)
  return whole ? new Secret(octets) : undefined
}
