import { verify } from 'node:crypto'
import test from 'ava'
import { sealTo } from '../../hsm/identity.ts'
import { signedOctets } from '../../hsm/integers.ts'
import { encodeKeyRecord, type QuorumKeyRecord, quorumKeyId } from '../../hsm/key-record.ts'
import type { NodeRequest, SignedDealing, SignedEcho, SignedRound1 } from '../../hsm/messages.ts'
import { dealContext } from '../../hsm/node-keygen.ts'
import type { StoredShare } from '../../hsm/node-keys.ts'
import type { NodePolicy } from '../../hsm/node-policy.ts'
import { writeToSign } from '../../hsm/to-be-signed.ts'
import {
  confirmation,
  deal,
  heldKey,
  keygen,
  keygenBegin,
  keygenToEchoes,
  keygenToRound1,
  publicKeyOf,
  reshareToEchoes,
  session,
  signBy,
  toSign,
} from './node-support.ts'
import { NOW, openPolicy, TestQuorum } from './nodes.ts'

for (const kind of ['frost', 'rsa'] as const) {
  test(`${kind}: shares are made anew for other members; old ones go, and the key signs on`, async t => {
    const quorum = new TestQuorum(4)
    const first = ['n1', 'n2', 'n3']
    const made = kind === 'frost' ? await keygen(quorum, 2, { members: first }) : await deal(quorum, 2, first)
    const members = ['n2', 'n4', 'n3']
    const reshared = await reshareToEchoes(quorum, made, { set: [3, 1], members })
    for (const node of quorum.nodes) {
      const answer = await quorum.ask(node, confirmation(reshared))
      t.is(answer.kind, node === quorum.nodes[0] ? 'done' : 'active')
    }
    const anew = await heldKey(quorum, quorum.nodes[3])
    t.is(anew.id, made.id)
    t.is(anew.record.epoch, 2)
    t.deepEqual(anew.record.members, members)
    t.is(quorum.nodes[0]!.disk.shares.size, 0)
    for (const node of quorum.nodes.slice(1)) t.is(node.disk.shares.size, 1)
    const message = writeToSign(toSign(anew))
    const signature = await signBy(quorum, anew, [1, 2], message)
    t.true(verify(kind === 'rsa' ? 'sha256' : null, message, publicKeyOf(made.record), signature!))
    const old = { kind: 'sign', key: made.id, epoch: 1, messages: [message], approvals: [] } as const
    t.like(await quorum.ask(quorum.nodes[1]!, old), { kind: 'refused', code: 'EPOCH' })
  })
}

test('reshare: a holder that was away, or started anew since, learns by the echoes that it is out; nothing less makes it erase', async t => {
  const quorum = new TestQuorum(4)
  const made = await deal(quorum, 2, ['n1', 'n2', 'n3'])
  const [n1] = quorum.nodes
  const members = ['n2', 'n4', 'n3']
  const reshared = await reshareToEchoes(quorum, made, { set: [2, 3], members, away: ['n1'] })
  const { session: name, echoes, outcome } = reshared
  const other = await reshareToEchoes(quorum, made, { set: [2, 3], members, away: ['n1'] })
  const wrong: readonly (readonly [NodeRequest, string])[] = [
    [{ kind: 'reshare-confirm', session: name, echoes }, 'SESSION'],
    [confirmation({ ...reshared, echoes: echoes.slice(1) }), 'ECHO'],
    [
      confirmation({ ...reshared, echoes: [echoes[0]!, echoes[1]!, { ...echoes[1]!, index: 3 }] }),
      'SIGNATURE',
    ],
    [confirmation({ ...reshared, session: other.session }), 'SIGNATURE'],
    [confirmation({ ...reshared, outcome: other.outcome }), 'ECHO'],
    [confirmation({ ...reshared, outcome: { ...outcome, record: made.octets } }), 'SESSION'],
    [confirmation({ ...reshared, outcome: { ...outcome, record: new Uint8Array(9) } }), 'SESSION'],
  ]
  for (const [request, code] of wrong) t.like(await quorum.ask(n1!, request), { kind: 'refused', code })
  n1!.node.setPolicy({ ...openPolicy, thresholdMin: 3 })
  t.like(await quorum.ask(n1!, confirmation(reshared)), { kind: 'refused', code: 'POLICY' })
  n1!.node.setPolicy(openPolicy)
  t.is(n1!.disk.shares.size, 1)
  quorum.start(n1!)
  t.is((await quorum.ask(n1!, confirmation(reshared))).kind, 'done')
  t.is(n1!.disk.shares.size, 0)
  t.is((await quorum.ask(n1!, confirmation(reshared))).kind, 'done')
  t.deepEqual(n1!.bugs, [])
})

