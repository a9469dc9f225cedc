import test from 'ava'
import { encode } from 'cborg'
import { FROST_SUITES } from '../../hsm/edwards.ts'
import {
  decodeKeyRecord,
  dnskeyField,
  encodeKeyRecord,
  type QuorumKeyRecord,
  quorumKeyId,
} from '../../hsm/key-record.ts'
import { shareSafePrimes } from '../../hsm/rsa-deal.ts'
import { SAFE_PRIMES_1024 } from './safe-primes.ts'

const members = ['north', 'south', 'west']
const common = { zone: 'example.', role: 'ksk', createdUnix: 1_800_000_000, epoch: 1, members } as const
const { base } = FROST_SUITES.ed25519
const frost: QuorumKeyRecord = {
  ...common,
  algorithm: 15,
  scheme: {
    kind: 'frost',
    key: {
      suite: 'ed25519',
      threshold: 2,
      nodes: 3,
      publicKey: base.multiply(7n).toBytes(),
      verifiers: [2n, 3n, 4n].map(scalar => base.multiply(scalar).toBytes()),
    },
  },
}
const { key } = shareSafePrimes(...SAFE_PRIMES_1024, { threshold: 2, nodes: 3 })
const rsa: QuorumKeyRecord = { ...common, algorithm: 8, scheme: { kind: 'rsa', key } }

test('records of both schemes are read as they were written', t => {
  for (const record of [frost, rsa]) t.deepEqual(decodeKeyRecord(encodeKeyRecord(record)), record)
})

test('I2: the id stays over a new sharing, and differs by zone, role, algorithm and key', t => {
  const id = quorumKeyId(frost)
  t.regex(id, /^[0-9a-f]{32}$/)
  t.is(quorumKeyId({ ...frost, epoch: 2, members: ['east', ...members] }), id)
  const others = [{ ...frost, zone: 'example.org.' }, { ...frost, role: 'zsk' as const }, rsa]
  t.is(new Set([id, ...others.map(quorumKeyId), quorumKeyId({ ...rsa, algorithm: 10 })]).size, 5)
})

test('RFC 3110 §2, RFC 8080 §3: the public key as a DNSKEY has it', t => {
  t.deepEqual(dnskeyField(frost), base.multiply(7n).toBytes())
  const field = dnskeyField(rsa)
  t.deepEqual([...field.subarray(0, 4)], [3, 1, 0, 1])
  t.is(field.length, 4 + 256)
})

test('I1: what is no record, or not written in the one right way, is not read', t => {
  const octets = encodeKeyRecord(frost)
  const fields = [
    'frost',
    'example.',
    'ksk',
    15,
    1,
    1,
    members,
    2,
    octets.subarray(0, 32),
    [1, 2, 3].map(() => octets.subarray(0, 32)),
  ]
  t.not(decodeKeyRecord(encode(fields)), undefined)
  const wrong: readonly [number, unknown][] = [
    [0, 'rsa'],
    [1, 'example'],
    [1, 'EXAMPLE.'],
    [2, 'all'],
    [3, 8],
    [3, 13],
    [4, -1],
    [4, 1.5],
    [6, ['north', 'south']],
    [6, ['north', 'south', 'south']],
    [6, 'north'],
    [7, 1],
    [7, 4],
    [8, 'text'],
    [9, []],
    [10, 'more'],
  ]
  for (const [at, value] of wrong) {
    const changed: unknown[] = [...fields]
    changed[at] = value
    t.is(decodeKeyRecord(encode(changed)), undefined, `${at}: ${String(value)}`)
  }
  t.is(decodeKeyRecord(octets.subarray(1)), undefined)
  t.is(decodeKeyRecord(Uint8Array.of(...octets, 0)), undefined)
})
