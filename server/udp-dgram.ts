/** UDP through node:dgram, on the event loop: where there is no Linux or no koffi, and on request. One socket an address.
 *  Not here: on a wildcard address the system chooses the source of an answer, which on a machine with several addresses
 *  may not be the one that was asked; listen on each address instead. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import type { Logger } from '../base/index.ts'
import { type ListenAddress, listenAddressText } from './address.ts'
import { type Answerer, DROP } from './answerer.ts'
import { TRANSPORT_UDP } from './counters.ts'
import { listenFailure } from './listen-errors.ts'
import { UDP_BATCHES, UDP_COUNTERS, UDP_UNSENT } from './udp-batch.ts'

/** RFC 9715 §3.1: an answerer never writes more than 1400. */
const ANSWER_OCTETS_MAX = 1472
/** Answers that wait in one socket; what is over is dropped. */
const SEND_QUEUE_OCTETS_MAX: number = 4 << 20
const RECEIVE_BUFFER_OCTETS: number = 1 << 20

export class DgramServer {
  readonly transportCounters: Float64Array = new Float64Array(UDP_COUNTERS)
  readonly #answerer: Answerer
  readonly #log: Logger
  readonly #sockets = new Map<string, Socket>()
  readonly #out = new Uint8Array(ANSWER_OCTETS_MAX)

  constructor(answerer: Answerer, log: Logger) {
    this.#answerer = answerer
    this.#log = log
  }

  /** Binds one address; throws LISTEN_*. Answering begins at once. */
  async open(address: ListenAddress): Promise<void> {
    const v6 = address.host.includes(':')
    const socket = createSocket({ type: v6 ? 'udp6' : 'udp4', ipv6Only: v6 })
    await new Promise<void>((resolve, reject) => {
      socket.once('error', error => {
        socket.close()
        reject(listenFailure((error as NodeJS.ErrnoException).code ?? error.message, address, 'UDP'))
      })
      socket.bind({ address: address.host, port: address.port, exclusive: true }, resolve)
    })
    socket.removeAllListeners('error')
    socket.on('error', error => {
      this.#log.warn('a UDP socket reports an error', {
        address: listenAddressText(address),
        error: error.message,
      })
    })
    socket.on('message', (query, peer) => this.#respond(socket, query, peer))
    try {
      socket.setRecvBufferSize(RECEIVE_BUFFER_OCTETS)
    } catch {
      // What the system gives must do.
    }
    this.#sockets.set(listenAddressText(address), socket)
  }

  #respond(socket: Socket, query: Buffer, peer: RemoteInfo): void {
    const answerer = this.#answerer
    this.transportCounters[UDP_BATCHES]! += 1
    answerer.begin()
    let length: number = DROP
    try {
      length = answerer.answer(query, query.length, TRANSPORT_UDP, this.#out)
    } finally {
      answerer.end()
    }
    // Nothing can be sent to port 0.
    if (length <= DROP || peer.port === 0) return
    if (socket.getSendQueueSize() > SEND_QUEUE_OCTETS_MAX) {
      this.transportCounters[UDP_UNSENT]! += 1
      return
    }
    // The socket keeps the octets until they are sent.
    socket.send(this.#out.slice(0, length), peer.port, peer.address, error => {
      if (error) this.transportCounters[UDP_UNSENT]! += 1
    })
  }

  /** Answers that are on their way go out. */
  async closeAddress(address: ListenAddress): Promise<void> {
    const text = listenAddressText(address)
    const socket = this.#sockets.get(text)
    this.#sockets.delete(text)
    await new Promise<void>(resolve => (socket === undefined ? resolve() : socket.close(() => resolve())))
  }

  async close(): Promise<void> {
    const sockets = [...this.#sockets.values()]
    this.#sockets.clear()
    await Promise.all(sockets.map(socket => new Promise<void>(resolve => socket.close(() => resolve()))))
  }
}
