/** The life of one zone in a nameserver (ARCHITECTURE.md: the life of a zone): content comes in, a version is built beside the
 *  old one, made durable, and published by one step.
 *
 *    content or edits ──build──▶ built ──state.publish──▶ durable ──store.commit──▶ served
 *                          └──▶ unchanged │ refused │ pending │ unavailable: the old version goes on being served
 *
 *  I1  One build of a zone at a time; what is asked meanwhile waits its turn.
 *  I2  A version is durable before a query can see it, so a serial that was seen is never forgotten.
 *  I3  Any outcome but `published` leaves store and what is served as they were; nothing that a build does is thrown. */
import { ConclaveError } from '../base/index.ts'
import type { BuiltVersion, Edits } from '../signer/index.ts'
import {
  canonicalName,
  encodeZoneRecord,
  faultText,
  keyOf,
  type Name,
  nameToText,
  type Store,
  type ZoneContent,
  type ZoneRecord,
} from '../zones/index.ts'
import type { KeyStep, VersionKeys } from './key-plan.ts'
import { type Refusal, refusalOfError, refusalOfResult } from './refusal.ts'
import { SignatureLog } from './signature-log.ts'
import type { ZoneState } from './state-zone.ts'
import { saveVersion } from './version-save.ts'
import { ZoneBuilds } from './zone-builds.ts'
import { ZoneKeys } from './zone-keys.ts'
import type { PublishedVersion, ZoneEnvironment, ZoneOutcome, ZoneSettings } from './zone-life-types.ts'

/** The same for all zones. */
const begun = Promise.resolve()
function nothing(): void {}

export class ZoneLife {
  readonly apex: Name
  readonly apexKey: Uint8Array
  /** The zone's name in lower case. */
  readonly zone: string
  record: ZoneRecord | undefined
  /** What must survive a restart. */
  readonly state: ZoneState
  #keys: ZoneKeys | undefined
  /** The greatest TTL of the served version; after edits possibly one that is gone. */
  ttlGreatest = 0
  /** Why what its source gave last was not taken, until something is: a version for signatures or keys is no answer to it. */
  refusedContent: Refusal | undefined
  #refusedRefresh: Refusal | undefined
  /** Its file has gone; `free`: another that is found may have the zone. */
  sourceGone: false | 'kept' | 'free' = false
  publishedUnix: number | undefined
  /** When the first of the served signatures expires; after edits possibly one that is gone, until the next refresh. */
  firstExpirationUnix: number | undefined
  /** What versions are built by; changed in turn only. */
  settings: ZoneSettings
  #removed = false
  #turn: Promise<unknown>
  readonly #builds: ZoneBuilds
  readonly #environment: ZoneEnvironment

  /** Nothing begins before `after` has settled: the end of an earlier life of the same zone. */
  constructor(
    apex: Name,
    environment: ZoneEnvironment,
    settings: ZoneSettings,
    after: Promise<unknown> = begun,
  ) {
    this.settings = settings
    this.apex = apex
    this.state = environment.stateOf(keyOf(apex))
    this.apexKey = this.state.apexKey
    this.zone = nameToText(canonicalName(apex))
    this.#environment = environment
    this.#turn = after
    this.#builds = new ZoneBuilds(this, environment)
  }

  /** Why the newest version was refused. */
  get lastRefusal(): Refusal | undefined {
    return this.#refusedRefresh ?? this.refusedContent
  }

