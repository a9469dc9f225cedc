/** Zone files of a nameserver: from stable octets on disk to content, with what went wrong on the way.
 *
 *    watcher ─onStable─▶ a slot ─┬─▶ parse + lint ─────────────────────┬─▶ life of its zone ─▶ published │ refused
 *                                └─▶ what differs, if that is little ──┘   (file-text.ts)
 *
 *  I1  Of one file one reading is under way; of those that come meanwhile only the newest is taken.
 *  I2  A reading that fails leaves the zone as it is served.
 *  I3  A version that loses more than half of its names waits for a second stable reading with the same content.
 *  I4  What goes on at once is bounded by the size of the files: many small zones share the disk's flushes, large ones
 *      do not pile up in memory, and what was read does not, either.
 *  I5  A file that was forgotten is not followed, nor found again in its directory, until it is added or has gone. */
import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Clock, ConclaveError, type Logger, letGo } from '../base/index.ts'
import { type Fault, type Name, nameToText, type Store, type ZoneContent } from '../zones/index.ts'
import { type Effort, LINE_OCTETS } from './effort.ts'
import { contentOfFile, digestOf } from './file-content.ts'
import { type Copies, FileText } from './file-text.ts'
import type { RefusedEvent } from './nameserver-types.ts'
import { type Refusal, refusalOfError } from './refusal.ts'
import { Slots } from './slots.ts'
import { type SourceWatcher, watchSources } from './watch.ts'
import { readSource, type StableRead } from './watch-read.ts'
import { checkDirectory, zoneFilesOf } from './zone-directory.ts'
import type { ZoneLife } from './zone-life.ts'
import type { ZoneOutcome, ZoneSettings } from './zone-life-types.ts'

export interface FileSourcesOptions {
  readonly store: Store
  /** For copies of texts, on a disk where private things may lie. */
  readonly directory: string
  readonly clock: Clock
  readonly log: Logger
  readonly effort: Effort
  readonly watch: boolean
  /** For zones of which nobody said more. */
  readonly settings: ZoneSettings
  /** The life of the zone of that name, which this path may own.
   *  @throws ConclaveError ZONE_TWICE */
  lifeOf(apex: Name, path: string, settings: ZoneSettings): ZoneLife
  /** The source of the zone of that name; undefined when the server has none. */
  knows(apex: Name): string | undefined
  /** The file is of another zone now, and this one was never served. */
  abandon(life: ZoneLife): void
  /** The file of a served zone has gone. */
  lost(life: ZoneLife, path: string): void
  /** A file gave no version. */
  refused(source: string, refusal: Refusal, life?: ZoneLife): void
}

/** Zones smaller than this may shrink as they like: halving a handful of names is an ordinary edit. */
const GUARDED_NAMES = 20
/** I4: a file takes one slot, and one more for each MiB. */
const SLOTS = 64
const SLOT_OCTETS: number = 1 << 20

const NOBODY: FileSource['waiting'] = []

interface FileSource {
  readonly path: string
  /** For the zone in it. */
  settings: ZoneSettings
  origin: Name | undefined
  life: ZoneLife | undefined
  /** Of a large file. */
  text: FileText | undefined
  newest: StableRead | undefined
  reading: Promise<void> | undefined
  /** Digest of content that loses more than half of the names, once seen (I3). */
  doubted: string | undefined
  lastRefusal: Refusal | undefined
  /** Added by itself, not found in its directory. */
  named: boolean
  /** I5. */
  forgotten: boolean
  /** Whoever waits for the next outcome. */
  waiting: readonly ((outcome: ZoneOutcome) => void)[]
}

export class FileSources {
  readonly #options: FileSourcesOptions
  readonly #watcher: SourceWatcher | undefined
  readonly #files = new Map<string, FileSource>()
  /** And what holds for zones in their files. */
  readonly #directories = new Map<string, ZoneSettings>()
  /** I5. */
  readonly #forgotten = new Set<string>()
  readonly #slots = new Slots(SLOTS)
  readonly #copies: Copies
  #closed = false

