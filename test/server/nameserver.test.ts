/** The embedding API: servers, zones from everywhere, restarts, keys, events, closing. */
import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { promises as fs } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { ManualClock } from '../../base/index.ts'
import {
  createNameserver,
  type KeyEvent,
  type NameserverOptions,
  openState,
  type PublishedVersion,
  type RecordText,
  type RefusedEvent,
} from '../../server/index.ts'
import type { KeyInfo } from '../../signer/index.ts'
import { keyOf, nameFromText } from '../../zones/index.ts'
import {
  answers,
  ask,
  BASE,
  FickleKeyStore,
  NOW,
  serialOf,
  type TestServer,
  temporaryDirectory,
  testServer,
} from '../support/embedding.ts'
import { queryOf, readMessage } from '../support/message.ts'
import { WAIT_MILLISECONDS } from '../support/serve.ts'

const a = (name: string, last = 1): RecordText => ({ name, type: 'A', data: `192.0.2.${last}` })
const ZONE = `$TTL 3600
@ SOA ns1 hostmaster 7 7200 3600 1209600 900
@ NS ns1
ns1 A 192.0.2.53
www A 192.0.2.80
sub NS ns1
`

async function askUdp(address: string, name: string): Promise<string[]> {
  const socket = createSocket('udp4')
  const [host, port] = address.split('@')
  socket.send(queryOf(name, 'A'), Number(port), host)
  const [reply] = (await once(socket, 'message')) as [Buffer]
  socket.close()
  return readMessage(reply).answer
}

test('several servers in one process, each on a free port of its own', async t => {
  const one = await testServer(t, { listen: ['127.0.0.1@0'], workers: 1 })
  const two = await testServer(t, { listen: ['127.0.0.1@0'], udp: 'dgram' })
  await one.server.addZone('example', [...BASE, a('www', 1)])
  await two.server.addZone('example', [...BASE, a('www', 2)])
  const [first, second] = [one.server.addresses[0]!, two.server.addresses[0]!]
  t.not(first, second)
  t.deepEqual(await askUdp(first, 'www.example.'), ['www.example. 3600 A 192.0.2.1'])
  t.deepEqual(await askUdp(second, 'www.example.'), ['www.example. 3600 A 192.0.2.2'])
  await t.throwsAsync(one.server.listen(['127.0.0.1@0']), { code: 'LISTEN_TWICE' })
})

test('a program that makes, uses and closes a server ends by itself; so does one that closes during a build', t => {
  const index = new URL('../../server/index.js', import.meta.url).href
  const script = `
    import { createNameserver } from ${JSON.stringify(index)}
    const before = [process.eventNames().join(), process.listenerCount('SIGTERM')].join()
    const server = await createNameserver({ listen: ['127.0.0.1@0'] })
    const base = ${JSON.stringify(BASE)}
    const zone = await server.addZone('example', base)
    await zone.change({ add: [{ name: 'www', type: 'A', data: '192.0.2.1' }] })
    const hosts = Array.from({ length: 3000 }, (_, index) => ({ name: 'h' + index, type: 'A', data: '192.0.2.1' }))
    const late = server.addZone('large.example', [...base, ...hosts]).then(() => 'signed', error => error.code)
    const closed = server.close({ drainSeconds: Number(process.argv[1]) })
    if (closed !== server.close()) throw new Error('closed twice')
    await closed
    console.log(await late)
    if (before !== [process.eventNames().join(), process.listenerCount('SIGTERM')].join()) throw new Error('process')`
  for (const [drain, said] of [
    ['0', 'SERVER_CLOSED'],
    ['60', 'signed'],
  ] as const) {
    const argv = ['--input-type=module', '-e', script, drain]
    const { status, stdout, stderr, signal } = spawnSync(process.execPath, argv, {
      timeout: WAIT_MILLISECONDS,
      encoding: 'utf8',
    })
    t.deepEqual(
      { status, signal, stderr, said: stdout.trim() },
      { status: 0, signal: null, stderr: '', said },
    )
  }
})

test('a closed server refuses everything and answers nothing', async t => {
  const { server } = await testServer(t)
  await server.addZone('example', BASE)
  await server.close()
  await server.close()
  t.is(server.answer(queryOf('example.', 'SOA')), undefined)
  const asked = [
    () => server.addZone('other', BASE),
    () => server.addText(ZONE, { origin: 'other.' }),
    () => server.addFile('/nowhere.zone'),
    () => server.addDirectory('/'),
    () => server.removeZone('example'),
    () => server.reload(),
    () => server.listen(['127.0.0.1@0']),
  ]
  for (const ask of asked) await t.throwsAsync<Error>(ask, { code: 'SERVER_CLOSED' })
})

