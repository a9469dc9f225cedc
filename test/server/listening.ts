/** What the tests of the transports share: listeners over the stub answerer, questions, and clients that wait for events. */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type Clock, type Logger, silentLogger, systemClock } from '../../base/index.ts'
import {
  AccessControl,
  type AccessOptions,
  type Listeners,
  type ListenOptions,
  openListeners,
} from '../../server/index.ts'
import { nameFromText, Store } from '../../zones/index.ts'
import { storeOf } from '../support/zone.ts'

export const STUB: string = new URL('./stub-answerer.js', import.meta.url).href

interface Scope {
  teardown(call: () => Promise<void>): void
}

export type Overrides = Partial<Omit<ListenOptions, 'addresses'>> & { readonly addresses?: readonly string[] }

/** Listeners on a free port of 127.0.0.1 that the test's end closes. */
export async function listening(t: Scope, overrides: Overrides = {}): Promise<Listeners> {
  const store = new Store()
  const listeners = await openListeners({
    handle: store.handle,
    store,
    addresses: ['127.0.0.1@0'],
    workers: 1,
    answerOptions: { module: STUB },
    log: silentLogger,
    clock: systemClock,
    ...overrides,
  })
  t.teardown(() => listeners.close({ drainSeconds: 0 }))
  return listeners
}

/** The same over the store's own answerer, with a zone. */
export async function serving(t: Scope, zone: string, access: AccessOptions): Promise<Listeners> {
  const store = await storeOf(zone)
  const { handle } = store
  return listening(t, { handle, store, answerOptions: {}, access: new AccessControl(access) })
}

export function portOf(listeners: Listeners): number {
  return listeners.addresses[0]!.port
}

/** A query in wire form: RD, one question of class IN. */
export function question(id: number, name: string, type = 16): Buffer {
  const wire = nameFromText(name)
  const header = [id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
  return Buffer.from([...header, ...wire, type >> 8, type & 255, 0, 1])
}

/** With the length octets of a stream before it. */
export function framed(...messages: readonly Uint8Array[]): Buffer {
  return Buffer.concat(messages.flatMap(one => [Buffer.from([one.length >> 8, one.length & 255]), one]))
}

/** A client socket for datagrams. */
export async function datagrams(t: Scope, type: 'udp4' | 'udp6' = 'udp4'): Promise<UdpSocket> {
  const socket = createSocket(type)
  socket.bind(0)
  await once(socket, 'listening')
  t.teardown(async () => void (await new Promise<void>(resolve => socket.close(() => resolve()))))
  return socket
}

/** Sends one datagram and waits for the answer with its ID, whatever else arrives. */
export async function exchange(
  socket: UdpSocket,
  query: Uint8Array,
  port: number,
  address: string,
): Promise<{ answer: Buffer; from: RemoteInfo }> {
  const arrived = new Promise<{ answer: Buffer; from: RemoteInfo }>(resolve => {
    const take = (answer: Buffer, from: RemoteInfo): void => {
      if (answer[0] !== query[0] || answer[1] !== query[1]) return
      socket.off('message', take)
      resolve({ answer, from })
    }
    socket.on('message', take)
  })
  socket.send(query, port, address)
  return arrived
}

/** A client connection that collects whole messages. */
export class StreamClient {
  readonly socket: Socket
  readonly messages: Buffer[] = []
  closed = false
  #held: Buffer = Buffer.alloc(0)
  #wake: (() => void) | undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', segment => {
      this.#held = Buffer.concat([this.#held, segment])
      while (this.#held.length >= 2 && this.#held.length >= 2 + this.#held.readUInt16BE(0)) {
        const end = 2 + this.#held.readUInt16BE(0)
        this.messages.push(this.#held.subarray(2, end))
        this.#held = this.#held.subarray(end)
      }
      this.#wake?.()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.closed = true
      this.#wake?.()
    })
  }

  static async open(t: Scope, port: number, host = '127.0.0.1'): Promise<StreamClient> {
    const socket = connect({ port, host, noDelay: true })
    const client = new StreamClient(socket)
    t.teardown(async () => void socket.destroy())
    await once(socket, 'connect')
    return client
  }

  /** Resolves when that many messages are there or the connection is closed. */
  async received(count: number): Promise<Buffer[]> {
    await this.#until(() => this.messages.length >= count || this.closed)
    return this.messages
  }

  async untilClosed(): Promise<void> {
    await this.#until(() => this.closed)
  }

  async #until(done: () => boolean): Promise<void> {
    while (!done()) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }
}

/** A logger that keeps what it is told, and can be waited for. */
export class KeptLog implements Logger {
  readonly lines: { level: string; message: string }[] = []
  #wake: (() => void)[] = []

  debug(message: string): void {
    this.#keep('debug', message)
  }
  info(message: string): void {
    this.#keep('info', message)
  }
  warn(message: string): void {
    this.#keep('warn', message)
  }
  error(message: string): void {
    this.#keep('error', message)
  }

  #keep(level: string, message: string): void {
    this.lines.push({ level, message })
    for (const wake of this.#wake.splice(0)) wake()
  }

  async until(level: string): Promise<string> {
    for (;;) {
      const line = this.lines.find(one => one.level === level)
      if (line !== undefined) return line.message
      await new Promise<void>(resolve => this.#wake.push(resolve))
    }
  }
}

export type { Clock }
