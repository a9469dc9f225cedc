/** Time as an argument: everything that needs the hour or a delay gets a Clock, so tests can own time. */

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Seconds since the Unix epoch, with fraction. */
  now(): number
  /** Calls once after that many seconds; never holds the process open by itself. */
  after(seconds: number, call: () => void): Timer
}

/** Node.js refuses longer timeouts than 2^31 − 1 ms; longer waits are made of several. */
const TIMEOUT_MILLISECONDS_MAX = 0x7fffffff

export const systemClock: Clock = {
  now: () => Date.now() / 1000,
  after(seconds, call) {
    const end = Date.now() + seconds * 1000
    let handle: NodeJS.Timeout
    const arm = (): void => {
      const left = Math.max(0, end - Date.now())
      const wait = Math.min(left, TIMEOUT_MILLISECONDS_MAX)
      handle = setTimeout(() => (left > wait ? arm() : call()), wait)
      handle.unref()
    }
    arm()
    return { cancel: () => clearTimeout(handle) }
  },
}

/** A clock that moves only when told to: `advance` runs what falls due, in order. */
export class ManualClock implements Clock {
  #now: number
  #waiting: { at: number; call: () => void }[] = []

  constructor(now: number) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  after(seconds: number, call: () => void): Timer {
    const entry = { at: this.#now + seconds, call }
    this.#waiting.push(entry)
    return {
      cancel: () => {
        this.#waiting = this.#waiting.filter(other => other !== entry)
      },
    }
  }

  /** Moves time; a negative step is a clock that was set back and runs nothing. */
  advance(seconds: number): void {
    const end = this.#now + seconds
    for (;;) {
      const due = this.#waiting.filter(entry => entry.at <= end).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#waiting = this.#waiting.filter(entry => entry !== due)
      this.#now = Math.max(this.#now, due.at)
      due.call()
    }
    this.#now = end
  }
}
