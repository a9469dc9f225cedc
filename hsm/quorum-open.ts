/** A quorum from its file: the coordinator in this process or, where one runs already, the way to it.
 *
 *    state/lock     held by the one process that is the coordinator       state/control    its socket for the others
 *    state/memory   what outlives it                                      state/pending, state/approvals (pending-files.ts)
 *
 *  I1  One process at a time talks to the nodes: nodes know one talk of a coordinator, and its memory has one writer. */

import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import {
  type Clock,
  ConclaveError,
  controlPath,
  type Logger,
  lockFile,
  makeDirectory,
} from '../base/index.ts'
import { CombinerPool } from './combiner-pool.ts'
import { Coordinator } from './coordinator.ts'
import { fileMemory } from './coordinator-memory.ts'
import { openVault, readParty } from './party.ts'
import type { Quorum, QuorumEvent } from './quorum.ts'
import { openQuorumDoor } from './quorum-door.ts'
import { type QuorumConfiguration, VAULT_IDENTITY } from './quorum-files.ts'
import { fileError, readQuorumFile } from './quorum-read.ts'
import { RemoteQuorum } from './quorum-remote.ts'
import { ZmqContext, ZmqLink } from './transport.ts'

export interface OpenQuorumOptions {
  readonly clock: Clock
  readonly log: Logger
  /** For who goes on for long: waits until it may be the coordinator itself, instead of going through another process. */
  readonly lead?: boolean
}

const LOCK_TRIES = 60
const LOCK_PAUSE_SECONDS = 0.5

/** From the path of quorum.yaml.
 *  @throws ConclaveError CONFIG_REFUSED, and what openQuorum throws */
export async function openQuorumFile(
  path: string,
  options: OpenQuorumOptions,
): Promise<{ readonly quorum: Quorum; readonly configuration: QuorumConfiguration }> {
  const outcome = readQuorumFile(path)
  if (outcome.kind === 'faults') throw fileError(outcome.faults)
  const { configuration } = outcome
  return { quorum: await openQuorum(configuration, options), configuration }
}

/** Started: the nodes were greeted. `close` ends it all.
 *  @throws ConclaveError QUORUM_IN_USE, VAULT_…, HSM_MEMORY, CONTROL_… */
export async function openQuorum(
  configuration: QuorumConfiguration,
  options: OpenQuorumOptions,
): Promise<Quorum> {
  const { state } = configuration
  await makeDirectory(state, 0o700)
  const { path } = controlPath(state)
  for (let tries = 1; ; tries++) {
    const release = lockState(state)
    if (release !== undefined) return lead(configuration, options, path, release)
    const remote = options.lead === true ? undefined : await connected(path)
    if (remote !== undefined) return remote
    if (tries === LOCK_TRIES) break
    // Another command is about to end, or a server is about to open its socket.
    await new Promise<void>(resolve => options.clock.after(LOCK_PAUSE_SECONDS, resolve))
  }
  throw new ConclaveError('QUORUM_IN_USE', 'another process is the coordinator of this quorum', {
    place: { file: configuration.file },
    remedy: 'End it, or use its server.',
  })
}

/** What releases it; undefined when another process has it. */
function lockState(state: string): (() => void) | undefined {
  const outcome = lockFile(join(state, 'lock'))
  if (outcome.kind === 'locked') return () => outcome.release()
  return outcome.kind === 'held' ? undefined : () => {}
}

async function connected(path: string): Promise<RemoteQuorum | undefined> {
  try {
    return await RemoteQuorum.connect(path)
  } catch (error) {
    if (error instanceof ConclaveError && error.code === 'CONTROL_UNREACHABLE') return undefined
    throw error
  }
}

async function lead(
  configuration: QuorumConfiguration,
  { clock, log }: OpenQuorumOptions,
  path: string,
  release: () => void,
): Promise<Quorum> {
  const context = new ZmqContext()
  try {
    const { identity, curve } = readParty(openVault(configuration), VAULT_IDENTITY)
    const quorum = await Coordinator.open({
      identity,
      nodes: configuration.nodes.map(node => ({
        node,
        link: new ZmqLink(curve, { publicKey: node.curve, address: node.address }, context),
      })),
      threshold: configuration.threshold,
      clock,
      memory: fileMemory(join(configuration.state, 'memory')),
      combiner: new CombinerPool(availableParallelism()),
      onEvent: event => logEvent(event, log),
    })
    const door = await openQuorumDoor(quorum, path, log)
    await quorum.start()
    const close = quorum.close.bind(quorum)
    quorum.close = async () => {
      await door.close()
      await close()
      release()
    }
    return quorum
  } catch (error) {
    release()
    throw error
  }
}

function logEvent(event: QuorumEvent, log: Logger): void {
  switch (event.kind) {
    case 'node up':
      return log.info('a node is up', { node: event.node, version: event.version })
    case 'node down':
      return log.warn('a node is down', { node: event.node, why: event.why })
    case 'culprit':
      return log.error('a node sent what is proven wrong, and is left out', {
        node: event.node,
        what: event.what,
      })
    case 'audit rollback':
      return log.error('the audit log of a node was rolled back', { node: event.node, what: event.what })
    case 'clock skew':
      return log.warn('the clock of a node is off', { node: event.node, seconds: event.seconds })
    case 'key not usable':
      return log.warn('a key cannot be used', { key: event.key, what: event.what })
    case 'failure':
      return log.error(event.what, { error: event.error })
  }
}
