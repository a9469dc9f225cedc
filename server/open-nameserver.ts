/** Opens what a nameserver is made of: its state on disk, its threads, its keys.
 *
 *    const server = await createNameserver({ listen: ['127.0.0.1@0'] })
 *
 *  I1  What was opened is closed again, the last first, should anything after it fail.
 *  I2  A store of keys that was given is never closed here. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, type Logger, silentLogger, systemClock } from '../base/index.ts'
import { CryptoPool, FileKeyStore, type KeyStore, signingPolicyOf } from '../signer/index.ts'
import { AccessControl, withPrefixes } from './access.ts'
import { closeAll } from './close-all.ts'
import { Nameserver } from './nameserver.ts'
import type { NameserverOptions } from './nameserver-types.ts'
import { checkNameserverOptions } from './option-check.ts'
import { openState, type State } from './state.ts'
import type { ZoneSettings } from './zone-life-types.ts'
import { type SettingsDefaults, zoneSettings } from './zone-settings.ts'

/** What was opened, for the nameserver to keep and to close. */
export interface NameserverParts {
  readonly state: State
  readonly pool: CryptoPool
  readonly defaults: SettingsDefaults
  /** Of zones of which nobody said more. */
  readonly settings: ZoneSettings
  readonly access: AccessControl
  readonly clock: Clock
  readonly log: Logger
  /** Closes state, pool and the rest. */
  readonly opened: readonly (() => Promise<unknown>)[]
}

/** @throws ConclaveError OPTION_INVALID, SIGNING_POLICY, ACCESS_…, TSIG_TWICE, STATE_…, KEY_UNREADABLE, LISTEN_… */
export async function createNameserver(options: NameserverOptions = {}): Promise<Nameserver> {
  checkNameserverOptions(options)
  const log = options.log ?? silentLogger
  const clock = options.clock ?? systemClock
  const policy = options.signing === false ? undefined : signingPolicyOf(options.signing)
  const access = new AccessControl(withPrefixes(options, options.axfrAllow))
  const temporary = options.state === undefined ? await mkdtemp(join(tmpdir(), 'conclave-')) : undefined
  const opened: (() => Promise<unknown>)[] = []
  try {
    if (temporary !== undefined) opened.push(() => rm(temporary, { recursive: true, force: true }))
    const state = await openState(options.state ?? temporary!)
    opened.push(() => state.close())
    const pool = new CryptoPool({ clock })
    opened.push(() => pool.close())
    const openKeys = keysOpener(options.keys, () =>
      FileKeyStore.open(state.keysDirectory, { pool, clock, log }),
    )
    opened.push(() => openKeys.close())
    const { serialPolicy, keepKeys = leavesKeys(options.signing) } = options
    const defaults = { policy, serialPolicy, keepKeys, openKeys: openKeys.open }
    const settings = await zoneSettings(defaults, {})
    const server = new Nameserver(options, { state, pool, defaults, settings, access, clock, log, opened })
    opened.length = 0
    try {
      if (options.listen !== undefined && options.listen.length > 0) await server.listen(options.listen)
      return server
    } catch (error) {
      await server.close()
      throw error
    }
  } catch (error) {
    await closeAll(opened)
    throw error
  }
}

/** Whether nothing was said about the kind of keys. */
function leavesKeys(signing: NameserverOptions['signing']): boolean {
  if (signing === undefined || signing === false) return true
  return signing.algorithm === undefined && signing.splitKeys === undefined
}

/** Opens the nameserver's own keys once, when they are asked for (I2). */
function keysOpener(
  given: KeyStore | undefined,
  openOwn: () => Promise<KeyStore>,
): { open(): Promise<KeyStore>; close(): Promise<void> } {
  let own: Promise<KeyStore> | undefined
  return {
    open: () => {
      if (given !== undefined) return Promise.resolve(given)
      own ??= openOwn()
      own.catch(() => (own = undefined))
      return own
    },
    close: async () => (await own)?.close(),
  }
}
