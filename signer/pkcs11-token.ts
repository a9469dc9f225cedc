/** A token in the child of a key store: the library loaded, the slot found, logged in, with its sessions.
 *  I1  The PIN is given to C_Login once in a life of the process (pkcs11-faults I1). When the library fails in another
 *      way it is given again: SoftHSM fails so when several processes log in at once, and no try is counted then.
 *  I2  A token whose PIN has one try left is not tried at all: a person should use it.
 *  I3  Sessions that sign are read-only; the one that makes and destroys keys is opened when it is needed. */

import {
  CKF_LOGIN_REQUIRED,
  CKF_OS_LOCKING_OK,
  CKF_RW_SESSION,
  CKF_SERIAL_SESSION,
  CKF_TOKEN_INITIALIZED,
  CKF_USER_PIN_FINAL_TRY,
  CKF_USER_PIN_LOCKED,
  CKF_WRITE_PROTECTED,
  CKR,
  CKU_USER,
  type Cryptoki,
  type CryptokiTokenInfo,
  type Handle,
  returnValueOf,
} from './pkcs11-cryptoki.ts'
import { TokenError } from './pkcs11-faults.ts'
import { algorithmsOf } from './pkcs11-mechanisms.ts'
import type { TokenChoice, TokenFacts } from './pkcs11-protocol.ts'

/** I1. SoftHSM needs a few milliseconds to settle. */
const LOGIN_TRIES_MAX = 5
const LOGIN_AGAIN_MILLISECONDS = 60
/** Return values of C_Login under which no try of the PIN was counted. */
const LOGIN_AGAIN: readonly number[] = [CKR.GENERAL_ERROR, CKR.FUNCTION_FAILED, CKR.USER_PIN_NOT_INITIALIZED]

export interface Token {
  readonly library: Cryptoki
  readonly slot: Handle
  readonly facts: TokenFacts
  /** Largest key in bits by mechanism. */
  readonly mechanisms: ReadonlyMap<number, number>
  readonly pinLocked: boolean
  readonly pinFinalTry: boolean
}

/** Loads the library and finds the token.
 *  @throws TokenError */
export function openToken(library: Cryptoki, modules: readonly string[], choice: TokenChoice): Token {
  loadLibrary(library, modules)
  initialise(library)
  checkLibrary(library, choice)
  const slot = slotOf(library, choice)
  const info = library.C_GetTokenInfo(slot)
  const mechanisms = new Map(
    library.C_GetMechanismList(slot).map(type => [type, library.C_GetMechanismInfo(slot, type).maxKeySize]),
  )
  const facts = {
    ...textsOf(info),
    loginRequired: (info.flags & CKF_LOGIN_REQUIRED) !== 0,
    writeProtected: (info.flags & CKF_WRITE_PROTECTED) !== 0,
    algorithms: algorithmsOf(mechanisms),
  }
  const pinLocked = (info.flags & CKF_USER_PIN_LOCKED) !== 0
  return {
    library,
    slot,
    facts,
    mechanisms,
    pinLocked,
    pinFinalTry: (info.flags & CKF_USER_PIN_FINAL_TRY) !== 0,
  }
}

function loadLibrary(library: Cryptoki, modules: readonly string[]): void {
  const said: string[] = []
  for (const path of modules) {
    try {
      return library.load(path)
    } catch (error) {
      said.push(error instanceof Error ? error.message : String(error))
    }
  }
  throw new TokenError(
    'PKCS11_MODULE',
    `the PKCS #11 library cannot be loaded: ${said.join('; ')}`,
    'Install it, or name it with module-path=/path/to/library.so in the URI.',
  )
}

function initialise(library: Cryptoki): void {
  try {
    library.C_Initialize({ flags: CKF_OS_LOCKING_OK })
  } catch (error) {
    if (returnValueOf(error) !== CKR.CRYPTOKI_ALREADY_INITIALIZED) throw error
  }
}

function checkLibrary(library: Cryptoki, choice: TokenChoice): void {
  const { libraryDescription, manufacturerID, libraryVersion } = library.C_GetInfo()
  const found = {
    libraryDescription: libraryDescription.trimEnd(),
    libraryManufacturer: manufacturerID.trimEnd(),
    libraryVersion: `${libraryVersion.major}.${libraryVersion.minor}`,
  }
  for (const field of ['libraryDescription', 'libraryManufacturer', 'libraryVersion'] as const) {
    const wanted = choice[field]
    if (wanted === undefined || wanted === found[field]) continue
    const what = `the library is ${JSON.stringify(found[field])}, not ${JSON.stringify(wanted)}`
    throw new TokenError('PKCS11_MODULE', what, 'Correct the library’s attributes in the URI.')
  }
}

