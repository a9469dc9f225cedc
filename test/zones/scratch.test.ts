import test from 'ava'
import { scratchOctets, scratchWords } from '../../zones/scratch.ts'

test('I1: room is zero and nobody else has it, over many pieces', t => {
  const rooms = Array.from({ length: 2000 }, (_, index) =>
    index % 2 === 0 ? scratchOctets(1 + ((index * 37) % 600)) : scratchWords(1 + ((index * 11) % 90)),
  )
  t.true(new Set(rooms.map(({ buffer }) => buffer)).size > 5)
  t.true(rooms.every(room => room.every(value => value === 0)))
  for (const [index, room] of rooms.entries()) room.fill(index & 0xff)
  for (const [index, room] of rooms.entries()) {
    if (!room.every(value => value === (index & 0xff))) t.fail(`room ${index} was written to by another`)
  }
})
