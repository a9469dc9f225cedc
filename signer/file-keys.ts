/** Keys as PKCS #8 PEM files of one directory, mode 0600, one file a key:
 *
 *    example.com.+013+04711.csk.pem        zone, algorithm, key tag, role: for people, and never read back
 *      Conclave-Key: 1
 *      Zone: example.com.
 *      Role: csk
 *      Algorithm: 13 ECDSAP256SHA256
 *      Key-Tag: 4711
 *      Created: 2026-01-01T00:00:00Z
 *      Publish: …                        Activate, Inactive, Delete: of a key that another server had, what that noted
 *      Public-Key: <the DNSKEY's public key field, base64>
 *      -----BEGIN PRIVATE KEY----- …
 *
 *  Everything in front of BEGIN is skipped by OpenSSL, so `openssl pkey -in` reads the file.
 *  I1  A file says all there is to know of its key; renaming or moving it changes nothing but `where`.
 *  I2  A file appears whole and durable or not at all, and never replaces another.
 *  I3  Every `*.pem` in the directory is a key of ours, or opening fails with KEY_UNREADABLE (keystore I5).
 *  I4  Ten thousand zones that start together and have no keys yet cost a few readings of the directory, not one each. */

import { createPrivateKey, type KeyObject } from 'node:crypto'
import { promises as fs } from 'node:fs'
import { join } from 'node:path'
import {
  type Clock,
  ConclaveError,
  isErrno,
  type Logger,
  makeDirectory,
  removeTemporaries,
  silentLogger,
  syncDirectory,
  systemClock,
  writeFileWhole,
} from '../base/index.ts'
import { type Name, nameFromText, nameToText } from '../zones/index.ts'
import { algorithmFromText, algorithmOf } from './algorithms.ts'
import { KEY_EVENTS } from './key-timing.ts'
import type { GenerateSpec, KeyInfo, KeyRole } from './keystore.ts'
import {
  fileNameOf,
  isPublicKeyOf,
  type KeyFacts,
  keyUnreadable,
  type LocalKey,
  LocalKeyStore,
  localKey,
} from './local-keys.ts'
import { keyOfPkcs8 } from './private-key-der.ts'
import { decodeBase64, encodeBase64, type Secret } from './secret.ts'
import type { CryptoPool } from './sign-pool.ts'

export interface FileKeyOptions {
  readonly pool: CryptoPool
  readonly clock?: Clock
  readonly log?: Logger
}

const EXTENSION = '.pem'
const FORMAT = '1'
const PEM_LINE_LENGTH = 64
/** Files read at once: enough to keep storage busy, too few to run out of descriptors. */
const READ_AHEAD = 32
/** Permissions that others must not have. */
const OTHERS = 0o077
/** RSA with 4096 bits takes 3,300 octets in PEM; more is no key. */
export const KEY_FILE_OCTETS_MAX: number = 1 << 16
const ROLES: readonly string[] = ['ksk', 'zsk', 'csk']

/** The key store on a directory of PEM files. The directory is made with the first key. */
export class FileKeyStore extends LocalKeyStore {
  readonly #directory: string
  readonly #clock: Clock
  readonly #log: Logger
  /** Id of the key in each file that was read. */
  #files = new Map<string, string>()
  #reading: Promise<void> | undefined
  #nextReading: Promise<void> | undefined

  private constructor(directory: string, options: FileKeyOptions) {
    super(options.pool)
    this.#directory = directory
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silentLogger
  }

  /** Reads every key there.
   *  @throws ConclaveError KEY_UNREADABLE */
  static async open(directory: string, options: FileKeyOptions): Promise<FileKeyStore> {
    const store = new FileKeyStore(directory, options)
    await store.#read()
    return store
  }

  /** The keys, with those whose files were added or removed since.
   *  @throws ConclaveError KEY_UNREADABLE */
  override async list(): Promise<KeyInfo[]> {
    await this.#readSoon()
    return super.list()
  }

  /** I4: the directory is read only for a zone that seems to have no key.
   *  @throws ConclaveError KEY_UNREADABLE */
  override async keysOf(zone: Name): Promise<KeyInfo[]> {
    const known = await super.keysOf(zone)
    if (known.length > 0) return known
    await this.#readSoon()
    return super.keysOf(zone)
  }

