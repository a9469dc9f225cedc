/** `conclave keys`: the key files of a state directory, any directory of keys, or the keys of a PKCS #11 token. */

import type { KeyObject } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { ConclaveError } from '../base/index.ts'
import { keyTimes } from '../server/serving.ts'
import {
  algorithmOf,
  CryptoPool,
  DIGEST_SHA256,
  DIGEST_SHA384,
  defaultSigningPolicy,
  dnskeyRdata,
  dsRdata,
  dsText,
  type KeyInfo,
  type KeyRole,
  type KeyStore,
  keysOfZone,
  openQuorumStore,
  writeBindPair,
  writePem,
} from '../signer/index.ts'
import { type Name, nameToText } from '../zones/index.ts'
import { type KeyDirectory, openKeyDirectory } from './key-directory.ts'
import { type ImportWords, importKeys } from './keys-import.ts'
import {
  importResponse,
  type RequestWords,
  type ResponseWords,
  requestKeys,
  signRequest,
} from './keys-offline.ts'
import { algorithmNumber, usage, zoneName } from './options.ts'
import { createOutput, type Output, table } from './output.ts'
import { openToken, warnings } from './token.ts'

interface DirectoryWords {
  readonly keys: string
}

interface StoreWords extends DirectoryWords {
  readonly pkcs11?: string
  readonly hsm?: string
}

interface KeyPlace {
  list(): Promise<KeyInfo[]>
  storeOf(zone: Name): Promise<KeyStore>
}

const DEFAULT_DIRECTORY = join('.conclave', 'keys')
const KEY_HEADING = ['zone', 'role', 'algorithm', 'tag', 'created', 'where']

export function keysCommands(keys: Command): void {
  const command = (name: string): Command =>
    keys.command(name).option('--keys <dir>', 'directory of keys', DEFAULT_DIRECTORY)
  const tokenCommand = (name: string): Command =>
    command(name)
      .option('--pkcs11 <uri>', 'the keys of a token instead (RFC 7512)')
      .option('--hsm <file>', 'the keys of a quorum instead: its quorum.yaml')
  const role = new Option('--role <role>', 'what the key signs').choices(['csk', 'ksk', 'zsk']).default('csk')

  tokenCommand('list').description('keys in the directory').argument('[zone]').action(listKeys)
  tokenCommand('generate')
    .description('make a key')
    .argument('<zone>')
    .option('--algorithm <name>', 'algorithm (default: ecdsap256sha256; with --hsm ed25519)')
    .option('--bits <number>', 'size of an RSA key', '2048')
    .addOption(role)
    .action(generateKey)
  tokenCommand('ds')
    .description('DS records for the parent')
    .argument('<zone>')
    .addOption(new Option('--digest <hash>', 'digest type').choices(['sha256', 'sha384']).default('sha256'))
    .action(printDs)
  command('import')
    .description(
      "take in another server's private keys: K*.key/.private pairs, PEM files, directories of them",
    )
    .argument('<zone>')
    .argument('<paths...>')
    .addOption(
      new Option('--role <role>', 'of PEM files that say nothing; default: csk').choices([
        'csk',
        'ksk',
        'zsk',
      ]),
    )
    .option(
      '--signed <zonefile>',
      'the zone as that server has it: says what the keys are, and if it is safe',
    )
    .option(
      '--ds <rdata>',
      'DS record of the parent, as `TAG ALGORITHM DIGEST-TYPE DIGEST`, or none',
      repeated,
    )
    .option('--list <file>', 'output of `keymgr ZONE list`: roles and timing of the PEM files of Knot')
    .option('--dry-run', 'only tell')
    .action(importAndTell)
  command('export')
    .description('write the keys of a zone as K*.key/.private pairs, or as PEM files, into a directory')
    .argument('<zone>')
    .argument('<dir>')
    .addOption(new Option('--format <form>', 'form of the files').choices(['bind', 'pem']).default('bind'))
    .action(exportKeys)
  offlineCommands(command)
}

