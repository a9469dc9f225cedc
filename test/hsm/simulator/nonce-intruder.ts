/** One who has the coordinator's secrets, and names nonces of nodes again (intruder.ts): for another message, beside another
 *  commitment of the others, twice in one batch, in a request that the node refuses first. Two different shares of one nonce are
 *  what gives a node's share of the key away; the witness knows them (witness.ts S1). */

import type { NumberedCommitment } from '../../../hsm/messages.ts'
import type { QuorumKey } from '../../../hsm/quorum.ts'
import type { Intruder } from './intruder.ts'
import type { SimulatedNode, World } from './world.ts'

type Sets = readonly (readonly NumberedCommitment[])[]

export class NonceIntruder {
  /** Shares that were given, one of each nonce. */
  given = 0
  readonly #world: World
  readonly #intruder: Intruder
  readonly #key: QuorumKey

  constructor(world: World, intruder: Intruder, key: QuorumKey) {
    this.#world = world
    this.#intruder = intruder
    this.#key = key
  }

  async again(): Promise<void> {
    const { chance, nodes, threshold } = this.#world
    const signers = chance.some(nodes, threshold)
    const [victim, ...others] = signers
    const own = await this.#commitment(victim!)
    const set = async (): Promise<NumberedCommitment[]> => {
      const beside = []
      for (const node of others) beside.push(await this.#commitment(node))
      return [own, ...beside]
    }
    const first = await set()
    const one = this.#world.message(this.#key)
    const requests: (readonly [readonly Uint8Array[], Sets])[] = [
      [[one], [first]],
      [[this.#world.message(this.#key)], [first]],
      [[one], [await set()]],
      [
        [one, this.#world.message(this.#key)],
        [first, first],
      ],
      [[this.#world.message(this.#key, { ttl: 10_000_000 })], [first]],
      [[one, one], [first]],
    ]
    let given = 0
    for (const [messages, sets] of chance.some(requests, requests.length)) {
      given += await this.#ask(victim!, messages, sets)
    }
    this.given += given
    if (given > 1) this.#intruder.believed++
  }

  async #commitment(node: SimulatedNode): Promise<NumberedCommitment> {
    const request = { kind: 'commit', key: this.#key.id, epoch: 1, count: 1 } as const
    return (await this.#intruder.expect(node, request, 'commitments')).commitments[0]!
  }

  /** How many shares come of it. */
  async #ask(node: SimulatedNode, messages: readonly Uint8Array[], sets: Sets): Promise<number> {
    const answer = await this.#intruder.ask(node, {
      kind: 'sign',
      key: this.#key.id,
      epoch: 1,
      messages,
      sets,
      approvals: [],
    })
    return answer?.kind === 'shares' ? answer.results.filter(({ kind }) => kind === 'share').length : 0
  }
}
