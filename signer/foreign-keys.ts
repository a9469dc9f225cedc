/** Keys that others hold, as a zone file tells of them: another signer of the same zone (RFC 8901 §2.1.2, model 2), or
 *  the server that a zone is taken over from.
 *
 *    zone file's apex ── DNSKEY, CDS, CDNSKEY ──▶ minus what is of keys held here ──▶ ForeignKeys ──▶ the apex RRsets
 *
 *  I1  What belongs to a key held here is never foreign, so no record is there twice, and a key that was withdrawn does
 *      not come back by way of the file.
 *  I2  The requests of RFC 8078 §4 that ask for no DS at all are nobody's: they are left out. */

import { compareOctets, type Name, type Store, TYPE, type ZoneContent } from '../zones/index.ts'
import type { ForeignKeys } from './build-types.ts'
import { CDNSKEY_DELETE, CDS_DELETE, dnskeyRdata, dsMatches, FLAG_REVOKE, keyTagOf } from './dnskey.ts'
import type { KeyInfo } from './keystore.ts'
import { rrsetOfType } from './previous.ts'
import { apexNode } from './zonemd.ts'

/** Whether DNSKEY, CDS and CDNSKEY of others in a zone file go into the zone; DNSKEY else make it a zone that we do not
 *  sign. */
export type ForeignKeysMode = 'refuse' | 'include'

/** What the content says of keys that are not among `held`. */
export function foreignKeysIn(
  store: Store,
  content: Pick<ZoneContent, 'apex' | 'tree'>,
  held: readonly Pick<KeyInfo, 'flags' | 'algorithm' | 'publicKey'>[],
): ForeignKeys {
  const node = apexNode(store, content.tree.root)
  return node === undefined ? {} : foreignKeysAt(node, content.apex, held.map(dnskeyRdata))
}

/** The same of an apex's node, without the keys of that DNSKEY RDATA. */
export function foreignKeysAt(node: Uint8Array, apex: Name, held: readonly Uint8Array[]): ForeignKeys {
  const rdataOf = (type: number): Uint8Array[] =>
    (rrsetOfType(node, type)?.rdata ?? []).map(rdata => rdata.slice())
  const isHeld = (rdata: Uint8Array): boolean => held.some(key => compareOctets(key, rdata) === 0)
  return {
    dnskey: rdataOf(TYPE.DNSKEY).filter(rdata => !isHeld(rdata)),
    cds: rdataOf(TYPE.CDS).filter(
      cds => compareOctets(cds, CDS_DELETE) !== 0 && !held.some(key => dsMatches(apex, key, cds)),
    ),
    cdnskey: rdataOf(TYPE.CDNSKEY).filter(
      rdata => compareOctets(rdata, CDNSKEY_DELETE) !== 0 && !isHeld(rdata),
    ),
  }
}

/** Key tags that a new key must not share, those of revoked keys too (RFC 5011 §2.1): who verifies by another's DNSKEY
 *  RRset would have to try both. */
export function foreignTags({ dnskey = [] }: ForeignKeys): number[] {
  return dnskey.flatMap(rdata => {
    const revoked = rdata.slice()
    revoked[1] = rdata[1]! | FLAG_REVOKE
    return [keyTagOf(rdata), keyTagOf(revoked)]
  })
}
