/** An RSA key from request to use: the dealer's process makes it or reads it, the coordinator carries its shares. */

import type { Clock } from '../base/index.ts'
import { type DealerJob, runDealer } from './dealer.ts'
import type { KeyRole } from './key-record.ts'
import type { QuorumAlgorithm } from './messages.ts'
import { openVault, readPartySecrets } from './party.ts'
import type { Quorum, QuorumKey } from './quorum.ts'
import { type QuorumConfiguration, VAULT_DEALER } from './quorum-files.ts'

export interface DealSpec {
  readonly zone: string
  readonly role: KeyRole
  readonly algorithm: QuorumAlgorithm
  /** Names of nodes. */
  readonly members: readonly string[]
  readonly work: DealerJob['work']
  readonly clock: Clock
  readonly onPrime: (found: number) => void
}

/** @throws ConclaveError DEALER_FAILED, DEAL_FAILED, QUORUM_SHORT, KEY_NEEDS_DEALER, VAULT_… */
export async function dealKey(
  quorum: Quorum,
  configuration: QuorumConfiguration,
  spec: DealSpec,
): Promise<QuorumKey> {
  const { zone, role, algorithm, work, clock, onPrime } = spec
  if (algorithm === 15 || algorithm === 16) throw new RangeError('EdDSA keys are not dealt')
  const dealer = readPartySecrets(openVault(configuration), VAULT_DEALER)
  const members = spec.members.map(member => {
    const node = configuration.nodes.find(({ name }) => name === member)
    if (node === undefined) throw new RangeError(`there is no node ${member}`)
    return { name: member, signing: node.signing, sealing: node.sealing }
  })
  const createdUnix = Math.floor(clock.now())
  const { threshold } = configuration
  const ceremony = { zone, role, algorithm, createdUnix, members, threshold }
  return quorum.deal(await runDealer({ ceremony, dealer, work }, { onPrime }))
}
