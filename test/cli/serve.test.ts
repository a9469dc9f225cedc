/** `conclave serve` from its start to its end: what it prints, what it answers, what it refuses. */
import { cpSync, existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import test from 'ava'
import {
  askUdp,
  conclave,
  directoryOf,
  projectRoot,
  run,
  ServeProcess,
  serve,
  serveWords,
  temporaryDirectory,
  zoneText,
} from '../support/serve.ts'
import { needs, needsIpv6, PATIENT, toolPath } from '../support/tools.ts'

const NXDOMAIN = 3
const REFUSED = 5

test('examples/zones: a table, DS records and a dig line that works; AXFR for loopback', async t => {
  const cwd = temporaryDirectory(t)
  const zones = join(cwd, 'zones')
  cpSync(join(projectRoot, 'examples/zones'), zones, {
    recursive: true,
    filter: source => !source.includes('.conclave'),
  })
  const words = ['zones', '--listen', '127.0.0.1@0', '--listen', '127.0.0.1@0']
  const server = await serveWords(t, cwd, words).started()
  t.deepEqual(
    server.serving.zones.map(zone => [zone.zone, zone.denial, zone.state]),
    [
      ['andes.example.', 'nsec', 'serving'],
      ['everything.example.', 'nsec', 'serving'],
      ['gob.example.', 'nsec', 'serving'],
    ],
  )
  t.true(server.serving.fresh)
  t.is(server.serving.addresses.length, 2)
  t.is(server.serving.state, join(zones, '.conclave'))
  for (const { zone, ds } of server.serving.ds) t.true(ds.startsWith(`${zone} IN DS `), ds)
  t.is(server.serving.ds.length, 3)
  for (const address of server.serving.addresses) {
    const { rcode, answer } = await askUdp(address, 'andes.example.', 'SOA')
    t.is(rcode, 0)
    t.is(answer.length, 2)
  }
  if (!needs(t, 'dig')) return
  const transfer = ['@127.0.0.1', '-p', String(server.port), PATIENT, 'andes.example', 'AXFR', '+onesoa']
  const axfr = await run(toolPath('dig')!, transfer)
  const records = axfr.out
    .split('\n')
    .filter(line => line.startsWith('andes.example.') || /\sIN\s/.test(line))
  t.is(records.length, server.zone('andes.example.')!.records)
})

test('for people: the table, the DS records, the state directory, and a dig line that can be pasted', async t => {
  if (!needs(t, 'dig')) return
  const cwd = directoryOf(t, { 'people.zone': zoneText('people.example.') })
  const human = new ServeProcess(['serve', 'people.zone', '--listen', '127.0.0.1@0'], cwd)
  t.teardown(async () => void (await human.stop('SIGKILL')))
  const digLine = await human.until('a dig line', () => /^dig .*$/m.exec(human.out)?.[0])
  t.regex(
    human.out,
    /^zone +serial +records +keys +denial +state\npeople\.example\. +1 +\d+ +csk ECDSAP256SHA256 \d+ +nsec +serving$/m,
  )
  t.regex(human.out, /^people\.example\. IN DS \d+ 13 2 [0-9A-F]{64}$/m)
  t.true(human.out.includes(join(cwd, '.conclave')))
  const dig = await run('bash', ['-c', digLine])
  t.is(dig.code, 0)
  t.regex(dig.out, /status: NOERROR/)
  t.regex(dig.out, /^people\.example\..*RRSIG\s+SOA 13 2 /m)
  // A progress bar is for terminals.
  t.notRegex(human.err, /\r|\u001b/)
})

test('odd names of files: the dig line is quoted for the shell, and a terminal gets no control characters', async t => {
  const relative = zoneText('x.').replace('$ORIGIN x.\n', '')
  const cwd = directoryOf(t, { 'a b.zone': relative, 'evil\u001b[31m.zone': 'nothing' })
  const human = new ServeProcess(['serve', '.', '--listen', '127.0.0.1@0'], cwd)
  t.teardown(async () => void (await human.stop('SIGKILL')))
  const digLine = await human.until('a dig line', () => /^dig .*$/m.exec(human.out)?.[0])
  t.regex(human.err, /evil\\x1b\[31m\.zone:1:/)
  t.false(human.out.includes('\u001b') || human.err.includes('\u001b'))
  if (!needs(t, 'dig')) return
  t.regex((await run('bash', ['-c', digLine])).out, /^a\\032b\.\s.*\sSOA\s/m)
})

test('IPv4 and IPv6: --listen again, or with a comma', async t => {
  if (!needsIpv6(t)) return
  const cwd = directoryOf(t, { 'six.zone': zoneText('six.example.') })
  const words = ['--listen', '127.0.0.1@0,::1@0', '--listen', '127.0.0.1@0', 'six.zone']
  const server = await serveWords(t, cwd, words).started()
  t.deepEqual(
    server.serving.addresses.map(address => address.split('@')[0]),
    ['127.0.0.1', '::1', '127.0.0.1'],
  )
  for (const address of server.serving.addresses)
    t.is((await askUdp(address, 'ns1.six.example.', 'A')).answer.length, 2)
})

test('a port in use: LISTEN_IN_USE with exit code 1, before keys are made or anything is signed', async t => {
  const cwd = directoryOf(t, { 'busy.zone': zoneText('busy.example.') })
  const other = createServer()
  const port = await new Promise<number>(resolve =>
    other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port)),
  )
  t.teardown(() => void other.close())
  const { code, out, err } = await conclave(['serve', 'busy.zone', '--listen', `127.0.0.1@${port}`], { cwd })
  t.is(code, 1)
  t.is(out, '')
  t.regex(err, new RegExp(`^error: 127\\.0\\.0\\.1@${port} \\(TCP\\) is in use .*\\[LISTEN_IN_USE\\]$`, 'm'))
  t.deepEqual(readdirSync(cwd), ['busy.zone'])
})

