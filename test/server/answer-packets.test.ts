/** Packets as packets: EDNS, sizes and truncation, malformed queries, and random ones. */

import test from 'ava'
import { Packet } from 'dns2'
import fc from 'fast-check'
import { DEFER, DROP } from '../../server/answerer.ts'
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

const mixed = askerOf(await storeOf(mixedText('mixed.test.')))
const base = queryOf('mixed.test.', 'SOA')

function changed(change: (octets: Uint8Array) => void, octets: Uint8Array = base): Uint8Array {
  const copy = Uint8Array.from(octets)
  change(copy)
  return copy
}

const OPT = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]
const EDNS = { udpOctets: 1232 } as const

interface Row {
  readonly title: string
  readonly query: Uint8Array
  /** Absent: no response at all. */
  readonly rcode?: number
  readonly ede?: readonly number[]
  readonly question?: boolean
  readonly opt?: boolean
}

const ROWS: readonly Row[] = [
  { title: 'RFC 1035 §4.1.1: 11 octets are not answered', query: base.subarray(0, 11) },
  {
    title: 'RFC 1035 §4.1.1: a response is not answered',
    query: changed(octets => {
      octets[2]! |= 0x80
    }),
  },
  { title: 'no octets are not answered', query: new Uint8Array(0) },
  {
    title: 'RFC 9619 §4: no question',
    query: changed(octets => {
      octets[5] = 0
    }).subarray(0, 12),
    rcode: 1,
    question: false,
  },
  {
    title: 'RFC 9619 §4: two questions',
    query: changed(octets => {
      octets[5] = 2
    }),
    rcode: 1,
    question: false,
  },
  { title: 'RFC 1035 §4.1.2: a question cut short', query: base.subarray(0, 20), rcode: 1, question: false },
  {
    title: 'RFC 1035 §4.1.2: a question without class',
    query: base.subarray(0, -2),
    rcode: 1,
    question: false,
  },
  {
    title: 'RFC 1035 §4.1.4: a pointer in the question',
    query: changed(octets => {
      octets[12] = 0xc0
    }),
    rcode: 1,
    question: false,
  },
  {
    title: 'RFC 6891 §5: a label of an unknown kind',
    query: changed(octets => {
      octets[12] = 0x41
    }),
    rcode: 1,
    question: false,
  },
  {
    title: 'RFC 1035 §2.3.4: a name of 256 octets',
    query: Uint8Array.from([
      ...base.subarray(0, 12),
      ...Array.from({ length: 4 }, () => [62, ...new Array<number>(62).fill(0x61)]).flat(),
      2,
      0x61,
      0x61,
      0,
      0,
      1,
      0,
      1,
    ]),
    rcode: 1,
    question: false,
  },
  {
    title: 'RFC 1035 §4.1.1: a count without its record',
    query: changed(octets => {
      octets[7] = 1
    }),
    rcode: 1,
  },
  {
    title: 'RFC 1035 §4.1.3: RDATA beyond the end',
    query: changed(
      octets => {
        octets[octets.length - 1] = 1
      },
      queryOf('mixed.test.', 'SOA', EDNS),
    ),
    rcode: 1,
  },
  { title: 'RFC 1035 §4.1: octets behind the message', query: Uint8Array.from([...base, 1, 2, 3]), rcode: 0 },
  {
    title: 'RFC 6891 §6.1.1: two OPT records',
    query: Uint8Array.from([
      ...changed(octets => {
        octets[11] = 2
      }),
      ...OPT,
      ...OPT,
    ]),
    rcode: 1,
    opt: true,
  },
  {
    title: 'RFC 6891 §6.1.1: OPT in the answer section',
    query: Uint8Array.from([
      ...changed(octets => {
        octets[7] = 1
      }),
      ...OPT,
    ]),
    rcode: 1,
  },
  {
    title: 'RFC 6891 §6.1.2: OPT with an owner',
    query: Uint8Array.from([
      ...changed(octets => {
        octets[11] = 1
      }),
      1,
      0x61,
      ...OPT,
    ]),
    rcode: 1,
  },
  {
    title: 'RFC 6891 §6.1.2: an option longer than the RDATA',
    query: queryOf('mixed.test.', 'SOA', { ...EDNS, options: Uint8Array.from([0, 10, 0, 9, 1]) }),
    rcode: 1,
    opt: true,
  },
  {
    title: 'RFC 6891 §6.1.2: an unknown option is ignored',
    query: queryOf('mixed.test.', 'SOA', { ...EDNS, options: Uint8Array.from([255, 0, 0, 1, 1]) }),
    rcode: 0,
    opt: true,
  },
  {
    title: 'RFC 6891 §6.1.3: version 1',
    query: queryOf('mixed.test.', 'SOA', { ...EDNS, version: 1 }),
    rcode: 16,
    opt: true,
  },
  {
    title: 'RFC 1035 §4.1.1: IQUERY',
    query: queryOf('mixed.test.', 'A', { opcode: 1 }),
    rcode: 4,
    question: false,
  },
  {
    title: 'RFC 1996: NOTIFY',
    query: queryOf('mixed.test.', 'SOA', { opcode: 4 }),
    rcode: 4,
    question: false,
  },
  {
    title: 'RFC 2136: UPDATE',
    query: queryOf('mixed.test.', 'SOA', { opcode: 5 }),
    rcode: 4,
    question: false,
  },
  {
    title: 'RFC 1035 §3.2.5: class CH',
    query: queryOf('version.bind.', 'TXT', { ...EDNS, class: 3 }),
    rcode: 5,
    ede: [21],
    opt: true,
  },
  {
    title: 'RFC 9824 §3.5: type NXNAME',
    query: queryOf('mixed.test.', 128, EDNS),
    rcode: 1,
    ede: [30],
    opt: true,
  },
  {
    title: 'RFC 6891 §6.1.1: type OPT',
    query: queryOf('mixed.test.', 41, EDNS),
    rcode: 1,
    ede: [30],
    opt: true,
  },
  { title: 'RFC 8945 §4.2: type TSIG', query: queryOf('mixed.test.', 250), rcode: 4 },
  { title: 'RFC 1035 §3.2.3: type MAILB', query: queryOf('mixed.test.', 253), rcode: 4 },
  {
    title: 'RFC 5936 §4.2: AXFR over UDP',
    query: queryOf('mixed.test.', 252, EDNS),
    rcode: 4,
    ede: [21],
    opt: true,
  },
]