test('without a state directory nothing is left behind', async t => {
  const { server } = await testServer(t)
  const directory = server.stateDirectory
  await fs.stat(directory)
  await server.close()
  await t.throwsAsync(fs.stat(directory), { code: 'ENOENT' })
})

test('a listener that throws breaks neither the server nor other listeners; once is once', async t => {
  const { server, logged } = await testServer(t)
  const heard: string[] = []
  server.once('published', () => heard.push('once'))
  server.on('published', () => {
    throw new Error('a fault of the host')
  })
  server.on('published', ({ zone, serial }: PublishedVersion) => heard.push(`${zone} ${serial}`))
  const keys: KeyEvent[] = []
  server.on('key', event => keys.push(event))
  const zone = await server.addZone('example', BASE)
  t.is((await zone.change({ add: [a('www')] })).kind, 'published')
  t.deepEqual(heard, ['once', 'example. 1', 'example. 2'])
  t.deepEqual(
    logged.map(({ message }) => message),
    ['a listener of an event failed', 'a listener of an event failed'],
  )
  t.is(keys.length, 1)
  t.regex(keys[0]!.ds!, /^example\. (3600 )?IN DS \d+ 13 2 [0-9A-F]{64}$/i)
})

test('one source a zone: another is refused, naming both; what was refused can be given again', async t => {
  const { server } = await testServer(t)
  const path = join(await temporaryDirectory(t), 'example.zone')
  await fs.writeFile(path, ZONE)
  await server.addZone('Example', BASE)
  await t.throwsAsync(server.addZone('example', BASE), { code: 'ZONE_TWICE', message: /program/ })
  await t.throwsAsync(server.addText(ZONE, { origin: 'example' }), { code: 'ZONE_TWICE' })
  const refused = await server.addFile(path)
  t.is(refused.kind === 'refused' && refused.refusal.code, 'ZONE_TWICE')
  t.deepEqual(
    server.status().refusedSources.map(({ source }) => source),
    [path],
  )
  await t.throwsAsync(server.addZone('other', [a('www')]), { code: 'ZONE_REFUSED' })
  await t.throwsAsync(server.addZone('other', [...BASE, { name: '@', type: 'CNAME', data: 'a' }]), {
    code: 'ZONE_REFUSED',
  })
  await server.addZone('other', BASE)
  t.is(server.stats().store.openDrafts, 0)
})

test('a text again for the same zone takes the place of the one before', async t => {
  const { server, keys } = await testServer(t)
  await server.addText(ZONE, { origin: 'example.' })
  keys.signed = 0
  await server.addText(ZONE.replace('.80', '.81'), { origin: 'example.' })
  t.deepEqual(answers(server, 'www.example.', 'A'), ['192.0.2.81'])
  // The RRset, SOA and ZONEMD.
  t.is(keys.signed, 3)
  t.is(serialOf(server, 'example.'), 8)
  await t.throwsAsync(server.addText('@ SOA', { origin: 'example.' }), { code: 'ZONE_REFUSED' })
  t.is(serialOf(server, 'example.'), 8)
})

test('a long text lets others have the event loop; one that comes later holds, and a closed server takes none', async t => {
  const { server } = await testServer(t)
  const many = Array.from({ length: 30_000 }, (_, index) => `h${index} A 192.0.2.${index % 250}`).join('\n')
  const order: string[] = []
  const long = server.addText(`${ZONE}\n${many}\n`, { origin: 'example.' }).then(() => order.push('long'))
  await Promise.all([long, server.addText(ZONE, { origin: 'example.' }).then(() => order.push('short'))])
  t.deepEqual(order, ['long', 'short'])
  t.is(ask(server, 'h1.example.', 'A').rcode, 3)
  let isRefused = false
  let turns = 0
  const faulty = t
    .throwsAsync(server.addText(`${ZONE}\n${many}\nh A 192.0.2.256\n`, { origin: 'example.' }))
    .then(() => (isRefused = true))
  for (; !isRefused; turns++) await new Promise(resolve => setImmediate(resolve))
  await faulty
  t.true(turns > 2, 'others had their turns while it was read')
  const late = t.throwsAsync(server.addText(`${ZONE}\n${many}\n`, { origin: 'example.' }), {
    code: 'SERVER_CLOSED',
  })
  await new Promise(resolve => setImmediate(resolve))
  await server.close()
  await late
  t.is(server.stats().store.openDrafts, 0)
})

