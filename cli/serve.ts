/** `conclave serve`: reads sources, signs, answers, and goes on until it is told to stop.
 *  SIGHUP reads the configuration and changed files again; SIGTERM and SIGINT let answers under way go out and stop. */
import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { ConclaveError, type Logger } from '../base/index.ts'
import {
  type ControlServer,
  controlPath,
  dropPrivileges,
  giveToUser,
  type KeyEvent,
  keyHandlers,
  type Nameserver,
  type RefusedEvent,
  type ServerStatus,
  serveControl,
  type ZoneOutcome,
  type ZoneStatus,
} from '../server/serving.ts'
import { faultText } from '../zones/index.ts'
import { freeMemoryAfterVersions } from './free-memory.ts'
import { helpersGiveWay } from './give-way.ts'
import { inliningLittle } from './inlining.ts'
import { usage } from './options.ts'
import { createOutput, type Output, progressBar } from './output.ts'
import { type SourceWords, sourcesService } from './serve-sources.ts'
import { tellWaiting, zoneTable } from './zone-table.ts'

interface ServeWords extends SourceWords {
  readonly config?: string
}

/** A nameserver with what belongs to it: zones from the command line, or all of it from a configuration. */
export interface Service {
  readonly server: Nameserver
  readonly log: Logger
  readonly listen: readonly string[]
  readonly user: string | undefined
  /** Where keys are beside the state directory; the user that is changed to must have them, too. */
  readonly keyDirectories: readonly string[]
  /** Whether zones may come later, so that none at the start is no fault. */
  readonly awaitsZones: boolean
  addSources(): Promise<unknown>
  /** All files, or one zone. */
  reload(zone?: string): Promise<ZoneOutcome[]>
  status(): ServerStatus
  close(options?: { readonly drainSeconds?: number }): Promise<void>
}

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
  const { config } = options
  if ((config === undefined) === (words.length === 0)) {
    const remedy = 'Give zone files and directories, or -c FILE with a configuration.'
    throw usage(config === undefined ? 'nothing to serve' : 'zones stand in the configuration', remedy)
  }
  const service =
    config === undefined
      ? await sourcesService(words, options, output)
      : await (await import('./serve-config.ts')).configuredService(config, command, output)
  try {
    await start(service, output)
  } catch (error) {
    await service.close()
    throw error
  }
}

async function start(service: Service, output: Output): Promise<void> {
  const { server, listen, user, keyDirectories } = service
  process.on('SIGHUP', () => void reload(service))
  const keys: KeyEvent[] = []
  const refused: RefusedEvent[] = []
  const noteKey = (event: KeyEvent): void => void keys.push(event)
  const noteRefused = (event: RefusedEvent): void => void refused.push(event)
  server.on('key', noteKey).on('refused', noteRefused)
  freeMemoryAfterVersions(server)
  await inliningLittle(server, () => addSources(service, output))
  server.off('key', noteKey).off('refused', noteRefused)
  for (const event of refused) tellRefused(event, output)
  const awaited = (zones: readonly ZoneStatus[]): boolean =>
    zones.some(zone => zone.serial !== undefined || zone.waitsFor !== undefined)
  if ((refused.length > 0 || !service.awaitsZones) && !awaited(server.zones())) {
    throw new ConclaveError('NO_ZONES', 'no zone can be served', {
      remedy: 'Mend the faults above and start again.',
    })
  }
  const makersGiveWay = helpersGiveWay()
  await server.listen(listen)
  if (user !== undefined) {
    for (const directory of [server.stateDirectory, ...keyDirectories]) {
      if (existsSync(directory)) giveToUser(directory, user)
    }
    dropPrivileges(user)
  }
  makersGiveWay(server)
  const control = await openControl(service)
  stopOnSignals(service, () => control.close())
  tellStart(server, keys, output)
}

async function addSources({ server, addSources }: Service, output: Output): Promise<void> {
  const bar = progressBar(output, 'signing')
  const made = new Map<string, number>()
  server.on('progress', ({ zone, signaturesMade }) => {
    made.set(zone, signaturesMade)
    bar.update([...made.values()].reduce((sum, one) => sum + one, 0))
  })
  await addSources()
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

function openControl({ server, log, status, reload }: Service): Promise<ControlServer> {
  const { path, shortened } = controlPath(server.stateDirectory)
  if (shortened) log.warn('the path of the state directory is too long for a socket', { socket: path })
  return serveControl({
    path,
    log,
    handlers: {
      status,
      zones: () => server.zones(),
      stats: () => server.stats(),
      reload: ({ zone }) => reload(typeof zone === 'string' ? zone : undefined),
      ...keyHandlers(server),
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
  tellWaiting(zones, output)
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

async function reload({ reload, log }: Service): Promise<void> {
  try {
    const outcomes = await reload()
    const count = (kind: ZoneOutcome['kind']): number => outcomes.filter(one => one.kind === kind).length
    log.info('files read again', {
      published: count('published'),
      unchanged: count('unchanged'),
      refused: count('refused'),
    })
  } catch (error) {
    log.error('nothing was read again', { error })
  }
}

function stopOnSignals(service: Service, closeControl: () => Promise<void>): void {
  const stop = async (): Promise<void> => {
    process.off('SIGTERM', stop).off('SIGINT', stop)
    await closeControl()
    await service.close({ drainSeconds: DRAIN_SECONDS })
  }
  process.on('SIGTERM', stop).on('SIGINT', stop)
}
