/** Messages out of a stream (RFC 1035 §4.2.2, RFC 7766 §8): each has two octets of length before it.
 *  I1  A message that came whole in one segment is handed out in place; only split ones are copied, each octet a
 *      bounded number of times: the copy grows by doubling, up to what the message has announced.
 *  I2  At most one message is kept, and only as much room as has arrived, doubled: a peer that announces 65,535 octets
 *      and sends one costs a few hundred. */

const LENGTH_OCTETS = 2
const ROOM_OCTETS_MIN = 512

export class StreamFraming {
  /** Octets that have arrived and are not handed out. */
  #segment: Uint8Array = EMPTY
  #at = 0
  /** A split message, its length octets included. */
  #kept: Uint8Array = EMPTY
  #keptOctets = 0

  /** After `next` gave undefined: more octets. */
  push(segment: Uint8Array): void {
    this.#segment = segment
    this.#at = 0
  }

  /** Whether nothing of an unfinished message is there. */
  get empty(): boolean {
    return this.#keptOctets === 0 && this.#at >= this.#segment.length
  }

  /** The next whole message, valid until the next call; undefined when more octets are needed. */
  next(): Uint8Array | undefined {
    if (this.#keptOctets === 0) {
      const start = this.#at + LENGTH_OCTETS
      const end = start + this.#announced(this.#segment, this.#at)
      if (start <= this.#segment.length && end <= this.#segment.length) {
        this.#at = end
        return this.#segment.subarray(start, end)
      }
    }
    return this.#assemble()
  }

  #announced(octets: Uint8Array, at: number): number {
    return ((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0)
  }

  #assemble(): Uint8Array | undefined {
    this.#keep(LENGTH_OCTETS - this.#keptOctets)
    if (this.#keptOctets < LENGTH_OCTETS) return this.#release()
    const end = LENGTH_OCTETS + this.#announced(this.#kept, 0)
    this.#keep(end - this.#keptOctets)
    if (this.#keptOctets < end) return this.#release()
    this.#keptOctets = 0
    return this.#kept.subarray(LENGTH_OCTETS, end)
  }

  /** Lets go of a segment that is used up; it may be much larger than what it brought. */
  #release(): undefined {
    this.#segment = EMPTY
    this.#at = 0
    if (this.#keptOctets === 0) this.#kept = EMPTY
    return undefined
  }

  /** Moves up to `count` octets from the segment to the kept ones. */
  #keep(count: number): void {
    const moved = Math.min(count, this.#segment.length - this.#at)
    if (moved <= 0) return
    const end = this.#keptOctets + moved
    if (end > this.#kept.length) {
      const larger = new Uint8Array(Math.max(ROOM_OCTETS_MIN, end, this.#kept.length * 2))
      larger.set(this.#kept.subarray(0, this.#keptOctets))
      this.#kept = larger
    }
    this.#kept.set(this.#segment.subarray(this.#at, this.#at + moved), this.#keptOctets)
    this.#at += moved
    this.#keptOctets = end
  }
}

const EMPTY = new Uint8Array(0)
