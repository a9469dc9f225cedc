/** Finding the parent and the servers of a zone, with resolvers that say what a test has written down. */
import test, { type ExecutionContext } from 'ava'
import { ManualClock } from '../../base/index.ts'
import { type Found, namedServers, parentOf, serversOf, type Target } from '../../server/ask-find.ts'
import { type AskOptions, observeDs } from '../../server/index.ts'
import { nameFromText, nameToText, rdataFromText, typeFromText } from '../../zones/index.ts'
import { NOW } from '../support/embedding.ts'
import { fakeServer, responseTo } from '../support/fake-server.ts'
import { readMessage } from '../support/message.ts'

/** What is said to `NAME TYPE`: an RCODE, or records as text, those behind `~` in the authority section. */
type Script = Readonly<Record<string, number | readonly string[]>>

/** A server that answers from the script, and NOERROR without records otherwise. */
async function scripted(t: ExecutionContext, script: Script, host?: string): Promise<string> {
  const server = await fakeServer(
    t,
    ({ octets, reply }) => {
      const [name, , type] = readMessage(octets).question!.split(' ')
      const said = script[`${name} ${type}`] ?? []
      if (typeof said === 'number') return reply(responseTo(octets, { rcode: said }))
      const isAuthority = (line: string): boolean => line.startsWith('~')
      const answer = said.filter(line => !isAuthority(line)).map(recordFromLine)
      const authority = said.filter(isAuthority).map(line => recordFromLine(line.slice(1)))
      reply(responseTo(octets, { answer, authority }))
    },
    host === undefined ? {} : { host },
  )
  return server.server
}

/** `OWNER TTL TYPE RDATA` */
function recordFromLine(line: string): number[] {
  const [owner = '', ttl = '', type = '', ...data] = line.split(' ')
  const rdata = rdataFromText(type, data.join(' '))
  const fixed = [0, typeFromText(type)!, 0, 1, 0, 0, 0, Number(ttl), 0, rdata.length]
  return [...nameFromText(owner), ...fixed, ...rdata]
}

const soa = (apex: string): string => `${apex} 60 SOA ns. h. 1 2 3 4 5`
const ZONE = nameFromText('a.b.c.test.')

async function parentBy(t: ExecutionContext, ...scripts: readonly Script[]): Promise<string> {
  const resolver = await Promise.all(scripts.map(script => scripted(t, script)))
  const found = await parentOf(ZONE, optionsOf(resolver))
  return found.kind === 'found' ? nameToText(found.value) : found.why.replaceAll(/127\.0\.0\.1@\d+/g, 'R')
}

function optionsOf(resolver: readonly string[]): AskOptions {
  // It stands still: no answer is late, however busy the machine.
  return { clock: new ManualClock(NOW), resolver }
}

function shown(found: Found<Target[]>): unknown {
  if (found.kind === 'unknown') return found.why
  return found.value.map(one =>
    one.kind === 'fault' ? `${one.server}: ${one.fault}` : `${one.server} ${one.names.join(' ')}`,
  )
}

test('RFC 2308 §3: the parent is the zone whose SOA answers for the name above', async t => {
  t.is(await parentBy(t, { 'b.c.test. SOA': [soa('b.c.test.')] }), 'b.c.test.')
  t.is(await parentBy(t, { 'b.c.test. SOA': [`~${soa('c.test.')}`] }), 'c.test.')
  t.is(await parentBy(t, { 'b.c.test. SOA': [`~${soa('.')}`] }), '.')
})

test('an alias above the zone, and a SOA from elsewhere, lead one label up', async t => {
  const alias = ['b.c.test. 60 CNAME x.other.test.', `~${soa('other.test.')}`]
  t.is(await parentBy(t, { 'b.c.test. SOA': alias, 'c.test. SOA': [soa('c.test.')] }), 'c.test.')
  const misleading = ['b.c.test. 60 CNAME x.test.', `~${soa('test.')}`]
  t.is(await parentBy(t, { 'b.c.test. SOA': misleading, 'c.test. SOA': [soa('c.test.')] }), 'c.test.')
  const elsewhere = [`~${soa('other.')}`]
  t.is(await parentBy(t, { 'b.c.test. SOA': elsewhere, 'c.test. SOA': [soa('c.test.')] }), 'c.test.')
  t.is(await parentBy(t, {}), 'the resolver knows no SOA above the zone')
})

test('RFC 2308 §2.1: NXDOMAIN is an answer, SERVFAIL leads to the next resolver', async t => {
  const knows = { 'b.c.test. SOA': [soa('b.c.test.')] }
  t.is(await parentBy(t, { 'b.c.test. SOA': 2 }, { 'b.c.test. SOA': 5 }, knows), 'b.c.test.')
  t.is(
    await parentBy(t, { 'b.c.test. SOA': 2 }, { 'b.c.test. SOA': 5 }),
    'R on b.c.test. SOA: SERVFAIL; R on b.c.test. SOA: REFUSED',
  )
  t.is(await parentBy(t, { 'b.c.test. SOA': 3, 'c.test. SOA': [soa('c.test.')] }, knows), 'c.test.')
})

test('all addresses of all servers are found; one that two names share is asked once', async t => {
  const resolver = await scripted(t, {
    'test. NS': ['test. 60 NS n2.test.', 'test. 60 NS n1.test.', 'test. 60 NS n3.test.', 'x. 60 NS no.'],
    'n1.test. A': ['n1.test. 60 A 192.0.2.2', 'n1.test. 60 A 192.0.2.1', 'x. 60 A 192.0.2.9'],
    'n1.test. AAAA': ['n1.test. 60 AAAA 2001:db8::1'],
    'n2.test. A': ['n2.test. 60 A 192.0.2.1'],
    'n3.test. A': ['n3.test. 60 A 192.0.2.3'],
    'n3.test. AAAA': 2,
  })
  t.deepEqual(shown(await serversOf(nameFromText('test.'), optionsOf([resolver]))), [
    '192.0.2.1@53 n1.test. n2.test.',
    '192.0.2.2@53 n1.test.',
    '2001:db8:0:0:0:0:0:1@53 n1.test.',
    `n3.test.: ${resolver} on n3.test. AAAA: SERVFAIL`,
  ])
  const none = await serversOf(nameFromText('other.'), optionsOf([resolver]))
  t.is(shown(none), 'the resolver knows no servers of other.')
})

test('more servers than can be asked are not asked in part', async t => {
  const names = Array.from({ length: 33 }, (_, at) => nameFromText(`n${at}.test.`))
  const options = optionsOf([])
  t.is(shown(await namedServers({ names }, options)), 'there are more than 32 names of servers')
  const addressesOf = (): string[] => Array.from({ length: 65 }, (_, at) => `192.0.2.${at}`)
  const found = await namedServers({ names: names.slice(0, 1), addressesOf }, options)
  t.is(shown(found), 'there are more than 64 servers to ask')
})

test('a server of the parent that answers from another zone above is not the parent', async t => {
  const above = await scripted(t, { 'a.b.c.test. DS': [`~${soa('c.test.')}`] }, '127.0.0.2')
  const port = Number(above.split('@')[1])
  const resolver = await scripted(t, {
    'b.c.test. SOA': [soa('b.c.test.')],
    'b.c.test. NS': ['b.c.test. 60 NS n.test.'],
    'n.test. A': ['n.test. 60 A 127.0.0.2'],
  })
  const observed = await observeDs(ZONE, {}, { ...optionsOf([resolver]), port })
  t.is(
    observed.kind === 'unknown' ? observed.why : observed.kind,
    `no server of the parent answers: ${above}: it answers from a zone that is not the parent`,
  )
})
