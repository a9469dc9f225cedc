/** When the signatures of a finished tree end, and which of them are due: one walk over all of its nodes. */

import { Turns } from '../base/index.ts'
import {
  firstRRsetAt,
  nextRRsetAt,
  RECORD_HEADER_OCTETS,
  type Store,
  type TreeCursor,
  u16,
  u32,
} from '../zones/index.ts'

export interface Expirations {
  /** Keys of nodes with a signature that is due. */
  readonly due: readonly Uint8Array[]
  /** The first expiration, in Unix seconds, among nodes where none is due; the apex, which every version signs anew, is
   *  apart. Infinity: no signature. */
  readonly firstUnix: number
  readonly apexUnix: number
}

/** `isDue` is asked of RRSIG RDATA. */
export async function scanExpirations(
  store: Store,
  root: number,
  isDue: (rrsig: Uint8Array) => boolean,
): Promise<Expirations> {
  const due: Uint8Array[] = []
  const turns = new Turns()
  let firstUnix = Number.POSITIVE_INFINITY
  let apexUnix = Number.POSITIVE_INFINITY
  const cursor = store.readTree()
  let placed = root !== 0 && cursor.seekFirst(root)
  while (placed) {
    const expiration = nodeExpiration(cursor, isDue)
    if (expiration < 0) due.push(cursor.key.slice(0, cursor.loadKey()))
    else if (cursor.keyLength === 0) apexUnix = expiration
    else if (expiration < firstUnix) firstUnix = expiration
    if (turns.due()) await turns.take()
    placed = cursor.next()
  }
  return { due, firstUnix, apexUnix }
}

/** The first expiration of the node's signatures; −1 when one is due. */
function nodeExpiration(cursor: TreeCursor, isDue: (rrsig: Uint8Array) => boolean): number {
  const node = cursor.bytes
  let first = Number.POSITIVE_INFINITY
  let at = firstRRsetAt(node, cursor.valueStart)
  for (let left = node[cursor.valueStart + 2]!; left > 0; left--) {
    const end = nextRRsetAt(node, at)
    for (let record = end - u16(node, at + 8); record < end; ) {
      const rdata = record + RECORD_HEADER_OCTETS
      record = rdata + u16(node, record + 10)
      if (isDue(node.subarray(rdata, record))) return -1
      // RFC 4034 §3.1.5: the expiration is at octet 8 of the RDATA.
      first = Math.min(first, u32(node, rdata + 8))
    }
    at = end
  }
  return first
}
