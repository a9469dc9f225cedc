/** What the state directory knows of one zone besides signatures and journal: small, read at start, one JSON value a
 *  zone, so that it can be looked at with any LMDB tool.
 *  I1  `served` describes the newest version that was, or was about to be, published: it is durable before any query
 *      can see that version, so a serial seen by anyone is never above it.
 *  I2  Fields that a later release adds survive an older release only through a new format version (state.ts I2). */

import { ConclaveError } from '../base/index.ts'
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

/** A key's metadata and timeline: plain JSON data with a name. What else is in it belongs to the signer. */
export interface StoredKey {
  readonly id: string
}

export interface ZoneStateRecord {
  /** Prefix of the zone's keys in the other databases; never used twice. */
  readonly id: number
  readonly served?: ServedVersion
  readonly refused?: RefusedVersion
  readonly keys: readonly StoredKey[]
  readonly journal: JournalExtent
}

export function encodeZoneRecord(record: ZoneStateRecord): Uint8Array {
  // A Buffer has become something else by the time it is the value; the field itself is still octets.
  const text = JSON.stringify(record, function (this: Record<string, unknown>, name, value: unknown) {
    const field = this[name]
    return field instanceof Uint8Array ? { hex: Buffer.from(field).toString('hex') } : value
  })
  return new TextEncoder().encode(text)
}

/** @throws ConclaveError STATE_CORRUPT */
export function decodeZoneRecord(octets: Uint8Array): ZoneStateRecord {
  try {
    const record = JSON.parse(new TextDecoder().decode(octets), (_, value: unknown) =>
      isHex(value) ? new Uint8Array(Buffer.from(value.hex, 'hex')) : value,
    ) as ZoneStateRecord
    if (Number.isSafeInteger(record.id) && Array.isArray(record.keys) && record.journal !== undefined)
      return record
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
