import { createHash, generateKeyPairSync } from 'node:crypto'
import test from 'ava'
import { type ApprovedWindow, approve, rrsetHash } from '../../hsm/approval.ts'
import { decodeKeyRecord } from '../../hsm/key-record.ts'
import type { Approval } from '../../hsm/messages.ts'
import { dnskeyOf, keyTagOf, type StoredShare } from '../../hsm/node-keys.ts'
import type { ZoneRule } from '../../hsm/node-policy.ts'
import { type ToSign, writeToSign } from '../../hsm/to-be-signed.ts'
import { canonicalName, nameFromText, rdataFromText, TYPE } from '../../zones/index.ts'
import { deal, keygen, keygenToEchoes, type MadeKey, outcome, toSign, zone } from './node-support.ts'
import { NOW, openPolicy, openRule, TestQuorum } from './nodes.ts'

const rogue = rdataFromText(TYPE.DNSKEY, '256 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=', zone)
const other = canonicalName(nameFromText('other.'))
/** RFC 8078 §4. */
const DELETE_CDS = Uint8Array.of(0, 0, 0, 0, 0)
const DELETE_CDNSKEY = Uint8Array.of(0, 0, 3, 0, 0)

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
    'an end before the beginning',
    'POLICY_VALIDITY',
    { inceptionUnix: NOW + 200, expirationUnix: NOW + 100 },
    {},
  ],
  ['an end that serial arithmetic has in the past', 'POLICY_VALIDITY', { expirationUnix: NOW + 2 ** 31 }, {}],
  ['a ZSK would be needed', 'POLICY_ROLE', {}, { roles: [] }],
  ['RRSIGs', 'POLICY_TYPE', { type: TYPE.RRSIG, rdata: [new Uint8Array(40)] }, {}],
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
  [
    'a DS that is to go',
    'POLICY_DNSKEY',
    { type: TYPE.CDS, owner: zone, rdata: [DELETE_CDS] },
    { dnskeys: 'quorum' },
  ],
  [
    'a DS that is to go',
    'POLICY_DNSKEY',
    { type: TYPE.CDNSKEY, owner: zone, rdata: [DELETE_CDNSKEY] },
    { dnskeys: [] },
  ],
  ['a DNSKEY below the apex', 'POLICY_OWNER', { type: TYPE.DNSKEY, rdata: [rogue] }, {}],
  ['no more in one request', 'POLICY_BATCH', {}, { messagesPerRequestMax: 0 }],
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
    [{ type: TYPE.CDS, owner: zone, rdata: [DELETE_CDS] }, 'any'],
    [{ type: TYPE.CDNSKEY, owner: zone, rdata: [DELETE_CDNSKEY] }, 'any'],
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

test('policy: a DS may go where the rule says so', async t => {
  const quorum = new TestQuorum(3)
  const made = await deal(quorum, 2)
  const message = writeToSign(toSign(made, { type: TYPE.CDS, owner: zone, rdata: [DELETE_CDS] }))
  for (const [cdsDelete, kind] of [
    [false, 'refused'],
    [true, 'share'],
  ] as const) {
    const rule = { ...openRule, dnskeys: 'quorum', cdsDelete } as const
    quorum.nodes[0]!.node.setPolicy({ ...openPolicy, zones: [rule] })
    t.is((await outcome(quorum, made, message)).kind, kind)
  }
})

test('policy: a key that is prepared only is none of the quorum yet', async t => {
  const quorum = new TestQuorum(3)
  const made = await deal(quorum, 2)
  const node = quorum.nodes[0]!
  node.node.setPolicy({ ...openPolicy, zones: [{ ...openRule, dnskeys: 'quorum' }] })
  const confirm = await keygenToEchoes(quorum, 2)
  const [{ record }] = [...node.disk.shares.values()].filter(({ state }) => state === 'prepared') as [
    StoredShare,
  ]
  const rdata = [dnskeyOf(decodeKeyRecord(record)!)]
  const message = writeToSign(toSign(made, { type: TYPE.DNSKEY, owner: zone, rdata }))
  t.like(await outcome(quorum, made, message), { kind: 'refused', code: 'POLICY_DNSKEY' })
  t.is((await quorum.ask(node, confirm)).kind, 'active')
  t.is((await outcome(quorum, made, message)).kind, 'share')
})

test('a clock that was set back behind what was signed for signs nothing, also after a restart', async t => {
  const quorum = new TestQuorum(3)
  const made = await deal(quorum, 2)
  const node = quorum.nodes[0]!
  const later = { inceptionUnix: NOW + 90_000, expirationUnix: NOW + 180_000 }
  quorum.clock.advance(86_400 + 3600)
  t.is((await outcome(quorum, made, writeToSign(toSign(made, later)))).kind, 'share')
  for (const restart of [false, true]) {
    quorum.clock.advance(-86_400 - 3600)
    if (restart) quorum.start(node)
    t.like(await outcome(quorum, made, writeToSign(toSign(made))), { kind: 'refused', code: 'CLOCK' })
    quorum.clock.advance(86_400 + 3600)
    t.is((await outcome(quorum, made, writeToSign(toSign(made, later)))).kind, 'share')
  }
})

test('policy: so many messages a minute, and again in the next', async t => {
  const quorum = new TestQuorum(3)
  const made = await deal(quorum, 2)
  quorum.nodes[0]!.node.setPolicy({ ...openPolicy, zones: [{ ...openRule, messagesPerMinuteMax: 2 }] })
  const message = writeToSign(toSign(made))
  for (let minute = 0; minute < 2; minute++) {
    for (const kind of ['share', 'share', 'refused'] as const)
      t.is((await outcome(quorum, made, message)).kind, kind)
    quorum.clock.advance(60)
  }
})

test('policy: so many messages in one request, and what is beyond them is refused', async t => {
  const quorum = new TestQuorum(3)
  const made = await deal(quorum, 2)
  const [node] = quorum.nodes
  node!.node.setPolicy({ ...openPolicy, zones: [{ ...openRule, messagesPerRequestMax: 2 }] })
  const messages = [1, 2, 3].map(() => writeToSign(toSign(made)))
  const request = { kind: 'sign', key: made.id, epoch: 1, messages, approvals: [] } as const
  for (let count = 0; count < 2; count++) {
    const { results } = await quorum.expect(node!, request, 'shares')
    t.deepEqual(
      results.map(result => (result.kind === 'refused' ? result.code : result.kind)),
      ['share', 'share', 'POLICY_BATCH'],
    )
  }
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
