/** Copies of octets in words. */
import test from 'ava'
import { copyOctets, viewOf } from '../../base/octets.ts'

test('exactly the octets that are asked for are copied, of any number and from and to any place', t => {
  const from = Uint8Array.from({ length: 64 }, (_, at) => at + 1)
  for (let octets = 0; octets <= 40; octets++) {
    for (let start = 0; start < 8; start++) {
      const to = new Uint8Array(64)
      copyOctets(viewOf(from), start, viewOf(to), 11 - start, octets)
      const expected = new Uint8Array(64)
      expected.set(from.subarray(start, start + octets), 11 - start)
      t.deepEqual(to, expected)
    }
  }
})

test('a copy reads and writes nothing beyond either end', t => {
  for (let octets = 0; octets <= 20; octets++) {
    const to = new Uint8Array(octets)
    copyOctets(viewOf(new Uint8Array(octets).fill(7)), 0, viewOf(to), 0, octets)
    t.true(to.every(octet => octet === 7))
  }
})
