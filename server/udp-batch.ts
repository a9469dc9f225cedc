/** UDP in batches on Linux: poll, one recvmmsg for up to 64 queries, answers from shared memory, one sendmmsg.
 *
 *    receive header i ─▶ iovec i ─▶ query buffer i       name i, control i: where the peer's and our address are
 *    send header j    ─▶ iovec j ─▶ answer buffer j      its name and control are those of the query it answers
 *
 *  I1  Nothing is allocated per packet or per batch; all memory the kernel sees is in one `Memory` (syscalls.ts).
 *  I2  A batch is answered between one `begin` and one `end`: from one version of the zones.
 *  I3  On a wildcard address an answer leaves from the address that was asked (IP_PKTINFO, RFC 3542 §6.2); a socket
 *      with an address of its own does without the ancillary data.
 *  I4  No wait in here is longer than WAIT_MILLISECONDS, so that a thread that must end, does. */
import { constants } from 'node:os'
import { type Answerer, DROP } from './answerer.ts'
import { TRANSPORT_UDP } from './counters.ts'
import {
  AF_INET,
  IPPROTO_IP,
  IPPROTO_IPV6,
  Memory,
  MSG_DONTWAIT,
  MSG_TRUNC,
  POLLIN,
  POLLOUT,
  type Syscalls,
} from './syscalls.ts'

/** Datagrams a system call moves at most; more gains nothing that can be measured. */
export const BATCH_MAX = 64
/** A query of one question and its options is far smaller; longer ones are dropped as malformed. */
export const QUERY_OCTETS_MAX = 4096
/** An answerer writes up to 1400 octets (RFC 9715 §3.1). */
const ANSWER_OCTETS_MAX = 1472
/** Strides that are no power of two: else all buffers share the same few cache sets. */
const QUERY_STRIDE: number = QUERY_OCTETS_MAX + 192
const ANSWER_STRIDE: number = ANSWER_OCTETS_MAX + 64
/** Batches of one socket before the others have their turn. */
const TURNS_MAX = 8
/** Node.js ends a thread only when it is not inside a call: process.exit() waits at most this long for it. */
export const WAIT_MILLISECONDS = 250
/** Waits for room in a full send queue before the rest of a batch is given up: a resolver asks again. */
const SEND_WAITS_MAX = 4
const SEND_WAIT_MILLISECONDS = 5

/** struct mmsghdr of 64-bit Linux, in 32-bit words: name 0, namelen 2, iov 4, iovlen 6, control 8, controllen 10,
 *  flags 12, length 14. */
const HEADER_WORDS = 16
const HEADER_OCTETS = 64
const IOVEC_OCTETS = 16
const NAME_OCTETS = 32
const CONTROL_OCTETS = 64
/** CMSG_SPACE of in_pktinfo and of in6_pktinfo; the data follow a header of 16 octets: length, level, type. */
const PKTINFO_SPACE = 32
const PKTINFO6_SPACE = 40

/** Counters of the transport itself, beside the answerer's: words of a shared block. */
export const UDP_BATCHES = 0
export const UDP_UNSENT = 1
export const UDP_OVERLONG = 2
export const UDP_COUNTERS = 3

export interface BatchSocket {
  readonly descriptor: number
  readonly family: number
  readonly wildcard: boolean
}

/** Query and answer buffers of a thread, shared by its sockets, which take turns. */
export class BatchBuffers {
  readonly queries: readonly Uint8Array[]
  readonly answers: readonly Uint8Array[]
  readonly queriesAddress: number
  readonly answersAddress: number
  readonly #memory: Memory

  constructor(calls: Syscalls) {
    this.#memory = new Memory(calls, BATCH_MAX * (QUERY_STRIDE + ANSWER_STRIDE))
    const { buffer, address } = this.#memory
    this.queriesAddress = address
    this.answersAddress = address + BATCH_MAX * QUERY_STRIDE
    const slots = Array.from({ length: BATCH_MAX }, (_, index) => index)
    this.queries = slots.map(slot => new Uint8Array(buffer, slot * QUERY_STRIDE, QUERY_OCTETS_MAX))
    const start = BATCH_MAX * QUERY_STRIDE
    this.answers = slots.map(slot => new Uint8Array(buffer, start + slot * ANSWER_STRIDE, ANSWER_OCTETS_MAX))
  }

  free(): void {
    this.#memory.free()
  }
}

