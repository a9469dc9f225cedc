/** Memory that versions needed while they were made goes back to the system: what JavaScript's collector would keep until it
 *  needs room again, what glibc keeps between small allocations that are still in use (malloc_trim(3)), and pages of the
 *  state's database, which is mapped and grows with the journals. Without, a loaded zone costs several times its size, and
 *  an hour of edits and signing keeps hundreds of megabytes (bench/soak.ts).
 *  A command's affair, since it concerns the whole process; programs that embed a nameserver do as they like.
 *  I1  One turn within `EVERY_SECONDS`, whatever is published, and a few more after the start: each holds up the main thread
 *      for some tens of milliseconds, but not the threads that answer.
 *  I2  V8's own way, its memory reducer, is off: it collects each thread's garbage some seconds after the thread was busy,
 *      also of one that answers and hardly makes any: 50 ms and more without an answer.
 *  I3  Where there is no such function (malloc_trim with musl, macOS; Node.js without its inspector), nothing is done. */
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { giveBackMapped, libc } from '../base/index.ts'
import { type Nameserver, STATE_FILE_NAME } from '../server/serving.ts'

/** After the last of the versions that follow one another at the start: collecting everything has V8 forget what it
 *  optimised, too. Each turn doubles it, up to `EVERY_SECONDS`, which is after the first version of those to come. */
const FIRST_SECONDS = 1
const EVERY_SECONDS = 60
/** mallopt(3): what is larger is mapped by itself and unmapped when it is freed, and so much free memory at an arena's end is
 *  given back. Both are glibc's defaults, until it raises them by itself after the first large allocation. */
const OWN_MAPPING_OCTETS = 128 * 1024
const M_TRIM_THRESHOLD = -1
const M_MMAP_THRESHOLD = -3

/** From now on, until the process ends. */
export function freeMemoryAfterVersions(server: Nameserver): void {
  setFlagsFromString('--no-memory-reducer')
  const mallopt = glibc('int mallopt(int, int)')
  mallopt?.(M_MMAP_THRESHOLD, OWN_MAPPING_OCTETS)
  mallopt?.(M_TRIM_THRESHOLD, OWN_MAPPING_OCTETS)
  const trim = glibc('int malloc_trim(size_t)')
  let wait = FIRST_SECONDS
  let since = 0
  let planned: NodeJS.Timeout | undefined
  const free = async (): Promise<void> => {
    planned = undefined
    wait = Math.min(2 * wait, EVERY_SECONDS)
    await collectAll()
    trim?.(0)
    giveBackMapped(join(server.stateDirectory, STATE_FILE_NAME))
  }
  server.on('published', () => {
    if (planned === undefined) {
      planned = setTimeout(() => void free(), wait * 1000).unref()
      since = performance.now()
    } else if (wait < EVERY_SECONDS && performance.now() - since < EVERY_SECONDS * 1000) planned.refresh()
  })
}

/** I3. */
function glibc(prototype: string): ((...words: number[]) => number) | undefined {
  try {
    return libc()?.function(prototype)
  } catch {
    return undefined
  }
}

/** The inspector's is the one door to what V8 does before it would run out of memory. `gc()` lets a process that was busy
 *  within the last seconds keep the room for new objects, which grows to 32 MiB. */
export async function collectAll(): Promise<void> {
  try {
    const { Session } = await import('node:inspector/promises')
    const session = new Session()
    session.connect()
    await session.post('HeapProfiler.collectGarbage')
    session.disconnect()
  } catch {
    // I3.
  }
}
