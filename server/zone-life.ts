/** The life of one zone in a nameserver (DESIGN: the life of a zone): content comes in, a version is built beside the
 *  old one, made durable, and published by one step.
 *
 *    content or edits ──build──▶ built ──state.publish──▶ durable ──store.commit──▶ served
 *                          └──▶ unchanged │ refused │ pending │ unavailable: the old version goes on being served
 *
 *  I1  One build of a zone at a time; what is asked meanwhile waits its turn.
 *  I2  A version is durable before a query can see it, so a serial that was seen is never forgotten.
 *  I3  Any outcome but `published` leaves store and what is served as they were; nothing that a build does is thrown.
 *  I4  After a restart, what is signed and still valid is served even while keys cannot be had. */
import { type Clock, ConclaveError, type Logger } from '../base/index.ts'
import {
  type BuildResult,
  type BuiltVersion,
  buildVersion,
  type CryptoPool,
  type Edits,
  ensureKeys,
  type ForeignKeys,
  foreignKeysIn,
  foreignTags,
  type HeldKeys,
  heldKeys,
  isSerialAfter,
  type KeyInfo,
  type PreviousVersion,
  type SerialPolicy,
  type SigningPolicy,
  type SigningSettings,
  signingKeysOf,
  signingSettingsOf,
  type TreeKind,
  type ZoneStores,
} from '../signer/index.ts'
import {
  canonicalName,
  encodeZoneRecord,
  type Fault,
  faultText,
  keyOf,
  type Name,
  nameToText,
  type Store,
  type ZoneContent,
  type ZoneRecord,
} from '../zones/index.ts'
import { type Refusal, refusalOfError, refusalOfResult } from './refusal.ts'
import { SignatureLog } from './signature-log.ts'
import type { ServedVersion } from './state-record.ts'
import type { ZoneState } from './state-zone.ts'

export interface ZoneEnvironment {
  readonly store: Store
  readonly clock: Clock
  readonly log: Logger
  readonly pool: CryptoPool
  /** Ends builds that are under way; nothing is published afterwards. */
  readonly signal: AbortSignal
  stateOf(apexKey: Uint8Array): ZoneState
  keysMade(zone: Name, keys: readonly KeyInfo[]): void
  published(life: ZoneLife, version: PublishedVersion): void
  refused(life: ZoneLife, refusal: Refusal, edits: Edits['kind']): void
  progress(life: ZoneLife, signaturesMade: number): void
}

/** How one zone is served. */
export interface ZoneSettings {
  /** Absent: the zone is served as it is. */
  readonly signing?: { readonly policy: SigningPolicy; readonly stores: ZoneStores }
  readonly serialPolicy: SerialPolicy
}

export interface PublishedVersion {
  readonly zone: string
  readonly serial: number
  readonly names: number
  readonly records: number
  readonly signaturesMade: number
  readonly signaturesReused: number
  readonly reason: string
  readonly warnings: readonly Fault[]
}

export type ZoneOutcome =
  | { readonly kind: 'published'; readonly version: PublishedVersion }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

export class ZoneLife {
  readonly apex: Name
  readonly apexKey: Uint8Array
  /** The zone's name in lower case. */
  readonly zone: string
  record: ZoneRecord | undefined
  keys: readonly KeyInfo[] = []
  lastRefusal: Refusal | undefined
  publishedUnix: number | undefined
  /** When the first of the served signatures expires; after edits possibly one that is gone, until the next refresh. */
  firstExpirationUnix: number | undefined
  /** What versions are built by; changed in turn only. */
  settings: ZoneSettings
  #contentHash: string | undefined
  /** What the newest content says of others' keys, and what that of the served version said. */
  #foreign: { newest?: ForeignKeys | undefined; served?: ForeignKeys | undefined } = {}
  /** What the served version's TTLs were lowered to. */
  #ttlMax: number | undefined
  #removed = false
  #turn: Promise<unknown>
  readonly #environment: ZoneEnvironment

  /** Nothing begins before `after` has settled: the end of an earlier life of the same zone. */
  constructor(
    apex: Name,
    environment: ZoneEnvironment,
    settings: ZoneSettings,
    after: Promise<unknown> = Promise.resolve(),
  ) {
    this.settings = settings
    this.apex = apex
    this.apexKey = keyOf(apex)
    this.zone = nameToText(canonicalName(apex))
    this.#environment = environment
    this.#turn = after
  }

