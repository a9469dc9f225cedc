/** The zones of a server that is killed again and again: what is in them, how they are configured, how they change.
 *
 *    one.example.     CSK, NSEC                 its keys roll every few seconds
 *    two.example.     KSK and ZSK, NSEC3        the same
 *    three.example.   CSK, opt-out
 *    newN.example.    KSK and ZSK, NSEC         files that come, go and come back
 *
 *  I1  A file is replaced whole, by a rename; its `marker` says which writing of it is the newest.
 *  I2  Signatures last an hour and are due after a second to an hour, each at its own time: so that some are made anew
 *      every few seconds, without any edit. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { RandomZone } from '../signer/random-zones.ts'

const LASTING = 'signature-validity: 1h, refresh: 30s, jitter: 3569s'

const ROLLING = `dnskey-ttl: 1s, zone-ttl-max: 1s, propagation-delay: 0s, publish-safety: 0s, retire-safety: 0s,
    parent: { ds-confirmation: 1s, ds-ttl: 1s, propagation-delay: 0s }`

const CONFIGURATION = `
server: { state: state }
listen: [127.0.0.1@0]
policies:
  one: { ${LASTING}, ${ROLLING}, ksk-lifetime: 3s }
  two: { ${LASTING}, ${ROLLING}, denial: nsec3, keys: ksk-zsk, ksk-lifetime: 4s, zsk-lifetime: 2s }
  three: { ${LASTING}, denial: opt-out }
  new: { ${LASTING}, keys: ksk-zsk }
zones:
  - { file: zones/one.zone, policy: one }
  - { file: zones/two.zone, policy: two }
  - { file: zones/three.zone, policy: three }
  - { directory: new, policy: new }
log: { format: json }
`

export const CONFIGURATION_FILE = 'conclave.yaml'
export const MAIN_ZONES: readonly string[] = ['one.example.', 'two.example.', 'three.example.']
const NAMES = 120
const NEWCOMERS_MAX = 4

/** One key does the work of KSK and ZSK. */
export function isCsk(zone: string): boolean {
  return zone === 'one.example.' || zone === 'three.example.'
}

export class CrashZones {
  readonly #directory: string
  readonly #random: () => number
  readonly #zones = new Map<string, { readonly zone: RandomZone; writings: number }>()
  /** Newcomers whose files are there, the oldest first, and those whose files went. */
  #present: string[] = []
  #gone: string[] = []

  constructor(directory: string, random: () => number) {
    this.#directory = directory
    this.#random = random
    writeFileSync(join(directory, CONFIGURATION_FILE), CONFIGURATION)
    mkdirSync(join(directory, 'new'))
    for (const name of MAIN_ZONES) this.#make(name, NAMES)
  }

  /** Zones whose files are there. */
  get present(): readonly string[] {
    return [...MAIN_ZONES, ...this.#present]
  }

  /** Whether the zone is what its newest file says. */
  isNewest(name: string, records: readonly string[]): boolean {
    const { writings } = this.#zones.get(name)!
    const found = records.find(record => record.startsWith(`marker.${name} `) && / \d+ TXT /.test(record))
    return found?.endsWith(` "${writings}"`) === true
  }

  /** Changes a few names of a zone that is there. */
  edit(): string {
    const name = this.present[Math.floor(this.#random() * this.present.length)]!
    const { zone } = this.#zones.get(name)!
    for (let left = 1 + Math.floor(this.#random() * 4); left > 0; left--) zone.edit()
    this.#write(name)
    return name
  }

  /** A zone comes, for the first time or again; when there are many, the oldest goes. */
  come(): string {
    const back = this.#random() < 0.3 ? this.#gone.shift() : undefined
    const name = back ?? `new${this.#zones.size}.example.`
    if (back === undefined) this.#make(name, 3)
    else this.#write(name)
    this.#present.push(name)
    if (this.#present.length > NEWCOMERS_MAX) {
      const oldest = this.#present.shift()!
      rmSync(this.#path(oldest))
      this.#gone.push(oldest)
    }
    return name
  }

  #make(name: string, names: number): void {
    this.#zones.set(name, {
      zone: new RandomZone(Math.floor(this.#random() * 2 ** 32), names, false),
      writings: 0,
    })
    this.#write(name)
  }

  #write(name: string): void {
    const entry = this.#zones.get(name)!
    entry.writings++
    const path = this.#path(name)
    mkdirSync(dirname(path), { recursive: true })
    const text = `$ORIGIN ${name}\n${entry.zone.text(true)}marker 300 TXT "${entry.writings}"\n`
    writeFileSync(`${path}.new`, text)
    renameSync(`${path}.new`, path)
  }

  #path(name: string): string {
    const directory = MAIN_ZONES.includes(name) ? 'zones' : 'new'
    return join(this.#directory, directory, `${name.split('.')[0]}.zone`)
  }
}
