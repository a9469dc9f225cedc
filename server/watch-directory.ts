/** Hints that something happened in a directory, from the operating system by node:fs. Each directory is watched itself and
 *  its files are not: one watch a directory, events name the file, and a file that is replaced by renaming, as editors do,
 *  cannot slip away with its inode.
 *  I1  A hint may be false or late and says nothing about content: whoever gets it looks at the file.
 *  I2  A directory that became another one (a symbolic link was swapped, as Kubernetes and Capistrano do, or it was
 *      moved and made anew) is noticed by `checkIdentity`, since no event tells it, and is watched anew.
 *  I3  A directory that cannot be watched (no inotify watches left, not there yet) is `deaf`: it must be polled.
 *  I4  Neither a hint nor setting up a watch reads the directory: an edit costs the same whatever lies beside it. */

import { type FSWatcher, statSync, watch } from 'node:fs'
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
  #warned = false

  constructor(path: string, options: DirectoryWatchOptions) {
    this.path = path
    this.#options = options
    this.checkIdentity()
  }

  get deaf(): boolean {
    return this.#watcher === undefined
  }

  /** Watches anew when the path leads to another directory than before; everything in it is then worth a look. */
  checkIdentity(): void {
    const identity = identityOf(this.path)
    if (identity === this.#identity) return
    this.#identity = identity
    this.#watcher?.close()
    this.#watcher = undefined
    if (identity !== undefined) this.#watch()
    // What happened before the watch was set up made no event.
    this.#options.onHint(undefined)
  }

  close(): void {
    this.#identity = undefined
    this.#watcher?.close()
    this.#watcher = undefined
  }

  #watch(): void {
    try {
      const watcher = watch(this.path)
      this.#watcher = watcher
      watcher.on('change', (_event, name) => {
        if (this.#watcher !== watcher) return
        this.#options.onHint(typeof name === 'string' && name !== '' ? name : undefined)
      })
      watcher.on('error', error => {
        if (this.#watcher === watcher) this.#failed(error)
      })
    } catch (error) {
      this.#failed(error)
    }
  }

  /** I3. */
  #failed(error: unknown): void {
    this.#watcher?.close()
    this.#watcher = undefined
    if (this.#warned) return
    this.#warned = true
    this.#options.log.warn('directory cannot be watched, so it is polled', { directory: this.path, error })
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
