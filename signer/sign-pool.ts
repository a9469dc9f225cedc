/** A pool of threads that sign and verify batches, one per nameserver.
 *
 *    batch ──cut──▶ chunks ──queue──▶ thread (at most CHUNKS_AHEAD each) ──reply──▶ batch answered when all are
 *
 *  I1  Threads start when the first large batch comes and end after a while without work, which doubles each time up to an
 *      hour: koffi leaves 20 KiB behind of each thread that it was in. A server that signs an edit now and then has none.
 *      Small batches are done on the spot, or by node:crypto's threads when they are dear.
 *  I2  Every message of a batch gets an answer: done, or a failure with a code. When a thread dies, the chunks it had
 *      fail whole with CRYPTO_THREAD_LOST and the next chunk starts another thread.
 *  I3  An idle pool does not keep the process alive. */

import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type Clock, ConclaveError, systemClock, type Timer } from '../base/index.ts'
import { type ChunkReply, type CryptoChunk, runChunk } from './crypto-chunk.ts'
import { type LoadedKey, makeSignatureLater } from './verify-signature.ts'

export interface PoolOptions {
  /** Default: one less than there are cores, and at least one. */
  readonly threads?: number
  readonly clock?: Clock
  /** The module a thread runs; for tests. */
  readonly worker?: URL
}

/** The messages of a SignBatch; see there. */
export interface Messages {
  readonly octets: Uint8Array
  readonly offsets: Uint32Array
  readonly count: number
}

export interface PoolSignOptions {
  readonly deadlineUnix?: number
  readonly signal?: AbortSignal | undefined
}

export type PoolFailure = 'CRYPTO_THREAD_LOST' | 'DEADLINE' | 'ABORTED' | 'CLOSED' | 'CRYPTO_FAULT'

export interface PoolResult {
  /** Signature i is at i × signatureOctets, in shared memory of this batch alone. */
  readonly signatures: Uint8Array
  readonly signatureOctets: number
  /** By message: 1 when signed or right. */
  readonly done: Uint8Array
  /** Why messages are not done; when verifying, wrong signatures are not failures. */
  readonly failure?: PoolFailure
  /** What node:crypto said, for CRYPTO_FAULT. */
  readonly fault?: string
}

/** Work worth at most this is done on the calling thread at once: less than the wake-up of another costs in latency. */
const SPOT_MICROSECONDS = 300
/** Up to so many messages are signed by node:crypto's own threads rather than starting ours. */
const FEW_MESSAGES = 8
/** A chunk takes about so long: a round trip between threads costs 0.1 ms and wakes both, deadlines are kept to the chunk.
 *  Of P-256, two are what 384 names need (writer.ts). */
const CHUNK_MICROSECONDS = 12_000
/** One being worked on, one waiting, so that a thread does not idle while its reply travels. */
const CHUNKS_AHEAD = 2
const IDLE_SECONDS_MIN = 20
const IDLE_SECONDS_MAX = 3600

/** A batch on its way through the pool. */
interface Job {
  readonly deadlineUnix: number
  readonly signal: AbortSignal | undefined
  left: number
  failure: PoolFailure | undefined
  fault: string | undefined
  readonly finish: () => void
}

interface Task {
  readonly job: Job
  readonly work: CryptoChunk
}

interface Thread {
  readonly worker: Worker
  readonly tasks: Map<number, Task>
}

export class CryptoPool {
  readonly #threadsMax: number
  readonly #clock: Clock
  readonly #worker: URL
  #threads: Thread[] = []
  #queue: Task[] = []
  #chunks = 0
  #idle: Timer | undefined
  #idleSeconds = IDLE_SECONDS_MIN
  #closed = false

  constructor(options: PoolOptions = {}) {
    this.#threadsMax = options.threads ?? Math.max(1, availableParallelism() - 1)
    this.#clock = options.clock ?? systemClock
    this.#worker = options.worker ?? new URL('./crypto-worker.js', import.meta.url)
  }

  /** Threads that run now. */
  get threads(): number {
    return this.#threads.length
  }

