/** The files that are watched, each with its phase (watch-file.ts): looks at them when told to, waits until they are
 *  still, reads them one at a time and says what came of it.
 *  I1  A look costs one stat; waiting costs none: one timer ticks for all files, and only while some are not at rest.
 *  I2  Looks and reads are done a few at a time, and the event loop has its turn in between.
 *  I3  Content with the digest of the last reading is no change, whatever its stamp.
 *  I4  A file that cannot be read is tried again at each look: what was in the way (too many open files, a rule of the
 *      system) may have gone without a trace at the file. */

import type { Clock, ConclaveError, Logger, Timer } from '../base/index.ts'
import { type FilePhase, IDLE, phaseAfterLook, phaseAfterTick, STILL_TICKS } from './watch-file.ts'
import {
  lookAt,
  type ReadOutcome,
  readStable,
  type SourceStamp,
  type StableRead,
  type Stamp,
} from './watch-read.ts'

export interface TrackerOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly stillSeconds: number
  /** A file came to rest. */
  onRest(path: string, rest: Rest): void
  /** Resolves when more readings can be taken; undefined: now. */
  room(): Promise<void> | undefined
}

export type Rest =
  /** It was read, `linked` through a symbolic link; `changed` says whether the content is new. */
  | {
      readonly kind: 'read'
      readonly read: StableRead
      readonly linked: boolean
      readonly changed: boolean
    }
  /** It is again what was read last. */
  | { readonly kind: 'same' }
  | { readonly kind: 'gone' }
  /** `again`: for the reason that was told before. */
  | { readonly kind: 'unreadable'; readonly error: ConclaveError; readonly again: boolean }

interface TrackedFile {
  readonly path: string
  phase: FilePhase
  read: { readonly stamp: string; readonly digest: string | undefined } | undefined
  /** Why it could not be read the last time. */
  unreadable: string | undefined
  /** Something happened to it while it waited to be read, or was read. */
  hinted: boolean
  /** Readings in a row that found a writer. */
  writers: number
}

const LOOKS_PER_TURN = 64
/** Of a file of which nothing is known. */
const FIRST_READING: FilePhase = { kind: 'reading', stamp: undefined }
/** Files that are read in one turn, each with so many octets at most; larger ones are as many as they have parts. */
const READS_PER_TURN = 16
const READ_OCTETS = 1 << 14
/** After 30 s at the default stillness, a file that is held open is worth a warning. */
const WRITERS_WARNED = 100

export class FileTracker {
  readonly #options: TrackerOptions
  readonly #files = new Map<string, TrackedFile>()
  readonly #looks = new Set<string>()
  readonly #restless = new Set<TrackedFile>()
  readonly #reads = new Set<TrackedFile>()
  #looking = false
  #reading = false
  #timer: Timer | undefined
  #closed = false

  constructor(options: TrackerOptions) {
    this.#options = options
  }

  has(path: string): boolean {
    return this.#files.has(path)
  }

  /** What is `known` of the file need not be read again; else it is read, at once when it has not been touched lately. */
  track(path: string, known?: SourceStamp): void {
    if (this.#files.has(path)) return
    const read = known === undefined ? undefined : { stamp: known.stamp, digest: known.digest }
    const file: TrackedFile = { path, phase: IDLE, read, unreadable: undefined, hinted: false, writers: 0 }
    this.#files.set(path, file)
    if (known === undefined) this.#enter(file, FIRST_READING)
    else this.look(path)
  }

  untrack(path: string): void {
    const file = this.#files.get(path)
    if (file === undefined) return
    this.#files.delete(path)
    this.#restless.delete(file)
    this.#reads.delete(file)
  }

  /** Looks at the file soon. */
  look(path: string): void {
    this.#looks.add(path)
    if (this.#looking) return
    this.#looking = true
    setImmediate(() => this.#lookOn())
  }

  /** Reads the file again after another stillness, changed or not. */
  settleAgain(path: string): void {
    const file = this.#files.get(path)
    const now = lookAt(path)
    if (file !== undefined && now !== undefined)
      this.#enter(file, { kind: 'settling', stamp: now.stamp, ticks: 0 })
  }

  /** Reads a file that is at rest now. */
  readAgain(path: string): void {
    const file = this.#files.get(path)
    if (file?.phase.kind !== 'idle' || file.read === undefined) return
    this.#enter(file, { kind: 'reading', stamp: file.read.stamp })
  }

  /** Whether a change of the file may be under way. */
  isRestless(path: string): boolean {
    const kind = this.#files.get(path)?.phase.kind
    return kind === 'settling' || kind === 'reading' || kind === 'missing'
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#files.clear()
    this.#looks.clear()
    this.#restless.clear()
    this.#reads.clear()
  }

  #lookOn(): void {
    let left = LOOKS_PER_TURN
    for (const path of this.#looks) {
      if (left-- === 0) break
      this.#looks.delete(path)
      const file = this.#files.get(path)
      if (file !== undefined) this.#look(file)
    }
    this.#looking = this.#looks.size > 0
    if (this.#looking) setImmediate(() => this.#lookOn())
  }

  #look(file: TrackedFile): void {
    if (file.phase.kind === 'reading') {
      file.hinted = true
      return
    }
    const now = lookAt(file.path)?.stamp
    const again = file.unreadable !== undefined && file.phase.kind === 'idle' && now === file.read?.stamp
    const phase: FilePhase = again
      ? { kind: 'reading', stamp: now }
      : phaseAfterLook(file.phase, now, file.read?.stamp)
    if (phase === file.phase) return
    const came = phase.kind === 'idle' && file.phase.kind !== 'idle'
    this.#enter(file, phase)
    if (came) this.#options.onRest(file.path, { kind: 'same' })
  }

  #enter(file: TrackedFile, phase: FilePhase): void {
    if (phase.kind === 'settling' && file.phase.kind !== 'settling') {
      this.#options.log.debug('file is changing', { file: file.path })
    }
    file.phase = phase
    if (phase.kind === 'settling' || phase.kind === 'missing') this.#restless.add(file)
    else this.#restless.delete(file)
    if (phase.kind === 'reading') {
      this.#reads.add(file)
      void this.#readOn()
    }
    this.#arm()
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#restless.size === 0 || this.#closed) return
    this.#timer = this.#options.clock.after(this.#options.stillSeconds / STILL_TICKS, () => {
      this.#timer = undefined
      for (const file of [...this.#restless]) this.#tick(file)
      this.#arm()
    })
  }

  #tick(file: TrackedFile): void {
    const phase = phaseAfterTick(file.phase)
    if (phase.kind === 'gone') {
      file.read = undefined
      file.unreadable = undefined
      this.#enter(file, phase)
      this.#options.onRest(file.path, { kind: 'gone' })
    } else if (phase.kind !== 'reading') this.#enter(file, phase)
    else {
      // Still as far as hints told: a last look, since hints may have been lost.
      const now = lookAt(file.path)?.stamp
      this.#enter(file, now === phase.stamp ? phase : phaseAfterLook(file.phase, now, undefined))
    }
  }

