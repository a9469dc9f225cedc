/** The command line as its users meet it: `node dist/cli/main.js` in processes of their own, in directories of their own.
 *  I1  What a test waits for is an event: a line of output, an exit. Nothing sleeps, and every wait has an end.
 *  I2  Processes are ended by their own id when the test ends, and awaited. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Message, QueryOptions } from './message.ts'
import { queryOf, readMessage } from './message.ts'

export const projectRoot: string = fileURLToPath(new URL('../../..', import.meta.url))
export const commandFile: string = join(projectRoot, 'dist', 'cli', 'main.js')

/** Much longer than anything takes on a busy machine: what is waited for so long hangs. */
export const WAIT_MILLISECONDS = 300_000

/** What AVA's `t` offers for cleaning up. */
export interface Scope {
  teardown(call: () => void | Promise<void>): void
}

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly input?: string
  /** Variables beside those of this process. */
  readonly environment?: Readonly<Record<string, string>>
  /** For work that takes long by its nature; 300 without it. */
  readonly secondsMax?: number
}

/** Runs a command to its end. */
export function run(program: string, words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = spawn(program, words, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.environment },
    stdio: 'pipe',
    timeout: options.secondsMax === undefined ? WAIT_MILLISECONDS : options.secondsMax * 1000,
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (part: Buffer) => out.push(part))
  child.stderr.on('data', (part: Buffer) => err.push(part))
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code =>
      resolve({ code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }),
    )
  })
}

/** Runs `conclave` to its end. */
export function conclave(words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return run(process.execPath, [commandFile, ...words], options)
}

/** A directory that goes when the test ends. */
export function temporaryDirectory(t: Scope): string {
  const path = mkdtempSync(join(tmpdir(), 'conclave-cli-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Writes files into a new directory: names, paths too, and their text. */
export function directoryOf(t: Scope, files: Readonly<Record<string, string>>): string {
  const directory = temporaryDirectory(t)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), text)
  }
  return directory
}

/** The text of a small zone. */
export function zoneText(zone: string, lines: readonly string[] = [], serial = 1): string {
  return [
    `$ORIGIN ${zone}`,
    '$TTL 300',
    `@ IN SOA ns1 hostmaster ${serial} 7200 1800 1209600 300`,
    '@ IN NS ns1',
    'ns1 IN A 192.0.2.1',
    ...lines,
    '',
  ].join('\n')
}

/** `host0`, `host1`, … with an address each. */
export function hosts(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `host${index} IN A 192.0.2.${(index % 250) + 1}`)
}

/** A line of JSON on standard error. */
export interface LogLine {
  readonly msg: string
  readonly level: string
  readonly [field: string]: unknown
}

export interface ServedZone {
  readonly zone: string
  readonly serial?: number
  readonly records: number
  readonly keys: readonly { readonly role: string; readonly algorithm: number; readonly tag: number }[]
  readonly denial: string
  readonly state: string
  readonly source: string
}

/** The line `serve --json` writes when it answers. */
export interface ServingLine {
  readonly event: 'serving'
  readonly addresses: readonly string[]
  readonly state: string
  readonly fresh: boolean
  readonly zones: readonly ServedZone[]
  readonly ds: readonly { readonly zone: string; readonly ds: string }[]
}

/** A `conclave serve` with its output; after `started`, which needs --json, it can be asked. */
export class ServeProcess {
  readonly child: ChildProcess
  readonly log: LogLine[] = []
  /** All that came, for messages and for lines that are not JSON. */
  out = ''
  err = ''
  readonly exited: Promise<number | null>
  serving!: ServingLine
  readonly #watchers = new Set<() => void>()
  #ended = false

  /** `tracer`: words in front of the command; `file`: another program than `conclave`. */
  constructor(
    words: readonly string[],
    cwd: string,
    tracer: readonly string[] = [],
    file: string = commandFile,
  ) {
    const [program, ...rest] = [...tracer, process.execPath, file, ...words]
    this.child = spawn(program!, rest, { cwd, stdio: 'pipe' })
    createInterface({ input: this.child.stdout! }).on('line', line => {
      this.out += `${line}\n`
      this.#changed()
    })
    createInterface({ input: this.child.stderr! }).on('line', line => {
      this.err += `${line}\n`
      if (line.startsWith('{')) this.log.push(JSON.parse(line) as LogLine)
      this.#changed()
    })
    this.exited = new Promise(resolve =>
      this.child.on('close', code => {
        this.#ended = true
        resolve(code)
        this.#changed()
      }),
    )
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher()
  }

