/** Keys on a PKCS #11 token, held and used by the token, reached through a child process (pkcs11-link.ts).
 *
 *    Pkcs11KeyStore ── Link ══ IPC ══▶ child ── pkcs11js ──▶ library ──▶ token
 *
 *  I1  Keys and their ids outlive the child: a key's object is looked up again in each life of it.
 *  I2  What the token cannot do now is `unavailable`, and a key that it does not sign with is `refused`; neither throws.
 *  I3  Signatures are not verified here: the gate does that, for every store alike (verify-signature I1).
 *  I4  No two keys of a zone in one store share a key tag, nor one that either would have when revoked (RFC 5011 §2.1). */

import { randomBytes } from 'node:crypto'
import {
  type Clock,
  ConclaveError,
  type Logger,
  type Place,
  silentLogger,
  systemClock,
} from '../base/index.ts'
import { type Name, nameToText } from '../zones/index.ts'
import { algorithmOf, RSA_BITS_DEFAULT, RSA_BITS_GENERATE_MIN, RSA_BITS_MAX } from './algorithms.ts'
import { keyTagsOf } from './dnskey.ts'
import { KeyRing } from './key-ring.ts'
import {
  type Capabilities,
  type GenerateSpec,
  type KeyInfo,
  type KeyStore,
  type SignBatch,
  type SignOptions,
  type SignOutcome,
  sameOutcome,
} from './keystore.ts'
import { type Fault, isOfTheKey } from './pkcs11-faults.ts'
import { type NamedTokenKey, type StoredKey, storedKeys } from './pkcs11-keys.ts'
import { printLabel } from './pkcs11-labels.ts'
import { Link, type LinkFault } from './pkcs11-link.ts'
import { modulesOf } from './pkcs11-modules.ts'
import { PIN_VARIABLE, pinFromEnvironment, pinFromFile } from './pkcs11-pin.ts'
import type { Answer, SignAnswer, TokenFacts } from './pkcs11-protocol.ts'
import { type Pkcs11Uri, parsePkcs11Uri, pinFileOf } from './pkcs11-uri.ts'
import type { Secret } from './secret.ts'

export interface Pkcs11Options {
  /** RFC 7512. Token, serial and so on choose the token; id and object, when given, the keys on it. */
  readonly uri: string
  /** Path of the library; default: what the URI says. */
  readonly module?: string
  /** Asked once, when the token wants a PIN. Default: pin-source of the URI, else the variable. */
  readonly pin?: (token: TokenFacts) => Promise<Secret>
  /** Environment variable with the PIN; default CONCLAVE_PIN. The child does not see it. */
  readonly pinVariable?: string
  /** Keys that other programs made, and what they are for. */
  readonly keys?: readonly NamedTokenKey[]
  /** Signatures that the token makes at once; default 4. */
  readonly sessions?: number
  /** A call of the library that takes longer is taken for hung; default 30. */
  readonly callSecondsMax?: number
  /** Variables for the library, beside those of this process. */
  readonly environment?: Readonly<Record<string, string>>
  readonly clock?: Clock
  readonly log?: Logger
  /** The program of the child; for tests. */
  readonly child?: URL
}

export const PKCS11_SESSIONS_DEFAULT = 4
export const PKCS11_CALL_SECONDS_DEFAULT = 30
/** A batch takes 20 ms with SoftHSM, and seconds with a small token. */
const BATCH_MAX = 256
/** Batches that keep the token busy while the next is made and the last is verified. */
const IN_FLIGHT_MAX = 4
/** How long after a deadline the child may take to hand over what was signed by then. */
const GRACE_SECONDS = 0.5
const OBJECT_ID_OCTETS = 16
const GENERATE_TRIES_MAX = 32

export class Pkcs11KeyStore implements KeyStore {
  readonly #link: Link
  readonly #uri: Pkcs11Uri
  readonly #named: readonly NamedTokenKey[]
  readonly #clock: Clock
  #keys = new KeyRing<StoredKey>()
  /** Life of the child that the handles of #keys are of (I1). */
  #life = 0
  #reading: Promise<void> | undefined
  #nextReading: Promise<void> | undefined
  /** Keys are made one after the other, so that each knows the tags of the ones before (I4). */
  #making: Promise<unknown> = Promise.resolve()

