/** Messages of coordinator and nodes over ZeroMQ with CURVE (RFC 26 of the ZeroMQ project): hidden, authenticated on both sides.
 *
 *    node          binds one ROUTER for each coordinator, which alone passes its ZAP handler
 *    coordinator   connects one DEALER to each node, whose key it has pinned
 *
 *  I1  ZeroMQ gives no sender with a message: who it is from is known by the socket, and proven by the message (envelope.ts).
 *  I2  An unknown key gets no session. A ZAP handler belongs to a context, so each node object has a context of its own.
 *  I3  Queues are bounded and lossy: what is lost is asked again by whoever waits for it. */

import { Context, curveKeyPair, Dealer, Reply, Router } from 'zeromq'
import { ConclaveError } from '../base/index.ts'
import { MESSAGE_OCTETS_MAX } from './envelope.ts'

/** Z85 texts (ZeroMQ RFC 32). */
export interface CurveKeys {
  readonly publicKey: string
  readonly secretKey: string
}

export function generateCurveKeys(): CurveKeys {
  return curveKeyPair()
}

/** One coordinator, as its node sees it. */
export interface CoordinatorDoor {
  readonly name: string
  /** The coordinator's CURVE key, pinned. */
  readonly publicKey: string
  /** `tcp://ADDRESS:PORT`; port 0 takes a free one. */
  readonly listen: string
}

export interface NodeDoors {
  /** Where each coordinator may connect to, by name. */
  readonly addresses: ReadonlyMap<string, string>
  close(): Promise<void>
}

const MESSAGES_QUEUED_MAX = 1000
const FRAMES = 2
const HEARTBEAT_MILLISECONDS = 5000
const RECONNECT_MILLISECONDS = 100
const RECONNECT_MILLISECONDS_MAX = 5000
const ZAP_VERSION = '1.0'
const ZAP_ADDRESS = 'inproc://zeromq.zap.01'

/** Listens for coordinators; `receive` gives the answer to what came from one, or nothing.
 *  @throws ConclaveError NODE_LISTEN */
export async function openDoors(
  keys: CurveKeys,
  doors: readonly CoordinatorDoor[],
  receive: (coordinator: string, octets: Uint8Array) => Promise<Uint8Array | undefined>,
): Promise<NodeDoors> {
  const context = new Context()
  const zap = new Reply({ context, linger: 0 })
  const sockets: Router[] = []
  const loops: Promise<void>[] = []
  const addresses = new Map<string, string>()
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.close()
    zap.close()
    await Promise.all(loops)
  }
  await zap.bind(ZAP_ADDRESS)
  loops.push(answerZap(zap, new Map(doors.map(({ name, publicKey }) => [name, publicKey]))))
  for (const { name, listen } of doors) {
    const socket = new Router({
      context,
      curveServer: true,
      curveSecretKey: keys.secretKey,
      zapDomain: name,
      linger: 0,
      maxMessageSize: MESSAGE_OCTETS_MAX,
      receiveHighWaterMark: MESSAGES_QUEUED_MAX,
      sendHighWaterMark: MESSAGES_QUEUED_MAX,
      sendTimeout: 0,
      heartbeatInterval: HEARTBEAT_MILLISECONDS,
    })
    sockets.push(socket)
    try {
      await socket.bind(listen.replace(/:0$/, ':*'))
    } catch (cause) {
      await close()
      throw new ConclaveError('NODE_LISTEN', `the address ${listen} cannot be listened on`, {
        place: { node: name },
        remedy: 'Give a free `tcp://ADDRESS:PORT` of this machine.',
        cause,
      })
    }
    addresses.set(name, socket.lastEndpoint ?? listen)
    loops.push(serve(socket, octets => receive(name, octets)))
  }
  return { addresses, close }
}

