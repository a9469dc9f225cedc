/** Changes to zones that a program owns. */
import test from 'ava'
import type { PublishedVersion, RecordText, ZoneChange } from '../../server/index.ts'
import { ChangeSet } from '../../server/program-zone.ts'
import { keyOf, nameFromText } from '../../zones/index.ts'
import { answers, ask, BASE, serialOf, testServer } from '../support/embedding.ts'

const apex = nameFromText('example.')

/** Codes of what is wrong with a change of a zone with these records. */
function faultOf(records: readonly RecordText[], change: ZoneChange): string | undefined {
  const none = { node: () => undefined, below: () => [] }
  const changes = new ChangeSet(apex, keyOf(apex), none)
  changes.add({ add: records })
  const before = changes.edits()
  try {
    changes.add(change)
    return undefined
  } catch (error) {
    const after = changes.edits()
    if (JSON.stringify(before) !== JSON.stringify(after)) throw new Error('something of it was taken')
    return (error as { code: string }).code
  }
}

const a = (name: string, last = 1): RecordText => ({ name, type: 'A', data: `192.0.2.${last}` })
const cname: RecordText = { name: 'alias', type: 'CNAME', data: 'www' }
const dname: RecordText = { name: 'old', type: 'DNAME', data: 'new.example.' }

const FAULTS: readonly {
  title: string
  records?: readonly RecordText[]
  change: ZoneChange
  code: string | undefined
}[] = [
  { title: 'a name outside', change: { add: [a('www.example.net.')] }, code: 'RECORD_OUTSIDE' },
  { title: 'no type', change: { add: [{ name: 'a', type: 'WHAT', data: '' }] }, code: 'RECORD_TYPE' },
  { title: 'a meta-type', change: { add: [{ name: 'a', type: 'ANY', data: '\\# 0' }] }, code: 'RECORD_TYPE' },
  { title: 'RDATA', change: { add: [{ name: 'a', type: 'A', data: '192.0.2' }] }, code: 'RDATA_SYNTAX' },
  { title: 'a name', change: { add: [a('a..b')] }, code: 'NAME_SYNTAX' },
  { title: 'RFC 2181 §8: a TTL', change: { add: [{ ...a('a'), ttl: 2 ** 31 }] }, code: 'RECORD_TTL' },
  { title: 'a TTL of half a second', change: { add: [{ ...a('a'), ttl: 0.5 }] }, code: 'RECORD_TTL' },
  {
    title: "the signer's DNSKEY",
    change: { add: [{ name: '@', type: 'DNSKEY', data: '257 3 13 AAAA' }] },
    code: 'RECORD_OF_SIGNER',
  },
  {
    title: "removing the signer's NSEC",
    change: { remove: [{ name: 'www', type: 'NSEC' }] },
    code: 'RECORD_OF_SIGNER',
  },
  {
    title: 'RFC 9615: CDS below the apex is data',
    change: { add: [{ name: '_dsboot.a', type: 'CDS', data: `1 13 2 ${'00'.repeat(32)}` }] },
    code: undefined,
  },
  { title: 'the SOA must stay', change: { remove: [{ name: '@', type: 'SOA' }] }, code: 'ZONE_WITHOUT_SOA' },
  { title: 'the apex must stay', change: { remove: [{ name: '@' }] }, code: 'ZONE_WITHOUT_SOA' },
  { title: 'a second SOA', change: { add: [{ ...BASE[0]!, name: 'www' }] }, code: 'SOA_BELOW_APEX' },
  {
    title: 'RFC 2181 §10.1: CNAME and other data',
    records: [a('www')],
    change: { add: [{ ...cname, name: 'www' }] },
    code: 'CNAME_AND_OTHER',
  },
  {
    title: 'other data beside a CNAME',
    records: [cname],
    change: { add: [a('alias')] },
    code: 'CNAME_AND_OTHER',
  },
  {
    title: 'a CNAME in place of what is removed',
    records: [a('www')],
    change: { remove: [{ name: 'www' }], add: [{ ...cname, name: 'www' }] },
    code: undefined,
  },
  {
    title: 'RFC 6672 §2.4: a name below a DNAME',
    records: [dname],
    change: { add: [a('x.y.old')] },
    code: 'BELOW_DNAME',
  },
  {
    title: 'RFC 6672 §2.4: a DNAME above names',
    records: [a('x.y.old')],
    change: { add: [dname] },
    code: 'BELOW_DNAME',
  },
  {
    title: 'a DNAME whose names go with it',
    records: [a('x.y.old')],
    change: { remove: [{ name: 'x.y.old' }], add: [dname] },
    code: undefined,
  },
  {
    title: 'a DNAME below a zone cut is not ours to judge',
    records: [
      { name: 'sub', type: 'NS', data: 'ns1' },
      { ...dname, name: 'old.sub' },
    ],
    change: { add: [a('x.old.sub')] },
    code: undefined,
  },
  {
    title: 'an RRset larger than a message',
    change: {
      add: Array.from({ length: 300 }, (_, index) => ({
        name: 'large',
        type: 'TXT',
        data: `"${index} ${'x'.repeat(240)}"`,
      })),
    },
    code: 'RRSET_TOO_LARGE',
  },
]

