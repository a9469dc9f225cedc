/** What a busy process gives back (cli/free-memory.ts). */
import { getHeapSpaceStatistics } from 'node:v8'
import test from 'ava'
import { collectAll } from '../../cli/free-memory.ts'

/** V8 makes the room larger when so many live on. */
const OBJECTS = 500_000

test('room for new objects that a busy process has come to is given back, and what is alive stays', async t => {
  const kept: { index: number }[] = []
  for (let index = 0; index < OBJECTS; index++) kept.push({ index })
  const grown = youngOctets()
  await collectAll()
  t.true(youngOctets() < grown)
  t.true(kept.every(({ index }, at) => index === at))
})

function youngOctets(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')!.space_size
}
