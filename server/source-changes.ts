/** Several sources of zones changed in one go: some are no longer followed, some come, some are served in another way.
 *
 *    settings (may fail) ─▶ sources that go are let go ─▶ those that come are read ─▶ zones that have none are removed
 *
 *  I1  A zone that moves from one source to another is served all the while, and keeps its serial, signatures and keys.
 *  I2  When the settings of one source cannot be had, nothing has changed. */
import { resolve } from 'node:path'
import { type Name, nameFromText, rootName } from '../zones/index.ts'
import type { FileSources } from './file-sources.ts'
import type { ZoneOptions } from './nameserver-types.ts'
import { refusalOfError } from './refusal.ts'
import type { ZoneLife } from './zone-life.ts'
import type { ZoneOutcome, ZoneSettings } from './zone-life-types.ts'

export interface ZoneSource extends ZoneOptions {
  readonly kind: 'file' | 'directory'
  readonly path: string
  /** The zone, where the file does not say it. */
  readonly origin?: string
}

export interface SourceChange {
  /** Paths of files and directories. */
  readonly remove?: readonly string[]
  readonly add?: readonly ZoneSource[]
  /** Sources that are there, and are served so from now on. */
  readonly configure?: readonly ZoneSource[]
}

/** What the nameserver lends for it. */
export interface SourceChangeFace {
  readonly files: FileSources
  /** Lives of zones whose source goes, until another source takes them over. */
  readonly yielding: Set<ZoneLife>
  settingsOf(source: ZoneOptions): Promise<ZoneSettings>
  /** Of the zones that have one of these files as their source. */
  livesOf(files: ReadonlySet<string>): ZoneLife[]
  reconfigure(life: ZoneLife, settings: ZoneSettings): Promise<ZoneOutcome>
  remove(life: ZoneLife): Promise<void>
  now(): number
}

interface Prepared {
  readonly source: ZoneSource
  readonly path: string
  readonly settings: ZoneSettings
}

/** @throws ConclaveError KEY_UNREADABLE and what else the settings need */
export async function changeSources(change: SourceChange, face: SourceChangeFace): Promise<ZoneOutcome[]> {
  const { remove = [], add = [], configure = [] } = change
  const added = await prepared(add, face)
  const configured = await prepared(configure, face)
  const { files, yielding } = face
  const paths = remove.map(path => resolve(path))
  const leaving = face.livesOf(new Set(paths.flatMap(path => files.release(path))))
  for (const life of leaving) yielding.add(life)
  const outcomes = await Promise.all([
    // What is still followed belongs to its directory now.
    ...configureFiles(paths, face),
    ...configured.flatMap(one => configureSource(one, face)),
    addAll(added, face),
  ])
  // A file that was refused, since the zone was another's, may have it now.
  if (yielding.size > 0) outcomes.push(await files.readRest())
  await Promise.all(leaving.map(life => (yielding.delete(life) ? face.remove(life) : undefined)))
  return outcomes.flat()
}

function prepared(sources: readonly ZoneSource[], face: SourceChangeFace): Promise<Prepared[]> {
  const prepare = async (source: ZoneSource): Promise<Prepared> => {
    return { source, path: resolve(source.path), settings: await face.settingsOf(source) }
  }
  return Promise.all(sources.map(prepare))
}

function configureSource(
  { source, path, settings }: Prepared,
  face: SourceChangeFace,
): Promise<ZoneOutcome>[] {
  if (source.kind === 'directory') face.files.configureDirectory(path, settings)
  else face.files.configure(path, settings)
  return configureFiles(face.files.filesOf(path), face)
}

/** Zones of files are served as their files say. */
function configureFiles(paths: readonly string[], face: SourceChangeFace): Promise<ZoneOutcome>[] {
  return paths.flatMap(path => {
    const settings = face.files.settingsOf(path)
    if (settings === undefined) return []
    const lives = face.livesOf(new Set([path]))
    return lives.map(life => face.reconfigure(life, settings))
  })
}

/** Files before directories: a file that is named has words of its own. */
async function addAll(added: readonly Prepared[], face: SourceChangeFace): Promise<ZoneOutcome[]> {
  const outcomes: ZoneOutcome[] = []
  for (const kind of ['file', 'directory'] as const) {
    const ofKind = added.filter(({ source }) => source.kind === kind)
    outcomes.push(...(await Promise.all(ofKind.map(one => addSource(one, face)))).flat())
  }
  return outcomes
}

async function addSource(
  { source, path, settings }: Prepared,
  face: SourceChangeFace,
): Promise<ZoneOutcome[]> {
  const { files } = face
  try {
    if (source.kind === 'directory') return await files.addDirectory(path, settings)
    return [await files.addFile(path, settings, originOf(source))]
  } catch (error) {
    return [{ kind: 'refused', refusal: refusalOfError(error, face.now(), path) }]
  }
}

function originOf({ origin }: ZoneSource): Name | undefined {
  return origin === undefined ? undefined : nameFromText(origin, rootName)
}
