/** RRSIG RDATA and the octets it signs (RFC 4034 §3.1 and §3.1.8.1, §6.2, §6.3; RFC 4035 §5.3.2).
 *
 *    message = RRSIG RDATA without its signature | RR | RR | …
 *    RRSIG RDATA = type covered:u16 algorithm:u8 labels:u8 original TTL:u32 expiration:u32 inception:u32 key tag:u16
 *                  signer's name | signature
 *    RR = owner | type:u16 | class:u16 | original TTL:u32 | RDLENGTH:u16 | RDATA
 *
 *  I1  A message begins with the RDATA of its RRSIG, so adding the signature makes the record: `writeRrsig`.
 *  I2  Names in a message are lower case: owner, signer's name, and those in the RDATA of the types of RFC 4034 §6.2.
 *  I3  RRs stand in the order of their canonical RDATA, each once. Input that is sorted stays as it is; lower case may
 *      have changed the order, and then the RRs are sorted again. */

import { compareOctets, lowerCase, NAME_OCTETS_MAX, type Name, nameLengthAt } from '../zones/name.ts'
import { u16, u32 } from '../zones/node.ts'
import { canonicalizeInPlace } from '../zones/rdata-canonical.ts'
import type { SignBatch } from './keystore.ts'

/** Octets of RRSIG RDATA before the signer's name. */
export const RRSIG_FIXED_OCTETS = 18
const CLASS_IN = 1
/** Octets of an RR between its owner and its RDATA. */
const RR_FIXED_OCTETS = 10
/** Messages of a batch unless told otherwise: what local stores take at once. */
export const BATCH_MESSAGES = 1024
/** A batch counts as full at this size, so that large RRsets do not make large buffers: 1024 messages of 256 octets
 *  fit, and a single message (at most 65,535 octets of RDATA, RFC 1035 §4.1, and as many owners) does in any case. */
const BATCH_OCTETS_FULL = 1 << 18
const OCTETS_START = 1 << 16

/** What all RRSIGs by one key have in common. */
export interface RrsigSigner {
  readonly algorithm: number
  readonly keyTag: number
  /** The apex of the zone. */
  readonly signerName: Name
}

export interface RrsigFields extends RrsigSigner {
  readonly typeCovered: number
  readonly labels: number
  readonly originalTtl: number
  readonly expirationUnix: number
  readonly inceptionUnix: number
  readonly signature: Uint8Array
}

/** Fields of RRSIG RDATA, with views of its octets; undefined when it is not whole. Times are as on the wire, modulo
 *  2^32 (RFC 4034 §3.1.5). */
export function decodeRrsig(rdata: Uint8Array): RrsigFields | undefined {
  const nameOctets = nameLengthAt(rdata, RRSIG_FIXED_OCTETS)
  if (nameOctets < 0) return undefined
  const signatureAt = RRSIG_FIXED_OCTETS + nameOctets
  return {
    typeCovered: u16(rdata, 0),
    algorithm: rdata[2]!,
    labels: rdata[3]!,
    originalTtl: u32(rdata, 4),
    expirationUnix: u32(rdata, 8),
    inceptionUnix: u32(rdata, 12),
    keyTag: u16(rdata, 16),
    signerName: rdata.subarray(RRSIG_FIXED_OCTETS, signatureAt) as Name,
    signature: rdata.subarray(signatureAt),
  }
}

/** RFC 4034 §3.1.3: labels of the owner, neither the root's nor a leading `*` counted. */
export function rrsigLabels(owner: Uint8Array): number {
  let count = owner[0] === 1 && owner[1] === 0x2a ? -1 : 0
  for (let at = 0; owner[at] !== 0; at += 1 + owner[at]!) count++
  return count
}

/** A batch of messages in the making. One instance is used again and again: `clear` once the store has answered. */
export class ToBeSigned {
  /** Renewed when it grows: read it after adding. */
  octets: Uint8Array<SharedArrayBuffer>
  /** Message i is octets[offsets[i] .. offsets[i + 1]). */
  readonly offsets: Uint32Array<SharedArrayBuffer>
  count = 0
  readonly #messagesMax: number
  #at = 0
  /** Of the message in the making: its first and its last record (−1: none), and whether they ascend. */
  #firstRecord = 0
  #lastRecord = -1
  #sorted = true

