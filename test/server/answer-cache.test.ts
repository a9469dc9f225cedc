/** Answers that are kept are those that would be composed: the same octets, the same counts, never another version's. */

import test from 'ava'
import fc from 'fast-check'
import { AnswerCache, SEEN_OCTETS } from '../../server/answer-cache.ts'
import { createAnswerer, TRANSPORT_TCP, TRANSPORT_UDP } from '../../server/index.ts'
import { Query, readQuery } from '../../server/query.ts'
import { nameToText, StoreReader } from '../../zones/index.ts'
import { queryOf } from '../support/message.ts'
import { mixedText } from '../support/peer-zones.ts'
import { commitZones, parseRecords, storeOf, type TestRecord, withSignatures } from '../support/zone.ts'

const SEED = 20_261_123
const VERSIONS: readonly (readonly TestRecord[])[] = ['192.0.2', '198.51.100'].map(net =>
  withSignatures(parseRecords(mixedText('mixed.test.').replaceAll('192.0.2', net))),
)
const OWNERS: readonly string[] = [
  ...new Set(VERSIONS[0]!.map(({ owner }) => nameToText(owner).replace('*', 'star'))),
]

interface Asked {
  readonly query: Uint8Array
  readonly tcp: boolean
}

const anyName = fc.oneof(
  fc.constantFrom(...OWNERS),
  fc.constantFrom(...OWNERS).map(owner => `no.${owner}`),
  fc.constantFrom(...OWNERS).map(owner => owner.toUpperCase()),
  fc.constant('www.elsewhere.test.'),
)
const anyAsked: fc.Arbitrary<Asked> = fc
  .tuple(
    anyName,
    fc.constantFrom('A', 'MX', 'DS', 'ANY', 'NS', 'TXT', 'AXFR', 'IXFR', 'RRSIG'),
    fc.constantFrom<number | undefined>(undefined, 512, 1232, 4096),
    fc.boolean(),
    fc.boolean(),
    fc.nat(65_535),
  )
  .map(([name, type, udpOctets, dnssecOk, tcp, id]) => {
    const query = queryOf(name, type, { id, ...(udpOctets === undefined ? {} : { udpOctets, dnssecOk }) })
    // RD, AD and CD as the id has them.
    query[2]! |= id & 1
    query[3]! |= id & 0x30
    return { query, tcp }
  })

test('I1: with a cache and without, a session of queries and new versions gets the same octets and counts', async t => {
  const store = await storeOf(VERSIONS[0]!)
  const plain = createAnswerer(new StoreReader(store.handle))
  const cached = createAnswerer(new StoreReader(store.handle), { seen: newSeen() })
  const [one, other] = [new Uint8Array(65_535), new Uint8Array(65_535)]
  const same = ({ query, tcp }: Asked): boolean => {
    const transport = tcp ? TRANSPORT_TCP : TRANSPORT_UDP
    const lengths = [plain, cached].map((answerer, index) => {
      answerer.begin()
      const length = answerer.answer(query, query.length, transport, index === 0 ? one : other)
      answerer.end()
      return length
    })
    const octets = Math.max(0, lengths[0]!)
    return (
      lengths[0] === lengths[1] && Buffer.compare(one.subarray(0, octets), other.subarray(0, octets)) === 0
    )
  }
  // Few questions, each asked often, in an order and with ids of its own.
  const session = fc
    .array(anyAsked, { minLength: 1, maxLength: 12 })
    .chain(some => fc.array(fc.constantFrom(...some), { maxLength: 60 }))
  for (let round = 0; round < 4; round++) {
    fc.assert(
      fc.property(session, asked => asked.every(same)),
      { seed: SEED + round, numRuns: 150 },
    )
    t.deepEqual([...cached.counters], [...plain.counters])
    await commitZones(store, VERSIONS[(round + 1) % VERSIONS.length]!)
  }
})

function newSeen(): SharedArrayBuffer {
  return new SharedArrayBuffer(SEEN_OCTETS)
}

