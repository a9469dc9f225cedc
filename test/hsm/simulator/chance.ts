/** Numbers that a seed decides, and time that jumps from event to event: with these two, a run is the same every time. */

import type { Clock, Timer } from '../../../base/index.ts'
import { NOW } from '../nodes.ts'

/** Numbers that a seed decides (mulberry32). */
export class Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }

  /** In [0, end). */
  below(end: number): number {
    return Math.floor(this.next() * end)
  }

  happens(probability: number): boolean {
    return this.next() < probability
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!
  }

  /** So many of them, in any order. */
  some<T>(items: readonly T[], count: number): T[] {
    const left = [...items]
    return Array.from({ length: count }, () => left.splice(this.below(left.length), 1)[0]!)
  }
}

/** Time that jumps to the next thing that is due. */
export class EventClock implements Clock {
  #now = NOW
  #number = 0
  #due: { readonly at: number; readonly number: number; readonly call: () => void }[] = []

  now(): number {
    return this.#now
  }

  after(seconds: number, call: () => void): Timer {
    const entry = { at: this.#now + Math.max(0, seconds), number: this.#number++, call }
    this.#due.push(entry)
    return {
      cancel: () => {
        const at = this.#due.indexOf(entry)
        if (at >= 0) this.#due.splice(at, 1)
      },
    }
  }

  /** Does what is due next, if it is before that time; else it is that time. */
  step(endUnix: number): boolean {
    let first = this.#due[0]
    for (const entry of this.#due) {
      if (entry.at < first!.at || (entry.at === first!.at && entry.number < first!.number)) first = entry
    }
    if (first === undefined || first.at > endUnix) {
      this.#now = Math.max(this.#now, endUnix)
      return false
    }
    this.#due.splice(this.#due.indexOf(first), 1)
    this.#now = Math.max(this.#now, first.at)
    first.call()
    return true
  }
}
