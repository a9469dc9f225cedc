/** The nameserver: composes zones, signer, state, transports and watching, for programs and for `conclave serve`.
 *
 *    const server = await createNameserver({ listen: ['127.0.0.1@0'] })
 *    const zone = await server.addZone('example.', [{ name: '@', type: 'SOA', data: '…' }, …])
 *    await zone.change({ add: [{ name: 'www', type: 'A', data: '192.0.2.1' }] })      signed and live
 *    await server.close()
 *
 *  I1  No process-wide effects: no signal handlers, no output, no exit; several servers live in one process.
 *  I2  A zone has one source: a file, a text or a program; another source for the same name is refused.
 *  I3  A fault of one zone stays with that zone. */
import { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, ConclaveError, type Logger, silentLogger, systemClock } from '../base/index.ts'
import {
  CryptoPool,
  DIGEST_SHA256,
  defaultSigningPolicy,
  dnskeyRdata,
  dsRdata,
  dsText,
  FileKeyStore,
  type KeyInfo,
  type KeyStore,
  type SerialPolicy,
  type SigningPolicy,
} from '../signer/index.ts'
import {
  checkZone,
  contentFromRecords,
  type Fault,
  faultText,
  keyOf,
  lintContent,
  type Name,
  nameFromText,
  nameToText,
  Store,
  StoreReader,
  type StoreStats,
  type ZoneContent,
} from '../zones/index.ts'
import { listenAddressText } from './address.ts'
import { type Answerer, createAnswerer, DROP } from './answerer.ts'
import { TRANSPORT_TCP, TRANSPORT_UDP } from './counters.ts'
import { FileSources } from './file-sources.ts'
import { type ListenCounters, type Listeners, openListeners } from './listen.ts'
import { editsOf, type RecordText, recordFromText, type ZoneChange } from './program-zone.ts'
import { Scheduler } from './scheduler.ts'
import { openState, type State } from './state.ts'
import {
  type PublishedVersion,
  type Refusal,
  type ZoneEnvironment,
  ZoneLife,
  type ZoneOutcome,
} from './zone-life.ts'
import { type ZoneStatus, zoneStatus } from './zone-status.ts'

export interface NameserverOptions {
  /** `ADDRESS@PORT`; port 0 takes a free one for UDP and TCP. Default: none, `answer` works all the same. */
  readonly listen?: readonly string[]
  /** State directory. Default: a temporary one that `close` removes, keys included. */
  readonly state?: string
  /** False: zones are served as they are. */
  readonly signing?: false | Partial<SigningPolicy>
  readonly serialPolicy?: SerialPolicy
  /** Threads that answer UDP; default min(cores, 2). */
  readonly workers?: number
  readonly udp?: 'batch' | 'dgram'
  /** Address prefixes that may transfer zones; default loopback. */
  readonly axfrAllow?: readonly string[]
  /** Follow changes of zone files; default true. */
  readonly watch?: boolean
  readonly clock?: Clock
  readonly log?: Logger
}

export interface RefusedEvent {
  /** Absent when the source did not say which zone it is. */
  readonly zone?: string
  readonly source: string
  readonly refusal: Refusal
}

export interface KeyEvent {
  readonly zone: string
  readonly key: KeyInfo
  /** The DS record for the parent; absent for a ZSK. */
  readonly ds?: string
}

export interface NameserverEvents {
  published: [PublishedVersion]
  refused: [RefusedEvent]
  /** Signatures could not be refreshed, or are not ours to refresh, and the first ends soon. */
  expiring: [{ readonly zone: string; readonly firstExpirationUnix: number }]
  key: [KeyEvent]
  progress: [{ readonly zone: string; readonly signaturesMade: number }]
}

/** A zone that this program owns. */
export interface ProgramZone {
  readonly name: string
  /** Resolves when the change is signed and live; changes made meanwhile share a version. Refused: nothing changed.
   *  @throws ConclaveError */
  change(change: ZoneChange): Promise<ZoneOutcome>
}

export interface ServerStats {
  /** Absent before the server listens. */
  readonly listeners?: ListenCounters
  readonly store: StoreStats
}