test('a zone is removed at once, also while it is built, and can come back in the same breath', async t => {
  const { server } = await testServer(t)
  const many = Array.from({ length: 2000 }, (_, index) => a(`h${index}`, index % 250))
  const first = server.addZone('example', [...BASE, ...many]).then(
    () => 'signed',
    error => error.code,
  )
  const removed = server.removeZone('example')
  const again = server.addZone('example', [...BASE, a('www')])
  t.is(await first, 'ZONE_REMOVED')
  t.true(await removed)
  const zone = await again
  t.deepEqual(answers(server, 'www.example.', 'A'), ['192.0.2.1'])
  const busy = zone.change({ add: many })
  const gone = server.removeZone('example')
  t.is(ask(server, 'www.example.', 'A').rcode, 5, 'REFUSED: not our zone any more')
  t.is(await busy.catch(error => error.code), 'ZONE_REMOVED')
  t.true(await gone)
  t.false(await server.removeZone('example'))
  t.is(server.stats().store.zones, 0)
  t.is(server.stats().store.openDrafts, 0)
})

test('RFC 4035 §3.1.4.1: parent and child on one server; the DS at the cut comes from the parent', async t => {
  const { server } = await testServer(t)
  const keys: KeyEvent[] = []
  server.on('key', event => keys.push(event))
  const child = await server.addZone('sub.example', [...BASE, a('www', 2)])
  const parent = await server.addZone('example', [...BASE, { name: 'sub', type: 'NS', data: 'ns1.example.' }])
  const ds = keys.find(({ zone }) => zone === 'sub.example.')!.ds!.split(' DS ')[1]!
  await parent.change({ add: [{ name: 'sub', type: 'DS', data: ds }] })
  const answer = ask(server, 'sub.example.', 'DS')
  t.true(answer.authoritative)
  t.true(answer.answer.some(line => line.includes(' RRSIG DS ') && line.includes(' example. ')))
  t.deepEqual(answers(server, 'www.sub.example.', 'A'), ['192.0.2.2'])
  await child.change({ add: [a('late', 3)] })
  t.deepEqual(answers(server, 'late.sub.example.', 'A'), ['192.0.2.3'])
  await server.removeZone('sub.example')
  t.false(ask(server, 'www.sub.example.', 'A').authoritative, 'a referral now')
})

for (const denial of ['nsec', 'nsec3', 'opt-out'] as const) {
  test(`a restart signs nothing that is still valid, and the serial stays: ${denial}`, async t => {
    const state = join(await temporaryDirectory(t), 'state')
    const options: NameserverOptions & { keys: FickleKeyStore; clock: ManualClock } = {
      state,
      signing: { denial },
      keys: new FickleKeyStore(),
      clock: new ManualClock(NOW),
    }
    const first = await testServer(t, options)
    await first.server.addText(ZONE, { origin: 'example.' })
    await first.server.addText(ZONE.replace('.80', '.81'), { origin: 'example.' })
    await first.server.close()
    options.keys.signed = 0
    const second = await testServer(t, options)
    const same = await second.server.addText(ZONE.replace('.80', '.81'), { origin: 'example.' })
    t.is(same.kind === 'published' && same.version.signaturesMade, 0)
    t.is(options.keys.signed, 0)
    t.is(serialOf(second.server, 'example.'), 8)
    await second.server.close()
    // Changed while no server ran: the serial goes on from what was served.
    const third = await testServer(t, options)
    await third.server.addText(ZONE.replace('www', 'web'), { origin: 'example.' })
    t.is(serialOf(third.server, 'example.'), 9)
    await third.server.close()
    const disk = await openState(state)
    const kept = [...(['names', 'nsec3'] as const)].map(kind => {
      let blocks = 0
      for (const walk = disk.zone(keyOf(nameFromText('example.'))).signatureWalk(kind); walk.next(); )
        blocks++
      return blocks
    })
    await disk.close()
    // Names: apex, ns1, web, and sub with its NSEC. Hashes: the same, but for the insecure cut under opt-out.
    const expected = { nsec: [4, 0], nsec3: [3, 4], 'opt-out': [3, 3] }
    t.deepEqual(kept, expected[denial], 'nothing is kept of names that went')
  })
}

