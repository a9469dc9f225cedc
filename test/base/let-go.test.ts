import test from 'ava'
import { letGo, letGoPart } from '../../base/index.ts'

test('large buffers are given back at once; small ones are left to the collector', t => {
  const large = [new Uint8Array(2 << 20).fill(1), new Uint8Array(1 << 20)]
  const words = new Uint32Array(1 << 20)
  const small = Buffer.from('a zone')
  letGo(small, ...large, words)
  for (const { buffer } of [...large, words]) t.is(buffer.byteLength, 0)
  t.is(small.toString(), 'a zone')
})

test('of a large buffer the start is given back; what is left stays as it is', t => {
  const octets = new Uint8Array(32 << 20).fill(1)
  const first = letGoPart(octets, 0, 9_000_000)
  const second = letGoPart(octets, first, 20_000_000)
  t.true(first <= 9_000_000 && first <= second && second <= 20_000_000)
  if (process.platform === 'linux') t.true(second > 19_000_000)
  t.true(octets.subarray(second).every(octet => octet === 1))
  t.is(letGoPart(octets, second, second + 1000), second, 'too little')
  const small = new Uint8Array(1000).fill(1)
  t.is(letGoPart(small, 0, 1000), 0)
  t.true(small.every(octet => octet === 1))
})
