/** The threshold in quorum.yaml follows the keys: when all of them were given another one, new keys have it, too, and as many
 *  nodes must show a key for it to be believed (quorum.ts I3).
 *  I1  The file is replaced whole, and its comments stay. The process that is the coordinator goes by it at once. */

import { readFileSync } from 'node:fs'
import { parseDocument } from 'yaml'
import { writeFileWhole } from '../base/index.ts'
import type { Quorum } from './quorum.ts'
import type { QuorumConfiguration } from './quorum-files.ts'

export type ThresholdChange =
  | { readonly kind: 'same' }
  | { readonly kind: 'written'; readonly threshold: number }
  /** Keys have different ones; the file's stays. Zones of keys that do not have the newest. */
  | { readonly kind: 'mixed'; readonly zones: readonly string[] }

/** After keys were reshared with that threshold. */
export async function followThreshold(
  quorum: Quorum,
  { file, threshold: before }: QuorumConfiguration,
  threshold: number,
): Promise<ThresholdChange> {
  await quorum.status()
  const others = quorum.keys().filter(({ record }) => record.scheme.key.threshold !== threshold)
  if (threshold === before) return { kind: 'same' }
  if (others.length > 0)
    return { kind: 'mixed', zones: [...new Set(others.map(({ record }) => record.zone))] }
  const document = parseDocument(readFileSync(file, 'utf8'))
  document.setIn(['threshold'], threshold)
  await writeFileWhole(file, document.toString(), { mode: 0o600 })
  await quorum.setThreshold(threshold)
  return { kind: 'written', threshold }
}
