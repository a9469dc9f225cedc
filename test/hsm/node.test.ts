import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  verify,
} from 'node:crypto'
import test from 'ava'
import fc from 'fast-check'
import { type ApprovedWindow, approve, rrsetHash } from '../../hsm/approval.ts'
import { verifyAudit } from '../../hsm/audit.ts'
import { FrostQuorum } from '../../hsm/frost.ts'
import { sealTo } from '../../hsm/identity.ts'
import { integerOf, octetsOf, signedInteger, signedOctets } from '../../hsm/integers.ts'
import { decodeKeyRecord, encodeKeyRecord, type QuorumKeyRecord, quorumKeyId } from '../../hsm/key-record.ts'
import type {
  Approval,
  NodeAnswer,
  NodeRequest,
  NumberedCommitment,
  SignedEcho,
  SignedRound1,
  SignResult,
} from '../../hsm/messages.ts'
import { dealContext } from '../../hsm/node-keygen.ts'
import { dnskeyOf, keyTagOf } from '../../hsm/node-keys.ts'
import type { NodePolicy, ZoneRule } from '../../hsm/node-policy.ts'
import { pkcs1Block, RsaQuorum } from '../../hsm/rsa.ts'
import { shareSafePrimes } from '../../hsm/rsa-deal.ts'
import { type ToSign, writeToSign } from '../../hsm/to-be-signed.ts'
import { canonicalName, nameFromText, rdataFromText, TYPE } from '../../zones/index.ts'
import { NOW, openPolicy, openRule, type TestNode, TestQuorum } from './nodes.ts'
import { SAFE_PRIMES_1024 } from './safe-primes.ts'

interface MadeKey {
  readonly id: string
  readonly record: QuorumKeyRecord
  readonly octets: Uint8Array
}

const session = (): Uint8Array => new Uint8Array(randomBytes(32))

/** Drives key generation through all nodes. */
async function keygen(
  quorum: TestQuorum,
  threshold: number,
  { role = 'csk', members = quorum.members }: { role?: 'csk' | 'ksk'; members?: readonly string[] } = {},
): Promise<MadeKey> {
  const name = session()
  const nodes = members.map(one => quorum.named(one))
  const request: NodeRequest = {
    kind: 'keygen',
    session: name,
    zone: 'example.',
    role,
    algorithm: 15,
    createdUnix: NOW,
    members,
    threshold,
  }
  const round1 = []
  for (const node of nodes) round1.push((await quorum.expect(node, request, 'round1')).round1)
  const parts = []
  for (const node of nodes) {
    parts.push(...(await quorum.expect(node, { kind: 'keygen-parts', session: name, round1 }, 'parts')).parts)
  }
  const echoes = []
  for (const node of nodes) {
    echoes.push((await quorum.expect(node, { kind: 'keygen-finish', session: name, parts }, 'echo')).echo)
  }
  for (const node of nodes) {
    await quorum.expect(node, { kind: 'keygen-confirm', session: name, echoes }, 'active')
  }
  return heldKey(quorum)
}

async function heldKey(quorum: TestQuorum, node: TestNode = quorum.nodes[0]!): Promise<MadeKey> {
  const state = await quorum.expect(node, { kind: 'hello' }, 'state')
  const held = state.keys.at(-1)!
  return { id: held.key, record: decodeKeyRecord(held.record)!, octets: held.record }
}

async function deal(quorum: TestQuorum, threshold: number, members = quorum.members): Promise<MadeKey> {
  const { key, shares } = shareSafePrimes(...SAFE_PRIMES_1024, { threshold, nodes: members.length })
  const record: QuorumKeyRecord = {
    zone: 'example.',
    role: 'csk',
    algorithm: 8,
    createdUnix: NOW,
    epoch: 1,
    members,
    scheme: { kind: 'rsa', key },
  }
  const octets = encodeKeyRecord(record)
  for (const [at, name] of members.entries()) {
    const node = quorum.named(name)
    const share = sealTo(
      quorum.dealer,
      node.identity.publicIdentity,
      dealContext(octets),
      signedOctets(shares[at]!.value),
    )
    await quorum.expect(node, { kind: 'deal', record: octets, share, dealer: 'dealer' }, 'active')
  }
  return { id: quorumKeyId(record), record, octets }
}

function toSign({ record }: MadeKey, change: Partial<ToSign> = {}): ToSign {
  const zone = canonicalName(nameFromText('example.'))
  return {
    type: TYPE.A,
    algorithm: record.algorithm,
    ttl: 300,
    expirationUnix: NOW + 86_400,
    inceptionUnix: NOW - 3600,
    keyTag: keyTagOf(dnskeyOf(record)),
    signer: zone,
    owner: canonicalName(nameFromText('www', zone)),
    rdata: [rdataFromText(TYPE.A, '192.0.2.1', zone)],
    ...change,
  }
}

