/** Servers for tests and benchmarks: NSD and Knot DNS of Debian as peers, and ours as a process of its own. All serve the
 *  same zone files on a free loopback port out of a temporary directory.
 *  I1  Every process started here is ended by `stop`, by its own id. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { queryOf } from './message.ts'
import { freePort } from './ports.ts'

export interface TextZone {
  /** With its final dot. */
  readonly name: string
  readonly text: string
}

/** A file that is there already is served from its path. */
export type ZoneFile = TextZone | { readonly name: string; readonly path: string }

export interface ServerOptions {
  /** Threads or processes that answer. */
  readonly threads?: number
  /** Sign what the files hold, with one new P-256 key a zone, and follow their changes. */
  readonly signing?: boolean
  /** Of ours, when signing; default sha384. */
  readonly zonemd?: 'sha384' | 'none'
  /** Of ours: the file of the command, by default `dist/cli/main.js`. */
  readonly program?: string
}

export interface Peer {
  readonly name: string
  readonly pid: number
  readonly port: number
  /** Where its configuration and its control socket are. */
  readonly directory: string
  /** From the start of the process until it answered for every zone. */
  readonly startSeconds: number
  /** The response's octets over UDP. @throws after several tries without one. */
  ask(query: Uint8Array): Promise<Uint8Array>
  stop(): Promise<void>
}