  /** `ZONE.skr` of the directory.
   *  @throws ConclaveError FILE_READ */
  async signedKeys(zone: Name): Promise<{ text: string; where: string } | undefined> {
    const where = join(this.#directory, responseFileName(zone))
    try {
      return { text: await fs.readFile(where, 'utf8'), where }
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw new ConclaveError('FILE_READ', 'the signed key response cannot be read', {
        place: { file: where },
        cause,
      })
    }
  }

  /** Resolves after a reading that began after the call. Those who ask while one is under way share the next. */
  #readSoon(): Promise<void> {
    if (this.#reading === undefined) return this.#startReading()
    const before = this.#reading
    this.#nextReading ??= before
      .catch(() => {})
      .then(() => {
        this.#nextReading = undefined
        return this.#startReading()
      })
    return this.#nextReading
  }

  #startReading(): Promise<void> {
    const reading = this.#read().finally(() => {
      if (this.#reading === reading) this.#reading = undefined
    })
    this.#reading = reading
    return reading
  }

  /** Writes a copy of a key that was made elsewhere, under a role of the caller's choice.
   *  @throws ConclaveError FILE_EXISTS, FILE_WRITE */
  async add(facts: Omit<KeyFacts, 'where'>, key: KeyObject): Promise<KeyInfo> {
    const kept = await this.#write(facts, key)
    this.keys.set(kept)
    return kept.info
  }

  async #read(): Promise<void> {
    // What is written while the directory is being read is in no danger of being taken for removed.
    const known = [...this.#files]
    const names = (await keyFileNames(this.#directory)).filter(name => name.endsWith(EXTENSION)).sort()
    const present = new Set(names)
    for (const [file, id] of known) {
      if (present.has(file)) continue
      this.#files.delete(file)
      this.keys.delete(id)
    }
    const fresh = names.filter(name => !this.#files.has(name))
    for (let at = 0; at < fresh.length; at += READ_AHEAD) {
      const some = fresh.slice(at, at + READ_AHEAD)
      const read = await Promise.allSettled(
        some.map(name => readKeyFile(join(this.#directory, name), this.#log)),
      )
      read.forEach((outcome, index) => {
        if (outcome.status === 'rejected') throw outcome.reason
        this.#take(some[index]!, outcome.value)
      })
    }
  }

  #take(name: string, key: LocalKey): void {
    if (this.#files.has(name)) return
    const other = this.keys.get(key.info.id)
    if (other !== undefined) this.#warnTwice(key.info, other.info)
    else this.keys.set(key)
    this.#files.set(name, key.info.id)
  }

  #warnTwice(key: KeyInfo, other: KeyInfo): void {
    this.#log.warn('a key is in two files; the first is used', { file: key.where, other: other.where })
  }

  protected override keep(spec: GenerateSpec, key: KeyObject): Promise<LocalKey> {
    const createdUnix = Math.floor(this.#clock.now())
    return this.#write({ ...spec, algorithm: algorithmOf(spec.algorithm), createdUnix }, key)
  }

  async #write(facts: Omit<KeyFacts, 'where'>, key: KeyObject): Promise<LocalKey> {
    const draft = localKey({ ...facts, where: '' }, key)
    const name = pemFileName(draft.info)
    const where = join(this.#directory, name)
    await makeDirectory(this.#directory, 0o700)
    const pem = pemOf(key)
    try {
      await writeFileWhole(where, [headerOf(draft), pem], { mode: 0o600, exclusive: true })
    } finally {
      pem.fill(0)
    }
    this.#files.set(name, draft.info.id)
    return { ...draft, info: { ...draft.info, where } }
  }

  /** Storage keeps what is overwritten, so the file is only unlinked; so are copies that crashes left. */
  protected override async remove(key: LocalKey): Promise<void> {
    for (const [name, id] of this.#files) {
      if (id !== key.info.id) continue
      await fs.unlink(join(this.#directory, name))
      this.#files.delete(name)
    }
    await removeTemporaries(this.#directory)
    await syncDirectory(this.#directory)
  }
}

/** Names in a directory of keys; none when there is no directory.
 *  @throws ConclaveError KEY_UNREADABLE */
export async function keyFileNames(directory: string): Promise<string[]> {
  try {
    return await fs.readdir(directory)
  } catch (cause) {
    if (isErrno(cause, 'ENOENT')) return []
    const remedy = 'Let the user that runs the server read the directory.'
    throw keyUnreadable({ file: directory }, 'the directory of keys cannot be read', remedy, cause)
  }
}

/** Octets of a file that may hold a private key, or a secret of another kind: the caller wipes them. Warns when others may read it.
 *  @throws ConclaveError KEY_UNREADABLE */
export async function readSecretFile(path: string, log: Logger, kind = 'a private key'): Promise<Buffer> {
  try {
    const file = await fs.open(path)
    try {
      const { mode, size } = await file.stat()
      if (size > KEY_FILE_OCTETS_MAX) throw new Error(`${size} octets are no key file`)
      if ((mode & OTHERS) !== 0 && process.platform !== 'win32') {
        log.warn(`${kind} can be read by others`, { file: path, remedy: `chmod 600 ${path}` })
      }
      return await file.readFile()
    } finally {
      await file.close()
    }
  } catch (cause) {
    const what = `the key cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`
    throw keyUnreadable({ file: path }, what, READ_REMEDY, cause)
  }
}

const READ_REMEDY = 'Let the user that runs the server read it, or restore it from a backup.'

/** The private key of PEM octets, whatever their kind; wipes them.
 *  @throws ConclaveError KEY_UNREADABLE */
export function privateKeyOfPem(octets: Buffer, path: string): KeyObject {
  try {
    if (isEncrypted(octets)) throw new Error('it is encrypted with a passphrase')
    const pkcs8 = pkcs8Of(octets)
    if (pkcs8 === undefined) return createPrivateKey({ key: octets, format: 'pem' })
    try {
      return pkcs8.use(keyOfPkcs8)
    } finally {
      pkcs8.wipe()
    }
  } catch (cause) {
    const what = `the file has no private key that can be used: ${cause instanceof Error ? cause.message : cause}`
    const remedy =
      'Expected is a PKCS #8 PEM file without a passphrase; restore it, or move it out of the way.'
    throw keyUnreadable({ file: path }, what, remedy, cause)
  } finally {
    octets.fill(0)
  }
}

const BEGIN = '-----BEGIN PRIVATE KEY-----'
const END = '-----END PRIVATE KEY-----'

/** As PKCS #8, or in the older form of a header (RFC 1421 §4.6.1.1). */
function isEncrypted(octets: Buffer): boolean {
  return octets.includes('BEGIN ENCRYPTED PRIVATE KEY') || octets.includes('Proc-Type: 4,ENCRYPTED')
}

/** What a PEM block of PKCS #8 holds; undefined when there is none. */
function pkcs8Of(octets: Buffer): Secret | undefined {
  const begin = octets.indexOf(BEGIN)
  const end = octets.indexOf(END)
  return begin < 0 || end < begin ? undefined : decodeBase64(octets.subarray(begin + BEGIN.length, end))
}

async function readKeyFile(path: string, log: Logger): Promise<LocalKey> {
  const octets = await readSecretFile(path, log)
  const headers = headersOf(octets)
  const key = privateKeyOfPem(octets, path)
  try {
    const facts = factsOf(headers, path)
    const publicKey = Buffer.from(headers.get('public-key') ?? '', 'base64')
    if (!isPublicKeyOf(facts.algorithm, publicKey, key))
      throw new Error('Public-Key is not that of the private key')
    return localKey(facts, key)
  } catch (cause) {
    const what = `the key file does not say what it is for: ${cause instanceof Error ? cause.message : String(cause)}`
    const remedy = 'Restore the lines in front of BEGIN, or bring the key in with `conclave keys import`.'
    throw keyUnreadable({ file: path }, what, remedy, cause)
  }
}

/** What a file says of its key in front of the PEM block; undefined for a file that is not of our making.
 *  @throws Error with what is wrong */
export function factsOfFile(octets: Buffer, path: string): KeyFacts | undefined {
  const headers = headersOf(octets)
  return headers.has('conclave-key') ? factsOf(headers, path) : undefined
}

/** Lines `Name: value` in front of the PEM block. */
function headersOf(octets: Buffer): Map<string, string> {
  const begin = Math.max(0, octets.indexOf('-----BEGIN'))
  const headers = new Map<string, string>()
  for (const line of octets.toString('utf8', 0, begin).split('\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim())
  }
  return headers
}

function factsOf(headers: ReadonlyMap<string, string>, where: string): KeyFacts {
  const need = (name: string): string => {
    const value = headers.get(name.toLowerCase())
    if (value === undefined) throw new Error(`the line ${name}: is missing`)
    return value
  }
  if (need('Conclave-Key') !== FORMAT) throw new Error(`format ${need('Conclave-Key')} is not known`)
  const role = need('Role')
  if (!ROLES.includes(role)) throw new Error(`${role} is not a role: ksk, zsk or csk`)
  const created = Date.parse(need('Created'))
  if (Number.isNaN(created)) throw new Error('Created is not a time')
  return {
    zone: nameFromText(need('Zone')),
    role: role as KeyRole,
    algorithm: algorithmFromText(need('Algorithm').split(' ')[0]!),
    createdUnix: created / 1000,
    where,
    ...timingOf(headers),
  }
}

/** The event is the line's name. */
const TIMING_LINES = ['Publish', 'Activate', 'Inactive', 'Delete'] as const

function timingOf(headers: ReadonlyMap<string, string>): Pick<KeyFacts, 'timing'> {
  const times = TIMING_LINES.flatMap((name, index) => {
    const time = Date.parse(headers.get(name.toLowerCase()) ?? '')
    return Number.isNaN(time) ? [] : [[KEY_EVENTS[index]!, time / 1000] as const]
  })
  return times.length === 0 ? {} : { timing: Object.fromEntries(times) }
}

function headerOf({ info }: LocalKey): string {
  const { mnemonic } = algorithmOf(info.algorithm)
  const lines = [
    `Conclave-Key: ${FORMAT}`,
    `Zone: ${nameToText(info.zone)}`,
    `Role: ${info.role}`,
    `Algorithm: ${info.algorithm} ${mnemonic}`,
    `Key-Tag: ${info.keyTag}`,
    `Created: ${isoTime(info.createdUnix)}`,
    ...TIMING_LINES.flatMap((name, index) => {
      const unix = info.timing?.[KEY_EVENTS[index]!]
      return unix === undefined ? [] : [`${name}: ${isoTime(unix)}`]
    }),
    `Public-Key: ${Buffer.from(info.publicKey).toString('base64')}`,
  ]
  return `${lines.join('\n')}\n`
}

function isoTime(unix: number): string {
  return new Date(unix * 1000).toISOString().replace('.000Z', 'Z')
}

/** Of a zone's signed key response beside its keys. */
export function responseFileName(zone: Name): string {
  return `${fileNameOf(zone)}skr`
}

function pemFileName({ zone, algorithm, keyTag, role }: KeyInfo): string {
  const [number, tag] = [String(algorithm).padStart(3, '0'), String(keyTag).padStart(5, '0')]
  return `${fileNameOf(zone)}+${number}+${tag}.${role}${EXTENSION}`
}

/** Writes a private key alone as a PKCS #8 PEM file, mode 0600, for other programs.
 *  @throws ConclaveError FILE_EXISTS, FILE_WRITE */
export async function writePem(path: string, key: KeyObject): Promise<void> {
  const pem = pemOf(key)
  try {
    await writeFileWhole(path, [pem], { mode: 0o600, exclusive: true })
  } finally {
    pem.fill(0)
  }
}

/** PKCS #8 PEM of a private key, as octets: node:crypto would return a string. The caller wipes them. */
export function pemOf(key: KeyObject): Uint8Array {
  const der = key.export({ format: 'der', type: 'pkcs8' })
  const body = encodeBase64(der, PEM_LINE_LENGTH)
  der.fill(0)
  const [begin, end] = [BEGIN, END].map(line => Buffer.from(`${line}\n`))
  const pem = new Uint8Array(begin!.length + body.length + end!.length)
  pem.set(begin!)
  pem.set(body, begin!.length)
  pem.set(end!, begin!.length + body.length)
  body.fill(0)
  return pem
}
