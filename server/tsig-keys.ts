/** Keys of TSIG as people and programs give them (RFC 8945 §6, §8). Not here: how a message finds its key
 *  (tsig-keyring.ts), nor which key may do what (access.ts).
 *  I1  A secret is a KeyObject: its octets are OpenSSL's, shared by threads, wiped with the last reference, and shown
 *      by neither `inspect` nor JSON. */
import { createSecretKey, type KeyObject } from 'node:crypto'
import { ConclaveError, type Place } from '../base/index.ts'
import { decodeBase64, Secret } from '../signer/index.ts'
import { canonicalName, nameFromText, nameToText, rootName } from '../zones/index.ts'
import { TSIG_ALGORITHMS, type TsigAlgorithm, type TsigKey } from './tsig-keyring.ts'

/** A key from texts, as dig's -y, BIND's and Knot's configurations have them; the secret is base64 (RFC 4648 §4), or
 *  its octets, which stay the caller's to wipe.
 *  @throws ConclaveError NAME_SYNTAX, TSIG_ALGORITHM, TSIG_SECRET */
export function tsigKey(
  name: string,
  algorithm: string,
  secret: string | Secret,
  place: Place = {},
): TsigKey {
  const canonical = keyNameText(name, place)
  const wanted = algorithm.toLowerCase().replace(/\.$/, '')
  const known: TsigAlgorithm | undefined = TSIG_ALGORITHMS.find(one => one === wanted)
  if (known === undefined) {
    throw new ConclaveError(
      'TSIG_ALGORITHM',
      `${JSON.stringify(algorithm)} is no TSIG algorithm known here`,
      {
        place,
        remedy: `Take one of ${TSIG_ALGORITHMS.join(', ')}.`,
      },
    )
  }
  return { name: canonical, algorithm: known, secret: secretOf(secret, canonical, place) }
}

/** The canonical text of a key's name, as `TsigKey` has it.
 *  @throws ConclaveError NAME_SYNTAX */
export function keyNameText(name: string, place: Place = {}): string {
  try {
    return nameToText(canonicalName(nameFromText(name, rootName)))
  } catch (error) {
    if (!(error instanceof ConclaveError)) throw error
    throw new ConclaveError(error.code, error.message, { place, cause: error })
  }
}

function secretOf(secret: string | Secret, name: string, place: Place): KeyObject {
  if (secret instanceof Secret && secret.length > 0) return secret.use(createSecretKey)
  const octets = typeof secret === 'string' ? decodeBase64(new TextEncoder().encode(secret)) : undefined
  try {
    if (octets !== undefined && octets.length > 0) return octets.use(createSecretKey)
  } finally {
    octets?.wipe()
  }
  // The text itself is not shown: most of it may be the secret.
  throw new ConclaveError('TSIG_SECRET', `the secret of the TSIG key ${name} is empty, or not base64`, {
    place,
    remedy: 'Write the secret in base64, for example what `openssl rand -base64 32` prints.',
  })
}
