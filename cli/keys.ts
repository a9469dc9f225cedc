/** `conclave keys`: the key files of a state directory, or any directory of keys. */
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { ConclaveError } from '../base/index.ts'
import {
  algorithmOf,
  BindKeyStore,
  CryptoPool,
  DIGEST_SHA256,
  DIGEST_SHA384,
  dnskeyRdata,
  dsRdata,
  dsText,
  ExplicitKeyStore,
  FileKeyStore,
  type KeyInfo,
  type KeyRole,
  keysOfZone,
  writeBindPair,
} from '../signer/index.ts'
import { type Name, nameToText } from '../zones/index.ts'
import { algorithmNumber, usage, zoneName } from './options.ts'
import { createOutput, type Output, table } from './output.ts'

interface DirectoryWords {
  readonly keys: string
}

const DEFAULT_DIRECTORY = join('.conclave', 'keys')
const KEY_HEADING = ['zone', 'role', 'algorithm', 'tag', 'created', 'file']

export function keysCommands(keys: Command): void {
  const command = (name: string): Command =>
    keys.command(name).option('--keys <dir>', 'directory of keys', DEFAULT_DIRECTORY)
  const role = new Option('--role <role>', 'what the key signs').choices(['csk', 'ksk', 'zsk']).default('csk')

  command('list').description('keys in the directory').argument('[zone]').action(listKeys)
  command('generate')
    .description('make a key')
    .argument('<zone>')
    .option('--algorithm <name>', 'algorithm', 'ecdsap256sha256')
    .option('--bits <number>', 'size of an RSA key', '2048')
    .addOption(role)
    .action(generateKey)
  command('ds')
    .description('DS records for the parent')
    .argument('<zone>')
    .addOption(new Option('--digest <hash>', 'digest type').choices(['sha256', 'sha384']).default('sha256'))
    .action(printDs)
  command('import')
    .description('take in a private key: PEM files, or a directory of K*.key/.private pairs')
    .argument('<zone>')
    .argument('<path>')
    .addOption(role)
    .action(importKeys)
  command('export')
    .description('write the keys of a zone as K*.key/.private pairs into a directory')
    .argument('<zone>')
    .argument('<dir>')
    .action(exportKeys)
}

/** Opens the directory, runs, and leaves no thread behind. */
async function withKeys(
  words: DirectoryWords,
  command: Command,
  work: (store: FileKeyStore, output: Output, pool: CryptoPool) => Promise<void>,
): Promise<void> {
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  const pool = new CryptoPool()
  try {
    await work(await FileKeyStore.open(words.keys, { pool }), output, pool)
  } finally {
    await pool.close()
  }
}

function keyRow(key: KeyInfo): (string | number)[] {
  const created = new Date(key.createdUnix * 1000).toISOString().slice(0, 10)
  return [
    nameToText(key.zone),
    key.role,
    algorithmOf(key.algorithm).mnemonic,
    String(key.keyTag),
    created,
    key.where,
  ]
}

function tellKeys(keys: readonly KeyInfo[], output: Output): void {
  if (!output.json) output.line(table(KEY_HEADING, keys.map(keyRow)))
  else for (const key of keys) output.value(keyFields(key))
}

function keyFields(key: KeyInfo): Record<string, unknown> {
  const { id, role, algorithm, keyTag, createdUnix, where } = key
  return { id, zone: nameToText(key.zone), role, algorithm, keyTag, createdUnix, file: where }
}

async function zoneKeys(store: FileKeyStore, zone: Name): Promise<KeyInfo[]> {
  const keys = await keysOfZone(store, zone)
  if (keys.length > 0) return keys
  throw new ConclaveError('KEYS_NONE', 'there are no keys of this zone in the directory', {
    place: { zone: nameToText(zone) },
    remedy: 'Give the directory with --keys, or make a key with `conclave keys generate`.',
  })
}

function listKeys(zone: string | undefined, words: DirectoryWords, command: Command): Promise<void> {
  return withKeys(words, command, async (store, output) => {
    tellKeys(zone === undefined ? await store.list() : await keysOfZone(store, zoneName(zone)), output)
  })
}

interface GenerateWords extends DirectoryWords {
  readonly algorithm: string
  readonly bits: string
  readonly role: KeyRole
}

function generateKey(zone: string, words: GenerateWords, command: Command): Promise<void> {
  const bits = Number(words.bits)
  if (!Number.isInteger(bits)) throw usage(`--bits ${words.bits}`, 'Give a number such as 2048.')
  const spec = { zone: zoneName(zone), algorithm: algorithmNumber(words.algorithm), role: words.role, bits }
  return withKeys(words, command, async (store, output) => tellKeys([await store.generate(spec)], output))
}

function printDs(zone: string, words: DirectoryWords & { digest: string }, command: Command): Promise<void> {
  const name = zoneName(zone)
  const digest = words.digest === 'sha384' ? DIGEST_SHA384 : DIGEST_SHA256
  return withKeys(words, command, async (store, output) => {
    for (const key of await zoneKeys(store, name)) {
      if (key.role === 'zsk') continue
      const text = dsText(name, dsRdata(name, dnskeyRdata(key), digest))
      if (output.json) output.value({ ...keyFields(key), ds: text })
      else output.line(text)
    }
  })
}

function importKeys(
  zone: string,
  path: string,
  words: DirectoryWords & { role: KeyRole },
  command: Command,
): Promise<void> {
  const name = zoneName(zone)
  return withKeys(words, command, async (store, output, pool) => {
    const source = isBindDirectory(path)
      ? await BindKeyStore.open(path, { pool })
      : await ExplicitKeyStore.open(name, [{ path, role: words.role }], { pool })
    const taken: KeyInfo[] = []
    for (const info of await keysOfZone(source, name)) {
      const algorithm = algorithmOf(info.algorithm)
      const { role, createdUnix } = info
      taken.push(await store.add({ zone: name, algorithm, role, createdUnix }, source.privateKey(info.id)))
    }
    if (taken.length === 0) {
      throw new ConclaveError('KEYS_NONE', 'there are no keys of this zone there', {
        place: { file: path, zone: nameToText(name) },
      })
    }
    tellKeys(taken, output)
  })
}

function isBindDirectory(path: string): boolean {
  const status = statSync(path, { throwIfNoEntry: false })
  if (status === undefined)
    throw new ConclaveError('FILE_READ', 'there is no such file', { place: { file: path } })
  return status.isDirectory() && readdirSync(path).some(name => /^K.+\.private$/.test(name))
}

function exportKeys(zone: string, directory: string, words: DirectoryWords, command: Command): Promise<void> {
  const name = zoneName(zone)
  return withKeys(words, command, async (store, output) => {
    const written: KeyInfo[] = []
    const keys = await zoneKeys(store, name)
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    for (const info of keys) {
      const { algorithm, role, createdUnix } = info
      written.push(
        (
          await writeBindPair(
            directory,
            { zone: name, algorithm, role, createdUnix },
            store.privateKey(info.id),
          )
        ).info,
      )
    }
    tellKeys(written, output)
  })
}
