/** Other people's validators, pointed at a server of ours: delv (BIND) as a process per question, unbound as a resolver
 *  on a free loopback port with its configuration and log in a temporary directory.
 *  I1  Every process started here is ended by `stop`, by its own id.
 *  I2  Nothing asks beyond loopback: what has no stub zone is forwarded to the server under test, which refuses it. */

import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Message, queryOf, readMessage } from './message.ts'
import { startServer } from './peers.ts'
import { freePort } from './ports.ts'
import { WAIT_MILLISECONDS } from './serve.ts'
import { PATIENT, toolPath } from './tools.ts'

/** What a validator made of an answer. */
export type Verdict = 'secure' | 'insecure' | 'bogus'

const RCODES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED']
const AD_FLAG = 0x0020

/** A response in few words, for comparing: `NXDOMAIN`, `NOERROR`, with `AD` behind it where the resolver set it. */
export function outcomeOf(message: Message): string {
  const rcode = RCODES[message.rcode] ?? `RCODE${message.rcode}`
  return (message.flags & AD_FLAG) === 0 ? rcode : `${rcode} AD`
}

export interface DelvAnswer {
  readonly verdict: Verdict
  /** The whole of its output. */
  readonly text: string
}

export interface Delv {
  ask(name: string, type: string, ...words: readonly string[]): Promise<DelvAnswer>
  /** Removes the file of the trust anchor. */
  stop(): void
}

/** `anchor` is a DS record in presentation form, `port` our server's. */
export function delvOf(port: number, anchor: string): Delv {
  const words = anchor.trim().split(/\s+/)
  const at = words.indexOf('DS')
  const [tag, algorithm, digestType] = words.slice(at + 1, at + 4)
  const digest = words.slice(at + 4).join('')
  const statement = `"${words[0]}" static-ds ${tag} ${algorithm} ${digestType} "${digest}";`
  const directory = mkdtempSync(join(tmpdir(), 'conclave-delv-'))
  const file = join(directory, 'anchor')
  writeFileSync(file, `trust-anchors { ${statement} };\n`)
  const server = ['@127.0.0.1', '-p', `${port}`, '-a', file, `+root=${words[0]}`]
  return {
    ask: async (name, type, ...more) => {
      const text = await outputOf('delv', [...server, ...more, '-q', name, '-t', type])
      return { verdict: delvVerdict(text), text }
    },
    stop: () => rmSync(directory, { recursive: true }),
  }
}

/** An answer is as good as the worst of its RRsets. `resolution failed: ncache` is how delv ends negative answers. */
function delvVerdict(text: string): Verdict {
  if (/resolution failed: (?!ncache)/.test(text)) return 'bogus'
  if (/unsigned answer/.test(text)) return 'insecure'
  return /fully validated/.test(text) ? 'secure' : 'bogus'
}

/** Standard output and error of a program, whatever its exit code. */
export function outputOf(program: string, words: readonly string[]): Promise<string> {
  const patience = program.endsWith('dig') ? [PATIENT] : []
  return new Promise(resolve => {
    execFile(
      toolPath(program)!,
      [...patience, ...words],
      { encoding: 'utf8', timeout: WAIT_MILLISECONDS, maxBuffer: 64 * 1024 * 1024 },
      (_error, stdout, stderr) => resolve(stdout + stderr),
    )
  })
}

export interface UnboundOptions {
  /** Zones, each with the port of the server of ours that has it. */
  readonly zones: readonly { readonly name: string; readonly port: number }[]
  /** DS records in presentation form. */
  readonly anchors: readonly string[]
  /** `stub`: it resolves from the zones down, following referrals. `forward`: it sends every question as it is. */
  readonly via?: 'stub' | 'forward'
  readonly qnameMinimisation?: boolean
  readonly aggressiveNsec?: boolean
  /** Lines of the `server:` clause. */
  readonly more?: readonly string[]
}

export interface Resolver {
  readonly port: number
  ask(name: string, type: string | number): Promise<Message>
  /** What it logged, validation failures among it. */
  log(): string
  stop(): Promise<void>
}

export async function startUnbound(options: UnboundOptions): Promise<Resolver> {
  const directory = mkdtempSync(join(tmpdir(), 'conclave-unbound-'))
  const port = await freePort()
  const file = join(directory, 'unbound.conf')
  const logFile = join(directory, 'log')
  writeFileSync(file, unboundConfig(options, port, directory, logFile))
  const words = [toolPath('unbound')!, '-d', '-c', file]
  const log = (): string => {
    try {
      return readFileSync(logFile, 'utf8')
    } catch {
      return ''
    }
  }
  // It answers for localhost by itself (RFC 6761 §6.3) as soon as it answers at all.
  const own = [{ name: 'localhost.', path: '' }]
  const { ask, stop } = await startServer('unbound', words, directory, port, own)
  return {
    port,
    // With DO, AD wanted and recursion desired.
    ask: async (name, type) =>
      readMessage(await ask(queryOf(name, type, { udpOctets: 4096, dnssecOk: true }))),
    log,
    stop,
  }
}

function unboundConfig(options: UnboundOptions, port: number, directory: string, logFile: string): string {
  const {
    zones,
    anchors,
    via = 'stub',
    qnameMinimisation = true,
    aggressiveNsec = false,
    more = [],
  } = options
  const yes = (value: boolean): string => (value ? 'yes' : 'no')
  const lines = [
    'server:',
    `  directory: "${directory}"`,
    '  chroot: ""',
    '  username: ""',
    '  pidfile: ""',
    '  use-syslog: no',
    `  logfile: "${logFile}"`,
    '  verbosity: 1',
    '  val-log-level: 2',
    '  interface: 127.0.0.1',
    `  port: ${port}`,
    '  do-ip6: no',
    // From here nothing can be sent beyond loopback (I2).
    '  outgoing-interface: 127.0.0.1',
    '  do-not-query-localhost: no',
    '  num-threads: 1',
    '  module-config: "validator iterator"',
    '  target-fetch-policy: "0 0 0 0 0"',
    // The tests' names lie in it, and unbound answers for it by itself (RFC 6761 §6.2).
    '  local-zone: "test." nodefault',
    `  qname-minimisation: ${yes(qnameMinimisation)}`,
    `  aggressive-nsec: ${yes(aggressiveNsec)}`,
    ...anchors.map(anchor => `  trust-anchor: "${anchor}"`),
    ...more.map(line => `  ${line}`),
    'remote-control:',
    '  control-enable: no',
  ]
  const clause = via === 'stub' ? 'stub' : 'forward'
  for (const zone of zones) {
    lines.push(`${clause}-zone:`, `  name: "${zone.name}"`, `  ${clause}-addr: 127.0.0.1@${zone.port}`)
  }
  lines.push('forward-zone:', '  name: "."', `  forward-addr: 127.0.0.1@${zones[0]!.port}`)
  return `${lines.join('\n')}\n`
}

/** The port of a server that listens on one address. */
export function portOf(server: { readonly addresses: readonly string[] }): number {
  return Number(server.addresses[0]!.split('@')[1])
}