  private constructor(link: Link, uri: Pkcs11Uri, options: Pkcs11Options) {
    this.#link = link
    this.#uri = uri
    this.#named = options.keys ?? []
    this.#clock = options.clock ?? systemClock
  }

  /** Logs in to the token and reads its keys.
   *  @throws ConclaveError PKCS11_…, KEY_UNREADABLE */
  static async open(options: Pkcs11Options): Promise<Pkcs11KeyStore> {
    const uri = parsePkcs11Uri(options.uri)
    const store = new Pkcs11KeyStore(new Link(linkOptions(uri, options)), uri, options)
    try {
      await store.#read()
    } catch (error) {
      await store.close()
      throw error
    }
    return store
  }

  /** Pid of the child that runs now. */
  get pid(): number | undefined {
    return this.#link.pid
  }

  capabilities(): Capabilities {
    const algorithms = this.#link.facts?.algorithms ?? []
    return { algorithms, batchMax: BATCH_MAX, inFlightMax: IN_FLIGHT_MAX, latency: 'token' }
  }

  async list(): Promise<KeyInfo[]> {
    await this.#readSoon()
    return Array.from(this.#keys.values(), key => key.info)
  }

  /** The token is read only for a zone that seems to have no key. */
  async keysOf(zone: Name): Promise<KeyInfo[]> {
    if (this.#keys.ofZone(zone).length === 0) await this.#readSoon()
    return this.#keys.ofZone(zone).map(key => key.info)
  }

  /** Resolves after a reading that began after the call. Those who ask while one is under way share the next. */
  #readSoon(): Promise<void> {
    if (this.#reading === undefined) return this.#read()
    this.#nextReading ??= this.#reading
      .catch(() => {})
      .then(() => {
        this.#nextReading = undefined
        return this.#read()
      })
    return this.#nextReading
  }

  #read(): Promise<void> {
    const reading = this.#readKeys().finally(() => {
      if (this.#reading === reading) this.#reading = undefined
    })
    this.#reading = reading
    return reading
  }

