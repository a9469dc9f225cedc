/** Which keys a coordinator believes to be there, from what nodes show.
 *
 *  I1  A key is believed when as many nodes as the threshold show the same record, each in its own place of it (quorum.ts I3).
 *  I2  Epochs only rise: nodes that show an older one than was confirmed hold shares that should be gone. */

import { decodeKeyRecord, type QuorumKeyRecord, quorumKeyId } from './key-record.ts'
import type { HeldKey } from './messages.ts'
import type { QuorumKey } from './quorum.ts'

export interface ShownKeys {
  readonly node: string
  readonly keys: readonly HeldKey[]
}

interface Shown {
  readonly id: string
  readonly record: QuorumKeyRecord
  readonly octets: Uint8Array
  readonly holders: string[]
}

/** Records by their octets: each is read once. */
const RECORDS_MAX = 20_000

export class KeyView {
  threshold: number
  readonly #known: Map<string, QuorumKey>
  readonly #read = new Map<string, QuorumKeyRecord | undefined>()

  /** `known`: records believed earlier, by id. */
  constructor(threshold: number, known: ReadonlyMap<string, Uint8Array>) {
    this.threshold = threshold
    this.#known = new Map(
      [...known].map(([id, octets]) => [id, { id, record: decodeKeyRecord(octets)!, octets, holders: [] }]),
    )
  }

  get keys(): QuorumKey[] {
    return [...this.#known.values()]
  }

  get(id: string): QuorumKey | undefined {
    return this.#known.get(id)
  }

  forget(id: string): void {
    this.#known.delete(id)
  }

  /** Takes in what the nodes that are up show now. What is new or has risen, and what is shown but not believed. */
  take(nodes: readonly ShownKeys[]): { readonly changed: QuorumKey[]; readonly doubtful: readonly Shown[] } {
    const all = this.#shown(nodes)
    const changed: QuorumKey[] = []
    for (const [id, key] of this.#known) {
      const same = all.find(one => one.id === id && Buffer.compare(one.octets, key.octets) === 0)
      this.#known.set(id, { ...key, holders: same?.holders ?? [] })
    }
    const doubtful: Shown[] = []
    for (const one of all) {
      const known = this.#known.get(one.id)
      const isKnown = known !== undefined && Buffer.compare(known.octets, one.octets) === 0
      const rises = known === undefined || one.record.epoch > known.record.epoch
      if (isKnown) continue
      if (!rises || one.holders.length < this.threshold) doubtful.push(one)
      else {
        this.#known.set(one.id, one)
        changed.push(one)
      }
    }
    return { changed, doubtful }
  }

  /** I1: by record. */
  #shown(nodes: readonly ShownKeys[]): Shown[] {
    const shown = new Map<string, Shown>()
    for (const { node, keys } of nodes) {
      for (const held of keys) {
        const name = Buffer.from(held.record).toString('latin1')
        const record = this.#recordOf(name, held.record)
        if (record === undefined || record.members[held.index - 1] !== node) continue
        if (quorumKeyId(record) !== held.key || record.epoch !== held.epoch) continue
        const one = shown.get(name) ?? { id: held.key, record, octets: held.record, holders: [] }
        if (!one.holders.includes(node)) one.holders.push(node)
        shown.set(name, one)
      }
    }
    return [...shown.values()]
  }

  #recordOf(name: string, octets: Uint8Array): QuorumKeyRecord | undefined {
    if (this.#read.has(name)) return this.#read.get(name)
    if (this.#read.size >= RECORDS_MAX) this.#read.clear()
    const record = decodeKeyRecord(octets)
    this.#read.set(name, record)
    return record
  }
}