  constructor(messagesMax: number = BATCH_MESSAGES) {
    this.#messagesMax = messagesMax
    this.octets = new Uint8Array(new SharedArrayBuffer(OCTETS_START))
    this.offsets = new Uint32Array(new SharedArrayBuffer(4 * (messagesMax + 1)))
  }

  /** Whether it is time to have the batch signed. Adding to a batch of `messagesMax` messages is a bug. */
  get full(): boolean {
    return this.count === this.#messagesMax || this.#at >= BATCH_OCTETS_FULL
  }

  clear(): void {
    this.count = 0
    this.#at = 0
  }

  /** The messages so far, to be signed by that key; views, valid until `add…` or `clear`. */
  batch(key: string): SignBatch {
    return { key, octets: this.octets, offsets: this.offsets, count: this.count }
  }

  /** Appends the message of an RRset and returns its index. Owner: a wire name at the start of octets that may go on.
   *  RDATA: uncompressed, in canonical order (node I1). Times: Unix seconds. */
  add(
    signer: RrsigSigner,
    owner: Uint8Array,
    type: number,
    ttl: number,
    inceptionUnix: number,
    expirationUnix: number,
    rdata: readonly Uint8Array[],
  ): number {
    this.#begin(signer, type, rrsigLabels(owner), ttl, inceptionUnix, expirationUnix)
    for (const one of rdata) this.#record(owner, type, ttl, one, 0, one.length)
    return this.#end(owner)
  }

  /** Appends a message that was made before. */
  addWhole(message: Uint8Array): number {
    this.#checkRoom()
    this.#room(message.length)
    this.#copy(message, 0, message.length)
    return this.#close()
  }

  /** Appends the message that an RRSIG claims to sign (RFC 4035 §5.3.2): with the original TTL and, when the RRSIG has
   *  fewer labels than the owner, the wildcard's name. −1 when it cannot be over an RRset of that owner and type. */
  addSigned(owner: Uint8Array, type: number, rdata: readonly Uint8Array[], rrsig: RrsigFields): number {
    const { typeCovered, labels, originalTtl, inceptionUnix, expirationUnix } = rrsig
    const surplus = rrsigLabels(owner) - labels
    if (surplus < 0 || typeCovered !== type) return -1
    const name = surplus === 0 ? owner : wildcardAbove(owner, surplus)
    this.#begin(rrsig, type, labels, originalTtl, inceptionUnix, expirationUnix)
    for (const one of rdata) this.#record(name, type, originalTtl, one, 0, one.length)
    return this.#end(name)
  }

  /** Octets of the RRSIG RDATA of message `index` with a signature of that length. */
  rrsigOctets(index: number, signatureOctets: number): number {
    return this.#prefixOctets(index) + signatureOctets
  }

  /** Writes the RRSIG RDATA of message `index` (I1) and returns its end. */
  writeRrsig(index: number, signature: Uint8Array, out: Uint8Array, outStart: number): number {
    const { octets } = this
    const start = this.offsets[index]!
    const prefix = this.#prefixOctets(index)
    for (let at = 0; at < prefix; at++) out[outStart + at] = octets[start + at]!
    out.set(signature, outStart + prefix)
    return outStart + prefix + signature.length
  }

  /** The RRSIG RDATA of message `index`, as octets of its own. */
  rrsig(index: number, signature: Uint8Array): Uint8Array {
    const out = new Uint8Array(this.rrsigOctets(index, signature.length))
    this.writeRrsig(index, signature, out, 0)
    return out
  }

