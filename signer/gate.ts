/** The gate before publishing; see DESIGN: the life of a zone. */

import type { Fault } from '../zones/index.ts'
import type { BuildSource } from './build-source.ts'

/** Faults of what was built. */
export function checkVersion(_source: BuildSource): Fault[] {
  return []
}
