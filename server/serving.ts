/** The public face of server/ but for configurations (index.ts has them, too): what a nameserver needs that is told by a
 *  program or by the command line what it serves. It loads neither zod nor yaml. */

export {
  type ControlHandler,
  type ControlOptions,
  type ControlServer,
  callControl,
  controlPath,
  serveControl,
} from '../base/index.ts'
export { AccessControl, type AccessOptions, type AccessRule, type TransferRules } from './access.ts'
export {
  type ListenAddress,
  listenAddressText,
  parseListenAddress,
  prefixMatcher,
} from './address.ts'
export * from './answerer.ts'
export { observeDs } from './ask-parent.ts'
export { observeZone } from './ask-secondaries.ts'
export type {
  AskOptions,
  DsAtServer,
  DsObservation,
  LaggingServer,
  ServerNames,
  ZoneObservation,
  ZoneWants,
} from './ask-types.ts'
export * from './counters.ts'
export { type KeysFace, keyHandlers, keyTimes, stoppedKeys } from './key-control.ts'
export type { KeyOrder, KeyReport, KeySituation, OrderEffect } from './key-desk.ts'
export {
  type ListenCounters,
  type Listeners,
  type ListenOptions,
  openListeners,
  probeAddresses,
} from './listen.ts'
export { createLogger, type LevelLogger, type LogLevel, type LogOptions } from './log.ts'
export { Nameserver } from './nameserver.ts'
export * from './nameserver-types.ts'
export { createNameserver } from './open-nameserver.ts'
export { dropPrivileges, giveToUser } from './privileges.ts'
export type { RecordText, ZoneChange } from './program-zone.ts'
export * from './rcode.ts'
export type { Refusal } from './refusal.ts'
export { type DueJob, Scheduler, type SchedulerOptions } from './scheduler.ts'
export type { SourceChange, ZoneSource } from './source-changes.ts'
export { parseSource, type SourceArgument } from './sources.ts'
export {
  defaultStateDirectory,
  JOURNAL_LIMITS,
  openState,
  STATE_FILE_NAME,
  STATE_FORMAT,
  type State,
  type StateOptions,
} from './state.ts'
export { backupState, restoreState } from './state-backup.ts'
export type { JournalEntry, JournalLimits } from './state-journal.ts'
export type { SignatureChange, SignatureKind, SignatureWalk } from './state-keys.ts'
export type { Generating, RefusedVersion, ServedVersion, StoredKey, StoredKeys } from './state-record.ts'
export type { Publication, ZoneState } from './state-zone.ts'
export { TSIG_ALGORITHMS, type TsigAlgorithm, type TsigKey } from './tsig-keyring.ts'
export { tsigKey } from './tsig-keys.ts'
export { type SourceWatcher, type WatchOptions, watchSources } from './watch.ts'
export { readSource, type SourceStamp, type StableRead } from './watch-read.ts'
export type { RolloverStep } from './zone-keys-types.ts'
export type { PublishedVersion, ZoneOutcome } from './zone-life-types.ts'
export type { ZoneStatus } from './zone-status.ts'