test('owners relative before any $ORIGIN: NAME=ZONEFILE, or the name of the file', async t => {
  const relative = zoneText('x.').replace('$ORIGIN x.\n', '')
  const cwd = directoryOf(t, { 'db.one.example': relative, 'two.example.zone': relative, plain: relative })
  const server = await serve(t, cwd, ['db.one.example', 'two.example.zone', 'three.example=plain'])
  t.deepEqual(server.serving.zones.map(zone => zone.zone).sort(), [
    'one.example.',
    'three.example.',
    'two.example.',
  ])
})

test('RFC 1034 §3.1: the root zone', async t => {
  const lines = ['. 300 IN SOA ns.test. root.test. 7 7200 1800 1209600 300', '. 300 IN NS ns.test.']
  const cwd = directoryOf(t, { 'root.zone': [...lines, 'ns.test. 300 IN A 192.0.2.1', ''].join('\n') })
  const server = await serve(t, cwd, ['.=root.zone'])
  t.is(server.serving.zones[0]?.zone, '.')
  const { rcode, authority } = await server.ask('nothing.', 'A')
  t.is(rcode, NXDOMAIN)
  t.true(authority.some(record => record.startsWith('. ') && record.includes(' SOA ')))
})

test('one bad file among many, and two files for one zone: told with their names, left out, and served once mended', async t => {
  const cwd = directoryOf(t, {
    'zones/a.zone': zoneText('a.example.'),
    'zones/bad.zone': zoneText('bad.example.', ['www IN A 1.2.3']),
    'zones/c.zone': zoneText('c.example.'),
    'twice.zone': zoneText('a.example.', [], 9),
  })
  const server = await serve(t, cwd, ['zones', 'twice.zone'])
  t.deepEqual(
    server.serving.zones.map(zone => zone.zone),
    ['a.example.', 'c.example.'],
  )
  const refused = server.events().filter(event => event['event'] === 'refused')
  const bad = refused.find(event => event['source'] === join(cwd, 'zones/bad.zone'))
  const faults = bad?.['faults'] as { place: unknown }[]
  t.deepEqual(faults[0]?.place, { file: join(cwd, 'zones/bad.zone'), line: 6, column: 10 })
  const twice = refused.find(event => event['code'] === 'ZONE_TWICE')
  const texts = JSON.stringify(twice)
  t.true(texts.includes(join(cwd, 'twice.zone')) && texts.includes(join(cwd, 'zones/a.zone')), texts)
  t.is((await server.ask('bad.example.', 'SOA')).rcode, REFUSED)

  const status = await server.control('status')
  t.is(status.code, 1)
  t.regex(status.out, /bad\.zone:6:10: error: /)

  rmSync(join(cwd, 'twice.zone'))
  writeFileSync(join(cwd, 'zones/new'), zoneText('bad.example.', ['www IN A 192.0.2.3']))
  renameSync(join(cwd, 'zones/new'), join(cwd, 'zones/bad.zone'))
  await server.logged('published', { zone: 'bad.example.' })
  t.is((await server.ask('www.bad.example.', 'A')).answer.length, 2)
})