  /** Signs every message with a private key. Never rejects: see `failure`. */
  async sign(key: LoadedKey, messages: Messages, options: PoolSignOptions = {}): Promise<PoolResult> {
    const signatures = new Uint8Array(new SharedArrayBuffer(messages.count * key.signatureOctets))
    const cost = messages.count * key.algorithm.signMicroseconds
    if (messages.count <= FEW_MESSAGES && cost > SPOT_MICROSECONDS) return signFew(key, messages, signatures)
    return this.#run(key, messages, signatures, false, key.algorithm.signMicroseconds, options)
  }

  /** Verifies one signature for each message: 1 by message where it is right.
   *  @throws ConclaveError CRYPTO_FAILED when the pool could not do it, which says nothing about the signatures */
  async verify(key: LoadedKey, messages: Messages, signatures: readonly Uint8Array[]): Promise<Uint8Array> {
    const { signatureOctets } = key
    const packed = new Uint8Array(new SharedArrayBuffer(messages.count * signatureOctets))
    signatures.forEach((signature, index) => {
      if (signature.length === signatureOctets) packed.set(signature, index * signatureOctets)
    })
    const result = await this.#run(key, messages, packed, true, key.algorithm.verifyMicroseconds, {})
    if (result.failure !== undefined) {
      throw new ConclaveError('CRYPTO_FAILED', `signatures could not be verified: ${result.failure}`, {
        cause: result.fault,
      })
    }
    signatures.forEach((signature, index) => {
      if (signature.length !== signatureOctets) result.done[index] = 0
    })
    return result.done
  }

  /** Ends the threads; work under way fails with CLOSED. */
  async close(): Promise<void> {
    this.#closed = true
    this.#idle?.cancel()
    const threads = this.#threads
    const waiting = this.#queue
    this.#threads = []
    this.#queue = []
    for (const thread of threads) waiting.push(...thread.tasks.values())
    for (const thread of threads) thread.tasks.clear()
    await Promise.all(threads.map(thread => thread.worker.terminate()))
    for (const task of waiting) endTask(task, 'CLOSED')
  }