test('reshare: a node whose share is of an earlier epoch deals nothing, and gets a new share as one without', async t => {
  const quorum = new TestQuorum(3)
  const made = await deal(quorum, 2)
  const [n1] = quorum.nodes
  const old = new Map(n1!.disk.shares)
  const all = { set: [2, 3], members: quorum.members }
  const second = confirmation(await reshareToEchoes(quorum, made, all))
  for (const node of quorum.nodes) await quorum.expect(node, second, 'active')
  // Its disk of before.
  n1!.disk.shares.clear()
  for (const [name, share] of old) n1!.disk.shares.set(name, share)
  quorum.start(n1!)
  const key = await heldKey(quorum, quorum.nodes[1])
  t.is((await heldKey(quorum)).record.epoch, 1)
  const third = confirmation(await reshareToEchoes(quorum, key, all))
  for (const node of quorum.nodes) await quorum.expect(node, third, 'active')
  const anew = await heldKey(quorum)
  t.is(anew.record.epoch, 3)
  t.is(n1!.disk.shares.size, 1)
  const message = writeToSign(toSign(anew))
  t.true(verify('sha256', message, publicKeyOf(made.record), (await signBy(quorum, anew, [1, 3], message))!))
})

test('I4 of node-trust: no key comes to need fewer nodes than before, or than the policy says', async t => {
  const quorum = new TestQuorum(5)
  const made = await deal(quorum, 3)
  const node = quorum.nodes[4]!
  const begin = (threshold: number, members: readonly string[]): NodeRequest => {
    const { id: key, octets: record } = made
    return { kind: 'reshare', session: session(), key, epoch: 1, record, set: [1, 2, 3], members, threshold }
  }
  t.like(await quorum.ask(node, begin(2, ['n1', 'n2'])), { kind: 'refused', code: 'POLICY' })
  t.like(await quorum.ask(quorum.nodes[0]!, begin(2, ['n1', 'n2'])), { kind: 'refused', code: 'POLICY' })
  t.is((await quorum.ask(node, begin(3, ['n1', 'n2', 'n3']))).kind, 'done')
  node.node.setPolicy({ ...openPolicy, thresholdMin: 2 })
  t.is((await quorum.ask(node, begin(2, ['n1', 'n2']))).kind, 'done')
  node.node.setPolicy({ ...openPolicy, thresholdMin: 4 })
  t.like(await quorum.ask(node, begin(3, ['n1', 'n2', 'n3'])), { kind: 'refused', code: 'POLICY' })
  const make = { kind: 'keygen', session: session(), zone: 'example.', role: 'csk', algorithm: 15 } as const
  const keygenRequest: NodeRequest = { ...make, createdUnix: NOW, members: quorum.members, threshold: 3 }
  t.like(await quorum.ask(node, keygenRequest), { kind: 'refused', code: 'POLICY' })
  // A key nobody here holds, made up by two who want it to be one of the quorum.
  const stranger = new TestQuorum(5)
  const small = await keygen(stranger, 2, { members: ['n1', 'n2', 'n3'] })
  const inject: NodeRequest = {
    kind: 'reshare',
    session: session(),
    key: small.id,
    epoch: 1,
    record: small.octets,
    set: [1, 2],
    members: quorum.members,
    threshold: 3,
  }
  node.node.setPolicy({ ...openPolicy, thresholdMin: 3 })
  t.like(await quorum.ask(node, inject), { kind: 'refused', code: 'POLICY' })
})

test("reshare: a record with another key's verifiers is refused, and one echo is given a session", async t => {
  const quorum = new TestQuorum(3)
  for (const make of [keygen, deal]) {
    const { record: sound } = await make(quorum, 2)
    const [, two, three] = sound.scheme.key.verifiers
    const key = { ...sound.scheme.key, verifiers: [three, two, three] }
    const record = { ...sound, epoch: 7, scheme: { kind: sound.scheme.kind, key } } as QuorumKeyRecord
    const request: NodeRequest = {
      kind: 'reshare',
      session: session(),
      key: quorumKeyId(record),
      epoch: 7,
      record: encodeKeyRecord(record),
      set: [1, 2],
      members: quorum.members,
      threshold: 2,
    }
    t.like(await quorum.ask(quorum.nodes[0]!, request), { kind: 'refused', code: 'SET' })
  }
  const made = await heldKey(quorum)
  const name = session()
  await reshareToEchoes(quorum, made, { set: [1, 2], members: quorum.members, session: name })
  const again: NodeRequest = { kind: 'reshare-parts', session: name, dealings: [], parts: [] }
  t.like(await quorum.ask(quorum.nodes[0]!, again), { kind: 'refused', code: 'SESSION' })
})

