/** The control socket of a running process (a server, or the coordinator of a quorum): one request a line, one response a line, both JSON, over a Unix socket that
 *  only its owner may use.
 *
 *    {"command":"reload","arguments":{"zone":"example."}}
 *    {"ok":true,"result":…}   or   {"ok":false,"error":{"code":…,"message":…,"place":…,"remedy":…}}
 *
 *  I1  The socket is in a directory of mode 0700 that we made, and has mode 0600 itself.
 *  I2  A socket file that a killed server left is replaced; a living server's is not.
 *  I3  No request harms the server: lines, connections and waits are bounded, an unknown command or a handler that
 *      throws is an answer. */

import { createHash } from 'node:crypto'
import { chmodSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { isErrno } from './atomic-file.ts'
import { ConclaveError, type Place } from './errors.ts'
import type { Logger } from './log.ts'

/** What a command does; the result goes through JSON. */
export type ControlHandler = (args: Readonly<Record<string, unknown>>) => unknown

export interface ControlOptions {
  readonly path: string
  readonly handlers: Readonly<Record<string, ControlHandler>>
  readonly log: Logger
  /** Longest request in octets; 64 KiB without it. */
  readonly requestOctetsMax?: number
}

export interface ControlServer {
  readonly path: string
  /** Ends the connections and removes the socket. */
  close(): Promise<void>
}

/** unix(7): sun_path holds 108 octets on Linux with a final zero, 104 on macOS and the BSDs. */
const PATH_OCTETS_MAX = process.platform === 'linux' ? 107 : 103
const REQUEST_OCTETS_MAX = 64 << 10
const RESPONSE_OCTETS_MAX = 64 << 20
const CONNECTIONS_MAX = 32
const IDLE_MILLISECONDS = 30_000
const CALL_SECONDS = 60

/** Where the socket of a server with that state directory is. A path too long for a socket gives one in the directory
 *  for temporary files instead, the same for server and client; `shortened` is worth a line in the log. */
export function controlPath(stateDirectory: string): { readonly path: string; readonly shortened: boolean } {
  const path = join(resolve(stateDirectory), 'control', 'socket')
  if (Buffer.byteLength(path) <= PATH_OCTETS_MAX) return { path, shortened: false }
  const name = createHash('sha256').update(resolve(stateDirectory)).digest('hex').slice(0, 16)
  return { path: join(tmpdir(), `conclave-${process.getuid?.() ?? 0}-${name}`, 'socket'), shortened: true }
}

/** @throws ConclaveError CONTROL_IN_USE, CONTROL_OPEN */
export async function serveControl(options: ControlOptions): Promise<ControlServer> {
  const { path } = options
  try {
    prepareDirectory(dirname(path))
    await removeStale(path)
    const sockets = new Set<Socket>()
    const server = createServer(socket => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      serveConnection(socket, options)
    })
    server.maxConnections = CONNECTIONS_MAX
    await listen(server, path)
    chmodSync(path, 0o600)
    server.on('error', error => options.log.error('the control socket failed', { error }))
    return {
      path,
      close: () =>
        new Promise(resolve => {
          server.close(() => resolve())
          for (const socket of sockets) socket.destroy()
        }),
    }
  } catch (cause) {
    if (cause instanceof ConclaveError) throw cause
    if (isErrno(cause, 'EADDRINUSE')) throw inUse(path)
    throw new ConclaveError('CONTROL_OPEN', `the control socket cannot be made: ${messageOf(cause)}`, {
      place: { file: path },
      cause,
    })
  }
}

function prepareDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  const stats = lstatSync(path)
  // In a shared directory for temporary files, someone else may have been there first.
  const ours = stats.isDirectory() && stats.uid === (process.getuid?.() ?? stats.uid)
  if (!ours) throw new Error(`${path} is not a directory of this user`)
  if ((stats.mode & 0o077) !== 0) chmodSync(path, 0o700)
}

/** I2: a socket that nobody listens at refuses the connection. */
async function removeStale(path: string): Promise<void> {
  const answer = await new Promise<'alive' | 'stale' | 'none'>((resolve, reject) => {
    const socket = connect(path)
    socket.on('connect', () => {
      socket.destroy()
      resolve('alive')
    })
    socket.on('error', error => {
      if (isErrno(error, 'ENOENT')) resolve('none')
      else if (isErrno(error, 'ECONNREFUSED')) resolve('stale')
      else reject(error)
    })
  })
  if (answer === 'alive') throw inUse(path)
  if (answer === 'stale') unlinkSync(path)
}

