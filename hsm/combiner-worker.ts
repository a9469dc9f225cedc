/** A thread of the pool (combiner-pool.ts): keeps the keys it has worked with, nothing else. */

import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { combineParts, KeysAtWork } from './combiner.ts'
import type { CombinerReply, CombinerWork } from './combiner-pool.ts'

/** Answering queries comes first. */
const NICE = 10

if (parentPort !== null) {
  const port = parentPort
  const keys = new KeysAtWork()
  // Linux keeps a priority for each thread; elsewhere it would be the whole process's.
  if (process.platform === 'linux') setPriority(0, NICE)
  port.on('message', (work: CombinerWork) => port.postMessage(reply(keys, work)))
}

function reply(keys: KeysAtWork, { number, record, parts }: CombinerWork): CombinerReply {
  try {
    const key = keys.of(record)
    return { number, signatures: parts.map(one => combineParts(key, one)) }
  } catch (error) {
    return { number, fault: error instanceof Error ? error.message : String(error) }
  }
}
