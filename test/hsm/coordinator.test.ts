import test, { type ExecutionContext } from 'ava'
import { Coordinator } from '../../hsm/coordinator.ts'
import type { MessageOutcome, QuorumKey } from '../../hsm/quorum.ts'
import { writeToSign } from '../../hsm/to-be-signed.ts'
import { TYPE } from '../../zones/index.ts'
import { openPolicy, openRule } from './nodes.ts'
import { dealtKey, isSignature, messagesFor, QuorumRig, quiet, toSign } from './quorum-support.ts'

const FOREVER = { deadlineUnix: Number.POSITIVE_INFINITY }

async function rig(nodes = 5, threshold = 3, policy = openPolicy): Promise<QuorumRig> {
  const made = new QuorumRig(nodes, threshold, policy)
  await made.start()
  return made
}

async function rsaKey(quorum: QuorumRig): Promise<QuorumKey> {
  return quorum.passing(quorum.coordinator.deal(dealtKey(quorum.quorum, quorum.threshold)))
}

async function edKey(quorum: QuorumRig, algorithm: 15 | 16 = 15): Promise<QuorumKey> {
  return quorum.passing(quorum.coordinator.keygen({ zone: 'example.', role: 'csk', algorithm }))
}

function sign(quorum: QuorumRig, key: QuorumKey, messages: readonly Uint8Array[]): Promise<MessageOutcome[]> {
  return quorum.passing(quorum.coordinator.sign({ key: key.id, messages, ...FOREVER }))
}

async function assertSigns(t: ExecutionContext, quorum: QuorumRig, key: QuorumKey, count = 3): Promise<void> {
  const messages = messagesFor(key, quorum.quorum.clock.now(), count)
  const outcomes = await sign(quorum, key, messages)
  t.is(outcomes.length, count)
  for (const [at, outcome] of outcomes.entries()) {
    const right = outcome.kind === 'signed' && isSignature(key.record, messages[at]!, outcome.signature)
    t.true(right, JSON.stringify(outcome))
  }
}

test('keys made by the nodes, or dealt, sign batches of any size', async t => {
  const quorum = await rig(3, 2)
  const keys = [await rsaKey(quorum), await edKey(quorum), await edKey(quorum, 16)]
  for (const key of keys) {
    await assertSigns(t, quorum, key, 1)
    await assertSigns(t, quorum, key, 5)
  }
  const [rsa] = keys
  await assertSigns(t, quorum, rsa!, 600)
  t.deepEqual(await sign(quorum, rsa!, []), [])
  t.deepEqual(
    quorum.coordinator.keys().map(({ id }) => id),
    keys.map(({ id }) => id),
  )
  for (const node of quorum.quorum.nodes) t.deepEqual(node.bugs, [])
})

test('I1: below the threshold everything is answered at once, and the missing nodes are named', async t => {
  const quorum = await rig()
  const keys = [await rsaKey(quorum), await edKey(quorum)]
  for (const name of ['n1', 'n2', 'n5']) quorum.dead.add(name)
  for (const key of keys) await sign(quorum, key, messagesFor(key, quorum.quorum.clock.now(), 2))
  await quorum.pass(5)
  for (const key of keys) {
    const messages = messagesFor(key, quorum.quorum.clock.now(), 2)
    // Without letting time go on.
    const outcomes = await quorum.coordinator.sign({ key: key.id, messages, ...FOREVER })
    for (const outcome of outcomes) {
      if (outcome.kind !== 'unavailable') return t.fail(outcome.kind)
      t.is(outcome.code, 'QUORUM_SHORT')
      t.regex(outcome.what, /3 of 5 .*n1 .*n2 .*n5 /)
      t.notRegex(outcome.what, /n3|n4/)
    }
  }
  quorum.dead.clear()
  await quorum.pass(60)
  for (const key of keys) await assertSigns(t, quorum, key)
})

test('I3: a hung node costs one batch a moment, and the next ones nothing', async t => {
  const quorum = await rig()
  for (const key of [await rsaKey(quorum), await edKey(quorum)]) {
    for (let batch = 0; batch < 4; batch++) await assertSigns(t, quorum, key)
    quorum.dead.add('n2')
    const times: number[] = []
    for (let batch = 0; batch < 6; batch++) {
      const start = quorum.quorum.clock.now()
      await assertSigns(t, quorum, key)
      times.push(quorum.quorum.clock.now() - start)
    }
    t.true(Math.max(...times) < 1, times.join(' '))
    t.true(times.filter(seconds => seconds > 0.01).length <= 1, times.join(' '))
    quorum.dead.clear()
    await quorum.pass(60)
  }
})