function inUse(path: string): ConclaveError {
  return new ConclaveError('CONTROL_IN_USE', 'a running server answers at the control socket', {
    place: { file: path },
    remedy: 'Stop that server, or give this one another directory with --state.',
  })
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function serveConnection(socket: Socket, options: ControlOptions): void {
  socket.setTimeout(IDLE_MILLISECONDS, () => socket.destroy())
  socket.on('error', () => socket.destroy())
  let last = Promise.resolve()
  const { requestOctetsMax = REQUEST_OCTETS_MAX } = options
  readLines(socket, requestOctetsMax, line => {
    // One answer at a time, in order; what comes meanwhile stays in the kernel's buffer.
    socket.pause()
    socket.setTimeout(0)
    last = last.then(async () => {
      const response = line === undefined ? tooLong(requestOctetsMax) : await respond(line, options)
      if (socket.writable) socket.write(`${JSON.stringify(response)}\n`)
      if (line === undefined) socket.end()
      else socket.setTimeout(IDLE_MILLISECONDS).resume()
    })
  })
}

/** Hands out whole lines; undefined, once, for one that is too long, and nothing after it. */
function readLines(socket: Socket, octetsMax: number, take: (line: string | undefined) => void): void {
  let parts: Buffer[] = []
  let octets = 0
  let ended = false
  socket.on('data', (data: Buffer) => {
    let rest = data
    while (!ended) {
      const end = rest.indexOf(0x0a)
      const part = end < 0 ? rest : rest.subarray(0, end)
      octets += part.length
      if (octets > octetsMax) {
        ended = true
        parts = []
        take(undefined)
        return
      }
      parts.push(part)
      if (end < 0) return
      const line = Buffer.concat(parts).toString('utf8')
      parts = []
      octets = 0
      rest = rest.subarray(end + 1)
      take(line)
    }
  })
}

type Response =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error: RemoteError }

interface RemoteError {
  readonly code: string
  readonly message: string
  readonly place?: Place
  readonly remedy?: string
}

async function respond(line: string, { handlers, log }: ControlOptions): Promise<Response> {
  try {
    const request = parseRequest(line)
    const handler = Object.hasOwn(handlers, request.command) ? handlers[request.command] : undefined
    if (handler === undefined) {
      const known = Object.keys(handlers).join(', ')
      throw new ConclaveError(
        'CONTROL_COMMAND',
        `there is no command ${JSON.stringify(request.command.slice(0, 64))}`,
        {
          remedy: `Use one of ${known}.`,
        },
      )
    }
    return { ok: true, result: (await handler(request.args)) ?? null }
  } catch (error) {
    if (!(error instanceof ConclaveError)) log.error('a control command failed', { error })
    const fault =
      error instanceof ConclaveError
        ? error
        : new ConclaveError('CONTROL_FAILED', messageOf(error), { cause: error })
    const { code, message, place, remedy } = fault
    return { ok: false, error: { code, message, place, ...(remedy === undefined ? {} : { remedy }) } }
  }
}

function parseRequest(line: string): { command: string; args: Readonly<Record<string, unknown>> } {
  const request = parseObject(line)
  const args = request?.['arguments'] ?? {}
  if (request === undefined || typeof request['command'] !== 'string' || !isObject(args)) {
    throw new ConclaveError('CONTROL_REQUEST', 'the request is not {"command": …, "arguments": {…}} in JSON')
  }
  return { command: request['command'], args }
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function tooLong(octetsMax: number): Response {
  const message = `a request has at most ${octetsMax} octets`
  return { ok: false, error: { code: 'CONTROL_REQUEST', message } }
}

/** Asks a running server. What the server refuses is thrown with the server's code, place and remedy.
 *  @throws ConclaveError CONTROL_UNREACHABLE, CONTROL_REQUEST, CONTROL_COMMAND, CONTROL_FAILED, … */
export async function callControl(
  path: string,
  command: string,
  args: Readonly<Record<string, unknown>> = {},
  timeoutSeconds: number = CALL_SECONDS,
): Promise<unknown> {
  const line = await exchange(path, `${JSON.stringify({ command, arguments: args })}\n`, timeoutSeconds)
  const response = parseObject(line)
  if (response?.['ok'] === true) return response['result']
  const error = response?.['error']
  if (!isObject(error)) throw unreachable(path, 'what answers is no server of ours')
  const { code, message, place, remedy } = error
  throw new ConclaveError(String(code), String(message), {
    ...(isObject(place) ? { place: place as Place } : {}),
    ...(typeof remedy === 'string' ? { remedy } : {}),
  })
}

function exchange(path: string, request: string, timeoutSeconds: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const fail = (what: string, cause?: unknown): void => {
      socket.destroy()
      reject(unreachable(path, what, cause))
    }
    socket.setTimeout(timeoutSeconds * 1000, () => fail(`no answer within ${timeoutSeconds} seconds`))
    socket.on('error', error => fail(whyUnreachable(error), error))
    socket.on('close', () => fail('the server ended the connection'))
    socket.on('connect', () => socket.write(request))
    readLines(socket, RESPONSE_OCTETS_MAX, line => {
      if (line === undefined) return fail('the answer is too long')
      resolve(line)
      socket.destroy()
    })
  })
}

function whyUnreachable(error: Error): string {
  if (isErrno(error, 'ENOENT') || isErrno(error, 'ECONNREFUSED')) return 'no server is running there'
  if (isErrno(error, 'EACCES')) return 'the server belongs to another user'
  return error.message
}

function unreachable(path: string, what: string, cause?: unknown): ConclaveError {
  return new ConclaveError('CONTROL_UNREACHABLE', `the server cannot be asked: ${what}`, {
    place: { file: path },
    remedy: 'Name the running server with --state.',
    ...(cause === undefined ? {} : { cause }),
  })
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
