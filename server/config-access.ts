/** TSIG keys, ACLs and key stores of a configuration. */
import type { YamlPath } from '../base/index.ts'
import { decodeBase64, type Secret } from '../signer/index.ts'
import { canonicalName, nameFromText, nameToText } from '../zones/index.ts'
import { KEYSTORE_DEFAULT } from './config-policy.ts'
import type { Report } from './config-report.ts'
import { readSecret, whyUnread } from './config-secrets.ts'
import type { AclShape, ConfigurationShape, KeystoreShape, TsigShape } from './config-shape.ts'
import type { AclConfiguration, KeystoreConfiguration, TsigKeyConfiguration } from './config-types.ts'

export function readTsig({ tsig = {} }: ConfigurationShape, report: Report): TsigKeyConfiguration[] {
  const keys: TsigKeyConfiguration[] = []
  for (const [text, shape] of Object.entries(tsig)) {
    const path = ['tsig', text]
    const name = nameOf(text)
    if (name === undefined) {
      report.keyError(path, `found ${JSON.stringify(text)}, expected a domain name as the name of a key`)
    } else if (keys.some(key => key.name === name)) report.keyError(path, `the key ${name} stands here twice`)
    const secret = secretOf(shape, path, report)
    if (name === undefined || secret === undefined) continue
    keys.push({ name, algorithm: shape.algorithm ?? 'hmac-sha256', secret })
  }
  return keys
}

function secretOf(shape: TsigShape, path: YamlPath, report: Report): Secret | undefined {
  const { secret: text, 'secret-file': file } = shape
  if ((text === undefined) === (file === undefined)) {
    report.error(path, 'a TSIG key has either a secret or a secret-file')
    return undefined
  }
  const at = [...path, text === undefined ? 'secret-file' : 'secret']
  report.checkSecrecy(at, file)
  try {
    const secret =
      file === undefined ? decodeBase64(new TextEncoder().encode(text)) : readSecret(report.resolve(file))
    if (secret !== undefined && secret.length > 0) return secret
    report.error(at, `${file === undefined ? '' : `${file}: `}expected the secret in base64 and nothing else`)
  } catch (error) {
    report.error(at, `${file}: ${whyUnread(error)}`, 'CONFIG_FILE')
  }
  return undefined
}

/** A name as it is compared; undefined when the text is none. */
function nameOf(text: string): string | undefined {
  try {
    return nameToText(canonicalName(nameFromText(text.endsWith('.') ? text : `${text}.`)))
  } catch {
    return undefined
  }
}

/** ACLs that need no words. */
const ACLS: Readonly<Record<string, AclConfiguration>> = {
  loopback: { addresses: ['loopback'], keys: [] },
  any: { addresses: ['any'], keys: [] },
}

/** ACLs by name. */
export function readAcls(
  { acl = {}, tsig = {} }: ConfigurationShape,
  report: Report,
): ReadonlyMap<string, AclConfiguration> {
  const acls = new Map(Object.entries(ACLS))
  const keys = Object.keys(tsig).flatMap(text => nameOf(text) ?? [])
  for (const [name, shape] of Object.entries(acl)) {
    const path = ['acl', name]
    if (Object.hasOwn(ACLS, name))
      report.keyError(path, `${name} is an ACL of its own already; choose another name`)
    acls.set(name, aclOf(shape, path, keys, report))
  }
  return acls
}

function aclOf(shape: AclShape, path: YamlPath, known: readonly string[], report: Report): AclConfiguration {
  const { addresses = [], keys = [] } = shape
  if (addresses.length === 0 && keys.length === 0) {
    report.error(path, 'an ACL has addresses, keys or both; to permit everybody, write addresses: [any]')
  }
  const names = keys.map((text, index) => {
    const name = nameOf(text) ?? text
    report.refer([...path, 'keys', index], 'TSIG key', name, known)
    return name
  })
  return { addresses, keys: names }
}

/** Key stores by name; the default one is always there. */
export function readKeystores(
  { keystores = {} }: ConfigurationShape,
  report: Report,
): ReadonlyMap<string, KeystoreConfiguration> {
  const stores = new Map<string, KeystoreConfiguration>([[KEYSTORE_DEFAULT, { type: 'file' }]])
  for (const [name, shape] of Object.entries(keystores)) {
    stores.set(name, keystoreOf(shape, ['keystores', name], report))
  }
  return stores
}

function keystoreOf(shape: KeystoreShape, path: YamlPath, report: Report): KeystoreConfiguration {
  if (shape.type === 'file') {
    const { type, directory } = shape
    return { type, ...(directory === undefined ? {} : { directory: report.resolve(directory) }) }
  }
  const { type, uri, 'pin-file': pinFile, 'pin-environment': pinEnvironment } = shape
  if (pinFile !== undefined && pinEnvironment !== undefined) {
    report.error(path, 'the PIN is in a file or in the environment, not in both')
  }
  if (pinEnvironment !== undefined && process.env[pinEnvironment] === undefined) {
    report.warn(
      [...path, 'pin-environment'],
      `the environment has no ${pinEnvironment} now`,
      'CONFIG_ENVIRONMENT',
    )
  }
  const at = [...path, 'pin-file']
  if (pinFile !== undefined && report.isThere(at, pinFile, 'file')) report.checkSecrecy(at, pinFile)
  return {
    type,
    uri,
    ...(pinFile === undefined ? {} : { pinFile: report.resolve(pinFile) }),
    ...(pinEnvironment === undefined ? {} : { pinEnvironment }),
  }
}
