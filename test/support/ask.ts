/** Asks an answerer without a socket. */

import { type Answerer, createAnswerer, TRANSPORT_TCP, TRANSPORT_UDP } from '../../server/index.ts'
import { type Store, StoreReader } from '../../zones/index.ts'
import { type Message, type QueryOptions, queryOf, readMessage } from './message.ts'

export interface Asker {
  readonly answerer: Answerer
  /** Over UDP with DO and 1232 octets unless said otherwise; `udpOctets: 0` means no OPT record. */
  ask(name: string, type: string | number, options?: QueryOptions & { tcp?: boolean }): Message
  /** The response's octets; empty when dropped or deferred. */
  send(query: Uint8Array, tcp?: boolean): Uint8Array
}

const out = new Uint8Array(65_535)

export function askerOf(store: Store, udpOctetsMax = 1232): Asker {
  const answerer = createAnswerer(new StoreReader(store.handle), { udpOctetsMax })
  const send = (query: Uint8Array, tcp = false): Uint8Array => {
    answerer.begin()
    const length = answerer.answer(query, query.length, tcp ? TRANSPORT_TCP : TRANSPORT_UDP, out)
    answerer.end()
    return out.slice(0, Math.max(0, length))
  }
  return {
    answerer,
    send,
    ask(name, type, options = {}) {
      const { udpOctets = 1232, tcp = false, ...rest } = options
      const withOpt = udpOctets === 0 ? {} : { udpOctets, dnssecOk: true }
      return readMessage(send(queryOf(name, type, { ...withOpt, ...rest }), tcp))
    },
  }
}
