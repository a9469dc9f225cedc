/** Policies, templates and zones of a configuration.
 *  I1  What is wrong in a policy or template is told there, once, however many zones use it. */
import type { YamlPath } from '../base/documents.ts'
import { ConclaveError } from '../base/index.ts'
import { foreignRollWarnings, policyWarnings } from '../signer/index.ts'
import type { AccessRule } from './access.ts'
import { type ZonePolicy, zonePolicyOf } from './config-policy.ts'
import type { Report } from './config-report.ts'
import type { ConfigurationShape, PolicyShape, TemplateShape, ZoneShape } from './config-shape.ts'
import type { KeystoreConfiguration, ZoneConfiguration } from './config-types.ts'

const TRANSFER_DEFAULT = ['loopback']
/** The policy and the template of zones that name none. */
const DEFAULT = 'default'

/** What zones may refer to. */
export interface ZoneContext {
  readonly shape: ConfigurationShape
  readonly acls: ReadonlyMap<string, AccessRule>
  readonly keystores: ReadonlyMap<string, KeystoreConfiguration>
  readonly report: Report
}

export function readZones(context: ZoneContext): ZoneConfiguration[] {
  const { report, shape } = context
  const { policies = {}, templates = {}, zones = [] } = shape
  for (const [name, policy] of Object.entries(policies)) checkPolicy([policy], ['policies', name], context)
  for (const [name, template] of Object.entries(templates))
    checkTemplate(template, ['templates', name], context)
  report.checkTwice(
    zones.map(zone => zone.name),
    index => ['zones', index, 'name'],
    'zone',
  )
  const kindOf = (zone: ZoneShape): 'file' | 'directory' => (zone.file === undefined ? 'directory' : 'file')
  report.checkTwice(
    zones.map(zone => zone.file ?? zone.directory).map(path => path && report.resolve(path)),
    index => ['zones', index, kindOf(zones[index]!)],
    'path',
  )
  return zones.flatMap((zone, index) => zoneOf(zone, ['zones', index], context) ?? [])
}

/** Policies are named before they are used; `default` is there without being said. */
function policyNames({ shape }: ZoneContext): string[] {
  return [...new Set([DEFAULT, ...Object.keys(shape.policies ?? {})])]
}

function policyShapes(name: string | undefined, { shape }: ZoneContext): PolicyShape[] {
  return named(shape.policies, name ?? DEFAULT)
}

function named<T>(all: Readonly<Record<string, T>> | undefined, name: string): T[] {
  return all !== undefined && Object.hasOwn(all, name) ? [all[name]!] : []
}

function checkPolicy(shapes: readonly PolicyShape[], path: YamlPath, context: ZoneContext): void {
  const signing = policyOf(shapes, path, context)?.signing
  if (signing === undefined || signing === false) return
  for (const what of policyWarnings(signing)) context.report.warn(path, what, 'CONFIG_POLICY')
}

function checkTemplate(shape: TemplateShape, path: YamlPath, context: ZoneContext): void {
  checkReferences(shape, path, context)
  policyOf([shape, ...policyShapes(shape.policy, context)], path, context)
}

function checkReferences(
  { policy, transfer = [] }: TemplateShape,
  path: YamlPath,
  context: ZoneContext,
): void {
  const { acls, report } = context
  if (policy !== undefined) report.refer([...path, 'policy'], 'policy', policy, policyNames(context))
  for (const [index, acl] of transfer.entries()) {
    report.refer([...path, 'transfer', index], 'ACL', acl, acls.keys())
  }
}

/** What the shapes come to; faults stand at the first of them. */
function policyOf(
  shapes: readonly PolicyShape[],
  path: YamlPath,
  context: ZoneContext,
): ZonePolicy | undefined {
  const { report } = context
  checkKeystores(shapes[0]?.keystore, [...path, 'keystore'], context)
  try {
    const policy = zonePolicyOf(shapes)
    const { signing, keystores } = policy
    if (signing !== false && !signing.splitKeys && keystores.ksk !== keystores.zsk) {
      report.error(path, 'two key stores need two keys: say keys: ksk-zsk', 'CONFIG_POLICY')
    }
    // I1: told where it is said.
    const rolls =
      signing !== false && shapes[0]?.['foreign-keys'] !== undefined ? foreignRollWarnings(signing) : []
    for (const what of rolls) report.warn(path, what, 'CONFIG_POLICY')
    return policy
  } catch (error) {
    if (!(error instanceof ConclaveError)) throw error
    const { message, remedy } = error
    report.error(path, remedy === undefined ? message : `${message}. ${remedy}`, 'CONFIG_POLICY')
    return undefined
  }
}

function checkKeystores(keystore: PolicyShape['keystore'], path: YamlPath, context: ZoneContext): void {
  if (keystore === undefined) return
  const { keystores, report } = context
  const refer = (at: YamlPath, name: string): void => report.refer(at, 'key store', name, keystores.keys())
  if (typeof keystore === 'string') refer(path, keystore)
  else for (const role of ['ksk', 'zsk'] as const) refer([...path, role], keystore[role])
}

function zoneOf(zone: ZoneShape, path: YamlPath, context: ZoneContext): ZoneConfiguration | undefined {
  const { shape, acls, report } = context
  const { file, directory, name, template } = zone
  if ((file === undefined) === (directory === undefined)) {
    report.error(path, 'a zone has either a file or a directory')
    return undefined
  }
  if (directory !== undefined && name !== undefined) {
    report.error([...path, 'name'], 'the zones of a directory have their names from their files')
  }
  const templates = shape.templates ?? {}
  if (template !== undefined)
    report.refer([...path, 'template'], 'template', template, Object.keys(templates))
  checkReferences(zone, path, context)
  const [base = {}] = named<TemplateShape>(templates, template ?? DEFAULT)
  const policy = policyOf([zone, base, ...policyShapes(zone.policy ?? base.policy, context)], path, context)
  const kind = file === undefined ? 'directory' : 'file'
  report.isThere([...path, kind], file ?? directory!, kind === 'file' ? 'zone' : 'directory')
  if (policy === undefined) return undefined
  return {
    kind,
    path: report.resolve(file ?? directory!),
    ...(name === undefined ? {} : { origin: name }),
    policy,
    transfer: (zone.transfer ?? base.transfer ?? TRANSFER_DEFAULT).flatMap(acl => acls.get(acl) ?? []),
    place: report.placeOf(path),
  }
}
