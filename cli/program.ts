/** The command `conclave`: reads the words, calls a command, turns its outcome into an exit code.
 *  What a command needs is loaded when it is called.
 *  I1  Exit code 0: done. 1: a fault was found or met. 2: wrong usage.
 *  I2  Results go to standard output, everything else to standard error; nothing is half-written. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { ConclaveError } from '../base/index.ts'
import { createOutput } from './output.ts'
import { programVersion } from './version.ts'

const EXIT_FAULT = 1
const EXIT_USAGE = 2

function workersNumber(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > 64)
    throw new InvalidArgumentError('A number from 1 to 64.')
  return value
}

/** For options that may be repeated and may hold several words joined by commas: never the words after the option,
 *  which would swallow the sources. */
function words(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, ...text.split(',')]
}

/** Options that say how a zone is signed; the same words for `serve` and `sign`. */
function signingOptions(command: Command): Command {
  return command
    .option(
      '--algorithm <name>',
      'algorithm of new keys: ecdsap256sha256, ed25519, rsasha256 … (default: the first; with --hsm the second)',
    )
    .option('--hsm <file>', 'keys of a distributed HSM: its quorum.yaml')
    .option('--ksk-only', 'with --hsm: only KSKs are there; ZSKs are local files')
    .addOption(
      new Option('--denial <kind>', 'proofs of what does not exist')
        .choices(['nsec', 'nsec3', 'opt-out'])
        .default('nsec'),
    )
    .option('--nsec3-iterations <number>', 'extra NSEC3 hash rounds (RFC 9276: leave it at 0)', '0')
    .option('--nsec3-salt <hex>', 'NSEC3 salt (RFC 9276: leave it empty)', '')
    .addOption(
      new Option('--zonemd <hash>', 'digest of the whole zone')
        .choices(['sha384', 'sha512', 'none'])
        .default('sha384'),
    )
    .addOption(
      new Option('--gate <mode>', 'verify every new signature, or samples of each key')
        .choices(['full', 'keys'])
        .default('full'),
    )
    .option('--split-keys', 'new zones get a KSK and a ZSK instead of one CSK')
    .option('--replace-keys', 'sign a zone anew that others have signed: its old signatures are dropped')
    .addOption(
      new Option('--foreign-keys <what>', 'DNSKEY, CDS and CDNSKEY of other signers in the file (RFC 8901)')
        .choices(['refuse', 'include'])
        .default('refuse'),
    )
}

/** The commands of a group are there when its name is among the words. */
async function addGroups(program: Command, given: readonly string[]): Promise<void> {
  const group = (name: string, description: string): Command => program.command(name).description(description)
  const keys = group('keys', 'keys kept in files and tokens, and keys of served zones')
  const state = group('state', 'copies of the state directory')
  const hsm = group('hsm', 'the distributed HSM: keys shared among nodes')
  if (given.includes('keys')) {
    ;(await import('./keys.ts')).keysCommands(keys)
    ;(await import('./keys-life.ts')).lifeCommands(keys)
  }
  if (given.includes('state')) (await import('./state.ts')).stateCommands(state)
  if (given.includes('hsm')) (await import('./hsm.ts')).hsmCommands(hsm, words)
}

