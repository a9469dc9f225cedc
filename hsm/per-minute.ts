/** So many a minute for each name, and a count of the rest.
 *
 *  I1  What was too much in a minute is told as a number when the minute is over, also when nothing follows.
 *  I2  A clock that was set back begins a new minute. */

import type { Clock, Timer } from '../base/index.ts'

interface Minute {
  readonly startUnix: number
  readonly end: Timer
  taken: number
  rest: number
}

const MINUTE_SECONDS = 60

export class PerMinute {
  readonly #clock: Clock
  readonly #onRest: (name: string, count: number) => void
  readonly #minutes = new Map<string, Minute>()

  constructor(clock: Clock, onRest: (name: string, count: number) => void = () => {}) {
    this.#clock = clock
    this.#onRest = onRest
  }

  /** Counts one more; whether it is among the first `most`. */
  takes(name: string, most: number): boolean {
    const minute = this.#minute(name)
    const isTaken = minute.taken < most
    if (isTaken) minute.taken++
    else minute.rest++
    return isTaken
  }

  #minute(name: string): Minute {
    const nowUnix = this.#clock.now()
    const known = this.#minutes.get(name)
    if (known !== undefined) {
      const { startUnix } = known
      // I2. A timer may be late, too.
      if (nowUnix >= startUnix && nowUnix < startUnix + MINUTE_SECONDS) return known
      this.#end(name, known)
    }
    const end = this.#clock.after(MINUTE_SECONDS, () => this.#end(name, minute))
    const minute: Minute = { startUnix: nowUnix, end, taken: 0, rest: 0 }
    this.#minutes.set(name, minute)
    return minute
  }

  /** I1. */
  #end(name: string, { end, rest }: Minute): void {
    end.cancel()
    this.#minutes.delete(name)
    if (rest > 0) this.#onRest(name, rest)
  }
}
