/** Zones over time: refreshing, clocks that are wrong, keys and disks that fail. */
import { promises as fs } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { ManualClock, silentLogger } from '../../base/index.ts'
import { Effort } from '../../server/effort.ts'
import type { Nameserver, RecordText, RefusedEvent } from '../../server/index.ts'
import { openState } from '../../server/index.ts'
import { SharedPublication } from '../../server/shared-publication.ts'
import { ZoneLife } from '../../server/zone-life.ts'
import type { ZoneEnvironment } from '../../server/zone-life-types.ts'
import {
  CryptoPool,
  type DenialMode,
  oneStore,
  type SignOutcome,
  signingPolicyOf,
} from '../../signer/index.ts'
import { keyOf, type Name, nameFromText, readContent, Store } from '../../zones/index.ts'
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
  until,
} from '../support/embedding.ts'

const DAY = 86_400
const VALIDITY = 14 * DAY
const hosts: readonly RecordText[] = Array.from({ length: 40 }, (_, index) => ({
  name: `h${index}`,
  type: 'A',
  data: `192.0.2.${index}`,
}))
const names = ['', 'ns1.', ...hosts.map(({ name }) => `${name}.`)]

/** Expirations of all signatures that answers show, denial left out. */
function expirations(server: Nameserver): number[] {
  return names.flatMap(name =>
    ['A', 'SOA', 'NS', 'DNSKEY', 'CDS', 'CDNSKEY', 'ZONEMD', 'NSEC', 'NSEC3PARAM'].flatMap(type => {
      const found = ask(server, `${name}example.`, type).answer.filter(line => line.split(' ')[2] === 'RRSIG')
      return found.map(line => timeUnix(line.split(' ')[7]!))
    }),
  )
}

/** RFC 4034 §3.2: YYYYMMDDHHmmSS. */
function timeUnix(text: string): number {
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text)!.slice(1).map(Number)
  return Date.UTC(parts[0]!, parts[1]! - 1, parts[2], parts[3], parts[4], parts[5]) / 1000
}

function headroom({ server }: TestServer): number {
  return server.zones()[0]!.headroomSeconds!
}

/** Moves time in steps, and lets what falls due be done before the next. */
async function pass({ clock, server }: TestServer, seconds: number, step = 900, turns = 10): Promise<void> {
  for (let left = seconds; left > 0; left -= step) {
    clock.advance(Math.min(step, left))
    for (let turn = 0; turn < turns; turn++) await new Promise(resolve => setImmediate(resolve))
    // A build has a draft from its beginning to its end.
    await until(() => server.stats().store.openDrafts === 0)
  }
}

for (const denial of ['nsec', 'nsec3'] as const satisfies readonly DenialMode[]) {
  test(`signatures are made anew when a third of their life is left, spread, and the headroom is right: ${denial}`, async t => {
    const life = await testServer(t, { signing: { denial } })
    const { server } = life
    const reasons: string[] = []
    server.on('published', ({ reason }) => reasons.push(reason))
    await server.addZone('example', [...BASE, ...hosts])
    const first = expirations(server)
    const now = life.clock.now()
    t.true(first.every(one => one <= now + VALIDITY && one >= now + (VALIDITY * 6) / 7))
    t.true(new Set(first).size > first.length / 2, 'spread by jitter')
    if (denial === 'nsec') t.is(headroom(life), Math.min(...first) - now, 'exact after a first signing')
    // Until the first is due nothing happens.
    await pass(life, headroom(life) - VALIDITY / 3 - 3600)
    t.deepEqual(reasons, ['added by program'])
    const serial = serialOf(server, 'example.')
    await pass(life, 3 * DAY)
    t.true(reasons.length > 2 && reasons.slice(1).every(reason => reason === 'signatures refreshed'))
    t.is(serialOf(server, 'example.'), serial + reasons.length - 1)
    const later = life.clock.now()
    const second = expirations(server)
    // Two days of jitter and an hour of waiting for others: all are new by now, and none was let go further.
    t.true(Math.min(...second) > later + VALIDITY / 3 - 3700)
    t.true(headroom(life) > VALIDITY / 3, 'the headroom grew again')
    if (denial === 'nsec') t.is(headroom(life), Math.min(...second) - later, 'exact after a refresh')
    t.true(reasons.length < 100, 'what falls due within an hour goes together')
  })
}

