/** Private keys that the caller names file by file, as `--ksk PEM --zsk PEM` do: PEM of any kind that node:crypto reads,
 *  with or without the lines that our own key files have. Read only. */

import { ConclaveError, type Logger, silentLogger } from '../base/index.ts'
import { type Name, nameToText, sameName } from '../zones/index.ts'
import { algorithmOf, algorithmOfKey } from './algorithms.ts'
import { factsOfFile, privateKeyOfPem, readSecretFile } from './file-keys.ts'
import type { KeyRole } from './keystore.ts'
import { keyUnreadable, type LocalKey, LocalKeyStore, localKey } from './local-keys.ts'
import type { CryptoPool } from './sign-pool.ts'

export interface ExplicitKey {
  readonly path: string
  readonly role: KeyRole
  /** Default: what the file says, else what the kind of key tells; RSA then means RSASHA256. */
  readonly algorithm?: number
}

export interface ExplicitKeyOptions {
  readonly pool: CryptoPool
  readonly log?: Logger
}

export class ExplicitKeyStore extends LocalKeyStore {
  /** Reads the keys of a zone.
   *  @throws ConclaveError KEY_UNREADABLE, KEY_MALFORMED, KEY_MISMATCH */
  static async open(
    zone: Name,
    files: readonly ExplicitKey[],
    options: ExplicitKeyOptions,
  ): Promise<ExplicitKeyStore> {
    const store = new ExplicitKeyStore(options.pool)
    for (const file of files) {
      const key = await readExplicit(zone, file, options.log ?? silentLogger)
      store.keys.set(key)
    }
    return store
  }

  protected override keep(): Promise<LocalKey> {
    return Promise.reject(readOnly())
  }

  protected override remove(): Promise<void> {
    return Promise.reject(readOnly())
  }
}

function readOnly(): ConclaveError {
  return new ConclaveError('KEY_STORE_READ_ONLY', 'keys named as files are neither made nor removed here', {
    remedy: 'Use a directory of keys.',
  })
}

async function readExplicit(zone: Name, file: ExplicitKey, log: Logger): Promise<LocalKey> {
  const { path, role } = file
  const octets = await readSecretFile(path, log)
  const facts = factsIn(octets, path)
  const key = privateKeyOfPem(octets, path)
  if (facts !== undefined && !sameName(facts.zone, zone)) {
    throw new ConclaveError('KEY_MISMATCH', `the key is for ${nameToText(facts.zone)}`, {
      place: { file: path, zone: nameToText(zone) },
      remedy: 'Name a key of this zone.',
    })
  }
  const algorithm =
    file.algorithm === undefined ? (facts?.algorithm ?? algorithmOfKey(key)) : algorithmOf(file.algorithm)
  if (algorithm === undefined) {
    const what = `a key of the kind ${key.asymmetricKeyType} is not used in DNSSEC`
    throw keyUnreadable({ file: path }, what, 'Use RSA, P-256, P-384, Ed25519 or Ed448.')
  }
  const timing = facts?.timing === undefined ? {} : { timing: facts.timing }
  const createdUnix = facts?.createdUnix ?? 0
  return localKey({ zone, role, algorithm, createdUnix, where: path, ...timing }, key)
}

function factsIn(octets: Buffer, path: string): ReturnType<typeof factsOfFile> {
  try {
    return factsOfFile(octets, path)
  } catch (cause) {
    const what = `the key file contradicts itself: ${cause instanceof Error ? cause.message : String(cause)}`
    throw keyUnreadable({ file: path }, what, 'Correct or remove the lines in front of BEGIN.', cause)
  }
}
