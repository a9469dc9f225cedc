/** What the tests of building share: a key store in memory, zones from text, and zones built and committed. */

import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { algorithmOf } from '../../signer/algorithms.ts'
import {
  type BuildInput,
  type BuildResult,
  type BuiltVersion,
  buildVersion,
  type Capabilities,
  CryptoPool,
  defaultSigningPolicy,
  dnskeyRdata,
  type GenerateSpec,
  type KeyInfo,
  type KeyRole,
  type KeyStore,
  keyTagOf,
  type PreviousVersion,
  type SignBatch,
  type SigningKey,
  type SigningSettings,
  type SignOutcome,
  signingKeysAt,
  timelineByRole,
} from '../../signer/index.ts'
import { type LocalKey, localKey } from '../../signer/local-keys.ts'
import { writeOwner } from '../../signer/nsec.ts'
import { writeHashedOwner } from '../../signer/nsec3.ts'
import { makeSignature } from '../../signer/verify-signature.ts'
import {
  canonicalName,
  decodeNode,
  keyOf,
  type Name,
  nameFromText,
  nameToText,
  rdataToText,
  readContent,
  Store,
  TYPE,
  typeToText,
  u16,
  type ZoneContent,
} from '../../zones/index.ts'

export const pool: CryptoPool = new CryptoPool({ threads: 1 })

/** Key pairs cost much (RSA) and are not what is tested: one for each algorithm and place. */
const pairs = new Map<string, LocalKey>()
/** Tags of all of them in any role, revoked too: no two share one, as in a key store (signer/local-keys.ts I2). */
const tags = new Set<number>()
const FLAGS = [0x100, 0x101, 0x180, 0x181]

export function testKey(zone: Name, algorithm: number, role: KeyRole, index = 0): LocalKey {
  const id = `${algorithm} ${index}`
  const facts = { zone, algorithm: algorithmOf(algorithm), role, createdUnix: 0, where: `test key ${id}` }
  const known = pairs.get(id)
  if (known !== undefined) return localKey(facts, known.loaded.key)
  for (;;) {
    const key = localKey(facts, makePair(algorithm))
    const mine = FLAGS.map(flags => keyTagOf(dnskeyRdata({ ...key.info, flags })))
    if (mine.some(tag => tags.has(tag))) continue
    for (const tag of mine) tags.add(tag)
    pairs.set(id, key)
    return key
  }
}

function makePair(algorithm: number): LocalKey['loaded']['key'] {
  switch (algorithm) {
    case 8:
    case 10:
      return generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
    case 13:
      return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    case 14:
      return generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
    case 15:
      return generateKeyPairSync('ed25519').privateKey
    default:
      return generateKeyPairSync('ed448').privateKey
  }
}

/** Signs on the spot and counts; can be told to lie, to wait or to refuse. */
export class TestKeyStore implements KeyStore {
  readonly keys: LocalKey[]
  signed = 0
  answer: (outcome: SignOutcome, index: number) => SignOutcome = outcome => outcome

  constructor(...keys: LocalKey[]) {
    this.keys = keys
  }

  capabilities(): Capabilities {
    return { algorithms: [8, 10, 13, 14, 15, 16], batchMax: 1024, inFlightMax: 4, latency: 'local' }
  }

  list(): Promise<KeyInfo[]> {
    return Promise.resolve(this.keys.map(({ info }) => info))
  }

  sign(batch: SignBatch): Promise<SignOutcome[]> {
    const key = this.keys.find(({ info }) => info.id === batch.key)!
    const outcomes: SignOutcome[] = []
    for (let index = 0; index < batch.count; index++) {
      const message = batch.octets.slice(batch.offsets[index], batch.offsets[index + 1])
      const signature = makeSignature(key.loaded, message)
      outcomes.push(this.answer({ kind: 'signed', signature }, this.signed++))
    }
    return Promise.resolve(outcomes)
  }

  generate(_spec: GenerateSpec): Promise<KeyInfo> {
    return Promise.reject(new Error('no keys are made here'))
  }

  resume(_tickets: readonly string[]): Promise<SignOutcome[]> {
    return Promise.resolve([])
  }

