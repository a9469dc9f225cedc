/** The keys of one zone that are known: those in its stores, and those that the state knows from before.
 *
 *    the zone's stores ─▶ keys of its timeline that are not there ─▶ other stores, one after the other, until all are found
 *
 *  I1  A key that no store has any more is told of once, and stays known.
 *  I2  Stores that cannot be asked leave what was known before.
 *  I3  A key is used from the store that has it. Of other stores none is asked while there is no need, and nothing is
 *      taken but keys that the zone has been using. */
import { ConclaveError, type Logger } from '../base/index.ts'
import {
  type HeldKeys,
  heldKeys,
  type KeyInfo,
  type KeyLife,
  type KeyStore,
  keysOfZone,
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
  otherStores(): Promise<Iterable<KeyStore>>
}

export class KnownKeys {
  readonly #options: KnownKeysOptions
  #held: HeldKeys | undefined
  /** Another store, which could not be asked and may have those that are missing. */
  #away: KeyStore | undefined
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
    const lacking = this.#held === undefined ? [] : this.#lackingIn(this.#held)
    return lacking.filter(({ goneUnix }) => goneUnix === undefined).map(({ id }) => id)
  }

  /** Keys of the timeline that are not among those; of a zone that was taken over some were never here. */
  #lackingIn(held: HeldKeys): KeyLife[] {
    const keys = this.#options.stored().timeline?.keys ?? []
    return keys.filter(({ id, dnskey }) => dnskey === undefined && held.storeOf(id) === undefined)
  }

  /** The stores may be others. */
  forget(): void {
    this.#held = undefined
    this.#away = undefined
    this.fault = undefined
  }

  /** @throws ConclaveError what the stores throw, of a zone without a timeline */
  async look(): Promise<void> {
    const stores = this.#options.stores()
    if (stores === undefined) return
    try {
      this.#held = await this.#withOthers(await heldKeys(stores, this.#options.apex))
      this.fault = undefined
    } catch (error) {
      if (this.#options.stored().timeline === undefined) throw error
      this.fault = error instanceof Error ? error.message : String(error)
      this.#options.log.warn('a key store cannot be asked', { zone: this.#options.zone, why: this.fault })
    }
    this.#tellMissing()
  }

  /** I3. */
  async #withOthers(own: HeldKeys): Promise<HeldKeys> {
    this.#away = undefined
    // Those that do nothing any more too: they are destroyed where they are.
    const lacking = this.#lackingIn(own).map(({ id }) => id)
    if (lacking.length === 0) return own
    const found = new Map<string, KeyStore>()
    const infos = [...own.infos]
    for (const store of await this.#options.otherStores()) {
      for (const info of await this.#keysIn(store)) {
        if (!lacking.includes(info.id) || found.has(info.id)) continue
        found.set(info.id, store)
        infos.push(info)
      }
      if (found.size === lacking.length) break
    }
    return { infos, storeOf: id => own.storeOf(id) ?? found.get(id) }
  }

  /** I2. */
  async #keysIn(store: KeyStore): Promise<readonly KeyInfo[]> {
    try {
      return await keysOfZone(store, this.#options.apex)
    } catch {
      this.#away ??= store
      return this.held.filter(({ id }) => this.#held?.storeOf(id) === store)
    }
  }

  /** Key tags of those that are missing. */
  get missingTags(): readonly number[] {
    const { missing } = this
    return this.infos.filter(({ id }) => missing.includes(id)).map(({ keyTag }) => keyTag)
  }

  /** I1. */
  #tellMissing(): void {
    const { missing } = this
    const text = missing.join()
    if (text === this.#told) return
    this.#told = text
    if (missing.length === 0) return
    const { log, zone } = this.#options
    log.error('keys of the zone are in no key store that can be asked; nothing is made in their place', {
      zone,
      tags: this.missingTags,
    })
  }

  /** Where the key is, or ought to be. */
  storeOf(info: KeyInfo): KeyStore {
    return this.#held?.storeOf(info.id) ?? this.#away ?? storeOfRole(this.#options.stores()!, info.role)
  }

  /** The private key is gone afterwards, if it was not before.
   *  @throws ConclaveError what the store throws */
  async destroy(id: string): Promise<void> {
    const held = this.#held
    const store = held?.storeOf(id)
    if (store === undefined && (this.fault !== undefined || this.#away !== undefined))
      throw away(this.#options.zone)
    if (held === undefined || store === undefined) return
    await store.destroy(id)
    this.#held = {
      infos: held.infos.filter(info => info.id !== id),
      storeOf: other => (other === id ? undefined : held.storeOf(other)),
    }
  }
}

/** A key that may be there is not taken for destroyed. */
function away(zone: string): ConclaveError {
  return new ConclaveError(
    'KEY_UNREADABLE',
    'a key store that may have a key to be destroyed cannot be asked',
    {
      place: { zone },
      remedy: 'It is tried again; have the key store back.',
    },
  )
}
