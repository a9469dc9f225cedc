/** Answers to queries that a program puts to its nameserver without a socket; one reader of the store, one buffer. */
import { type Store, StoreReader } from '../zones/index.ts'
import { type Answerer, type AnswererOptions, createAnswerer, DROP } from './answerer.ts'
import { TRANSPORT_TCP, TRANSPORT_UDP } from './counters.ts'

const REPLY_OCTETS_MAX = 65_535

export class LocalAnswers {
  readonly #answerer: Answerer
  readonly #reply = new Uint8Array(REPLY_OCTETS_MAX)

  constructor(store: Store, options: AnswererOptions) {
    this.#answerer = createAnswerer(new StoreReader(store.handle), options)
  }

  /** Undefined where none would be sent. */
  answer(query: Uint8Array, transport: 'udp' | 'tcp'): Uint8Array | undefined {
    this.#answerer.begin()
    try {
      const number = transport === 'udp' ? TRANSPORT_UDP : TRANSPORT_TCP
      const length = this.#answerer.answer(query, query.length, number, this.#reply)
      return length <= DROP ? undefined : this.#reply.slice(0, length)
    } finally {
      this.#answerer.end()
    }
  }

  close(): void {
    this.#answerer.close()
  }
}