interface SlotTexts {
  readonly slot: Handle
  readonly slotId: number
  readonly slotDescription: string
  readonly slotManufacturer: string
  readonly token: string
  readonly manufacturer: string
  readonly model: string
  readonly serial: string
}

const CHOICE = [
  'token',
  'manufacturer',
  'model',
  'serial',
  'slotId',
  'slotDescription',
  'slotManufacturer',
] as const

function slotOf(library: Cryptoki, choice: TokenChoice): Handle {
  const slots = library.C_GetSlotList(true).flatMap(slot => slotTexts(library, slot))
  const fitting = slots.filter(slot =>
    CHOICE.every(field => choice[field] === undefined || choice[field] === slot[field]),
  )
  const [first, second] = fitting
  if (first !== undefined && second === undefined) return first.slot
  const named = (some: readonly SlotTexts[]): string =>
    some.length === 0
      ? 'none'
      : some.map(slot => `${JSON.stringify(slot.token)} (serial ${slot.serial})`).join(', ')
  if (first === undefined) {
    const what = `no token fits the URI; present are: ${named(slots)}`
    throw new TokenError(
      'PKCS11_TOKEN_ABSENT',
      what,
      'Insert the token, or correct token= or serial= in the URI.',
    )
  }
  const what = `several tokens fit the URI: ${named(fitting)}`
  throw new TokenError('PKCS11_AMBIGUOUS', what, 'Add serial= to the URI.')
}

/** A slot whose token has not been initialised is none. */
function slotTexts(library: Cryptoki, slot: Handle): SlotTexts[] {
  const info = library.C_GetTokenInfo(slot)
  if ((info.flags & CKF_TOKEN_INITIALIZED) === 0) return []
  const { slotDescription, manufacturerID } = library.C_GetSlotInfo(slot)
  const { label, ...token } = textsOf(info)
  return [
    {
      slot,
      slotId: Number(slot.length === 8 ? slot.readBigUInt64LE(0) : slot.readUInt32LE(0)),
      slotDescription: slotDescription.trimEnd(),
      slotManufacturer: manufacturerID.trimEnd(),
      token: label,
      ...token,
    },
  ]
}

/** Cryptoki pads with blanks; RFC 7512 §2.3 compares without them. */
function textsOf(info: CryptokiTokenInfo): Pick<TokenFacts, 'label' | 'manufacturer' | 'model' | 'serial'> {
  return {
    label: info.label.trimEnd(),
    manufacturer: info.manufacturerID.trimEnd(),
    model: info.model.trimEnd(),
    serial: info.serialNumber.trimEnd(),
  }
}

/** Opens the sessions that sign and logs in; a log-in holds for all sessions of the process.
 *  @throws TokenError, or what the library says */
export async function openSessions(token: Token, pin: string | undefined, count: number): Promise<Handle[]> {
  const { library, slot } = token
  const sessions: Handle[] = []
  while (sessions.length < count) {
    try {
      sessions.push(library.C_OpenSession(slot, CKF_SERIAL_SESSION))
    } catch (error) {
      // Fewer lanes than wished for are slower and do as well.
      if (returnValueOf(error) !== CKR.SESSION_COUNT || sessions.length === 0) throw error
      break
    }
  }
  if (pin !== undefined) await logIn(token, sessions[0]!, pin)
  return sessions
}

async function logIn(token: Token, session: Handle, pin: string): Promise<void> {
  const remedy =
    'Log in once with the right PIN by another tool, for example pkcs11-tool, then open the token again.'
  if (token.pinLocked)
    throw new TokenError('PKCS11_PIN_LOCKED', 'the PIN is locked', 'Unlock it as the security officer.')
  // I2
  if (token.pinFinalTry)
    throw new TokenError('PKCS11_PIN_LOCKED', 'the PIN has one try left, which is not used', remedy)
  for (let tries = 1; ; tries++) {
    try {
      token.library.C_Login(session, CKU_USER, pin)
      return
    } catch (error) {
      const value = returnValueOf(error)
      if (value === CKR.USER_ALREADY_LOGGED_IN) return
      // I1
      if (value === undefined || !LOGIN_AGAIN.includes(value) || tries === LOGIN_TRIES_MAX) throw error
      await new Promise(resolve => setTimeout(resolve, tries * LOGIN_AGAIN_MILLISECONDS))
    }
  }
}

/** I3. */
export function openWritingSession(token: Token): Handle {
  return token.library.C_OpenSession(token.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION)
}

/** Ends all sessions, which logs out, and the library. What fails is of no more interest. */
export function closeToken({ library, slot }: Token): void {
  for (const step of [() => library.C_CloseAllSessions(slot), () => library.C_Finalize()]) {
    try {
      step()
    } catch {
      // A token that is gone has no sessions.
    }
  }
}
