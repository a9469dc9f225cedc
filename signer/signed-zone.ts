/** What a zone that another server signed shows of its keys: which DNSKEYs, which of them sign what, for how long caches
 *  keep it. Out of its zone file, before it is taken over (takeover.ts).
 *  I1  At the apex only signatures that verify now count (RFC 4035 §5.3): what a cache would refuse says nothing. Below it
 *      key tags do, and `verifyZone` has the last word on a whole zone. */

import { Turns } from '../base/index.ts'
import {
  decodeNode,
  type Name,
  type NodeRRset,
  type Store,
  TYPE,
  u16,
  type ZoneContent,
} from '../zones/index.ts'
import { denialTtl, soaSerial } from './nsec.ts'
import { rrsetOfType } from './previous.ts'
import { decodeRrsig, ToBeSigned } from './rrsig.ts'
import { type ZoneKey, zoneKeysOf } from './rrsig-check.ts'
import { verifyingKey, verifySignature } from './verify-signature.ts'
import { apexNode } from './zonemd.ts'

export interface SignedZone {
  readonly apex: Name
  readonly serial: number
  /** RDATA. */
  readonly dnskeys: readonly Uint8Array[]
  readonly dnskeyTtlSeconds: number
  /** DNSKEYs that sign the DNSKEY RRset. */
  readonly keySigners: readonly Uint8Array[]
  /** DNSKEYs that sign the SOA, which every version has signed anew. */
  readonly zoneSigners: readonly Uint8Array[]
  /** DNSKEYs that sign other RRsets, each set that some RRset is signed by: in the middle of a roll there are several. */
  readonly signerSets: readonly (readonly Uint8Array[])[]
  /** The largest TTL of its RRsets, and of its negative answers. */
  readonly zoneTtlSeconds: number
  /** CDS RDATA. */
  readonly cds: readonly Uint8Array[]
}

/** Undefined when the content has no SOA or no DNSKEY. `now` in Unix seconds. */
export async function signedZoneOf(
  store: Store,
  content: Pick<ZoneContent, 'apex' | 'tree'>,
  now: number,
): Promise<SignedZone | undefined> {
  const { apex, tree } = content
  const node = apexNode(store, tree.root)?.slice()
  const soa = node === undefined ? undefined : rrsetOfType(node, TYPE.SOA)
  const dnskey = node === undefined ? undefined : rrsetOfType(node, TYPE.DNSKEY)
  if (node === undefined || soa === undefined || dnskey === undefined) return undefined
  const keys = zoneKeysOf(dnskey.rdata)
  const { signerSets, ttlSeconds } = await scan(store, tree.root, keys)
  return {
    apex,
    serial: soaSerial(soa.rdata[0]!),
    dnskeys: dnskey.rdata,
    dnskeyTtlSeconds: dnskey.ttl,
    keySigners: verifiedSigners(apex, dnskey, keys, now),
    zoneSigners: verifiedSigners(apex, soa, keys, now),
    signerSets,
    zoneTtlSeconds: Math.max(ttlSeconds, denialTtl(soa.rdata[0]!, soa.ttl)),
    cds: rrsetOfType(node, TYPE.CDS)?.rdata ?? [],
  }
}

/** I1. */
function verifiedSigners(owner: Name, rrset: NodeRRset, keys: readonly ZoneKey[], now: number): Uint8Array[] {
  return keys
    .filter(key => rrset.signatures.some(rrsig => isSignedBy(owner, rrset, rrsig, key, now)))
    .map(({ dnskey }) => dnskey)
}

/** Whether that key made the RRSIG over the RRset, and it is valid now (RFC 4035 §5.3.1, §5.3.3). */
export function isSignedBy(
  owner: Name,
  rrset: NodeRRset,
  rdata: Uint8Array,
  { dnskey, algorithm, keyTag }: ZoneKey,
  now: number,
): boolean {
  const rrsig = decodeRrsig(rdata)
  if (rrsig === undefined || rrsig.algorithm !== algorithm || rrsig.keyTag !== keyTag) return false
  // RFC 4034 §3.1.5: times compare by serial number arithmetic.
  const at = Math.floor(now)
  if (((rrsig.expirationUnix - at) | 0) < 0 || ((at - rrsig.inceptionUnix) | 0) < 0) return false
  const message = new ToBeSigned(1)
  if (message.addSigned(owner, rrset.type, rrset.rdata, rrsig) < 0) return false
  try {
    const octets = message.octets.slice(0, message.offsets[1])
    return verifySignature(verifyingKey(algorithm, dnskey.subarray(4)), octets, rrsig.signature)
  } catch {
    // A key of an algorithm that we do not know, or none at all, verifies nothing.
    return false
  }
}

async function scan(
  store: Store,
  root: number,
  keys: readonly ZoneKey[],
): Promise<{ readonly signerSets: Uint8Array[][]; readonly ttlSeconds: number }> {
  const sets = new Map<string, Uint8Array[]>()
  const turns = new Turns()
  let ttlSeconds = 0
  const cursor = store.readTree()
  for (let placed = cursor.seekFirst(root); placed; placed = cursor.next()) {
    const apex = cursor.loadKey() === 0
    for (const { type, ttl, rdata, signatures } of decodeNode(cursor.bytes, cursor.valueStart).rrsets) {
      if (rdata.length === 0) continue
      ttlSeconds = Math.max(ttlSeconds, ttl)
      const keyRRset = type === TYPE.DNSKEY || type === TYPE.CDS || type === TYPE.CDNSKEY
      if (signatures.length === 0 || (apex && keyRRset)) continue
      const signers = keys.filter(key =>
        signatures.some(rrsig => rrsig[2] === key.algorithm && u16(rrsig, 16) === key.keyTag),
      )
      const set = signers.map(key => `${keys.indexOf(key)}`).join()
      if (!sets.has(set))
        sets.set(
          set,
          signers.map(({ dnskey }) => dnskey),
        )
    }
    if (turns.due()) await turns.take()
  }
  return { signerSets: [...sets.values()], ttlSeconds }
}
