/** NSD and Knot DNS of Debian as peers: the same zone files, served on a free loopback port out of a temporary directory.
 *  I1  Every process started here is ended by `stop`, by its own id. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { queryOf } from './message.ts'

export interface ZoneFile {
  /** With its final dot. */
  readonly name: string
  readonly text: string
}

export interface Peer {
  readonly name: string
  /** The response's octets over UDP. @throws after several tries without one. */
  ask(query: Uint8Array): Promise<Uint8Array>
  stop(): Promise<void>
}

/** Whether a program is there to be started. */
export function hasProgram(program: string): boolean {
  return spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${program}`]).status === 0
}

export async function startNsd(zones: readonly ZoneFile[]): Promise<Peer> {
  const directory = temporaryDirectory('nsd', zones)
  const port = await freePort()
  const config = [
    'server:',
    `  ip-address: 127.0.0.1@${port}`,
    '  server-count: 1',
    '  username: ""',
    '  database: ""',
    '  do-ip6: no',
    '  hide-version: yes',
    '  ipv4-edns-size: 4096',
    '  minimal-responses: yes',
    `  zonesdir: "${directory}"`,
    `  pidfile: "${directory}/nsd.pid"`,
    `  xfrdfile: "${directory}/xfrd.state"`,
    `  xfrdir: "${directory}"`,
    `  zonelistfile: "${directory}/zone.list"`,
    `  logfile: "${directory}/log"`,
    'remote-control:',
    '  control-enable: no',
    ...zones.flatMap(({ name }) => ['zone:', `  name: "${name}"`, `  zonefile: "${fileOf(name)}"`]),
  ]
  writeFileSync(join(directory, 'nsd.conf'), `${config.join('\n')}\n`)
  return startPeer('NSD', '/usr/sbin/nsd', ['-d', '-c', join(directory, 'nsd.conf')], directory, port, zones)
}

export async function startKnot(zones: readonly ZoneFile[]): Promise<Peer> {
  const directory = temporaryDirectory('knot', zones)
  const port = await freePort()
  const config = [
    'server:',
    `  listen: 127.0.0.1@${port}`,
    `  rundir: "${directory}"`,
    '  udp-workers: 1',
    '  tcp-workers: 1',
    '  background-workers: 1',
    'database:',
    `  storage: "${directory}"`,
    'log:',
    '  - target: stderr',
    '    any: error',
    'template:',
    '  - id: default',
    `    storage: "${directory}"`,
    '    zonefile-load: whole',
    '    zonefile-sync: -1',
    '    journal-content: none',
    'zone:',
    ...zones.flatMap(({ name }) => [`  - domain: "${name}"`, `    file: "${fileOf(name)}"`]),
  ]
  writeFileSync(join(directory, 'knot.conf'), `${config.join('\n')}\n`)
  return startPeer('Knot', '/usr/sbin/knotd', ['-c', join(directory, 'knot.conf')], directory, port, zones)
}

function fileOf(name: string): string {
  return `${name}zone`
}

function temporaryDirectory(kind: string, zones: readonly ZoneFile[]): string {
  const directory = mkdtempSync(join(tmpdir(), `conclave-${kind}-`))
  mkdirSync(directory, { recursive: true })
  for (const { name, text } of zones) writeFileSync(join(directory, fileOf(name)), text)
  return directory
}

/** A TCP port that is free now; UDP of the same number nearly always is, too. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function startPeer(
  name: string,
  program: string,
  programArguments: readonly string[],
  directory: string,
  port: number,
  zones: readonly ZoneFile[],
): Promise<Peer> {
  const child = spawn(program, programArguments, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stdout.on('data', data => (said += String(data)))
  child.stderr.on('data', data => (said += String(data)))
  const socket = createSocket('udp4')
  socket.unref()
  const asker = new UdpAsker(socket, port)
  const stop = async (): Promise<void> => {
    socket.close()
    await end(child)
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    for (const zone of zones) await untilServed(asker, zone.name, child)
  } catch (error) {
    await stop()
    throw new Error(`${name} does not serve: ${said}`, { cause: error })
  }
  return { name, ask: query => asker.ask(query), stop }
}

async function untilServed(asker: UdpAsker, zone: string, child: ChildProcess): Promise<void> {
  for (let left = 50; left > 0 && child.exitCode === null; left--) {
    const response = await asker.ask(queryOf(zone, 'SOA'), 1, 200).catch(() => undefined)
    if (response !== undefined && (response[3]! & 15) === 0) return
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error(`${zone} is not answered`)
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const kill = setTimeout(() => child.kill('SIGKILL'), 5000)
  await ended
  clearTimeout(kill)
}

/** Questions over one socket, told apart by their ids. */
class UdpAsker {
  readonly #socket: Socket
  readonly #port: number
  readonly #waiting = new Map<number, (response: Uint8Array) => void>()
  #nextId = 1

  constructor(socket: Socket, port: number) {
    this.#socket = socket
    this.#port = port
    socket.on('message', message =>
      this.#waiting.get((message[0]! << 8) | message[1]!)?.(Uint8Array.from(message)),
    )
  }

  async ask(query: Uint8Array, tries = 4, milliseconds = 2000): Promise<Uint8Array> {
    for (let left = tries; left > 0; left--) {
      const response = await this.#askOnce(query, milliseconds)
      if (response !== undefined) return response
    }
    throw new Error('no response')
  }

  #askOnce(query: Uint8Array, milliseconds: number): Promise<Uint8Array | undefined> {
    const id = this.#nextId++ & 0xffff
    const sent = Uint8Array.from(query)
    sent[0] = id >> 8
    sent[1] = id
    return new Promise(resolve => {
      const timer = setTimeout(() => done(undefined), milliseconds)
      const done = (response: Uint8Array | undefined): void => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        if (response !== undefined) response.set(query.subarray(0, 2))
        resolve(response)
      }
      this.#waiting.set(id, done)
      this.#socket.send(sent, this.#port, '127.0.0.1')
    })
  }
}
