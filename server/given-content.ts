/** Content that a program gives by itself, as the text of a zone file or as records.
 *  I1  What is not a sound zone is thrown, and leaves nothing in the store. */
import { ConclaveError, inTurns } from '../base/index.ts'
import {
  checkSteps,
  contentFromRecords,
  type Fault,
  lintContent,
  type Name,
  nameFromText,
  nameToText,
  rootName,
  type Store,
  type ZoneContent,
} from '../zones/index.ts'
import { checkSigner, type RecordText, recordFromText } from './program-zone.ts'

/** In steps, so that others have the event loop meanwhile.
 *  @throws ConclaveError ZONE_REFUSED, NAME_SYNTAX */
export async function contentOfText(
  store: Store,
  text: string,
  options: { readonly file: string; readonly origin: string | undefined },
): Promise<ZoneContent> {
  const { file } = options
  const origin = options.origin === undefined ? {} : { origin: nameFromText(options.origin, rootName) }
  const outcome = await inTurns(checkSteps(store, new TextEncoder().encode(text), { file, ...origin }))
  if (outcome.kind === 'faults') throw faultsError(outcome.faults, { file })
  return outcome.content
}

/** `signed`: none of the records may be the signer's to make.
 *  @throws ConclaveError ZONE_REFUSED, and what is wrong with a record */
export function contentOfRecords(
  store: Store,
  apex: Name,
  records: readonly RecordText[],
  signed: boolean,
): ZoneContent {
  const wire = records.map(record => recordFromText(record, apex))
  if (signed) for (const record of wire) checkSigner(record, apex)
  const outcome = contentFromRecords(store, apex, wire)
  const place = { zone: nameToText(apex) }
  if (outcome.kind === 'faults') throw faultsError(outcome.faults, place)
  const errors = lintContent(store, outcome.content).filter(fault => fault.severity === 'error')
  if (errors.length === 0) return outcome.content
  outcome.content.tree.discard()
  throw faultsError(errors, place)
}

function faultsError(faults: readonly Fault[], place: Fault['place']): ConclaveError {
  const first = faults.find(fault => fault.severity === 'error') ?? faults[0]
  return new ConclaveError('ZONE_REFUSED', first?.what ?? 'the zone is not sound', {
    place: { ...place, ...first?.place },
  })
}