for (const { title, records = [], change, code } of FAULTS) {
  test(`a change: ${title}`, t => {
    t.is(faultOf([...BASE, ...records], change), code)
  })
}

test('add, change and remove are signed and live when the promise resolves', async t => {
  const { server } = await testServer(t)
  const zone = await server.addZone('example', BASE)
  t.is(serialOf(server, 'example.'), 1)
  const added = await zone.change({ add: [{ ...a('www'), ttl: 300 }] })
  t.is(added.kind, 'published')
  t.deepEqual(
    ask(server, 'www.example.', 'A').answer.map(line => line.split(' ').slice(0, 4).join(' ')),
    ['www.example. 300 A 192.0.2.1', 'www.example. 300 RRSIG A'],
  )
  await zone.change({ remove: [{ name: 'www', type: 'A', data: '192.0.2.1' }], add: [a('www', 2)] })
  t.deepEqual(answers(server, 'www.example.', 'A'), ['192.0.2.2'])
  await zone.change({ remove: [{ name: 'www' }] })
  t.is(ask(server, 'www.example.', 'A').rcode, 3)
  t.is(serialOf(server, 'example.'), 4)
  t.deepEqual(await zone.change({ remove: [{ name: 'www' }] }), { kind: 'unchanged' })
  t.is(serialOf(server, 'example.'), 4)
  t.is(server.zone('EXAMPLE.'), zone)
  t.is(server.zone('example.net'), undefined)
})

test('a change signs what it touches: the RRset, its NSEC and the one before, SOA and ZONEMD', async t => {
  const { server, keys } = await testServer(t)
  const zone = await server.addZone('example', [...BASE, a('a'), a('c'), a('d')])
  keys.signed = 0
  await zone.change({ add: [a('b')] })
  // b A, b NSEC, a NSEC, SOA, ZONEMD.
  t.is(keys.signed, 5)
  keys.signed = 0
  await zone.change({ add: [{ ...a('b'), ttl: 60 }] })
  // b A; the TTL of NSEC records is the zone's (RFC 9077).
  t.is(keys.signed, 3)
})

test('a burst is one version, signed once', async t => {
  const { server, keys } = await testServer(t)
  const zone = await server.addZone('example', BASE)
  const versions: PublishedVersion[] = []
  server.on('published', version => versions.push(version))
  keys.signed = 0
  const burst = Array.from({ length: 50 }, (_, index) => zone.change({ add: [a(`h${index}`, index)] }))
  const outcomes = await Promise.all(burst)
  t.is(versions.length, 1)
  t.is(serialOf(server, 'example.'), 2)
  t.true(outcomes.every(outcome => outcome === outcomes[0]))
  // A and NSEC of each, the NSEC before them, SOA, ZONEMD.
  t.is(keys.signed, 50 * 2 + 3)
})

test('changes of a burst see each other, in order', async t => {
  const { server } = await testServer(t)
  const zone = await server.addZone('example', BASE)
  await Promise.all([
    zone.change({ add: [a('www', 1), a('gone', 1)] }),
    zone.change({ add: [a('www', 2)], remove: [{ name: 'gone' }] }),
    zone.change({ remove: [{ name: 'www', type: 'A', data: '192.0.2.1' }] }),
  ])
  t.deepEqual(answers(server, 'www.example.', 'A'), ['192.0.2.2'])
  t.is(ask(server, 'gone.example.', 'A').rcode, 3)
})

test('a refused change of a burst does not take the others with it', async t => {
  const { server } = await testServer(t)
  const zone = await server.addZone('example', BASE)
  const versions: PublishedVersion[] = []
  server.on('published', version => versions.push(version))
  const [first, second, third] = await Promise.allSettled([
    zone.change({ add: [a('one')] }),
    zone.change({ add: [a('two'), { ...cname, name: 'two' }] }),
    zone.change({ add: [a('three')] }),
  ])
  t.is(first.status, 'fulfilled')
  t.is(second.status === 'rejected' && second.reason.code, 'CNAME_AND_OTHER')
  t.is(third.status, 'fulfilled')
  t.is(versions.length, 1)
  t.is(ask(server, 'two.example.', 'A').rcode, 3)
  t.deepEqual(answers(server, 'three.example.', 'A'), ['192.0.2.1'])
})

