/** Private keys of another server, read where that keeps them: BIND's K* pairs, PEM files, Knot's directory of PEM files.
 *  A PEM file of another server says neither algorithm nor role: the zone that it signed does, or `keymgr ZONE list`. One of ours
 *  says all.
 *  I1  Nothing is written, and what cannot be read is an error.
 *  I2  The role is what the key does in the zone, when it is given, since a flag is only a hint (RFC 4034 §2.1.1). */

import type { KeyObject } from 'node:crypto'
import { promises as fs } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { ConclaveError, type Logger, silentLogger } from '../base/index.ts'
import { compareOctets, type Name, nameToText, sameName } from '../zones/index.ts'
import { type Algorithm, algorithmOf, isSupported } from './algorithms.ts'
import { BindKeyStore, hasBindPairs } from './bind-keys.ts'
import { dnskeyRdata, FLAG_REVOKE, FLAG_SEP, flagsOfRole } from './dnskey.ts'
import { type ExplicitKey, ExplicitKeyStore } from './explicit-keys.ts'
import { factsOfFile, keyFileNames, privateKeyOfPem, readSecretFile } from './file-keys.ts'
import type { ListedKey } from './key-timing.ts'
import type { KeyInfo, KeyRole } from './keystore.ts'
import { isPublicKeyOf, type KeyFacts, keyUnreadable } from './local-keys.ts'
import type { CryptoPool } from './sign-pool.ts'
import type { SignedZone } from './signed-zone.ts'
import { keysOfZone } from './zone-stores.ts'

export interface ImportOptions {
  readonly pool: CryptoPool
  readonly log?: Logger
  /** For PEM files that nothing else is known of. */
  readonly role?: KeyRole
  /** The zone as the other server signed it. */
  readonly zone?: SignedZone
  /** Of `keymgr ZONE list`. */
  readonly listed?: readonly ListedKey[]
}

export interface ImportedKey {
  readonly info: KeyInfo
  readonly facts: Omit<KeyFacts, 'where'>
  readonly key: KeyObject
}

/** The keys of a zone in those files and directories, each once.
 *  @throws ConclaveError KEY_UNREADABLE, KEY_MISMATCH, KEYS_NONE */
export async function readKeysOf(
  zone: Name,
  paths: readonly string[],
  options: ImportOptions,
): Promise<ImportedKey[]> {
  const found = new Map<string, ImportedKey>()
  for (const path of paths) {
    const keys = await readPath(zone, path, options)
    if (keys.length === 0) {
      throw new ConclaveError('KEYS_NONE', 'there are no keys of this zone there', {
        place: { file: path, zone: nameToText(zone) },
        remedy: 'Name K*.key files, PEM files, or a directory that has them.',
      })
    }
    for (const key of keys) if (!found.has(key.info.id)) found.set(key.info.id, key)
  }
  return [...found.values()]
}

const PAIR_FILE = /^(K.+\+\d{3}\+\d{5})\.(?:key|private|state)$/

async function readPath(zone: Name, path: string, options: ImportOptions): Promise<ImportedKey[]> {
  const status = await fs.stat(path).catch(cause => {
    throw new ConclaveError('FILE_READ', 'there is no such file, or it cannot be read', {
      place: { file: path },
      cause,
    })
  })
  if (!status.isDirectory()) {
    const base = PAIR_FILE.exec(basename(path))?.[1]
    return base === undefined
      ? readPem(zone, [path], options)
      : readPairs(zone, dirname(path), options, [base])
  }
  if (await hasBindPairs(path)) return readPairs(zone, path, options)
  const pems = (await keyFileNames(path)).filter(name => name.endsWith('.pem')).sort()
  return readPem(
    zone,
    pems.map(name => join(path, name)),
    options,
    true,
  )
}

async function readPairs(
  zone: Name,
  directory: string,
  options: ImportOptions,
  bases?: readonly string[],
): Promise<ImportedKey[]> {
  const { pool, log = silentLogger } = options
  const store = await BindKeyStore.open(directory, { pool, log, ...(bases === undefined ? {} : { bases }) })
  const infos = await keysOfZone(store, zone)
  return infos.map(info => imported(info, store.privateKey(info.id), options.zone))
}

