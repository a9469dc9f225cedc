/** `conclave keys import`: private keys of another server into the directory of keys. With the zone as that server has it
 *  (`--signed`), what every key is there and is to be here is told before anything is written.
 *  I1  Nothing is written with `--dry-run`, nor when a key cannot be read, nor when the change of servers would break the
 *      chain of trust. */

import { readFileSync } from 'node:fs'
import { ConclaveError } from '../base/index.ts'
import {
  algorithmOf,
  type CryptoPool,
  defaultSigningPolicy,
  type FileKeyStore,
  type ImportedKey,
  inspectTakeover,
  isSupported,
  type KeyInfo,
  type KeyRole,
  knotListing,
  readKeysOf,
  type SignedZone,
  signedZoneOf,
  type TakenKey,
  type TakeoverInput,
  takeoverTimeline,
} from '../signer/index.ts'
import { type Name, nameToText, rdataFromText, sameName, TYPE } from '../zones/index.ts'
import { usage, zoneName } from './options.ts'
import { type Output, table } from './output.ts'
import { warnings } from './token.ts'
import { readZone } from './zone-input.ts'

export interface ImportWords {
  readonly keys: string
  readonly role?: KeyRole
  readonly signed?: string
  readonly ds?: readonly string[]
  readonly list?: string
  readonly dryRun?: true
}

export interface ImportTools {
  readonly store: FileKeyStore
  readonly output: Output
  readonly pool: CryptoPool
}

/** What came of it: the keys that are in the directory now, or would be. */
export async function importKeys(
  zone: string,
  paths: readonly string[],
  words: ImportWords,
  { store, output, pool }: ImportTools,
): Promise<readonly KeyInfo[]> {
  if (words.ds !== undefined && words.signed === undefined) {
    throw usage('--ds without --signed', 'Give the zone as the other server has it, with --signed FILE.')
  }
  const name = zoneName(zone)
  const ds = words.ds?.filter(text => text !== 'none').map(dsRecord)
  const signed = words.signed === undefined ? undefined : await readSigned(name, words.signed, output)
  const imported = await readKeysOf(name, paths, {
    pool,
    log: warnings(output),
    ...(words.role === undefined ? {} : { role: words.role }),
    ...(signed === undefined ? {} : { zone: signed }),
    ...(words.list === undefined ? {} : { listed: knotListing(readFileSync(words.list, 'utf8')) }),
  })
  const known = await store.keysOf(name)
  const fresh = imported.filter(({ info }) => known.every(({ id }) => id !== info.id))
  if (signed !== undefined) {
    const held = [...known, ...fresh.map(({ info }) => info)]
    const now = Date.now() / 1000
    tellTakeover({ zone: signed, held, now, ...(ds === undefined ? {} : { ds }) }, output)
  }
  if (words.dryRun === true) return imported.map(({ info }) => info)
  return writeKeys(store, imported, fresh)
}

async function writeKeys(
  store: FileKeyStore,
  imported: readonly ImportedKey[],
  fresh: readonly ImportedKey[],
): Promise<KeyInfo[]> {
  const written = new Map<string, KeyInfo>()
  for (const { facts, key } of fresh) {
    const info = await store.add(facts, key)
    written.set(info.id, info)
  }
  const all = await store.list()
  return imported.map(({ info }) => written.get(info.id) ?? all.find(({ id }) => id === info.id) ?? info)
}

export function dsRecord(text: string): Uint8Array {
  try {
    return rdataFromText(TYPE.DS, text)
  } catch {
    throw usage(`--ds ${text}`, 'Give it as `TAG ALGORITHM DIGEST-TYPE DIGEST`.')
  }
}

async function readSigned(zone: Name, path: string, output: Output): Promise<SignedZone> {
  const place = { file: path, zone: nameToText(zone) }
  const input = readZone(path, undefined, output)
  if (input === undefined) throw new ConclaveError('ZONE_REFUSED', 'the zone file is not sound', { place })
  if (!sameName(input.content.apex, zone)) {
    throw new ConclaveError('KEY_MISMATCH', `the zone file is of ${input.zone}`, {
      place,
      remedy: 'Name the file of this zone.',
    })
  }
  const signed = await signedZoneOf(input.store, input.content, Date.now() / 1000)
  if (signed !== undefined) return signed
  throw new ConclaveError('TAKEOVER_REFUSED', 'the zone has no DNSKEY: nobody has signed it', {
    place,
    remedy: 'Import its keys without --signed.',
  })
}

const HEADING = ['key', 'algorithm', 'tag', 'private key', 'in the zone', 'DS', 'here', 'because']

function tellTakeover(input: TakeoverInput, output: Output): void {
  const takeover = inspectTakeover(input)
  const { keys } = takeover
  if (output.json) for (const key of keys) output.value({ takeover: takeover.kind, ...keyFields(key) })
  else output.note(table(HEADING, keys.map(keyRow)))
  // What caches may hold of the old server's versions decides too.
  const outcome = takeover.kind === 'refused' ? takeover : takeoverTimeline(input, defaultSigningPolicy)
  if (outcome.kind === 'taken') {
    for (const finding of outcome.findings) {
      if (output.json) output.value({ finding })
      else output.note(`note: ${finding}`)
    }
    return
  }
  const [first, ...others] = outcome.faults
  for (const { rule, what, remedy } of others) output.note(`refused: ${what} [${rule}] ${remedy}`)
  throw new ConclaveError('TAKEOVER_REFUSED', first!.what, { remedy: first!.remedy })
}

function keyFields(key: TakenKey): Record<string, unknown> {
  const { id, role, algorithm, keyTag, published, signsKeys, signsZone, ds, timing, goal, reason } = key
  const held = key.info !== undefined
  return { id, role, algorithm, keyTag, held, published, signsKeys, signsZone, ds, timing, goal, reason }
}

function keyRow(key: TakenKey): string[] {
  const signs = [key.signsKeys ? 'keys' : '', key.signsZone ? 'data' : key.signsSome ? 'old data' : '']
  const does = signs.filter(word => word !== '').join(' and ')
  return [
    key.role,
    isSupported(key.algorithm) ? algorithmOf(key.algorithm).mnemonic : String(key.algorithm),
    String(key.keyTag),
    key.info === undefined ? 'missing' : 'here',
    key.published ? (does === '' ? 'published' : `signs ${does}`) : 'no',
    key.ds === undefined ? 'unknown' : key.ds ? 'yes' : 'no',
    key.goal,
    key.reason,
  ]
}