export interface ServerStatus {
  readonly version: string
  readonly pid: number
  readonly upSeconds: number
  readonly addresses: readonly string[]
  readonly state: string
  readonly zones: readonly ZoneStatus[]
  /** Sources that gave no zone so far. */
  readonly refusedSources: readonly RefusedEvent[]
}

export interface ZoneEntry {
  readonly life: ZoneLife
  /** A path, `text` or `program`. */
  readonly source: string
}

/** Failed refreshes and absent keys are tried again after this, unless the key store says otherwise. */
const RETRY_SECONDS = 60
/** Of a refused version; `status` has them all. */
const FAULTS_LOGGED_MAX = 10
/** A refresh that fell due while the last one ran waits so long, so that many due signatures go together. */
const REFRESH_SPACING_SECONDS = 60
const packageFile = new URL('../../package.json', import.meta.url)
const VERSION = (JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }).version
const REPLY_OCTETS_MAX = 65_535
const UDP_WORKERS_DEFAULT = 2

/** @throws ConclaveError STATE_…, KEY_UNREADABLE, LISTEN_… */
export async function createNameserver(options: NameserverOptions = {}): Promise<Nameserver> {
  const temporary = options.state === undefined ? await mkdtemp(join(tmpdir(), 'conclave-')) : undefined
  const log = options.log ?? silentLogger
  const clock = options.clock ?? systemClock
  const state = await openState(options.state ?? temporary!)
  const pool = new CryptoPool({ clock })
  let server: Nameserver | undefined
  try {
    const keys =
      options.signing === false
        ? undefined
        : await FileKeyStore.open(state.keysDirectory, { pool, clock, log })
    server = new Nameserver(options, { state, pool, keys, temporary, clock, log })
    if (options.listen !== undefined && options.listen.length > 0) await server.listen(options.listen)
    return server
  } catch (error) {
    if (server !== undefined) await server.close()
    else {
      await pool.close()
      await state.close()
      if (temporary !== undefined) await rm(temporary, { recursive: true, force: true })
    }
    throw error
  }
}

interface Parts {
  readonly state: State
  readonly pool: CryptoPool
  readonly keys: KeyStore | undefined
  readonly temporary: string | undefined
  readonly clock: Clock
  readonly log: Logger
}

export class Nameserver extends EventEmitter<NameserverEvents> {
  readonly #options: NameserverOptions
  readonly #parts: Parts
  readonly #store = new Store()
  readonly #zones = new Map<string, ZoneEntry>()
  readonly #scheduler: Scheduler
  readonly #files: FileSources
  readonly #answerer: Answerer
  readonly #reply = new Uint8Array(REPLY_OCTETS_MAX)
  readonly #environment: ZoneEnvironment
  readonly #startedUnix: number
  #listeners: Listeners | undefined
  #closing: Promise<void> | undefined

