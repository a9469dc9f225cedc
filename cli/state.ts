/** `conclave state backup|restore`: a copy of the state directory, also while a server uses it, and back. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { ConclaveError } from '../base/index.ts'
import { backupState, callControl, controlPath, openState, restoreState } from '../server/serving.ts'
import { createOutput } from './output.ts'

export function stateCommands(state: Command): void {
  state
    .command('backup')
    .description('write a copy of the state, also while the server runs')
    .argument('<dir>', 'a directory that is not there yet')
    .option('--state <dir>', 'state directory of the server', '.conclave')
    .option('--keys', 'with the key files in the state directory: the copy is then as secret as they are')
    .action(backup)
  state
    .command('restore')
    .description('make a state directory of a copy')
    .argument('<dir>', 'the copy')
    .requiredOption('--state <dir>', 'a state directory that is not there yet')
    .action(restore)
}

async function backup(
  directory: string,
  words: { readonly state: string; readonly keys?: true },
  command: Command,
): Promise<void> {
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  const keys = words.keys === true
  const path = resolve(directory)
  try {
    await callControl(controlPath(words.state).path, 'state-backup', { directory: path, keys })
  } catch (error) {
    if (!(error instanceof ConclaveError) || error.code !== 'CONTROL_UNREACHABLE') throw error
    const stopped = await openState(words.state, { readOnly: true })
    await backupState(stopped, path, keys).finally(() => stopped.close())
  }
  if (output.json) output.value({ backup: path, keys })
  else output.line(`${path} has the state${keys ? ' and the keys' : '; the keys are not in it'}`)
}

async function restore(copy: string, words: { readonly state: string }, command: Command): Promise<void> {
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  const { zones } = await restoreState(copy, words.state)
  const state = resolve(words.state)
  if (output.json) output.value({ state, zones })
  else output.line(`${state} has the state of ${zones} zones`)
}
