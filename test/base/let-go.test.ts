import test from 'ava'
import { letGo } from '../../base/index.ts'

test('large buffers are given back at once; small ones are left to the collector', t => {
  const large = [new Uint8Array(2 << 20).fill(1), new Uint8Array(1 << 20)]
  const words = new Uint32Array(1 << 20)
  const small = Buffer.from('a zone')
  letGo(small, ...large, words)
  for (const { buffer } of [...large, words]) t.is(buffer.byteLength, 0)
  t.is(small.toString(), 'a zone')
})
