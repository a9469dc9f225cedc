/** Key stores of a configuration: opened by name, closed by name. */
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
import { openOrLate } from './late-store.ts'

export interface StoreSurroundings {
  readonly clock: Clock
  readonly log: Logger
  /** Keys in files; without a directory, those of the state directory. */
  openFiles(directory?: string): Promise<KeyStore>
}

/** Stores that are open and not in use yet. */
export interface OpenedStores {
  take(): KeyStore[]
  close(): Promise<void>
}

export class ConfiguredStores {
  readonly #surroundings: StoreSurroundings
  readonly #stores = new Map<string, KeyStore>()

  constructor(surroundings: StoreSurroundings) {
    this.#surroundings = surroundings
  }

  /** All of them or, when one cannot be opened, none; with `late`, those that are away are tried again later. `take` puts them in place and gives those they replace.
   *  @throws ConclaveError KEY_UNREADABLE, PKCS11_… */
  async open(wanted: ReadonlyMap<string, KeystoreConfiguration>, late: boolean): Promise<OpenedStores> {
    const opened = new Map<string, KeyStore>()
    const close = async (): Promise<void> => {
      for (const store of opened.values()) await store.close()
    }
    try {
      for (const [name, store] of wanted) {
        const { clock, log } = this.#surroundings
        const open = (): Promise<KeyStore> => openStore(store, this.#surroundings)
        opened.set(name, late ? await openOrLate({ name, clock, log, open }) : await open())
      }
    } catch (error) {
      await close()
      throw error
    }
    const take = (): KeyStore[] => {
      const replaced = [...opened.keys()].flatMap(name => this.#stores.get(name) ?? [])
      for (const [name, store] of opened) this.#stores.set(name, store)
      return replaced
    }
    return { take, close }
  }

  /** The stores of a zone's keys; they are open. */
  of({ ksk, zsk }: RoleStores): ZoneStores {
    return { ksk: this.#stores.get(ksk)!, zsk: this.#stores.get(zsk)! }
  }

  /** Closes stores that nobody uses any more, by their names. */
  async close(names: Iterable<string> = [...this.#stores.keys()]): Promise<void> {
    for (const name of names) {
      const store = this.#stores.get(name)
      this.#stores.delete(name)
      await store?.close()
    }
  }
}

function openStore(store: KeystoreConfiguration, surroundings: StoreSurroundings): Promise<KeyStore> {
  const { clock, log } = surroundings
  switch (store.type) {
    case 'file':
      return surroundings.openFiles(store.directory)
    case 'quorum':
      return openQuorumStore({ file: store.file, clock, log, lead: true })
    case 'pkcs11': {
      const { uri, pinFile, pinEnvironment } = store
      return Pkcs11KeyStore.open({
        uri,
        clock,
        log,
        ...(pinFile === undefined ? {} : { pin: () => pinFromFile(pinFile, log) }),
        ...(pinEnvironment === undefined ? {} : { pinVariable: pinEnvironment }),
      })
    }
  }
}
