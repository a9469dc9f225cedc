/** The messages of a zone transfer (RFC 5936 §2.2): as many records in each as fit, owner names compressed.
 *
 *    header  question (first message only)  SOA  owner+record …  owner+record …  SOA  [OPT, first message]
 *
 *  I1  A message has at most PACKED_OCTETS, beyond which no pointer reaches (RFC 1035 §4.1.4), or one record more.
 *  I2  An owner is written out once a message: later records of it are a pointer, other names end in one to the apex.
 *  I3  A message handed out is a view: it is good until the next one is begun. */

import { copyOctets, viewOf } from '../base/octets.ts'
import {
  encodeBase32Hex,
  findRRset,
  firstRRsetAt,
  leafRoom,
  NODE_CASE,
  NODE_HEADER_OCTETS,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  type StoreReader,
  type TreeCursor,
  u16,
  writeLabelsOfKey,
  type ZoneRecord,
} from '../zones/index.ts'
import { UDP_OCTETS_DEFAULT } from './answerer.ts'
import { HEADER_OCTETS, OPT_OCTETS, type Query } from './query.ts'
import { EDE_NONE, RCODE_NOERROR } from './rcode.ts'

const MESSAGE_OCTETS_MAX = 65535
/** I1: 2^14. */
const PACKED_OCTETS = 16384
const POINTER = 0xc000
const POINTER_OCTETS = 2
const TYPE_SOA = 6
const TYPE_OPT = 41
/** RFC 8914 §2. */
const OPTION_EDE = 15
const FLAGS_QR_AA = 0x84
const FLAG_RD = 0x01
/** Labels of the longest name. */
const LABELS_OCTETS_MAX = 255

const NOTHING: Uint8Array = new Uint8Array(0)

/** A message under construction; used again and again. */
export class TransferMessage {
  readonly #octets = new Uint8Array(MESSAGE_OCTETS_MAX)
  readonly #view = viewOf(this.#octets)
  #at = 0
  #answers = 0
  #query: Query | undefined
  #ede = EDE_NONE
  #withOpt = false
  /** Where the apex's name is written in this message; 0: nowhere. */
  #apexAt = 0
  /** Where the owner of the last record is written; 0: beyond the reach of pointers, or nowhere. */
  #ownerAt = 0
  /** Of the owner, below the apex. */
  readonly labels: Uint8Array = new Uint8Array(LABELS_OCTETS_MAX)
  readonly #labelsView = viewOf(this.labels)
  #labelOctets = 0
  /** The node whose records are added: its octets, its RRset and the record of it that come next. */
  #source = NOTHING
  #sourceView = viewOf(NOTHING)
  #nodeEnd = 0
  #rrsetAt = 0
  #rrsetsLeft = 0
  /** 0: the first. */
  #recordAt = 0

  /** Starts the first message: with question and, for a client that speaks EDNS, an OPT record. */
  begin(query: Query, rcode: number, ede: number): void {
    this.#query = query
    this.#start(rcode)
    if (query.questionEnd > 0) {
      this.#octets.set(query.octets.subarray(HEADER_OCTETS, query.questionEnd), HEADER_OCTETS)
      this.#at = query.questionEnd
      this.#octets[5] = 1
    }
    this.#ede = ede
    // RFC 5936 §2.2.5: EDNS in the first message exactly when the query had it.
    this.#withOpt = query.edns
  }

  /** Starts a later message: RFC 5936 §2.2.1 lets it go without the question. */
  beginNext(): void {
    this.#start(RCODE_NOERROR)
  }

