/** An answerer without zones, for tests of the transports: echoes the question with one TXT record of 150 octets in all.
 *  `crash.` throws, `drop.` is not answered, AXFR over TCP is deferred, `big.` has 60,000 octets on streams. */
import type { Answerer } from '../../server/answerer.ts'
import type { OpenedAnswerer } from '../../server/open-answerer.ts'

const DEFER = -1
const ANSWER_OCTETS = 150
const BIG_OCTETS = 60_000

function firstLabel(query: Uint8Array): string {
  return new TextDecoder('latin1').decode(query.subarray(13, 13 + query[12]!))
}

function questionEnd(query: Uint8Array, octets: number): number {
  let at = 12
  while (at < octets && query[at] !== 0) at += 1 + query[at]!
  return at + 5
}

export async function openAnswerer(
  _handle: unknown,
  _settings: unknown,
  counters: Float64Array,
): Promise<OpenedAnswerer> {
  const answerer: Answerer = {
    counters,
    begin() {},
    end() {},
    close() {},
    answer(query, octets, transport, out) {
      const end = questionEnd(query, octets)
      if (octets < 12 || end > octets || end > ANSWER_OCTETS - 13 || (query[2]! & 0x80) !== 0) return 0
      counters[transport]! += 1
      const label = firstLabel(query)
      if (label === 'crash') throw new Error('asked to crash')
      if (label === 'drop') return 0
      if (transport === 1 && query[end - 3] === 252) return DEFER
      const length = transport === 1 && label === 'big' ? BIG_OCTETS : ANSWER_OCTETS
      out.set(query.subarray(0, end))
      out[2] = 0x84
      out[3] = 0
      out.fill(0, 6, 12)
      out[7] = 1
      const rdata = length - end - 12
      out.set([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 1, rdata >> 8, rdata & 0xff], end)
      for (let at = end + 12; at < length; ) {
        const string = Math.min(255, length - at - 1)
        out[at] = string
        out.fill(97, at + 1, at + 1 + string)
        at += 1 + string
      }
      return length
    },
  }
  return { answerer, slot: -1 }
}
