/** Zones of one nameserver under policies of their own, and policies that change while they are served. */
import { promises as fs } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import type { RecordText } from '../../server/index.ts'
import { signingPolicyOf } from '../../signer/index.ts'
import {
  answers,
  ask,
  BASE,
  FickleKeyStore,
  serialOf,
  temporaryDirectory,
  testServer,
} from '../support/embedding.ts'

const DAY = 86_400

/** TTLs of the records of a type in an answer. */
function ttls(lines: readonly string[], type: string): number[] {
  return lines.flatMap(line => (line.split(' ')[2] === type ? [Number(line.split(' ')[1])] : []))
}

/** Types in the authority section of an NXDOMAIN. */
function denial(server: Parameters<typeof ask>[0]): string[] {
  const lines = ask(server, 'nowhere.example.', 'A').authority
  return [...new Set(lines.map(line => line.split(' ')[2]!))].filter(type => type.startsWith('NSEC'))
}

test('every member of a policy shows in what is served', async t => {
  const { server, keys } = await testServer(t)
  const policy = signingPolicyOf({
    splitKeys: true,
    denial: 'nsec3',
    zonemd: 'sha512',
    dnskeyTtlSeconds: 120,
    zoneTtlMaxSeconds: 600,
    signatureValiditySeconds: 3 * DAY,
    jitterSeconds: 0,
    refreshSeconds: DAY,
    inceptionOffsetSeconds: 7200,
  })
  await server.addZone('example.', [...BASE, record('www', 900)], { signing: { policy } })
  await server.addZone('other.', otherZone(), {})
  t.deepEqual(keys.keys.map(({ info }) => info.role).sort(), ['csk', 'ksk', 'zsk'])
  const dnskey = ask(server, 'example.', 'DNSKEY').answer
  t.deepEqual(ttls(dnskey, 'DNSKEY'), [120, 120])
  t.deepEqual(ttls(ask(server, 'www.example.', 'A').answer, 'A'), [600])
  t.deepEqual(denial(server), ['NSEC3'])
  t.regex(answers(server, 'example.', 'ZONEMD')[0]!, /^\d+ 1 2 /)
  const rrsig = ask(server, 'www.example.', 'A').answer.find(line => line.split(' ')[2] === 'RRSIG')!
  const [ends, begins] = rrsig.split(' ').slice(7, 9).map(unixOf)
  t.is(ends! - begins!, 3 * DAY + 7200)
  t.deepEqual(ttls(ask(server, 'other.', 'DNSKEY').answer, 'DNSKEY'), [3600])
})

test('a zone has its own key stores, one for KSKs and one for ZSKs; another zone is served as it is', async t => {
  const { server, keys } = await testServer(t)
  const stores = { ksk: new FickleKeyStore(), zsk: new FickleKeyStore(100) }
  const policy = signingPolicyOf({ splitKeys: true })
  await server.addZone('example.', BASE, { signing: { policy, stores } })
  await server.addZone('plain.', otherZone('plain.'), { signing: false })
  t.deepEqual(
    [stores.ksk, stores.zsk].map(store => store.keys.map(({ info }) => info.role)),
    [['ksk'], ['zsk']],
  )
  t.is(keys.keys.length, 0)
  t.is(server.zones().find(({ zone }) => zone === 'plain.')?.signed, false)
  t.is(answers(server, 'example.', 'DNSKEY').length, 2)
})

test('a nameserver that does not sign signs the zones that ask for it', async t => {
  const { server } = await testServer(t, { signing: false })
  await server.addZone('example.', BASE, { signing: { policy: signingPolicyOf() } })
  await server.addZone('plain.', otherZone('plain.'))
  t.deepEqual(
    server.zones().map(({ zone, signed }) => [zone, signed]),
    [
      ['example.', true],
      ['plain.', false],
    ],
  )
})

test('a policy changes while the zone is served: one version has all of it', async t => {
  const { server } = await testServer(t)
  await server.addZone('example.', [...BASE, record('www', 900)])
  const serial = serialOf(server, 'example.')
  const outcome = await server.setZonePolicy('example.', {
    signing: {
      policy: signingPolicyOf({
        denial: 'nsec3',
        zonemd: 'none',
        dnskeyTtlSeconds: 60,
        zoneTtlMaxSeconds: 300,
      }),
    },
  })
  t.is(outcome.kind, 'published')
  t.is(serialOf(server, 'example.'), serial + 1)
  t.deepEqual(denial(server), ['NSEC3'])
  t.deepEqual(answers(server, 'example.', 'ZONEMD'), [])
  t.deepEqual(ttls(ask(server, 'example.', 'DNSKEY').answer, 'DNSKEY'), [60])
  t.deepEqual(ttls(ask(server, 'www.example.', 'A').answer, 'A'), [300])
  await server.zone('example.')!.change({ add: [record('new', 900)] })
  t.deepEqual(ttls(ask(server, 'new.example.', 'A').answer, 'A'), [300])
  const same = await server.setZonePolicy('example.', {
    signing: { policy: changedPolicy() },
  })
  t.is(same.kind, 'unchanged')
  await t.throwsAsync(server.setZonePolicy('nowhere.', {}), { code: 'ZONE_UNKNOWN' })
})

test('TTLs of a file are lowered, told of, and come back with another policy', async t => {
  const directory = await temporaryDirectory(t)
  const file = join(directory, 'example.zone')
  await fs.writeFile(file, '$TTL 7200\n@ SOA ns1 h 1 7200 3600 1209600 900\n@ NS ns1\nns1 A 192.0.2.53\n')
  const { server, logged } = await testServer(t)
  const policy = signingPolicyOf({ zoneTtlMaxSeconds: 600 })
  await server.addFile(file, { origin: 'example.', signing: { policy } })
  const ttl = (): number[] => ttls(ask(server, 'ns1.example.', 'A').answer, 'A')
  t.deepEqual(ttl(), [600])
  t.regex(logged.map(({ message }) => message).join(), /3 RRsets with a TTL above 600/)
  // Only the name that changed is read as an edit, and it is lowered as well.
  await fs.appendFile(file, 'www A 192.0.2.80\n')
  const [outcome] = await server.reload('example.')
  t.is(outcome!.kind === 'published' && outcome!.version.signaturesMade <= 8, true)
  t.deepEqual(ttls(ask(server, 'www.example.', 'A').answer, 'A'), [600])
  t.is((await server.reload('example.'))[0]!.kind, 'unchanged')
  await server.setZonePolicy('example.', { signing: { policy: signingPolicyOf() } })
  t.deepEqual(ttl(), [7200])
})

function changedPolicy(): ReturnType<typeof signingPolicyOf> {
  return signingPolicyOf({ denial: 'nsec3', zonemd: 'none', dnskeyTtlSeconds: 60, zoneTtlMaxSeconds: 300 })
}

function record(name: string, ttl: number): RecordText {
  return { name, type: 'A', ttl, data: '192.0.2.80' }
}

function otherZone(zone = 'other.'): RecordText[] {
  return [
    { name: '@', type: 'SOA', data: `ns1.${zone} hostmaster.${zone} 1 7200 3600 1209600 900` },
    { name: '@', type: 'NS', data: `ns1.${zone}` },
    { name: 'ns1', type: 'A', data: '192.0.2.53' },
  ]
}

/** RFC 4034 §3.2. */
function unixOf(text: string): number {
  const [, year, ...rest] = /^(....)(..)(..)(..)(..)(..)$/.exec(text)!.map(Number)
  const [month, day, hour, minute, second] = rest as [number, number, number, number, number]
  return Date.UTC(year!, month - 1, day, hour, minute, second) / 1000
}