/** `some`: files of a directory, in which keys of other zones may be too. */
async function readPem(
  zone: Name,
  paths: readonly string[],
  options: ImportOptions,
  some = false,
): Promise<ImportedKey[]> {
  const { pool, log = silentLogger } = options
  const files: (ExplicitKey & { readonly listed: ListedKey | undefined })[] = []
  for (const path of paths) {
    const listed = options.listed?.find(({ id }) => id === basename(path, '.pem'))
    const known = await whatIsSaid(zone, path, listed, options)
    if (known === undefined && some) continue
    files.push({ path, role: options.role ?? 'csk', listed, ...known })
  }
  const store = await ExplicitKeyStore.open(zone, files, { pool, log })
  const infos = await keysOfZone(store, zone)
  return infos.map(info => {
    const timing = info.timing ?? files.find(({ path }) => path === info.where)?.listed?.timing
    const noted = timing === undefined ? info : { ...info, timing }
    return imported(noted, store.privateKey(info.id), options.zone)
  })
}

function roleOfListed(listed: ListedKey | undefined): { readonly role: KeyRole } | undefined {
  if (listed === undefined) return undefined
  return { role: listed.ksk ? (listed.zsk ? 'csk' : 'ksk') : 'zsk' }
}

type Said = Partial<Pick<ExplicitKey, 'role' | 'algorithm'>>

/** Algorithm and role of the key in a PEM file: what a file of ours says in front of it, or Knot's list, else the zone, when its
 *  public key is there. A key that is to take over may do less in the zone than its role says. */
async function whatIsSaid(
  zone: Name,
  path: string,
  listed: ListedKey | undefined,
  options: ImportOptions,
): Promise<Said | undefined> {
  // Warnings follow when it is read to be used, and so do faults of what a file of ours says.
  const octets = await readSecretFile(path, silentLogger)
  const facts = ownFacts(octets, path)
  const key = privateKeyOfPem(octets, path)
  if (facts !== undefined) return sameName(facts.zone, zone) ? { role: facts.role } : undefined
  const inZone = fromZone(key, options.zone)
  const role = roleOfListed(listed)
  return inZone === undefined && role === undefined ? undefined : { ...inZone, ...role }
}

function ownFacts(octets: Buffer, path: string): Pick<KeyFacts, 'zone' | 'role'> | undefined {
  try {
    return factsOfFile(octets, path)
  } catch {
    return undefined
  }
}

function fromZone(key: KeyObject, zone: SignedZone | undefined): Said | undefined {
  const dnskey = zone?.dnskeys.find(rdata => {
    return isSupported(rdata[3]!) && isPublicKeyOf(algorithmOf(rdata[3]!), rdata.subarray(4), key)
  })
  if (dnskey === undefined) return undefined
  return { role: (dnskey[1]! & FLAG_SEP) === 0 ? 'zsk' : 'ksk', algorithm: dnskey[3]! }
}

/** I2; with the flags of its DNSKEY, which must be published as it was. */
function imported(info: KeyInfo, key: KeyObject, zone: SignedZone | undefined): ImportedKey {
  const own = dnskeyRdata(info)
  const published = zone?.dnskeys.find(rdata => {
    return rdata[3] === info.algorithm && compareOctets(rdata.subarray(4), info.publicKey) === 0
  })
  const dnskey = published ?? own
  const role = roleIn(info, dnskey, zone)
  const flags = flagsOfRole(role)
  if ((dnskey[1]! & FLAG_REVOKE) !== 0) {
    throw keyUnreadable(
      { file: info.where },
      `key ${info.keyTag} is revoked`,
      'Let the other server finish its removal (RFC 5011 §2.1), or leave the key out.',
    )
  }
  const algorithm: Algorithm = algorithmOf(info.algorithm)
  const { zone: name, timing } = info
  // A PEM file of another server does not say when it was made.
  const createdUnix = info.createdUnix === 0 ? (timing?.publishUnix ?? 0) : info.createdUnix
  const facts = {
    zone: name,
    algorithm,
    role,
    flags,
    createdUnix,
    ...(timing === undefined ? {} : { timing }),
  }
  return { info: { ...info, role, flags }, facts, key }
}

function roleIn(info: KeyInfo, dnskey: Uint8Array, zone: SignedZone | undefined): KeyRole {
  if ((dnskey[1]! & FLAG_SEP) === 0) return 'zsk'
  const signsZone = zone?.zoneSigners.some(signer => compareOctets(signer, dnskey) === 0)
  if (signsZone === true) return 'csk'
  return info.role === 'zsk' ? 'ksk' : info.role
}
