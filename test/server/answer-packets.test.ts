/** Packets as packets: what a query's header, question and OPT record may say, and what is malformed. */
import test from 'ava'
import { DEFER, DROP } from '../../server/answerer.ts'
import { TRANSPORT_TCP } from '../../server/index.ts'
import { askerOf } from '../support/ask.ts'
import { queryOf, readMessage } from '../support/message.ts'
import { mixedText } from '../support/peer-zones.ts'
import { storeOf } from '../support/zone.ts'

const mixed = askerOf(await storeOf(mixedText('mixed.test.')))
const base = queryOf('mixed.test.', 'SOA')

function changed(change: (octets: Uint8Array) => void, octets: Uint8Array = base): Uint8Array {
  const copy = Uint8Array.from(octets)
  change(copy)
  return copy
}

const OPT = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]
const EDNS = { udpOctets: 1232 } as const
/** A header that announces one additional record and nothing else. */
const NO_QUESTION = changed(octets => {
  octets[5] = 0
  octets[11] = 1
}).subarray(0, 12)

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
    title: 'RFC 6891 §6.1.1: OPT behind an opcode that is not implemented',
    query: queryOf('mixed.test.', 'SOA', { ...EDNS, opcode: 4 }),
    rcode: 4,
    ede: [21],
    question: false,
    opt: true,
  },
  {
    title: 'RFC 6891 §6.1.3: version 1 behind an opcode that is not implemented',
    query: queryOf('mixed.test.', 'SOA', { ...EDNS, opcode: 2, version: 1 }),
    rcode: 16,
    question: false,
    opt: true,
  },
  {
    title: 'RFC 6891 §6.1.1: OPT without a question',
    query: Uint8Array.from([...NO_QUESTION, ...OPT]),
    rcode: 1,
    question: false,
    opt: true,
  },
  {
    title: 'RFC 6891 §6.1.1: OPT behind two questions',
    query: Uint8Array.from([
      ...changed(octets => {
        octets[5] = 2
        octets[11] = 1
      }),
      ...base.subarray(12),
      ...OPT,
    ]),
    rcode: 1,
    question: false,
    opt: true,
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

test('RFC 6891 §6.2.3: our payload size is announced, DO is copied', t => {
  const { opt } = mixed.ask('mixed.test.', 'SOA', { udpOctets: 4096 })
  t.is(opt?.udpOctets, 1232)
  t.is(opt?.dnssecOk, true)
  t.is(mixed.ask('mixed.test.', 'SOA', { dnssecOk: false }).opt?.dnssecOk, false)
})
