/** The part of base/ that reads files which people write: YAML with places, held against a schema. A face of its own, since
 *  zod and yaml take longer to load than all of the rest. */

export {
  DURATION_PATTERN,
  DURATION_WORDS,
  duration,
  durationSeconds,
  field,
  foundText,
  type JsonSchema,
  jsonSchemaOf,
  judged,
  listed,
  Mistake,
  quotingHint,
  text,
  wholeNumber,
  word,
  yesOrNo,
} from './fields.ts'
export {
  choiceOf,
  type DocumentedKey,
  documentedKeys,
  eitherBy,
  isMapping,
  optional,
  type Row,
  required,
  rowOf,
} from './shape.ts'
export { type CheckedShape, checkShape, type ShapeFault } from './shape-check.ts'
export {
  parseYaml,
  YAML_OCTETS_MAX,
  type YamlDocument,
  type YamlFault,
  type YamlOutcome,
  type YamlPath,
} from './yaml.ts'