  constructor(options: FileSourcesOptions) {
    this.#options = options
    this.#copies = { store: options.store, directory: options.directory, count: 0 }
    if (!options.watch) return
    this.#watcher = watchSources({
      clock: options.clock,
      log: options.log,
      onStable: (path, read) => this.#take(path, read),
      onGone: (path, missing) => this.#gone(path, missing),
      onUnreadable: (path, error) => {
        if (!this.#forgotten.has(path)) this.#failed(this.#source(path), error)
      },
      onNew: path => options.log.info('a new zone file', { file: path }),
      room: () => this.#slots.room(),
    })
  }

  /** Reads the file, again if it is known, and follows it; resolves with the first outcome. */
  addFile(path: string, settings: ZoneSettings, origin?: Name): Promise<ZoneOutcome> {
    const file = resolve(path)
    this.#forgotten.delete(file)
    const known = this.#files.has(file)
    const source = this.#source(file)
    source.named = true
    source.settings = settings
    source.life?.configure(settings)
    if (origin !== undefined) source.origin = origin
    if (known) return this.#readAgain(source)
    const outcome = this.#outcome(source)
    if (this.#watcher === undefined) this.#readNow(file)
    // One that its directory's watcher has held on to (I5) is not reported for being added.
    else if (this.#watcher.has(file)) this.#watcher.reread(file)
    else this.#watcher.addFile(file)
    return outcome
  }

  /** Every `*.zone` file there; later ones too when watching.
   *  @throws ConclaveError SOURCE_NOT_FOUND, SOURCE_UNREADABLE */
  async addDirectory(path: string, settings: ZoneSettings): Promise<ZoneOutcome[]> {
    const directory = resolve(path)
    checkDirectory(directory)
    if (!this.#directories.has(directory)) this.#remember(directory)
    this.#directories.set(directory, settings)
    const before = new Set(this.#files.keys())
    const found = this.#watcher?.addDirectory(directory) ?? zoneFilesOf(directory)
    const files = found.filter(file => !this.#forgotten.has(file))
    return Promise.all(
      files.map(file => {
        if (before.has(file)) return this.#readAgain(this.#source(file))
        const outcome = this.#outcome(this.#source(file))
        if (this.#watcher === undefined) this.#readNow(file)
        return outcome
      }),
    )
  }

  /** Reads files again, also those that seem unchanged; `chosen` tells which, all of them without it. */
  reload(chosen?: (path: string) => boolean): Promise<ZoneOutcome[]> {
    if (this.#watcher === undefined) {
      const found = [...this.#directories.keys()].flatMap(zoneFilesOf)
      for (const file of found) if (!this.#forgotten.has(file)) this.#source(file)
    }
    const files = [...this.#files.values()].filter(({ path }) => chosen?.(path) ?? true)
    return Promise.all(files.map(file => this.#readAgain(file)))
  }

  /** Reads files that have given no zone so far, also those that came to a directory and were not noticed yet. */
  readRest(): Promise<ZoneOutcome[]> {
    for (const directory of this.#directories.keys()) {
      const found = this.#watcher?.addDirectory(directory) ?? zoneFilesOf(directory)
      for (const file of found) if (!this.#forgotten.has(file)) this.#source(file)
    }
    const rest = [...this.#files.values()].filter(({ life }) => life === undefined)
    return Promise.all(rest.map(file => this.#readAgain(file)))
  }

  /** Reads a file again because what stood in the way may have gone. */
  retry(path: string): void {
    const file = this.#files.get(path)
    if (file !== undefined && !this.#closed) void this.#readAgain(file)
  }

  #readAgain(file: FileSource): Promise<ZoneOutcome> {
    const outcome = this.#outcome(file)
    if (this.#watcher === undefined) this.#readNow(file.path)
    else if (existsSync(file.path)) this.#watcher.reread(file.path)
    else this.#gone(file.path, file.path)
    return outcome
  }

  /** What holds for the zone in the file from now on, whoever's life it is. */
  configure(path: string, settings: ZoneSettings): void {
    const file = this.#files.get(path)
    if (file !== undefined) file.settings = settings
  }

  /** No longer follows the file (I5). */
  forget(path: string): void {
    const file = this.#files.get(path)
    if (file === undefined) return
    file.forgotten = true
    this.#forgotten.add(path)
    this.#files.delete(path)
    this.#watcher?.removeFile(path)
    this.#settle(file, { kind: 'unchanged' })
    if (file.reading === undefined) file.text?.close()
  }

  /** Files of a directory that was not followed are found again. */
  #remember(directory: string): void {
    for (const path of this.#forgotten) if (dirname(path) === directory) this.#forgotten.delete(path)
  }

  /** What holds for a directory's files from now on, but for those that were added by themselves. */
  configureDirectory(path: string, settings: ZoneSettings): void {
    if (!this.#directories.has(path)) return
    this.#directories.set(path, settings)
    for (const file of this.#foundIn(path)) file.settings = settings
  }

  /** What holds for the zone in a file that is followed. */
  settingsOf(path: string): ZoneSettings | undefined {
    return this.#files.get(path)?.settings
  }

  /** Files that were found in a directory. */
  #foundIn(directory: string): FileSource[] {
    return [...this.#files.values()].filter(({ path, named }) => !named && dirname(path) === directory)
  }

  /** The files of a source: a file, or what was found in a directory. */
  filesOf(path: string): string[] {
    if (this.#directories.has(path)) return this.#foundIn(path).map(file => file.path)
    return this.#files.has(path) ? [path] : []
  }

  /** No longer follows a file or a directory; gives the files whose zones have no source now. A file in a directory that
   *  is followed is one of the directory's then. */
  release(path: string): string[] {
    const file = this.#files.get(path)
    const settings = this.#directories.get(dirname(path))
    if (file !== undefined && settings !== undefined && path.endsWith('.zone')) {
      file.named = false
      file.settings = settings
      file.origin = undefined
      return []
    }
    const released = this.filesOf(path)
    if (this.#directories.delete(path)) this.#watcher?.removeDirectory(path)
    for (const one of released) this.forget(one)
    return released
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
    for (const file of this.#files.values()) {
      this.#settle(file, { kind: 'unchanged' })
      file.text?.close()
    }
  }

  #source(path: string): FileSource {
    const known = this.#files.get(path)
    if (known !== undefined) return known
    const settings = this.#directories.get(dirname(path)) ?? this.#options.settings
    const file: FileSource = {
      path,
      settings,
      text: undefined,
      origin: undefined,
      life: undefined,
      newest: undefined,
      reading: undefined,
      doubted: undefined,
      lastRefusal: undefined,
      named: false,
      forgotten: false,
      waiting: NOBODY,
    }
    this.#files.set(path, file)
    return file
  }

  #outcome(file: FileSource): Promise<ZoneOutcome> {
    return new Promise(resolve => {
      file.waiting = [...file.waiting, resolve]
    })
  }

  #settle(file: FileSource, outcome: ZoneOutcome): void {
    const waiting = file.waiting
    file.waiting = NOBODY
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
    if (this.#forgotten.has(path)) return
    const file = this.#source(path)
    file.newest = read
    const records = read.octets.length / LINE_OCTETS
    file.reading ??= this.#options.effort.during(records, () => this.#readAll(file))
  }

  async #readAll(file: FileSource): Promise<void> {
    while (file.newest !== undefined && !this.#closed && !file.forgotten) {
      const slots = 1 + Math.floor(file.newest.octets.length / SLOT_OCTETS)
      await this.#slots.run(slots, () => this.#readNewest(file))
      if (file.newest === undefined && !this.#closed && !file.forgotten) await file.text?.keep()
    }
    if (file.forgotten) file.text?.close()
    // In the same turn as the test above, so that what comes next starts another reading.
    file.reading = undefined
  }

  async #readNewest(file: FileSource): Promise<void> {
    const read = file.newest
    if (read === undefined || this.#closed || file.forgotten) return
    file.newest = undefined
    try {
      const outcome = await this.#read(file, read)
      if (outcome !== undefined && file.newest === undefined) this.#settle(file, outcome)
    } catch (error) {
      this.#failed(file, error)
    }
  }

  /** Undefined: the content waits for a second reading. */
  async #read(file: FileSource, read: StableRead): Promise<ZoneOutcome | undefined> {
    const quick = await this.#readEdit(file, read)
    if (quick !== undefined) return quick
    const { origin } = file
    const { outcome, includes, parts } = await contentOfFile(this.#options.store, read, origin)
    this.#watcher?.setDependencies(file.path, includes)
    if (outcome.kind === 'faults') {
      return this.#refuse(file, faultsRefusal(outcome.faults, this.#options.clock.now()))
    }
    const published = await this.#publish(file, outcome.content, () => digestOf([read, ...includes]))
    if (published === undefined || published.kind === 'refused') return published
    if (parts === undefined) file.text?.close()
    else {
      file.text ??= new FileText(this.#copies)
      file.text.note(file.life!, read, parts, origin)
    }
    return published
  }

  /** Undefined: the text has to be read whole. */
  async #readEdit(file: FileSource, read: StableRead): Promise<ZoneOutcome | undefined> {
    const { life, path, text, origin } = file
    if (text === undefined || life === undefined || this.#options.knows(life.apex) !== path) return undefined
    const outcome = await text.publish(life, read, origin, 'file changed')
    if (outcome === undefined) return undefined
    this.#options.log.debug('a zone file was read where it differs', { file: path })
    letGo(read.octets)
    file.doubted = undefined
    file.lastRefusal = undefined
    return outcome
  }

  async #publish(
    file: FileSource,
    content: ZoneContent,
    digest: () => string,
  ): Promise<ZoneOutcome | undefined> {
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
    file.doubted = undefined
    file.lastRefusal = undefined
    const reason = life.record === undefined ? 'file read' : 'file changed'
    return life.inTurn(() => life.publishContent(content, reason))
  }

  #lifeOf(file: FileSource, content: ZoneContent): ZoneLife {
    const { life } = file
    const renamed = life !== undefined && this.#options.knows(content.apex) !== file.path
    if (renamed && life.record !== undefined) {
      throw new ConclaveError('ZONE_RENAMED', `the file's SOA is now of ${nameToText(content.apex)}`, {
        place: { file: file.path, zone: life.zone },
        remedy: `Put the new zone into a file of its own; ${life.zone} is served as it was.`,
      })
    }
    // The old name was a mistake that nobody has seen.
    if (renamed) this.#options.abandon(life)
    file.life = undefined
    file.life = this.#options.lifeOf(content.apex, file.path, file.settings)
    return file.life
  }

  #isDoubtful(file: FileSource, life: ZoneLife, content: ZoneContent, digestOf: () => string): boolean {
    const before = life.record?.names ?? 0
    if (before < GUARDED_NAMES || content.names >= before / 2 || this.#watcher === undefined) return false
    const digest = digestOf()
    if (file.doubted === digest) return false
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
    if (this.#forgotten.has(path)) {
      if (missing !== path) return
      // A file that comes back is a new one.
      this.#forgotten.delete(path)
      this.#watcher?.removeFile(path)
      return
    }
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
    const refusal = refusalOfError(error, this.#options.clock.now(), file.path)
    const faults = refusal.faults.map(fault => ({ ...fault, place: { file: file.path, ...fault.place } }))
    this.#settle(file, this.#refuse(file, { ...refusal, faults }))
  }

  #refuse(file: FileSource, refusal: Refusal): ZoneOutcome {
    file.lastRefusal = refusal
    const { life } = file
    if (life !== undefined) {
      life.lastRefusal = refusal
      // It never rejects.
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
