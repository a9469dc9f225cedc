/** Keys and what others say or fail to say: a parent on another nameserver, clocks, stores, approvals, former formats. */
import { promises as fs } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { open } from 'lmdb'
import { ConclaveError, ManualClock } from '../../base/index.ts'
import { createNameserver, openState } from '../../server/index.ts'
import { type SignBatch, type SignOutcome, signingPolicyOf } from '../../signer/index.ts'
import { keyOf, nameFromText } from '../../zones/index.ts'
import {
  answers,
  ask,
  BASE,
  FickleKeyStore,
  NOW,
  serialOf,
  temporaryDirectory,
  testServer,
} from '../support/embedding.ts'
import { fakeServer, recordOf, responseTo } from '../support/fake-server.ts'
import { cdsTags, fastPolicy, pass, passUntil, signersOf } from '../support/rolling.ts'

const ZONE = 'example.'
const DAY = 86_400

test('RFC 7583 §3.3.2: a KSK roll with a parent that is asked: the DS appears there, then the old key goes', async t => {
  const parent = await createNameserver({ listen: ['127.0.0.1@0'], workers: 1, udp: 'dgram', signing: false })
  t.teardown(() => parent.close())
  const top = await parent.addZone('.', [
    { name: '.', type: 'SOA', data: 'ns. h. 1 7200 3600 1209600 60' },
    { name: '.', type: 'NS', data: 'ns.' },
    { name: 'ns.', type: 'A', data: '127.0.0.1' },
    { name: ZONE, type: 'NS', data: 'ns1.example.' },
  ])
  const life = await testServer(t)
  const { server } = life
  const asked = { confirmation: 'observe', servers: parent.addresses } as const
  await server.addZone(ZONE, BASE, { signing: { policy: fastPolicy({ parent: asked }) } })
  const submit = async (): Promise<void> => {
    const old = answers(parent, ZONE, 'DS').map(data => ({ name: ZONE, type: 'DS', data }))
    const add = server.keys.status(ZONE)!.dsRecords.map(text => ({
      name: ZONE,
      type: 'DS',
      ttl: 300,
      data: text.replace(/^.* DS /, ''),
    }))
    await top.change({ remove: old, add })
  }
  await pass(life, 300)
  t.true(server.keys.status(ZONE)?.ds.pending, 'the parent has none yet')
  t.is(server.keys.status(ZONE)?.said, 'the parent has the same DS as before')
  await submit()
  await passUntil(life, () => server.keys.status(ZONE)?.ds.pending === false)
  const [old] = cdsTags(server, ZONE)
  await pass(life, 900)
  await server.keys.order(ZONE, { kind: 'roll', role: 'ksk' })
  await passUntil(life, () => cdsTags(server, ZONE)[0] !== old)
  await submit()
  await passUntil(life, () => answers(server, ZONE, 'DNSKEY').length === 2, 4 * 3600)
  t.deepEqual(signersOf(server, ZONE, 'DNSKEY'), cdsTags(server, ZONE))
})

test('propagation is observed: a roll waits for a secondary that has an older version, and says which', async t => {
  const life = await testServer(t)
  const { server } = life
  let serial = 0
  const secondary = await fakeServer(t, ({ octets, reply }) => {
    const soa = [0, 0, ...serialOctets(serial), ...Array.from({ length: 4 }, () => serialOctets(300)).flat()]
    reply(responseTo(octets, { answer: [recordOf(6, 300, soa)] }))
  })
  const observed = { propagation: 'observe', secondaries: [secondary.server] } as const
  await server.addZone(ZONE, BASE, { signing: { policy: fastPolicy(observed) } })
  serial = serialOf(server, ZONE)
  await pass(life, 900)
  const [old] = signersOf(server, ZONE, 'SOA')
  await server.keys.order(ZONE, { kind: 'roll', role: 'zsk' })
  await passUntil(life, () => answers(server, ZONE, 'DNSKEY').length === 3)
  // Long after every time that would be waited for otherwise.
  await pass(life, 3600)
  t.deepEqual(signersOf(server, ZONE, 'SOA'), [old])
  t.true(server.keys.status(ZONE)?.said?.includes(secondary.server), server.keys.status(ZONE)?.said)
  serial = serialOf(server, ZONE)
  await passUntil(life, () => signersOf(server, ZONE, 'SOA')[0] !== old)
  serial = serialOf(server, ZONE)
  await passUntil(life, () => answers(server, ZONE, 'DNSKEY').length === 2)
})

function serialOctets(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]
}

