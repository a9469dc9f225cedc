/** What a person names as the source of zones: ZONEFILE, NAME=ZONEFILE or a directory of *.zone files.
 *  The zone's name is the owner of its SOA; NAME only completes owners that are relative before any $ORIGIN
 *  (RFC 1035 §5.1). */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { ConclaveError } from '../base/index.ts'
import { type Name, nameFromText } from '../zones/index.ts'

export type SourceArgument =
  | { readonly kind: 'file'; readonly path: string; readonly origin?: Name }
  | { readonly kind: 'directory'; readonly path: string }

/** Reads one word of the command line. A path with `=` in it can be given as `./a=b.zone`.
 *  @throws ConclaveError SOURCE_NOT_FOUND, NAME_SYNTAX */
export function parseSource(word: string): SourceArgument {
  const equals = word.indexOf('=')
  const named = equals > 0 && !word.slice(0, equals).includes('/')
  const path = resolve(named ? word.slice(equals + 1) : word)
  const status = statSync(path, { throwIfNoEntry: false })
  if (status === undefined) {
    throw new ConclaveError('SOURCE_NOT_FOUND', 'there is no such file or directory', {
      place: { file: path },
      remedy: 'Name zone files, directories of *.zone files, or NAME=ZONEFILE.',
    })
  }
  if (status.isDirectory()) return { kind: 'directory', path }
  if (!named) return { kind: 'file', path }
  const text = word.slice(0, equals)
  return { kind: 'file', path, origin: nameFromText(text.endsWith('.') ? text : `${text}.`) }
}
