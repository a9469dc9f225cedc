/** An exclusive lock on a path, held by the operating system for as long as this process lives.
 *  flock(2) and not the others: a lock file that holds a pid is an obstacle after kill -9; fcntl(2) record locks do not
 *  conflict within one process and vanish when any descriptor of the file is closed; a listening socket leaves a stale
 *  file. flock belongs to the open file: the kernel drops it with the process, however that ends, and two openings in
 *  one process conflict as they should.
 *  I1  The file stays after release: removing it would let two processes lock two different files of one name.
 *  I2  Its content, the holder's pid, is for messages only; the lock is the kernel's.
 *  Where flock cannot be had, `lockFile` says so through `held: 'unsupported'` and the caller decides. */

import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { libc } from './libc.ts'

export type LockOutcome =
  | { readonly kind: 'locked'; release(): void }
  /** Another process (or this one) has it; the pid is what the holder wrote, if that can be read. */
  | { readonly kind: 'held'; readonly pid: number | undefined }
  | { readonly kind: 'unsupported' }

// flock(2), the same numbers on Linux, macOS and the BSDs.
const LOCK_EX = 2
const LOCK_NB = 4

let flock: ((...args: unknown[]) => number) | undefined

/** Tries to lock; never waits. The descriptor is close-on-exec (Node's default): children do not inherit the lock.
 *  @throws the system's error when the file cannot be opened. */
export function lockFile(path: string): LockOutcome {
  const descriptor = lockedDescriptor(path, constants.O_RDWR | constants.O_CREAT)
  if (descriptor === undefined) return { kind: 'unsupported' }
  if (descriptor < 0) return { kind: 'held', pid: pidIn(path) }
  ftruncateSync(descriptor)
  writeSync(descriptor, `${process.pid}\n`)
  return locked(descriptor)
}

/** The same on a file of somebody else's that may only be read, such as a library: nothing is written into it.
 *  @throws the system's error when the file cannot be opened. */
export function lockForeignFile(path: string): LockOutcome {
  const descriptor = lockedDescriptor(path, constants.O_RDONLY)
  if (descriptor === undefined) return { kind: 'unsupported' }
  return descriptor < 0 ? { kind: 'held', pid: undefined } : locked(descriptor)
}

/** Negative when another has the lock, undefined where there is no flock. */
function lockedDescriptor(path: string, flags: number): number | undefined {
  flock ??= libc()?.function('int flock(int, int)')
  if (flock === undefined) return undefined
  const descriptor = openSync(path, flags, 0o600)
  if (flock(descriptor, LOCK_EX | LOCK_NB) === 0) return descriptor
  closeSync(descriptor)
  return -1
}

function locked(descriptor: number): LockOutcome {
  let open = true
  return {
    kind: 'locked',
    release() {
      if (open) closeSync(descriptor)
      open = false
    },
  }
}

function pidIn(path: string): number | undefined {
  const pid = Number.parseInt(readFileSync(path, 'latin1'), 10)
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined
}
