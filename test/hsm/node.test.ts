import { verify } from 'node:crypto'
import test from 'ava'
import fc from 'fast-check'
import { verifyAudit } from '../../hsm/audit.ts'
import { Conversation, newBoot } from '../../hsm/envelope.ts'
import { integerOf, signedInteger } from '../../hsm/integers.ts'
import type { NodeAnswer, NodeRequest, NumberedCommitment, SignResult } from '../../hsm/messages.ts'
import { pkcs1Block, RsaQuorum } from '../../hsm/rsa.ts'
import { writeToSign } from '../../hsm/to-be-signed.ts'
import { commitmentsOf, deal, keygen, outcome, publicKeyOf, signBy, toSign } from './node-support.ts'
import { NOW, TestQuorum } from './nodes.ts'

test('nodes make a key among themselves, sign, and hold it over a restart', async t => {
  const quorum = new TestQuorum(3)
  const made = await keygen(quorum, 2)
  const message = writeToSign(toSign(made))
  t.true(verify(null, message, publicKeyOf(made.record), (await signBy(quorum, made, [1, 3], message))!))
  for (const node of quorum.nodes) quorum.start(node)
  t.true(verify(null, message, publicKeyOf(made.record), (await signBy(quorum, made, [2, 3], message))!))
  for (const node of quorum.nodes) {
    t.deepEqual(node.bugs, [])
    t.like(verifyAudit(node.disk.log.split('\n').slice(0, -1)), { kind: 'whole' })
  }
})

test('a dealt RSA key signs, and proofs are given for what was signed only', async t => {
  const quorum = new TestQuorum(3)
  const made = await deal(quorum, 2)
  const message = writeToSign(toSign(made))
  t.true(verify('sha256', message, publicKeyOf(made.record), (await signBy(quorum, made, [3, 1], message))!))
  const prove = { kind: 'prove', key: made.id, epoch: 1, messages: [message] } as const
  const { proofs } = await quorum.expect(quorum.nodes[0]!, prove, 'proofs')
  if (made.record.scheme.kind !== 'rsa') return t.fail()
  const rsa = new RsaQuorum(made.record.scheme.key)
  const { share, challenge, response } = proofs[0]!
  const x = pkcs1Block('sha256', message, rsa.octets)
  t.true(
    rsa.verifyProof(
      x,
      { index: 1, value: integerOf(share) },
      { challenge, response: signedInteger(response)! },
    ),
  )
  t.like(await quorum.ask(quorum.nodes[1]!, prove), { kind: 'refused', code: 'NOT_SIGNED' })
})

test('I2 of node-signing: nonces answer once, whatever became of the first request, and not after a restart', async t => {
  const quorum = new TestQuorum(3)
  const made = await keygen(quorum, 2)
  const [good, bad] = [writeToSign(toSign(made)), writeToSign(toSign(made, { ttl: 86_401 }))]
  const ask = async (messages: readonly Uint8Array[], sets: readonly (readonly NumberedCommitment[])[]) => {
    const request: NodeRequest = { kind: 'sign', key: made.id, epoch: 1, messages, sets, approvals: [] }
    return quorum.ask(quorum.nodes[0]!, request)
  }
  const results = (answer: NodeAnswer): readonly SignResult[] =>
    answer.kind === 'shares' ? answer.results : []
  const spent = { kind: 'refused', code: 'NONCE_SPENT' }
  const first = await commitmentsOf(quorum, made, [1, 2])
  t.is(results(await ask([good], [first]))[0]?.kind, 'share')
  t.like(results(await ask([good], [first]))[0], spent)
  const second = await commitmentsOf(quorum, made, [1, 2])
  t.like(results(await ask([bad], [second]))[0], { code: 'POLICY_TTL' })
  t.like(results(await ask([good], [second]))[0], spent)
  const third = await commitmentsOf(quorum, made, [1, 2])
  t.like(await ask([good, good], [third]), { kind: 'refused', code: 'NO_COMMITMENTS' })
  t.like(results(await ask([good], [third]))[0], spent)
  const fourth = await commitmentsOf(quorum, made, [1, 2])
  const twice = results(await ask([good, good], [fourth, fourth]))
  t.is(twice[0]?.kind, 'share')
  t.like(twice[1], spent)
  const fifth = await commitmentsOf(quorum, made, [1, 2])
  quorum.start(quorum.nodes[0]!)
  t.like(results(await ask([good], [fifth]))[0], spent)
})

