/** WebAssembly and JavaScript write the same. */
import test from 'ava'
import fc from 'fast-check'
import {
  ABOVE,
  APEX_AT,
  BELOW,
  LOOK,
  OVERRUN_OCTETS,
  type OwnerMemory,
  ownerMemory,
  plainMemory,
  SIGNATURES,
} from '../../signer/owner-memory.ts'
import { hasLoweredNames, RECORD_HEADER_OCTETS, TYPE } from '../../zones/index.ts'

const OCTETS = 1 << 20
const FROM = 2000
const TO = 1 << 19
const SEED = 8976
const BEHIND = 8
/** Of a record without RDATA, and with an owner of one octet. */
const RECORD_OCTETS = 11

function recordOf(type: number, rdata: readonly number[], fill = 0): number[] {
  const ttl = Array.from({ length: 4 }, (_, at) => fill + at)
  return [0xc0, 12, ...u16Octets(type), 0, 1, ...ttl, ...u16Octets(rdata.length), ...rdata]
}

interface Shape {
  readonly type: number
  readonly records: readonly (readonly number[])[]
  readonly signatures: readonly (readonly number[])[]
}

/** As in a node. */
function rrsetOf({ type, records, signatures }: Shape): number[] {
  const lengths = [...u16Octets(records.flat().length), ...u16Octets(signatures.flat().length)]
  return [...u16Octets(type), 2, 3, 4, 5, ...lengths, ...records.flat(), ...signatures.flat()]
}

function u16Octets(number: number): number[] {
  return [number >> 8, number & 255]
}

/** What is at `to`, and some octets behind those `overrun` that may be anything. */
function owned(
  { octets, own }: OwnerMemory,
  overrun: number,
  owner: Uint8Array,
  labels: number,
  rrsets: readonly number[],
  to: number,
  wanted: number,
): Uint8Array {
  octets.fill(0xee, to)
  octets.set(owner, APEX_AT - labels)
  octets.set(rrsets, FROM)
  const end = own(to, labels, owner.length - labels, FROM, FROM + rrsets.length, wanted)
  octets.fill(0xee, end, end + overrun)
  return octets.slice(to, end + OVERRUN_OCTETS + BEHIND)
}

/** What own() returns that is to look, of a node of one record of that type. */
function lookedAt({ octets, own }: OwnerMemory, apex: Buffer, type: number, rdata: Uint8Array): number {
  const record = recordOf(type, [...rdata])
  const shape =
    type === TYPE.RRSIG ? { records: [], signatures: [record] } : { records: [record], signatures: [] }
  const rrset = rrsetOf({ type: type === TYPE.RRSIG ? TYPE.A : type, ...shape })
  octets.set(apex, APEX_AT)
  octets.set(rrset, FROM)
  return own(TO, 0, apex.length, FROM, FROM + rrset.length, BELOW | SIGNATURES | ABOVE | LOOK)
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
  const rdata = fc
    .tuple(
      fc.oneof(
        { arbitrary: fc.nat(300), weight: 20 },
        fc.constantFrom(0, 255, 256, 65_535 - RECORD_HEADER_OCTETS),
      ),
      fc.nat(240),
    )
    .map(([octets, fill]) => Array.from({ length: octets }, (_, at) => (fill * 7 + at) & 255))
  const recordsOf = (type: number): fc.Arbitrary<number[][]> =>
    fc
      .array(fc.tuple(rdata, fc.nat(240)), { maxLength: 3 })
      .map(all => all.map(([octets, fill]) => recordOf(type, octets, fill)))
      .filter(all => all.flat().length <= 65_535)
  const types = fc.constantFrom(1, TYPE.MX, TYPE.RRSIG - 1, TYPE.RRSIG + 1, 256 + TYPE.MX, 65_535)
  const shape = types.chain(type =>
    fc.record({ type: fc.constant(type), records: recordsOf(type), signatures: recordsOf(TYPE.RRSIG) }),
  )
  const property = fc.property(
    fc.uint8Array({ minLength: 1, maxLength: 255 }),
    fc.nat(254),
    fc.array(shape, { maxLength: 3 }),
    fc.nat(8),
    fc.nat(7),
    (owner, most, shapes, shift, wanted) => {
      const below = shapes.filter(({ type }) => type < TYPE.RRSIG)
      const above = shapes.filter(({ type }) => type > TYPE.RRSIG)
      const all = [
        (wanted & BELOW) === 0 ? [] : below.flatMap(({ records }) => records),
        (wanted & SIGNATURES) === 0 ? [] : shapes.flatMap(({ signatures }) => signatures),
        (wanted & ABOVE) === 0 ? [] : above.flatMap(({ records }) => records),
      ].flat()
      const labels = Math.min(most, owner.length - 1)
      const behind = Array<number>(OVERRUN_OCTETS + BEHIND).fill(0xee)
      const expected = [...all.map(one => [...owner, ...one.slice(2)]), behind].flat()
      for (const [way, overrun] of ways) {
        const found = owned(way, overrun, owner, labels, shapes.flatMap(rrsetOf), TO + shift, wanted)
        t.true(Buffer.from(expected).equals(found))
      }
    },
  )
  fc.assert(property, { seed: SEED, numRuns: 200 })
})

