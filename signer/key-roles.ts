/** What keys do when nothing rolls: each what its role says, all published. So it is with keys that an operator has laid out
 *  for `sign`, and with those of a zone that was signed before timelines were kept. */
import type { KeyInfo } from './keystore.ts'
import { initialTimeline } from './roll-events.ts'
import type { ApexKeys } from './roll-types.ts'
import type { ZoneTimeline } from './timeline.ts'

/** The timeline of a zone whose keys did so and were seen; the parent may have the DS of any that signs keys. */
export function timelineByRole(
  infos: readonly KeyInfo[],
  served: {
    readonly serial: number
    readonly dnskeyTtlSeconds: number
    readonly zoneTtlSeconds: number
  },
  now: number,
): ZoneTimeline {
  const apex = apexByRole(infos)
  return initialTimeline(infos, { kind: 'signed', apex, dsMaybe: apex.keySigners, ...served }, now)
}

/** RFC 6781 §3.1: a KSK signs keys, a ZSK all else, a CSK both. With keys of one role only, those do both: RFC 4035 §2.2
 *  wants every algorithm of the DNSKEY RRset to sign everything. */
function apexByRole(infos: readonly KeyInfo[]): ApexKeys {
  const isAlone = ({ algorithm, role }: KeyInfo): boolean =>
    infos.every(other => other.algorithm !== algorithm || other.role === role)
  const ids = (keys: readonly KeyInfo[]): string[] => keys.map(({ id }) => id)
  return {
    published: ids(infos),
    keySigners: ids(infos.filter(info => info.role !== 'zsk' || isAlone(info))),
    zoneSigners: ids(infos.filter(info => info.role !== 'ksk' || isAlone(info))),
  }
}
