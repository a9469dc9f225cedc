/** Versions that are durable in one turn of the event loop become visible in one step of the store: thousands of zones that
 *  start together share what the catalogue's pages cost.
 *  I1  What a zone wants is asked when the step is made, so that what happened since it was durable counts.
 *  I2  No zone pays for another: when they cannot go together, each goes alone. */
import type { Store } from '../zones/index.ts'

type Change = Parameters<Store['commit']>[0]

interface Publication {
  readonly change: () => Change
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

export class SharedPublication {
  readonly #store: Store
  #waiting: Publication[] = []

  constructor(store: Store) {
    this.#store = store
  }

  /** Resolves when the change is made; rejects with what `change` or the store throws. */
  run(change: () => Change): Promise<void> {
    return new Promise((done, failed) => {
      if (this.#waiting.push({ change, done, failed }) === 1) queueMicrotask(() => this.#publish())
    })
  }

  #publish(): void {
    const waiting = this.#waiting
    this.#waiting = []
    if (waiting.length > 1 && this.#together(waiting)) return
    for (const { change, done, failed } of waiting) {
      try {
        this.#store.commit(change())
        done()
      } catch (error) {
        failed(error)
      }
    }
  }

  #together(publications: readonly Publication[]): boolean {
    try {
      const all = {
        zones: [] as Change['zones'][0][],
        drafts: [] as Change['drafts'][0][],
        dropped: [] as number[],
      }
      for (const publication of publications) {
        const { zones, drafts, dropped } = publication.change()
        for (const zone of zones) all.zones.push(zone)
        for (const draft of drafts) all.drafts.push(draft)
        for (const root of dropped) all.dropped.push(root)
      }
      this.#store.commit(all)
    } catch {
      return false
    }
    for (const { done } of publications) done()
    return true
  }
}
