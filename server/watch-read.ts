/** Reading a source file at a moment when nobody changes it.
 *
 *    open ─▶ stat ─▶ a writer? ─▶ read ─▶ stat ─▶ octets
 *                       │   the stats differ │
 *                       └────▶ changing ◀────┘
 *
 *  I1  The octets are one content of the file: what the path names has the stamp of what was opened. A change in between
 *      shows in ctime, which no program can set, because the caller saw the file still for longer than the clock of the
 *      file system ticks; where nobody did (readSource), there must be no writer afterwards, either.
 *  I2  Only regular files are read, and opening one never waits (a FIFO would).
 *  I3  Small files are read at once, large ones in parts between which the event loop runs. */

import { createHash, hash } from 'node:crypto'
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  read,
  readSync,
  statSync,
} from 'node:fs'
import { promisify } from 'node:util'
import { ConclaveError, isErrno, isLetGo, writersOf } from '../base/index.ts'

/** Identity and state of a file's content, for comparing: device, inode, size, mtime, ctime. */
export type Stamp = string

/** What is known about a file that was read; goes through structured cloning. */
export interface SourceStamp {
  readonly path: string
  readonly stamp: Stamp
  /** SHA-256 of the octets, in base64: a string takes a quarter of the memory. */
  readonly digest: string
}

export interface StableRead extends SourceStamp {
  readonly octets: Uint8Array
  readonly modifiedUnix: number
}

export type ReadOutcome =
  /** `linked`: the path is a symbolic link. */
  | { readonly kind: 'read'; readonly read: StableRead; readonly linked: boolean }
  /** Written to during the reading, or open for writing. */
  | { readonly kind: 'changing'; readonly writer: boolean }
  | { readonly kind: 'gone' }
  | { readonly kind: 'unreadable'; readonly error: ConclaveError }

/** Files up to this are read in one go. */
const AT_ONCE_OCTETS_MAX = 1 << 20
const PART_OCTETS = 4 << 20
/** The largest octet array of Node.js 20. */
const SOURCE_OCTETS_MAX = 0xffffffff

const readPart = promisify(read)

/** The octets, read again if they were let go; undefined when the file has others by now, or cannot be read. */
export function octetsAgain({ path, octets, digest }: StableRead): Uint8Array | undefined {
  if (!isLetGo(octets)) return octets
  try {
    const again = readSource(path)
    return again.digest === digest ? again.octets : undefined
  } catch (error) {
    if (error instanceof ConclaveError) return undefined
    throw error
  }
}

/** A file as it was looked at. */
export interface Look {
  readonly stamp: Stamp
  /** The path is a symbolic link; the rest is of what it leads to. */
  readonly linked: boolean
}

/** Undefined when the file is not there or cannot be looked at. */
export function lookAt(path: string): Look | undefined {
  const found = statsAt(path)
  return found === undefined ? undefined : { stamp: stampText(found.stats), linked: found.linked }
}

function statsAt(path: string): { stats: BigIntStats; linked: boolean } | undefined {
  try {
    const own = lstatSync(path, { bigint: true })
    const linked = own.isSymbolicLink()
    return { stats: linked ? statSync(path, { bigint: true }) : own, linked }
  } catch {
    return undefined
  }
}

/** Whether stamps of both would be the same. */
function sameStamp(a: BigIntStats, b: BigIntStats): boolean {
  if (a.ctimeNs !== b.ctimeNs || a.mtimeNs !== b.mtimeNs || a.size !== b.size) return false
  return a.ino === b.ino && a.dev === b.dev
}