/** One socket's headers, and the turn: receive, answer, send. */
export class SocketBatch {
  readonly #calls: Syscalls
  readonly #socket: BatchSocket
  readonly #buffers: BatchBuffers
  readonly #counters: Float64Array
  readonly #memory: Memory
  readonly #words: Uint32Array
  readonly #nameOctets: number
  readonly #controlOctets: number
  readonly #pollfd: Memory
  /** The query slot whose name and control each send header points to. */
  readonly #peerOf: Uint8Array = Uint8Array.from({ length: BATCH_MAX }, (_, slot) => slot)

  // Where the parts of the memory begin.
  readonly #sends: number
  readonly #iovecs: number
  readonly #names: number
  readonly #controls: number

  constructor(calls: Syscalls, socket: BatchSocket, buffers: BatchBuffers, counters: Float64Array) {
    this.#calls = calls
    this.#socket = socket
    this.#buffers = buffers
    this.#counters = counters
    const plain = socket.family === AF_INET
    this.#nameOctets = plain ? 16 : 28
    this.#controlOctets = socket.wildcard ? (plain ? PKTINFO_SPACE : PKTINFO6_SPACE) : 0
    this.#sends = BATCH_MAX * HEADER_OCTETS
    this.#iovecs = this.#sends * 2
    this.#names = this.#iovecs + 2 * BATCH_MAX * IOVEC_OCTETS
    this.#controls = this.#names + BATCH_MAX * NAME_OCTETS
    this.#memory = new Memory(calls, this.#controls + BATCH_MAX * CONTROL_OCTETS)
    this.#words = new Uint32Array(this.#memory.buffer)
    this.#pollfd = new Memory(calls, 8)
    new Int32Array(this.#pollfd.buffer)[0] = socket.descriptor
    for (let slot = 0; slot < BATCH_MAX; slot++) this.#wire(slot)
  }

  free(): void {
    this.#memory.free()
    this.#pollfd.free()
  }

  #wire(slot: number): void {
    const receive = slot * HEADER_OCTETS
    const send = this.#sends + receive
    const query = this.#iovecs + slot * IOVEC_OCTETS
    const answer = query + BATCH_MAX * IOVEC_OCTETS
    this.#putAddress(query, this.#buffers.queriesAddress + slot * QUERY_STRIDE)
    this.#words[(query + 8) >> 2] = QUERY_OCTETS_MAX
    this.#putAddress(answer, this.#buffers.answersAddress + slot * ANSWER_STRIDE)
    this.#putHeader(receive, slot, query)
    this.#putHeader(send, slot, answer)
  }