  #run(
    key: LoadedKey,
    messages: Messages,
    signatures: Uint8Array,
    verify: boolean,
    microseconds: number,
    options: PoolSignOptions,
  ): Promise<PoolResult> {
    const { octets, offsets, count } = messages
    const { signatureOctets } = key
    const done = new Uint8Array(new SharedArrayBuffer(count))
    const base = { ...key, verify, algorithm: key.algorithm.number, signatures, done }
    const result = { signatures, signatureOctets, done }
    if (count * microseconds <= SPOT_MICROSECONDS) {
      const fault = runChunk({ ...base, octets, offsets, chunk: 0, start: 0, end: count })
      return Promise.resolve(fault === undefined ? result : { ...result, failure: 'CRYPTO_FAULT', fault })
    }
    const size = Math.max(1, Math.floor(CHUNK_MICROSECONDS / microseconds))
    const work = { ...base, octets: shared(octets), offsets: shared(offsets) }
    return new Promise(resolve => {
      const job: Job = {
        deadlineUnix: options.deadlineUnix ?? Number.POSITIVE_INFINITY,
        signal: options.signal,
        left: Math.ceil(count / size),
        failure: this.#closed ? 'CLOSED' : undefined,
        fault: undefined,
        finish: () => {
          const { failure, fault } = job
          resolve({ ...result, ...(failure && { failure }), ...(fault !== undefined && { fault }) })
        },
      }
      if (job.failure !== undefined) return job.finish()
      for (let start = 0; start < count; start += size) {
        const end = Math.min(count, start + size)
        this.#queue.push({ job, work: { ...work, chunk: this.#chunks++, start, end } })
      }
      this.#pump()
    })
  }

  /** Gives waiting chunks to threads, the least busy first; another thread is started while all have work. */
  #pump(): void {
    let next = 0
    while (next < this.#queue.length) {
      const task = this.#queue[next]!
      const failure = this.#lateness(task.job)
      if (failure !== undefined) endTask(task, failure)
      else {
        const thread = this.#freeThread()
        if (thread === undefined) break
        this.#give(thread, task)
      }
      next++
    }
    this.#queue.splice(0, next)
    this.#watchIdle()
  }

  #lateness(job: Job): PoolFailure | undefined {
    if (job.signal?.aborted === true) return 'ABORTED'
    return this.#clock.now() > job.deadlineUnix ? 'DEADLINE' : undefined
  }

  #freeThread(): Thread | undefined {
    let free: Thread | undefined
    for (const thread of this.#threads) {
      if (free === undefined || thread.tasks.size < free.tasks.size) free = thread
    }
    const busy = free === undefined || free.tasks.size > 0
    if (busy && this.#threads.length < this.#threadsMax) return this.#start()
    return free === undefined || free.tasks.size >= CHUNKS_AHEAD ? undefined : free
  }

  #start(): Thread {
    // Small heaps: a thread allocates a few octets a signature and keeps none.
    const resourceLimits = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 64 }
    const worker = new Worker(this.#worker, { name: 'conclave-crypto', execArgv: [], resourceLimits })
    const thread: Thread = { worker, tasks: new Map() }
    worker.unref()
    worker.on('message', (reply: ChunkReply) => this.#replied(thread, reply))
    worker.on('error', error => this.#lost(thread, error))
    worker.on('exit', () => this.#lost(thread, undefined))
    this.#threads.push(thread)
    return thread
  }

  #give(thread: Thread, task: Task): void {
    if (thread.tasks.size === 0) thread.worker.ref()
    thread.tasks.set(task.work.chunk, task)
    thread.worker.postMessage(task.work)
  }

  #replied(thread: Thread, reply: ChunkReply): void {
    const task = thread.tasks.get(reply.chunk)
    if (task === undefined) return
    thread.tasks.delete(reply.chunk)
    if (thread.tasks.size === 0) thread.worker.unref()
    if (reply.fault !== undefined) task.job.fault ??= reply.fault
    endTask(task, reply.fault === undefined ? undefined : 'CRYPTO_FAULT')
    this.#pump()
  }

  #lost(thread: Thread, error: Error | undefined): void {
    this.#threads = this.#threads.filter(other => other !== thread)
    const tasks = [...thread.tasks.values()]
    thread.tasks.clear()
    for (const task of tasks) {
      if (error !== undefined) task.job.fault ??= error.message
      // Half a chunk may be done; all of it fails, so that what is answered does not depend on where the thread died.
      task.work.done.fill(0, task.work.start, task.work.end)
      endTask(task, 'CRYPTO_THREAD_LOST')
    }
    if (!this.#closed) this.#pump()
  }

  #watchIdle(): void {
    const working = this.#queue.length > 0 || this.#threads.some(thread => thread.tasks.size > 0)
    if (working || this.#threads.length === 0) {
      this.#idle?.cancel()
      this.#idle = undefined
    } else this.#idle ??= this.#clock.after(this.#idleSeconds, () => this.#retire())
  }

  #retire(): void {
    this.#idle = undefined
    this.#idleSeconds = Math.min(2 * this.#idleSeconds, IDLE_SECONDS_MAX)
    const threads = this.#threads
    this.#threads = []
    for (const thread of threads) void thread.worker.terminate()
  }
}

function endTask(task: Task, failure: PoolFailure | undefined): void {
  task.job.failure ??= failure
  task.job.left--
  if (task.job.left === 0) task.job.finish()
}

async function signFew(key: LoadedKey, messages: Messages, signatures: Uint8Array): Promise<PoolResult> {
  const { octets, offsets, count } = messages
  const { signatureOctets } = key
  const done = new Uint8Array(count)
  const result = { signatures, signatureOctets, done }
  const sign = async (index: number): Promise<void> => {
    const message = octets.subarray(offsets[index], offsets[index + 1])
    signatures.set(await makeSignatureLater(key, message), index * signatureOctets)
    done[index] = 1
  }
  const ended = await Promise.allSettled(Array.from({ length: count }, (_, index) => sign(index)))
  const failed = ended.find(one => one.status === 'rejected')
  return failed === undefined ? result : { ...result, failure: 'CRYPTO_FAULT', fault: String(failed.reason) }
}

/** The array in shared memory: itself, or a copy (cloning a message would copy its whole buffer for every chunk). */
function shared<T extends Uint8Array | Uint32Array>(array: T): T {
  if (array.buffer instanceof SharedArrayBuffer) return array
  const copy =
    array instanceof Uint8Array
      ? new Uint8Array(new SharedArrayBuffer(array.byteLength))
      : new Uint32Array(new SharedArrayBuffer(array.byteLength))
  copy.set(array)
  return copy as T
}
