/** A thread of the pool (sign-pool.ts): works on one chunk after the other and keeps nothing between them. */

import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { type ChunkReply, type CryptoChunk, runChunk } from './crypto-chunk.ts'

/** Answering queries comes first; a thread at 10 gives way to those at 0 and still uses what is left. */
const NICE = 10

if (parentPort !== null) {
  const port = parentPort
  // Linux keeps a priority for each thread, and 0 means the calling one; elsewhere it would be the whole process's.
  if (process.platform === 'linux') setPriority(0, NICE)
  port.on('message', (work: CryptoChunk) => {
    const fault = runChunk(work)
    const reply: ChunkReply = fault === undefined ? { chunk: work.chunk } : { chunk: work.chunk, fault }
    port.postMessage(reply)
  })
}
