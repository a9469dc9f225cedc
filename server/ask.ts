/** One question to one server: over UDP, and over TCP when the answer does not fit (RFC 1035 §4.2, RFC 7766 §5), with EDNS
 *  and DO (RFC 6891, RFC 3225).
 *
 *    udp ──truncated──▶ tcp ──▶ ended
 *     └──answer, fault, deadline, given up──▶ ended
 *
 *  Not here: resolving, validating, caching; a server that refuses EDNS is a fault.
 *
 *  I1  The promise never rejects, and resolves by the deadline; then no socket and no timer of it is left.
 *  I2  RFC 5452 §9.1: only a response from the address and port asked, to the port and ID of the query, with its question,
 *      is looked at. Others are passed over, so that a forger cannot end the wait either. Every question has a socket of its
 *      own, whose port the system picks at random, and a random ID; repetitions share both, so there is one pair to guess. */
import { randomInt } from 'node:crypto'
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { setMaxListeners } from 'node:events'
import { isIPv6, connect as openStream } from 'node:net'
import type { Timer } from '../base/index.ts'
import { compareOctets, lowerCase, type Name, u16 } from '../zones/index.ts'
import { addressOctets, type ListenAddress } from './address.ts'
import { type Response, readResponse } from './ask-response.ts'
import type { AskOptions } from './ask-types.ts'
import { FLAG_QR, FLAG_TC, HEADER_OCTETS, OPCODE_QUERY } from './query.ts'
import { StreamFraming } from './tcp-framing.ts'

export interface Question {
  readonly name: Name
  readonly type: number
  /** RFC 1034 §4.3.1: set for resolvers, clear for servers that are asked for their own data. */
  readonly recursionDesired: boolean
}

export type AskOutcome =
  | { readonly kind: 'answered'; readonly response: Response }
  | {
      readonly kind: 'failed'
      readonly why: string
      /** This machine has no way to that address, so the server was not asked at all. */
      readonly noRoute: boolean
    }

/** Puts the question; the port of `server` is not 0. */
export async function askServer(
  server: ListenAddress,
  question: Question,
  options: Pick<AskOptions, 'clock' | 'signal' | 'timeoutSeconds'>,
): Promise<AskOutcome> {
  const query = await queryOctets(question)
  return new Promise(resolve => new Asking(server, query, options, resolve))
}

/** RFC 1035 §4.2.1 repeats after 2 seconds at the earliest: three times two. */
const TIMEOUT_SECONDS = 6
const UDP_SENDS = 3
/** What fits into every path's packets; larger answers come over TCP. */
const UDP_OCTETS = 1232
const CLASS_IN = 1

/** dns2 is loaded when the first question is put: it brings clients and servers along that most programs never need. */
async function queryOctets({ name, type, recursionDesired }: Question): Promise<Uint8Array> {
  const { Packet } = await import('dns2')
  const packet = new Packet()
  packet.header.id = randomInt(0x10000)
  packet.header.rd = recursionDesired ? 1 : 0
  packet.questions.push(new Packet.Question('', type, CLASS_IN))
  // RFC 6891 §6.1.2, §6.1.4: the class is the payload size, the TTL's third octet begins with DO. dns2's clients set neither.
  const opt = new Packet.Resource('', Packet.TYPE.EDNS, UDP_OCTETS, 0x8000)
  packet.additionals.push(Object.assign(opt, { rdata: [] }))
  const octets = packet.toBuffer()
  // dns2 has names as text, where a label cannot hold a dot; so it wrote the root, and the wire name takes its place.
  return Buffer.concat([octets.subarray(0, HEADER_OCTETS), name, octets.subarray(HEADER_OCTETS + 1)])
}

/** The error codes of a machine without that address family, or without a route. */
const NO_ROUTE = new Set(['ENETUNREACH', 'EAFNOSUPPORT', 'EADDRNOTAVAIL'])

class Asking {
  readonly #server: ListenAddress
  readonly #query: Uint8Array
  readonly #options: Pick<AskOptions, 'clock' | 'signal' | 'timeoutSeconds'>
  readonly #resolve: (outcome: AskOutcome) => void
  readonly #deadline: Timer
  #repeat: Timer | undefined
  /** Closes the socket in use. */
  #close: () => void = () => {}
  #ended = false

