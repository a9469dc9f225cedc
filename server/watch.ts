/** Watching the sources of zones: zone files, the files they include, and directories of `*.zone` files.
 *
 *    operating system ─hints─▶ DirectoryWatch ─▶ FileTracker ─still, read─▶ SourceWatcher ─▶ onStable, onGone, …
 *    every few seconds: sweep ─▶ identities of directories; links, and in turn all files
 *
 *  I1  onStable is called with octets that were the whole content of the file while nobody wrote it, when the zone file
 *      or a file it includes has new content, and none of them is changing.
 *  I2  Content that is the same octets is never reported again, unless `reread` asked for it.
 *  I3  A file that goes away is reported once; nothing is unloaded here.
 *  I4  Work without changes is bounded: a sweep looks at SWEEP_LINKS links and SWEEP_FILES other files at most. */

import { lstatSync, readdirSync, realpathSync } from 'node:fs'
import { dirname, join, resolve, sep } from 'node:path'
import { type Clock, type ConclaveError, type Logger, systemClock, type Timer } from '../base/index.ts'
import { DirectoryWatch } from './watch-directory.ts'
import { lookAt, type SourceStamp, type StableRead } from './watch-read.ts'
import { FileTracker, type Rest } from './watch-tracker.ts'

export interface WatchOptions {
  readonly clock?: Clock
  readonly log: Logger
  /** A file is read when nothing about it changed for so long; default 0.3. */
  readonly stillSeconds?: number
  /** How often links and directories are compared; default 2. */
  readonly sweepSeconds?: number
  /** A zone file's content is new, or that of a file it includes (`changed` names them), or it was asked for again. */
  onStable(
    file: string,
    read: StableRead,
    why: { readonly changed: readonly string[]; readonly repeated: boolean },
  ): void
  /** The zone file, or a file it includes, is not there any more, or was not to begin with. */
  onGone(file: string, missing: string): void
  /** The zone file, or a file it includes, cannot be read. */
  onUnreadable(file: string, error: ConclaveError): void
  /** Resolves when more readings can be taken; undefined: now. */
  room?(): Promise<void> | undefined
  /** A `*.zone` file was found in a watched directory; it is watched from now on. Not called for those there at first. */
  onNew?(file: string, directory: string): void
}

export interface SourceWatcher {
  /** Watches a zone file; its content is reported by onStable, the first time too. Paths become absolute. */
  addFile(path: string): void
  removeFile(path: string): void
  /** Watches every `*.zone` file in a directory, now and later; gives those that are there now. */
  addDirectory(path: string): string[]
  /** No longer looks for files in a directory; those that are watched stay so until `removeFile`. */
  removeDirectory(path: string): void
  /** All zone files. */
  files(): string[]
  /** Whether it is one of them. */
  has(path: string): boolean
  /** Which files a zone file includes, after each parse, also one that failed. A stamp (from readSource) is what the
   *  parser saw; a path alone, for a file that could not be read, is reported when it can. */
  setDependencies(zoneFile: string, includes: readonly (SourceStamp | string)[]): void
  /** Reads again, changed or not, after another stillness, and reports it with `repeated`. All zone files, or one. */
  reread(zoneFile?: string): void
  /** Nothing is reported after the call. */
  close(): Promise<void>
}

const STILL_SECONDS = 0.3
const SWEEP_SECONDS = 2
const SWEEP_LINKS = 512
const SWEEP_FILES = 64
/** A directory that tells its changes is listed again once in so many sweeps. */
const SWEEPS_PER_LISTING = 15

/** For all that have none: most zone files include nothing, and thousands may be watched. */
const NO_FILES: ReadonlySet<string> = new Set()

interface ZoneSource {
  readonly file: string
  includes: ReadonlySet<string>
  changed: ReadonlySet<string>
  repeated: boolean
}

interface WatchedDirectory {
  readonly watch: DirectoryWatch
  /** Tracked files in it, and links whose target is in it. */
  readonly files: Set<string>
  /** Those of them that are links. */
  readonly links: Set<string>
  /** Whether its `*.zone` files are all zone files. */
  scanned: boolean
}

export function watchSources(options: WatchOptions): SourceWatcher {
  return new Watcher(options)
}

class Watcher implements SourceWatcher {
  readonly #options: WatchOptions
  readonly #clock: Clock
  readonly #tracker: FileTracker
  readonly #zones = new Map<string, ZoneSource>()
  /** Zone files that include a file. */
  readonly #includers = new Map<string, Set<ZoneSource>>()
  readonly #directories = new Map<string, WatchedDirectory>()
  /** Links, with the directory that their target was in at last. */
  readonly #links = new Map<string, string>()
  #sweep: Timer | undefined
  #sweeps = 0
  #closed = false

