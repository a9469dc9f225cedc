/** Signing on several sessions of a token. A session does one operation at a time, so each is a lane that takes the next
 *  message of the oldest batch:
 *
 *    batches ─▶ queue ─▶ lane 1: SignInit, Sign; SignInit, Sign; …
 *                    └─▶ lane 2 … n                                  ─▶ answer when every message of a batch is
 *
 *  I1  A token that answers at once (SoftHSM: 0.1 ms) is called on the spot; one that takes its time is called through
 *      pkcs11js' threads, all lanes at once. What the last signatures took decides.
 *  I2  Nothing blocks for longer than one call or SPOT_MILLISECONDS between two turns of the event loop.
 *  I3  Buffers of a call under way belong to its lane and are held there (pkcs11js issue 121).
 *  I4  After the first failure of a batch nothing more of it is begun: a token that lost its session would fail a
 *      thousand times. Its other messages get the failure. */

import type { Cryptoki, Handle } from './pkcs11-cryptoki.ts'
import { type Fault, faultOf } from './pkcs11-faults.ts'
import type { Mechanisms } from './pkcs11-mechanisms.ts'
import { type Signing, signingOf } from './pkcs11-mechanisms.ts'
import type { SignAnswer, SignRequest } from './pkcs11-protocol.ts'

/** RSA with 4096 bits; an answer that does not fit would leave the operation open. */
const SIGNATURE_OCTETS_MAX = 512
/** Handing a call to a thread and back costs about so much. */
const SPOT_CALL_MILLISECONDS = 0.4
const SPOT_MILLISECONDS = 10
/** Weight of the newest signature in the running mean. */
const NEWEST = 0.2

interface Job {
  readonly request: SignRequest
  readonly signing: Signing
  readonly handle: Handle
  readonly signatures: Uint8Array
  readonly done: Uint8Array
  next: number
  underWay: number
  failure: Fault | undefined
}

interface Lane {
  readonly session: Handle
  readonly out: Buffer
  /** I3; also says that the lane is at work. */
  input: Buffer | undefined
  startedMilliseconds: number
}

export class Lanes {
  readonly #library: Cryptoki
  readonly #lanes: readonly Lane[]
  readonly #mechanisms: Mechanisms
  readonly #answer: (answer: SignAnswer) => void
  #jobs: Job[] = []
  #meanMilliseconds = 0
  #turning = false

  constructor(
    library: Cryptoki,
    sessions: readonly Handle[],
    mechanisms: Mechanisms,
    answer: (answer: SignAnswer) => void,
  ) {
    this.#library = library
    this.#lanes = sessions.map(session => ({
      session,
      // Not of Buffer's pool: the library writes there while others use that.
      out: Buffer.alloc(SIGNATURE_OCTETS_MAX),
      input: undefined,
      startedMilliseconds: 0,
    }))
    this.#mechanisms = mechanisms
    this.#answer = answer
  }

  get busy(): boolean {
    return this.#jobs.length > 0
  }

  /** When the oldest call that is under way began; undefined when none is. */
  get oldestMilliseconds(): number | undefined {
    const started = this.#lanes.filter(lane => lane.input !== undefined).map(lane => lane.startedMilliseconds)
    return started.length === 0 ? undefined : Math.min(...started)
  }

  add(request: SignRequest): void {
    const { algorithm, count, signatureOctets } = request
    const signing = signingOf(algorithm, this.#mechanisms)
    const job = {
      request,
      handle: Buffer.from(request.handle),
      signatures: new Uint8Array(count * signatureOctets),
      done: new Uint8Array(count),
      next: 0,
      underWay: 0,
    }
    if (signing === undefined) {
      const what = `the token has no mechanism for algorithm ${algorithm}`
      const { signatures, done } = job
      this.#answer({
        kind: 'signed',
        id: request.id,
        signatures,
        done,
        failure: { code: 'PKCS11_KEY_REFUSED', what },
      })
      return
    }
    this.#jobs.push({ ...job, signing, failure: undefined })
    this.#turn()
  }

  /** Begins no more of the batch; it is answered with what there is. */
  cancel(id: number): void {
    const job = this.#jobs.find(({ request }) => request.id === id)
    if (job !== undefined) job.failure ??= { code: 'ABORTED', what: 'the batch was given up' }
    this.#turn()
  }

  /** Asks for a turn of the event loop, once. */
  #turn(): void {
    if (this.#turning) return
    this.#turning = true
    setImmediate(() => {
      this.#turning = false
      this.#pump()
    })
  }

  #pump(): void {
    const end = performance.now() + SPOT_MILLISECONDS
    for (const lane of this.#lanes) {
      while (lane.input === undefined) {
        const job = this.#nextJob()
        if (job === undefined) return
        // I1
        if (this.#meanMilliseconds > SPOT_CALL_MILLISECONDS) void this.#signLater(lane, job, job.next++)
        else this.#signNow(lane, job, job.next++)
        // I2
        if (performance.now() > end) return this.#turn()
      }
    }
  }

  /** The oldest batch with a message that can be begun; batches that are at their end are answered. */
  #nextJob(): Job | undefined {
    for (const job of [...this.#jobs]) {
      if (job.failure === undefined && Date.now() / 1000 >= job.request.deadlineUnix)
        job.failure = { code: 'DEADLINE', what: 'the deadline has passed' }
      if (job.failure === undefined && job.next < job.request.count) return job
      if (job.underWay === 0) this.#finish(job)
    }
    return undefined
  }

  #finish(job: Job): void {
    this.#jobs = this.#jobs.filter(other => other !== job)
    const { request, signatures, done, failure } = job
    this.#answer({ kind: 'signed', id: request.id, signatures, done, failure })
  }

  #start(lane: Lane, job: Job, index: number): Buffer {
    const { octets, offsets } = job.request
    const input = job.signing.input(octets.subarray(offsets[index], offsets[index + 1]))
    lane.startedMilliseconds = performance.now()
    this.#library.C_SignInit(lane.session, { mechanism: job.signing.mechanism, parameter: null }, job.handle)
    return input
  }

  #signNow(lane: Lane, job: Job, index: number): void {
    try {
      const input = this.#start(lane, job, index)
      this.#take(lane, job, index, this.#library.C_Sign(lane.session, input, lane.out))
    } catch (error) {
      job.failure ??= faultOf(error)
    }
  }

  async #signLater(lane: Lane, job: Job, index: number): Promise<void> {
    job.underWay++
    try {
      lane.input = this.#start(lane, job, index)
      this.#take(lane, job, index, await this.#library.C_SignAsync(lane.session, lane.input, lane.out))
    } catch (error) {
      job.failure ??= faultOf(error)
    } finally {
      lane.input = undefined
      job.underWay--
      this.#turn()
    }
  }

  #take(lane: Lane, job: Job, index: number, signature: Buffer): void {
    const took = performance.now() - lane.startedMilliseconds
    this.#meanMilliseconds += NEWEST * (took - this.#meanMilliseconds)
    const { signatureOctets } = job.request
    if (signature.length !== signatureOctets) {
      const what = `the token gave a signature of ${signature.length} octets, not ${signatureOctets}`
      job.failure ??= { code: 'PKCS11_FAILED', what }
      return
    }
    job.signatures.set(signature, index * signatureOctets)
    job.done[index] = 1
  }
}
