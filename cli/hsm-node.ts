/** `conclave hsm node FILE`, and `conclave-node FILE`: a share node, until it is told to stop.
 *  SIGHUP reads the policy again; SIGTERM and SIGINT stop.
 *  I1  A file with a fault is refused as a whole: the policy before goes on.
 *  I2  What is imported here is all that a node's host has to run: no nameserver. */
import { ConclaveError, systemClock } from '../base/index.ts'
import { fileError, type NodeConfiguration, type RunningNode, readNodeFile, runNode } from '../hsm/index.ts'
import { createLogger, type LevelLogger } from '../server/log.ts'
import { faultText } from '../zones/index.ts'
import { createOutput, type Output } from './output.ts'
import { programVersion } from './version.ts'

/** Resolves when the node listens; it goes on after that.
 *  @throws ConclaveError CONFIG_REFUSED, NODE_LISTEN, NODE_RUNNING, VAULT_… */
export async function runNodeProcess(file: string, json: boolean): Promise<void> {
  const output = createOutput(json)
  const log = createLogger()
  const configuration = readOrTell(file, output)
  const running = await runNode(configuration, { clock: systemClock, log, version: programVersion })
  process.on('SIGHUP', () => readPolicyAgain(configuration, running, log))
  stopOnSignals(running, log)
  tellStart(configuration, running, output)
}

function readOrTell(file: string, output: Output): NodeConfiguration {
  const outcome = readNodeFile(file)
  if (outcome.kind === 'configuration') return outcome.configuration
  for (const fault of outcome.faults) output.note(faultText(fault))
  throw fileError(outcome.faults)
}

/** I1. */
function readPolicyAgain(before: NodeConfiguration, { node }: RunningNode, log: LevelLogger): void {
  const outcome = readNodeFile(before.file)
  if (outcome.kind === 'faults') {
    for (const fault of outcome.faults) log.error('a fault of the file', { fault: faultText(fault) })
    log.error('the policy was not changed', { error: fileError(outcome.faults) })
    return
  }
  node.setPolicy(outcome.configuration.policy)
  log.info('the policy was read again', { file: before.file })
  const { policy: _, ...rest } = outcome.configuration
  const { policy: __, ...restBefore } = before
  if (JSON.stringify(rest) !== JSON.stringify(restBefore)) {
    log.warn('more than the policy has changed in the file: that takes a restart', { file: before.file })
  }
}

function stopOnSignals({ close }: RunningNode, log: LevelLogger): void {
  const stop = (): void => {
    close()
      .catch((error: unknown) => log.error('the node did not stop cleanly', { error }))
      .finally(() => process.exit())
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, stop)
}

function tellStart({ name }: NodeConfiguration, { node, addresses }: RunningNode, output: Output): void {
  const { length } = node.audit
  if (output.json) {
    output.value({ event: 'listening', node: name, addresses: Object.fromEntries(addresses), audit: length })
    return
  }
  for (const [coordinator, address] of addresses)
    output.line(`${name} listens for ${coordinator} on ${address}`)
}

/** For `conclave-node`: the one word it takes.
 *  @throws ConclaveError USAGE */
export function nodeFileOf(words: readonly string[]): { file: string; json: boolean } {
  const files = words.filter(word => word !== '--json')
  const [file] = files
  if (files.length === 1 && file !== undefined && !file.startsWith('-')) {
    return { file, json: files.length < words.length }
  }
  throw new ConclaveError('USAGE', 'wrong words', {
    remedy: 'Give the node file: conclave-node [--json] node.yaml.',
  })
}