  constructor(
    server: ListenAddress,
    query: Uint8Array,
    options: Pick<AskOptions, 'clock' | 'signal' | 'timeoutSeconds'>,
    resolve: (outcome: AskOutcome) => void,
  ) {
    this.#server = server
    this.#query = query
    this.#options = options
    this.#resolve = resolve
    const seconds = options.timeoutSeconds ?? TIMEOUT_SECONDS
    this.#deadline = options.clock.after(seconds, () => this.#fail(`no answer in ${seconds} seconds`))
    const { signal } = options
    if (signal !== undefined) {
      // One signal ends many questions, which Node.js takes for a leak; each takes its listener away when it ends.
      setMaxListeners(0, signal)
      signal.addEventListener('abort', this.#giveUp)
    }
    if (signal?.aborted === true) this.#giveUp()
    else this.#overUdp(seconds / UDP_SENDS)
  }

  #giveUp = (): void => this.#fail('the question was given up')

  #overUdp(secondsBetween: number): void {
    const { host, port } = this.#server
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
    this.#close = () => socket.close()
    socket.on('error', error => this.#failFrom('UDP', error))
    socket.on('message', (octets, from) => {
      // The system filters, but what came between binding and connecting is in the queue already (I2).
      if (from.port === port && sameAddress(from.address, host)) this.#receive(octets, 'udp')
    })
    // A connected socket hears only from its peer (I2), and of the system's "port unreachable" at once.
    socket.on('connect', () => this.#send(socket, UDP_SENDS, secondsBetween))
    socket.connect(port, host)
  }

  #send(socket: UdpSocket, times: number, secondsBetween: number): void {
    if (this.#ended) return
    socket.send(this.#query)
    if (times === 1) return
    const again = (): void => this.#send(socket, times - 1, secondsBetween)
    this.#repeat = this.#options.clock.after(secondsBetween, again)
  }

  #overTcp(): void {
    this.#close()
    this.#repeat?.cancel()
    const { host, port } = this.#server
    const socket = openStream({ host, port })
    this.#close = () => socket.destroy()
    const framing = new StreamFraming()
    socket.on('error', error => this.#failFrom('TCP', error))
    socket.on('close', () => this.#fail('TCP: the connection was closed without an answer'))
    socket.on('data', segment => {
      framing.push(segment)
      for (let message = framing.next(); message !== undefined; message = framing.next()) {
        this.#receive(message, 'tcp')
        if (this.#ended) return
      }
    })
    // RFC 7766 §8: length and message in one write.
    const length = this.#query.length
    socket.write(Buffer.concat([Uint8Array.of(length >>> 8, length), this.#query]))
  }

  #receive(octets: Uint8Array, transport: 'udp' | 'tcp'): void {
    if (this.#ended || !isResponseTo(octets, this.#query)) return
    if ((octets[2]! & FLAG_TC) !== 0) {
      // What a truncated response holds is not used (RFC 2181 §9).
      if (transport === 'udp') this.#overTcp()
      else this.#fail('TCP: a truncated response')
      return
    }
    const response = readResponse(octets)
    if (response === undefined) this.#fail('a malformed response')
    else this.#end({ kind: 'answered', response })
  }

  #failFrom(transport: string, error: NodeJS.ErrnoException): void {
    this.#fail(`${transport}: ${error.message}`, NO_ROUTE.has(error.code ?? ''))
  }

  #fail(why: string, noRoute = false): void {
    this.#end({ kind: 'failed', why, noRoute })
  }

  #end(outcome: AskOutcome): void {
    if (this.#ended) return
    this.#ended = true
    this.#deadline.cancel()
    this.#repeat?.cancel()
    this.#options.signal?.removeEventListener('abort', this.#giveUp)
    this.#close()
    this.#resolve(outcome)
  }
}

function sameAddress(a: string, b: string): boolean {
  return compareOctets(addressOctets(a), addressOctets(b)) === 0
}

/** I2. RFC 5452 §9.1 compares names without regard to case (RFC 4343). */
function isResponseTo(octets: Uint8Array, query: Uint8Array): boolean {
  if (octets.length < HEADER_OCTETS || u16(octets, 0) !== u16(query, 0)) return false
  if ((octets[2]! & FLAG_QR) === 0 || ((octets[2]! >> 3) & 15) !== OPCODE_QUERY) return false
  // A server that could not read the query has no question to repeat (FORMERR, NOTIMP).
  if (u16(octets, 4) === 0) return (octets[3]! & 15) !== 0
  const questionEnd = HEADER_OCTETS + questionOctets(query)
  if (u16(octets, 4) !== 1 || octets.length < questionEnd) return false
  const nameEnd = questionEnd - QUESTION_FIXED_OCTETS
  for (let at = HEADER_OCTETS; at < questionEnd; at++) {
    const same = at < nameEnd ? lowerCase[octets[at]!] === lowerCase[query[at]!] : octets[at] === query[at]
    if (!same) return false
  }
  return true
}

/** Type and class. */
const QUESTION_FIXED_OCTETS = 4

function questionOctets(query: Uint8Array): number {
  let at = HEADER_OCTETS
  while (query[at] !== 0) at += 1 + query[at]!
  return at + 1 + QUESTION_FIXED_OCTETS - HEADER_OCTETS
}
