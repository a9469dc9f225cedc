/** Readers in other threads while the writer publishes. */

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import { Store, StoreReader, type TreeDraft } from '../../../zones/index.ts'
import { checkTree } from './check.ts'

const COMMITS_MIN = 1500
const COMMITS_MAX = 60_000
const ROUNDS_MIN = 100
const ZONES = 4
const KEYS = 400

function key(number: number): Uint8Array {
  return new TextEncoder().encode(`h${number}\0`)
}

function reader(store: Store, flags: Int32Array, number: number, hang = false): Worker {
  const workerData = { handle: store.handle, flags, number, hang }
  return new Worker(new URL('./reader-worker.js', import.meta.url), { workerData })
}

/** A zone of the test: what its tree should hold, kept beside it. */
class TestZone {
  root = 0
  readonly values = new Map<number, number>()
  readonly apexKey: Uint8Array
  #random: (below: number) => number

  constructor(number: number, random: (below: number) => number) {
    this.apexKey = new TextEncoder().encode(`zone${number}\0`)
    this.#random = random
  }

  change(draft: TreeDraft, commit: number): void {
    for (let step = 0; step < 6; step++) {
      const at = this.#random(KEYS)
      if (this.#random(3) === 0) {
        draft.delete(key(at))
        this.values.delete(at)
      } else {
        const value = (commit * 8 + step) >>> 0
        const octets = new Uint8Array(this.#random(30) === 0 ? 3000 : 4 + this.#random(60)).fill(value & 0xff)
        new DataView(octets.buffer).setUint32(0, value)
        draft.put(key(at), octets)
        this.values.set(at, value)
      }
    }
  }

  entry(root: number, commit: number): { apexKey: Uint8Array; value: Uint8Array } {
    const value = new Uint8Array(16)
    const view = new DataView(value.buffer)
    let sum = 0
    for (const one of this.values.values()) sum = (sum + one) >>> 0
    for (const [index, field] of [root, commit, this.values.size, sum].entries())
      view.setUint32(4 * index, field)
    this.root = root
    return { apexKey: this.apexKey, value }
  }
}

function commitAll(store: Store, zones: readonly TestZone[], commit: number, rebuild: number): void {
  const drafts: TreeDraft[] = []
  const dropped: number[] = []
  for (const [index, zone] of zones.entries()) {
    const draft = index === rebuild ? store.newTree() : store.editTree(zone.root)
    if (index === rebuild) {
      const cursor = store.readTree()
      for (let more = cursor.seekFirst(zone.root); more; more = cursor.next()) {
        draft.putRange(cursor.key, 0, cursor.loadKey(), cursor.bytes, cursor.valueStart, cursor.valueEnd)
      }
      dropped.push(zone.root)
    }
    zone.change(draft, commit)
    drafts.push(draft)
  }
  const entries = zones.map((zone, index) => zone.entry(drafts[index]!.root, commit))
  store.commit({ zones: entries, drafts, dropped })
}

test('readers see whole versions while thousands are published and pages are used again', async t => {
  let state = 20250711
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const store = new Store({ octetsMax: 256 << 20 })
  const empty = store.stats().octetsUsed
  const zones = Array.from({ length: ZONES }, (_, index) => new TestZone(index, random))
  const flags = new Int32Array(new SharedArrayBuffer(16))
  const workers = [reader(store, flags, 0), reader(store, flags, 1)]
  t.teardown(() => Promise.all(workers.map(worker => worker.terminate())))
  const failures: unknown[] = []
  for (const worker of workers) worker.on('error', error => failures.push(error))
  await Promise.all(workers.map(worker => once(worker, 'message')))
  let commit = 0
  const ended = workers.map(worker => new Promise(resolve => worker.on('exit', resolve)))
  for (; commit < COMMITS_MAX && failures.length === 0; commit++) {
    if (commit >= COMMITS_MIN && Math.min(flags[1]!, flags[2]!) >= ROUNDS_MIN) break
    commitAll(store, zones, commit, commit % 50 === 49 ? random(ZONES) : -1)
    if (commit % 64 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  Atomics.store(flags, 0, 1)
  await Promise.all(ended)
  t.deepEqual(failures, [])
  t.true(
    Math.min(flags[1]!, flags[2]!) >= ROUNDS_MIN,
    `${commit} commits, rounds ${flags[1]} and ${flags[2]}`,
  )
  t.true(store.stats().extentsReused > COMMITS_MIN)
  store.reclaim()
  t.is(store.stats().batchesWaiting, 0)
  let octets = checkTree(store.handle, store.catalogueRoot()).octets
  for (const zone of zones) octets += checkTree(store.handle, zone.root).octets
  t.is(store.stats().octetsUsed - empty, octets)
})

test('a dead reader holds its version until its slot is cleared', async t => {
  const store = new Store({ octetsMax: 16 << 20 })
  const flags = new Int32Array(new SharedArrayBuffer(16))
  const first = store.newTree()
  for (let number = 0; number < 500; number++) first.put(key(number), key(number))
  store.commit({ zones: [{ apexKey: key(0), value: key(0) }], drafts: [first], dropped: [] })
  const worker = reader(store, flags, 0, true)
  t.teardown(() => worker.terminate())
  const [slot] = (await once(worker, 'message')) as [number]
  await worker.terminate()
  const second = store.newTree()
  second.put(key(1), key(1))
  store.commit({ zones: [{ apexKey: key(0), value: key(1) }], drafts: [second], dropped: [first.root] })
  const held = store.stats()
  t.true(held.batchesWaiting > 0)
  store.clearReader(slot)
  store.reclaim()
  t.is(store.stats().batchesWaiting, 0)
  t.true(store.stats().octetsUsed < held.octetsUsed)
  t.is(new StoreReader(store.handle).slot, slot)
})

test('a pinned version keeps its pages, and only its pages', t => {
  const store = new Store({ octetsMax: 64 << 20 })
  let draft = store.newTree()
  for (let number = 0; number < 2000; number++) draft.put(key(number), key(number))
  store.commit({ zones: [{ apexKey: key(0), value: key(0) }], drafts: [draft], dropped: [] })
  const pinned = draft.root
  const transfer = new StoreReader(store.handle)
  transfer.announce()
  let most = 0
  for (let round = 1; round <= 300; round++) {
    draft = store.editTree(draft.root)
    for (let number = 0; number < 2000; number += 20) draft.put(key(number), key(round))
    store.commit({ zones: [{ apexKey: key(0), value: key(round) }], drafts: [draft], dropped: [] })
    most = Math.max(most, store.stats().octetsUsed)
  }
  // Two trees and the draft of a third, not 300.
  t.true(most < 4 * checkTree(store.handle, pinned).octets)
  const cursor = transfer.cursor()
  let count = 0
  for (let more = cursor.seekFirst(pinned); more; more = cursor.next()) {
    cursor.loadKey()
    const same = cursor.bytes.subarray(cursor.valueStart, cursor.valueEnd)
    if (Buffer.compare(same, cursor.key.subarray(0, cursor.keyLength)) !== 0)
      t.fail('a value of a later version')
    count++
  }
  t.is(count, 2000)
  transfer.close()
  store.reclaim()
  t.is(store.stats().batchesWaiting, 0)
})

test('a reader announces the newest version, and readers run out by name', t => {
  const store = new Store({ octetsMax: 1 << 20, readersMax: 2 })
  const one = new StoreReader(store.handle)
  const two = new StoreReader(store.handle)
  t.throws(() => new StoreReader(store.handle), { code: 'STORE_READERS' })
  t.is(one.announce(), 0)
  const version = store.commit({ zones: [{ apexKey: key(1), value: key(2) }], drafts: [], dropped: [] })
  t.not(one.version, version)
  t.is(one.announce(), store.catalogueRoot())
  t.is(one.version, version)
  const cursor = one.cursor()
  t.true(cursor.find(store.catalogueRoot(), key(1), 0, 3))
  two.close()
  t.is(new StoreReader(store.handle).slot, two.slot)
})
