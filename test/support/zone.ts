/** Zones for tests of answers: text or records in, and a store out that serves them as `serve --no-sign` would.
 *  I1  What is stored went through the zone file reader, lint and the version builder, as a served file does. */

import { type BuiltVersion, buildVersion, type DenialMode, type SigningSettings } from '../../signer/index.ts'
import {
  checkZone,
  encodeZoneRecord,
  keyLabelCount,
  keyOf,
  type Name,
  nameToText,
  parseZone,
  rdataToText,
  rootName,
  Store,
  TYPE,
  typeToText,
} from '../../zones/index.ts'
import { cskOf, settingsOf } from '../signer/build-support.ts'

export interface TestRecord {
  readonly owner: Name
  readonly type: number
  readonly ttl: number
  readonly rdata: Uint8Array
}

/** For zones that name no TTL. */
const DEFAULT_TTL = '$TTL 3600\n'

/** The records of a zone file; names before any $ORIGIN are relative to the root. */
export function parseRecords(text: string): TestRecord[] {
  const records: TestRecord[] = []
  const { errors } = parseZone(new TextEncoder().encode(DEFAULT_TTL + text), PARSE_OPTIONS, {
    record(owner, _newOwner, type, ttl, rdata, start, end) {
      records.push({ owner: owner.slice() as Name, type, ttl, rdata: rdata.slice(start, end) })
    },
  })
  if (errors.length > 0) throw new Error(JSON.stringify(errors, undefined, 1))
  return records
}

const PARSE_OPTIONS = { file: 'test.zone', origin: rootName }

/** The zone with a stand-in RRSIG behind every RRset that a signer would sign (RFC 4035 §2.2): true in all but the
 *  signature itself, which is as long as those of ECDSA P-256. */
export function withSignatures(records: readonly TestRecord[]): TestRecord[] {
  const apex = records.find(record => record.type === TYPE.SOA)!.owner
  const ownersOf = (type: number): Set<string> =>
    new Set(records.filter(one => one.type === type).map(({ owner }) => keyText(owner)))
  const cuts = ownersOf(TYPE.NS)
  cuts.delete(keyText(apex))
  const above = [...cuts, ...ownersOf(TYPE.DNAME)]
  const rrsets = new Map(records.map(record => [`${keyText(record.owner)} ${record.type}`, record]))
  const signed = [...rrsets.values()].filter(({ owner, type }) => {
    const key = keyText(owner)
    if (above.some(one => key !== one && key.startsWith(one))) return false
    return !cuts.has(key) || type === TYPE.DS || type === TYPE.NSEC
  })
  return [...records, ...signed.map(record => standIn(record, apex))]
}

/** Octets of the tree key, two digits each: a descendant's starts with its ancestor's. */
function keyText(owner: Name): string {
  return Buffer.from(keyOf(owner)).toString('hex')
}

function standIn({ owner, type, ttl }: TestRecord, apex: Name): TestRecord {
  const labels = keyLabelCount(keyOf(owner)) - (owner[0] === 1 && owner[1] === 0x2a ? 1 : 0)
  const rdata = [type >> 8, type & 255, 13, labels, 0, 0, ttl >> 8, ttl & 255]
  rdata.push(...[0x40, 0x9e, 0x7c, 0x53], ...[0x40, 0x76, 0xef, 0x53], 0x96, 0x77, ...apex)
  for (let index = 0; index < 64; index++) rdata.push((type * 7 + labels + index) & 255)
  return { owner, type: TYPE.RRSIG, ttl, rdata: Uint8Array.from(rdata) }
}

/** A store that holds the zones. */
export async function storeOf(...zones: readonly (string | readonly TestRecord[])[]): Promise<Store> {
  const store = new Store({ octetsMax: 2 ** 28 })
  await commitZones(store, ...zones)
  return store
}

/** Puts the zones into the store, in one version. */
export async function commitZones(
  store: Store,
  ...zones: readonly (string | readonly TestRecord[])[]
): Promise<void> {
  const built = await Promise.all(
    zones.map(zone => buildZone(store, typeof zone === 'string' ? zone : textOf(zone))),
  )
  commitVersions(store, built)
}

/** A store that holds the zone, signed with a key of P-256. */
export async function signedStoreOf(text: string, denial: DenialMode): Promise<Store> {
  const store = new Store({ octetsMax: 2 ** 30 })
  const apex = parseRecords(text).find(record => record.type === TYPE.SOA)!.owner
  const signing = settingsOf(cskOf(apex).keys, { denial, zonemd: 'none' })
  commitVersions(store, [await buildZone(store, text, signing)])
  return store
}

function commitVersions(store: Store, built: readonly BuiltVersion[]): void {
  store.commit({
    zones: built.map(({ record }) => ({ apexKey: keyOf(record.apex), value: encodeZoneRecord(record) })),
    drafts: built.flatMap(({ drafts }) => drafts),
    dropped: [],
  })
}

function textOf(records: readonly TestRecord[]): string {
  return records
    .map(
      ({ owner, ttl, type, rdata }) =>
        `${nameToText(owner)} ${ttl} IN ${typeToText(type)} ${rdataToText(type, rdata)}\n`,
    )
    .join('')
}

async function buildZone(store: Store, text: string, signing?: SigningSettings): Promise<BuiltVersion> {
  const outcome = checkZone(store, new TextEncoder().encode(DEFAULT_TTL + text), PARSE_OPTIONS)
  if (outcome.kind === 'faults') throw new Error(JSON.stringify(outcome.faults, undefined, 1))
  const { content } = outcome
  try {
    const edits = { kind: 'all', content } as const
    const built = await buildVersion({
      store,
      apex: content.apex,
      edits,
      serial: { policy: 'keep' },
      gate: 'keys',
      ...(signing && { signing }),
    })
    if (built.kind !== 'built') throw new Error(JSON.stringify(built, undefined, 1))
    // The content of a zone that is served as it is has become the version.
    if (!built.drafts.includes(content.tree)) content.tree.discard()
    return built
  } catch (error) {
    content.tree.discard()
    throw error
  }
}
