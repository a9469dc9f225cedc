/** Whether a version and its keys have reached every server of a zone. */
import test, { type ExecutionContext } from 'ava'
import { ManualClock } from '../../base/index.ts'
import {
  type AskOptions,
  createNameserver,
  type Nameserver,
  observeZone,
  type RecordText,
} from '../../server/index.ts'
import { type Name, nameFromText, rdataFromText, sameName, TYPE } from '../../zones/index.ts'
import { answers, NOW } from '../support/embedding.ts'
import { fakeServer, recordOf, responseTo } from '../support/fake-server.ts'
import { startNsd } from '../support/peers.ts'
import { freePort } from '../support/ports.ts'
import { needs } from '../support/tools.ts'
import { startUnbound } from '../support/validators.ts'

/** The clock stands still: no answer is late, however busy the machine. */
const OPTIONS: AskOptions = { clock: new ManualClock(NOW) }
const ZONE = nameFromText('zone.test.')
const soa = (serial: number): string => `ns1 hostmaster ${serial} 7200 3600 1209600 900`

function zoneRecords(serial: number): RecordText[] {
  return [
    { name: '@', type: 'SOA', data: soa(serial) },
    { name: '@', type: 'NS', data: 'ns1' },
    { name: '@', type: 'NS', data: 'ns2' },
    { name: 'ns1', type: 'A', data: '127.0.0.2' },
    { name: 'ns2', type: 'A', data: '127.0.0.3' },
  ]
}

async function primary(
  t: ExecutionContext,
  listen: readonly string[],
  signing: boolean,
  serial = 7,
): Promise<Nameserver> {
  const server = await createNameserver({
    listen,
    udp: 'dgram',
    workers: 1,
    ...(signing ? {} : { signing: false as const }),
  })
  t.teardown(() => server.close())
  await server.addZone('zone.test', zoneRecords(serial))
  return server
}

function keysOf(server: Nameserver): Uint8Array[] {
  return answers(server, 'zone.test.', 'DNSKEY').map(text => rdataFromText(TYPE.DNSKEY, text, ZONE))
}

test('RFC 1982 §3.2: a serial is everywhere when no server is before it', async t => {
  const servers = (
    await Promise.all([
      primary(t, ['127.0.0.2@0'], false, 0xffff_fffe),
      primary(t, ['127.0.0.3@0'], false, 1),
    ])
  ).flatMap(({ addresses }) => addresses)
  const observe = (serialAtLeast: number): ReturnType<typeof observeZone> =>
    observeZone(ZONE, servers, { serialAtLeast }, OPTIONS)
  t.like(await observe(0xffff_fffe), { kind: 'everywhere', servers })
  t.deepEqual(await observe(1), {
    kind: 'lagging',
    perServer: [{ server: servers[0]!, serial: 0xffff_fffe, what: 'it serves serial 4294967294, not yet 1' }],
  })
})

test('RFC 7583 §3.2.1: the DNSKEY RRset must be the same, no key more or less', async t => {
  const server = await primary(t, ['127.0.0.2@0'], true)
  const keys = keysOf(server)
  t.is(keys.length, 1)
  const other = Uint8Array.from(keys[0]!)
  other[20]! ^= 1
  const { addresses } = server
  const observe = (dnskeys: readonly Uint8Array[]): ReturnType<typeof observeZone> =>
    observeZone(ZONE, addresses, { serialAtLeast: 7, dnskeys }, OPTIONS)
  t.like(await observe(keys), { kind: 'everywhere' })
  const lagging = (missing: number, surplus: number): unknown => ({
    kind: 'lagging',
    perServer: [
      {
        server: addresses[0],
        serial: 7,
        what: `of its DNSKEY records ${missing} are missing and ${surplus} not wanted`,
      },
    ],
  })
  t.deepEqual(await observe([...keys, other]), lagging(1, 0))
  t.deepEqual(await observe([other]), lagging(1, 1))
  t.deepEqual(await observe([]), lagging(0, 1))
})

test('a large DNSKEY RRset comes over TCP', async t => {
  const key = (at: number): number[] => [1, 0, 3, 13, ...new Array<number>(64).fill(at)]
  const keys = Array.from({ length: 30 }, (_, at) => key(at))
  const server = await fakeServer(t, ({ octets, transport, reply }) => {
    const isSoa = octets[12 + ZONE.length + 1] === TYPE.SOA
    if (isSoa) return reply(responseTo(octets, { answer: [recordOf(TYPE.SOA, 60, SOA_RDATA)] }))
    if (transport === 'udp') return reply(responseTo(octets, { flags: 6 }))
    reply(responseTo(octets, { answer: keys.map(rdata => recordOf(TYPE.DNSKEY, 60, rdata)) }))
  })
  const dnskeys = keys.toReversed().map(rdata => Uint8Array.from(rdata))
  const observed = await observeZone(ZONE, [server.server], { dnskeys }, OPTIONS)
  t.like(observed, { kind: 'everywhere', servers: [server.server] })
})

