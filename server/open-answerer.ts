/** How a thread comes by its answerer: the store's, or that of a module which a test names. */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { type StoreHandle, StoreReader } from '../zones/reading.ts'
import { type Answerer, type AnswererOptions, createAnswerer } from './answerer.ts'

/** What travels to a worker thread. */
export interface AnswererSettings {
  readonly udpOctetsMax?: number
  /** URL of a module that exports `openAnswerer` with the signature of the one here. */
  readonly module?: string
}

export interface OpenedAnswerer {
  readonly answerer: Answerer
  /** Of its reader, for `Store.clearReader`; −1: none. */
  readonly slot: number
}

export async function openAnswerer(
  handle: StoreHandle,
  settings: AnswererSettings,
  counters: Float64Array,
  own: Pick<AnswererOptions, 'keyring' | 'now' | 'seen'> = {},
): Promise<OpenedAnswerer> {
  if (settings.module !== undefined) {
    const load = createRequire(import.meta.url)
    const other = load(fileURLToPath(settings.module)) as { openAnswerer: typeof openAnswerer }
    return other.openAnswerer(handle, {}, counters)
  }
  const reader = new StoreReader(handle)
  const { udpOctetsMax } = settings
  const options = { counters, ...own, ...(udpOctetsMax === undefined ? {} : { udpOctetsMax }) }
  return { answerer: createAnswerer(reader, options), slot: reader.slot }
}
