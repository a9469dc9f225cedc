/** Reads node.yaml and quorum.yaml.
 *
 *    octets ─▶ YAML (base/yaml.ts) ─▶ shape (quorum-schema.ts) ─▶ what the keys must be together (here) ─▶ configuration
 *
 *  I1  Every fault of a step is found, each with its place; the next step begins when there is none. A file with a fault
 *      gives nothing at all.
 *  I2  Paths are relative to the file. Reading opens no vault. */

import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { z } from 'zod'
import { checkShape, parseYaml, type YamlDocument, type YamlPath } from '../base/documents.ts'
import { ConclaveError, errorText } from '../base/index.ts'
import { type Fault, nameToText } from '../zones/index.ts'
import { BATCH_MAX } from './message-schema.ts'
import type { NodePolicy, ZoneRule } from './node-policy.ts'
import type { NodeConfiguration, QuorumConfiguration, VaultOpener, VaultPlace } from './quorum-files.ts'
import {
  APPROVED_TYPES,
  AUDIT_DEFAULT,
  type NodeShape,
  nodeSchema,
  type OpenerShape,
  type QuorumShape,
  quorumSchema,
  type RuleShape,
} from './quorum-schema.ts'

export type FileOutcome<T> =
  | { readonly kind: 'configuration'; readonly configuration: T }
  /** In the order of the file. */
  | { readonly kind: 'faults'; readonly faults: readonly Fault[] }

/** Never throws for what is in the file, or for the lack of it. */
export function readNodeFile(path: string): FileOutcome<NodeConfiguration> {
  return readFile(path, nodeSchema, nodeConfiguration)
}

export function readQuorumFile(path: string): FileOutcome<QuorumConfiguration> {
  return readFile(path, quorumSchema, quorumConfiguration)
}

/** One error for all: the first with its place, and how many more there are. */
export function fileError(faults: readonly Fault[]): ConclaveError {
  const [first] = faults
  const more = faults.length > 1 ? `, and ${faults.length - 1} more` : ''
  const unread = first?.rule === 'CONFIG_READ'
  const what = unread ? 'the file cannot be read' : 'the file is refused'
  return new ConclaveError('CONFIG_REFUSED', `${what}: ${first?.what}${more}`, {
    place: first?.place ?? {},
    remedy: unread
      ? 'Give the path of quorum.yaml, or of node.yaml for a node; `conclave hsm init` makes them.'
      : 'docs/hsm.md explains each key.',
  })
}

const RULES = { 'unknown-key': 'CONFIG_UNKNOWN_KEY', value: 'CONFIG_VALUE' } as const

function readFile<S, T>(
  path: string,
  schema: z.ZodType<S>,
  configurationOf: (shape: S, report: Report) => T,
): FileOutcome<T> {
  const file = resolve(path)
  const octets = octetsOf(file)
  if (!(octets instanceof Uint8Array)) return { kind: 'faults', faults: [octets] }
  const parsed = parseYaml(octets, file)
  if (parsed.kind === 'faults') {
    return refused(
      parsed.faults.map(({ place, what }) => ({ place, what, severity: 'error', rule: 'CONFIG_SYNTAX' })),
    )
  }
  const checked = checkShape(schema, parsed.document)
  if (checked.kind === 'faults') {
    return refused(
      checked.faults.map(({ kind, place, what }) => ({ place, what, severity: 'error', rule: RULES[kind] })),
    )
  }
  const report = new Report(parsed.document, file)
  const configuration = configurationOf(checked.shape, report)
  return report.faults.length > 0 ? refused(report.faults) : { kind: 'configuration', configuration }
}

function octetsOf(file: string): Uint8Array | Fault {
  try {
    return readFileSync(file)
  } catch (error) {
    return { place: { file }, what: errorText(error), severity: 'error', rule: 'CONFIG_READ' }
  }
}

function refused(faults: readonly Fault[]): { kind: 'faults'; faults: Fault[] } {
  const before = (a: Fault, b: Fault): number =>
    (a.place.line ?? 0) - (b.place.line ?? 0) || (a.place.column ?? 0) - (b.place.column ?? 0)
  return { kind: 'faults', faults: [...faults].sort(before) }
}

/** Faults beyond the kinds of values, with their places. */
class Report {
  readonly faults: Fault[] = []
  readonly file: string
  readonly #document: YamlDocument

  constructor(document: YamlDocument, file: string) {
    this.#document = document
    this.file = file
  }

