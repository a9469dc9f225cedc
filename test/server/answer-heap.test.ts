/** The answer path makes no object: the heap is as full after thousands of answers as before. */
import { getHeapStatistics } from 'node:v8'
import test from 'ava'
import { SEEN_OCTETS } from '../../server/answer-cache.ts'
import { type Answerer, COUNTER_NAMES, createAnswerer, TRANSPORT_UDP } from '../../server/index.ts'
import { StoreReader } from '../../zones/index.ts'
import { queryOf } from '../support/message.ts'
import { mixedText } from '../support/peer-zones.ts'
import { signedStoreOf } from '../support/zone.ts'

/** Positive, NXDOMAIN, NODATA, referral, wildcard, CNAME, DNAME, refused. */
const QUESTIONS: readonly (readonly [string, string])[] = [
  ['www.plain.test.', 'A'],
  ['nothing.plain.test.', 'A'],
  ['www.plain.test.', 'LOC'],
  ['a.cut.plain.test.', 'A'],
  ['q.wild.plain.test.', 'A'],
  ['alias.plain.test.', 'A'],
  ['x.dname.plain.test.', 'A'],
  ['www.elsewhere.test.', 'A'],
]
const ANSWERS = 20_000
/** V8 compiles during the first rounds. */
const ROUNDS = 30
/** The smallest object of V8 has 12 octets, or 16. What is less over thousands of answers is V8's own. */
const OCTETS_AN_ANSWER_MAX = 1

const queries = QUESTIONS.flatMap(([name, type]) =>
  [true, false].map(dnssecOk => queryOf(name, type, { udpOctets: 1232, dnssecOk })),
)
const out = new Uint8Array(1400)

for (const denial of ['nsec', 'nsec3'] as const) {
  for (const kept of [false, true]) {
    const title = `${kept ? 'kept' : 'composed'} answers of a zone with ${denial.toUpperCase()} take nothing from the heap`
    test.serial(title, async t => {
      const reader = new StoreReader((await signedStoreOf(mixedText('plain.test.'), denial)).handle)
      const answerer = createAnswerer(reader, kept ? { seen: new SharedArrayBuffer(SEEN_OCTETS) } : {})
      t.teardown(() => answerer.close())
      const taken = Array.from({ length: ROUNDS }, () => octetsAnAnswer(answerer))
      t.is(answerer.counters[COUNTER_NAMES.indexOf('bugs')], 0)
      const last = taken.slice(-ROUNDS / 2)
      // In a round or two V8 may collect, or compile.
      const none = last.filter(octets => octets >= 0 && octets < OCTETS_AN_ANSWER_MAX)
      t.true(none.length > last.length / 2, taken.map(octets => octets.toFixed(2)).join(' '))
    })
  }
}

/** What the heap has more of after thousands of answers, by answer. */
function octetsAnAnswer(answerer: Answerer): number {
  const before = getHeapStatistics().used_heap_size
  for (let left = ANSWERS; left > 0; ) {
    answerer.begin()
    for (let index = 0; index < queries.length; index++, left--) {
      const query = queries[index]!
      answerer.answer(query, query.length, TRANSPORT_UDP, out)
    }
    answerer.end()
  }
  return (getHeapStatistics().used_heap_size - before) / ANSWERS
}
