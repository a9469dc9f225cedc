/** The keys of a local store, found by id and by zone; a server with ten thousand zones asks for each zone's. */

import { canonicalName, type Name } from '../zones/index.ts'
import type { LocalKey } from './local-keys.ts'

export class KeyRing {
  readonly #byId = new Map<string, LocalKey>()
  readonly #byZone = new Map<string, Map<string, LocalKey>>()

  get(id: string): LocalKey | undefined {
    return this.#byId.get(id)
  }

  values(): Iterable<LocalKey> {
    return this.#byId.values()
  }

  /** In the order they came. */
  ofZone(zone: Name): LocalKey[] {
    return [...(this.#byZone.get(zoneText(zone))?.values() ?? [])]
  }

  /** Takes a key, in place of one with its id. */
  set(key: LocalKey): void {
    const { id, zone } = key.info
    this.#byId.set(id, key)
    const text = zoneText(zone)
    const keys = this.#byZone.get(text) ?? new Map<string, LocalKey>()
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