test('I5 of peers: of links that break nothing is waited for, and a node is greeted when its link opens', async t => {
  const quorum = await rig(3, 2)
  const key = await rsaKey(quorum)
  await assertSigns(t, quorum, key)
  const start = quorum.quorum.clock.now()
  const [one, two] = ['n1', 'n2'] as const
  for (const name of [one, two]) quorum.dead.add(name)
  const signing = sign(quorum, key, messagesFor(key, start, 1))
  for (const name of [one, two]) quorum.links.get(name)!('broken')
  const [outcome] = await signing
  t.is(outcome!.kind === 'unavailable' && outcome!.code, 'QUORUM_SHORT')
  // One hello is waited for; nodes that are only silent take seconds.
  t.true(quorum.quorum.clock.now() - start < 1.2, `${quorum.quorum.clock.now() - start} s`)
  await quorum.pass(20)
  quorum.dead.clear()
  const back = quorum.quorum.clock.now()
  quorum.links.get(one)!('open')
  await quiet()
  await assertSigns(t, quorum, key)
  t.true(quorum.quorum.clock.now() - back < 0.5, `${quorum.quorum.clock.now() - back} s`)
})

test('a node that was started anew is greeted again, and its nonces of before are not asked for', async t => {
  const quorum = await rig(3, 2)
  const keys = [await rsaKey(quorum), await edKey(quorum)]
  for (const key of keys) await assertSigns(t, quorum, key)
  for (const node of quorum.quorum.nodes) {
    quorum.restart(node)
    for (const key of keys) await assertSigns(t, quorum, key)
    await quorum.pass(10)
  }
  await quorum.pass(30)
  t.is(quorum.coordinator.keys().length, 2)
  const { nodes } = await quorum.passing(quorum.coordinator.status())
  t.deepEqual(
    nodes.map(({ state }) => state),
    ['up', 'up', 'up'],
  )
  t.false(quorum.kinds().includes('audit rollback'))
})

test('what most nodes refuse is refused with their code; one that refuses alone is outvoted', async t => {
  const quorum = await rig()
  for (const key of [await rsaKey(quorum), await edKey(quorum)]) {
    const now = quorum.quorum.clock.now()
    const [right] = messagesFor(key, now, 1)
    const wrong = writeToSign(toSign(key, now, { ttl: 1_000_000 }))
    const outcomes = await sign(quorum, key, [right!, wrong, Uint8Array.of(1, 2, 3)])
    t.is(outcomes[0]!.kind, 'signed')
    t.like(outcomes[1], { kind: 'refused', code: 'POLICY_TTL' })
    t.like(outcomes[2], { kind: 'refused', code: 'MALFORMED' })
    const strict = { ...openPolicy, zones: [{ ...openRule, types: [TYPE.AAAA] }] }
    for (const name of ['n1', 'n4']) quorum.quorum.named(name).node.setPolicy(strict)
    await assertSigns(t, quorum, key)
    quorum.quorum.named('n5').node.setPolicy(strict)
    const refused = await sign(quorum, key, messagesFor(key, now, 1))
    t.like(refused[0], { kind: 'refused', code: 'POLICY_TYPE' })
    for (const node of quorum.quorum.nodes) node.node.setPolicy(openPolicy)
  }
})

test('what waits for approvals is pending; the rest of the batch is signed', async t => {
  const operator = new Uint8Array(32)
  const approvals = { required: 1, operators: [operator], types: [TYPE.MX, TYPE.A] }
  const quorum = await rig(3, 2)
  const keys = [await rsaKey(quorum), await edKey(quorum)]
  for (const { node } of quorum.quorum.nodes) {
    node.setPolicy({ ...openPolicy, zones: [{ ...openRule, approvals }] })
  }
  for (const key of keys) {
    const now = quorum.quorum.clock.now()
    const free = writeToSign(toSign(key, now, { type: TYPE.TXT, rdata: [Uint8Array.of(1, 65)] }))
    const [pending, signed] = await sign(quorum, key, [messagesFor(key, now, 1)[0]!, free])
    t.like(pending, { kind: 'pending', needs: '1 more of 1 operators for A' })
    t.is(signed!.kind, 'signed')
  }
})

test('a key nobody has is refused; with nodes missing nothing is said about it', async t => {
  const quorum = await rig(3, 2)
  const key = await rsaKey(quorum)
  const messages = messagesFor(key, quorum.quorum.clock.now(), 1)
  const request = { key: '00'.repeat(16), messages, ...FOREVER }
  t.like(await quorum.coordinator.sign(request), [{ kind: 'refused', code: 'KEY_UNKNOWN' }])
  const late = { key: key.id, messages, deadlineUnix: 1 }
  t.like(await quorum.coordinator.sign(late), [{ kind: 'unavailable', code: 'DEADLINE' }])
  const signal = AbortSignal.abort()
  const aborted = { key: key.id, messages, ...FOREVER, signal }
  t.like(await quorum.coordinator.sign(aborted), [{ kind: 'unavailable', code: 'ABORTED' }])
  await quorum.coordinator.close()
  t.like(await quorum.coordinator.sign(request), [{ kind: 'unavailable', code: 'QUORUM_SHORT' }])
})

test('I1: no batch is later than its deadline, whatever nodes do', async t => {
  const quorum = await rig()
  const key = await edKey(quorum)
  for (const name of quorum.quorum.members) quorum.dead.add(name)
  const { clock } = quorum.quorum
  const deadlineUnix = clock.now() + 0.5
  const messages = messagesFor(key, clock.now(), 2)
  const outcomes = await quorum.passing(quorum.coordinator.sign({ key: key.id, messages, deadlineUnix }))
  t.true(clock.now() < deadlineUnix + 0.1)
  for (const outcome of outcomes) t.like(outcome, { kind: 'unavailable', code: 'DEADLINE' })
})

