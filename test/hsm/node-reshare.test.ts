import test from 'ava'
import { signAs } from '../../hsm/identity.ts'
import { encodeKeyRecord } from '../../hsm/key-record.ts'
import type { NodeRequest, SignedDealing } from '../../hsm/messages.ts'
import { dealingBound, dealtOctets, LABEL_DEALING, reshareName } from '../../hsm/node-reshare.ts'
import { outcomeOf, reshareWork } from '../../hsm/reshare-outcome.ts'
import { deal, keygen, type MadeKey, session } from './node-support.ts'
import { type TestNode, TestQuorum } from './nodes.ts'

type Begin = Extract<NodeRequest, { kind: 'reshare' }>

function beginOf(quorum: TestQuorum, { id: key, octets: record }: MadeKey): Begin {
  const { members } = quorum
  return { kind: 'reshare', session: session(), key, epoch: 1, record, set: [1, 2], members, threshold: 2 }
}

/** Of what the node holds, proven for a session that may be another one. */
function dealt(
  node: TestNode,
  made: MadeKey,
  begin: Begin,
  proven: Begin = begin,
): Omit<SignedDealing, 'signature'> {
  const work = reshareWork(made.record, begin.set, { threshold: 2, nodes: begin.members.length })
  const [held] = [...node.disk.shares.values()]
  return dealtOctets(work, { index: held!.index, value: held!.share }, reshareName(proven)).dealing
}

test('I2 of node-reshare: EdDSA dealings are proven for this session, and signed with their proofs', async t => {
  const quorum = new TestQuorum(3)
  const made = await keygen(quorum, 2)
  const [one, two] = quorum.nodes
  const begin = beginOf(quorum, made)
  const first = (await quorum.expect(one!, begin, 'dealt')).dealing
  const ask = async (dealing: Omit<SignedDealing, 'signature'>, signed = dealing): Promise<unknown> => {
    const signature = signAs(two!.identity, LABEL_DEALING, ...dealingBound(begin, signed))
    const dealings = [first, { ...dealing, signature }]
    return quorum.ask(one!, { kind: 'reshare-parts', session: begin.session, dealings, parts: [] })
  }
  const record = encodeKeyRecord({ ...made.record, createdUnix: made.record.createdUnix + 1 })
  const others: Partial<Begin>[] = [{ session: session() }, { record }, { members: ['n2', 'n1', 'n3'] }]
  for (const other of others) {
    const dealing = dealt(two!, made, begin, { ...begin, ...other })
    t.like(await ask(dealing), { kind: 'refused', code: 'DEALING', culprit: 2 }, Object.keys(other).join())
  }
  const sound = dealt(two!, made, begin)
  t.like(await ask({ ...sound, proofs: [] }), { code: 'DEALING', culprit: 2 })
  // The coordinator has none to put in their place.
  t.like(await ask({ ...sound, proofs: dealt(two!, made, begin).proofs }, sound), { code: 'SIGNATURE' })
  const { commitments, proofs } = sound
  const shifted = { ...sound, commitments: [...commitments, proofs[0]!], proofs: proofs.slice(1) }
  t.like(await ask(shifted, sound), { code: 'SIGNATURE' })
  // All that is wrong with a sound one is that its part is missing.
  t.like(await ask(sound), { code: 'PART' })
  const work = reshareWork(made.record, begin.set, { threshold: 2, nodes: 3 })
  const outcomes = [sound, { ...sound, proofs: dealt(two!, made, begin).proofs }].map(dealing => {
    return outcomeOf(made.record, work, begin.members, [first, { ...dealing, signature: first.signature }])
  })
  t.notDeepEqual(outcomes[0]!.dealings, outcomes[1]!.dealings)
})

test('dealings of RSA shares have no proofs', async t => {
  const quorum = new TestQuorum(3)
  const made = await deal(quorum, 2)
  const [one, two] = quorum.nodes
  const begin = beginOf(quorum, made)
  const first = (await quorum.expect(one!, begin, 'dealt')).dealing
  for (const [proofs, code] of [
    [[new Uint8Array(64)], 'DEALING'],
    [[], 'PART'],
  ] as const) {
    const dealing = { ...dealt(two!, made, begin), proofs }
    const signature = signAs(two!.identity, LABEL_DEALING, ...dealingBound(begin, dealing))
    const dealings = [first, { ...dealing, signature }]
    const request: NodeRequest = { kind: 'reshare-parts', session: begin.session, dealings, parts: [] }
    t.like(await quorum.ask(one!, request), { kind: 'refused', code })
  }
})
