import test from 'ava'
import type { NodeAnswer, NodeRequest } from '../../hsm/messages.ts'
import type { QuorumKey } from '../../hsm/quorum.ts'
import { openPolicy } from './nodes.ts'
import { dealtKey, isSignature, messagesFor, QuorumRig } from './quorum-support.ts'
import { bodyOf, retold } from './simulator/lies.ts'

async function rigWithKey(nodes: number, threshold: number): Promise<{ quorum: QuorumRig; key: QuorumKey }> {
  const quorum = new QuorumRig(nodes, threshold, openPolicy)
  await quorum.start()
  return { quorum, key: await quorum.passing(quorum.coordinator.deal(dealtKey(quorum.quorum, threshold))) }
}

async function signs(quorum: QuorumRig, key: QuorumKey): Promise<boolean> {
  const [message] = messagesFor(key, quorum.quorum.clock.now(), 1)
  const request = { key: key.id, messages: [message!], deadlineUnix: quorum.quorum.clock.now() + 60 }
  const [outcome] = await quorum.passing(quorum.coordinator.sign(request))
  return outcome?.kind === 'signed' && isSignature(key.record, message!, outcome.signature)
}

function sharesOf(quorum: QuorumRig, name: string): string[] {
  return [...quorum.quorum.named(name).disk.shares.values()].map(({ state }) => state)
}

/** What the node is asked, and says, at each request from now on. */
function overhear(
  quorum: QuorumRig,
  name: string,
  change: (
    request: NodeRequest,
    answer: () => Promise<Uint8Array | undefined>,
  ) => Promise<Uint8Array | undefined>,
): void {
  const { node } = quorum.quorum.named(name)
  const receive = node.receive.bind(node)
  node.receive = (coordinator, octets) =>
    change(bodyOf(octets) as NodeRequest, () => receive(coordinator, octets))
}

const SPEC = { zone: 'example.', role: 'csk', algorithm: 15 } as const

test('a node that is started anew in the midst of key generation costs a try, and nothing is left of that', async t => {
  for (const step of ['keygen-reveal', 'keygen-parts', 'keygen-finish'] as const) {
    const quorum = new QuorumRig(3, 2, openPolicy)
    await quorum.start()
    const asked: string[] = []
    overhear(quorum, 'n1', (request, answer) => {
      asked.push(request.kind)
      return answer()
    })
    overhear(quorum, 'n2', async (request, answer) => {
      if (request.kind !== step) return answer()
      quorum.restart(quorum.quorum.named('n2'))
      return undefined
    })
    const key = await quorum.passing(quorum.coordinator.keygen(SPEC))
    t.true(await signs(quorum, key))
    t.is(asked.filter(kind => kind === 'keygen').length, 2, step)
    t.true(asked.includes('abandon'))
    for (const name of quorum.quorum.members) t.deepEqual(sharesOf(quorum, name), ['active'])
  }
})

test('a node that pledges or shows something in the name of another is named', async t => {
  for (const kind of ['pledge', 'round1'] as const) {
    const quorum = new QuorumRig(3, 2, openPolicy)
    await quorum.start()
    const { identity } = quorum.quorum.named('n2')
    overhear(quorum, 'n2', async (_, answer) => {
      const octets = await answer()
      return retold(octets!, identity, body => {
        const said = body as NodeAnswer
        if (said.kind === 'pledge' && kind === 'pledge')
          return { ...said, pledge: { ...said.pledge, index: 1 } }
        if (said.kind === 'round1' && kind === 'round1')
          return { ...said, round1: { ...said.round1, index: 3 } }
        return said
      })
    })
    const error = await t.throwsAsync(quorum.passing(quorum.coordinator.keygen(SPEC)), {
      code: 'KEYGEN_FAILED',
      message: /n2 speaks for another/,
    })
    t.like(error, { place: { node: 'n2' } })
    await quorum.pass(5)
    for (const name of quorum.quorum.members) t.deepEqual(sharesOf(quorum, name), [])
  }
})

test('I3 of coordinator-reshare: a holder that was away is not waited for, and erases its share when it is back', async t => {
  const { quorum, key } = await rigWithKey(4, 3)
  const before = quorum.quorum.clock.now()
  quorum.dead.add('n1')
  await signs(quorum, key)
  await quorum.pass(10)
  const members = ['n2', 'n3', 'n4']
  const fresh = await quorum.passing(quorum.coordinator.reshare({ key: key.id, members, threshold: 3 }))
  t.true(quorum.quorum.clock.now() - before < 60)
  t.deepEqual(sharesOf(quorum, 'n1'), ['active'])
  const { confirming } = await quorum.passing(quorum.coordinator.status())
  t.deepEqual(confirming, [{ what: 'reshare', nodes: ['n1'] }])
  // Also by a coordinator that was started since, and at a node that was.
  await quorum.coordinator.close()
  quorum.dead.clear()
  quorum.restart(quorum.quorum.named('n1'))
  await quorum.start()
  await quorum.pass(5)
  t.deepEqual(sharesOf(quorum, 'n1'), [])
  const after = await quorum.passing(quorum.coordinator.status())
  t.deepEqual(after.confirming, [])
  t.true(await signs(quorum, fresh))
})

