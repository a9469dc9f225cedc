import test from 'ava'
import {
  decodeZoneRecord,
  encodeZoneRecord,
  nameFromText,
  type ZoneRecord,
  zoneApexAt,
  zoneApexLength,
  zoneNamesRoot,
  zoneSaltAt,
  zoneSaltLength,
  zoneSerial,
} from '../../zones/index.ts'

const zone: ZoneRecord = {
  namesRoot: 4_000_000_001,
  nsec3Root: 7,
  serial: 4_294_967_295,
  sourceSerial: 2025,
  denial: 3,
  signed: true,
  nsec3: { iterations: 2500, salt: new Uint8Array(255).fill(0xaa) },
  names: 1_000_000,
  records: 3_000_000,
  apex: nameFromText('Sub.Example.'),
}

test('a zone record survives its octets, at any offset', t => {
  const octets = encodeZoneRecord(zone)
  t.deepEqual(decodeZoneRecord(octets), zone)
  const moved = new Uint8Array(octets.length + 9)
  moved.set(octets, 9)
  t.deepEqual(decodeZoneRecord(moved, 9), zone)
  const none: ZoneRecord = {
    ...zone,
    denial: 0,
    signed: false,
    nsec3: { iterations: 0, salt: new Uint8Array(0) },
  }
  t.deepEqual(decodeZoneRecord(encodeZoneRecord(none)), none)
})

test('a zone record is read in place', t => {
  const octets = encodeZoneRecord(zone)
  t.is(zoneNamesRoot(octets, 0), zone.namesRoot)
  t.is(zoneSerial(octets, 0), zone.serial)
  t.is(zoneSaltLength(octets, 0), 255)
  t.is(octets[zoneSaltAt(0)], 0xaa)
  t.is(zoneApexAt(octets, 0) + zoneApexLength(octets, 0), octets.length)
})
