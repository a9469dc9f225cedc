/** The nameserver: composes zones, signer, state, transports and watching, for programs and for `conclave serve`.
 *
 *    const server = await createNameserver({ listen: ['127.0.0.1@0'] })
 *    const zone = await server.addZone('example.', [{ name: '@', type: 'SOA', data: '…' }, …])
 *    await zone.change({ add: [{ name: 'www', type: 'A', data: '192.0.2.1' }] })      signed and live
 *    await server.close()
 *
 *  I1  No process-wide effects: no signal handlers, no output, no exit; several servers live in one process.
 *  I2  A zone has one source: a file, a text or a program; another source for the same name is refused.
 *  I3  A fault of one zone stays with that zone, and one of an event's listener with that listener. */
import { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, ConclaveError, type Logger, silentLogger, systemClock } from '../base/index.ts'
import { CryptoPool, FileKeyStore, type KeyStore, oneStore, signingPolicyOf } from '../signer/index.ts'
import {
  canonicalName,
  checkZone,
  compareOctets,
  contentFromRecords,
  type Fault,
  lintContent,
  type Name,
  nameFromText,
  nameToText,
  rootName,
  Store,
  StoreReader,
  type ZoneContent,
} from '../zones/index.ts'
import { AccessControl, type AccessOptions } from './access.ts'
import { listenAddressText } from './address.ts'
import { type Answerer, createAnswerer, DROP } from './answerer.ts'
import { TRANSPORT_TCP, TRANSPORT_UDP } from './counters.ts'
import { FileSources } from './file-sources.ts'
import { KeyOffice } from './key-office.ts'
import { type Listeners, openListeners } from './listen.ts'
import { NameserverNews } from './nameserver-news.ts'
import type {
  FileOptions,
  NameserverEvents,
  NameserverOptions,
  ProgramZone,
  ServerStats,
  ServerStatus,
  TextOptions,
  ZoneOptions,
} from './nameserver-types.ts'
import { ProgramChanges } from './program-changes.ts'
import { checkSigner, type RecordText, recordFromText } from './program-zone.ts'
import { type Refusal, refusalError } from './refusal.ts'
import { changeSources, type SourceChange } from './source-changes.ts'
import { openState, type State } from './state.ts'
import { backupState } from './state-backup.ts'
import { Upkeep } from './upkeep.ts'
import { type ZoneEnvironment, ZoneLife, type ZoneOutcome, type ZoneSettings } from './zone-life.ts'
import { type SettingsDefaults, zoneSettings } from './zone-settings.ts'
import { type ZoneStatus, zoneStatus } from './zone-status.ts'

/** What is not a path says who owns the zone. */
const TEXT = 'text'
const PROGRAM = 'program'

interface ZoneEntry {
  readonly life: ZoneLife
  /** A path, TEXT or PROGRAM. */
  readonly source: string
  readonly program?: ProgramZone
}

const packageFile = new URL('../../package.json', import.meta.url)
const VERSION = (JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }).version
const REPLY_OCTETS_MAX = 65_535
const UDP_WORKERS_DEFAULT = 2
const DRAIN_SECONDS_DEFAULT = 1

