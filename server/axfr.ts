/** Zone transfers over a stream (RFC 5936; RFC 1995 answered with whole zones). Not here: differences, NOTIFY.
 *
 *    SOA  names tree in canonical order, RRSIGs behind what they cover  NSEC3 tree  SOA
 *
 *  I1  All messages of a transfer come from one version: a reader of its own pins it, for `secondsMax` at most.
 *  I2  A transfer goes to those only whom the rules for the zone permit (access.ts); others get REFUSED, whether or not
 *      we have the zone.
 *  I3  To a signed query every message of the answer is signed (RFC 8945 §5.3.1).
 *  I4  The event loop has its turn between messages, and a slow peer costs one write of memory. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock, Logger } from '../base/index.ts'
import {
  decodeZoneRecord,
  type Name,
  nameToText,
  type StoreHandle,
  StoreReader,
  writeKey,
  type ZoneRecord,
} from '../zones/index.ts'
import { AccessControl } from './access.ts'
import { soaOf, TransferMessage, transferMessages } from './axfr-messages.ts'
import { HEADER_OCTETS, type Query, Query as QueryReader, readQuery } from './query.ts'
import {
  EDE_NONE,
  EDE_NOT_AUTHORITATIVE,
  EDE_NOT_READY,
  EDE_OTHER,
  FAILURE_NONE,
  RCODE_FORMERR,
  RCODE_NOERROR,
  RCODE_NOTAUTH,
  RCODE_REFUSED,
  RCODE_SERVFAIL,
} from './rcode.ts'
import { type TsigExchange, verifyTsig } from './tsig.ts'
import { TSIG_NOERROR } from './tsig-record.ts'

/** RFC 1995 §2. */
const TYPE_IXFR = 251
/** RFC 8914 §4.19: the client is not authorised. */
const EDE_PROHIBITED = 18
const TYPE_SOA = 6
const MESSAGE_OCTETS_MAX = 65_535
/** Messages between two turns of the event loop: some 64 KiB, a fraction of a millisecond. */
const MESSAGES_PER_TURN = 4

export interface TransferLimits {
  /** A pinned version cannot be reclaimed: this is how long one transfer may keep it. */
  readonly secondsMax: number
  /** Transfers at a time; each has a reader's slot of the store. */
  readonly inFlightMax: number
}

export const TRANSFER_LIMITS: TransferLimits = { secondsMax: 120, inFlightMax: 8 }

export interface TransferOptions {
  readonly handle: StoreHandle
  /** Who may transfer; by default loopback. */
  readonly access?: AccessControl
  readonly limits?: Partial<TransferLimits>
  readonly log: Logger
  readonly clock: Clock
}

/** Where the messages go. */
export interface TransferPeer {
  readonly address: string
  /** Takes a message, of which it keeps a copy; resolves to true when there is room for the next, to false when the
   *  connection is gone. */
  send(message: Uint8Array): Promise<boolean>
  /** Ends the connection at once: what was sent is not a whole zone. */
  abort(): void
}

export class Transfers {
  readonly #options: TransferOptions
  readonly #limits: TransferLimits
  readonly #access: AccessControl
  #inFlight = 0
  /** Transfers that went out whole. */
  completed = 0
  refused = 0

  constructor(options: TransferOptions) {
    this.#options = options
    this.#limits = { ...TRANSFER_LIMITS, ...options.limits }
    this.#access = options.access ?? new AccessControl()
  }

  /** Answers a query of type AXFR or IXFR; never throws. */
  async answer(octets: Uint8Array, peer: TransferPeer): Promise<void> {
    const query = new QueryReader()
    const message = new TransferMessage()
    const readable = readQuery(query, octets, octets.length) === FAILURE_NONE
    const { clock } = this.#options
    const exchange =
      readable && query.tsigAt !== 0 ? verifyTsig(query, this.#access.current(), clock.now()) : undefined
    if (!readable || (query.tsigAt !== 0 && exchange === undefined)) {
      await peer.send(message.failure(query, RCODE_FORMERR, EDE_NONE))
    } else if (exchange === undefined) await this.#answerAs(undefined, query, message, peer)
    else await this.#answerSigned(exchange, query, message, signingPeer(peer, exchange, clock))
  }

  /** The transports have seen the signature already; but keys change, and time passes. */
  async #answerSigned(
    exchange: TsigExchange,
    query: Query,
    message: TransferMessage,
    peer: TransferPeer,
  ): Promise<void> {
    if (exchange.error === TSIG_NOERROR) return this.#answerAs(exchange.keyName, query, message, peer)
    this.refused++
    await peer.send(message.failure(query, RCODE_NOTAUTH, EDE_NONE))
  }

