export {
  type FileContent,
  isErrno,
  isTemporaryName,
  makeDirectory,
  removeTemporaries,
  syncDirectory,
  syncFile,
  type WholeFileOptions,
  writeFileWhole,
} from './atomic-file.ts'
export { type Clock, ManualClock, systemClock, type Timer } from './clock.ts'
export {
  type ControlHandler,
  type ControlOptions,
  type ControlServer,
  callControl,
  controlPath,
  serveControl,
} from './control.ts'
export { ConclaveError, type ErrorDetails, errorText, type Place, placeText } from './errors.ts'
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
export { type LockOutcome, lockFile, lockForeignFile } from './file-lock.ts'
export { type Writers, writersOf } from './file-writer.ts'
export { type Libc, libc } from './libc.ts'
export { type LogFields, type Logger, silentLogger } from './log.ts'
export { nearest } from './nearest.ts'
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
export { atOnce, inTurns, type Steps } from './steps.ts'
export {
  parseYaml,
  YAML_OCTETS_MAX,
  type YamlDocument,
  type YamlFault,
  type YamlOutcome,
  type YamlPath,
} from './yaml.ts'
