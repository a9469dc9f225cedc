/** Large buffers whose memory is to be used by others at once, not when the garbage collector comes by: in a server that
 *  is idle it may never, for what lies outside of the heap hardly counts. */

/** Less is not worth the trouble, and might share its buffer with others. */
const LET_GO_OCTETS_MIN = 1 << 20

/** Gives back the buffers of views that nobody needs any more; the views are empty afterwards. Small ones stay.
 *  A message that will never be received owns its buffers, and dies with its channel. */
export function letGo(...views: readonly (Uint8Array | Uint32Array)[]): void {
  const buffers = views.flatMap(({ buffer }) =>
    buffer instanceof ArrayBuffer && buffer.byteLength >= LET_GO_OCTETS_MIN ? [buffer] : [],
  )
  if (buffers.length === 0) return
  const { port1, port2 } = new MessageChannel()
  port1.postMessage(undefined, buffers)
  port1.close()
  port2.close()
}
