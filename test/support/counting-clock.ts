/** A clock by hand that knows how many timers wait: what is under way with a time limit, for tests that await its end. */
import { ManualClock, type Timer } from '../../base/index.ts'

/** Counts the timers that are neither cancelled nor over. */
export class CountingClock extends ManualClock {
  waiting = 0

  override after(seconds: number, call: () => void): Timer {
    this.waiting++
    let over = false
    const end = (): void => {
      if (!over) this.waiting--
      over = true
    }
    const timer = super.after(seconds, () => {
      end()
      call()
    })
    return {
      cancel: () => {
        end()
        timer.cancel()
      },
    }
  }
}
