/** Hints that something happened in a directory. chokidar holds the operating system's watches; each directory is
 *  watched itself and its files are not: one watch a directory, events name the file, and a file that is replaced by
 *  renaming, as editors do, cannot slip away with its inode.
 *  I1  A hint may be false or late and says nothing about content: whoever gets it looks at the file.
 *  I2  A directory that became another one (a symbolic link was swapped, as Kubernetes and Capistrano do, or it was
 *      moved and made anew) is noticed by `checkIdentity`, since no event tells it, and is watched anew.
 *  I3  A directory that cannot be watched (no inotify watches left, not there yet) is `deaf`: it must be polled. */

import { statSync } from 'node:fs'
import { type FSWatcher, watch } from 'chokidar'
import type { Logger } from '../base/index.ts'

export interface DirectoryWatchOptions {
  readonly log: Logger
  /** A name in the directory; undefined: anything in it may have changed. */
  onHint(name: string | undefined): void
}

export class DirectoryWatch {
  readonly path: string
  readonly #options: DirectoryWatchOptions
  #identity: string | undefined
  #watcher: FSWatcher | undefined
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
    void this.#watcher?.close()
    this.#watcher = undefined
    this.#ready = false
    if (identity !== undefined) this.#watch()
    this.#options.onHint(undefined)
  }

  async close(): Promise<void> {
    this.#identity = undefined
    await this.#watcher?.close()
  }

  #watch(): void {
    const watcher = watch(this.path, {
      depth: 0,
      ignoreInitial: true,
      atomic: false,
      ignored: path => path !== this.path,
    })
    this.#watcher = watcher
    const current = (): boolean => this.#watcher === watcher
    watcher.on('raw', (_event, name) => {
      if (current()) this.#options.onHint(typeof name === 'string' && name !== '' ? name : undefined)
    })
    watcher.on('ready', () => {
      if (!current() || this.#warned) return
      this.#ready = true
      // What happened before the watch was set up made no event.
      this.#options.onHint(undefined)
    })
    watcher.on('error', error => {
      if (!current()) return
      this.#ready = false
      if (!this.#warned)
        this.#options.log.warn('directory cannot be watched, so it is polled', {
          directory: this.path,
          error,
        })
      this.#warned = true
    })
  }
}

function identityOf(path: string): string | undefined {
  try {
    const stats = statSync(path, { bigint: true })
    return stats.isDirectory() ? `${stats.dev}:${stats.ino}` : undefined
  } catch {
    return undefined
  }
}
