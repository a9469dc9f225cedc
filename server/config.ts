/** The configuration file: read, checked whole, and turned into what the nameserver takes.
 *
 *    octets ─▶ YAML (base/yaml.ts) ─▶ shape (base/shape-check.ts) ─▶ references, files, policies (here) ─▶ Configuration
 *
 *  I1  Every fault of a step is found, each with its place; the next step begins when there is none.
 *  I2  A configuration that was read can be applied: all that it refers to is there. A zone file may be missing: that is
 *      that zone's fault, not the others'.
 *  I3  Reading changes nothing. Paths are relative to the file. */
import { readFileSync } from 'node:fs'
import { checkShape, parseYaml, type ShapeFault } from '../base/documents.ts'
import { ConclaveError } from '../base/index.ts'
import type { Fault } from '../zones/index.ts'
import { readAcls, readKeystores, readTsig } from './config-access.ts'
import { configFault, Report } from './config-report.ts'
import { configurationSchema } from './config-schema.ts'
import { whyUnread } from './config-secrets.ts'
import type { ConfigurationShape } from './config-shape.ts'
import type { Configuration } from './config-types.ts'
import { readZones } from './config-zones.ts'

export type ConfigurationOutcome =
  | {
      readonly kind: 'configuration'
      readonly configuration: Configuration
      readonly warnings: readonly Fault[]
    }
  /** With the warnings, in the order of the file. */
  | { readonly kind: 'faults'; readonly faults: readonly Fault[] }

/** Never throws for what is in the file, or for the lack of it. */
export function readConfiguration(path: string): ConfigurationOutcome {
  try {
    return parseConfiguration(readFileSync(path), path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
    return { kind: 'faults', faults: [configFault({ file: path }, whyUnread(error), 'CONFIG_READ')] }
  }
}

/** The same from octets; `path` is where they would be. */
export function parseConfiguration(octets: Uint8Array, path: string): ConfigurationOutcome {
  const parsed = parseYaml(octets, path)
  if (parsed.kind === 'faults') {
    const faults = parsed.faults.map(({ place, what }) => configFault(place, what, 'CONFIG_SYNTAX'))
    return { kind: 'faults', faults }
  }
  const { document } = parsed
  const checked = checkShape(configurationSchema, document)
  if (checked.kind === 'faults') return { kind: 'faults', faults: shapeFaults(checked.faults) }
  const report = new Report(document, path)
  const configuration = configurationOf(checked.shape, report)
  const faults = inOrder(report.faults)
  const failed = faults.some(({ severity }) => severity === 'error')
  return failed ? { kind: 'faults', faults } : { kind: 'configuration', configuration, warnings: faults }
}

/** One error for all: the first with its place, and how many more there are. */
export function configurationError(faults: readonly Fault[]): ConclaveError {
  const errors = faults.filter(({ severity }) => severity === 'error')
  const [first] = errors
  const more = errors.length > 1 ? `, and ${errors.length - 1} more` : ''
  return new ConclaveError('CONFIG_REFUSED', `the configuration is refused: ${first?.what}${more}`, {
    place: first?.place ?? {},
    remedy: 'List all faults with `conclave check -c FILE`.',
  })
}

const LISTEN_DEFAULT = ['127.0.0.1@5300']
const STATE_DIRECTORY = '.conclave'

function configurationOf(shape: ConfigurationShape, report: Report): Configuration {
  const { server = {}, listen = LISTEN_DEFAULT, log = {} } = shape
  const { workers, udp, user, state = STATE_DIRECTORY } = server
  const tsig = readTsig(shape, report)
  const acls = readAcls(shape, report)
  const keystores = readKeystores(shape, report)
  if (listen.length === 0) report.error(['listen'], 'there is no address to listen on; give at least one')
  report.checkTwice(listen, index => ['listen', index], 'address')
  return {
    file: report.file,
    stateDirectory: report.resolve(state),
    ...(workers === undefined ? {} : { workers }),
    ...(udp === undefined ? {} : { udp }),
    ...(user === undefined ? {} : { user }),
    listen,
    log: { ...(log.level === undefined ? {} : { level: log.level }), format: log.format ?? 'auto' },
    tsig,
    keystores,
    zones: readZones({ shape, acls, keystores, report }),
    places: {
      state: report.placeOf(['server', 'state']),
      workers: report.placeOf(['server', 'workers']),
      udp: report.placeOf(['server', 'udp']),
      user: report.placeOf(['server', 'user']),
      format: report.placeOf(['log', 'format']),
    },
  }
}

function inOrder(faults: readonly Fault[]): Fault[] {
  const before = (a: Fault, b: Fault): number =>
    (a.place.line ?? 0) - (b.place.line ?? 0) || (a.place.column ?? 0) - (b.place.column ?? 0)
  return [...faults].sort(before)
}

function shapeFaults(faults: readonly ShapeFault[]): Fault[] {
  const rules = { 'unknown-key': 'CONFIG_UNKNOWN_KEY', value: 'CONFIG_VALUE' }
  return inOrder(faults.map(({ kind, place, what }) => configFault(place, what, rules[kind])))
}