  #prefixOctets(index: number): number {
    return RRSIG_FIXED_OCTETS + nameLengthAt(this.octets, this.offsets[index]! + RRSIG_FIXED_OCTETS)
  }

  /** Starts a message: the RDATA of its RRSIG. */
  #begin(
    signer: RrsigSigner,
    type: number,
    labels: number,
    ttl: number,
    inceptionUnix: number,
    expirationUnix: number,
  ): void {
    this.#checkRoom()
    this.#room(RRSIG_FIXED_OCTETS + signer.signerName.length)
    this.#put16(type)
    this.octets[this.#at++] = signer.algorithm
    this.octets[this.#at++] = labels
    this.#put32(ttl)
    this.#put32(expirationUnix)
    this.#put32(inceptionUnix)
    this.#put16(signer.keyTag)
    this.#putLower(signer.signerName)
    this.#firstRecord = this.#at
    this.#lastRecord = -1
    this.#sorted = true
  }

  #record(
    owner: Uint8Array,
    type: number,
    ttl: number,
    octets: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.#room(NAME_OCTETS_MAX + RR_FIXED_OCTETS + end - start)
    const record = this.#at
    this.#putLower(owner)
    this.#put16(type)
    this.#put16(CLASS_IN)
    this.#put32(ttl)
    this.#put16(end - start)
    const data = this.#at
    this.#copy(octets, start, end)
    canonicalizeInPlace(type, this.octets, data, this.#at)
    if (this.#lastRecord >= 0 && this.#comparedToLast(record, data) >= 0) this.#sorted = false
    this.#lastRecord = record
  }

  /** Ends the message and returns its index. */
  #end(owner: Uint8Array): number {
    if (!this.#sorted) this.#sort(nameLengthAt(owner, 0) + RR_FIXED_OCTETS)
    return this.#close()
  }

  #checkRoom(): void {
    if (this.count === this.#messagesMax)
      throw new Error(`a batch of more than ${this.#messagesMax} messages`)
  }

  #close(): number {
    this.count++
    this.offsets[this.count] = this.#at
    return this.count - 1
  }

  /** RFC 4034 §6.3: RDATA compare as left-justified octets, the shorter first. Owners are the same in both. */
  #comparedToLast(record: number, data: number): number {
    const octets = this.octets
    const lastEnd = record
    let last = this.#lastRecord + data - record
    let here = data
    for (; last < lastEnd && here < this.#at; last++, here++) {
      const difference = octets[last]! - octets[here]!
      if (difference !== 0) return difference
    }
    return lastEnd - last - (this.#at - here)
  }

  /** Puts the records of the message in order and drops the second of equal ones (I3). Rare: names that differ in
   *  case only, or whose order does. */
  #sort(headOctets: number): void {
    const records: Uint8Array[] = []
    for (let at = this.#firstRecord; at < this.#at; ) {
      const end = at + headOctets + u16(this.octets, at + headOctets - 2)
      records.push(this.octets.slice(at, end))
      at = end
    }
    records.sort((a, b) => compareOctets(a.subarray(headOctets), b.subarray(headOctets)))
    this.#at = this.#firstRecord
    records.forEach((record, index) => {
      const before = records[index - 1]
      if (before !== undefined && compareOctets(before, record) === 0) return
      this.#copy(record, 0, record.length)
    })
  }

  #room(octets: number): void {
    const needed = this.#at + octets
    if (needed <= this.octets.length) return
    const grown = new Uint8Array(new SharedArrayBuffer(Math.max(2 * this.octets.length, needed)))
    grown.set(this.octets.subarray(0, this.#at))
    this.octets = grown
  }

  #putLower(name: Uint8Array): void {
    const octets = this.octets
    let from = 0
    for (let length = name[0]!; length !== 0; length = name[from]!) {
      for (const end = from + length; from <= end; from++) octets[this.#at++] = lowerCase[name[from]!]!
    }
    octets[this.#at++] = 0
  }

  #copy(from: Uint8Array, start: number, end: number): void {
    const octets = this.octets
    let to = this.#at
    for (let at = start; at < end; at++) octets[to++] = from[at]!
    this.#at = to
  }

  #put16(value: number): void {
    this.octets[this.#at++] = value >>> 8
    this.octets[this.#at++] = value
  }

  #put32(value: number): void {
    this.#put16(value >>> 16)
    this.#put16(value)
  }
}

/** The wildcard that an owner with that many surplus labels was expanded from. */
function wildcardAbove(owner: Uint8Array, surplus: number): Uint8Array {
  let at = 0
  for (let left = surplus; left > 0; left--) at += 1 + owner[at]!
  const rest = owner.subarray(at, at + nameLengthAt(owner, at))
  const name = new Uint8Array(2 + rest.length)
  name.set([1, 0x2a])
  name.set(rest, 2)
  return name
}
