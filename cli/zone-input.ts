/** Zone files as the one-shot commands read them: a path, or `-` for standard input. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { ConclaveError, isErrno, placeText } from '../base/index.ts'
import { checkZone, type Fault, faultText, nameToText, Store, type ZoneContent } from '../zones/index.ts'
import { zoneName } from './options.ts'
import type { Output } from './output.ts'

const STANDARD_INPUT = 0

export interface InputZone {
  readonly store: Store
  readonly content: ZoneContent
  /** Of the zone, as text with its last dot. */
  readonly zone: string
}

export function readOctets(path: string): Uint8Array {
  try {
    return readFileSync(path === '-' ? STANDARD_INPUT : path)
  } catch (cause) {
    throw new ConclaveError('FILE_READ', whyUnread(cause), { place: { file: path }, cause })
  }
}

function whyUnread(cause: unknown): string {
  if (isErrno(cause, 'ENOENT')) return 'there is no such file'
  if (isErrno(cause, 'EISDIR')) return 'this is a directory; expected a zone file'
  if (isErrno(cause, 'EACCES')) return 'no permission to read the file'
  return `cannot read: ${cause instanceof Error ? cause.message : String(cause)}`
}

/** Reads and checks a zone; undefined when it has errors, which are told. Warnings are told too. */
export function readZone(path: string, origin: string | undefined, output: Output): InputZone | undefined {
  const store = new Store()
  const outcome = checkZone(store, readOctets(path), {
    file: path,
    read: included => readOctets(included),
    ...(origin === undefined ? {} : { origin: zoneName(origin) }),
  })
  if (outcome.kind === 'faults') {
    tellFaults(outcome.faults, output)
    return undefined
  }
  tellFaults(outcome.content.warnings, output)
  return { store, content: outcome.content, zone: nameToText(outcome.content.apex) }
}

/** One line each: words on standard error, or JSON on standard output. */
export function tellFaults(faults: readonly Fault[], output: Output): void {
  for (const fault of faults) {
    if (output.json) output.value({ ...fault, at: placeText(fault.place) })
    else output.note(faultText(fault))
  }
}

/** Where keys are when nobody says: beside the zone file, never in the working directory. */
export function keysDirectoryBeside(path: string): string {
  return resolve(dirname(path), '.conclave', 'keys')
}