  #putHeader(header: number, slot: number, iovec: number): void {
    this.#putPeer(header, slot)
    this.#putAddress(header + 16, this.#memory.address + iovec)
    this.#words[(header + 24) >> 2] = 1
  }

  /** Points a header to the addresses of the query in `slot`. */
  #putPeer(header: number, slot: number): void {
    const words = this.#words
    this.#putAddress(header, this.#memory.address + this.#names + slot * NAME_OCTETS)
    words[(header + 8) >> 2] = this.#nameOctets
    if (this.#controlOctets === 0) return
    this.#putAddress(header + 32, this.#memory.address + this.#controls + slot * CONTROL_OCTETS)
    words[(header + 40) >> 2] = this.#controlOctets
  }

  #putAddress(at: number, address: number): void {
    this.#words[at >> 2] = address
    this.#words[(at >> 2) + 1] = address / 0x1_0000_0000
  }

  /** Answers what waits at the socket; false when nothing did. */
  serve(answerer: Answerer): boolean {
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      const received = this.#calls.recvmmsg(
        this.#socket.descriptor,
        this.#memory.address,
        BATCH_MAX,
        MSG_DONTWAIT,
        0,
      )
      // Nothing there, or an ICMP error of an earlier answer, which the next call no longer has.
      if (received <= 0) return turn > 0
      this.#counters[UDP_BATCHES]! += 1
      answerer.begin()
      let answered = 0
      try {
        answered = this.#answerAll(answerer, received)
      } finally {
        answerer.end()
      }
      if (answered > 0) this.#send(answered)
      if (received < BATCH_MAX) return true
    }
    return true
  }

  /** Fills send headers from the front; a dropped query leaves no gap. */
  #answerAll(answerer: Answerer, received: number): number {
    const words = this.#words
    const { queries, answers } = this.#buffers
    const sendWord = this.#sends >> 2
    const lengthWord = (this.#iovecs + BATCH_MAX * IOVEC_OCTETS + 8) >> 2
    let answered = 0
    for (let slot = 0; slot < received; slot++) {
      const header = slot * HEADER_WORDS
      const overlong = (words[header + 12]! & MSG_TRUNC) !== 0
      // The kernel has written how long name and ancillary data were; they are as long again next time.
      const named = words[header + 2] === this.#nameOctets
      words[header + 2] = this.#nameOctets
      const echo = this.#controlOctets === 0 || this.#prepareEcho(slot, words[header + 10]!)
      words[header + 10] = this.#controlOctets
      if (overlong) this.#counters[UDP_OVERLONG]! += 1
      if (overlong || !named || this.#portOf(slot) === 0) continue
      const length = answerer.answer(queries[slot]!, words[header + 14]!, TRANSPORT_UDP, answers[answered]!)
      if (length <= DROP) continue
      const send = sendWord + answered * HEADER_WORDS
      if (this.#peerOf[answered] !== slot) {
        this.#peerOf[answered] = slot
        this.#putPeer(send << 2, slot)
      }
      words[send + 10] = echo ? this.#controlOctets : 0
      words[lengthWord + answered * 4] = length
      answered++
    }
    return answered
  }

  /** A datagram from port 0 can have no answer, and would fail the whole batch (EINVAL). */
  #portOf(slot: number): number {
    const at = this.#names + slot * NAME_OCTETS + 2
    return this.#memory.octets[at]! | this.#memory.octets[at + 1]!
  }

  /** I3: makes of the ancillary data of a query those of its answer; false when there were none. The index of the
   *  interface is taken out, so that routing decides, except where an address means nothing without it. */
  #prepareEcho(slot: number, controlOctets: number): boolean {
    if (controlOctets < this.#controlOctets) return false
    const at = this.#controls + slot * CONTROL_OCTETS
    const word = at >> 2
    const words = this.#words
    if (words[word + 2] === IPPROTO_IP) {
      words[word + 4] = 0
      return true
    }
    if (words[word + 2] !== IPPROTO_IPV6) return false
    const octets = this.#memory.octets
    // RFC 4291 §2.5.6: fe80::/10.
    const linkLocal = octets[at + 16] === 0xfe && (octets[at + 17]! & 0xc0) === 0x80
    if (!linkLocal) words[word + 8] = 0
    return true
  }

  /** sendmmsg stops at the first datagram that fails: wait a little when the queue is full, else leave that one out. */
  #send(count: number): void {
    let waits = 0
    for (let sent = 0; sent < count; ) {
      const start = this.#memory.address + this.#sends + sent * HEADER_OCTETS
      const result = this.#calls.sendmmsg(this.#socket.descriptor, start, count - sent, MSG_DONTWAIT)
      if (result > 0) sent += result
      else if (this.#mayRetry(this.#calls.errno())) {
        if (waits++ === SEND_WAITS_MAX) {
          this.#counters[UDP_UNSENT]! += count - sent
          return
        }
        this.#awaitRoom()
      } else {
        this.#counters[UDP_UNSENT]! += 1
        sent++
      }
    }
  }

  #mayRetry(errno: number): boolean {
    const { EAGAIN, ENOBUFS, EINTR, ENOMEM } = constants.errno
    return errno === EAGAIN || errno === ENOBUFS || errno === EINTR || errno === ENOMEM
  }

  #awaitRoom(): void {
    new Int16Array(this.#pollfd.buffer)[2] = POLLOUT
    this.#calls.poll(this.#pollfd.address, 1, SEND_WAIT_MILLISECONDS)
  }
}

/** The loop of a thread: serves the sockets until `stopping()` says so and nothing waits any more. */
export function serveSockets(
  calls: Syscalls,
  sockets: readonly BatchSocket[],
  event: number,
  answerer: Answerer,
  counters: Float64Array,
  stopping: () => boolean,
): void {
  const buffers = new BatchBuffers(calls)
  const batches = sockets.map(socket => new SocketBatch(calls, socket, buffers, counters))
  const poll = new Memory(calls, (sockets.length + 1) * 8)
  const events = new Int16Array(poll.buffer)
  for (const [index, descriptor] of [...sockets.map(socket => socket.descriptor), event].entries()) {
    new Int32Array(poll.buffer)[index * 2] = descriptor
    events[index * 4 + 2] = POLLIN
  }
  try {
    while (!stopping()) {
      if (calls.poll(poll.address, sockets.length + 1, WAIT_MILLISECONDS) <= 0) continue
      for (let index = 0; index < batches.length; index++) {
        if (events[index * 4 + 3] !== 0) batches[index]!.serve(answerer)
      }
    }
    for (const batch of batches) batch.serve(answerer)
  } finally {
    poll.free()
    for (const batch of batches) batch.free()
    buffers.free()
  }
}
