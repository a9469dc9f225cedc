/** Log lines: a JSON object each, in the form that log collectors take; on a terminal the same lines are made readable.
 *  I1  A readable line is one line: control characters, which a zone file may hold, are shown as escapes.
 *  I2  Lines are written when the turn of the event loop ends that they come in, together, or the process does.
 *  I3  A destination that fails (a closed pipe) loses lines, and harms nothing else; nor does what cannot be written. */

import {
  ConclaveError,
  type ErrorDetails,
  errorText,
  type LogFields,
  type Logger,
  placeText,
} from '../base/index.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

export interface LogOptions {
  readonly level?: LogLevel
  /** Readable lines; default: whether the stream is a terminal. */
  readonly readable?: boolean
  /** Default: standard error, so that standard output stays for results. */
  readonly stream?: NodeJS.WritableStream & { readonly isTTY?: boolean }
}

/** A logger whose least level can be changed. */
export interface LevelLogger extends Logger {
  setLevel(level: LogLevel): void
}

export function createLogger(options: LogOptions = {}): LevelLogger {
  const stream = options.stream ?? process.stderr
  const readable = options.readable ?? stream.isTTY === true
  stream.on('error', () => {})
  const write = writerTo(stream)
  let least = LEVELS.indexOf(options.level ?? 'info')
  const writer =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      if (LEVELS.indexOf(level) < least) return
      const { error } = fields
      const data = error === undefined ? fields : { ...fields, error: serializeError(error) }
      const start = `{"level":"${level}","time":"${new Date().toISOString()}"`
      const json = `${start}${fieldsText(data)},"msg":${JSON.stringify(message)}}`
      write(readable ? readableLine(json, stream.isTTY === true) : `${json}\n`)
    }
  return {
    debug: writer('debug'),
    info: writer('info'),
    warn: writer('warn'),
    error: writer('error'),
    setLevel: level => {
      least = LEVELS.indexOf(level)
    },
  }
}

/** I2: what streams are still to be given. */
const unwritten = new Map<NodeJS.WritableStream, string>()

function writerTo(stream: NodeJS.WritableStream): (line: string) => void {
  return line => {
    if (unwritten.size === 0) {
      process.nextTick(writeAll)
      process.once('exit', writeAll)
    }
    unwritten.set(stream, (unwritten.get(stream) ?? '') + line)
  }
}

function writeAll(): void {
  process.removeListener('exit', writeAll)
  for (const [stream, lines] of unwritten) {
    unwritten.delete(stream)
    if (stream.writable) stream.write(lines)
  }
}

/** I3: what JSON has no form for (a cycle, a bigint) is shown as a string. */
function fieldsText(fields: LogFields): string {
  const text = jsonText(fields)
  return text === '{}' ? '' : `,${text.slice(1, -1)}`
}

function jsonText(fields: LogFields): string {
  try {
    return JSON.stringify(fields)
  } catch {
    return JSON.stringify(
      Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, String(value)])),
    )
  }
}

/** An error as data: what a person needs, and the stack of what is a bug. */
function serializeError(error: unknown): unknown {
  if (error instanceof ConclaveError) {
    const { code, message, place, remedy } = error
    return {
      code,
      message,
      ...(placeText(place) === '' ? {} : { place }),
      ...(remedy === undefined ? {} : { remedy }),
    }
  }
  if (!(error instanceof Error)) return String(error)
  // What the system refused is no bug: its message says all.
  return 'syscall' in error ? { message: error.message } : { message: error.message, stack: error.stack }
}

const COLOURS: Readonly<Record<string, string>> = { debug: '2', info: '36', warn: '33', error: '31' }

function readableLine(json: string, coloured: boolean): string {
  const { time, level, msg, ...fields } = JSON.parse(json) as Record<string, unknown>
  const clock = String(time).slice(11, 19)
  const name = String(level).padEnd(5)
  const paint = coloured ? `\u001b[${COLOURS[String(level)] ?? '0'}m${name}\u001b[0m` : name
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${fieldText(value)}`)
  return `${clock} ${paint} ${plain(String(msg))}${rest.join('')}\n`
}

function fieldText(value: unknown): string {
  if (isErrorData(value))
    return plain(errorText(new ConclaveError(value.code, value.message, value as ErrorDetails)))
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /^[^\s"=]+$/.test(text) ? plain(text) : plain(JSON.stringify(text))
}

function isErrorData(value: unknown): value is { code: string; message: string } {
  return typeof value === 'object' && value !== null && 'code' in value && 'message' in value
}

/** I1. */
function plain(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, character => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}
