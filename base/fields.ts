/** The single values of a file that people write (a configuration, a policy): what is taken, in words for people, and the same
 *  for editors (JSON Schema). Values of DNS are made from these where they are used.
 *  I1  A fault says what was found and what was expected; values that YAML reads as something else than was meant say so.
 *  I2  What a field gives is what its user takes: nothing is read a second time. */
import { isIPv4 } from 'node:net'
import { z } from 'zod'
import { ConclaveError } from './errors.ts'
import { nearest } from './nearest.ts'

/** Part of a JSON Schema. */
export type JsonSchema = Readonly<Record<string, unknown>>

type Read<T> = (value: unknown) => T | Mistake

/** What a value should have been. */
export class Mistake {
  readonly expected: string

  constructor(expected: string) {
    this.expected = expected
  }
}

const jsonSchemas = new WeakMap<z.ZodType, JsonSchema>()

/** The JSON Schema of a field that was made here. */
export function jsonSchemaOf(field: z.ZodType): JsonSchema | undefined {
  return jsonSchemas.get(field)
}

/** A field of one value. */
export function field<T>(json: JsonSchema, read: Read<T>): z.ZodType<T> {
  const made = z.unknown().transform((value, context): T => {
    const result = read(value)
    if (!(result instanceof Mistake)) return result
    context.issues.push({ code: 'custom', message: result.expected, input: value })
    return z.NEVER
  })
  jsonSchemas.set(made, json)
  return made
}

/** Any text that is not empty. */
export function text(what: string): z.ZodType<string> {
  return field({ type: 'string', minLength: 1 }, value =>
    typeof value === 'string' && value !== '' ? value : new Mistake(what),
  )
}

/** One of a few words. */
export function word<const W extends string>(...words: readonly W[]): z.ZodType<W> {
  return field({ enum: words }, value => {
    const found = words.find(one => one === value)
    if (found !== undefined) return found
    const meant = typeof value === 'string' ? nearest(value, words) : undefined
    return new Mistake(`${listed(words)}${meant === undefined ? '' : ` (did you mean ${meant}?)`}`)
  })
}

/** `a, b or c`. */
export function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}

export function yesOrNo(): z.ZodType<boolean> {
  return field({ type: 'boolean' }, value =>
    typeof value === 'boolean' ? value : new Mistake('true or false'),
  )
}

export function wholeNumber(least: number, most: number): z.ZodType<number> {
  return field({ type: 'integer', minimum: least, maximum: most }, value =>
    typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
      ? value
      : new Mistake(`a whole number from ${least} to ${most}`),
  )
}

const UNIT_SECONDS: Readonly<Record<string, number>> = {
  y: 31_536_000,
  w: 604_800,
  d: 86_400,
  h: 3600,
  m: 60,
  s: 1,
}
const DURATION = /^(?:\d{1,10}[ywdhms])+$/i
export const DURATION_PATTERN = '^(\\d{1,10}[ywdhmsYWDHMS])+$'
/** RFC 4034 §3.1.5: no time in DNSSEC may be 2^31 seconds from another. */
const DURATION_SECONDS_MAX = 0x7fffffff
export const DURATION_WORDS = 'a duration such as 14d, 1h30m or 2y (y, w, d, h, m, s), or a number of seconds'

/** Seconds of `14d`, `1h30m`, `2y` (of 365 days) or a number; undefined for anything else. */
export function durationSeconds(value: unknown): number | undefined {
  if (typeof value === 'number')
    return Number.isInteger(value) && value >= 0 && value <= DURATION_SECONDS_MAX ? value : undefined
  if (typeof value !== 'string' || !DURATION.test(value)) return undefined
  let seconds = 0
  for (const [, number, unit] of value.toLowerCase().matchAll(/(\d+)([a-z])/g)) {
    seconds += Number(number) * UNIT_SECONDS[unit!]!
  }
  return seconds <= DURATION_SECONDS_MAX ? seconds : undefined
}

/** Seconds; null for the word that stands for none, where there is one. */
export function duration(): z.ZodType<number>
export function duration(none: string): z.ZodType<number | null>
export function duration(none?: string): z.ZodType<number | null> {
  const kinds = [
    { type: 'integer', minimum: 0 },
    { type: 'string', pattern: DURATION_PATTERN },
  ]
  return field({ anyOf: none === undefined ? kinds : [...kinds, { const: none }] }, value => {
    if (none !== undefined && value === none) return null
    return (
      durationSeconds(value) ??
      new Mistake(none === undefined ? DURATION_WORDS : `${none}, or ${DURATION_WORDS}`)
    )
  })
}

/** A value that a function elsewhere judges by throwing a ConclaveError. */
export function judged<T>(json: JsonSchema, expected: string, read: (text: string) => T): z.ZodType<T> {
  return field({ type: 'string', ...json }, value => {
    if (typeof value !== 'string') return new Mistake(expected)
    try {
      return read(value)
    } catch (error) {
      if (!(error instanceof ConclaveError)) throw error
      return new Mistake(expected)
    }
  })
}

/** What somebody found in a file, for a sentence: `the number 012`, `nothing`, `a list`. */
export function foundText(value: unknown, source: string | undefined): string {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  if (typeof value === 'string') return JSON.stringify(shortened(value))
  return `the ${typeof value} ${shortened(source ?? String(value))}`
}

const SHOWN_MAX = 60

function shortened(value: string): string {
  return value.length <= SHOWN_MAX ? value : `${value.slice(0, SHOWN_MAX)}…`
}

/** What YAML makes of a text without quotes is not always what was meant (I1). */
export function quotingHint(value: unknown, source: string | undefined, expected: string): string {
  const words = ['yes', 'no', 'on', 'off']
  if (
    expected.startsWith('true or false') &&
    typeof value === 'string' &&
    words.includes(value.toLowerCase())
  ) {
    return ': YAML 1.2 has true and false only'
  }
  const isScalar = typeof value === 'number' || typeof value === 'boolean'
  if (!isScalar || source === undefined || !/text|name|path|hexadecimal|address/.test(expected)) return ''
  return isIPv4(source) ? '' : `: a text that looks like a ${typeof value} needs quotes: '${source}'`
}
