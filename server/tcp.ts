/** DNS over TCP (RFC 7766): pipelined queries, answers gathered into few writes, bounds on everything a peer can hold.
 *
 *    connection:  reading ──transfer──▶ transferring ──done──▶ reading ──peer ends, idle or drained──▶ ending ──▶ closed
 *                 reading ──output full──▶ blocked ──drain──▶ reading
 *
 *  I1  Answers of one connection keep the order of its queries; a transfer holds up what comes after it.
 *  I2  A connection lives `idleSeconds` beyond its last progress. Progress is a whole query or a write that the system took;
 *      neither octets that trickle in nor a peer that does not read keep it alive.
 *  I3  At most `outputOctetsMax` and one answer wait per connection; then nothing more is read from it.
 *  I4  At most `connectionsMax` connections: beyond, the one idle for longest makes room; `connectionsPerAddressMax` of one
 *      address: beyond, the new one is closed.
 *  I5  No exception leaves a connection: it ends, and the others go on. */
import { createServer, type Server, type Socket } from 'node:net'
import type { Clock, Logger, Timer } from '../base/index.ts'
import { addressOctets, type ListenAddress, listenAddressText } from './address.ts'
import { type Answerer, DEFER, DROP } from './answerer.ts'
import type { Transfers } from './axfr.ts'
import { TRANSPORT_TCP } from './counters.ts'
import { listenFailure } from './listen-errors.ts'
import { StreamFraming } from './tcp-framing.ts'

export interface TcpLimits {
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  /** RFC 7766 §6.2.3: of the order of a few seconds. */
  readonly idleSeconds: number
  readonly outputOctetsMax: number
}

export const TCP_LIMITS: TcpLimits = {
  connectionsMax: 1000,
  connectionsPerAddressMax: 200,
  idleSeconds: 10,
  outputOctetsMax: 256 << 10,
}

/** RFC 1035 §4.2.2: two octets of length, so no more than this. */
const MESSAGE_OCTETS_MAX = 65535
/** Answers are gathered up to here before they are written; the largest one always fits behind. */
const GATHER_OCTETS = 65536
/** Messages of a transfer are gathered up to here: a write of one message costs the system several times as much an octet. */
const TRANSFER_WRITE_OCTETS = 192 << 10
/** RFC 1035 §4.1.1. */
const HEADER_OCTETS = 12
/** How exactly idle connections are found. */
const SWEEP_SECONDS = 1
/** Pending connections; the system may have a lower limit (net.core.somaxconn). */
const BACKLOG = 511

export interface TcpCounters {
  readonly connections: number
  readonly accepted: number
  /** Closed at once, for a limit. */
  readonly rejected: number
  /** Ended for want of progress. */
  readonly timedOut: number
}

/** Shared by the connections of a server; each uses it to the end before the next one's turn. */
interface Scratch {
  readonly out: Buffer
  readonly gather: Buffer
}

export class TcpServer {
  readonly limits: TcpLimits
  readonly answerer: Answerer
  readonly transfers: Transfers
  readonly clock: Clock
  readonly log: Logger
  readonly scratch: Scratch = {
    out: Buffer.alloc(MESSAGE_OCTETS_MAX),
    gather: Buffer.alloc(GATHER_OCTETS + 2 + MESSAGE_OCTETS_MAX),
  }
  /** By address as it was bound. */
  readonly #servers = new Map<string, Server>()
  readonly #connections = new Set<Connection>()
  readonly #perAddress = new Map<string, number>()
  #sweep: Timer | undefined
  #accepted = 0
  #rejected = 0
  #timedOut = 0
  #drained: (() => void) | undefined

  constructor(
    answerer: Answerer,
    transfers: Transfers,
    limits: Partial<TcpLimits>,
    log: Logger,
    clock: Clock,
  ) {
    this.answerer = answerer
    this.transfers = transfers
    this.limits = { ...TCP_LIMITS, ...limits }
    this.log = log
    this.clock = clock
  }

  counters(): TcpCounters {
    return {
      connections: this.#connections.size,
      accepted: this.#accepted,
      rejected: this.#rejected,
      timedOut: this.#timedOut,
    }
  }

  /** Listens on an address; returns it with the port that the system gave for port 0. Throws LISTEN_*. */
  async open(address: ListenAddress): Promise<ListenAddress> {
    // A peer may shut down its side and still wait for answers.
    const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => this.#accept(socket))
    await new Promise<void>((resolve, reject) => {
      server.once('error', error => {
        reject(listenFailure((error as NodeJS.ErrnoException).code ?? error.message, address, 'TCP'))
      })
      const { host, port } = address
      const options = { host, port, ipv6Only: host.includes(':'), exclusive: true, backlog: BACKLOG }
      server.listen(options, resolve)
    })
    server.removeAllListeners('error')
    // For example EMFILE: the connection that could not be accepted is lost, the server is not.
    server.on('error', error => this.log.warn('TCP connections cannot be accepted', { error: error.message }))
    const at = server.address()
    const port = at !== null && typeof at === 'object' ? at.port : address.port
    const bound = { host: address.host, port }
    this.#servers.set(listenAddressText(bound), server)
    return bound
  }

