/** Records composed once and copied into many responses: the owner and the names in them are pointers that are filled in
 *  when the block is written.
 *  I1  At each of `apexPatches` stands a pointer to the apex, at each of `ownPatches` one to the block's first octet.
 *  I2  `source` and `rrset` say which stored RRset the block shows, so that it stands in a response once. */

import { viewOf } from '../base/octets.ts'
import { RECORD_HEADER_OCTETS, RRSET_HEADER_OCTETS, u16 } from '../zones/reading.ts'

export interface ReadyBlock {
  readonly octets: Uint8Array
  readonly view: DataView
  readonly records: number
  readonly apexPatches: readonly number[]
  readonly ownPatches: readonly number[]
  readonly source: Uint8Array
  readonly rrset: number
}

/** The RRset at `source[rrset]` with its RRSIGs. `labels` are those of the owner left of the apex, in wire form. */
export function composeBlock(labels: Uint8Array, source: Uint8Array, rrset: number): ReadyBlock {
  const out: number[] = [...labels]
  const apexPatches = [labels.length]
  const ownPatches: number[] = []
  out.push(0, 0)
  const records = u16(source, rrset + 4) + source[rrset + 3]!
  let at = rrset + RRSET_HEADER_OCTETS
  for (let index = 0; index < records; index++) {
    if (index > 0) {
      ;(labels.length === 0 ? apexPatches : ownPatches).push(out.length)
      out.push(0, 0)
    }
    const end = at + RECORD_HEADER_OCTETS + u16(source, at + 10)
    for (at += 2; at < end; at++) out.push(source[at]!)
  }
  const octets = Uint8Array.from(out)
  return { octets, view: viewOf(octets), records, apexPatches, ownPatches, source, rrset }
}
