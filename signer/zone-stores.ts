/** Where the keys of one zone are: one store, or one for KSKs and CSKs and another for ZSKs, so that a KSK can be in a token
 *  or held by a quorum while ZSKs are files. */

import { type Name, sameName } from '../zones/index.ts'
import type { KeyInfo, KeyRole, KeyStore } from './keystore.ts'

export interface ZoneStores {
  /** Of KSKs and CSKs. */
  readonly ksk: KeyStore
  readonly zsk: KeyStore
}

/** Keys of a zone, and where each of them is. */
export interface HeldKeys {
  readonly infos: readonly KeyInfo[]
  /** The store of the key with that id; undefined when none has it. */
  storeOf(id: string): KeyStore | undefined
}

export function oneStore(store: KeyStore): ZoneStores {
  return { ksk: store, zsk: store }
}

export function storeOfRole(stores: ZoneStores, role: KeyRole): KeyStore {
  return role === 'zsk' ? stores.zsk : stores.ksk
}

/** The zone's keys in all of its stores.
 *  @throws ConclaveError when a store cannot say (keystore I5) */
export async function heldKeys(stores: ZoneStores, zone: Name): Promise<HeldKeys> {
  const home = new Map<string, KeyStore>()
  const infos: KeyInfo[] = []
  for (const store of new Set([stores.ksk, stores.zsk])) {
    for (const info of await keysOfZone(store, zone)) {
      if (home.has(info.id)) continue
      home.set(info.id, store)
      infos.push(info)
    }
  }
  return { infos, storeOf: id => home.get(id) }
}

export async function keysOfZone(store: KeyStore, zone: Name): Promise<KeyInfo[]> {
  if (store.keysOf !== undefined) return store.keysOf(zone)
  return (await store.list()).filter(key => sameName(key.zone, zone))
}
