/** The state of one zone: last served version, signatures, journal, keys, last refusal.
 *
 *    publish:  blocks ─▶ blocks ─▶ … ─▶ last blocks + journal + record      (each arrow: a durable transaction)
 *                                                       │
 *                                              promise resolves ─▶ the store commits the version ─▶ queries see it
 *
 *  I1  The record and the journal change in one transaction, the last of a publication; before it the zone's old
 *      version stands. Signature blocks may be ahead of the record (signature-pack.ts I1).
 *  I2  Writes of one zone happen one after the other, in the order they were asked for; memory follows disk: what
 *      `served` says is durable.
 *  I3  Reading copies: what is handed out stays valid, and no read transaction outlives a call. */

import { ConclaveError } from '../base/index.ts'
import type { SharedCommit } from './state-commit.ts'
import {
  decodeJournalEntry,
  type JournalEntry,
  type JournalExtent,
  type JournalLimits,
  planJournal,
} from './state-journal.ts'
import {
  type Databases,
  journalKey,
  KEYS_PER_TRANSACTION,
  plainOctets,
  RangeWalk,
  recordKey,
  removeRange,
  type SignatureChange,
  type SignatureKind,
  type SignatureWalk,
  signatureKey,
  zoneRange,
} from './state-keys.ts'
import {
  encodeZoneRecord,
  NO_KEYS_STORED,
  type RefusedVersion,
  type ServedVersion,
  type StoredKeys,
  type ZoneStateRecord,
} from './state-record.ts'

export interface Publication extends ServedVersion {
  /** Blocks put and deleted; read once, in order, in parts. */
  readonly signatures?: Iterable<SignatureChange> | undefined
  /** Blocks of these kinds that were there before go first: for a zone signed from nothing. */
  readonly replaced?: readonly SignatureKind[]
  /** Absent: the journal is emptied, since the chain would have a hole. */
  readonly journalEntry?: JournalEntry | undefined
  /** Absent: what is known of the keys stays. */
  readonly keys?: StoredKeys | undefined
}

export interface ZoneState {
  readonly apexKey: Uint8Array
  /** The newest durable version; undefined when the zone was never served from this directory. */
  readonly served: ServedVersion | undefined
  readonly refused: RefusedVersion | undefined
  readonly keys: StoredKeys
  /** The node's block, copied. */
  signatures(kind: SignatureKind, key: Uint8Array): Uint8Array | undefined
  /** All blocks of a kind in ascending order of key, for merging with a walk of the tree. */
  signatureWalk(kind: SignatureKind): SignatureWalk
  /** Resolves when the version is durable; only then may it be published to queries. */
  publish(publication: Publication): Promise<void>
  /** Notes why a version was not published. */
  refuse(refusal: RefusedVersion): Promise<void>
  saveKeys(keys: StoredKeys): Promise<void>
  /** The steps from that serial to the served one, oldest first; undefined when the journal does not reach back. */
  journalFrom(serial: number): JournalEntry[] | undefined
  /** Removes signatures, journal and served version. Keys stay: they may still be named by a DS at the parent. */
  forget(): Promise<void>
}

const JOURNAL_NONE: JournalExtent = { first: 0, next: 0, octets: 0 }
/** The same for all zones, of which there may be thousands. */
const begun = Promise.resolve()
function nothing(): void {}

export class LmdbZoneState implements ZoneState {
  readonly apexKey: Uint8Array
  /** Whether the directory holds a record of this zone. */
  isStored: boolean
  readonly #databases: Databases
  readonly #limits: JournalLimits
  readonly #commit: SharedCommit
  #record: ZoneStateRecord
  #last: Promise<unknown> = begun

  /** Without a record, for a zone the directory does not know yet, the first write makes one under `id`. */
  constructor(
    apexKey: Uint8Array,
    record: ZoneStateRecord | { readonly id: number },
    databases: Databases,
    limits: JournalLimits,
    commit: SharedCommit,
  ) {
    this.isStored = 'keys' in record
    this.apexKey = apexKey
    this.#record = 'keys' in record ? record : { id: record.id, keys: NO_KEYS_STORED, journal: JOURNAL_NONE }
    this.#databases = databases
    this.#limits = limits
    this.#commit = commit
  }

  get served(): ServedVersion | undefined {
    return this.#record.served
  }

  get refused(): RefusedVersion | undefined {
    return this.#record.refused
  }

  get keys(): StoredKeys {
    return this.#record.keys
  }

  /** Settles when everything asked for so far is on disk or has failed. */
  get idle(): Promise<unknown> {
    return this.#last
  }

  signatures(kind: SignatureKind, key: Uint8Array): Uint8Array | undefined {
    const block = this.#databases.signatures.getBinary(signatureKey(this.#record.id, kind, key))
    return block === undefined ? undefined : plainOctets(block)
  }

