/** Keys on a token: reading their attributes, finding the public half of each, making and destroying pairs. Runs in the
 *  child of a key store.
 *  I1  A private key is told with its public half, or with the reason why the token does not give it; none is left out.
 *  I2  The public half comes from the private key's own attributes where it has them (RSA; CKA_PUBLIC_KEY_INFO of PKCS #11
 *      2.40), else from the public key of the same CKA_ID. Several that differ are a fault: nobody guesses. */

import { createPublicKey } from 'node:crypto'
import { endianness } from 'node:os'
import { algorithmOf, publicKeyOf } from './algorithms.ts'
import {
  type Attribute,
  CKA,
  CKK_EC,
  CKK_EC_EDWARDS,
  CKK_RSA,
  CKO_PRIVATE_KEY,
  CKO_PUBLIC_KEY,
  CKR,
  type Cryptoki,
  type Handle,
  returnValueOf,
} from './pkcs11-cryptoki.ts'
import { TokenError } from './pkcs11-faults.ts'
import {
  curveOfParameters,
  generatingMechanism,
  parametersOfCurve,
  publicKeyOfPoint,
  publicKeyOfRsa,
} from './pkcs11-mechanisms.ts'
import type { GenerateRequest, TokenKey } from './pkcs11-protocol.ts'

/** Handles asked for at once. */
const FIND_COUNT = 64
/** A token with more keys is a mistake in the choice of it, or a loop in its library. */
const KEYS_MAX = 100_000
/** RFC 5702 asks for no exponent; 65537 is everybody's. */
const EXPONENT_65537 = Buffer.from([1, 0, 1])

interface PublicHalf {
  readonly curve: string
  readonly publicKey: Uint8Array
}

/** Objects of a template. FindObjectsFinal is called whatever happens, else the session could do nothing more. */
export function findObjects(library: Cryptoki, session: Handle, template: readonly Attribute[]): Handle[] {
  library.C_FindObjectsInit(session, template)
  try {
    const found: Handle[] = []
    while (found.length < KEYS_MAX) {
      const some = library.C_FindObjects(session, FIND_COUNT)
      found.push(...some)
      if (some.length === 0) return found
    }
    throw new TokenError('PKCS11_FAILED', `the token has more than ${KEYS_MAX} keys`)
  } finally {
    library.C_FindObjectsFinal(session)
  }
}

/** Private keys and their public halves; `turn` lets others have the process between two keys. */
export async function readKeys(
  library: Cryptoki,
  session: Handle,
  turn: () => Promise<void>,
): Promise<TokenKey[]> {
  const publics = new Map<string, PublicHalf[]>()
  for (const handle of findObjects(library, session, [
    { type: CKA.CLASS, value: CKO_PUBLIC_KEY },
    { type: CKA.TOKEN, value: true },
  ])) {
    const half = publicHalf(new Reader(library, session, handle))
    const id = new Reader(library, session, handle).octets(CKA.ID)?.toString('hex') ?? ''
    if (half !== undefined && id !== '') publics.set(id, [...(publics.get(id) ?? []), half])
    await turn()
  }
  const keys: TokenKey[] = []
  for (const handle of findObjects(library, session, [
    { type: CKA.CLASS, value: CKO_PRIVATE_KEY },
    { type: CKA.TOKEN, value: true },
  ])) {
    keys.push(readKey(new Reader(library, session, handle), publics))
    await turn()
  }
  return keys
}

/** Attributes of one object, one by one (pkcs11-cryptoki I3). */
class Reader {
  readonly handle: Handle
  readonly #library: Cryptoki
  readonly #session: Handle

  constructor(library: Cryptoki, session: Handle, handle: Handle) {
    this.#library = library
    this.#session = session
    this.handle = handle
  }

  /** Undefined when the object has no such attribute, does not show it, or has it empty. */
  octets(type: number): Buffer | undefined {
    try {
      const [attribute] = this.#library.C_GetAttributeValue(this.#session, this.handle, [{ type }])
      const value = attribute?.value
      return Buffer.isBuffer(value) && value.length > 0 ? value : undefined
    } catch (error) {
      const value = returnValueOf(error)
      if (value === CKR.ATTRIBUTE_TYPE_INVALID || value === CKR.ATTRIBUTE_SENSITIVE) return undefined
      throw error
    }
  }

  /** A CK_ULONG, in host order. */
  number(type: number): number | undefined {
    const octets = this.octets(type)
    if (octets === undefined) return undefined
    return endianness() === 'LE' ? octets.readUInt32LE(0) : octets.readUInt32BE(octets.length - 4)
  }

  flag(type: number): boolean | undefined {
    const octets = this.octets(type)
    return octets === undefined ? undefined : octets[0] !== 0
  }
}

function curveOf(object: Reader): string | undefined {
  switch (object.number(CKA.KEY_TYPE)) {
    case CKK_RSA:
      return 'RSA'
    case CKK_EC:
    case CKK_EC_EDWARDS: {
      const parameters = object.octets(CKA.EC_PARAMS)
      return parameters === undefined ? undefined : curveOfParameters(parameters)
    }
    default:
      return undefined
  }
}

function publicHalf(object: Reader): PublicHalf | undefined {
  const curve = curveOf(object)
  if (curve === undefined) return undefined
  const publicKey = curve === 'RSA' ? rsaPublicKey(object) : pointOf(object, curve)
  return publicKey === undefined ? undefined : { curve, publicKey }
}