  /** Runs when everything asked for before is done (I1). */
  inTurn<T>(work: () => Promise<T> | T): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => undefined)
    return result
  }

  /** Versions from the next one on are built by it. */
  configure(settings: ZoneSettings): void {
    void this.inTurn(() => {
      this.settings = settings
    })
  }

  /** Settles when nothing is under way. */
  get idle(): Promise<unknown> {
    return this.#turn
  }

  get #inceptionOffsetSeconds(): number {
    return this.settings.signing?.policy.inceptionOffsetSeconds ?? 0
  }

  get removed(): boolean {
    return this.#removed
  }

  /** Builds and publishes; call it in turn. The content's tree is discarded in any case. */
  async publishContent(content: ZoneContent, reason: string): Promise<ZoneOutcome> {
    try {
      return await this.#advance({ kind: 'all', content }, reason)
    } finally {
      content.tree.discard()
    }
  }

  /** The same for edits of what is served, and for signatures that are due. */
  publishEdits(edits: Edits, reason: string): Promise<ZoneOutcome> {
    return this.#advance(edits, reason)
  }

  /** Takes the zone out of what is served, at once; resolves when its memory is given back. Keys, and what the state
   *  knows, stay. */
  remove(): Promise<void> {
    const { store } = this.#environment
    this.#removed = true
    if (this.record !== undefined) {
      store.commit({ zones: [{ apexKey: this.apexKey, value: null }], drafts: [], dropped: [] })
    }
    return this.inTurn(() => {
      const { record } = this
      this.record = undefined
      if (record === undefined) return
      store.commit({ zones: [], drafts: [], dropped: [record.namesRoot, record.nsec3Root] })
    })
  }

  async #advance(edits: Edits, reason: string): Promise<ZoneOutcome> {
    const { clock } = this.#environment
    const now = clock.now()
    this.#foreign.newest = this.#foreign.served
    let built: BuiltVersion
    try {
      this.#checkOpen()
      const signatures = new SignatureLog()
      const result = await this.#build(edits, signatures)
      if (result.kind === 'unchanged') return this.#unchanged(result.firstExpirationUnix)
      if (result.kind !== 'built') return await this.#refuse(refusalOfResult(result, clock.now()), edits.kind)
      built = result
      await this.#publish(built, signatures, reason, now)
    } catch (error) {
      return await this.#refuse(this.#refusalOf(error), edits.kind)
    }
    this.#served(built, now)
    const version = { ...summaryOf(this.zone, built), reason }
    this.#environment.published(this, version)
    return { kind: 'published', version }
  }

  #refusalOf(error: unknown): Refusal {
    const { clock, log, signal } = this.#environment
    // A build that was ended shows whatever it met first.
    const cause = signal.aborted ? serverClosed() : error
    if (!(cause instanceof ConclaveError))
      log.error('a version could not be built: a bug', { zone: this.zone, error })
    return refusalOfError(cause, clock.now(), this.zone)
  }

  #checkOpen(): void {
    if (this.#environment.signal.aborted) throw serverClosed()
    if (this.#removed) throw zoneRemoved(this.zone)
  }

  #unchanged(firstExpirationUnix: number | undefined): ZoneOutcome {
    this.lastRefusal = undefined
    this.#foreign.served = this.#foreign.newest
    if (firstExpirationUnix !== undefined) this.firstExpirationUnix = firstExpirationUnix
    return { kind: 'unchanged' }
  }

  /** I4: keys that cannot be had after a restart are asked again later; until then signatures serve while they are valid. */
  async #build(edits: Edits, signatures: SignatureLog): Promise<BuildResult> {
    const result = await this.#buildOnce(edits, signatures)
    if (result.kind !== 'unavailable' && result.kind !== 'pending') return result
    if (this.record !== undefined || this.#environment.stateOf(this.apexKey).served === undefined)
      return result
    signatures.clear()
    const kept = await this.#buildOnce(edits, signatures, { refreshSeconds: 0 })
    return kept.kind === 'built' ? kept : result
  }

  async #buildOnce(
    edits: Edits,
    signatures: SignatureLog,
    more: Partial<SigningSettings> = {},
  ): Promise<BuildResult> {
    const { store, pool, clock, signal } = this.#environment
    const { signing, serialPolicy } = this.settings
    const content = edits.kind === 'all' ? edits.content : undefined
    const state = this.#environment.stateOf(this.apexKey)
    const served = state.served
    const settings =
      signing === undefined ? undefined : { ...(await this.#settings(signing, content)), ...more }
    return buildVersion({
      store,
      pool,
      apex: content?.apex ?? this.apex,
      edits,
      ...(this.record === undefined
        ? { reuse: (key, kind) => state.signatures(kind, key) }
        : { previous: this.#previous(this.record) }),
      ...optional('signing', settings),
      ...optional('replaceKeys', signing?.policy.replaceKeys),
      ...optional('gate', signing?.policy.gate),
      serial: {
        policy: serialPolicy,
        nowUnix: clock.now(),
        // RFC 1995 §2: secondaries have the other server's version under that serial.
        ...optional(
          'lastServed',
          served?.serial ?? (content?.presigned === true ? content.soaSerial : undefined),
        ),
        ...optional('lastContentHash', served === undefined ? undefined : contentHashOf(served.sourceDigest)),
      },
      onSignatures: (key, kind, pack) => signatures.add(key, kind, pack),
      onProgress: made => this.#environment.progress(this, made),
      signal,
    })
  }

  #previous(record: ZoneRecord): PreviousVersion {
    return {
      record,
      ...optional('contentHash', this.#contentHash),
      ...optional('ttlMax', this.#ttlMax),
    }
  }

  async #settings(
    { policy, stores }: NonNullable<ZoneSettings['signing']>,
    content: ZoneContent | undefined,
  ): Promise<SigningSettings> {
    const now = this.#environment.clock.now()
    this.#checkClock(now)
    const keys = await this.#keys(policy, stores, content)
    this.keys = keys.infos
    return signingSettingsOf(policy, signingKeysOf(keys), this.zone, now, this.#foreign.newest)
  }

  /** Keys are not made for a zone that others have signed, or have keys in: it will be refused. */
  async #keys(
    policy: SigningPolicy,
    stores: ZoneStores,
    content: ZoneContent | undefined,
  ): Promise<HeldKeys> {
    const include = policy.foreignKeys === 'include'
    let avoidTags: readonly number[] = []
    if (content !== undefined && !policy.replaceKeys) {
      const existing = await heldKeys(stores, this.apex)
      const foreign = foreignKeysIn(this.#environment.store, content, existing.infos)
      const strange = content.presigned || (!include && foreign.dnskey?.length !== 0)
      if (existing.infos.length === 0 && strange) return existing
      // RFC 6781 §4.1: of a zone that is taken over, caches have data that those keys signed.
      const stay = content.presigned && foreign.dnskey !== undefined ? { dnskey: foreign.dnskey } : undefined
      this.#foreign.newest = include ? foreign : stay
      avoidTags = foreignTags(foreign)
    }
    const { keys, made } = await ensureKeys(stores, this.apex, policy, avoidTags)
    if (made.length > 0) this.#environment.keysMade(this.apex, made)
    return keys
  }

  /** A clock that stands before what was signed already would make signatures that end too early. */
  #checkClock(now: number): void {
    const newest = this.#environment.stateOf(this.apexKey).served?.newestInceptionUnix ?? 0
    if (now >= newest) return
    throw new ConclaveError('CLOCK_BACKWARDS', 'the clock stands before signatures that were made already', {
      place: { zone: this.zone },
      remedy: 'Set the clock; until then nothing is signed and the served version stays.',
    })
  }

  /** Makes the version durable, then visible (I2). The drafts are discarded when either fails. */
  async #publish(built: BuiltVersion, signatures: SignatureLog, reason: string, now: number): Promise<void> {
    const { store } = this.#environment
    try {
      this.#checkOpen()
      await this.#save(built, signatures, reason, now)
      this.#checkOpen()
      store.commit({
        zones: [{ apexKey: this.apexKey, value: encodeZoneRecord(built.record) }],
        drafts: built.drafts,
        dropped: built.dropped,
      })
    } catch (error) {
      for (const draft of built.drafts) draft.discard()
      throw error
    }
  }

  async #save(built: BuiltVersion, signatures: SignatureLog, reason: string, now: number): Promise<void> {
    const state = this.#environment.stateOf(this.apexKey)
    const { served } = state
    const { changes, record } = built
    const sourceDigest = digestOf(built.contentHash)
    this.#checkSerial(record.serial, served)
    if (this.record === undefined && served !== undefined) {
      // A restart with everything as it was: what is on disk says it all.
      if (isSameVersion(served, built, sourceDigest) && signatures.empty && state.refused === undefined)
        return
      await this.#forgetStale(state, built, signatures)
    }
    const inception = built.signaturesMade > 0 ? Math.floor(now) - this.#inceptionOffsetSeconds : 0
    await state.publish({
      serial: record.serial,
      sourceSerial: record.sourceSerial,
      sourceDigest,
      parametersDigest: new Uint8Array(0),
      publishedUnix: now,
      newestInceptionUnix: Math.max(inception, served?.newestInceptionUnix ?? 0),
      ...(signatures.empty ? {} : { signatures }),
      ...(changes === undefined
        ? {}
        : {
            journalEntry: {
              from: changes.fromSerial,
              to: changes.toSerial,
              atUnix: now,
              sourceDigest,
              reason,
              removed: changes.removed,
              added: changes.added,
            },
          }),
    })
  }

  /** RFC 1982 §3.2, RFC 1995 §2: secondaries take a serial that is not after theirs for nothing new. */
  #checkSerial(serial: number, served: ServedVersion | undefined): void {
    if (served === undefined || serial === served.serial || isSerialAfter(serial, served.serial)) return
    throw new ConclaveError(
      'SERIAL_BACKWARDS',
      `serial ${serial} is before ${served.serial}, which was served`,
      {
        place: { zone: this.zone },
        remedy: 'Raise the serial of the SOA above it (RFC 1982), or have serials counted here.',
      },
    )
  }

  /** Signatures on disk of names that went while no server ran, and of a denial that is no more. */
  async #forgetStale(state: ZoneState, built: BuiltVersion, signatures: SignatureLog): Promise<void> {
    const { namesRoot, nsec3Root } = built.record
    const roots: readonly (readonly [TreeKind, number])[] = [
      ['names', namesRoot],
      ['nsec3', nsec3Root],
    ]
    const cursor = this.#environment.store.readTree()
    for (const [kind, root] of roots) {
      let steps = 0
      for (const walk = state.signatureWalk(kind); walk.next(); ) {
        const { key } = walk
        if (root === 0 || !cursor.find(root, key, 0, key.length)) signatures.add(key, kind, null)
        if (++steps % STEPS_A_TURN === 0) await new Promise(resolve => setImmediate(resolve))
      }
    }
  }

  #served(built: BuiltVersion, now: number): void {
    const first = built.firstExpirationUnix
    const old = this.record === undefined ? undefined : this.firstExpirationUnix
    this.firstExpirationUnix =
      built.expirationOf === 'zone' || old === undefined ? first : earlier(first, old)
    this.record = built.record
    this.#ttlMax = this.settings.signing?.policy.zoneTtlMaxSeconds ?? undefined
    this.#contentHash = built.contentHash
    this.#foreign.served = this.#foreign.newest
    this.publishedUnix = now
    this.lastRefusal = undefined
  }

  async #refuse(refusal: Refusal, edits: Edits['kind']): Promise<ZoneOutcome> {
    if (this.#removed || this.#environment.signal.aborted) return { kind: 'refused', refusal }
    this.lastRefusal = refusal
    await this.noteRefusal(refusal)
    this.#environment.refused(this, refusal, edits)
    return { kind: 'refused', refusal }
  }

  /** Keeps the reason on disk for those who look there; without a disk that takes it, the log has it. */
  async noteRefusal(refusal: Refusal): Promise<void> {
    const first = refusal.faults[0]
    try {
      await this.#environment.stateOf(this.apexKey).refuse({
        atUnix: refusal.atUnix,
        code: refusal.code,
        what: refusal.what,
        where: first === undefined ? '' : faultText(first),
        sourceDigest: new Uint8Array(0),
      })
    } catch (error) {
      this.#environment.log.error('why a version was refused could not be kept', { zone: this.zone, error })
    }
  }
}

