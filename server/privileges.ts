/** Dropping privileges after the bind: to a user, its group and no other groups.
 *  `process.setuid` goes through the C library, which changes all threads at once; the raw system call, and koffi's, would
 *  change one. For the command line only: this changes the whole process.
 *  I1  Groups go first, the user last: afterwards neither is allowed any more.
 *  I2  Afterwards root cannot be had back; that is tried, and succeeding is an error. */
import { ConclaveError } from '../base/index.ts'

/** Changes to `user` and `group` (names or numbers; the group defaults to the user's own number or name). */
export function dropPrivileges(user: string, group: string = user): void {
  const { setgroups, setgid, setuid, geteuid } = process
  if (setgroups === undefined || setgid === undefined || setuid === undefined || geteuid === undefined) {
    throw new ConclaveError('USER_UNSUPPORTED', 'this system has no users to change to', {
      remedy: 'Leave out the option --user.',
    })
  }
  try {
    setgid(numberOrName(group))
    setgroups([])
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
