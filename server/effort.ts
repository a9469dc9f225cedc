/** Whether anything is under way that makes versions and takes long: large files being read, large zones being built.
 *  I1  `tell(true)` comes before the first begins, `tell(false)` when none is left, whatever becomes of them.
 *  I2  Small zones do not count: each takes a few milliseconds, and their edits shall not wait for whatever else there is. */

/** I2: of a file or zone, in records. */
const LARGE_RECORDS = 1000
/** A line of a zone file is hardly shorter. */
export const LINE_OCTETS = 32

export class Effort {
  readonly #tell: (working: boolean) => void
  #count = 0

  constructor(tell: (working: boolean) => void) {
    this.#tell = tell
  }

  during<T>(records: number, work: () => Promise<T>): Promise<T> {
    return records < LARGE_RECORDS ? work() : this.#counted(work)
  }

  async #counted<T>(work: () => Promise<T>): Promise<T> {
    if (this.#count++ === 0) this.#tell(true)
    try {
      return await work()
    } finally {
      if (--this.#count === 0) this.#tell(false)
    }
  }
}
