/** The nameserver: composes zones, signer, state, transports and watching, for programs and for `conclave serve`.
 *
 *    const zone = await server.addZone('example.', [{ name: '@', type: 'SOA', data: '…' }, …])
 *    await zone.change({ add: [{ name: 'www', type: 'A', data: '192.0.2.1' }] })      signed and live
 *    await server.close()
 *
 *  I1  No process-wide effects: no signal handlers, no output, no exit; several servers live in one process.
 *  I2  A fault of one zone stays with that zone, and one of an event's listener with that listener. */
import { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { ConclaveError } from '../base/index.ts'
import { FileKeyStore, type KeyStore, oneStore } from '../signer/index.ts'
import { type Name, nameFromText, rootName, Store, type ZoneContent } from '../zones/index.ts'
import { type AccessOptions, withPrefixes } from './access.ts'
import { closeAll } from './close-all.ts'
import { Effort } from './effort.ts'
import { FileSources } from './file-sources.ts'
import { contentOfRecords, contentOfText } from './given-content.ts'
import { KeyOffice } from './key-office.ts'
import { Listening, type ListeningOptions } from './listening.ts'
import { LocalAnswers } from './local-answers.ts'
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
import type { NameserverParts } from './open-nameserver.ts'
import { checkNameserverOptions, checkZoneOptions } from './option-check.ts'
import type { RecordText } from './program-zone.ts'
import { type Refusal, refusalError } from './refusal.ts'
import { SharedPublication } from './shared-publication.ts'
import { Slots } from './slots.ts'
import { changeSources, type SourceChange } from './source-changes.ts'
import { backupState } from './state-backup.ts'
import { Upkeep } from './upkeep.ts'
import type { ZoneLife } from './zone-life.ts'
import type { ZoneEnvironment, ZoneOutcome, ZoneSettings } from './zone-life-types.ts'
import { PROGRAM, TEXT, type ZoneEntry, ZoneRegister } from './zone-register.ts'
import { isLossy, staysSigned, zoneSettings } from './zone-settings.ts'
import type { ZoneStatus } from './zone-status.ts'

const packageFile = new URL('../../package.json', import.meta.url)
const VERSION = (JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }).version
const UDP_WORKERS_DEFAULT = 2
const DRAIN_SECONDS_DEFAULT = 1

export class Nameserver extends EventEmitter<NameserverEvents> {
  readonly #options: NameserverOptions
  readonly #parts: NameserverParts
  readonly #store = new Store()
  readonly #news: NameserverNews
  readonly #effort = new Effort(working => this.#news.tell('working', working))
  readonly #upkeep: Upkeep
  readonly #zones: ZoneRegister
  /** The keys of the zones. */
  readonly keys: KeyOffice
  readonly #files: FileSources
  readonly #answers: LocalAnswers
  /** Texts are read one after the other. */
  readonly #texts = new Slots(1)
  readonly #startedUnix: number
  readonly #listening: Listening
  /** Ends builds that take longer than a closing server waits. */
  readonly #abort = new AbortController()
  #closing: Promise<void> | undefined

