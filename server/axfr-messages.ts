/** The messages of a zone transfer (RFC 5936 §2.2): as many records in each as fit, owner names compressed.
 *
 *    header  question (first message only)  SOA  owner+record …  owner+record …  SOA  [OPT, first message]
 *
 *  I1  A message has at most PACKED_OCTETS, beyond which no pointer reaches (RFC 1035 §4.1.4), or one record more.
 *  I2  An owner is written out once a message: later records of it are a pointer, other names end in one to the apex.
 *  I3  A message handed out is a copy: the next one does not change it. */
import {
  encodeBase32Hex,
  findRRset,
  firstRRsetAt,
  NODE_CASE,
  NODE_HEADER_OCTETS,
  nextRRsetAt,
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
const TYPE_SOA = 6
const TYPE_OPT = 41
/** RFC 8914 §2. */
const OPTION_EDE = 15
const FLAGS_QR_AA = 0x84
const FLAG_RD = 0x01
/** Labels of the longest name. */
const LABELS_OCTETS_MAX = 255

/** A message under construction; used again and again. */
export class TransferMessage {
  readonly #octets = new Uint8Array(MESSAGE_OCTETS_MAX)
  #at = 0
  #answers = 0
  #query: Query | undefined
  #ede = EDE_NONE
  #withOpt = false
  /** Where the apex's name is written in this message; 0: nowhere. */
  #apexAt = 0
  /** Where the owner of the last record is written; 0: beyond the reach of pointers, or nowhere. */
  #ownerAt = 0
  readonly #owner = new Uint8Array(LABELS_OCTETS_MAX)
  #ownerOctets = -1

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
    this.#ownerOctets = -1
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
    const octets = labelOctets + apex.length + recordOctets + (this.#withOpt ? OPT_OCTETS : 0)
    return this.#answers === 0 || this.#at + octets <= PACKED_OCTETS
  }

  /** Adds a stored record (its first two octets, a pointer, are not used) whose owner is the labels in `labels`, below
   *  the apex. */
  put(apex: Uint8Array, labelOctets: number, record: Uint8Array, labels: Uint8Array = this.#owner): void {
    this.putPart(apex, labelOctets, labels, record, 0, record.length)
  }

  /** The same for a record that lies in `octets` from `start` to `end`. */
  putPart(
    apex: Uint8Array,
    labelOctets: number,
    labels: Uint8Array,
    octets: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.#putOwner(apex, labels, labelOctets)
    const out = this.#octets
    let at = this.#at
    // Most records are short: a loop is faster than a view and its copy.
    for (let from = start + 2; from < end; from++) out[at++] = octets[from]!
    this.#at = at
    this.#answers++
  }

  #putOwner(apex: Uint8Array, labels: Uint8Array, labelOctets: number): void {
    if (this.#ownerAt > 0 && this.#sameOwner(labels, labelOctets)) {
      this.#putU16(POINTER | this.#ownerAt)
      return
    }
    this.#ownerAt = this.#at < PACKED_OCTETS ? this.#at : 0
    for (let at = 0; at < labelOctets; at++) {
      this.#octets[this.#at + at] = labels[at]!
      this.#owner[at] = labels[at]!
    }
    this.#ownerOctets = labelOctets
    this.#at += labelOctets
    if (this.#apexAt > 0) this.#putU16(POINTER | this.#apexAt)
    else {
      if (this.#at < PACKED_OCTETS) this.#apexAt = this.#at
      this.#octets.set(apex, this.#at)
      this.#at += apex.length
    }
  }

  #sameOwner(labels: Uint8Array, labelOctets: number): boolean {
    if (labelOctets !== this.#ownerOctets) return false
    for (let at = 0; at < labelOctets; at++) if (labels[at] !== this.#owner[at]) return false
    return true
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
    return this.#octets.slice(0, this.#at)
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

/** All messages of a transfer, made as they are asked for. */
export function* transferMessages(
  reader: StoreReader,
  zone: ZoneRecord,
  soa: Uint8Array,
  query: Query,
  message: TransferMessage,
): Generator<Uint8Array, void, undefined> {
  const { apex } = zone
  const labels = new Uint8Array(LABELS_OCTETS_MAX)
  message.begin(query, RCODE_NOERROR, EDE_NONE)
  message.apexInQuestion(apex)
  message.put(apex, 0, soa, labels)
  for (const { labelOctets, bytes, valueStart } of zoneNodes(reader, zone, labels)) {
    let at = firstRRsetAt(bytes, valueStart)
    for (let left = bytes[valueStart + 2]!; left > 0; left--) {
      const end = nextRRsetAt(bytes, at)
      let start = at + RRSET_HEADER_OCTETS
      // The SOA record itself stands at both ends of the transfer.
      if (u16(bytes, at) === TYPE_SOA) start += u16(bytes, at + 6)
      while (start < end) {
        const next = start + RECORD_HEADER_OCTETS + u16(bytes, start + 10)
        if (!message.fits(apex, labelOctets, next - start)) {
          yield message.end()
          message.beginNext()
        }
        message.putPart(apex, labelOctets, labels, bytes, start, next)
        start = next
      }
      at = end
    }
  }
  if (!message.fits(apex, 0, soa.length)) {
    yield message.end()
    message.beginNext()
  }
  message.put(apex, 0, soa, labels)
  yield message.end()
}

interface OwnedNode {
  /** Octets of the owner's labels below the apex; the labels are in the caller's buffer. */
  labelOctets: number
  bytes: Uint8Array
  valueStart: number
}

/** Every node of the zone, those of NSEC3 records last; the object handed out is one and the same. */
function* zoneNodes(
  reader: StoreReader,
  zone: ZoneRecord,
  labels: Uint8Array,
): Generator<OwnedNode, void, undefined> {
  const cursor = reader.cursor()
  const node: OwnedNode = { labelOctets: 0, bytes: labels, valueStart: 0 }
  for (const root of [zone.namesRoot, zone.nsec3Root]) {
    const labelsOf = root === zone.namesRoot ? ownerLabels : hashLabel
    for (let on = cursor.seekFirst(root); on; on = cursor.next()) {
      node.labelOctets = labelsOf(cursor, labels)
      node.bytes = cursor.bytes
      node.valueStart = cursor.valueStart
      yield node
    }
  }
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
