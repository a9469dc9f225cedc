/** Random RDATA for property tests: right wire form of every type, made from the rows of zones/rdata-table.ts. */

import fc from 'fast-check'
import { encodeTypes } from '../../zones/index.ts'
import { DIGEST_OCTETS } from '../../zones/rdata-check.ts'
import { type Field, type FieldKind, rdataFields } from '../../zones/rdata-table.ts'

/** Octets of a field, which may depend on those in front of it. */
type Piece = (before: readonly number[]) => readonly number[]

const octets = (min: number, max: number): fc.Arbitrary<number[]> =>
  fc.array(fc.nat(255), { minLength: min, maxLength: max })
const fixed = (length: number): fc.Arbitrary<number[]> => octets(length, length)
const string = octets(0, 40).map(text => [text.length, ...text])
const name = fc
  .array(octets(1, 12), { maxLength: 5 })
  .map(labels => [...labels.flatMap(label => [label.length, ...label]), 0])
const alphanumeric = fc.constantFrom(...new TextEncoder().encode('azAZ09'))
const types = fc.array(fc.nat(65535), { minLength: 1, maxLength: 8 }).map(list => [...encodeTypes(list)])

const digest = (kind: keyof typeof DIGEST_OCTETS): fc.Arbitrary<Piece> =>
  octets(64, 64).map(digits => before => digits.slice(0, DIGEST_OCTETS[kind].get(before.at(-1)!) ?? 64))

const host = fc.record({ ipv4: fixed(4), ipv6: fixed(16), name })
const hostOf = (type: number, hosts: { ipv4: number[]; ipv6: number[]; name: number[] }): readonly number[] =>
  [[], hosts.ipv4, hosts.ipv6, hosts.name][type]!

const aplItem = fc
  .record({ v6: fc.boolean(), negated: fc.boolean(), prefix: fc.nat(32), address: octets(0, 4) })
  .map(({ v6, negated, prefix, address }) => {
    while (address.at(-1) === 0) address.pop()
    return [0, v6 ? 2 : 1, prefix, (negated ? 128 : 0) | address.length, ...address]
  })

const u16Of = (value: number): number[] => [value >> 8, value & 255]
const svcValues: fc.Arbitrary<[number, number[]][]> = fc
  .tuple(
    fc
      .array(octets(1, 9), { minLength: 1, maxLength: 4 })
      .map(list => list.flatMap(id => [id.length, ...id])),
    fixed(2),
    octets(1, 20),
    fc.array(fixed(4), { minLength: 1, maxLength: 3 }).map(list => list.flat()),
    fc.array(fixed(16), { minLength: 1, maxLength: 3 }).map(list => list.flat()),
    octets(0, 30),
    fc.integer({ min: 10, max: 65534 }),
  )
  .map(([alpn, port, blob, v4, v6, unknown, key]) => [
    [1, alpn],
    [2, []],
    [3, port],
    [4, v4],
    [5, blob],
    [6, v6],
    [7, [...new TextEncoder().encode('/q{?dns}')]],
    [8, []],
    [9, port],
    [key, unknown],
  ])
const svcParameters = fc
  .tuple(svcValues, fc.array(fc.boolean(), { minLength: 10, maxLength: 10 }), fc.boolean())
  .map(([values, kept, withMandatory]) => {
    const chosen = values.filter((_, index) => kept[index])
    const all: [number, number[]][] =
      withMandatory && chosen.length > 0 ? [[0, chosen.flatMap(([key]) => u16Of(key))], ...chosen] : chosen
    return all.flatMap(([key, value]) => [...u16Of(key), ...u16Of(value.length), ...value])
  })

const precision = fc
  .tuple(fc.integer({ min: 1, max: 9 }), fc.nat(9))
  .map(([mantissa, power]) => (mantissa << 4) | power)
