/** `conclave serve`: reads sources, signs, answers, and goes on until it is told to stop.
 *  SIGHUP reads changed files again; SIGTERM and SIGINT let answers under way go out and stop. */
import type { Command } from 'commander'
import { ConclaveError, type Logger } from '../base/index.ts'
import {
  type ControlServer,
  controlPath,
  createLogger,
  createNameserver,
  defaultStateDirectory,
  dropPrivileges,
  giveToUser,
  type KeyEvent,
  type Nameserver,
  parseListenAddress,
  parseSource,
  prefixMatcher,
  probeAddresses,
  type RefusedEvent,
  type SourceArgument,
  serveControl,
  type ZoneOutcome,
} from '../server/index.ts'
import { policyWarnings } from '../signer/index.ts'
import { faultText } from '../zones/index.ts'
import { type SigningWords, signingPolicy, usage, wordOf } from './options.ts'
import { createOutput, type Output, progressBar } from './output.ts'
import { zoneTable } from './zone-table.ts'

interface ServeWords extends SigningWords {
  readonly listen?: readonly string[]
  readonly state?: string
  /** commander: false with `--no-sign`. */
  readonly sign: boolean
  readonly workers?: number
  readonly udp?: 'batch' | 'dgram'
  readonly axfrAllow?: readonly string[]
  readonly user?: string
}

const LISTEN_DEFAULT = ['127.0.0.1@5300']
/** Zones being signed at once when a server starts: enough to share the disk's flushes among many small zones. */
const ZONES_AT_ONCE = 64
const DRAIN_SECONDS = 5
/** More zones than this are counted, not listed, on a terminal. */
const ZONES_SHOWN_MAX = 40
const FAULTS_SHOWN_MAX = 20

export async function serveCommand(
  words: readonly string[],
  options: ServeWords,
  command: Command,
): Promise<void> {
  const output = createOutput(command.optsWithGlobals()['json'] === true)
  const policy = signingPolicy(options)
  if (options.sign) for (const warning of policyWarnings(policy)) output.note(`warning: ${warning}`)
  const { axfrAllow, listen = LISTEN_DEFAULT } = options
  wordOf(() => [listen.map(parseListenAddress), prefixMatcher(axfrAllow ?? [])])
  const sources = words.map(sourceOf)
  await probeAddresses(listen)
  const log = createLogger({ readable: output.terminal, level: output.terminal ? 'warn' : 'info' })
  const server = await createNameserver({
    state: options.state ?? defaultStateDirectory(sources[0]!.path),
    signing: options.sign ? policy : false,
    log,
    ...(axfrAllow === undefined ? {} : { axfrAllow }),
    ...(options.workers === undefined ? {} : { workers: options.workers }),
    ...(options.udp === undefined ? {} : { udp: options.udp }),
  })
  try {
    await start(server, sources, { ...options, listen }, output, log)
  } catch (error) {
    await server.close()
    throw error
  }
}

/** A name that is none is wrong usage; a file that is not there is a fault. */
function sourceOf(word: string): SourceArgument {
  try {
    return parseSource(word)
  } catch (cause) {
    if (!(cause instanceof ConclaveError) || cause.code !== 'NAME_SYNTAX') throw cause
    throw usage(cause.message, 'Name zone files, directories of *.zone files, or NAME=ZONEFILE.')
  }
}

async function start(
  server: Nameserver,
  sources: readonly SourceArgument[],
  options: ServeWords & { readonly listen: readonly string[] },
  output: Output,
  log: Logger,
): Promise<void> {
  process.on('SIGHUP', () => void reload(server, log))
  const keys: KeyEvent[] = []
  const refused: RefusedEvent[] = []
  const noteKey = (event: KeyEvent): void => void keys.push(event)
  const noteRefused = (event: RefusedEvent): void => void refused.push(event)
  server.on('key', noteKey).on('refused', noteRefused)
  await addSources(server, sources, output)
  server.off('key', noteKey).off('refused', noteRefused)
  for (const event of refused) tellRefused(event, output)
  const awaited = refused.length === 0 && sources.some(source => source.kind === 'directory')
  if (!awaited && server.zones().every(zone => zone.serial === undefined)) {
    throw new ConclaveError('NO_ZONES', 'no zone can be served', {
      remedy: 'Mend the faults above and start again.',
    })
  }
  await server.listen(options.listen)
  if (options.user !== undefined) {
    giveToUser(server.stateDirectory, options.user)
    dropPrivileges(options.user)
  }
  const control = await openControl(server, log)
  stopOnSignals(server, () => control.close())
  tellStart(server, keys, output)
}

