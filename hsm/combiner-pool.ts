/** Combines on threads: milliseconds a signature that the thread of a coordinator has better use for.
 *
 *  I1  A thread that dies costs its batch (rejected, so tried again by who asked) and is replaced at the next one.
 *  I2  Threads are started with the first batch, and do not hold the process. */

import { Worker } from 'node:worker_threads'
import type { Combiner, SignatureParts } from './combiner.ts'

export interface CombinerWork {
  readonly number: number
  readonly record: Uint8Array
  readonly parts: readonly SignatureParts[]
}

export type CombinerReply =
  | { readonly number: number; readonly signatures: readonly (Uint8Array | undefined)[] }
  | { readonly number: number; readonly fault: string }

interface Lane {
  readonly worker: Worker
  /** Parts under way. */
  load: number
}

interface Waiting {
  readonly lane: Lane
  readonly parts: number
  readonly resolve: (signatures: (Uint8Array | undefined)[]) => void
  readonly reject: (error: Error) => void
}

/** So that a batch is shared by all threads, and none gets crumbs. */
const PARTS_AT_ONCE = 16

export class CombinerPool implements Combiner {
  readonly #threads: number
  readonly #lanes: Lane[] = []
  readonly #waiting = new Map<number, Waiting>()
  #number = 0

  constructor(threads: number) {
    this.#threads = threads
  }

  async combine(record: Uint8Array, parts: readonly SignatureParts[]): Promise<(Uint8Array | undefined)[]> {
    const pieces: SignatureParts[][] = []
    for (let at = 0; at < parts.length; at += PARTS_AT_ONCE) pieces.push(parts.slice(at, at + PARTS_AT_ONCE))
    const done = await Promise.all(pieces.map(piece => this.#give(record, piece)))
    return done.flat()
  }

  async close(): Promise<void> {
    const lanes = this.#lanes.splice(0)
    await Promise.all(lanes.map(({ worker }) => worker.terminate()))
  }

  #give(record: Uint8Array, parts: readonly SignatureParts[]): Promise<(Uint8Array | undefined)[]> {
    const lane = this.#lane()
    const number = ++this.#number
    lane.load += parts.length
    const work: CombinerWork = { number, record, parts }
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { lane, parts: parts.length, resolve, reject })
      lane.worker.postMessage(work)
    })
  }

  /** A new thread while there may be more and all have work, or the one with the least. */
  #lane(): Lane {
    const idlest = [...this.#lanes].sort((a, b) => a.load - b.load)[0]
    if (idlest !== undefined && (idlest.load === 0 || this.#lanes.length === this.#threads)) return idlest
    const worker = new Worker(new URL('./combiner-worker.js', import.meta.url), {
      name: 'conclave-combiner',
      execArgv: [],
    })
    worker.unref()
    const lane: Lane = { worker, load: 0 }
    worker.on('message', (reply: CombinerReply) => this.#took(reply))
    worker.on('error', error => this.#lost(lane, error))
    worker.on('exit', () => this.#lost(lane, new Error('a thread that combines has ended')))
    this.#lanes.push(lane)
    return lane
  }

  #took(reply: CombinerReply): void {
    const waiting = this.#waiting.get(reply.number)
    if (waiting === undefined) return
    this.#waiting.delete(reply.number)
    waiting.lane.load -= waiting.parts
    if ('fault' in reply) waiting.reject(new Error(reply.fault))
    else waiting.resolve([...reply.signatures])
  }

  /** I1. */
  #lost(lane: Lane, error: unknown): void {
    const at = this.#lanes.indexOf(lane)
    if (at >= 0) this.#lanes.splice(at, 1)
    for (const [number, waiting] of this.#waiting) {
      if (waiting.lane !== lane) continue
      this.#waiting.delete(number)
      waiting.reject(error instanceof Error ? error : new Error(String(error)))
    }
  }
}
