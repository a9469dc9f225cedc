/** One who has the coordinator's secrets, and uses them on the nodes directly, over the best of links: sessions in which nodes
 *  are told different stories. Everything that it says is signed as it should be, and made of what nodes really gave.
 *
 *    a dealer deals twice in one session: some of the nodes are told the one, some the other; then each is shown all echoes
 *    there are (key generation: keygen-intruder.ts) */

import { randomBytes } from 'node:crypto'
import { Conversation, newBoot } from '../../../hsm/envelope.ts'
import { sealTo, signAs } from '../../../hsm/identity.ts'
import { decodeKeyRecord } from '../../../hsm/key-record.ts'
import { readAnswer } from '../../../hsm/message-schema.ts'
import type { NodeAnswer, NodeRequest, SealedPart, SignedDealing, SignedEcho } from '../../../hsm/messages.ts'
import { dealingBound, dealtOctets, LABEL_DEALING, reshareName } from '../../../hsm/node-reshare.ts'
import { LABEL_ECHO, partContext } from '../../../hsm/node-trust.ts'
import { reshareWork } from '../../../hsm/reshare-outcome.ts'
import type { SimulatedNode, World } from './world.ts'

type AnswerOf<K extends NodeAnswer['kind']> = Extract<NodeAnswer, { kind: K }>
type Dealt = Omit<AnswerOf<'dealt'>, 'kind'>
/** What is told to some of the nodes. */
type Story = { readonly dealings: readonly SignedDealing[]; readonly parts: readonly SealedPart[] }

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
    this.#world.noteSession(request)
    const { octets } = talk.write(request)
    witness.passes(octets)
    const answer = await node.node!.receive('coordinator', octets)
    if (answer === undefined) return undefined
    witness.passes(answer)
    const receipt = talk.read(answer, () => true)
    const read = receipt.kind === 'received' ? readAnswer(receipt.message.body) : undefined
    if (read !== undefined && node.isHonest) witness.answered(node, request, read)
    return read
  }

  /** New shares of a key, of which receivers are told two stories: one dealer has dealt twice. */
  async reshare(key: string, record: Uint8Array, epoch: number): Promise<void> {
    const { nodes, chance, threshold, members } = this.#world
    const session = new Uint8Array(randomBytes(32))
    const dealers = chance.some(nodes, threshold)
    const set = dealers.map(({ name }) => members.indexOf(name) + 1)
    const begin: NodeRequest = { kind: 'reshare', session, key, epoch, record, set, members, threshold }
    const dealt = new Map<SimulatedNode, Dealt>()
    for (const node of nodes) {
      const answer = await this.ask(node, begin)
      if (answer?.kind === 'dealt') dealt.set(node, answer)
    }
    const twice = chance.of(dealers)
    twice.hasLied = true
    const again = this.#dealtAgain(twice, begin)
    const storyOf = (all: readonly Dealt[]): Story => ({
      dealings: all.map(({ dealing }) => dealing),
      parts: all.flatMap(answer => answer.parts),
    })
    const stories = [
      storyOf([...dealt.values()]),
      storyOf([...dealt].map(([node, one]) => (node === twice ? again : one))),
    ]
    const echoes: SignedEcho[] = []
    for (const node of nodes) {
      const to = members.indexOf(node.name) + 1
      const { dealings, parts } = chance.of(stories)
      const own = parts.filter(part => part.to === to)
      const request: NodeRequest = { kind: 'reshare-parts', session, dealings, parts: own }
      echoes.push((await this.expect(node, request, 'echo')).echo)
    }
    await this.confirm('reshare-confirm', session, echoes, nodes, undefined)
  }

  /** Another dealing of the same share. */
  #dealtAgain(dealer: SimulatedNode, begin: Extract<NodeRequest, { kind: 'reshare' }>): Dealt {
    const old = decodeKeyRecord(begin.record)!
    const { session, members, threshold } = begin
    const work = reshareWork(old, begin.set, { threshold, nodes: members.length })
    const { index, share } = dealer.disk.load()[0]!
    const { dealing, secrets } = dealtOctets(work, { index, value: share }, reshareName(begin))
    const signature = signAs(dealer.identity, LABEL_DEALING, ...dealingBound(begin, dealing))
    const parts = secrets.map((secret, at) => {
      const receiver = this.#world.named(members[at]!).identity.publicIdentity
      const sealed = sealTo(dealer.identity, receiver, partContext('reshare', session, index, at + 1), secret)
      return { from: index, to: at + 1, sealed }
    })
    return { dealing: { ...dealing, signature }, parts }
  }

  /** Each node is shown the echoes of all, and where there is a liar, the one of it that fits; then those that fit, twice. */
  async confirm(
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

  async expect<K extends NodeAnswer['kind']>(
    node: SimulatedNode,
    request: NodeRequest,
    kind: K,
  ): Promise<AnswerOf<K>> {
    const answer = await this.ask(node, request)
    if (answer?.kind === kind) return answer as AnswerOf<K>
    throw new Error(`${node.name}: ${request.kind}: ${JSON.stringify(answer)}`)
  }
}
