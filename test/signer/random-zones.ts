/** Random zones and random edits of them, the same for the same seed: delegations with and without glue and DS, empty
 *  non-terminals, wildcards, DNAMEs, names below all of these, and changes that make and unmake them. */

/** mulberry32: a small generator whose stream depends on the seed alone. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** Few labels, so that names meet: as parents, children and neighbours of each other. */
const LABELS = ['a', 'b', 'c', 'd', '*', 'B-1', '_x', '\\001', '\\041', 'zz']

/** Owner (relative, or `@`) → lines of `TYPE RDATA`. */
export class RandomZone {
  readonly records: Map<string, Set<string>> = new Map()
  serial = 1
  minimum = 900
  readonly #random: () => number
  readonly #dnames: boolean

  constructor(seed: number, names: number, dnames = true) {
    this.#random = seeded(seed)
    this.#dnames = dnames
    for (let left = names; left > 0; left--) this.edit()
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  #owner(): string {
    const labels: string[] = []
    for (let left = 1 + this.#below(4); left > 0; left--) labels.push(LABELS[this.#below(LABELS.length)]!)
    return labels.join('.')
  }

  /** One change: a name set anew, or gone. */
  edit(): void {
    const owners = [...this.records.keys()]
    if (owners.length > 0 && this.#random() < 0.25) {
      this.records.delete(owners[this.#below(owners.length)]!)
      return
    }
    const owner =
      owners.length > 0 && this.#random() < 0.3 ? owners[this.#below(owners.length)]! : this.#owner()
    this.records.set(owner, new Set(this.#lines(owner)))
  }

  #lines(owner: string): string[] {
    const address = `192.0.2.${this.#below(256)}`
    const choice = this.#random()
    if (choice < 0.45)
      return [`A ${address}`, ...(this.#random() < 0.3 ? ['TXT "some text"', 'MX 10 Mail'] : [])]
    if (choice < 0.5) return ['CNAME a']
    if (choice < 0.58 && this.#dnames && !owner.includes('*'))
      return ['DNAME elsewhere.test.', `A ${address}`]
    if (owner.startsWith('*')) return ['TXT "wildcard"']
    const ns = ['NS ns.elsewhere.test.', ...(this.#random() < 0.3 ? [`A ${address}`] : [])]
    if (choice < 0.8) return ns
    const digest = this.#below(65536).toString(16).padStart(4, '0').repeat(16)
    return [...ns, `DS ${this.#below(65536)} 13 2 ${digest}`]
  }

  /** Judges refuse data below a DNAME and beside the NS of a cut; for them those names are left out. */
  text(clean = false): string {
    const lines = [
      `@ 3600 SOA ns host ${this.serial} 7200 3600 1209600 ${this.minimum}`,
      '@ 3600 NS ns',
      'ns 3600 A 192.0.2.1',
    ]
    for (const [owner, records] of this.records) {
      if (clean && this.#isBelow(owner)) continue
      const cut = [...records].some(line => line.startsWith('NS'))
      for (const line of records) {
        if (clean && cut && line.startsWith('A ')) continue
        lines.push(`${owner} 300 ${line}`)
      }
    }
    return `${lines.join('\n')}\n`
  }

  #isBelow(owner: string): boolean {
    return [...this.records].some(([other, records]) => {
      return owner.endsWith(`.${other}`) && [...records].some(line => /^(NS|DNAME)/.test(line))
    })
  }
}