for (const { title, query, rcode, ede = [], question = true, opt = false } of ROWS) {
  test(title, t => {
    const octets = mixed.send(query)
    if (rcode === undefined) {
      t.is(octets.length, 0)
      return
    }
    const message = readMessage(octets)
    t.is(message.rcode, rcode)
    t.deepEqual(message.ede, [...ede])
    t.is(message.question !== undefined, question)
    t.is(message.opt !== undefined, opt)
    t.is(message.id, 0x1234)
    t.is(octets[2]! & 0x80, 0x80)
  })
}

test('RFC 6895 §2: RA, Z, AD and CD are clear; RD is copied', t => {
  const octets = mixed.send(
    changed(query => {
      query[2] = 0x01 | 0x06
      query[3] = 0xf0
    }),
  )
  t.is(octets[2], 0x85)
  t.is(octets[3], 0)
})

test('RFC 1034 §3.7.1: class ANY is answered, but not with authority', t => {
  const message = mixed.ask('mixed.test.', 'SOA', { class: 255 })
  t.is(message.rcode, 0)
  t.is(message.answer.length, 1)
  t.false(message.authoritative)
})

test('RFC 1995 §2: IXFR over UDP is answered with the SOA; transfers over TCP are deferred', t => {
  t.regex(mixed.ask('mixed.test.', 'IXFR').answer.join(), /^mixed\.test\. 3600 SOA [^,]*$/)
  const { answerer } = mixed
  const out = new Uint8Array(65_535)
  answerer.begin()
  for (const type of ['AXFR', 'IXFR']) {
    const query = queryOf('mixed.test.', type)
    t.is(answerer.answer(query, query.length, TRANSPORT_TCP, out), DEFER)
  }
  t.is(answerer.answer(base, 5, TRANSPORT_TCP, out), DROP)
  answerer.end()
})

// Sizes

const MX_RECORDS = 17
const bigText = Array.from({ length: 30 }, (_, index) => `big TXT "${String(index).padStart(60, 'x')}"`).join(
  '\n',
)
const delegation = Array.from({ length: 12 }, (_, index) => {
  const host = `ns${index}.sub.host`
  return `sub NS ${host}.sub\n${host}.sub A 192.0.2.${index}\n${host}.sub AAAA 2001:db8::${index}`
}).join('\n')
const mxs = Array.from(
  { length: MX_RECORDS },
  (_, index) => `mx MX ${index} host${index}.mx\nhost${index}.mx A 192.0.2.${index}\n`,
)
const sizeZone = `$ORIGIN size.test.\n$TTL 300\n@ SOA ns x 1 2 3 4 5\n@ NS ns\n${bigText}\n${delegation}\n${mxs.join('')}`
const sizes = askerOf(await storeOf(withSignatures(parseRecords(sizeZone))))

