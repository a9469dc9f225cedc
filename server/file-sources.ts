/** Zone files of a nameserver: from stable octets on disk to content, with what went wrong on the way.
 *
 *    watcher ─onStable─▶ parse + lint ─▶ life of its zone ─▶ published │ refused
 *
 *  I1  Of one file one reading is under way; of those that come meanwhile only the newest is taken.
 *  I2  A reading that fails leaves the zone as it is served.
 *  I3  A version that loses more than half of its names waits for a second stable reading with the same content. */
import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Clock, ConclaveError, type Logger } from '../base/index.ts'
import { checkZone, type Fault, type Name, nameToText, type Store, type ZoneContent } from '../zones/index.ts'
import type { RefusedEvent } from './nameserver.ts'
import { type SourceWatcher, watchSources } from './watch.ts'
import { readSource, type SourceStamp, type StableRead } from './watch-read.ts'
import type { Refusal, ZoneLife, ZoneOutcome } from './zone-life.ts'

export interface FileSourcesOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Logger
  readonly watch: boolean
  /** The life of the zone of that name, which this path may own.
   *  @throws ConclaveError ZONE_TWICE */
  lifeOf(apex: Name, path: string): ZoneLife
  /** The file of a served zone has gone. */
  lost(life: ZoneLife, path: string): void
  /** A file gave no version. */
  refused(source: string, refusal: Refusal, life?: ZoneLife): void
}

/** Zones smaller than this may shrink as they like: halving a handful of names is an ordinary edit. */
const GUARDED_NAMES = 20

interface FileSource {
  readonly path: string
  readonly origin?: Name
  life?: ZoneLife
  newest?: StableRead
  reading?: Promise<void>
  /** Digest of content that loses more than half of the names, once seen (I3). */
  doubted?: string
  lastRefusal?: Refusal
  /** Whoever waits for the next outcome. */
  waiting: ((outcome: ZoneOutcome) => void)[]
}

export class FileSources {
  readonly #options: FileSourcesOptions
  readonly #watcher: SourceWatcher | undefined
  readonly #files = new Map<string, FileSource>()
  readonly #directories = new Set<string>()
  #closed = false

