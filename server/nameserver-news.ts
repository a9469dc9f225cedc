/** What a nameserver tells of itself: lines of the log, and events for whoever listens.
 *  I1  Each listener is called, whatever another one throws. */
import type { EventEmitter } from 'node:events'
import type { Logger } from '../base/index.ts'
import { DIGEST_SHA256, dnskeyRdata, dsRdata, dsText, type KeyInfo } from '../signer/index.ts'
import { canonicalName, faultText, type Name, nameToText } from '../zones/index.ts'
import type { NameserverEvents } from './nameserver-types.ts'
import { type Refusal, waitsForApproval } from './refusal.ts'
import type { RolloverStep } from './zone-keys-types.ts'
import type { PublishedVersion } from './zone-life-types.ts'

/** Of a refused version; `status` has them all. */
const FAULTS_LOGGED_MAX = 10

export class NameserverNews {
  readonly #emitter: EventEmitter<NameserverEvents>
  readonly #log: Logger
  /** By zone: the approval that was told of last. */
  readonly #waitsFor = new Map<string, string>()

  constructor(emitter: EventEmitter<NameserverEvents>, log: Logger) {
    this.#emitter = emitter
    this.#log = log
  }

  /** I1. */
  tell<E extends keyof NameserverEvents>(event: E, ...values: NameserverEvents[E]): void {
    for (const listener of this.#emitter.rawListeners(event)) {
      try {
        Reflect.apply(listener, this.#emitter, values)
      } catch (error) {
        this.#log.error('a listener of an event failed', { event, error })
      }
    }
  }

  keysMade(apex: Name, made: readonly KeyInfo[]): void {
    const zone = nameToText(canonicalName(apex))
    for (const key of made) {
      const ds = key.role === 'zsk' ? undefined : dsText(apex, dsRdata(apex, dnskeyRdata(key), DIGEST_SHA256))
      const { role, keyTag: tag, where: file } = key
      this.#log.info('key made', { zone, role, tag, file })
      this.tell('key', { zone, key, ...(ds === undefined ? {} : { ds }) })
    }
  }

  rollover(step: RolloverStep): void {
    const { zone, action, reason } = step
    const keys = step.keys.map(({ role, tag }) => `${role} ${tag}`)
    this.#log.info('keys', { zone, action, reason, keys })
    this.tell('rollover', step)
  }

  published(version: PublishedVersion): void {
    const { zone, serial, signaturesMade, reason, warnings } = version
    this.#waitsFor.delete(zone)
    this.#log.info('published', { zone, serial, signaturesMade, reason })
    for (const { what, place, rule } of warnings) this.#log.warn(what, { ...place, rule })
    this.tell('published', version)
  }

  refused(source: string, refusal: Refusal, zone: string | undefined): void {
    const { code, what, faults } = refusal
    const of = zone === undefined ? {} : { zone }
    if (waitsForApproval(refusal) && zone !== undefined) this.#waits(zone, what)
    else this.#tellRefused({ ...of, source, code, what }, faults)
    this.tell('refused', { ...of, source, refusal })
  }

  /** Once: it is tried again and again. */
  #waits(zone: string, what: string): void {
    if (this.#waitsFor.get(zone) === what) return
    this.#waitsFor.set(zone, what)
    this.#log.warn('operators have to approve; what was served goes on', { zone, what })
  }

  #tellRefused(fields: Readonly<Record<string, string>>, faults: Refusal['faults']): void {
    this.#log.error('version refused; what was served goes on', {
      ...fields,
      faults: faults.slice(0, FAULTS_LOGGED_MAX).map(faultText),
      ...(faults.length > FAULTS_LOGGED_MAX ? { faultsInAll: faults.length } : {}),
    })
  }

  expiring(zone: string, firstExpirationUnix: number, now: number): void {
    const firstExpiresInSeconds = Math.floor(firstExpirationUnix - now)
    this.#log.warn('signatures are due and were not made anew', { zone, firstExpiresInSeconds })
    this.tell('expiring', { zone, firstExpirationUnix })
  }

  /** A zone file has gone: it is served on until the server restarts. */
  lost(zone: string, file: string): void {
    this.#log.warn('the zone file is gone; its last version is served until a restart', { zone, file })
  }
}
