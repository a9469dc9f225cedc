/** WebAssembly and JavaScript write the same. */
import test from 'ava'
import fc from 'fast-check'
import { OVERRUN_OCTETS, type OwnerMemory, ownerMemory, plainMemory } from '../../signer/owner-memory.ts'
import { RECORD_HEADER_OCTETS } from '../../zones/index.ts'

const OCTETS = 1 << 20
const FROM = 1000
const TO = 1 << 19
const SEED = 8976
const BEHIND = 8
/** Of a record without RDATA, and with an owner of one octet. */
const RECORD_OCTETS = 11

function recordOf(rdataOctets: number, fill: number): number[] {
  return [0xc0, 12, ...Array.from({ length: 8 }, (_, at) => fill + at), ...u16Octets(rdataOctets)].concat(
    Array.from({ length: rdataOctets }, (_, at) => (fill * 7 + at) & 255),
  )
}

/** As in a node, with these records and signatures. */
function rrsetOf(records: readonly number[], signatures: readonly number[]): number[] {
  return [0, 1, 2, 3, 4, 5, ...u16Octets(records.length), ...u16Octets(signatures.length)]
    .concat(records)
    .concat(signatures)
}

function u16Octets(number: number): number[] {
  return [number >> 8, number & 255]
}

/** What is at `to`, and some octets behind those `overrun` that may be anything. */
function owned(
  { octets, own }: OwnerMemory,
  overrun: number,
  owner: Uint8Array,
  rrsets: readonly number[],
  to: number,
  signatures: 0 | 1,
): Uint8Array {
  octets.fill(0xee, to)
  octets.set(owner, 3)
  octets.set(rrsets, FROM)
  const end = own(to, 3, owner.length, FROM, FROM + rrsets.length, signatures)
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
  const record = fc
    .tuple(
      fc.oneof(
        { arbitrary: fc.nat(300), weight: 20 },
        fc.constantFrom(0, 255, 256, 65_535 - RECORD_HEADER_OCTETS),
      ),
      fc.nat(240),
    )
    .map(([rdataOctets, fill]) => recordOf(rdataOctets, fill))
  const records = fc.array(record, { maxLength: 3 }).filter(all => all.flat().length <= 65_535)
  const property = fc.property(
    fc.uint8Array({ minLength: 1, maxLength: 255 }),
    fc.array(fc.tuple(records, records), { minLength: 1, maxLength: 3 }),
    fc.nat(8),
    fc.constantFrom<0 | 1>(0, 1),
    (owner, shapes, shift, signatures) => {
      const rrsets = shapes.flatMap(pair => rrsetOf(pair[0].flat(), pair[1].flat()))
      const wanted = [
        ...shapes.flatMap(pair => pair[signatures]).map(one => [...owner, ...one.slice(2)]),
        Array<number>(OVERRUN_OCTETS + BEHIND).fill(0xee),
      ].flat()
      for (const [way, overrun] of ways) {
        t.true(Buffer.from(wanted).equals(owned(way, overrun, owner, rrsets, TO + shift, signatures)))
      }
    },
  )
  fc.assert(property, { seed: SEED, numRuns: 200 })
})

test('I3: there is room for that behind the last octet', t => {
  const { octets, own } = ownerMemory(1 << 16)
  const rrset = rrsetOf(recordOf(0, 1), [])
  octets.set(rrset, FROM)
  const to = (1 << 16) - RECORD_OCTETS
  t.is(own(to, 3, 1, FROM, FROM + rrset.length, 0), 1 << 16)
})