  destroy(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

export const NOW = 1_700_000_000

export function settingsOf(
  keys: readonly SigningKey[],
  more: Partial<SigningSettings> = {},
): SigningSettings {
  return { keys, denial: 'nsec', zonemd: 'sha384', now: NOW, seed: 'test', ...more }
}

/** What the store's keys do by their roles. */
export function signingKeysIn(store: TestKeyStore): SigningKey[] {
  const infos = store.keys.map(({ info }) => info)
  const timeline = timelineByRole(infos, { serial: 0, dnskeyTtlSeconds: 0, zoneTtlSeconds: 0 }, NOW)
  return signingKeysAt(timeline, defaultSigningPolicy, infos, () => store)
}

/** A CSK for the zone. */
export function cskOf(zone: Name, algorithm = 13, index = 0): { store: TestKeyStore; keys: SigningKey[] } {
  const store = new TestKeyStore(testKey(zone, algorithm, 'csk', index))
  return {
    store,
    keys: signingKeysIn(store),
  }
}

export function contentOf(store: Store, text: string, origin: string): ZoneContent {
  const outcome = readContent(store, Buffer.from(text), { file: 'test.zone', origin: nameFromText(origin) })
  if (outcome.kind === 'faults') throw new Error(JSON.stringify(outcome.faults, undefined, 1))
  return outcome.content
}

/** A store with one zone whose versions are built and committed one after another. */
export class TestZone {
  readonly store: Store
  readonly apex: Name
  previous: PreviousVersion | undefined
  last: BuiltVersion | undefined
  signing: SigningSettings | undefined

  constructor(origin: string, signing?: SigningSettings, store: Store = new Store({ octetsMax: 1 << 28 })) {
    this.apex = nameFromText(origin)
    this.signing = signing
    this.store = store
  }

  async build(more: Partial<BuildInput> & Pick<BuildInput, 'edits'>): Promise<BuildResult> {
    const result = await buildVersion({
      store: this.store,
      apex: this.apex,
      ...(this.previous && { previous: this.previous }),
      ...(this.signing && { signing: this.signing }),
      serial: { policy: 'increment' },
      pool,
      ...more,
    })
    if (result.kind === 'built') this.commit(result)
    return result
  }

  commit(version: BuiltVersion): void {
    const apexKey = keyOf(canonicalName(this.apex))
    this.store.commit({
      zones: [{ apexKey, value: Uint8Array.of(1) }],
      drafts: version.drafts,
      dropped: version.dropped,
    })
    this.last = version
    this.previous = {
      record: version.record,
      ...(version.contentHash !== undefined && { contentHash: version.contentHash }),
    }
  }

  /** Builds from text, whole or as an edit of what is there; must succeed. */
  async load(text: string, more: Partial<BuildInput> = {}): Promise<BuiltVersion> {
    const content = contentOf(this.store, text, nameToText(this.apex))
    try {
      const result = await this.build({ edits: { kind: 'all', content }, ...more })
      if (result.kind !== 'built') throw new Error(JSON.stringify(result, undefined, 1))
      return result
    } finally {
      content.tree.discard()
    }
  }
}

/** Every record of a version, a line each, in canonical order of owners but for the NSEC3, which come last. */
export function textOf(zone: TestZone, version: BuiltVersion | undefined = zone.last): string {
  const lines: string[] = []
  const { namesRoot, nsec3Root } = version!.record
  const apex = canonicalName(zone.apex)
  const owner = new Uint8Array(512)
  const cursor = zone.store.readTree()
  const add = (name: string): void => {
    for (const rrset of decodeNode(cursor.bytes, cursor.valueStart).rrsets) {
      for (const rdata of rrset.rdata) {
        lines.push(`${name}\t${rrset.ttl}\tIN\t${typeToText(rrset.type)}\t${rdataToText(rrset.type, rdata)}`)
      }
      for (const rdata of rrset.signatures) {
        lines.push(`${name}\t${rrset.ttl}\tIN\tRRSIG\t${rdataToText(TYPE.RRSIG, rdata)}`)
      }
    }
  }
  for (let placed = cursor.seekFirst(namesRoot); placed; placed = cursor.next()) {
    writeOwner(cursor.key.subarray(0, cursor.loadKey()), apex, owner)
    add(nameToText(owner))
  }
  for (let placed = cursor.seekFirst(nsec3Root); placed; placed = cursor.next()) {
    writeHashedOwner(cursor.key.subarray(0, cursor.loadKey()), apex, owner)
    add(nameToText(owner))
  }
  const isSoa = (line: string): boolean => line.includes('\tSOA\t') && !line.includes('RRSIG')
  return [...lines.filter(isSoa), ...lines.filter(line => !isSoa(line)), ''].join('\n')
}

export function hasProgram(program: string): boolean {
  try {
    execFileSync('which', [program], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Records, as a message has them, without compression. */
export function recordsIn(octets: Uint8Array): number {
  let records = 0
  for (let at = 0; at < octets.length; records++) {
    while (octets[at] !== 0) at += 1 + octets[at]!
    at += 11 + u16(octets, at + 9)
  }
  return records
}
