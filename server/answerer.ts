/** The answering state of one thread: what every transport calls.
 *
 *    const answerer = createAnswerer(new StoreReader(handle), { counters: countersOf(block) })
 *    answerer.begin()                                            once per batch: pins the newest version
 *    length = answerer.answer(query, octets, TRANSPORT_UDP, out)     any number of times
 *    answerer.end()                                              lets the version go
 *
 *  I1  Between begin and end every answer comes from one version of all zones.
 *  I2  `answer` never throws; a bug inside costs one SERVFAIL and one count. */

import { resolve, TYPE_SOA } from './answer.ts'
import { AnswerCache } from './answer-cache.ts'
import { AnswerState } from './answer-state.ts'
import {
  COUNTER_BUGS,
  COUNTER_DEFERRED,
  COUNTER_DNSSEC_OK,
  COUNTER_DROPPED,
  COUNTER_EDNS,
  COUNTER_NODATA,
  COUNTER_QUERIES,
  COUNTER_QUERY_OCTETS,
  COUNTER_RCODES,
  COUNTER_REFERRALS,
  COUNTER_RESPONSE_OCTETS,
  COUNTER_TRUNCATED,
  COUNTER_TSIG_FAILED,
  COUNTER_TSIG_VERIFIED,
  COUNTER_WILDCARDS,
  COUNTERS,
  TRANSPORT_UDP,
  type Transport,
} from './counters.ts'
import { FLAG_TC, NOT_A_QUERY, readQuery } from './query.ts'
import {
  EDE_NONE,
  edeOf,
  FAILURE_CLASS,
  FAILURE_INTERNAL,
  FAILURE_MALFORMED,
  FAILURE_NONE,
  FAILURE_NOT_AUTHENTIC,
  FAILURE_QUERY_TYPE,
  FAILURE_UNSUPPORTED,
  RCODE_NOERROR,
  RCODE_SERVFAIL,
  rcodeOf,
} from './rcode.ts'
import { verifyTsig } from './tsig.ts'
import { type KeyringSource, TsigKeyring } from './tsig-keyring.ts'
import { TSIG_NOERROR } from './tsig-record.ts'

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
  /** Told of each exception caught while answering (I2), for the log. */
  readonly onBug?: (error: unknown) => void
  /** Keys of signed queries (RFC 8945), asked for by each of them; default none. */
  readonly keyring?: KeyringSource
  /** Seconds since the Unix epoch; default the system's clock. */
  readonly now?: () => number
  /** Keep answers that are asked for again; where questions that were asked are noted (answer-cache.ts). Default: none is. */
  readonly seen?: SharedArrayBuffer
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

/** RFC 1035 §4.2.1: UDP without EDNS. RFC 6891 §6.2.5: smaller payload sizes mean this one. */
const UDP_OCTETS_MIN = 512
/** RFC 1035 §4.2.2: two octets of length. */
const STREAM_OCTETS_MAX = 65_535

/** What statistics tell of a response, beside what stands in it. */
const KIND_REFERRAL = 1
const KIND_NODATA = 2
const KIND_WILDCARD = 4

const NO_KEYS = new TsigKeyring([])

const CLASS_IN = 1
const CLASS_ANY = 255
const TYPE_OPT = 41
/** RFC 9824 §3.5: stands in NSEC bitmaps only. */
const TYPE_NXNAME = 128
/** From here to ANY: TKEY, TSIG, the transfers, and the obsolete MAILB and MAILA. */
const TYPE_TKEY = 249
const TYPE_IXFR = 251
const TYPE_AXFR = 252
const TYPE_ANY = 255

/** The answering state of this thread. The reader belongs to the answerer from now on. */
export function createAnswerer(reader: SnapshotReader, options: AnswererOptions = {}): Answerer {
  return new ThreadAnswerer(reader, options)
}

class ThreadAnswerer implements Answerer {
  readonly counters: Float64Array
  readonly #reader: SnapshotReader
  readonly #state: AnswerState
  readonly #udpOctetsMax: number
  readonly #onBug: ((error: unknown) => void) | undefined
  readonly #keyring: KeyringSource
  readonly #now: () => number
  readonly #cache: AnswerCache | undefined
  /** KIND_* of the last response. */
  #kinds = 0

