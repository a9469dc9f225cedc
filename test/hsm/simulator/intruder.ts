/** One who has the coordinator's secrets, and uses them on the nodes directly, over the best of links: sessions in which nodes
 *  are told different stories. Everything that it says is signed as it should be, and made of what nodes really gave.
 *
 *    the same session twice at one node (it was abandoned between): two messages of that node, both signed, for one session
 *    half of the nodes are told the one, half the other; then each is shown all echoes there are */

import { randomBytes } from 'node:crypto'
import { Conversation, newBoot } from '../../../hsm/envelope.ts'
import { FrostKeygen } from '../../../hsm/frost-keygen.ts'
import { sealTo, signAs } from '../../../hsm/identity.ts'
import { readAnswer } from '../../../hsm/message-schema.ts'
import type {
  NodeAnswer,
  NodeRequest,
  SealedPart,
  SignedDealing,
  SignedEcho,
  SignedRound1,
} from '../../../hsm/messages.ts'
import { LABEL_ROUND1 } from '../../../hsm/node-keygen.ts'
import { LABEL_ECHO, partContext } from '../../../hsm/node-trust.ts'
import type { SimulatedNode, World } from './world.ts'

type AnswerOf<K extends NodeAnswer['kind']> = Extract<NodeAnswer, { kind: K }>
/** What is told to some of the nodes. */
type Story<T> = { readonly messages: readonly T[]; readonly parts: readonly SealedPart[] }

export class Intruder {
  /** Nodes that were told different things, and said so in their echoes. */
  toldApart = 0
  /** Confirmations that nodes took although. */
  believed = 0
  readonly #world: World
  readonly #talks = new Map<string, Conversation>()

  constructor(world: World) {
    this.#world = world
  }

  async ask(node: SimulatedNode, request: NodeRequest): Promise<NodeAnswer | undefined> {
    const { coordinatorIdentity, clock, witness } = this.#world
    const known = this.#talks.get(node.name)
    const talk =
      known ?? new Conversation(coordinatorIdentity, node.identity.publicIdentity, newBoot(clock.now()))
    this.#talks.set(node.name, talk)
    if (known === undefined) await this.ask(node, { kind: 'hello' })
    const { octets } = talk.write(request)
    witness.passes(octets)
    const answer = await node.node!.receive('coordinator', octets)
    if (answer === undefined) return undefined
    witness.passes(answer)
    const receipt = talk.read(answer, () => true)
    return receipt.kind === 'received' ? readAnswer(receipt.message.body) : undefined
  }