/** Steps of a long walk between turns of others on the event loop. */
const STEPS_A_TURN = 2048

function serverClosed(): ConclaveError {
  return new ConclaveError('SERVER_CLOSED', 'the server is closing, or closed')
}

function zoneRemoved(zone: string): ConclaveError {
  return new ConclaveError('ZONE_REMOVED', 'the zone was removed from the server', { place: { zone } })
}

function isSameVersion(served: ServedVersion, built: BuiltVersion, sourceDigest: Uint8Array): boolean {
  const { serial, sourceSerial } = built.record
  if (served.serial !== serial || served.sourceSerial !== sourceSerial) return false
  return built.signaturesMade === 0 && Buffer.compare(served.sourceDigest, sourceDigest) === 0
}

function earlier(a: number | undefined, b: number): number {
  return a === undefined ? b : Math.min(a, b)
}

/** An optional property that is there only with a value (exactOptionalPropertyTypes). */
function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V })
}

function summaryOf(zone: string, built: BuiltVersion): Omit<PublishedVersion, 'reason'> {
  const { serial, names, records } = built.record
  const { signaturesMade, signaturesReused, warnings } = built
  return { zone, serial, names, records, signaturesMade, signaturesReused, warnings }
}

function digestOf(contentHash: string | undefined): Uint8Array {
  return new TextEncoder().encode(contentHash ?? '')
}

function contentHashOf(digest: Uint8Array): string | undefined {
  return digest.length === 0 ? undefined : new TextDecoder().decode(digest)
}
