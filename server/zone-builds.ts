/** Builds versions of one zone: what the signer is given for one, out of content or edits, keys, and what is remembered of
 *  the version that is served.
 *
 *  I1  After a restart, what is signed and still valid is served even while keys cannot be had.
 *  I2  A clock that stands before what was signed already signs nothing.
 *  I3  What content says of others' keys is kept with the version that shows it; of a refused one nothing is kept.
 *  I4  Everything here is called in the zone's turn.
 *  I5  Serials of a zone that is served as it is belong to whoever made it, until some were counted here, when it was
 *      signed: those go on. */
import { ConclaveError } from '../base/index.ts'
import {
  type BuildResult,
  buildVersion,
  type Edits,
  type ForeignKeys,
  foreignKeysIn,
  foreignTags,
  greatestTtlOf,
  type PreviousVersion,
  type SerialPolicy,
  type SignedZone,
  type SigningPolicy,
  type SigningSettings,
  sealedStore,
  signedZoneOf,
  signingSettingsOf,
} from '../signer/index.ts'
import type { Name, ZoneContent, ZoneRecord } from '../zones/index.ts'
import type { Beginning } from './key-beginning.ts'
import type { VersionKeys } from './key-plan.ts'
import type { SignatureLog } from './signature-log.ts'
import type { ServedVersion } from './state-record.ts'
import type { ZoneState } from './state-zone.ts'
import { contentHashOf } from './version-save.ts'
import type { ZoneKeys } from './zone-keys.ts'
import type { ZoneEnvironment, ZoneSettings } from './zone-life-types.ts'

/** The zone, as its builds see it. */
export interface BuiltZone {
  readonly apex: Name
  readonly state: ZoneState
  readonly zone: string
  readonly settings: ZoneSettings
  readonly record: ZoneRecord | undefined
  readonly keys: ZoneKeys
}

export class ZoneBuilds {
  readonly #zone: BuiltZone
  readonly #environment: ZoneEnvironment
  /** What the newest content says of others' keys, and what that of the served version said. */
  #foreignNewest: ForeignKeys | undefined
  #foreignServed: ForeignKeys | undefined
  /** What the served version's TTLs were lowered to. */
  #ttlMax: number | undefined

  constructor(zone: BuiltZone, environment: ZoneEnvironment) {
    this.#zone = zone
    this.#environment = environment
  }

  /** A version is on its way. */
  begin(): void {
    this.#foreignNewest = this.#foreignServed
  }

  /** It says what is served already. */
  unchanged(): void {
    this.#foreignServed = this.#foreignNewest
  }

  /** It is served now. */
  served(keys: VersionKeys | undefined): void {
    this.#ttlMax = (keys?.unsigned === false ? keys.policy.zoneTtlMaxSeconds : null) ?? undefined
    this.unchanged()
  }

