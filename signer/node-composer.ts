/** A node's octets (zones/node.ts) composed of what was planned and the signatures that came for it, in one buffer that is
 *  used again: no octets, view or object is made for a signature on its way from its batch into the tree.
 *  I1  Of several signatures the order is that of their octets (node I1). */

import {
  compareOctets,
  encodeNodeHead,
  encodeRRset,
  NODE_HEAD_OCTETS_MAX,
  type NodeContent,
  type NodeRRset,
  RECORD_HEADER_OCTETS,
  rrsetOctets,
  TYPE,
  writeRecordHeader,
  writeSignatureCounts,
} from '../zones/index.ts'
import type { ToBeSigned } from './rrsig.ts'

/** Messages and, once they are signed, the signature of each. */
export interface SignedMessages {
  readonly messages: ToBeSigned
  readonly signatures: readonly Uint8Array[]
}

/** RRSIG RDATA, or the batch that has it; then its number there. */
export type SignatureSource = Uint8Array | SignedMessages

const nothing = new Uint8Array(0)

export class NodeComposer {
  /** The node is octets[0..end). */
  octets: Uint8Array = nothing
  end = 0

  /** Flags, counts and spelling. */
  begin(node: NodeContent): void {
    this.end = 0
    this.#room(NODE_HEAD_OCTETS_MAX)
    this.end = encodeNodeHead(node, this.octets)
  }

  /** An RRset with the signatures that it has. */
  rrset(rrset: NodeRRset): void {
    this.#room(rrsetOctets(rrset))
    this.end = encodeRRset(rrset, this.octets, this.end)
  }

  /** An RRset that has none, with those of sources[from..from + count). */
  signedRRset(
    rrset: NodeRRset,
    sources: readonly SignatureSource[],
    indexes: readonly number[],
    from: number,
    count: number,
  ): void {
    const start = this.end
    this.rrset(rrset)
    const signatures = this.end
    if (count === 1) this.#signature(rrset.ttl, sources[from]!, indexes[from]!)
    else this.#sorted(rrset.ttl, sources, indexes, from, count)
    writeSignatureCounts(this.octets, start, count, this.end - signatures)
  }

  #signature(ttl: number, source: SignatureSource, index: number): void {
    if (source instanceof Uint8Array) {
      this.#rrsig(ttl, source)
      return
    }
    const { messages, signatures } = source
    const signature = signatures[index]!
    const octets = messages.rrsigOctets(index, signature.length)
    this.#room(RECORD_HEADER_OCTETS + octets)
    const at = writeRecordHeader(TYPE.RRSIG, ttl, octets, this.octets, this.end)
    this.end = messages.writeRrsig(index, signature, this.octets, at)
  }

  #rrsig(ttl: number, rdata: Uint8Array): void {
    this.#room(RECORD_HEADER_OCTETS + rdata.length)
    const at = writeRecordHeader(TYPE.RRSIG, ttl, rdata.length, this.octets, this.end)
    this.octets.set(rdata, at)
    this.end = at + rdata.length
  }

  /** I1. */
  #sorted(
    ttl: number,
    sources: readonly SignatureSource[],
    indexes: readonly number[],
    from: number,
    count: number,
  ): void {
    const all: Uint8Array[] = []
    for (let slot = from; slot < from + count; slot++) {
      const source = sources[slot]!
      if (source instanceof Uint8Array) all.push(source)
      else all.push(source.messages.rrsig(indexes[slot]!, source.signatures[indexes[slot]!]!))
    }
    for (const rdata of all.sort(compareOctets)) this.#rrsig(ttl, rdata)
  }

  #room(octets: number): void {
    if (this.end + octets <= this.octets.length) return
    const grown = new Uint8Array(2 * (this.end + octets))
    grown.set(this.octets.subarray(0, this.end))
    this.octets = grown
  }
}
