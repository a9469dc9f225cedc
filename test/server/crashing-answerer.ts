/** The store's answerer, but for `crash.`, which it throws at. */
import { type OpenedAnswerer, openAnswerer as openReal } from '../../server/open-answerer.ts'
import type { StoreHandle } from '../../zones/index.ts'

export async function openAnswerer(
  handle: StoreHandle,
  _settings: unknown,
  counters: Float64Array,
): Promise<OpenedAnswerer> {
  const { answerer, slot } = await openReal(handle, {}, counters)
  return {
    slot,
    answerer: {
      counters,
      begin: () => answerer.begin(),
      end: () => answerer.end(),
      close: () => answerer.close(),
      answer(query, octets, transport, out) {
        if (query[12] === 5 && query[13] === 0x63) throw new Error('asked to crash')
        return answerer.answer(query, octets, transport, out)
      },
    },
  }
}