  constructor(reader: SnapshotReader, options: AnswererOptions) {
    this.#reader = reader
    this.#state = new AnswerState(reader)
    this.#onBug = options.onBug
    this.#keyring = options.keyring ?? { current: () => NO_KEYS }
    this.#now = options.now ?? (() => Date.now() / 1000)
    this.#cache = options.seen === undefined ? undefined : new AnswerCache(options.seen)
    this.counters = options.counters ?? new Float64Array(COUNTERS)
    const wanted = options.udpOctetsMax ?? UDP_OCTETS_DEFAULT
    this.#udpOctetsMax = Math.max(UDP_OCTETS_MIN, Math.min(UDP_OCTETS_MAX, wanted))
  }

  begin(): void {
    this.#state.catalogueRoot = this.#reader.announce()
    this.#state.views.use(this.#reader.version)
    this.#cache?.use(this.#reader.version)
  }

  end(): void {
    this.#reader.release()
  }

  close(): void {
    this.#reader.close()
  }

  answer(query: Uint8Array, queryOctets: number, transport: Transport, out: Uint8Array): number {
    const { counters } = this
    counters[COUNTER_QUERIES + transport]!++
    counters[COUNTER_QUERY_OCTETS]! += queryOctets
    const length = this.#respond(query, queryOctets, transport, out)
    if (length > 0) this.#count(out, length)
    else counters[length === DROP ? COUNTER_DROPPED : COUNTER_DEFERRED]!++
    return length
  }

