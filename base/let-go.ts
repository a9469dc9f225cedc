/** Large buffers whose memory is to be used by others at once, not when the garbage collector comes by: in a server that
 *  is idle it may never, for what lies outside of the heap hardly counts. */

import { readFileSync, realpathSync } from 'node:fs'
import { type Libc, libc } from './libc.ts'

/** Less is not worth the trouble, and might share its buffer with others. */
const LET_GO_OCTETS_MIN = 1 << 20

const gone = new WeakSet<ArrayBufferLike>()

/** Gives back the memory of views that nobody needs any more, and of all else in their buffers: zeros are left of it, or nothing.
 *  Small ones stay.
 *  I1  On Linux no buffer is taken from its views. When that happened once, V8 compiles everything anew, and from then on asks of
 *      each octet whether its buffer is still there: a fifth more for loops over octets.
 *  Elsewhere a message that will never be received owns the buffers, and dies with its channel. */
export function letGo(...views: readonly (Uint8Array | Uint32Array)[]): void {
  const large = views.filter(isLarge).map(({ buffer }) => buffer as ArrayBuffer)
  for (const buffer of large) gone.add(buffer)
  const buffers = large.filter(
    buffer => giveBackPages(new Uint8Array(buffer), 0, buffer.byteLength) === undefined,
  )
  if (buffers.length === 0) return
  const { port1, port2 } = new MessageChannel()
  port1.postMessage(undefined, buffers)
  port1.close()
  port2.close()
}

/** Whether the view was let go, and was large enough to go. */
export function isLetGo(view: Uint8Array): boolean {
  return gone.has(view.buffer)
}

/** What is small has no buffer of its own as long as nobody asks for it. */
function isLarge(view: Uint8Array | Uint32Array): boolean {
  return view.byteLength >= LET_GO_OCTETS_MIN && view.buffer instanceof ArrayBuffer
}

const PART_OCTETS_MIN = 4 << 20

/** Gives back octets from..to while others of the view are still needed; tells where what is left begins. The view stays as
 *  long as it is: what was given back may read as zeros. Nothing is done to what `letGo` leaves alone. */
export function letGoPart(view: Uint8Array, from: number, to: number): number {
  if (to - from < PART_OCTETS_MIN || !isLarge(view)) return from
  return giveBackPages(view, from, to) ?? from
}

/** Of at least one whole memory page, on all machines. */
const GIVEN_BACK_OCTETS_MIN = 128 << 10
/** madvise(2), of Linux. */
const MADV_DONTNEED = 4
let pageOctets = 0
let madvise: ((start: number, octets: number, advice: number) => number) | undefined

/** Gives back the whole pages among octets from..to, which read as zeros from then on and may be written again; tells where
 *  the last one ends. Undefined: nothing was done. */
export function giveBackPages(view: Uint8Array, from: number, to: number): number | undefined {
  const system = process.platform === 'linux' && to - from >= GIVEN_BACK_OCTETS_MIN ? libc() : undefined
  if (system === undefined) return undefined
  const address = system.addressOf(view)
  pageOctets ||= system.function('int getpagesize()')()
  const start = Math.ceil((address + from) / pageOctets) * pageOctets
  const end = Math.floor((address + to) / pageOctets) * pageOctets
  drop(system, start, end)
  return end - address
}

function drop(system: Libc, start: number, end: number): void {
  madvise ??= system.function('int madvise(uintptr_t, size_t, int)')
  madvise(start, end - start, MADV_DONTNEED)
}

/** `START-END PERMISSIONS OFFSET DEVICE INODE PATH` of /proc/self/maps (proc(5)): what of a file is mapped, shared. */
const SHARED_MAPPING = /^([0-9a-f]+)-([0-9a-f]+) ..-s [0-9a-f]+ \S+ [0-9]+ +(\/.*)$/

/** Takes the pages of a file that is mapped and shared out of this process: they stay in the system's cache, which has them
 *  for as long as there is room, and come back when they are looked at. Nothing that was written is lost. Tells how many
 *  octets of the file are mapped; 0 where that cannot be told. */
export function giveBackMapped(file: string): number {
  const system = process.platform === 'linux' ? libc() : undefined
  if (system === undefined) return 0
  let octets = 0
  try {
    const mapped = realpathSync(file)
    for (const line of readFileSync('/proc/self/maps', 'utf8').split('\n')) {
      const found = SHARED_MAPPING.exec(line)
      if (found?.[3] !== mapped) continue
      const [start, end] = [parseInt(found[1]!, 16), parseInt(found[2]!, 16)]
      drop(system, start, end)
      octets += end - start
    }
  } catch {
    // Without /proc, or the file is gone: nothing is given back.
  }
  return octets
}
