/** Holds the value of a YAML file against its schema: every fault with its place, in words.
 *  I1  An unknown key is told with the known one that was most likely meant, or else with all that are known. */
import { z } from 'zod'
import type { Place } from './errors.ts'
import { foundText, listed, quotingHint } from './fields.ts'
import { nearest } from './nearest.ts'
import { branchOf, choiceOf, elementOf, fieldsOf, innerOf, isMapping } from './shape.ts'
import type { YamlDocument, YamlPath } from './yaml.ts'

export interface ShapeFault {
  readonly kind: 'unknown-key' | 'value'
  readonly place: Place
  readonly what: string
}

export type CheckedShape<T> =
  | { readonly kind: 'shape'; readonly shape: T }
  | { readonly kind: 'faults'; readonly faults: readonly ShapeFault[] }

/** Faults are in no order. */
export function checkShape<T>(schema: z.ZodType<T>, document: YamlDocument): CheckedShape<T> {
  const result = schema.safeParse(document.value)
  if (result.success) return { kind: 'shape', shape: result.data }
  const check = new Check(schema, document)
  return { kind: 'faults', faults: result.error.issues.flatMap(issue => check.faultsOf(issue)) }
}

const KINDS: Readonly<Record<string, string>> = { object: 'a mapping', record: 'a mapping', array: 'a list' }

class Check {
  readonly #schema: z.ZodType
  readonly #document: YamlDocument

  constructor(schema: z.ZodType, document: YamlDocument) {
    this.#schema = schema
    this.#document = document
  }

  faultsOf(issue: z.core.$ZodIssue): ShapeFault[] {
    const path = issue.path.map(step => (typeof step === 'symbol' ? String(step) : step))
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map(key => ({
        kind: 'unknown-key',
        place: this.#document.keyPlaceOf([...path, key]),
        what: this.#unknownKey(key, path),
      }))
    }
    const expected = issue.code === 'invalid_type' ? (KINDS[issue.expected] ?? issue.expected) : issue.message
    const what = this.#mistakeText(path, expected)
    return [{ kind: 'value', place: this.#document.placeOf(path), what }]
  }

  /** I1. */
  #unknownKey(key: string, path: YamlPath): string {
    const known = keysOf(schemaAt(this.#schema, path, this.#document.value))
    const found = `unknown key ${JSON.stringify(key)}`
    const meant = nearest(key, known)
    if (meant !== undefined) return `${found}; did you mean ${meant}?`
    const sections = this.#elsewhere(key)
    if (sections.length > 0) return `${found}; it belongs to ${listed(sections)}`
    return `${found}; known are ${known.join(', ')}`
  }

  /** Sections of the file that have such a key. */
  #elsewhere(key: string): string[] {
    const top = fieldsOf(this.#schema)
    return Object.keys(top).filter(section => keysOf(elementOf(innerOf(top[section]!))).includes(key))
  }

  #mistakeText(path: YamlPath, expected: string): string {
    const key = path.findLast(step => typeof step === 'string')
    const value = valueAt(this.#document.value, path)
    const subject = key === undefined ? '' : `${key}: `
    if (value === undefined) return `${subject}the key is missing; expected ${expected}`
    const source = this.#document.sourceOf(path)
    const hint = quotingHint(value, source, expected)
    return `${subject}found ${foundText(value, source)}, expected ${expected}${hint}`
  }
}

function valueAt(value: unknown, path: YamlPath): unknown {
  let at = value
  for (const step of path) at = (at as Record<string | number, unknown> | null | undefined)?.[step]
  return at
}

function keysOf(type: z.ZodType | undefined): string[] {
  return Object.keys(type === undefined ? {} : fieldsOf(type))
}

/** The schema that judges what is at a path of the value. */
function schemaAt(schema: z.ZodType, path: YamlPath, value: unknown): z.ZodType | undefined {
  let type: z.ZodType | undefined = schema
  let at = value
  for (const step of path) {
    type = chosen(type, at)
    if (type === undefined) return undefined
    const fields = fieldsOf(type)
    type = type instanceof z.ZodObject ? fields[step] : elementOf(type)
    at = isMapping(at) || Array.isArray(at) ? (at as Record<string | number, unknown>)[step] : undefined
  }
  return chosen(type, at)
}

function chosen(type: z.ZodType | undefined, value: unknown): z.ZodType | undefined {
  if (type === undefined) return undefined
  const inner = innerOf(type)
  const choice = choiceOf(inner)
  return choice === undefined ? inner : branchOf(choice, value)
}
