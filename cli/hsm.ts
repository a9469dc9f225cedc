/** `conclave hsm`: commands of the distributed HSM. What they need is loaded when one of them is called. */
import { type Command, Option } from 'commander'

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
    .action(async (options, command) => (await setup()).initCommand(options, command))

  hsm
    .command('node')
    .description('run a share node until it is told to stop; SIGHUP reads its policy again')
    .argument('<file>', 'its node.yaml')
    .action(async (file: string, _: unknown, command: Command) =>
      (await import('./hsm-node.ts')).runNodeProcess(file, command.optsWithGlobals()['json'] === true),
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
    .action(async (file, options, command) => (await setup()).auditVerifyCommand(file, options, command))

  quorumCommands(hsm, words)
  operatorCommands(hsm)
}

const setup = () => import('./hsm-setup.ts')
const quorum = () => import('./hsm-quorum.ts')
const QUORUM_FILE = ['--hsm <file>', 'the coordinator’s quorum.yaml'] as const

type Words = (text: string, before?: readonly string[]) => readonly string[]

function quorumCommands(hsm: Command, words: Words): void {
  const command = (name: string): Command => hsm.command(name).requiredOption(...QUORUM_FILE)
  command('keygen')
    .description('make a key: EdDSA by the nodes among themselves, RSA by a dealer')
    .argument('<zone>')
    .option('--algorithm <name>', 'ed25519, ed448, rsasha256 or rsasha512', 'ed25519')
    .option('--bits <number>', 'size of an RSA key: 2048 to 4096', '2048')
    .addOption(
      new Option('--role <role>', 'what the key signs').choices(['csk', 'ksk', 'zsk']).default('csk'),
    )
    .option('--members <names>', 'nodes, joined by commas (default: all of quorum.yaml)', words)
    .option('--import <pem>', 'share an RSA key that exists instead')
    .action(async (zone, options, self) => (await quorum()).keygenCommand(zone, options, self))
  command('status')
    .description('nodes and keys of the quorum; exit code 1 when something is not as it should be')
    .action(async (options, self) => (await quorum()).statusCommand(options, self))
  command('refresh')
    .description('new shares for the same nodes, of all keys or of one zone; old shares are erased')
    .argument('[zone]')
    .option('--key <id>', 'only this key')
    .action(async (zone, options, self) => (await quorum()).refreshCommand(zone, options, self))
  command('reshare')
    .description('new shares for other nodes, or with another threshold; old shares are erased')
    .argument('[zone]')
    .option('--members <names>', 'nodes, joined by commas (default: all of quorum.yaml)', words)
    .option('--threshold <number>', 'how many of them suffice (default: as in quorum.yaml)')
    .option('--key <id>', 'only this key')
    .action(async (zone, options, self) => (await quorum()).reshareCommand(zone, options, self))
  command('forgive')
    .description('use a node again that was left out for what it sent')
    .argument('<node>')
    .action(async (node, options, self) => (await quorum()).forgiveCommand(node, options, self))
  command('add-node')
    .description('make the bundle of one more node, and write it into quorum.yaml')
    .argument('<name>')
    .requiredOption('--dir <dir>', 'where its bundle is made; new or empty')
    .requiredOption('--listen <address>', 'where it will listen, such as tcp://192.0.2.6:5400')
    .option('--node-file <file>', 'node.yaml of another node that it is written into, or several', words)
    .action(async (name, options, self) => (await setup()).addNodeCommand(name, options, self))
}

function operatorCommands(hsm: Command): void {
  hsm
    .command('approve')
    .description('list what waits for operators; with --key, say that it may be signed')
    .argument('[tickets...]', 'beginnings of tickets')
    .option(...QUORUM_FILE)
    .option('--state <dir>', 'a copy of the coordinator’s state directory instead')
    .option('--key <pem>', 'the operator’s Ed25519 key')
    .option('--all', 'all that is pending')
    .option('--margin <duration>', 'how much earlier and later the same may be signed', '3d')
    .option('--until <time>', 'how late its signatures may end: YYYYMMDDHHmmSS, Unix seconds or +DURATION')
    .option('--generate-operator <file>', 'make an operator’s key')
    .action(async (tickets, options, self) =>
      (await import('./hsm-approve.ts')).approveCommand(tickets, options, self),
    )
  const backups = () => import('./hsm-backup.ts')
  const command = (name: string): Command =>
    hsm
      .command(name)
      .argument('<file>', 'its node.yaml')
      .option('--passphrase-file <file>', 'what seals the backup (default: the variable CONCLAVE_PASSPHRASE)')
  command('backup')
    .description('seal a node’s identity and shares with a passphrase')
    .requiredOption('-o, --output <file>', 'where to write')
    .action(async (file, options, self) => (await backups()).backupCommand(file, options, self))
  command('restore')
    .description('put a backup into the vault of a node that does not run')
    .requiredOption('--from <file>', 'the backup')
    .action(async (file, options, self) => (await backups()).restoreCommand(file, options, self))
}