test('I1: noise, copies and strangers change nothing', async t => {
  const quorum = new TestQuorum(3)
  const made = await deal(quorum, 2)
  const node = quorum.nodes[0]!
  const { log } = node.disk
  const message = quorum.talk(node).write({ kind: 'hello' }).octets
  t.not(await node.node.receive('coordinator', message), undefined)
  await fc.assert(
    fc.asyncProperty(fc.nat(message.length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
      const changed = message.map((octet, index) => (index === at ? octet ^ by : octet))
      return (await node.node.receive('coordinator', changed)) === undefined
    }),
    { seed: 8949, numRuns: 300 },
  )
  t.is(await node.node.receive('coordinator', message), undefined)
  t.is(await node.node.receive('stranger', message), undefined)
  t.is(node.node.counters.dropped, 302)
  for (const body of [
    null,
    7,
    [],
    {},
    { kind: 'sign' },
    { kind: 'hello', more: 1 },
    { kind: 'erase', key: 'x', epoch: 1 },
  ]) {
    t.like(await quorum.ask(node, body as NodeRequest), { kind: 'refused', code: 'MALFORMED' })
  }
  t.is(node.disk.log, log)
  t.is((await outcome(quorum, made, writeToSign(toSign(made)))).kind, 'share')
  t.deepEqual(node.bugs, [])
})

test('a request of before the coordinator began anew is not answered in the new talk', async t => {
  const quorum = new TestQuorum(3)
  const node = quorum.nodes[0]!
  await quorum.ask(node, { kind: 'hello' })
  const before = node.node.receive('coordinator', quorum.talk(node).write({ kind: 'audit', from: 1 }).octets)
  const anew = new Conversation(quorum.coordinator, node.identity.publicIdentity, newBoot(NOW + 50))
  const hello = node.node.receive('coordinator', anew.write({ kind: 'hello' }).octets)
  t.is(await before, undefined)
  t.is(anew.read((await hello)!, () => true).kind, 'received')
  t.is(node.node.counters.answered, 3)
})

test('I3 of node: so many requests wait, and more are dropped', async t => {
  const quorum = new TestQuorum(3)
  const node = quorum.nodes[0]!
  await quorum.ask(node, { kind: 'hello' })
  const talk = quorum.talk(node)
  const answers = await Promise.all(
    Array.from({ length: 300 }, () =>
      node.node.receive('coordinator', talk.write({ kind: 'audit', from: 1 }).octets),
    ),
  )
  t.is(answers.filter(answer => answer === undefined).length, 300 - 256)
  t.is((await quorum.ask(node, { kind: 'hello' })).kind, 'state')
})

test('audit: nothing is signed when the log cannot be written; a changed log is not opened', async t => {
  const quorum = new TestQuorum(3)
  const made = await deal(quorum, 2)
  const node = quorum.nodes[0]!
  const lines = node.disk.log.split('\n').slice(0, -1)
  t.like(verifyAudit(lines), { kind: 'whole', length: 1 })
  await outcome(quorum, made, writeToSign(toSign(made)))
  const more = node.disk.log.split('\n').slice(0, -1)
  t.like(verifyAudit(more.slice(1)), { kind: 'broken', line: 1 })
  t.like(verifyAudit([more[0]!.replace('deal', 'sign'), more[1]!]), { kind: 'broken', line: 2 })
  t.like(verifyAudit([more[0]!, 'noise']), { kind: 'broken', line: 2 })
  const whole = node.disk.log
  node.disk.log = `${more[0]!.replace('deal', 'sign')}\n${more[1]!}\n`
  t.throws(() => quorum.start(node), { message: /line 2/ })
  node.disk.log = whole
  Object.defineProperty(node.disk, 'audit', {
    value: { append: () => Promise.reject(new Error('the disk is full')), lines: () => more },
  })
  quorum.start(node)
  const request = {
    kind: 'sign',
    key: made.id,
    epoch: 1,
    messages: [writeToSign(toSign(made))],
    approvals: [],
  } as const
  t.like(await quorum.ask(node, request), { kind: 'refused', code: 'NODE_FAILED' })
  t.like(await quorum.ask(node, request), { kind: 'refused', code: 'NODE_FAILED' })
  t.is(node.bugs.length, 2)
})
