/** Makes a version that was built durable, with what is known of keys from then on; nothing is visible yet.
 *  I1  What is on disk and says it all already is not written again: a restart with everything as it was.
 *  I2  A serial goes on from the one that was served last (RFC 1982). */
import { ConclaveError, type Logger, Turns } from '../base/index.ts'
import { type BuiltVersion, isSerialAfter, type TreeKind } from '../signer/index.ts'
import type { Store } from '../zones/index.ts'
import { sameStored } from './key-plan.ts'
import type { SignatureLog } from './signature-log.ts'
import type { JournalEntry } from './state-journal.ts'
import type { ServedVersion, StoredKeys } from './state-record.ts'
import type { ZoneState } from './state-zone.ts'

export interface SavedVersion {
  readonly zone: string
  readonly state: ZoneState
  readonly store: Store
  readonly built: BuiltVersion
  /** The first version of this process. */
  readonly starts: boolean
  readonly keys: StoredKeys | undefined
  readonly signatures: SignatureLog
  /** Of signatures that were made for it. */
  readonly inceptionUnix: number
  readonly reason: string
  readonly now: number
  readonly log: Logger
}

/** Undefined: it is durable already.
 *  @throws ConclaveError SERIAL_BACKWARDS, STATE_WRITE */
export function saveVersion(version: SavedVersion): Promise<void> | undefined {
  const { zone, state, built } = version
  const { served } = state
  checkSerial(zone, built.record.serial, served)
  const sourceDigest = digestOf(built.contentHash)
  if (served !== undefined) warnOfSerial(version, served, sourceDigest)
  if (!version.starts || served === undefined) return save(version, sourceDigest)
  if (isKept(version, served, sourceDigest)) return undefined
  return forgetStale(version).then(() => save(version, sourceDigest))
}

function save(version: SavedVersion, sourceDigest: Uint8Array): Promise<void> {
  const { state, built, keys, signatures, now } = version
  const { served } = state
  const { record } = built
  const inception = built.signaturesMade > 0 ? version.inceptionUnix : 0
  const journalEntry = journalEntryOf(version, sourceDigest)
  return state.publish({
    serial: record.serial,
    sourceSerial: record.sourceSerial,
    sourceDigest,
    parametersDigest: nothing,
    publishedUnix: now,
    newestInceptionUnix: Math.max(inception, served?.newestInceptionUnix ?? 0),
    signatures: signatures.empty ? undefined : signatures,
    keys,
    journalEntry,
  })
}

/** I1. */
function isKept(
  { state, built, keys, signatures }: SavedVersion,
  served: ServedVersion,
  sourceDigest: Uint8Array,
): boolean {
  const { serial, sourceSerial } = built.record
  if (served.serial !== serial || served.sourceSerial !== sourceSerial) return false
  if (built.signaturesMade > 0 || Buffer.compare(served.sourceDigest, sourceDigest) !== 0) return false
  if (!signatures.empty || state.refused !== undefined) return false
  return keys === undefined || sameStored(keys, state.keys)
}

function journalEntryOf(
  { built: { changes }, reason, now }: SavedVersion,
  sourceDigest: Uint8Array,
): JournalEntry | undefined {
  if (changes === undefined) return undefined
  const { fromSerial: from, toSerial: to, removed, added } = changes
  return { from, to, atUnix: now, sourceDigest, reason, removed, added }
}

/** RFC 1982 §3.2, RFC 1995 §2: secondaries take a serial that is not after theirs for nothing new. */
function checkSerial(zone: string, serial: number, served: ServedVersion | undefined): void {
  if (served === undefined || serial === served.serial || isSerialAfter(serial, served.serial)) return
  const what = `serial ${serial} is before ${served.serial}, which was served`
  throw new ConclaveError('SERIAL_BACKWARDS', what, {
    place: { zone },
    remedy: 'Raise the serial of the SOA above it (RFC 1982), or have serials counted here.',
  })
}

/** RFC 1995 §2: who has that serial asks for nothing. A build that changes nothing is not saved; at a start digests tell. */
function warnOfSerial(
  { zone, built, starts, log }: SavedVersion,
  served: ServedVersion,
  sourceDigest: Uint8Array,
): void {
  const { serial } = built.record
  if (serial !== served.serial) return
  if (starts && Buffer.compare(served.sourceDigest, sourceDigest) === 0) return
  const what = `the zone changed and its serial ${serial} did not: secondaries keep what they have`
  log.warn(`${what}. Raise the serial of the SOA, or have serials counted here.`, { zone, serial })
}

/** Signatures on disk of names that went while no server ran, and of a denial that is no more. */
async function forgetStale({ state, store, built, signatures }: SavedVersion): Promise<void> {
  const { namesRoot, nsec3Root } = built.record
  const roots: readonly (readonly [TreeKind, number])[] = [
    ['names', namesRoot],
    ['nsec3', nsec3Root],
  ]
  const cursor = store.readTree()
  const turns = new Turns()
  for (const [kind, root] of roots) {
    for (const walk = state.signatureWalk(kind); walk.next(); ) {
      const { key } = walk
      if (root === 0 || !cursor.find(root, key, 0, key.length)) signatures.add(key, kind, null)
      if (turns.due()) await turns.take()
    }
  }
}

/** One for all zones that have none. */
const nothing = new Uint8Array(0)

/** Copied: as long as it is kept, a view would keep the 8 KiB that Node.js hands out in parts. */
function digestOf(contentHash: string | undefined): Uint8Array {
  return contentHash === undefined ? nothing : new Uint8Array(Buffer.from(contentHash, 'latin1'))
}

/** The content hash that a version was saved with. */
export function contentHashOf({ sourceDigest }: ServedVersion): string | undefined {
  return sourceDigest.length === 0 ? undefined : new TextDecoder().decode(sourceDigest)
}