/** A KSK that is kept offline. */
function offlineCommands(command: (name: string) => Command): void {
  const { dnskeyTtlSeconds, zskLifetimeSeconds, propagationSeconds } = defaultSigningPolicy
  command('ksr')
    .description('make ZSKs ahead, and the key signing request for them: what a KSK elsewhere is to sign')
    .argument('<zone>')
    .option('--from <time>', 'YYYYMMDDHHmmSS, Unix seconds or +DURATION; default: now')
    .requiredOption('--until <time>', 'the end of what is asked for')
    .option('--algorithm <name>', 'algorithm of new ZSKs', 'ecdsap256sha256')
    .option('--lifetime <duration>', 'how long a ZSK signs', `${zskLifetimeSeconds}`)
    .option('--dnskey-ttl <duration>', 'TTL of DNSKEY, CDS and CDNSKEY', `${dnskeyTtlSeconds}`)
    .option('--zone-ttl <duration>', 'the largest TTL of the zone', '1d')
    .option('--propagation <duration>', 'until the slowest secondary has a version', `${propagationSeconds}`)
    .option('-o, --output <file>', 'where to write; default: standard output')
    .action((zone: string, words: RequestWords & DirectoryWords, self: Command) =>
      withKeys(words, self, (keys, output) => requestKeys(zone, words, keys, output)),
    )
  command('sign-ksr')
    .description('sign a key signing request with the KSK of the directory, where that is')
    .argument('<file>')
    .option('--validity <duration>', 'life of the signatures', '14d')
    .option('--refresh <duration>', 'new signatures follow so long before the old ones end', '7d')
    .option('-o, --output <file>', 'where to write; default: standard output')
    .action((file: string, words: ResponseWords & DirectoryWords, self: Command) =>
      withKeys(words, self, keys => signRequest(file, words, keys)),
    )
  command('import-skr')
    .description('verify a signed key response, and keep it beside the ZSKs')
    .argument('<file>')
    .option('--ds <rdata>', 'DS record of the parent, as `TAG ALGORITHM DIGEST-TYPE DIGEST`', repeated)
    .action((file: string, words: DirectoryWords & { readonly ds?: readonly string[] }, self: Command) =>
      withKeys(words, self, (keys, output) => importResponse(file, words, keys, output)),
    )
}