test('RFC 8078 §4: a zone is unsigned in steps: the DS is asked to go, signatures stay until none has it', async t => {
  const life = await testServer(t)
  const { server } = life
  const signing = { policy: fastPolicy() }
  await server.addZone(ZONE, BASE, { signing })
  await server.keys.order(ZONE, { kind: 'ds-seen' })
  await pass(life, 900)
  await server.setZonePolicy(ZONE, { signing: false })
  await passUntil(life, () => answers(server, ZONE, 'CDS')[0] === '0 0 0 00')
  t.deepEqual(answers(server, ZONE, 'CDNSKEY'), ['0 3 0 AA=='])
  await pass(life, 3600)
  t.is(answers(server, ZONE, 'DNSKEY').length, 2, 'the parent has the DS still')
  await server.keys.order(ZONE, { kind: 'ds-seen', keys: [] })
  await passUntil(life, () => answers(server, ZONE, 'DNSKEY').length === 0)
  t.is(server.zones()[0]?.signed, false)
  t.deepEqual(ask(server, 'ns1.example.', 'A').answer.length, 1)
  await server.zone(ZONE)!.change({ add: [{ name: 'www', type: 'A', data: '192.0.2.80' }] })
  t.is(server.zones()[0]?.signed, false)
  // And signed again, with new keys.
  await server.setZonePolicy(ZONE, { signing })
  await passUntil(life, () => answers(server, ZONE, 'DNSKEY').length === 2)
  t.is(ask(server, 'www.example.', 'A').answer.length, 2)
})

test('the denial changes from NSEC to NSEC3 and back in one version each, nothing between', async t => {
  const { server } = await testServer(t)
  await server.addZone(ZONE, BASE)
  const types = (): string[] =>
    [...new Set(ask(server, 'nowhere.example.', 'A').authority.map(line => line.split(' ')[2]!))].sort()
  for (const denial of ['nsec3', 'opt-out', 'nsec'] as const) {
    const serial = serialOf(server, ZONE)
    await server.setZonePolicy(ZONE, { signing: { policy: signingPolicyOf({ denial }), keepKeys: true } })
    t.is(serialOf(server, ZONE), serial + 1)
    t.deepEqual(types(), [denial === 'nsec' ? 'NSEC' : 'NSEC3', 'RRSIG', 'SOA'])
    t.is(answers(server, ZONE, 'NSEC3PARAM').length, denial === 'nsec' ? 0 : 1)
  }
})

test('a clock that went back at a restart: what is valid is served, nothing is signed, rolled or destroyed', async t => {
  const state = join(await temporaryDirectory(t), 'state')
  const keys = new FickleKeyStore()
  const first = await testServer(t, { state, keys, clock: new ManualClock(NOW) })
  await first.server.addZone(ZONE, BASE)
  const serial = serialOf(first.server, ZONE)
  await first.server.close()
  keys.batches = 0
  const clock = new ManualClock(NOW - 30 * DAY)
  const second = await testServer(t, { state, keys, clock })
  await second.server.addZone(ZONE, BASE)
  t.is(serialOf(second.server, ZONE), serial)
  t.is(ask(second.server, ZONE, 'SOA').answer.length, 2)
  await pass(second, 3600)
  const change = second.server.zone(ZONE)!.change({ add: [{ name: 'a', type: 'A', data: '192.0.2.1' }] })
  await t.throwsAsync(change, { code: 'CLOCK_BACKWARDS' })
  t.is(keys.batches, 0)
  t.is(keys.keys.length, 1)
  t.is(serialOf(second.server, ZONE), serial)
})

/** Can be set. */
class SettableClock extends ManualClock {
  #offset = 0

  override now(): number {
    return super.now() + this.#offset
  }

  set(seconds: number): void {
    this.#offset += seconds
  }
}

test('a clock that jumps ahead and is set right again within the hour: no key is made, rolled or destroyed', async t => {
  const clock = new SettableClock(NOW)
  const life = await testServer(t, { clock })
  const { server, keys } = life
  await server.addZone(ZONE, BASE, { signing: { policy: fastPolicy({ zskLifetimeSeconds: 30 * DAY }) } })
  await server.keys.order(ZONE, { kind: 'ds-seen' })
  await pass(life, 900)
  const goals = (): string[] => server.keys.status(ZONE)!.keys.map(({ id, goal }) => `${id} ${goal}`)
  const before = goals()
  clock.set(365 * DAY)
  await pass(life, 1800)
  t.regex(server.keys.status(ZONE)!.sentences[0]!, /^The clock jumped: no step is taken before 20/)
  clock.set(-365 * DAY)
  await pass(life, 1800)
  t.deepEqual(goals(), before)
  t.is(keys.keys.length, 2)
})

