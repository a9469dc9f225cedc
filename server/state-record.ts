/** What the state directory knows of one zone besides signatures and journal: small, read at start, one JSON value a
 *  zone, so that it can be looked at with any LMDB tool.
 *  I1  `served` describes the newest version that was, or was about to be, published: it is durable before any query
 *      can see that version, so a serial seen by anyone is never above it.
 *  I2  Fields that a later release adds survive an older release only through a new format version (state.ts I2). */

import { ConclaveError } from '../base/index.ts'
import type { KeyInfo, KeyRole, PendingSignature, SigningPolicy, ZoneTimeline } from '../signer/index.ts'
import type { JournalExtent } from './state-journal.ts'

export interface ServedVersion {
  /** Serial as served. */
  readonly serial: number
  /** Serial of the SOA in the source. */
  readonly sourceSerial: number
  /** Digest of the source's octets, $INCLUDEd files too. */
  readonly sourceDigest: Uint8Array
  /** Digest of what else the version depends on (algorithm, denial, keys, TTLs): another one means a new version. */
  readonly parametersDigest: Uint8Array
  readonly publishedUnix: number
  /** RFC 4034 §3.1.5: the newest inception among the RRSIGs made so far; a clock before it is wrong. 0: none. */
  readonly newestInceptionUnix: number
}

/** The last version that was not published, and why. */
export interface RefusedVersion {
  readonly atUnix: number
  /** Stable code of the error, its sentence, and where (`file:line:column`). */
  readonly code: string
  readonly what: string
  readonly where: string
  readonly sourceDigest: Uint8Array
}

/** What is public of a key: enough to show and to verify it while its store cannot be asked. */
export type StoredKey = Omit<KeyInfo, 'zone'>

/** What is known of a zone's keys. */
export interface StoredKeys {
  /** Of all keys in the timeline. */
  readonly infos: readonly StoredKey[]
  /** Absent: the zone was never signed by this release; what is known from before is in `served`. */
  readonly timeline?: ZoneTimeline
  /** By which the zone was signed last. */
  readonly policy?: SigningPolicy
  /** A key that is being made: should it be found in a store after a crash, it is this one. */
  readonly generating?: Generating
  /** Signatures that somebody has to approve, for the version that comes next. */
  readonly pending?: readonly PendingSignature[]
}

export interface Generating {
  readonly role: KeyRole
  readonly algorithm: number
  readonly sinceUnix: number
  readonly predecessor?: string
  readonly reason: string
}

export const NO_KEYS_STORED: StoredKeys = { infos: [] }

export interface ZoneStateRecord {
  /** Prefix of the zone's keys in the other databases; never used twice. */
  readonly id: number
  readonly served?: ServedVersion
  readonly refused?: RefusedVersion
  readonly keys: StoredKeys
  readonly journal: JournalExtent
}

/** Zones without keys, of which there may be thousands, take the short way. */
export function encodeZoneRecord(record: ZoneStateRecord): Uint8Array {
  const { served, refused, keys } = record
  if (refused === undefined && keys === NO_KEYS_STORED && served !== undefined) {
    return Buffer.from(plainRecordText(record, served))
  }
  // A Buffer has become something else by the time it is the value; the field itself is still octets.
  const text = JSON.stringify(record, function (this: Record<string, unknown>, name, value: unknown) {
    const field = this[name]
    return field instanceof Uint8Array ? hexOf(field) : value
  })
  return Buffer.from(text)
}

function plainRecordText({ id, journal }: ZoneStateRecord, served: ServedVersion): string {
  const { serial, sourceSerial, sourceDigest, parametersDigest, publishedUnix, newestInceptionUnix } = served
  const digests = `"sourceDigest":${hexText(sourceDigest)},"parametersDigest":${hexText(parametersDigest)}`
  const times = `"publishedUnix":${publishedUnix},"newestInceptionUnix":${newestInceptionUnix}`
  const { first, next, octets } = journal
  return (
    `{"id":${id},"keys":{"infos":[]},` +
    `"served":{"serial":${serial},"sourceSerial":${sourceSerial},${digests},${times}},` +
    `"journal":{"first":${first},"next":${next},"octets":${octets}}}`
  )
}

function hexText(octets: Uint8Array): string {
  return `{"hex":"${hexOf(octets).hex}"}`
}

/** Of a copy, for what is kept is small (state.ts, textOf). */
function hexOf(octets: Uint8Array): { readonly hex: string } {
  return { hex: Buffer.from(octets).toString('hex') }
}

/** Of this format, or of format 1, which had an empty list for the keys.
 *  @throws ConclaveError STATE_CORRUPT */
export function decodeZoneRecord(octets: Uint8Array): ZoneStateRecord {
  try {
    const record = JSON.parse(new TextDecoder().decode(octets), (_, value: unknown) =>
      isHex(value) ? new Uint8Array(Buffer.from(value.hex, 'hex')) : value,
    ) as ZoneStateRecord
    if (Number.isSafeInteger(record.id) && record.journal !== undefined) {
      if (Array.isArray(record.keys)) return { ...record, keys: NO_KEYS_STORED }
      if (Array.isArray(record.keys.infos)) return record
    }
    throw new TypeError('not a zone record')
  } catch (cause) {
    throw new ConclaveError('STATE_CORRUPT', "a zone's record in the state directory cannot be read", {
      cause,
      remedy: 'Restore the state directory from a backup; do not remove it: its last serials would be lost.',
    })
  }
}

function isHex(value: unknown): value is { hex: string } {
  if (typeof value !== 'object' || value === null || !('hex' in value)) return false
  return typeof value.hex === 'string' && Object.keys(value).length === 1
}