  /** Accepts no more there; connections that are open go on until they end or are idle. */
  closeAddress(address: ListenAddress): void {
    const text = listenAddressText(address)
    this.#servers.get(text)?.close()
    this.#servers.delete(text)
  }

  #accept(socket: Socket): void {
    socket.on('error', () => socket.destroy())
    const peer = socket.remoteAddress
    if (peer === undefined) {
      socket.destroy()
      return
    }
    const group = addressGroup(peer)
    const ofGroup = this.#perAddress.get(group) ?? 0
    if (ofGroup >= this.limits.connectionsPerAddressMax || !this.#makeRoom()) {
      this.#rejected++
      socket.destroy()
      return
    }
    this.#accepted++
    this.#perAddress.set(group, ofGroup + 1)
    const connection = new Connection(this, socket, peer)
    this.#connections.add(connection)
    socket.once('close', () => this.#forget(connection, group))
    this.#sweep ??= this.clock.after(SWEEP_SECONDS, () => this.#sweepIdle())
  }

  /** I4. */
  #makeRoom(): boolean {
    if (this.#connections.size < this.limits.connectionsMax) return true
    let oldest: Connection | undefined
    for (const connection of this.#connections) {
      if (connection.working) continue
      if (oldest === undefined || connection.progressAt < oldest.progressAt) oldest = connection
    }
    if (oldest === undefined) return false
    oldest.destroy()
    // Its 'close' comes later; its place is free now.
    this.#connections.delete(oldest)
    return true
  }

  #forget(connection: Connection, group: string): void {
    this.#connections.delete(connection)
    const left = (this.#perAddress.get(group) ?? 1) - 1
    if (left > 0) this.#perAddress.set(group, left)
    else this.#perAddress.delete(group)
    if (this.#connections.size > 0) return
    this.#sweep?.cancel()
    this.#sweep = undefined
    this.#drained?.()
  }

  /** I2. */
  #sweepIdle(): void {
    const before = this.clock.now() - this.limits.idleSeconds
    for (const connection of this.#connections) {
      if (connection.progressAt > before || connection.destroyed) continue
      this.#timedOut++
      connection.destroy()
    }
    this.#sweep = this.clock.after(SWEEP_SECONDS, () => this.#sweepIdle())
  }