test('refresh and reshare: the same key, other shares and members; the old shares are gone', async t => {
  const quorum = await rig(5, 3)
  for (const make of [rsaKey, edKey]) {
    const made = await make(quorum)
    const fresh = await quorum.passing(quorum.coordinator.refresh(made.id))
    t.is(fresh.record.epoch, 2)
    t.is(fresh.id, made.id)
    await assertSigns(t, quorum, fresh)
    const members = ['n5', 'n4', 'n2']
    const moved = await quorum.passing(quorum.coordinator.reshare({ key: made.id, members, threshold: 3 }))
    t.deepEqual(moved.record.members, members)
    await assertSigns(t, quorum, moved)
    const shares = quorum.quorum.nodes.flatMap(({ disk }) => [...disk.shares.values()])
    t.deepEqual(
      shares.map(({ record }) => Buffer.compare(record, moved.octets)),
      [0, 0, 0],
    )
    await quorum.passing(quorum.coordinator.erase(made.id))
    t.is(quorum.coordinator.keys().length, 0)
    for (const { disk } of quorum.quorum.nodes) t.is(disk.shares.size, 0)
  }
})

test('I1 of sessions: a confirmation that a node missed is given when it is back, also by a new coordinator', async t => {
  const quorum = await rig(3, 2)
  const key = await edKey(quorum)
  const n3 = quorum.quorum.named('n3')
  // All have echoed; the node dies before it hears of it.
  quorum.memory.onSave = () => quorum.dead.add('n3')
  const deadlineUnix = quorum.quorum.clock.now() + 20
  const work = quorum.coordinator.reshare({
    key: key.id,
    members: ['n1', 'n2', 'n3'],
    threshold: 2,
    deadlineUnix,
  })
  const fresh = await quorum.passing(work)
  quorum.memory.onSave = () => {}
  t.is(fresh.record.epoch, 2)
  await assertSigns(t, quorum, fresh)
  const before = await quorum.passing(quorum.coordinator.status())
  t.deepEqual(before.confirming, [{ what: 'reshare', nodes: ['n3'] }])
  t.is(before.keys[0]!.headroom, 0)
  await quorum.coordinator.close()
  quorum.dead.clear()
  quorum.restart(n3)
  await quorum.start()
  await quorum.pass(5)
  const after = await quorum.passing(quorum.coordinator.status())
  t.deepEqual(after.confirming, [])
  t.is(after.keys[0]!.headroom, 1)
})

test('an audit log that was rolled back, or changed, is noticed and reported', async t => {
  const quorum = await rig(3, 2)
  const key = await rsaKey(quorum)
  const n1 = quorum.quorum.named('n1')
  const old = n1.disk.log
  for (let batch = 0; batch < 4; batch++) await assertSigns(t, quorum, key)
  await quorum.coordinator.close()
  n1.disk.log = old
  quorum.restart(n1)
  quorum.restart(quorum.quorum.named('n2'))
  await quorum.start()
  await quorum.pass(2)
  const rolled = quorum.events.filter(({ kind }) => kind === 'audit rollback')
  t.deepEqual(
    rolled.map(event => 'node' in event && event.node),
    ['n1'],
  )
  const { nodes } = await quorum.passing(quorum.coordinator.status())
  t.deepEqual(
    nodes.map(({ rolledBackUnix }) => rolledBackUnix !== undefined),
    [true, false, false],
  )
  await assertSigns(t, quorum, key)
})

test('keys that RSA needs a dealer for, and quorums that are not whole, are said so', async t => {
  const quorum = await rig(3, 2)
  const { coordinator } = quorum
  const spec = { zone: 'example.', role: 'csk', algorithm: 8 } as const
  await t.throwsAsync(coordinator.keygen(spec), { code: 'KEY_NEEDS_DEALER' })
  await t.throwsAsync(coordinator.refresh('00'.repeat(16)), { code: 'KEY_UNKNOWN' })
  const elsewhere = { ...spec, zone: 'elsewhere.', algorithm: 15 } as const
  await t.throwsAsync(quorum.passing(coordinator.keygen(elsewhere)), { code: 'KEYGEN_FAILED' })
  quorum.dead.add('n2')
  const failing = quorum.passing(coordinator.keygen({ ...spec, algorithm: 15 }))
  await t.throwsAsync(failing, { message: /n2/ })
  await quorum.pass(5)
  await t.throwsAsync(coordinator.keygen({ ...spec, algorithm: 15 }), { code: 'QUORUM_SHORT', message: /n2/ })
})

test('what the coordinator remembers is read whole, or not at all', async t => {
  const quorum = await rig(3, 2)
  await rsaKey(quorum)
  await quorum.coordinator.close()
  quorum.memory.octets = quorum.memory.octets!.slice(0, -1)
  await t.throwsAsync(quorum.start(), { code: 'HSM_MEMORY' })
  t.truthy(Coordinator)
})
