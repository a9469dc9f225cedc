/** What is told about the keys of a configuration: to editors as JSON Schema (`conclave check --schema`,
 *  docs/conclave.schema.json), to people as the tables of docs/configuration.md. */
import { z } from 'zod'
import {
  choiceOf,
  type DocumentedKey,
  documentedKeys,
  type JsonSchema,
  jsonSchemaOf,
  type Row,
  rowOf,
} from '../base/documents.ts'
import { configurationSchema, zoneSchema } from './config-schema.ts'

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

/** Every key of configurations; what zones and templates have in common with policies is told there. */
export function configurationKeys(): DocumentedKey[] {
  return documentedKeys(configurationSchema)
}
