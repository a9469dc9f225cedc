/** How a zone is, as `conclave zones` and `status` tell it. */
import { defaultSigningPolicy } from '../signer/index.ts'
import { DENIAL_NONE, DENIAL_NSEC, DENIAL_OPT_OUT, type Denial } from '../zones/index.ts'
import type { Refusal } from './refusal.ts'
import type { ZoneLife } from './zone-life.ts'

export interface ZoneStatus {
  readonly zone: string
  readonly source: string
  /** `serving`; `refused`: the newest version was not published, an older one may be served; `waiting`: none yet. */
  readonly state: 'serving' | 'refused' | 'waiting'
  readonly serial?: number
  readonly names: number
  readonly records: number
  readonly signed: boolean
  readonly denial: 'none' | 'nsec' | 'nsec3' | 'opt-out'
  readonly keys: readonly { readonly role: string; readonly algorithm: number; readonly tag: number }[]
  /** What its keys wait for, and until when. */
  readonly keysNext?: string
  readonly keysNextUnix?: number
  /** Key tags of keys that are in no key store that can be asked: what they sign cannot be signed anew. */
  readonly keysMissing?: readonly number[]
  /** Whose approval signatures wait for. */
  readonly waitsFor?: string
  readonly publishedUnix?: number
  /** Seconds until the first served signature expires; negative when it has. */
  readonly headroomSeconds?: number
  /** Signing is late: less than half of the time is left in which signatures are made anew, and less than a day. */
  readonly late?: true
  /** Its file has gone: it is served until a restart. */
  readonly sourceGone?: true
  readonly lastRefused?: Refusal
}

/** A zone whose signatures live for weeks has a day to be mended by hand; one whose live for an hour has minutes. */
const LATE_SECONDS_MAX = 86_400

export function zoneStatus(life: ZoneLife, source: string, now: number): ZoneStatus {
  const { record, lastRefusal, publishedUnix, firstExpirationUnix } = life
  const keys = life.ownKeys
  const waiting = keys?.waiting
  const needs = keys?.versions.needs
  const missingTags = keys?.facts.known.missingTags ?? []
  const status: Mutable<ZoneStatus> = {
    zone: life.zone,
    source,
    state: lastRefusal !== undefined ? 'refused' : record === undefined ? 'waiting' : 'serving',
    names: record?.names ?? 0,
    records: record?.records ?? 0,
    signed: record?.signed ?? false,
    denial: denialText(record?.denial ?? DENIAL_NONE),
    keys: keys?.facts.shown.map(key => ({ role: key.role, algorithm: key.algorithm, tag: key.keyTag })) ?? [],
  }
  // Without spreads: there may be thousands.
  if (record !== undefined) status.serial = record.serial
  if (waiting !== undefined) status.keysNext = waiting.reason
  if (waiting?.untilUnix !== undefined) status.keysNextUnix = waiting.untilUnix
  if (missingTags.length > 0) status.keysMissing = missingTags
  if (needs !== undefined) status.waitsFor = needs
  if (publishedUnix !== undefined) status.publishedUnix = publishedUnix
  if (firstExpirationUnix !== undefined) status.headroomSeconds = Math.floor(firstExpirationUnix - now)
  if (isLate(life, now)) status.late = true
  if (life.sourceGone !== false) status.sourceGone = true
  if (lastRefusal !== undefined) status.lastRefused = lastRefusal
  return status
}

type Mutable<T> = { -readonly [P in keyof T]: T[P] }

function isLate({ firstExpirationUnix, settings }: ZoneLife, now: number): boolean {
  const { refreshSeconds } = settings.signing?.policy ?? defaultSigningPolicy
  return (
    firstExpirationUnix !== undefined &&
    firstExpirationUnix - now < Math.min(LATE_SECONDS_MAX, refreshSeconds / 2)
  )
}

function denialText(denial: Denial): ZoneStatus['denial'] {
  if (denial === DENIAL_NONE) return 'none'
  if (denial === DENIAL_NSEC) return 'nsec'
  return denial === DENIAL_OPT_OUT ? 'opt-out' : 'nsec3'
}