test('I3: there is room for that behind the last octet', t => {
  const { octets, own } = ownerMemory(1 << 16)
  const rrset = rrsetOf({ type: 1, records: [recordOf(1, [])], signatures: [] })
  octets.set(rrset, FROM)
  const to = (1 << 16) - RECORD_OCTETS
  t.is(own(to, 0, 1, FROM, FROM + rrset.length, BELOW), 1 << 16)
})

/** A name of one label and the root. */
function nameOf(label: string): Buffer {
  return Buffer.from([label.length, ...Buffer.from(label), 0])
}

test('RFC 4034 §6.2, I4: a capital anywhere in a name of RDATA is found, in every type that has such names, and in no other', t => {
  const memory = ownerMemory(OCTETS)
  const apex = nameOf('example')
  // Names where each of these types has its first; what is in front of it has no octets that are capitals.
  const front: Record<number, number[]> = {
    [TYPE.MX]: [0, 10],
    [TYPE.AFSDB]: [0, 1],
    [TYPE.RT]: [0, 1],
    [TYPE.KX]: [0, 1],
    [TYPE.PX]: [0, 1],
    [TYPE.SRV]: [0, 1, 0, 2, 1, 187],
    [TYPE.SIG]: Array(18).fill(1),
    [TYPE.NAPTR]: [0, 1, 0, 1, 1, 0x75, 0, 0],
    [TYPE.A6]: [128],
  }
  let types = 0
  for (let type = 1; type < 70; type++) {
    if (type === TYPE.RRSIG) continue
    const lowered = hasLoweredNames(type)
    for (const length of [1, 7, 8, 17]) {
      const small = nameOf('q'.repeat(length))
      for (let at = 1; at <= length; at++) {
        for (const octet of [0x40, 0x41, 0x5a, 0x5b, 0xda]) {
          const name = Buffer.from(small)
          name[at] = octet
          // SOA, MINFO, RP and PX have two names.
          const names = at % 2 === 0 ? [small, name] : [name]
          const rdata = Buffer.concat([Uint8Array.from(front[type] ?? []), ...names, Buffer.alloc(4)])
          const capital = octet === 0x41 || octet === 0x5a
          if ((lookedAt(memory, apex, type, rdata) === 0) !== (lowered && capital))
            t.fail(`${type} ${length} ${at} ${octet}`)
        }
      }
    }
    if (lowered) types++
  }
  t.is(types, 22)
  for (let type = 70; type < 65_536; type++) if (hasLoweredNames(type)) t.fail(`${type}`)
  t.is(lookedAt(plainMemory(OCTETS), apex, TYPE.A, Buffer.alloc(4)), 0)
})

test('RFC 6840 §5.1, I4: signers that are not the apex in lower case are found, and others with capitals behind them are not', t => {
  const memory = ownerMemory(OCTETS)
  const fixed = Buffer.alloc(18, 0x41)
  const signature = Buffer.alloc(64, 0x41)
  const rdataOf = (signer: Buffer): Buffer => Buffer.concat([fixed, signer, signature])
  for (const octets of [0, 1, 2, 13, 14, 15, 16, 29, 30, 31, 63]) {
    const apex = octets === 0 ? Buffer.alloc(1) : nameOf('q'.repeat(octets))
    t.true(lookedAt(memory, apex, TYPE.RRSIG, rdataOf(apex)) > TO)
    for (let at = 0; at < apex.length; at++) {
      const signer = Buffer.from(apex)
      signer[at] = signer[at]! ^ 0x20
      t.is(lookedAt(memory, apex, TYPE.RRSIG, rdataOf(signer)), 0, `${octets} ${at}`)
    }
  }
})
