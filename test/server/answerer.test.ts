/** The answerer of a thread: any octets, zones without a version, bugs, new versions. */
import test from 'ava'
import { Packet } from 'dns2'
import fc from 'fast-check'
import {
  COUNTER_NAMES,
  createAnswerer,
  sumCounters,
  TRANSPORT_TCP,
  TRANSPORT_UDP,
} from '../../server/index.ts'
import { encodeZoneRecord, keyOf, nameFromText, Store, StoreReader } from '../../zones/index.ts'
import { askerOf } from '../support/ask.ts'
import { queryOf, readMessage } from '../support/message.ts'
import { mixedText } from '../support/peer-zones.ts'
import { commitZones, parseRecords, storeOf, withSignatures } from '../support/zone.ts'

const SEED = 4_046
const nsec3 = askerOf(
  await storeOf(
    ...['a.test.', 'b.a.test.', 'c.test.'].map(name => withSignatures(parseRecords(mixedText(name)))),
    mixedText('mixed.test.'),
  ),
)
const out = new Uint8Array(65_535)

function check(query: Uint8Array, tcp: boolean): string | undefined {
  const { answerer } = nsec3
  answerer.begin()
  const bugs = answerer.counters[COUNTER_NAMES.indexOf('bugs')]!
  const length = answerer.answer(query, query.length, tcp ? TRANSPORT_TCP : TRANSPORT_UDP, out)
  answerer.end()
  if (answerer.counters[COUNTER_NAMES.indexOf('bugs')] !== bugs) return 'a bug was caught'
  if (length <= 0) return undefined
  const octets = out.slice(0, length)
  if (!tcp && length > 1232) return `${length} octets`
  const message = readMessage(octets)
  if (message.id !== ((query[0]! << 8) | query[1]!)) return 'another id'
  return undefined
}

test('random packets are dropped, deferred or answered, and the answers can be read', t => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 80 }),
      fc.boolean(),
      (octets, tcp) => check(octets, tcp) === undefined,
    ),
    { seed: SEED, numRuns: 3000 },
  )
  t.pass()
})

test('mutated queries are dropped, deferred or answered, and the answers can be read', t => {
  const names = [
    'x.dname.a.test.',
    'mail.a.test.',
    'b.a.test.',
    'q.cut.c.test.',
    'z.wild.a.test.',
    'toolong.dnamelong.a.test.',
  ]
  const types = ['A', 'MX', 'DS', 'ANY', 'NS', 'TXT']
  const mutation = fc.tuple(fc.nat(200), fc.nat(255))
  fc.assert(
    fc.property(
      fc.constantFrom(...names),
      fc.constantFrom(...types),
      fc.array(mutation, { maxLength: 4 }),
      fc.nat(40),
      fc.boolean(),
      (name, type, mutations, cut, tcp) => {
        const query = queryOf(name, type, { udpOctets: 1232, dnssecOk: true })
        for (const [at, value] of mutations) query[at % query.length] = value
        return check(cut > 30 ? query.subarray(0, query.length - cut + 30) : query, tcp) === undefined
      },
    ),
    { seed: SEED, numRuns: 6000 },
  )
  t.pass()
})

test('dns2 reads the answers', t => {
  for (const [name, type, count] of [
    ['mail.a.test.', 'A', 3],
    ['a.test.', 'MX', 3],
    ['x.cut.a.test.', 'A', 0],
  ] as const) {
    const query = queryOf(name, type, { udpOctets: 1232, dnssecOk: true })
    const packet = Packet.parse(Buffer.from(nsec3.send(query)))
    t.is(packet.answers.length, count)
    t.is(packet.questions[0]?.name, name.slice(0, -1))
  }
})

test('a zone without a version is SERVFAIL with the reason, and no zones are REFUSED', async t => {
  const empty = askerOf(new Store({ octetsMax: 2 ** 26 }))
  t.is(empty.ask('a.test.', 'A').rcode, 5)
  const store = await storeOf('a.test. SOA ns. x. 1 2 3 4 5\na.test. NS ns.')
  const apex = nameFromText('b.test.')
  const value = encodeZoneRecord({
    ...{
      namesRoot: 0,
      nsec3Root: 0,
      serial: 0,
      sourceSerial: 0,
      denial: 0,
      signed: false,
      names: 0,
      records: 0,
    },
    nsec3: { iterations: 0, salt: new Uint8Array(0) },
    apex,
  })
  store.commit({ zones: [{ apexKey: keyOf(apex), value }], drafts: [], dropped: [] })
  const asker = askerOf(store)
  const message = asker.ask('www.b.test.', 'A')
  t.is(message.rcode, 2)
  t.deepEqual(message.ede, [14])
  t.is(asker.ask('a.test.', 'SOA').rcode, 0)
})

test('a bug while answering costs one SERVFAIL, and is told', async t => {
  const reader = new StoreReader((await storeOf('a.test. SOA ns. x. 1 2 3 4 5\na.test. NS ns.')).handle)
  const bugs: unknown[] = []
  const answerer = createAnswerer(reader, { onBug: error => bugs.push(error) })
  const query = queryOf('a.test.', 'SOA', { udpOctets: 1232 })
  // A catalogue root that does not exist stands for damage of any kind.
  const announce = reader.announce.bind(reader)
  reader.announce = () => announce() + 0x3fff0000
  answerer.begin()
  const length = answerer.answer(query, query.length, TRANSPORT_UDP, out)
  const message = readMessage(out.slice(0, length))
  t.is(message.rcode, 2)
  t.deepEqual(message.ede, [0])
  t.is(bugs.length, 1)
  t.is(answerer.counters[COUNTER_NAMES.indexOf('bugs')], 1)
  reader.announce = announce
  answerer.begin()
  answerer.answer(query, query.length, TRANSPORT_UDP, out)
  t.is(out[3]! & 15, 0)
  answerer.close()
})

test('a new version is answered from the next begin on', async t => {
  const store = await storeOf('a.test. SOA ns. x. 1 2 3 4 5\na.test. NS ns.')
  const answerer = createAnswerer(new StoreReader(store.handle))
  const query = queryOf('b.test.', 'SOA')
  const rcode = (): number => {
    answerer.begin()
    answerer.answer(query, query.length, TRANSPORT_UDP, out)
    answerer.end()
    return out[3]! & 15
  }
  t.is(rcode(), 5)
  await commitZones(store, 'b.test. SOA ns. x. 1 2 3 4 5\nb.test. NS ns.')
  t.is(rcode(), 0)
  const sums = sumCounters([answerer.counters])
  t.is(sums['refused'], 1)
  t.is(sums['noerror'], 1)
  t.is(sums['queriesUdp'], 2)
  answerer.close()
})
