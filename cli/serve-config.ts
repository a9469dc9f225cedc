/** `conclave serve -c FILE`: all that is served, and how, stands in the file; --listen and --state may stand over it. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import {
  ConfiguredServer,
  configurationError,
  createLogger,
  type LogLevel,
  parseListenAddress,
  probeAddresses,
  readConfiguration,
} from '../server/index.ts'
import { usage, wordOf } from './options.ts'
import type { Output } from './output.ts'
import type { Service } from './serve.ts'
import { tellFaults } from './zone-input.ts'

/** Options that mean something beside a configuration. */
const OVERRIDES: ReadonlySet<string> = new Set(['config', 'listen', 'state'])

export async function configuredService(path: string, command: Command, output: Output): Promise<Service> {
  const overrides = overridesOf(command)
  const outcome = readConfiguration(path)
  tellFaults(outcome.kind === 'faults' ? outcome.faults : outcome.warnings, output)
  if (outcome.kind === 'faults') throw configurationError(outcome.faults)
  const configuration = { ...outcome.configuration, ...overrides }
  const { format, level } = configuration.log
  const readable = format === 'text' || (format === 'auto' && output.terminal)
  const levelDefault: LogLevel = output.terminal ? 'warn' : 'info'
  const log = createLogger({ readable, level: level ?? levelDefault })
  await probeAddresses(configuration.listen)
  const configured = await ConfiguredServer.open(configuration, { log, overrides, levelDefault })
  const { server } = configured
  const { zones, listen, user, keystores } = configuration
  return {
    server,
    log,
    listen,
    user,
    keyDirectories: [...keystores.values()].flatMap(store =>
      store.type === 'file' && store.directory !== undefined ? [store.directory] : [],
    ),
    awaitsZones: zones.length === 0 || zones.some(zone => zone.kind === 'directory'),
    addSources: () => configured.addSources(),
    reload: zone => (zone === undefined ? configured.reload() : server.reload(zone)),
    status: () => ({ ...server.status(), configuration: configured.status() }),
    close: options => configured.close(options),
  }
}

function overridesOf(command: Command): { listen?: readonly string[]; stateDirectory?: string } {
  const { listen, state } = command.opts<{ listen?: readonly string[]; state?: string }>()
  for (const option of command.options) {
    const name = option.attributeName()
    if (OVERRIDES.has(name) || command.getOptionValueSource(name) !== 'cli') continue
    throw usage(`${option.long} stands in the configuration`, 'With -c, give --listen and --state at most.')
  }
  wordOf(() => listen?.map(parseListenAddress))
  return {
    ...(listen === undefined ? {} : { listen }),
    ...(state === undefined ? {} : { stateDirectory: resolve(state) }),
  }
}
