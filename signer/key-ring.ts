/** The keys of a local store, found by id and by zone; a server with ten thousand zones asks for each zone's. */

import { canonicalName, type Name } from '../zones/index.ts'
import type { KeyInfo } from './keystore.ts'

export class KeyRing<K extends { readonly info: KeyInfo }> {
  readonly #byId = new Map<string, K>()
  readonly #byZone = new Map<string, Map<string, K>>()

  get(id: string): K | undefined {
    return this.#byId.get(id)
  }

  values(): Iterable<K> {
    return this.#byId.values()
  }

  /** In the order they came. */
  ofZone(zone: Name): K[] {
    return [...(this.#byZone.get(zoneText(zone))?.values() ?? [])]
  }

  /** Takes a key, in place of one with its id. */
  set(key: K): void {
    const { id, zone } = key.info
    this.#byId.set(id, key)
    const text = zoneText(zone)
    const keys = this.#byZone.get(text) ?? new Map<string, K>()
    keys.set(id, key)
    this.#byZone.set(text, keys)
  }

  delete(id: string): void {
    const key = this.#byId.get(id)
    if (key === undefined) return
    this.#byId.delete(id)
    const text = zoneText(key.info.zone)
    const keys = this.#byZone.get(text)
    keys?.delete(id)
    if (keys?.size === 0) this.#byZone.delete(text)
  }

  clear(): void {
    this.#byId.clear()
    this.#byZone.clear()
  }
}

function zoneText(zone: Name): string {
  return Buffer.from(canonicalName(zone)).toString('latin1')
}
