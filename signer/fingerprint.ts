/** 64-bit fingerprints of records, for noticing change: not cryptographic, and never used where an attacker chooses.
 *  The fingerprint of a zone's content is the sum of its nodes', so an edit moves it by what it took and what it brought.
 *  I1  Content alone counts: owner, type, TTL, RDATA; of the SOA all but the serial. */

import { firstRRsetAt, type NodeRRset, nextRRsetAt, RRSET_HEADER_OCTETS, TYPE, u16 } from '../zones/index.ts'
import { type ContentRules, keepsRRset } from './content.ts'

const FNV_PRIME = 0x01000193
/** As a signed integer of 32 bits, as all that comes of it: V8 keeps larger ones elsewhere. */
const FNV_START = 0x811c9dc5 | 0
/** An odd number near 2^32 divided by the golden ratio: a second lane that moves unlike the first. */
const SECOND_FACTOR = 0x9e3779b1
const SOA_SERIAL_FROM_END = 20

/** Room for both lanes. */
const LANES = Buffer.alloc(8)

/** FNV-1a in one lane, a multiplicative mix in the other. */
export class Fingerprint {
  low: number = FNV_START
  high = 0

  reset(): this {
    this.low = FNV_START
    this.high = 0
    return this
  }

  octets(octets: Uint8Array, start = 0, end: number = octets.length): this {
    let low = this.low
    let high = this.high
    for (let at = start; at < end; at++) {
      const octet = octets[at]!
      low = Math.imul(low ^ octet, FNV_PRIME)
      high = Math.imul(high ^ octet, SECOND_FACTOR)
      high ^= high >>> 15
    }
    this.low = low
    this.high = high
    return this
  }

  /** Another one than `octets`, for much data: four octets a step, and how many are left over. */
  words(octets: Uint8Array, start: number, end: number): this {
    let low = this.low
    let high = this.high
    let at = start
    // Two a turn: what V8 asks in each turn of a loop costs as much as one.
    for (; at + 8 <= end; at += 8) {
      const first = (octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8) | octets[at + 3]!
      const second =
        (octets[at + 4]! << 24) | (octets[at + 5]! << 16) | (octets[at + 6]! << 8) | octets[at + 7]!
      low = Math.imul(low ^ first, FNV_PRIME)
      low = Math.imul(low ^ (low >>> 15) ^ second, FNV_PRIME)
      low ^= low >>> 15
      high = Math.imul(high ^ first, SECOND_FACTOR)
      high = Math.imul(high ^ (high >>> 13) ^ second, SECOND_FACTOR)
      high ^= high >>> 13
    }
    for (; at + 4 <= end; at += 4) {
      const word = (octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8) | octets[at + 3]!
      low = Math.imul(low ^ word, FNV_PRIME)
      low ^= low >>> 15
      high = Math.imul(high ^ word, SECOND_FACTOR)
      high ^= high >>> 13
    }
    this.low = low
    this.high = high
    return this.octets(octets, at, end).number(end - at)
  }

  number(value: number): this {
    let low = this.low
    let high = this.high
    for (let shift = 24; shift >= 0; shift -= 8) {
      const octet = (value >>> shift) & 255
      low = Math.imul(low ^ octet, FNV_PRIME)
      high = Math.imul(high ^ octet, SECOND_FACTOR)
      high ^= high >>> 15
    }
    this.low = low
    this.high = high
    return this
  }

  /** Type, TTL and RDATA. */
  rrset({ type, ttl, rdata }: Pick<NodeRRset, 'type' | 'ttl' | 'rdata'>): this {
    this.number(type).number(ttl)
    for (const one of rdata) this.number(one.length).octets(one)
    return this
  }
}

/** The sum of fingerprints, modulo 2^32 in each lane. */
export class ContentHash {
  #low = 0
  #high = 0
  readonly #one = new Fingerprint()

  constructor(text?: string) {
    if (text === undefined) return
    this.#high = Number.parseInt(text.slice(0, 8), 16) | 0
    this.#low = Number.parseInt(text.slice(8), 16) | 0
  }

  add(rules: ContentRules, key: Uint8Array, node: Uint8Array): void {
    if (!this.#take(rules, key, node)) return
    this.#low = (this.#low + this.#one.low) | 0
    this.#high = (this.#high + this.#one.high) | 0
  }

  /** The same for a node below the apex that is all content of a zone that is served as it is. */
  addWhole(key: Uint8Array, keyOctets: number, octets: Uint8Array, start: number): void {
    const one = this.#one.reset().words(key, 0, keyOctets)
    let at = firstRRsetAt(octets, start)
    for (let left = octets[start + 2]!; left > 0; left--) {
      const end = nextRRsetAt(octets, at)
      one.words(octets, at + RRSET_HEADER_OCTETS, at + RRSET_HEADER_OCTETS + u16(octets, at + 6))
      one.words(octets, end - u16(octets, at + 8), end)
      at = end
    }
    this.#low = (this.#low + one.low) | 0
    this.#high = (this.#high + one.high) | 0
  }

  subtract(rules: ContentRules, key: Uint8Array, node: Uint8Array): void {
    if (!this.#take(rules, key, node)) return
    this.#low = (this.#low - this.#one.low) | 0
    this.#high = (this.#high - this.#one.high) | 0
  }

  /** I1; false when the node has no content. */
  #take(rules: ContentRules, key: Uint8Array, node: Uint8Array): boolean {
    this.#one.reset().words(key, 0, key.length)
    let at = firstRRsetAt(node, 0)
    let found = false
    for (let left = node[2]!; left > 0; left--) {
      if (keepsRRset(rules, key, node, at)) {
        found = true
        this.#takeRRset(rules, node, at)
      }
      at = nextRRsetAt(node, at)
    }
    return found
  }

  /** The records as they are stored: owner's place, type, class, TTL, RDATA; and signatures that are content. */
  #takeRRset(rules: ContentRules, node: Uint8Array, at: number): void {
    const start = at + RRSET_HEADER_OCTETS
    const end = start + u16(node, at + 6)
    if (u16(node, at) === TYPE.SOA) {
      const serial = end - SOA_SERIAL_FROM_END
      this.#one.words(node, start, serial).words(node, serial + 4, end)
    } else this.#one.words(node, start, end)
    if (!rules.signs) this.#one.words(node, end, end + u16(node, at + 8))
  }

  toString(): string {
    LANES.writeInt32BE(this.#high, 0)
    LANES.writeInt32BE(this.#low, 4)
    return LANES.toString('hex')
  }
}
