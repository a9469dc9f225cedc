/** The public face of zones/: names, records, zone files, the shared store. */

export { checkSteps, checkZone, type LargeText, lintContent, locateFaults } from './check.ts'
export {
  type ContentOutcome,
  contentFromRecords,
  type ProgramRecord,
  readContent,
  type ZoneContent,
} from './content.ts'
export { type EditedOwner, editedOwners } from './edited-owners.ts'
export { type Fault, FaultList, faultText, type Severity } from './fault.ts'
export type { ReadFile } from './include.ts'
export { RRSETS_PER_NAME_MAX, rrsetOctetsMax } from './limits.ts'
export { type LintedZone, type LintOptions, lint } from './lint.ts'
export { type PrintedZone, printZone } from './print.ts'
export { rdataFromText } from './rdata.ts'
export { checkTypes, decodeTypes, encodeTypes } from './rdata-bitmap.ts'
export { rdataFault } from './rdata-check.ts'
export { decodeBase32Hex, encodeBase32Hex } from './rdata-encoding.ts'
export { timeFromOctets, ttlFromOctets } from './rdata-number.ts'
export { parseRdata, RDATA_OCTETS_MAX, RDATA_SCRATCH_OCTETS } from './rdata-parse.ts'
export { type RdataTokens, shownToken, TextTokens } from './rdata-tokens.ts'
export { genericRdataText, type RdataTextOptions, rdataToText } from './rdata-write.ts'
export * from './reading.ts'
export { ERROR_RULES, faultOf, type RuleCode, WARNING_RULES } from './rules.ts'
export * from './store/index.ts'
export {
  editSteps,
  type KeptText,
  Landmarks,
  type TextEdit,
  type TextPart,
  type TextRecord,
} from './text-parts.ts'
export {
  type LineContext,
  originOfFile,
  type ParseOptions,
  type ParseResult,
  parseZone,
  type RecordPlace,
  type RecordSink,
} from './zonefile.ts'