  /** Accepts no more, lets work in progress finish for up to `drainSeconds`, then ends what is left. */
  async close(drainSeconds: number): Promise<void> {
    const servers = [...this.#servers.values()]
    const closed = servers.map(server => new Promise<void>(resolve => server.close(() => resolve())))
    this.#servers.clear()
    if (this.#connections.size > 0) {
      const drained = new Promise<void>(resolve => {
        this.#drained = resolve
      })
      for (const connection of this.#connections) connection.finish()
      const destroyAll = (): void => {
        for (const connection of this.#connections) connection.destroy()
      }
      const timer = drainSeconds > 0 ? this.clock.after(drainSeconds, destroyAll) : undefined
      if (timer === undefined) destroyAll()
      await drained
      timer?.cancel()
    }
    this.#sweep?.cancel()
    this.#sweep = undefined
    await Promise.all(closed)
  }
}

/** Peers counted together: an IPv4 address, or the /64 of an IPv6 one, in which a host has as many as it likes. */
function addressGroup(peer: string): string {
  return peer.includes(':') ? addressOctets(peer).subarray(0, 8).join('.') : peer
}

class Connection {
  progressAt: number
  readonly #server: TcpServer
  readonly #socket: Socket
  readonly #peer: string
  readonly #framing = new StreamFraming()
  #gathered = 0
  #transferring = false
  /** Of the transfer that goes on: what is not written yet, each message behind its length. The system reads it until it
   *  has taken a write; after the last one of a transfer it is not used again. */
  #messages: Uint8Array | undefined
  #messageOctets = 0
  #blocked = false
  /** The peer has ended its side, or the server closes: end when all is answered. */
  #ending = false
  #ended = false

  constructor(server: TcpServer, socket: Socket, peer: string) {
    this.#server = server
    this.#socket = socket
    this.#peer = peer
    this.progressAt = server.clock.now()
    socket.on('data', segment => {
      this.#framing.push(segment)
      this.#proceed()
    })
    socket.on('end', () => this.finish())
    socket.on('drain', () => {
      if (!this.#blocked) return
      this.#blocked = false
      this.#proceed()
    })
  }

  /** Whether it may not make room for another. */
  get working(): boolean {
    return this.#transferring || this.#socket.writableLength > 0
  }

  get destroyed(): boolean {
    return this.#socket.destroyed
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** Ends after what is in progress. */
  finish(): void {
    this.#ending = true
    this.#endIfDone()
  }

  #endIfDone(): void {
    if (!this.#ending || this.#ended || this.#transferring || this.#blocked) return
    this.#ended = true
    this.#socket.end()
  }

  /** Answers what has arrived; I5. */
  #proceed(): void {
    if (this.#transferring || this.#blocked || this.#ended || this.#socket.destroyed) return
    try {
      this.#answerArrived()
    } catch (error) {
      this.#server.log.error('a TCP connection ended by a fault', { error: String(error) })
      this.#gathered = 0
      this.destroy()
      return
    }
    if (this.#transferring || this.#blocked) this.#socket.pause()
    else this.#socket.resume()
    this.#endIfDone()
  }

  #answerArrived(): void {
    const { answerer, scratch, limits, clock } = this.#server
    this.#gathered = 0
    answerer.begin()
    try {
      for (;;) {
        const query = this.#framing.next()
        if (query === undefined) break
        this.progressAt = clock.now()
        // Not even a header: this peer does not speak DNS. What came before still has its answer.
        if (query.length < HEADER_OCTETS) {
          this.#flush()
          this.#ended = true
          this.#socket.destroySoon()
          break
        }
        const length = answerer.answer(query, query.length, TRANSPORT_TCP, scratch.out)
        if (length === DEFER) {
          this.#startTransfer(query.slice())
          break
        }
        if (length > DROP) this.#gather(length)
        if (this.#gathered + this.#socket.writableLength > limits.outputOctetsMax) {
          this.#flush()
          // What the system took at once does not wait.
          this.#blocked = this.#socket.writableLength > limits.outputOctetsMax && !this.#socket.destroyed
          if (this.#blocked) break
        }
      }
    } finally {
      answerer.end()
    }
    this.#flush()
  }

  #gather(length: number): void {
    const { out, gather } = this.#server.scratch
    gather[this.#gathered] = length >>> 8
    gather[this.#gathered + 1] = length
    out.copy(gather, this.#gathered + 2, 0, length)
    this.#gathered += 2 + length
    if (this.#gathered > GATHER_OCTETS) this.#flush()
  }

  #flush(): void {
    if (this.#gathered === 0) return
    const octets = Buffer.from(this.#server.scratch.gather.subarray(0, this.#gathered))
    this.#gathered = 0
    this.#write(octets)
  }

  /** Tells `taken` whether the system has taken all of it, when it has, or will not. */
  #write(octets: Uint8Array, taken?: (whole: boolean) => void): void {
    if (this.#socket.destroyed) {
      taken?.(false)
      return
    }
    this.#socket.write(octets, error => {
      if (!error) this.progressAt = this.#server.clock.now()
      taken?.(!error)
    })
  }

  #startTransfer(query: Uint8Array): void {
    this.#transferring = true
    this.#flush()
    const done = (): void => {
      void this.#writeTransfer()
      this.#messages = undefined
      this.#transferring = false
      this.#proceed()
    }
    const send = (message: Uint8Array): Promise<boolean> => this.#sendMessage(message)
    this.#server.transfers
      .answer(query, { address: this.#peer, send, abort: () => this.destroy() })
      .then(done, () => this.destroy())
  }

  /** Takes a message of a transfer; when enough has been gathered, resolves once the system has taken it. */
  #sendMessage(message: Uint8Array): Promise<boolean> {
    this.#messages ??= new Uint8Array(TRANSFER_WRITE_OCTETS + 2 + MESSAGE_OCTETS_MAX)
    const at = this.#messageOctets
    this.#messages[at] = message.length >>> 8
    this.#messages[at + 1] = message.length
    this.#messages.set(message, at + 2)
    this.#messageOctets = at + 2 + message.length
    if (this.#messageOctets < TRANSFER_WRITE_OCTETS) return Promise.resolve(!this.#socket.destroyed)
    return this.#writeTransfer()
  }

  async #writeTransfer(): Promise<boolean> {
    if (this.#messages === undefined || this.#messageOctets === 0) return true
    const octets = this.#messages.subarray(0, this.#messageOctets)
    this.#messageOctets = 0
    return new Promise(resolve => this.#write(octets, resolve))
  }
}
