/** The C library through koffi, loaded on first use; undefined where there is none (Windows, a platform without a
 *  prebuilt koffi), so that every user of it must have another way.
 *  Symbols come from the running program itself, which has libc linked in: no library names to guess (glibc, musl). */

import { createRequire } from 'node:module'

interface Koffi {
  load(path: string | null): { func(prototype: string): (...args: unknown[]) => unknown }
  errno(): number
  address(array: Uint8Array | Int32Array): bigint
}

export interface Libc {
  /** A C function by its prototype: `int flock(int, int)`. */
  function(prototype: string): (...args: unknown[]) => number
  /** errno of this thread's last call. */
  errno(): number
  /** Where the octets are; exact, as user space has 47 bits of addresses. Keeps nothing alive: the caller holds them. */
  addressOf(array: Uint8Array | Int32Array): number
}

let loaded: { libc: Libc | undefined } | undefined

export function libc(): Libc | undefined {
  loaded ??= { libc: load() }
  return loaded.libc
}

function load(): Libc | undefined {
  if (process.platform === 'win32') return undefined
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi
    const library = koffi.load(null)
    return {
      function: prototype => library.func(prototype) as (...args: unknown[]) => number,
      errno: () => koffi.errno(),
      addressOf: array => Number(koffi.address(array)),
    }
  } catch {
    return undefined
  }
}
