/** The keys of a state directory, as files and as the timeline has them (signer/timeline.ts).
 *  I1  Key files only come: nothing is destroyed within a day of a start.
 *  I2  A key of the timeline has a file. A file without a place in the timeline is of the one key that was being made, or
 *      of a zone that was never served.
 *  I3  Of each role one key is the first, and no two take over from the same, but for those that an operator let go before
 *      they had: none was made twice. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../../base/index.ts'
import { openState, type ZoneState } from '../../server/index.ts'
import { isSerialAfter } from '../../signer/index.ts'
import { keyOf, nameFromText } from '../../zones/index.ts'

/** Text of each key file by its name. */
export type KeyFiles = Readonly<Record<string, string>>

export function keyFilesIn(stateDirectory: string): KeyFiles {
  const directory = join(stateDirectory, 'keys')
  try {
    const names = readdirSync(directory).filter(name => name.endsWith('.pem'))
    return Object.fromEntries(names.sort().map(name => [name, readFileSync(join(directory, name), 'utf8')]))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return {}
    throw error
  }
}

/** Public keys, in base64, of a zone's files. */
export function publicKeysOf(files: KeyFiles, zone: string): string[] {
  const mine = Object.values(files).filter(text => lineOf(text, 'Zone') === zone)
  return mine.map(text => lineOf(text, 'Public-Key'))
}

function lineOf(text: string, name: string): string {
  return new RegExp(`^${name}: (\\S+)$`, 'm').exec(text)?.[1] ?? ''
}

export function zonesOf(files: KeyFiles): Set<string> {
  return new Set(Object.values(files).map(text => lineOf(text, 'Zone')))
}

/** I1.
 *  @throws Error */
export function checkFilesStay(before: KeyFiles, after: KeyFiles): void {
  for (const [name, text] of Object.entries(before)) {
    if (after[name] === undefined) throw new Error(`the key ${name} is lost`)
    if (after[name] !== text) throw new Error(`the key ${name} has changed`)
  }
}

/** Looks at a state directory without disturbing the server that uses it. */
export async function lookAtState<T>(
  directory: string,
  look: (zone: (name: string) => ZoneState) => T,
): Promise<T> {
  const state = await openState(directory, { readOnly: true })
  try {
    return look(name => state.zone(keyOf(nameFromText(name))))
  } finally {
    await state.close()
  }
}

/** I2 and I3.
 *  @throws Error */
export function checkKeys(zone: string, files: readonly string[], { keys }: ZoneState, wanted: number): void {
  const { timeline } = keys
  if (timeline === undefined) {
    if (files.length > wanted) throw new Error(`${zone} was never served and has ${files.length} keys`)
    return
  }
  const ids = timeline.keys.map(({ id }) => id)
  if (new Set(ids).size < ids.length) throw new Error(`${zone}: a key is in the timeline twice`)
  const known = keys.infos.filter(({ id }) => ids.includes(id)).map(publicKey)
  const lost = known.filter(key => !files.includes(key))
  if (known.length < ids.length || lost.length > 0) throw new Error(`${zone}: a key of the timeline is lost`)
  const strange = files.filter(key => !known.includes(key))
  if (strange.length > 1) throw new Error(`${zone}: ${strange.length} keys that nobody uses`)
  for (const role of ['csk', 'ksk', 'zsk']) {
    const before = timeline.keys
      .filter(key => key.role === role && key.retiredBecause !== 'asked')
      .map(key => key.predecessor)
    if (new Set(before).size < before.length) throw new Error(`${zone}: the same ${role} was replaced twice`)
  }
}

/** Keys that were in use when an operator asked for others are not any more.
 *  @throws Error */
export function checkRolled(zone: string, { keys }: ZoneState, askedUnix: number): void {
  const inUse = (keys.timeline?.keys ?? []).filter(({ goal }) => goal === 'in-use')
  if (inUse.some(({ goalUnix }) => goalUnix < askedUnix))
    throw new Error(`${zone}: a roll that was answered is not on disk`)
}

/** Public keys that a version with this serial shows, as the timeline has it. */
export function shownOnDisk({ keys }: ZoneState, serial: number): string[] {
  const epochs = keys.timeline?.epochs ?? []
  const epoch = epochs.findLast(one => one.serial === serial || isSerialAfter(serial, one.serial))
  return keys.infos.filter(({ id }) => epoch?.published.includes(id)).map(publicKey)
}

function publicKey(info: { readonly publicKey: Uint8Array }): string {
  return Buffer.from(info.publicKey).toString('base64')
}
