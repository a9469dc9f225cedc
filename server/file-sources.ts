/** Zone files of a nameserver: which are followed, and what holds for each.
 *
 *    watcher ─onStable─▶ a slot ─┬─▶ parse + lint ─────────────────────┬─▶ life of its zone ─▶ published │ refused
 *                                └─▶ what differs, if that is little ──┘   (file-source.ts, file-text.ts)
 *
 *  I1  What goes on at once is bounded by the size of the files: many small zones share the disk's flushes, large ones
 *      do not pile up in memory, and what was read does not, either.
 *  I2  A file that was forgotten is not followed, nor found again in its directory, until it is added or has gone. */
import { existsSync, lstatSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Clock, ConclaveError, type Logger } from '../base/index.ts'
import type { Name, Store } from '../zones/index.ts'
import type { Effort } from './effort.ts'
import { FileSource, type FileSourcesContext, type ZoneOwner } from './file-source.ts'
import type { RefusedEvent } from './nameserver-types.ts'
import { Slots } from './slots.ts'
import { type SourceWatcher, watchSources } from './watch.ts'
import { readSource, type StableRead } from './watch-read.ts'
import { checkDirectory, zoneFilesOf } from './zone-directory.ts'
import type { ZoneOutcome, ZoneSettings } from './zone-life-types.ts'

export interface FileSourcesOptions extends ZoneOwner {
  readonly store: Store
  /** For copies of texts, on a disk where private things may lie. */
  readonly directory: string
  readonly clock: Clock
  readonly log: Logger
  readonly effort: Effort
  readonly watch: boolean
  /** For zones of which nobody said more. */
  readonly settings: ZoneSettings
}

/** I1. */
const SLOTS = 64

export class FileSources {
  readonly #options: FileSourcesOptions
  readonly #watcher: SourceWatcher | undefined
  readonly #files = new Map<string, FileSource>()
  /** And what holds for zones in their files. */
  readonly #directories = new Map<string, ZoneSettings>()
  /** I2. */
  readonly #forgotten = new Set<string>()
  /** Zones whose file has gone, until it was looked for another. */
  readonly #orphans = new Set<string>()
  readonly #context: FileSourcesContext

  constructor(options: FileSourcesOptions) {
    const { store, directory, clock, log, effort } = options
    const slots = new Slots(SLOTS)
    const copies = { store, directory, count: 0 }
    this.#options = options
    this.#watcher = options.watch ? this.#watch(slots) : undefined
    const watcher = this.#watcher
    this.#context = { owner: options, store, clock, log, effort, watcher, slots, copies, closed: false }
  }

  #watch(slots: Slots): SourceWatcher {
    const { clock, log } = this.#options
    return watchSources({
      clock,
      log,
      onStable: (path, read) => this.#take(path, read),
      onGone: (path, missing) => this.#gone(path, missing),
      onUnreadable: (path, error) => {
        if (!this.#forgotten.has(path)) this.#file(path).failed(error)
      },
      onNew: path => log.info('a new zone file', { file: path }),
      room: () => slots.room(),
    })
  }

