/** From the records of changed parts of a text (text-parts.ts) to the owners that are others now.
 *  I1  A node is made by what makes nodes of whole texts (owner-records.ts), and is exact when the changed parts hold all
 *      records of its owner. Whether they do is the caller's to find out: by `before` in what is served.
 *  I2  Anything to be said about a record makes the answer none: saying it needs the whole text. */

import { compareOctets, type Name, relativeKeyOf } from './name.ts'
import { SOURCE_FILE } from './node.ts'
import { OwnerRecords } from './owner-records.ts'
import type { TextEdit, TextRecord } from './text-parts.ts'

/** Content of an owner without flags, as it was and as it is; undefined: no records. */
export interface EditedOwner {
  readonly key: Uint8Array
  readonly before: Uint8Array | undefined
  readonly after: Uint8Array | undefined
}

/** In ascending order of keys; undefined: the whole text has to be read (I2). */
export function editedOwners(
  { before, after }: TextEdit,
  apex: Name,
  apexKey: Uint8Array,
): EditedOwner[] | undefined {
  const old = byOwner(before, apexKey)
  const now = byOwner(after, apexKey)
  if (old === undefined || now === undefined) return undefined
  const edited: EditedOwner[] = []
  for (const [text, { key }] of new Map([...old, ...now])) {
    const [had, has] = [old.get(text)?.records ?? [], now.get(text)?.records ?? []]
    if (had.length === has.length && had.every((record, index) => isSame(record, has[index]!))) continue
    const nodes = [nodeOf(had, apex), nodeOf(has, apex)] as const
    if (nodes.includes(null)) return undefined
    edited.push({ key, before: nodes[0] ?? undefined, after: nodes[1] ?? undefined })
  }
  return edited.sort((a, b) => compareOctets(a.key, b.key))
}

interface OwnersRecords {
  readonly key: Uint8Array
  readonly records: TextRecord[]
}

/** By the key's octets as text; undefined when a record is outside of the zone. */
function byOwner(
  records: readonly TextRecord[],
  apexKey: Uint8Array,
): Map<string, OwnersRecords> | undefined {
  const owners = new Map<string, OwnersRecords>()
  let last: { owner: Name; records: TextRecord[] } | undefined
  for (const record of records) {
    if (last?.owner !== record.owner) {
      const key = relativeKeyOf(record.owner, apexKey)
      if (key === undefined) return undefined
      const text = Buffer.from(key).toString('latin1')
      const known = owners.get(text) ?? { key, records: [] }
      owners.set(text, known)
      last = { owner: record.owner, records: known.records }
    }
    last.records.push(record)
  }
  return owners
}

function isSame(a: TextRecord, b: TextRecord): boolean {
  if (a.type !== b.type || a.ttl !== b.ttl) return false
  return compareOctets(a.owner, b.owner) === 0 && compareOctets(a.rdata, b.rdata) === 0
}

/** Undefined: no records; null: there is something to say (I2). */
function nodeOf(records: readonly TextRecord[], apex: Name): Uint8Array | null | undefined {
  const first = records[0]
  if (first === undefined) return undefined
  const collected = new OwnerRecords()
  for (const { type, ttl, rdata } of records) collected.add(type, ttl, rdata, 0, rdata.length, 0)
  collected.sort()
  let plain = true
  const { owner } = first
  const fault = (): void => {
    plain = false
  }
  const node = new Uint8Array(collected.nodeOctetsMax)
  const spelled = spelledOctets(owner, apex)
  const end = collected.write(0, records.length, SOURCE_FILE, owner, spelled, fault, node, 0)
  return plain ? node.slice(0, end) : null
}

/** Octets of the owner's labels when they have capitals to keep (content-builder.ts). */
function spelledOctets(owner: Name, apex: Name): number {
  const labels = owner.subarray(0, owner.length - apex.length)
  return labels.some(octet => octet >= 0x41 && octet <= 0x5a) ? labels.length : 0
}