test('an edit neither loses nor exaggerates the headroom', async t => {
  const life = await testServer(t)
  const zone = await life.server.addZone('example', [...BASE, ...hosts])
  const before = headroom(life)
  await pass(life, DAY)
  await zone.change({ add: [{ name: 'new', type: 'A', data: '192.0.2.1' }] })
  t.true(headroom(life) <= before - DAY)
  t.true(headroom(life) <= Math.min(...expirations(life.server)) - life.clock.now())
})

test('ZoneKeys I3, zone-builds I2: a clock set back signs nothing and destroys nothing; set right, all goes on', async t => {
  const { server, clock } = await testServer(t)
  const zone = await server.addZone('example', BASE)
  clock.advance(-2 * DAY)
  const refused: RefusedEvent[] = []
  server.on('refused', event => refused.push(event))
  const change = { add: [{ name: 'www', type: 'A', data: '192.0.2.1' }] }
  await t.throwsAsync(zone.change(change), { code: 'CLOCK_BACKWARDS' })
  t.is(refused.length, 1)
  t.is(server.zones()[0]!.state, 'refused')
  t.is(serialOf(server, 'example.'), 1)
  clock.advance(2 * DAY)
  t.is((await zone.change(change)).kind, 'published')
  t.is(server.zones()[0]!.state, 'serving')
})

test('a clock far forward is believed after a minute; put right before, nothing was done', async t => {
  const life = await testServer(t)
  const { server, keys, clock } = life
  await server.addZone('example', BASE)
  await pass(life, 60, 30)
  keys.signed = 0
  clock.advance(400 * DAY)
  clock.advance(-400 * DAY)
  await pass(life, 300, 30)
  t.is(keys.signed, 0)
  t.is(serialOf(server, 'example.'), 1)
})

const FAULTS: readonly { title: string; fault: SignOutcome; code: string }[] = [
  {
    title: 'unavailable',
    fault: { kind: 'unavailable', code: 'KEYS_AWAY', retryAfterSeconds: 5 },
    code: 'KEYS_AWAY',
  },
  { title: 'unwilling', fault: { kind: 'refused', code: 'POLICY', by: 'test' }, code: 'POLICY' },
  {
    title: 'waiting for approval',
    fault: { kind: 'pending', ticket: '1', needs: 'an operator' },
    code: 'SIGNATURES_PENDING',
  },
  {
    title: 'lying',
    fault: { kind: 'signed', signature: new Uint8Array(64).fill(1) },
    code: 'SIGNATURE_WRONG',
  },
]

for (const { title, fault, code } of FAULTS) {
  test(`keys that are ${title}: the old version stays, asked again less and less often, and 'expiring' is told`, async t => {
    const life = await testServer(t)
    const { server, keys } = life
    const zone = await server.addZone('example', BASE)
    keys.fault = fault
    const change = { add: [{ name: 'www', type: 'A', data: '192.0.2.1' }] }
    await t.throwsAsync(zone.change(change), { code })
    t.is(serialOf(server, 'example.'), 1)
    const expiring: number[] = []
    server.on('expiring', ({ firstExpirationUnix }) => expiring.push(firstExpirationUnix - life.clock.now()))
    keys.batches = 0
    await pass(life, headroom(life) - VALIDITY / 3)
    // Why a version was refused goes to disk before it is told.
    await pass(life, DAY, 900, 2000)
    t.true(expiring.length >= 8 && expiring.length < 60, `${expiring.length} times in a day`)
    t.true(expiring[0]! < VALIDITY / 3 + 3600)
    t.true(keys.batches < 60, `${keys.batches} batches`)
    t.is(serialOf(server, 'example.'), 1)
    t.is(server.stats().store.openDrafts, 0)
    keys.fault = undefined
    t.is((await zone.change(change)).kind, 'published')
    await pass(life, DAY / 4)
    t.true(headroom(life) > VALIDITY / 3, 'refreshed when keys came back')
  })
}

