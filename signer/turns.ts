/** Long loops let others have the event loop now and then: transfers, control, timers.
 *  I1  Between two turns at most `stepsMax` steps are taken; a step is a node or so, a few microseconds. */

export const STEPS_A_TURN = 2048

export class Turns {
  readonly #stepsMax: number
  #steps = 0

  constructor(stepsMax: number = STEPS_A_TURN) {
    this.#stepsMax = stepsMax
  }

  /** Counts a step; true when `take` is due. */
  due(): boolean {
    if (++this.#steps < this.#stepsMax) return false
    this.#steps = 0
    return true
  }

  take(): Promise<void> {
    return new Promise(resolve => setImmediate(resolve))
  }
}
