/** Threads that give way to those that answer: they have a low priority (setpriority(2)), which makes their share of a
 *  processor small, and long slices (slice.ts), so that others need not wait for the end of one. Linux keeps both for each
 *  thread, and 0 means the calling one; elsewhere a priority would be the whole process's, so that nothing is done there.
 *  A new thread has both of the one that starts it.
 *  I1  A priority that is as low already stays.
 *  I2  Lowering is for ever, but where the system lets a thread have its priority back (RLIMIT_NICE, CAP_SYS_NICE).
 *      Slices can always be had back. */
import { readdirSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'
import { askForSlices, LONG_SLICE_MILLISECONDS, ORDINARY_SLICE } from './slice.ts'

/** A thread at 10 gives way to those at 0, and still uses what is left, or a tenth of what it shares with one of them. */
const LOW = 10
/** In the first thread: that of the process, from before anything gave way. */
export const ordinaryPriority: number = getPriority()

/** Lowers the calling thread's priority, or that of another one of this process, and makes its slices long. */
export function giveWay(thread = 0): void {
  if (process.platform !== 'linux') return
  if (getPriority(thread) < LOW) setPriority(thread, LOW)
  askForSlices(thread, LONG_SLICE_MILLISECONDS)
}

/** Lowers all threads that there are but the calling one, which has to be the first; gives those that it lowered. */
export function othersGiveWay(): number[] {
  if (process.platform !== 'linux') return []
  const others = readdirSync('/proc/self/task').map(Number)
  return others.filter(thread => thread !== process.pid && tries(() => giveWay(thread)))
}

/** Makes the first thread's slices long, and lowers its priority if that can be had back: it is tried with another thread,
 *  which gives way in any case (I2). */
export function giveWayMeanwhile(other: number): void {
  askForSlices(0, LONG_SLICE_MILLISECONDS)
  if (ordinaryPriority >= LOW) return
  if (tries(() => setPriority(other, ordinaryPriority)) && tries(() => setPriority(other, LOW))) giveWay()
}

/** Gives the calling thread that priority again, if it has a lower one, and ordinary slices. */
export function takePriority(priority: number): void {
  if (process.platform === 'linux' && getPriority() > priority) tries(() => setPriority(0, priority))
  askForSlices(0, ORDINARY_SLICE)
}

/** False when the thread has ended meanwhile, or the system refuses. */
function tries(work: () => void): boolean {
  try {
    work()
    return true
  } catch {
    return false
  }
}
