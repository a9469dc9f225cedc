/** Memory that versions needed while they were made goes back to the system (malloc_trim(3)). Without, glibc keeps what lies
 *  between small allocations that are still in use: hundreds of megabytes after an hour of edits and signing (bench/soak.ts).
 *  A command's affair, since it concerns the whole process; programs that embed a nameserver do as they like.
 *  I1  One call within `EVERY_SECONDS`, whatever is published: it takes some ten milliseconds of the main thread.
 *  I2  Where there is no such function (musl, macOS), nothing is done. */
import { libc } from '../base/index.ts'
import type { Nameserver } from '../server/index.ts'

/** After the first version, when a starting server has come to rest. */
const FIRST_SECONDS = 1
const EVERY_SECONDS = 60

export function freeMemoryAfterVersions(server: Nameserver): void {
  let wait = FIRST_SECONDS
  let planned = false
  server.on('published', () => {
    if (planned) return
    planned = true
    const trim = (): void => {
      planned = false
      trimFunction()?.(0)
    }
    setTimeout(trim, wait * 1000).unref()
    wait = EVERY_SECONDS
  })
}

type Trim = (pad: number) => number

let found: { readonly trim: Trim | undefined } | undefined

function trimFunction(): Trim | undefined {
  found ??= { trim: findTrim() }
  return found.trim
}

function findTrim(): Trim | undefined {
  try {
    return libc()?.function('int malloc_trim(size_t)')
  } catch {
    return undefined
  }
}
