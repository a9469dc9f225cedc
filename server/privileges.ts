/** Dropping privileges after the bind: to a user, its group and no other groups.
 *  `process.setuid` goes through the C library, which changes all threads at once; the raw system call, and koffi's, would
 *  change one. For the command line only: this changes the whole process.
 *  I1  Groups go first, the user last: afterwards neither is allowed any more.
 *  I2  Afterwards root cannot be had back; that is tried, and succeeding is an error. */
import { execFileSync } from 'node:child_process'
import { lchownSync, lstatSync, readdirSync } from 'node:fs'
import { getPriority } from 'node:os'
import { join } from 'node:path'
import { ConclaveError, libc } from '../base/index.ts'

/** getrlimit(2): the best priority that a process without privileges may give itself, as 20 less the nice value. */
const RLIMIT_NICE = 13

/** Changes to `user` and `group` (names or numbers; the group defaults to the user's first one). */
export function dropPrivileges(user: string, group: string = idOf('-g', user) ?? user): void {
  const { setgroups, setgid, setuid, geteuid } = process
  if (setgroups === undefined || setgid === undefined || setuid === undefined || geteuid === undefined) {
    throw new ConclaveError('USER_UNSUPPORTED', 'this system has no users to change to', {
      remedy: 'Leave out the option --user.',
    })
  }
  try {
    setgid(numberOrName(group))
    setgroups([])
    keepPriority()
    setuid(numberOrName(user))
  } catch (error) {
    throw new ConclaveError('USER_CHANGE', `cannot become user ${user}, group ${group}`, {
      remedy: 'The user and group must exist, and only root may change to them.',
      cause: error,
    })
  }
  if (geteuid() !== 0 && mayReturnToRoot(setuid)) {
    throw new ConclaveError('USER_CHANGE', `after becoming user ${user}, root could be had back`)
  }
}

/** Gives a user what root made in a directory that only they and root may write to, for example the state directory
 *  before privileges are dropped. Links are left alone, hard ones too: they may lead to other people's files. */
export function giveToUser(directory: string, user: string): void {
  const [uid, gid] = [idOf('-u', user), idOf('-g', user)].map(Number)
  const give = (path: string): void => {
    const stats = lstatSync(path)
    const plain = stats.isDirectory() || (stats.isFile() && stats.nlink === 1)
    if (stats.uid === 0 && plain) lchownSync(path, uid!, gid!)
    if (stats.isDirectory()) for (const name of readdirSync(path)) give(join(path, name))
  }
  // A user that does not exist is told of by dropPrivileges.
  if (Number.isInteger(uid) && Number.isInteger(gid)) give(directory)
}

/** POSIX `id`; Node.js tells of the process's own user only. */
function idOf(option: '-u' | '-g', user: string): string | undefined {
  try {
    return execFileSync('id', [option, user], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  } catch {
    return undefined
  }
}

/** A thread that gave way may have its priority back, and no better one. Where that is refused, none gives way. */
function keepPriority(): void {
  if (process.platform !== 'linux') return
  const best = BigInt(20 - getPriority())
  libc()?.function('int setrlimit(int, const void *)')(RLIMIT_NICE, BigUint64Array.of(best, best))
}

function numberOrName(text: string): string | number {
  return /^\d+$/.test(text) ? Number(text) : text
}

function mayReturnToRoot(setuid: (id: number) => void): boolean {
  try {
    setuid(0)
    return true
  } catch {
    return false
  }
}
