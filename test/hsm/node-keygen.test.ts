import test from 'ava'
import { FROST_SUITES } from '../../hsm/edwards.ts'
import { signAs } from '../../hsm/identity.ts'
import type { NodeRequest, SignedPledge, SignedRound1 } from '../../hsm/messages.ts'
import { keygenName, LABEL_ROUND1, saidInRound1 } from '../../hsm/node-keygen.ts'
import { SecretPolynomial } from '../../hsm/secret-polynomial.ts'
import { keygenBegin, keygenToRound1, session } from './node-support.ts'
import { TestQuorum } from './nodes.ts'
import { Chance } from './simulator/chance.ts'
import { changed } from './simulator/lies.ts'

test('I1 of frost-keygen: a node shows its round 1 for one list of pledges, signed by all; its log tells of it', async t => {
  const quorum = new TestQuorum(3)
  const [one, two] = quorum.nodes
  const begin = keygenBegin(quorum, 2)
  const { session: name } = begin
  const pledges: SignedPledge[] = []
  const reveal = (list: readonly SignedPledge[]): NodeRequest => {
    return { kind: 'keygen-reveal', session: name, pledges: list }
  }
  t.like(await quorum.ask(one!, reveal([])), { kind: 'refused', code: 'SESSION' })
  for (const node of quorum.nodes) pledges.push((await quorum.expect(node, begin, 'pledge')).pledge)
  const other = (await quorum.expect(two!, { ...begin, session: session() }, 'pledge')).pledge
  const [first, second, third] = pledges
  const lists: (readonly [readonly SignedPledge[], string])[] = [
    [[], 'SESSION'],
    [pledges.slice(0, 2), 'SESSION'],
    [[first!, second!, second!], 'SESSION'],
    [[...pledges, third!], 'SESSION'],
    [[first!, second!, { ...second!, index: 3 }], 'SIGNATURE'],
    [[first!, other, third!], 'SIGNATURE'],
    [[first!, { ...second!, pledge: first!.pledge }, third!], 'SIGNATURE'],
    [[first!, second!, third!, { ...third!, index: 4 }], 'MEMBERS'],
  ]
  for (const [list, code] of lists) {
    t.like(await quorum.ask(one!, reveal(list)), { kind: 'refused', code })
    t.like(await quorum.ask(one!, { kind: 'keygen-parts', session: name, round1: [] }), { code: 'SESSION' })
  }
  t.is(one!.disk.log, '')
  await quorum.expect(one!, reveal(pledges), 'round1')
  t.regex(one!.disk.log, /"what":"keygen","zone":"example."/)
  t.like(await quorum.ask(one!, reveal(pledges)), { kind: 'refused', code: 'SESSION' })
  // Neither abandoning the session nor telling anew how it begins gives another one of that name.
  t.like(await quorum.ask(one!, begin), { kind: 'refused', code: 'SESSION' })
  await quorum.expect(one!, { kind: 'abandon', session: name }, 'done')
  t.like(await quorum.ask(one!, begin), { kind: 'refused', code: 'SESSION' })
  t.like(await quorum.ask(one!, reveal(pledges)), { kind: 'refused', code: 'SESSION' })
  t.is(one!.disk.shares.size, 0)
  // Nor does a node that was started anew go on.
  quorum.start(two!)
  t.like(await quorum.ask(two!, reveal(pledges)), { kind: 'refused', code: 'SESSION' })
  const anew = (await quorum.expect(two!, begin, 'pledge')).pledge
  t.notDeepEqual(anew.pledge, second!.pledge)
  t.like(await quorum.ask(two!, reveal(pledges)), { kind: 'refused', code: 'SESSION' })
})

test('round 1 that was not pledged names its node, though it is signed and sound', async t => {
  const quorum = new TestQuorum(3)
  const [one] = quorum.nodes
  const begin = keygenBegin(quorum, 2)
  const { session: name, round1 } = await keygenToRound1(quorum, begin)
  const { identity } = quorum.nodes[2]!
  const suite = FROST_SUITES.ed25519
  const polynomial = SecretPolynomial.random(suite, 2)
  const size = { threshold: 2, nodes: 3 }
  const place = { purpose: 'keygen', session: keygenName(begin), size, index: 3 } as const
  const { commitments } = polynomial
  const rather = { index: 3, salt: round1[2]!.salt, commitments, proofs: polynomial.proofs(place) }
  const signature = signAs(identity, LABEL_ROUND1, name, 3, ...saidInRound1(rather))
  const list = [round1[0]!, round1[1]!, { ...rather, signature }]
  const answer = await quorum.ask(one!, { kind: 'keygen-parts', session: name, round1: list })
  const what = 'n3 shows another round 1 than it has pledged'
  t.like(answer, { kind: 'refused', code: 'KEYGEN', what, culprit: 3 })
  // The session is over there, whatever comes.
  t.like(await quorum.ask(one!, { kind: 'keygen-parts', session: name, round1 }), { code: 'SESSION' })
})

const RUNS = 400

/** The same list in another order is the same, and another kind another request. */
function isOther(wrong: NodeRequest, right: NodeRequest): boolean {
  const text = (request: NodeRequest): string => {
    const { pledges, round1, ...rest } = request as { pledges?: unknown; round1?: unknown }
    const list = [pledges ?? round1].flat().map(one => JSON.stringify(one))
    return JSON.stringify([rest, list.sort()])
  }
  return wrong.kind === right.kind && text(wrong) !== text(right)
}

test('a request of key generation that is changed anywhere is refused, stops no node and shows nothing', async t => {
  const quorum = new TestQuorum(3)
  const [one] = quorum.nodes
  const chance = new Chance(9591)
  const begin = keygenBegin(quorum, 2)
  const pledges: SignedPledge[] = []
  for (const node of quorum.nodes) pledges.push((await quorum.expect(node, begin, 'pledge')).pledge)
  const refusesChanged = async (right: NodeRequest): Promise<void> => {
    for (let run = 0; run < RUNS; run++) {
      const wrong = changed(chance, right) as NodeRequest
      if (isOther(wrong, right)) t.is((await quorum.ask(one!, wrong)).kind, 'refused', `run ${run}`)
    }
  }
  const reveal: NodeRequest = { kind: 'keygen-reveal', session: begin.session, pledges }
  await refusesChanged(reveal)
  const round1: SignedRound1[] = []
  for (const node of quorum.nodes) round1.push((await quorum.expect(node, reveal, 'round1')).round1)
  const parts: NodeRequest = { kind: 'keygen-parts', session: begin.session, round1 }
  await refusesChanged(parts)
  await quorum.expect(quorum.nodes[1]!, parts, 'parts')
  t.deepEqual(
    quorum.nodes.flatMap(({ bugs }) => bugs),
    [],
  )
})