  #start(rcode: number): void {
    const { octets } = this.#query!
    this.#octets.fill(0, 0, HEADER_OCTETS)
    this.#octets[0] = octets[0]!
    this.#octets[1] = octets[1]!
    this.#octets[2] = FLAGS_QR_AA | (octets[2]! & FLAG_RD)
    this.#octets[3] = rcode
    this.#at = HEADER_OCTETS
    this.#answers = 0
    this.#apexAt = 0
    this.#ownerAt = 0
    this.#withOpt = false
  }

  /** Says that the question's name is the apex as the zone spells it. */
  apexInQuestion(apex: Uint8Array): void {
    for (let at = 0; at < apex.length; at++) if (this.#octets[HEADER_OCTETS + at] !== apex[at]) return
    this.#apexAt = HEADER_OCTETS
  }

  /** A whole response without records. */
  failure(query: Query, rcode: number, ede: number): Uint8Array {
    this.begin(query, rcode, ede)
    if (rcode !== RCODE_NOERROR) this.#octets[2]! &= ~0x04
    return this.end()
  }

  /** Whether a record whose owner has that many octets of labels below the apex goes into this message too. */
  fits(apex: Uint8Array, labelOctets: number, recordOctets: number): boolean {
    return this.#answers === 0 || this.#hasRoom(apex, labelOctets, recordOctets)
  }

  #hasRoom(apex: Uint8Array, labelOctets: number, octets: number): boolean {
    return this.#at + labelOctets + apex.length + octets + (this.#withOpt ? OPT_OCTETS : 0) <= PACKED_OCTETS
  }

  /** Adds a stored record that the apex owns. */
  put(apex: Uint8Array, record: Uint8Array): void {
    this.#readFrom(record)
    this.#labelOctets = 0
    this.#ownerAt = 0
    this.#putRecords(apex, 0, record.length)
  }

  /** Begins with the records of a node, octets[start..end), whose owner is so many octets of `labels` below the apex;
   *  `putNode` adds them. */
  beginNode(octets: Uint8Array, start: number, end: number, labelOctets: number): void {
    this.#readFrom(octets)
    this.#rrsetAt = firstRRsetAt(octets, start)
    this.#rrsetsLeft = octets[start + 2]!
    this.#recordAt = 0
    this.#nodeEnd = end
    this.#labelOctets = labelOctets
    this.#ownerAt = 0
  }

  #readFrom(octets: Uint8Array): void {
    if (octets !== this.#source) this.#sourceView = viewOf(octets)
    this.#source = octets
  }

  /** Adds the node's records, from where the last call ended; false when the message is full before they are all in. */
  putNode(apex: Uint8Array): boolean {
    const source = this.#sourceView
    const labelOctets = this.#labelOctets
    const whole = this.#hasRoom(apex, labelOctets, this.#nodeEnd - this.#rrsetAt)
    for (; this.#rrsetsLeft > 0; this.#rrsetsLeft--) {
      const header = this.#rrsetAt
      const data = source.getUint16(header + 6)
      const end = header + RRSET_HEADER_OCTETS + data + source.getUint16(header + 8)
      let start = this.#recordAt
      if (start === 0) {
        start = header + RRSET_HEADER_OCTETS
        // The SOA record itself stands at both ends of the transfer.
        if (labelOctets === 0 && source.getUint16(header) === TYPE_SOA) start += data
      }
      if (whole || this.#hasRoom(apex, labelOctets, end - start)) this.#putRecords(apex, start, end)
      else {
        this.#recordAt = this.#putSome(apex, start, end)
        if (this.#recordAt < end) return false
      }
      this.#recordAt = 0
      this.#rrsetAt = end
    }
    return true
  }

  /** Adds as many of the records as fit; returns where the first that does not begins. */
  #putSome(apex: Uint8Array, start: number, end: number): number {
    for (let at = start; at < end; ) {
      const next = at + RECORD_HEADER_OCTETS + u16(this.#source, at + 10)
      if (!this.fits(apex, this.#labelOctets, next - at)) return at
      this.#putRecords(apex, at, next)
      at = next
    }
    return end
  }

  /** Stored records go out as they are, but for the pointer that each begins with: the first of an owner has its name in the
   *  place of it, which ends where the pointer does; the others point there. */
  #putRecords(apex: Uint8Array, start: number, end: number): void {
    if (start === end) return
    const out = this.#view
    const ownerStart = this.#at
    let at = ownerStart
    if (this.#ownerAt === 0) at += this.#labelOctets + (this.#apexAt > 0 ? 0 : apex.length - POINTER_OCTETS)
    const stop = at + end - start
    copyOctets(this.#sourceView, start, out, at, end - start)
    if (this.#ownerAt === 0) {
      this.#putOwner(apex, ownerStart)
      this.#answers++
      at += RECORD_HEADER_OCTETS + out.getUint16(at + 10)
      if (at < stop && this.#ownerAt === 0) throw new Error('axfr: an owner beyond the reach of pointers')
    }
    const owner = POINTER | this.#ownerAt
    let answers = 0
    for (; at < stop; at += RECORD_HEADER_OCTETS + out.getUint16(at + 10)) {
      out.setUint16(at, owner)
      answers++
    }
    this.#answers += answers
    this.#at = stop
  }

  #putOwner(apex: Uint8Array, start: number): void {
    this.#ownerAt = start < PACKED_OCTETS ? start : 0
    copyOctets(this.#labelsView, 0, this.#view, start, this.#labelOctets)
    const at = start + this.#labelOctets
    if (this.#apexAt > 0) this.#view.setUint16(at, POINTER | this.#apexAt)
    else {
      if (at < PACKED_OCTETS) this.#apexAt = at
      this.#octets.set(apex, at)
    }
  }

  #putU16(value: number): void {
    this.#octets[this.#at++] = value >>> 8
    this.#octets[this.#at++] = value
  }

  /** The finished message. */
  end(): Uint8Array {
    this.#octets[6] = this.#answers >>> 8
    this.#octets[7] = this.#answers
    if (this.#withOpt) this.#putOpt()
    return this.#octets.subarray(0, this.#at)
  }

  /** RFC 6891 §6.1.2; DO is given back (RFC 3225 §3). */
  #putOpt(): void {
    const extended = this.#ede === EDE_NONE ? 0 : 6
    this.#octets[this.#at++] = 0
    this.#putU16(TYPE_OPT)
    this.#putU16(UDP_OCTETS_DEFAULT)
    this.#putU16(0)
    this.#putU16(this.#query!.dnssecOk ? 0x8000 : 0)
    this.#putU16(extended)
    if (extended > 0) {
      this.#putU16(OPTION_EDE)
      this.#putU16(2)
      this.#putU16(this.#ede)
    }
    this.#octets[11] = 1
  }
}

/** A copy of the stored SOA record of the zone. */
export function soaOf(reader: StoreReader, zone: ZoneRecord): Uint8Array {
  const cursor = reader.cursor()
  const found = cursor.find(zone.namesRoot, new Uint8Array(0), 0, 0)
  const at = found ? findRRset(cursor.bytes, cursor.valueStart, TYPE_SOA) : -1
  if (at < 0) throw new Error('the zone has no SOA record at its apex')
  const record = at + RRSET_HEADER_OCTETS
  return cursor.bytes.slice(record, record + RECORD_HEADER_OCTETS + u16(cursor.bytes, record + 10))
}

/** All messages of a transfer, made as they are asked for: every node of the zone, those of NSEC3 records last. */
export function* transferMessages(
  reader: StoreReader,
  zone: ZoneRecord,
  soa: Uint8Array,
  query: Query,
  message: TransferMessage,
): Generator<Uint8Array, void, undefined> {
  const { apex, namesRoot, nsec3Root } = zone
  const { labels } = message
  const cursor = reader.cursor(leafRoom())
  message.begin(query, RCODE_NOERROR, EDE_NONE)
  message.apexInQuestion(apex)
  message.put(apex, soa)
  for (const root of [namesRoot, nsec3Root]) {
    for (let on = cursor.seekFirst(root); on; on = cursor.next()) {
      const labelOctets = root === namesRoot ? ownerLabels(cursor, labels) : hashLabel(cursor, labels)
      message.beginNode(cursor.bytes, cursor.valueStart, cursor.valueEnd, labelOctets)
      while (!message.putNode(apex)) {
        yield message.end()
        message.beginNext()
      }
    }
  }
  if (!message.fits(apex, 0, soa.length)) {
    yield message.end()
    message.beginNext()
  }
  message.put(apex, soa)
  yield message.end()
}

/** The owner as the zone file spells it, where that was kept. */
function ownerLabels(cursor: TreeCursor, labels: Uint8Array): number {
  const { bytes, valueStart } = cursor
  if ((bytes[valueStart]! & NODE_CASE) === 0) {
    const keyOctets = cursor.loadKey()
    return writeLabelsOfKey(cursor.key, 0, keyOctets, labels, 0)
  }
  const at = valueStart + NODE_HEADER_OCTETS
  labels.set(bytes.subarray(at + 1, at + 1 + bytes[at]!))
  return bytes[at]!
}

/** RFC 5155 §3: the owner of an NSEC3 record is the hash in base32hex. */
function hashLabel(cursor: TreeCursor, labels: Uint8Array): number {
  const keyOctets = cursor.loadKey()
  labels[0] = encodeBase32Hex(cursor.key, 0, keyOctets, labels, 1) - 1
  return 1 + labels[0]
}
