/** The content of a zone file with all that it includes, out of octets that were read while the file was at rest.
 *  I1  A small text is content within one turn of the event loop, so that what reading needs is there once, however many files
 *      wait. */
import { createHash } from 'node:crypto'
import { inTurns, letGo, letGoPart } from '../base/index.ts'
import {
  type ContentOutcome,
  checkSteps,
  Landmarks,
  type Name,
  type Store,
  type TextPart,
} from '../zones/index.ts'
import { KEPT_OCTETS_MIN, partsOf } from './file-text.ts'
import { octetsAgain, readSource, type SourceStamp, type StableRead } from './watch-read.ts'

export interface FileContent {
  readonly outcome: ContentOutcome
  /** What was included; a path alone could not be read. */
  readonly includes: readonly (SourceStamp | string)[]
  /** By which a large text can be kept. */
  readonly parts: readonly TextPart[] | undefined
}

/** At once where there is little to read (I1). */
export function contentOfFile(
  store: Store,
  read: StableRead,
  origin: Name | undefined,
): FileContent | Promise<FileContent> {
  const includes = new FileIncludes()
  const options = { file: read.path, origin, errorsOnly: true, read: includes.read }
  if (read.octets.length >= KEPT_OCTETS_MIN) return contentOfLarge(store, read, options, includes)
  const checked = inTurns(checkSteps(store, read.octets, options))
  const content = (outcome: ContentOutcome): FileContent => {
    return { outcome, includes: includes.all, parts: undefined }
  }
  return checked instanceof Promise ? checked.then(content) : content(checked)
}

/** The octets are let go as they are read. */
async function contentOfLarge(
  store: Store,
  read: StableRead,
  options: Parameters<typeof checkSteps>[2],
  includes: FileIncludes,
): Promise<FileContent> {
  const { octets } = read
  const length = octets.length
  const landmarks = new Landmarks()
  let gone = 0
  const text = {
    letGoBefore: (at: number) => {
      gone = letGoPart(octets, gone, at)
    },
    letGo: () => letGo(octets),
    again: () => octetsAgain(read),
    onLandmark: landmarks.note,
  }
  const outcome = await inTurns(checkSteps(store, octets, options, text))
  const parts = outcome.kind === 'content' ? partsOf(outcome.content, length, landmarks) : undefined
  return { outcome, includes: includes.all, parts }
}

const NO_INCLUDES: readonly (SourceStamp | string)[] = []

/** What a zone file includes, each file read once. */
class FileIncludes {
  #found: Map<string, SourceStamp | string> | undefined

  readonly read = (path: string): Uint8Array => {
    this.#found ??= new Map()
    this.#found.set(path, path)
    const included = readSource(path)
    this.#found.set(path, included)
    return included.octets
  }

  get all(): readonly (SourceStamp | string)[] {
    return this.#found === undefined ? NO_INCLUDES : [...this.#found.values()]
  }
}

/** Of a file with all that it includes. */
export function digestOf(parts: readonly (SourceStamp | string)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(typeof part === 'string' ? part : part.digest)
  return hash.digest('hex')
}
