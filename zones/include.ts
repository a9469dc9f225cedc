/** $INCLUDE of zone files (RFC 1035 §5.1): which files are being read, and what bounds them. Files themselves are read by
 *  whoever called the parser.
 *  I1  No file is read inside itself; depth and number are bounded (limits.ts). */

import { dirname, isAbsolute, join } from 'node:path'
import type { Place } from '../base/index.ts'
import { INCLUDE_DEPTH_MAX, INCLUDES_MAX } from './limits.ts'
import { type Scanner, ZoneSyntaxError } from './scanner.ts'

/** Octets of a file; `path` is absolute, or relative to the working directory; `from` is the including file. */
export type ReadFile = (path: string, from: string) => Uint8Array

export class Includes {
  /** Every file included so far. */
  readonly paths: Set<string> = new Set()
  readonly #read: ReadFile | undefined
  /** The zone file, and the files inside one another that are being read. */
  readonly #open: string[]
  #count = 0

  constructor(file: string, read: ReadFile | undefined) {
    this.#open = [file]
    this.#read = read
  }

  /** The current token as a path, relative to the directory of the file it stands in. */
  path(tokens: Scanner): string {
    const text = new TextDecoder().decode(tokens.octets.subarray(tokens.start, tokens.end))
    const path = tokens.escaped ? text.replace(/\\(.)/g, '$1') : text
    return isAbsolute(path) ? path : join(dirname(tokens.file), path)
  }

  /** Octets of the file that is included at `place`. */
  enter(path: string, from: string, place: Place): Uint8Array {
    const depth = this.#open.length
    if (this.#read === undefined)
      return refuse('$INCLUDE', 'a text without it: no files are read here', place)
    if (this.#open.includes(path)) return refuse(`$INCLUDE of ${path} inside itself`, 'another file', place)
    if (depth > INCLUDE_DEPTH_MAX)
      return refuse(`$INCLUDE ${depth} files deep`, `at most ${INCLUDE_DEPTH_MAX}`, place)
    if (++this.#count > INCLUDES_MAX) return refuse('too many $INCLUDE', `at most ${INCLUDES_MAX}`, place)
    this.paths.add(path)
    try {
      const octets = this.#read(path, from)
      this.#open.push(path)
      return octets
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      return refuse(`$INCLUDE: ${reason}`, 'a file that can be read', place)
    }
  }

  /** The file entered last is at its end. */
  leave(): void {
    this.#open.pop()
  }
}

function refuse(found: string, expected: string, place: Place): never {
  throw new ZoneSyntaxError(`${found}; expected ${expected}`, place)
}
