/** One watched file: what was read of it last, and how far a change of it has come.
 *
 *             stamp differs                    still for STILL_TICKS, nobody writes
 *    idle ────────────────────▶ settling ───────────────────────────────────────────▶ reading
 *     ▲ ▲                         ▲  ▲ │ ▲                                              │ │
 *     │ └──────── the stamp is the one read ─┘ └── stamp differs: begins anew ──────────┼─┘
 *     └─────────────────────────────────── read, or unreadable ─────────────────────────┘
 *
 *    idle, settling, reading ──not there──▶ missing ──for MISSING_TICKS──▶ gone
 *    missing, gone ──there──▶ settling
 *
 *  I1  Time is counted in ticks that really passed, so a clock that jumps makes nothing still.
 *  I2  A file is read only at the stamp at which it was still; the first time, when its own times say that it is.
 *  I3  `missing` bridges the moment between an editor's unlink and its rename.
 *  I4  A file that was renamed into the place of the one read is finished, and is read after RENAMED_TICKS. */

import { isRenamedOver, type Stamp } from './watch-read.ts'

/** stillSeconds is divided into so many ticks. */
export const STILL_TICKS = 30
export const MISSING_TICKS = 100
/** I4. The first tick may come at once, the others do not: by default they take longer than the clock of a file system,
 *  whose own tick is 10 ms at most on Linux. */
export const RENAMED_TICKS = 3

export type FilePhase =
  | { readonly kind: 'idle' }
  | { readonly kind: 'settling'; readonly stamp: Stamp; readonly ticks: number }
  /** Without a stamp: for the first time, at any at which it was not touched lately. */
  | { readonly kind: 'reading'; readonly stamp: Stamp | undefined }
  | { readonly kind: 'missing'; readonly ticks: number }
  | { readonly kind: 'gone' }

/** The same for all files that are at rest. */
export const IDLE: FilePhase = { kind: 'idle' }

/** The phase after a look at the file: its stamp now, and the stamp of what was read of it last. */
export function phaseAfterLook(phase: FilePhase, now: Stamp | undefined, read: Stamp | undefined): FilePhase {
  if (phase.kind === 'reading') return phase
  if (now === undefined) {
    return phase.kind === 'gone' || phase.kind === 'missing' ? phase : { kind: 'missing', ticks: 0 }
  }
  if (phase.kind === 'settling' && phase.stamp === now) return phase
  if (now === read) return IDLE
  const finished = read !== undefined && isRenamedOver(now, read)
  return { kind: 'settling', stamp: now, ticks: finished ? STILL_TICKS - RENAMED_TICKS : 0 }
}

/** The phase after another tick; `settling` and `missing` end by becoming `reading` and `gone`. */
export function phaseAfterTick(phase: FilePhase): FilePhase {
  switch (phase.kind) {
    case 'settling':
      return phase.ticks + 1 >= STILL_TICKS
        ? { kind: 'reading', stamp: phase.stamp }
        : { ...phase, ticks: phase.ticks + 1 }
    case 'missing':
      return phase.ticks + 1 >= MISSING_TICKS ? { kind: 'gone' } : { kind: 'missing', ticks: phase.ticks + 1 }
    case 'idle':
    case 'reading':
    case 'gone':
      return phase
  }
}
