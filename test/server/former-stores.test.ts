/** Zones whose policy has come to name another key store than the one that has their keys. */
import { promises as fs } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { ManualClock } from '../../base/index.ts'
import { ConfiguredServer, type Nameserver, parseConfiguration } from '../../server/index.ts'
import { signingPolicyOf } from '../../signer/index.ts'
import {
  answers,
  BASE,
  FickleKeyStore,
  NOW,
  serialOf,
  temporaryDirectory,
  testServer,
} from '../support/embedding.ts'
import { pass, passUntil, signersOf } from '../support/rolling.ts'

const ZONE = 'a.example.'
const HOST = 'ns1.a.example.'
const DAY = 86_400
const STORES = 'keystores: { old: { type: file, directory: old }, new: { type: file, directory: new } }\n'
const TIMES = [
  'dnskey-ttl: 60',
  'propagation: time',
  'propagation-delay: 60',
  'publish-safety: 60',
  'retire-safety: 60',
  'zone-ttl-max: 300',
  'parent: { ds-confirmation: operator, ds-ttl: 60, propagation-delay: 60 }',
  'purge-after: 1h',
].join(', ')

/** The configuration of one zone, with those key stores, and that in its policy. */
function textOf(stores: string, wishes: string): string {
  return `${stores}zones: [{ file: a.zone, ${TIMES}, ${wishes} }]\n`
}

interface Life {
  readonly configured: ConfiguredServer
  readonly server: Nameserver
  readonly clock: ManualClock
  readonly directory: string
  /** What was logged as an error. */
  readonly errors: string[]
  reload(text: string): ReturnType<ConfiguredServer['reload']>
  /** Names of the key files in that directory. */
  keysIn(name: string): Promise<string[]>
}

async function begin(t: ExecutionContext, text: string): Promise<Life> {
  const directory = await temporaryDirectory(t)
  const zone = '$TTL 300\n@ SOA ns1 h 1 7200 3600 1209600 300\n@ NS ns1\nns1 A 192.0.2.53\n'
  await fs.writeFile(join(directory, 'a.zone'), `$ORIGIN ${ZONE}\n${zone}`)
  return start(t, directory, text, new ManualClock(NOW))
}

async function start(
  t: ExecutionContext,
  directory: string,
  text: string,
  clock: ManualClock,
): Promise<Life> {
  const file = join(directory, 'c.yaml')
  await fs.writeFile(file, text)
  const outcome = parseConfiguration(Buffer.from(text), file)
  if (outcome.kind === 'faults') throw new Error(JSON.stringify(outcome.faults))
  const errors: string[] = []
  const error = (message: string): void => void errors.push(message)
  const log = { debug() {}, info() {}, warn() {}, error, setLevel() {} }
  const configured = await ConfiguredServer.open(outcome.configuration, { log, clock })
  t.teardown(() => configured.close())
  await ticking(clock, configured.addSources())
  const reload = async (changed: string): ReturnType<ConfiguredServer['reload']> => {
    await fs.writeFile(file, changed)
    return ticking(clock, configured.reload())
  }
  const keysIn = (name: string): Promise<string[]> => fs.readdir(join(directory, name)).catch(() => [])
  return { configured, server: configured.server, clock, directory, errors, reload, keysIn }
}

/** A file is read once it has been still for a while. Time goes on by the machine's, only faster: turns of the event loop
 *  would make days of it while the disk is waited for. */
async function ticking<T>(clock: ManualClock, work: Promise<T>): Promise<T> {
  let done = false
  void work
    .catch(() => {})
    .finally(() => {
      done = true
    })
  for (let before = performance.now(); !done; ) {
    await new Promise(resolve => setImmediate(resolve))
    const now = performance.now()
    clock.advance(((now - before) / 1000) * TIMES_FASTER)
    before = now
  }
  return work
}

const TIMES_FASTER = 20

async function restart(t: ExecutionContext, life: Life, text: string): Promise<Life> {
  await life.configured.close()
  return start(t, life.directory, text, life.clock)
}

/** Whether the zone is signed anew when its signatures are due, and by which keys. */
async function signedAnew(life: Life): Promise<number[]> {
  const serial = serialOf(life.server, ZONE)
  life.clock.advance(12 * DAY)
  await passUntil(life, () => serialOf(life.server, ZONE) > serial)
  return signersOf(life.server, HOST, 'A')
}

function missing({ server }: Life): readonly number[] | undefined {
  return server.zones()[0]!.keysMissing
}

test('a zone that moves to another key store is signed on from the former one, and rolls into the new one', async t => {
  const life = await begin(t, textOf(STORES, 'keystore: old'))
  const { server } = life
  const [former] = signersOf(server, HOST, 'A')
  await life.reload(textOf(STORES, 'keystore: new'))
  t.deepEqual([life.errors, missing(life)], [[], undefined])
  t.deepEqual(await signedAnew(life), [former!])
  t.is((await life.keysIn('new')).length, 0, 'nothing is made before there is need')
  await server.keys.order(ZONE, { kind: 'ds-seen' })
  await server.keys.order(ZONE, { kind: 'roll' })
  await passUntil(life, () => answers(server, ZONE, 'CDS').every(cds => !cds.startsWith(`${former} `)))
  t.is((await life.keysIn('new')).length, 1)
  await server.keys.order(ZONE, { kind: 'ds-seen' })
  await passUntil(life, () => answers(server, ZONE, 'DNSKEY').length === 1)
  t.false(signersOf(server, HOST, 'A').includes(former!))
  // The private key is destroyed where it is, though it has done nothing since the zone was looked at.
  await pass(life, 900)
  await life.reload(textOf(STORES, 'keystore: new, denial: nsec3'))
  t.is((await life.keysIn('old')).length, 1)
  life.clock.advance(2 * DAY)
  await passUntil(life, () => server.keys.status(ZONE)!.keys.length === 1)
  t.is((await life.keysIn('old')).length, 0)
  t.deepEqual([life.errors, missing(life)], [[], undefined])
})

