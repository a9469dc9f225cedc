/** A thread of the pool (combiner-pool.ts): keeps the keys it has worked with, nothing else. */

import { parentPort } from 'node:worker_threads'
import { giveWay } from '../base/priority.ts'
import { combineParts, KeysAtWork } from './combiner.ts'
import type { CombinerReply, CombinerWork } from './combiner-pool.ts'

if (parentPort !== null) {
  const port = parentPort
  const keys = new KeysAtWork()
  // Answering queries comes first.
  giveWay()
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