const angle = (degrees: number): fc.Arbitrary<number[]> =>
  fc.integer({ min: 2 ** 31 - degrees * 3_600_000, max: 2 ** 31 + degrees * 3_600_000 }).map(value => {
    const wire = Buffer.alloc(4)
    wire.writeUInt32BE(value)
    return [...wire]
  })
const loc = fc
  .tuple(fc.array(precision, { minLength: 3, maxLength: 3 }), angle(90), angle(180), fixed(4))
  .map(([sizes, latitude, longitude, altitude]) => [0, ...sizes, ...latitude, ...longitude, ...altitude])

const hip = fc
  .record({
    hit: octets(1, 20),
    key: octets(1, 40),
    algorithm: fc.nat(255),
    servers: fc.array(name, { maxLength: 2 }),
  })
  .map(({ hit, key, algorithm, servers }) => [
    hit.length,
    algorithm,
    ...u16Of(key.length),
    ...hit,
    ...key,
    ...servers.flat(),
  ])

const always = (plain: fc.Arbitrary<number[]>): fc.Arbitrary<Piece> => plain.map(list => () => list)

const PIECES: { readonly [kind in FieldKind]: fc.Arbitrary<Piece> } = {
  u8: always(fixed(1)),
  u16: always(fixed(2)),
  u32: always(fixed(4)),
  ttl: always(fixed(4)),
  time: always(fixed(4)),
  type: always(fixed(2)),
  algorithm: always(fixed(1)),
  certificate: always(fixed(2)),
  scheme: always(fixed(1)),
  ipv4: always(fixed(4)),
  ipv6: always(fc.oneof(fixed(16), fc.array(fc.constantFrom(0, 0, 255), { minLength: 16, maxLength: 16 }))),
  eui48: always(fixed(6)),
  eui64: always(fixed(8)),
  locator: always(fixed(8)),
  'compressed-name': always(name),
  name: always(name),
  'cased-name': always(name),
  string: always(string),
  'string?': always(fc.oneof(string, fc.constant<number[]>([]))),
  strings: always(fc.array(string, { minLength: 1, maxLength: 4 }).map(list => list.flat())),
  tag: always(fc.array(alphanumeric, { minLength: 1, maxLength: 15 }).map(list => [list.length, ...list])),
  text: always(octets(0, 60)),
  'text+': always(octets(1, 60)),
  base64: always(octets(1, 60)),
  'base64?': always(octets(0, 60)),
  hex: always(octets(1, 60)),
  'ds-digest': digest('ds-digest'),
  fingerprint: digest('fingerprint'),
  'zone-digest': digest('zone-digest'),
  salt: always(string),
  hash: always(octets(1, 39).map(list => [list.length, ...list])),
  types: always(types),
  'types?': always(fc.oneof(types, fc.constant<number[]>([]))),
  'nxt-types': always(octets(1, 15).map(list => [list[0]! & 0x7f, ...list.slice(1), 1])),
  nsap: always(octets(1, 20)),
  loc: always(loc),
  'apl?': always(fc.array(aplItem, { maxLength: 4 }).map(list => list.flat())),
  gateway: host.map(hosts => before => hostOf(before.at(-2)!, hosts)),
  relay: fc.tuple(fc.boolean(), fc.nat(3), host).map(([optional, type, hosts]) => () => [
    (optional ? 128 : 0) | type,
    ...hostOf(type, hosts),
  ]),
  hip: always(hip),
  'svcparams?': always(svcParameters),
}

function pieceOf(field: Field): fc.Arbitrary<Piece> {
  return field.label === 'gatewayType' ? fc.nat(3).map(type => () => [type]) : PIECES[field.kind]
}

/** Right RDATA of a type that has a row, in wire form. */
export function rdataOf(type: number): fc.Arbitrary<Uint8Array> {
  return fc.tuple(...rdataFields.get(type)!.map(pieceOf)).map(pieces => {
    const wire: number[] = []
    for (const piece of pieces) wire.push(...piece(wire))
    return Uint8Array.from(wire)
  })
}
