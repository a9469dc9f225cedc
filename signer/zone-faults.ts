/** Faults of a signed zone, by name: what `verify` prints and what the gate refuses. */

import { type Fault, FaultList, type Name, nameToText, typeToText } from '../zones/index.ts'
import { writeOwner } from './nsec.ts'
import { writeHashedOwner } from './nsec3.ts'

export type ZoneRule =
  /** The tree itself: an annotation that is not what the content says. */
  | 'annotation'
  | 'soa-missing'
  | 'dnskey-missing'
  | 'ds-mismatch'
  | 'rrset-unsigned'
  | 'algorithm-incomplete'
  | 'rrsig-extra'
  | 'rrsig-expired'
  | 'rrsig-expires-soon'
  | 'rrsig-not-yet-valid'
  | 'rrsig-labels'
  | 'rrsig-original-ttl'
  | 'rrsig-signer'
  | 'rrsig-key'
  | 'rrsig-wrong'
  | 'rrsig-malformed'
  | 'denial-missing'
  | 'nsec-missing'
  | 'nsec-extra'
  | 'nsec-next'
  | 'nsec-bitmap'
  | 'nsec3-missing'
  | 'nsec3-extra'
  | 'nsec3-next'
  | 'nsec3-bitmap'
  | 'nsec3-parameters'
  | 'denial-ttl'
  | 'zonemd-mismatch'
  | 'zonemd-serial'

/** Where in a zone: a name by its tree key, or an NSEC3 by its hash. */
export type ZoneSpot =
  | { readonly kind: 'name'; readonly key: Uint8Array }
  | { readonly kind: 'hash'; readonly hash: Uint8Array }

export class ZoneFaults {
  readonly list: FaultList = new FaultList()
  readonly #zone: string
  readonly #canonicalApex: Name
  readonly #owner = new Uint8Array(512)

  constructor(canonicalApex: Name) {
    this.#canonicalApex = canonicalApex
    this.#zone = nameToText(canonicalApex)
  }

  add(
    rule: ZoneRule,
    spot: ZoneSpot,
    type: number | undefined,
    what: string,
    severity: Fault['severity'] = 'error',
  ): void {
    const record = type === undefined ? this.ownerText(spot) : `${this.ownerText(spot)} ${typeToText(type)}`
    this.list.add({ place: { zone: this.#zone, record }, what, severity, rule })
  }

  ownerText(spot: ZoneSpot): string {
    return nameToText(this.owner(spot))
  }

  /** The wire owner; a view that the next call changes. */
  owner(spot: ZoneSpot): Uint8Array {
    const out = this.#owner
    const length =
      spot.kind === 'name'
        ? writeOwner(spot.key, this.#canonicalApex, out)
        : writeHashedOwner(spot.hash, this.#canonicalApex, out)
    return out.subarray(0, length)
  }
}
