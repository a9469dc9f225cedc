/** Whether anything is under way that makes versions: files being read, zones being built and signed.
 *  I1  `tell(true)` comes before the first begins, `tell(false)` when none is left, whatever becomes of them. */

export class Effort {
  readonly #tell: (working: boolean) => void
  #count = 0

  constructor(tell: (working: boolean) => void) {
    this.#tell = tell
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    if (this.#count++ === 0) this.#tell(true)
    try {
      return await work()
    } finally {
      if (--this.#count === 0) this.#tell(false)
    }
  }
}