  /** A key for all nodes, of whose making they are told two stories. A liar among them tells each node what it wants to hear;
   *  without one, a node is brought to begin twice. */
  async keygen(liar: SimulatedNode | undefined): Promise<void> {
    const { nodes, chance, threshold, clock, members } = this.#world
    const session = new Uint8Array(randomBytes(32))
    const begin: NodeRequest = {
      kind: 'keygen',
      session,
      zone: 'example.',
      role: 'zsk',
      algorithm: 15,
      createdUnix: Math.floor(clock.now()),
      members,
      threshold,
    }
    const honest = nodes.filter(node => node !== liar)
    const round1 = new Map<string, SignedRound1>()
    for (const node of honest) round1.set(node.name, (await this.#expect(node, begin, 'round1')).round1)
    const common = [...round1.values()]
    let stories: Story<SignedRound1>[]
    let twice: SimulatedNode | undefined
    if (liar === undefined) {
      twice = chance.of(nodes)
      const first = await this.#expect(twice, { kind: 'keygen-parts', session, round1: common }, 'parts')
      await this.ask(twice, { kind: 'abandon', session })
      const again = (await this.#expect(twice, begin, 'round1')).round1
      const others = common.map(one => (one.index === again.index ? again : one))
      stories = [
        { messages: common, parts: first.parts },
        { messages: others, parts: [] },
      ]
    } else stories = [0, 1].map(() => this.#liarsStory(liar, session, common))
    const told = new Map(honest.map(node => [node, node === twice ? stories[1]! : chance.of(stories)]))
    const parts: SealedPart[] = []
    for (const [node, { messages }] of told) {
      parts.push(
        ...(await this.#expect(node, { kind: 'keygen-parts', session, round1: messages }, 'parts')).parts,
      )
    }
    const echoes: SignedEcho[] = []
    for (const [node, story] of told) {
      const to = members.indexOf(node.name) + 1
      const senders = new Set(story.parts.map(({ from }) => from))
      const own = [...story.parts, ...parts.filter(({ from }) => !senders.has(from))]
      const request: NodeRequest = {
        kind: 'keygen-finish',
        session,
        parts: own.filter(part => part.to === to),
      }
      echoes.push((await this.#expect(node, request, 'echo')).echo)
    }
    await this.#confirm('keygen-confirm', session, echoes, honest, liar)
  }

  /** New shares of a key, of which receivers are told two stories: one dealer has dealt twice. */
  async reshare(key: string, record: Uint8Array, epoch: number): Promise<void> {
    const { nodes, chance, threshold, members } = this.#world
    const session = new Uint8Array(randomBytes(32))
    const dealers = chance.some(nodes, threshold)
    const set = dealers.map(({ name }) => members.indexOf(name) + 1)
    const begin: NodeRequest = { kind: 'reshare', session, key, epoch, record, set, members, threshold }
    const dealt = new Map<SimulatedNode, AnswerOf<'dealt'>>()
    for (const node of nodes) {
      const answer = await this.ask(node, begin)
      if (answer?.kind === 'dealt') dealt.set(node, answer)
    }
    const twice = chance.of(dealers)
    await this.ask(twice, { kind: 'abandon', session })
    const again = await this.#expect(twice, begin, 'dealt')
    const storyOf = (all: readonly AnswerOf<'dealt'>[]): Story<SignedDealing> => ({
      messages: all.map(({ dealing }) => dealing),
      parts: all.flatMap(answer => answer.parts),
    })
    const stories = [
      storyOf([...dealt.values()]),
      storyOf([...dealt].map(([node, one]) => (node === twice ? again : one))),
    ]
    const echoes: SignedEcho[] = []
    for (const node of nodes) {
      const to = members.indexOf(node.name) + 1
      const { messages, parts } = chance.of(stories)
      const own = parts.filter(part => part.to === to)
      const request: NodeRequest = { kind: 'reshare-parts', session, dealings: messages, parts: own }
      echoes.push((await this.#expect(node, request, 'echo')).echo)
    }
    await this.#confirm('reshare-confirm', session, echoes, nodes, undefined)
  }

  #liarsStory(
    liar: SimulatedNode,
    session: Uint8Array,
    others: readonly SignedRound1[],
  ): Story<SignedRound1> {
    const { members, threshold } = this.#world
    const from = members.indexOf(liar.name) + 1
    const keygen = new FrostKeygen('ed25519', { threshold, nodes: members.length }, from, session)
    const { commitments, proof } = keygen.round1
    const signature = signAs(liar.identity, LABEL_ROUND1, session, from, proof, ...commitments)
    const messages = [...others, { index: from, commitments, proof, signature }]
    const parts = [...keygen.round2(messages)].map(([to, value]) => {
      const receiver = this.#world.nodes[to - 1]!.identity.publicIdentity
      const sealed = sealTo(liar.identity, receiver, partContext('keygen', session, from, to), value)
      return { from, to, sealed }
    })
    return { messages, parts }
  }

  /** Each node is shown the echoes of all, and where there is a liar, the one of it that fits; then those that fit, twice. */
  async #confirm(
    kind: 'keygen-confirm' | 'reshare-confirm',
    session: Uint8Array,
    echoes: readonly SignedEcho[],
    nodes: readonly SimulatedNode[],
    liar: SimulatedNode | undefined,
  ): Promise<void> {
    const { members } = this.#world
    const texts = new Set(echoes.map(({ echo }) => Buffer.from(echo).toString('hex')))
    if (texts.size > 1) this.toldApart++
    for (const node of nodes) {
      const own = echoes.find(({ index }) => members[index - 1] === node.name)!
      const index = liar === undefined ? 0 : members.indexOf(liar.name) + 1
      const signature = liar && signAs(liar.identity, LABEL_ECHO, session, index, own.echo)
      const all = signature === undefined ? echoes : [...echoes, { index, echo: own.echo, signature }]
      const fitting = members.map((_, at) => all.find(one => one.index === at + 1) ?? own)
      const pretended = fitting.map(one => (Buffer.compare(one.echo, own.echo) === 0 ? one : own))
      for (const list of [fitting, pretended, pretended.map((one, at) => ({ ...one, index: at + 1 }))]) {
        const answer = await this.ask(node, { kind, session, echoes: list })
        if (answer?.kind === 'active' && texts.size > 1) this.believed++
      }
    }
  }

  async #expect<K extends NodeAnswer['kind']>(
    node: SimulatedNode,
    request: NodeRequest,
    kind: K,
  ): Promise<AnswerOf<K>> {
    const answer = await this.ask(node, request)
    if (answer?.kind === kind) return answer as AnswerOf<K>
    throw new Error(`${node.name}: ${request.kind}: ${JSON.stringify(answer)}`)
  }
}
