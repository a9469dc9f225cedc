/** A share node as a process has it: its files opened, its doors open.
 *  I1  Nothing listens before shares and audit log were read and found whole. */

import type { Clock, Logger } from '../base/index.ts'
import { ShareNode } from './node.ts'
import { AuditFile, lockNode, VaultShares } from './node-storage.ts'
import { openVault, readParty } from './party.ts'
import { type NodeConfiguration, VAULT_IDENTITY } from './quorum-files.ts'
import { openDoors } from './transport.ts'

export interface RunningNode {
  readonly node: ShareNode
  /** Where each coordinator may connect to, by its name. */
  readonly addresses: ReadonlyMap<string, string>
  close(): Promise<void>
}

export interface NodeRunOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly version: string
}

/** @throws ConclaveError NODE_RUNNING, NODE_LISTEN, VAULT_…; Error when the audit log is broken */
export async function runNode(
  configuration: NodeConfiguration,
  { clock, log, version }: NodeRunOptions,
): Promise<RunningNode> {
  const release = lockNode(configuration.vault)
  try {
    const vault = openVault(configuration)
    const { identity, curve } = readParty(vault, VAULT_IDENTITY)
    const audit = new AuditFile(configuration.audit)
    await audit.mend()
    const node = new ShareNode({
      identity,
      coordinators: configuration.coordinators,
      nodes: configuration.nodes,
      dealers: configuration.dealers,
      policy: configuration.policy,
      shares: new VaultShares(vault),
      audit,
      clock,
      version,
      onDropped: (coordinator, why) => log.debug('a message was dropped', { coordinator, why }),
      onBug: error => log.error('a request met a bug', { error }),
    })
    await node.tidy()
    const doors = configuration.coordinators.map(({ name, curve: publicKey, listen }) => ({
      name,
      publicKey,
      listen,
    }))
    const open = await openDoors(curve, doors, (coordinator, octets) => node.receive(coordinator, octets))
    const close = async (): Promise<void> => {
      await open.close()
      release()
    }
    return { node, addresses: open.addresses, close }
  } catch (error) {
    release()
    throw error
  }
}