function publicKeyOf({ scheme }: QuorumKeyRecord): KeyObject {
  const text = (octets: Uint8Array): string => Buffer.from(octets).toString('base64url')
  const jwk =
    scheme.kind === 'frost'
      ? { kty: 'OKP', crv: 'Ed25519', x: text(scheme.key.publicKey) }
      : { kty: 'RSA', n: text(octetsOf(scheme.key.modulus)), e: text(octetsOf(scheme.key.publicExponent)) }
  return createPublicKey({ key: jwk, format: 'jwk' })
}

/** Has nodes of that index sign a message; the signature is combined here. */
async function signBy(
  quorum: TestQuorum,
  made: MadeKey,
  set: readonly number[],
  message: Uint8Array,
): Promise<Uint8Array | undefined> {
  const { id: key, record } = made
  const nodes = set.map(index => quorum.named(record.members[index - 1]!))
  const request = { kind: 'sign', key, epoch: record.epoch, messages: [message], approvals: [] } as const
  const shares = []
  if (record.scheme.kind === 'rsa') {
    const rsa = new RsaQuorum(record.scheme.key)
    for (const [at, node] of nodes.entries()) {
      const [result] = (await quorum.expect(node, request, 'shares')).results
      shares.push({ index: set[at]!, value: integerOf(shareOf(result)) })
    }
    return rsa.combine(pkcs1Block('sha256', message, rsa.octets), shares)
  }
  const commitments = await commitmentsOf(quorum, made, set)
  for (const [at, node] of nodes.entries()) {
    const [result] = (await quorum.expect(node, { ...request, sets: [commitments] }, 'shares')).results
    shares.push({ index: set[at]!, value: shareOf(result) })
  }
  return new FrostQuorum(record.scheme.key).combine(commitments, shares, message)
}

async function commitmentsOf(
  quorum: TestQuorum,
  { id: key, record }: MadeKey,
  set: readonly number[],
): Promise<NumberedCommitment[]> {
  const commitments: NumberedCommitment[] = []
  for (const index of set) {
    const node = quorum.named(record.members[index - 1]!)
    const request = { kind: 'commit', key, epoch: record.epoch, count: 1 } as const
    commitments.push(...(await quorum.expect(node, request, 'commitments')).commitments)
  }
  return commitments
}

function shareOf(result: SignResult | undefined): Uint8Array {
  if (result?.kind !== 'share') throw new Error(JSON.stringify(result))
  return result.share
}

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