  /** Use `createNameserver`. */
  constructor(options: NameserverOptions, parts: NameserverParts) {
    super()
    const { clock, log } = parts
    this.#options = options
    this.#parts = { ...parts, opened: [...parts.opened] }
    this.#startedUnix = clock.now()
    this.#answers = new LocalAnswers(this.#store, {
      onBug: error => log.error('a query met a bug', { error }),
      keyring: parts.access,
      now: () => clock.now(),
    })
    this.#news = new NameserverNews(this, log)
    this.#zones = new ZoneRegister(this.#zoneEnvironment(), life => this.#upkeep.forget(life))
    this.#listening = new Listening(this.#listenOptions())
    this.#upkeep = new Upkeep({
      clock,
      log,
      store: this.#store,
      signal: this.#abort.signal,
      lifeOf: zone => this.#zones.find(zone)?.life,
      retry: life => this.#files.retry(this.#zones.sourceOf(life.apex) ?? ''),
      expiring: ({ zone }, first) => this.#news.expiring(zone, first, clock.now()),
    })
    this.keys = new KeyOffice(this.#upkeep.keys, zone => {
      this.#checkOpen()
      return this.#zones.entry(zone).life
    })
    this.#files = new FileSources({
      store: this.#store,
      directory: parts.state.directory,
      clock,
      log,
      effort: this.#effort,
      watch: options.watch ?? true,
      settings: parts.settings,
      lifeOf: (apex, path, settings) => {
        const before = this.#zones.sourceOf(apex)
        const life = this.#zones.lifeOf(apex, path, settings)
        if (before !== undefined && before !== path) this.#files.drop(before)
        return life
      },
      knows: apex => this.#zones.sourceOf(apex),
      abandon: life => void this.#zones.remove(life),
      lost: ({ zone }, path) => this.#news.lost(zone, path),
      refused: (source, refusal, life) => this.#news.refused(source, refusal, life?.zone),
    })
  }

  #zoneEnvironment(): ZoneEnvironment {
    const { state, pool, clock, log } = this.#parts
    return {
      store: this.#store,
      publications: new SharedPublication(this.#store),
      pool,
      effort: this.#effort,
      clock,
      log,
      signal: this.#abort.signal,
      stateOf: apexKey => state.zone(apexKey),
      keysMade: (zone, made) => this.#news.keysMade(zone, made),
      rollover: step => this.#news.rollover(step),
      clockTrust: () => this.#upkeep.keys,
      ownStores: async () => oneStore(await this.#parts.defaults.openKeys()),
      otherStores: async () => this.#options.otherKeys?.() ?? [await this.#parts.defaults.openKeys()],
      published: (life, version) => {
        this.#upkeep.published(life)
        this.#news.published(version)
      },
      refused: (life, refusal, edits) => this.#zoneRefused(life, refusal, edits !== 'refresh'),
      progress: (zone, signaturesMade) => this.#news.tell('progress', { zone, signaturesMade }),
    }
  }

  #listenOptions(): ListeningOptions {
    const { workers = Math.min(availableParallelism(), UDP_WORKERS_DEFAULT), udp } = this.#options
    const { access, clock, log } = this.#parts
    const store = this.#store
    const options = { handle: store.handle, store, workers, access, clock, log }
    return udp === undefined ? options : { ...options, udp }
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
    return this.#listening.addresses
  }

  /** Binds and answers, once.
   *  @throws ConclaveError LISTEN_…, OPTION_INVALID */
  async listen(addresses: readonly string[]): Promise<void> {
    this.#checkOpen()
    checkNameserverOptions({ listen: addresses })
    await this.#listening.begin(addresses)
  }

  /** Listens on these addresses from now on; those that stay are served all the while. When one cannot be opened,
   *  nothing changes.
   *  @throws ConclaveError LISTEN_…, OPTION_INVALID */
  async setListen(addresses: readonly string[]): Promise<void> {
    const { beginning } = this.#listening
    if (beginning === undefined) return this.listen(addresses)
    await beginning
    this.#checkOpen()
    checkNameserverOptions({ listen: addresses })
    await this.#listening.change(addresses)
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
    this.#parts.access.set(withPrefixes(access, this.#options.axfrAllow))
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
    const apex = typeof origin === 'string' ? nameFromText(origin, rootName) : origin
    const settings = this.#usualSettings(zone) ?? (await this.#settingsOf(zone))
    return this.#files.addFile(path, settings, apex)
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
      yielding: this.#zones.yielding,
      settingsOf: options => this.#settingsOf(options),
      livesOf: files => this.#zones.lives(files),
      reconfigure: (life, settings) => this.#reconfigure(this.#zones.entry(life.zone), settings),
      remove: life => this.#zones.remove(life),
      now: () => this.#parts.clock.now(),
    })
  }

  /** Serves a zone from the text of a zone file; again for the same zone, in place of the text before.
   *  @throws ConclaveError when the text is not a sound zone, or cannot be signed */
  async addText(text: string, options: TextOptions = {}): Promise<ZoneOutcome> {
    this.#checkOpen()
    const settings = this.#usualSettings(options) ?? (await this.#settingsOf(options))
    const { name: file = TEXT, origin } = options
    // What is said later holds: a short text does not overtake a long one. Versions of several zones are built at once.
    const { outcome } = await this.#texts.run(1, async () => {
      const content = await contentOfText(this.#store, text, { file, origin })
      return { outcome: this.#addContent(content, TEXT, settings) }
    })
    return outcome
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
    const apex = nameFromText(name, rootName)
    const content = contentOfRecords(this.#store, apex, records, settings.signing !== undefined)
    await this.#addContent(content, PROGRAM, settings)
    return this.zone(name)!
  }

  /** A zone that this program owns; undefined when there is none of that name, or another source has it. */
  zone(name: string): ProgramZone | undefined {
    return this.#zones.find(name)?.program
  }

  async #addContent(content: ZoneContent, source: string, settings: ZoneSettings): Promise<ZoneOutcome> {
    let life: ZoneLife
    try {
      this.#checkOpen()
      life = this.#zones.lifeOf(content.apex, source, settings)
    } catch (error) {
      content.tree.discard()
      throw error
    }
    const outcome = await life.inTurn(() => life.publishContent(content, `added by ${source}`))
    if (outcome.kind !== 'refused') return outcome
    // Nobody is left to mend it: what was served before goes on, and what was not is forgotten.
    if (life.record === undefined) await this.#zones.remove(life)
    throw refusalError(outcome.refusal, life.zone)
  }

  /** Serves a zone in another way from now on. Denial, ZONEMD, TTLs and times change at once, in one version; what depends
   *  on keys follows as caches allow.
   *  @throws ConclaveError ZONE_UNKNOWN, KEY_UNREADABLE */
  async setZonePolicy(name: string, options: ZoneOptions): Promise<ZoneOutcome> {
    this.#checkOpen()
    return this.#reconfigure(this.#zones.entry(name), await this.#settingsOf(options))
  }

  async #reconfigure({ life, source }: ZoneEntry, wished: ZoneSettings): Promise<ZoneOutcome> {
    const before = life.settings
    const settings = life.ownKeys?.facts.isLive === true ? staysSigned(before, wished) : wished
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
  #usualSettings(options: ZoneOptions): ZoneSettings | undefined {
    checkZoneOptions(options)
    const { signing, serialPolicy } = options
    return signing === undefined && serialPolicy === undefined ? this.#parts.settings : undefined
  }

  #settingsOf(options: ZoneOptions): Promise<ZoneSettings> {
    return zoneSettings(this.#parts.defaults, options)
  }

  /** Stops serving a zone, at once; resolves when nothing of it is under way. Its keys and its state stay, and its file
   *  is not followed any more. False when there is no such zone. */
  async removeZone(name: string): Promise<boolean> {
    this.#checkOpen()
    const entry = this.#zones.find(name)
    if (entry === undefined) return false
    this.#files.forget(entry.source)
    await this.#zones.remove(entry.life)
    return true
  }

  /** Reads files and keys again that changed, whether or not the watcher noticed.
   *  @throws ConclaveError ZONE_UNKNOWN, KEY_UNREADABLE */
  async reload(zone?: string): Promise<ZoneOutcome[]> {
    this.#checkOpen()
    const entry = zone === undefined ? undefined : this.#zones.entry(zone)
    const lives = entry === undefined ? this.#zones.lives() : [entry.life]
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
    return this.#zones.statuses(this.#parts.clock.now())
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
    const listeners = this.#listening.counters()
    return { ...(listeners === undefined ? {} : { listeners }), store: this.#store.stats() }
  }

  /** Resolves when everything that was due by now is done: for programs that own the clock. */
  async settled(): Promise<void> {
    for (let before: Promise<unknown>[] = [], same = false; !same; ) {
      await this.#upkeep.idle()
      const turns = this.#zones.lives().map(life => life.idle)
      await Promise.all(turns)
      same = turns.length === before.length && turns.every((turn, at) => turn === before[at])
      before = turns
    }
  }

  /** The response to a query without a socket; undefined where none would be sent, and from a closed server. */
  answer(query: Uint8Array, transport: 'udp' | 'tcp' = 'udp'): Uint8Array | undefined {
    if (this.#closing !== undefined) return undefined
    return this.#answers.answer(query, transport)
  }

  /** Stops listening, lets answers and versions under way be finished for so long, and leaves nothing running. */
  close(options: { readonly drainSeconds?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.drainSeconds ?? DRAIN_SECONDS_DEFAULT)
    return this.#closing
  }

  async #close(drainSeconds: number): Promise<void> {
    const patience = this.#parts.clock.after(drainSeconds, () => this.#abort.abort())
    const work = async (): Promise<void> => {
      await this.#files.close()
      await this.#upkeep.close()
      await this.#zones.idle()
      this.#abort.abort()
      patience.cancel()
    }
    const both = Promise.allSettled([work(), this.#listening.close(drainSeconds)])
    await closeAll([
      ...this.#parts.opened,
      async () => this.#answers.close(),
      async () => {
        for (const one of await both) if (one.status === 'rejected') throw one.reason
      },
    ])
  }

  #zoneRefused(life: ZoneLife, refusal: Refusal, ofSource: boolean): void {
    const source = this.#zones.sourceOf(life.apex) ?? PROGRAM
    this.#news.refused(source, refusal, life.zone)
    if (ofSource && source !== TEXT && source !== PROGRAM) this.#upkeep.refused(life, refusal)
  }
}

/** The stores in which the zones have their keys, each once. */
function storesOf(lives: readonly ZoneLife[]): Set<KeyStore> {
  return new Set(
    lives.flatMap(({ settings: { signing } }) =>
      signing === undefined ? [] : [signing.stores.ksk, signing.stores.zsk],
    ),
  )
}
