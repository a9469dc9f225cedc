/** Where nodes' parts become signatures: it costs milliseconds each, and is nobody's secret.
 *  I1  What comes out was verified under the key's public key (frost.ts I3, rsa.ts I3); parts that make no signature give
 *      undefined, whatever is wrong with them. */

import { LRUCache } from 'lru-cache'
import { type FrostCommitment, FrostQuorum } from './frost.ts'
import { integerOf } from './integers.ts'
import { decodeKeyRecord, type QuorumKeyRecord } from './key-record.ts'
import { pkcs1Block, type RsaHash, RsaQuorum } from './rsa.ts'

export interface SignatureParts {
  readonly message: Uint8Array
  /** FROST: of the signing set; RSA: none. */
  readonly commitments: readonly FrostCommitment[]
  readonly shares: readonly { readonly index: number; readonly value: Uint8Array }[]
}

export interface Combiner {
  /** `record`: the key's, encoded. One answer an entry, in order. */
  combine(record: Uint8Array, parts: readonly SignatureParts[]): Promise<(Uint8Array | undefined)[]>
  close(): Promise<void>
}

/** A key without a share: what combines and checks. */
export type KeyAtWork =
  | { readonly kind: 'frost'; readonly record: QuorumKeyRecord; readonly quorum: FrostQuorum }
  | { readonly kind: 'rsa'; readonly record: QuorumKeyRecord; readonly quorum: RsaQuorum; hash: RsaHash }

/** Keys worked out from their records: some dozen kilobytes each. */
const KEYS_MAX = 256

export class KeysAtWork {
  readonly #keys = new LRUCache<string, KeyAtWork>({ max: KEYS_MAX })

  /** @throws RangeError for octets that are no sound record */
  of(octets: Uint8Array): KeyAtWork {
    const name = Buffer.from(octets).toString('latin1')
    const known = this.#keys.get(name)
    if (known !== undefined) return known
    const key = keyAtWork(octets)
    this.#keys.set(name, key)
    return key
  }
}

function keyAtWork(octets: Uint8Array): KeyAtWork {
  const record = decodeKeyRecord(octets)
  if (record === undefined) throw new RangeError('the record of a key cannot be read')
  const { scheme, algorithm } = record
  if (scheme.kind === 'frost') return { kind: 'frost', record, quorum: new FrostQuorum(scheme.key) }
  // RFC 5702 §3: algorithm 8 is SHA-256, 10 is SHA-512.
  const hash = algorithm === 10 ? 'sha512' : 'sha256'
  return { kind: 'rsa', record, quorum: new RsaQuorum(scheme.key), hash }
}

/** I1. */
export function combineParts(key: KeyAtWork, parts: SignatureParts): Uint8Array | undefined {
  const { message, commitments, shares } = parts
  try {
    if (key.kind === 'frost') return key.quorum.combine(commitments, shares, message)
    const x = pkcs1Block(key.hash, message, key.quorum.octets)
    return key.quorum.combine(
      x,
      shares.map(({ index, value }) => ({ index, value: integerOf(value) })),
    )
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** Combines in this thread, with a turn of the event loop after each. */
export class TurnByTurnCombiner implements Combiner {
  readonly #keys = new KeysAtWork()

  async combine(record: Uint8Array, parts: readonly SignatureParts[]): Promise<(Uint8Array | undefined)[]> {
    const key = this.#keys.of(record)
    const signatures: (Uint8Array | undefined)[] = []
    for (const one of parts) {
      signatures.push(combineParts(key, one))
      await new Promise(resolve => setImmediate(resolve))
    }
    return signatures
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