test('I3 of coordinator-reshare: a holder that leaves does not hinder the others; that it kept its share is told', async t => {
  const { quorum, key } = await rigWithKey(5, 3)
  quorum.quorum.named('n5').node.setPolicy({ ...openPolicy, reshare: false })
  const members = ['n1', 'n2', 'n3', 'n4']
  const fresh = await quorum.passing(quorum.coordinator.reshare({ key: key.id, members, threshold: 3 }))
  t.deepEqual([...fresh.holders].sort(), members)
  t.deepEqual(sharesOf(quorum, 'n5'), ['active'])
  t.deepEqual(
    quorum.events.flatMap(event => (event.kind === 'failure' ? [event.what] : [])),
    ['reshare was not confirmed'],
  )
  t.true(await signs(quorum, fresh))
})

test('I2 of coordinator-confirm: what a session left that nobody will confirm goes when the node is greeted', async t => {
  const { quorum, key } = await rigWithKey(3, 2)
  const { octets } = quorum.memory
  // The coordinator ends before it has kept what all have echoed.
  quorum.memory.onSave = () => {
    for (const name of quorum.quorum.members) quorum.dead.add(name)
  }
  const deadlineUnix = quorum.quorum.clock.now() + 5
  const spec = { key: key.id, members: quorum.quorum.members, threshold: 2, deadlineUnix }
  await t.throwsAsync(quorum.passing(quorum.coordinator.reshare(spec)), { code: 'RESHARE_FAILED' })
  for (const name of quorum.quorum.members) t.deepEqual(sharesOf(quorum, name), ['active', 'prepared'])
  quorum.memory.onSave = () => {}
  await quorum.coordinator.close()
  quorum.memory.octets = octets
  quorum.dead.clear()
  await quorum.start()
  await quorum.pass(5)
  for (const name of quorum.quorum.members) t.deepEqual(sharesOf(quorum, name), ['active'])
  t.true(await signs(quorum, key))
})

test('I1 of coordinator-reshare: no session begins beside an epoch that is still to be confirmed', async t => {
  const { quorum, key } = await rigWithKey(3, 2)
  // The disks of two nodes are full when they are to confirm.
  const full = ['n2', 'n3'].map(name => quorum.quorum.named(name).disk)
  quorum.memory.onSave = () => {
    for (const disk of full) disk.stepsLeft = 0
  }
  const deadlineUnix = quorum.quorum.clock.now() + 5
  const spec = { key: key.id, members: quorum.quorum.members, threshold: 2, deadlineUnix }
  await t.throwsAsync(quorum.passing(quorum.coordinator.reshare(spec)), {
    message: /missing: n2, n3$/,
  })
  quorum.memory.onSave = () => {}
  await t.throwsAsync(quorum.passing(quorum.coordinator.refresh(key.id)), { message: /epoch 2 is still/ })
  for (const disk of full) disk.stepsLeft = Number.POSITIVE_INFINITY
  for (const name of ['n2', 'n3']) {
    quorum.restart(quorum.quorum.named(name))
    await signs(quorum, key)
    await quorum.pass(40)
  }
  t.is(quorum.coordinator.keys()[0]!.record.epoch, 2)
  const [first, second] = [quorum.coordinator.refresh(key.id), quorum.coordinator.refresh(key.id)]
  t.is((await quorum.passing(first)).record.epoch, 3)
  t.is((await quorum.passing(second)).record.epoch, 4)
  t.true(await signs(quorum, quorum.coordinator.keys()[0]!))
})

test('I4 of coordinator-confirm: a member that is away just after it has confirmed is waited for', async t => {
  const { quorum, key } = await rigWithKey(4, 3)
  const members = ['n1', 'n2', 'n3']
  let cuts = 0
  // First saved with nothing prepared: when all have confirmed, before they are looked at.
  quorum.memory.onSave = () => {
    if (cuts > 0 || quorum.quorum.members.some(name => sharesOf(quorum, name).includes('prepared'))) return
    cuts++
    quorum.dead.add('n1')
    quorum.quorum.clock.after(10, () => quorum.dead.clear())
  }
  const before = quorum.quorum.clock.now()
  const fresh = await quorum.passing(quorum.coordinator.reshare({ key: key.id, members, threshold: 3 }))
  t.is(cuts, 1)
  t.true(quorum.kinds().includes('node down'))
  t.is(fresh.record.epoch, 2)
  t.deepEqual([...fresh.holders].sort(), members)
  t.true(quorum.quorum.clock.now() - before < 60)
  t.true(await signs(quorum, fresh))
})

test('I4 of coordinator-confirm: members that stay away are named, not nodes that left', async t => {
  const { quorum, key } = await rigWithKey(4, 3)
  quorum.memory.onSave = () => {
    if (quorum.quorum.members.every(name => !sharesOf(quorum, name).includes('prepared'))) {
      for (const name of ['n1', 'n4']) quorum.dead.add(name)
    }
  }
  const spec = { key: key.id, members: ['n1', 'n2', 'n3'], threshold: 3 }
  await t.throwsAsync(quorum.passing(quorum.coordinator.reshare(spec)), {
    code: 'RESHARE_FAILED',
    message: /missing: n1$/,
  })
})

test('I3 of coordinator-confirm: a node that left, and stands in no file any more, is told nothing', async t => {
  const { quorum, key } = await rigWithKey(4, 3)
  quorum.dead.add('n1')
  await signs(quorum, key)
  await quorum.pass(10)
  const members = ['n2', 'n3', 'n4']
  await quorum.passing(quorum.coordinator.reshare({ key: key.id, members, threshold: 3 }))
  await quorum.coordinator.close()
  await quorum.start(undefined, members)
  const { confirming } = await quorum.passing(quorum.coordinator.status())
  t.deepEqual(
    confirming.flatMap(({ nodes }) => nodes),
    [],
  )
})
