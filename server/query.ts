/** A query as the answer path needs it (RFC 1035 §4.1, RFC 6891 §6, RFC 9619): header, question and OPT record, read
 *  in one pass into an object that is used again for the next query. Not here: what is answered.
 *  I1  Nothing outside `octets[0..length)` is read.
 *  I2  The question's name is plain labels; a compression pointer in it could only point at the header.
 *  I3  After a failure, `questionEnd` is not 0 exactly when the question itself was whole, so that it can be echoed.
 *  I4  Reading allocates nothing.
 *  I5  A TSIG record is only found here; what it says is tsig.ts's. */

import { LABEL_OCTETS_MAX, NAME_OCTETS_MAX, u16 } from '../zones/reading.ts'
import { FAILURE_EDNS_VERSION, FAILURE_MALFORMED, FAILURE_NONE, FAILURE_UNSUPPORTED } from './rcode.ts'

export const HEADER_OCTETS = 12
/** RFC 1035 §4.1.1, the third octet of the header. */
export const FLAG_QR = 0x80
export const FLAG_AA = 0x04
export const FLAG_TC = 0x02
export const FLAG_RD = 0x01
export const OPCODE_QUERY = 0

const TYPE_OPT = 41
/** RFC 8945 §4.2. */
const TYPE_TSIG = 250
/** Root name, type, class, TTL and RDLENGTH of an OPT record (RFC 6891 §6.1.2). */
export const OPT_OCTETS = 11
/** Type, class, TTL and RDLENGTH behind an owner name (RFC 1035 §4.1.3). */
const RECORD_FIXED_OCTETS = 10

/** Not even a header, or a response: never answered, so that two servers cannot bounce packets for ever. */
export const NOT_A_QUERY: number = -1

export class Query {
  octets: Uint8Array = new Uint8Array(0)
  length = 0
  opcode = 0
  /** Octets of the question's name, which starts at HEADER_OCTETS. */
  nameOctets = 0
  type = 0
  class = 0
  /** Offset behind the question; 0 when it was not whole (I3). */
  questionEnd = 0
  /** An OPT record is there; then its version, payload size and DO bit (RFC 6891 §6.1, RFC 3225 §3). */
  edns = false
  ednsVersion = 0
  udpOctets = 0
  dnssecOk = false
  /** Where the TSIG record is, which is the last of the message (RFC 8945 §5.2); 0: there is none. */
  tsigAt = 0
}

/** Reads the query; returns NOT_A_QUERY, FAILURE_NONE or the failure to answer with. */
export function readQuery(query: Query, octets: Uint8Array, length: number): number {
  query.octets = octets
  query.length = length
  query.questionEnd = 0
  query.edns = false
  query.dnssecOk = false
  query.udpOctets = 0
  query.tsigAt = 0
  if (length < HEADER_OCTETS || (octets[2]! & FLAG_QR) !== 0) return NOT_A_QUERY
  query.opcode = (octets[2]! >> 3) & 15
  if (query.opcode !== OPCODE_QUERY) return readForOpt(query, FAILURE_UNSUPPORTED)
  // RFC 9619 §4: a QUERY has at most one question; one without has nothing that we could answer.
  if (u16(octets, 4) !== 1) return readForOpt(query, FAILURE_MALFORMED)
  if (!readQuestion(query)) return FAILURE_MALFORMED
  return readRecords(query, query.questionEnd)
}

/** What is not read any further may have an OPT record, which the response is to have too (RFC 6891 §6.1.1). Its version
 *  comes first (§6.1.3); nothing else that the records say matters, a TSIG record neither. */
function readForOpt(query: Query, failure: number): number {
  const { octets, length } = query
  let at = HEADER_OCTETS
  for (let left = u16(octets, 4); left > 0; left--) {
    const nameEnd = skipName(octets, at, length)
    if (nameEnd < 0 || nameEnd + 4 > length) return failure
    at = nameEnd + 4
  }
  const found = readRecords(query, at)
  query.tsigAt = 0
  return found === FAILURE_EDNS_VERSION ? found : failure
}

function readQuestion(query: Query): boolean {
  const { octets, length } = query
  let at = HEADER_OCTETS
  for (;;) {
    if (at >= length) return false
    const labelOctets = octets[at]!
    if (labelOctets === 0) break
    if (labelOctets > LABEL_OCTETS_MAX) return false
    at += 1 + labelOctets
  }
  const nameOctets = at + 1 - HEADER_OCTETS
  if (nameOctets > NAME_OCTETS_MAX || at + 5 > length) return false
  query.nameOctets = nameOctets
  query.type = u16(octets, at + 1)
  query.class = u16(octets, at + 3)
  query.questionEnd = at + 5
  return true
}

/** The records from `start` on, behind the question, are only looked through for OPT and TSIG; octets behind the last are left alone. */
function readRecords(query: Query, start: number): number {
  const { octets, length } = query
  const before = u16(octets, 6) + u16(octets, 8)
  const count = before + u16(octets, 10)
  let at = start
  for (let index = 0; index < count; index++) {
    const nameEnd = skipName(octets, at, length)
    if (nameEnd < 0 || nameEnd + RECORD_FIXED_OCTETS > length) return FAILURE_MALFORMED
    const end = nameEnd + RECORD_FIXED_OCTETS + u16(octets, nameEnd + 8)
    if (end > length) return FAILURE_MALFORMED
    const type = u16(octets, nameEnd)
    if (type === TYPE_OPT) {
      // RFC 6891 §6.1.1: one OPT record, in the additional section, owned by the root.
      if (query.edns || index < before || nameEnd !== at + 1) return FAILURE_MALFORMED
      if (!readOpt(query, nameEnd, end)) return FAILURE_MALFORMED
    } else if (type === TYPE_TSIG) {
      // RFC 8945 §5.2: one TSIG record, the last of the additional section; what followed it would not be signed.
      if (index < before || index + 1 < count || end !== length) return FAILURE_MALFORMED
      query.tsigAt = at
    }
    at = end
  }
  // RFC 6891 §6.1.3: a version that we do not know is answered with BADVERS.
  return query.edns && query.ednsVersion !== 0 ? FAILURE_EDNS_VERSION : FAILURE_NONE
}

/** Offset behind a possibly compressed name, or −1. */
function skipName(octets: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; ) {
    const labelOctets = octets[at]!
    if (labelOctets === 0) return at + 1
    if (labelOctets >= 0xc0) return at + 2 <= end ? at + 2 : -1
    if (labelOctets > LABEL_OCTETS_MAX) return -1
    at += 1 + labelOctets
  }
  return -1
}

/** `at` is behind the owner. False when the options do not fill the RDATA exactly; unknown options are ignored
 *  (RFC 6891 §6.1.2). */
function readOpt(query: Query, at: number, end: number): boolean {
  const { octets } = query
  query.edns = true
  query.udpOctets = u16(octets, at + 2)
  query.ednsVersion = octets[at + 5]!
  query.dnssecOk = (octets[at + 6]! & 0x80) !== 0
  let option = at + RECORD_FIXED_OCTETS
  while (option < end) {
    if (option + 4 > end) return false
    option += 4 + u16(octets, option + 2)
  }
  return option === end
}