  get keys(): ZoneKeys {
    const { clock, log, rollover, otherStores, clockTrust, keysMade } = this.#environment
    this.#keys ??= new ZoneKeys(this, {
      clock,
      log,
      state: this.state,
      keysMade: keys => keysMade(this.apex, keys),
      rollover,
      otherStores,
      trust: clockTrust,
    })
    return this.#keys
  }

  /** Undefined for a zone that is served as it is and was never signed: there may be thousands, and they need none. */
  get ownKeys(): ZoneKeys | undefined {
    const { keys } = this.state
    const has = this.settings.signing !== undefined || keys.timeline !== undefined || keys.infos.length > 0
    return has ? this.keys : this.#keys
  }

  /** Runs when everything asked for before is done (I1). */
  inTurn<T>(work: () => Promise<T> | T): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.then(nothing, nothing)
    return result
  }

  /** Versions from the next one on are built by it. */
  configure(settings: ZoneSettings): void {
    void this.inTurn(() => {
      this.settings = settings
      this.ownKeys?.facts.known.forget()
    })
  }

  /** Settles when nothing is under way. */
  get idle(): Promise<unknown> {
    return this.#turn
  }

  get removed(): boolean {
    return this.#removed
  }

  /** Builds and publishes; call it in turn. The content's tree is discarded in any case. */
  publishContent(content: ZoneContent, reason: string): Promise<ZoneOutcome> {
    return this.publishEdits({ kind: 'all', content }, reason)
  }

  /** The same for edits of what is served, and for signatures that are due. */
  publishEdits(edits: Edits, reason: string, step?: KeyStep): Promise<ZoneOutcome> {
    const { records = 0 } = edits.kind === 'all' ? edits.content : (this.record ?? {})
    return this.#environment.effort.during(records, () => this.#advance(edits, reason, step))
  }

  /** The same for other keys at the apex (ZoneKeyVersions I1). */
  publishKeys(step: KeyStep, reason: string): Promise<ZoneOutcome> {
    return this.publishEdits({ kind: 'refresh' }, reason, step)
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

  /** A version is made durable, then visible (I2); what is not needed in the end is discarded, whatever happens. */
  async #advance(edits: Edits, reason: string, step?: KeyStep): Promise<ZoneOutcome> {
    const { clock } = this.#environment
    const now = clock.now()
    this.#builds.begin()
    let built: BuiltVersion | undefined
    let keys: VersionKeys | undefined
    try {
      this.#checkOpen()
      if (this.#needsKeys(edits)) keys = await this.#versionKeys(edits, step)
      const signatures = new SignatureLog()
      const result = await this.#builds.build(edits, keys, signatures)
      if (result.kind === 'unchanged') return this.#unchanged(result.firstExpirationUnix, edits.kind)
      if (result.kind === 'pending') await this.keys.versions.keepPending(result)
      if (result.kind !== 'built') return await this.#refuse(refusalOfResult(result, clock.now()), edits.kind)
      built = result
      this.#checkOpen()
      await this.#save(built, keys, signatures, reason, now)
      await this.#environment.publications.run(() => this.#change(result))
    } catch (error) {
      for (const draft of built?.drafts ?? []) draft.discard()
      return await this.#refuse(this.#refusalOf(error), edits.kind)
    } finally {
      if (edits.kind === 'all') edits.content.tree.discard()
    }
    this.#served(built, keys, now, edits.kind)
    const version = summaryOf(this.zone, built, reason)
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

  #unchanged(firstExpirationUnix: number | undefined, edits: Edits['kind']): ZoneOutcome {
    this.#taken(edits)
    this.#builds.unchanged()
    if (firstExpirationUnix !== undefined) this.firstExpirationUnix = firstExpirationUnix
    return { kind: 'unchanged' }
  }

  /** It is signed, or was and is not to be served unsigned at once. */
  #needsKeys(edits: Edits): boolean {
    if (this.settings.signing !== undefined) return true
    return !(edits.kind === 'all' && edits.content.presigned) && this.ownKeys?.facts.isLive === true
  }

  /** Undefined: the zone is served as it is. */
  async #versionKeys(edits: Edits, step: KeyStep | undefined): Promise<VersionKeys | undefined> {
    const content = edits.kind === 'all' ? edits.content : undefined
    if (this.settings.signing === undefined) await this.#goOnUnsigning()
    const { signing } = this.settings
    if (signing === undefined) return undefined
    await this.keys.lookOnce()
    return this.keys.versions.forVersion(this.#builds.beginning(signing.policy, content), step)
  }

  /** A zone that was signed is not served unsigned at once. Where that was begun before a restart, it goes on by the policy
   *  of then. */
  async #goOnUnsigning(): Promise<void> {
    const { timeline, policy } = this.state.keys
    if (timeline?.unsigningUnix === undefined || policy === undefined) throw stillSigned(this.zone)
    const stores = await this.#environment.ownStores()
    this.settings = { signing: { policy, stores, unsign: true } }
  }

  #change({ record, drafts, dropped }: BuiltVersion): Parameters<Store['commit']>[0] {
    this.#checkOpen()
    return { zones: [{ apexKey: this.apexKey, value: encodeZoneRecord(record) }], drafts, dropped }
  }

  #save(
    built: BuiltVersion,
    keys: VersionKeys | undefined,
    signatures: SignatureLog,
    reason: string,
    now: number,
  ): Promise<void> | undefined {
    const shown = { serial: built.record.serial, zoneTtlSeconds: this.#ttlOf(built) }
    return saveVersion({
      zone: this.zone,
      state: this.state,
      store: this.#environment.store,
      built,
      starts: this.record === undefined,
      keys: keys === undefined ? undefined : this.keys.versions.kept(keys, shown, built.pending),
      signatures,
      inceptionUnix: this.#builds.inceptionUnix(now),
      reason,
      now,
      log: this.#environment.log,
    })
  }

  #ttlOf({ ttlGreatest, expirationOf }: BuiltVersion): number {
    return expirationOf === 'zone' && this.record === undefined
      ? ttlGreatest
      : Math.max(ttlGreatest, this.ttlGreatest)
  }

  #served(built: BuiltVersion, keys: VersionKeys | undefined, now: number, edits: Edits['kind']): void {
    this.ttlGreatest = this.#ttlOf(built)
    const first = built.firstExpirationUnix
    const old = this.record === undefined ? undefined : this.firstExpirationUnix
    this.firstExpirationUnix =
      built.expirationOf === 'zone' || old === undefined ? first : earlier(first, old)
    this.ownKeys?.versions.served(keys)
    this.record = built.record
    this.#builds.served(keys)
    this.publishedUnix = now
    this.#taken(edits)
  }

  #taken(edits: Edits['kind']): void {
    this.#refusedRefresh = undefined
    if (edits !== 'refresh') this.refusedContent = undefined
  }

  async #refuse(refusal: Refusal, edits: Edits['kind']): Promise<ZoneOutcome> {
    if (this.#removed || this.#environment.signal.aborted) return { kind: 'refused', refusal }
    if (edits === 'refresh') this.#refusedRefresh = refusal
    else this.refusedContent = refusal
    await this.noteRefusal(refusal)
    this.#environment.refused(this, refusal, edits)
    return { kind: 'refused', refusal }
  }

  /** Keeps the reason on disk for those who look there; without a disk that takes it, the log has it. */
  async noteRefusal(refusal: Refusal): Promise<void> {
    const first = refusal.faults[0]
    try {
      await this.state.refuse({
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

function serverClosed(): ConclaveError {
  return new ConclaveError('SERVER_CLOSED', 'the server is closing, or closed')
}

function stillSigned(zone: string): ConclaveError {
  return new ConclaveError('ZONE_STILL_SIGNED', 'the zone was served signed, and its parent may have a DS', {
    place: { zone },
    remedy: 'Have it unsigned in steps (`unsign`), or serve it from another state directory.',
  })
}

function zoneRemoved(zone: string): ConclaveError {
  return new ConclaveError('ZONE_REMOVED', 'the zone was removed from the server', { place: { zone } })
}

function earlier(a: number | undefined, b: number): number {
  return a === undefined ? b : Math.min(a, b)
}

function summaryOf(zone: string, built: BuiltVersion, reason: string): PublishedVersion {
  const { serial, names, records } = built.record
  const { signaturesMade, signaturesReused, warnings } = built
  return { zone, serial, names, records, signaturesMade, signaturesReused, reason, warnings }
}
