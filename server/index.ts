/** The public face of server/: answers, transports, the nameserver. */
export * from './answerer.ts'
export * from './counters.ts'
export * from './rcode.ts'
export {
  defaultStateDirectory,
  JOURNAL_LIMITS,
  openState,
  STATE_FORMAT,
  type State,
  type StateOptions,
} from './state.ts'
export type { JournalEntry, JournalLimits } from './state-journal.ts'
export type { SignatureWalk } from './state-keys.ts'
export type { RefusedVersion, ServedVersion, StoredKey } from './state-record.ts'
export * from './state-signatures.ts'
export type { Publication, ZoneState } from './state-zone.ts'
