/** A node's audit log: what it was asked, by whom, and what it did, in lines of JSON that each hold the hash of the line before.
 *
 *    {"number":1,"before":"<hash of line 0>","atUnix":…,"by":"coordinator","what":"sign",…}
 *
 *  I1  A line is on disk before anything it allows leaves the node.
 *  I2  Hashes chain from a fixed beginning: a line that was changed, taken out or put in breaks the chain there.
 *  I3  Who keeps an older head (number and hash) sees when the log was cut or rolled back. */

import { createHash } from 'node:crypto'

export interface AuditEvent {
  readonly atUnix: number
  /** Whose request it was. */
  readonly by: string
  readonly what: string
  readonly [detail: string]: string | number | boolean | readonly string[] | undefined
}

/** Where lines are kept. */
export interface AuditStorage {
  /** Resolves when the text is durable behind what was there. */
  append(text: string): Promise<void>
  /** The whole log, line by line. */
  lines(): Iterable<string>
}

/** As it is in the log; what else is in it depends on what it tells of. */
export interface AuditLine {
  readonly number: number
  readonly before: string
  readonly [detail: string]: unknown
}

export interface AuditState {
  /** Lines so far. */
  readonly length: number
  /** Hash of the last line; of nothing at the beginning. */
  readonly head: Uint8Array
}

export type AuditVerdict =
  | ({ readonly kind: 'whole' } & AuditState)
  | { readonly kind: 'broken'; readonly line: number; readonly what: string }

const BEGINNING = createHash('sha256').update('conclave audit log v1').digest()

export class AuditLog {
  readonly #storage: AuditStorage
  #length: number
  #head: Uint8Array
  #last: Promise<unknown> = Promise.resolve()

  private constructor(storage: AuditStorage, state: AuditState) {
    this.#storage = storage
    this.#length = state.length
    this.#head = state.head
  }

  /** `visit` is shown every line there is.
   *  @throws Error when the chain is broken */
  static open(storage: AuditStorage, visit: (line: AuditLine) => void = () => {}): AuditLog {
    const verdict = verifyAudit(storage.lines(), visit)
    if (verdict.kind === 'broken') throw new Error(`line ${verdict.line} of the audit log: ${verdict.what}`)
    return new AuditLog(storage, verdict)
  }

  get state(): AuditState {
    return { length: this.#length, head: this.#head }
  }

  /** Resolves when the events are durable (I1); rejects from the first failure of the storage on. */
  append(events: readonly AuditEvent[]): Promise<void> {
    if (events.length === 0) return this.#last.then(() => undefined)
    const lines = events.map(event => {
      const before = Buffer.from(this.#head).toString('hex')
      const text = JSON.stringify({ number: this.#length + 1, before, ...event })
      this.#length++
      this.#head = hashOfLine(text)
      return `${text}\n`
    })
    // One after the other, in the order of the chain; after a failure nothing more, since it would not follow.
    const written = this.#last.then(() => this.#storage.append(lines.join('')))
    written.catch(() => {})
    this.#last = written
    return written
  }

  /** Lines from that number on. */
  *from(number: number, linesMax: number): Generator<string> {
    let at = 0
    let given = 0
    for (const line of this.#storage.lines()) {
      if (++at < number) continue
      if (given++ === linesMax) return
      yield line
    }
  }
}

/** I2. */
export function verifyAudit(
  lines: Iterable<string>,
  visit: (line: AuditLine) => void = () => {},
): AuditVerdict {
  let head: Uint8Array = new Uint8Array(BEGINNING)
  let length = 0
  for (const text of lines) {
    const line = parseLine(text)
    length++
    if (line === undefined) return { kind: 'broken', line: length, what: 'it is not a line of a log' }
    if (line.number !== length) return { kind: 'broken', line: length, what: `its number is ${line.number}` }
    if (line.before !== Buffer.from(head).toString('hex')) {
      return { kind: 'broken', line: length, what: 'it does not follow the line before' }
    }
    head = hashOfLine(text)
    visit(line)
  }
  return { kind: 'whole', length, head }
}

function parseLine(text: string): AuditLine | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return undefined
    const { number, before } = value as { number?: unknown; before?: unknown }
    return typeof number === 'number' && typeof before === 'string' ? { ...value, number, before } : undefined
  } catch {
    return undefined
  }
}

function hashOfLine(text: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(text).digest())
}
