/** Entry of a UDP thread: opens its answerer, says which reader it is, and serves until told to stop. */
import { parentPort, workerData } from 'node:worker_threads'
import { takePriority } from '../base/priority.ts'
import { countersOf } from './counters.ts'
import { openAnswerer } from './open-answerer.ts'
import { loadSyscalls } from './syscalls.ts'
import { ThreadKeyring } from './tsig-thread.ts'
import { serveSockets } from './udp-batch.ts'
import { CONTROL_STOP, type WorkerData, type WorkerReport } from './udp-control.ts'

async function main(data: WorkerData): Promise<void> {
  takePriority(data.priority)
  const calls = loadSyscalls()
  if (calls === null) throw new Error('koffi does not load in this thread')
  if (parentPort === null) throw new Error('this is the file of a thread')
  const control = new Int32Array(data.control)
  const keyring = new ThreadKeyring(data.keys, parentPort, control)
  const counters = countersOf(data.counters)
  const { answerer, slot } = await openAnswerer(data.handle, data.settings, counters, {
    keyring,
    seen: data.seen,
  })
  parentPort.postMessage({ slot } satisfies WorkerReport)
  const stopping = (): boolean => {
    // Keys that were replaced do not stay until the next signed query.
    keyring.current()
    return Atomics.load(control, CONTROL_STOP) !== 0
  }
  const transportCounters = countersOf(data.transportCounters)
  serveSockets(calls, data.sockets, data.event, answerer, transportCounters, stopping)
  // Not after a fault: then the main thread clears the slot, which might have another owner already.
  answerer.close()
}

void main(workerData as WorkerData)
