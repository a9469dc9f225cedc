/** Transactions that zones ask for in one turn of the event loop, made as one: what it costs to begin one and to wait for the
 *  disk, thousands of zones that start together share.
 *  I1  A promise that resolved is durable; of those that went together none is when one fails. */
import type { OctetsDatabase } from './state-keys.ts'

export class SharedCommit {
  readonly #database: OctetsDatabase
  #work: (() => void)[] = []
  #next: Promise<void> | undefined

  /** Of an environment, by any of its databases. */
  constructor(database: OctetsDatabase) {
    this.#database = database
  }

  /** `work` puts and removes, and must not throw. */
  run(work: () => void): Promise<void> {
    this.#work.push(work)
    this.#next ??= this.#commit()
    return this.#next
  }

  async #commit(): Promise<void> {
    await new Promise(resolve => setImmediate(resolve))
    const work = this.#work
    this.#work = []
    this.#next = undefined
    await this.#database.batch(() => {
      for (const one of work) one()
    })
    await this.#database.flushed
  }
}