test('what was prepared goes with its session, or with the next one; what is active stays', async t => {
  const quorum = new TestQuorum(3)
  const made = await deal(quorum, 2)
  const [n1] = quorum.nodes
  const all = { set: [1, 2], members: quorum.members }
  const states = (): string[] => [...n1!.disk.shares.values()].map(({ state }) => state)
  const shown = async (): Promise<readonly Uint8Array[]> =>
    (await quorum.expect(n1!, { kind: 'hello' }, 'state')).prepared
  const first = await reshareToEchoes(quorum, made, all)
  t.deepEqual(states(), ['active', 'prepared'])
  t.deepEqual(await shown(), [first.session])
  const second = await reshareToEchoes(quorum, made, all)
  t.deepEqual(states(), ['active', 'prepared'])
  t.deepEqual(await shown(), [second.session])
  t.is((await quorum.ask(n1!, { kind: 'abandon', session: second.session })).kind, 'done')
  t.deepEqual(states(), ['active'])
  t.like(await quorum.ask(n1!, confirmation(second)), { kind: 'refused', code: 'SESSION' })
  const third = await reshareToEchoes(quorum, made, all)
  t.is((await quorum.ask(n1!, confirmation(third))).kind, 'active')
  t.is((await quorum.ask(n1!, { kind: 'abandon', session: third.session })).kind, 'done')
  t.deepEqual(states(), ['active'])
  t.is((await heldKey(quorum)).record.epoch, 2)
})

test('what is dealt fits its record, once; dealings are signed, and of all who deal; a key is finished once', async t => {
  const quorum = new TestQuorum(3)
  const made = await deal(quorum, 2)
  const [n1, n2] = quorum.nodes
  const { octets: record } = made
  const sealed = sealTo(quorum.dealer, n1!.identity.publicIdentity, dealContext(record), signedOctets(5n))
  const share: NodeRequest = { kind: 'deal', record, share: sealed, dealer: 'dealer' }
  t.like(await quorum.ask(n1!, share), { kind: 'refused', code: 'SHARE' })
  await t.throwsAsync(deal(quorum, 2), { message: /KEY_EXISTS/ })
  const name = session()
  const begin: NodeRequest = {
    kind: 'reshare',
    session: name,
    key: made.id,
    epoch: 1,
    record,
    set: [1, 2],
    members: quorum.members,
    threshold: 2,
  }
  const dealings: SignedDealing[] = []
  for (const node of [n1!, n2!]) dealings.push((await quorum.expect(node, begin, 'dealt')).dealing)
  const ask = (list: readonly SignedDealing[]): NodeRequest => {
    return { kind: 'reshare-parts', session: name, dealings: list, parts: [] }
  }
  const forged = { ...dealings[1]!, signature: dealings[0]!.signature }
  t.like(await quorum.ask(n1!, ask([dealings[0]!, forged])), { kind: 'refused', code: 'SIGNATURE' })
  t.like(await quorum.ask(n1!, ask(dealings.slice(1))), { kind: 'refused', code: 'DEALINGS' })
  const confirm = await keygenToEchoes(quorum, 2)
  if (confirm.kind !== 'keygen-confirm') return t.fail()
  const again: NodeRequest = { kind: 'keygen-finish', session: confirm.session, parts: [] }
  t.like(await quorum.ask(n1!, again), { kind: 'refused', code: 'SESSION' })
})