test('when no zone can be served: exit code 1, the faults, and nothing running', async t => {
  const cwd = directoryOf(t, { 'bad.zone': zoneText('bad.example.', ['www IN A 1.2.3']) })
  const { code, err } = await conclave(['serve', 'bad.zone', '--listen', '127.0.0.1@0'], { cwd })
  t.is(code, 1)
  t.regex(err, /bad\.zone:6:10: error: .*"1\.2\.3"/)
  t.regex(err, /\[NO_ZONES\]/)
  const again = await conclave(['serve', 'bad.zone', '--listen', '127.0.0.1@0'], { cwd })
  t.notRegex(again.err, /STATE_LOCKED/)
})

test('an empty directory is no fault: zones may come later', async t => {
  const cwd = temporaryDirectory(t)
  const zones = directoryOf(t, {})
  const server = await serve(t, cwd, [zones])
  t.deepEqual(server.serving.zones, [])
  writeFileSync(join(zones, 'late.zone'), zoneText('late.example.'))
  await server.logged('published', { zone: 'late.example.' })
  t.is((await server.ask('late.example.', 'SOA')).answer.length, 2)
})

test('three hundred zones start together', async t => {
  const names = Array.from({ length: 300 }, (_, index) => `zone${index}.example.`)
  const files = Object.fromEntries(names.map(name => [`zones/${name}zone`, zoneText(name)]))
  const cwd = directoryOf(t, files)
  const server = await serve(t, cwd, ['zones'])
  t.is(server.serving.zones.length, names.length)
  t.true(server.serving.zones.every(zone => zone.state === 'serving' && zone.denial === 'nsec'))
  t.is(readdirSync(join(cwd, 'zones/.conclave/keys')).length, names.length)
  t.is((await server.ask('ns1.zone299.example.', 'A')).answer.length, 2)
  // Nothing is signed at the second start.
  t.is(await server.stop(), 0)
  const again = await serve(t, cwd, ['zones'])
  // So many lines may be more than the pipe holds: the last of them may come after the event.
  const published = await again.until('all published', () => {
    const lines = again.log.filter(line => line.msg === 'published')
    return lines.length < names.length ? undefined : lines
  })
  t.is(published.length, names.length)
  t.true(published.every(line => line['signaturesMade'] === 0))
  t.deepEqual(again.serving.ds, [])
})

test('SIGTERM and SIGINT: exit code 0, the control socket and the lock are given back', async t => {
  const cwd = directoryOf(t, { 'end.zone': zoneText('end.example.') })
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const server = await serve(t, cwd, ['end.zone'])
    const { state } = server.serving
    t.true(existsSync(join(state, 'control/socket')))
    t.is(await server.stop(signal), 0)
    t.false(existsSync(join(state, 'control/socket')))
  }
})

test('the state directory is beside the first source, and is used by one server at a time', async t => {
  const cwd = directoryOf(t, { 'sub/own.zone': zoneText('own.example.') })
  const server = await serve(t, cwd, ['sub/own.zone'])
  t.is(server.serving.state, join(cwd, 'sub/.conclave'))
  const words = ['serve', 'sub/own.zone', '--listen', '127.0.0.1@0']
  const second = await conclave(words, { cwd })
  t.is(second.code, 1)
  t.regex(second.err, new RegExp(`in use by process ${server.child.pid}.*\\[STATE_LOCKED\\]`))
  t.is((await server.ask('own.example.', 'SOA')).rcode, 0)
})
