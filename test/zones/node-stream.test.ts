import test from 'ava'
import fc from 'fast-check'
import { nameFromText, rdataFromText, SOURCE_FILE, TYPE } from '../../zones/index.ts'
import { NodeStream } from '../../zones/node-stream.ts'
import { OwnerRecords } from '../../zones/owner-records.ts'

const RUNS = { seed: 20261123, numRuns: 500 }
const APEX = nameFromText('example.')
const OWNER = nameFromText('Host.example.')
const LABELS_OCTETS = 5

/** Few values, so that records are next to each other, equal, out of order, and signed or not. */
const record = fc.tuple(
  fc.constantFrom(
    `A 192.0.2.${1}`,
    `A 192.0.2.${2}`,
    'A 192.0.2.3',
    'NS a',
    'NS B',
    'TXT x',
    'TXT xy',
    `RRSIG A 13 2 60 20300101000000 20200101000000 1 @ AAAA`,
    `RRSIG A 13 2 60 20300101000000 20200101000000 2 @ AAAA`,
    `RRSIG TXT 13 2 60 20300101000000 20200101000000 1 @ AAAA`,
    'SOA a b 1 2 3 4 5',
    'SOA a b 2 2 3 4 5',
  ),
  fc.constantFrom(60, 60, 60, 300),
)

function parse(text: string): { type: number; rdata: Uint8Array } {
  const [mnemonic = '', ...rest] = text.split(' ')
  const type = TYPE[mnemonic as keyof typeof TYPE]
  return { type, rdata: rdataFromText(type, rest.join(' '), APEX) }
}

test('I1: what it takes is written as it would be if it had been collected and sorted, and nothing is to be said of it', t => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 8 }), fc.boolean(), (records, spelled) => {
      const octets = new Uint8Array(4096)
      const stream = new NodeStream()
      const collected = new OwnerRecords()
      const spelling = spelled ? LABELS_OCTETS : 0
      stream.begin(octets, 7, SOURCE_FILE, OWNER, spelling)
      let taken = 0
      for (const [text, ttl] of records) {
        const { type, rdata } = parse(text)
        const at = stream.rdataAt(type)
        octets.set(rdata, at)
        if (!stream.add(type, ttl, at + rdata.length, 100 + taken)) break
        collected.add(type, ttl, rdata, 0, rdata.length, 100 + taken)
        taken++
      }
      t.is(stream.count, taken)
      collected.sort()
      const out = new Uint8Array(collected.nodeOctetsMax)
      const report = (rule: string): void => t.fail(rule)
      const end = collected.write(0, taken, SOURCE_FILE, OWNER, spelling, report, out, 0)
      t.deepEqual(octets.slice(7, stream.end), out.slice(0, end))
      t.deepEqual(stream.places.slice(0, taken), collected.placesOf(0, taken))
    }),
    RUNS,
  )
})

test('records in order are all taken, two that are not in order among them', t => {
  const octets = new Uint8Array(4096)
  const stream = new NodeStream()
  stream.begin(octets, 0, SOURCE_FILE, OWNER, 0)
  const texts = ['NS b', 'NS a', 'TXT x', 'RRSIG TXT 13 2 60 20300101000000 20200101000000 1 @ AAAA']
  for (const text of texts) {
    const { type, rdata } = parse(text)
    const at = stream.rdataAt(type)
    octets.set(rdata, at)
    t.true(stream.add(type, 60, at + rdata.length, 1), text)
  }
})
