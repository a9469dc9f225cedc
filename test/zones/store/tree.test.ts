/** Trees of the store against a plain sorted map. */

import test from 'ava'
import fc from 'fast-check'
import { compareOctets, leafRoom, Store, type TreeCursor, type TreeDraft } from '../../../zones/index.ts'
import { checkTree } from './check.ts'

const SEED = 20250711

/** The plain sorted map. Keys and values as octets; text keys only inside. */
class SortedMap {
  readonly values = new Map<string, Uint8Array>()
  #sorted: Uint8Array[] | undefined

  set(key: Uint8Array, value: Uint8Array): void {
    this.values.set(text(key), value)
    this.#sorted = undefined
  }

  delete(key: Uint8Array): boolean {
    this.#sorted = undefined
    return this.values.delete(text(key))
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.values.get(text(key))
  }

  get keys(): Uint8Array[] {
    this.#sorted ??= [...this.values.keys()].map(octets).sort(compareOctets)
    return this.#sorted
  }
}

function text(key: Uint8Array): string {
  return Buffer.from(key).toString('latin1')
}

function octets(key: string): Uint8Array {
  return new Uint8Array(Buffer.from(key, 'latin1'))
}

/** A small fast generator, so that long runs need few values from fast-check. */
function generator(seed: number): (below: number) => number {
  let state = seed | 1
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

type Shape = 'short' | 'names' | 'long' | 'zeros' | 'hashes' | 'runs'

let run = 0

function makeKey(shape: Shape, random: (below: number) => number): Uint8Array {
  const label = (length: number): string => {
    let out = ''
    for (let index = 0; index < length; index++) out += String.fromCharCode(97 + random(4))
    return `${out}\0`
  }
  if (shape === 'short') return octets(label(random(5)).slice(0, random(6)))
  if (shape === 'names')
    return octets(`example\0${label(1 + random(3))}${random(2) ? label(1 + random(7)) : ''}`)
  if (shape === 'runs') {
    run = random(60) === 0 ? random(1 << 20) : run + 1
    return octets(`${run.toString(16).padStart(6, '0')}\0`)
  }
  if (shape === 'zeros') {
    const key = new Uint8Array(random(9))
    for (let at = 0; at < key.length; at++) key[at] = random(4) === 0 ? 255 : random(2)
    return key
  }
  if (shape === 'hashes') {
    const key = new Uint8Array(20)
    for (let at = 0; at < key.length; at++) key[at] = at < 2 ? random(256) : random(3)
    return key
  }
  const key = new Uint8Array(random(511)).fill(97)
  for (let change = random(3); change > 0; change--)
    if (key.length > 0) key[random(key.length)] = 97 + random(3)
  return key
}

function makeValue(random: (below: number) => number): Uint8Array {
  const kind = random(40)
  const length = kind === 0 ? 1001 + random(9000) : kind < 4 ? random(1001) : random(80)
  return new Uint8Array(length).fill(random(256))
}

function compareAll(
  t: import('ava').ExecutionContext,
  draft: TreeDraft,
  cursor: TreeCursor,
  map: SortedMap,
): void {
  const { keys } = map
  t.is(draft.count, keys.length)
  let at = 0
  for (let more = cursor.seekFirst(draft.root); more; more = cursor.next()) {
    const length = cursor.loadKey()
    if (length !== cursor.keyLength) t.fail('keyLength')
    if (compareOctets(cursor.key.subarray(0, length), keys[at]!) !== 0) t.fail(`key ${at}`)
    const value = map.get(keys[at]!)!
    if (compareOctets(value, cursor.bytes.subarray(cursor.valueStart, cursor.valueEnd)) !== 0)
      t.fail(`value ${at}`)
    at++
  }
  t.is(at, keys.length)
  for (let more = cursor.seekLast(draft.root); more; more = cursor.prev()) {
    const length = cursor.loadKey()
    if (compareOctets(cursor.key.subarray(0, length), keys[--at]!) !== 0) t.fail(`back to key ${at}`)
  }
  t.is(at, 0)
}

function common(a: Uint8Array, b: Uint8Array): number {
  let at = 0
  while (at < a.length && at < b.length && a[at] === b[at]) at++
  return at
}

function compareFinds(
  t: import('ava').ExecutionContext,
  draft: TreeDraft,
  map: SortedMap,
  sought: readonly Uint8Array[],
): void {
  const cursor = draft.cursor()
  const { keys } = map
  for (const key of sought) {
    const exact = cursor.find(draft.root, key, 0, key.length)
    if (exact !== (map.get(key) !== undefined)) t.fail('find')
    let ceiling = keys.findIndex(other => compareOctets(other, key) >= 0)
    if (ceiling < 0) ceiling = keys.length
    const floor = exact ? keys[ceiling] : keys[ceiling - 1]
    if (cursor.positioned !== (floor !== undefined)) t.fail('positioned')
    if (floor !== undefined) {
      if (compareOctets(cursor.key.subarray(0, cursor.loadKey()), floor) !== 0) t.fail('floor')
      if (cursor.commonOctets !== common(floor, key)) t.fail('commonOctets')
    }
    const after = keys[exact ? ceiling + 1 : ceiling]
    if (cursor.next() !== (after !== undefined)) t.fail('next after find')
    if (after !== undefined && compareOctets(cursor.key.subarray(0, cursor.loadKey()), after) !== 0)
      t.fail('next')
    if (cursor.seekCeiling(draft.root, key, 0, key.length) !== (keys[ceiling] !== undefined))
      t.fail('ceiling')
    if (keys[ceiling] !== undefined) {
      if (compareOctets(cursor.key.subarray(0, cursor.loadKey()), keys[ceiling]!) !== 0) t.fail('ceiling key')
    }
  }
}

for (const shape of ['short', 'names', 'long', 'zeros', 'hashes', 'runs'] as const) {
  test(`a tree of ${shape} keys is a sorted map, over versions, and leaks nothing`, t => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 5 }), (seed, rounds) => {
        const random = generator(seed)
        const store = new Store({ octetsMax: 64 << 20 })
        const empty = store.stats().octetsUsed
        const map = new SortedMap()
        let root = 0
        for (let round = 0; round < rounds; round++) {
          const draft = store.editTree(root)
          const deleting = random(3)
          for (let step = random(1500); step > 0; step--) {
            const key = makeKey(shape, random)
            if (random(4) < deleting) {
              if (draft.delete(key) !== map.delete(key)) t.fail('delete')
            } else {
              const value = makeValue(random)
              draft.put(key, value)
              map.set(key, value)
            }
          }
          checkTree(store.handle, draft.root)
          compareAll(t, draft, draft.cursor(), map)
          compareAll(t, draft, store.readTree(leafRoom()), map)
          compareFinds(
            t,
            draft,
            map,
            Array.from({ length: 40 }, () => makeKey(shape, random)),
          )
          store.commit({ zones: [], drafts: [draft], dropped: [] })
          root = draft.root
          t.is(store.stats().octetsUsed - empty, checkTree(store.handle, root).octets)
        }
        const draft = store.editTree(root)
        for (const key of map.keys) if (random(2) === 0) draft.delete(key)
        checkTree(store.handle, draft.root)
        draft.discard()
        t.is(store.stats().octetsUsed - empty, checkTree(store.handle, root).octets)
        store.commit({ zones: [], drafts: [], dropped: [root] })
        t.is(store.stats().octetsUsed, empty)
      }),
      { seed: SEED, numRuns: 12 },
    )
  })
}

