/** How long a node takes, as a mean and its usual deviation (after RFC 6298 §2), for a unit of work: batches differ in size, so
 *  a batch counts as its messages and a fixed share for the way and the logging. */

/** What a batch costs beside its messages, in messages. */
export const BATCH_UNITS = 4
/** Taken until there is a measurement: two slow RSA signatures. */
const UNIT_SECONDS_UNKNOWN = 0.04
/** RFC 6298 §2.3's weights. */
const MEAN_WEIGHT = 1 / 8
const DEVIATION_WEIGHT = 1 / 4
/** How many deviations above the mean few answers lie: RFC 6298 §2.3. */
const PATIENCE_DEVIATIONS = 4
/** Below this, waiting is noise of the scheduler. */
const PATIENCE_SECONDS_MIN = 0.03

export class Latency {
  #mean: number | undefined
  #deviation = 0

  note(seconds: number, units: number): void {
    const unit = seconds / units
    if (this.#mean === undefined) {
      this.#mean = unit
      this.#deviation = unit / 2
      return
    }
    this.#deviation += DEVIATION_WEIGHT * (Math.abs(unit - this.#mean) - this.#deviation)
    this.#mean += MEAN_WEIGHT * (unit - this.#mean)
  }

  /** Unknown nodes are tried: they count as fast. */
  expectedSeconds(units: number): number {
    return (this.#mean ?? 0) * units
  }

  /** When an answer is late enough that another node should be asked. */
  patienceSeconds(units: number): number {
    const unit =
      this.#mean === undefined ? UNIT_SECONDS_UNKNOWN : this.#mean + PATIENCE_DEVIATIONS * this.#deviation
    return Math.max(PATIENCE_SECONDS_MIN, unit * units)
  }
}