test('a policy that changed between runs makes a new serial', async t => {
  const state = join(await temporaryDirectory(t), 'state')
  const keys = new FickleKeyStore()
  const clock = new ManualClock(NOW)
  const serials: number[] = []
  for (const signing of [
    {},
    { denial: 'nsec3' },
    { denial: 'nsec3', zonemd: 'none' },
    { denial: 'nsec3', zonemd: 'sha512' },
    { zonemd: 'sha512' },
    { zonemd: 'sha512' },
  ] as const) {
    const { server } = await testServer(t, { state, keys, clock, signing })
    await server.addText(ZONE, { origin: 'example.' })
    serials.push(serialOf(server, 'example.'))
    await server.close()
  }
  t.deepEqual(serials, [7, 8, 9, 10, 11, 11])
})

test('a crash between what is durable and what is served: the serial goes on from the durable one', async t => {
  const state = join(await temporaryDirectory(t), 'state')
  const options = { state, keys: new FickleKeyStore(), clock: new ManualClock(NOW) }
  const first = await testServer(t, options)
  await first.server.addText(ZONE, { origin: 'example.' })
  await first.server.close()
  const disk = await openState(state)
  const zone = disk.zone(keyOf(nameFromText('example.')))
  await zone.publish({ ...zone.served!, serial: 12, sourceDigest: Uint8Array.of(1) })
  await disk.close()
  const second = await testServer(t, options)
  await second.server.addText(ZONE, { origin: 'example.' })
  t.is(serialOf(second.server, 'example.'), 13)
})

test('a zone that was signed is not served unsigned because somebody forgot to say how it is signed', async t => {
  const state = join(await temporaryDirectory(t), 'state')
  const options = { state, keys: new FickleKeyStore(), clock: new ManualClock(NOW) }
  const first = await testServer(t, options)
  await first.server.addText(ZONE, { origin: 'example.' })
  await first.server.close()
  const second = await testServer(t, { ...options, signing: false })
  await t.throwsAsync(second.server.addText(ZONE, { origin: 'example.' }), { code: 'ZONE_STILL_SIGNED' })
})

test('RFC 1982: a file that is served as it is cannot take the serial back', async t => {
  const state = join(await temporaryDirectory(t), 'state')
  const options = { state, signing: false, clock: new ManualClock(NOW) } as const
  const first = await testServer(t, options)
  await first.server.addText(ZONE, { origin: 'example.' })
  await first.server.addText(ZONE.replace(' 7 ', ' 8 '), { origin: 'example.' })
  await first.server.close()
  const second = await testServer(t, options)
  await t.throwsAsync(second.server.addText(ZONE, { origin: 'example.' }), { code: 'SERIAL_BACKWARDS' })
  await second.server.addText(ZONE.replace(' 7 ', ' 9 '), { origin: 'example.' })
  t.is(serialOf(second.server, 'example.'), 9)
})

test('RFC 1995 §2: a zone that is served as it is and changes without its serial is warned of', async t => {
  const state = join(await temporaryDirectory(t), 'state')
  const options = { state, signing: false, clock: new ManualClock(NOW) } as const
  const about = ({ logged }: TestServer): number =>
    logged.filter(({ message }) => /its serial \d+ did not: secondaries keep what they have/.test(message))
      .length
  const changed = ZONE.replace('192.0.2.80', '192.0.2.81')
  const first = await testServer(t, options)
  await first.server.addText(ZONE, { origin: 'example.' })
  await first.server.addText(ZONE, { origin: 'example.' })
  t.is(about(first), 0)
  await first.server.addText(changed, { origin: 'example.' })
  t.is(about(first), 1)
  await first.server.addText(ZONE.replace(' 7 ', ' 8 '), { origin: 'example.' })
  t.is(about(first), 1)
  await first.server.close()
  const second = await testServer(t, options)
  await second.server.addText(ZONE.replace(' 7 ', ' 8 '), { origin: 'example.' })
  t.is(about(second), 0)
  await second.server.close()
  const third = await testServer(t, options)
  await third.server.addText(changed.replace(' 7 ', ' 8 '), { origin: 'example.' })
  t.is(about(third), 1)
})

