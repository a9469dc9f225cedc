/** The DS of a zone at its parent: our own server, NSD and Knot as parents, unbound to find them, and servers that err. */
import test, { type ExecutionContext } from 'ava'
import { ManualClock } from '../../base/index.ts'
import {
  type AskOptions,
  createNameserver,
  type DsObservation,
  observeDs,
  type ProgramZone,
  type RecordText,
  type ZoneChange,
} from '../../server/index.ts'
import { nameFromText, rdataToText, TYPE } from '../../zones/index.ts'
import { CountingClock } from '../support/counting-clock.ts'
import { NOW, until } from '../support/embedding.ts'
import { type FakeResponse, fakeServer, recordOf, responseTo } from '../support/fake-server.ts'
import { startKnot, startNsd } from '../support/peers.ts'
import { freePort } from '../support/ports.ts'
import { needs } from '../support/tools.ts'
import { type Resolver, startUnbound } from '../support/validators.ts'

/** The clock stands still: no answer is late, however busy the machine. */
const OPTIONS: AskOptions = { clock: new ManualClock(NOW) }
const ZONE = nameFromText('a.b.parent.test.')
const digest = (digit: number): string => digit.toString(16).padStart(2, '0').repeat(32).toUpperCase()
const dsText = (tag: number): string => `${tag} 13 2 ${digest(tag & 255)}`
const SOA = { name: '@', type: 'SOA', ttl: 3600, data: 'ns1 hostmaster 1 7200 3600 1209600 900' }

function parentRecords(...tags: readonly number[]): RecordText[] {
  return [
    SOA,
    { name: '@', type: 'NS', data: 'ns1' },
    { name: '@', type: 'NS', data: 'ns2' },
    { name: 'ns1', type: 'A', data: '127.0.0.2' },
    { name: 'ns2', type: 'A', data: '127.0.0.3' },
    { name: 'a.b', type: 'NS', data: 'ns.elsewhere.test.' },
    ...tags.map(tag => ({ name: 'a.b', type: 'DS', ttl: 7200, data: dsText(tag) })),
  ]
}

function replaced(tag: number, ttl: number): ZoneChange {
  const remove = [{ name: 'a.b', type: 'DS' }]
  return { remove, add: [{ name: 'a.b', type: 'DS', ttl, data: dsText(tag) }] }
}

/** A server of ours that has the parent, and its zone. */
async function parent(
  t: ExecutionContext,
  listen: readonly string[],
  records: readonly RecordText[],
  zone = 'parent.test',
): Promise<{ servers: readonly string[]; zone: ProgramZone }> {
  const server = await createNameserver({ listen, signing: false, udp: 'dgram', workers: 1 })
  t.teardown(() => server.close())
  return { servers: server.addresses, zone: await server.addZone(zone, records) }
}

/** Without what differs from run to run. */
function shown(observation: DsObservation): unknown {
  const texts = (ds: readonly Uint8Array[]): string[] => ds.map(rdata => rdataToText(TYPE.DS, rdata))
  switch (observation.kind) {
    case 'seen':
      return { ds: texts(observation.ds), ttl: observation.ttl, servers: observation.servers.length }
    case 'differs':
      return observation.perServer.map(one => (one.ds === undefined ? one.fault : texts(one.ds)))
    case 'unknown':
      return observation.why
  }
}

const observe = async (servers: readonly string[], options = OPTIONS): Promise<unknown> =>
  shown(await observeDs(ZONE, { servers }, options))

test('RFC 7583 §3.3.1: a DS is seen when every server of the parent has it', async t => {
  const old = await parent(t, ['127.0.0.2@0'], parentRecords(1))
  const other = await parent(t, ['127.0.0.3@0'], parentRecords(1))
  const servers = [...old.servers, ...other.servers]
  const seen = await observeDs(ZONE, { servers }, OPTIONS)
  t.deepEqual(shown(seen), { ds: [dsText(1)], ttl: 7200, servers: 2 })
  t.is(seen.kind === 'seen' && seen.atUnix, NOW)
  await old.zone.change(replaced(2, 60))
  t.deepEqual(await observe(servers), [[dsText(2)], [dsText(1)]])
  await other.zone.change(replaced(2, 300))
  t.deepEqual(await observe(servers), { ds: [dsText(2)], ttl: 300, servers: 2 })
  const remove = [{ name: 'a.b', type: 'DS' }]
  await Promise.all([old.zone.change({ remove }), other.zone.change({ remove })])
  t.deepEqual(await observe(servers), { ds: [], ttl: 900, servers: 2 })
})

