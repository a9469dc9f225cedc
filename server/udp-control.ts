/** What the main thread and a UDP thread tell each other. */
import type { StoreHandle } from '../zones/index.ts'
import type { AnswererSettings } from './open-answerer.ts'
import type { TsigKey } from './tsig-keyring.ts'
import type { BatchSocket } from './udp-batch.ts'

/** Word of the control block: not 0 when the thread shall end. */
export const CONTROL_STOP = 0
/** Counts the keys' changes: each has sent a message, all of the keys (`readonly TsigKey[]`), before it was counted. */
export const CONTROL_KEYS = 1

export interface WorkerData {
  readonly handle: StoreHandle
  readonly settings: AnswererSettings
  /** TSIG keys, as they were when the thread was started. */
  readonly keys: readonly TsigKey[]
  readonly sockets: readonly BatchSocket[]
  /** Where all threads note which questions were asked (answer-cache.ts). */
  readonly seen: SharedArrayBuffer
  /** The thread that starts it may give way at that moment. */
  readonly priority: number
  /** An eventfd that ends a wait. */
  readonly event: number
  readonly control: SharedArrayBuffer
  readonly counters: SharedArrayBuffer
  readonly transportCounters: SharedArrayBuffer
}

/** Sent once, when the thread serves. */
export interface WorkerReport {
  /** The slot of its reader in the store, to be cleared should it die; −1: none. */
  readonly slot: number
}