test('I1 of node-sessions: a name begins one session; one that another has overtaken gives no echo', async t => {
  const quorum = new TestQuorum(3)
  const made = await deal(quorum, 2)
  const [n1] = quorum.nodes
  const all = { set: [1, 2], members: quorum.members }
  const { id: key, octets: record } = made
  const begin = (name: Uint8Array): NodeRequest => {
    return { kind: 'reshare', session: name, key, epoch: 1, record, ...all, threshold: 2 }
  }
  const early = session()
  const dealt = await quorum.expect(n1!, begin(early), 'dealt')
  const other = await quorum.expect(quorum.nodes[1]!, begin(early), 'dealt')
  t.like(await quorum.ask(n1!, begin(early)), { kind: 'refused', code: 'SESSION' })
  const late = await reshareToEchoes(quorum, made, all)
  t.like(await quorum.ask(n1!, begin(late.session)), { kind: 'refused', code: 'SESSION' })
  t.is((await quorum.ask(n1!, confirmation(late))).kind, 'active')
  const parts: NodeRequest = {
    kind: 'reshare-parts',
    session: early,
    dealings: [dealt.dealing, other.dealing],
    parts: [...dealt.parts, ...other.parts],
  }
  t.like(await quorum.ask(n1!, parts), { kind: 'refused', code: 'RECORD' })
  t.is(n1!.disk.shares.size, 1)
})

test('I3 of node-keys: a crash at any step of a confirmation leaves a share that is used, and the start after it ends the rest', async t => {
  const quorum = new TestQuorum(3)
  const made = await deal(quorum, 2)
  const [n1] = quorum.nodes
  const all = { set: [1, 2], members: quorum.members }
  const abandoned = await reshareToEchoes(quorum, made, all)
  const [left] = [...n1!.disk.shares.values()].filter(({ state }) => state === 'prepared') as [StoredShare]
  t.is(left.session, Buffer.from(abandoned.session).toString('hex'))
  const confirm = confirmation(await reshareToEchoes(quorum, made, all))
  // A crash has left it there.
  await n1!.disk.save(left)
  quorum.start(n1!)
  const before = new Map(n1!.disk.shares)
  t.is(before.size, 3)
  for (let step = 0; step <= 3; step++) {
    n1!.disk.shares.clear()
    for (const [name, share] of before) n1!.disk.shares.set(name, share)
    n1!.disk.stepsLeft = Number.POSITIVE_INFINITY
    quorum.start(n1!)
    n1!.disk.stepsLeft = step
    const answer = await quorum.ask(n1!, confirm)
    t.is(answer.kind, step === 3 ? 'active' : 'refused')
    n1!.disk.stepsLeft = Number.POSITIVE_INFINITY
    for (const isReversed of [false, true]) {
      n1!.disk.isReversed = isReversed
      quorum.start(n1!)
      t.is((await heldKey(quorum)).record.epoch, step === 0 ? 1 : 2, `step ${step}`)
    }
    await n1!.node.tidy()
    const states = [...n1!.disk.shares.values()].map(({ state }) => state)
    t.deepEqual(states.sort(), step === 0 ? ['active', 'prepared', 'prepared'] : ['active'], `step ${step}`)
    t.is((await quorum.ask(n1!, confirm)).kind, 'active')
    t.is(n1!.disk.shares.size, 1)
  }
})

test('sessions: a coordinator that tells nodes different stories gets no key', async t => {
  const quorum = new TestQuorum(3)
  const [one, two, three] = quorum.nodes
  const { session: name, round1 } = await keygenToRound1(quorum, keygenBegin(quorum, 2))
  const parts = (list: readonly SignedRound1[]): NodeRequest => ({
    kind: 'keygen-parts',
    session: name,
    round1: list,
  })
  const forged = round1.map(message => (message.index === 3 ? { ...round1[1]!, index: 3 } : message))
  t.like(await quorum.ask(one!, parts(forged)), { kind: 'refused', code: 'SIGNATURE' })
  const salted = round1.map(message => ({ ...message, salt: round1[0]!.salt }))
  t.like(await quorum.ask(one!, parts(salted)), { kind: 'refused', code: 'SIGNATURE' })
  const shifted = round1.map(message => {
    const { commitments, proofs } = message
    return { ...message, commitments: [...commitments, proofs[0]!], proofs: proofs.slice(1) }
  })
  t.like(await quorum.ask(one!, parts(shifted)), { kind: 'refused', code: 'SIGNATURE' })
  t.like(await quorum.ask(one!, parts(round1.slice(1))), { kind: 'refused', code: 'SESSION' })
  const sent = []
  for (const node of quorum.nodes) sent.push(...(await quorum.expect(node, parts(round1), 'parts')).parts)
  t.like(await quorum.ask(one!, parts(round1)), { kind: 'refused', code: 'SESSION' })
  const toThree = sent.find(part => part.from === 2 && part.to === 3)!
  const swapped = sent.map(part => (part.from === 2 && part.to === 1 ? { ...toThree, to: 1 } : part))
  const finish: NodeRequest = { kind: 'keygen-finish', session: name, parts: swapped }
  t.like(await quorum.ask(one!, finish), { kind: 'refused', code: 'SEALED' })
  const echoes = []
  for (const node of [two!, three!]) {
    echoes.push(
      (await quorum.expect(node, { kind: 'keygen-finish', session: name, parts: sent }, 'echo')).echo,
    )
  }
  const confirm = (list: readonly SignedEcho[]): NodeRequest => ({
    kind: 'keygen-confirm',
    session: name,
    echoes: list,
  })
  t.like(await quorum.ask(two!, confirm(echoes)), { kind: 'refused', code: 'ECHO' })
  const stolen = [{ ...echoes[0]!, index: 1 }, ...echoes]
  t.like(await quorum.ask(two!, confirm(stolen)), { kind: 'refused', code: 'SIGNATURE' })
  for (const node of quorum.nodes) {
    t.deepEqual((await quorum.expect(node, { kind: 'hello' }, 'state')).keys, [])
  }
})

