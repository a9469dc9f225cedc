/** What the commands print: tables and progress for people on a terminal, JSON for machines. */
import { styleText } from 'node:util'
import { ConclaveError, errorText } from '../base/index.ts'

export interface Output {
  /** JSON lines instead of words (`--json`). */
  readonly json: boolean
  /** A person reads standard error: colours and progress bars make sense. */
  readonly terminal: boolean
  line(text: string): void
  /** One JSON value on a line of standard output. */
  value(value: unknown): void
  /** To standard error, beside what is printed. */
  note(text: string): void
  fault(error: unknown): void
}

export function createOutput(json: boolean): Output {
  const terminal = process.stderr.isTTY === true && !json
  const colour = (style: 'red' | 'yellow', text: string): string => (terminal ? styleText(style, text) : text)
  return {
    json,
    terminal,
    line: text => void process.stdout.write(`${harmless(text)}\n`),
    value: value => void process.stdout.write(`${JSON.stringify(value)}\n`),
    note: text => void process.stderr.write(`${harmless(text)}\n`),
    fault(error) {
      if (json) process.stderr.write(`${JSON.stringify({ error: errorFields(error) })}\n`)
      else process.stderr.write(`${colour('red', 'error:')} ${harmless(errorText(error))}\n`)
    },
  }
}

/** Names of files and texts of zones may hold what a terminal takes for commands. */
function harmless(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, character => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}

function errorFields(error: unknown): Record<string, unknown> {
  if (!(error instanceof ConclaveError)) return { code: 'INTERNAL', message: String(error) }
  return { code: error.code, message: error.message, ...error.place, remedy: error.remedy }
}

/** Writes results as fast as whoever reads takes them.
 *  @throws ConclaveError FILE_WRITE when nobody does any more */
export async function writeStandardOutput(parts: Iterable<string | Uint8Array>): Promise<void> {
  const closed = (): ConclaveError => new ConclaveError('FILE_WRITE', 'standard output was closed')
  for (const part of parts) {
    if (process.stdout.errored !== null) throw closed()
    if (process.stdout.write(part)) continue
    const full = await new Promise<boolean>(resolve => {
      process.stdout.once('drain', () => resolve(true)).once('error', () => resolve(false))
    })
    if (!full) throw closed()
  }
}

/** Rows of cells under a heading, columns as wide as their widest cell; numbers stand to the right. */
export function table(heading: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const texts = rows.map(row => row.map(cell => (typeof cell === 'number' ? grouped(cell) : cell)))
  const widths = heading.map((title, column) =>
    Math.max(title.length, ...texts.map(row => row[column]?.length ?? 0)),
  )
  const line = (cells: readonly string[], right: (column: number) => boolean): string =>
    cells
      .map((cell, column) => (right(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd()
  const isNumber = (column: number): boolean =>
    rows.length > 0 && rows.every(row => typeof row[column] === 'number')
  return [line(heading, isNumber), ...texts.map(cells => line(cells, isNumber))].join('\n')
}

/** A whole number with a comma every three digits: `toLocaleString` would load the tables of all languages for it, 20 ms. */
function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** Work shorter than this is not worth a bar. */
const PROGRESS_AFTER_MILLISECONDS = 1000
const PROGRESS_EVERY_MILLISECONDS = 100
const BAR_COLUMNS = 30

export interface Progress {
  /** Without a total there is a count and no bar. */
  update(done: number, total?: number): void
  end(): void
}

/** A bar on standard error once the work has taken a second; nothing when nobody watches. */
export function progressBar(output: Output, what: string): Progress {
  const began = Date.now()
  let drawn = 0
  return {
    update(done, total) {
      const now = Date.now()
      if (!output.terminal || now - began < PROGRESS_AFTER_MILLISECONDS) return
      if (now - drawn < PROGRESS_EVERY_MILLISECONDS) return
      drawn = now
      process.stderr.write(`\r${what} ${total === undefined ? '' : bar(done, total)}${grouped(done)} `)
    },
    end() {
      if (drawn > 0) process.stderr.write('\r\x1b[K')
    },
  }
}

function bar(done: number, total: number): string {
  const filled = Math.min(BAR_COLUMNS, Math.round((BAR_COLUMNS * done) / Math.max(1, total)))
  return `${'█'.repeat(filled).padEnd(BAR_COLUMNS, '░')} ${grouped(total)}: `
}
