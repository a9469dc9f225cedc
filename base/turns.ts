/** Long loops let others have the event loop now and then: transfers, control, timers.
 *  I1  Between two turns lie some TURN_MILLISECONDS of work, however long a step takes. */

export const TURN_MILLISECONDS = 5
/** Between looks at the clock: steps are a few microseconds, mostly. */
const STEPS_A_LOOK = 16

export class Turns {
  readonly #now: () => number
  readonly #stepsALook: number
  #steps = 0
  #began: number

  /** `stepsALook`: 1 for steps that are long. `now` tells milliseconds. */
  constructor(stepsALook: number = STEPS_A_LOOK, now: () => number = () => performance.now()) {
    this.#stepsALook = stepsALook
    this.#now = now
    this.#began = now()
  }

  /** Counts a step; true when `take` is due. */
  due(): boolean {
    if (++this.#steps < this.#stepsALook) return false
    this.#steps = 0
    return this.#now() - this.#began >= TURN_MILLISECONDS
  }

  async take(): Promise<void> {
    await new Promise(resolve => setImmediate(resolve))
    this.#began = this.#now()
  }
}