test('after a restart the keys are found in a store that no policy names', async t => {
  const first = await begin(t, textOf(STORES, 'keystore: old'))
  const former = signersOf(first.server, HOST, 'A')
  const life = await restart(t, first, textOf(STORES, 'keystore: new'))
  t.deepEqual([life.errors, missing(life)], [[], undefined])
  t.deepEqual(await signedAnew(life), former)
  // And back, where it was opened for its keys alone.
  await life.reload(textOf(STORES, 'keystore: old'))
  t.deepEqual(await signedAnew(life), former)
  t.is((await life.keysIn('new')).length, 0)
})

test('keys in the state directory are found when `default` has become another store', async t => {
  const life = await begin(t, textOf('', 'denial: nsec'))
  const former = signersOf(life.server, HOST, 'A')
  const stores = 'keystores: { default: { type: file, directory: new } }\n'
  await life.reload(textOf(stores, 'denial: nsec'))
  t.deepEqual([life.errors, missing(life)], [[], undefined])
  t.deepEqual(await signedAnew(life), former)
})

test('one key of two is in the former store: each signs from where it is', async t => {
  const life = await begin(t, textOf(STORES, 'keys: ksk-zsk, keystore: old'))
  const before = ['DNSKEY', 'SOA'].map(type => signersOf(life.server, ZONE, type))
  await life.reload(textOf(STORES, 'keys: ksk-zsk, keystore: { ksk: old, zsk: new }'))
  await signedAnew(life)
  t.deepEqual(
    ['DNSKEY', 'SOA'].map(type => signersOf(life.server, ZONE, type)),
    before,
  )
  t.is(missing(life), undefined)
})

test('a key store with keys in use that leaves the configuration: told of in the log and in status, until it is back', async t => {
  const life = await begin(t, textOf(STORES, 'keystore: old'))
  const former = signersOf(life.server, HOST, 'A')
  const without = 'keystores: { new: { type: file, directory: new } }\n'
  await life.reload(textOf(STORES, 'keystore: new'))
  await life.reload(textOf(without, 'keystore: new'))
  t.deepEqual(missing(life), former)
  t.regex(life.errors.join(), /keys of the zone are in no key store/)
  t.is((await life.keysIn('new')).length, 0)
  // At a restart what is signed and valid is served.
  const second = await restart(t, life, textOf(without, 'keystore: new'))
  t.deepEqual(missing(second), former)
  t.deepEqual(signersOf(second.server, HOST, 'A'), former)
  await second.reload(textOf(STORES, 'keystore: new'))
  t.is(missing(second), undefined)
  t.deepEqual(await signedAnew(second), former)
})

test('RFC 8078 §4: a zone that goes unsigned is signed on by its keys after a restart, in whatever store they are', async t => {
  const first = await begin(t, textOf(STORES, 'keystore: old'))
  const former = signersOf(first.server, HOST, 'A')
  await first.server.keys.order(ZONE, { kind: 'ds-seen' })
  await first.reload(textOf(STORES, 'sign: false'))
  await passUntil(first, () => answers(first.server, ZONE, 'CDS')[0] === '0 0 0 00')
  const life = await restart(t, first, textOf(STORES, 'sign: false'))
  t.deepEqual([life.errors, missing(life)], [[], undefined])
  t.deepEqual(await signedAnew(life), former)
  t.deepEqual(answers(life.server, ZONE, 'CDS'), ['0 0 0 00'])
  await life.server.keys.order(ZONE, { kind: 'ds-seen', keys: [] })
  await passUntil(life, () => answers(life.server, ZONE, 'DNSKEY').length === 0)
  const last = life.server.zones()[0]!
  t.is(last.signed, false)
  // The file's serial is behind those that were counted while the zone was signed.
  const { server, errors } = await restart(t, life, textOf(STORES, 'sign: false'))
  t.deepEqual(errors, [])
  t.true(server.zones()[0]!.serial! >= last.serial!, `${server.zones()[0]!.serial}, ${last.serial} before`)
})

test('known-keys I2, I3: a former store that is away is asked to sign all the same, and others only when there is need', async t => {
  const [own, other] = [new FickleKeyStore(), new FickleKeyStore(100)]
  let asked = 0
  const otherKeys = (): FickleKeyStore[] => {
    asked++
    return [other]
  }
  const life = await testServer(t, { keys: own, otherKeys })
  await life.server.addZone('example.', BASE)
  t.is(asked, 0)
  const stores = { ksk: other, zsk: other }
  await life.server.setZonePolicy('example.', { signing: { policy: signingPolicyOf(), stores } })
  t.deepEqual(life.server.zones()[0]!.keysMissing?.length, 1)
  // The key is in the other store now, which says nothing of its keys, but signs.
  other.keys.push(...own.keys.splice(0))
  const list = other.list.bind(other)
  const away = new FickleKeyStore(200)
  other.list = () => Promise.reject(new Error('away'))
  const elsewhere = { ksk: away, zsk: away }
  await life.server.setZonePolicy('example.', { signing: { policy: signingPolicyOf(), stores: elsewhere } })
  t.is(life.server.zones()[0]!.keysMissing?.length, 1)
  const change = { add: [{ name: 'www', type: 'A', data: '192.0.2.80' }] }
  t.is((await life.server.zone('example.')!.change(change)).kind, 'published')
  other.list = list
  await life.server.reload('example.')
  t.is(life.server.zones()[0]!.keysMissing, undefined)
})
