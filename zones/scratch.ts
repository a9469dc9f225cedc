/** Room for keys and names while something is at work. It is cut from larger pieces: an ArrayBuffer of its own costs V8 more than
 *  the rest of the object that has it, and thousands of small zones each make dozens of such objects.
 *  I1  Room is zero at first and nobody else's; a piece goes when nobody has any of it. */

const PIECE_OCTETS = 32_768
/** Of words. */
const ALIGNMENT = 4

let piece = new ArrayBuffer(PIECE_OCTETS)
let used = 0

export function scratchOctets(length: number): Uint8Array {
  const start = room(length)
  return new Uint8Array(piece, start, length)
}

export function scratchWords(length: number): Int32Array {
  const start = room(4 * length)
  return new Int32Array(piece, start, length)
}

/** Where there is so much room in `piece`, which may be another one afterwards. */
function room(octets: number): number {
  if (used + octets > PIECE_OCTETS) {
    piece = new ArrayBuffer(PIECE_OCTETS)
    used = 0
  }
  const start = used
  used = (start + octets + ALIGNMENT - 1) & -ALIGNMENT
  return start
}
