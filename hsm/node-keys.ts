/** The shares a node holds, by key and epoch, as its storage has them.
 *
 *    prepared ──all members echo the same──▶ active ──a new epoch is confirmed──▶ erased
 *        └──abandoned, or another session of the key is prepared or active──▶ erased
 *
 *  I1  What is answered with was read from, or made durable in, the storage before.
 *  I2  Shares belong to the coordinator under which they were made; another one neither sees nor uses them.
 *  I3  At most one epoch of a key is active: the newest there is. What it supersedes is erased after it is durable, and if a crash
 *      comes between, at the next start (`tidy`).
 *  I4  An active share goes for a newer active one only, or when it is erased by name: never for one that is prepared. */

import { FrostQuorum } from './frost.ts'
import { decodeKeyRecord, dnskeyField, type QuorumKeyRecord, quorumKeyId } from './key-record.ts'
import { RsaQuorum } from './rsa.ts'

export interface StoredShare {
  /** Name of the coordinator it was made under (I2). */
  readonly coordinator: string
  readonly state: 'prepared' | 'active'
  /** The session that made it, and what its members echo; hex and octets. */
  readonly session: string
  readonly echo: Uint8Array
  /** Encoded QuorumKeyRecord. */
  readonly record: Uint8Array
  readonly index: number
  readonly share: bigint
}

/** Where shares are kept, encrypted at rest. */
export interface ShareStorage {
  load(): readonly StoredShare[]
  /** Resolves when it is durable, in place of one with the same session and coordinator. */
  save(share: StoredShare): Promise<void>
  /** Resolves when it is gone. */
  remove(share: StoredShare): Promise<void>
}

/** A share and all that is worked out from it once. */
export interface HeldShare extends StoredShare {
  readonly id: string
  readonly parsed: QuorumKeyRecord
  /** DNSKEY RDATA. */
  readonly dnskey: Uint8Array
  readonly keyTag: number
  readonly scheme:
    | { readonly kind: 'frost'; readonly quorum: FrostQuorum }
    | { readonly kind: 'rsa'; readonly quorum: RsaQuorum }
}

/** RFC 4034 §2.1.1: Zone Key; RFC 3757: Secure Entry Point. */
const FLAGS_ZSK = 256
const FLAGS_SEP = 257

export class NodeKeys {
  readonly #storage: ShareStorage
  readonly #held = new Map<string, HeldShare>()

  constructor(storage: ShareStorage) {
    this.#storage = storage
    for (const stored of storage.load()) {
      const held = heldShare(stored)
      this.#held.set(nameOf(held), held)
    }
  }

  active(coordinator: string, id: string): HeldShare | undefined {
    const active = this.all(coordinator).filter(held => held.id === id && held.state === 'active')
    return active.sort((a, b) => b.parsed.epoch - a.parsed.epoch)[0]
  }

  /** One that waits for its confirmation. */
  prepared(coordinator: string, session: string): HeldShare | undefined {
    return this.all(coordinator).find(held => held.session === session)
  }

  all(coordinator: string): HeldShare[] {
    return [...this.#held.values()].filter(held => held.coordinator === coordinator)
  }

  /** I1. A coordinator begins a session of a key only when there is none that it will confirm: an earlier one is over.
   *  @throws RangeError for a record that is none */
  async prepare(stored: StoredShare): Promise<HeldShare> {
    const held = heldShare(stored)
    await this.#storage.save(stored)
    this.#held.set(nameOf(held), held)
    for (const other of this.#others(held)) if (other.state === 'prepared') await this.erase(other)
    return held
  }

  /** What was prepared in that session will not be confirmed. */
  async abandon(coordinator: string, session: string): Promise<void> {
    const held = this.prepared(coordinator, session)
    if (held?.state === 'prepared') await this.erase(held)
  }

  /** Makes it the active epoch, and erases the one before (I3). */
  async activate(held: HeldShare): Promise<void> {
    const stored: StoredShare = { ...storedOf(held), state: 'active' }
    await this.#storage.save(stored)
    this.#held.set(nameOf(held), { ...held, state: 'active' })
    await this.#eraseSuperseded(held)
  }

  /** I3. */
  async tidy(): Promise<void> {
    for (const held of [...this.#held.values()]) {
      if (held === this.active(held.coordinator, held.id)) await this.#eraseSuperseded(held)
    }
  }

  async #eraseSuperseded(active: HeldShare): Promise<void> {
    for (const other of this.#others(active)) {
      if (other.parsed.epoch <= active.parsed.epoch) await this.erase(other)
    }
  }

  /** Of the same key, by other sessions. */
  #others({ coordinator, id, session }: HeldShare): HeldShare[] {
    return this.all(coordinator).filter(other => other.id === id && other.session !== session)
  }

  async erase(held: HeldShare): Promise<void> {
    await this.#storage.remove(storedOf(held))
    this.#held.delete(nameOf(held))
  }
}

function storedOf({ coordinator, state, session, echo, record, index, share }: HeldShare): StoredShare {
  return { coordinator, state, session, echo, record, index, share }
}

/** A session makes one share. */
function nameOf({ coordinator, session }: StoredShare): string {
  return `${session} ${coordinator}`
}

/** @throws RangeError for a record that is none */
function heldShare(stored: StoredShare): HeldShare {
  const parsed = decodeKeyRecord(stored.record)
  if (parsed === undefined) throw new RangeError('the record of a share cannot be read')
  const dnskey = dnskeyOf(parsed)
  return {
    ...stored,
    id: quorumKeyId(parsed),
    parsed,
    dnskey,
    keyTag: keyTagOf(dnskey),
    scheme:
      parsed.scheme.kind === 'frost'
        ? { kind: 'frost', quorum: new FrostQuorum(parsed.scheme.key) }
        : { kind: 'rsa', quorum: new RsaQuorum(parsed.scheme.key) },
  }
}

/** DNSKEY RDATA of a key (RFC 4034 §2.1). */
export function dnskeyOf(record: QuorumKeyRecord): Uint8Array {
  const flags = record.role === 'zsk' ? FLAGS_ZSK : FLAGS_SEP
  return Uint8Array.of(flags >> 8, flags & 255, 3, record.algorithm, ...dnskeyField(record))
}

/** RFC 4034 Appendix B. */
export function keyTagOf(dnskey: Uint8Array): number {
  let sum = 0
  for (const [at, octet] of dnskey.entries()) sum += (at & 1) === 0 ? octet << 8 : octet
  return (sum + (sum >>> 16)) & 0xffff
}

export function keyTagOfRecord(record: QuorumKeyRecord): number {
  return keyTagOf(dnskeyOf(record))
}
