/** One who has the coordinator's secrets, and a false node beside (intruder.ts), where nodes make a key.
 *
 *    two stories        the false node pledges and shows different things to different nodes, and echoes what each wants to hear
 *    the last word      the false node sees what all others show, and would rather show something else than it has pledged
 *    too early          nodes are asked to show their round 1 for lists of pledges that are not whole, and again for others */

import { randomBytes } from 'node:crypto'
import { type KeygenRound1, pledgeOf } from '../../../hsm/frost-keygen.ts'
import { sealTo, signAs } from '../../../hsm/identity.ts'
import type {
  NodeRequest,
  SealedPart,
  SignedEcho,
  SignedPledge,
  SignedRound1,
} from '../../../hsm/messages.ts'
import { LABEL_PLEDGE } from '../../../hsm/node-keygen.ts'
import { partContext } from '../../../hsm/node-trust.ts'
import type { SecretPolynomial } from '../../../hsm/secret-polynomial.ts'
import type { Intruder } from './intruder.ts'
import { type KeygenBegin, ownPolynomial, ownRound1, placeOf, signedRound1 } from './lies.ts'
import type { SimulatedNode, World } from './world.ts'

/** Among all nodes. */
export function keygenBegin({ clock, members, threshold }: World): KeygenBegin {
  const common = { kind: 'keygen', zone: 'example.', role: 'zsk', algorithm: 15 } as const
  const session = new Uint8Array(randomBytes(32))
  return { ...common, session, createdUnix: Math.floor(clock.now()), members, threshold }
}

/** What the false node pledges and shows to some. */
interface Story {
  readonly polynomial: SecretPolynomial
  readonly pledge: SignedPledge
  readonly round1: SignedRound1
}

export class KeygenIntruder {
  /** Round 1 that was not pledged, and nodes refused. */
  refused = 0
  readonly #world: World
  readonly #intruder: Intruder
  readonly #liar: SimulatedNode
  readonly #honest: readonly SimulatedNode[]
  readonly #begin: KeygenBegin
  readonly #pledges = new Map<SimulatedNode, SignedPledge>()

  constructor(world: World, intruder: Intruder, liar: SimulatedNode) {
    this.#world = world
    this.#intruder = intruder
    this.#liar = liar
    this.#honest = world.nodes.filter(node => node !== liar)
    this.#begin = keygenBegin(world)
  }

  /** A key of whose making nodes are told two stories. */
  async twoStories(): Promise<void> {
    const { chance, members } = this.#world
    await this.#pledge()
    const stories = [this.#story(), this.#story()]
    const told = new Map(this.#honest.map(node => [node, chance.of(stories)]))
    const shown = await this.#shown(told)
    const parts: SealedPart[] = []
    for (const [node, { round1 }] of told) parts.push(...(await this.#parts(node, [...shown, round1])))
    const echoes: SignedEcho[] = []
    for (const [node, { polynomial }] of told) {
      const to = members.indexOf(node.name) + 1
      const own = [...parts.filter(part => part.to === to), this.#part(polynomial, to)]
      const request: NodeRequest = { kind: 'keygen-finish', session: this.#begin.session, parts: own }
      echoes.push((await this.#intruder.expect(node, request, 'echo')).echo)
    }
    await this.#intruder.confirm('keygen-confirm', this.#begin.session, echoes, this.#honest, this.#liar)
  }

  /** What it would rather show is of another key, or of the same with another salt, and sound. */
  async lastWord(): Promise<void> {
    const { chance } = this.#world
    await this.#pledge()
    const story = this.#story()
    const shown = await this.#shown(new Map(this.#honest.map(node => [node, story])))
    for (const node of this.#honest) {
      const rather = this.#story(chance.happens(0.5) ? story.polynomial : undefined)
      const request: NodeRequest = {
        kind: 'keygen-parts',
        session: this.#begin.session,
        round1: [...shown, rather.round1],
      }
      const answer = await this.#intruder.ask(node, request)
      const isNamed = answer?.kind === 'refused' && answer.culprit === story.round1.index
      if (isNamed) this.refused++
      else this.#intruder.believed++
    }
  }

  /** Lists that lack a pledge, have one twice, or one of another session. */
  async tooEarly(): Promise<void> {
    const { chance } = this.#world
    await this.#pledge()
    const whole = [...this.#pledges.values(), this.#story().pledge]
    for (const node of this.#honest) {
      const at = chance.below(whole.length)
      const of = chance.of(whole.filter((_, index) => index !== at))
      const lists = [
        whole.filter((_, index) => index !== at),
        whole.with(at, of),
        whole.with(at, { ...of, index: whole[at]!.index }),
        [...whole, whole[at]!],
      ]
      for (const pledges of lists) await this.#expectRefusal(node, pledges)
      await this.#reveal(node, whole)
      await this.#expectRefusal(node, [...this.#pledges.values(), this.#story().pledge])
    }
  }

  async #expectRefusal(node: SimulatedNode, pledges: readonly SignedPledge[]): Promise<void> {
    const request: NodeRequest = { kind: 'keygen-reveal', session: this.#begin.session, pledges }
    const answer = await this.#intruder.ask(node, request)
    if (answer?.kind === 'refused') this.refused++
    else this.#intruder.believed++
  }

  async #pledge(): Promise<void> {
    for (const node of this.#honest)
      this.#pledges.set(node, (await this.#intruder.expect(node, this.#begin, 'pledge')).pledge)
  }

  /** Round 1 of honest nodes, each for the pledges that it is told. */
  async #shown(told: ReadonlyMap<SimulatedNode, Story>): Promise<SignedRound1[]> {
    const shown: SignedRound1[] = []
    for (const [node, { pledge }] of told)
      shown.push(await this.#reveal(node, [...this.#pledges.values(), pledge]))
    return shown
  }

  async #reveal(node: SimulatedNode, pledges: readonly SignedPledge[]): Promise<SignedRound1> {
    const request: NodeRequest = { kind: 'keygen-reveal', session: this.#begin.session, pledges }
    return (await this.#intruder.expect(node, request, 'round1')).round1
  }

  async #parts(node: SimulatedNode, round1: readonly SignedRound1[]): Promise<readonly SealedPart[]> {
    const request: NodeRequest = { kind: 'keygen-parts', session: this.#begin.session, round1 }
    return (await this.#intruder.expect(node, request, 'parts')).parts
  }

  #story(polynomial: SecretPolynomial = ownPolynomial(this.#begin)): Story {
    const { identity, name } = this.#liar
    const { session, members } = this.#begin
    const index = members.indexOf(name) + 1
    const own: KeygenRound1 = ownRound1(this.#begin, index, polynomial)
    const pledge = pledgeOf('ed25519', placeOf(this.#begin, index), own)
    const signature = signAs(identity, LABEL_PLEDGE, session, index, pledge)
    return {
      polynomial,
      pledge: { index, pledge, signature },
      round1: signedRound1(identity, session, own).round1,
    }
  }

  #part(polynomial: SecretPolynomial, to: number): SealedPart {
    const { identity, name } = this.#liar
    const { session, members } = this.#begin
    const from = members.indexOf(name) + 1
    const receiver = this.#world.named(members[to - 1]!).identity.publicIdentity
    const context = partContext('keygen', session, from, to)
    return { from, to, sealed: sealTo(identity, receiver, context, polynomial.valueAt(to)) }
  }
}
