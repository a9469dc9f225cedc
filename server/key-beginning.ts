/** How the timeline of a zone begins that has none: out of what was served before, here or by another server.
 *
 *    signed by another server, keys held here ─▶ taken over, or refused (signer/takeover-timeline.ts)
 *    signed here, by a release without timelines ─▶ keys did what their roles say; the parent may have any DS of them
 *    served unsigned ─▶ caches may hold data without signatures
 *    never served ─▶ nothing is in any cache
 *
 *  I1  A zone that was signed and whose keys are gone gets no new ones: that would be another chain of trust. */
import { ConclaveError, type Logger } from '../base/index.ts'
import {
  initialTimeline,
  type KeyInfo,
  type SignedZone,
  type SigningPolicy,
  type TakeoverInput,
  takeoverTimeline,
  timelineByRole,
  type ZoneTimeline,
} from '../signer/index.ts'
import type { ServedVersion } from './state-record.ts'

/** What is known about content that keys are to be made or taken for. */
export interface Beginning {
  /** Others have signed it, or have keys in it: no key is made, and it will be refused. */
  readonly strange: boolean
  /** What it shows when another server signed it. */
  signedElsewhere(now: number): Promise<SignedZone | undefined>
  readonly avoidTags: readonly number[]
  greatestTtl(): number
}

export interface BeginningInput {
  readonly zone: string
  readonly beginning: Beginning
  readonly policy: SigningPolicy
  /** Keys in the stores. */
  readonly infos: readonly KeyInfo[]
  readonly served: ServedVersion | undefined
  readonly now: number
  readonly log: Logger
}

/** @throws ConclaveError TAKEOVER_REFUSED, KEYS_NONE */
export async function beginTimeline(input: BeginningInput): Promise<ZoneTimeline> {
  const { beginning, policy, infos, served, now } = input
  if (served === undefined) {
    const zone = infos.length === 0 ? undefined : await beginning.signedElsewhere(now)
    if (zone !== undefined) return takeOver(input, { zone, held: infos, now })
    return initialTimeline(infos, { kind: 'nothing' }, now)
  }
  const zoneTtlSeconds = beginning.greatestTtl()
  if (served.newestInceptionUnix === 0)
    return initialTimeline(infos, { kind: 'unsigned', zoneTtlSeconds }, now)
  if (infos.length === 0 && !policy.replaceKeys) throw keysGone(input.zone)
  const { dnskeyTtlSeconds } = policy
  return timelineByRole(infos, { serial: served.serial, zoneTtlSeconds, dnskeyTtlSeconds }, now)
}

function takeOver({ zone, policy, log }: BeginningInput, input: TakeoverInput): ZoneTimeline {
  const taken = takeoverTimeline(input, policy)
  if (taken.kind === 'refused') {
    const [first] = taken.faults
    throw new ConclaveError('TAKEOVER_REFUSED', first!.what, { place: { zone }, remedy: first!.remedy })
  }
  log.info('the zone is taken over from another server', { zone, findings: taken.findings })
  return taken.timeline
}

/** I1. */
function keysGone(zone: string): ConclaveError {
  return new ConclaveError('KEYS_NONE', 'the zone was served signed, and its keys are gone', {
    place: { zone },
    remedy: 'Restore them; or say that they are to be replaced, once the parent has no DS of them.',
  })
}
