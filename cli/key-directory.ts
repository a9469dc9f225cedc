/** A directory of keys, for every command that takes `--keys DIR`: files of ours, BIND's K* pairs, or both.
 *  I1  What one command takes for a zone's keys, all do: its pairs when it has any, else its files of ours. */

import type { Logger } from '../base/index.ts'
import { BindKeyStore, type CryptoPool, FileKeyStore, hasBindPairs, type KeyInfo } from '../signer/index.ts'
import { type Name, nameToText, sameName } from '../zones/index.ts'

/** A store whose private keys can be written elsewhere. */
export type DirectoryStore = FileKeyStore | BindKeyStore

export interface KeyDirectory {
  /** The files of ours alone: where keys of others are taken in. */
  readonly ours: FileKeyStore
  /** Of all zones. */
  list(): Promise<KeyInfo[]>
  /** Where the keys of the zone are; new ones go there, too (I1).
   *  @throws ConclaveError KEY_UNREADABLE */
  storeOf(zone: Name): Promise<DirectoryStore>
}

/** @throws ConclaveError KEY_UNREADABLE */
export async function openKeyDirectory(path: string, pool: CryptoPool, log: Logger): Promise<KeyDirectory> {
  const ours = await FileKeyStore.open(path, { pool, log })
  const pairs = (await hasBindPairs(path)) ? await BindKeyStore.open(path, { pool, log }) : undefined
  const inPairs = (await pairs?.list()) ?? []
  const others = (keys: readonly KeyInfo[]): KeyInfo[] =>
    keys.filter(({ id }) => inPairs.every(pair => pair.id !== id))
  return {
    ours,
    list: async () => [...inPairs, ...others(await ours.list())],
    async storeOf(zone) {
      if (pairs === undefined) return ours
      const files = await ours.keysOf(zone)
      // A pair of another zone must not hide a key of ours.
      if (files.length > 0 && !inPairs.some(key => sameName(key.zone, zone))) return ours
      for (const { where } of others(files)) {
        log.warn('the zone has K* pairs, so this file is not used', { file: where, zone: nameToText(zone) })
      }
      return pairs
    },
  }
}