  async #readKeys(): Promise<void> {
    const fault = await this.#link.up()
    if (fault !== undefined) throw errorOf(fault, {})
    const life = this.#link.lives
    const answer = await this.#link.ask({ kind: 'list' }, life)
    if (answer.kind !== 'listed') throw errorOf(this.#heard(answer), {})
    const ring = new KeyRing<StoredKey>()
    for (const key of storedKeys(answer.keys, this.#link.facts!, this.#uri, this.#named)) ring.set(key)
    this.#keys = ring
    this.#life = life
  }

  /** What went wrong. After what is not of one key, the child is started anew. */
  #heard(answer: Answer | LinkFault): Fault {
    if (answer.kind !== 'fault') throw new Error(`an answer of the kind ${answer.kind}`)
    if (!('retryAfterSeconds' in answer) && RESTART.includes(answer.code)) this.#link.restart(answer)
    return answer
  }

  generate(spec: GenerateSpec): Promise<KeyInfo> {
    const made = this.#making.then(() => this.#make(spec))
    this.#making = made.catch(() => {})
    return made
  }

  async #make(spec: GenerateSpec): Promise<KeyInfo> {
    const { zone, role } = spec
    const place = { zone: nameToText(zone) }
    await this.#present()
    const { number: algorithm, kind } = algorithmOf(spec.algorithm)
    const bits = spec.bits ?? RSA_BITS_DEFAULT
    if (kind === 'rsa' && !(bits >= RSA_BITS_GENERATE_MIN && bits <= RSA_BITS_MAX)) {
      const remedy = `Ask for ${RSA_BITS_GENERATE_MIN} to ${RSA_BITS_MAX} bits.`
      throw new ConclaveError('KEY_GENERATE', `an RSA key of ${bits} bits`, { place, remedy })
    }
    if (!this.capabilities().algorithms.includes(algorithm)) {
      const remedy = 'Use another algorithm; `pkcs11-tool --list-mechanisms` shows what the token has.'
      throw new ConclaveError('ALGORITHM_UNSUPPORTED', `the token has no algorithm ${algorithm}`, {
        place,
        remedy,
      })
    }
    for (let tries = 0; tries < GENERATE_TRIES_MAX; tries++) {
      const label = printLabel({ zone, role, algorithm, createdUnix: Math.floor(this.#clock.now()) })
      const named = { objectId: randomBytes(OBJECT_ID_OCTETS), label: Buffer.from(label) }
      const life = this.#life
      const answer = await this.#link.ask({ kind: 'generate', algorithm, bits, ...named }, life)
      if (answer.kind !== 'generated') throw errorOf(this.#heard(answer), place)
      const [key] = storedKeys([answer.key], this.#link.facts!, {}, [])
      if (!this.#tagTaken(key!.info, spec)) {
        this.#keys.set(key!)
        return key!.info
      }
      await this.#link.ask({ kind: 'destroy', handle: key!.handle }, life)
    }
    throw new ConclaveError('KEY_GENERATE', 'no key with a key tag of its own could be made', {
      place,
      remedy: 'Remove keys of the zone that are no longer used.',
    })
  }

  /** I4 */
  #tagTaken(key: KeyInfo, { zone, avoidTags }: GenerateSpec): boolean {
    const taken = new Set(avoidTags)
    for (const { info } of this.#keys.ofZone(zone)) for (const tag of keyTagsOf(info)) taken.add(tag)
    return keyTagsOf(key).some(tag => taken.has(tag))
  }

  /** Has the child up and the handles of its life at hand (I1).
   *  @throws ConclaveError when the token cannot be had now */
  async #present(): Promise<void> {
    const fault = await this.#link.up()
    if (fault !== undefined) throw errorOf(fault, {})
    if (this.#life !== this.#link.lives) await this.#readSoon()
  }

  async sign(batch: SignBatch, options: SignOptions): Promise<SignOutcome[]> {
    const { count } = batch
    if (count > BATCH_MAX) throw new Error(`a batch of ${count} messages`)
    if (count === 0) return []
    if (options.signal?.aborted === true) return sameOutcome(count, unavailable('ABORTED', RETRY_SECONDS))
    if (this.#clock.now() >= options.deadlineUnix)
      return sameOutcome(count, unavailable('DEADLINE', RETRY_SECONDS))
    if (this.#keys.get(batch.key) === undefined) return sameOutcome(count, UNKNOWN)
    const away = await this.#away()
    if (away !== undefined) return sameOutcome(count, away)
    // Looked for once more: the token may have been read anew, and the key may be gone.
    const key = this.#keys.get(batch.key)
    if (key === undefined) return sameOutcome(count, UNKNOWN)
    return this.#outcomes(key, count, await this.#ask(key, batch, options))
  }

  /** I2: why the token cannot be had now. */
  async #away(): Promise<SignOutcome | undefined> {
    try {
      await this.#present()
      return undefined
    } catch (error) {
      if (!(error instanceof ConclaveError)) throw error
      const fault = await this.#link.up()
      return unavailable(error.code, fault?.retryAfterSeconds ?? RETRY_SECONDS)
    }
  }

  /** The child stops at the deadline by itself; an answer that does not come then is not waited for. */
  async #ask(
    key: StoredKey,
    { octets, offsets, count }: SignBatch,
    { deadlineUnix, signal }: SignOptions,
  ): Promise<SignAnswer | LinkFault | Answer> {
    const request = {
      kind: 'sign' as const,
      handle: key.handle,
      algorithm: key.info.algorithm,
      signatureOctets: key.signatureOctets,
      deadlineUnix,
      octets: octets.subarray(0, offsets[count]),
      offsets: offsets.subarray(0, count + 1),
      count,
    }
    const { answer, cancel } = this.#link.askWithCancel(request, this.#life)
    let give: (fault: LinkFault) => void = () => {}
    const given = new Promise<LinkFault>(resolve => {
      give = resolve
    })
    const giveUp = (code: string) => (): void => {
      cancel()
      give({ kind: 'fault', code, what: code, retryAfterSeconds: RETRY_SECONDS })
    }
    const late = deadlineUnix - this.#clock.now() + GRACE_SECONDS
    const timer = Number.isFinite(late) ? this.#clock.after(late, giveUp('DEADLINE')) : undefined
    const abort = giveUp('ABORTED')
    signal?.addEventListener('abort', abort, { once: true })
    try {
      return await Promise.race([answer, given])
    } finally {
      timer?.cancel()
      signal?.removeEventListener('abort', abort)
    }
  }

  #outcomes(key: StoredKey, count: number, answer: Answer | LinkFault): SignOutcome[] {
    if (answer.kind === 'fault') {
      const wait = 'retryAfterSeconds' in answer ? answer.retryAfterSeconds : RETRY_SECONDS
      return sameOutcome(count, unavailable(answer.code, wait))
    }
    if (answer.kind !== 'signed') throw new Error(`an answer of the kind ${answer.kind}`)
    const { signatures, done, failure } = answer
    const failed =
      failure === undefined ? unavailable('PKCS11_FAILED', RETRY_SECONDS) : this.#failed(key, failure)
    return Array.from({ length: count }, (_, index) => {
      const start = index * key.signatureOctets
      if (done[index] !== 1) return failed
      return { kind: 'signed', signature: signatures.subarray(start, start + key.signatureOctets) }
    })
  }

  #failed({ info }: StoredKey, failure: Fault): SignOutcome {
    if (!isOfTheKey(failure.code)) this.#link.restart(failure)
    // Another program may have destroyed it: the token is read before it signs again.
    if (failure.code === 'PKCS11_KEY_GONE') this.#life = 0
    if (failure.code === 'PKCS11_KEY_REFUSED') return { kind: 'refused', code: failure.code, by: info.where }
    return unavailable(failure.code, RETRY_SECONDS)
  }

  /** Nothing is ever pending here. */
  resume(tickets: readonly string[]): Promise<SignOutcome[]> {
    return Promise.resolve(
      sameOutcome(tickets.length, { kind: 'refused', code: 'TICKET_UNKNOWN', by: 'key store' }),
    )
  }

  async destroy(key: string): Promise<void> {
    const place = { key }
    await this.#present()
    const found = this.#keys.get(key)
    if (found === undefined) {
      const remedy = 'List the keys with `conclave keys list`.'
      throw new ConclaveError('KEY_UNKNOWN', 'there is no such key on the token', { place, remedy })
    }
    const answer = await this.#link.ask({ kind: 'destroy', handle: found.handle }, this.#life)
    if (answer.kind !== 'destroyed') throw errorOf(this.#heard(answer), place)
    this.#keys.delete(key)
  }

  /** Logs out, and resolves when the child has ended. */
  close(): Promise<void> {
    return this.#link.close()
  }
}

const RETRY_SECONDS = 1
const UNKNOWN: SignOutcome = { kind: 'refused', code: 'KEY_UNKNOWN', by: 'key store' }
/** Faults of listing, making or destroying after which the child is of no more use. */
const RESTART: readonly string[] = ['PKCS11_TOKEN_LOST', 'PKCS11_FAILED']

function unavailable(code: string, retryAfterSeconds: number): SignOutcome {
  return { kind: 'unavailable', code, retryAfterSeconds: Math.max(RETRY_SECONDS, retryAfterSeconds) }
}

function errorOf(fault: Fault, place: Place): ConclaveError {
  const { code, what, remedy } = fault
  return new ConclaveError(code, what, remedy === undefined ? { place } : { place, remedy })
}

function linkOptions(uri: Pkcs11Uri, options: Pkcs11Options): ConstructorParameters<typeof Link>[0] {
  const { pinVariable = PIN_VARIABLE, log = silentLogger, sessions = PKCS11_SESSIONS_DEFAULT } = options
  const environment: NodeJS.ProcessEnv = { ...process.env, ...options.environment }
  delete environment[PIN_VARIABLE]
  delete environment[pinVariable]
  return {
    open: {
      modules: modulesOf(uri, options.module),
      choice: uri,
      callSecondsMax: options.callSecondsMax ?? PKCS11_CALL_SECONDS_DEFAULT,
    },
    // One more than sign: for finding keys.
    sessions: sessions + 1,
    pin: options.pin ?? (token => pinOf(uri, pinVariable, token, log)),
    environment,
    clock: options.clock ?? systemClock,
    log,
    child: options.child ?? new URL('./pkcs11-child.js', import.meta.url),
  }
}

async function pinOf(uri: Pkcs11Uri, variable: string, token: TokenFacts, log: Logger): Promise<Secret> {
  if (uri.pinSource !== undefined) return pinFromFile(pinFileOf(uri.pinSource), log)
  const pin = pinFromEnvironment(process.env, variable)
  if (pin !== undefined) return pin
  throw new ConclaveError('PKCS11_PIN_NEEDED', `the token ${JSON.stringify(token.label)} wants a PIN`, {
    remedy: `Write pin-source=file:/path into the URI, or set ${variable}.`,
  })
}
