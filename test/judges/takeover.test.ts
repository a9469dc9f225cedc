/** Zones of BIND and Knot taken over, keys included, while unbound and delv look on: with the old server's keys in the
 *  cache, with ours, with data of the one and keys of the other, and across the change of servers at one address. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { createNameserver, type Nameserver } from '../../server/index.ts'
import { knotListing } from '../../signer/index.ts'
import { TYPE } from '../../zones/index.ts'
import { inProcess } from '../support/command.ts'
import { queryOf, readMessage } from '../support/message.ts'
import {
  OLD_ZONE,
  type OldServer,
  startPolicyBind,
  startRollingBind,
  startRollingKnot,
} from '../support/old-servers.ts'
import { type Ran, type Scope, temporaryDirectory } from '../support/serve.ts'
import { startSplitServer } from '../support/split-server.ts'
import { needs } from '../support/tools.ts'
import { delvOf, outcomeOf, portOf, type Resolver, startUnbound } from '../support/validators.ts'

const ASKED_BEFORE = [
  ['www.old.test.', 'A', 'NOERROR AD'],
  ['no.old.test.', 'A', 'NXDOMAIN AD'],
  ['old.test.', 'DNSKEY', 'NOERROR AD'],
] as const
const ASKED_AFTER = [
  ...ASKED_BEFORE,
  ['mail.old.test.', 'A', 'NOERROR AD'],
  ['old.test.', 'MX', 'NOERROR AD'],
  ['www.old.test.', 'AAAA', 'NOERROR AD'],
  ['zz.old.test.', 'A', 'NXDOMAIN AD'],
  ['x.wild.old.test.', 'TXT', 'NOERROR AD'],
  ['old.test.', 'CDS', 'NOERROR AD'],
  ['old.test.', 'SOA', 'NOERROR AD'],
] as const

function importKeys(old: OldServer, keys: string, ...words: string[]): Promise<Ran> {
  const list = old.list === undefined ? [] : ['--list', old.list]
  const ds = old.ds.trim().replace(/^.*\sDS\s+/, '')
  const signed = ['--signed', old.signed, '--ds', ds, '--keys', keys]
  return inProcess(['keys', 'import', OLD_ZONE, old.keys, ...signed, ...list, ...words])
}

async function serveOurs(
  t: ExecutionContext,
  state: string,
  old: OldServer,
  port: number,
): Promise<Nameserver> {
  const server = await createNameserver({
    listen: [`127.0.0.1@${port}`],
    workers: 1,
    state,
    watch: false,
  })
  t.teardown(() => server.close())
  const outcome = await server.addFile(old.signed)
  t.is(outcome.kind === 'refused' ? outcome.refusal.what : outcome.kind, 'published')
  return server
}

async function asks(
  t: ExecutionContext,
  resolver: Resolver,
  questions: typeof ASKED_AFTER | typeof ASKED_BEFORE,
): Promise<void> {
  for (const [name, type, outcome] of questions) {
    t.is(outcomeOf(await resolver.ask(name, type)), outcome, `${name} ${type}\n${resolver.log()}`)
  }
}

function resolverOf(t: ExecutionContext, port: number, old: OldServer): Promise<Resolver> {
  return startUnbound({ zones: [{ name: OLD_ZONE, port }], anchors: [old.ds] }).then(resolver => {
    t.teardown(resolver.stop)
    return resolver
  })
}

function answers(server: Nameserver, type: string): string[] {
  return readMessage(server.answer(queryOf(OLD_ZONE, type, { udpOctets: 4096 }), 'tcp')!).answer
}

async function keysIn(state: string): Promise<string[]> {
  const listed = await inProcess(['keys', 'list', '--keys', join(state, 'keys'), '--json'])
  return listed.out.trim().split('\n')
}

function dnskeysIn(file: string): number {
  return readFileSync(file, 'utf8').match(/\sIN\s+DNSKEY\s|\sDNSKEY\s+25[67]\s/g)?.length ?? 0
}

interface Case {
  readonly what: string
  readonly start: (t: Scope) => Promise<OldServer>
  readonly tools: readonly string[]
}

const CASES: readonly Case[] = [
  { what: 'named with dnssec-policy', start: startPolicyBind, tools: ['named', 'dnssec-dsfromkey', 'dig'] },
  {
    what: 'dnssec-signzone in the middle of a ZSK roll',
    start: startRollingBind,
    tools: ['named', 'dnssec-signzone', 'dnssec-keygen', 'dig'],
  },
  {
    what: 'Knot in the middle of a ZSK roll',
    start: startRollingKnot,
    tools: ['knotd', 'keymgr', 'dig'],
  },
]

for (const { what, start, tools } of CASES) {
  test.serial(`RFC 6781 §4.1: taken over from ${what}: secure at every instant`, async t => {
    if (!needs(t, 'unbound', 'delv', ...tools)) return
    const old = await start(t)
    const state = temporaryDirectory(t)
    const told = await importKeys(old, join(state, 'keys'), '--dry-run')
    t.is(told.code, 0, told.err)
    t.regex(told.err, /ksk +ECDSAP256SHA256 +\d+ +here +signs keys +yes +in-use/)
    t.is((await importKeys(old, join(state, 'keys'))).code, 0)

    // Both at once: whatever a cache has of the one and asks of the other.
    const primed = await resolverOf(t, old.port, old)
    await asks(t, primed, ASKED_BEFORE)
    const beside = await serveOurs(t, state, old, 0)
    t.is(answers(beside, 'DNSKEY').length, dnskeysIn(old.signed))
    const status = beside.keys.status(OLD_ZONE)!
    t.true(
      status.keys.every(({ role }) => role !== 'csk'),
      'no roll to another kind of keys begins',
    )
    t.regex(status.sentences.join(), /Its keys stay KSK and ZSK with ECDSAP256SHA256/)
    for (const [keys, data] of [
      [old.port, portOf(beside)],
      [portOf(beside), old.port],
    ] as const) {
      const split = await startSplitServer(type => (type === TYPE.DNSKEY ? keys : data))
      t.teardown(split.close)
      await asks(t, await resolverOf(t, split.port, old), ASKED_AFTER)
      const delv = delvOf(split.port, old.ds)
      t.teardown(delv.stop)
      const { verdict, text } = await delv.ask('mail.old.test.', 'A')
      t.is(verdict, 'secure', text)
    }

    // The change at one address.
    await beside.close()
    await old.stop()
    const ours = await serveOurs(t, state, old, old.port)
    const serialOf = (text: string): number => Number(/\sSOA\s+\S+\s+\S+\s+(\d+)/.exec(text)![1])
    // One for the change of servers, and one when the roll under way may go on at once.
    const versions = serialOf(answers(ours, 'SOA')[0]!) - serialOf(readFileSync(old.signed, 'utf8'))
    t.true(versions >= 1 && versions <= 2, `${versions}`)
    await asks(t, primed, ASKED_AFTER)
    await asks(t, await resolverOf(t, old.port, old), ASKED_AFTER)
  })
}

test.serial(
  'back to named with dnssec-policy: it signs with the keys that were exported, a CSK too, and makes none',
  async t => {
    if (!needs(t, 'named', 'dnssec-dsfromkey', 'dig')) return
    for (const [roles, policy] of [
      [['csk'], 'csk lifetime unlimited algorithm ecdsap256sha256;'],
      [['csk'], 'csk lifetime unlimited algorithm rsasha256 2048;'],
      [['csk'], 'csk lifetime unlimited algorithm ed448;'],
      [['ksk', 'zsk'], undefined],
    ] as const) {
      const own = join(temporaryDirectory(t), 'own')
      const [, algorithm = 'ecdsap256sha256'] = /algorithm (\w+)/.exec(policy ?? '') ?? []
      for (const role of roles) {
        const words = ['keys', 'generate', OLD_ZONE, '--role', role, '--algorithm', algorithm, '--keys', own]
        t.is((await inProcess(words)).code, 0)
      }
      const out = temporaryDirectory(t)
      t.is((await inProcess(['keys', 'export', OLD_ZONE, out, '--keys', own])).code, 0)
      const bind = await startPolicyBind(t, policy, out)
      await bind.stop()
      t.is(dnskeysIn(bind.signed), roles.length, `${algorithm} ${roles}`)
      t.is(readdirSync(bind.keys).filter(name => name.endsWith('.private')).length, roles.length)
      const ksk = readdirSync(own).find(name => !name.includes('.zsk.'))!
      const [, tag] = /\+(\d{5})\./.exec(ksk)!
      t.regex(readFileSync(bind.signed, 'utf8'), new RegExp(`RRSIG\\s+DNSKEY .* ${Number(tag)} old\\.test`))
    }
  },
)

test.serial(
  'a KSK that the parent points at and nobody brought: refused, and nothing is written',
  async t => {
    if (!needs(t, 'knotd', 'keymgr', 'dig')) return
    const old = await startRollingKnot(t)
    await old.stop()
    const state = temporaryDirectory(t)
    const zsk = knotListing(readFileSync(old.list!, 'utf8')).find(key => !key.ksk)!.id
    const only = await importKeys({ ...old, keys: join(old.keys, `${zsk}.pem`) }, join(state, 'keys'))
    t.is(only.code, 1)
    t.regex(only.err, /DS \d+ of ECDSAP256SHA256 points at a key whose private key is not here/)
    t.deepEqual((await inProcess(['keys', 'list', '--keys', join(state, 'keys'), '--json'])).out, '')

    // A server that was given that key alone says the same, and serves nothing of the zone.
    const words = ['--role', 'zsk', '--keys', join(state, 'keys')]
    const path = join(old.keys, `${zsk}.pem`)
    t.is((await inProcess(['keys', 'import', OLD_ZONE, path, ...words])).code, 0)
    const server = await createNameserver({ state, watch: false })
    t.teardown(() => server.close())
    const outcome = await server.addFile(old.signed)
    t.is(outcome.kind === 'refused' ? outcome.refusal.code : outcome.kind, 'TAKEOVER_REFUSED')
    t.deepEqual(answers(server, 'SOA'), [])
    t.is((await keysIn(state)).length, 1, 'no key was made')
  },
)
