/** Transaction signatures (RFC 8945): a signed query is verified, and its responses are signed. Not here: keys
 *  (tsig-keys.ts), the record's form (tsig-record.ts), what a key permits (access.ts), TKEY, forwarding.
 *
 *    key known? ──no──▶ BADKEY    MAC right? ──no──▶ BADSIG    time near? ──no──▶ BADTIME    MAC whole? ──no──▶ BADTRUNC
 *                       unsigned                    unsigned                     signed                     signed
 *
 *  I1  The checks come in the order of RFC 8945 §5.2, so that nothing of a message counts before its MAC is verified.
 *  I2  MACs are compared in constant time, and a comparison is of as many octets as the sender's length says, which is
 *      at least half of the digest and at least ten.
 *  I3  The first response covers the request's MAC, each later one the MAC before it (RFC 8945 §5.3.1). */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { sameName } from '../zones/reading.ts'
import { HEADER_OCTETS, type Query } from './query.ts'
import type { RingKey, TsigKeyring } from './tsig-keyring.ts'
import {
  readTsig,
  TSIG_BADKEY,
  TSIG_BADSIG,
  TSIG_BADTIME,
  TSIG_BADTRUNC,
  TSIG_NOERROR,
  type TsigRecord,
  timeOctets,
  tsigOctets,
  tsigTimers,
  tsigVariables,
  writeTsig,
} from './tsig-record.ts'

/** RFC 8945 §10: the recommended fudge. */
const FUDGE_SECONDS = 300
/** RFC 8945 §5.2.2.1: no MAC is shorter, whatever the policy. */
const MAC_OCTETS_MIN = 10
/** RFC 8945 §5.2.3: of the server's time. */
const TIME_OCTETS = 6
const NOTHING = new Uint8Array(0)

/** Checks the signature of a query that has one. Undefined: it cannot be interpreted, which is a FORMERR. */
export function verifyTsig(query: Query, keyring: TsigKeyring, nowUnix: number): TsigExchange | undefined {
  const record = readTsig(query.octets, query.tsigAt, query.length)
  if (record === undefined) return undefined
  const now = Math.floor(nowUnix)
  // RFC 8945 §5.2.1: the name and its algorithm together are the key.
  const key = keyring.find(record.keyName)
  if (!key?.algorithmNames.some(name => sameName(name, record.algorithmName))) {
    return new TsigExchange(record, undefined, TSIG_BADKEY, now)
  }
  // RFC 8945 §5.2.2.1.
  const macOctets = record.mac.length
  const macOctetsMin = Math.max(MAC_OCTETS_MIN, key.digestOctets / 2)
  if (macOctets > key.digestOctets || macOctets < macOctetsMin) return undefined
  const digest = digestOf(key, [messageOf(query, record), tsigVariables(record)])
  if (!timingSafeEqual(digest.subarray(0, macOctets), record.mac)) {
    return new TsigExchange(record, undefined, TSIG_BADSIG, now)
  }
  // RFC 8945 §5.2.3.
  const near = Math.abs(now - record.timeSigned) <= record.fudge
  if (!near) return new TsigExchange(record, key, TSIG_BADTIME, now)
  // RFC 8945 §5.2.4: our policy is that a MAC is as long as its algorithm says.
  return new TsigExchange(record, key, macOctets < key.macOctets ? TSIG_BADTRUNC : TSIG_NOERROR, now)
}

/** RFC 8945 §4.3.2: the message as it was before it was signed, with its original ID. */
function messageOf(query: Query, record: TsigRecord): Uint8Array {
  // A copy: the slice of a Buffer is none.
  const message = new Uint8Array(query.octets.subarray(0, query.tsigAt))
  const view = new DataView(message.buffer)
  view.setUint16(0, record.originalId)
  view.setUint16(10, view.getUint16(10) - 1)
  return message
}

/** HMAC (RFC 2104) of the parts in turn. */
function digestOf(key: RingKey, parts: readonly Uint8Array[]): Buffer {
  const hmac = createHmac(key.hash, key.key.secret)
  for (const part of parts) hmac.update(part)
  return hmac.digest()
}

/** A signed query and the responses to it. */
export class TsigExchange {
  /** TSIG_NOERROR: the query is what the key's holder has sent, not long ago. */
  readonly error: number
  /** Of the key; undefined unless all checks have passed. */
  readonly keyName: string | undefined
  /** What the TSIG record of a response takes. */
  readonly octets: number
  readonly #request: TsigRecord
  /** Undefined: responses cannot be signed. */
  readonly #key: RingKey | undefined
  readonly #now: number
  /** I3. */
  #priorMac: Uint8Array
  #first = true

  constructor(request: TsigRecord, key: RingKey | undefined, error: number, now: number) {
    this.error = error
    this.keyName = error === TSIG_NOERROR ? key?.key.name : undefined
    this.#request = request
    this.#key = key
    this.#now = now
    this.#priorMac = request.mac
    const otherOctets = error === TSIG_BADTIME ? TIME_OCTETS : 0
    this.octets = tsigOctets(request.keyName, request.algorithmName, key?.macOctets ?? 0, otherOctets)
  }

  /** Adds the TSIG record to the response in `out[0..length)`, which has room; returns the new length. Responses are
   *  signed in the order in which they are sent; `nowUnix` is for those that come later than the query. */
  sign(out: Uint8Array, length: number, nowUnix: number = this.#now): number {
    const unsigned = this.#response(out, Math.floor(nowUnix))
    const mac = this.#key === undefined ? NOTHING : this.#mac(this.#key, out.subarray(0, length), unsigned)
    this.#priorMac = mac
    this.#first = false
    const view = new DataView(out.buffer, out.byteOffset, HEADER_OCTETS)
    view.setUint16(10, view.getUint16(10) + 1)
    return writeTsig({ ...unsigned, mac }, out, length)
  }

  /** The record without its MAC. RFC 8945 §5.2.3: with BADTIME the times are the client's own, so that it can verify
   *  them, and the server's time is beside them. */
  #response(out: Uint8Array, now: number): TsigRecord {
    const { keyName, algorithmName, timeSigned, fudge } = this.#request
    const late = this.error === TSIG_BADTIME
    return {
      keyName,
      algorithmName,
      timeSigned: late ? timeSigned : now,
      fudge: late ? fudge : FUDGE_SECONDS,
      mac: NOTHING,
      originalId: (out[0]! << 8) | out[1]!,
      error: this.error,
      other: late ? timeOctets(now) : NOTHING,
    }
  }

  /** RFC 8945 §5.3: prior MAC, message, and variables; of later messages the timers only (§5.3.1). */
  #mac(key: RingKey, message: Uint8Array, record: TsigRecord): Buffer {
    const prior = this.#priorMac
    const priorOctets = Uint8Array.of(prior.length >> 8, prior.length)
    const rest = this.#first ? tsigVariables(record) : tsigTimers(record)
    return digestOf(key, [priorOctets, prior, message, rest]).subarray(0, key.macOctets)
  }
}