test('ascending runs of two drafts that take turns, with looks in between, make the trees they are', t => {
  fc.assert(
    fc.property(fc.integer(), seed => {
      const random = generator(seed)
      const store = new Store({ octetsMax: 64 << 20 })
      const trees = [0, 1].map(() => ({ draft: store.newTree(), map: new SortedMap() }))
      const number = (value: number): Uint8Array => octets(value.toString(36).padStart(5, '0'))
      for (let key = 0; key < 40; key++) {
        for (const { draft, map } of trees) {
          draft.put(number(key * 100_000), number(key))
          map.set(number(key * 100_000), number(key))
        }
      }
      for (let left = 6; left > 0; left--) {
        const start = random(4_000_000)
        for (let step = 0; step < 400; step++) {
          const { draft, map } = trees[random(16) === 0 ? 0 : 1]!
          const key = number(start + step * (1 + (left & 1) * 3000))
          const value = makeValue(random)
          draft.put(key, value)
          map.set(key, value)
          if (random(100) === 0) t.true(draft.cursor().find(draft.root, key, 0, key.length))
          if (random(300) === 0) t.is(draft.delete(key), map.delete(key))
        }
      }
      for (const { draft, map } of trees) {
        t.is(checkTree(store.handle, draft.root).keys, map.keys.length)
        compareAll(t, draft, store.readTree(leafRoom()), map)
        draft.discard()
      }
      t.is(store.stats().octetsUsed, 0)
    }),
    { seed: SEED, numRuns: 10 },
  )
})