test('a server that is dead, and one that hangs, keep a DS from being seen', async t => {
  const alive = await parent(t, ['127.0.0.2@0'], parentRecords(1))
  const port = await freePort()
  const dead = (await observe([...alive.servers, `127.0.0.3@${port}`])) as unknown[]
  t.deepEqual(dead[0], [dsText(1)])
  t.regex(String(dead[1]), /ECONNREFUSED/)
  const hanging = await fakeServer(t, () => {})
  // Time goes on when all that is under way is the question to the server that hangs: its deadline and its next try.
  const observed = async (servers: readonly string[]): Promise<unknown> => {
    const asked = hanging.queries.length
    const clock = new CountingClock(NOW)
    const observing = observe(servers, { clock })
    await until(() => hanging.queries.length > asked && clock.waiting === 2)
    clock.advance(6)
    return observing
  }
  t.deepEqual(await observed([...alive.servers, hanging.server]), [[dsText(1)], 'no answer in 6 seconds'])
  t.is(
    await observed([hanging.server]),
    `no server of the parent answers: ${hanging.server}: no answer in 6 seconds`,
  )
})

test('a DS RRset that is truncated over UDP is read over TCP', async t => {
  const tags = Array.from({ length: 40 }, (_, at) => at + 1)
  const { servers } = await parent(t, ['127.0.0.2@0', '127.0.0.3@0'], parentRecords(...tags))
  t.deepEqual(await observe(servers), { ds: tags.map(dsText), ttl: 7200, servers: 2 })
})

test('RFC 4035 §3.1.4.1: a server of the zone itself does not speak for the parent', async t => {
  const child = [SOA, { name: '@', type: 'NS', data: 'ns' }, { name: 'ns', type: 'A', data: '192.0.2.1' }]
  const { servers } = await parent(t, ['127.0.0.2@0'], child, 'a.b.parent.test')
  t.regex(String(await observe(servers)), /it answers from the zone itself, not from the parent$/)
})

test('servers that are lame or above the parent, or have no delegation, are named', async t => {
  const elsewhere = await parent(t, ['127.0.0.2@0'], parentRecords(1), 'other.test')
  const above = await parent(
    t,
    ['127.0.0.3@0'],
    [SOA, { name: '@', type: 'NS', data: 'ns' }, { name: 'parent', type: 'NS', data: 'ns.parent' }].concat(
      ['ns', 'ns.parent'].map(name => ({ name, type: 'A', data: '192.0.2.1' })),
    ),
    'test',
  )
  const without = parentRecords().filter(({ name }) => name !== 'a.b')
  const undelegated = await parent(t, ['127.0.0.4@0'], without)
  const right = await parent(t, ['127.0.0.5@0'], parentRecords(1))
  const all = [elsewhere, above, undelegated, right].flatMap(({ servers }) => servers)
  t.deepEqual(await observe(all), [
    'it answers REFUSED',
    'it answers without authority',
    'it answers NXDOMAIN',
    [dsText(1)],
  ])
})

test('answers that do not fit the question are faults', async t => {
  const ds = [0, 1, 13, 2, ...new Array<number>(32).fill(1)]
  const soa = (...owner: number[]): number[] => [...owner, ...recordOf(TYPE.SOA, 60, SOA_RDATA).slice(2)]
  const cases: [FakeResponse, unknown][] = [
    [{ answer: [recordOf(TYPE.CNAME, 60, [1, 0x78, 0])] }, 'a CNAME or DNAME is in the way of the zone'],
    [{ answer: [recordOf(TYPE.CNAME, 60, [0xc0, 14])] }, 'a CNAME or DNAME is in the way of the zone'],
    [{ flags: 0, answer: [recordOf(TYPE.DS, 60, ds)] }, 'it answers without authority'],
    [{ rcode: 2, answer: [recordOf(TYPE.DS, 60, ds)] }, 'it answers SERVFAIL'],
    [{}, 'it has neither a DS nor the SOA of the parent'],
    [{ authority: [soa(4, 0x65, 0x6c, 0x73, 0x65, 0)] }, 'it answers from a zone that is not the parent'],
    // DS of another name; the pointer is to `b.parent.test.`.
    [
      { answer: [[0xc0, 14, ...recordOf(TYPE.DS, 60, ds).slice(2)]] },
      'it has neither a DS nor the SOA of the parent',
    ],
    [{ answer: [recordOf(TYPE.DS, 60, [0, 1, 13, 2])] }, 'a malformed response'],
    [{ authority: [soa(0xc0, 14)] }, { ds: [], ttl: 30, servers: 1 }],
    [
      { answer: [recordOf(TYPE.DS, 60, ds), recordOf(TYPE.DS, 90, ds)] },
      { ds: [dsText(1)], ttl: 90, servers: 1 },
    ],
  ]
  for (const [response, expected] of cases) {
    const server = await fakeServer(t, ({ octets, reply }) => reply(responseTo(octets, response)))
    const fault = `no server of the parent answers: ${server.server}: ${expected}`
    t.deepEqual(await observe([server.server]), typeof expected === 'string' ? fault : expected)
  }
})

/** Names `.` and `.`, serial 1, and MINIMUM 30. */
const SOA_RDATA = [0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 30]

test('what cannot be asked is said', async t => {
  t.is(await observe(['ns.example.com']), '"ns.example.com" is not ADDRESS@PORT')
  t.is(await observe(['192.0.2.1@0']), '"192.0.2.1@0" is not ADDRESS@PORT')
  t.is(await observe([]), 'there are no servers to ask')
  t.is(
    await observe(Array.from({ length: 65 }, (_, at) => `127.0.0.${at}`)),
    'there are more than 64 servers to ask',
  )
  const root = await observeDs(nameFromText('.'), { servers: ['127.0.0.1'] }, OPTIONS)
  t.is(shown(root), 'the root zone has no parent')
  t.is(shown(await observeDs(ZONE, {}, OPTIONS)), 'no resolver: there are no servers to ask')
})

