/** The life of one zone in a nameserver (DESIGN: the life of a zone): content comes in, a version is built beside the
 *  old one, made durable, and published by one step.
 *
 *    content or edits ──build──▶ built ──state.publish──▶ durable ──store.commit──▶ served
 *                          └──▶ unchanged │ refused │ pending │ unavailable: the old version goes on being served
 *
 *  I1  One build of a zone at a time; what is asked meanwhile waits its turn.
 *  I2  A version is durable before a query can see it, so a serial that was seen is never forgotten.
 *  I3  Any outcome but `published` leaves store, state and signatures as they were. */
import { createHash } from 'node:crypto'
import { type Clock, ConclaveError, type Logger } from '../base/index.ts'
import {
  type BuildResult,
  type BuiltVersion,
  buildVersion,
  type CryptoPool,
  type Edits,
  ensureKeys,
  type KeyInfo,
  type KeyStore,
  keysOfZone,
  type SerialPolicy,
  type SigningPolicy,
  type SigningSettings,
  signingKeysOf,
} from '../signer/index.ts'
import {
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
import { SignatureLog } from './signature-log.ts'
import type { ZoneState } from './state-zone.ts'

const INCEPTION_OFFSET_SECONDS = 3600

export interface ZoneEnvironment {
  readonly store: Store
  readonly clock: Clock
  readonly log: Logger
  /** Absent: zones are served as they are. */
  readonly signing?: { readonly policy: SigningPolicy; readonly keys: KeyStore }
  readonly serialPolicy: SerialPolicy
  readonly pool: CryptoPool
  stateOf(apexKey: Uint8Array): ZoneState
  keysMade(zone: Name, keys: readonly KeyInfo[]): void
  published(life: ZoneLife, version: PublishedVersion): void
  refused(life: ZoneLife, refusal: Refusal): void
  progress?(life: ZoneLife, signaturesMade: number): void
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

/** Why a version was not published. `retryAfterSeconds`: the keys could not be had, and will be asked again. */
export interface Refusal {
  readonly code: string
  readonly what: string
  readonly faults: readonly Fault[]
  readonly atUnix: number
  readonly retryAfterSeconds?: number
}

export type ZoneOutcome =
  | { readonly kind: 'published'; readonly version: PublishedVersion }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

export class ZoneLife {
  readonly apex: Name
  readonly apexKey: Uint8Array
  readonly zone: string
  record: ZoneRecord | undefined
  keys: readonly KeyInfo[] = []
  lastRefusal: Refusal | undefined
  publishedUnix: number | undefined
  /** When the first of the served signatures expires. */
  firstExpirationUnix: number | undefined
  #contentHash: string | undefined
  #removed = false
  #turn: Promise<unknown> = Promise.resolve()
  readonly #environment: ZoneEnvironment

  constructor(apex: Name, environment: ZoneEnvironment) {
    this.apex = apex
    this.apexKey = keyOf(apex)
    this.zone = nameToText(apex)
    this.#environment = environment
  }

  /** Runs when everything asked for before is done (I1). */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => undefined)
    return result
  }

  /** Settles when nothing is under way. */
  get idle(): Promise<unknown> {
    return this.#turn
  }

  /** Builds and publishes; call it in turn. The content's tree is discarded in any case. */
  async publishContent(content: ZoneContent, reason: string): Promise<ZoneOutcome> {
    try {
      return await this.#advance({ kind: 'all', content }, reason, content)
    } finally {
      content.tree.discard()
    }
  }

  /** The same for edits of what is served, and for signatures that are due. */
  publishEdits(edits: Edits, reason: string): Promise<ZoneOutcome> {
    return this.#advance(edits, reason)
  }

  /** Takes the zone out of what is served. Keys, and what the state knows, stay. */
  remove(): void {
    this.#removed = true
    const { record } = this
    if (record === undefined) return
    this.record = undefined
    this.#environment.store.commit({
      zones: [{ apexKey: this.apexKey, value: null }],
      drafts: [],
      dropped: [record.namesRoot, record.nsec3Root],
    })
  }

  async #advance(edits: Edits, reason: string, content?: ZoneContent): Promise<ZoneOutcome> {
    if (this.#removed) return { kind: 'unchanged' }
    const signatures = new SignatureLog()
    try {
      const result = await this.#build(edits, signatures, content)
      if (result.kind === 'built') return await this.#publish(result, signatures, reason)
      if (result.kind === 'unchanged') return this.#settled()
      return await this.#refuse(refusalOf(result, this.#environment.clock.now()))
    } catch (error) {
      if (!(error instanceof ConclaveError)) throw error
      const refusal = {
        code: error.code,
        what: error.message,
        faults: [],
        atUnix: this.#environment.clock.now(),
      }
      return await this.#refuse({ ...refusal, faults: [faultOf(error, this.zone)] })
    }
  }

  #settled(): ZoneOutcome {
    this.lastRefusal = undefined
    return { kind: 'unchanged' }
  }

  async #build(edits: Edits, signatures: SignatureLog, content?: ZoneContent): Promise<BuildResult> {
    const { store, serialPolicy, signing, pool } = this.#environment
    const state = this.#environment.stateOf(this.apexKey)
    const served = state.served
    const settings = signing === undefined ? undefined : await this.#settings(content)
    return buildVersion({
      store,
      pool,
      apex: content?.apex ?? this.apex,
      edits,
      ...(this.record === undefined
        ? { reuse: (key, kind) => state.signatures(kind, key) }
        : { previous: { record: this.record, ...optional('contentHash', this.#contentHash) } }),
      ...optional('signing', settings),
      ...optional('replaceKeys', signing?.policy.replaceKeys),
      ...optional('gate', signing?.policy.gate),
      serial: {
        policy: serialPolicy,
        ...optional('lastServed', served?.serial),
        ...optional('lastContentHash', served === undefined ? undefined : contentHashOf(served.sourceDigest)),
      },
      onSignatures: (key, kind, pack) => signatures.add(key, kind, pack),
      onProgress: made => this.#environment.progress?.(this, made),
    })
  }

  async #settings(content: ZoneContent | undefined): Promise<SigningSettings> {
    const { clock } = this.#environment
    const { policy, keys: store } = this.#environment.signing!
    const now = clock.now()
    this.#checkClock(now)
    this.keys = await this.#keys(policy, store, content)
    return {
      keys: signingKeysOf(this.keys, store),
      denial: policy.denial,
      nsec3: policy.nsec3,
      zonemd: policy.zonemd,
      now,
      signatureValiditySeconds: policy.signatureValiditySeconds,
      refreshSeconds: policy.refreshSeconds,
      inceptionOffsetSeconds: INCEPTION_OFFSET_SECONDS,
      seed: this.zone,
    }
  }

  /** Keys are not made for a zone that others have signed: it will be refused. */
  async #keys(policy: SigningPolicy, store: KeyStore, content: ZoneContent | undefined): Promise<KeyInfo[]> {
    if (content?.presigned === true && !policy.replaceKeys) {
      const existing = await keysOfZone(store, this.apex)
      if (existing.length === 0) return []
    }
    const { keys, made } = await ensureKeys(store, this.apex, policy)
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

  async #publish(built: BuiltVersion, signatures: SignatureLog, reason: string): Promise<ZoneOutcome> {
    const { store, clock } = this.#environment
    const now = clock.now()
    try {
      await this.#saveVersion(built, signatures, reason, now)
      if (this.#removed) throw new ConclaveError('ZONE_REMOVED', 'the zone was removed meanwhile')
      store.commit({
        zones: [{ apexKey: this.apexKey, value: encodeZoneRecord(built.record) }],
        drafts: built.drafts,
        dropped: built.dropped,
      })
    } catch (error) {
      for (const draft of built.drafts) draft.discard()
      throw error
    }
    this.#served(built, now)
    const version = { ...summaryOf(this.zone, built), reason }
    this.#environment.published(this, version)
    return { kind: 'published', version }
  }

  async #saveVersion(
    built: BuiltVersion,
    signatures: SignatureLog,
    reason: string,
    now: number,
  ): Promise<void> {
    const state = this.#environment.stateOf(this.apexKey)
    const { changes, record } = built
    const sourceDigest = digestOf(built.contentHash)
    await state.publish({
      serial: record.serial,
      sourceSerial: record.sourceSerial,
      sourceDigest,
      parametersDigest: new Uint8Array(0),
      publishedUnix: now,
      newestInceptionUnix:
        built.signaturesMade > 0
          ? Math.floor(now - INCEPTION_OFFSET_SECONDS)
          : (state.served?.newestInceptionUnix ?? 0),
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

  #served(built: BuiltVersion, now: number): void {
    const first = built.firstExpirationUnix
    const old = this.record === undefined ? undefined : this.firstExpirationUnix
    this.firstExpirationUnix = built.changes === undefined || old === undefined ? first : earlier(first, old)
    this.record = built.record
    this.#contentHash = built.contentHash
    this.publishedUnix = now
    this.lastRefusal = undefined
  }

  async #refuse(refusal: Refusal): Promise<ZoneOutcome> {
    this.lastRefusal = refusal
    await this.noteRefusal(refusal)
    this.#environment.refused(this, refusal)
    return { kind: 'refused', refusal }
  }

  /** Keeps the reason on disk, so that `status` can tell it after a restart. */
  noteRefusal(refusal: Refusal): Promise<void> {
    const first = refusal.faults[0]
    return this.#environment.stateOf(this.apexKey).refuse({
      atUnix: refusal.atUnix,
      code: refusal.code,
      what: refusal.what,
      where: first === undefined ? '' : faultText(first),
      sourceDigest: new Uint8Array(0),
    })
  }
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

