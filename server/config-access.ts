/** TSIG keys, ACLs and key stores of a configuration. */
import type { YamlPath } from '../base/documents.ts'
import { ConclaveError } from '../base/index.ts'
import type { NamedTokenKey } from '../signer/index.ts'
import { nameFromText } from '../zones/index.ts'
import type { AccessRule } from './access.ts'
import { KEYSTORE_DEFAULT } from './config-policy.ts'
import type { Report } from './config-report.ts'
import { readSecret, whyUnread } from './config-secrets.ts'
import type { AclShape, ConfigurationShape, KeystoreShape, TokenKeyShape, TsigShape } from './config-shape.ts'
import type { KeystoreConfiguration } from './config-types.ts'
import type { TsigKey } from './tsig-keyring.ts'
import { keyNameText, tsigKey } from './tsig-keys.ts'

export function readTsig({ tsig = {} }: ConfigurationShape, report: Report): TsigKey[] {
  const keys: TsigKey[] = []
  for (const [text, shape] of Object.entries(tsig)) {
    const path = ['tsig', text]
    const name = nameOf(text)
    if (name === undefined) {
      report.keyError(path, `found ${JSON.stringify(text)}, expected a domain name as the name of a key`)
    } else if (keys.some(key => key.name === name)) report.keyError(path, `the key ${name} stands here twice`)
    const key = keyOf(name ?? '.', shape, path, report)
    if (key !== undefined) keys.push(key)
  }
  return keys
}

function keyOf(name: string, shape: TsigShape, path: YamlPath, report: Report): TsigKey | undefined {
  const { algorithm = 'hmac-sha256', secret, 'secret-file': file } = shape
  if ((secret === undefined) === (file === undefined)) {
    report.error(path, 'a TSIG key has either a secret or a secret-file')
    return undefined
  }
  const at = [...path, file === undefined ? 'secret' : 'secret-file']
  report.checkSecrecy(at, file)
  try {
    if (secret !== undefined) return tsigKey(name, algorithm, secret)
    const read = readSecret(report.resolve(file!))
    // Without a secret the key is refused below.
    const key = tsigKey(name, algorithm, read ?? '')
    read?.wipe()
    return key
  } catch (error) {
    if (!(error instanceof ConclaveError)) report.error(at, `${file}: ${whyUnread(error)}`, 'CONFIG_FILE')
    else
      report.error(
        at,
        `${file === undefined ? '' : `${file}: `}expected the secret in base64 and nothing else`,
      )
    return undefined
  }
}

/** A name as it is compared; undefined when the text is none. */
function nameOf(text: string): string | undefined {
  try {
    return keyNameText(text)
  } catch {
    return undefined
  }
}

/** ACLs that need no words. */
const ACLS: Readonly<Record<string, AccessRule>> = {
  loopback: { prefixes: ['loopback'] },
  any: { prefixes: ['any'] },
}

/** ACLs by name. */
export function readAcls(
  { acl = {}, tsig = {} }: ConfigurationShape,
  report: Report,
): ReadonlyMap<string, AccessRule> {
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

function aclOf(shape: AclShape, path: YamlPath, known: readonly string[], report: Report): AccessRule {
  const { addresses = [], keys = [] } = shape
  if (addresses.length === 0 && keys.length === 0) {
    report.error(path, 'an ACL has addresses, keys or both; to permit everybody, write addresses: [any]')
  }
  const names = keys.map((text, index) => {
    const name = nameOf(text) ?? text
    report.refer([...path, 'keys', index], 'TSIG key', name, known)
    return name
  })
  return {
    ...(addresses.length === 0 ? {} : { prefixes: addresses }),
    ...(names.length === 0 ? {} : { keys: names }),
  }
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
  if (shape.type === 'quorum') {
    report.isThere([...path, 'file'], shape.file, 'file')
    return { type: 'quorum', file: report.resolve(shape.file) }
  }
  const { type, uri, 'pin-file': pinFile, 'pin-environment': pinEnvironment, keys } = shape
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
    ...(keys === undefined
      ? {}
      : { keys: keys.map((key, index) => tokenKeyOf(key, [...path, 'keys', index], report)) }),
  }
}

function tokenKeyOf(shape: TokenKeyShape, path: YamlPath, report: Report): NamedTokenKey {
  const { label, id, zone, role, algorithm } = shape
  if (label === undefined && id === undefined)
    report.error(path, 'a key of a token has a label, an id or both')
  return {
    ...(label === undefined ? {} : { label }),
    ...(id === undefined ? {} : { id }),
    zone: nameFromText(zone),
    role,
    ...(algorithm === undefined ? {} : { algorithm }),
  }
}
