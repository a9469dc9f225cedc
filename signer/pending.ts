/** Signatures that a key store has not made yet, because somebody has to approve them first (keystore.ts I4).
 *
 *    build ─▶ store: pending ─▶ ticket and octets are kept ─▶ store.resume ─▶ signed ─▶ the next build takes the RRSIG
 *
 *  I1  The octets with their times are the ones that the ticket stands for; the next build uses exactly those, and does
 *      not ask for the same RRset anew while a ticket is out.
 *  I2  A message belongs to an RRset when all of it but the times is the same (RFC 4034 §3.1.8.1). */

import { u32 } from '../zones/index.ts'
import type { KeyStore, SignOutcome } from './keystore.ts'

export interface PendingSignature {
  /** Id of the key. */
  readonly key: string
  readonly ticket: string
  /** The RRSIG-to-be-signed. */
  readonly octets: Uint8Array
}

/** One of which there is an outcome. */
export interface ResumedSignature extends PendingSignature {
  readonly outcome: SignOutcome
}

/** RFC 4034 §3.1: type covered, algorithm, labels and original TTL come before the times, which take eight octets. */
const TIMES_START = 8
const TIMES_END = 16

/** Asks the stores what has become of pending signatures.
 *  @throws what a store throws for a bug */
export async function resumePending(
  pending: readonly PendingSignature[],
  storeOf: (key: string) => KeyStore | undefined,
): Promise<ResumedSignature[]> {
  const stores = new Map<KeyStore, PendingSignature[]>()
  for (const one of pending) {
    const store = storeOf(one.key)
    if (store !== undefined) stores.set(store, [...(stores.get(store) ?? []), one])
  }
  const resumed: ResumedSignature[] = []
  for (const [store, ours] of stores) {
    const outcomes = await store.resume(ours.map(({ ticket }) => ticket))
    ours.forEach((one, index) => {
      const outcome = outcomes[index]
      if (outcome !== undefined) resumed.push({ ...one, outcome })
    })
  }
  return resumed
}

/** What has become of tickets, found by what was to be signed. */
export class ResumedBook {
  readonly #byMessage = new Map<string, ResumedSignature>()

  constructor(resumed: readonly ResumedSignature[]) {
    for (const one of resumed) this.#byMessage.set(nameOf(one.key, one.octets), one)
  }

  get size(): number {
    return this.#byMessage.size
  }

  /** What was asked for that key and message before, whatever its times (I2). */
  find(key: string, message: Uint8Array): ResumedSignature | undefined {
    return this.#byMessage.get(nameOf(key, message))
  }
}

function nameOf(key: string, octets: Uint8Array): string {
  const message = Buffer.from(octets)
  message.fill(0, TIMES_START, TIMES_END)
  return `${key} ${message.toString('latin1')}`
}

/** When the signature that the octets stand for ends. */
export function expirationOf(octets: Uint8Array): number {
  return u32(octets, TIMES_START)
}
