/** The part of zones/ that answering needs, for the threads that do nothing else: names, nodes, records as they are stored,
 *  and the store as a reader sees it. What makes zones from text is in index.ts, and takes some 40 modules more to load. */

export * from './name.ts'
export * from './node.ts'
export * from './rdata-canonical.ts'
export type { StoreHandle } from './store/memory.ts'
export { StoreReader } from './store/reader.ts'
export * from './types.ts'
export * from './zone-record.ts'
