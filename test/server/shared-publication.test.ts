import test from 'ava'
import { SharedPublication } from '../../server/shared-publication.ts'
import { keyOf, nameFromText, Store } from '../../zones/index.ts'

function zoneChange(zone: string): Parameters<Store['commit']>[0] {
  return {
    zones: [{ apexKey: keyOf(nameFromText(zone)), value: Uint8Array.of(1) }],
    drafts: [],
    dropped: [],
  }
}

test('zones of one turn go in one step, but for those that want nothing any more', async t => {
  const store = new Store({ octetsMax: 1 << 22 })
  const publications = new SharedPublication(store)
  const versions: number[] = []
  const note = (): void => void versions.push(store.stats().version)
  const [first, second] = ['a.test.', 'b.test.'].map(zone =>
    publications.run(() => zoneChange(zone)).then(note),
  )
  t.is(store.stats().zones, 0)
  await Promise.all([first, second])
  t.is(store.stats().zones, 2)
  t.is(versions[0], versions[1])
  const removed = publications.run(() => {
    throw new Error('removed')
  })
  const third = publications.run(() => zoneChange('c.test.'))
  await t.throwsAsync(removed, { message: 'removed' })
  await third
  t.is(store.stats().zones, 3)
})

test('a change that the store refuses stops no other', async t => {
  const store = new Store({ octetsMax: 1 << 22 })
  const publications = new SharedPublication(store)
  const refused = publications.run(() => ({ zones: [], drafts: [], dropped: [4711] }))
  const taken = publications.run(() => zoneChange('a.test.'))
  await t.throwsAsync(refused, { message: /no committed or frozen tree/ })
  await taken
  t.is(store.stats().zones, 1)
})
