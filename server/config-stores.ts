/** Key stores of a configuration, by name.
 *  I1  Those of zones' policies are open; any other is opened when a zone's keys are looked for in it (known-keys.ts).
 *  I2  A store that was opened is there until the configuration has it no more, or otherwise: zones that have another one
 *      now go on with their keys in it. */
import { isDeepStrictEqual } from 'node:util'
import type { Clock, Logger } from '../base/index.ts'
import {
  type KeyStore,
  openQuorumStore,
  Pkcs11KeyStore,
  pinFromFile,
  type ZoneStores,
} from '../signer/index.ts'
import type { RoleStores } from './config-shape.ts'
import type { KeystoreConfiguration } from './config-types.ts'
import { type LateStoreOptions, lateStore, openOrLate } from './late-store.ts'

export interface StoreSurroundings {
  readonly clock: Clock
  readonly log: Logger
  /** Keys in files; without a directory, those of the state directory. */
  openFiles(directory?: string): Promise<KeyStore>
}

/** Stores that are open and not in use yet. */
export interface OpenedStores {
  /** Puts them in place, and gives those that are used no more. */
  take(): KeyStore[]
  close(): Promise<void>
}

export interface StoresWanted {
  readonly configured: ReadonlyMap<string, KeystoreConfiguration>
  /** Names of those that are to be open. */
  readonly open: Iterable<string>
  /** Names of those that are used no more as they are. */
  readonly close: readonly string[]
  /** Those that are away are tried again later. */
  readonly late: boolean
}

interface NamedStore {
  readonly store: KeyStore
  readonly configuration: KeystoreConfiguration
}

/** The name, which no configured store has, of the files in the state directory. */
const STATE_FILES = ''

export class ConfiguredStores {
  readonly #surroundings: StoreSurroundings
  readonly #stores = new Map<string, NamedStore>()

  constructor(surroundings: StoreSurroundings) {
    this.#surroundings = surroundings
  }

  /** All that are to be open or, when one cannot be opened, none.
   *  @throws ConclaveError KEY_UNREADABLE, PKCS11_… */
  async open(wanted: StoresWanted): Promise<OpenedStores> {
    const opened = new Map<string, NamedStore>()
    const close = async (): Promise<void> => {
      for (const { store } of opened.values()) await store.close()
    }
    try {
      for (const name of wanted.open) {
        const configuration = wanted.configured.get(name)!
        if (await this.#isOpen(name, configuration)) continue
        const options = this.#options(name, configuration)
        const store = wanted.late ? await openOrLate(options) : await options.open()
        opened.set(name, { store, configuration })
      }
    } catch (error) {
      await close()
      throw error
    }
    return { take: () => this.#take(opened, wanted), close }
  }

  /** Whether it is there as configured; one that nobody needed so far is opened now.
   *  @throws ConclaveError KEY_UNREADABLE */
  async #isOpen(name: string, configuration: KeystoreConfiguration): Promise<boolean> {
    const known = this.#stores.get(name)
    if (known === undefined || !isDeepStrictEqual(known.configuration, configuration)) return false
    try {
      await known.store.list()
      return true
    } catch (error) {
      // It was never open; when its fault is mended, it is opened anew.
      this.#stores.delete(name)
      throw error
    }
  }

  #take(opened: ReadonlyMap<string, NamedStore>, { configured, close }: StoresWanted): KeyStore[] {
    const names = new Set([...opened.keys(), ...close])
    const replaced = [...names].flatMap(name => this.#stores.get(name)?.store ?? [])
    for (const name of names) this.#stores.delete(name)
    for (const [name, store] of opened) this.#stores.set(name, store)
    for (const [name, configuration] of withStateFiles(configured)) {
      if (this.#stores.has(name)) continue
      this.#stores.set(name, { store: lateStore(this.#options(name, configuration)), configuration })
    }
    return replaced
  }

  #options(name: string, configuration: KeystoreConfiguration): LateStoreOptions {
    const { clock, log } = this.#surroundings
    return { name, clock, log, open: () => openStore(configuration, this.#surroundings) }
  }

  /** The stores of a zone's keys; they are open. */
  of({ ksk, zsk }: RoleStores): ZoneStores {
    return { ksk: this.#stores.get(ksk)!.store, zsk: this.#stores.get(zsk)!.store }
  }

  /** All of them, files first; those of no zone's policy are opened when they are asked. */
  all(): KeyStore[] {
    const all = [...this.#stores.values()]
    const isFile = ({ configuration }: NamedStore): boolean => configuration.type === 'file'
    return [...all.filter(isFile), ...all.filter(one => !isFile(one))].map(({ store }) => store)
  }

  async close(): Promise<void> {
    for (const { store } of this.#stores.values()) await store.close()
    this.#stores.clear()
  }
}

/** Where keys are while nobody says anything else is always among them: zones may have keys there from before. */
function withStateFiles(
  configured: ReadonlyMap<string, KeystoreConfiguration>,
): ReadonlyMap<string, KeystoreConfiguration> {
  const isThere = [...configured.values()].some(
    store => store.type === 'file' && store.directory === undefined,
  )
  return isThere ? configured : new Map([...configured, [STATE_FILES, { type: 'file' }]])
}

function openStore(store: KeystoreConfiguration, surroundings: StoreSurroundings): Promise<KeyStore> {
  const { clock, log } = surroundings
  switch (store.type) {
    case 'file':
      return surroundings.openFiles(store.directory)
    case 'quorum':
      return openQuorumStore({ file: store.file, clock, log, lead: true })
    case 'pkcs11': {
      const { uri, pinFile, pinEnvironment, keys } = store
      return Pkcs11KeyStore.open({
        uri,
        clock,
        log,
        ...(pinFile === undefined ? {} : { pin: () => pinFromFile(pinFile, log) }),
        ...(pinEnvironment === undefined ? {} : { pinVariable: pinEnvironment }),
        ...(keys === undefined ? {} : { keys }),
      })
    }
  }
}
