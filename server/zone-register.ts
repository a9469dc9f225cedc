/** The zones of a nameserver: which there are, from which source each comes, how they come and go.
 *
 *    lifeOf: unknown ─▶ new life │ its own source ─▶ the same life │ given away ─▶ the same life, another source │ refused
 *
 *  I1  A zone has one source: a file, a text or a program; another source for the same name is refused, unless that of the
 *      zone gives it away (source-changes.ts), or is a file that was found in a directory and has gone.
 *  I2  A zone that comes back begins when nothing of the one that was removed is under way. */
import { ConclaveError } from '../base/index.ts'
import {
  canonicalName,
  compareOctets,
  type Name,
  nameFromText,
  nameToText,
  rootName,
} from '../zones/index.ts'
import type { ProgramZone } from './nameserver-types.ts'
import { ProgramChanges } from './program-changes.ts'
import { ZoneLife } from './zone-life.ts'
import type { ZoneEnvironment, ZoneSettings } from './zone-life-types.ts'
import { type ZoneStatus, zoneStatus } from './zone-status.ts'

/** What is not a path says who owns the zone. */
export const TEXT = 'text'
export const PROGRAM = 'program'

export interface ZoneEntry {
  readonly life: ZoneLife
  /** A path, TEXT or PROGRAM. */
  readonly source: string
  readonly program?: ProgramZone
}

export class ZoneRegister {
  readonly #environment: ZoneEnvironment
  readonly #forget: (life: ZoneLife) => void
  /** By name in lower case, as ZoneLife has it. */
  readonly #entries = new Map<string, ZoneEntry>()
  /** I2. */
  readonly #leaving = new Map<string, Promise<void>>()
  /** Zones that another source may take over. */
  readonly yielding: Set<ZoneLife> = new Set()

  /** `forget` is told of lives that end. */
  constructor(environment: ZoneEnvironment, forget: (life: ZoneLife) => void) {
    this.#environment = environment
    this.#forget = forget
  }

  /** By its name, with or without the last dot. */
  find(name: string): ZoneEntry | undefined {
    return this.#entries.get(zoneText(nameFromText(name, rootName)))
  }

  /** @throws ConclaveError ZONE_UNKNOWN */
  entry(name: string): ZoneEntry {
    const entry = this.find(name)
    if (entry !== undefined) return entry
    const zone = zoneText(nameFromText(name, rootName))
    throw new ConclaveError('ZONE_UNKNOWN', `there is no zone ${zone} here`, {
      remedy: 'List the zones with `conclave zones`; a file that was refused is read again with all others.',
    })
  }

  /** Undefined for a zone that is not here, or not any more. */
  sourceOf(apex: Name): string | undefined {
    return this.#entries.get(zoneText(apex))?.source
  }

  /** Of all zones, or of those that come from one of these sources. */
  lives(sources?: ReadonlySet<string>): ZoneLife[] {
    const entries = [...this.#entries.values()]
    return entries.flatMap(({ life, source }) => (sources?.has(source) === false ? [] : [life]))
  }

  /** In the order of names. */
  statuses(now: number): ZoneStatus[] {
    return [...this.#entries.values()]
      .sort((a, b) => compareOctets(a.life.apexKey, b.life.apexKey))
      .map(({ life, source }) => zoneStatus(life, source, now))
  }

  /** The life of a zone, new or its source's own (I1).
   *  @throws ConclaveError ZONE_TWICE */
  lifeOf(apex: Name, source: string, settings: ZoneSettings): ZoneLife {
    const zone = zoneText(apex)
    const known = this.#entries.get(zone)
    if (known === undefined) {
      const life = new ZoneLife(apex, this.#environment, settings, this.#leaving.get(zone))
      const program = source === PROGRAM ? new ProgramChanges(life, this.#environment.store) : undefined
      this.#entries.set(zone, { life, source, ...(program === undefined ? {} : { program }) })
      return life
    }
    if (this.yielding.delete(known.life) || known.life.sourceGone === 'free') {
      this.#entries.set(zone, { life: known.life, source })
      known.life.sourceGone = false
      known.life.configure(settings)
      return known.life
    }
    if (known.source === source && source !== PROGRAM) return known.life
    throw new ConclaveError('ZONE_TWICE', `the zone ${zone} is served from ${known.source} already`, {
      place: { file: source, zone },
      remedy: 'A zone has one source: remove one of the two.',
    })
  }

  /** Ends the life of a zone; resolves when nothing of it is under way. */
  remove(life: ZoneLife): Promise<void> {
    const { zone } = life
    if (this.#entries.get(zone)?.life === life) this.#entries.delete(zone)
    this.#forget(life)
    const left = life.remove().finally(() => {
      if (this.#leaving.get(zone) === left) this.#leaving.delete(zone)
    })
    this.#leaving.set(zone, left)
    return left
  }

  /** Resolves when no zone that is here now, or was removed, has anything under way. */
  async idle(): Promise<void> {
    await Promise.all([...this.lives().map(life => life.idle), ...this.#leaving.values()])
  }
}

function zoneText(apex: Name): string {
  return nameToText(canonicalName(apex))
}
