/** Files edited under a running `conclave serve`, in the ways that editors, scripts and deployments do it. One server
 *  for all: a fault of one zone stays with that zone. Each test awaits log lines of its own zone. */
import {
  closeSync,
  cpSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import {
  conclave,
  directoryOf,
  hosts,
  type LogLine,
  type Scope,
  type ServeProcess,
  serve,
  zoneText,
} from '../support/serve.ts'

const NXDOMAIN = 3

const cleanups: (() => void | Promise<void>)[] = []
const scope: Scope = { teardown: call => void cleanups.push(call) }
let cwd: string
let server: ServeProcess

test.before(async () => {
  const plain = ['inplace', 'rename', 'slow', 'bad', 'gone', 'clock', 'same'].map(name => [
    `zones/${name}.zone`,
    zoneText(`${name}.example.`),
  ])
  cwd = directoryOf(scope, {
    ...Object.fromEntries(plain),
    'zones/shrink.zone': zoneText('shrink.example.', hosts(60)),
    'zones/include.zone': zoneText('include.example.', ['$INCLUDE ../parts/hosts.inc']),
    'parts/hosts.inc': 'www IN A 192.0.2.10\n',
    'versions/1/link.example': zoneText('link.example.', ['www IN A 192.0.2.10']),
    'versions/2/link.example': zoneText('link.example.', ['www IN A 192.0.2.20']),
    'releases/1/swap.zone': zoneText('swap.example.', ['www IN A 192.0.2.10']),
    'releases/2/swap.zone': zoneText('swap.example.', ['www IN A 192.0.2.20']),
  })
  symlinkSync('versions/1/link.example', join(cwd, 'link.zone'))
  symlinkSync('releases/1', join(cwd, 'current'))
  server = await serve(scope, cwd, ['zones', 'link.zone', 'current'])
})

test.after.always(async () => {
  for (const call of cleanups.reverse()) await call()
})

const fileOf = (name: string): string => join(cwd, 'zones', `${name}.zone`)

/** Does something, and resolves with the line of the version that comes of it. */
function published(zone: string, change: () => void): Promise<LogLine> {
  const from = server.log.length
  change()
  return server.logged('published', { zone }, from)
}

async function addressOf(name: string): Promise<string | undefined> {
  const { answer } = await server.ask(name, 'A')
  return answer
    .find(record => / A \d/.test(record))
    ?.split(' ')
    .at(-1)
}

test('a file written in place: the change is live and only what it touches is signed', async t => {
  const text = zoneText('inplace.example.', ['www IN A 192.0.2.10'])
  const line = await published('inplace.example.', () => writeFileSync(fileOf('inplace'), text))
  t.is(line['serial'], 2)
  // www's A and NSEC, the NSEC before it, SOA, ZONEMD.
  t.is(line['signaturesMade'], 5)
  t.is(await addressOf('www.inplace.example.'), '192.0.2.10')
  t.is(await server.serial('inplace.example.'), 2)
  // The zone file itself is never rewritten.
  t.is(readFileSync(fileOf('inplace'), 'utf8'), text)
})

test('a file renamed over the old one', async t => {
  const line = await published('rename.example.', () => {
    writeFileSync(`${fileOf('rename')}.new`, zoneText('rename.example.', ['www IN A 192.0.2.11'], 70))
    renameSync(`${fileOf('rename')}.new`, fileOf('rename'))
  })
  t.is(line['serial'], 70)
  t.is(await addressOf('www.rename.example.'), '192.0.2.11')
})

test('a file truncated and written slowly: no half of it goes live', async t => {
  const lines = hosts(40)
  const text = zoneText('slow.example.', lines)
  const half = text.indexOf('host20')
  const from = server.log.length
  const file = openSync(fileOf('slow'), 'r+')
  ftruncateSync(file, 0)
  writeSync(file, text.slice(0, half))
  // The half is a sound zone by itself. Other edits, each with its own stillness, tell the time.
  for (const [index, serial] of [11, 12, 13].entries()) {
    const edit = (): void =>
      writeFileSync(fileOf('clock'), zoneText('clock.example.', [`h${index} A 192.0.2.9`], serial))
    await published('clock.example.', edit)
    writeSync(file, '')
  }
  t.false(server.log.slice(from).some(line => line.msg === 'published' && line['zone'] === 'slow.example.'))
  writeSync(file, text.slice(half))
  closeSync(file)
  await server.logged('published', { zone: 'slow.example.' }, from)
  t.is(await addressOf('host39.slow.example.'), '192.0.2.40')
  t.is(await server.serial('slow.example.'), 2)
})

test('a file that is written again with the same content makes no version', async t => {
  const from = server.log.length
  writeFileSync(fileOf('same'), zoneText('same.example.'))
  const reload = await server.control('reload', 'same.example')
  t.is(reload.code, 0)
  t.regex(reload.out, /1 unchanged/)
  t.false(server.log.slice(from).some(line => line['zone'] === 'same.example.'))
  t.is(await server.serial('same.example.'), 1)
})

test('a bad edit: the last version goes on, the log and status have file:line:column; mended, it is live', async t => {
  const from = server.log.length
  writeFileSync(fileOf('bad'), zoneText('bad.example.', ['www IN A 192.0.2.10', 'mail IN MX mail']))
  const line = await server.logged('version refused; what was served goes on', { zone: 'bad.example.' }, from)
  const place = `${fileOf('bad')}:7:12`
  t.true(JSON.stringify(line['faults']).includes(place), JSON.stringify(line))
  t.is((await server.ask('www.bad.example.', 'A')).rcode, NXDOMAIN)
  t.is((await server.ask('ns1.bad.example.', 'A')).answer.length, 2)
  const status = await server.control('status')
  t.is(status.code, 1)
  t.true(status.out.includes(place), status.out)
  const reload = await server.control('reload', 'bad.example.')
  t.is(reload.code, 1)
  t.true(reload.out.includes(place))
  // A version for new keys is no answer to what is in the file.
  const rolled = await published(
    'bad.example.',
    () => void conclave(['keys', 'roll', 'bad.example.', '--state', server.serving.state]),
  )
  t.not(rolled['reason'], 'file changed')
  t.true((await server.control('status')).out.includes(place))
  await published('bad.example.', () =>
    writeFileSync(fileOf('bad'), zoneText('bad.example.', ['www IN A 192.0.2.10'])),
  )
  t.is(await addressOf('www.bad.example.'), '192.0.2.10')
  t.false((await server.control('status')).out.includes(place))
})

test('a version that loses more than half of its names waits for a second reading, and says so', async t => {
  const from = server.log.length
  const text = zoneText('shrink.example.', hosts(5))
  await published('shrink.example.', () => writeFileSync(fileOf('shrink'), text))
  const ours = server.log.slice(from).filter(line => line['zone'] === 'shrink.example.')
  t.deepEqual(
    ours.map(line => line.msg),
    ['a version loses more than half of its names: it waits for a second stable reading', 'published'],
  )
  t.is(ours[0]?.level, 'warn')
  t.is((await server.ask('host30.shrink.example.', 'A')).rcode, NXDOMAIN)
})

test('a file that is included changes, is missing, and comes back', async t => {
  const part = join(cwd, 'parts/hosts.inc')
  await published('include.example.', () => writeFileSync(part, 'www IN A 192.0.2.30\n'))
  t.is(await addressOf('www.include.example.'), '192.0.2.30')
  const from = server.log.length
  renameSync(part, `${part}.away`)
  await server.logged('version refused; what was served goes on', { zone: 'include.example.' }, from)
  t.is(await addressOf('www.include.example.'), '192.0.2.30')
  await published('include.example.', () => {
    writeFileSync(`${part}.away`, 'www IN A 192.0.2.31\n')
    renameSync(`${part}.away`, part)
  })
  t.is(await addressOf('www.include.example.'), '192.0.2.31')
})

test('a link to a file leads elsewhere', async t => {
  t.is(await addressOf('www.link.example.'), '192.0.2.10')
  await published('link.example.', () => {
    symlinkSync('versions/2/link.example', join(cwd, 'link.new'))
    renameSync(join(cwd, 'link.new'), join(cwd, 'link.zone'))
  })
  t.is(await addressOf('www.link.example.'), '192.0.2.20')
})

test('a link to a directory leads elsewhere, as deployments do it', async t => {
  t.is(await addressOf('www.swap.example.'), '192.0.2.10')
  cpSync(join(cwd, 'releases/2/swap.zone'), join(cwd, 'releases/2/copy'))
  await published('swap.example.', () => {
    symlinkSync('releases/2', join(cwd, 'current.new'))
    renameSync(join(cwd, 'current.new'), join(cwd, 'current'))
  })
  t.is(await addressOf('www.swap.example.'), '192.0.2.20')
})

test('a new file in the directory is served with a key of its own', async t => {
  const from = server.log.length
  await published('new.example.', () => writeFileSync(fileOf('new'), zoneText('new.example.')))
  await server.logged('key made', { zone: 'new.example.' }, from)
  t.is((await server.ask('new.example.', 'DNSKEY')).answer.length, 2)
})

test('a file that goes away is served on, with a warning; back again, it is followed again', async t => {
  const from = server.log.length
  rmSync(fileOf('gone'))
  const msg = 'the zone file is gone; its last version is served until a restart'
  const line = await server.logged(msg, { zone: 'gone.example.' }, from)
  t.is(line.level, 'warn')
  t.is((await server.ask('gone.example.', 'SOA')).answer.length, 2)
  // There is nothing to read again; the command says so at once.
  t.regex((await server.control('reload', 'gone.example')).out, /1 unchanged/)
  const told = /gone\.example\.: its file .*gone\.zone is gone: put it back, or .* not served after a restart/
  const status = await server.control('status')
  t.is(status.code, 1)
  t.regex(status.out, told)
  await published('gone.example.', () =>
    writeFileSync(fileOf('gone'), zoneText('gone.example.', ['www IN A 192.0.2.40'])),
  )
  t.is(await addressOf('www.gone.example.'), '192.0.2.40')
  t.notRegex((await server.control('status')).out, told)
})

test('many files at once', async t => {
  const from = server.log.length
  mkdirSync(join(cwd, 'staged'))
  const names = Array.from({ length: 20 }, (_, index) => `many${index}`)
  for (const name of names) writeFileSync(fileOf(name), zoneText(`${name}.example.`))
  await Promise.all(names.map(name => server.logged('published', { zone: `${name}.example.` }, from)))
  const later = server.log.length
  for (const name of names) writeFileSync(fileOf(name), zoneText(`${name}.example.`, ['www A 192.0.2.50']))
  await Promise.all(names.map(name => server.logged('published', { zone: `${name}.example.` }, later)))
  t.is(await addressOf('www.many19.example.'), '192.0.2.50')
})

test('reload of a zone that is not there', async t => {
  const { code, err } = await server.control('reload', 'nothing.example')
  t.is(code, 1)
  t.regex(err, /no zone nothing\.example\. here.*\[ZONE_UNKNOWN\]/)
})

test('SIGHUP reads all files again', async t => {
  const from = server.log.length
  server.kill('SIGHUP')
  const line = await server.logged('files read again', {}, from)
  t.is(typeof line['unchanged'], 'number')
})
