/** Nonce commitments of one node for one sharing of one key, fetched ahead, so that signing is one round trip.
 *
 *  I1  A commitment leaves the pool once. It may come back only when it was never named to anybody.
 *  I2  The pool is of one start of the node: another start empties it, since the nonces behind are gone.
 *  I3  What comes is checked: the node's own index, numbers not seen before, points. A node cannot speak for another. */

import { BATCH_UNITS } from './latency.ts'
import type { KeyEpoch, NodeRequest, NumberedCommitment } from './messages.ts'
import type { NodePeer } from './node-peer.ts'

export interface PoolOptions extends KeyEpoch {
  readonly peer: NodePeer
  /** The node's number among the key's members. */
  readonly index: number
  readonly isPoint: (octets: Uint8Array) => boolean
}

interface Wanted {
  readonly count: number
  readonly give: (commitments: readonly NumberedCommitment[] | undefined) => void
}

/** A request's worth: a node makes so many in about 50 ms. */
const FETCH_MAX = 64
/** Kept ready at most: memory of the node, too. */
const READY_MAX = 2048
const READY_MIN = 8

export class CommitmentPool {
  readonly #options: PoolOptions
  #boot: string
  #ready: NumberedCommitment[] = []
  #wanted: Wanted[] = []
  #highest = 0
  #target = READY_MIN
  #fetching = false

  constructor(options: PoolOptions) {
    this.#options = options
    this.#boot = options.peer.boot
  }

  get meter(): string {
    return `commit ${this.#options.key}`
  }

  /** So many, each for one signature; undefined when the node does not give them. */
  take(count: number): Promise<readonly NumberedCommitment[] | undefined> {
    this.#checkBoot()
    this.#target = Math.min(READY_MAX, Math.max(this.#target, 2 * count))
    return new Promise(give => {
      this.#wanted.push({ count, give })
      this.#serve()
    })
  }

  /** I1: of those that were taken and not sent. */
  giveBack(commitments: readonly NumberedCommitment[], boot: string): void {
    this.#checkBoot()
    if (boot === this.#boot) this.#ready.push(...commitments)
  }

  /** So many will be wanted soon. */
  prepare(count: number): void {
    this.#checkBoot()
    this.#target = Math.min(READY_MAX, Math.max(this.#target, count))
    this.#serve()
  }

  /** The node says that it does not know them any more. */
  drop(): void {
    this.#ready = []
  }

  #checkBoot(): void {
    const { boot } = this.#options.peer
    if (boot === this.#boot) return
    this.#boot = boot
    this.#ready = []
    this.#highest = 0
  }

  #serve(): void {
    while (this.#wanted.length > 0 && this.#wanted[0]!.count <= this.#ready.length) {
      const { count, give } = this.#wanted.shift()!
      give(this.#ready.splice(0, count))
    }
    const wanted = this.#wanted.reduce((sum, { count }) => sum + count, 0)
    const missing = Math.max(wanted, this.#target) - this.#ready.length
    // Half the target is the mark below which more is fetched.
    if (wanted > 0 || missing > this.#target / 2) this.#fetch(missing)
  }

  #fetch(missing: number): void {
    if (this.#fetching || missing <= 0) return
    this.#fetching = true
    const { peer, key, epoch } = this.#options
    const boot = this.#boot
    const count = Math.min(FETCH_MAX, missing)
    const request: NodeRequest = { kind: 'commit', key, epoch, count }
    void peer.ask(request, this.meter, BATCH_UNITS + count).then(asked => {
      this.#fetching = false
      this.#checkBoot()
      const came = asked.kind === 'answer' && asked.answer.kind === 'commitments'
      if (came && boot === this.#boot && this.#takeIn(asked.answer.commitments, count)) {
        this.#serve()
        return
      }
      // The node is not up, does not hold the key, or sent what cannot be.
      if (asked.kind === 'answer') peer.setBack()
      for (const { give } of this.#wanted.splice(0)) give(undefined)
    })
  }

  /** I3. */
  #takeIn(commitments: readonly NumberedCommitment[], count: number): boolean {
    const { index, isPoint } = this.#options
    if (commitments.length !== count) return false
    for (const one of commitments) {
      const right = one.index === index && one.nonce > this.#highest
      if (!right || !isPoint(one.hiding) || !isPoint(one.binding)) return false
      this.#highest = one.nonce
      this.#ready.push(one)
    }
    return true
  }
}

/** The pools of a coordinator: one each for node, key and epoch; an epoch's are forgotten with it. */
export class CommitmentPools {
  readonly #pools = new Map<string, CommitmentPool>()

  of(options: PoolOptions): CommitmentPool {
    const name = `${options.key} ${options.peer.name}`
    const known = this.#pools.get(name)
    if (known !== undefined && this.#epochs.get(name) === options.epoch) return known
    const pool = new CommitmentPool(options)
    this.#pools.set(name, pool)
    this.#epochs.set(name, options.epoch)
    return pool
  }

  readonly #epochs = new Map<string, number>()
}