for (const kind of ['frost', 'rsa'] as const) {
  test(`${kind}: shares are made anew for other members; old ones go, and the key signs on`, async t => {
    const quorum = new TestQuorum(4)
    const first = ['n1', 'n2', 'n3']
    const made = kind === 'frost' ? await keygen(quorum, 2, { members: first }) : await deal(quorum, 2, first)
    const name = session()
    const members = ['n2', 'n4', 'n3']
    const request: NodeRequest = {
      kind: 'reshare',
      session: name,
      key: made.id,
      epoch: 1,
      record: made.octets,
      set: [3, 1],
      members,
      threshold: 2,
    }
    const dealt = []
    for (const node of quorum.nodes) dealt.push(await quorum.ask(node, request))
    const answers = dealt.filter(answer => answer.kind === 'dealt')
    t.is(answers.length, 2)
    const dealings = answers.map(({ dealing }) => dealing)
    const parts = answers.flatMap(answer => answer.parts)
    const echoes = []
    for (const node of quorum.nodes.slice(1)) {
      echoes.push(
        (await quorum.expect(node, { kind: 'reshare-parts', session: name, dealings, parts }, 'echo')).echo,
      )
    }
    for (const node of quorum.nodes) {
      const answer = await quorum.ask(node, { kind: 'reshare-confirm', session: name, echoes })
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

/** What becomes of one message, at node 1. */
async function outcome(
  quorum: TestQuorum,
  made: MadeKey,
  message: Uint8Array,
  approvals: readonly Approval[] = [],
): Promise<SignResult> {
  const request = { kind: 'sign', key: made.id, epoch: 1, messages: [message], approvals } as const
  return (await quorum.expect(quorum.nodes[0]!, request, 'shares')).results[0]!
}

const zone = canonicalName(nameFromText('example.'))
const rogue = rdataFromText(TYPE.DNSKEY, '256 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=', zone)
const other = canonicalName(nameFromText('other.'))

/** What is asked, the rule it is asked under, and the code that refuses it. */
const refusals: readonly (readonly [string, string, Partial<ToSign>, Partial<ZoneRule>])[] = [
  ['another zone', 'POLICY_ZONE', { signer: other, owner: other }, {}],
  ['another key tag', 'POLICY_KEY', { keyTag: 1 }, {}],
  ['another algorithm', 'POLICY_KEY', { algorithm: 15 }, {}],
  ['a role that is not allowed', 'POLICY_ROLE', {}, { roles: ['ksk', 'zsk'] }],
  ['a type that is not allowed', 'POLICY_TYPE', {}, { types: [TYPE.AAAA] }],
  ['a long TTL', 'POLICY_TTL', { ttl: 86_401 }, {}],
  ['many records', 'POLICY_RECORDS', {}, { recordsMax: 0 }],
  ['an old inception', 'POLICY_INCEPTION', { inceptionUnix: NOW - 8000 }, {}],
  ['a later inception', 'POLICY_INCEPTION', { inceptionUnix: NOW + 400 }, {}],
  ['an end in the past', 'POLICY_VALIDITY', { expirationUnix: NOW - 1 }, {}],
  ['a far end', 'POLICY_VALIDITY', { expirationUnix: NOW + 15 * 86_400 }, {}],
  [
    'an unknown DNSKEY',
    'POLICY_DNSKEY',
    { type: TYPE.DNSKEY, owner: zone, rdata: [rogue] },
    { dnskeys: 'quorum' },
  ],
  [
    'a DNSKEY not on the list',
    'POLICY_DNSKEY',
    { type: TYPE.DNSKEY, owner: zone, rdata: [rogue] },
    { dnskeys: [] },
  ],
  [
    'CDNSKEY of an unknown key',
    'POLICY_DNSKEY',
    { type: TYPE.CDNSKEY, owner: zone, rdata: [rogue] },
    { dnskeys: [] },
  ],
  ['a DNSKEY below the apex', 'POLICY_OWNER', { type: TYPE.DNSKEY, rdata: [rogue] }, {}],
  ['no more this minute', 'POLICY_RATE', {}, { messagesPerMinuteMax: 0 }],
]

test('policy: each limit refuses what is beyond it, by its own code; the log has it', async t => {
  for (const [what, code, change, rule] of refusals) {
    const quorum = new TestQuorum(3)
    const made = await deal(quorum, 2)
    quorum.nodes[0]!.node.setPolicy({ ...openPolicy, zones: [{ ...openRule, ...rule }] })
    const result = await outcome(quorum, made, writeToSign(toSign(made, change)))
    t.like(result, { kind: 'refused', code }, what)
    const line = JSON.parse(quorum.nodes[0]!.disk.log.trim().split('\n').at(-1)!) as Record<string, unknown>
    t.like(line, { what: 'sign', outcome: 'refused', code }, what)
  }
})

test('policy: what is within the limits is signed: keys of the quorum, listed keys, their CDS, and delete records', async t => {
  const quorum = new TestQuorum(3)
  const made = await deal(quorum, 2)
  const own = dnskeyOf(made.record)
  const digest = createHash('sha256').update(zone).update(own).digest()
  const ds = Uint8Array.of(
    ...own.subarray(0, 0),
    keyTagOf(own) >> 8,
    keyTagOf(own) & 255,
    own[3]!,
    2,
    ...digest,
  )
  const rdata = [own, rogue].sort((a, b) => Buffer.compare(a, b))
  const allowed: readonly (readonly [Partial<ToSign>, ZoneRule['dnskeys']])[] = [
    [{ type: TYPE.DNSKEY, owner: zone, rdata: [own] }, 'quorum'],
    [{ type: TYPE.DNSKEY, owner: zone, rdata }, [rogue]],
    [{ type: TYPE.DNSKEY, owner: zone, rdata }, 'any'],
    [{ type: TYPE.CDNSKEY, owner: zone, rdata: [own] }, 'quorum'],
    [{ type: TYPE.CDS, owner: zone, rdata: [ds] }, 'quorum'],
    [{ type: TYPE.CDS, owner: zone, rdata: [Uint8Array.of(0, 0, 0, 0, 0)] }, 'quorum'],
    [{ type: TYPE.CDNSKEY, owner: zone, rdata: [Uint8Array.of(0, 0, 3, 0, 0)] }, 'quorum'],
  ]
  for (const [change, dnskeys] of allowed) {
    quorum.nodes[0]!.node.setPolicy({ ...openPolicy, zones: [{ ...openRule, dnskeys }] })
    const result = await outcome(quorum, made, writeToSign(toSign(made, change)))
    t.is(result.kind, 'share', JSON.stringify(result))
  }
  const wrong = Uint8Array.from(ds, (octet, at) => (at === 10 ? octet ^ 1 : octet))
  quorum.nodes[0]!.node.setPolicy({ ...openPolicy, zones: [{ ...openRule, dnskeys: 'quorum' }] })
  const result = await outcome(
    quorum,
    made,
    writeToSign(toSign(made, { type: TYPE.CDS, owner: zone, rdata: [wrong] })),
  )
  t.like(result, { kind: 'refused', code: 'POLICY_DNSKEY' })
})

test('policy: a KSK signs keys only', async t => {
  const quorum = new TestQuorum(3)
  const made = await keygen(quorum, 2, { role: 'ksk' })
  const request = {
    kind: 'sign',
    key: made.id,
    epoch: 1,
    messages: [writeToSign(toSign(made))],
    sets: [[]],
    approvals: [],
  } as const
  const { results } = await quorum.expect(quorum.nodes[0]!, request, 'shares')
  t.like(results[0], { kind: 'refused', code: 'POLICY_ROLE' })
})

test('approvals: 2 of 3 operators, for exactly this RRset and window, each counted once', async t => {
  const quorum = new TestQuorum(3)
  const made = await deal(quorum, 2)
  const operators = [1, 2, 3].map(() => generateKeyPairSync('ed25519').privateKey)
  const octets = operators.map(operator => approve(operator, windowOf(made)).operator)
  const rule = { required: 2, operators: octets, types: [TYPE.DNSKEY] }
  quorum.nodes[0]!.node.setPolicy({ ...openPolicy, zones: [{ ...openRule, approvals: rule }] })
  const keySet = { type: TYPE.DNSKEY, owner: zone, rdata: [dnskeyOf(made.record)] }
  const wanted = toSign(made, keySet)
  const message = writeToSign(wanted)
  const window = { ...windowOf(made), rrset: rrsetHash(wanted) }
  const by = (at: number, change: Partial<ApprovedWindow> = {}): Approval =>
    approve(operators[at]!, { ...window, ...change })
  const stranger = approve(generateKeyPairSync('ed25519').privateKey, window)
  const forged = { ...by(1), operator: octets[2]! }
  const pending: readonly (readonly Approval[])[] = [
    [],
    [by(0)],
    [by(0), by(0)],
    [by(0), stranger],
    [by(0), forged],
    [by(0), by(1, { rrset: new Uint8Array(32) })],
    [by(0), by(1, { zone: 'other.' })],
    [by(0), by(1, { key: '0'.repeat(32) })],
    [by(0), by(1, { fromUnix: NOW })],
    [by(0), by(1, { toUnix: NOW + 60 })],
    [by(0), by(1, { expiresUnix: NOW - 1 })],
    [by(0), { ...by(1), statement: by(1).statement.subarray(1) }],
  ]
  for (const [at, approvals] of pending.entries()) {
    t.is((await outcome(quorum, made, message, approvals)).kind, 'pending', `case ${at}`)
  }
  t.is((await outcome(quorum, made, message, [by(0), stranger, by(2)])).kind, 'share')
  t.is((await outcome(quorum, made, writeToSign(toSign(made)))).kind, 'share')
})

function windowOf(made: MadeKey): ApprovedWindow {
  const [fromUnix, toUnix] = [NOW - 7200, NOW + 90_000]
  return {
    zone: 'example.',
    key: made.id,
    rrset: new Uint8Array(32),
    fromUnix,
    toUnix,
    expiresUnix: NOW + 3600,
  }
}

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

test('sessions: a coordinator that tells nodes different stories gets no key', async t => {
  const quorum = new TestQuorum(3)
  const [one, two, three] = quorum.nodes
  const name = session()
  const request = {
    kind: 'keygen',
    session: name,
    zone: 'example.',
    role: 'csk',
    algorithm: 15,
    createdUnix: NOW,
    members: quorum.members,
    threshold: 2,
  } as const
  const round1: SignedRound1[] = []
  for (const node of quorum.nodes) round1.push((await quorum.expect(node, request, 'round1')).round1)
  const parts = (list: readonly SignedRound1[]): NodeRequest => ({
    kind: 'keygen-parts',
    session: name,
    round1: list,
  })
  const forged = round1.map(message => (message.index === 3 ? { ...round1[1]!, index: 3 } : message))
  t.like(await quorum.ask(one!, parts(forged)), { kind: 'refused', code: 'SIGNATURE' })
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
