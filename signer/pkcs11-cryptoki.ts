/** The part of Cryptoki (PKCS #11 2.40) that is used here, as pkcs11js offers it, and its numbers. Only the child process
 *  of a key store loads it: the package is optional, and the libraries behind it crash.
 *
 *  What pkcs11js 2.1 asks of its callers, obeyed in pkcs11-token.ts, pkcs11-objects.ts and pkcs11-lanes.ts:
 *  I1  Asynchronous calls keep no reference to their buffers (its issue 121): whoever calls holds them until the answer.
 *  I2  Only C_Sign and C_GenerateKeyPair are asynchronous; all else blocks, which is why it has a process of its own.
 *  I3  One absent attribute makes a whole C_GetAttributeValue throw: they are read one by one. Dates are never asked for,
 *      since an empty one, which is allowed, throws.
 *  I4  Strings in templates would be written with a terminating zero: octets are given instead.
 *  I5  C_Initialize without CKF_OS_LOCKING_OK switches locking off in SoftHSM, and threads sign here. */

import { createRequire } from 'node:module'

/** An opaque number of the library in host order; 8 octets where `unsigned long` has 64 bits. */
export type Handle = Buffer

export interface Attribute {
  readonly type: number
  readonly value?: Buffer | number | boolean
}

export interface Mechanism {
  readonly mechanism: number
  readonly parameter: null
}

export interface CryptokiTokenInfo {
  readonly label: string
  readonly manufacturerID: string
  readonly model: string
  readonly serialNumber: string
  readonly flags: number
}

export interface CryptokiSlotInfo {
  readonly slotDescription: string
  readonly manufacturerID: string
}

export interface CryptokiInfo {
  readonly manufacturerID: string
  readonly libraryDescription: string
  readonly libraryVersion: { readonly major: number; readonly minor: number }
}

export interface Cryptoki {
  load(path: string): void
  C_Initialize(options: { flags: number }): void
  C_Finalize(): void
  C_GetInfo(): CryptokiInfo
  C_GetSlotList(tokenPresent: boolean): Handle[]
  C_GetSlotInfo(slot: Handle): CryptokiSlotInfo
  C_GetTokenInfo(slot: Handle): CryptokiTokenInfo
  C_GetMechanismList(slot: Handle): number[]
  C_GetMechanismInfo(slot: Handle, mechanism: number): { readonly maxKeySize: number }
  C_OpenSession(slot: Handle, flags: number): Handle
  C_CloseAllSessions(slot: Handle): void
  C_Login(session: Handle, userType: number, pin: string): void
  C_FindObjectsInit(session: Handle, template: readonly Attribute[]): void
  C_FindObjects(session: Handle, count: number): Handle[]
  C_FindObjectsFinal(session: Handle): void
  C_GetAttributeValue(session: Handle, object: Handle, template: { type: number }[]): { value: unknown }[]
  C_DestroyObject(session: Handle, object: Handle): void
  C_GenerateKeyPairAsync(
    session: Handle,
    mechanism: Mechanism,
    publicTemplate: readonly Attribute[],
    privateTemplate: readonly Attribute[],
  ): Promise<{ readonly publicKey: Handle; readonly privateKey: Handle }>
  C_SignInit(session: Handle, mechanism: Mechanism, key: Handle): void
  /** A view of `out`. */
  C_Sign(session: Handle, input: Buffer, out: Buffer): Buffer
  C_SignAsync(session: Handle, input: Buffer, out: Buffer): Promise<Buffer>
}

/** @throws when the package is not there, or not built for this Node.js */
export function loadCryptoki(): Cryptoki {
  const { PKCS11 } = createRequire(import.meta.url)('pkcs11js') as { PKCS11: new () => Cryptoki }
  return new PKCS11()
}

export const CKF_OS_LOCKING_OK = 0x2
export const CKF_RW_SESSION = 0x2
export const CKF_SERIAL_SESSION = 0x4
export const CKU_USER = 1

export const CKF_WRITE_PROTECTED = 0x2
export const CKF_LOGIN_REQUIRED = 0x4
export const CKF_TOKEN_INITIALIZED = 0x400
export const CKF_USER_PIN_FINAL_TRY = 0x20000
export const CKF_USER_PIN_LOCKED = 0x40000

export const CKO_PUBLIC_KEY = 2
export const CKO_PRIVATE_KEY = 3
export const CKK_RSA = 0x00
export const CKK_EC = 0x03
/** PKCS #11 3.0. pkcs11js does not know its name. */
export const CKK_EC_EDWARDS = 0x40

export const CKA = {
  CLASS: 0x000,
  TOKEN: 0x001,
  PRIVATE: 0x002,
  LABEL: 0x003,
  KEY_TYPE: 0x100,
  ID: 0x102,
  SENSITIVE: 0x103,
  SIGN: 0x108,
  VERIFY: 0x10a,
  MODULUS: 0x120,
  MODULUS_BITS: 0x121,
  PUBLIC_EXPONENT: 0x122,
  PUBLIC_KEY_INFO: 0x129,
  EXTRACTABLE: 0x162,
  EC_PARAMS: 0x180,
  EC_POINT: 0x181,
  ALWAYS_AUTHENTICATE: 0x202,
} as const

export const CKM_RSA_PKCS_KEY_PAIR_GEN = 0x0000
export const CKM_RSA_PKCS = 0x0001
export const CKM_SHA256_RSA_PKCS = 0x0040
export const CKM_SHA512_RSA_PKCS = 0x0042
export const CKM_EC_KEY_PAIR_GEN = 0x1040
export const CKM_ECDSA = 0x1041
export const CKM_ECDSA_SHA256 = 0x1044
export const CKM_ECDSA_SHA384 = 0x1045
export const CKM_EC_EDWARDS_KEY_PAIR_GEN = 0x1055
export const CKM_EDDSA = 0x1057

/** Return values that mean something here. */
export const CKR = {
  GENERAL_ERROR: 0x005,
  FUNCTION_FAILED: 0x006,
  ATTRIBUTE_SENSITIVE: 0x011,
  ATTRIBUTE_TYPE_INVALID: 0x012,
  DEVICE_MEMORY: 0x031,
  DEVICE_REMOVED: 0x032,
  KEY_HANDLE_INVALID: 0x060,
  KEY_SIZE_RANGE: 0x062,
  KEY_TYPE_INCONSISTENT: 0x063,
  KEY_FUNCTION_NOT_PERMITTED: 0x068,
  MECHANISM_INVALID: 0x070,
  MECHANISM_PARAM_INVALID: 0x071,
  OBJECT_HANDLE_INVALID: 0x082,
  PIN_INCORRECT: 0x0a0,
  PIN_INVALID: 0x0a1,
  PIN_LEN_RANGE: 0x0a2,
  PIN_EXPIRED: 0x0a3,
  PIN_LOCKED: 0x0a4,
  SESSION_COUNT: 0x0b1,
  SESSION_READ_ONLY: 0x0b5,
  TOKEN_NOT_PRESENT: 0x0e0,
  TOKEN_NOT_RECOGNIZED: 0x0e1,
  TOKEN_WRITE_PROTECTED: 0x0e2,
  USER_ALREADY_LOGGED_IN: 0x100,
  USER_PIN_NOT_INITIALIZED: 0x102,
  CRYPTOKI_ALREADY_INITIALIZED: 0x191,
} as const

/** The return value in what pkcs11js throws; undefined for another error. */
export function returnValueOf(error: unknown): number | undefined {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined
  return typeof code === 'number' && code > 0 ? code : undefined
}