async function addSources(
  server: Nameserver,
  sources: readonly SourceArgument[],
  output: Output,
): Promise<void> {
  const bar = progressBar(output, 'signing')
  const made = new Map<string, number>()
  server.on('progress', ({ zone, signaturesMade }) => {
    made.set(zone, signaturesMade)
    bar.update([...made.values()].reduce((sum, one) => sum + one, 0))
  })
  const queue = [...sources]
  const work = async (): Promise<void> => {
    for (let source = queue.shift(); source !== undefined; source = queue.shift()) {
      if (source.kind === 'directory') await server.addDirectory(source.path)
      else await server.addFile(source.path, source.origin)
    }
  }
  await Promise.all(Array.from({ length: ZONES_AT_ONCE }, work))
  server.removeAllListeners('progress')
  bar.end()
}

function tellRefused({ zone, source, refusal }: RefusedEvent, output: Output): void {
  if (output.json) return output.value({ event: 'refused', zone, source, ...refusal })
  output.note(`refused: ${zone ?? source}: ${refusal.what} [${refusal.code}]`)
  for (const fault of refusal.faults.slice(0, FAULTS_SHOWN_MAX)) output.note(`  ${faultText(fault)}`)
  const more = refusal.faults.length - FAULTS_SHOWN_MAX
  if (more > 0) output.note(`  and ${more} more: conclave check ${source}`)
}

function openControl(server: Nameserver, log: Logger): Promise<ControlServer> {
  const { path, shortened } = controlPath(server.stateDirectory)
  if (shortened) log.warn('the path of the state directory is too long for a socket', { socket: path })
  return serveControl({
    path,
    log,
    handlers: {
      status: () => server.status(),
      zones: () => server.zones(),
      stats: () => server.stats(),
      reload: ({ zone }) => server.reload(typeof zone === 'string' ? zone : undefined),
    },
  })
}

/** The table of zones, DS records of new keys, and a line to try. */
function tellStart(server: Nameserver, keys: readonly KeyEvent[], output: Output): void {
  const zones = server.zones()
  const { addresses, stateDirectory, stateFresh } = server
  if (output.json) {
    const ds = keys.flatMap(key => (key.ds === undefined ? [] : [{ zone: key.zone, ds: key.ds }]))
    return output.value({ event: 'serving', addresses, state: stateDirectory, fresh: stateFresh, zones, ds })
  }
  output.line(zoneTable(zones.slice(0, ZONES_SHOWN_MAX)))
  if (zones.length > ZONES_SHOWN_MAX)
    output.line(`and ${zones.length - ZONES_SHOWN_MAX} more: conclave zones`)
  output.line(`\nState and keys: ${stateDirectory}`)
  if (stateFresh) output.line('It was empty: serials start at those of the files.')
  const parents = keys.flatMap(({ ds }) => (ds === undefined ? [] : [ds]))
  if (parents.length > 0) output.line(`\nFor the parent of each zone with a new key:\n${parents.join('\n')}`)
  output.line(`\nAnswering on ${addresses.join(', ')}.`)
  const served = zones.find(zone => zone.serial !== undefined)
  if (served !== undefined) output.line(`Try:\n${digLine(addresses[0]!, served.zone)}`)
}

function digLine(address: string, zone: string): string {
  const at = address.lastIndexOf('@')
  // The shell has its own use for backslashes and more.
  const word = /^[\w.-]+$/.test(zone) ? zone : `'${zone.replaceAll("'", "'\\''")}'`
  return `dig @${address.slice(0, at)} -p ${address.slice(at + 1)} ${word} SOA +dnssec`
}

async function reload(server: Nameserver, log: Logger): Promise<void> {
  const outcomes = await server.reload()
  const count = (kind: ZoneOutcome['kind']): number => outcomes.filter(one => one.kind === kind).length
  log.info('files read again', {
    published: count('published'),
    unchanged: count('unchanged'),
    refused: count('refused'),
  })
}

function stopOnSignals(server: Nameserver, closeControl: () => Promise<void>): void {
  const stop = async (): Promise<void> => {
    process.off('SIGTERM', stop).off('SIGINT', stop)
    await closeControl()
    await server.close({ drainSeconds: DRAIN_SECONDS })
  }
  process.on('SIGTERM', stop).on('SIGINT', stop)
}
