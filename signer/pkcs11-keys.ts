/** Which keys on a token are whose: by the labels of our own making, and by what the operator says of others.
 *  I1  A key that is ours or was named, and cannot be used, is KEY_UNREADABLE; it is never left out (keystore I5).
 *  I2  Keys that are neither are nobody's here, whatever they are. */

import { ConclaveError } from '../base/index.ts'
import { canonicalName, type Name, nameToText } from '../zones/index.ts'
import { type Algorithm, algorithmOf, isSupported, signatureOctetsOf } from './algorithms.ts'
import { dnskeyRdata, flagsOfRole, keyTagOf } from './dnskey.ts'
import { type KeyInfo, type KeyRole, keyId } from './keystore.ts'
import { type KeyLabel, parseLabel } from './pkcs11-labels.ts'
import { fitsAlgorithm, unsoundness } from './pkcs11-mechanisms.ts'
import type { TokenFacts, TokenKey } from './pkcs11-protocol.ts'
import { type Pkcs11Uri, printPkcs11Uri } from './pkcs11-uri.ts'

/** A key that was made by another program, and what it is for. One of `id` and `label` must be given; both must fit. */
export interface NamedTokenKey {
  /** CKA_ID. */
  readonly id?: Uint8Array
  /** CKA_LABEL. */
  readonly label?: string
  readonly zone: Name
  readonly role: KeyRole
  /** Default: what the kind of key tells; RSA then means RSASHA256. */
  readonly algorithm?: number
  readonly createdUnix?: number
}

/** A key of the store: what it is, and its object of this life of the child. */
export interface StoredKey {
  readonly info: KeyInfo
  readonly handle: Uint8Array
  readonly signatureOctets: number
}

type Facts = Omit<KeyLabel, 'algorithm'> & { readonly algorithm: number | undefined }

/** The keys of a token that belong to a store whose URI may name an id or a label.
 *  @throws ConclaveError KEY_UNREADABLE, KEY_UNKNOWN, PKCS11_AMBIGUOUS */
export function storedKeys(
  keysFound: readonly TokenKey[],
  token: TokenFacts,
  uri: Pkcs11Uri,
  named: readonly NamedTokenKey[],
): StoredKey[] {
  // Tokens have no order; ours is by label, which begins with the zone, then by id.
  const found = [...keysFound].sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))
  const keys: StoredKey[] = []
  const taken = new Set<TokenKey>()
  for (const name of named) {
    const key = keyNamed(found, token, name)
    taken.add(key)
    const { zone, role, algorithm, createdUnix = 0 } = name
    keys.push(storedKey(key, token, { zone, role, algorithm, createdUnix }))
  }
  for (const key of found) {
    if (taken.has(key) || !fitsUri(key, uri)) continue
    const label = labelOf(key, token)
    if (label !== undefined) keys.push(storedKey(key, token, label))
  }
  return keys
}

function orderOf({ label, objectId }: TokenKey): string {
  return `${label}\0${Buffer.from(objectId).toString('hex')}`
}

function fitsUri({ objectId, label }: TokenKey, { id, object }: Pkcs11Uri): boolean {
  return (id === undefined || Buffer.from(id).equals(objectId)) && (object === undefined || object === label)
}

function keyNamed(found: readonly TokenKey[], token: TokenFacts, name: NamedTokenKey): TokenKey {
  const { id, label, zone } = name
  const wanted: Pkcs11Uri = {
    token: token.label,
    ...(id === undefined ? {} : { id }),
    ...(label === undefined ? {} : { object: label }),
  }
  const fitting = id === undefined && label === undefined ? [] : found.filter(key => fitsUri(key, wanted))
  const place = { zone: nameToText(zone), key: printPkcs11Uri(wanted) }
  const [first] = fitting
  if (first === undefined) {
    throw new ConclaveError('KEY_UNREADABLE', 'there is no such private key on the token', {
      place,
      remedy:
        'Correct its id or label (`pkcs11-tool --login --list-objects` shows both), or restore the key.',
    })
  }
  if (fitting.length === 1) return first
  const candidates = fitting.map(key => whereOf(key, token)).join(', ')
  throw new ConclaveError('PKCS11_AMBIGUOUS', `several keys fit: ${candidates}`, {
    place,
    remedy: 'Name the key by its id, or by id and label.',
  })
}

function labelOf(key: TokenKey, token: TokenFacts): KeyLabel | undefined {
  try {
    const label = parseLabel(key.label)
    if (label !== undefined && !isSupported(label.algorithm)) throw new Error(`algorithm ${label.algorithm}`)
    return label
  } catch (cause) {
    throw unreadable(key, token, cause instanceof Error ? cause.message : String(cause), cause)
  }
}

function storedKey(key: TokenKey, token: TokenFacts, facts: Facts): StoredKey {
  const { publicKey } = key
  if (publicKey === undefined) throw unreadable(key, token, key.fault ?? 'it has no public key')
  const algorithm = facts.algorithm === undefined ? algorithmOfCurve(key.curve) : algorithmOf(facts.algorithm)
  if (algorithm === undefined || !fitsAlgorithm(key.curve, algorithm)) {
    throw unreadable(
      key,
      token,
      `it is of the kind ${key.curve}, not one of ${algorithm?.mnemonic ?? 'DNSSEC'}`,
    )
  }
  const fault = unsoundness(algorithm, publicKey)
  if (fault !== undefined) throw unreadable(key, token, fault)
  const { zone, role, createdUnix } = facts
  const fields = { flags: flagsOfRole(role), algorithm: algorithm.number, publicKey }
  const info = {
    id: keyId(zone, algorithm.number, publicKey),
    zone: canonicalName(zone),
    role,
    keyTag: keyTagOf(dnskeyRdata(fields)),
    createdUnix,
    where: whereOf(key, token),
    ...fields,
  }
  return { info, handle: key.handle, signatureOctets: signatureOctetsOf(algorithm, publicKey) }
}

function algorithmOfCurve(curve: string | undefined): Algorithm | undefined {
  return [8, 13, 14, 15, 16].map(algorithmOf).find(algorithm => fitsAlgorithm(curve, algorithm))
}

/** RFC 7512 URI of a private key; without PIN or library, since those are of this machine. */
export function whereOf(key: TokenKey, token: TokenFacts): string {
  const { objectId, label } = key
  return printPkcs11Uri({
    token: token.label,
    serial: token.serial,
    ...(objectId.length === 0 ? {} : { id: objectId }),
    ...(label === '' ? {} : { object: label }),
    type: 'private',
  })
}

function unreadable(key: TokenKey, token: TokenFacts, why: string, cause?: unknown): ConclaveError {
  return new ConclaveError('KEY_UNREADABLE', `a key on the token cannot be used: ${why}`, {
    place: { key: whereOf(key, token) },
    remedy: 'Restore the key or its public half; no new one is made in its place.',
    cause,
  })
}
