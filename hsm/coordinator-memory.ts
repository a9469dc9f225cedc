/** What a coordinator keeps over restarts: no secrets, but what others could otherwise make it forget.
 *
 *  I1  Kept whole, in one encoding; what cannot be read is an error, never an empty memory.
 *  I2  Saves are one after the other; the last one has everything that was noted before it was asked for. */

import { promises as fs } from 'node:fs'
import { decode, encode } from 'cborg'
import { z } from 'zod'
import { ConclaveError, isErrno, writeFileWhole } from '../base/index.ts'
import type { ReshareOutcome, SignedEcho } from './messages.ts'
import type { CoordinatorMemory } from './quorum.ts'
import { NODES_MAX } from './quorum-size.ts'

/** A session whose members all echoed the same, and of which some are still to be told. */
export interface Confirmation {
  readonly what: 'keygen' | 'reshare'
  readonly session: Uint8Array
  readonly echoes: readonly SignedEcho[]
  /** What a reshare came to, for those who were away. */
  readonly outcome?: ReshareOutcome
  /** Names of nodes that have not confirmed. */
  nodes: readonly string[]
}

export interface KnownHead {
  readonly length: number
  readonly head: Uint8Array
  readonly rolledBackUnix?: number
}

const VERSION = 1
const octets = (max: number): z.ZodType<Uint8Array> =>
  z.custom<Uint8Array>(value => value instanceof Uint8Array && value.length <= max)
const name = z.string().max(255)
const schema = z.strictObject({
  version: z.literal(VERSION),
  heads: z.array(z.tuple([name, z.number(), octets(32), z.number().nullable()])),
  records: z.array(octets(64 << 10)),
  confirmations: z.array(
    z.strictObject({
      what: z.enum(['keygen', 'reshare']),
      session: octets(64),
      echoes: z
        .array(z.strictObject({ index: z.number(), echo: octets(32), signature: octets(64) }))
        .max(NODES_MAX),
      outcome: z.exactOptional(z.strictObject({ record: octets(64 << 10), dealings: octets(32) })),
      nodes: z.array(name),
    }),
  ),
})

export class Memory {
  readonly heads: Map<string, KnownHead> = new Map()
  /** Encoded records of keys that were believed, by id. */
  readonly records: Map<string, Uint8Array> = new Map()
  confirmations: Confirmation[] = []
  readonly #storage: CoordinatorMemory
  #saving: Promise<void> = Promise.resolve()

  private constructor(storage: CoordinatorMemory) {
    this.#storage = storage
  }

  /** `idOf`: a record's key id, undefined when it is none.
   *  @throws ConclaveError HSM_MEMORY (I1) */
  static async open(
    storage: CoordinatorMemory,
    idOf: (record: Uint8Array) => string | undefined,
  ): Promise<Memory> {
    const memory = new Memory(storage)
    const kept = await storage.load()
    if (kept === undefined) return memory
    const parsed = parse(kept)
    if (parsed === undefined) throw unreadable()
    for (const [node, length, head, rolledBackUnix] of parsed.heads) {
      memory.heads.set(node, { length, head, ...(rolledBackUnix === null ? {} : { rolledBackUnix }) })
    }
    for (const record of parsed.records) {
      const id = idOf(record)
      if (id === undefined) throw unreadable()
      memory.records.set(id, record)
    }
    memory.confirmations = parsed.confirmations
    return memory
  }

  /** I2. */
  save(): Promise<void> {
    const saved = this.#saving.then(() => this.#storage.save(this.#encoded()))
    this.#saving = saved.catch(() => {})
    return saved
  }

  #encoded(): Uint8Array {
    return encode({
      version: VERSION,
      heads: [...this.heads].map(([node, { length, head, rolledBackUnix }]) => [
        node,
        length,
        head,
        rolledBackUnix ?? null,
      ]),
      records: [...this.records.values()],
      confirmations: this.confirmations.map(({ what, session, echoes, outcome, nodes }) => ({
        what,
        session,
        ...(outcome === undefined ? {} : { outcome: { ...outcome } }),
        echoes: echoes.map(({ index, echo, signature }) => ({ index, echo, signature })),
        nodes: [...nodes],
      })),
    })
  }
}

function parse(kept: Uint8Array): z.infer<typeof schema> | undefined {
  try {
    return schema.safeParse(decode(kept, { strict: true, allowIndefinite: false })).data
  } catch {
    return undefined
  }
}

function unreadable(): ConclaveError {
  return new ConclaveError('HSM_MEMORY', 'what the coordinator of the quorum remembers cannot be read', {
    remedy:
      'Restore the file, or remove it when its loss is understood: roll-backs of nodes go unnoticed once.',
  })
}

/** A file, written whole or not at all. */
export function fileMemory(path: string): CoordinatorMemory {
  return {
    async load() {
      try {
        return new Uint8Array(await fs.readFile(path))
      } catch (error) {
        if (isErrno(error, 'ENOENT')) return undefined
        throw error
      }
    },
    save: octets => writeFileWhole(path, octets, { mode: 0o600 }),
  }
}
