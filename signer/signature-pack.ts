/** Signatures of one node as kept on disk, so that a restart signs nothing that is still valid.
 *
 *    pack      = rrset*
 *    rrset     = type:u16  fingerprint:8  signatures:u8  signature*
 *    signature = check:u32  octets:u16     RRSIG RDATA
 *
 *  I1  A signature is found again only for the same type, TTL, RDATA and key: the fingerprints cover them. `check` covers
 *      the key and the RRSIG itself, so that octets gone bad on disk are not served. */

import { decodeNode, u16, u32 } from '../zones/index.ts'
import { Fingerprint } from './fingerprint.ts'
import { RRSIG_FIXED_OCTETS } from './rrsig.ts'

const RRSET_OCTETS = 11
const SIGNATURE_OCTETS = 6
const one = new Fingerprint()

/** Half a fingerprint of DNSKEY RDATA; beside algorithm and tag, which are in the RRSIG. */
export function keyFingerprint(dnskey: Uint8Array): number {
  return one.reset().octets(dnskey).high >>> 0
}

/** Which key made an RRSIG, by its fingerprint; undefined: not to be kept. */
export type KeyOfRrsig = (rrsig: Uint8Array) => number | undefined

/** The pack of an encoded node; null when it has no signatures. */
export function packSignatures(node: Uint8Array, keyOf: KeyOfRrsig): Uint8Array | null {
  const parts: Uint8Array[] = []
  for (const rrset of decodeNode(node).rrsets) {
    const kept: Uint8Array[] = []
    for (const rrsig of rrset.signatures) {
      const key = keyOf(rrsig)
      if (key !== undefined) kept.push(signatureHead(checkOf(key, rrsig), rrsig.length), rrsig)
    }
    if (kept.length > 0) parts.push(rrsetHead(one.reset().rrset(rrset), rrset.type, kept.length / 2), ...kept)
  }
  return parts.length === 0 ? null : Buffer.concat(parts)
}

function rrsetHead(fingerprint: Fingerprint, type: number, signatures: number): Uint8Array {
  const head = new Uint8Array(RRSET_OCTETS)
  const view = new DataView(head.buffer)
  view.setUint16(0, type)
  view.setUint32(2, fingerprint.high >>> 0)
  view.setUint32(6, fingerprint.low >>> 0)
  head[10] = signatures
  return head
}

/** I1. */
function checkOf(key: number, rrsig: Uint8Array): number {
  return one.reset().number(key).octets(rrsig).high >>> 0
}

function signatureHead(check: number, octets: number): Uint8Array {
  const head = new Uint8Array(SIGNATURE_OCTETS)
  const view = new DataView(head.buffer)
  view.setUint32(0, check)
  view.setUint16(4, octets)
  return head
}

/** RRSIG RDATA for that RRset by the key of that fingerprint, algorithm and tag; a view. */
export function findInPack(
  pack: Uint8Array,
  rrset: { readonly type: number; readonly ttl: number; readonly rdata: readonly Uint8Array[] },
  key: number,
  algorithm: number,
  keyTag: number,
): Uint8Array | undefined {
  for (let at = 0; at + RRSET_OCTETS <= pack.length; ) {
    const wanted = u16(pack, at) === rrset.type && isFingerprint(pack, at + 2, rrset)
    let left = pack[at + 10]!
    for (at += RRSET_OCTETS; left > 0; left--) {
      const start = at + SIGNATURE_OCTETS
      const end = start + u16(pack, at + 4)
      const rrsig = pack.subarray(start, end)
      const by = rrsig[2] === algorithm && rrsig.length > RRSIG_FIXED_OCTETS && u16(rrsig, 16) === keyTag
      if (wanted && by && u32(pack, at) === checkOf(key, rrsig)) return rrsig
      at = end
    }
  }
  return undefined
}

function isFingerprint(
  pack: Uint8Array,
  at: number,
  rrset: { readonly type: number; readonly ttl: number; readonly rdata: readonly Uint8Array[] },
): boolean {
  one.reset().rrset(rrset)
  return u32(pack, at) === one.high >>> 0 && u32(pack, at + 4) === one.low >>> 0
}
