/** RCODEs (RFC 1035 §4.1.1, RFC 2136 §2.2, RFC 6891 §9, RFC 6895 §2.3) and Extended DNS Errors (RFC 8914 §4),
 *  and the one place that says which failure of ours is answered with which of them.
 *  I1  A failure is one small integer, so that the answer path can return it without allocating. */

export const RCODE_NOERROR = 0
export const RCODE_FORMERR = 1
export const RCODE_SERVFAIL = 2
export const RCODE_NXDOMAIN = 3
export const RCODE_NOTIMP = 4
export const RCODE_REFUSED = 5
/** RFC 6672 §2.2: the name that a DNAME makes is too long. */
export const RCODE_YXDOMAIN = 6
export const RCODE_NOTAUTH = 9
/** RFC 6891 §9: 12 bits; the upper eight travel in the OPT record. */
export const RCODE_BADVERS = 16

/** RFC 8914 §4.1: Other Error. */
export const EDE_OTHER = 0
/** RFC 8914 §4.15: the server is not yet ready to answer for the zone. */
export const EDE_NOT_READY = 14
/** RFC 8914 §4.21: the server is not authoritative for the name. */
export const EDE_NOT_AUTHORITATIVE = 20
/** RFC 8914 §4.22: the operation or query is not supported. */
export const EDE_NOT_SUPPORTED = 21
/** RFC 8914 §5.2's registry, from RFC 9824 §3.5: the type may not be asked for. */
export const EDE_INVALID_QUERY_TYPE = 30
/** No EDE goes with the failure. */
export const EDE_NONE = -1

/** What can keep a query from an answer. */
export const FAILURE_NONE = 0
/** Octets that are no query (RFC 1035 §4.1), or two OPT records (RFC 6891 §6.1.1). */
export const FAILURE_MALFORMED = 1
/** An OPCODE, or a meta type, that this server does not implement. */
export const FAILURE_UNSUPPORTED = 2
/** No zone of ours holds the name. */
export const FAILURE_OUT_OF_ZONES = 3
/** A class other than IN. */
export const FAILURE_CLASS = 4
/** The zone is in the catalogue but has no version to answer from. */
export const FAILURE_NOT_READY = 5
/** A bug of ours, caught. */
export const FAILURE_INTERNAL = 6
/** An EDNS version above 0 (RFC 6891 §6.1.3). */
export const FAILURE_EDNS_VERSION = 7

/** A meta type that is never data (RFC 6891 §6.1.1, RFC 9824 §3.5). */
export const FAILURE_QUERY_TYPE = 8

/** A signature of the query that does not hold (RFC 8945 §5.3.2); its TSIG record says why. */
export const FAILURE_NOT_AUTHENTIC = 9

const RCODES = new Uint8Array([
  RCODE_NOERROR,
  RCODE_FORMERR,
  RCODE_NOTIMP,
  RCODE_REFUSED,
  RCODE_REFUSED,
  RCODE_SERVFAIL,
  RCODE_SERVFAIL,
  RCODE_BADVERS,
  RCODE_FORMERR,
  RCODE_NOTAUTH,
])

const EDES = new Int8Array([
  EDE_NONE,
  EDE_NONE,
  EDE_NOT_SUPPORTED,
  EDE_NOT_AUTHORITATIVE,
  EDE_NOT_SUPPORTED,
  EDE_NOT_READY,
  EDE_OTHER,
  EDE_NONE,
  EDE_INVALID_QUERY_TYPE,
  EDE_NONE,
])

export function rcodeOf(failure: number): number {
  return RCODES[failure]!
}

/** The INFO-CODE, or EDE_NONE. */
export function edeOf(failure: number): number {
  return EDES[failure]!
}
