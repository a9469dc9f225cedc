/** Links that lose, double, delay, reorder and garble what is sent, with liars at either end. */

import { randomBytes } from 'node:crypto'
import type { Identity } from '../../../hsm/identity.ts'
import type { NodeAnswer, NodeRequest } from '../../../hsm/messages.ts'
import type { NodeLink } from '../../../hsm/quorum.ts'
import { bodyOf, coordinatorLie, garbled, lieOf, retold } from './lies.ts'
import type { SimulatedNode, World } from './world.ts'

export interface Weather {
  readonly drop: number
  readonly double: number
  readonly garble: number
  readonly delaySecondsMax: number
}

/** Nothing is lost on the way, but one message may overtake another, which its receiver then drops (envelope.ts I2). */
export const CALM: Weather = { drop: 0, double: 0, garble: 0, delaySecondsMax: 0.002 }

export class SimulatedLink implements NodeLink {
  readonly #world: World
  readonly #node: SimulatedNode
  #call: (octets: Uint8Array) => void = () => {}
  #closed = false

  constructor(world: World, node: SimulatedNode) {
    this.#world = world
    this.#node = node
  }

  send(octets: Uint8Array): void {
    if (this.#closed) return
    const { chance, coordinatorLies, coordinatorIdentity, told } = this.#world
    if (coordinatorLies > 0) told.push(bodyOf(octets))
    const sent = chance.happens(coordinatorLies)
      ? retold(octets, coordinatorIdentity, body => coordinatorLie(chance, body, told))
      : octets
    this.#world.witness.passes(sent)
    this.#world.noteSession(bodyOf(sent) as NodeRequest | undefined)
    this.#carry(sent, one => this.#atNode(one))
  }

  /** As the weather is. */
  #carry(octets: Uint8Array, deliver: (octets: Uint8Array) => void): void {
    const { chance, clock, weather } = this.#world
    const copies = chance.happens(weather.double) ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      if (chance.happens(weather.drop)) continue
      const arrives = chance.happens(weather.garble) ? garbled(chance, octets) : octets
      clock.after(chance.next() * weather.delaySecondsMax, () => deliver(arrives))
    }
  }

  #atNode(octets: Uint8Array): void {
    const { node } = this.#node
    if (node === undefined) return
    const request = bodyOf(octets) as NodeRequest | undefined
    void node.receive('coordinator', octets).then(answer => {
      if (answer === undefined || this.#node.node !== node) return
      if (this.#node.isHonest) this.#world.witness.answered(this.#node, request, bodyOf(answer) as NodeAnswer)
      const said = this.#said(answer, request)
      if (said === undefined) return
      this.#world.witness.passes(said)
      this.#carry(said, one => {
        if (!this.#closed) this.#call(one)
      })
    })
  }

  /** What the node says instead, when it lies. */
  #said(answer: Uint8Array, request: NodeRequest | undefined): Uint8Array | undefined {
    const { lie, identity, pledged } = this.#node
    const { chance } = this.#world
    if (lie === undefined || !chance.happens(0.8)) return answer
    if (lie === 'silent') return undefined
    if (lie === 'garbage')
      return chance.happens(0.5) ? garbled(chance, answer) : new Uint8Array(randomBytes(40))
    const begun = this.#world.sessionOf(request)
    const member = (name: string): Identity => this.#world.named(name).identity
    return retold(answer, identity, body =>
      lieOf(lie, chance, body as NodeAnswer, { identity, request, begun, member, pledged }),
    )
  }

  onMessage(call: (octets: Uint8Array) => void): void {
    this.#call = call
  }

  close(): void {
    this.#closed = true
  }
}
