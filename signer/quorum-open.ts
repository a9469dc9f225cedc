/** The key store of a quorum from its file (docs/hsm.md). What it takes to talk to nodes is loaded when it is asked for. */

import { basename, dirname } from 'node:path'
import { type Clock, type Logger, systemClock } from '../base/index.ts'
import type { KeyStore } from './keystore.ts'

export interface OpenQuorumStore {
  /** quorum.yaml. */
  readonly file: string
  readonly log: Logger
  readonly clock?: Clock
  /** For servers: this process becomes the coordinator, and others go through it. */
  readonly lead?: boolean
}

/** Nodes that are down do not keep it from opening.
 *  @throws ConclaveError CONFIG_REFUSED, QUORUM_IN_USE, VAULT_…, HSM_MEMORY */
export async function openQuorumStore(options: OpenQuorumStore): Promise<KeyStore> {
  const { file, log, clock = systemClock, lead = false } = options
  const [{ openQuorumFile }, { QuorumKeyStore }] = await Promise.all([
    import('../hsm/quorum-open.ts'),
    import('./quorum-store.ts'),
  ])
  const { quorum, configuration } = await openQuorumFile(file, { log, clock, lead })
  const name = basename(dirname(configuration.file))
  return new QuorumKeyStore({ quorum, name, stateDirectory: configuration.state, clock })
}
