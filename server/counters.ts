/** Counters of one answering thread: a block of 64-bit floats in shared memory, so that the main thread can read
 *  them at any time and adding one allocates nothing (a BigUint64Array makes a BigInt of every value).
 *  I1  A block has one writer, its thread; aligned 64-bit stores are not torn, and counts are exact up to 2^53.
 *  I2  New counters are added at the end; COUNTER_NAMES has a name for each, in order. */

/** Queries by transport: COUNTER_QUERIES + TRANSPORT_*. */
export const COUNTER_QUERIES = 0
export const TRANSPORT_UDP = 0
export const TRANSPORT_TCP = 1
export const TRANSPORT_TLS = 2
export const TRANSPORT_HTTPS = 3
export type Transport =
  | typeof TRANSPORT_UDP
  | typeof TRANSPORT_TCP
  | typeof TRANSPORT_TLS
  | typeof TRANSPORT_HTTPS

/** Responses by RCODE: COUNTER_RCODES + RCODE for 0 to 15, 16 for BADVERS. */
export const COUNTER_RCODES = 4
export const COUNTER_RCODES_END: number = COUNTER_RCODES + 17
/** Packets not answered: too short, or responses themselves. */
export const COUNTER_DROPPED: number = COUNTER_RCODES_END
/** Queries handed to the event loop (zone transfers). */
export const COUNTER_DEFERRED: number = COUNTER_RCODES_END + 1
/** Responses with TC set. */
export const COUNTER_TRUNCATED: number = COUNTER_RCODES_END + 2
/** Queries with an OPT record, and those with DO set in it. */
export const COUNTER_EDNS: number = COUNTER_RCODES_END + 3
export const COUNTER_DNSSEC_OK: number = COUNTER_RCODES_END + 4
/** Responses by kind. */
export const COUNTER_REFERRALS: number = COUNTER_RCODES_END + 5
export const COUNTER_NODATA: number = COUNTER_RCODES_END + 6
export const COUNTER_WILDCARDS: number = COUNTER_RCODES_END + 7
/** Exceptions caught while answering; each is a bug, and was answered with SERVFAIL. */
export const COUNTER_BUGS: number = COUNTER_RCODES_END + 8
export const COUNTER_QUERY_OCTETS: number = COUNTER_RCODES_END + 9
export const COUNTER_RESPONSE_OCTETS: number = COUNTER_RCODES_END + 10
/** Queries whose TSIG was verified, and those whose TSIG did not hold (RFC 8945 §5.2). */
export const COUNTER_TSIG_VERIFIED: number = COUNTER_RCODES_END + 11
export const COUNTER_TSIG_FAILED: number = COUNTER_RCODES_END + 12
export const COUNTERS: number = COUNTER_RCODES_END + 13

export const COUNTER_NAMES: readonly string[] = [
  'queriesUdp',
  'queriesTcp',
  'queriesTls',
  'queriesHttps',
  'noerror',
  'formerr',
  'servfail',
  'nxdomain',
  'notimp',
  'refused',
  'yxdomain',
  'yxrrset',
  'nxrrset',
  'notauth',
  'notzone',
  'dsotypeni',
  'rcode12',
  'rcode13',
  'rcode14',
  'rcode15',
  'badvers',
  'dropped',
  'deferred',
  'truncated',
  'edns',
  'dnssecOk',
  'referrals',
  'nodata',
  'wildcards',
  'bugs',
  'queryOctets',
  'responseOctets',
  'tsigVerified',
  'tsigFailed',
]

/** Shared memory for one thread's block; hand it to the worker and wrap it there with `countersOf`. */
export function newCounterBlock(): SharedArrayBuffer {
  return new SharedArrayBuffer(COUNTERS * Float64Array.BYTES_PER_ELEMENT)
}

export function countersOf(block: SharedArrayBuffer): Float64Array {
  return new Float64Array(block)
}

/** The sum of several threads' blocks, by name. */
export function sumCounters(blocks: readonly Float64Array[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (let index = 0; index < COUNTERS; index++) {
    let sum = 0
    for (const block of blocks) sum += block[index] ?? 0
    sums[COUNTER_NAMES[index]!] = sum
  }
  return sums
}
