/** A zone's text as a whole: reading and lint together, with every fault at its place. What `check` prints, and what
 *  stands between a changed file and a new version.
 *  I1  Content comes out exactly when no fault is an error; on errors nothing is left in the store. */

import { atOnce, type Steps } from '../base/index.ts'
import { type ContentOutcome, contentSteps, type TextReading, type ZoneContent } from './content.ts'
import { type Fault, FaultList } from './fault.ts'
import { type LintOptions, lint, lintSteps } from './lint.ts'
import { canonicalName, type Name, nameToText } from './name.ts'
import type { Store } from './store/store.ts'
import { typeToText } from './types.ts'
import { type ParseOptions, parseZone, type RecordPlace } from './zonefile.ts'

/** Reads and lints a zone file; `content.warnings` has the warnings of both.
 *  @throws ConclaveError STORE_FULL */
export function checkZone(
  store: Store,
  text: Uint8Array,
  options: ParseOptions & LintOptions,
): ContentOutcome {
  return atOnce(checkSteps(store, text, options))
}

/** A text that is large enough to let it go when it has been read: places of lint's faults are then found in it again. */
export interface LargeText extends TextReading {
  /** Undefined: it is not to be had again as it was. */
  again(): Uint8Array | undefined
}

/** The same in steps. */
export function* checkSteps(
  store: Store,
  text: Uint8Array,
  options: ParseOptions & LintOptions,
  large?: LargeText,
): Steps<ContentOutcome> {
  const outcome = yield* contentSteps(store, text, options, large)
  if (outcome.kind === 'faults') return outcome
  const { content } = outcome
  const zone = { apex: content.apex, namesRoot: content.tree.root }
  const found = yield* lintSteps(() => store.readTree(), zone, options)
  if (found.length === 0) return outcome
  const faults = new FaultList()
  faults.addAll(content.warnings)
  const again = large === undefined ? text : large.again()
  faults.addAll(again === undefined ? found : locateFaults(found, again, options))
  if (faults.errors.length === 0) return { kind: 'content', content: { ...content, warnings: faults.all() } }
  content.tree.discard()
  return { kind: 'faults', faults: faults.all() }
}

/** Lint of content that is not published yet. */
export function lintContent(store: Store, content: ZoneContent, options: LintOptions = {}): Fault[] {
  return lint(() => store.readTree(), { apex: content.apex, namesRoot: content.tree.root }, options)
}

/** The faults with file and line, as far as the text has a record of that owner and type: the first such. */
export function locateFaults(faults: readonly Fault[], text: Uint8Array, options: ParseOptions): Fault[] {
  const wanted = new Map<string, { file: string; line: number } | undefined>()
  for (const { place } of faults) if (place.record !== undefined) wanted.set(place.record, undefined)
  if (wanted.size > 0) findRecords(wanted, text, options)
  return faults.map(fault => {
    const found = fault.place.record === undefined ? undefined : wanted.get(fault.place.record)
    return found === undefined ? fault : { ...fault, place: { ...found, record: fault.place.record! } }
  })
}

/** Fills in where each wanted record, `owner type` or `owner`, is met first. */
function findRecords(
  wanted: Map<string, { file: string; line: number } | undefined>,
  text: Uint8Array,
  options: ParseOptions,
): void {
  const owners = new Set([...wanted.keys()].map(record => record.split(' ')[0]!))
  let left = wanted.size
  let ownerText: string | undefined
  const note = (record: string, at: RecordPlace): void => {
    if (!wanted.has(record) || wanted.get(record) !== undefined) return
    wanted.set(record, { file: at.file, line: at.line })
    left--
  }
  const sink = {
    done: false,
    record(
      owner: Name,
      newOwner: boolean,
      type: number,
      ...rest: [number, Uint8Array, number, number, RecordPlace]
    ) {
      if (newOwner) ownerText = wantedOwner(owner, owners)
      if (ownerText === undefined) return
      note(ownerText, rest[4])
      note(`${ownerText} ${typeToText(type)}`, rest[4])
      sink.done = left === 0
    },
  }
  parseZone(text, options, sink)
}

function wantedOwner(owner: Name, owners: ReadonlySet<string>): string | undefined {
  const text = nameToText(canonicalName(owner))
  return owners.has(text) ? text : undefined
}
