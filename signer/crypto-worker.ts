/** A thread of the pool (sign-pool.ts): works on one chunk after the other and keeps nothing between them. */

import { parentPort } from 'node:worker_threads'
import { giveWay } from '../base/priority.ts'
import { type ChunkReply, type CryptoChunk, runChunk } from './crypto-chunk.ts'

if (parentPort !== null) {
  const port = parentPort
  // Answering queries comes first.
  giveWay()
  port.on('message', (work: CryptoChunk) => {
    const fault = runChunk(work)
    const reply: ChunkReply = fault === undefined ? { chunk: work.chunk } : { chunk: work.chunk, fault }
    port.postMessage(reply)
  })
}
