/** Zone files of a nameserver. Watching itself is tested in watch.test.ts. */
import { promises as fs } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { silentLogger } from '../../base/index.ts'
import { createNameserver, type Nameserver, type RefusedEvent } from '../../server/index.ts'
import { Slots } from '../../server/slots.ts'
import {
  answers,
  ask,
  FickleKeyStore,
  serialOf,
  temporaryDirectory,
  testServer,
  until,
} from '../support/embedding.ts'

function zone(name: string, more = ''): string {
  return `$ORIGIN ${name}\n$TTL 60\n@ SOA ns1 host 1 7200 3600 1209600 900\n@ NS ns1\nns1 A 192.0.2.53\n${more}`
}

/** By the clock of the system, since files are. */
async function watching(t: ExecutionContext): Promise<Nameserver> {
  const server = await createNameserver({ log: silentLogger, keys: new FickleKeyStore() })
  t.teardown(() => server.close())
  return server
}

test('a directory: good zones are served, bad ones are told with file and line, others join on reload', async t => {
  const directory = await temporaryDirectory(t)
  const write = (name: string, text: string): Promise<void> => fs.writeFile(join(directory, name), text)
  await write('one.zone', zone('one.example.'))
  await write('two.zone', zone('two.example.', 'www A 192.0.2\n'))
  await write('notes.txt', 'no zone')
  const { server } = await testServer(t)
  const outcomes = await server.addDirectory(directory)
  t.deepEqual(outcomes.map(({ kind }) => kind).sort(), ['published', 'refused'])
  const [{ source, refusal }] = server.status().refusedSources as [RefusedEvent]
  t.is(source, join(directory, 'two.zone'))
  t.is(refusal.code, 'ZONE_FAULTS')
  t.is(refusal.faults[0]!.place.line, 6)
  await write('two.zone', zone('two.example.', 'www A 192.0.2.2\n'))
  await write('three.zone', zone('three.example.'))
  t.is((await server.reload()).length, 3)
  t.deepEqual(
    server.zones().map(one => one.zone),
    ['one.example.', 'three.example.', 'two.example.'],
  )
  t.deepEqual(server.status().refusedSources, [])
})

test('a file or directory that is not there', async t => {
  const directory = await temporaryDirectory(t)
  const { server } = await testServer(t)
  const outcome = await server.addFile(join(directory, 'none.zone'))
  t.is(outcome.kind === 'refused' && outcome.refusal.code, 'SOURCE_GONE')
  await t.throwsAsync(server.addDirectory(join(directory, 'none')), { code: 'SOURCE_NOT_FOUND' })
  await fs.writeFile(join(directory, 'none.zone'), zone('late.example.'))
  t.is((await server.addFile(join(directory, 'none.zone')))?.kind, 'published')
})

for (const watch of [false, true]) {
  test(`a file that is added twice, alone and with its directory, answers each time; watch: ${watch}`, async t => {
    const directory = await temporaryDirectory(t)
    const path = join(directory, 'one.zone')
    await fs.writeFile(path, zone('one.example.'))
    const server = await createNameserver({ watch })
    t.teardown(() => server.close())
    t.is((await server.addFile(path)).kind, 'published')
    t.is((await server.addFile(path)).kind, 'unchanged')
    t.deepEqual(await server.addDirectory(directory), [{ kind: 'unchanged' }])
    t.deepEqual(await server.addDirectory(directory), [{ kind: 'unchanged' }])
    // I5: what was removed stays away from its directory until it is asked for again.
    t.true(await server.removeZone('one.example'))
    t.deepEqual(await server.reload(), [])
    t.deepEqual(server.zones(), [])
    t.is((await server.addFile(path)).kind, 'published')
    t.is(serialOf(server, 'one.example.'), 1)
  })
}

test('a zone that was never served may change its name; one that is served may not', async t => {
  const path = join(await temporaryDirectory(t), 'example.zone')
  const { server, keys } = await testServer(t)
  keys.fault = { kind: 'refused', code: 'POLICY', by: 'test' }
  await fs.writeFile(path, zone('exmaple.'))
  t.is((await server.addFile(path)).kind, 'refused')
  keys.fault = undefined
  await fs.writeFile(path, zone('example.'))
  t.is((await server.reload())[0]?.kind, 'published')
  t.deepEqual(
    server.zones().map(one => one.zone),
    ['example.'],
  )
  await fs.writeFile(path, zone('other.'))
  const [renamed] = await server.reload()
  t.is(renamed?.kind === 'refused' && renamed.refusal.code, 'ZONE_RENAMED')
  t.deepEqual(
    server.zones().map(one => one.zone),
    ['example.'],
  )
  t.is(serialOf(server, 'example.'), 1)
  await fs.writeFile(path, zone('example.', 'www A 192.0.2.1\n'))
  t.is((await server.reload())[0]?.kind, 'published')
})

test('two files for one zone: the second is refused, naming both', async t => {
  const directory = await temporaryDirectory(t)
  const [one, two] = [join(directory, 'one.zone'), join(directory, 'two.zone')]
  await fs.writeFile(one, zone('example.'))
  await fs.writeFile(two, zone('EXAMPLE.'))
  const { server } = await testServer(t)
  await server.addFile(one)
  const outcome = await server.addFile(two)
  if (outcome.kind !== 'refused') return t.fail()
  t.is(outcome.refusal.code, 'ZONE_TWICE')
  t.true(outcome.refusal.what.includes(one) && outcome.refusal.faults[0]!.place.file === two)
})