test('RFC 2181 §9: an RRset that does not fit is left out whole, with TC; over TCP it is there', t => {
  const udp = sizes.ask('big.size.test.', 'TXT')
  t.true(udp.truncated)
  t.deepEqual(udp.answer, [])
  const tcp = sizes.ask('big.size.test.', 'TXT', { tcp: true })
  t.false(tcp.truncated)
  t.is(tcp.answer.length, 31)
})

test('RFC 4035 §3.1.1: when only the RRSIG does not fit, the RRset stays and TC is set', t => {
  let without = 0
  for (let udpOctets = 512; udpOctets < 700; udpOctets++) {
    const { answer, truncated } = sizes.ask('mx.size.test.', 'MX', { udpOctets })
    t.is(truncated, answer.length < MX_RECORDS + 1, `${udpOctets}`)
    if (answer.length === MX_RECORDS) without++
  }
  t.true(without > 0)
})

test('RFC 2181 §9: additional data that do not fit are left out in silence', t => {
  const message = sizes.ask('mx.size.test.', 'MX', { udpOctets: 512, dnssecOk: false })
  t.false(message.truncated)
  t.is(message.answer.length, MX_RECORDS)
  t.true(message.additional.length < MX_RECORDS)
})

test('RFC 9471 §3.1: glue below the cut that does not fit sets TC', t => {
  const message = sizes.ask('www.sub.size.test.', 'A', { udpOctets: 0 })
  t.true(message.truncated)
  t.is(message.authority.length, 12)
  const all = sizes.ask('www.sub.size.test.', 'A', { tcp: true })
  t.false(all.truncated)
  t.is(all.additional.length, 24)
})

test('RFC 6891 §6.2.5, RFC 9715 §3.1: sizes are kept for every name and size', async t => {
  const names = [
    'size.test.',
    'big.size.test.',
    'mx.size.test.',
    'a.sub.size.test.',
    'none.size.test.',
    'SUB.size.test.',
  ]
  const wide = askerOf(await storeOf(withSignatures(parseRecords(sizeZone))), 9999)
  for (let udpOctets = 0; udpOctets < 1500; udpOctets += 7) {
    for (const name of names) {
      const options = udpOctets === 0 ? {} : { udpOctets, dnssecOk: true }
      const query = queryOf(name, name.startsWith('mx') ? 'MX' : 'TXT', options)
      const octets = wide.send(query)
      t.true(octets.length <= Math.max(512, Math.min(udpOctets, 1400)), `${name} ${udpOctets}`)
      readMessage(octets)
    }
  }
})

test('RFC 6891 §6.2.3: our payload size is announced, DO is copied', t => {
  const { opt } = mixed.ask('mixed.test.', 'SOA', { udpOctets: 4096 })
  t.is(opt?.udpOctets, 1232)
  t.is(opt?.dnssecOk, true)
  t.is(mixed.ask('mixed.test.', 'SOA', { dnssecOk: false }).opt?.dnssecOk, false)
})

test('RFC 1035 §4.1.4: names far into a message are not pointed to', async t => {
  const long = Array.from({ length: 80 }, (_, index) => `many TXT "${'t'.repeat(240)}${index}"`).join('\n')
  const text = `$ORIGIN far.test.\n@ SOA ns x 1 2 3 4 5\n@ NS ns\n${long}\n* MX 1 m\n${Array.from({ length: 700 }, (_, i) => `mx MX 1 a${i}.b${i}.c\na${i}.b${i}.c A 192.0.2.1\n`).join('')}`
  const zone = askerOf(await storeOf(withSignatures(parseRecords(text))))
  for (const [name, type] of [
    ['many.far.test.', 'TXT'],
    ['mx.far.test.', 'MX'],
  ] as const) {
    const message = zone.ask(name, type, { tcp: true })
    t.false(message.truncated)
    t.is(message.answer.length, type === 'TXT' ? 81 : 701)
  }
})

// Anything

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
  const query = queryOf('a.test.', 'SOA', EDNS)
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
