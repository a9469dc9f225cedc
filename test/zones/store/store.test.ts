/** Commits, drafts, limits and the allocator. */

import test from 'ava'
import fc from 'fast-check'
import { Store, StoreReader } from '../../../zones/index.ts'
import { Allocator } from '../../../zones/store/allocator.ts'
import { ARENA_UNITS_SHIFT, UNIT_MASK, UNIT_OCTETS } from '../../../zones/store/layout.ts'
import { createHandle, Memory } from '../../../zones/store/memory.ts'
import { checkTree } from './check.ts'

const SEED = 20250711

function key(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`)
}

test('a full store says so, keeps what is published, and can still drop a zone', t => {
  const store = new Store({ octetsMax: 2 << 20 })
  const empty = store.stats().octetsUsed
  const small = store.newTree()
  for (let number = 0; number < 1000; number++) small.put(key(`h${number}`), new Uint8Array(100))
  store.commit({
    zones: [{ apexKey: key('small'), value: new Uint8Array(50) }],
    drafts: [small],
    dropped: [],
  })
  const used = store.stats().octetsUsed
  const large = store.newTree()
  let count = 0
  t.throws(
    () => {
      for (; ; count++) large.put(key(`h${count}`), new Uint8Array(count % 7 === 0 ? 2000 : 100))
    },
    { code: 'STORE_FULL' },
  )
  t.true(count > 1000)
  t.is(checkTree(store.handle, large.root).keys, count)
  t.is(large.count, count)
  t.is(
    checkTree(store.handle, store.catalogueRoot()).octets + checkTree(store.handle, small.root).octets,
    used - empty,
  )
  // The draft holds all memory but the reserve; the catalogue can be changed all the same.
  const before = store.catalogueRoot()
  store.commit({ zones: [{ apexKey: key('small'), value: null }], drafts: [], dropped: [small.root] })
  t.not(store.catalogueRoot(), before)
  large.put(key('fits again'), new Uint8Array(2000))
  large.discard()
  t.is(store.stats().octetsUsed, empty)
})

test('an overwrite that finds the store full leaves the draft whole', t => {
  const store = new Store({ octetsMax: 1 << 20 })
  const draft = store.newTree()
  for (let number = 0; number < 100; number++) draft.put(key(`h${number}`), new Uint8Array(900).fill(1))
  const used = store.stats().octetsUsed
  t.throws(() => draft.put(key('h7'), new Uint8Array(1 << 20)), { code: 'STORE_FULL' })
  t.is(store.stats().octetsUsed, used)
  t.deepEqual(draft.get(key('h7')), new Uint8Array(900).fill(1))
  checkTree(store.handle, draft.root)
  draft.discard()
})

test('a commit that fails publishes nothing and keeps its drafts', t => {
  const store = new Store({ octetsMax: 1 << 20 })
  const draft = store.newTree()
  draft.put(key('a'), key('a'))
  const zones = [
    { apexKey: key('a'), value: key('a') },
    { apexKey: key('b'), value: new Uint8Array(2 << 20) },
  ]
  const { version, octetsUsed } = store.stats()
  t.throws(() => store.commit({ zones, drafts: [draft], dropped: [] }), { code: 'STORE_FULL' })
  t.is(store.catalogueRoot(), 0)
  t.is(store.stats().version, version)
  t.is(store.stats().octetsUsed, octetsUsed)
  draft.put(key('b'), key('b'))
  t.true(store.commit({ zones: zones.slice(0, 1), drafts: [draft], dropped: [] }) > version)
})

test('values of a mebibyte are one slice, also over several arenas', t => {
  const store = new Store({ octetsMax: 24 << 20, arenaOctetsMax: 2 << 20 })
  const draft = store.newTree()
  for (let number = 0; number < 9; number++) {
    draft.put(key(`v${number}`), new Uint8Array((1 << 20) + number).fill(number))
    for (let more = 0; more < 500; more++)
      draft.put(key(`h${more}x${number}`), new Uint8Array(200).fill(number))
  }
  store.commit({ zones: [], drafts: [draft], dropped: [] })
  const reader = new StoreReader(store.handle)
  reader.announce()
  const cursor = reader.cursor()
  for (let number = 0; number < 9; number++) {
    t.true(cursor.find(draft.root, key(`v${number}`), 0, 3))
    t.is(cursor.valueEnd - cursor.valueStart, (1 << 20) + number)
    t.is(cursor.bytes[cursor.valueStart], number)
    t.is(cursor.bytes[cursor.valueEnd - 1], number)
  }
  t.is(checkTree(store.handle, draft.root).keys, 9 * 501)
  t.true(store.handle.arenas.filter(arena => arena.byteLength > 0).length > 4)
})

test('several drafts at once, of different trees, do not meet', t => {
  const store = new Store({ octetsMax: 16 << 20 })
  const drafts = [1, 2, 3].map(() => store.newTree())
  for (let number = 0; number < 3000; number++) {
    for (const [index, draft] of drafts.entries()) draft.put(key(`h${number}`), key(`${index}.${number}`))
  }
  drafts[1]!.discard()
  const source = store.freeze(drafts[2]!)
  const published = drafts[0]!
  store.commit({ zones: [], drafts: [published], dropped: [] })
  const edit = store.editTree(published.root)
  t.throws(() => store.editTree(published.root), { message: /open draft/ })
  t.throws(() => store.commit({ zones: [], drafts: [], dropped: [published.root] }), { message: /edited/ })
  const cursor = store.readTree()
  for (let more = cursor.seekFirst(source); more; more = cursor.next()) {
    edit.putRange(cursor.key, 0, cursor.loadKey(), cursor.bytes, cursor.valueStart, cursor.valueEnd)
  }
  t.is(edit.count, 3000)
  t.deepEqual(edit.get(key('h77')), key('2.77'))
  const old = store.readTree()
  t.true(old.find(published.root, key('h77'), 0, 4))
  t.deepEqual(old.bytes.slice(old.valueStart, old.valueEnd), key('0.77'))
  store.commit({ zones: [], drafts: [edit], dropped: [source] })
  t.is(store.stats().openDrafts, 0)
  t.throws(() => edit.put(key('a'), key('a')), { message: /committed/ })
  t.throws(() => store.editTree(published.root), { message: /no committed/ })
  t.throws(() => store.commit({ zones: [], drafts: [edit], dropped: [] }), { message: /not open/ })
})

test('ten thousand small zones take less than a page each', t => {
  const store = new Store({ octetsMax: 256 << 20 })
  const empty = store.stats().octetsUsed
  for (let zone = 0; zone < 10_000; zone += 100) {
    const drafts = Array.from({ length: 100 }, () => store.newTree())
    for (const draft of drafts)
      for (const name of ['', 'mail', 'www']) draft.put(key(name), new Uint8Array(120))
    const zones = drafts.map((draft, index) => {
      const value = new Uint8Array(60)
      new DataView(value.buffer).setUint32(0, draft.root)
      return { apexKey: key(`zone${zone + index}`), value }
    })
    store.commit({ zones, drafts, dropped: [] })
  }
  t.is(store.stats().zones, 10_000)
  // Three values and their slots: 2 units of 256 octets; the catalogue's part: some 70 to 140 octets.
  t.true((store.stats().octetsUsed - empty) / 10_000 < 660)
})

test('pages are full after ascending puts, in the middle of a tree too', t => {
  const store = new Store({ octetsMax: 64 << 20 })
  const draft = store.newTree()
  const put = (from: string): void => {
    for (let number = 10_000; number < 30_000; number++)
      draft.put(key(`${from}${number}`), new Uint8Array(30))
  }
  put('a')
  put('z')
  put('m')
  const facts = checkTree(store.handle, draft.root)
  t.is(facts.keys, 60_000)
  t.true(facts.liveOctets > 0.98 * facts.octets, `${facts.liveOctets} of ${facts.octets}`)
})

test('I4: leaves of large values that ascend take no more than they need, and grow again', t => {
  const store = new Store({ octetsMax: 64 << 20 })
  const draft = store.newTree()
  for (let number = 10_000; number < 12_000; number++) draft.put(key(`a${number}`), new Uint8Array(700))
  const facts = checkTree(store.handle, draft.root)
  t.true(facts.liveOctets > 0.98 * facts.octets, `${facts.liveOctets} of ${facts.octets}`)
  // Into a leaf that has 14 units: what fits a whole page first, and then no more.
  for (const [more, octets] of ['b', 'c', 'd'].entries()) {
    draft.put(key(`a10007${octets}`), new Uint8Array(300 + more))
    t.is(checkTree(store.handle, draft.root).keys, 2001 + more)
  }
  for (let number = 10_000; number < 11_990; number++) draft.delete(key(`a${number}`))
  t.is(checkTree(store.handle, draft.root).keys, 13)
  draft.discard()
  t.is(store.stats().octetsUsed, 0)
})

test('memory of what was freed goes back to the system, and is used again', t => {
  const store = new Store({ octetsMax: 64 << 20 })
  const stays = store.newTree()
  const goes = store.newTree()
  const value = (number: number): Uint8Array => new Uint8Array(900).fill(1 + (number % 255))
  const put = (tree: typeof stays, from: number, to: number): void => {
    for (let number = from; number < to; number++) tree.put(key(`h${number}`), value(number))
  }
  put(stays, 0, 500)
  put(goes, 0, 10_000)
  put(stays, 500, 1000)
  const used = store.stats().octetsUsed
  goes.discard()
  const { octets: staying } = checkTree(store.handle, stays.root)
  if (process.platform === 'linux') {
    const filled = new Uint8Array(store.handle.arenas[0]!).reduce((sum, octet) => sum + (octet && 1), 0)
    t.true(filled < 2 * staying, `${filled} octets of ${staying} that are in use`)
  }
  const again = store.newTree()
  put(again, 0, 10_000)
  t.is(store.stats().octetsUsed, used)
  for (const [tree, count] of [
    [stays, 1000],
    [again, 10_000],
  ] as const) {
    t.is(checkTree(store.handle, tree.root).keys, count)
    for (let number = 0; number < count; number += 97) t.deepEqual(tree.get(key(`h${number}`)), value(number))
  }
})

test('the allocator gives no unit twice, joins what is free, leaves alone what is not, and ends where it began', t => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(9), fc.nat(), fc.nat(300)), { maxLength: 2000 }), steps => {
      const memory = new Memory(createHandle(8 << 20, 4 << 20, 1))
      const allocator = new Allocator(memory)
      const owner = new Map<number, number>()
      const live: { ref: number; units: number }[] = []
      const extent = (ref: number, units: number): Uint8Array => {
        const start = (ref & UNIT_MASK) * UNIT_OCTETS
        return memory.octets[ref >>> ARENA_UNITS_SHIFT]!.subarray(start, start + units * UNIT_OCTETS)
      }
      for (const [what, which, size] of steps) {
        if (size % 50 === 0) allocator.giveBack(0)
        if (what < 4 && live.length > 0) {
          const [gone] = live.splice(which % live.length, 1)
          const { ref, units } = gone!
          if (!extent(ref, units).every(octet => octet === (ref & 0xff))) t.fail('what is in use was changed')
          allocator.free(gone!.ref, gone!.units)
          for (let unit = 0; unit < gone!.units; unit++) owner.delete(gone!.ref + unit)
        } else {
          const units = 1 + (what < 9 ? size % 20 : size)
          const ref = allocator.allocate(units)
          for (let unit = 0; unit < units; unit++) {
            if (owner.has(ref + unit)) t.fail('a unit was given twice')
            owner.set(ref + unit, ref)
          }
          extent(ref, units).fill(ref)
          live.push({ ref, units })
        }
        if (allocator.unitsUsed !== owner.size) t.fail('units in use are miscounted')
      }
      for (const { ref, units } of live) allocator.free(ref, units)
      // All joined again: the largest extent that ever fits does.
      const whole = allocator.allocate((4 << 20) / 256 - 1)
      allocator.free(whole, (4 << 20) / 256 - 1)
      t.is(allocator.unitsUsed, 0)
      t.throws(() => allocator.allocate(1 << 20), { code: 'STORE_FULL' })
    }),
    { seed: SEED, numRuns: 40 },
  )
})