test('a file that could not be signed is signed when keys come back, without being touched', async t => {
  const life = await testServer(t)
  const { server, keys } = life
  const path = join(await temporaryDirectory(t), 'example.zone')
  const text = '$TTL 3600\n@ SOA ns1 host 1 7200 3600 1209600 900\n@ NS ns1\nns1 A 192.0.2.53\n'
  await fs.writeFile(path, text)
  keys.fault = { kind: 'unavailable', code: 'KEYS_AWAY', retryAfterSeconds: 30 }
  const first = await server.addFile(path)
  t.is(first.kind === 'refused' && first.refusal.code, 'KEYS_AWAY')
  await pass(life, 25, 5)
  t.is(keys.batches, 1, 'not before the store said')
  keys.fault = undefined
  await pass(life, 60, 5)
  await until(() => server.zones()[0]!.state === 'serving')
  t.is(serialOf(server, 'example.'), 1)
  keys.fault = { kind: 'unavailable', code: 'KEYS_AWAY', retryAfterSeconds: 30 }
  await fs.writeFile(path, `${text}www A 192.0.2.1\n`)
  const [second] = await server.reload()
  t.is(second?.kind, 'refused')
  keys.fault = undefined
  await pass(life, 120, 5)
  await until(() => answers(server, 'www.example.', 'A').length === 1)
  t.is(serialOf(server, 'example.'), 2)
})

test('an edit that could not be signed is still owed, and told of, when signatures are made anew meanwhile', async t => {
  const life = await testServer(t)
  const { server, keys } = life
  const path = join(await temporaryDirectory(t), 'example.zone')
  const text = '$TTL 3600\n@ SOA ns1 host 1 7200 3600 1209600 900\n@ NS ns1\nns1 A 192.0.2.53\n'
  await fs.writeFile(path, text)
  await server.addFile(path)
  keys.fault = { kind: 'unavailable', code: 'KEYS_AWAY', retryAfterSeconds: 30 }
  await fs.writeFile(path, `${text}www A 192.0.2.1\n`)
  t.is((await server.reload())[0]?.kind, 'refused')
  keys.fault = undefined
  const signing = { policy: signingPolicyOf({ denial: 'nsec3' }), stores: oneStore(keys) }
  t.is((await server.setZonePolicy('example', { signing })).kind, 'published')
  t.is(answers(server, 'www.example.', 'A').length, 0)
  t.like(server.zones()[0], { serial: 2, state: 'refused', lastRefused: { code: 'KEYS_AWAY' } })
  await pass(life, 120, 5)
  await until(() => answers(server, 'www.example.', 'A').length === 1)
  t.is(server.zones()[0]!.state, 'serving')
})

test('zone-builds I1: a restart serves what is signed and valid while keys are away, and catches up', async t => {
  const options = {
    state: join(await temporaryDirectory(t), 'state'),
    keys: new FickleKeyStore(),
    clock: new ManualClock(NOW),
  }
  const first = await testServer(t, options)
  await first.server.addZone('example', BASE)
  await first.server.close()
  // Every signature is due by now, and none has ended.
  options.clock.advance(11 * DAY)
  options.keys.fault = { kind: 'unavailable', code: 'KEYS_AWAY', retryAfterSeconds: 5 }
  const second = await testServer(t, options)
  await second.server.addZone('example', BASE)
  t.is(serialOf(second.server, 'example.'), 1)
  t.true(headroom(second) > 0 && headroom(second) < VALIDITY / 3)
  options.keys.fault = undefined
  await pass(second, 2 * 3600)
  t.true(headroom(second) > (VALIDITY * 5) / 7)
  t.is(serialOf(second.server, 'example.'), 2)
})

