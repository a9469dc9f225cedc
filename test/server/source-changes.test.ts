/** Sources changed in one go: what stays is served all the while. */
import { promises as fs } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { Nameserver } from '../../server/index.ts'
import { signingPolicyOf } from '../../signer/index.ts'
import { answers, ask, serialOf, temporaryDirectory, testServer } from '../support/embedding.ts'
import { zoneText } from '../support/serve.ts'

const REFUSED = 5

async function withFiles(
  t: ExecutionContext,
): Promise<{ server: Nameserver; path: (name: string) => string }> {
  const directory = await temporaryDirectory(t)
  const path = (name: string): string => join(directory, name)
  await fs.mkdir(path('dir'))
  await fs.writeFile(path('a.zone'), zoneText('a.example.', ['x IN A 192.0.2.7']))
  await fs.writeFile(path('dir/b.zone'), zoneText('b.example.'))
  await fs.writeFile(path('dir/c.zone'), zoneText('c.example.'))
  const { server } = await testServer(t)
  return { server, path }
}

function sources(server: Nameserver): string[] {
  return server.zones().map(({ zone, source }) => `${zone} ${source.split('/').slice(-2).join('/')}`)
}

test('I1: a zone that moves keeps its keys and its serial, and answers in every turn', async t => {
  const { server, path } = await withFiles(t)
  await server.changeSources({ add: [{ kind: 'file', path: path('a.zone') }] })
  const serial = serialOf(server, 'a.example.')
  const keys = answers(server, 'a.example.', 'DNSKEY')
  await fs.rename(path('a.zone'), path('dir/a.zone'))
  let moved = false
  const change = server
    .changeSources({ remove: [path('a.zone')], add: [{ kind: 'directory', path: path('dir') }] })
    .finally(() => {
      moved = true
    })
  let turns = 0
  while (!moved) {
    t.is(ask(server, 'a.example.', 'SOA').rcode, 0)
    turns++
    await new Promise(resolve => setImmediate(resolve))
  }
  t.true(turns > 1)
  await change
  t.deepEqual(sources(server), ['a.example. dir/a.zone', 'b.example. dir/b.zone', 'c.example. dir/c.zone'])
  t.is(serialOf(server, 'a.example.'), serial)
  t.deepEqual(answers(server, 'a.example.', 'DNSKEY'), keys)
})

test('a directory goes with the zones that were found in it, and not with one that is named', async t => {
  const { server, path } = await withFiles(t)
  await server.changeSources({
    add: [
      { kind: 'directory', path: path('dir') },
      { kind: 'file', path: path('dir/c.zone'), signing: false },
      { kind: 'file', path: path('a.zone') },
    ],
  })
  t.deepEqual(
    server.zones().map(({ signed }) => signed),
    [true, true, false],
  )
  await server.changeSources({ remove: [path('dir')] })
  t.deepEqual(sources(server), [
    `a.example. ${path('a.zone').split('/').slice(-2).join('/')}`,
    'c.example. dir/c.zone',
  ])
  t.is(ask(server, 'b.example.', 'SOA').rcode, REFUSED)
  // Once more, and what is no longer named is the directory's.
  await server.changeSources({ add: [{ kind: 'directory', path: path('dir') }] })
  t.is(ask(server, 'b.example.', 'SOA').rcode, 0)
  await server.changeSources({ remove: [path('dir/c.zone')] })
  t.deepEqual(
    server.zones().map(({ signed }) => signed),
    [true, true, true],
  )
})

test('a source is served in another way, with all zones of a directory, also later ones', async t => {
  const { server, path } = await withFiles(t)
  await server.changeSources({ add: [{ kind: 'directory', path: path('dir') }] })
  const signing = { policy: signingPolicyOf({ denial: 'nsec3' }) }
  const outcomes = await server.changeSources({
    configure: [{ kind: 'directory', path: path('dir'), signing }],
  })
  t.deepEqual(
    outcomes.map(({ kind }) => kind),
    ['published', 'published'],
  )
  await fs.writeFile(path('dir/d.zone'), zoneText('d.example.'))
  await server.reload()
  t.deepEqual(
    server.zones().map(({ denial }) => denial),
    ['nsec3', 'nsec3', 'nsec3'],
  )
})

test('a source that cannot be read is an outcome, and the others are served', async t => {
  const { server, path } = await withFiles(t)
  const outcomes = await server.changeSources({
    add: [
      { kind: 'file', path: path('none.zone') },
      { kind: 'directory', path: path('nowhere') },
      { kind: 'file', path: path('a.zone') },
    ],
  })
  t.deepEqual(
    outcomes.map(outcome => (outcome.kind === 'refused' ? outcome.refusal.code : outcome.kind)),
    ['SOURCE_GONE', 'published', 'SOURCE_NOT_FOUND'],
  )
})
