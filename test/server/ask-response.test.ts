/** Reading responses of strangers: the right ones as other code reads them, the wrong ones without harm. */
import test from 'ava'
import fc from 'fast-check'
import { readResponse, recordsOf } from '../../server/ask-response.ts'
import { nameFromText, nameToText, rdataToText, TYPE, typeToText } from '../../zones/index.ts'
import { askerOf } from '../support/ask.ts'
import { recordOf, responseTo } from '../support/fake-server.ts'
import { queryOf, readMessage } from '../support/message.ts'
import { mixedText } from '../support/peer-zones.ts'
import { storeOf } from '../support/zone.ts'

const mixed = askerOf(await storeOf(mixedText('mixed.test.')))
const QUERY = queryOf('zone.test.', 'NS')
const NAMES = ['mixed.test.', 'www.mixed.test.', 'nowhere.mixed.test.', 'a.wild.mixed.test.', 'other.test.']
const TYPES = ['SOA', 'NS', 'A', 'MX', 'TXT', 'DS', 'CNAME', 'SRV']
const responses = NAMES.flatMap(name =>
  TYPES.map(type => mixed.send(queryOf(name, type, { udpOctets: 1232, dnssecOk: true }), true)),
)

test('records are read as by the reader of the tests', t => {
  for (const octets of responses) {
    const expected = readMessage(octets)
    const response = readResponse(octets)!
    t.is(response.rcode, expected.rcode)
    t.is(response.authoritative, expected.authoritative)
    for (const section of ['answer', 'authority'] as const) {
      const lines = response[section].map(
        ({ owner, ttl, type, rdata }) =>
          `${nameToText(owner)} ${ttl} ${typeToText(type)} ${rdataToText(type, rdata)}`,
      )
      t.deepEqual(lines, expected[section])
    }
  }
})

test('octets that are changed, cut or random are read or malformed, never an exception', t => {
  const change = fc.record({
    octets: fc.constantFrom(...responses),
    changes: fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { maxLength: 8 }),
    length: fc.nat(1200),
  })
  fc.assert(
    fc.property(change, ({ octets, changes, length }) => {
      const copy = octets.slice(0, length)
      for (const [at, value] of changes) if (at < copy.length) copy[at] = value
      readResponse(copy)
    }),
    { seed: 20_261_123, numRuns: 3000 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), octets => void readResponse(octets)),
    { seed: 20_261_124, numRuns: 1000 },
  )
  t.pass()
})

test('RFC 1035 §4.1.4: a pointer must point back, to a label behind the header', t => {
  const owner = (high: number, low: number): Uint8Array =>
    responseTo(QUERY, { answer: [[high, low, ...recordOf(TYPE.A, 1, [1, 2, 3, 4]).slice(2)]] })
  const start = responseTo(QUERY).length
  t.is(nameToText(readResponse(owner(0xc0, 12))!.answer[0]!.owner), 'zone.test.')
  t.is(nameToText(readResponse(owner(0xc0, 17))!.answer[0]!.owner), 'test.')
  t.is(readResponse(owner(0xc0, start)), undefined, 'to itself')
  t.is(readResponse(owner(0xc0, start + 4)), undefined, 'forward')
  t.is(readResponse(owner(0xc0, 2)), undefined, 'into the header')
  t.is(readResponse(owner(0x80, 12)), undefined, 'another kind of label')
})

test('a chain of pointers ends somewhere', t => {
  // The RDATA of a NULL record holds the chain: each pointer leads to the one before it, the first to the question.
  const chain = (pointers: number): Uint8Array => {
    const start = responseTo(QUERY).length + 13
    const octets = Array.from({ length: pointers - 1 }, (_, at) => {
      const to = at === 0 ? 12 : start + 2 * (at - 1)
      return [0xc0 | (to >>> 8), to & 255]
    }).flat()
    const last = start + octets.length - 2
    const owner = [0xc0 | (last >>> 8), last & 255]
    const fixed = recordOf(TYPE.A, 1, [1, 2, 3, 4]).slice(2)
    return responseTo(QUERY, { answer: [recordOf(TYPE.NULL, 1, [0, ...octets]), [...owner, ...fixed]] })
  }
  t.is(nameToText(readResponse(chain(127))!.answer[1]!.owner), 'zone.test.')
  t.is(readResponse(chain(128)), undefined)
})

test('RFC 1035 §2.3.4: a name of more than 255 octets is malformed, however it is put together', t => {
  const label = [63, ...new Array<number>(63).fill(0x61)]
  const fixed = recordOf(TYPE.A, 1, [1, 2, 3, 4]).slice(2)
  const named = (labels: number): Uint8Array =>
    responseTo(QUERY, { answer: [[...new Array(labels).fill(label).flat(), 0xc0, 12, ...fixed]] })
  t.is(readResponse(named(3))!.answer[0]!.owner.length, 3 * 64 + 11)
  t.is(readResponse(named(4)), undefined)
})

test('names in RDATA are uncompressed, and lie inside it', t => {
  const ns = (...rdata: number[]): Uint8Array => responseTo(QUERY, { answer: [recordOf(TYPE.NS, 1, rdata)] })
  const zone = nameFromText('zone.test.')
  const [record] = recordsOf(readResponse(ns(1, 0x61, 0xc0, 12))!.answer, zone, TYPE.NS)
  t.is(nameToText(record!.rdata), 'a.zone.test.')
  t.is(readResponse(ns(1, 0x61, 0xc0, 12, 0)), undefined, 'something follows')
  t.is(readResponse(ns(1, 0x61, 0xc0)), undefined, 'half a pointer')
  t.is(readResponse(ns()), undefined, 'nothing')
  t.is(
    readResponse(responseTo(QUERY, { answer: [recordOf(TYPE.DS, 1, [0, 1, 13])] })),
    undefined,
    'half a DS',
  )
})

test('a header that promises what is not there costs nothing', t => {
  const response = responseTo(QUERY)
  response.fill(255, 6, 12)
  t.is(readResponse(response), undefined)
  const twoQuestions = responseTo(QUERY)
  twoQuestions[5] = 2
  t.is(readResponse(twoQuestions), undefined)
})

test('RFC 6891 §6.1.3: the RCODE has its upper bits in the OPT record', t => {
  const response = Uint8Array.from([...responseTo(QUERY), 0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0])
  response[11] = 1
  t.is(readResponse(response)!.rcode, 16)
})

test('RFC 8767 §4: a TTL with its highest bit set is a large one', t => {
  const response = responseTo(QUERY, { answer: [recordOf(TYPE.A, 0xffffffff, [1, 2, 3, 4])] })
  t.is(readResponse(response)!.answer[0]!.ttl, 0x7fffffff)
})

test('records of another class are not the zone’s', t => {
  const record = recordOf(TYPE.A, 1, [1, 2, 3, 4])
  record[5] = 3
  const { answer } = readResponse(responseTo(QUERY, { answer: [record] }))!
  t.is(answer.length, 1)
  t.deepEqual(recordsOf(answer, nameFromText('zone.test.'), TYPE.A), [])
})