function refusalOf(result: Exclude<BuildResult, { kind: 'built' | 'unchanged' }>, atUnix: number): Refusal {
  switch (result.kind) {
    case 'refused':
      return {
        code: result.code,
        what: result.faults[0]?.what ?? 'the version is not sound',
        faults: result.faults,
        atUnix,
      }
    case 'pending':
      return { code: 'SIGNATURES_PENDING', what: `signatures wait for ${result.needs}`, faults: [], atUnix }
    case 'unavailable': {
      const { code, retryAfterSeconds } = result
      return { code, what: 'the keys cannot be had now', faults: [], atUnix, retryAfterSeconds }
    }
  }
}

function faultOf(error: ConclaveError, zone: string): Fault {
  const what = error.remedy === undefined ? error.message : `${error.message}. ${error.remedy}`
  return { place: { zone, ...error.place }, what, severity: 'error', rule: error.code }
}

function digestOf(contentHash: string | undefined): Uint8Array {
  return contentHash === undefined ? new Uint8Array(0) : Buffer.from(contentHash, 'utf8')
}

function contentHashOf(digest: Uint8Array): string | undefined {
  return digest.length === 0 ? undefined : Buffer.from(digest).toString('utf8')
}

/** Digest of octets, for comparing sources. */
export function sha256Hex(octets: Uint8Array): string {
  return createHash('sha256').update(octets).digest('hex')
}