test('a key that may be destroyed is kept for a day after a start, and its status says so', async t => {
  const life = await testServer(t, { clock: new ManualClock(NOW) })
  const { server } = life
  await server.addZone(ZONE, BASE, { signing: { policy: fastPolicy({ purgeSeconds: 60 }) } })
  const zsk = server.keys.status(ZONE)!.keys.find(({ role }) => role === 'zsk')!
  await server.keys.order(ZONE, { kind: 'roll', role: 'zsk' })
  const status = () => server.keys.status(ZONE)!.keys.find(({ id }) => id === zsk.id)!
  await passUntil(life, () => status().goneUnix !== undefined)
  await pass(life, 3600)
  t.like(status().next[0], { what: 'it is destroyed', atUnix: NOW + DAY })
  t.regex(
    status().sentences.join(' '),
    /for a day after a start, or a jump of the clock, no key is destroyed/,
  )
  const isKnown = (): boolean => server.keys.status(ZONE)!.keys.some(({ id }) => id === zsk.id)
  await passUntil(life, () => !isKnown(), DAY)
  t.true(life.clock.now() >= NOW + DAY)
})

test('a clock that jumps ahead and stays there is believed after an hour', async t => {
  const clock = new SettableClock(NOW)
  const life = await testServer(t, { clock })
  const { server, keys } = life
  await server.addZone(ZONE, BASE, { signing: { policy: fastPolicy({ zskLifetimeSeconds: 30 * DAY }) } })
  await pass(life, 900)
  clock.set(31 * DAY)
  await pass(life, 1800)
  t.is(keys.keys.length, 2)
  await passUntil(life, () => keys.keys.length === 3)
  t.is(server.zones()[0]?.state, 'serving')
})

test('a key that is gone from its store: told of, none made in its place, the zone is served on', async t => {
  const state = join(await temporaryDirectory(t), 'state')
  const keys = new FickleKeyStore()
  const clock = new ManualClock(NOW)
  const first = await testServer(t, { state, keys, clock })
  await first.server.addZone(ZONE, BASE)
  await first.server.close()
  keys.keys.length = 0
  const second = await testServer(t, { state, keys, clock })
  await second.server.addZone(ZONE, BASE)
  await second.server.settled()
  t.is(answers(second.server, ZONE, 'DNSKEY').length, 1)
  t.is(keys.keys.length, 0)
  t.regex(second.logged.map(({ message }) => message).join(), /in no key store/)
  t.false(second.server.keys.status(ZONE)?.keys[0]?.held)
})

test('a key store that is away at a restart: the zone is served as it was, with its signatures', async t => {
  const state = join(await temporaryDirectory(t), 'state')
  const clock = new ManualClock(NOW)
  const first = await testServer(t, { state, keys: new FickleKeyStore(), clock })
  await first.server.addZone(ZONE, BASE)
  const before = answers(first.server, ZONE, 'SOA')
  await first.server.close()
  const away = new FickleKeyStore()
  const fail = (): Promise<never> => Promise.reject(new ConclaveError('KEY_UNREADABLE', 'the token is away'))
  Object.assign(away, { list: fail, keysOf: fail, signedKeys: fail, generate: fail })
  const second = await testServer(t, { state, keys: away, clock })
  await second.server.addZone(ZONE, BASE)
  t.is(second.server.zones()[0]?.state, 'serving')
  t.deepEqual(answers(second.server, ZONE, 'SOA'), before)
})

test('a kill between the making of two keys: the one that is there is taken, the other one made', async t => {
  const keys = new FickleKeyStore()
  const policy = fastPolicy()
  await keys.generate({ zone: nameFromText(ZONE), algorithm: 13, role: 'ksk' })
  const { server } = await testServer(t, { keys })
  await server.addZone(ZONE, BASE, { signing: { policy } })
  t.deepEqual(keys.keys.map(({ info }) => info.role).sort(), ['ksk', 'zsk'])
})

/** Wants an approval for what a KSK signs. */
class ApprovingStore extends FickleKeyStore {
  readonly #tickets = new Map<string, SignBatch>()
  approved = false
  asked = 0

