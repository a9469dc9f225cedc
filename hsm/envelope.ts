/** A message between coordinator and node: CBOR (RFC 8949), signed by its sender, fit for one receiver, one time, and the two
 *  processes that run now. CURVE below it hides and authenticates the link; this says who speaks, and that it is not said twice.
 *
 *    [payload, signature]      payload = [version, from, to, boot, peer's boot, sequence, in reply to, body]
 *
 *  I1  A boot is the start of a process: its time in ms, then random octets. A receiver takes a peer's newer boot in place of
 *      an older one, never the other way, and only from a hello; every other message names the receiver's own boot.
 *  I2  Sequences of a boot ascend; what is not above the last one taken is a copy, or late, and is dropped.
 *  I3  What is malformed, not signed by the peer, for somebody else or dropped changes nothing. */

import { randomBytes } from 'node:crypto'
import { decode, encode } from 'cborg'
import { type Identity, isSignedBy, type PublicIdentity, signAs } from './identity.ts'

export const PROTOCOL_VERSION = 2
/** A batch of 1,000 RRsets of some hundred octets, several times over. */
export const MESSAGE_OCTETS_MAX: number = 8 << 20
const BOOT_OCTETS = 16
const LABEL = 'envelope'

export interface Received {
  readonly sequence: number
  readonly inReplyTo: number | undefined
  readonly body: unknown
}

export type Receipt =
  | { readonly kind: 'received'; readonly message: Received }
  | { readonly kind: 'dropped'; readonly why: string }

/** A new boot at that time. */
export function newBoot(nowUnix: number): Uint8Array {
  const boot = randomBytes(BOOT_OCTETS)
  boot.writeBigUInt64BE(BigInt(Math.floor(nowUnix * 1000)))
  return new Uint8Array(boot)
}

/** One end of the talk with one peer. */
export class Conversation {
  readonly #own: Identity
  readonly #peer: PublicIdentity
  readonly #boot: Uint8Array
  #peerBoot: Uint8Array | undefined
  #sent = 0
  #taken = 0

  constructor(own: Identity, peer: PublicIdentity, boot: Uint8Array) {
    this.#own = own
    this.#peer = peer
    this.#boot = boot
  }

  get peerBoot(): Uint8Array | undefined {
    return this.#peerBoot
  }

  /** The octets, and the sequence that an answer will name. */
  write(body: unknown, inReplyTo?: number): { readonly octets: Uint8Array; readonly sequence: number } {
    this.#sent++
    const payload = encode([
      PROTOCOL_VERSION,
      this.#own.publicIdentity.name,
      this.#peer.name,
      this.#boot,
      this.#peerBoot ?? null,
      this.#sent,
      inReplyTo ?? null,
      body,
    ])
    return { octets: encode([payload, signAs(this.#own, LABEL, payload)]), sequence: this.#sent }
  }

  /** Reads what came. `opens`: whether a body may begin a talk with a new boot (I1). */
  read(octets: Uint8Array, opens: (body: unknown) => boolean): Receipt {
    const payload = this.#open(octets)
    if (payload === undefined) return dropped('it is malformed, or not by the peer')
    const [version, from, to, boot, peerBoot, sequence, inReplyTo, body] = payload
    if (version !== PROTOCOL_VERSION) return dropped(`its version is ${String(version)}`)
    if (from !== this.#peer.name || to !== this.#own.publicIdentity.name)
      return dropped('it is for somebody else')
    if (!isBoot(boot) || !isSequence(sequence) || !(inReplyTo === null || isSequence(inReplyTo))) {
      return dropped('it is malformed')
    }
    const order = this.#peerBoot === undefined ? 1 : Buffer.compare(boot, this.#peerBoot)
    if (order < 0) return dropped('it is from an earlier start of the peer')
    const ours = isBoot(peerBoot) && Buffer.compare(peerBoot, this.#boot) === 0
    if (!ours && !opens(body)) return dropped('it is for an earlier start of ours')
    if (order === 0 && sequence <= this.#taken) return dropped('it came before')
    this.#peerBoot = boot
    this.#taken = sequence
    return { kind: 'received', message: { sequence, inReplyTo: inReplyTo ?? undefined, body } }
  }

  #open(octets: Uint8Array): readonly unknown[] | undefined {
    if (octets.length > MESSAGE_OCTETS_MAX) return undefined
    const outer = decodeList(octets, 2)
    const [payload, signature] = outer ?? []
    if (!(payload instanceof Uint8Array) || !(signature instanceof Uint8Array)) return undefined
    if (!isSignedBy(this.#peer, signature, LABEL, payload)) return undefined
    return decodeList(payload, 8)
  }
}

function dropped(why: string): Receipt {
  return { kind: 'dropped', why }
}

/** RFC 8949 §4.2: one encoding of everything; anything else is not ours. */
function decodeList(octets: Uint8Array, length: number): readonly unknown[] | undefined {
  try {
    const value: unknown = decode(octets, {
      strict: true,
      allowIndefinite: false,
      allowUndefined: false,
      allowNaN: false,
      allowInfinity: false,
      rejectDuplicateMapKeys: true,
    })
    return Array.isArray(value) && value.length === length ? value : undefined
  } catch {
    return undefined
  }
}

function isBoot(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.length === BOOT_OCTETS
}

function isSequence(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0
}
