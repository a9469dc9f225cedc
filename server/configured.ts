/** A nameserver that is what its configuration says, also when that changes while it runs.
 *
 *    reload: read ─▶ faults? refused ─▶ open key stores, addresses ─▶ access, sources, log level ─▶ close what went
 *                                        (may fail: refused, nothing changed)      (cannot fail as a whole)
 *
 *  I1  A configuration is applied whole or not at all; when it is refused, all goes on as before, and `status` says why.
 *  I2  One change at a time.
 *  I3  At the start, a key store that is away stops nobody but its zones; a new one must be there to be taken.
 *  I4  A zone of which the rules of transfer are not known yet may be transferred by nobody. */
import { dirname } from 'node:path'
import { type Clock, ConclaveError, type Logger, systemClock } from '../base/index.ts'
import type { KeyStore } from '../signer/index.ts'
import type { Fault } from '../zones/index.ts'
import type { AccessRule, TransferRules } from './access.ts'
import { type ConfigurationOutcome, configurationError, readConfiguration } from './config.ts'
import { type ConfigurationChange, configurationChange, usedStores } from './config-apply.ts'
import { configFault } from './config-report.ts'
import { ConfiguredStores, type OpenedStores } from './config-stores.ts'
import type { Configuration, ZoneConfiguration } from './config-types.ts'
import type { LevelLogger } from './log.ts'
import type { Nameserver } from './nameserver.ts'
import type { ConfigurationStatus } from './nameserver-types.ts'
import { createNameserver } from './open-nameserver.ts'
import type { ZoneSource } from './source-changes.ts'
import type { ZoneOutcome } from './zone-life-types.ts'

export interface ConfiguredOptions {
  readonly log: LevelLogger
  readonly clock?: Clock
  /** What stands over the file, each time it is read. */
  readonly overrides?: Partial<Pick<Configuration, 'listen' | 'stateDirectory'>>
  /** The level where the file has none. */
  readonly levelDefault?: NonNullable<Configuration['log']['level']>
}

export class ConfiguredServer {
  readonly server: Nameserver
  readonly #options: ConfiguredOptions
  readonly #stores: ConfiguredStores
  readonly #clock: Clock
  readonly #log: Logger
  #configuration: Configuration
  #appliedUnix: number
  #refused: ConfigurationStatus['refused']
  /** I2. */
  #last: Promise<unknown> = Promise.resolve()
  /** Zones whose rules of transfer are set. */
  #ruled: ReadonlySet<string> = new Set()
  #changing = true

  /** Opens state and key stores; sources and addresses come after. The configuration has the overrides in it.
   *  @throws ConclaveError STATE_…, KEY_UNREADABLE, PKCS11_… */
  static async open(configuration: Configuration, options: ConfiguredOptions): Promise<ConfiguredServer> {
    const { stateDirectory: state, workers, udp, keystores } = configuration
    let stores: ConfiguredStores | undefined
    const server = await createNameserver({
      state,
      signing: false,
      log: options.log,
      otherKeys: () => stores?.all() ?? [],
      ...(options.clock === undefined ? {} : { clock: options.clock }),
      ...(workers === undefined ? {} : { workers }),
      ...(udp === undefined ? {} : { udp }),
    })
    const configured = new ConfiguredServer(server, configuration, options)
    stores = configured.#stores
    try {
      const open = usedStores(configuration).keys()
      const opened = await stores.open({ configured: keystores, open, close: [], late: true })
      opened.take()
      configured.#setAccess()
      return configured
    } catch (error) {
      await configured.close()
      throw error
    }
  }