  async #readOn(): Promise<void> {
    if (this.#reading) return
    this.#reading = true
    await undefined
    let left = READS_PER_TURN
    for (const file of this.#reads) {
      this.#reads.delete(file)
      const reading = this.#read(file)
      left -= 1 + Math.floor((reading instanceof Promise ? await reading : reading) / READ_OCTETS)
      if (left > 0 && this.#reads.size > 0) continue
      await new Promise(resolve => setImmediate(resolve))
      await this.#options.room()
      left = READS_PER_TURN
    }
    this.#reading = false
    if (this.#reads.size > 0) void this.#readOn()
  }

  /** The octets that were read. */
  #read(file: TrackedFile): number | Promise<number> {
    if (file.phase.kind !== 'reading') return 0
    const { stamp } = file.phase
    const { clock, stillSeconds } = this.#options
    const reading = readStable(file.path, stamp === undefined ? clock.now() - stillSeconds : undefined)
    if (!(reading instanceof Promise)) return this.#taken(file, stamp, reading)
    return reading.then(outcome => this.#taken(file, stamp, outcome))
  }

  #taken(file: TrackedFile, stamp: Stamp | undefined, outcome: ReadOutcome): number {
    if (!this.#closed && this.#files.get(file.path) === file) this.#take(file, stamp, outcome)
    return outcome.kind === 'read' ? outcome.read.octets.length : 0
  }

  /** What came of reading the file, at that stamp if it was seen still. */
  #take(file: TrackedFile, stamp: Stamp | undefined, outcome: ReadOutcome): void {
    switch (outcome.kind) {
      case 'read':
        if ((stamp ?? outcome.read.stamp) === outcome.read.stamp)
          this.#keep(file, outcome.read, outcome.linked)
        else this.#enter(file, { kind: 'settling', stamp: outcome.read.stamp, ticks: 0 })
        return
      case 'changing':
        this.#settle(file, lookAt(file.path)?.stamp ?? stamp)
        this.#noteWriter(file, outcome.writer)
        return
      case 'gone':
        this.#enter(file, { kind: 'missing', ticks: 0 })
        return
      case 'unreadable':
        file.read = { stamp: stamp ?? lookAt(file.path)?.stamp ?? '', digest: undefined }
        this.#enter(file, IDLE)
        this.#noteUnreadable(file, outcome.error)
        return
      default:
        outcome satisfies never
    }
  }

  /** Undefined: it has gone meanwhile. */
  #settle(file: TrackedFile, stamp: Stamp | undefined): void {
    this.#enter(
      file,
      stamp === undefined ? { kind: 'missing', ticks: 0 } : { kind: 'settling', stamp, ticks: 0 },
    )
  }

  #keep(file: TrackedFile, read: StableRead, linked: boolean): void {
    const changed = file.read?.digest !== read.digest
    file.read = { stamp: read.stamp, digest: read.digest }
    file.unreadable = undefined
    file.writers = 0
    this.#enter(file, IDLE)
    if (file.hinted) this.look(file.path)
    file.hinted = false
    this.#options.onRest(file.path, { kind: 'read', read, linked, changed })
  }

  #noteUnreadable(file: TrackedFile, error: ConclaveError): void {
    const again = file.unreadable === error.message
    file.unreadable = error.message
    if (file.hinted) this.look(file.path)
    file.hinted = false
    this.#options.onRest(file.path, { kind: 'unreadable', error, again })
  }

  #noteWriter(file: TrackedFile, writer: boolean): void {
    file.writers = writer ? file.writers + 1 : 0
    if (file.writers === 1) this.#options.log.debug('file is open for writing', { file: file.path })
    if (file.writers === WRITERS_WARNED) {
      this.#options.log.warn('file waits: a program keeps it open for writing', { file: file.path })
    }
  }
}