  error(path: YamlPath, what: string, rule: 'CONFIG_VALUE' | 'CONFIG_TWICE' | 'CONFIG_REFERENCE'): void {
    this.faults.push({ place: this.#document.placeOf(path), what, severity: 'error', rule })
  }

  /** I2. */
  resolve(path: string): string {
    return resolve(dirname(this.file), path)
  }

  checkTwice(values: readonly string[], pathOf: (index: number) => YamlPath, what: string): void {
    for (const [index, value] of values.entries()) {
      const before = values.indexOf(value)
      if (before === index) continue
      const { line } = this.#document.placeOf(pathOf(before))
      this.error(pathOf(index), `the ${what} ${value} stands in line ${line} already`, 'CONFIG_TWICE')
    }
  }

  checkNames(section: string, parties: readonly { readonly name: string }[]): void {
    this.checkTwice(
      parties.map(({ name }) => name),
      index => [section, index, 'name'],
      'name',
    )
  }
}

function nodeConfiguration(shape: NodeShape, report: Report): NodeConfiguration {
  const { node, coordinators, dealers = [], nodes, policy } = shape
  if (coordinators.length === 0) report.error(['coordinators'], 'there is nobody who may ask', 'CONFIG_VALUE')
  report.checkNames('coordinators', coordinators)
  report.checkTwice(
    coordinators.map(({ listen }) => listen).filter(listen => !listen.endsWith(':0')),
    index => ['coordinators', index, 'listen'],
    'address',
  )
  report.checkNames('dealers', dealers)
  report.checkNames('nodes', nodes)
  if (!nodes.some(({ name }) => name === node.name)) {
    report.error(['node', 'name'], `${JSON.stringify(node.name)} is not among the nodes`, 'CONFIG_REFERENCE')
  }
  return {
    file: report.file,
    name: node.name,
    ...vaultPlace('node', node, report),
    audit: report.resolve(node.audit ?? AUDIT_DEFAULT),
    coordinators,
    dealers,
    nodes,
    policy: nodePolicy(policy, report),
  }
}

function quorumConfiguration(shape: QuorumShape, report: Report): QuorumConfiguration {
  const { coordinator, threshold, nodes } = shape
  report.checkNames('nodes', nodes)
  report.checkTwice(
    nodes.map(({ address }) => address),
    index => ['nodes', index, 'address'],
    'address',
  )
  // More may be known than are members of a key, while one node takes the place of another: keys are judged by their own size.
  if (threshold > nodes.length) {
    report.error(['threshold'], `${threshold} of ${nodes.length} nodes cannot be`, 'CONFIG_VALUE')
  }
  return {
    file: report.file,
    name: coordinator.name,
    ...vaultPlace('coordinator', coordinator, report),
    threshold,
    state: report.resolve(coordinator.state),
    nodes,
  }
}

function vaultPlace(section: string, shape: OpenerShape & { vault: string }, report: Report): VaultPlace {
  const { 'key-file': keyFile, 'passphrase-file': passphraseFile, 'passphrase-variable': variable } = shape
  const openers: VaultOpener[] = []
  if (keyFile !== undefined) openers.push({ kind: 'key-file', file: report.resolve(keyFile) })
  if (passphraseFile !== undefined) {
    openers.push({ kind: 'passphrase-file', file: report.resolve(passphraseFile) })
  }
  if (variable !== undefined) openers.push({ kind: 'passphrase-variable', variable })
  const [opener] = openers
  if (openers.length !== 1) {
    const what = `${openers.length === 0 ? 'nothing opens' : 'several things open'} the vault`
    const remedy = 'give one of key-file, passphrase-file and passphrase-variable'
    report.error([section], `${what}; ${remedy}`, 'CONFIG_VALUE')
  }
  return { vault: report.resolve(shape.vault), opener: opener ?? { kind: 'key-file', file: '' } }
}

function nodePolicy(shape: NodeShape['policy'], report: Report): NodePolicy {
  const { keygen = false, deal = false, reshare = false, erase = false, zones } = shape
  report.checkTwice(
    zones.map(({ zone }) => (zone === 'any' ? '*' : nameToText(zone))),
    index => ['policy', 'zones', index, 'zone'],
    'rule for',
  )
  const thresholdMin = shape['threshold-min']
  return {
    keygen,
    deal,
    reshare,
    erase,
    ...(thresholdMin === undefined ? {} : { thresholdMin }),
    zones: zones.map((rule, index) => zoneRule(rule, index, report)),
  }
}

const DAY_SECONDS = 86_400

function zoneRule(shape: RuleShape, index: number, report: Report): ZoneRule {
  const { zone, roles = ['csk', 'ksk', 'zsk'], types = 'any', dnskeys = 'quorum', approvals } = shape
  if (approvals !== undefined && approvals.required > approvals.operators.length) {
    const what = `${approvals.required} approvals are wanted, of ${approvals.operators.length} operators`
    report.error(['policy', 'zones', index, 'approvals', 'required'], what, 'CONFIG_VALUE')
  }
  return {
    zone,
    roles,
    types,
    validitySecondsMax: shape['validity-max'] ?? 31 * DAY_SECONDS,
    inceptionPastSecondsMax: shape['inception-past-max'] ?? 7200,
    inceptionFutureSecondsMax: shape['inception-future-max'] ?? 300,
    ttlSecondsMax: shape['ttl-max'] ?? 7 * DAY_SECONDS,
    recordsMax: shape['records-max'] ?? 1000,
    messagesPerRequestMax: shape['messages-per-request-max'] ?? BATCH_MAX,
    messagesPerMinuteMax: shape['messages-per-minute-max'] ?? 1_000_000,
    dnskeys,
    cdsDelete: shape['cds-delete'] ?? false,
    ...(approvals === undefined
      ? {}
      : { approvals: { ...approvals, types: approvals.types ?? APPROVED_TYPES } }),
  }
}