/** @throws ConclaveError SIGNING_POLICY, ACCESS_…, TSIG_TWICE, STATE_…, KEY_UNREADABLE, LISTEN_… */
export async function createNameserver(options: NameserverOptions = {}): Promise<Nameserver> {
  const log = options.log ?? silentLogger
  const clock = options.clock ?? systemClock
  const policy = options.signing === false ? undefined : signingPolicyOf(options.signing)
  const access = new AccessControl(accessOf(options, options))
  const temporary = options.state === undefined ? await mkdtemp(join(tmpdir(), 'conclave-')) : undefined
  // What was opened is closed again, the last first, should anything after it fail.
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

/** Opens the nameserver's own keys once, when they are asked for; `given` ones are somebody else's to close. */
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

/** Closes everything, whatever one of them says; the first fault is thrown when all is closed. */
async function closeAll(opened: readonly (() => Promise<unknown>)[]): Promise<void> {
  const faults: unknown[] = []
  for (const close of [...opened].reverse()) await close().catch(fault => faults.push(fault))
  if (faults.length > 0) throw faults[0]
}

interface Parts {
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

export class Nameserver extends EventEmitter<NameserverEvents> {
  readonly #options: NameserverOptions
  readonly #parts: Parts
  readonly #opened: readonly (() => Promise<unknown>)[]
  readonly #store = new Store()
  /** By name in lower case, as ZoneLife has it. */
  readonly #zones = new Map<string, ZoneEntry>()
  /** Zones that were removed, until nothing of them is under way. */
  readonly #leaving = new Map<string, Promise<void>>()
  /** Zones that another source may take over (source-changes.ts). */
  readonly #yielding = new Set<ZoneLife>()
  readonly #news: NameserverNews
  readonly #upkeep: Upkeep
  /** The keys of the zones. */
  readonly keys: KeyOffice
  readonly #files: FileSources
  readonly #answerer: Answerer
  readonly #reply = new Uint8Array(REPLY_OCTETS_MAX)
  readonly #environment: ZoneEnvironment
  readonly #startedUnix: number
  /** Ends builds that take longer than a closing server waits. */
  readonly #abort = new AbortController()
  #listeners: Listeners | undefined
  #listening: Promise<void> | undefined
  #closing: Promise<void> | undefined

  /** Use `createNameserver`. */
  constructor(options: NameserverOptions, parts: Parts) {
    super()
    const { clock, log } = parts
    this.#options = options
    this.#parts = parts
    this.#opened = [...parts.opened]
    this.#startedUnix = clock.now()
    this.#answerer = createAnswerer(new StoreReader(this.#store.handle), {
      onBug: error => log.error('a query met a bug', { error }),
      keyring: parts.access,
      now: () => clock.now(),
    })
    this.#news = new NameserverNews(this, log)
    this.#environment = this.#makeEnvironment()
    this.#upkeep = new Upkeep({
      clock,
      log,
      store: this.#store,
      signal: this.#abort.signal,
      lifeOf: zone => this.#zones.get(zone)?.life,
      retry: life => this.#files.retry(this.#zones.get(life.zone)?.source ?? ''),
      expiring: ({ zone }, first) => this.#news.expiring(zone, first, clock.now()),
    })
    this.keys = new KeyOffice(this.#upkeep.keys, zone => {
      this.#checkOpen()
      return this.#entry(zone).life
    })
    this.#files = new FileSources({
      store: this.#store,
      clock,
      log,
      watch: options.watch ?? true,
      settings: parts.settings,
      lifeOf: (apex, path, settings) => this.#lifeOf(apex, path, settings),
      knows: apex => this.#zones.get(zoneText(apex))?.source,
      abandon: life => void this.#remove(life),
      lost: ({ zone }, path) => this.#news.lost(zone, path),
      refused: (source, refusal, life) => this.#news.refused(source, refusal, life?.zone),
    })
  }

  #makeEnvironment(): ZoneEnvironment {
    const { state, pool, clock, log } = this.#parts
    return {
      store: this.#store,
      pool,
      clock,
      log,
      signal: this.#abort.signal,
      stateOf: apexKey => state.zone(apexKey),
      keysMade: (zone, made) => this.#news.keysMade(zone, made),
      rollover: step => this.#news.rollover(step),
      clockTrust: () => this.#upkeep.keys,
      ownStores: async () => oneStore(await this.#parts.defaults.openKeys()),
      published: (life, version) => {
        this.#upkeep.published(life)
        this.#news.published(version)
      },
      refused: (life, refusal, edits) => this.#zoneRefused(life, refusal, edits === 'all'),
      progress: (life, signaturesMade) => this.#news.tell('progress', { zone: life.zone, signaturesMade }),
    }
  }

  /** Absolute path of the state directory. */
  get stateDirectory(): string {
    return this.#parts.state.directory
  }

  /** Whether the state directory held nothing before: serials start at the files' own. */
  get stateFresh(): boolean {
    return this.#parts.state.fresh
  }

  /** Addresses with the ports that were bound. */
  get addresses(): readonly string[] {
    return this.#listeners?.addresses.map(listenAddressText) ?? []
  }

  /** Binds and answers, once.
   *  @throws ConclaveError LISTEN_… */
  async listen(addresses: readonly string[]): Promise<void> {
    this.#checkOpen()
    if (this.#listening !== undefined) throw new ConclaveError('LISTEN_TWICE', 'the server listens already')
    this.#listening = this.#listen(addresses)
    try {
      await this.#listening
    } catch (error) {
      this.#listening = undefined
      throw error
    }
  }

  /** Listens on these addresses from now on; those that stay are served all the while. When one cannot be opened,
   *  nothing changes.
   *  @throws ConclaveError LISTEN_… */
  async setListen(addresses: readonly string[]): Promise<void> {
    if (this.#listening === undefined) return this.listen(addresses)
    await this.#listening
    this.#checkOpen()
    await this.#listeners!.change(addresses)
  }

  async #listen(addresses: readonly string[]): Promise<void> {
    const { workers, udp } = this.#options
    this.#listeners = await openListeners({
      handle: this.#store.handle,
      store: this.#store,
      addresses,
      workers: workers ?? Math.min(availableParallelism(), UDP_WORKERS_DEFAULT),
      access: this.#parts.access,
      clock: this.#parts.clock,
      log: this.#parts.log,
      ...(udp === undefined ? {} : { udp }),
    })
  }

  /** Keys in files, used by this nameserver's threads; by default those of the state directory. Whoever asks closes them.
   *  @throws ConclaveError KEY_UNREADABLE */
  openFileKeys(directory: string = this.#parts.state.keysDirectory): Promise<KeyStore> {
    const { pool, clock, log } = this.#parts
    return FileKeyStore.open(directory, { pool, clock, log })
  }

  /** Puts other keys and rules in place of those given before, all or, when something is wrong, none. Queries that
   *  come later meet the new ones; no connection is dropped, and a transfer goes on as it began.
   *  @throws ConclaveError ADDRESS_SYNTAX, NAME_SYNTAX, ACCESS_…, TSIG_TWICE */
  setAccess(access: AccessOptions): void {
    this.#parts.access.set(accessOf(access, this.#options))
  }

  #checkOpen(): void {
    if (this.#closing === undefined) return
    throw new ConclaveError('SERVER_CLOSED', 'the server is closing, or closed')
  }

  /** Reads, signs and serves a zone file, and follows its changes. Resolves with the first outcome. A file that was
   *  added before is read again.
   *  @throws ConclaveError KEY_UNREADABLE */
  async addFile(path: string, options: FileOptions | Name | string = {}): Promise<ZoneOutcome> {
    this.#checkOpen()
    const { origin, ...zone } =
      typeof options === 'string' || options instanceof Uint8Array ? { origin: options } : options
    const settings = this.#usualSettings(zone) ?? (await this.#settingsOf(zone))
    return this.#files.addFile(path, settings, typeof origin === 'string' ? absoluteName(origin) : origin)
  }

  /** The same for every `*.zone` of a directory, also those that appear later.
   *  @throws ConclaveError SOURCE_NOT_FOUND, KEY_UNREADABLE */
  async addDirectory(path: string, options: ZoneOptions = {}): Promise<ZoneOutcome[]> {
    this.#checkOpen()
    return this.#files.addDirectory(path, await this.#settingsOf(options))
  }

  /** Changes several sources in one go; a zone that moves from one to another is served all the while. Resolves with an
   *  outcome for each zone that was touched and not removed.
   *  @throws ConclaveError KEY_UNREADABLE, with nothing changed */
  async changeSources(change: SourceChange): Promise<ZoneOutcome[]> {
    this.#checkOpen()
    return changeSources(change, {
      files: this.#files,
      yielding: this.#yielding,
      settingsOf: options => this.#settingsOf(options),
      livesOf: files =>
        [...this.#zones.values()].flatMap(({ life, source }) => (files.has(source) ? [life] : [])),
      reconfigure: (life, settings) => this.#reconfigure(this.#entry(life.zone), settings),
      remove: life => this.#remove(life),
      now: () => this.#parts.clock.now(),
    })
  }

  /** Serves a zone from the text of a zone file; again for the same zone, in place of the text before.
   *  @throws ConclaveError when the text is not a sound zone, or cannot be signed */
  async addText(text: string, options: TextOptions = {}): Promise<ZoneOutcome> {
    this.#checkOpen()
    const settings = this.#usualSettings(options) ?? (await this.#settingsOf(options))
    const file = options.name ?? TEXT
    const origin = options.origin === undefined ? {} : { origin: absoluteName(options.origin) }
    const outcome = checkZone(this.#store, new TextEncoder().encode(text), { file, ...origin })
    if (outcome.kind === 'faults') throw faultsError(outcome.faults, { file })
    return this.#addContent(outcome.content, TEXT, settings)
  }

  /** Serves a zone that this program owns; the records must have a SOA, and should have NS records, at the apex.
   *  @throws ConclaveError when the records are not a sound zone, or cannot be signed */
  async addZone(
    name: string,
    records: readonly RecordText[],
    options: ZoneOptions = {},
  ): Promise<ProgramZone> {
    this.#checkOpen()
    const settings = this.#usualSettings(options) ?? (await this.#settingsOf(options))
    const apex = absoluteName(name)
    const wire = records.map(record => recordFromText(record, apex))
    if (settings.signing !== undefined) for (const record of wire) checkSigner(record, apex)
    const outcome = contentFromRecords(this.#store, apex, wire)
    const place = { zone: nameToText(apex) }
    if (outcome.kind === 'faults') throw faultsError(outcome.faults, place)
    const errors = lintContent(this.#store, outcome.content).filter(fault => fault.severity === 'error')
    if (errors.length > 0) {
      outcome.content.tree.discard()
      throw faultsError(errors, place)
    }
    await this.#addContent(outcome.content, PROGRAM, settings)
    return this.zone(name)!
  }

  /** A zone that this program owns; undefined when there is none of that name, or another source has it. */
  zone(name: string): ProgramZone | undefined {
    return this.#zones.get(zoneText(absoluteName(name)))?.program
  }

  async #addContent(content: ZoneContent, source: string, settings: ZoneSettings): Promise<ZoneOutcome> {
    let life: ZoneLife
    try {
      life = this.#lifeOf(content.apex, source, settings)
    } catch (error) {
      content.tree.discard()
      throw error
    }
    const outcome = await life.inTurn(() => life.publishContent(content, `added by ${source}`))
    if (outcome.kind !== 'refused') return outcome
    // Nobody is left to mend it: what was served before goes on, and what was not is forgotten.
    if (life.record === undefined) await this.#remove(life)
    throw refusalError(outcome.refusal, life.zone)
  }

  /** The life of a zone, new or its source's own (I2).
   *  @throws ConclaveError ZONE_TWICE */
  #lifeOf(apex: Name, source: string, settings: ZoneSettings): ZoneLife {
    const zone = zoneText(apex)
    const known = this.#zones.get(zone)
    if (known === undefined) {
      const life = new ZoneLife(apex, this.#environment, settings, this.#leaving.get(zone))
      const program = source === PROGRAM ? new ProgramChanges(life, this.#store) : undefined
      this.#zones.set(zone, { life, source, ...(program === undefined ? {} : { program }) })
      return life
    }
    if (this.#yielding.delete(known.life)) {
      this.#zones.set(zone, { life: known.life, source })
      known.life.configure(settings)
      return known.life
    }
    if (known.source === source && source !== PROGRAM) return known.life
    throw new ConclaveError('ZONE_TWICE', `the zone ${zone} is served from ${known.source} already`, {
      place: { file: source, zone },
      remedy: 'A zone has one source: remove one of the two.',
    })
  }

  /** Serves a zone in another way from now on. Denial, ZONEMD, TTLs and times change at once, in one version; what depends
   *  on keys follows as caches allow.
   *  @throws ConclaveError ZONE_UNKNOWN, KEY_UNREADABLE */
  async setZonePolicy(name: string, options: ZoneOptions): Promise<ZoneOutcome> {
    this.#checkOpen()
    return this.#reconfigure(this.#entry(name), await this.#settingsOf(options))
  }

  async #reconfigure({ life, source }: ZoneEntry, wished: ZoneSettings): Promise<ZoneOutcome> {
    const before = life.settings
    const settings = life.keys.isLive ? staysSigned(before, wished) : wished
    life.configure(settings)
    this.#files.configure(source, settings)
    if (source !== TEXT && source !== PROGRAM && (life.record === undefined || isLossy(before, settings))) {
      const [outcome] = await this.#files.reload(path => path === source)
      if (outcome !== undefined) return outcome
    }
    const outcome = await life.inTurn(() => life.publishEdits({ kind: 'refresh' }, 'policy changed'))
    if (outcome.kind === 'unchanged') this.#upkeep.published(life)
    await this.#upkeep.keys.run(life)
    return outcome
  }

  /** Without a turn of the event loop: a zone that was asked for is there at once. */
  #usualSettings({ signing, serialPolicy }: ZoneOptions): ZoneSettings | undefined {
    return signing === undefined && serialPolicy === undefined ? this.#parts.settings : undefined
  }

  #settingsOf(options: ZoneOptions): Promise<ZoneSettings> {
    return zoneSettings(this.#parts.defaults, options)
  }

  /** @throws ConclaveError ZONE_UNKNOWN */
  #entry(name: string): ZoneEntry {
    const zone = zoneText(absoluteName(name))
    const entry = this.#zones.get(zone)
    if (entry !== undefined) return entry
    throw new ConclaveError('ZONE_UNKNOWN', `there is no zone ${zone} here`, {
      remedy: 'List the zones with `conclave zones`; a file that was refused is read again with all others.',
    })
  }

  /** Stops serving a zone, at once; resolves when nothing of it is under way. Its keys and its state stay, and its file
   *  is not followed any more. False when there is no such zone. */
  async removeZone(name: string): Promise<boolean> {
    this.#checkOpen()
    const entry = this.#zones.get(zoneText(absoluteName(name)))
    if (entry === undefined) return false
    this.#files.forget(entry.source)
    await this.#remove(entry.life)
    return true
  }

  #remove(life: ZoneLife): Promise<void> {
    const { zone } = life
    if (this.#zones.get(zone)?.life === life) this.#zones.delete(zone)
    this.#upkeep.forget(life)
    const left = life.remove().finally(() => {
      if (this.#leaving.get(zone) === left) this.#leaving.delete(zone)
    })
    this.#leaving.set(zone, left)
    return left
  }

  /** Reads files and keys again that changed, whether or not the watcher noticed.
   *  @throws ConclaveError ZONE_UNKNOWN, KEY_UNREADABLE */
  async reload(zone?: string): Promise<ZoneOutcome[]> {
    this.#checkOpen()
    const entry = zone === undefined ? undefined : this.#entry(zone)
    const lives = entry === undefined ? [...this.#zones.values()].map(({ life }) => life) : [entry.life]
    // The list is not needed: asking for it makes a store look for keys that were added.
    for (const store of storesOf(lives)) await store.list()
    await Promise.all(lives.map(life => this.#upkeep.keys.run(life)))
    return this.#files.reload(entry === undefined ? undefined : path => path === entry.source)
  }

  /** Writes a copy of the state into a new directory while all goes on; with the nameserver's own key files on demand.
   *  @throws ConclaveError STATE_BACKUP */
  backupState(directory: string, options: { readonly keys?: boolean } = {}): Promise<void> {
    this.#checkOpen()
    return backupState(this.#parts.state, directory, options.keys === true)
  }

  /** What is served, and how it is, in the order of names. */
  zones(): ZoneStatus[] {
    const now = this.#parts.clock.now()
    return [...this.#zones.values()]
      .sort((a, b) => compareOctets(a.life.apexKey, b.life.apexKey))
      .map(({ life, source }) => zoneStatus(life, source, now))
  }

  /** The whole of it, for people and for cron. */
  status(): ServerStatus {
    return {
      version: VERSION,
      pid: process.pid,
      upSeconds: this.#parts.clock.now() - this.#startedUnix,
      addresses: this.addresses,
      state: this.stateDirectory,
      zones: this.zones(),
      refusedSources: this.#files.refusedSources(),
    }
  }

  /** Counters by name (counters.ts), and the store's memory. */
  stats(): ServerStats {
    const listeners = this.#listeners?.counters()
    return { ...(listeners === undefined ? {} : { listeners }), store: this.#store.stats() }
  }

  /** Resolves when everything that was due by now is done: for programs that own the clock. */
  async settled(): Promise<void> {
    for (let before: Promise<unknown>[] = [], same = false; !same; ) {
      await this.#upkeep.idle()
      const turns = [...this.#zones.values()].map(({ life }) => life.idle)
      await Promise.all(turns)
      same = turns.length === before.length && turns.every((turn, at) => turn === before[at])
      before = turns
    }
  }

  /** The response to a query without a socket; undefined where none would be sent, and from a closed server. */
  answer(query: Uint8Array, transport: 'udp' | 'tcp' = 'udp'): Uint8Array | undefined {
    if (this.#closing !== undefined) return undefined
    this.#answerer.begin()
    try {
      const number = transport === 'udp' ? TRANSPORT_UDP : TRANSPORT_TCP
      const length = this.#answerer.answer(query, query.length, number, this.#reply)
      return length <= DROP ? undefined : this.#reply.slice(0, length)
    } finally {
      this.#answerer.end()
    }
  }

  /** Stops listening, lets answers and versions under way be finished for so long, and leaves nothing running. */
  close(options: { readonly drainSeconds?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.drainSeconds ?? DRAIN_SECONDS_DEFAULT)
    return this.#closing
  }

  async #close(drainSeconds: number): Promise<void> {
    const patience = this.#parts.clock.after(drainSeconds, () => this.#abort.abort())
    const lives = [...this.#zones.values()].map(({ life }) => life)
    const work = async (): Promise<void> => {
      await this.#files.close()
      await this.#upkeep.close()
      await Promise.all([...lives.map(life => life.idle), ...this.#leaving.values()])
      this.#abort.abort()
      patience.cancel()
    }
    const transports = async (): Promise<void> => {
      await this.#listening?.catch(() => {})
      await this.#listeners?.close({ drainSeconds })
    }
    const both = Promise.allSettled([work(), transports()])
    await closeAll([
      ...this.#opened,
      async () => this.#answerer.close(),
      async () => {
        for (const one of await both) if (one.status === 'rejected') throw one.reason
      },
    ])
  }

  #zoneRefused(life: ZoneLife, refusal: Refusal, ofSource: boolean): void {
    const source = this.#zones.get(life.zone)?.source ?? PROGRAM
    this.#news.refused(source, refusal, life.zone)
    if (ofSource && source !== TEXT && source !== PROGRAM) this.#upkeep.refused(life, refusal)
  }
}

/** `axfrAllow` speaks where no other rules do. */
function accessOf({ tsig, transfer }: AccessOptions, { axfrAllow }: NameserverOptions): AccessOptions {
  const prefixes = axfrAllow === undefined ? {} : { default: [{ prefixes: axfrAllow }] }
  return { ...(tsig === undefined ? {} : { tsig }), transfer: { ...prefixes, ...transfer } }
}

function zoneText(apex: Name): string {
  return nameToText(canonicalName(apex))
}

/** With or without its last dot. */
function absoluteName(text: string): Name {
  return nameFromText(text, rootName)
}

function faultsError(faults: readonly Fault[], place: Fault['place']): ConclaveError {
  const first = faults.find(fault => fault.severity === 'error') ?? faults[0]
  return new ConclaveError('ZONE_REFUSED', first?.what ?? 'the zone is not sound', {
    place: { ...place, ...first?.place },
  })
}

/** The stores in which the zones have their keys, each once. */
function storesOf(lives: readonly ZoneLife[]): Set<KeyStore> {
  return new Set(
    lives.flatMap(({ settings: { signing } }) =>
      signing === undefined ? [] : [signing.stores.ksk, signing.stores.zsk],
    ),
  )
}

/** A signed zone that is to be served as it is goes there in steps (RFC 8078 §4), by the policy that it has. */
function staysSigned(before: ZoneSettings, wished: ZoneSettings): ZoneSettings {
  if (before.signing === undefined || wished.signing !== undefined) return wished
  return { ...wished, signing: { ...before.signing, unsign: true } }
}

/** Whether what is served says too little of the content: TTLs were lowered further, or it was not read for signing. */
function isLossy(before: ZoneSettings, after: ZoneSettings): boolean {
  if (after.signing === undefined || before.signing === undefined) return true
  const ttlMax = (settings: ZoneSettings): number => settings.signing?.policy.zoneTtlMaxSeconds ?? Infinity
  return ttlMax(after) > ttlMax(before)
}
