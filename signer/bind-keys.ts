/** Keys in the file pairs of BIND's dnssec-keygen: Kzone+alg+tag.key holds the DNSKEY record, .private the private key as
 *  `Field: base64` lines (its format v1.3; v1.2 is read too), .state, where there is one, the role.
 *  I1  A pair is one key; the .private is written first and the .key last, so a .key has the others.
 *  I2  The role: the .state file's KSK and ZSK lines; else a comment of ours in the .key; else ZSK without the SEP flag;
 *      with it KSK, or CSK when the zone has no ZSK of that algorithm, since then nothing else signs its data.
 *  I3  A zone that has only pairs of algorithms that we do not sign with is not one without keys (keystore I5). */

import type { KeyObject } from 'node:crypto'
import { promises as fs } from 'node:fs'
import { basename, join } from 'node:path'
import {
  type Clock,
  isErrno,
  type Logger,
  silentLogger,
  syncDirectory,
  systemClock,
  writeFileWhole,
} from '../base/index.ts'
import { type Name, nameFromText, nameToText, rootName, sameName } from '../zones/index.ts'
import { type Algorithm, algorithmOf, isSupported } from './algorithms.ts'
import { type Dnskey, dnskeyRdata, FLAG_SEP, FLAG_ZONE_KEY, flagsOfRole } from './dnskey.ts'
import { keyFileNames, readSecretFile } from './file-keys.ts'
import { bindTiming, bindTimingLines, type KeyTiming, timeOf } from './key-timing.ts'
import type { GenerateSpec, KeyInfo, KeyRole } from './keystore.ts'
import {
  fileNameOf,
  isPublicKeyOf,
  keyUnreadable,
  type LocalKey,
  LocalKeyStore,
  localKey,
} from './local-keys.ts'
import { keyOfNumbers, numbersOfKey, privateOctetsOf, RSA_NUMBERS } from './private-key-der.ts'
import { decodeBase64, encodeBase64, type Secret } from './secret.ts'
import type { CryptoPool } from './sign-pool.ts'

export interface BindKeyOptions {
  readonly pool: CryptoPool
  readonly clock?: Clock
  readonly log?: Logger
  /** Only these pairs, by their names without ending; default: all of the directory. */
  readonly bases?: readonly string[]
}

/** Fields of an RSA .private, in the order of PrivateNumbers. */
const RSA_FIELDS = [
  'Modulus',
  'PublicExponent',
  'PrivateExponent',
  'Prime1',
  'Prime2',
  'Exponent1',
  'Exponent2',
  'Coefficient',
] as const
const OTHER_FIELDS = ['PrivateKey'] as const
const PAIR = /^(K.+\+\d{3}\+\d{5})\.(key|private)$/
const PRIVATE_HALF = /^K.+\+\d{3}\+\d{5}\.private$/
const REMEDY = 'Restore the pair from a backup, or move both files out of the directory.'

/** A pair that was read, before its role is known. */
interface Pair {
  readonly base: string
  readonly zone: Name
  readonly dnskey: Dnskey
  readonly key: KeyObject
  readonly createdUnix: number
  readonly stated: KeyRole | undefined
  readonly timing: KeyTiming
}

export class BindKeyStore extends LocalKeyStore {
  readonly #directory: string
  readonly #clock: Clock
  readonly #log: Logger
  readonly #leftOut: { readonly zone: Name; readonly algorithm: number; readonly file: string }[] = []

  private constructor(directory: string, options: BindKeyOptions) {
    super(options.pool)
    this.#directory = directory
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silentLogger
  }

  /** Reads every pair in the directory. Keys of algorithms that we do not sign with are left out with a warning.
   *  @throws ConclaveError KEY_UNREADABLE */
  static async open(directory: string, options: BindKeyOptions): Promise<BindKeyStore> {
    const store = new BindKeyStore(directory, options)
    const names = await keyFileNames(directory)
    const bases = new Set(options.bases ?? names.flatMap(name => PAIR.exec(name)?.[1] ?? []))
    const pairs: Pair[] = []
    for (const base of [...bases].sort()) {
      const pair = await store.#readPair(base, names)
      if (pair !== undefined) pairs.push(pair)
    }
    for (const pair of pairs) {
      const key = keyOfPair(directory, pair, roleOf(pair, pairs))
      store.keys.set(key)
    }
    return store
  }

