/** A bound on work that goes on at once, in units of its size.
 *  I1  What is running never exceeds the capacity, and who came first goes first. */

export class Slots {
  readonly #capacity: number
  #used = 0
  readonly #waiting = new Set<{ readonly units: number; readonly go: () => void }>()
  readonly #roomWanted: (() => void)[] = []

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** Resolves when no more wait than there are units; undefined: that is so now. */
  room(): Promise<void> | undefined {
    if (this.#waiting.size <= this.#capacity) return undefined
    return new Promise(go => this.#roomWanted.push(go))
  }

  /** Runs the work when there is room. */
  async run<T>(units: number, work: () => Promise<T>): Promise<T> {
    await this.take(units)
    try {
      return await work()
    } finally {
      this.give(units)
    }
  }

  /** Resolves when there is room; undefined: there is. Work larger than all of it goes on alone. */
  take(units: number): Promise<void> | undefined {
    const wanted = Math.min(units, this.#capacity)
    if (this.#waiting.size === 0 && this.#used + wanted <= this.#capacity) {
      this.#used += wanted
      return undefined
    }
    return new Promise(go => this.#waiting.add({ units: wanted, go }))
  }

  /** The work that took as many units has ended. */
  give(units: number): void {
    this.#used -= Math.min(units, this.#capacity)
    this.#admit()
  }

  #admit(): void {
    for (const one of this.#waiting) {
      if (this.#used + one.units > this.#capacity) break
      this.#used += one.units
      this.#waiting.delete(one)
      one.go()
    }
    if (this.#waiting.size <= this.#capacity) for (const go of this.#roomWanted.splice(0)) go()
  }
}
