import test from 'ava'
import fc from 'fast-check'
import { atOnce } from '../../base/index.ts'
import { ContentBuilder } from '../../zones/content-builder.ts'
import {
  compareOctets,
  decodeNode,
  FaultList,
  nameFromText,
  rdataFromText,
  SOURCE_FILE,
  Store,
  TYPE,
  typeFromText,
} from '../../zones/index.ts'
import { OwnerRecords } from '../../zones/owner-records.ts'
import { PLACE_OCTETS, WaitingOwners } from '../../zones/waiting-owners.ts'

const RUNS = { seed: 20261123, numRuns: 200 }

/** Keys of few different octets and lengths, so that they share prefixes and repeat: labels, each ended by 00. */
const key = fc
  .array(fc.array(fc.constantFrom(0x2a, 0x61, 0x62, 0xff), { minLength: 1, maxLength: 9 }), { maxLength: 3 })
  .map(labels => Uint8Array.from(labels.flatMap(label => [...label, 0])))

function hold(waiting: WaitingOwners, records: OwnerRecords, key: Uint8Array, anew: boolean): void {
  const { count } = records
  records.sort()
  waiting.open(records.nodeOctetsMax + count * PLACE_OCTETS)
  waiting.octets.set(key, waiting.keyStart)
  waiting.keyEnd = waiting.keyStart + key.length
  const end = records.write(0, count, SOURCE_FILE, key, 0, () => {}, waiting.octets, waiting.keyEnd)
  waiting.close(end, count, records.placesOf(0, count), anew)
  records.clear()
}

function wait(keys: readonly Uint8Array[]): WaitingOwners {
  const waiting = new WaitingOwners()
  const records = new OwnerRecords()
  keys.forEach((one, index) => {
    const rdata = Uint8Array.of(index >>> 8, index)
    records.add(TYPE.TXT, 60, rdata, 0, rdata.length, 2 ** 33 + index)
    hold(waiting, records, one, index % 2 === 0)
  })
  atOnce(waiting.sort())
  return waiting
}

test('I1: owners come out in canonical order, equal ones as they came, with what they were given', t => {
  fc.assert(
    fc.property(fc.array(key, { maxLength: 120 }), keys => {
      const waiting = wait(keys)
      const expected = keys.map((_, index) => index)
      expected.sort((a, b) => compareOctets(keys[a]!, keys[b]!) || a - b)
      t.is(waiting.count, keys.length)
      expected.forEach((index, rank) => {
        waiting.load(rank)
        const { octets, keyStart, keyEnd, nodeEnd } = waiting
        t.deepEqual(octets.slice(keyStart, keyEnd), keys[index]!)
        const node = decodeNode(octets.slice(keyEnd, nodeEnd))
        t.deepEqual(node.rrsets[0]?.rdata, [Uint8Array.of(index >>> 8, index)])
        t.is(waiting.anew, index % 2 === 0)
        t.is(waiting.records, 1)
        t.is(waiting.placeOf(0), 2 ** 33 + index)
        const next = rank + 1 === keys.length ? undefined : keys[expected[rank + 1]!]!
        t.is(waiting.isSameNext(rank), next !== undefined && compareOctets(next, keys[index]!) === 0)
      })
    }),
    RUNS,
  )
})

test('I1: owners whose keys end where four octets do stay together when names below them come in between', t => {
  for (const label of ['abc', 'abcdefg']) {
    const keys = ['', 'x\0', '', 'a\0', ''].map(below => Buffer.from(`${label}\0${below}`))
    // Many are sorted another way than few.
    const many = Array.from({ length: 20 }, () => keys).flat()
    for (const some of [keys, many]) {
      const waiting = wait(some)
      const found = some.map((_, rank) => {
        waiting.load(rank)
        return Buffer.from(waiting.octets.slice(waiting.keyStart, waiting.keyEnd)).toString()
      })
      t.deepEqual(found, [...found].sort())
    }
  }
})

test('many records of an owner; nothing is left when it is cleared', t => {
  const waiting = new WaitingOwners()
  const records = new OwnerRecords()
  for (const [name, count] of [
    ['b', 30],
    ['a', 10],
    ['c', 1],
  ] as const) {
    for (let index = 0; index < count; index++) {
      const rdata = new Uint8Array(60_000).fill(index)
      records.add(TYPE.TXT, 60, rdata, 0, rdata.length, index)
    }
    hold(waiting, records, new TextEncoder().encode(`${name}\0`), true)
  }
  atOnce(waiting.sort())
  const counts = [0, 1, 2].map(rank => {
    waiting.load(rank)
    return waiting.records
  })
  t.deepEqual(counts, [10, 30, 1])
  waiting.clear()
  t.is(waiting.count, 0)
})

test('more than may wait at a time: those that wait go to the tree before the others', t => {
  const apex = nameFromText('example.')
  const lines = [
    '@ SOA a b 1 2 3 4 5',
    'z A 192.0.2.1',
    'b A 192.0.2.2',
    'a TXT x',
    'B A 192.0.2.3',
    'a A 192.0.2.4',
  ]
  const nodes = [1, 40, 2 ** 32].map(fullOctets => {
    const builder = new ContentBuilder(
      new Store({ octetsMax: 1 << 22 }).newTree(),
      SOURCE_FILE,
      new FaultList(),
      new WaitingOwners(fullOctets),
    )
    builder.begin(apex)
    for (const line of lines) {
      const [owner = '', type = '', ...rdata] = line.split(' ')
      const octets = rdataFromText(typeFromText(type)!, rdata.join(' '), apex)
      builder.enter(nameFromText(owner, apex))
      builder.add(typeFromText(type)!, 60, octets, 0, octets.length, 0)
    }
    const outcome = atOnce(builder.finish([], {}))
    if (outcome.kind === 'faults') throw new Error('faults')
    return ['', 'a\0', 'b\0', 'z\0'].map(text => decodeNode(outcome.content.tree.get(Buffer.from(text))!))
  })
  t.deepEqual(nodes[0], nodes[2])
  t.deepEqual(nodes[1], nodes[2])
  t.is(nodes[0]![2]!.rrsets[0]!.rdata.length, 2)
})
