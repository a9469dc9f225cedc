/** The reading side of readers.test.ts: looks at whole versions in a loop and checks that nothing in one is of another. */

import { parentPort, workerData } from 'node:worker_threads'
import { type StoreHandle, StoreReader, u32 } from '../../../zones/index.ts'

/** Words of the shared block: stop flag, then rounds of each reader. */
const { handle, flags, number, hang } = workerData as {
  handle: StoreHandle
  flags: Int32Array
  number: number
  hang: boolean
}

const reader = new StoreReader(handle)
const zones = reader.cursor()
const names = reader.cursor()
const probe = reader.cursor()

/** Catalogue value: names root, commit number, keys, checksum. Tree value: any octets that start with a number. */
function checkVersion(): void {
  const root = reader.announce()
  let commit = -1
  for (let more = zones.seekFirst(root); more; more = zones.next()) {
    const { bytes, valueStart } = zones
    const of = u32(bytes, valueStart + 4)
    if (commit === -1) commit = of
    if (of !== commit) throw new Error(`zones of commits ${commit} and ${of} in one version`)
    checkTree(u32(bytes, valueStart), u32(bytes, valueStart + 8), u32(bytes, valueStart + 12), commit)
  }
  reader.release()
}

function checkTree(root: number, keys: number, checksum: number, commit: number): void {
  let count = 0
  let sum = 0
  for (let more = names.seekFirst(root); more; more = names.next()) {
    const { bytes, valueStart, valueEnd } = names
    const value = u32(bytes, valueStart)
    for (let at = valueStart + 4; at < valueEnd; at++) {
      if (bytes[at] !== (value & 0xff)) throw new Error(`commit ${commit}: an octet of another value`)
    }
    if (!probe.find(root, names.key, 0, names.loadKey()))
      throw new Error(`commit ${commit}: a key is not found`)
    sum = (sum + value) >>> 0
    count++
  }
  if (count !== keys || sum !== checksum)
    throw new Error(`commit ${commit}: ${count} keys instead of ${keys}`)
}

if (hang) {
  reader.announce()
  parentPort?.postMessage(reader.slot)
  // Holds its version until it is terminated.
  Atomics.wait(flags, 0, 0)
} else {
  parentPort?.postMessage(reader.slot)
  while (Atomics.load(flags, 0) === 0) {
    checkVersion()
    Atomics.add(flags, 1 + number, 1)
  }
  reader.close()
}
