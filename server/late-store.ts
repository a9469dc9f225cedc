/** A key store that is opened later: one that could not be opened when the server started, once it can be (zones with keys
 *  elsewhere do not wait for it, and its own are tried again, refusal.ts), or one of no zone's policy, once it is asked.
 *  I1  A fault that may pass is tried again, at most every RETRY_SECONDS; any other, for one a wrong PIN, never: a token
 *      locks itself after a few of those.
 *  I2  Until then nothing is made or signed: `list` throws KEY_UNREADABLE, and a zone is never taken for one without keys. */
import { type Clock, ConclaveError, type Logger } from '../base/index.ts'
import {
  type Capabilities,
  type GenerateSpec,
  type KeyInfo,
  type KeyStore,
  keysOfZone,
  type SignBatch,
  type SignOptions,
  type SignOutcome,
  sameOutcome,
} from '../signer/index.ts'
import type { Name } from '../zones/index.ts'

const RETRY_SECONDS = 10
/** Of a store that is not there; one is asked for more when it is. */
const BATCH_MAX = 1

/** What may be otherwise in a while: the token is plugged in, its library is back. */
const PASSING: ReadonlySet<string> = new Set([
  'KEY_UNREADABLE',
  'PKCS11_CRASHED',
  'PKCS11_SESSIONS',
  'PKCS11_TIMEOUT',
  'PKCS11_TOKEN_ABSENT',
  'PKCS11_TOKEN_LOST',
])

export interface LateStoreOptions {
  /** In the configuration. */
  readonly name: string
  readonly clock: Clock
  readonly log: Logger
  open(): Promise<KeyStore>
}

/** The store or, when it cannot be had now, one that stands in for it.
 *  @throws ConclaveError what does not pass by itself */
export async function openOrLate(options: LateStoreOptions): Promise<KeyStore> {
  try {
    return await options.open()
  } catch (error) {
    if (!mayPass(error)) throw error
    options.log.error('a key store is away; its zones wait for it', { keystore: options.name, error })
    return new LateStore(options, error)
  }
}

/** One that is opened when something is asked of it. */
export function lateStore(options: LateStoreOptions): KeyStore {
  return new LateStore(options)
}

function mayPass(error: unknown): error is ConclaveError {
  return error instanceof ConclaveError && PASSING.has(error.code)
}

class LateStore implements KeyStore {
  readonly #options: LateStoreOptions
  #fault: unknown
  #store: KeyStore | undefined
  #opening: Promise<KeyStore> | undefined
  #notBefore: number
  #closed = false

  constructor(options: LateStoreOptions, fault?: ConclaveError) {
    this.#options = options
    this.#fault = fault
    this.#notBefore = fault === undefined ? 0 : options.clock.now() + RETRY_SECONDS
  }

  /** @throws ConclaveError KEY_UNREADABLE */
  async #ready(): Promise<KeyStore> {
    if (this.#store !== undefined) return this.#store
    const due =
      (this.#fault === undefined || mayPass(this.#fault)) && this.#options.clock.now() >= this.#notBefore
    if (this.#closed || (!due && this.#opening === undefined)) throw this.#away()
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #open(): Promise<KeyStore> {
    const { open, clock, log, name } = this.#options
    try {
      const store = await open()
      if (!this.#closed) {
        this.#store = store
        if (this.#fault !== undefined) log.info('a key store is back', { keystore: name })
        return store
      }
      await store.close()
    } catch (error) {
      this.#fault = error
      if (!mayPass(error)) log.error('a key store is not tried again', { keystore: name, error })
    }
    this.#notBefore = clock.now() + RETRY_SECONDS
    throw this.#away()
  }

  #away(): ConclaveError {
    const why = this.#fault instanceof Error ? this.#fault.message : String(this.#fault)
    return new ConclaveError('KEY_UNREADABLE', `the key store ${this.#options.name} is away: ${why}`, {
      remedy: 'It is tried again by itself, unless its PIN is wrong: then mend that and restart.',
      cause: this.#fault,
    })
  }

  capabilities(): Capabilities {
    const none: Capabilities = { algorithms: [], batchMax: BATCH_MAX, inFlightMax: 1, latency: 'token' }
    return this.#store?.capabilities() ?? none
  }

  async list(): Promise<KeyInfo[]> {
    return (await this.#ready()).list()
  }

  async keysOf(zone: Name): Promise<KeyInfo[]> {
    const store = await this.#ready()
    return keysOfZone(store, zone)
  }

  async signedKeys(zone: Name): Promise<{ readonly text: string; readonly where: string } | undefined> {
    return (await this.#ready()).signedKeys?.(zone)
  }

  async generate(spec: GenerateSpec): Promise<KeyInfo> {
    return (await this.#ready()).generate(spec)
  }

  sign(batch: SignBatch, options: SignOptions): Promise<SignOutcome[]> {
    return this.#outcomes(batch.count, store => store.sign(batch, options))
  }

  resume(tickets: readonly string[]): Promise<SignOutcome[]> {
    return this.#outcomes(tickets.length, store => store.resume(tickets))
  }

  async #outcomes(count: number, ask: (store: KeyStore) => Promise<SignOutcome[]>): Promise<SignOutcome[]> {
    const store = await this.#ready().catch(() => undefined)
    if (store !== undefined) return ask(store)
    return sameOutcome(count, {
      kind: 'unavailable',
      code: 'KEY_UNREADABLE',
      retryAfterSeconds: RETRY_SECONDS,
    })
  }

  prepare(key: string, signatures: number): void {
    this.#store?.prepare?.(key, signatures)
  }

  async destroy(key: string): Promise<void> {
    return (await this.#ready()).destroy(key)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#opening?.catch(() => {})
    await this.#store?.close()
  }
}
