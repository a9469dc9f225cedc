/** How much of what a function calls V8's compiler puts into it. While many small zones are read at a start, most functions
 *  are called some ten times a zone and no more, and compiling them is a third of the work: then less of that is quicker in all
 *  (docs/benchmarks.md, Loading and memory). One large zone is quicker with V8's own bound, and so is answering.
 *  A command's affair, since it concerns the whole process; programs that embed a nameserver do as they like.
 *  I1  The bound is V8's own before a large zone is read and when `work` has ended. Code that was kept by then is compiled anew
 *      soon after: collecting everything (free-memory.ts) has V8 forget what it optimised. */
import { setFlagsFromString } from 'node:v8'
import type { Nameserver } from '../server/index.ts'

/** In octets of bytecode. V8's own, the same in Node.js 20 to 24. */
const USUAL_OCTETS = 920
/** From 100 to 300 octets the start takes about as much. */
const LITTLE_OCTETS = 200

export async function inliningLittle<T>(server: Nameserver, work: () => Promise<T>): Promise<T> {
  const usual = (): void => inline(USUAL_OCTETS)
  server.once('working', usual)
  inline(LITTLE_OCTETS)
  try {
    return await work()
  } finally {
    server.off('working', usual)
    usual()
  }
}

function inline(octetsMax: number): void {
  setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${octetsMax}`)
}