  /** I2. */
  async #answerAs(
    keyName: string | undefined,
    query: Query,
    message: TransferMessage,
    peer: TransferPeer,
  ): Promise<void> {
    if (!this.#access.mayTransfer(questionName(query), peer.address, keyName)) {
      this.refused++
      await peer.send(message.failure(query, RCODE_REFUSED, EDE_PROHIBITED))
    } else if (this.#inFlight >= this.#limits.inFlightMax) {
      await peer.send(message.failure(query, RCODE_SERVFAIL, EDE_OTHER))
    } else await this.#transfer(query, message, peer)
  }

  async #transfer(query: Query, message: TransferMessage, peer: TransferPeer): Promise<void> {
    const { handle, clock, log } = this.#options
    this.#inFlight++
    let reader: StoreReader | undefined
    let late = false
    // I1. The send in progress sees the end of its connection.
    const timer = clock.after(this.#limits.secondsMax, () => {
      late = true
      peer.abort()
    })
    try {
      reader = new StoreReader(handle)
      await this.#respond(reader, query, message, peer)
    } catch (error) {
      log.error('a zone transfer failed', { peer: peer.address, error: String(error) })
      peer.abort()
    } finally {
      timer.cancel()
      reader?.close()
      this.#inFlight--
    }
    if (late) log.warn('a zone transfer took too long and was ended', { peer: peer.address })
  }

  async #respond(
    reader: StoreReader,
    query: Query,
    message: TransferMessage,
    peer: TransferPeer,
  ): Promise<void> {
    const zone = findZone(reader, query)
    if (zone === undefined) {
      // RFC 5936 §2.2.1: not authoritative for the zone.
      await peer.send(message.failure(query, RCODE_NOTAUTH, EDE_NOT_AUTHORITATIVE))
      return
    }
    if (zone.namesRoot === 0) {
      await peer.send(message.failure(query, RCODE_SERVFAIL, EDE_NOT_READY))
      return
    }
    const soa = soaOf(reader, zone)
    // RFC 1995 §2: who has this version, or a newer one, gets the SOA alone.
    if (query.type === TYPE_IXFR && !isOlder(requestedSerial(query), zone.serial)) {
      message.begin(query, RCODE_NOERROR, EDE_NONE)
      message.put(zone.apex, soa)
      await peer.send(message.end())
      return
    }
    let sent = 0
    for (const octets of transferMessages(reader, zone, soa, query, message)) {
      if (!(await peer.send(octets))) return
      if (++sent % MESSAGES_PER_TURN === 0) await nextTurn()
    }
    this.completed++
    this.#options.log.info('zone transferred', {
      zone: nameToText(zone.apex),
      serial: zone.serial,
      peer: peer.address,
    })
  }
}

/** I3. A message that its signature makes longer than 65,535 octets ends the transfer (RFC 1035 §4.2.2): that takes an
 *  RRset within some hundred octets of what any message can hold. */
function signingPeer(peer: TransferPeer, exchange: TsigExchange, clock: Clock): TransferPeer {
  return {
    address: peer.address,
    abort: () => peer.abort(),
    send(message) {
      const length = message.length + exchange.octets
      if (length > MESSAGE_OCTETS_MAX) throw new Error('a signed message would be too long')
      const out = new Uint8Array(length)
      out.set(message)
      exchange.sign(out, message.length, clock.now())
      return peer.send(out)
    },
  }
}

function questionName({ octets, nameOctets }: Query): Name {
  return octets.subarray(HEADER_OCTETS, HEADER_OCTETS + nameOctets) as Name
}

/** The zone whose apex the question names; a transfer is of whole zones. */
function findZone(reader: StoreReader, query: Query): ZoneRecord | undefined {
  const key = new Uint8Array(512)
  const length = writeKey(query.octets, HEADER_OCTETS, key)
  const root = reader.announce()
  const cursor = reader.cursor()
  if (query.class !== 1 || root === 0 || !cursor.find(root, key, 0, length)) return undefined
  return decodeZoneRecord(cursor.bytes, cursor.valueStart)
}

/** RFC 1995 §3: the client's serial is in the SOA of the authority section; undefined when there is none. */
function requestedSerial(query: Query): number | undefined {
  const { octets } = query
  const view = new DataView(octets.buffer, octets.byteOffset, query.length)
  if (view.getUint16(8) === 0 || view.getUint16(6) !== 0) return undefined
  let at = query.questionEnd
  while (octets[at] !== 0 && octets[at]! < 0xc0) at += 1 + octets[at]!
  at += octets[at] === 0 ? 1 : 2
  // readQuery has seen that the record is whole.
  const end = at + 10 + view.getUint16(at + 8)
  if (view.getUint16(at) !== TYPE_SOA || end - at < 10 + 22) return undefined
  return view.getUint32(end - 20)
}

/** RFC 1982 §3.2: whether `serial` is less than `current`; no serial is older than any. */
function isOlder(serial: number | undefined, current: number): boolean {
  return serial === undefined || (serial !== current && (current - serial) >>> 0 < 0x8000_0000)
}
