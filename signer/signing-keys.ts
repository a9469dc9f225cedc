/** What keys do when nothing rolls: each by its role, all published. */

import type { SigningKey } from './build-types.ts'
import type { HeldKeys } from './zone-stores.ts'

/** RFC 6781 §3.1: a KSK signs keys, a ZSK all else, a CSK both; a parent's DS points at what signs keys. With keys of
 *  one role only, those do both: RFC 4035 §2.2 wants every algorithm of the DNSKEY RRset to sign everything. */
export function signingKeysOf({ infos: keys, storeOf }: HeldKeys): SigningKey[] {
  return keys.map(info => {
    const others = keys.filter(({ algorithm }) => algorithm === info.algorithm)
    const signsKeys = info.role !== 'zsk' || others.every(({ role }) => role === 'zsk')
    const signsZone = info.role !== 'ksk' || others.every(({ role }) => role === 'ksk')
    return { info, store: storeOf(info.id)!, published: true, signsKeys, signsZone, cds: signsKeys }
  })
}
