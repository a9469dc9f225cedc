/** TSIG keys in a thread that never comes to its event loop: they arrive as messages, which are looked for when the main
 *  thread has counted one up.
 *  I1  A signed query that arrives after a change of the keys meets the new ones: the message is sent before it is
 *      counted, and the count is read for each such query. */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { type KeyringSource, type TsigKey, TsigKeyring } from './tsig-keyring.ts'
import { CONTROL_KEYS } from './udp-control.ts'

export class ThreadKeyring implements KeyringSource {
  readonly #port: MessagePort
  readonly #control: Int32Array
  #keyring: TsigKeyring
  /** No count: what came before the first look is looked for. */
  #seen = -1

  constructor(keys: readonly TsigKey[], port: MessagePort, control: Int32Array) {
    this.#keyring = new TsigKeyring(keys)
    this.#port = port
    this.#control = control
  }

  current(): TsigKeyring {
    const count = Atomics.load(this.#control, CONTROL_KEYS)
    if (count !== this.#seen) this.#receive(count)
    return this.#keyring
  }

  #receive(count: number): void {
    this.#seen = count
    let newest: readonly TsigKey[] | undefined
    for (;;) {
      const received = receiveMessageOnPort(this.#port) as { message: readonly TsigKey[] } | undefined
      if (received === undefined) break
      newest = received.message
    }
    if (newest !== undefined) this.#keyring = new TsigKeyring(newest)
  }
}
