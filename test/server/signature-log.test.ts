/** Signatures that a build made, in the order they came. */
import test from 'ava'
import { type LoggedSignatures, SignatureLog } from '../../server/signature-log.ts'

test('what was added comes back in order, octets and removals alike, however much there is', t => {
  const log = new SignatureLog()
  t.true(log.empty)
  const added = Array.from({ length: 5000 }, (_, index) => ({
    kind: index % 3 === 0 ? ('nsec3' as const) : ('names' as const),
    key: new Uint8Array(index % 300).fill(index),
    block: index % 7 === 0 ? null : new Uint8Array(index % 900).fill(255 - (index % 256)),
  }))
  // The octets are only lent.
  const lentKey = new Uint8Array(300)
  const lentPack = new Uint8Array(900)
  for (const { key, kind, block } of added) {
    lentKey.set(key)
    if (block !== null) lentPack.set(block)
    log.add(lentKey.subarray(0, key.length), kind, block === null ? null : lentPack.subarray(0, block.length))
  }
  t.false(log.empty)
  const plain = (one: LoggedSignatures): unknown => ({
    ...one,
    key: [...one.key],
    block: one.block === null ? null : [...one.block],
  })
  t.deepEqual([...log].map(plain), added.map(plain))
  t.is([...log].length, added.length, 'a second time, too')
  log.clear()
  t.true(log.empty)
  t.deepEqual([...log], [])
})
