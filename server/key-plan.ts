/** What a version of a zone shows of keys, and how a timeline begins: data in, data out. zone-keys.ts does the work.
 *  I1  What the timeline will be when the version can be seen is known before it is built, and kept with it. */
import {
  type ApexKeys,
  applyEvent,
  deleteSignals,
  type ForeignKeys,
  foreignKeysShown,
  type KeyInfo,
  type KeyRRset,
  type KeyStore,
  keyInfoOf,
  keyTagsOf,
  type PendingSignature,
  type SigningKey,
  type SigningPolicy,
  shownKeys,
  signingKeysAt,
  type ZoneTimeline,
} from '../signer/index.ts'
import type { Name } from '../zones/index.ts'
import type { StoredKey, StoredKeys } from './state-record.ts'

/** A version's part in the life of keys. */
export interface KeyStep {
  /** As it is before the version is seen. */
  readonly timeline: ZoneTimeline
  readonly apex: ApexKeys
  /** The DS RRset that is asked for from this version on. */
  readonly dsWanted?: readonly string[]
}

/** What a version is signed with; without keys at work the zone is served unsigned. */
export interface VersionKeys {
  readonly step: KeyStep
  readonly policy: SigningPolicy
  readonly unsigned: boolean
  readonly keys: readonly SigningKey[]
  /** DNSKEYs of a zone that was taken over, and requests to delete the DS (RFC 8078 §4). */
  readonly foreign: ForeignKeys
  /** DNSKEY, CDS and CDNSKEY, signed already (offline-keys.ts). */
  readonly ready?: readonly KeyRRset[]
}

/** What is known of a version besides its keys. */
export interface Shown {
  readonly serial: number
  readonly zoneTtlSeconds: number
}

/** The timeline once the version can be seen (I1). */
export function timelineAfter(
  { timeline, apex, dsWanted }: KeyStep,
  policy: SigningPolicy,
  { serial, zoneTtlSeconds }: Shown,
  now: number,
): ZoneTimeline {
  const { dnskeyTtlSeconds } = policy
  const event = { kind: 'published', apex, serial, dnskeyTtlSeconds, zoneTtlSeconds } as const
  const shown = applyEvent(timeline, event, policy, now)
  if (dsWanted === undefined) return shown
  return applyEvent(shown, { kind: 'ds-wanted', keys: dsWanted }, policy, now)
}

/** Public parts of all keys of a timeline, those among them that were never held here. */
export function publicKeys(
  zone: Name,
  timeline: ZoneTimeline | undefined,
  infos: readonly KeyInfo[],
): readonly KeyInfo[] {
  const others = (timeline?.keys ?? []).filter(({ id }) => infos.every(info => info.id !== id))
  const elsewhere = others.flatMap(({ dnskey, role, createdUnix }) => {
    if (dnskey === undefined) return []
    return [{ ...keyInfoOf(zone, Buffer.from(dnskey, 'base64'), createdUnix), role }]
  })
  return [...infos, ...elsewhere]
}

export function versionKeys(
  step: KeyStep,
  unsign: boolean,
  policy: SigningPolicy,
  infos: readonly KeyInfo[],
  storeOf: (info: KeyInfo) => KeyStore,
  now: number,
): VersionKeys {
  const shown = { serial: 0, zoneTtlSeconds: 0 }
  const after = timelineAfter(step, policy, shown, now)
  const { dnskey } = foreignKeysShown(after, new Set(infos.map(({ id }) => id)))
  const foreign = { ...(dnskey?.length === 0 ? {} : { dnskey }), ...deleteSignals(after, policy) }
  const keys = signingKeysAt(after, policy, infos, storeOf)
  // It was unsigned before, or is to be so from the start.
  const unsigned = keys.length === 0 && (unsign || step.timeline.epochs.length > 0)
  return { step, policy, unsigned, keys, foreign }
}

/** Whether CDS and CDNSKEY say the same of both. */
export function sameSignals(
  a: ZoneTimeline,
  b: ZoneTimeline,
  policy: SigningPolicy,
  infos: readonly KeyInfo[],
): boolean {
  const signals = (timeline: ZoneTimeline): string => {
    const keys = signingKeysAt(timeline, policy, infos, () => NO_STORE).filter(({ cds }) => cds)
    return JSON.stringify([keys.map(({ info }) => info.id), deleteSignals(timeline, policy) !== undefined])
  }
  return signals(a) === signals(b)
}

/** Nothing is signed when only roles are looked at. */
const NO_STORE = {} as KeyStore

/** What is kept of the keys when the timeline is that one, and those signatures are pending. */
export function storedKeys(
  before: StoredKeys,
  timeline: ZoneTimeline,
  policy: SigningPolicy,
  infos: readonly KeyInfo[],
  pending: readonly PendingSignature[] = before.pending ?? [],
): StoredKeys {
  const known = infos.filter(({ id }) => timeline.keys.some(key => key.id === id))
  const { generating } = before
  return {
    infos: known.map(storedKey),
    timeline,
    policy,
    ...(generating === undefined ? {} : { generating }),
    ...(pending.length === 0 ? {} : { pending }),
  }
}

function storedKey({ zone: _, ...rest }: KeyInfo): StoredKey {
  return rest
}

/** Whether there is nothing new to be kept; times at which it was looked at do not count. */
export function sameStored(a: StoredKeys, b: StoredKeys): boolean {
  return textOf(a) === textOf(b)
}

function textOf(keys: StoredKeys): string {
  return JSON.stringify(keys, (name, value: unknown) =>
    name === 'settledUnix' || name === 'records' || name === 'where' ? undefined : value,
  )
}

/** Key tags that a new key must not have: those of the zone's keys, in whatever store, and of others' keys. */
export function tagsToAvoid(infos: readonly KeyInfo[], others: readonly number[]): number[] {
  return [...new Set([...infos.flatMap(keyTagsOf), ...others])]
}

/** Whether anything of the zone's signatures may be in a cache. */
export function isLive({ timeline }: StoredKeys): boolean {
  if (timeline === undefined) return false
  const { published, zoneSigners } = shownKeys(timeline)
  return published.length > 0 || zoneSigners.length > 0
}