  /** Use `createNameserver`. */
  constructor(options: NameserverOptions, parts: Parts) {
    super()
    this.#options = options
    this.#parts = parts
    this.#startedUnix = parts.clock.now()
    this.#answerer = createAnswerer(new StoreReader(this.#store.handle), {})
    this.#environment = this.#makeEnvironment()
    this.#scheduler = new Scheduler({
      clock: parts.clock,
      log: parts.log,
      run: ({ zone }) => this.#refresh(zone),
    })
    this.#files = new FileSources({
      store: this.#store,
      clock: parts.clock,
      log: parts.log,
      watch: options.watch ?? true,
      lifeOf: (apex, path) => this.#lifeOf(apex, path),
      lost: (life, path) => this.#lost(life, path),
      refused: (source, refusal, life) => this.#refused(source, refusal, life),
    })
  }

  #makeEnvironment(): ZoneEnvironment {
    const { signing } = this.#options
    const { keys, state, pool, clock, log } = this.#parts
    const policy = { ...defaultSigningPolicy, ...(signing === false ? {} : signing) }
    return {
      store: this.#store,
      pool,
      clock,
      log,
      ...(keys === undefined ? {} : { signing: { policy, keys } }),
      serialPolicy: this.#options.serialPolicy ?? (keys === undefined ? 'keep' : 'increment'),
      stateOf: apexKey => state.zone(apexKey),
      keysMade: (zone, made) => this.#keysMade(zone, made),
      published: (life, version) => this.#published(life, version),
      refused: (life, refusal) => this.#zoneRefused(life, refusal),
      progress: (life, signaturesMade) => this.emit('progress', { zone: life.zone, signaturesMade }),
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
    if (this.#listeners !== undefined) throw new ConclaveError('LISTEN_TWICE', 'the server listens already')
    const { workers, udp, axfrAllow } = this.#options
    this.#listeners = await openListeners({
      handle: this.#store.handle,
      store: this.#store,
      addresses,
      workers: workers ?? Math.min(availableParallelism(), UDP_WORKERS_DEFAULT),
      clock: this.#parts.clock,
      log: this.#parts.log,
      ...(udp === undefined ? {} : { udp }),
      ...(axfrAllow === undefined ? {} : { axfr: { allow: axfrAllow } }),
    })
  }

  /** Reads, signs and serves a zone file, and follows its changes. Resolves with the first outcome. */
  addFile(path: string, origin?: Name | string): Promise<ZoneOutcome> {
    return this.#files.addFile(path, typeof origin === 'string' ? nameFromText(origin) : origin)
  }

  /** The same for every `*.zone` of a directory, also those that appear later. */
  addDirectory(path: string): Promise<ZoneOutcome[]> {
    return this.#files.addDirectory(path)
  }

  /** Serves a zone from the text of a zone file. */
  async addText(
    text: string,
    options: { readonly origin?: string; readonly name?: string } = {},
  ): Promise<ZoneOutcome> {
    const file = options.name ?? 'text'
    const origin = options.origin === undefined ? {} : { origin: nameFromText(options.origin) }
    const outcome = checkZone(this.#store, new TextEncoder().encode(text), { file, ...origin })
    if (outcome.kind === 'faults') throw faultsError(outcome.faults, file)
    return this.#addContent(outcome.content, 'text')
  }

  /** Serves a zone that this program owns; the records must have a SOA and NS records of the apex.
   *  @throws ConclaveError when the records are not a sound zone */
  async addZone(name: string, records: readonly RecordText[]): Promise<ProgramZone> {
    const apex = nameFromText(name.endsWith('.') ? name : `${name}.`)
    const wire = records.map(record => recordFromText(record, apex))
    const outcome = contentFromRecords(this.#store, apex, wire)
    if (outcome.kind === 'faults') throw faultsError(outcome.faults, nameToText(apex))
    const errors = lintContent(this.#store, outcome.content).filter(fault => fault.severity === 'error')
    if (errors.length > 0) {
      outcome.content.tree.discard()
      throw faultsError(errors, nameToText(apex))
    }
    const published = await this.#addContent(outcome.content, 'program')
    if (published.kind === 'refused') throw refusalError(published.refusal, nameToText(apex))
    return this.#programZone(this.#zones.get(entryKey(outcome.content.apexKey))!.life)
  }

  #addContent(content: ZoneContent, source: string): Promise<ZoneOutcome> {
    try {
      const life = this.#lifeOf(content.apex, source)
      return life.inTurn(() => life.publishContent(content, `added by ${source}`))
    } catch (error) {
      content.tree.discard()
      throw error
    }
  }

  /** Changes of one turn of the event loop, and those made while a version is built, become one version. One that is
   *  refused does not take the others with it: then each is tried alone. */
  #programZone(life: ZoneLife): ProgramZone {
    let waiting: {
      change: ZoneChange
      resolve: (outcome: ZoneOutcome) => void
      reject: (error: unknown) => void
    }[] = []
    const apply = (changes: readonly ZoneChange[]): Promise<ZoneOutcome> => {
      const edits = editsOf(changes, life.apex, life.apexKey, key => this.#node(life, key))
      return life.publishEdits({ kind: 'some', edits }, 'changed by program')
    }
    const drain = async (): Promise<void> => {
      const burst = waiting
      waiting = []
      if (burst.length === 0) return
      const together = await settled(() => apply(burst.map(one => one.change)))
      const whole = burst.length === 1 || ('value' in together && together.value.kind !== 'refused')
      for (const one of burst) {
        const result = whole ? together : await settled(() => apply([one.change]))
        if ('value' in result) one.resolve(result.value)
        else one.reject(result.error)
      }
    }
    return {
      name: life.zone,
      change: change =>
        new Promise((resolve, reject) => {
          waiting.push({ change, resolve, reject })
          void life.inTurn(drain)
        }),
    }
  }

  #node(life: ZoneLife, key: Uint8Array): Uint8Array | undefined {
    const cursor = this.#store.readTree()
    const root = life.record?.namesRoot ?? 0
    if (root === 0 || !cursor.find(root, key, 0, key.length)) return undefined
    return cursor.bytes.slice(cursor.valueStart, cursor.valueEnd)
  }

  /** The life of a zone, new or its source's own (I2).
   *  @throws ConclaveError ZONE_TWICE */
  #lifeOf(apex: Name, source: string): ZoneLife {
    const life = new ZoneLife(apex, this.#environment)
    const known = this.#zones.get(entryKey(life.apexKey))
    if (known === undefined) {
      this.#zones.set(entryKey(life.apexKey), { life, source })
      return life
    }
    if (known.source === source && source !== 'program' && source !== 'text') return known.life
    throw new ConclaveError('ZONE_TWICE', `the zone ${life.zone} is served from ${known.source} already`, {
      place: { file: source, zone: life.zone },
      remedy: 'A zone has one source: remove one of the two.',
    })
  }

  /** Stops serving a zone. Its keys and its state stay; false when there is no such zone. */
  async removeZone(name: string): Promise<boolean> {
    const key = entryKey(keyOf(nameFromText(name.endsWith('.') ? name : `${name}.`)))
    const found = this.#zones.get(key)
    if (found === undefined) return false
    const { life, source } = found
    this.#zones.delete(key)
    this.#scheduler.cancel(life.zone)
    this.#files.forget(source)
    await life.idle
    life.remove()
    return true
  }

  /** Reads files again, of all zones or of one, whether or not the watcher noticed a change.
   *  @throws ConclaveError ZONE_UNKNOWN */
  async reload(zone?: string): Promise<ZoneOutcome[]> {
    if (zone === undefined) return this.#files.reload()
    const { source } = this.#entryOf(zone)
    return this.#files.reload(path => path === source)
  }

  #entryOf(zone: string): ZoneEntry {
    const apex = nameFromText(zone.endsWith('.') ? zone : `${zone}.`)
    const entry = this.#zones.get(entryKey(keyOf(apex)))
    if (entry !== undefined) return entry
    throw new ConclaveError('ZONE_UNKNOWN', `there is no zone ${nameToText(apex)} here`, {
      remedy: 'List the zones with `conclave zones`.',
    })
  }

  /** What is served, and how it is, in the order of names. */
  zones(): ZoneStatus[] {
    const now = this.#parts.clock.now()
    return [...this.#zones].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => zoneStatus(entry, now))
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

  /** The response to a query without a socket; undefined where none would be sent. */
  answer(query: Uint8Array, transport: 'udp' | 'tcp' = 'udp'): Uint8Array | undefined {
    this.#answerer.begin()
    try {
      const number = transport === 'udp' ? TRANSPORT_UDP : TRANSPORT_TCP
      const length = this.#answerer.answer(query, query.length, number, this.#reply)
      return length <= DROP ? undefined : this.#reply.slice(0, length)
    } finally {
      this.#answerer.end()
    }
  }

  /** Stops listening, lets answers under way go out, finishes what is being written, and leaves nothing running. */
  close(options: { readonly drainSeconds?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.drainSeconds ?? 1)
    return this.#closing
  }

  async #close(drainSeconds: number): Promise<void> {
    await this.#files.close()
    await this.#scheduler.close()
    await this.#listeners?.close({ drainSeconds })
    await Promise.all([...this.#zones.values()].map(({ life }) => life.idle))
    this.#answerer.close()
    const { keys, pool, state, temporary } = this.#parts
    await keys?.close()
    await pool.close()
    await state.close()
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true })
  }

  #keysMade(zone: Name, made: readonly KeyInfo[]): void {
    for (const key of made) {
      const ds = key.role === 'zsk' ? undefined : dsText(zone, dsRdata(zone, dnskeyRdata(key), DIGEST_SHA256))
      this.#parts.log.info('key made', {
        zone: nameToText(zone),
        role: key.role,
        tag: key.keyTag,
        file: key.where,
      })
      this.emit('key', { zone: nameToText(zone), key, ...(ds === undefined ? {} : { ds }) })
    }
  }

  #published(life: ZoneLife, version: PublishedVersion): void {
    const { zone, serial, signaturesMade, reason } = version
    this.#parts.log.info('published', { zone, serial, signaturesMade, reason })
    for (const warning of version.warnings)
      this.#parts.log.warn(warning.what, { ...warning.place, rule: warning.rule })
    this.#scheduleRefresh(life)
    this.emit('published', version)
  }

  #zoneRefused(life: ZoneLife, refusal: Refusal): void {
    const source = this.#zones.get(entryKey(life.apexKey))?.source ?? 'program'
    this.#refused(source, refusal, life)
    if (refusal.retryAfterSeconds !== undefined) this.#refreshAfter(life, refusal.retryAfterSeconds)
  }

  #refused(source: string, refusal: Refusal, life?: ZoneLife): void {
    const { code, what, faults } = refusal
    this.#parts.log.error('version refused; what was served goes on', {
      ...(life === undefined ? {} : { zone: life.zone }),
      source,
      code,
      what,
      faults: faults.slice(0, FAULTS_LOGGED_MAX).map(faultText),
      ...(faults.length > FAULTS_LOGGED_MAX ? { faultsInAll: faults.length } : {}),
    })
    this.emit('refused', { ...(life === undefined ? {} : { zone: life.zone }), source, refusal })
  }

  /** The next refresh: when the first signature comes into the last part of its life. */
  #scheduleRefresh(life: ZoneLife): void {
    const { firstExpirationUnix } = life
    if (firstExpirationUnix === undefined) return
    const { signing } = this.#environment
    const refreshSeconds = (signing?.policy ?? defaultSigningPolicy).refreshSeconds
    const due = firstExpirationUnix - refreshSeconds - this.#parts.clock.now()
    this.#refreshAfter(life, Math.max(due, REFRESH_SPACING_SECONDS))
  }

  #refreshAfter(life: ZoneLife, seconds: number): void {
    this.#scheduler.schedule(life.zone, this.#parts.clock.now() + seconds, 'refresh')
  }

  async #refresh(zone: string): Promise<void> {
    const life = [...this.#zones.values()].find(entry => entry.life.zone === zone)?.life
    if (life === undefined || this.#closing !== undefined) return
    if (this.#environment.signing !== undefined && life.keys.length > 0) {
      const outcome = await life.inTurn(() => life.publishEdits({ kind: 'refresh' }, 'signatures refreshed'))
      if (outcome.kind === 'published') return
      if (outcome.kind === 'unchanged') return this.#scheduleRefresh(life)
      if (outcome.refusal.retryAfterSeconds === undefined) this.#refreshAfter(life, RETRY_SECONDS)
    } else this.#refreshAfter(life, RETRY_SECONDS)
    const { firstExpirationUnix } = life
    if (firstExpirationUnix !== undefined) this.emit('expiring', { zone: life.zone, firstExpirationUnix })
  }

  /** A zone file has gone: it is served on until the server restarts. */
  #lost(life: ZoneLife, path: string): void {
    this.#parts.log.warn('the zone file is gone; its last version is served until a restart', {
      zone: life.zone,
      file: path,
    })
  }
}

function entryKey(apexKey: Uint8Array): string {
  return Buffer.from(apexKey).toString('latin1')
}

async function settled<T>(work: () => Promise<T>): Promise<{ value: T } | { error: unknown }> {
  try {
    return { value: await work() }
  } catch (error) {
    return { error }
  }
}

function faultsError(faults: readonly Fault[], source: string): ConclaveError {
  const first = faults[0]
  return new ConclaveError('ZONE_REFUSED', first?.what ?? 'the zone is not sound', {
    place: { file: source, ...first?.place },
  })
}

function refusalError(refusal: Refusal, zone: string): ConclaveError {
  return new ConclaveError('ZONE_REFUSED', refusal.what, { place: { zone, ...refusal.faults[0]?.place } })
}
