/** A model of all validating resolvers of the world: what was served by whom and when is told to it, and it finds out whether
 *  any of them could have called the zone bogus. It knows records, TTLs and servers, and nothing of keys' lives.
 *
 *  A resolver may have asked any server at any moment, for each RRset on its own, and keeps what it got for its TTL. So at a
 *  moment t an RRset version may be in use if some server served it until t - TTL or later; and any such DS, DNSKEY and other
 *  RRsets may come together. Resolvers may use less than the TTL, and forget anything.
 *
 *  Rules: `any`, RFC 4035 §5.2 and §5.3, RFC 6840 §5.11: one good chain is enough. `ds`: each algorithm of the DS RRset must
 *  be good (unbound's harden-algo-downgrade). `dnskey`: each algorithm of the DNSKEY RRset as well (RFC 4035 §2.2). */

export interface ModelKey {
  readonly name: string
  readonly algorithm: number
}

/** An RRset with the keys whose RRSIGs are with it; none: unsigned. */
export interface ServedRRset {
  readonly signers: readonly ModelKey[]
  readonly ttl: number
}

/** What a server of the zone serves: the DNSKEY RRset, CDS, and the RRset of greatest TTL among the others. */
export interface ServedZone {
  readonly dnskeys: readonly ModelKey[]
  readonly dnskey: ServedRRset
  readonly cds: ServedRRset
  readonly other: ServedRRset
}

export interface ServedDs {
  readonly keys: readonly ModelKey[]
  readonly ttl: number
}

export type Rule = 'any' | 'ds' | 'dnskey'

export interface Bogus {
  readonly at: number
  readonly rule: Rule
  readonly what: string
}

interface Span<T> {
  readonly value: T
  readonly from: number
  to: number
}

export class CachingValidator {
  readonly bogus: Bogus[] = []
  readonly #zones = new Map<string, Span<ServedZone>[]>()
  readonly #parents = new Map<string, Span<ServedDs>[]>()
  /** Combinations looked at, so that a test can tell that there were any. */
  checked = 0

  /** From that moment on a server of the zone serves this. */
  zoneServes(server: string, value: ServedZone, at: number): void {
    take(this.#zones, server, value, at)
    this.#check(at)
  }

  parentServes(server: string, value: ServedDs, at: number): void {
    take(this.#parents, server, value, at)
    this.#check(at)
  }

  /** What may be in use changes for the worse only when a server gets something new. */
  #check(at: number): void {
    const zones = [...this.#zones.values()].flat()
    const parents = usable([...this.#parents.values()].flat(), at, ({ ttl }) => ttl)
    const dnskeys = distinct(usable(zones, at, ({ dnskey }) => dnskey.ttl))
    const others = distinct([
      ...usable(zones, at, ({ other }) => other.ttl).map(zone => zone.other),
      ...usable(zones, at, ({ cds }) => cds.ttl).map(zone => zone.cds),
    ])
    for (const ds of distinct(parents)) {
      for (const zone of dnskeys) {
        for (const other of others) {
          this.checked++
          const rule = brokenRule(ds, zone, other)
          if (rule !== undefined) this.bogus.push({ at, rule, what: words(ds, zone, other) })
        }
      }
    }
    forget(this.#zones, at, ({ dnskey, cds, other }) => Math.max(dnskey.ttl, cds.ttl, other.ttl))
    forget(this.#parents, at, ({ ttl }) => ttl)
  }
}

function take<T>(servers: Map<string, Span<T>[]>, server: string, value: T, at: number): void {
  const spans = servers.get(server) ?? []
  const last = spans.at(-1)
  if (last !== undefined) last.to = at
  spans.push({ value, from: at, to: Number.POSITIVE_INFINITY })
  servers.set(server, spans)
}

function usable<T>(spans: readonly Span<T>[], at: number, ttlOf: (value: T) => number): T[] {
  return spans.filter(({ value, to }) => to + ttlOf(value) > at).map(({ value }) => value)
}

function forget<T>(servers: Map<string, Span<T>[]>, at: number, ttlOf: (value: T) => number): void {
  for (const [server, spans] of servers) {
    servers.set(
      server,
      spans.filter(({ value, to }) => to + ttlOf(value) > at),
    )
  }
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Map(values.map(value => [JSON.stringify(value), value])).values()]
}

/** The first rule by which these are bogus together. */
function brokenRule(ds: ServedDs, zone: ServedZone, other: ServedRRset): Rule | undefined {
  // RFC 4035 §5.2: no DS, no secure entry point: the zone is insecure.
  if (ds.keys.length === 0) return undefined
  // The RRset is good by an algorithm when a key of it, in the DNSKEY RRset, signed it.
  const good = (rrset: ServedRRset, algorithm: number): boolean =>
    zone.dnskeys.some(key => key.algorithm === algorithm && isIn(key, rrset.signers))
  // The DNSKEY RRset is good by an algorithm when a key that a DS points at, and that is in it, signed it.
  const secure = (algorithm: number): boolean =>
    zone.dnskeys.some(
      key => key.algorithm === algorithm && isIn(key, ds.keys) && isIn(key, zone.dnskey.signers),
    )
  const known = algorithmsOf([...ds.keys, ...zone.dnskeys])
  if (!known.some(secure) || !known.some(algorithm => good(other, algorithm))) return 'any'
  if (!algorithmsOf(ds.keys).every(algorithm => secure(algorithm) && good(other, algorithm))) return 'ds'
  const whole = algorithmsOf(zone.dnskeys).every(
    algorithm => good(zone.dnskey, algorithm) && good(other, algorithm),
  )
  return whole ? undefined : 'dnskey'
}

function isIn(key: ModelKey, keys: readonly ModelKey[]): boolean {
  return keys.some(other => other.name === key.name)
}

function algorithmsOf(keys: readonly ModelKey[]): number[] {
  return [...new Set(keys.map(({ algorithm }) => algorithm))]
}

function words(ds: ServedDs, zone: ServedZone, other: ServedRRset): string {
  const names = (keys: readonly ModelKey[]): string =>
    `{${keys.map(({ name, algorithm }) => `${name}/${algorithm}`).join(' ')}}`
  const signers = `${names(zone.dnskey.signers)}`
  return `DS ${names(ds.keys)}, DNSKEY ${names(zone.dnskeys)} signed by ${signers}, data signed by ${names(other.signers)}`
}