/** ZeroMQ RFC 27: who asks for a session, and what may answer. */
async function answerZap(zap: Reply, known: ReadonlyMap<string, string>): Promise<void> {
  try {
    for await (const [version, id, domain, , , mechanism, key] of zap) {
      const expected = known.get(String(domain))
      const right =
        String(version) === ZAP_VERSION &&
        String(mechanism) === 'CURVE' &&
        expected !== undefined &&
        key !== undefined &&
        Buffer.compare(key, decodeZ85(expected)) === 0
      await zap.send([ZAP_VERSION, id ?? '', right ? '200' : '400', right ? 'OK' : 'not known here', '', ''])
    }
  } catch {
    // The socket was closed.
  }
}

async function serve(
  socket: Router,
  receive: (octets: Uint8Array) => Promise<Uint8Array | undefined>,
): Promise<void> {
  try {
    for await (const frames of socket) {
      const [peer, octets] = frames
      if (frames.length !== FRAMES || peer === undefined || octets === undefined) continue
      void receive(new Uint8Array(octets)).then(answer => {
        // I3: a queue that is full, or a peer that has gone, loses the answer.
        if (answer !== undefined) return socket.send([peer, answer]).catch(() => {})
      })
    }
  } catch {
    // The socket was closed.
  }
}

/** A way to one node, for the coordinator. */
export class ZmqLink {
  readonly #socket: Dealer
  readonly #waiting: Uint8Array[] = []
  #sending = false
  #call: (octets: Uint8Array) => void = () => {}
  #changed: (state: 'open' | 'broken') => void = () => {}

  constructor(
    own: CurveKeys,
    node: { readonly publicKey: string; readonly address: string },
    context: Context,
  ) {
    this.#socket = new Dealer({
      context,
      curveServerKey: node.publicKey,
      curvePublicKey: own.publicKey,
      curveSecretKey: own.secretKey,
      linger: 0,
      maxMessageSize: MESSAGE_OCTETS_MAX,
      receiveHighWaterMark: MESSAGES_QUEUED_MAX,
      sendHighWaterMark: MESSAGES_QUEUED_MAX,
      reconnectInterval: RECONNECT_MILLISECONDS,
      reconnectMaxInterval: RECONNECT_MILLISECONDS_MAX,
      heartbeatInterval: HEARTBEAT_MILLISECONDS,
    })
    this.#socket.events.on('handshake', () => this.#changed('open'))
    this.#socket.events.on('disconnect', () => this.#changed('broken'))
    this.#socket.connect(node.address)
    void this.#receive()
  }

  send(octets: Uint8Array): void {
    // I3: the oldest is the first to be pointless.
    if (this.#waiting.push(octets) > MESSAGES_QUEUED_MAX) this.#waiting.shift()
    if (!this.#sending) void this.#drain()
  }

  onMessage(call: (octets: Uint8Array) => void): void {
    this.#call = call
  }

  onChange(call: (state: 'open' | 'broken') => void): void {
    this.#changed = call
  }

  close(): void {
    this.#changed = () => {}
    this.#socket.close()
  }

  async #drain(): Promise<void> {
    this.#sending = true
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        await this.#socket.send(next)
      }
    } catch {
      this.#waiting.length = 0
    }
    this.#sending = false
  }

  async #receive(): Promise<void> {
    try {
      for await (const frames of this.#socket) {
        const [octets] = frames
        if (frames.length === 1 && octets !== undefined) this.#call(new Uint8Array(octets))
      }
    } catch {
      // The socket was closed.
    }
  }
}

const Z85 = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#'
const Z85_GROUP = 5

/** ZeroMQ RFC 32. */
function decodeZ85(text: string): Uint8Array {
  const octets = Buffer.alloc((text.length / Z85_GROUP) * 4)
  for (let at = 0; at < text.length; at += Z85_GROUP) {
    const digits = [...text.slice(at, at + Z85_GROUP)]
    const value = digits.reduce((sum, digit) => sum * 85 + Z85.indexOf(digit), 0)
    octets.writeUInt32BE(value >>> 0, (at / Z85_GROUP) * 4)
  }
  return octets
}

/** 40 digits of Z85: a CURVE key. */
export function isCurveKey(text: string): boolean {
  return text.length === 40 && [...text].every(digit => Z85.includes(digit))
}

export { Context as ZmqContext }