test('a signal ends an observation', async t => {
  const hanging = await fakeServer(t, () => {})
  const stop = new AbortController()
  const observed = observe([hanging.server], { ...OPTIONS, signal: stop.signal })
  await until(() => hanging.queries.length === 1)
  stop.abort()
  t.is(await observed, 'the questions were given up')
})

test('NSD and Knot as parents: a DS, many of them, and none, in unsigned and signed zones', async t => {
  if (!needs(t, 'nsd', 'knotd')) return
  const text = (tags: readonly number[]): string =>
    [
      '$ORIGIN parent.test.',
      '@ 3600 SOA ns1 hostmaster 1 7200 3600 1209600 900',
      '@ 3600 NS ns1',
      'ns1 3600 A 127.0.0.1',
      ...[1, 40].map(count => `n${count} 3600 NS ns.elsewhere.test.`),
      'none 3600 NS ns.elsewhere.test.',
      'n1 7200 DS 1 13 2 '.concat(digest(1)),
      ...tags.map(tag => `n40 7200 DS ${dsText(tag)}`),
      '',
    ].join('\n')
  const tags = Array.from({ length: 40 }, (_, at) => at + 1)
  const zone = { name: 'parent.test.', text: text(tags) }
  const peers = await Promise.all([startNsd([zone]), startKnot([zone]), startKnot([zone], { signing: true })])
  t.teardown(() => Promise.all(peers.map(peer => peer.stop())))
  const servers = peers.map(({ port }) => `127.0.0.1@${port}`)
  const observed = async (name: string): Promise<unknown> =>
    shown(await observeDs(nameFromText(name), { servers }, OPTIONS))
  t.deepEqual(await observed('n1.parent.test.'), { ds: [dsText(1)], ttl: 7200, servers: 3 })
  t.deepEqual(await observed('n40.parent.test.'), { ds: tags.map(dsText), ttl: 7200, servers: 3 })
  t.deepEqual(await observed('none.parent.test.'), { ds: [], ttl: 900, servers: 3 })
  t.is(
    await observed('nowhere.parent.test.')
      .then(String)
      .then(said => said.match(/NXDOMAIN/g)?.length),
    3,
  )
})

/** unbound in front of a parent at 127.0.0.1, and where to ask it. */
async function resolverOf(
  t: ExecutionContext,
  port: number,
  zones: readonly string[] = ['parent.test.'],
): Promise<AskOptions> {
  const resolver: Resolver = await startUnbound({ zones: zones.map(name => ({ name, port })), anchors: [] })
  t.teardown(() => resolver.stop())
  return { ...OPTIONS, port, resolver: [`127.0.0.1@${resolver.port}`] }
}

test('the parent is found by a resolver, two labels up, and all its servers are asked', async t => {
  if (!needs(t, 'unbound')) return
  const port = await freePort()
  const one = await parent(t, [`127.0.0.1@${port}`, `127.0.0.2@${port}`], parentRecords(1))
  await parent(t, [`127.0.0.3@${port}`], parentRecords(2))
  const options = await resolverOf(t, port)
  // A resolver that is away is passed over.
  const resolver = [`127.0.0.1@${await freePort()}`, ...(options.resolver ?? [])]
  const walked = await observeDs(ZONE, {}, { ...options, resolver })
  t.deepEqual(walked, {
    kind: 'differs',
    perServer: [
      { server: `127.0.0.2@${port}`, ds: [dsRdata(1)] },
      { server: `127.0.0.3@${port}`, ds: [dsRdata(2)] },
    ],
  })
  await one.zone.change(replaced(2, 60))
  t.deepEqual(shown(await observeDs(ZONE, {}, options)), { ds: [dsText(2)], ttl: 7200, servers: 2 })
})

function dsRdata(tag: number): Uint8Array {
  return Uint8Array.from([0, tag, 13, 2, ...new Array<number>(32).fill(tag)])
}

test('servers of the parent without an address are faults, and so is a resolver that does not know', async t => {
  if (!needs(t, 'unbound')) return
  const port = await freePort()
  const records = parentRecords(1).filter(({ name }) => name !== 'ns2')
  const away = { name: 'ns2', type: 'TXT', data: 'nothing' }
  await parent(t, [`127.0.0.1@${port}`, `127.0.0.2@${port}`], [...records, away])
  const options = await resolverOf(t, port)
  const observed = shown(await observeDs(ZONE, {}, options)) as unknown[]
  t.deepEqual(observed, [[dsText(1)], 'it has no address'])
  const unknown = await observeDs(nameFromText('a.nowhere.'), {}, options)
  t.regex(String(shown(unknown)), /^127\.0\.0\.1@\d+ on nowhere\. SOA: SERVFAIL$/)
})
