/** Copies of a state directory, taken while a server uses it, and put in place of a lost one.
 *
 *    DIR/state.mdb, DIR/format     as in the state directory (state.ts), one consistent moment
 *    DIR/keys/                     key files, when asked for: then the copy is as secret as the original
 *
 *  I1  A copy appears whole or not at all, and never replaces anything.
 *  I2  A restored directory is used by one server: two that count serials by the same state confuse secondaries. */
import { existsSync, promises as fs } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { ConclaveError, isErrno, isTemporaryName, syncDirectory, syncFile } from '../base/index.ts'
import { openState, type State } from './state.ts'

const UNFINISHED = '.unfinished'
const SECRET_FILE_MODE = 0o600
const SECRET_DIRECTORY_MODE = 0o700

/** @throws ConclaveError STATE_BACKUP */
export async function backupState(state: State, directory: string, keys: boolean): Promise<void> {
  await intoPlace(directory, async path => {
    await state.backup(path)
    if (keys) await copyKeys(state.keysDirectory, join(path, 'keys'))
  })
}

/** Makes a state directory of a copy, once its format was found to be one that this release reads.
 *  @throws ConclaveError STATE_BACKUP, STATE_FORMAT, STATE_CORRUPT */
export async function restoreState(copy: string, directory: string): Promise<{ readonly zones: number }> {
  const state = await openState(copy, { readOnly: true })
  const zones = state.zones().length
  try {
    await intoPlace(directory, async path => {
      await state.backup(path)
      await fs.copyFile(join(copy, 'format'), join(path, 'format'))
      await syncFile(join(path, 'format'))
      await copyKeys(join(copy, 'keys'), join(path, 'keys'))
    })
  } finally {
    await state.close()
  }
  return { zones }
}

/** I1. */
async function intoPlace(directory: string, fill: (path: string) => Promise<void>): Promise<void> {
  const path = resolve(directory)
  const place = { file: path }
  if (existsSync(path)) {
    const remedy = 'Name a directory that is not there yet.'
    throw new ConclaveError('STATE_BACKUP', 'there is something already', { place, remedy })
  }
  const unfinished = join(dirname(path), `.${basename(path)}${UNFINISHED}`)
  try {
    await fs.rm(unfinished, { recursive: true, force: true })
    await fs.mkdir(unfinished, { recursive: true, mode: SECRET_DIRECTORY_MODE })
    await fill(unfinished)
    await syncDirectory(unfinished)
    await fs.rename(unfinished, path)
    await syncDirectory(dirname(path))
  } catch (cause) {
    await fs.rm(unfinished, { recursive: true, force: true })
    if (cause instanceof ConclaveError) throw cause
    const what = `the copy cannot be made: ${cause instanceof Error ? cause.message : String(cause)}`
    throw new ConclaveError('STATE_BACKUP', what, { place, cause })
  }
}

async function copyKeys(from: string, to: string): Promise<void> {
  const names = await namesIn(from)
  if (names.length === 0) return
  await fs.mkdir(to, { mode: SECRET_DIRECTORY_MODE })
  for (const name of names) {
    await fs.copyFile(join(from, name), join(to, name))
    await fs.chmod(join(to, name), SECRET_FILE_MODE)
    await syncFile(join(to, name))
  }
  await syncDirectory(to)
}

/** Without files that are being written: they may go while they are copied. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    const entries = await fs.readdir(directory, { withFileTypes: true })
    return entries.filter(entry => entry.isFile() && !isTemporaryName(entry.name)).map(({ name }) => name)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}
