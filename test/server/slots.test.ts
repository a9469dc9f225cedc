import test from 'ava'
import { Slots } from '../../server/slots.ts'

/** Work that goes on until it is told to end, and the numbers of the works that have begun. */
function works(slots: Slots): { begun: number[]; begin(number: number, units: number): () => Promise<void> } {
  const begun: number[] = []
  const begin = (number: number, units: number): (() => Promise<void>) => {
    let end = (): void => {}
    const ending = new Promise<void>(resolve => (end = resolve))
    const run = slots.run(units, () => {
      begun.push(number)
      return ending
    })
    return () => {
      end()
      return run
    }
  }
  return { begun, begin }
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

test('I1: who came first goes first, and no more units are at work than there are', async t => {
  const { begun, begin } = works(new Slots(3))
  const ends = [begin(0, 2), begin(1, 2), begin(2, 1), begin(3, 9)]
  await turn()
  t.deepEqual(begun, [0])
  await ends[0]!()
  await turn()
  t.deepEqual(begun, [0, 1, 2])
  await Promise.all([ends[1]!(), ends[2]!()])
  await turn()
  t.deepEqual(begun, [0, 1, 2, 3], 'work larger than all units runs alone')
  await ends[3]!()
})

test('there is room again when no more wait than there are units', async t => {
  const slots = new Slots(1)
  const { begin } = works(slots)
  const ends = [begin(0, 1), begin(1, 1)]
  t.is(slots.room(), undefined)
  ends.push(begin(2, 1))
  let room = false
  const asked = slots.room()!.then(() => (room = true))
  await turn()
  t.false(room)
  await ends[0]!()
  await asked
  t.true(room)
  for (const end of ends) await end()
})
