/** A directory of zone files: what is in it, and what is wrong with it. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ConclaveError } from '../base/index.ts'

/** @throws ConclaveError SOURCE_NOT_FOUND, SOURCE_UNREADABLE */
export function checkDirectory(directory: string): void {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new ConclaveError('SOURCE_NOT_FOUND', 'there is no such directory', { place: { file: directory } })
  }
  try {
    readdirSync(directory)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new ConclaveError('SOURCE_UNREADABLE', `the directory cannot be read: ${why}`, {
      place: { file: directory },
      remedy: 'Give the server permission to read it.',
      cause,
    })
  }
}

/** Every `*.zone` file in it now, in order. */
export function zoneFilesOf(directory: string): string[] {
  return readdirSync(directory)
    .filter(name => name.endsWith('.zone') && !name.startsWith('.'))
    .sort()
    .map(name => join(directory, name))
}