  override async sign(batch: SignBatch): Promise<SignOutcome[]> {
    const key = this.keys.find(({ info }) => info.id === batch.key)
    if (key?.info.role !== 'ksk') return super.sign(batch)
    this.asked++
    return Array.from({ length: batch.count }, (_, index) => {
      const octets = batch.octets.slice(batch.offsets[index], batch.offsets[index + 1])
      const ticket = `ticket ${this.#tickets.size}`
      this.#tickets.set(ticket, {
        key: batch.key,
        octets,
        offsets: Uint32Array.of(0, octets.length),
        count: 1,
      })
      return { kind: 'pending', ticket, needs: 'two operators' }
    })
  }

  override async resume(tickets: readonly string[]): Promise<SignOutcome[]> {
    const outcomes = tickets.map(async (ticket): Promise<SignOutcome> => {
      if (!this.approved) return { kind: 'pending', ticket, needs: 'two operators' }
      return (await super.sign(this.#tickets.get(ticket)!))[0]!
    })
    return Promise.all(outcomes)
  }
}

test('keystore I4: signatures that wait for an approval are asked for once, also over a restart, and then taken', async t => {
  const directory = await temporaryDirectory(t)
  const state = join(directory, 'state')
  const file = join(directory, 'example.zone')
  await fs.writeFile(file, '$TTL 300\n@ SOA ns1 h 1 7200 3600 1209600 300\n@ NS ns1\nns1 A 192.0.2.53\n')
  const keys = new ApprovingStore()
  const clock = new ManualClock(NOW)
  const options = { origin: ZONE, signing: { policy: fastPolicy() } }
  const first = await testServer(t, { state, keys, clock })
  const outcome = await first.server.addFile(file, options)
  t.is(outcome.kind === 'refused' && outcome.refusal.code, 'SIGNATURES_PENDING')
  const asked = keys.asked
  t.true(asked > 0)
  await first.server.close()
  const disk = await openState(state, { readOnly: true })
  const pending = disk.zone(keyOf(nameFromText(ZONE))).keys.pending ?? []
  await disk.close()
  // DNSKEY, CDS and CDNSKEY.
  t.is(pending.length, 3)
  clock.advance(600)
  const second = await testServer(t, { state, keys, clock })
  t.is((await second.server.addFile(file, options)).kind, 'refused')
  t.is(keys.asked, asked, 'nobody is bothered twice')
  keys.approved = true
  t.is((await second.server.reload(ZONE))[0]?.kind, 'published')
  t.is(keys.asked, asked)
  const [rrsig] = ask(second.server, ZONE, 'DNSKEY').answer.filter(line => line.split(' ')[2] === 'RRSIG')
  const expiration = new DataView(pending[0]!.octets.buffer, pending[0]!.octets.byteOffset).getUint32(8)
  const day = new Date(expiration * 1000).toISOString().slice(0, 10).replaceAll('-', '')
  t.true(rrsig!.split(' ')[7]!.startsWith(day), 'the times are those of the ticket')
  await second.server.close()
  const after = await openState(state, { readOnly: true })
  t.is(after.zone(keyOf(nameFromText(ZONE))).keys.pending, undefined)
  await after.close()
})

/** Turns a state directory into what the release before wrote: no timeline, an empty list for the keys. */
async function makeFormat1(state: string): Promise<void> {
  const root = open<Uint8Array, Uint8Array>({
    path: join(state, 'state.mdb'),
    noSubdir: true,
    maxDbs: 8,
    encoding: 'binary',
    keyEncoding: 'binary',
  })
  const zones = root.openDB<Uint8Array, Uint8Array>({
    name: 'zones',
    encoding: 'binary',
    keyEncoding: 'binary',
    cache: false,
  })
  for (const { key, value } of zones.getRange({})) {
    const record = JSON.parse(new TextDecoder().decode(value)) as Record<string, unknown>
    await zones.put(key, new TextEncoder().encode(JSON.stringify({ ...record, keys: [] })))
  }
  await root.close()
  await fs.writeFile(join(state, 'format'), '1\n')
}

test('state format 1: a zone goes on with its keys, its serial and its signatures, and may have a DS', async t => {
  const state = join(await temporaryDirectory(t), 'state')
  const options = { state, keys: new FickleKeyStore(), clock: new ManualClock(NOW) }
  const first = await testServer(t, options)
  await first.server.addZone(ZONE, BASE)
  const keys = answers(first.server, ZONE, 'DNSKEY')
  await first.server.close()
  await makeFormat1(state)
  // Read as it is, without a change.
  const before = await fs.readFile(join(state, 'state.mdb'))
  const looking = await openState(state, { readOnly: true })
  t.deepEqual(looking.zone(keyOf(nameFromText(ZONE))).keys, { infos: [] })
  await looking.close()
  t.deepEqual(await fs.readFile(join(state, 'state.mdb')), before)
  options.keys.batches = 0
  const second = await testServer(t, options)
  t.is(await fs.readFile(join(state, 'format'), 'utf8'), '2\n')
  await second.server.addZone(ZONE, BASE)
  t.deepEqual(answers(second.server, ZONE, 'DNSKEY'), keys)
  t.is(serialOf(second.server, ZONE), 1)
  t.is(options.keys.batches, 0)
  await second.server.settled()
  t.true(second.server.keys.status(ZONE)?.ds.pending, 'nobody knows what the parent has')
  await second.server.close()
  // Cut off between the records and the number: done over.
  await fs.writeFile(join(state, 'format'), '1\n')
  const third = await openState(state)
  t.is(third.zone(keyOf(nameFromText(ZONE))).keys.infos.length, 1)
  await third.close()
  t.is(await fs.readFile(join(state, 'format'), 'utf8'), '2\n')
})