  /** The lines of JSON on standard output. */
  events(): Record<string, unknown>[] {
    const lines = this.out.split('\n').filter(line => line.startsWith('{'))
    return lines.map(line => JSON.parse(line) as Record<string, unknown>)
  }

  /** Resolves with what `look` gives as soon as output makes it give something; what the process wrote before that to its
   *  other stream has been read by then. */
  until<T>(what: string, look: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        done()
        reject(new Error(`${what}: ${why}\n${this.out}${this.err}`))
      }
      const done = (): void => {
        clearTimeout(timer)
        this.#watchers.delete(check)
      }
      const check = (): void => {
        const found = look()
        if (found !== undefined) {
          done()
          void bothRead().then(() => resolve(found))
        } else if (this.#ended) fail('the server ended')
      }
      const timer = setTimeout(() => fail('did not happen'), WAIT_MILLISECONDS)
      this.#watchers.add(check)
      check()
    })
  }

  /** The first log line, after the first `from` ones, with that message and those fields. */
  logged(msg: string, fields: Readonly<Record<string, unknown>> = {}, from: number = 0): Promise<LogLine> {
    return this.until(`log line ${JSON.stringify({ msg, ...fields })}`, () =>
      this.log
        .slice(from)
        .find(
          line => line.msg === msg && Object.entries(fields).every(([key, value]) => line[key] === value),
        ),
    )
  }

  async started(): Promise<this> {
    this.serving = await this.until('serving', () =>
      (this.events() as unknown as ServingLine[]).find(event => event.event === 'serving'),
    )
    return this
  }

  get port(): number {
    return Number(this.serving.addresses[0]!.split('@')[1])
  }

  zone(name: string): ServedZone | undefined {
    return this.serving.zones.find(zone => zone.zone === name)
  }

  /** Asks over UDP at the first address. */
  ask(name: string, type: string, options: QueryOptions = {}): Promise<Message> {
    return askUdp(this.serving.addresses[0]!, name, type, options)
  }

  /** The serial of the SOA that is answered. */
  async serial(zone: string): Promise<number> {
    const { answer } = await this.ask(zone, 'SOA')
    return Number(answer[0]!.split(' ')[5])
  }

  /** A command of the running server. */
  control(command: string, ...words: readonly string[]): Promise<Ran> {
    return conclave([command, '--state', this.serving.state, ...words])
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  /** Ends the process and gives its exit code; null when it was killed. */
  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (!this.#ended) this.child.kill(signal)
    return this.exited
  }
}

/** Two pipes that can be read are read in any order; both are when the event loop has been through its next poll. */
async function bothRead(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise(resolve => setImmediate(resolve))
}

/** Starts `conclave serve --json --listen 127.0.0.1@0 WORDS…`; the test's end stops it. Resolves when it answers. */
export function serve(t: Scope, cwd: string, words: readonly string[]): Promise<ServeProcess> {
  return serveWords(t, cwd, ['--listen', '127.0.0.1@0', ...words]).started()
}

/** The same without a default for `--listen`, and without waiting. */
export function serveWords(t: Scope, cwd: string, words: readonly string[]): ServeProcess {
  const server = new ServeProcess(['serve', '--json', ...words], cwd)
  t.teardown(async () => void (await server.stop('SIGKILL')))
  return server
}

/** One question over UDP to `ADDRESS@PORT`, with EDNS and DO. */
export async function askUdp(
  address: string,
  name: string,
  type: string,
  options: QueryOptions = {},
): Promise<Message> {
  const at = address.lastIndexOf('@')
  const host = address.slice(0, at)
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  try {
    const query = queryOf(name, type, { udpOctets: 1232, dnssecOk: true, ...options })
    const answer = once(socket, 'message', { signal: AbortSignal.timeout(WAIT_MILLISECONDS) })
    socket.send(query, Number(address.slice(at + 1)), host)
    return readMessage((await answer)[0] as Buffer)
  } finally {
    await new Promise<void>(resolve => socket.close(() => resolve()))
  }
}