/** A cache by itself: a question stands for its response. */
class Bench {
  readonly query = new Query()
  readonly out = new Uint8Array(1472)
  readonly cache: AnswerCache

  constructor(ringOctets?: number, seen: SharedArrayBuffer = newSeen()) {
    this.cache = new AnswerCache(seen, ringOctets)
  }

  ask(name: string, octetsMax = 1232): Uint8Array | undefined {
    const octets = queryOf(name, 'A', { udpOctets: octetsMax })
    readQuery(this.query, octets, octets.length)
    const length = this.cache.answer(this.query, octetsMax, this.out)
    return length === 0 ? undefined : this.out.slice(0, length)
  }

  /** A response to the query asked for last: its question and some octets of `fill`. */
  keep(fill: number, octets = 300): void {
    this.out.fill(fill)
    this.out.set(this.query.octets.subarray(0, this.query.questionEnd))
    this.cache.keep(this.query, this.out, octets, fill)
  }
}

test('I3: what is asked once is not kept, what is asked again is', t => {
  const bench = new Bench()
  bench.cache.use(1)
  for (let time = 1; time <= 2; time++) {
    t.is(bench.ask('a.test.'), undefined)
    bench.keep(7)
  }
  t.is(bench.ask('a.test.')?.at(-1), 7)
  t.is(bench.cache.kinds, 7)
  t.is(bench.ask('b.test.'), undefined)
  t.is(bench.ask('A.test.'), undefined, 'the spelling is echoed, so it counts')
  t.is(bench.ask('a.test.', 512), undefined)
})

test('I3: what one thread was asked once, another keeps the first time', t => {
  const seen = newSeen()
  const [one, other] = [new Bench(undefined, seen), new Bench(undefined, seen)]
  for (const bench of [one, other]) {
    bench.cache.use(1)
    t.is(bench.ask('a.test.'), undefined)
    bench.keep(7)
  }
  t.is(one.ask('a.test.'), undefined)
  t.is(other.ask('a.test.')?.at(-1), 7)
})

test('I3: the block of questions empties itself, and goes on', t => {
  const seen = newSeen()
  const bench = new Bench(1 << 14, seen)
  bench.cache.use(1)
  for (let index = 0; index < 300_000; index++) {
    bench.ask(`${index}.test.`)
    bench.keep(1)
  }
  const set = new Int32Array(seen).at(-1)!
  t.true(set > 0 && set <= 1 << 18, `${set} are noted`)
})

test('I2: an entry is of its version only, however many there were', t => {
  const bench = new Bench(1 << 16)
  for (let version = 1; version <= 5000; version++) {
    bench.cache.use(version)
    for (const name of ['a.test.', 'b.test.']) {
      for (let time = 0; time < 2; time++) {
        const known = bench.ask(name)
        if (known === undefined) bench.keep(version & 255)
        else if (known.at(-1) !== (version & 255))
          return t.fail(`version ${version} shows another one's answer`)
      }
    }
  }
  t.is(bench.ask('a.test.')?.at(-1), 5000 & 255)
})

test('I2: a ring that comes round gives what was kept for the question, or nothing', t => {
  const bench = new Bench(1 << 14)
  bench.cache.use(1)
  let given = 0
  fc.assert(
    fc.property(fc.nat(60), fc.integer({ min: 40, max: 1400 }), (index, octets) => {
      const known = bench.ask(`${index}.test.`)
      if (known === undefined) bench.keep(index, octets)
      else given++
      return known === undefined || (known.at(-1) === index && bench.cache.kinds === index)
    }),
    { seed: SEED, numRuns: 20_000 },
  )
  t.true(given > 1000)
})

test('the last octet of a buffer as long as the answer is enough', t => {
  const bench = new Bench()
  bench.cache.use(1)
  for (let time = 0; time < 2; time++) {
    bench.ask('a.test.')
    bench.keep(9, 77)
  }
  bench.ask('a.test.')
  const exact = new Uint8Array(77)
  t.is(bench.cache.answer(bench.query, 1232, exact), 77)
  t.is(exact[76], 9)
})