  constructor(options: FileSourcesOptions) {
    this.#options = options
    if (!options.watch) return
    this.#watcher = watchSources({
      clock: options.clock,
      log: options.log,
      onStable: (path, read) => this.#take(path, read),
      onGone: (path, missing) => this.#gone(path, missing),
      onUnreadable: (path, error) => this.#failed(this.#source(path), error),
      onNew: path => options.log.info('a new zone file', { file: path }),
    })
  }

  /** Reads the file and follows it; resolves with the first outcome. */
  addFile(path: string, origin?: Name): Promise<ZoneOutcome> {
    const file = resolve(path)
    if (!this.#files.has(file)) {
      this.#files.set(file, { path: file, ...(origin === undefined ? {} : { origin }), waiting: [] })
    }
    const outcome = this.#outcome(this.#source(file))
    if (this.#watcher === undefined) this.#readNow(file)
    else this.#watcher.addFile(file)
    return outcome
  }

  /** Every `*.zone` file there; later ones too when watching. */
  addDirectory(path: string): Promise<ZoneOutcome[]> {
    const directory = resolve(path)
    this.#directories.add(directory)
    const found = this.#watcher?.addDirectory(directory) ?? zoneFilesOf(directory)
    return Promise.all(
      found.map(file => {
        const outcome = this.#outcome(this.#source(file))
        if (this.#watcher === undefined) this.#readNow(file)
        return outcome
      }),
    )
  }

  /** Reads files again, also those that seem unchanged; `chosen` tells which, all of them without it. */
  reload(chosen?: (path: string) => boolean): Promise<ZoneOutcome[]> {
    if (this.#watcher === undefined) {
      for (const directory of this.#directories) for (const file of zoneFilesOf(directory)) this.#source(file)
    }
    const files = [...this.#files.values()].filter(({ path }) => chosen?.(path) ?? true)
    return Promise.all(
      files.map(file => {
        const outcome = this.#outcome(file)
        if (this.#watcher === undefined) this.#readNow(file.path)
        else if (existsSync(file.path)) this.#watcher.reread(file.path)
        else this.#gone(file.path, file.path)
        return outcome
      }),
    )
  }

  /** No longer follows the file. */
  forget(path: string): void {
    this.#watcher?.removeFile(path)
    this.#files.delete(path)
  }

  /** Files that have given no zone so far, and why. */
  refusedSources(): RefusedEvent[] {
    return [...this.#files.values()].flatMap(({ path, life, lastRefusal }) =>
      lastRefusal === undefined || life !== undefined ? [] : [{ source: path, refusal: lastRefusal }],
    )
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#watcher?.close()
    await Promise.all([...this.#files.values()].map(file => file.reading))
    for (const file of this.#files.values()) this.#settle(file, { kind: 'unchanged' })
  }

  #source(path: string): FileSource {
    const known = this.#files.get(path)
    if (known !== undefined) return known
    const file: FileSource = { path, waiting: [] }
    this.#files.set(path, file)
    return file
  }

  #outcome(file: FileSource): Promise<ZoneOutcome> {
    return new Promise(resolve => file.waiting.push(resolve))
  }

  #settle(file: FileSource, outcome: ZoneOutcome): void {
    const waiting = file.waiting
    file.waiting = []
    for (const resolve of waiting) resolve(outcome)
  }

  #readNow(path: string): void {
    try {
      this.#take(path, readSource(path))
    } catch (error) {
      if (!(error instanceof ConclaveError)) throw error
      this.#failed(this.#source(path), error)
    }
  }

  #take(path: string, read: StableRead): void {
    const file = this.#source(path)
    file.newest = read
    file.reading ??= this.#readAll(file).finally(() => {
      delete file.reading
    })
  }

  async #readAll(file: FileSource): Promise<void> {
    for (let read = file.newest; read !== undefined && !this.#closed; read = file.newest) {
      delete file.newest
      try {
        const outcome = await this.#read(file, read)
        if (outcome !== undefined && file.newest === undefined) this.#settle(file, outcome)
      } catch (error) {
        this.#failed(file, error)
      }
    }
  }

  /** Undefined: the content waits for a second reading. */
  async #read(file: FileSource, read: StableRead): Promise<ZoneOutcome | undefined> {
    const includes = new Map<string, SourceStamp | string>()
    const outcome = checkZone(this.#options.store, read.octets, {
      file: file.path,
      ...(file.origin === undefined ? {} : { origin: file.origin }),
      read: path => {
        includes.set(path, path)
        const included = readSource(path)
        includes.set(path, included)
        return included.octets
      },
    })
    this.#watcher?.setDependencies(file.path, [...includes.values()])
    if (outcome.kind === 'faults')
      return this.#refuse(file, faultsRefusal(outcome.faults, this.#options.clock.now()))
    return this.#publish(file, outcome.content, Buffer.from(read.digest).toString('hex'))
  }

  async #publish(file: FileSource, content: ZoneContent, digest: string): Promise<ZoneOutcome | undefined> {
    let life: ZoneLife
    try {
      life = this.#lifeOf(file, content)
    } catch (error) {
      content.tree.discard()
      throw error
    }
    if (this.#isDoubtful(file, life, content, digest)) {
      content.tree.discard()
      return undefined
    }
    delete file.doubted
    delete file.lastRefusal
    const reason = life.record === undefined ? 'file read' : 'file changed'
    return life.inTurn(() => life.publishContent(content, reason))
  }

  #lifeOf(file: FileSource, content: ZoneContent): ZoneLife {
    const life = this.#options.lifeOf(content.apex, file.path)
    if (file.life !== undefined && file.life !== life) {
      throw new ConclaveError('ZONE_RENAMED', `the file's SOA is now of ${nameToText(content.apex)}`, {
        place: { file: file.path, zone: file.life.zone },
        remedy: `Put the new zone into a file of its own; ${file.life.zone} is served as it was.`,
      })
    }
    file.life = life
    return life
  }

  #isDoubtful(file: FileSource, life: ZoneLife, content: ZoneContent, digest: string): boolean {
    const before = life.record?.names ?? 0
    if (before < GUARDED_NAMES || content.names >= before / 2 || file.doubted === digest) return false
    if (this.#watcher === undefined) return false
    file.doubted = digest
    this.#options.log.warn(
      'a version loses more than half of its names: it waits for a second stable reading',
      {
        zone: life.zone,
        file: file.path,
        namesBefore: before,
        names: content.names,
      },
    )
    this.#watcher.reread(file.path)
    return true
  }

  #gone(path: string, missing: string): void {
    const file = this.#source(path)
    if (file.life !== undefined && missing === path) {
      this.#options.lost(file.life, path)
      this.#settle(file, { kind: 'unchanged' })
      return
    }
    // The refusal that stands has the place of the $INCLUDE, if it is not about something else: either says more.
    if (missing !== path && file.lastRefusal !== undefined) return
    const error = new ConclaveError('SOURCE_GONE', 'the file is not there', {
      place: { file: missing },
      remedy: 'Put it back; it is read as soon as it appears.',
    })
    this.#failed(file, error)
  }

  #failed(file: FileSource, error: unknown): void {
    if (!(error instanceof ConclaveError)) {
      this.#options.log.error('a zone file could not be taken in', { file: file.path, error })
    }
    const { clock } = this.#options
    const code = error instanceof ConclaveError ? error.code : 'INTERNAL'
    const what = error instanceof Error ? error.message : String(error)
    const place = { file: file.path, ...(error instanceof ConclaveError ? error.place : {}) }
    const fault: Fault = { place, what, severity: 'error', rule: code }
    this.#settle(file, this.#refuse(file, { code, what, faults: [fault], atUnix: clock.now() }))
  }

  #refuse(file: FileSource, refusal: Refusal): ZoneOutcome {
    file.lastRefusal = refusal
    const { life } = file
    if (life !== undefined) {
      life.lastRefusal = refusal
      void life.inTurn(() => life.noteRefusal(refusal))
    }
    this.#options.refused(file.path, refusal, life)
    return { kind: 'refused', refusal }
  }
}

function faultsRefusal(faults: readonly Fault[], atUnix: number): Refusal {
  const errors = faults.filter(fault => fault.severity === 'error')
  const what = errors.length === 1 ? errors[0]!.what : `${errors.length} errors in the zone file`
  return { code: 'ZONE_FAULTS', what, faults, atUnix }
}

function zoneFilesOf(directory: string): string[] {
  return readdirSync(directory)
    .filter(name => name.endsWith('.zone') && !name.startsWith('.'))
    .sort()
    .map(name => join(directory, name))
}