test('a file of a directory that is renamed keeps its zone, there and back again', async t => {
  const directory = await temporaryDirectory(t)
  const [one, two] = [join(directory, 'one.zone'), join(directory, 'two.zone')]
  await fs.writeFile(one, zone('example.'))
  const server = await watching(t)
  await server.addDirectory(directory)
  const keys = answers(server, 'example.', 'DNSKEY')
  let last = 0
  for (const [from, to] of [
    [one, two],
    [two, one],
  ] as const) {
    await fs.rename(from, to)
    await until(() => server.zones()[0]!.source === to)
    await fs.writeFile(to, zone('example.', `www A 192.0.2.${++last}\n`))
    await until(() => answers(server, 'www.example.', 'A')[0] === `192.0.2.${last}`)
  }
  t.is(serialOf(server, 'example.'), 3)
  t.deepEqual(answers(server, 'example.', 'DNSKEY'), keys)
  t.like(server.status(), { refusedSources: [], zones: { length: 1 } })
  t.is(server.zones()[0]!.sourceGone, undefined)
})

test('of two files for one zone the second is served when the first goes', async t => {
  const directory = await temporaryDirectory(t)
  const [one, two] = [join(directory, 'one.zone'), join(directory, 'two.zone')]
  await fs.writeFile(one, zone('example.'))
  const server = await watching(t)
  await server.addDirectory(directory)
  await fs.writeFile(two, zone('example.', 'www A 192.0.2.1\n'))
  await until(() => server.status().refusedSources.length === 1)
  await fs.rm(one)
  await until(() => answers(server, 'www.example.', 'A').length === 1)
  t.is(server.zones()[0]!.source, two)
  t.deepEqual(server.status().refusedSources, [])
})

test('a file that was refused and then removed is not told of any more; a link that leads nowhere is', async t => {
  const directory = await temporaryDirectory(t)
  const [good, bad] = [join(directory, 'a.zone'), join(directory, 'b.zone')]
  await fs.writeFile(good, zone('example.'))
  await fs.writeFile(bad, 'no zone')
  await fs.symlink('nowhere', join(directory, 'c.zone'))
  const server = await watching(t)
  await server.addDirectory(directory)
  t.is(server.status().refusedSources.length, 2)
  await fs.rm(bad)
  await until(() => server.status().refusedSources.length === 1)
  t.like(server.status().refusedSources[0], { refusal: { code: 'SOURCE_GONE' } })
  await fs.writeFile(bad, zone('b.example.'))
  await until(() => server.zones().some(one => one.zone === 'b.example.' && one.serial === 1))
})

test('I3: a version that loses more than half of its names waits for a second reading of the same', async t => {
  const path = join(await temporaryDirectory(t), 'example.zone')
  const hosts = Array.from({ length: 50 }, (_, index) => `h${index} A 192.0.2.${index}\n`)
  const lines: string[] = []
  const note = (message: string): void => void lines.push(message)
  const log = { debug() {}, info() {}, warn: note, error: note }
  const server = await createNameserver({ log })
  t.teardown(() => server.close())
  await fs.writeFile(path, zone('example.', hosts.join('')))
  await server.addFile(path)
  await fs.writeFile(path, zone('example.', hosts.slice(0, 5).join('')))
  t.is((await server.reload())[0]?.kind, 'published')
  t.is(lines.filter(line => line.includes('more than half')).length, 1)
  t.deepEqual(answers(server, 'h3.example.', 'A'), ['192.0.2.3'])
  t.is(ask(server, 'h30.example.', 'A').rcode, 3)
})

test('hundreds of zones that start together, with keys of their own, and again', async t => {
  const directory = await temporaryDirectory(t)
  const state = join(directory, 'state')
  for (let index = 0; index < 300; index++) {
    await fs.writeFile(join(directory, `z${index}.zone`), zone(`z${index}.example.`))
  }
  for (const made of [300, 0]) {
    const server = await createNameserver({ state, watch: false })
    let keys = 0
    let signatures = 0
    server.on('key', () => keys++)
    server.on('published', ({ signaturesMade }) => {
      signatures += signaturesMade
    })
    await server.addDirectory(directory)
    t.is(keys, made)
    t.is(signatures > 0, made > 0)
    t.is(server.zones().filter(one => one.state === 'serving').length, 300)
    await server.close()
  }
})

test('slots: what runs fits, first come first served, and what is too large runs alone', async t => {
  const slots = new Slots(4)
  const order: string[] = []
  const ends: (() => void)[] = []
  let used = 0
  const run = (name: string, units: number): Promise<void> =>
    slots.run(units, async () => {
      used += Math.min(units, 4)
      t.true(used <= 4)
      order.push(name)
      await new Promise<void>(resolve => ends.push(resolve))
      used -= Math.min(units, 4)
      if (name === 'c') throw new Error('a fault')
    })
  const all = Promise.allSettled([
    run('a', 2),
    run('b', 1),
    run('c', 2),
    run('d', 1),
    run('e', 9),
    run('f', 1),
  ])
  for (const expected of ['ab', 'abcd', 'abcd', 'abcd', 'abcde', 'abcdef']) {
    await until(() => ends.length > 0)
    for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
    t.is(order.join(''), expected)
    ends.shift()!()
  }
  t.is((await all).filter(({ status }) => status === 'rejected').length, 1)
})
