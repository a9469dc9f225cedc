/** Whether, and where, a nameserver listens.
 *  I1  It begins once; a beginning that failed may be tried again.
 *  I2  Addresses change together or not at all. */
import { ConclaveError } from '../base/index.ts'
import { listenAddressText } from './address.ts'
import { type ListenCounters, type Listeners, type ListenOptions, openListeners } from './listen.ts'

export type ListeningOptions = Omit<ListenOptions, 'addresses'>

export class Listening {
  readonly #options: ListeningOptions
  #listeners: Listeners | undefined
  #beginning: Promise<void> | undefined

  constructor(options: ListeningOptions) {
    this.#options = options
  }

  /** With the ports that were bound. */
  get addresses(): readonly string[] {
    return this.#listeners?.addresses.map(listenAddressText) ?? []
  }

  /** Settles when it has; undefined when it was not asked for. */
  get beginning(): Promise<void> | undefined {
    return this.#beginning
  }

  counters(): ListenCounters | undefined {
    return this.#listeners?.counters()
  }

  /** I1.
   *  @throws ConclaveError LISTEN_… */
  async begin(addresses: readonly string[]): Promise<void> {
    if (this.#beginning !== undefined) throw new ConclaveError('LISTEN_TWICE', 'the server listens already')
    this.#beginning = this.#open(addresses)
    try {
      await this.#beginning
    } catch (error) {
      this.#beginning = undefined
      throw error
    }
  }

  async #open(addresses: readonly string[]): Promise<void> {
    this.#listeners = await openListeners({ ...this.#options, addresses })
  }

  /** Once it has begun (I2); those that stay are served all the while.
   *  @throws ConclaveError LISTEN_… */
  async change(addresses: readonly string[]): Promise<void> {
    await this.#listeners!.change(addresses)
  }

  /** Lets answers under way be finished for so long. */
  async close(drainSeconds: number): Promise<void> {
    await this.#beginning?.catch(() => {})
    await this.#listeners?.close({ drainSeconds })
  }
}
