/** Dealing an RSA key: the one moment in which it is whole. Run it by dealer.ts, in a process of its own that ends.
 *
 *    primes ─▶ key and shares ─▶ each share sealed to its node ─▶ requests for the coordinator to carry
 *
 *  I1  Shares leave sealed to one node each, and bound to the key's record: a share of another record does not open.
 *  I2  Octets that held a share are overwritten when they are sealed. Integers cannot be: they go with the process. */

import type { KeyObject } from 'node:crypto'
import { canonicalName, nameFromText, nameToText } from '../zones/index.ts'
import { type Identity, type PublicIdentity, sealTo } from './identity.ts'
import { signedOctets } from './integers.ts'
import { encodeKeyRecord, type KeyRole } from './key-record.ts'
import type { NodeRequest } from './messages.ts'
import { dealContext } from './node-keygen.ts'
import type { DealtKey } from './quorum.ts'
import { type DealtRsaKey, dealRsa, shareExisting } from './rsa-deal.ts'

export interface Ceremony {
  readonly zone: string
  readonly role: KeyRole
  readonly algorithm: 8 | 10
  readonly createdUnix: number
  /** By index, from 1 at [0]. */
  readonly members: readonly PublicIdentity[]
  /** How many of them suffice. */
  readonly threshold: number
}

/** Makes a key of so many bits and deals it; `onPrime` hears of each prime found.
 *  @throws RangeError for sizes that cannot be */
export async function dealNewKey(
  ceremony: Ceremony,
  dealer: Identity,
  bits: number,
  onPrime?: (found: number) => void,
): Promise<DealtKey> {
  return sealed(ceremony, dealer, await dealRsa(bits, sizeOf(ceremony), onPrime))
}

/** Deals a key that exists, with the limits of rsa-deal.ts I3: who has the old file still has the key.
 *  @throws RangeError when it is no RSA key, or not one that can be shared */
export function dealExistingKey(ceremony: Ceremony, dealer: Identity, key: KeyObject | string): DealtKey {
  return sealed(ceremony, dealer, shareExisting(key, sizeOf(ceremony)))
}

function sizeOf({ members, threshold }: Ceremony): { threshold: number; nodes: number } {
  return { threshold, nodes: members.length }
}

/** I1. */
export function sealed(ceremony: Ceremony, dealer: Identity, { key, shares }: DealtRsaKey): DealtKey {
  const { role, algorithm, createdUnix, members } = ceremony
  const record = encodeKeyRecord({
    zone: nameToText(canonicalName(nameFromText(ceremony.zone))),
    role,
    algorithm,
    createdUnix,
    epoch: 1,
    members: members.map(({ name }) => name),
    scheme: { kind: 'rsa', key },
  })
  const context = dealContext(record)
  const requests = members.map((member, at): [string, Extract<NodeRequest, { kind: 'deal' }>] => {
    const octets = signedOctets(shares[at]!.value)
    const share = sealTo(dealer, member, context, octets)
    // I2.
    octets.fill(0)
    return [member.name, { kind: 'deal', record, share, dealer: dealer.publicIdentity.name }]
  })
  return { record, requests: new Map(requests) }
}
