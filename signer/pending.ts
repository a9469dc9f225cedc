/** Signatures that a key store has not made yet, because somebody has to approve them first (keystore.ts I4).
 *
 *    build ─▶ store: pending ─▶ ticket and octets are kept ─▶ a build that wants the same ─▶ store.resume ─▶ signed
 *
 *  I1  The octets with their times are the ones that the ticket stands for; a build that wants the RRset resumes exactly
 *      those, and does not ask anew while a ticket is out.
 *  I2  A message belongs to an RRset when all of it but the times is the same (RFC 4034 §3.1.8.1).
 *  I3  What a build does not want it does not resume, and is kept: a step of keys may wait while edits are published. */

import { u32 } from '../zones/index.ts'

export interface PendingSignature {
  /** Id of the key. */
  readonly key: string
  readonly ticket: string
  /** The RRSIG-to-be-signed. */
  readonly octets: Uint8Array
}

/** RFC 4034 §3.1: type covered, algorithm, labels and original TTL come before the times, which take eight octets. */
const TIMES_START = 8
const TIMES_END = 16

/** What waits from earlier builds, found by what is to be signed. */
export class PendingBook {
  readonly #byMessage = new Map<string, PendingSignature>()
  readonly #wanted = new Set<PendingSignature>()

  constructor(pending: readonly PendingSignature[]) {
    for (const one of pending) this.#byMessage.set(nameOf(one.key, one.octets), one)
  }

  get isEmpty(): boolean {
    return this.#byMessage.size === 0
  }

  /** What was asked for that key and message before, whatever its times (I2). */
  find(key: string, message: Uint8Array): PendingSignature | undefined {
    const found = this.#byMessage.get(nameOf(key, message))
    if (found !== undefined) this.#wanted.add(found)
    return found
  }

  /** Those that nobody wanted, and that would still be good for something then (I3). */
  unwanted(nowUnix: number): PendingSignature[] {
    return [...this.#byMessage.values()].filter(
      one => !this.#wanted.has(one) && expirationOf(one.octets) > nowUnix,
    )
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
