/** The ZONEMD of what a version is built from (RFC 8976 §4). What is served as it is must be right; what we sign gets another.
 *  I1  Input without a ZONEMD, or with one that cannot be checked, is taken. */

import { type Fault, nameToText } from '../zones/index.ts'
import type { BuildInput } from './build-types.ts'
import { BuildStop } from './writer.ts'
import { verifyZonemd } from './zonemd.ts'

/** What there is to warn of.
 *  @throws BuildStop ZONEMD_MISMATCH */
export async function checkInputDigest(input: BuildInput): Promise<readonly Fault[]> {
  const { edits, store, apex } = input
  if (edits.kind !== 'all' || input.ignoreDigest === true) return []
  const outcome = await verifyZonemd(store, { namesRoot: edits.content.tree.root, nsec3Root: 0 }, apex)
  if (outcome.kind !== 'mismatch') return []
  const refuse = input.signing === undefined
  const what =
    `the ZONEMD record does not match the zone: found ${hex(outcome.found)}, expected ${hex(outcome.expected)}` +
    (refuse ? '; remove the record or mend the file' : '; it is replaced')
  const place = { zone: nameToText(apex) }
  const fault: Fault = { place, what, severity: refuse ? 'error' : 'warning', rule: 'zonemd-mismatch' }
  if (refuse) throw new BuildStop({ kind: 'refused', code: 'ZONEMD_MISMATCH', faults: [fault] })
  return [fault]
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString('hex')
}
