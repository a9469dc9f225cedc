/** Opening tokens and logging in, one process after the other: SoftHSM fails with CKR_GENERAL_ERROR or
 *  CKR_USER_PIN_NOT_INITIALIZED when several do so at once (its issue 757).
 *  The turn is a lock on the library's file, which every user of it can open, and which nobody has to clean up.
 *  I1  It is a courtesy: a turn that cannot be had within TURN_SECONDS_MAX, or where there are no such locks, is not
 *      waited for. The child tries again when a log-in fails in that way. */

import { type LockOutcome, lockForeignFile, systemClock } from '../base/index.ts'

const TURN_SECONDS_MAX = 10
const TURN_AGAIN_SECONDS = 0.02

/** Calls when it is our turn with the library that is first among these paths and there. */
export async function logInTurn<T>(modules: readonly string[], call: () => Promise<T>): Promise<T> {
  const lock = await turnAt(modules)
  try {
    return await call()
  } finally {
    if (lock?.kind === 'locked') lock.release()
  }
}

/** In the system's time, whatever clock the store has: other processes are waited for. */
async function turnAt(modules: readonly string[]): Promise<LockOutcome | undefined> {
  const end = systemClock.now() + TURN_SECONDS_MAX
  for (;;) {
    const lock = lockFirst(modules)
    if (lock?.kind !== 'held' || systemClock.now() >= end) return lock
    await new Promise<void>(resolve => void systemClock.after(TURN_AGAIN_SECONDS, resolve))
  }
}

function lockFirst(modules: readonly string[]): LockOutcome | undefined {
  for (const path of modules) {
    try {
      return lockForeignFile(path)
    } catch {
      // Not this one; a library that is nowhere is for the child to tell.
    }
  }
  return undefined
}