async function buildProgram(given: readonly string[], json: boolean): Promise<Command> {
  const program = new Command('conclave')
    // Commands that are added later have this too. For machines, what is wrong is one JSON value: runCommand tells it.
    .configureOutput(json ? { writeErr: () => {} } : {})
    .description('An authoritative DNS nameserver that signs what it serves.')
    .version(programVersion)
    .option('--json', 'JSON for machines instead of words')
    .exitOverride()
    .showHelpAfterError()
    .configureHelp({ showGlobalOptions: true })

  signingOptions(program.command('serve'))
    .description('serve zone files (ZONEFILE, NAME=ZONEFILE) and directories of *.zone files, signed')
    .argument('[sources...]', 'zone files and directories')
    .option(
      '-c, --config <file>',
      'a configuration instead of sources and the options below; see docs/configuration.md',
    )
    .option('--listen <address@port>', 'address to answer on, or several (default: 127.0.0.1@5300)', words)
    .option('--state <dir>', 'keys, signatures, serials; default: .conclave beside the first source')
    .option('--no-sign', 'serve files as they are, signed ones too')
    .option('--workers <number>', 'threads that answer UDP', workersNumber)
    .addOption(
      new Option('--udp <path>', 'system calls in batches, or node:dgram').choices(['batch', 'dgram']),
    )
    .option('--axfr-allow <prefix>', 'who may transfer zones (default: loopback)', words)
    .option('--user <name>', 'run as this user once the addresses are bound')
    .action(async (sources, options, self) =>
      (await import('./serve.ts')).serveCommand(sources, options, self),
    )

  signingOptions(program.command('sign'))
    .description('sign a zone file; the output appears whole or not at all')
    .argument('<zonefile>', 'a path, or - for standard input')
    .option('-o, --output <file>', 'where to write; default: standard output')
    .option('--origin <name>', 'the zone, where the file does not say it')
    .option(
      '--keys <dir>',
      'keys of the zone: K*.key/.private pairs or PEM files; default: .conclave/keys beside the file',
    )
    .option('--ksk <pem>', 'private key that signs DNSKEY, CDS and CDNSKEY')
    .option('--zsk <pem>', 'private key that signs everything else')
    .option(
      '--pkcs11 <uri>',
      'keys of a token (RFC 7512 URI; the PIN from pin-source, CONCLAVE_PIN or a prompt)',
    )
    .option('--skr <file>', 'signed key response: DNSKEY, CDS and CDNSKEY as an offline KSK signed them')
    .option('--inception <time>', 'YYYYMMDDHHmmSS or Unix seconds; default: an hour ago')
    .option(
      '--expiration <time>',
      'YYYYMMDDHHmmSS, Unix seconds or +DURATION; default: in 14 days, with jitter',
    )
    .addOption(
      new Option('--serial <policy>', 'serial of the signed zone')
        .choices(['keep', 'increment', 'unixtime', 'dateserial'])
        .default('keep'),
    )
    .option('--generic <types>', 'types, joined by commas, to write in the form of RFC 3597')
    .action(async (file, options, self) => (await import('./sign.ts')).signCommand(file, options, self))

  program
    .command('verify')
    .description('check signatures, denial chain and ZONEMD of a signed zone file; every fault is listed')
    .argument('<zonefile>', 'a path, or - for standard input')
    .option('--origin <name>', 'the zone, where the file does not say it')
    .option('--at <time>', 'as if it were then: YYYYMMDDHHmmSS or Unix seconds')
    .option('--valid-for <duration>', 'signatures must last this much longer, for example 7d')
    .option(
      '--ds <rdata>',
      'DS record of the parent that a key must match, as `TAG ALGORITHM DIGEST-TYPE DIGEST`, or several',
      words,
    )
    .action(async (file, options, self) => (await import('./verify.ts')).verifyCommand(file, options, self))

  program
    .command('digest')
    .description('write the zone with a ZONEMD record made anew (RFC 8976)')
    .argument('<zonefile>', 'a path, or - for standard input')
    .option('-o, --output <file>', 'where to write; default: standard output')
    .option('--origin <name>', 'the zone, where the file does not say it')
    .addOption(new Option('--zonemd <hash>', 'hash').choices(['sha384', 'sha512']).default('sha384'))
    .option('--generic <types>', 'types, joined by commas, to write in the form of RFC 3597')
    .action(async (file, options, self) => (await import('./sign.ts')).digestCommand(file, options, self))

  program
    .command('check')
    .description('lint a zone file, or check a configuration without running it')
    .argument('[zonefile]', 'a path, or - for standard input')
    .option('--origin <name>', 'the zone, where the file does not say it')
    .option('-c, --config <file>', 'a configuration instead of a zone file')
    .option('--schema', 'print the JSON Schema of configurations, for editors')
    .action(async (file, options, self) => (await import('./check.ts')).checkCommand(file, options, self))

  await addGroups(program, given)

  for (const [name, description] of [
    ['status', 'what a running server does, and how its zones are'],
    ['zones', 'the zones of a running server'],
    ['reload', 'have a running server read its configuration and files again'],
    ['stats', 'counters of a running server'],
  ] as const) {
    const command = program.command(name).description(description)
    if (name === 'reload') command.argument('[zone]', 'only this zone')
    command
      .option('--state <dir>', 'state directory of the server', '.conclave')
      .action(async (...given) => (await import('./control.ts')).controlCommand(...given))
  }
  return program
}

/** Runs one command line to its end; a server goes on after it has resolved. Gives the exit code. */
export async function runCommand(given: readonly string[]): Promise<number> {
  const json = given.includes('--json')
  const output = createOutput(json)
  // Whoever reads may go away (`| head`): that is no reason to stop, and nothing to tell anybody.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  try {
    const program = await buildProgram(given, json)
    await program.parseAsync([...given], { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0
      if (json) output.fault(wrongWords(error))
      return EXIT_USAGE
    }
    if (error instanceof ConclaveError && error.code === 'USAGE') {
      output.fault(error)
      return EXIT_USAGE
    }
    output.fault(error)
    return EXIT_FAULT
  }
}

/** What commander found, as any other error. */
function wrongWords({ code, message }: CommanderError): ConclaveError {
  // Its message of missing words is a placeholder.
  const what = code === 'commander.help' ? 'a command is missing' : message.replace(/^error: /, '')
  return new ConclaveError('USAGE', what.replaceAll('\n', ' '), {
    remedy: '`conclave help COMMAND` lists the words that a command takes.',
  })
}