test('signatures that live for an hour are late when half of the time to refresh is gone, not always', async t => {
  const keys = new FickleKeyStore()
  const signing = { signatureValiditySeconds: 3600, refreshSeconds: 1200, jitterSeconds: 0 }
  const life = await testServer(t, { keys, signing })
  await life.server.addZone('example', BASE)
  const isLate = (): boolean => life.server.zones()[0]!.late === true
  t.false(isLate())
  keys.fault = { kind: 'unavailable', code: 'KEYS_AWAY', retryAfterSeconds: 5 }
  await pass(life, 2700, 300)
  t.false(isLate(), 'due, and not late yet')
  await pass(life, 600, 300)
  t.true(isLate())
})

test("signatures of others, served as they are: the headroom is told, and 'expiring' when it is short", async t => {
  const maker = await testServer(t)
  await maker.server.addZone('example', BASE)
  const types = ['SOA', 'NS', 'DNSKEY', 'NSEC']
  const lines = types.flatMap(type => ask(maker.server, 'example.', type).answer)
  const life = await testServer(t, { signing: false })
  await life.server.addText(lines.join('\n'), { origin: 'example.' })
  const ends = lines.filter(line => line.split(' ')[2] === 'RRSIG').map(line => timeUnix(line.split(' ')[7]!))
  t.is(headroom(life), Math.min(...ends) - NOW)
  let told = 0
  life.server.on('expiring', () => told++)
  await pass(life, 7 * DAY)
  t.is(told, 0)
  await pass(life, 3 * DAY)
  t.true(told > 0)
})

test('I2, I3: a disk that fails leaves the served version, no draft and no serial behind', async t => {
  const store = new Store({ octetsMax: 1 << 26 })
  const state = await openState(join(await temporaryDirectory(t), 'state'))
  const pool = new CryptoPool({ threads: 1 })
  t.teardown(() => Promise.all([state.close(), pool.close()]))
  let failing = false
  const environment: ZoneEnvironment = {
    store,
    publications: new SharedPublication(store),
    pool,
    effort: new Effort(() => undefined),
    clock: new ManualClock(NOW),
    log: silentLogger,
    signal: new AbortController().signal,
    stateOf: key => {
      const zone = state.zone(key)
      const fail = (): Promise<void> => Promise.reject(new Error('no space left'))
      return new Proxy(zone, {
        get: (target, name) => {
          if (failing && (name === 'publish' || name === 'refuse')) return fail
          const value: unknown = Reflect.get(target, name, target)
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
    },
    keysMade() {},
    rollover() {},
    clockTrust: () => ({ destroyFromUnix: 0, stepsFromUnix: 0 }),
    ownStores: () => Promise.reject(new Error('not asked for')),
    otherStores: () => Promise.resolve([]),
    published() {},
    refused() {},
    progress() {},
  }
  const apex: Name = nameFromText('example.')
  const life = new ZoneLife(apex, environment, {
    signing: { policy: signingPolicyOf(), stores: oneStore(new FickleKeyStore()) },
    serialPolicy: 'increment',
  })
  const publish = (last: number): ReturnType<ZoneLife['publishContent']> => {
    const text = `$TTL 60\n@ SOA ns1 host 1 1 1 1 1\n@ NS ns1\nns1 A 192.0.2.${last}\n`
    const outcome = readContent(store, Buffer.from(text), { file: 'test.zone', origin: apex })
    if (outcome.kind === 'faults') throw new Error('faults')
    return life.inTurn(() => life.publishContent(outcome.content, 'test'))
  }
  t.is((await publish(1)).kind, 'published')
  const digest = state.zone(keyOf(apex)).served?.sourceDigest ?? new Uint8Array(0)
  t.true(digest.length > 0)
  t.is(digest.buffer.byteLength, digest.length, 'it is kept with the zone, and keeps nothing else')
  const { octetsUsed, version } = store.stats()
  failing = true
  for (let round = 2; round < 10; round++) {
    const outcome = await publish(round)
    t.is(outcome.kind === 'refused' && outcome.refusal.code, 'INTERNAL')
  }
  t.is(store.stats().openDrafts, 0)
  t.is(store.stats().version, version)
  t.is(store.stats().octetsUsed, octetsUsed)
  t.is(life.record?.serial, 1)
  failing = false
  t.is((await publish(2)).kind, 'published')
  t.is(life.record?.serial, 2)
  await life.remove()
  t.is(store.stats().zones, 0)
})
