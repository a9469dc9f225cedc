/** A server that says whatever a test wants, over UDP and TCP of one loopback address; and responses to give. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { ExecutionContext } from 'ava'
import { freePort } from './ports.ts'

export interface FakeQuery {
  readonly octets: Uint8Array
  readonly transport: 'udp' | 'tcp'
  /** Of the client. */
  readonly port: number
  /** Sends a message, or over TCP exactly these octets with their length before them. */
  reply(response: Uint8Array): void
  /** TCP only. */
  readonly stream: Socket | undefined
}

export interface FakeServer {
  /** `ADDRESS@PORT` */
  readonly server: string
  readonly host: string
  readonly port: number
  readonly queries: FakeQuery[]
}

/** Closed when the test ends. */
export async function fakeServer(
  t: ExecutionContext,
  handle: (query: FakeQuery) => void,
  { host = '127.0.0.1', port }: { host?: string; port?: number } = {},
): Promise<FakeServer> {
  const chosen = port ?? (await freePort())
  const queries: FakeQuery[] = []
  const take = (query: FakeQuery): void => {
    queries.push(query)
    handle(query)
  }
  const udp = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  udp.on('message', (octets, from) => {
    const reply = (response: Uint8Array): void => udp.send(response, from.port, from.address)
    take({ octets, transport: 'udp', port: from.port, reply, stream: undefined })
  })
  udp.bind(chosen, host)
  const streams = new Set<Socket>()
  const tcp = createServer(stream => {
    streams.add(stream)
    stream.on('error', () => {})
    stream.on('data', data => {
      const reply = (response: Uint8Array): void => {
        stream.write(Uint8Array.of(response.length >>> 8, response.length))
        stream.write(response)
      }
      take({ octets: data.subarray(2), transport: 'tcp', port: stream.remotePort ?? 0, reply, stream })
    })
  }).listen(chosen, host)
  await Promise.all([once(udp, 'listening'), once(tcp, 'listening')])
  t.teardown(() => {
    udp.close()
    tcp.close()
    for (const stream of streams) stream.destroy()
  })
  return { server: `${host}@${chosen}`, host, port: chosen, queries }
}

export interface FakeResponse {
  /** Flags behind QR: 0x04 AA, 0x02 TC, 0x01 RD. */
  readonly flags?: number
  readonly rcode?: number
  /** Whole records; an owner of `C0 0C` is the question's name. */
  readonly answer?: readonly (readonly number[])[]
  readonly authority?: readonly (readonly number[])[]
}

/** The response with the query's ID and question, without OPT. */
export function responseTo(query: Uint8Array, response: FakeResponse = {}): Uint8Array {
  const { flags = 4, rcode = 0, answer = [], authority = [] } = response
  let end = 12
  while (query[end] !== 0) end += 1 + query[end]!
  const question = query.subarray(12, end + 5)
  const counts = [0, 1, ...u16Octets(answer.length), ...u16Octets(authority.length), 0, 0]
  const header = [query[0]!, query[1]!, 0x80 | flags, rcode, ...counts]
  return Uint8Array.from([...header, ...question, ...answer.flat(), ...authority.flat()])
}

function u16Octets(value: number): number[] {
  return [value >>> 8, value & 255]
}

/** A record owned by the question's name. */
export function recordOf(type: number, ttl: number, rdata: ArrayLike<number>): number[] {
  const ttlOctets = [...u16Octets(ttl >>> 16), ...u16Octets(ttl & 0xffff)]
  return [
    0xc0,
    0x0c,
    ...u16Octets(type),
    0,
    1,
    ...ttlOctets,
    ...u16Octets(rdata.length),
    ...Array.from(rdata),
  ]
}
