/** One step of a zone's history on disk, as IXFR will send it (RFC 1995 §4) and as an operator reads it.
 *
 *    entry = version:u8=1  from:u32  to:u32  at:f64  digestOctets:u8  reasonOctets:u16  removedOctets:u32  addedOctets:u32
 *            digest  reason(UTF-8)  removed  added
 *
 *  `removed` and `added` are whole records in wire form, uncompressed, RRSIGs among them, one behind the other.
 *  I1  Entries of a zone follow each other: `from` of one is `to` of the one before. A step that cannot be kept empties
 *      the journal, so that a chain with a hole is never offered. */

import { ConclaveError } from '../base/index.ts'

export interface JournalEntry {
  readonly from: number
  readonly to: number
  readonly atUnix: number
  readonly sourceDigest: Uint8Array
  /** Why this version was made: `file changed`, `signatures refreshed`. */
  readonly reason: string
  readonly removed: Uint8Array
  readonly added: Uint8Array
}

/** Bounds of one zone's journal. */
export interface JournalLimits {
  readonly octetsMax: number
  readonly entriesMax: number
}

/** Which sequence numbers a journal holds, and how many octets. */
export interface JournalExtent {
  readonly first: number
  /** The number that the next entry will have; equal to `first` when the journal is empty. */
  readonly next: number
  readonly octets: number
}

export interface JournalPlan {
  readonly after: JournalExtent
  readonly removed: readonly number[]
  /** The encoded entry, to be kept under `before.next`. */
  readonly added?: Uint8Array
}

const ENTRY_VERSION = 1
const HEADER_OCTETS = 1 + 4 + 4 + 8 + 1 + 2 + 4 + 4

export function encodeJournalEntry(entry: JournalEntry): Uint8Array {
  const reason = new TextEncoder().encode(entry.reason)
  const parts = [entry.sourceDigest, reason, entry.removed, entry.added]
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, HEADER_OCTETS))
  const view = new DataView(out.buffer)
  view.setUint8(0, ENTRY_VERSION)
  view.setUint32(1, entry.from)
  view.setUint32(5, entry.to)
  view.setFloat64(9, entry.atUnix)
  view.setUint8(17, entry.sourceDigest.length)
  view.setUint16(18, reason.length)
  view.setUint32(20, entry.removed.length)
  view.setUint32(24, entry.added.length)
  let at = HEADER_OCTETS
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** What a new version does to the journal: the entry joins, or starts anew where it does not continue (I1), and the
 *  oldest go until both limits are kept. Without an entry, or with one too large, the journal becomes empty. */
export function planJournal(
  before: JournalExtent,
  entry: JournalEntry | undefined,
  limits: JournalLimits,
  read: (sequence: number) => Uint8Array | undefined,
): JournalPlan {
  const added = entry === undefined ? undefined : encodeJournalEntry(entry)
  if (entry === undefined || added === undefined || added.length > limits.octetsMax) return emptied(before)
  let { first, octets } = continues(before, entry, read) ? before : emptied(before).after
  while (
    first < before.next &&
    (octets + added.length > limits.octetsMax || before.next - first >= limits.entriesMax)
  ) {
    octets -= read(first++)?.length ?? 0
  }
  return {
    after: { first, next: before.next + 1, octets: octets + added.length },
    removed: numbers(before.first, first),
    added,
  }
}

function continues(
  before: JournalExtent,
  entry: JournalEntry,
  read: (sequence: number) => Uint8Array | undefined,
): boolean {
  if (before.first === before.next) return true
  const last = read(before.next - 1)
  return last !== undefined && decodeJournalEntry(last).to === entry.from
}

function emptied({ first, next }: JournalExtent): JournalPlan {
  return { after: { first: next, next, octets: 0 }, removed: numbers(first, next) }
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index)
}

/** @throws ConclaveError STATE_CORRUPT */
export function decodeJournalEntry(octets: Uint8Array): JournalEntry {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength)
  if (octets.length < HEADER_OCTETS || view.getUint8(0) !== ENTRY_VERSION) throw corrupt()
  let at = HEADER_OCTETS
  const part = (length: number): Uint8Array => {
    at += length
    return octets.subarray(at - length, at)
  }
  const entry = {
    from: view.getUint32(1),
    to: view.getUint32(5),
    atUnix: view.getFloat64(9),
    sourceDigest: part(view.getUint8(17)),
    reason: new TextDecoder().decode(part(view.getUint16(18))),
    removed: part(view.getUint32(20)),
    added: part(view.getUint32(24)),
  }
  if (at !== octets.length) throw corrupt()
  return entry
}

function corrupt(): ConclaveError {
  return new ConclaveError('STATE_CORRUPT', 'an entry of the change journal is not whole')
}
