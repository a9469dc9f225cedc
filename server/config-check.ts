/** Holds a value against the schema of configurations: every fault with its path, in words.
 *  I1  An unknown key is told with the known one that was most likely meant, or else with all that are known. */
import { z } from 'zod'
import { nearest, type YamlPath } from '../base/index.ts'
import { listed } from './config-fields.ts'
import { branchOf, choiceOf, configurationSchema, isMapping } from './config-schema.ts'
import type { ConfigurationShape } from './config-shape.ts'

export type ShapeFault =
  /** The path ends with the key. */
  | { readonly kind: 'unknown-key'; readonly path: YamlPath; readonly what: string }
  | { readonly kind: 'value'; readonly path: YamlPath; readonly expected: string }

export type CheckedShape =
  | { readonly kind: 'shape'; readonly shape: ConfigurationShape }
  | { readonly kind: 'faults'; readonly faults: readonly ShapeFault[] }

export function checkShape(value: unknown): CheckedShape {
  const result = configurationSchema.safeParse(value)
  if (result.success) return { kind: 'shape', shape: result.data }
  return { kind: 'faults', faults: result.error.issues.flatMap(issue => faultsOf(issue, value)) }
}

const KINDS: Readonly<Record<string, string>> = { object: 'a mapping', record: 'a mapping', array: 'a list' }

function faultsOf(issue: z.core.$ZodIssue, value: unknown): ShapeFault[] {
  const path = issue.path.map(step => (typeof step === 'symbol' ? String(step) : step))
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => ({
      kind: 'unknown-key',
      path: [...path, key],
      what: unknownKey(key, path, value),
    }))
  }
  const expected = issue.code === 'invalid_type' ? (KINDS[issue.expected] ?? issue.expected) : issue.message
  return [{ kind: 'value', path, expected }]
}

/** I1. */
function unknownKey(key: string, path: YamlPath, value: unknown): string {
  const known = keysOf(schemaAt(path, value))
  const found = `unknown key ${JSON.stringify(key)}`
  const meant = nearest(key, known)
  if (meant !== undefined) return `${found}; did you mean ${meant}?`
  const sections = elsewhere(key)
  if (sections.length > 0) return `${found}; it belongs to ${listed(sections)}`
  return `${found}; known are ${known.join(', ')}`
}

/** Sections of the configuration that have such a key. */
function elsewhere(key: string): string[] {
  const top = fieldsOf(configurationSchema)
  return Object.keys(top).filter(section => keysOf(elementOf(innerOf(top[section]!))).includes(key))
}

function keysOf(type: z.ZodType | undefined): string[] {
  return Object.keys(type === undefined ? {} : fieldsOf(type))
}

/** What is in a list, or in a mapping whose keys are chosen by the user; the schema itself otherwise. */
export function elementOf(type: z.ZodType): z.ZodType {
  if (type instanceof z.ZodArray) return innerOf(type.element as z.ZodType)
  if (type instanceof z.ZodRecord) return innerOf(type.valueType as z.ZodType)
  return type
}

/** Without what says that it may be left out. */
export function innerOf(type: z.ZodType): z.ZodType {
  return type instanceof z.ZodOptional ? innerOf(type.unwrap() as z.ZodType) : type
}

/** The keys that a schema names, with their schemas. */
export function fieldsOf(type: z.ZodType): Readonly<Record<string, z.ZodType>> {
  return type instanceof z.ZodObject ? (type.shape as Record<string, z.ZodType>) : {}
}

/** The schema that judges what is at a path of the value. */
function schemaAt(path: YamlPath, value: unknown): z.ZodType | undefined {
  let type: z.ZodType | undefined = configurationSchema
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
