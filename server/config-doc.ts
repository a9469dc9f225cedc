/** What is told about the keys of a configuration: to editors as JSON Schema (`conclave check --schema`,
 *  docs/conclave.schema.json), to people as the tables of docs/configuration.md. */
import { z } from 'zod'
import { elementOf, fieldsOf, innerOf } from './config-check.ts'
import { type JsonSchema, jsonSchemaOf } from './config-fields.ts'
import { choiceOf, configurationSchema, type Row, rowOf, zoneSchema } from './config-schema.ts'

const TITLE = 'Configuration of the nameserver Conclave'

/** JSON Schema 2020-12 of a configuration file. */
export function configurationJsonSchema(): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: TITLE,
    ...jsonOf(configurationSchema),
  }
}

function jsonOf(type: z.ZodType): JsonSchema {
  const { $schema: _, ...schema } = z.toJSONSchema(type, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) =>
      void Object.assign(jsonSchema, additions(zodSchema as unknown as z.ZodType)),
  })
  return schema
}

function additions(type: z.ZodType): JsonSchema {
  const choice = choiceOf(type)
  const row = rowOf(type)
  return {
    ...jsonSchemaOf(type),
    ...(type instanceof z.ZodOptional ? additions(type.unwrap() as z.ZodType) : {}),
    ...(choice === undefined ? {} : { anyOf: Object.values(choice.branches).map(jsonOf) }),
    ...(type === zoneSchema ? { oneOf: [{ required: ['file'] }, { required: ['directory'] }] } : {}),
    ...(row === undefined ? {} : { description: description(row) }),
  }
}

function description({ description, standard }: Row): string {
  return standard === undefined || standard === '' ? description : `${description} (default: ${standard})`
}

export interface DocumentedKey {
  /** `policies.NAME.nsec3.salt`. */
  readonly path: string
  readonly row: Row
}

/** Every key once, in the order of the schema: what zones and templates have in common with policies is told there. */
export function documentedKeys(): DocumentedKey[] {
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
  visit(configurationSchema, '')
  return found
}