/** Joined, which makes one string: a template's parts would stay, of thousands of files. */
function stampText({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): Stamp {
  return [dev, ino, size, mtimeNs, ctimeNs].join(':')
}

/** Whether a stamp is that of a file that was put in the place of another by renaming: another inode, whose last change
 *  (ctime) was not one of its content (mtime). One that is made anew in its place has both from its last write. */
export function isRenamedOver(now: Stamp, before: Stamp): boolean {
  const [device, inode, , modified, changed] = now.split(':')
  const [deviceBefore, inodeBefore] = before.split(':')
  const another = device !== deviceBefore || inode !== inodeBefore
  return another && changed !== undefined && modified !== undefined && BigInt(changed) > BigInt(modified)
}

/** Reads a file for a parser, `$INCLUDE`s above all: whole, or an error that says what to do.
 *  @throws ConclaveError SOURCE_CHANGING, SOURCE_GONE, SOURCE_UNREADABLE */
export function readSource(path: string): StableRead {
  const opened = openStable(path)
  if (opened.kind !== 'opened') throw outcomeError(path, opened)
  try {
    const octets = new Uint8Array(opened.size)
    let at = 0
    while (at < octets.length) {
      const count = readSync(opened.descriptor, octets, at, octets.length - at, at)
      if (count === 0) break
      at += count
    }
    const outcome = checkAfter(opened, at, octets, hash('sha256', octets, 'base64'))
    if (outcome.kind !== 'read') throw outcomeError(path, outcome)
    if (hasWriter(opened)) throw outcomeError(path, { kind: 'changing', writer: true })
    return outcome.read
  } finally {
    closeSync(opened.descriptor)
  }
}

/** Reads a file that has been still for a while, or since before `stillUnix`: else it is changing. A large one takes turns.
 *  Never throws. */
export function readStable(
  path: string,
  stillUnix: number = Number.POSITIVE_INFINITY,
): ReadOutcome | Promise<ReadOutcome> {
  const opened = openStable(path)
  if (opened.kind !== 'opened') return opened
  if (opened.size > AT_ONCE_OCTETS_MAX && opened.changedUnix < stillUnix) return readLarge(opened)
  try {
    if (opened.changedUnix >= stillUnix) return { kind: 'changing', writer: false }
    const octets = new Uint8Array(opened.size)
    const count = readSync(opened.descriptor, octets, 0, octets.length, 0)
    return checkAfter(opened, count, octets, hash('sha256', octets, 'base64'))
  } catch (cause) {
    return { kind: 'unreadable', error: unreadable(path, messageOf(cause), cause) }
  } finally {
    closeSync(opened.descriptor)
  }
}

async function readLarge(opened: Opened): Promise<ReadOutcome> {
  try {
    const octets = new Uint8Array(opened.size)
    const digest = createHash('sha256')
    let at = 0
    while (at < octets.length) {
      const want = Math.min(octets.length - at, PART_OCTETS)
      const { bytesRead } = await readPart(opened.descriptor, octets, at, want, at)
      if (bytesRead === 0) break
      digest.update(octets.subarray(at, at + bytesRead))
      at += bytesRead
    }
    return checkAfter(opened, at, octets, digest.digest('base64'))
  } catch (cause) {
    return { kind: 'unreadable', error: unreadable(opened.path, messageOf(cause), cause) }
  } finally {
    closeSync(opened.descriptor)
  }
}

interface Opened {
  readonly kind: 'opened'
  readonly path: string
  readonly descriptor: number
  readonly stats: BigIntStats
  readonly size: number
  readonly changedUnix: number
}

type NotRead = Exclude<ReadOutcome, { kind: 'read' }>

function openStable(path: string): Opened | NotRead {
  let descriptor: number | undefined
  let keep = false
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stats = fstatSync(descriptor, { bigint: true })
    if (!stats.isFile()) return { kind: 'unreadable', error: unreadable(path, 'it is not a regular file') }
    if (stats.size > SOURCE_OCTETS_MAX) {
      return { kind: 'unreadable', error: unreadable(path, `it has more than ${SOURCE_OCTETS_MAX} octets`) }
    }
    const opened: Opened = {
      kind: 'opened',
      path,
      descriptor,
      stats,
      size: Number(stats.size),
      changedUnix: Number(stats.ctimeNs) / 1e9,
    }
    if (hasWriter(opened)) return { kind: 'changing', writer: true }
    keep = true
    return opened
  } catch (cause) {
    if (isErrno(cause, 'ENOENT') || isErrno(cause, 'ENOTDIR')) return { kind: 'gone' }
    return { kind: 'unreadable', error: unreadable(path, messageOf(cause), cause) }
  } finally {
    if (descriptor !== undefined && !keep) closeSync(descriptor)
  }
}

function hasWriter({ descriptor, path, stats }: Opened): boolean {
  return writersOf(descriptor, path, stats.dev) === 'some'
}

function checkAfter(opened: Opened, count: number, octets: Uint8Array, digest: string): ReadOutcome {
  const { path, stats } = opened
  const now = statsAt(path)
  if (count !== octets.length || now === undefined || !sameStamp(now.stats, stats)) {
    return { kind: 'changing', writer: false }
  }
  const modifiedUnix = Number(stats.mtimeNs) / 1e9
  const read = { path, stamp: stampText(stats), digest, octets, modifiedUnix }
  return { kind: 'read', read, linked: now.linked }
}

function outcomeError(path: string, outcome: NotRead): ConclaveError {
  if (outcome.kind === 'unreadable') return outcome.error
  if (outcome.kind === 'gone') return goneError(path)
  return new ConclaveError('SOURCE_CHANGING', 'the file is being written', {
    place: { file: path },
    remedy: 'It is read when it has been still and is closed.',
  })
}

export function goneError(path: string): ConclaveError {
  return new ConclaveError('SOURCE_GONE', 'the file is not there', { place: { file: path } })
}

function unreadable(path: string, what: string, cause?: unknown): ConclaveError {
  return new ConclaveError('SOURCE_UNREADABLE', `the file cannot be read: ${what}`, {
    place: { file: path },
    remedy: remedyOf(cause),
    ...(cause === undefined ? {} : { cause }),
  })
}

function remedyOf(cause: unknown): string {
  if (cause === undefined) return 'Put a zone file in its place, or take it away.'
  if (isErrno(cause, 'EACCES') || isErrno(cause, 'EPERM')) {
    return 'Give the server permission to read it, or take it away.'
  }
  if (isErrno(cause, 'EMFILE') || isErrno(cause, 'ENFILE')) {
    return 'It is tried again; let the server have more open files (ulimit -n, LimitNOFILE=).'
  }
  return 'It is tried again; the message has the reason of the system.'
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