  constructor(options: WatchOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#tracker = new FileTracker({
      clock: this.#clock,
      log: options.log,
      stillSeconds: options.stillSeconds ?? STILL_SECONDS,
      onRest: (path, rest) => this.#onRest(path, rest),
      room: () => options.room?.(),
    })
    this.#armSweep()
  }

  addFile(path: string): void {
    this.#addFile(resolve(path))
  }

  #addFile(file: string): void {
    if (this.#zones.has(file)) return
    const followed = this.#isFollowed(file)
    this.#zones.set(file, { file, includes: NO_FILES, changed: NO_FILES, repeated: false })
    if (followed) this.#tracker.look(file)
    else this.#follow(file)
  }

  removeFile(path: string): void {
    const zone = this.#zones.get(resolve(path))
    if (zone === undefined) return
    this.#zones.delete(zone.file)
    for (const include of zone.includes) this.#exclude(include, zone)
    if (!this.#isFollowed(zone.file)) this.#unfollow(zone.file)
  }

  addDirectory(path: string): string[] {
    const directory = this.#directory(resolve(path))
    directory.scanned = true
    const found = zoneFilesIn(directory.watch.path)
    for (const file of found) this.#addFile(file)
    return found
  }

  removeDirectory(path: string): void {
    const directory = this.#directories.get(resolve(path))
    if (directory === undefined) return
    directory.scanned = false
    this.#closeUnused(directory)
  }

  files(): string[] {
    return [...this.#zones.keys()]
  }

  has(path: string): boolean {
    return this.#zones.has(path)
  }

  setDependencies(zoneFile: string, includes: readonly (SourceStamp | string)[]): void {
    const zone = this.#zones.get(zoneFile)
    if (zone === undefined || (includes.length === 0 && zone.includes === NO_FILES)) return
    const before = zone.includes
    const after = new Set<string>()
    for (const include of includes) {
      const known = typeof include === 'string' ? undefined : include
      const path = resolve(known?.path ?? String(include))
      if (path === zone.file) continue
      after.add(path)
      this.#include(path, zone, known)
    }
    zone.includes = after.size === 0 ? NO_FILES : after
    for (const path of before) if (!after.has(path)) this.#exclude(path, zone)
  }

  reread(zoneFile?: string): void {
    const files = zoneFile === undefined ? this.files() : [resolve(zoneFile)]
    for (const file of files) {
      const zone = this.#zones.get(file)
      if (zone === undefined) continue
      zone.repeated = true
      this.#tracker.settleAgain(file)
      for (const include of zone.includes) this.#tracker.look(include)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#sweep?.cancel()
    this.#tracker.close()
    for (const { watch } of this.#directories.values()) watch.close()
  }

  #isFollowed(path: string): boolean {
    return this.#zones.has(path) || this.#includers.has(path)
  }

  #follow(path: string, known?: SourceStamp): void {
    this.#directory(dirname(path)).files.add(path)
    // Of a file that is to be read, reading tells.
    if (known !== undefined && lookAt(path)?.linked === true) this.#noteLink(path)
    this.#tracker.track(path, known)
  }

  #unfollow(path: string): void {
    this.#tracker.untrack(path)
    this.#leave(dirname(path), path)
    const target = this.#links.get(path)
    this.#links.delete(path)
    if (target !== undefined) this.#leave(target, path)
  }

  #include(path: string, zone: ZoneSource, known?: SourceStamp): void {
    const followed = this.#isFollowed(path)
    const includers = this.#includers.get(path)
    if (includers === undefined) this.#includers.set(path, new Set([zone]))
    else includers.add(zone)
    if (followed) this.#tracker.look(path)
    else this.#follow(path, known)
  }

  #exclude(path: string, zone: ZoneSource): void {
    const includers = this.#includers.get(path)
    includers?.delete(zone)
    if (includers?.size !== 0) return
    this.#includers.delete(path)
    if (!this.#isFollowed(path)) this.#unfollow(path)
  }

  #directory(path: string): WatchedDirectory {
    const known = this.#directories.get(path)
    if (known !== undefined) return known
    const watch = new DirectoryWatch(path, {
      log: this.#options.log,
      onHint: name => this.#onHint(path, name),
    })
    const directory = { watch, files: new Set<string>(), links: new Set<string>(), scanned: false }
    this.#directories.set(path, directory)
    return directory
  }

  #leave(path: string, file: string): void {
    const directory = this.#directories.get(path)
    directory?.files.delete(file)
    directory?.links.delete(file)
    if (directory !== undefined) this.#closeUnused(directory)
  }

  #closeUnused({ files, scanned, watch }: WatchedDirectory): void {
    if (files.size > 0 || scanned) return
    this.#directories.delete(watch.path)
    watch.close()
  }

  /** Where a link leads is watched too: a change of the target makes no event beside the link. */
  #noteLink(path: string): void {
    const target = linkTargetDirectory(path)
    const before = this.#links.get(path)
    if (target === before) return
    const home = this.#directory(dirname(path))
    if (before !== undefined && before !== home.watch.path) this.#leave(before, path)
    if (target === undefined) {
      this.#links.delete(path)
      home.links.delete(path)
      return
    }
    this.#links.set(path, target)
    for (const directory of [home, this.#directory(target)]) {
      directory.files.add(path)
      directory.links.add(path)
    }
  }

  #onHint(path: string, name: string | undefined): void {
    const directory = this.#directories.get(path)
    if (this.#closed || directory === undefined) return
    if (name === undefined) {
      for (const file of directory.files) this.#tracker.look(file)
      if (directory.scanned) this.#list(directory)
      return
    }
    const file = join(path, name)
    if (this.#isFollowed(file)) this.#tracker.look(file)
    else if (directory.scanned && isZoneFileName(name)) this.#list(directory, file)
    // Whatever the name (`..data` of Kubernetes for one), links may lead elsewhere now, or their targets have changed.
    for (const link of directory.links) this.#tracker.look(link)
  }

  /** Adds what is new in a scanned directory, or one file of it. */
  #list(directory: WatchedDirectory, only?: string): void {
    const { path } = directory.watch
    const found = only === undefined ? zoneFilesIn(path) : lookAt(only) === undefined ? [] : [only]
    for (const file of found) {
      if (this.#zones.has(file)) continue
      this.#options.onNew?.(file, path)
      this.#addFile(file)
    }
  }

  #onRest(path: string, rest: Rest): void {
    const link = rest.kind !== 'read' || rest.linked || this.#links.has(path)
    if (link) this.#noteLink(path)
    for (const zone of this.#usersOf(path)) {
      if (rest.kind === 'gone') this.#guard(() => this.#options.onGone(zone.file, path))
      if (rest.kind === 'unreadable' && (zone.repeated || !rest.again)) {
        this.#guard(() => this.#options.onUnreadable(zone.file, rest.error))
      }
      if (rest.kind === 'read' && rest.changed) zone.changed = new Set(zone.changed).add(path)
      if (rest.kind === 'unreadable' && path === zone.file) this.#calm(zone)
      if (zone.changed.size === 0 && !zone.repeated) continue
      // I1: whichever of them comes to rest last calls again.
      if ([zone.file, ...zone.includes].some(file => this.#tracker.isRestless(file))) continue
      if (path === zone.file && rest.kind === 'read') this.#emit(zone, rest.read)
      else this.#tracker.readAgain(zone.file)
    }
  }

  /** Zone files that read a file: itself, and those that include it. */
  #usersOf(path: string): ZoneSource[] {
    const own = this.#zones.get(path)
    return [...(own === undefined ? [] : [own]), ...(this.#includers.get(path) ?? [])]
  }

  #emit(zone: ZoneSource, read: StableRead): void {
    const why = { changed: [...zone.changed], repeated: zone.repeated }
    this.#calm(zone)
    this.#guard(() => this.#options.onStable(zone.file, read, why))
  }

  /** Nothing is owed: it was told, or what is read when the file can be read again is new anyway. */
  #calm(zone: ZoneSource): void {
    zone.changed = NO_FILES
    zone.repeated = false
  }

  /** A fault in what is told must not stop the watching of other files. */
  #guard(call: () => void): void {
    if (this.#closed) return
    try {
      call()
    } catch (error) {
      this.#options.log.error('a change could not be passed on', { error })
    }
  }

  #armSweep(): void {
    this.#sweep = this.#clock.after(this.#options.sweepSeconds ?? SWEEP_SECONDS, () => {
      this.#sweepOnce()
      if (!this.#closed) this.#armSweep()
    })
  }

  #sweepOnce(): void {
    this.#sweeps++
    for (const directory of turn([...this.#directories.values()], this.#sweeps, SWEEP_LINKS)) {
      directory.watch.checkIdentity()
      const listing = directory.watch.deaf || this.#sweeps % SWEEPS_PER_LISTING === 0
      if (directory.scanned && listing) this.#list(directory)
    }
    const untold = new Set(this.#links.keys())
    for (const { watch, files } of this.#directories.values()) {
      if (watch.deaf) for (const path of files) untold.add(path)
    }
    for (const path of turn([...untold], this.#sweeps, SWEEP_LINKS)) this.#tracker.look(path)
    for (const path of turn([...this.#zones.keys(), ...this.#includers.keys()], this.#sweeps, SWEEP_FILES))
      this.#tracker.look(path)
  }
}

/** The part of a list whose turn it is: all of it when it is short. */
function turn<T>(list: readonly T[], round: number, size: number): readonly T[] {
  const parts = Math.ceil(list.length / size)
  const start = parts === 0 ? 0 : (round % parts) * size
  return list.slice(start, start + size)
}

function zoneFilesIn(directory: string): string[] {
  try {
    const names = readdirSync(directory).filter(isZoneFileName).sort()
    const start = join(directory, sep)
    return names.map(name => start + name)
  } catch {
    return []
  }
}

function isZoneFileName(name: string): boolean {
  // Nor a temporary file: their names begin with a dot, too.
  return name.endsWith('.zone') && !name.startsWith('.')
}

/** The directory of what a link leads to in the end; undefined when the path is no link, itself or above, or leads nowhere. */
function linkTargetDirectory(path: string): string | undefined {
  try {
    if (!lstatSync(path).isSymbolicLink()) return undefined
    return dirname(realpathSync(path))
  } catch {
    return undefined
  }
}