  #respond(query: Uint8Array, queryOctets: number, transport: Transport, out: Uint8Array): number {
    const state = this.#state
    const failure = readQuery(state.query, query, queryOctets)
    if (failure === NOT_A_QUERY) return DROP
    const octetsMax = this.#octetsMax(transport)
    if (state.query.tsigAt !== 0 && failure !== FAILURE_MALFORMED) {
      return this.#respondSigned(failure, transport, octetsMax, out)
    }
    if (this.#cache === undefined || failure !== FAILURE_NONE) {
      return this.#respondTo(failure, transport, octetsMax, out)
    }
    return this.#respondFrom(this.#cache, transport, octetsMax, out)
  }

  /** The response as it was given before; else a new one, which is kept unless it tells of a failure of ours. */
  #respondFrom(cache: AnswerCache, transport: Transport, octetsMax: number, out: Uint8Array): number {
    const { query } = this.#state
    const known = cache.answer(query, octetsMax, out)
    if (known > 0) {
      this.#kinds = cache.kinds
      return known
    }
    const length = this.#respondTo(FAILURE_NONE, transport, octetsMax, out)
    if (length > 0 && (out[3]! & 15) !== RCODE_SERVFAIL) cache.keep(query, out, length, this.#kinds)
    return length
  }

  /** What is wrong with the query so far is known; a response gets `octetsMax` octets at most. */
  #respondTo(failureBefore: number, transport: Transport, octetsMax: number, out: Uint8Array): number {
    const state = this.#state
    state.response.start(out, octetsMax)
    if (failureBefore !== FAILURE_NONE) return this.#fail(failureBefore)
    let failure = questionFailure(state, transport)
    if (failure < 0) return DEFER
    if (failure !== FAILURE_NONE) return this.#fail(failure)
    try {
      failure = resolve(state)
      if (failure === FAILURE_NONE) return this.#finish()
    } catch (error) {
      failure = this.#bug(error)
    }
    // What the attempt left in the message is forgotten.
    state.response.start(out, octetsMax)
    return this.#fail(failure)
  }

  /** RFC 8945 §5.2: the signature comes before everything else that is to be said of the query. */
  #respondSigned(failure: number, transport: Transport, octetsMax: number, out: Uint8Array): number {
    try {
      return this.#verifyAndRespond(failure, transport, octetsMax, out)
    } catch (error) {
      return this.#respondTo(this.#bug(error), transport, octetsMax, out)
    }
  }

  #verifyAndRespond(failure: number, transport: Transport, octetsMax: number, out: Uint8Array): number {
    const exchange = verifyTsig(this.#state.query, this.#keyring.current(), this.#now())
    const verified = exchange?.error === TSIG_NOERROR
    this.counters[verified ? COUNTER_TSIG_VERIFIED : COUNTER_TSIG_FAILED]!++
    if (exchange === undefined) return this.#respondTo(FAILURE_MALFORMED, transport, octetsMax, out)
    const outcome = verified ? failure : FAILURE_NOT_AUTHENTIC
    const length = this.#respondTo(outcome, transport, octetsMax - exchange.octets, out)
    if (length <= 0) return length
    return exchange.sign(out, this.#state.response.truncated ? this.#truncate(out) : length)
  }

  /** RFC 8945 §5.3: what would not fit is a response of question and TSIG, with TC set and RCODE 0; and with OPT, which
   *  RFC 6891 §7 wants in every response. Only with names near 255 octets is this more than the client's limit, and
   *  then no more than the query was. */
  #truncate(out: Uint8Array): number {
    const { response } = this.#state
    response.start(out, UDP_OCTETS_MIN)
    response.truncated = true
    return response.finish(RCODE_NOERROR, false, EDE_NONE, this.#udpOctetsMax)
  }

  /** RFC 6891 §6.2.3 to §6.2.5; RFC 9715 §3.1. */
  #octetsMax(transport: Transport): number {
    if (transport !== TRANSPORT_UDP) return STREAM_OCTETS_MAX
    const { query } = this.#state
    return query.edns
      ? Math.max(UDP_OCTETS_MIN, Math.min(query.udpOctets, this.#udpOctetsMax))
      : UDP_OCTETS_MIN
  }

  #finish(): number {
    const { response, query, rcode, authoritative, referral, noData, wildcard } = this.#state
    this.#kinds = (referral ? KIND_REFERRAL : 0) | (noData ? KIND_NODATA : 0) | (wildcard ? KIND_WILDCARD : 0)
    // RFC 1034 §3.7.1: an answer to class ANY is not authoritative, since other classes may have more.
    return response.finish(rcode, authoritative && query.class === CLASS_IN, EDE_NONE, this.#udpOctetsMax)
  }

  #fail(failure: number): number {
    this.#kinds = 0
    return this.#state.response.finish(rcodeOf(failure), false, edeOf(failure), this.#udpOctetsMax)
  }

  #bug(error: unknown): number {
    this.counters[COUNTER_BUGS]!++
    this.#onBug?.(error)
    return FAILURE_INTERNAL
  }

  #count(out: Uint8Array, length: number): void {
    const { counters } = this
    const { query } = this.#state
    const kinds = this.#kinds
    counters[COUNTER_RESPONSE_OCTETS]! += length
    counters[COUNTER_RCODES + (query.edns && query.ednsVersion !== 0 ? 16 : out[3]! & 15)]!++
    if (query.edns) counters[COUNTER_EDNS]!++
    if (query.dnssecOk) counters[COUNTER_DNSSEC_OK]!++
    if ((out[2]! & FLAG_TC) !== 0) counters[COUNTER_TRUNCATED]!++
    if (kinds === 0) return
    if ((kinds & KIND_REFERRAL) !== 0) counters[COUNTER_REFERRALS]!++
    if ((kinds & KIND_NODATA) !== 0) counters[COUNTER_NODATA]!++
    if ((kinds & KIND_WILDCARD) !== 0) counters[COUNTER_WILDCARDS]!++
  }
}

/** What there is to say of class and type before any zone is looked at: FAILURE_NONE, a failure, or DEFER. */
function questionFailure(state: AnswerState, transport: Transport): number {
  const { query } = state
  if (query.class !== CLASS_IN && query.class !== CLASS_ANY) return FAILURE_CLASS
  const { type } = query
  if (type === TYPE_OPT || type === TYPE_NXNAME) return FAILURE_QUERY_TYPE
  if (type < TYPE_TKEY || type >= TYPE_ANY) return FAILURE_NONE
  if (type === TYPE_AXFR || type === TYPE_IXFR) {
    if (transport !== TRANSPORT_UDP) return DEFER
    // RFC 1995 §2: over UDP, the SOA alone tells the client to come back over TCP. RFC 5936 §4.2: no AXFR over UDP.
    if (type === TYPE_AXFR) return FAILURE_UNSUPPORTED
    query.type = TYPE_SOA
    return FAILURE_NONE
  }
  return FAILURE_UNSUPPORTED
}