  private constructor(server: Nameserver, configuration: Configuration, options: ConfiguredOptions) {
    this.server = server
    this.#options = options
    this.#log = options.log
    this.#clock = options.clock ?? systemClock
    this.#configuration = configuration
    this.#appliedUnix = this.#clock.now()
    this.#stores = new ConfiguredStores({
      clock: this.#clock,
      log: options.log,
      openFiles: directory => server.openFileKeys(directory),
    })
    server.on('published', ({ zone }) => {
      if (!this.#changing && !this.#ruled.has(zone)) this.#setAccess()
    })
  }

  get configuration(): Configuration {
    return this.#configuration
  }

  /** Reads, signs and serves all that the configuration names. */
  async addSources(): Promise<ZoneOutcome[]> {
    const add = this.#configuration.zones.map(zone => this.#sourceOf(zone))
    const outcomes = await this.server.changeSources({ add })
    this.#changing = false
    this.#setAccess()
    return outcomes
  }

  /** Reads the configuration again and applies what changed (I1), then reads the files again that changed.
   *  @throws ConclaveError CONFIG_REFUSED */
  reload(): Promise<ZoneOutcome[]> {
    const done = this.#last.then(async () => {
      const { outcomes, replaced } = await this.#apply(this.#read())
      try {
        const read = await this.server.reload()
        return [...outcomes.filter(outcome => outcome.kind !== 'unchanged'), ...read]
      } finally {
        // By now all zones have looked where else their keys are.
        for (const store of replaced) await store.close()
      }
    })
    this.#last = done.catch(() => {})
    return done
  }

  status(): ConfigurationStatus {
    return {
      file: this.#configuration.file,
      appliedUnix: this.#appliedUnix,
      ...(this.#refused === undefined ? {} : { refused: this.#refused }),
    }
  }

  async close(options: { readonly drainSeconds?: number } = {}): Promise<void> {
    await this.server.close(options)
    await this.#stores.close()
  }

  #read(): ConfigurationOutcome {
    const outcome = readConfiguration(this.#configuration.file)
    if (outcome.kind === 'faults') return outcome
    return { ...outcome, configuration: { ...outcome.configuration, ...this.#options.overrides } }
  }

  /** With the stores that are to be closed. */
  async #apply(outcome: ConfigurationOutcome): Promise<{ outcomes: ZoneOutcome[]; replaced: KeyStore[] }> {
    if (outcome.kind === 'faults') return this.#refuse(outcome.faults)
    const { configuration, warnings } = outcome
    const change = configurationChange(this.#configuration, configuration)
    if (change.fixed.length > 0) return this.#refuse(change.fixed)
    const stores = await this.#open(change, configuration)
    for (const { what, place, rule } of warnings) this.#log.warn(what, { ...place, rule })
    this.#configuration = configuration
    this.#refused = undefined
    this.#appliedUnix = this.#clock.now()
    const replaced = stores.take()
    // What is permitted no more ends first.
    this.#setAccess()
    const outcomes = await this.#changeSources(change)
    this.#options.log.setLevel(configuration.log.level ?? this.#options.levelDefault ?? 'info')
    const { add, configure, remove } = change
    const counts = { added: add.length, configured: configure.length, removed: remove.length }
    this.#log.info('configuration applied', { file: configuration.file, ...counts })
    return { outcomes, replaced }
  }

  /** All that may fail; afterwards it is open, or nothing has changed. */
  async #open(change: ConfigurationChange, configuration: Configuration): Promise<OpenedStores> {
    const { openStores: open, closeStores: close } = change
    try {
      const stores = await this.#stores.open({
        configured: configuration.keystores,
        open,
        close,
        late: false,
      })
      try {
        if (change.listen) await this.server.setListen(configuration.listen)
        return stores
      } catch (error) {
        await stores.close()
        throw error
      }
    } catch (error) {
      if (!(error instanceof ConclaveError)) throw error
      const { message, remedy, code, place } = error
      const what = remedy === undefined ? message : `${message}. ${remedy}`
      return this.#refuse([configFault({ file: configuration.file, ...place }, what, code)])
    }
  }

  #refuse(faults: readonly Fault[]): never {
    this.#refused = { atUnix: this.#clock.now(), faults }
    const error = configurationError(faults)
    this.#log.error('configuration refused; what was before goes on', { error })
    throw error
  }

  async #changeSources({ add, configure, remove }: ConfigurationChange): Promise<ZoneOutcome[]> {
    if (add.length + configure.length + remove.length === 0) return []
    this.#changing = true
    try {
      return await this.server.changeSources({
        add: add.map(zone => this.#sourceOf(zone)),
        configure: configure.map(zone => this.#sourceOf(zone)),
        remove: remove.map(({ path }) => path),
      })
    } finally {
      this.#changing = false
      this.#setAccess()
    }
  }

  #sourceOf({ kind, path, origin, policy }: ZoneConfiguration): ZoneSource {
    const { signing, serial, keystores, keepKeys } = policy
    return {
      kind,
      path,
      ...(origin === undefined ? {} : { origin }),
      signing: signing === false ? false : { policy: signing, stores: this.#stores.of(keystores), keepKeys },
      ...(serial === undefined ? {} : { serialPolicy: serial }),
    }
  }

  /** I4. */
  #setAccess(): void {
    const { tsig } = this.#configuration
    this.#ruled = new Set(this.server.zones().map(({ zone }) => zone))
    this.server.setAccess({ tsig, transfer: this.#transferRules() })
  }

  #transferRules(): TransferRules {
    const { zones } = this.#configuration
    const rules = new Map(zones.map(({ path, transfer }) => [path, transfer]))
    const [one] = rules.values()
    // Most configurations have the same for all.
    if (
      one !== undefined &&
      [...rules.values()].every(other => JSON.stringify(other) === JSON.stringify(one))
    )
      return { default: one }
    const ofZones: Record<string, readonly AccessRule[]> = {}
    for (const { zone, source } of this.server.zones()) {
      ofZones[zone] = rules.get(source) ?? rules.get(dirname(source)) ?? []
    }
    return { default: [], zones: ofZones }
  }
}