/** Whether a program is there to be started. */
export function hasProgram(program: string): boolean {
  return spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${program}`]).status === 0
}

export async function startNsd(zones: readonly ZoneFile[], options: ServerOptions = {}): Promise<Peer> {
  const directory = temporaryDirectory('nsd', zones)
  const port = await freePort()
  const config = [
    'server:',
    `  ip-address: 127.0.0.1@${port}`,
    `  server-count: ${options.threads ?? 1}`,
    '  username: ""',
    '  database: ""',
    '  do-ip6: no',
    '  hide-version: yes',
    // Its response rate limiting would drop nearly all answers to one address.
    '  rrl-ratelimit: 0',
    '  rrl-whitelist-ratelimit: 0',
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
    ...zones.flatMap(({ name }) => [
      'zone:',
      `  name: "${name}"`,
      `  zonefile: "${fileOf(name)}"`,
      '  provide-xfr: 127.0.0.1 NOKEY',
    ]),
  ]
  writeFileSync(join(directory, 'nsd.conf'), `${config.join('\n')}\n`)
  return startServer(
    'NSD',
    ['/usr/sbin/nsd', '-d', '-c', join(directory, 'nsd.conf')],
    directory,
    port,
    zones,
  )
}

/** What Knot's template says of zone files it only serves, and of those it signs. */
const KNOT_SERVING = ['    zonefile-load: whole', '    journal-content: none']
const KNOT_SIGNING = [
  '    zonefile-load: difference-no-serial',
  '    journal-content: all',
  '    dnssec-signing: on',
  '    dnssec-policy: p256',
]

export async function startKnot(zones: readonly ZoneFile[], options: ServerOptions = {}): Promise<Peer> {
  const directory = temporaryDirectory('knot', zones)
  const port = await freePort()
  const config = [
    'server:',
    `  listen: 127.0.0.1@${port}`,
    `  rundir: "${directory}"`,
    `  udp-workers: ${options.threads ?? 1}`,
    '  tcp-workers: 1',
    '  background-workers: 1',
    'database:',
    `  storage: "${directory}"`,
    'log:',
    '  - target: stderr',
    '    any: error',
    'acl:',
    '  - id: loopback',
    '    address: 127.0.0.1',
    '    action: transfer',
    'policy:',
    '  - id: p256',
    '    algorithm: ecdsap256sha256',
    '    single-type-signing: on',
    'template:',
    '  - id: default',
    `    storage: "${directory}"`,
    '    acl: loopback',
    '    zonefile-sync: -1',
    ...(options.signing === true ? KNOT_SIGNING : KNOT_SERVING),
    'zone:',
    ...zones.flatMap(({ name }) => [`  - domain: "${name}"`, `    file: "${fileOf(name)}"`]),
  ]
  writeFileSync(join(directory, 'knot.conf'), `${config.join('\n')}\n`)
  return startServer('Knot', ['/usr/sbin/knotd', '-c', join(directory, 'knot.conf')], directory, port, zones)
}

/** Its defaults of 100 nodes and 10 signatures in one go take minutes for a large zone. */
const BIND_SIGNED_AT_ONCE = 10_000

/** BIND, signing inline; it answers before it has signed everything. */
export async function startBind(zones: readonly ZoneFile[]): Promise<Peer> {
  const directory = temporaryDirectory('named', zones)
  const port = await freePort()
  const config = [
    'options {',
    `  directory "${directory}";`,
    `  pid-file "${directory}/named.pid";`,
    `  session-keyfile "${directory}/session.key";`,
    `  listen-on port ${port} { 127.0.0.1; };`,
    '  listen-on-v6 { none; };',
    '  recursion no;',
    '  allow-transfer { none; };',
    `  sig-signing-nodes ${BIND_SIGNED_AT_ONCE};`,
    `  sig-signing-signatures ${BIND_SIGNED_AT_ONCE};`,
    '};',
    'controls { };',
    'dnssec-policy p256 { keys { csk lifetime unlimited algorithm ecdsap256sha256; }; };',
    ...zones.map(
      ({ name }) =>
        `zone "${name}" { type primary; file "${fileOf(name)}"; dnssec-policy p256; inline-signing yes; };`,
    ),
  ]
  writeFileSync(join(directory, 'named.conf'), `${config.join('\n')}\n`)
  return startServer(
    'BIND',
    ['/usr/sbin/named', '-g', '-c', join(directory, 'named.conf')],
    directory,
    port,
    zones,
  )
}

/** `conclave serve`, as people start it. */
export async function startConclave(zones: readonly ZoneFile[], options: ServerOptions = {}): Promise<Peer> {
  const directory = temporaryDirectory('serve', zones)
  const port = await freePort()
  const command = fileURLToPath(new URL('../../cli/main.js', import.meta.url))
  const words = [
    process.execPath,
    options.program ?? command,
    'serve',
    '--listen',
    `127.0.0.1@${port}`,
    '--json',
  ]
  words.push('--state', join(directory, 'state'), '--workers', String(options.threads ?? 1))
  if (options.signing !== true) words.push('--no-sign')
  else if (options.zonemd !== undefined) words.push('--zonemd', options.zonemd)
  return startServer('Conclave', [...words, directory], directory, port, zones)
}

/** Of a zone in the directory of its server. */
export function fileOf(name: string): string {
  return `${name}zone`
}

export function temporaryDirectory(kind: string, zones: readonly ZoneFile[]): string {
  const directory = mkdtempSync(join(tmpdir(), `conclave-${kind}-`))
  for (const zone of zones) {
    const path = join(directory, fileOf(zone.name))
    if ('path' in zone) symlinkSync(zone.path, path)
    else writeFileSync(path, zone.text)
  }
  return directory
}

/** Starts a server and waits until it answers for every zone. `directory` is removed when it stops. */
export async function startServer(
  name: string,
  words: readonly string[],
  directory: string,
  port: number,
  zones: readonly ZoneFile[],
): Promise<Peer> {
  const began = performance.now()
  const child = spawn(words[0]!, words.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.on('error', error => (said += String(error)))
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
  const startSeconds = (performance.now() - began) / 1000
  return { name, pid: child.pid!, port, directory, startSeconds, ask: query => asker.ask(query), stop }
}

/** Long enough to sign a large zone. */
const START_SECONDS_MAX = 180
const POLL_MILLISECONDS = 10

/** Asks every few milliseconds, so that the moment of the first answer is known, and takes late answers too. */
async function untilServed(asker: UdpAsker, zone: string, child: ChildProcess): Promise<void> {
  const query = queryOf(zone, 'SOA')
  const deadline = performance.now() + START_SECONDS_MAX * 1000
  let served = false
  while (child.exitCode === null && child.pid !== undefined && performance.now() < deadline) {
    const asked = asker.ask(query, 1, 1000).then(
      response => {
        served = served || (response[3]! & 15) === 0
      },
      () => undefined,
    )
    let timer: NodeJS.Timeout | undefined
    await Promise.race([asked, new Promise(resolve => (timer = setTimeout(resolve, POLL_MILLISECONDS)))])
    clearTimeout(timer)
    if (served) return
    // An answer that the zone is not there yet comes at once.
    await new Promise(resolve => setTimeout(resolve, POLL_MILLISECONDS / 2))
  }
  throw new Error(`${zone} is not answered`)
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const kill = setTimeout(() => child.kill('SIGKILL'), 5000)
  await ended
  clearTimeout(kill)
}

/** Two minutes; an answer that comes later than two seconds is asked for again. */
const TRIES_MAX = 60

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

  async ask(query: Uint8Array, tries = TRIES_MAX, milliseconds = 2000): Promise<Uint8Array> {
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