/** Names `.` and `.`, serial 9. */
const SOA_RDATA = [0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]

test('servers that are dead, lame or answer something else lag; when none answers, nothing is known', async t => {
  const server = await primary(t, ['127.0.0.2@0'], false)
  const dead = `127.0.0.1@${await freePort()}`
  const lame = await fakeServer(t, ({ octets, reply }) => reply(responseTo(octets, { flags: 0 })))
  const empty = await fakeServer(t, ({ octets, reply }) => reply(responseTo(octets)))
  const all = [...server.addresses, dead, lame.server, empty.server]
  const observed = await observeZone(ZONE, all, { serialAtLeast: 7 }, OPTIONS)
  t.true(observed.kind === 'lagging')
  const perServer = observed.kind === 'lagging' ? observed.perServer : []
  t.deepEqual(
    perServer.map(one => one.server),
    [dead, lame.server, empty.server],
  )
  t.regex(perServer[0]!.what, /ECONNREFUSED/)
  t.is(perServer[1]!.what, 'it answers without authority')
  t.is(perServer[2]!.what, 'it has no SOA of the zone')
  const nobody = await observeZone(ZONE, [dead, lame.server], {}, OPTIONS)
  t.regex(
    nobody.kind === 'unknown' ? nobody.why : '',
    /^no server of the zone answers: .*ECONNREFUSED.*authority$/,
  )
})

test('servers by name: addresses of our own, one server for two names, and names without an address', async t => {
  const port = await freePort()
  await primary(t, [`127.0.0.2@${port}`], false)
  const names = ['ns1.zone.test.', 'ns2.zone.test.'].map(text => nameFromText(text))
  const observe = (
    addressesOf: (name: Name) => readonly string[] | undefined,
  ): ReturnType<typeof observeZone> => observeZone(ZONE, { names, addressesOf }, {}, { ...OPTIONS, port })
  const isFirst = (name: Name): boolean => sameName(name, names[0]!)
  const found = await observe(() => ['127.0.0.2'])
  t.like(found, { kind: 'everywhere', servers: [`127.0.0.2@${port}`] })
  const without = await observe(name => (isFirst(name) ? ['127.0.0.2'] : []))
  t.deepEqual(without, {
    kind: 'lagging',
    perServer: [{ server: 'ns2.zone.test.', what: 'it has no address' }],
  })
  const wrong = await observe(name => (isFirst(name) ? ['127.0.0.2'] : ['elsewhere']))
  t.like(wrong, {
    kind: 'lagging',
    perServer: [{ server: 'ns2.zone.test.', what: '"elsewhere" is not an address' }],
  })
  const unresolved = await observe(name => (isFirst(name) ? ['127.0.0.2'] : undefined))
  t.like(unresolved, {
    kind: 'lagging',
    perServer: [{ server: 'ns2.zone.test.', what: 'no resolver: there are no servers to ask' }],
  })
})

test('NSD as a secondary, found by a resolver', async t => {
  if (!needs(t, 'nsd', 'unbound')) return
  const text = zoneRecords(8)
    .map(({ name, type, data }) => `${name} 3600 ${type} ${name.startsWith('ns') ? '127.0.0.1' : data}`)
    .join('\n')
  const nsd = await startNsd([{ name: 'zone.test.', text: `$ORIGIN zone.test.\n${text}\n` }])
  t.teardown(() => nsd.stop())
  const resolver = await startUnbound({ zones: [{ name: 'zone.test.', port: nsd.port }], anchors: [] })
  t.teardown(() => resolver.stop())
  const options = { ...OPTIONS, port: nsd.port, resolver: [`127.0.0.1@${resolver.port}`] }
  const servers = [`127.0.0.1@${nsd.port}`]
  t.like(await observeZone(ZONE, undefined, { serialAtLeast: 8 }, options), { kind: 'everywhere', servers })
  t.like(await observeZone(ZONE, undefined, { serialAtLeast: 9 }, options), {
    kind: 'lagging',
    perServer: [{ server: servers[0]!, serial: 8 }],
  })
})
