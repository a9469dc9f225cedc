/** Kinds of the options that a program gives: in JavaScript no compiler has looked at them, and a wrong one must not silently
 *  mean something else. What is in files is held against a schema (shape-check.ts), which is much to load.
 *  I1  An option that is undefined was not given. */
import { inspect } from 'node:util'
import { nearest } from './nearest.ts'

export interface Kind {
  /** As in `Give …`. */
  readonly wanted: string
  fits(value: unknown): boolean
}

/** A row for every option. */
export type Kinds<Options> = { readonly [Key in keyof Required<Options>]: Kind }

export interface KindFault {
  readonly what: string
  readonly remedy: string
}

export function oneOf(...values: readonly (string | boolean)[]): Kind {
  return {
    wanted: values.join(', ').replace(/, ([^,]*)$/, ' or $1'),
    fits: value => values.includes(value as string),
  }
}

export function integerFrom(least: number): Kind {
  return {
    wanted: `a whole number from ${least}`,
    fits: value => Number.isSafeInteger(value) && (value as number) >= least,
  }
}

/** Beyond which there is nothing is for whoever wants it to say. */
export const amount: Kind = {
  wanted: 'a number that is not negative',
  fits: value => typeof value === 'number' && value >= 0,
}

export const text: Kind = { wanted: 'a string', fits: value => typeof value === 'string' }

/** With properties, of whatever kind. */
export const object: Kind = {
  wanted: 'an object',
  fits: value => typeof value === 'object' && value !== null && !Array.isArray(value),
}

export const callable: Kind = { wanted: 'a function', fits: value => typeof value === 'function' }

export function listOf({ wanted, fits }: Kind): Kind {
  return {
    wanted: `an array, each of it ${wanted}`,
    fits: value => Array.isArray(value) && value.every(fits),
  }
}

export function either(one: Kind, other: Kind): Kind {
  return { wanted: `${one.wanted}, or ${other.wanted}`, fits: value => one.fits(value) || other.fits(value) }
}

export const nothing: Kind = { wanted: 'null', fits: value => value === null }

/** The first option that is not of its kind, or that means nothing. `whose` as in `WHOSE option …`. */
export function kindFault<Options extends object>(
  options: Options,
  kinds: Kinds<Options>,
  whose: string,
): KindFault | undefined {
  const rows: Readonly<Record<string, Kind>> = kinds
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    if (!Object.hasOwn(rows, name)) return unknownOption(name, Object.keys(rows), whose)
    if (rows[name]!.fits(value)) continue
    const found = inspect(value, { depth: 0, breakLength: Infinity, maxStringLength: 100 })
    return { what: `${whose} option ${name} is ${found}`, remedy: `Give ${rows[name]!.wanted}.` }
  }
  return undefined
}

function unknownOption(name: string, known: readonly string[], whose: string): KindFault {
  const meant = nearest(name, known)
  const remedy = meant === undefined ? `There are ${known.join(', ')}.` : `${meant} may be meant.`
  return { what: `${whose} option ${JSON.stringify(name)} means nothing`, remedy }
}
