import test from 'ava'
import { letGo } from '../../server/watch-read.ts'

test('the text of a large file is given back at once; small ones are left to the collector', t => {
  const large = new Uint8Array(2 << 20).fill(1)
  letGo(large)
  t.is(large.buffer.byteLength, 0)
  const small = Buffer.from('a zone')
  letGo(small)
  t.is(small.toString(), 'a zone')
})
