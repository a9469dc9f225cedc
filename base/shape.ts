/** The shape of a file that people write: its keys as rows, each with the kind of its value, what goes without it and what it
 *  means. The check of a file (shape-check.ts), the JSON Schema for editors and the tables of manuals come from these rows.
 *  I1  A mapping takes the keys of its rows and no other (z.strictObject). */
import { z } from 'zod'

export interface Row {
  readonly description: string
  /** In words; undefined: the key must be there. */
  readonly standard?: string | undefined
}

const rows = new WeakMap<z.ZodType, Row>()

/** What a key is for; undefined for a value that is not of a key. */
export function rowOf(type: z.ZodType): Row | undefined {
  return rows.get(type)
}

/** A key that may be left out. */
export function optional<T extends z.ZodType>(
  type: T,
  standard: string,
  description: string,
): z.ZodOptional<T> {
  const made = type.optional()
  rows.set(made, { description, standard })
  return made
}

/** A key that must be there. */
export function required<T>(type: z.ZodType<T>, description: string): z.ZodType<T> {
  rows.set(type, { description })
  return type
}

/** A schema chosen by a look at the value: its faults are those of the chosen one. */
export interface Choice {
  readonly choose: (value: unknown) => string
  readonly branches: Readonly<Record<string, z.ZodType>>
  /** Judges values for which there is no branch. */
  readonly otherwise: z.ZodType
}

const choices = new WeakMap<z.ZodType, Choice>()

export function choiceOf(type: z.ZodType): Choice | undefined {
  return choices.get(type)
}

/** The branch of a value. */
export function branchOf({ choose, branches, otherwise }: Choice, value: unknown): z.ZodType {
  const name = choose(value)
  return Object.hasOwn(branches, name) ? branches[name]! : otherwise
}

/** The branch that was chosen judges the value. */
export function eitherBy<B extends Readonly<Record<string, z.ZodType>>>(
  choose: (value: unknown) => string,
  branches: B,
  otherwise: z.ZodType,
): z.ZodType<z.output<B[keyof B]>> {
  const choice: Choice = { choose, branches, otherwise }
  const made = z.unknown().transform((value, context): z.output<B[keyof B]> => {
    const result = branchOf(choice, value).safeParse(value)
    if (result.success) return result.data as z.output<B[keyof B]>
    for (const issue of result.error.issues)
      context.issues.push({ ...issue, input: value } as z.core.$ZodRawIssue)
    return z.NEVER
  })
  choices.set(made, choice)
  return made
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
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

export interface DocumentedKey {
  /** `policies.NAME.nsec3.salt`. */
  readonly path: string
  readonly row: Row
}

/** Every key of a schema once, in its order; what several mappings have in common is told where it comes first. */
export function documentedKeys(schema: z.ZodType): DocumentedKey[] {
  const found: DocumentedKey[] = []
  const seen = new Set<z.ZodType>()
  const visit = (type: z.ZodType, path: string): void => {
    const inner = innerOf(type)
    for (const branch of Object.values(choiceOf(inner)?.branches ?? {})) visit(branch, path)
    const element = elementOf(inner)
    if (element !== inner) visit(element, inner instanceof z.ZodRecord ? `${path}.NAME` : path)
    for (const [key, field] of Object.entries(fieldsOf(inner))) {
      const row = rowOf(field)
      if (row === undefined || seen.has(field)) continue
      seen.add(field)
      const at = path === '' ? key : `${path}.${key}`
      found.push({ path: at, row })
      visit(field, at)
    }
  }
  visit(schema, '')
  return found
}