test('sessions: what the policy does not allow is not begun', async t => {
  const closed: NodePolicy = { ...openPolicy, keygen: false, deal: false, reshare: false, erase: false }
  const quorum = new TestQuorum(3)
  const made = await deal(quorum, 2)
  const node = quorum.nodes[0]!
  const common = { session: session(), members: quorum.members, threshold: 2 }
  const make = {
    kind: 'keygen',
    zone: 'example.',
    role: 'csk',
    algorithm: 15,
    createdUnix: NOW,
    ...common,
  } as const
  const again = {
    kind: 'reshare',
    key: made.id,
    epoch: 1,
    record: made.octets,
    set: [1, 2],
    ...common,
  } as const
  node.node.setPolicy(closed)
  for (const request of [make, again, { kind: 'erase', key: made.id, epoch: 1 } as const]) {
    t.like(await quorum.ask(node, request), { kind: 'refused', code: 'POLICY' }, request.kind)
  }
  node.node.setPolicy(openPolicy)
  const wrong: readonly (readonly [NodeRequest, string])[] = [
    [{ ...make, zone: 'other.' }, 'POLICY'],
    [{ ...make, zone: 'no..name' }, 'ZONE'],
    [{ ...make, zone: 'Example.' }, 'ZONE'],
    [{ ...make, algorithm: 8 }, 'ALGORITHM'],
    [{ ...make, createdUnix: NOW - 7200 }, 'CLOCK'],
    [{ ...make, members: ['n1', 'n2', 'stranger'] }, 'MEMBERS'],
    [{ ...make, members: ['n1', 'n2', 'n2'] }, 'MEMBERS'],
    [{ ...make, members: ['n2', 'n3'] }, 'MEMBERS'],
    [{ ...make, threshold: 1 }, 'MEMBERS'],
    [{ ...make, session: new Uint8Array(8) }, 'SESSION'],
    [{ ...again, set: [1, 1] }, 'SET'],
    [{ ...again, epoch: 2 }, 'RECORD'],
    [{ ...again, record: encodeKeyRecord({ ...made.record, createdUnix: 5 }) }, 'RECORD'],
    [{ kind: 'deal', record: made.octets, share: new Uint8Array(300), dealer: 'dealer' }, 'SEALED'],
    [{ kind: 'deal', record: made.octets, share: new Uint8Array(300), dealer: 'n2' }, 'DEALER'],
    [{ kind: 'keygen-reveal', session: session(), pledges: [] }, 'SESSION'],
    [{ kind: 'keygen-parts', session: session(), round1: [] }, 'SESSION'],
    [{ kind: 'commit', key: made.id, epoch: 1, count: 1 }, 'NO_COMMITMENTS'],
    [{ kind: 'commit', key: '0'.repeat(32), epoch: 1, count: 1 }, 'KEY_UNKNOWN'],
  ]
  for (const [request, code] of wrong)
    t.like(await quorum.ask(node, request), { kind: 'refused', code }, code)
  t.deepEqual(node.bugs, [])
  t.like(await quorum.ask(node, { kind: 'erase', key: made.id, epoch: 1 }), { kind: 'done' })
  t.is(node.disk.shares.size, 0)
})