test('keys that cannot be read are an error, and no new ones are made', async t => {
  const state = join(await temporaryDirectory(t), 'state')
  const first = await createNameserver({ state, watch: false })
  await first.addText(ZONE, { origin: 'example.' })
  await first.close()
  const [name] = await fs.readdir(join(state, 'keys'))
  const path = join(state, 'keys', name!)
  const pem = await fs.readFile(path)
  await fs.writeFile(path, 'nonsense')
  await t.throwsAsync(createNameserver({ state }), { code: 'KEY_UNREADABLE' })
  t.deepEqual(await fs.readdir(join(state, 'keys')), [name])
  await fs.writeFile(path, pem)
  const second = await createNameserver({ state, watch: false })
  await second.addText(ZONE, { origin: 'example.' })
  await second.close()
  t.deepEqual(await fs.readdir(join(state, 'keys')), [name])
})

test('a zone signed by others is refused and gets no keys; --replace-keys signs it anew; ours is signed again', async t => {
  const directory = await temporaryDirectory(t)
  const maker = await testServer(t)
  await maker.server.addText(ZONE, { origin: 'example.' })
  const { keys } = maker
  const signed = [
    ...['SOA', 'NS', 'DNSKEY', 'NSEC'].flatMap(type => ask(maker.server, 'example.', type).answer),
    ...ask(maker.server, 'ns1.example.', 'A').answer,
  ].join('\n')
  const others = await testServer(t, { state: join(directory, 'others') })
  const made: KeyInfo[] = []
  others.server.on('key', ({ key }) => made.push(key))
  await t.throwsAsync(others.server.addText(signed, { origin: 'example.' }), { code: 'SIGNED_BY_OTHERS' })
  t.deepEqual(made, [])
  const ours = await testServer(t, { keys })
  await ours.server.addText(signed, { origin: 'example.' })
  t.deepEqual(answers(ours.server, 'example.', 'DNSKEY'), answers(maker.server, 'example.', 'DNSKEY'))
  const fresh = new FickleKeyStore()
  // Another key pair than the maker's.
  fresh.keys.push(...(await otherKey()))
  const anew = await testServer(t, { keys: fresh, signing: { replaceKeys: true } })
  await anew.server.addText(signed, { origin: 'example.' })
  t.notDeepEqual(answers(anew.server, 'example.', 'DNSKEY'), answers(maker.server, 'example.', 'DNSKEY'))
})

async function otherKey(): Promise<FickleKeyStore['keys']> {
  const { testKey } = await import('../signer/build-support.ts')
  return [testKey(nameFromText('example.'), 13, 'csk', 9)]
}

test('memory stays as it is over many versions and refusals', async t => {
  const { server } = await testServer(t)
  const zone = await server.addZone('example', [
    ...BASE,
    ...Array.from({ length: 500 }, (_, i) => a(`h${i}`)),
  ])
  const refused: RefusedEvent[] = []
  server.on('refused', event => refused.push(event))
  const round = async (index: number): Promise<number> => {
    await zone.change({ remove: [{ name: 'h7' }], add: [a('h7', index % 250), a(`x${index % 3}`)] })
    await t.throwsAsync(zone.change({ add: [a('www.example.net.')] }))
    await zone.change({ remove: [{ name: `x${index % 3}` }] })
    await server.addText(ZONE.replace('.80', `.${index % 250}`), { origin: 'other.' })
    await t.throwsAsync(server.addText(`${ZONE}www CNAME ns1\n`, { origin: 'other.' }))
    return server.stats().store.octetsUsed
  }
  for (let index = 0; index < 20; index++) await round(index)
  const before = server.stats().store.octetsUsed
  for (let index = 20; index < 60; index++) await round(index)
  const { octetsUsed, openDrafts } = server.stats().store
  t.is(openDrafts, 0)
  t.true(Math.abs(octetsUsed - before) < before / 20, `${before} → ${octetsUsed}`)
})

test('reload: a zone by name in any case, an unknown one is an error', async t => {
  const { server } = await testServer(t)
  const path = join(await temporaryDirectory(t), 'example.zone')
  await fs.writeFile(path, ZONE)
  await server.addFile(path)
  await fs.writeFile(path, ZONE.replace('.80', '.81'))
  const [outcome] = await server.reload('EXAMPLE')
  t.is(outcome?.kind, 'published')
  t.deepEqual(answers(server, 'www.example.', 'A'), ['192.0.2.81'])
  await t.throwsAsync(server.reload('nothing'), { code: 'ZONE_UNKNOWN' })
})
