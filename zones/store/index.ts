/** The store's public face. */
export { LEAF_OCTETS, type LeafRoom, leafRoom, type TreeCursor } from './cursor.ts'
export type { TreeDraft } from './draft.ts'
export type { StoreHandle } from './memory.ts'
export { StoreReader } from './reader.ts'
export { type Change, Store, type StoreOptions, type StoreStats } from './store.ts'