  signatureWalk(kind: SignatureKind): SignatureWalk {
    return new RangeWalk(this.#databases.signatures, zoneRange(this.#record.id, kind))
  }

  publish(publication: Publication): Promise<void> {
    return this.#inOrder(() => {
      const { signatures, replaced } = publication
      this.#refuseEarlierSerial(publication.serial)
      if (signatures === undefined && replaced === undefined) return this.#writeVersion(publication, [])
      return this.#publishSigned(publication, signatures ?? [])
    })
  }

  async #publishSigned(publication: Publication, signatures: Iterable<SignatureChange>): Promise<void> {
    for (const kind of publication.replaced ?? []) {
      await removeRange(this.#databases.signatures, zoneRange(this.#record.id, kind))
    }
    await this.#writeVersion(publication, await this.#putBlocks(signatures))
  }

  /** The last transaction, with the last blocks (I1). */
  #writeVersion(publication: Publication, blocks: readonly SignatureChange[]): Promise<void> {
    const { journalEntry, keys } = publication
    const kept = this.#record
    const plan = planJournal(kept.journal, journalEntry, this.#limits, sequence =>
      this.#databases.journal.getBinary(journalKey(kept.id, sequence)),
    )
    const record = {
      id: kept.id,
      keys: keys ?? kept.keys,
      served: servedBy(publication),
      journal: plan.after,
    }
    return this.#write(record, () => {
      for (const change of blocks) this.#putBlock(change)
      for (const sequence of plan.removed) this.#databases.journal.remove(journalKey(kept.id, sequence))
      if (plan.added !== undefined) {
        this.#databases.journal.put(journalKey(kept.id, kept.journal.next), plan.added)
      }
    })
  }

  refuse(refused: RefusedVersion): Promise<void> {
    return this.#inOrder(() => this.#write({ ...this.#record, refused }))
  }

  saveKeys(keys: StoredKeys): Promise<void> {
    return this.#inOrder(() => this.#write({ ...this.#record, keys }))
  }

  journalFrom(serial: number): JournalEntry[] | undefined {
    const { first, next } = this.#record.journal
    if (serial === this.served?.serial) return []
    const entries: JournalEntry[] = []
    for (let sequence = next - 1; sequence >= first; sequence--) {
      const octets = this.#databases.journal.getBinary(journalKey(this.#record.id, sequence))
      if (octets === undefined) return undefined
      const entry = decodeJournalEntry(plainOctets(octets))
      entries.push(entry)
      if (entry.from === serial) return entries.reverse()
    }
    return undefined
  }

  forget(): Promise<void> {
    return this.#inOrder(async () => {
      const { id, keys, journal } = this.#record
      await this.#write({ id, keys, journal: { first: journal.next, next: journal.next, octets: 0 } })
      await removeRange(this.#databases.signatures, zoneRange(id))
      await removeRange(this.#databases.journal, zoneRange(id))
    })
  }

  /** RFC 1982 §3.2: the last defence of "the serial never goes backwards"; the serial policy is elsewhere. */
  #refuseEarlierSerial(serial: number): void {
    const served = this.#record.served
    if (served === undefined || ((serial - served.serial) | 0) >= 0) return
    throw new ConclaveError('STATE_SERIAL', `serial ${serial} is before ${served.serial}, which was served`)
  }

  /** Runs after what was asked for before, whether that succeeded or not (I2). */
  #inOrder(work: () => Promise<void>): Promise<void> {
    const result = this.#last.then(work).catch(throwUnwritten)
    this.#last = result.then(nothing, nothing)
    return result
  }

  /** Writes all but the last part of the blocks; returns that part, for the last transaction. */
  async #putBlocks(changes: Iterable<SignatureChange>): Promise<SignatureChange[]> {
    let part: SignatureChange[] = []
    for (const change of changes) {
      part.push(change)
      if (part.length < KEYS_PER_TRANSACTION) continue
      const full = part
      part = []
      await this.#databases.signatures.batch(() => {
        for (const one of full) this.#putBlock(one)
      })
    }
    return part
  }

  #putBlock({ kind, key, block }: SignatureChange): void {
    const { signatures } = this.#databases
    const stored = signatureKey(this.#record.id, kind, key)
    if (block === null || block.length === 0) signatures.remove(stored)
    else signatures.put(stored, block)
  }

  /** The record and what belongs to it, in one transaction; memory follows when it is durable. */
  #write(record: ZoneStateRecord, alongside?: () => void): Promise<void> {
    const { zones } = this.#databases
    const octets = encodeZoneRecord(record)
    const durable = this.#commit.run(() => {
      alongside?.()
      zones.put(recordKey(this.apexKey), octets)
    })
    return durable.then(() => {
      this.#record = record
      this.isStored = true
    })
  }
}

function throwUnwritten(cause: unknown): never {
  if (cause instanceof ConclaveError) throw cause
  // LMDB's own reason, which rejects by itself.
  if (isFailedCommit(cause)) cause.commitError.catch(nothing)
  throw new ConclaveError('STATE_WRITE', `the state directory cannot be written: ${String(cause)}`, {
    cause,
    remedy: 'Check the free space and the permissions of the state directory; the old version stays served.',
  })
}

function isFailedCommit(cause: unknown): cause is { readonly commitError: Promise<unknown> } {
  return cause instanceof Error && 'commitError' in cause && cause.commitError instanceof Promise
}

function servedBy(publication: Publication): ServedVersion {
  const { serial, sourceSerial, sourceDigest, parametersDigest, publishedUnix, newestInceptionUnix } =
    publication
  return { serial, sourceSerial, sourceDigest, parametersDigest, publishedUnix, newestInceptionUnix }
}