  /** Where signatures begin that are made now. */
  inceptionUnix(now: number): number {
    return Math.floor(now) - inceptionOffsetOf(this.#zone.settings)
  }

  /** What the content says of keys: those of others in it are taken or make it strange (I3). */
  beginning(policy: SigningPolicy, content: ZoneContent | undefined): Beginning {
    const { store } = this.#environment
    const greatestTtl = (): number =>
      greatestTtlOf(store, content?.tree.root ?? this.#zone.record?.namesRoot ?? 0)
    if (content === undefined || policy.replaceKeys) {
      const signedElsewhere = (): Promise<undefined> => Promise.resolve(undefined)
      return { strange: false, signedElsewhere, avoidTags: [], greatestTtl }
    }
    const include = policy.foreignKeys === 'include'
    const foreign = foreignKeysIn(store, content, this.#zone.keys.facts.infos)
    this.#foreignNewest = include ? foreign : undefined
    const { presigned } = content
    const strange = presigned || (!include && foreign.dnskey?.length !== 0)
    const signedElsewhere = async (now: number): Promise<SignedZone | undefined> =>
      presigned ? signedZoneOf(store, content, now) : undefined
    return { strange, signedElsewhere, avoidTags: foreignTags(foreign), greatestTtl }
  }

  build(edits: Edits, keys: VersionKeys | undefined, signatures: SignatureLog): Promise<BuildResult> {
    const now = this.#environment.clock.now()
    if (keys === undefined) return this.#buildOnce(edits, undefined, signatures, now)
    return this.#buildSigned(edits, keys, signatures, now)
  }

  /** I1, I2. */
  async #buildSigned(
    edits: Edits,
    keys: VersionKeys,
    signatures: SignatureLog,
    now: number,
  ): Promise<BuildResult> {
    const { served } = this.#zone.state
    const starts = this.#zone.record === undefined && served !== undefined
    const behind = !keys.unsigned && now < (served?.newestInceptionUnix ?? 0)
    if (behind && !starts) throw clockBackwards(this.#zone.zone)
    if (!behind) {
      const result = await this.#buildOnce(edits, keys, signatures, now)
      const away = result.kind === 'unavailable' || result.kind === 'pending'
      if (!away || !starts) return result
      signatures.clear()
      const kept = await this.#buildOnce(edits, keys, signatures, now, { refreshSeconds: 0 })
      return kept.kind === 'built' ? kept : result
    }
    // What was true when the last signature was made is the best that is known of the time.
    const then = served!.newestInceptionUnix + inceptionOffsetOf(this.#zone.settings)
    const kept = await this.#buildOnce(edits, sealed(keys), signatures, then, { refreshSeconds: 0 })
    if (kept.kind === 'unavailable') throw clockBackwards(this.#zone.zone)
    return kept
  }

  #buildOnce(
    edits: Edits,
    keys: VersionKeys | undefined,
    signatures: SignatureLog,
    now: number,
    more: Partial<SigningSettings> = {},
  ): Promise<BuildResult> {
    const { store, pool, signal } = this.#environment
    const { signing, serialPolicy } = this.#zone.settings
    const { state } = this.#zone
    const { served } = state
    const signed = keys === undefined || keys.unsigned ? undefined : keys
    const settings = signed === undefined ? undefined : { ...this.#settings(signed, now), ...more }
    const { record } = this.#zone
    return buildVersion({
      store,
      pool,
      apex: edits.kind === 'all' ? edits.content.apex : this.#zone.apex,
      edits,
      reuse: record === undefined ? (key, kind) => state.signatures(kind, key) : undefined,
      previous: record === undefined ? undefined : this.#previous(record),
      signing: settings,
      unsign: keys?.unsigned === true ? true : undefined,
      replaceKeys: signing?.policy.replaceKeys,
      gate: signing?.policy.gate,
      pending: signed === undefined ? undefined : state.keys.pending,
      serial: {
        policy: serialPolicy ?? usualSerials(signing !== undefined, served),
        nowUnix: now,
        // RFC 1995 §2: secondaries have the other server's version under that serial.
        lastServed: served?.serial ?? serialElsewhere(edits),
        lastContentHash: served === undefined ? undefined : contentHashOf(served),
      },
      onSignatures: (key, kind, pack) => signatures.add(key, kind, pack),
      onProgress: made => this.#environment.progress(this.#zone.zone, made),
      signal,
    })
  }

  #previous(record: ZoneRecord): PreviousVersion {
    const { served } = this.#zone.state
    const contentHash = served === undefined ? undefined : contentHashOf(served)
    return { record, contentHash, ttlMax: this.#ttlMax }
  }

  #settings({ policy, keys, foreign: signals, ready }: VersionKeys, now: number): SigningSettings {
    const newest = this.#foreignNewest ?? {}
    const dnskey = [...(newest.dnskey ?? []), ...(signals.dnskey ?? [])]
    // RFC 8078 §4: a request to delete the DS RRset stands alone.
    const foreign = { ...newest, ...signals, dnskey }
    const settings = signingSettingsOf(policy, keys, this.#zone.zone, now, foreign)
    return ready === undefined ? settings : { ...settings, ready }
  }
}

/** I5. */
function usualSerials(signs: boolean, served: ServedVersion | undefined): SerialPolicy {
  const counted = served !== undefined && served.serial !== served.sourceSerial
  return signs || counted ? 'increment' : 'keep'
}

/** By how much signatures begin before they are made. */
function inceptionOffsetOf({ signing }: ZoneSettings): number {
  return signing?.policy.inceptionOffsetSeconds ?? 0
}

/** Of content that another server signed and served. */
function serialElsewhere(edits: Edits): number | undefined {
  return edits.kind === 'all' && edits.content.presigned ? edits.content.soaSerial : undefined
}

/** A clock that stands before what was signed already would make signatures that end too early. */
function clockBackwards(zone: string): ConclaveError {
  return new ConclaveError('CLOCK_BACKWARDS', 'the clock stands before signatures that were made already', {
    place: { zone },
    remedy: 'Set the clock; until then nothing is signed and the served version stays.',
  })
}

/** With keys that make no signature. */
function sealed(keys: VersionKeys): VersionKeys {
  const store = sealedStore('CLOCK_BACKWARDS')
  return { ...keys, keys: keys.keys.map(key => ({ ...key, store })) }
}