function repeated(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

/** Opens the directory, runs, and leaves no thread behind. */
async function withKeys(
  words: DirectoryWords,
  command: Command,
  work: (keys: KeyDirectory, output: Output, pool: CryptoPool) => Promise<void>,
): Promise<void> {
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  const pool = new CryptoPool()
  try {
    await work(await openKeyDirectory(words.keys, pool, warnings(output)), output, pool)
  } finally {
    await pool.close()
  }
}

/** The same with a token or a quorum, where one is named: that has the keys of all zones. */
async function withStore(
  words: StoreWords,
  command: Command,
  work: (keys: KeyPlace, output: Output) => Promise<void>,
): Promise<void> {
  const { pkcs11, hsm } = words
  if (pkcs11 !== undefined && hsm !== undefined) throw usage('--pkcs11 beside --hsm', 'Give one of them.')
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  const store =
    hsm !== undefined
      ? await openQuorumStore({ file: hsm, log: warnings(output) })
      : pkcs11 !== undefined
        ? await openToken(pkcs11, output)
        : undefined
  if (store === undefined) return withKeys(words, command, work)
  try {
    await work({ list: () => store.list(), storeOf: () => Promise.resolve(store) }, output)
  } finally {
    await store.close()
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

async function zoneKeys(store: KeyStore, zone: Name): Promise<KeyInfo[]> {
  const keys = await keysOfZone(store, zone)
  if (keys.length > 0) return keys
  throw new ConclaveError('KEYS_NONE', 'there are no keys of this zone', {
    place: { zone: nameToText(zone) },
    remedy:
      'Give their directory with --keys or their token with --pkcs11, or make a key with `conclave keys generate`.',
  })
}

function listKeys(zone: string | undefined, words: StoreWords, command: Command): Promise<void> {
  const name = zone === undefined ? undefined : zoneName(zone)
  return withStore(words, command, async (keys, output) => {
    tellKeys(
      name === undefined ? await keys.list() : await keysOfZone(await keys.storeOf(name), name),
      output,
    )
  })
}

interface GenerateWords extends StoreWords {
  readonly algorithm?: string
  readonly bits: string
  readonly role: KeyRole
}

function generateKey(zone: string, words: GenerateWords, command: Command): Promise<void> {
  const bits = Number(words.bits)
  if (!Number.isInteger(bits)) throw usage(`--bits ${words.bits}`, 'Give a number such as 2048.')
  const { algorithm = words.hsm === undefined ? 'ecdsap256sha256' : 'ed25519' } = words
  const spec = { zone: zoneName(zone), algorithm: algorithmNumber(algorithm), role: words.role, bits }
  return withStore(words, command, async (keys, output) => {
    tellKeys([await (await keys.storeOf(spec.zone)).generate(spec)], output)
  })
}

function printDs(zone: string, words: StoreWords & { digest: string }, command: Command): Promise<void> {
  const name = zoneName(zone)
  const digest = words.digest === 'sha384' ? DIGEST_SHA384 : DIGEST_SHA256
  return withStore(words, command, async (keys, output) => {
    const all = await zoneKeys(await keys.storeOf(name), name)
    const elsewhere = words.pkcs11 !== undefined || words.hsm !== undefined
    const timed = elsewhere ? all : await withTimes(all, words, name)
    for (const key of keysWithDs(timed, name, output)) {
      const text = dsText(name, dsRdata(name, dnskeyRdata(key), digest))
      if (output.json) output.value({ ...keyFields(key), ds: text })
      else output.line(text)
    }
  })
}

/** A ZSK has no DS: the parent must point at a key that signs the DNSKEY RRset for good. Nor has a key that has left the zone, which a
 *  server keeps for a while. */
function keysWithDs(keys: readonly KeyInfo[], zone: Name, output: Output): KeyInfo[] {
  const isGone = ({ timing }: KeyInfo): boolean => (timing?.deleteUnix ?? Infinity) <= Date.now() / 1000
  const some = keys.filter(({ role }) => role !== 'zsk')
  for (const key of some.filter(isGone))
    output.note(`note: ${nameOfKey(key)} has left the zone: it has no DS`)
  const there = some.filter(key => !isGone(key))
  if (there.length > 0) return there
  const what =
    some.length === 0 ? 'the zone has a ZSK here, but no KSK or CSK' : 'no KSK or CSK here is in the zone'
  throw new ConclaveError('KEYS_NONE', what, {
    place: { zone: nameToText(zone) },
    remedy:
      'Ask where its KSK is kept, or make one with `conclave keys generate --role ksk` and sign the zone anew.',
  })
}

function nameOfKey({ role, keyTag }: KeyInfo): string {
  return `${role.toUpperCase()} ${keyTag}`
}

/** Keys of a server lie in its state directory, which knows what they did and when. */
async function withTimes(keys: readonly KeyInfo[], words: DirectoryWords, zone: Name): Promise<KeyInfo[]> {
  const times = await keyTimes(dirname(resolve(words.keys)), zone)
  return keys.map(info => {
    const timing = times.get(info.id) ?? info.timing
    return timing === undefined ? info : { ...info, timing }
  })
}

function importAndTell(
  zone: string,
  paths: readonly string[],
  words: ImportWords,
  command: Command,
): Promise<void> {
  return withKeys(words, command, async ({ ours }, output, pool) => {
    tellKeys(await importKeys(zone, paths, words, { store: ours, output, pool }), output)
  })
}

interface ExportWords extends DirectoryWords {
  readonly format: 'bind' | 'pem'
}

function exportKeys(zone: string, directory: string, words: ExportWords, command: Command): Promise<void> {
  const name = zoneName(zone)
  return withKeys(words, command, async (directoryOfKeys, output) => {
    const written: KeyInfo[] = []
    const store = await directoryOfKeys.storeOf(name)
    const keys = await zoneKeys(store, name)
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    for (const info of await withTimes(keys, words, name)) {
      written.push(await exportKey(info, store.privateKey(info.id), directory, words))
    }
    tellKeys(written, output)
  })
}

/** In BIND's form with the times that are known of it, or as PEM alone, under the key's tag. */
async function exportKey(
  info: KeyInfo,
  key: KeyObject,
  directory: string,
  { format }: ExportWords,
): Promise<KeyInfo> {
  const { zone, algorithm, role, createdUnix, keyTag, timing } = info
  if (format === 'bind') {
    const noted = timing === undefined ? {} : { timing }
    return (await writeBindPair(directory, { zone, algorithm, role, createdUnix, ...noted }, key)).info
  }
  const where = join(directory, `${nameToText(zone)}${algorithm}-${keyTag}.${role}.pem`)
  await writePem(where, key)
  return { ...info, where }
}
