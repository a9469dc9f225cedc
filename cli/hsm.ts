/** `conclave hsm`: commands of the distributed HSM. */
import type { Command } from 'commander'
import { runNodeProcess } from './hsm-node.ts'
import { auditVerifyCommand, initCommand } from './hsm-setup.ts'

/** `words`: for options that may be repeated. */
export function hsmCommands(
  hsm: Command,
  words: (text: string, before?: readonly string[]) => readonly string[],
): void {
  hsm
    .command('init')
    .description(
      'make a quorum: a bundle for each node, a file for the coordinator, a script that runs all nodes here',
    )
    .requiredOption('--dir <dir>', 'where; new or empty')
    .option('--nodes <number>', 'share nodes', '5')
    .option('--threshold <number>', 'how many of them suffice; more than half', '3')
    .option('--address <address>', 'where nodes listen', '127.0.0.1')
    .option('--first-port <port>', 'port of node1; the others follow', '5400')
    .option('--zone <name>', 'zone that the nodes sign for, or several; default: any', words)
    .option(
      '--passphrase-variable <name>',
      'variable with a passphrase that opens the vaults; default: key files',
    )
    .action(initCommand)

  hsm
    .command('node')
    .description('run a share node until it is told to stop; SIGHUP reads its policy again')
    .argument('<file>', 'its node.yaml')
    .action((file: string, _: unknown, command: Command) =>
      runNodeProcess(file, command.optsWithGlobals()['json'] === true),
    )

  const audit = hsm.command('audit').description('audit logs of nodes')
  audit
    .command('verify')
    .description('check that an audit log is whole')
    .argument('<file>', 'audit.log of a node')
    .option(
      '--head <number:hash>',
      'an older end of it, as `conclave hsm status` showed it, that must be part of it',
    )
    .action(auditVerifyCommand)
}
