/** Asks a resolver about one zone all the time, and notes every answer that is not what it has to be: NOERROR or NXDOMAIN
 *  always, and secure once all were secure, as long as the parent has a DS.
 *  I1  `stop` ends it; nothing is asked afterwards. */
import type { Registry } from './registry.ts'
import { outcomeOf, type Resolver } from './validators.ts'

const PAUSE_MILLISECONDS = 20

export class Questioner {
  readonly zone: string
  /** What was wrong, a sentence each. */
  readonly faults: string[] = []
  count = 0
  readonly #resolver: Resolver
  readonly #registry: Registry
  #secure = false
  #stopped = false
  #rounds = 0
  #running: Promise<void> | undefined

  constructor(resolver: Resolver, zone: string, registry: Registry) {
    this.#resolver = resolver
    this.zone = zone
    this.#registry = registry
  }

  /** Resolves when the zone is secure. */
  start(): Promise<void> {
    this.#running = this.#run()
    return this.untilSecure()
  }

  async untilSecure(): Promise<void> {
    while (!this.#secure) await this.rounds(1)
  }

  /** Lets so many rounds of questions pass. */
  async rounds(count: number): Promise<void> {
    const end = this.#rounds + count
    while (this.#rounds < end) {
      if (this.#stopped) throw new Error(`${this.zone} is not asked about any more`)
      await new Promise(resolve => setTimeout(resolve, PAUSE_MILLISECONDS))
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      let allSecure = true
      for (const [name, type, rcode] of this.#questions()) {
        const outcome = await this.#ask(name, type, rcode)
        allSecure &&= outcome === `${rcode} AD`
      }
      this.#secure = allSecure
      this.#rounds++
      await new Promise(resolve => setTimeout(resolve, PAUSE_MILLISECONDS))
    }
  }

  /** Names that caches have, and names that nobody asked for before. */
  #questions(): [string, string, string][] {
    const { zone } = this
    return [
      [`www.${zone}`, 'A', 'NOERROR'],
      [`no.${zone}`, 'A', 'NXDOMAIN'],
      [zone, 'DS', 'NOERROR'],
      [zone, 'DNSKEY', 'NOERROR'],
      [zone, 'SOA', 'NOERROR'],
      [`no${this.#rounds}.${zone}`, 'A', 'NXDOMAIN'],
      [`x${this.#rounds}.wild.${zone}`, 'TXT', 'NOERROR'],
    ]
  }

  async #ask(name: string, type: string, rcode: string): Promise<string> {
    const hasDs = (): boolean => this.#registry.dsOf(this.zone).length > 0
    const secure = this.#secure && hasDs()
    const outcome = outcomeOf(await this.#resolver.ask(name, type))
    this.count++
    const right = secure && hasDs() ? [`${rcode} AD`] : [rcode, `${rcode} AD`]
    if (!right.includes(outcome)) this.faults.push(`${name} ${type}: ${outcome}`)
    return outcome
  }
}
