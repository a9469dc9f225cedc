/** Keys that roll while a zone is served: what is shown when, restarts in the middle, stores that fail. */
import { join } from 'node:path'
import test from 'ava'
import { ManualClock } from '../../base/index.ts'
import type { Nameserver } from '../../server/index.ts'
import {
  answers,
  BASE,
  FickleKeyStore,
  NOW,
  serialOf,
  temporaryDirectory,
  testServer,
} from '../support/embedding.ts'
import { cdsTags, fastPolicy, pass, passUntil, signersOf, stepsOf, tagsShown } from '../support/rolling.ts'

const ZONE = 'example.'

function roles(server: Nameserver): string[] {
  return answers(server, ZONE, 'DNSKEY')
    .map(rdata => (rdata.startsWith('257') ? 'ksk' : 'zsk'))
    .sort()
}

test('RFC 7583 §3.2.1: a ZSK roll, pre-publication: shown, then signing, then the old one goes', async t => {
  const life = await testServer(t)
  const { server } = life
  const steps = stepsOf(server)
  await server.addZone(ZONE, BASE, { signing: { policy: fastPolicy() } })
  t.deepEqual(roles(server), ['ksk', 'zsk'])
  t.is(serialOf(server, ZONE), 1, 'the first version has all of it')
  t.is(cdsTags(server, ZONE).length, 1)
  const [old] = signersOf(server, ZONE, 'SOA')
  await pass(life, 900)
  await server.keys.order(ZONE, { kind: 'roll', role: 'zsk' })
  await passUntil(life, () => roles(server).length === 3, 60)
  t.deepEqual(signersOf(server, ZONE, 'SOA'), [old])
  const waited = await passUntil(life, () => signersOf(server, ZONE, 'SOA')[0] !== old)
  // Ipub: propagation, TTL of the DNSKEY RRset, safety.
  t.true(waited >= 60 + 300 + 60 - 30 && waited <= 60 + 300 + 60 + 60, `${waited}`)
  t.is(roles(server).length, 3)
  const left = await passUntil(life, () => roles(server).length === 2)
  // Iret: propagation, greatest TTL of the zone, safety.
  t.true(left >= 60 + 600 + 60 - 30 && left <= 60 + 600 + 60 + 60, `${left}`)
  t.false(tagsShown(server, ZONE).includes(old!))
  t.deepEqual(
    steps.map(({ action }) => action).filter(action => action !== 'ds-confirmed'),
    ['retired', 'generated', 'publish', 'publish', 'publish'],
  )
})

test('RFC 7583 §3.3.2: a KSK roll: shown and signing, DS asked for, seen by an operator, the old one goes', async t => {
  const life = await testServer(t)
  const { server } = life
  await server.addZone(ZONE, BASE, { signing: { policy: fastPolicy() } })
  const [old] = cdsTags(server, ZONE)
  await server.keys.order(ZONE, { kind: 'ds-seen' })
  await passUntil(life, () => server.keys.status(ZONE)?.ds.pending === false, 60)
  await pass(life, 900)
  const trial = await server.keys.order(ZONE, { kind: 'roll', role: 'ksk' }, true)
  t.true(trial.events.some(({ kind }) => kind === 'generate'))
  t.is(roles(server).length, 2, 'a trial changes nothing')
  await server.keys.order(ZONE, { kind: 'roll', role: 'ksk' })
  await passUntil(life, () => roles(server).length === 3, 60)
  t.deepEqual(cdsTags(server, ZONE), [old])
  t.is(signersOf(server, ZONE, 'DNSKEY').length, 2)
  await passUntil(life, () => cdsTags(server, ZONE)[0] !== old)
  // Nothing goes on before the parent was seen with it.
  await passUntil(life, () => roles(server).length === 2, 3600).then(
    () => t.fail('the old KSK went'),
    () => t.is(roles(server).length, 3),
  )
  const [wanted] = cdsTags(server, ZONE)
  await server.keys.order(ZONE, { kind: 'ds-seen', keys: [String(wanted)] })
  const left = await passUntil(life, () => roles(server).length === 2)
  t.true(left >= 300, `${left}`)
  t.deepEqual(signersOf(server, ZONE, 'DNSKEY'), [wanted])
})

test('restarts at every step of a roll: it goes on where it was, and no key is made twice', async t => {
  const state = join(await temporaryDirectory(t), 'state')
  const clock = new ManualClock(NOW)
  const keys = new FickleKeyStore()
  const signing = { policy: fastPolicy() }
  let life = await testServer(t, { state, clock, keys })
  let { server } = life
  await server.addZone(ZONE, BASE, { signing })
  const restart = async (): Promise<void> => {
    await server.close()
    life = await testServer(t, { state, clock, keys })
    server = life.server
    await server.addZone(ZONE, BASE, { signing })
  }
  const [old] = signersOf(server, ZONE, 'SOA')
  await pass(life, 900)
  await restart()
  t.is(serialOf(server, ZONE), 1)
  await server.keys.order(ZONE, { kind: 'roll', role: 'zsk' })
  await restart()
  await passUntil(life, () => roles(server).length === 3, 60)
  for (let restarts = 0; restarts < 3; restarts++) {
    await pass(life, 120)
    await restart()
  }
  await passUntil(life, () => signersOf(server, ZONE, 'SOA')[0] !== old)
  await restart()
  t.not(signersOf(server, ZONE, 'SOA')[0], old)
  await passUntil(life, () => roles(server).length === 2)
  await restart()
  t.is(roles(server).length, 2)
  t.is(keys.keys.length, 3)
})

test('a key store that fails: the roll waits, and serving goes on', async t => {
  const life = await testServer(t)
  const { server, keys } = life
  await server.addZone(ZONE, BASE, { signing: { policy: fastPolicy() } })
  await pass(life, 900)
  const generate = keys.generate.bind(keys)
  keys.generate = () => Promise.reject(new Error('the token is away'))
  await server.keys.order(ZONE, { kind: 'roll', role: 'zsk' })
  await pass(life, 300)
  t.is(roles(server).length, 2)
  await server.zone(ZONE)!.change({ add: [{ name: 'www', type: 'A', data: '192.0.2.80' }] })
  keys.fault = { kind: 'unavailable', code: 'AWAY', retryAfterSeconds: 5 }
  keys.generate = generate
  await passUntil(life, () => keys.keys.length === 3, 600)
  t.is(roles(server).length, 2)
  keys.fault = undefined
  await passUntil(life, () => roles(server).length === 3, 4000)
  t.is(keys.keys.length, 3)
})