  /** @throws ConclaveError KEY_UNREADABLE (I3) */
  override async keysOf(zone: Name): Promise<KeyInfo[]> {
    const keys = await super.keysOf(zone)
    const left = this.#leftOut.find(key => sameName(key.zone, zone))
    if (keys.length > 0 || left === undefined) return keys
    throw keyUnreadable(
      { file: left.file, zone: nameToText(zone) },
      `algorithm ${left.algorithm} is not supported, and the zone has no other key here`,
      'Name keys of another algorithm, or add one to these with `conclave keys generate`.',
    )
  }

  async #readPair(base: string, names: readonly string[]): Promise<Pair | undefined> {
    const [keyPath, privatePath] = [
      join(this.#directory, `${base}.key`),
      join(this.#directory, `${base}.private`),
    ]
    for (const path of [keyPath, privatePath]) {
      if (!names.includes(basename(path))) {
        throw keyUnreadable({ file: path }, 'half of a pair of key files is missing', REMEDY)
      }
    }
    const keyFile = await readText(keyPath)
    const { zone, dnskey } = parseKeyFile(keyFile, keyPath)
    if (!isSupported(dnskey.algorithm)) {
      this.#log.warn('a key of an algorithm that is not supported is left out', { file: keyPath })
      this.#leftOut.push({ zone, algorithm: dnskey.algorithm, file: keyPath })
      return undefined
    }
    const fields = privateFields(await readSecretFile(privatePath, this.#log))
    try {
      const algorithm = algorithmOf(dnskey.algorithm)
      const key = privateKeyOf(algorithm, fields, privatePath)
      if (!isPublicKeyOf(algorithm, dnskey.publicKey, key)) {
        throw keyUnreadable({ file: privatePath }, `the private key is not that of ${base}.key`, REMEDY)
      }
      const createdUnix = timeOf(fields.texts.get('Created'))
      const noted = /^; Role: (ksk|zsk|csk)$/m.exec(keyFile)?.[1] as KeyRole | undefined
      const state = names.includes(`${base}.state`)
        ? await readText(join(this.#directory, `${base}.state`))
        : undefined
      const stated = state === undefined ? noted : statedRole(state)
      // dnssec-policy(named.conf(5)) keeps the .state files; the lines elsewhere may be older.
      const timing = { ...bindTiming(keyFile), ...bindTiming(state ?? '') }
      return { base, zone, dnskey, key, createdUnix, stated, timing }
    } finally {
      for (const secret of fields.secrets.values()) secret.wipe()
    }
  }

  protected override async keep(spec: GenerateSpec, key: KeyObject): Promise<LocalKey> {
    await fs.mkdir(this.#directory, { recursive: true, mode: 0o700 })
    return writeBindPair(this.#directory, { ...spec, createdUnix: Math.floor(this.#clock.now()) }, key)
  }

  protected override async remove(key: LocalKey): Promise<void> {
    const base = key.info.where.slice(0, -'.key'.length)
    for (const ending of ['.private', '.key', '.state']) {
      await fs.unlink(base + ending).catch(error => {
        if (!isErrno(error, 'ENOENT')) throw error
      })
    }
    await syncDirectory(this.#directory)
  }
}

/** Whether a directory holds pairs; one that is not there does not.
 *  @throws ConclaveError KEY_UNREADABLE */
export async function hasBindPairs(directory: string): Promise<boolean> {
  return (await keyFileNames(directory)).some(name => PRIVATE_HALF.test(name))
}

function statedRole(state: string): KeyRole | undefined {
  const ksk = /^KSK: yes/m.test(state)
  if (/^ZSK: yes/m.test(state)) return ksk ? 'csk' : 'zsk'
  return ksk ? 'ksk' : undefined
}

function keyOfPair(directory: string, pair: Pair, role: KeyRole): LocalKey {
  const { zone, dnskey, createdUnix, key, timing } = pair
  const where = join(directory, `${pair.base}.key`)
  const algorithm = algorithmOf(dnskey.algorithm)
  return localKey({ zone, algorithm, role, flags: dnskey.flags, createdUnix, where, timing }, key)
}

/** I2. */
function roleOf(pair: Pair, pairs: readonly Pair[]): KeyRole {
  if (pair.stated !== undefined) return pair.stated
  if ((pair.dnskey.flags & FLAG_SEP) === 0) return 'zsk'
  const zone = nameToText(pair.zone).toLowerCase()
  const hasZsk = pairs.some(
    ({ zone: other, dnskey }) =>
      nameToText(other).toLowerCase() === zone &&
      dnskey.algorithm === pair.dnskey.algorithm &&
      (dnskey.flags & FLAG_SEP) === 0,
  )
  return hasZsk ? 'ksk' : 'csk'
}

/** The DNSKEY record of a .key file: `owner [TTL] [IN] DNSKEY flags protocol algorithm key…`, comments aside. */
function parseKeyFile(text: string, path: string): { zone: Name; dnskey: Dnskey } {
  const words = text
    .replace(/;[^\n]*/g, '')
    .split(/[\s()]+/)
    .filter(word => word !== '')
  const at = words.indexOf('DNSKEY')
  const [flags, protocol, algorithm] = words.slice(at + 1, at + 4).map(Number)
  const publicKey = new Uint8Array(Buffer.from(words.slice(at + 4).join(''), 'base64'))
  const whole = at >= 1 && flags !== undefined && algorithm !== undefined && publicKey.length > 0
  if (!whole || protocol !== 3 || (flags & FLAG_ZONE_KEY) === 0) {
    throw keyUnreadable({ file: path }, 'the file has no DNSKEY record of a zone key', REMEDY)
  }
  return { zone: nameFromText(words[0]!, rootName), dnskey: { flags, protocol, algorithm, publicKey } }
}

interface PrivateFields {
  /** What is no secret: Algorithm, Created, … */
  readonly texts: Map<string, string>
  readonly secrets: Map<string, Secret>
}

const SECRET_FIELDS: ReadonlySet<string> = new Set([...RSA_FIELDS, ...OTHER_FIELDS])

/** The lines of a .private file; wipes its octets. */
function privateFields(octets: Buffer): PrivateFields {
  const texts = new Map<string, string>()
  const secrets = new Map<string, Secret>()
  for (let at = 0; at < octets.length; ) {
    const newline = octets.indexOf(0x0a, at)
    const end = newline < 0 ? octets.length : newline
    const colon = octets.indexOf(0x3a, at)
    if (colon > at && colon < end) {
      const name = octets.toString('latin1', at, colon).trim()
      const value = octets.subarray(colon + 1, end)
      const secret = SECRET_FIELDS.has(name) ? decodeBase64(value) : undefined
      if (secret !== undefined) secrets.set(name, secret)
      else if (!SECRET_FIELDS.has(name)) texts.set(name, value.toString('latin1').trim())
    }
    at = end + 1
  }
  octets.fill(0)
  return { texts, secrets }
}

function privateKeyOf(algorithm: Algorithm, fields: PrivateFields, path: string): KeyObject {
  const fail = (what: string, cause?: unknown): never => {
    throw keyUnreadable({ file: path }, what, REMEDY, cause)
  }
  const { texts, secrets } = fields
  if (!(texts.get('Private-key-format') ?? '').startsWith('v1.'))
    fail('not a private key file of BIND, format v1')
  if (Number.parseInt(texts.get('Algorithm') ?? '', 10) !== algorithm.number) {
    fail(`its algorithm is ${texts.get('Algorithm')}, not ${algorithm.number} as in the .key file`)
  }
  if (texts.has('Label')) fail('the key is held by a token (Label), not by the file')
  const names = algorithm.kind === 'rsa' ? RSA_FIELDS : OTHER_FIELDS
  const numbers = names.flatMap(name => secrets.get(name) ?? [])
  const missing = names.filter(name => !secrets.has(name))
  if (missing.length > 0) fail(`${missing.join(', ')}: missing, or not base64`)
  if (algorithm.kind !== 'rsa' && !hasRightLength(algorithm, numbers[0]!)) {
    fail(`PrivateKey has ${numbers[0]!.length} octets, not ${privateOctetsOf(algorithm)}`)
  }
  try {
    return keyOfNumbers(algorithm, numbers)
  } catch (cause) {
    return fail('the numbers make no private key', cause)
  }
}

/** BIND writes the scalars of ECDSA without zeros in front: one in 256 is shorter than the field. */
function hasRightLength(algorithm: Algorithm, number: Secret): boolean {
  const octets = privateOctetsOf(algorithm)
  return number.length === octets || (algorithm.kind === 'ec' && number.length < octets && number.length > 0)
}

/** Writes the pair of files of a private key; resolves when both are durable.
 *  @throws ConclaveError FILE_EXISTS, FILE_WRITE, KEY_MALFORMED */
export async function writeBindPair(
  directory: string,
  spec: GenerateSpec & { readonly createdUnix: number; readonly timing?: KeyTiming },
  key: KeyObject,
): Promise<LocalKey> {
  const { zone, role, createdUnix } = spec
  const timing = spec.timing ?? { publishUnix: createdUnix, activateUnix: createdUnix }
  const algorithm = algorithmOf(spec.algorithm)
  const facts = { zone, role, algorithm, flags: flagsOfRole(role), createdUnix, where: '', timing }
  const draft = localKey(facts, key)
  const { keyTag } = draft.info
  const number = String(algorithm.number).padStart(3, '0')
  const base = join(directory, `K${fileNameOf(zone)}+${number}+${String(keyTag).padStart(5, '0')}`)
  const times = bindTimingLines(createdUnix, timing)
  const parts = privateText(algorithm, key, times)
  try {
    await writeFileWhole(`${base}.private`, parts, { mode: 0o600, exclusive: true })
  } finally {
    for (const part of parts) if (part instanceof Uint8Array) part.fill(0)
  }
  await writeFileWhole(`${base}.state`, stateText(draft, key), { mode: 0o644, exclusive: true })
  await writeFileWhole(`${base}.key`, keyText(draft, times), { mode: 0o644, exclusive: true })
  return { ...draft, info: { ...draft.info, where: `${base}.key` } }
}

/** The roles alone. Without them BIND's dnssec-policy takes a CSK for a KSK, and replaces it at once, which makes the zone bogus
 *  (named 9.18). What else it keeps there it finds out by the times in the pair. */
function stateText({ info }: LocalKey, key: KeyObject): string {
  const { role, algorithm, keyTag, zone } = info
  const answer = (is: boolean): string => (is ? 'yes' : 'no')
  return [
    `; This is the state of key ${keyTag}, for ${nameToText(zone)}`,
    `Algorithm: ${algorithm}`,
    `Length: ${bitsOf(algorithmOf(algorithm), key)}`,
    `KSK: ${answer(role !== 'zsk')}`,
    `ZSK: ${answer(role !== 'ksk')}`,
    '',
  ].join('\n')
}

/** As BIND counts them: of a curve those of its field, in whole octets. */
function bitsOf(algorithm: Algorithm, key: KeyObject): number {
  return key.asymmetricKeyDetails?.modulusLength ?? 8 * privateOctetsOf(algorithm)
}

function keyText({ info }: LocalKey, times: readonly string[]): string {
  const zone = nameToText(info.zone)
  const kind = info.role === 'zsk' ? 'zone-signing' : 'key-signing'
  const text = Buffer.from(dnskeyRdata(info).subarray(4)).toString('base64')
  return [
    `; This is a ${kind} key, keyid ${info.keyTag}, for ${zone}`,
    `; Role: ${info.role}`,
    ...times.map(line => `; ${line}`),
    `${zone} IN DNSKEY ${info.flags} 3 ${info.algorithm} ${text}`,
    '',
  ].join('\n')
}

/** Parts of a .private file; those with secrets are octets. */
function privateText(
  algorithm: Algorithm,
  key: KeyObject,
  times: readonly string[],
): (string | Uint8Array)[] {
  const names: readonly string[] = algorithm.kind === 'rsa' ? RSA_FIELDS : OTHER_FIELDS
  const numbers = numbersOfKey(algorithm, key)
  if (algorithm.kind === 'rsa' && numbers.length !== RSA_NUMBERS)
    throw new Error('an RSA key without its primes')
  const parts: (string | Uint8Array)[] = [
    `Private-key-format: v1.3\nAlgorithm: ${algorithm.number} (${algorithm.mnemonic})\n`,
  ]
  numbers.forEach((number, index) => {
    parts.push(
      `${names[index]}: `,
      number.use(octets => encodeBase64(octets)),
      '\n',
    )
    number.wipe()
  })
  parts.push(...times.map(line => `${line}\n`))
  return parts
}

async function readText(path: string): Promise<string> {
  try {
    return await fs.readFile(path, 'utf8')
  } catch (cause) {
    throw keyUnreadable({ file: path }, 'the file cannot be read', REMEDY, cause)
  }
}
