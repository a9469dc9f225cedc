/** A copy of a zone file's text as it was read last, in parts (zones/text-parts.ts): what a new text is compared with.
 *
 *    │ text as it was first ······················ │ other text of edit 1 │ of edit 2 │      parts refer to all three
 *
 *  I1  The copy is a file of the state directory that has lost its name: nobody else opens or damages it, and it goes with
 *      the process, whatever ends that. It is an economy of reading, not of memory, and holds nothing of its own:
 *      without it the next text is read whole.
 *  I2  The copy is of the octets that were read, or, when their memory was given back, of a file that still has their digest.
 *  I3  An edit adds to the copy what is new. When more of it is left over than used, a new copy is made. */
import { createHash, randomBytes } from 'node:crypto'
import {
  close,
  closeSync,
  constants,
  open,
  openSync,
  read,
  readSync,
  unlinkSync,
  write,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isLetGo } from '../base/index.ts'
import type { KeptText, TextEdit, TextPart } from '../zones/index.ts'
import type { StableRead } from './watch-read.ts'

const PART_OCTETS = 1 << 20
const PRIVATE_MODE = 0o600

const openAsync = promisify(open)
const closeAsync = promisify(close)
const readAsync = promisify(read)
const writeAsync = promisify(write)

export class TextCopy implements KeptText {
  parts: readonly TextPart[]
  readonly #descriptor: number
  #end: number
  #buffer: Uint8Array = new Uint8Array(0)

  private constructor(descriptor: number, parts: readonly TextPart[], end: number) {
    this.#descriptor = descriptor
    this.parts = parts
    this.#end = end
  }

  /** Undefined: the file has other octets by now, or the copy cannot be made. `parts` begin at 0. */
  static async of(
    source: StableRead,
    parts: readonly TextPart[],
    directory: string,
  ): Promise<TextCopy | undefined> {
    let from: number | undefined
    let to: number | undefined
    try {
      to = namelessFile(directory)
      let octets = source.octets.length
      if (!isLetGo(source.octets)) await writeAll(to, source.octets, 0)
      else {
        from = await openAsync(source.path, constants.O_RDONLY | constants.O_NONBLOCK)
        octets = await copied(from, to, source.digest)
      }
      const whole = octets === parts.reduce((sum, part) => sum + part.octets, 0)
      if (!whole) return undefined
      const copy = new TextCopy(to, parts, octets)
      to = undefined
      return copy
    } catch {
      return undefined
    } finally {
      if (from !== undefined) await closeAsync(from)
      if (to !== undefined) closeSync(to)
    }
  }

  /** Where new text is put. */
  get end(): number {
    return this.#end
  }

  /** More of the copy is left over than used (I3). */
  get wasteful(): boolean {
    return this.#end > 2 * this.parts.reduce((sum, { octets }) => sum + octets, 0)
  }

  /** @throws Error when it cannot be read */
  read({ at, octets }: TextPart): Uint8Array {
    if (this.#buffer.length < octets) this.#buffer = new Uint8Array(octets)
    let done = 0
    while (done < octets) {
      const count = readSync(this.#descriptor, this.#buffer, done, octets - done, at + done)
      if (count === 0) throw new Error('the copy of a zone file has lost octets')
      done += count
    }
    return this.#buffer.subarray(0, octets)
  }

  /** The text is the edited one from now on; false: it cannot be kept. */
  take({ parts, added }: TextEdit): boolean {
    try {
      for (const octets of added) {
        for (let done = 0; done < octets.length; ) {
          done += writeSync(this.#descriptor, octets, done, octets.length - done, this.#end + done)
        }
        this.#end += octets.length
      }
    } catch {
      return false
    }
    this.parts = parts
    return true
  }

  close(): void {
    closeSync(this.#descriptor)
  }
}

/** Open for reading and writing (I1). */
function namelessFile(directory: string): number {
  const path = join(directory, `.conclave-${randomBytes(8).toString('hex')}.tmp`)
  const descriptor = openSync(path, 'wx+', PRIVATE_MODE)
  unlinkSync(path)
  return descriptor
}

/** Copies all octets, and tells how many; −1 when they are not those of the digest (I2). */
async function copied(from: number, to: number, digest: string): Promise<number> {
  const hash = createHash('sha256')
  const buffer = new Uint8Array(PART_OCTETS)
  let at = 0
  for (;;) {
    const { bytesRead } = await readAsync(from, buffer, 0, PART_OCTETS, at)
    if (bytesRead === 0) break
    hash.update(buffer.subarray(0, bytesRead))
    await writeAll(to, buffer.subarray(0, bytesRead), at)
    at += bytesRead
  }
  return hash.digest('base64') === digest ? at : -1
}

async function writeAll(to: number, octets: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < octets.length; ) {
    done += (await writeAsync(to, octets, done, octets.length - done, at + done)).bytesWritten
  }
}
