/** Errors of the whole project: a stable code, what is wrong, where, and what to do.
 *  I1  Every error a person can meet is a ConclaveError; its code is listed in docs/errors.md.
 *  I2  A place is never guessed: an absent field means that it is not known. */

/** Where a fault is. Lines and columns count from 1; columns count octets. */
export interface Place {
  readonly file?: string
  readonly line?: number
  readonly column?: number
  readonly zone?: string
  /** An owner name and type, as text: `www.example. A`. */
  readonly record?: string
  readonly key?: string
  readonly node?: string
}

export interface ErrorDetails {
  readonly place?: Place
  /** What the reader can do about it, as a sentence. */
  readonly remedy?: string
  readonly cause?: unknown
}

export class ConclaveError extends Error {
  /** Stable and upper case, for example `ZONE_SYNTAX`. */
  readonly code: string
  readonly place: Place
  readonly remedy: string | undefined

  constructor(code: string, what: string, details: ErrorDetails = {}) {
    super(what, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'ConclaveError'
    this.code = code
    this.place = details.place ?? {}
    this.remedy = details.remedy
  }
}

/** `file:line:column` as far as it is known, else the zone, record, key or node; empty when nothing is. */
export function placeText(place: Place): string {
  const position = [place.file, place.line, place.column].filter(part => part !== undefined).join(':')
  const names = [
    place.zone === undefined ? undefined : `zone ${place.zone}`,
    place.record,
    place.key === undefined ? undefined : `key ${place.key}`,
    place.node === undefined ? undefined : `node ${place.node}`,
  ].filter(part => part !== undefined)
  return [position, ...names].filter(part => part !== '').join(' ')
}

/** One line for people: place, what, remedy and code. */
export function errorText(error: unknown): string {
  if (!(error instanceof ConclaveError)) return error instanceof Error ? error.message : String(error)
  const place = placeText(error.place)
  const remedy = error.remedy === undefined ? '' : ` ${error.remedy}`
  // What is told of another error may end with its remedy, or with a question.
  const end = /[.?!]$/.test(error.message) ? '' : '.'
  return `${place === '' ? '' : `${place}: `}${error.message}${end}${remedy} [${error.code}]`
}
