/** Signatures on disk: one block for each node that has signed RRsets, under the node's key.
 *
 *    block = entry*
 *    entry = coveredType:u16  keyFingerprint:8  proof:12  rdataOctets:u16  rrsigRdata
 *
 *  I1  The key is named by the first octets of a digest of its DNSKEY RDATA: a key tag never identifies a key.
 *  I2  `proof` is what the signer made of the octets that were signed and the signature; a signature is used again
 *      only when the proof over the octets to be signed now is the same. So a block that is older or newer than the
 *      version it is read for does no harm, and blocks may be written in several transactions.
 *  I3  Blocks are opaque to the state; this file is their one encoding. */

export const KEY_FINGERPRINT_OCTETS = 8
export const PROOF_OCTETS = 12

/** Which tree of the zone a block belongs to: the names, or the NSEC3 hashes. */
export type SignatureKind = 'names' | 'nsec3'

export interface StoredSignature {
  readonly coveredType: number
  readonly keyFingerprint: Uint8Array
  readonly proof: Uint8Array
  /** RDATA of the RRSIG. */
  readonly rdata: Uint8Array
}

/** A block put (octets) or deleted (null). Octets must not change until `publish` has resolved. */
export interface SignatureChange {
  readonly kind: SignatureKind
  /** The node's key relative to the apex, or the NSEC3 hash. */
  readonly key: Uint8Array
  readonly block: Uint8Array | null
}

const RDATA_LENGTH_AT = 2 + KEY_FINGERPRINT_OCTETS + PROOF_OCTETS
const ENTRY_HEADER_OCTETS = RDATA_LENGTH_AT + 2

export function encodeSignatureBlock(signatures: readonly StoredSignature[]): Uint8Array {
  let octets = 0
  for (const signature of signatures) octets += ENTRY_HEADER_OCTETS + signature.rdata.length
  const block = new Uint8Array(octets)
  let at = 0
  for (const signature of signatures) at = writeSignature(signature, block, at)
  return block
}

/** Writes one entry and returns the offset behind it. */
export function writeSignature(signature: StoredSignature, out: Uint8Array, at: number): number {
  out[at] = signature.coveredType >>> 8
  out[at + 1] = signature.coveredType
  out.set(signature.keyFingerprint.subarray(0, KEY_FINGERPRINT_OCTETS), at + 2)
  out.set(signature.proof.subarray(0, PROOF_OCTETS), at + 2 + KEY_FINGERPRINT_OCTETS)
  out[at + RDATA_LENGTH_AT] = signature.rdata.length >>> 8
  out[at + RDATA_LENGTH_AT + 1] = signature.rdata.length
  out.set(signature.rdata, at + ENTRY_HEADER_OCTETS)
  return at + ENTRY_HEADER_OCTETS + signature.rdata.length
}

/** The entries of a block as views; undefined when it is not whole, which is treated as having no signatures. */
export function decodeSignatureBlock(block: Uint8Array): StoredSignature[] | undefined {
  const signatures: StoredSignature[] = []
  let at = 0
  while (at < block.length) {
    const end = entryEnd(block, at)
    if (end > block.length) return undefined
    const proofAt = at + 2 + KEY_FINGERPRINT_OCTETS
    signatures.push({
      coveredType: (block[at]! << 8) | block[at + 1]!,
      keyFingerprint: block.subarray(at + 2, proofAt),
      proof: block.subarray(proofAt, proofAt + PROOF_OCTETS),
      rdata: block.subarray(at + ENTRY_HEADER_OCTETS, end),
    })
    at = end
  }
  return signatures
}

function entryEnd(block: Uint8Array, at: number): number {
  if (at + ENTRY_HEADER_OCTETS > block.length) return block.length + 1
  return at + ENTRY_HEADER_OCTETS + ((block[at + RDATA_LENGTH_AT]! << 8) | block[at + RDATA_LENGTH_AT + 1]!)
}
