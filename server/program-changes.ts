/** The changes of a program to one of its zones, on their way to versions.
 *  I1  Changes made in one turn of the event loop, or while a version is built, become one version.
 *  I2  A change that is refused does not take the others with it.
 *  I3  A promise resolves when its change is signed and live, and rejects when nothing of it was done. */
import { ConclaveError } from '../base/index.ts'
import type { Store } from '../zones/index.ts'
import type { ChangeOutcome, ProgramZone } from './nameserver-types.ts'
import { ChangeSet, servedNodes, type ZoneChange } from './program-zone.ts'
import { refusalError } from './refusal.ts'
import type { ZoneLife } from './zone-life.ts'

interface Asked {
  readonly change: ZoneChange
  readonly resolve: (outcome: ChangeOutcome) => void
  readonly reject: (error: unknown) => void
}

export class ProgramChanges implements ProgramZone {
  readonly name: string
  readonly #life: ZoneLife
  readonly #store: Store
  #waiting: Asked[] = []

  constructor(life: ZoneLife, store: Store) {
    this.name = life.zone
    this.#life = life
    this.#store = store
  }

  change(change: ZoneChange): Promise<ChangeOutcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ change, resolve, reject })
      if (this.#waiting.length === 1) void this.#life.inTurn(() => this.#drain())
    })
  }

  async #drain(): Promise<void> {
    const burst = this.#waiting
    this.#waiting = []
    try {
      await this.#publish(burst)
    } catch (error) {
      // A promise that was settled stays so.
      for (const { reject } of burst) reject(error)
    }
  }

  async #publish(burst: readonly Asked[]): Promise<void> {
    const changes = new ChangeSet(
      this.#life.apex,
      this.#life.apexKey,
      servedNodes(this.#store, this.#life.record?.namesRoot ?? 0),
      this.#life.settings.signing !== undefined,
    )
    const taken: Asked[] = []
    for (const asked of burst) {
      try {
        this.#checkZone()
        changes.add(asked.change)
        taken.push(asked)
      } catch (error) {
        asked.reject(error)
      }
    }
    if (taken.length === 0) return
    const edits = changes.edits()
    const outcome = await this.#life.publishEdits({ kind: 'some', edits }, 'changed by program')
    if (outcome.kind !== 'refused') for (const { resolve } of taken) resolve(outcome)
    else if (taken.length > 1 && outcome.refusal.retryAfterSeconds === undefined && this.#isOpen()) {
      // I2: what is wrong lies in one of them.
      for (const asked of taken) await this.#publish([asked])
    } else for (const { reject } of taken) reject(refusalError(outcome.refusal, this.name))
  }

  #isOpen(): boolean {
    return !this.#life.removed && this.#life.record !== undefined
  }

  #checkZone(): void {
    const { record, removed } = this.#life
    if (removed || record === undefined) {
      throw new ConclaveError('ZONE_REMOVED', 'the zone was removed from the server', {
        place: { zone: this.name },
      })
    }
    if (this.#life.settings.signing !== undefined || !record.signed) return
    throw new ConclaveError('ZONE_SIGNED', 'the zone was signed elsewhere, and a change would break that', {
      place: { zone: this.name },
      remedy: 'Give the whole zone anew, signed, or let it be signed here.',
    })
  }
}
