/** WebAssembly and JavaScript write the same. */
import test from 'ava'
import fc from 'fast-check'
import { OVERRUN_OCTETS, type OwnerMemory, ownerMemory, plainMemory } from '../../signer/owner-memory.ts'
import { RECORD_HEADER_OCTETS } from '../../zones/index.ts'

const OCTETS = 1 << 18
const FROM = 1000
const TO = 1 << 17
const SEED = 8976
const BEHIND = 8
/** Of a record without RDATA, and with an owner of one octet. */
const RECORD_OCTETS = 11

function recordOf(rdataOctets: number, fill: number): number[] {
  return [
    0xc0,
    12,
    ...Array.from({ length: 8 }, (_, at) => fill + at),
    rdataOctets >> 8,
    rdataOctets & 255,
  ].concat(Array.from({ length: rdataOctets }, (_, at) => (fill * 7 + at) & 255))
}

/** What is at `to`, and some octets behind those `overrun` that may be anything. */
function owned(
  { octets, own }: OwnerMemory,
  overrun: number,
  owner: Uint8Array,
  records: readonly number[],
  to: number,
): Uint8Array {
  octets.fill(0xee)
  octets.set(owner, 3)
  octets.set(records, FROM)
  const end = own(to, 3, owner.length, FROM, FROM + records.length)
  octets.fill(0xee, end, end + overrun)
  return octets.slice(to, end + OVERRUN_OCTETS + BEHIND)
}

test('there is WebAssembly here, so both ways are tested', t => {
  t.is(ownerMemory(1).octets.length, 1 << 16)
  t.is(plainMemory(1).octets.length, 1)
})

test('I3: each record has the owner in place of its pointer; nothing is written far behind the last', t => {
  const ways = [
    [ownerMemory(OCTETS), OVERRUN_OCTETS],
    [plainMemory(OCTETS), 0],
  ] as const
  const record = fc.tuple(fc.oneof(fc.nat(300), fc.constantFrom(0, 255, 256, 65_535 - 12)), fc.nat(240))
  const property = fc.property(
    fc.uint8Array({ minLength: 1, maxLength: 255 }),
    fc
      .array(record, { minLength: 1, maxLength: 3 })
      .filter(all => all.reduce((sum, [n]) => sum + n, 0) < 66_000),
    fc.nat(8),
    (owner, shapes, shift) => {
      const records = shapes.map(([rdataOctets, fill]) => recordOf(rdataOctets, fill))
      const wanted = [
        ...records.flatMap(one => [...owner, ...one.slice(2)]),
        ...Array<number>(OVERRUN_OCTETS + BEHIND).fill(0xee),
      ]
      for (const [way, overrun] of ways) {
        t.true(Buffer.from(wanted).equals(owned(way, overrun, owner, records.flat(), TO + shift)))
      }
    },
  )
  fc.assert(property, { seed: SEED, numRuns: 200 })
})

test('I3: there is room for that behind the last octet', t => {
  const { octets, own } = ownerMemory(1 << 16)
  octets.set(recordOf(0, 1), FROM)
  const to = (1 << 16) - RECORD_OCTETS
  t.is(own(to, 3, 1, FROM, FROM + RECORD_HEADER_OCTETS), 1 << 16)
})
