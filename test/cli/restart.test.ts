/** What outlives a server: keys, signatures and serials, also when it is killed in the middle of something. */
import { readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { isSerialAfter } from '../../signer/index.ts'
import {
  conclave,
  directoryOf,
  hosts,
  type ServeProcess,
  serve,
  serveWords,
  zoneText,
} from '../support/serve.ts'

const REFUSED = 5
const KILLS = 8

/** Content of each key file by name. */
function keysOf(directory: string): Record<string, string> {
  const keys = join(directory, '.conclave/keys')
  return Object.fromEntries(
    readdirSync(keys)
      .sort()
      .map(name => [name, readFileSync(join(keys, name), 'utf8')]),
  )
}

function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}

const publishedBy = (server: ServeProcess): { serial: unknown; signaturesMade: unknown }[] =>
  server.log
    .filter(line => line.msg === 'published')
    .map(({ serial, signaturesMade }) => ({ serial, signaturesMade }))

test('a restart signs nothing, keeps the serial, and answers with the same signatures', async t => {
  const cwd = directoryOf(t, { 'keep.zone': zoneText('keep.example.', hosts(30), 2026010101) })
  const first = await serve(t, cwd, ['keep.zone'])
  const before = await first.ask('host1.keep.example.', 'A')
  const keys = keysOf(cwd)
  t.is(await first.stop(), 0)
  const second = await serve(t, cwd, ['keep.zone'])
  t.deepEqual(publishedBy(second), [{ serial: 2026010101, signaturesMade: 0 }])
  t.deepEqual((await second.ask('host1.keep.example.', 'A')).answer, before.answer)
  t.false(second.serving.fresh)
  t.deepEqual(second.serving.ds, [])
  t.deepEqual(keysOf(cwd), keys)
})

test('an edit while no server runs is found at the start: signed around it, with a later serial', async t => {
  const cwd = directoryOf(t, { 'away.zone': zoneText('away.example.', hosts(30)) })
  const first = await serve(t, cwd, ['away.zone'])
  t.is(await first.stop(), 0)
  writeFileSync(join(cwd, 'away.zone'), zoneText('away.example.', [...hosts(30), 'late A 192.0.2.99']))
  const second = await serve(t, cwd, ['away.zone'])
  t.deepEqual(publishedBy(second), [{ serial: 2, signaturesMade: 5 }])
})

test('SIGKILL again and again while edits go on: no serial goes back, no key changes, nothing is signed twice', async t => {
  const cwd = directoryOf(t, { 'kill.zone': zoneText('kill.example.', hosts(50)) })
  const file = join(cwd, 'kill.zone')
  let seen = 0
  let keys: Record<string, string> | undefined
  for (let round = 1; round <= KILLS; round++) {
    const server = await serve(t, cwd, ['kill.zone'])
    const start = server.zone('kill.example.')!.serial!
    t.true(round === 1 || start === seen || isSerialAfter(start, seen), `${start} after ${seen}`)
    keys ??= keysOf(cwd)
    t.deepEqual(keysOf(cwd), keys)
    seen = await server.serial('kill.example.')
    // Killed before, while or after the change is signed: each round a little later.
    replaceFile(file, zoneText('kill.example.', [...hosts(50), `round${round} A 192.0.2.200`]))
    const from = server.log.length
    if (round % 2 === 0) {
      await server.logged('published', {}, from)
      seen = await server.serial('kill.example.')
    } else {
      // Whatever is under way: a key question takes the server a moment, and no edit is awaited.
      for (let asked = 0; asked < round; asked++) seen = await server.serial('kill.example.')
    }
    t.is(await server.stop('SIGKILL'), null)
  }
  const settled = await serve(t, cwd, ['kill.zone'])
  const last = settled.zone('kill.example.')!.serial!
  t.true(last === seen || isSerialAfter(last, seen))
  t.is((await settled.ask(`round${KILLS}.kill.example.`, 'A')).answer.length, 2)
  t.is(await settled.stop('SIGKILL'), null)
  const unchanged = await serve(t, cwd, ['kill.zone'])
  t.deepEqual(publishedBy(unchanged), [{ serial: last, signaturesMade: 0 }])
})

test('SIGKILL during the first signing: the next start ends it with the same key', async t => {
  const cwd = directoryOf(t, { 'first.zone': zoneText('first.example.', hosts(2000)) })
  const first = serveWords(t, cwd, ['first.zone', '--listen', '127.0.0.1@0'])
  await first.logged('key made')
  t.is(await first.stop('SIGKILL'), null)
  const keys = keysOf(cwd)
  t.is(Object.keys(keys).length, 1)
  const second = await serve(t, cwd, ['first.zone'])
  t.deepEqual(keysOf(cwd), keys)
  t.is((await second.ask('host1.first.example.', 'A')).answer.length, 2)
})

test('a file that went is served until the restart, not after; its key and serial wait for it', async t => {
  const text = zoneText('back.example.')
  const cwd = directoryOf(t, { 'zones/back.zone': text, 'zones/other.zone': zoneText('other.example.') })
  const first = await serve(t, cwd, ['zones'])
  await first.stop()
  rmSync(join(cwd, 'zones/back.zone'))
  const second = await serve(t, cwd, ['zones'])
  t.deepEqual(
    second.serving.zones.map(zone => zone.zone),
    ['other.example.'],
  )
  t.is((await second.ask('back.example.', 'SOA')).rcode, REFUSED)
  const keys = keysOf(join(cwd, 'zones'))
  t.is(Object.keys(keys).length, 2)
  writeFileSync(join(cwd, 'zones/back.zone'), zoneText('back.example.', ['www A 192.0.2.1']))
  const line = await second.logged('published', { zone: 'back.example.' })
  t.is(line['serial'], 2)
  t.deepEqual(keysOf(join(cwd, 'zones')), keys)
})

test('a key that cannot be read stops the start, and no new key is made in its place', async t => {
  const cwd = directoryOf(t, { 'key.zone': zoneText('key.example.') })
  const first = await serve(t, cwd, ['key.zone'])
  await first.stop()
  const [name] = Object.keys(keysOf(cwd))
  truncateSync(join(cwd, '.conclave/keys', name!), 60)
  const keys = keysOf(cwd)
  const { code, out, err } = await conclave(['serve', 'key.zone', '--listen', '127.0.0.1@0'], { cwd })
  t.is(code, 1)
  t.is(out, '')
  t.true(err.includes(`${join(cwd, '.conclave/keys', name!)}: `) && err.includes('[KEY_UNREADABLE]'), err)
  t.deepEqual(keysOf(cwd), keys)
  // Without signing, keys are of no interest.
  const words = ['key.zone', '--no-sign', '--listen', '127.0.0.1@0', '--state', 'plain']
  t.is((await serveWords(t, cwd, words).started()).serving.zones[0]?.denial, 'none')
})

test('another format of the state directory is refused', async t => {
  const cwd = directoryOf(t, { 'format.zone': zoneText('format.example.') })
  const first = await serve(t, cwd, ['format.zone'])
  await first.stop()
  writeFileSync(join(cwd, '.conclave/format'), '99\n')
  const { code, err } = await conclave(['serve', 'format.zone', '--listen', '127.0.0.1@0'], { cwd })
  t.is(code, 1)
  t.regex(err, /newer release \(format 99.*\[STATE_FORMAT\]/)
})
