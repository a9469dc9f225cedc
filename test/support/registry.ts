/** A parent zone's registry: it reads CDS of children whenever they have a new version, and puts DS records and delegations
 *  into the parent's zone file (RFC 7344 §6, RFC 8078 §4).
 *  I1  Children are delegated from the start, and have the DS that their CDS asked for last; the first one is believed. */
import type { Nameserver } from '../../server/index.ts'
import { answers } from './embedding.ts'

const DELETE = '0 0 0 00'

export class Registry {
  readonly #parent: Nameserver
  readonly #write: (lines: readonly string[]) => string
  readonly #ds: Map<string, readonly string[]>
  #work: Promise<unknown> = Promise.resolve()

  /** `write` puts the lines into the parent's file, behind its own, and gives its path. */
  constructor(parent: Nameserver, children: readonly string[], write: (lines: readonly string[]) => string) {
    this.#parent = parent
    this.#ds = new Map(children.map(child => [child, []]))
    this.#write = write
  }

  /** DS records of a child, as the file has them. */
  dsOf(child: string): readonly string[] {
    return this.#ds.get(child) ?? []
  }

  /** Reads the file that it writes. */
  async publish(): Promise<void> {
    const lines = [...this.#ds].flatMap(([child, ds]) => [
      `${child} NS ns.${child}`,
      `ns.${child} A 127.0.0.1`,
      ...ds.map(rdata => `${child} DS ${rdata}`),
    ])
    const outcome = await this.#parent.addFile(this.#write(lines))
    if (outcome.kind === 'refused') throw new Error(`the parent: ${outcome.refusal.what}`)
  }

  /** Looks at the CDS RRset of each version of a child. */
  follow(children: Nameserver): void {
    children.on('published', ({ zone }) => {
      this.#work = this.#work.then(() => this.#read(children, zone))
    })
  }

  async #read(children: Nameserver, child: string): Promise<void> {
    const cds = answers(children, child, 'CDS').sort()
    const known = this.dsOf(child)
    // RFC 7344 §4.1: without CDS nothing is to change.
    const wanted = cds.length === 0 ? known : cds.filter(rdata => rdata !== DELETE)
    if (known.join() === wanted.join()) return
    this.#ds.set(child, wanted)
    await this.publish()
  }
}