function rsaPublicKey(object: Reader): Uint8Array | undefined {
  const [exponent, modulus] = [object.octets(CKA.PUBLIC_EXPONENT), object.octets(CKA.MODULUS)]
  return exponent === undefined || modulus === undefined ? undefined : publicKeyOfRsa(exponent, modulus)
}

function pointOf(object: Reader, curve: string): Uint8Array | undefined {
  const point = object.octets(CKA.EC_POINT)
  return point === undefined ? undefined : publicKeyOfPoint(curve, point)
}

/** CKA_PUBLIC_KEY_INFO is a SubjectPublicKeyInfo. */
function publicKeyOfInfo(object: Reader, curve: string): Uint8Array | undefined {
  const info = object.octets(CKA.PUBLIC_KEY_INFO)
  const algorithm = [8, 13, 14, 15, 16].map(algorithmOf).find(row => (row.curve || 'RSA') === curve)
  if (info === undefined || algorithm === undefined) return undefined
  try {
    return publicKeyOf(algorithm, createPublicKey({ key: info, format: 'der', type: 'spki' }))
  } catch {
    // A token may have anything there; the public key object is asked then.
    return undefined
  }
}

function readKey(object: Reader, publics: ReadonlyMap<string, readonly PublicHalf[]>): TokenKey {
  const objectId = object.octets(CKA.ID) ?? Buffer.alloc(0)
  const label = object.octets(CKA.LABEL)?.toString('utf8') ?? ''
  const known = { handle: object.handle, objectId, label }
  const own = publicHalf(object)
  const others = publics.get(objectId.toString('hex')) ?? []
  const curve = own?.curve ?? curveOf(object) ?? others[0]?.curve
  const fail = (fault: string): TokenKey => ({ ...known, curve, publicKey: undefined, fault })
  if (curve === undefined)
    return { ...known, curve, publicKey: undefined, fault: 'it is of no kind used in DNSSEC' }
  if (object.flag(CKA.SIGN) === false) return fail('it may not sign (CKA_SIGN)')
  if (object.flag(CKA.ALWAYS_AUTHENTICATE) === true)
    return fail('it asks for the PIN before every signature (CKA_ALWAYS_AUTHENTICATE)')
  const publicKey = own?.publicKey ?? publicKeyOfInfo(object, curve)
  if (publicKey !== undefined) return { ...known, curve, publicKey, fault: undefined }
  const fitting = others.filter(other => other.curve === curve)
  const [first] = fitting
  if (first === undefined) return fail('the token has no public key with its CKA_ID')
  if (fitting.some(other => !Buffer.from(other.publicKey).equals(first.publicKey)))
    return fail('the token has several public keys with its CKA_ID')
  return { ...known, curve, publicKey: first.publicKey, fault: undefined }
}

/** Makes a pair and reads it back. The private key never leaves the token: sensitive, not extractable. */
export async function generatePair(
  library: Cryptoki,
  session: Handle,
  request: GenerateRequest,
): Promise<TokenKey> {
  const { algorithm, bits, objectId, label } = request
  const { kind, curve } = algorithmOf(algorithm)
  // pkcs11-cryptoki I4: octets, not strings.
  const named = [
    { type: CKA.TOKEN, value: true },
    { type: CKA.ID, value: Buffer.from(objectId) },
    { type: CKA.LABEL, value: Buffer.from(label) },
  ]
  const shape =
    kind === 'rsa'
      ? [
          { type: CKA.MODULUS_BITS, value: bits },
          { type: CKA.PUBLIC_EXPONENT, value: EXPONENT_65537 },
        ]
      : [{ type: CKA.EC_PARAMS, value: parametersOfCurve(curve) }]
  const publicTemplate = [
    ...named,
    ...shape,
    { type: CKA.PRIVATE, value: false },
    { type: CKA.VERIFY, value: true },
  ]
  const privateTemplate = [
    ...named,
    { type: CKA.PRIVATE, value: true },
    { type: CKA.SENSITIVE, value: true },
    { type: CKA.EXTRACTABLE, value: false },
    { type: CKA.SIGN, value: true },
  ]
  const mechanism = { mechanism: generatingMechanism(algorithm), parameter: null }
  // The library copies templates before it returns, so nothing need be held for it here.
  const made = await library.C_GenerateKeyPairAsync(session, mechanism, publicTemplate, privateTemplate)
  const half = publicHalf(new Reader(library, session, made.publicKey))
  const key = readKey(
    new Reader(library, session, made.privateKey),
    new Map(half === undefined ? [] : [[Buffer.from(objectId).toString('hex'), [half]]]),
  )
  if (key.publicKey !== undefined) return key
  for (const handle of [made.privateKey, made.publicKey]) library.C_DestroyObject(session, handle)
  throw new TokenError('KEY_GENERATE', `the token made a key that cannot be used: ${key.fault}`)
}

/** Destroys a private key, then the public keys of its CKA_ID unless another private key has it too: in that order, since
 *  a private key whose public half is gone would be there and could not be used. */
export function destroyPair(library: Cryptoki, session: Handle, handle: Handle): void {
  const objectId = new Reader(library, session, handle).octets(CKA.ID)
  library.C_DestroyObject(session, handle)
  if (objectId === undefined) return
  const withId = (objectClass: number): Handle[] =>
    findObjects(library, session, [
      { type: CKA.CLASS, value: objectClass },
      { type: CKA.TOKEN, value: true },
      { type: CKA.ID, value: objectId },
    ])
  if (withId(CKO_PRIVATE_KEY).length > 0) return
  for (const publicKey of withId(CKO_PUBLIC_KEY)) library.C_DestroyObject(session, publicKey)
}
