/** A key store that makes nothing and signs nothing, in place of one that must not be asked now. */
import { type KeyStore, type SignOutcome, sameOutcome } from './keystore.ts'
import { BATCH_MESSAGES } from './rrsig.ts'

const RETRY_SECONDS = 60

/** What it says is `unavailable` with that code. */
export function sealedStore(code: string): KeyStore {
  const sealed: SignOutcome = { kind: 'unavailable', code, retryAfterSeconds: RETRY_SECONDS }
  const refuse = (): Promise<never> => Promise.reject(new Error(`the key store is not to be asked: ${code}`))
  return {
    capabilities: () => ({ algorithms: [], batchMax: BATCH_MESSAGES, inFlightMax: 1, latency: 'local' }),
    list: () => Promise.resolve([]),
    generate: refuse,
    sign: ({ count }) => Promise.resolve(sameOutcome(count, sealed)),
    resume: tickets => Promise.resolve(sameOutcome(tickets.length, sealed)),
    destroy: refuse,
    close: () => Promise.resolve(),
  }
}
