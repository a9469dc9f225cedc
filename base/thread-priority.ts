/** Priority of the calling thread: work in the background must not slow answers down. */
import { libc } from './libc.ts'

/** `setpriority` for a process or, on Linux where 0 is the calling thread, for that alone. */
const PRIO_PROCESS = 0

/** Lowers the priority of the calling thread, on Linux; false elsewhere (there it would be the whole process). */
export function lowerThreadPriority(nice = 10): boolean {
  if (process.platform !== 'linux') return false
  return libc()?.function('int setpriority(int, uint, int)')(PRIO_PROCESS, 0, nice) === 0
}
