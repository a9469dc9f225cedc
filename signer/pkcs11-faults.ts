/** What Cryptoki's return values mean for people and for the store: a stable code, a sentence, a remedy.
 *  I1  Nothing here is ever a reason to try a PIN again. */

import { CKR, returnValueOf } from './pkcs11-cryptoki.ts'

export interface Fault {
  readonly code: string
  readonly what: string
  readonly remedy?: string
}

/** Raised in the child where the store is to hear the code as it is. */
export class TokenError extends Error {
  readonly fault: Fault

  constructor(code: string, what: string, remedy?: string) {
    super(what)
    this.name = 'TokenError'
    this.fault = remedy === undefined ? { code, what } : { code, what, remedy }
  }
}

const PIN_REMEDY =
  'Correct the PIN, then open the token again; it is not tried again by itself, since tokens lock.'
const TOKEN_LOST: Fault = {
  code: 'PKCS11_TOKEN_LOST',
  what: 'the token was removed or does not answer',
  remedy: 'Put it back; it is tried again.',
}
const KEY_REFUSED: Fault = {
  code: 'PKCS11_KEY_REFUSED',
  what: 'the token does not sign with this key in the way its algorithm needs',
  remedy:
    'Look at the key with `pkcs11-tool --list-objects`: it needs CKA_SIGN and the type of its algorithm.',
}
const KEY_GONE: Fault = {
  code: 'PKCS11_KEY_GONE',
  what: 'the key is no longer on the token',
  remedy: 'Restore it, or list the keys again.',
}
const READ_ONLY: Fault = {
  code: 'PKCS11_READ_ONLY',
  what: 'the token is write-protected',
  remedy: 'Make the key with the token’s own tools, or take away the protection.',
}
const FULL: Fault = {
  code: 'PKCS11_FULL',
  what: 'the token is full',
  remedy: 'Destroy keys that are no longer used, or take another token.',
}
const SESSIONS: Fault = {
  code: 'PKCS11_SESSIONS',
  what: 'the token gives no more sessions',
  remedy: 'Set `sessions` lower, or end other programs.',
}
const LOCKED: Fault = {
  code: 'PKCS11_PIN_LOCKED',
  what: 'the PIN is locked',
  remedy: 'Unlock it as the security officer.',
}

function pinWrong(what: string): Fault {
  return { code: 'PKCS11_PIN_WRONG', what, remedy: PIN_REMEDY }
}

const FAULTS: ReadonlyMap<number, Fault> = new Map([
  [CKR.PIN_INCORRECT, pinWrong('the token does not accept the PIN')],
  [CKR.PIN_INVALID, pinWrong('the PIN has characters that the token does not take')],
  [CKR.PIN_LEN_RANGE, pinWrong('the PIN is too short or too long for the token')],
  [CKR.PIN_EXPIRED, pinWrong('the PIN has expired')],
  [CKR.PIN_LOCKED, LOCKED],
  [CKR.USER_PIN_NOT_INITIALIZED, { ...LOCKED, what: 'the token has no PIN yet' }],
  [CKR.DEVICE_MEMORY, FULL],
  [CKR.SESSION_COUNT, SESSIONS],
  [CKR.TOKEN_WRITE_PROTECTED, READ_ONLY],
  [CKR.SESSION_READ_ONLY, READ_ONLY],
  [CKR.DEVICE_REMOVED, TOKEN_LOST],
  [CKR.TOKEN_NOT_PRESENT, TOKEN_LOST],
  [CKR.TOKEN_NOT_RECOGNIZED, TOKEN_LOST],
  [CKR.KEY_SIZE_RANGE, KEY_REFUSED],
  [CKR.KEY_TYPE_INCONSISTENT, KEY_REFUSED],
  [CKR.KEY_FUNCTION_NOT_PERMITTED, KEY_REFUSED],
  [CKR.MECHANISM_INVALID, KEY_REFUSED],
  [CKR.MECHANISM_PARAM_INVALID, KEY_REFUSED],
  [CKR.KEY_HANDLE_INVALID, KEY_GONE],
  [CKR.OBJECT_HANDLE_INVALID, KEY_GONE],
])

/** What an error in the child means. */
export function faultOf(error: unknown): Fault {
  if (error instanceof TokenError) return error.fault
  const value = returnValueOf(error)
  const said = error instanceof Error ? error.message : String(error)
  const known = value === undefined ? undefined : FAULTS.get(value)
  if (known !== undefined) return { ...known, what: `${known.what} (${said})` }
  const remedy = 'See the manual and the log of the PKCS #11 library.'
  return { code: 'PKCS11_FAILED', what: `the PKCS #11 library failed (${said})`, remedy }
}

/** Faults of one key, which say nothing about the token; after any other the child is started anew. */
const OF_THE_KEY: readonly string[] = ['PKCS11_KEY_REFUSED', 'PKCS11_KEY_GONE', 'DEADLINE', 'ABORTED']
/** Faults that only a person can mend; the token is left alone until the store is opened again (I1). */
const OF_THE_PIN: readonly string[] = ['PKCS11_PIN_WRONG', 'PKCS11_PIN_LOCKED', 'PKCS11_PIN_NEEDED']

export function isOfTheKey(code: string): boolean {
  return OF_THE_KEY.includes(code)
}

export function isOfThePin(code: string): boolean {
  return OF_THE_PIN.includes(code)
}
