/** The answering state of one thread: what every transport calls (DESIGN: the answer path).
 *
 *    const answerer = createAnswerer(new StoreReader(handle), { counters: countersOf(block) })
 *    answerer.begin()                                            once per batch: pins the newest version
 *    length = answerer.answer(query, octets, TRANSPORT_UDP, out)     any number of times
 *    answerer.end()                                              lets the version go
 *
 *  I1  Between begin and end every answer comes from one version of all zones.
 *  I2  `answer` never throws; a bug inside costs one SERVFAIL and one count. */

import type { Transport } from './counters.ts'

/** Do not answer this packet at all. */
export const DROP = 0
/** Not to be answered here: a zone transfer over TCP, for the event loop. */
export const DEFER: number = -1

/** RFC 9715 §3.1: no UDP response above 1400 octets; the default is what DNS Flag Day 2020 agreed on. */
export const UDP_OCTETS_MAX = 1400
export const UDP_OCTETS_DEFAULT = 1232

/** What the answerer needs of a StoreReader. */
export interface SnapshotReader {
  announce(): number
  release(): void
  readonly version: number
  cursor(): SnapshotCursor
  close(): void
}

/** What the answerer needs of a TreeCursor. */
export interface SnapshotCursor {
  readonly bytes: Uint8Array
  readonly valueStart: number
  readonly valueEnd: number
  readonly keyLength: number
  readonly key: Uint8Array
  readonly positioned: boolean
  readonly commonOctets: number
  find(root: number, key: Uint8Array, start: number, end: number): boolean
  seekFirst(root: number): boolean
  seekLast(root: number): boolean
  next(): boolean
  prev(): boolean
  loadKey(): number
}

export interface AnswererOptions {
  /** Largest UDP response, and what our OPT records announce: 512 to 1400, default 1232. */
  readonly udpOctetsMax?: number
  /** This thread's block (counters.ts); a private one otherwise. */
  readonly counters?: Float64Array
}

export interface Answerer {
  /** Pins the newest version for the answers that follow. */
  begin(): void
  /** Lets it go. */
  end(): void
  /** Writes the response to `query[0..queryOctets)` into `out` and returns its length, DROP or DEFER. `out` must
   *  hold 65,535 octets for stream transports and 1400 for UDP; it may not share memory with `query`. */
  answer(query: Uint8Array, queryOctets: number, transport: Transport, out: Uint8Array): number
  readonly counters: Float64Array
  close(): void
}
