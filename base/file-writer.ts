/** Whether any process has a file open for writing: asked of the Linux kernel by taking a read lease, which it refuses
 *  with EAGAIN while there is a writer (fcntl(2), F_SETLEASE), and giving it back at once.
 *  I1  While a lease is held, a process that opens the file makes the kernel send us a signal, SIGIO by default, which
 *      ends a process; so F_SETSIG names SIGURG, which is ignored by default. The kernel forgets that choice with each
 *      lease, so it is made each time.
 *  I2  No lease outlives the call: openers wait for at most a few microseconds.
 *  Leases are not to be had outside Linux, on files of other users (EACCES, without CAP_LEASE), and on network and FUSE
 *  file systems, of which some answer EAGAIN for a reason of their own: there the answer is `unknown`. */

import { statfsSync } from 'node:fs'
import { libc } from './libc.ts'

export type Writers = 'none' | 'some' | 'unknown'

// <fcntl.h> and <signal.h> of Linux, the same on all its architectures that Node.js runs on except MIPS's SIGURG.
const F_SETSIG = 10
const F_SETLEASE = 1024
const F_RDLCK = 0
const F_UNLCK = 2
const SIGURG = 23
const EAGAIN = 11

/** statfs(2) f_type of file systems whose leases say nothing about writers elsewhere: NFS, SMB (two), CIFS, FUSE, 9P, Ceph. */
const REMOTE_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0x6969, 0x517b, 0xfe534d42, 0xff534d42, 0x65735546, 0x01021997, 0x00c36400,
])

let fcntl: ((...args: unknown[]) => number) | undefined

/** Asks for the file open at `descriptor` (read-only: a writing descriptor of ours would be the writer), which is on the
 *  device of that number. */
export function writersOf(descriptor: number, path: string, device?: bigint): Writers {
  if (process.platform !== 'linux' || process.arch.startsWith('mips')) return 'unknown'
  const system = libc()
  if (system === undefined) return 'unknown'
  fcntl ??= system.function('int fcntl(int, int, ...)')
  if (isRemote(path, device)) return 'unknown'
  fcntl(descriptor, F_SETSIG, 'int', SIGURG)
  if (fcntl(descriptor, F_SETLEASE, 'int', F_RDLCK) !== 0) {
    return system.errno() === EAGAIN ? 'some' : 'unknown'
  }
  fcntl(descriptor, F_SETLEASE, 'int', F_UNLCK)
  return 'none'
}

/** The device that was asked for last; after a while its number may be another's. */
const known: { device: bigint | undefined; remote: boolean; atMilliseconds: number } = {
  device: undefined,
  remote: true,
  atMilliseconds: 0,
}
const KNOWN_MILLISECONDS = 1000

function isRemote(path: string, device: bigint | undefined): boolean {
  const now = performance.now()
  if (device === undefined || device !== known.device || now - known.atMilliseconds > KNOWN_MILLISECONDS) {
    known.remote = isRemoteFileSystem(path)
    known.device = device
    known.atMilliseconds = now
  }
  return known.remote
}

function isRemoteFileSystem(path: string): boolean {
  try {
    // f_type is a signed 32-bit number on some systems.
    return REMOTE_FILE_SYSTEMS.has(statfsSync(path).type >>> 0)
  } catch {
    return true
  }
}
