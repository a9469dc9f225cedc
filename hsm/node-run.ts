/** A share node as a process has it: its files opened, its doors open.
 *  I1  Nothing listens before shares and audit log were read and found whole.
 *  I2  What comes from others has so many lines a minute in the process's log, of each kind and coordinator, then a number. */

import type { Clock, Logger } from '../base/index.ts'
import { ShareNode, type ShareNodeOptions } from './node.ts'
import { AuditFile, lockNode, VaultShares } from './node-storage.ts'
import { openVault, readParty } from './party.ts'
import { PerMinute } from './per-minute.ts'
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

/** I2. */
const LINES_A_MINUTE = 10

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
      ...toldTo(log, clock),
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

/** I2. */
export function toldTo(
  log: Logger,
  clock: Clock,
): Required<Pick<ShareNodeOptions, 'onDropped' | 'onRefused' | 'onBug'>> {
  const lines = new PerMinute(clock, (kind, count) => log.warn('more of that was not told', { kind, count }))
  const isTold = (kind: string): boolean => lines.takes(kind, LINES_A_MINUTE)
  return {
    onDropped: (coordinator, why) => {
      if (isTold(`dropped of ${coordinator}`)) log.info('a message was dropped', { coordinator, why })
    },
    onRefused: (coordinator, code, what) => {
      if (isTold(`refused to ${coordinator}`)) log.warn('a request was refused', { coordinator, code, what })
    },
    onBug: error => {
      if (isTold('bugs')) log.error('a request met a bug', { error })
    },
  }
}
