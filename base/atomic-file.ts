/** Files that appear whole or not at all, and stay so when the machine loses power.
 *  I1  The octets go to a new file in the same directory (a rename never crosses file systems), are synced, and only
 *      then take the name; the directory is synced last, so that the new name is durable when the call resolves.
 *  I2  A failure leaves what was there before, and no temporary file.
 *  I3  Only regular files are replaced, never a device, a pipe or a directory. A symbolic link at the path stays; the
 *      file it leads to is replaced.
 *  After a crash between I1's steps a file named `.conclave-*.tmp` may remain; `isTemporaryName` recognises it, and
 *  `removeTemporaries` removes it where it may hold a secret. */

import { randomBytes } from 'node:crypto'
import { constants, promises as fs } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { ConclaveError } from './errors.ts'

export interface WholeFileOptions {
  /** Permissions, never widened by what was there before. Without it: those of the file replaced, else 0666 less umask. */
  readonly mode?: number
  /** Fails with FILE_EXISTS when the path exists already: for key files, which must never be replaced. */
  readonly exclusive?: boolean
}

/** Octets or text, at once or in parts. */
export type FileContent =
  | string
  | Uint8Array
  | Iterable<string | Uint8Array>
  | AsyncIterable<string | Uint8Array>

const TEMPORARY_PREFIX = '.conclave-'
const TEMPORARY_SUFFIX = '.tmp'
/** No write of a file that is kept beside others takes so long. */
const TEMPORARY_MILLISECONDS_MAX = 60_000

/** Writes the file whole or not at all; resolves when it is durable.
 *  @throws ConclaveError FILE_WRITE, FILE_EXISTS */
export async function writeFileWhole(
  path: string,
  content: FileContent,
  options: WholeFileOptions = {},
): Promise<void> {
  try {
    await writeAndRename(path, content, options)
  } catch (cause) {
    if (isErrno(cause, 'EEXIST') && options.exclusive === true) {
      throw new ConclaveError('FILE_EXISTS', 'the file exists already', { place: { file: path }, cause })
    }
    if (cause instanceof ConclaveError) throw cause
    const what = cause instanceof Error ? cause.message : String(cause)
    throw new ConclaveError('FILE_WRITE', `cannot write: ${what}`, { place: { file: path }, cause })
  }
}

async function writeAndRename(path: string, content: FileContent, options: WholeFileOptions): Promise<void> {
  const target = options.exclusive === true ? path : await linkTarget(path)
  await refuseSpecial(target)
  const directory = dirname(target)
  const name = `${TEMPORARY_PREFIX}${randomBytes(8).toString('hex')}${TEMPORARY_SUFFIX}`
  const temporary = join(directory, name)
  const mode = options.mode ?? (await modeOf(target))
  const file = await fs.open(
    temporary,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL,
    mode ?? 0o666,
  )
  try {
    try {
      if (mode !== undefined) await file.chmod(mode)
      if (typeof content === 'string' || content instanceof Uint8Array) await file.writeFile(content)
      else for await (const part of content) await file.writeFile(part)
      await file.sync()
    } finally {
      await file.close()
    }
    // link() refuses an existing name where rename() would replace it.
    if (options.exclusive === true) {
      await fs.link(temporary, target)
      await fs.unlink(temporary)
    } else await fs.rename(temporary, target)
  } catch (error) {
    await fs.unlink(temporary).catch(() => {})
    throw error
  }
  await syncDirectory(directory)
}

async function refuseSpecial(path: string): Promise<void> {
  const stats = await fs.stat(path).catch(() => undefined)
  if (stats === undefined || stats.isFile()) return
  throw new ConclaveError('FILE_WRITE', 'this is not a regular file, and is left as it is', {
    place: { file: path },
    remedy: 'Name a file; what is written to standard output can be led elsewhere.',
  })
}

/** Makes the names in a directory durable. Does nothing where a directory cannot be opened or synced. */
export async function syncDirectory(directory: string): Promise<void> {
  let handle: fs.FileHandle | undefined
  try {
    handle = await fs.open(directory, constants.O_RDONLY)
    await handle.sync()
  } catch (error) {
    if (!['EISDIR', 'EINVAL', 'EPERM', 'EACCES', 'ENOTSUP'].some(code => isErrno(error, code))) throw error
  } finally {
    await handle?.close()
  }
}

/** Makes what somebody else wrote into a file durable. */
export async function syncFile(path: string): Promise<void> {
  const file = await fs.open(path, 'r+')
  await file.sync().finally(() => file.close())
}

/** Makes a directory, and those above it that are missing; their names are durable when the call resolves. */
export async function makeDirectory(path: string, mode: number): Promise<void> {
  const first = await fs.mkdir(path, { recursive: true, mode })
  if (first === undefined) return
  const top = resolve(first)
  for (let made = resolve(path); made.length >= top.length; made = dirname(made)) {
    await syncDirectory(dirname(made))
  }
}

/** Removes what crashes left in a directory of writes that they cut short. A write that is under way is younger. */
export async function removeTemporaries(directory: string): Promise<void> {
  const oldest = Date.now() - TEMPORARY_MILLISECONDS_MAX
  const names = await fs.readdir(directory).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  })
  for (const name of names.filter(isTemporaryName)) {
    const path = join(directory, name)
    const stats = await fs.stat(path).catch(() => undefined)
    if (stats !== undefined && stats.mtimeMs < oldest) await fs.rm(path, { force: true })
  }
}

/** Whether a file of this name was left behind by a write that a crash cut short. */
export function isTemporaryName(path: string): boolean {
  const name = basename(path)
  return name.startsWith(TEMPORARY_PREFIX) && name.endsWith(TEMPORARY_SUFFIX)
}

/** Whether an error is the system's, with that code (`ENOENT`). */
export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code
}

async function linkTarget(path: string): Promise<string> {
  try {
    return await fs.realpath(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return path
    throw error
  }
}

async function modeOf(path: string): Promise<number | undefined> {
  try {
    return (await fs.stat(path)).mode & 0o777
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
