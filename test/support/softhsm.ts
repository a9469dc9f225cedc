/** SoftHSM tokens for tests: each in a directory of its own, chosen by SOFTHSM2_CONF, gone with the test. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { hasTool, needs, toolPath } from './tools.ts'

/** Where Debian, Fedora and others have it. */
const LIBRARIES = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib64/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so',
  '/usr/local/lib/softhsm/libsofthsm2.so',
]

export interface SoftToken {
  readonly directory: string
  readonly library: string
  readonly label: string
  readonly pin: string
  /** pkcs11:token=…?module-path=…&pin-source=… */
  readonly uri: string
  /** Of this token, for child processes. */
  readonly environment: Readonly<Record<string, string>>
  /** Runs pkcs11-tool, logged in. Its exit code is not looked at: SoftHSM crashes processes at their end. */
  pkcs11Tool(...words: readonly string[]): string
}

/** Whether SoftHSM and the package pkcs11js are installed.
 *  @throws when they are not and CI is set */
export function hasSoftHsm(): boolean {
  if (!hasTool('softhsm2-util')) return false
  try {
    createRequire(import.meta.url)('pkcs11js')
    return true
  } catch (error) {
    if (process.env['CI'] !== undefined) throw error
    return false
  }
}

/** For the first line of a test: `if (!needsSoftHsm(t)) return`. Logs and passes when something is missing. */
export function needsSoftHsm(t: ExecutionContext, ...tools: readonly string[]): boolean {
  if (hasSoftHsm()) return needs(t, ...tools)
  t.log('skipped: needs softhsm2-util and the package pkcs11js')
  t.pass()
  return false
}

/** A new token, removed with the test. */
export function softToken(t: ExecutionContext, label = 'dnssec'): SoftToken {
  const directory = mkdtempSync(join(tmpdir(), 'conclave-softhsm-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return softTokenIn(directory, label)
}

/** A token more in a directory that may have some. */
export function softTokenIn(directory: string, label: string): SoftToken {
  const library = LIBRARIES.find(path => existsSync(path))
  if (library === undefined) throw new Error('softhsm2-util is there and libsofthsm2.so is not')
  mkdirSync(join(directory, 'tokens'), { recursive: true })
  const configuration = join(directory, 'softhsm2.conf')
  writeFileSync(configuration, `directories.tokendir = ${directory}/tokens\nlog.level = ERROR\n`)
  const environment = { SOFTHSM2_CONF: configuration }
  const env = { ...process.env, ...environment }
  const pin = 'Kp7-secret-pin'
  const pinFile = join(directory, 'pin')
  writeFileSync(pinFile, `${pin}\n`, { mode: 0o600 })
  const words = ['--init-token', '--free', '--label', label, '--so-pin', '12345678', '--pin', pin]
  execFileSync(toolPath('softhsm2-util')!, words, { env, stdio: 'pipe' })
  return {
    directory,
    library,
    label,
    pin,
    uri: `pkcs11:token=${label}?module-path=${library}&pin-source=file:${pinFile}`,
    environment,
    pkcs11Tool(...more) {
      const all = ['--module', library, '--token-label', label, '--login', '--pin', pin, ...more]
      try {
        return execFileSync(toolPath('pkcs11-tool')!, all, { env, stdio: 'pipe' }).toString()
      } catch (error) {
        return String((error as { stdout?: Buffer }).stdout ?? error)
      }
    },
  }
}
