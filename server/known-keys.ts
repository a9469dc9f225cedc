/** The keys of one zone that are known: those in its stores, and those that the state knows from before.
 *  I1  A key that no store has any more is told of once, and stays known.
 *  I2  Stores that cannot be asked leave what was known before. */
import type { Logger } from '../base/index.ts'
import {
  type HeldKeys,
  heldKeys,
  type KeyInfo,
  type KeyStore,
  storeOfRole,
  type ZoneStores,
} from '../signer/index.ts'
import type { Name } from '../zones/index.ts'
import type { StoredKeys } from './state-record.ts'

export interface KnownKeysOptions {
  readonly apex: Name
  readonly zone: string
  readonly log: Logger
  stored(): StoredKeys
  stores(): ZoneStores | undefined
}

export class KnownKeys {
  readonly #options: KnownKeysOptions
  #held: HeldKeys | undefined
  /** Why the stores could not say which keys they have. */
  fault: string | undefined
  /** Missing keys that were told of. */
  #told = ''

  constructor(options: KnownKeysOptions) {
    this.#options = options
  }

  /** Whether the stores were asked. */
  get isLooked(): boolean {
    return this.#held !== undefined || this.fault !== undefined
  }

  get held(): readonly KeyInfo[] {
    return this.#held?.infos ?? []
  }

  /** Public parts of all keys. */
  get infos(): readonly KeyInfo[] {
    const { held } = this
    const known = this.#options.stored().infos.filter(({ id }) => !held.some(info => info.id === id))
    return [...held, ...known.map(info => ({ ...info, zone: this.#options.apex }))]
  }

  /** Keys in the stores that the timeline does not know. */
  get unused(): readonly KeyInfo[] {
    const known = this.#options.stored().timeline?.keys ?? []
    return this.held.filter(({ id }) => !known.some(key => key.id === id))
  }

  /** Keys that caches may know, and that are in no store. */
  get missing(): readonly string[] {
    const held = this.#held
    if (held === undefined) return []
    return (this.#options.stored().timeline?.keys ?? [])
      .filter(({ id, goneUnix, dnskey }) => {
        // Of a zone that was taken over some keys were never here.
        return goneUnix === undefined && dnskey === undefined && held.storeOf(id) === undefined
      })
      .map(({ id }) => id)
  }

  /** The stores may be others. */
  forget(): void {
    this.#held = undefined
    this.fault = undefined
  }

  /** @throws ConclaveError what the stores throw, of a zone without a timeline */
  async look(): Promise<void> {
    const stores = this.#options.stores()
    if (stores === undefined) return
    try {
      this.#held = await heldKeys(stores, this.#options.apex)
      this.fault = undefined
    } catch (error) {
      if (this.#options.stored().timeline === undefined) throw error
      this.fault = error instanceof Error ? error.message : String(error)
      this.#options.log.warn('a key store cannot be asked', { zone: this.#options.zone, why: this.fault })
    }
    this.#tellMissing()
  }

  /** I1. */
  #tellMissing(): void {
    const { missing } = this
    const text = missing.join()
    if (text === this.#told) return
    this.#told = text
    if (missing.length === 0) return
    const tags = this.infos.filter(({ id }) => missing.includes(id)).map(({ keyTag }) => keyTag)
    const { log, zone } = this.#options
    log.error('keys of the zone are in no key store; nothing is made in their place', { zone, tags })
  }

  /** Where the key is, or ought to be. */
  storeOf(info: KeyInfo): KeyStore {
    return this.#held?.storeOf(info.id) ?? storeOfRole(this.#options.stores()!, info.role)
  }

  /** The private key is gone afterwards, if it was not before.
   *  @throws ConclaveError what the store throws */
  async destroy(id: string): Promise<void> {
    const store = this.#held?.storeOf(id)
    if (store === undefined) return
    await store.destroy(id)
    await this.look()
  }
}