test('RFC 2181 §5.2: an RRset has one TTL: what is said last, and what it had where none is said', async t => {
  const { server } = await testServer(t)
  const zone = await server.addZone('example', [...BASE, { ...a('www', 1), ttl: 300 }])
  await zone.change({ add: [a('www', 2)] })
  t.true(ask(server, 'www.example.', 'A', false).answer.every(line => line.startsWith('www.example. 300 ')))
  await zone.change({ add: [{ ...a('www', 3), ttl: 60 }] })
  t.deepEqual(
    ask(server, 'www.example.', 'A', false).answer.map(line => line.split(' ')[1]),
    ['60', '60', '60'],
  )
})

test('delegations, DS, wildcards and empty non-terminals by changes', async t => {
  const { server } = await testServer(t)
  const zone = await server.addZone('example', BASE)
  const ds = { name: 'sub', type: 'DS', data: `4711 13 2 ${'00'.repeat(32)}` }
  await zone.change({ add: [{ name: 'sub', type: 'NS', data: 'ns.sub' }, a('ns.sub', 9)] })
  const insecure = ask(server, 'x.sub.example.', 'A')
  t.false(insecure.authoritative)
  t.deepEqual(insecure.additional, ['ns.sub.example. 3600 A 192.0.2.9'])
  t.true(insecure.authority.some(line => line.includes(' NSEC ')))
  await zone.change({ add: [ds] })
  const secure = ask(server, 'x.sub.example.', 'A')
  t.true(secure.authority.some(line => line.includes(' DS ')))
  t.false(secure.authority.some(line => line.includes(' NSEC ')))
  await zone.change({ remove: [{ name: 'sub' }] })
  t.deepEqual(answers(server, 'ns.sub.example.', 'A'), ['192.0.2.9'], 'what the cut hid is authoritative')
  t.deepEqual(
    [ask(server, 'sub.example.', 'A').rcode, ask(server, 'sub.example.', 'A').answer.length],
    [0, 0],
  )
  await zone.change({ remove: [{ name: 'ns.sub' }] })
  t.is(ask(server, 'sub.example.', 'A').rcode, 3, 'the empty non-terminal went with its last name')
  await zone.change({ add: [a('*.w', 7)] })
  t.deepEqual(answers(server, 'any.w.example.', 'A'), ['192.0.2.7'])
  await zone.change({ remove: [{ name: '*.w' }] })
  t.is(ask(server, 'any.w.example.', 'A').rcode, 3)
})

test('an edit of the SOA: its timers change, and a serial that can be followed is followed', async t => {
  const { server } = await testServer(t)
  const zone = await server.addZone('example', BASE)
  const soa = (serial: number): RecordText => ({
    name: '@',
    type: 'SOA',
    data: `ns1.example. host.example. ${serial} 7200 3600 1209600 300`,
  })
  await zone.change({ add: [soa(1)] })
  t.is(answers(server, 'example.', 'SOA')[0], 'ns1.example. host.example. 2 7200 3600 1209600 300')
  await zone.change({ add: [soa(100)] })
  t.is(serialOf(server, 'example.'), 100)
})

test('the spelling of names is kept', async t => {
  const { server } = await testServer(t)
  const zone = await server.addZone('example', [...BASE, a('MiXed')])
  await zone.change({ add: [a('mixed', 2), a('NeW')] })
  // An answer has the question's case; that one name is there, once, shows in its RRset.
  t.deepEqual(answers(server, 'mixed.example.', 'A'), ['192.0.2.1', '192.0.2.2'])
  t.deepEqual(answers(server, 'new.example.', 'A'), ['192.0.2.1'])
})

test('changes of 1,000 names at once are one version', async t => {
  const { server } = await testServer(t)
  const zone = await server.addZone('example', BASE)
  await Promise.all(
    Array.from({ length: 1000 }, (_, index) => zone.change({ add: [a(`host-${index}`, index % 250)] })),
  )
  t.is(serialOf(server, 'example.'), 2)
})

test('a change of a removed zone, and of a closed server', async t => {
  const { server } = await testServer(t)
  const one = await server.addZone('one.example', BASE)
  const two = await server.addZone('two.example', BASE)
  t.true(await server.removeZone('one.example'))
  await t.throwsAsync(one.change({ add: [a('www')] }), { code: 'ZONE_REMOVED' })
  await server.close()
  await t.throwsAsync(two.change({ add: [a('www')] }), { code: 'SERVER_CLOSED' })
})

test('without signing any type is data, and changes are versions all the same', async t => {
  const { server } = await testServer(t, { signing: false, serialPolicy: 'unixtime' })
  const zone = await server.addZone('example', [
    ...BASE,
    { name: '@', type: 'DNSKEY', data: '257 3 13 AAAA' },
  ])
  t.is(serialOf(server, 'example.'), 1_800_000_000)
  await zone.change({ add: [a('www')] })
  t.is(serialOf(server, 'example.'), 1_800_000_001)
  t.deepEqual(ask(server, 'www.example.', 'A').answer, ['www.example. 3600 A 192.0.2.1'])
})
