/** The state directory: what must survive a restart, in one LMDB environment (`state.mdb`) beside the key files.
 *
 *    DIR/lock       flock, held while a server uses the directory; the pid in it is for messages
 *    DIR/format     this format's number as text, written before anything else
 *    DIR/state.mdb  LMDB: zones, signatures, journal (state-keys.ts)
 *    DIR/keys/      key files, one a key (the signer's)
 *    DIR/control/   the control socket
 *
 *  I1  One process at a time writes; the lock is the operating system's, so a killed process leaves no obstacle.
 *  I2  The format number changes whenever an older release would read something wrong. An older one is turned into this
 *      one: first the records, each readable as either, then the number, so a crash between is done over; a newer one is
 *      refused.
 *  I3  A write promise that has resolved is durable: LMDB syncs each commit (`overlappingSync` off; with it on, a
 *      commit is visible before it is durable), and the names of directories and files are synced when they are made.
 *      Writes asked for in one turn of the event loop share a commit. */

import { chmodSync, closeSync, mkdirSync, openSync, readSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import type { open as openLmdb, RootDatabase } from 'lmdb'
import {
  ConclaveError,
  isErrno,
  lockFile,
  makeDirectory,
  syncDirectory,
  syncFile,
  writeFileWhole,
} from '../base/index.ts'
import { SharedCommit } from './state-commit.ts'
import type { JournalLimits } from './state-journal.ts'
import {
  apexKeyOf,
  type Databases,
  type OctetsDatabase,
  plainOctets,
  RECORD_RANGE,
  zoneIdOf,
} from './state-keys.ts'
import { checkDatabaseFile, corruptDatabase } from './state-pages.ts'
import { decodeZoneRecord, encodeZoneRecord, type ZoneStateRecord } from './state-record.ts'
import { LmdbZoneState, type ZoneState } from './state-zone.ts'

/** The package in the form of CommonJS is a few files, as modules it is many: a start takes a twentieth less. */
const { open } = createRequire(import.meta.url)('lmdb') as { readonly open: typeof openLmdb }

export const STATE_FORMAT = 2
/** Older formats that are turned into this one when they are opened. */
const STATE_FORMAT_MIN = 1
export const STATE_DIRECTORY_NAME = '.conclave'
/** LMDB's file. */
export const STATE_FILE_NAME = 'state.mdb'
/** 16 MiB of changes a zone, and at most as many steps as a secondary might ask about after a long absence. */
export const JOURNAL_LIMITS: JournalLimits = { octetsMax: 16 << 20, entriesMax: 1000 }

export interface StateOptions {
  /** Looks only: takes no lock, so it works beside a running server, and every write fails. */
  readonly readOnly?: boolean
  readonly journal?: JournalLimits
}

export interface State {
  /** Absolute path. */
  readonly directory: string
  /** Whether the directory held no state before: serials then start at the sources' own. */
  readonly fresh: boolean
  readonly keysDirectory: string
  /** The state of a zone, by the absolute key of its apex; the same object each time. */
  zone(apexKey: Uint8Array): ZoneState
  /** Apex keys of all zones that the directory knows, in canonical order. */
  zones(): Uint8Array[]
  /** The newest inception of any RRSIG that was made: a clock before it is wrong and must not sign. 0: none. */
  newestInceptionUnix(): number
  /** Writes a consistent copy of the database into a new directory, without keys, while all goes on. */
  backup(directory: string): Promise<void>
  /** Resolves when everything asked for is on disk and the lock is given back. */
  close(): Promise<void>
}

/** `.conclave/` beside the first ZONEFILE or configuration file, or in the first DIR; never the working directory,
 *  since a second state would mean second keys and a second DS. */
export function defaultStateDirectory(firstPath: string): string {
  const path = resolve(firstPath)
  return join(isDirectory(path) ? path : dirname(path), STATE_DIRECTORY_NAME)
}

/** Opens, and makes if need be, a state directory.
 *  @throws ConclaveError STATE_LOCKED, STATE_FORMAT, STATE_CORRUPT, STATE_OPEN */
export async function openState(directory: string, options: StateOptions = {}): Promise<State> {
  const path = resolve(directory)
  try {
    if (options.readOnly === true) {
      statSync(join(path, STATE_FILE_NAME))
      await readFormat(path)
      return await openEnvironment(path, options, false, () => {})
    }
    await makeDirectory(path, 0o700)
    const release = lockDirectory(path)
    try {
      const format = await readFormat(path)
      if (format === undefined) await writeFormat(path)
      const fresh = readStart(join(path, STATE_FILE_NAME), 0) === undefined
      const state = await openEnvironment(path, options, fresh, release)
      if (fresh) await syncDirectory(path)
      if (format !== undefined && format < STATE_FORMAT) await migrate(state, path)
      return state
    } catch (error) {
      release()
      throw error
    }
  } catch (cause) {
    if (cause instanceof ConclaveError) throw cause
    const what = cause instanceof Error ? cause.message : String(cause)
    throw new ConclaveError('STATE_OPEN', `the state directory cannot be used: ${what}`, {
      place: { file: path },
      cause,
      remedy: 'It must be a directory that this user may write to; --state gives another.',
    })
  }
}

function lockDirectory(path: string): () => void {
  const outcome = lockFile(join(path, 'lock'))
  if (outcome.kind === 'locked') return outcome.release
  // Without flock (Windows) LMDB's own locks keep the database whole; only the clear message is lost.
  if (outcome.kind === 'unsupported') return () => {}
  const holder = outcome.pid === process.pid ? 'this process' : `process ${outcome.pid ?? '(unknown)'}`
  throw new ConclaveError('STATE_LOCKED', `the state directory is in use by ${holder}`, {
    place: { file: path },
    remedy: 'Stop that server, or give this one another directory with --state.',
  })
}

const FORMAT_OCTETS_MAX = 16

/** The format of the directory; undefined for a new one. Refuses what this release cannot read (I2). */
async function readFormat(path: string): Promise<number | undefined> {
  const found = readStart(join(path, 'format'), FORMAT_OCTETS_MAX)?.toString('latin1')
  if (found === undefined) {
    if (readStart(join(path, STATE_FILE_NAME), 0) !== undefined)
      throw formatError(path, 'has no format number')
    return undefined
  }
  if (!/^[0-9]+\n?$/.test(found)) throw formatError(path, 'has a format number that cannot be read')
  const format = Number(found)
  if (format >= STATE_FORMAT_MIN && format <= STATE_FORMAT) return format
  const age = format > STATE_FORMAT ? 'a newer release' : 'an older release'
  const reads = `${STATE_FORMAT_MIN} to ${STATE_FORMAT}`
  throw formatError(path, `was written by ${age} (format ${format}; this release reads ${reads})`)
}

function writeFormat(path: string): Promise<void> {
  return writeFileWhole(join(path, 'format'), `${STATE_FORMAT}\n`, { mode: 0o600 })
}

/** I2. */
async function migrate(state: LmdbState, path: string): Promise<void> {
  try {
    await state.rewrite()
    await writeFormat(path)
  } catch (error) {
    await state.close()
    throw error
  }
}

function formatError(path: string, what: string): ConclaveError {
  return new ConclaveError('STATE_FORMAT', `the state directory ${what}`, {
    place: { file: path },
    remedy:
      'Use the release that wrote it, or restore a backup; keys and last serials are in it, so keep it.',
  })
}

/** The first octets of a file; undefined when there is none. */
function readStart(path: string, octets: number): Buffer | undefined {
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
  try {
    const start = Buffer.alloc(octets)
    return start.subarray(0, readSync(descriptor, start, 0, octets, 0))
  } finally {
    closeSync(descriptor)
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

async function openEnvironment(
  path: string,
  options: StateOptions,
  fresh: boolean,
  release: () => void,
): Promise<LmdbState> {
  const file = join(path, STATE_FILE_NAME)
  const readOnly = options.readOnly === true
  checkDatabaseFile(file)
  let root: RootDatabase<Uint8Array, Uint8Array> | undefined
  try {
    root = open<Uint8Array, Uint8Array>({
      path: file,
      noSubdir: true,
      maxDbs: 8,
      overlappingSync: false,
      // Else it begins transactions of its own, whose failure it tells nobody but the process. Writes of a turn are put together
      // by SharedCommit.
      eventTurnBatching: false,
      readOnly,
      ...OCTETS,
    })
    if (!readOnly) chmodSync(file, 0o600)
    return new LmdbState(path, fresh, root, options.journal ?? JOURNAL_LIMITS, release)
  } catch (cause) {
    await root?.close()
    if (cause instanceof Error && isDamage(cause)) throw corruptDatabase(file, cause.message, cause)
    throw cause
  }
}

/** Whether an error of LMDB says that the file is not as it should be: MDB_PAGE_NOTFOUND (-30797), MDB_CORRUPTED, MDB_PANIC,
 *  MDB_VERSION_MISMATCH, MDB_INVALID (-30793). */
function isDamage(error: Error & { readonly code?: unknown }): boolean {
  return typeof error.code === 'number' && error.code >= -30797 && error.code <= -30793
}

const OCTETS = { encoding: 'binary', keyEncoding: 'binary', cache: false } as const

class LmdbState implements State {
  readonly directory: string
  readonly fresh: boolean
  readonly keysDirectory: string
  readonly #root: RootDatabase<Uint8Array, Uint8Array>
  readonly #databases: Databases
  readonly #limits: JournalLimits
  readonly #commit: SharedCommit
  readonly #release: () => void
  readonly #zones = new Map<string, LmdbZoneState>()
  #nextId = 0

  constructor(
    directory: string,
    fresh: boolean,
    root: RootDatabase<Uint8Array, Uint8Array>,
    limits: JournalLimits,
    release: () => void,
  ) {
    this.directory = directory
    this.fresh = fresh
    this.keysDirectory = join(directory, 'keys')
    this.#root = root
    this.#limits = limits
    this.#release = release
    const database = (name: string): OctetsDatabase =>
      root.openDB<Uint8Array, Uint8Array>({ name, ...OCTETS })
    this.#databases = {
      zones: database('zones'),
      signatures: database('signatures'),
      journal: database('journal'),
    }
    this.#commit = new SharedCommit(this.#databases.zones)
    for (const { key, value } of this.#databases.zones.getRange(RECORD_RANGE)) {
      const apexKey = apexKeyOf(key)
      this.#add(apexKey, decodeZoneRecord(value))
    }
    // A crash may have left blocks of a zone whose record was not written yet: its number is not used again.
    for (const key of this.#databases.signatures.getKeys({ reverse: true, limit: 1 })) {
      this.#nextId = Math.max(this.#nextId, zoneIdOf(key) + 1)
    }
  }

  zone(apexKey: Uint8Array): ZoneState {
    const known = this.#zones.get(textOf(apexKey))
    if (known !== undefined) return known
    return this.#add(apexKey.slice(), { id: this.#nextId })
  }

  zones(): Uint8Array[] {
    return [...this.#zones.values()]
      .filter(zone => zone.isStored)
      .map(zone => zone.apexKey)
      .sort(Buffer.compare)
  }

  newestInceptionUnix(): number {
    let newest = 0
    for (const zone of this.#zones.values()) newest = Math.max(newest, zone.served?.newestInceptionUnix ?? 0)
    return newest
  }

  async backup(directory: string): Promise<void> {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const file = join(directory, STATE_FILE_NAME)
    await this.#root.backup(file, true)
    chmodSync(file, 0o600)
    // LMDB's copy is written, and not synced.
    await syncFile(file)
    await writeFileWhole(join(directory, 'format'), `${STATE_FORMAT}\n`, { mode: 0o600 })
    await syncDirectory(directory)
  }

  /** Writes every record in the form of this release, in one durable transaction. */
  async rewrite(): Promise<void> {
    const { zones } = this.#databases
    await zones.batch(() => {
      for (const { key, value } of zones.getRange(RECORD_RANGE)) {
        zones.put(plainOctets(key).slice(), encodeZoneRecord(decodeZoneRecord(value)))
      }
    })
    await zones.flushed
  }

  async close(): Promise<void> {
    await Promise.all([...this.#zones.values()].map(zone => zone.idle))
    await this.#root.close()
    this.#release()
  }

  #add(apexKey: Uint8Array, record: ZoneStateRecord | { readonly id: number }): LmdbZoneState {
    const zone = new LmdbZoneState(apexKey, record, this.#databases, this.#limits, this.#commit)
    this.#zones.set(textOf(apexKey), zone)
    this.#nextId = Math.max(this.#nextId, record.id + 1)
    return zone
  }
}

/** Of a copy: a view of a small array, which has its octets inside, gives it a buffer beside it for good; so does, since
 *  Node.js 24, any of Node's functions in C++ that reads it. */
function textOf(key: Uint8Array): string {
  return Buffer.from(key).toString('latin1')
}
