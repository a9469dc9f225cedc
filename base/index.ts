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
export { type LockOutcome, lockFile, lockForeignFile } from './file-lock.ts'
export { type Writers, writersOf } from './file-writer.ts'
export {
  amount,
  callable,
  either,
  integerFrom,
  type Kind,
  type KindFault,
  type Kinds,
  kindFault,
  listOf,
  nothing,
  object,
  oneOf,
  text,
} from './kinds.ts'
export { giveBackMapped, giveBackPages, isLetGo, letGo, letGoPart } from './let-go.ts'
export { type Libc, libc } from './libc.ts'
export { type LogFields, type Logger, silentLogger } from './log.ts'
export { nearest } from './nearest.ts'
export { type Openssl, openssl, type P256Key } from './openssl.ts'
export { giveWay, giveWayMeanwhile, ordinaryPriority, othersGiveWay, takePriority } from './priority.ts'
export { atOnce, inTurns, type Steps } from './steps.ts'
export { TURN_MILLISECONDS, Turns } from './turns.ts'