test('a small tree that is packed takes what it needs, goes on being written, and leaves nothing behind', t => {
  const store = new Store({ octetsMax: 64 << 20 })
  const used = (): number => store.stats().octetsUsed
  const draft = store.newTree()
  const map = new SortedMap()
  const put = (key: string, value: string): void => {
    draft.put(octets(key), octets(value))
    map.set(octets(key), octets(value))
  }
  draft.pack()
  t.is(used(), 0, 'an empty one')
  for (const key of ['a', 'b', 'c']) put(key, `value of ${key}`)
  const whole = used()
  draft.pack()
  const packed = used()
  t.true(packed < whole / 4, `${packed} of ${whole}`)
  t.is(checkTree(store.handle, draft.root).octets, packed)
  draft.pack()
  t.is(used(), packed, 'a second time')
  put('d', 'more'.repeat(100))
  t.true(used() > packed, 'it grows again')
  draft.pack()
  t.is(checkTree(store.handle, draft.root).octets, used())
  store.commit({ zones: [], drafts: [draft], dropped: [] })
  const edit = store.editTree(draft.root)
  edit.put(octets('e'), octets('another'))
  t.is(checkTree(store.handle, draft.root).keys, 4, 'what is committed stays')
  edit.pack()
  map.set(octets('e'), octets('another'))
  compareAll(t, edit, store.readTree(leafRoom()), map)
  edit.discard()
  store.commit({ zones: [], drafts: [], dropped: [draft.root] })
  t.is(used(), 0)
})

test('a leaf with gaps is packed as it is: no cell is lost, the empty one neither', t => {
  const store = new Store({ octetsMax: 64 << 20 })
  const draft = store.newTree()
  const map = new SortedMap()
  const put = (key: string, value: string): void => {
    draft.put(octets(key), octets(value))
    map.set(octets(key), octets(value))
  }
  // Its cell, of no octets, begins where the page ends.
  put('', '')
  for (const key of ['a', 'common prefix', 'common prefix and more', 'z']) put(key, `value of ${key}`)
  draft.pack()
  compareAll(t, draft, store.readTree(leafRoom()), map)
  t.true(draft.delete(octets('a')))
  map.delete(octets('a'))
  put('common prefix', 'short')
  for (let more = 0; more < 20; more++) put(`b${more}`, 'of twenty'.repeat(more))
  draft.pack()
  compareAll(t, draft, store.readTree(leafRoom()), map)
  t.is(checkTree(store.handle, draft.root).octets, store.stats().octetsUsed)
  draft.discard()
  t.is(store.stats().octetsUsed, 0)
})
