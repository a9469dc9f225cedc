/** How zones are signed, or not, by the options of `conclave serve`. */
import { cpSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { conclave, directoryOf, type ServeProcess, serve, zoneText } from '../support/serve.ts'

const NXDOMAIN = 3

const text = zoneText('opt.example.', ['sub IN NS ns1', 'www IN A 192.0.2.2'])

/** `OWNER TTL TYPE RDATA` of the records of that type. */
const ofType = (records: readonly string[], type: string): string[] =>
  records.filter(record => record.split(' ')[2] === type)

async function keyFlags(server: ServeProcess): Promise<string[]> {
  const { answer } = await server.ask('opt.example.', 'DNSKEY', { udpOctets: 4096 })
  return ofType(answer, 'DNSKEY').map(record => record.split(' ')[3]!)
}

test('--algorithm and --split-keys: a KSK signs the keys, a ZSK the rest; DS of the KSK alone', async t => {
  const cwd = directoryOf(t, { 'opt.zone': text })
  const server = await serve(t, cwd, ['opt.zone', '--algorithm', 'ed25519', '--split-keys'])
  const keys = server.serving.zones[0]!.keys
  t.deepEqual(keys.map(key => [key.role, key.algorithm]).sort(), [
    ['ksk', 15],
    ['zsk', 15],
  ])
  const tagOf = (role: string): number => keys.find(key => key.role === role)!.tag
  t.deepEqual((await keyFlags(server)).sort(), ['256', '257'])
  const [www, dnskey, cds] = [
    await server.ask('www.opt.example.', 'A'),
    await server.ask('opt.example.', 'DNSKEY'),
    await server.ask('opt.example.', 'CDS'),
  ]
  t.true(ofType(www.answer, 'RRSIG')[0]?.includes(` ${tagOf('zsk')} opt.example.`))
  for (const { answer } of [dnskey, cds]) {
    t.is(ofType(answer, 'RRSIG').length, 1)
    t.true(ofType(answer, 'RRSIG')[0]?.includes(` ${tagOf('ksk')} opt.example.`))
  }
  t.is(server.serving.ds.length, 1)
  t.true(server.serving.ds[0]?.ds.startsWith(`opt.example. IN DS ${tagOf('ksk')} 15 2 `))
  t.true(ofType(cds.answer, 'CDS')[0]?.includes(` ${tagOf('ksk')} 15 2 `))
  // An option for new keys does not touch those that are there.
  await server.stop()
  const again = await serve(t, cwd, ['opt.zone'])
  t.deepEqual(again.serving.zones[0]!.keys.map(key => key.tag).sort(), keys.map(key => key.tag).sort())
})

test('RFC 9276: --denial nsec3 has no iterations and no salt, --zonemd none leaves the digest out', async t => {
  const cwd = directoryOf(t, { 'opt.zone': text })
  const server = await serve(t, cwd, ['opt.zone', '--denial', 'nsec3', '--zonemd', 'none'])
  t.is(server.serving.zones[0]?.denial, 'nsec3')
  const { rcode, authority } = await server.ask('nothing.opt.example.', 'A')
  t.is(rcode, NXDOMAIN)
  const proofs = ofType(authority, 'NSEC3')
  t.true(proofs.length >= 2 && proofs.every(record => record.includes(' NSEC3 1 0 0 - ')))
  t.deepEqual((await server.ask('opt.example.', 'ZONEMD')).answer, [])
})

test('RFC 5155 §6: --denial opt-out; --zonemd sha512; a restart with other options changes the zone', async t => {
  const cwd = directoryOf(t, { 'opt.zone': text })
  const server = await serve(t, cwd, ['opt.zone', '--denial', 'opt-out', '--zonemd', 'sha512'])
  t.is(server.serving.zones[0]?.denial, 'opt-out')
  const referral = await server.ask('www.sub.opt.example.', 'A')
  t.true(ofType(referral.authority, 'NSEC3').some(record => record.includes(' NSEC3 1 1 0 - ')))
  const { answer } = await server.ask('opt.example.', 'ZONEMD')
  t.regex(ofType(answer, 'ZONEMD')[0] ?? '', / ZONEMD 1 1 2 [0-9a-f]{128}$/i)
  await server.stop()
  const nsec = await serve(t, cwd, ['opt.zone'])
  t.is(nsec.serving.zones[0]?.denial, 'nsec')
  t.is(nsec.serving.zones[0]?.serial, 2)
  const missing = await nsec.ask('nothing.opt.example.', 'A')
  t.true(ofType(missing.authority, 'NSEC').length >= 1)
  t.deepEqual(ofType(missing.authority, 'NSEC3'), [])
})

test('a warning for what is allowed and not wise', async t => {
  const cwd = directoryOf(t, { 'opt.zone': text })
  const server = await serve(t, cwd, ['opt.zone', '--denial', 'nsec3', '--nsec3-salt', 'aabb'])
  t.regex(server.err, /^warning: .*RFC 9276/m)
  const { authority } = await server.ask('nothing.opt.example.', 'A')
  t.true(ofType(authority, 'NSEC3').every(record => / NSEC3 1 0 0 aabb /i.test(record)))
})

test('signed by others: refused without a new key, served as it is with --no-sign, anew with --replace-keys', async t => {
  const cwd = directoryOf(t, { 'opt.zone': text, 'mine.zone': zoneText('mine.example.') })
  const signed = await conclave(['sign', 'opt.zone', '-o', 'signed.zone', '--keys', 'elsewhere'], { cwd })
  t.is(signed.code, 0, signed.err)
  const tag = / IN DS (\d+) /.exec(signed.err)?.[1]
  t.truthy(tag)

  const refusing = await serve(t, cwd, ['mine.zone', 'signed.zone', '--state', 'refusing'])
  const refused = refusing.events().find(event => event['event'] === 'refused')
  t.regex(
    JSON.stringify(refused),
    new RegExp(`signed by keys ${tag} .*--no-sign.*keys import.*--replace-keys`),
  )
  t.is(readdirSync(join(cwd, 'refusing/keys')).length, 1)
  await refusing.stop()

  const plain = await serve(t, cwd, ['signed.zone', '--no-sign', '--state', 'plain'])
  t.is(plain.serving.zones[0]?.denial, 'nsec')
  t.deepEqual(plain.serving.zones[0]?.keys, [])
  const { answer } = await plain.ask('www.opt.example.', 'A')
  t.true(ofType(answer, 'RRSIG')[0]?.includes(` ${tag} opt.example.`))
  // Signed anew outside, with the same serial: served as the file has it.
  await conclave(['sign', 'opt.zone', '-o', 'next', '--keys', 'elsewhere', '--expiration', '+20d'], { cwd })
  renameSync(join(cwd, 'next'), join(cwd, 'signed.zone'))
  await plain.until('another version', () => plain.log.filter(line => line.msg === 'published')[1])
  t.is(await plain.serial('opt.example.'), 1)
  await plain.stop()

  // With the keys at hand, the zone is ours.
  cpSync(join(cwd, 'elsewhere'), join(cwd, 'ours/keys'), { recursive: true })
  const ours = await serve(t, cwd, ['signed.zone', '--state', 'ours'])
  t.deepEqual(
    ours.serving.zones[0]?.keys.map(key => String(key.tag)),
    [tag],
  )
  await ours.stop()

  const anew = await serve(t, cwd, ['signed.zone', '--replace-keys', '--state', 'anew'])
  t.is(anew.serving.zones[0]?.keys.length, 1)
  t.not(String(anew.serving.zones[0]?.keys[0]?.tag), tag)
  t.deepEqual(await keyFlags(anew), ['257'])
})

test('--no-sign: an unsigned file is served without any key', async t => {
  const cwd = directoryOf(t, { 'opt.zone': text })
  const server = await serve(t, cwd, ['opt.zone', '--no-sign'])
  const { answer } = await server.ask('www.opt.example.', 'A')
  t.deepEqual(answer, ['www.opt.example. 300 A 192.0.2.2'])
  t.deepEqual(server.serving.ds, [])
  writeFileSync(join(cwd, 'opt.zone'), zoneText('opt.example.', ['www IN A 192.0.2.3'], 5))
  await server.logged('published', { serial: 5 })
  t.is((await server.ask('www.opt.example.', 'A')).answer[0], 'www.opt.example. 300 A 192.0.2.3')
})

test('--workers, --udp dgram and --axfr-allow', async t => {
  const cwd = directoryOf(t, { 'opt.zone': text })
  const words = ['opt.zone', '--workers', '1', '--udp', 'dgram', '--axfr-allow', '192.0.2.0/24']
  const server = await serve(t, cwd, words)
  t.is((await server.ask('www.opt.example.', 'A')).answer.length, 2)
  const stats = await server.control('stats', '--json')
  const { listeners } = JSON.parse(stats.out) as { listeners: { answers: { queriesUdp: number } } }
  t.is(listeners.answers.queriesUdp, 1)
})

test('status, zones and stats of a running server: exit code 0, words for people, JSON for machines', async t => {
  const cwd = directoryOf(t, { 'opt.zone': text })
  const server = await serve(t, cwd, ['opt.zone'])
  const status = await server.control('status')
  t.is(status.code, 0)
  t.regex(status.out, /^conclave \d+\.\d+\.\d+, process \d+, up \d+ s, on 127\.0\.0\.1@\d+$/m)
  t.regex(status.out, /^opt\.example\. +1 /m)
  t.regex(status.out, /^First signature ends in 1\d\.\d days\.$/m)
  for (const command of ['status', 'zones', 'stats', 'reload']) {
    const { code, out, err } = await server.control(command, '--json')
    t.is(code, 0, command)
    t.notThrows(() => JSON.parse(out), command)
    t.is(err, '')
  }
})