  /** Reads the file, again if it is known, and follows it; resolves with the first outcome. */
  addFile(path: string, settings: ZoneSettings, origin?: Name): Promise<ZoneOutcome> {
    const source = resolve(path)
    this.#forgotten.delete(source)
    const known = this.#files.has(source)
    const file = this.#file(source)
    file.named = true
    file.settings = settings
    file.life?.configure(settings)
    if (origin !== undefined) file.origin = origin
    if (known) return this.#readAgain(file)
    const outcome = file.outcome()
    if (this.#watcher === undefined) this.#readNow(file)
    // One that its directory's watcher has held on to (I2) is not reported for being added.
    else if (this.#watcher.has(source)) this.#watcher.reread(source)
    else this.#watcher.addFile(source)
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
    const sources = found.filter(source => !this.#forgotten.has(source))
    return Promise.all(
      sources.map(source => {
        const file = this.#file(source)
        if (before.has(source)) return this.#readAgain(file)
        const outcome = file.outcome()
        if (this.#watcher === undefined) this.#readNow(file)
        return outcome
      }),
    )
  }

  /** Reads files again, also those that seem unchanged; `chosen` tells which, all of them without it. */
  reload(chosen?: (path: string) => boolean): Promise<ZoneOutcome[]> {
    if (this.#watcher === undefined) {
      const found = [...this.#directories.keys()].flatMap(zoneFilesOf)
      for (const source of found) if (!this.#forgotten.has(source)) this.#file(source)
    }
    const files = [...this.#files.values()].filter(({ path }) => chosen?.(path) ?? true)
    return Promise.all(files.map(file => this.#readAgain(file)))
  }

  /** Reads files that have given no zone so far, also those that came to a directory and were not noticed yet. */
  readRest(): Promise<ZoneOutcome[]> {
    for (const directory of this.#directories.keys()) {
      const found = this.#watcher?.addDirectory(directory) ?? zoneFilesOf(directory)
      for (const source of found) if (!this.#forgotten.has(source)) this.#file(source)
    }
    const rest = [...this.#files.values()].filter(({ life }) => life === undefined)
    return Promise.all(rest.map(file => this.#readAgain(file)))
  }

  /** Reads a file again because what stood in the way may have gone. */
  retry(path: string): void {
    const file = this.#files.get(path)
    if (file !== undefined && !this.#context.closed) void this.#readAgain(file)
  }

  #readAgain(file: FileSource): Promise<ZoneOutcome> {
    const outcome = file.outcome()
    if (this.#watcher === undefined) this.#readNow(file)
    else if (existsSync(file.path)) this.#watcher.reread(file.path)
    else this.#gone(file.path, file.path)
    return outcome
  }

  /** What holds for the zone in the file from now on, whoever's life it is. */
  configure(path: string, settings: ZoneSettings): void {
    const file = this.#files.get(path)
    if (file !== undefined) file.settings = settings
  }

  /** No longer follows the file (I2). */
  forget(path: string): void {
    const file = this.#files.get(path)
    if (file === undefined) return
    this.#forgotten.add(path)
    this.#files.delete(path)
    this.#watcher?.removeFile(path)
    file.forget()
  }

  /** The same of a file that is followed again as soon as it comes back. */
  drop(path: string): void {
    const file = this.#files.get(path)
    this.#files.delete(path)
    this.#watcher?.removeFile(path)
    file?.forget()
  }

  /** The zone may be in another file by now, or was all the time. */
  #orphaned(zone: string): void {
    this.#orphans.add(zone)
    if (this.#orphans.size > 1) return
    // Files often go together.
    setImmediate(() => {
      const orphans = new Set(this.#orphans)
      this.#orphans.clear()
      for (const { path, refused } of this.#files.values()) {
        if (refused?.refusal.code !== 'ZONE_TWICE') continue
        if (refused.refusal.faults.some(({ place }) => orphans.has(place.zone ?? ''))) this.retry(path)
      }
    })
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
    return [...this.#files.values()].flatMap(({ refused }) => refused ?? [])
  }

  async close(): Promise<void> {
    this.#context.closed = true
    await this.#watcher?.close()
    await Promise.all([...this.#files.values()].map(file => file.close()))
  }

  #file(path: string): FileSource {
    const known = this.#files.get(path)
    if (known !== undefined) return known
    const settings = this.#directories.get(dirname(path)) ?? this.#options.settings
    const file = new FileSource(this.#context, path, settings)
    this.#files.set(path, file)
    return file
  }

  #readNow(file: FileSource): void {
    try {
      file.take(readSource(file.path))
    } catch (error) {
      if (!(error instanceof ConclaveError)) throw error
      file.failed(error)
    }
  }

  #take(path: string, read: StableRead): void {
    if (!this.#forgotten.has(path)) this.#file(path).take(read)
  }

  #gone(path: string, missing: string): void {
    if (!this.#forgotten.has(path)) {
      const file = this.#file(path)
      // What was found in a directory, gave no zone and is no longer there is nothing that anybody waits for.
      if (missing === path && !file.named && file.life === undefined && !isEntry(path)) return this.drop(path)
      file.gone(missing)
      if (file.life?.sourceGone === 'free') this.#orphaned(file.life.zone)
      return
    }
    if (missing !== path) return
    // A file that comes back is a new one.
    this.#forgotten.delete(path)
    this.#watcher?.removeFile(path)
  }
}

/** Also when it is a link that leads nowhere. */
function isEntry(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined
  } catch {
    return true
  }
}
