/** Hints that something happened in a directory. Each directory is watched itself and its files are not: one watch a
 *  directory, events name the file, and a file that is replaced by renaming, as editors do, cannot slip away with its inode.
 *  chokidar holds the operating system's watches, but it reads a directory whole whenever something happens there: one with
 *  many entries is watched by node:fs.
 *  I1  A hint may be false or late and says nothing about content: whoever gets it looks at the file.
 *  I2  A directory that became another one (a symbolic link was swapped, as Kubernetes and Capistrano do, or it was
 *      moved and made anew) is noticed by `checkIdentity`, since no event tells it, and is watched anew.
 *  I3  A directory that cannot be watched (no inotify watches left, not there yet) is `deaf`: it must be polled.
 *  I4  A hint reads ENTRIES_MAX_CHOKIDAR entries of the directory at most: an edit costs about the same whatever lies beside it. */

import { readdirSync, statSync, watch as watchPlain } from 'node:fs'
import type { Logger } from '../base/index.ts'

/** A directory with more entries is watched by node:fs. */
const ENTRIES_MAX_CHOKIDAR = 100

export interface DirectoryWatchOptions {
  readonly log: Logger
  /** A name in the directory; undefined: anything in it may have changed. */
  onHint(name: string | undefined): void
}

export class DirectoryWatch {
  readonly path: string
  readonly #options: DirectoryWatchOptions
  #identity: string | undefined
  #watch: SystemWatch | undefined
  #ready = false
  #warned = false

  constructor(path: string, options: DirectoryWatchOptions) {
    this.path = path
    this.#options = options
    this.checkIdentity()
  }

  get deaf(): boolean {
    return !this.#ready
  }

  /** Watches anew when the path leads to another directory than before; everything in it is then worth a look. */
  checkIdentity(): void {
    const identity = identityOf(this.path)
    if (identity === this.#identity) return
    this.#identity = identity
    this.#end()
    if (identity !== undefined) this.#begin()
    this.#options.onHint(undefined)
  }

  close(): void {
    this.#identity = undefined
    this.#end()
  }

  #end(): void {
    void this.#watch?.close()
    this.#watch = undefined
    this.#ready = false
  }

  #begin(): void {
    const watch: SystemWatch = { close() {} }
    this.#watch = watch
    let deaf = false
    const current = (): boolean => this.#watch === watch
    const listeners: WatchListeners = {
      hint: name => {
        if (current()) this.#options.onHint(typeof name === 'string' && name !== '' ? name : undefined)
      },
      ready: () => {
        // chokidar says so after it has failed, too.
        if (!current() || deaf) return
        this.#ready = true
        // What happened before the watch was set up made no event.
        this.#options.onHint(undefined)
      },
      failed: error => {
        deaf = true
        if (current()) this.#failed(error)
      },
    }
    const begin = isLarge(this.path) ? watchLarge : watchSmall
    void begin(this.path, listeners).then(
      close => {
        if (current()) watch.close = close
        else close()
      },
      error => listeners.failed(error),
    )
  }

  /** I3. */
  #failed(error: unknown): void {
    this.#ready = false
    if (this.#warned) return
    this.#warned = true
    this.#options.log.warn('directory cannot be watched, so it is polled', { directory: this.path, error })
  }
}

interface SystemWatch {
  close(): void
}

interface WatchListeners {
  hint(name: unknown): void
  ready(): void
  failed(error: unknown): void
}

function isLarge(path: string): boolean {
  try {
    return readdirSync(path).length > ENTRIES_MAX_CHOKIDAR
  } catch {
    return false
  }
}

/** I4. */
async function watchLarge(path: string, { hint, ready, failed }: WatchListeners): Promise<() => void> {
  const watcher = watchPlain(path)
  watcher.on('change', (_event, name) => hint(name)).on('error', failed)
  ready()
  return () => watcher.close()
}

async function watchSmall(path: string, { hint, ready, failed }: WatchListeners): Promise<() => void> {
  // Loaded while zones are read, and not by commands that watch nothing.
  const { watch } = await import('chokidar')
  const watcher = watch(path, { depth: 0, ignoreInitial: true, atomic: false, ignored: one => one !== path })
  watcher
    .on('raw', (_event, name) => hint(name))
    .on('ready', ready)
    .on('error', failed)
  return () => void watcher.close()
}

function identityOf(path: string): string | undefined {
  try {
    const stats = statSync(path, { bigint: true })
    return stats.isDirectory() ? `${stats.dev}:${stats.ino}` : undefined
  } catch {
    return undefined
  }
}
