/** Keys at work, as a timeline has them: what building a version takes (build-types.ts). */

import type { ForeignKeys, SigningKey } from './build-types.ts'
import { CDNSKEY_DELETE, CDS_DELETE } from './dnskey.ts'
import type { KeyInfo, KeyStore } from './keystore.ts'
import type { SigningPolicy } from './policy.ts'
import type { ApexKeys } from './roll-types.ts'
import { isDsPending, shownKeys, wantedDs } from './roll-views.ts'
import type { ZoneTimeline } from './timeline.ts'

/** The keys that show or sign anything, in the newest epoch or in one that is to come; of those that no store has, only the
 *  DNSKEY can be shown. */
export function signingKeysAt(
  timeline: ZoneTimeline,
  policy: SigningPolicy,
  infos: readonly KeyInfo[],
  storeOf: (info: KeyInfo) => KeyStore,
  apex: ApexKeys = shownKeys(timeline),
): SigningKey[] {
  const signalled = showsSignals(timeline, policy) ? wantedDs(timeline) : []
  return infos.flatMap(info => {
    const { id } = info
    const published = apex.published.includes(id)
    const signsKeys = apex.keySigners.includes(id)
    const signsZone = apex.zoneSigners.includes(id)
    if (!published && !signsKeys && !signsZone) return []
    return [{ info, store: storeOf(info), published, signsKeys, signsZone, cds: signalled.includes(id) }]
  })
}

/** RFC 8078 §4: what asks the parent to remove its DS, when that is wanted. */
export function deleteSignals(timeline: ZoneTimeline, policy: SigningPolicy): ForeignKeys | undefined {
  if (timeline.unsigningUnix === undefined || timeline.dsWanted?.keys.length !== 0) return undefined
  return policy.cds === 'never' ? undefined : { cds: [CDS_DELETE], cdnskey: [CDNSKEY_DELETE] }
}

function showsSignals(timeline: ZoneTimeline, { cds }: SigningPolicy): boolean {
  return cds === 'always' || (cds === 'rollover' && isDsPending(timeline))
}
