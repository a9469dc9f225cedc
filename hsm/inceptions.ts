/** The latest inception that a node has signed for in each zone, over restarts, by its audit log: what its clock has reached.
 *  I1  Inceptions were judged by the node's own clock when they were signed; a clock that is before them now was set back, and
 *      would take old times for new ones. */

import type { AuditLine } from './audit.ts'

export class Inceptions {
  readonly #latest = new Map<string, number>()

  /** A line of the log. */
  read({ what, outcome, zone, inceptionUnix }: AuditLine): void {
    if (what !== 'sign' || outcome !== 'allowed') return
    if (typeof zone === 'string' && typeof inceptionUnix === 'number') this.note(zone, inceptionUnix)
  }

  note(zone: string, inceptionUnix: number): void {
    this.#latest.set(zone, Math.max(inceptionUnix, this.#latest.get(zone) ?? 0))
  }

  /** Whether the latest inception that may be signed for now is before one that was (I1). */
  isSetBack(zone: string, latestUnix: number): boolean {
    return latestUnix < (this.#latest.get(zone) ?? 0)
  }
}
