/** A world for a zone's keys to live in, with a clock of its own: servers of the zone that lag, a parent that is slow, a key
 *  store that fails, restarts, and an operator with ideas. It does what `nextAction` says, as a nameserver would, and tells
 *  a model of all resolvers what is served. Everything random comes from the seed. */
import {
  applyEvent,
  decide,
  initialTimeline,
  type KeyInfo,
  type KeyRole,
  type RollAction,
  type RollEvent,
  type RollFacts,
  type SigningPolicy,
  shownKeys,
  signingPolicyOf,
  wantedDs,
  type ZoneBefore,
  type ZoneTimeline,
} from '../../signer/index.ts'
import { nameFromText } from '../../zones/index.ts'
import { CachingValidator, type ModelKey, type ServedZone } from './caching-validator.ts'

export const WORLD_BEGIN = 1_800_000_000
export const DAY = 86_400
const zone = nameFromText('example.')
/** Steps without time passing; more means that the core goes in circles. */
const STEPS_MAX = 1000

export interface WorldOptions {
  readonly seed: number
  readonly policy?: Partial<SigningPolicy>
  readonly before?: ZoneBefore
  /** Greatest TTL of the zone. Default an hour. */
  readonly zoneTtlSeconds?: number
  /** From a DS being wanted to a server of the parent having it, at most. Default a day. */
  readonly parentSeconds?: number
  /** Restarts, crashes, a failing store, clocks that go back, TTLs that change. */
  readonly mischief?: boolean
  /** What the world does against what the core is told, so that the core must go wrong. */
  readonly lies?: {
    /** Secondaries lag by so many times the propagation time. */
    readonly lagFactor?: number
    /** TTLs that resolvers see are so many times those that the timeline has. */
    readonly ttlFactor?: number
    /** The parent is said to have the DS when nobody has looked. */
    readonly dsSeenBlindly?: boolean
  }
}

export class World {
  readonly validator: CachingValidator = new CachingValidator()
  readonly log: { at: number; action: RollAction }[] = []
  now: number = WORLD_BEGIN
  policy: SigningPolicy
  timeline: ZoneTimeline
  zoneTtlSeconds: number
  /** No more mischief. */
  calm = false
  readonly #options: WorldOptions
  readonly #random: () => number
  readonly #keys = new Map<string, KeyInfo>()
  readonly #queue: { at: number; run: () => void }[] = []
  readonly #servers = new Map<string, number>()
  readonly #parents = new Map<string, { version: number; keys: readonly string[] }>()
  readonly #pendingAsks = new Set<string>()
  #serial = 1
  #dsVersion = 0
  #takenVersion = 0
  #storeDownUntil = 0
  #storeForgets = false
  #downUntil = 0
  #skewUntil = 0
  #clockSeen = 0

  constructor(options: WorldOptions) {
    this.#options = options
    this.#random = randomOf(options.seed)
    this.policy = signingPolicyOf(options.policy ?? {})
    this.zoneTtlSeconds = options.zoneTtlSeconds ?? 3600
    const before = options.before ?? { kind: 'nothing' }
    this.timeline = initialTimeline([], before, this.now)
    for (const server of ['primary', 'east', 'west']) this.#servers.set(server, 0)
    if (before.kind === 'unsigned')
      for (const server of this.#servers.keys()) this.#serveAt(server, this.#served())
    for (const parent of ['p1', 'p2']) {
      this.#parents.set(parent, { version: 0, keys: [] })
      this.validator.parentServes(parent, { keys: [], ttl: this.#dsTtl() }, this.now)
    }
    if (options.mischief === true) this.#later(this.#between(1, 20 * DAY), () => this.#mischief())
  }

  /** A number from `least` to `most`, whole. */
  #between(least: number, most: number): number {
    return Math.floor(least + this.#random() * (most - least + 1))
  }

  #later(seconds: number, run: () => void): void {
    this.#queue.push({ at: this.now + seconds, run })
    this.#queue.sort((a, b) => a.at - b.at)
  }

  pick<T>(values: readonly T[]): T {
    return values[this.#between(0, values.length - 1)]!
  }

  after(seconds: number, run: () => void): void {
    this.#later(seconds, run)
  }

  /** Lets so much time pass. */
  run(seconds: number): void {
    const end = this.now + seconds
    for (;;) {
      const wake = this.now >= this.#downUntil ? this.#live() : undefined
      const next = Math.min(this.#queue[0]?.at ?? end, wake ?? end, end)
      this.now = Math.max(this.now, next)
      if (this.now >= end) return
      while (this.#queue[0] !== undefined && this.#queue[0].at <= this.now) this.#queue.shift()!.run()
    }
  }

  /** What the nameserver does until it has to wait; until when. */
  #live(): number | undefined {
    for (let steps = 0; steps < STEPS_MAX; steps++) {
      const clock = this.now < this.#skewUntil ? this.now - 5 * DAY : this.now
      this.#clockSeen = Math.max(this.#clockSeen, clock)
      const { action } = decide(this.timeline, this.policy, this.#facts(), clock)
      if (action.kind === 'wait') {
        this.#ask(action.ask)
        if (clock !== this.now) return this.#skewUntil
        return action.untilUnix
      }
      if (clock !== this.now) throw new Error(`${action.kind} while the clock is behind`)
      if (!this.#do(action)) return undefined
      this.log.push({ at: this.now, action })
    }
    throw new Error(`no end of steps: ${JSON.stringify(this.log.slice(-6))}`)
  }

  #facts(): RollFacts {
    const away = this.now < this.#storeDownUntil
    const held = away && this.#storeForgets ? [] : this.#keys.keys()
    const { zoneTtlSeconds } = this
    return {
      held: new Set(held),
      zoneTtlSeconds,
      serial: this.#serial,
      clockSeenUnix: this.#clockSeen,
      ...(away ? { cannotGenerate: 'the key store is away' } : {}),
    }
  }

  #apply(event: RollEvent): void {
    this.timeline = applyEvent(this.timeline, event, this.policy, this.now)
  }

  /** Whether it could be done. */
  #do(action: Exclude<RollAction, { kind: 'wait' }>): boolean {
    const signs = action.kind === 'publish' || action.kind === 'want-ds' || action.kind === 'generate'
    if (signs && this.now < this.#storeDownUntil) return false
    switch (action.kind) {
      case 'generate': {
        const { predecessor, reason } = action
        const info = this.#generate(action.role, action.algorithm)
        this.#apply({
          kind: 'generated',
          info,
          reason,
          ...(predecessor === undefined ? {} : { predecessor }),
        })
        return true
      }
      case 'retire':
        this.#apply({ kind: 'retired', key: action.key, because: action.because, reason: action.reason })
        return true
      case 'keep':
        this.#apply({ kind: 'kept', key: action.key, reason: action.reason })
        return true
      case 'publish':
        return this.#publish(action.apex)
      case 'unsign':
        return this.#publish({ published: [], keySigners: [], zoneSigners: [] })
      case 'want-ds':
        this.#apply({ kind: 'ds-wanted', keys: action.keys })
        this.#serve()
        this.#tellParent(action.keys)
        return true
      case 'confirm-ds':
        this.#apply({ kind: 'ds-confirmed', keys: action.keys, ttlSeconds: action.ttlSeconds, by: 'time' })
        return true
      case 'destroy':
        this.#keys.delete(action.key)
        this.#apply({ kind: 'destroyed', key: action.key })
        return true
    }
  }

  #generate(role: KeyRole, algorithm: number): KeyInfo {
    const id = `${role}${this.#keys.size}-${this.#serial}-${this.now - WORLD_BEGIN}`
    const flags = role === 'zsk' ? 256 : 257
    const keyTag = this.#between(0, 65_535)
    const publicKey = new TextEncoder().encode(id)
    const info = { id, zone, algorithm, role, flags, publicKey, keyTag, createdUnix: this.now, where: 'here' }
    this.#keys.set(id, info)
    return info
  }

  #publish(apex: {
    published: readonly string[]
    keySigners: readonly string[]
    zoneSigners: readonly string[]
  }): boolean {
    const { zoneTtlSeconds, policy } = this
    this.#serial++
    const { dnskeyTtlSeconds } = policy
    this.#apply({ kind: 'published', apex, serial: this.#serial, dnskeyTtlSeconds, zoneTtlSeconds })
    if (this.#options.mischief === true && this.#random() < 0.1) {
      // The epoch is on disk; whether anybody sees it before the restart is not.
      if (this.#random() < 0.5) this.#serve()
      this.#downUntil = this.now + this.#between(1, 2 * DAY)
      this.#later(this.#downUntil - this.now, () => this.#restart())
      return false
    }
    this.#serve()
    this.#apply({ kind: 'shown' })
    return true
  }

  #restart(): void {
    this.timeline = JSON.parse(JSON.stringify(this.timeline)) as ZoneTimeline
  }

  #ask({ parent, servers }: { parent?: readonly string[]; servers?: number }): void {
    if (parent !== undefined) this.#askLater('parent', () => this.#askParent())
    if (servers !== undefined) this.#askLater('servers', () => this.#askServers(servers))
  }

  #askLater(whom: string, ask: () => void): void {
    if (this.#pendingAsks.has(whom)) return
    this.#pendingAsks.add(whom)
    this.#later(this.#between(60, 4 * 3600), () => {
      this.#pendingAsks.delete(whom)
      if (this.now >= this.#downUntil) ask()
    })
  }

  #askParent(): void {
    const sets = [...this.#parents.values()]
    if (this.#options.lies?.dsSeenBlindly === true) return this.#confirm(wantedDs(this.timeline), 'parent')
    if (sets.every(({ version }) => version === sets[0]!.version)) this.#confirm(sets[0]!.keys, 'parent')
  }

  #confirm(keys: readonly string[], by: 'parent' | 'operator'): void {
    this.#apply({ kind: 'ds-confirmed', keys, ttlSeconds: this.policy.parent.dsTtlSeconds, by })
  }

  #askServers(serial: number): void {
    if ([...this.#servers.values()].every(served => served >= serial))
      this.#apply({ kind: 'everywhere', serial })
  }

  /** What the newest epoch shows, at the primary now and at the secondaries soon. */
  #serve(): void {
    const served = this.#served()
    const serial = ++this.#serial
    for (const server of this.#servers.keys()) {
      const take = (): void => {
        if (this.#servers.get(server)! >= serial) return
        this.#servers.set(server, serial)
        this.#serveAt(server, served)
      }
      if (server === 'primary') take()
      else this.#later(this.#lag(), take)
    }
  }

  #lag(): number {
    const { propagation, propagationSeconds } = this.policy
    const most = propagationSeconds * (this.#options.lies?.lagFactor ?? 1)
    return this.#between(0, propagation === 'observe' ? Math.max(most, 2 * DAY) : most)
  }

  #serveAt(server: string, served: ServedZone): void {
    this.validator.zoneServes(server, served, this.now)
  }

  #served(): ServedZone {
    const { published, keySigners, zoneSigners } = shownKeys(this.timeline)
    const factor = this.#options.lies?.ttlFactor ?? 1
    const other = { signers: this.#models(zoneSigners), ttl: this.zoneTtlSeconds * factor }
    if (published.length === 0) return { dnskeys: [], dnskey: other, cds: other, other }
    const dnskey = { signers: this.#models(keySigners), ttl: this.policy.dnskeyTtlSeconds * factor }
    return { dnskeys: this.#models(published), dnskey, cds: dnskey, other }
  }

  #models(ids: readonly string[]): ModelKey[] {
    return ids.map(id => ({ name: id, algorithm: this.timeline.keys.find(key => key.id === id)!.algorithm }))
  }

  #dsTtl(): number {
    return this.policy.parent.dsTtlSeconds * (this.#options.lies?.ttlFactor ?? 1)
  }

  /** The parent sees CDS at some server at some time, and takes it unless it has a newer one (RFC 7344 §6.2). */
  #tellParent(keys: readonly string[]): void {
    const version = ++this.#dsVersion
    const models = this.#models(keys)
    const { confirmation } = this.policy.parent
    const limit = typeof confirmation === 'object' ? confirmation.afterSeconds : this.#options.parentSeconds
    this.#later(this.#between(0, limit ?? DAY), () => {
      if (this.#takenVersion >= version) return
      this.#takenVersion = version
      for (const parent of this.#parents.keys()) {
        this.#later(this.#between(0, this.policy.parent.propagationSeconds), () => {
          if (this.#parents.get(parent)!.version >= version) return
          this.#parents.set(parent, { version, keys })
          this.validator.parentServes(parent, { keys: models, ttl: this.#dsTtl() }, this.now)
        })
      }
      if (confirmation === 'operator') this.#later(this.#between(0, DAY), () => this.#say(version, keys))
    })
  }

  /** The operator has seen the DS at one of the parent's servers. */
  #say(version: number, keys: readonly string[]): void {
    if (this.#takenVersion !== version) return
    if ([...this.#parents.values()].some(parent => parent.version === version))
      this.#confirm(keys, 'operator')
    else this.#later(3600, () => this.#say(version, keys))
  }

  #mischief(): void {
    if (this.calm) return
    this.#later(this.#between(3600, 20 * DAY), () => this.#mischief())
    switch (this.#between(0, 3)) {
      case 0:
        return this.#restart()
      case 1:
        this.#storeDownUntil = this.now + this.#between(60, 5 * DAY)
        this.#storeForgets = this.#random() < 0.5
        return this.#later(this.#storeDownUntil - this.now, () => undefined)
      case 2:
        this.#clockSeen = this.now
        this.#skewUntil = this.now + this.#between(60, DAY)
        return
      case 3:
        return this.setTtls(this.pick([60, 3600, DAY]), this.pick([300, 3600, DAY]))
    }
  }

  /** The content or the policy has other TTLs from now on. */
  setTtls(zoneTtlSeconds: number, dnskeyTtlSeconds: number): void {
    if (this.now < this.#downUntil) return
    this.zoneTtlSeconds = zoneTtlSeconds
    this.policy = { ...this.policy, dnskeyTtlSeconds }
    if (this.timeline.epochs.length === 0) return
    const { published, keySigners, zoneSigners } = shownKeys(this.timeline)
    const apex = { published, keySigners, zoneSigners }
    this.#apply({ kind: 'published', apex, serial: ++this.#serial, dnskeyTtlSeconds, zoneTtlSeconds })
    this.#serve()
    this.#apply({ kind: 'shown' })
  }

  setPolicy(change: Partial<SigningPolicy>): void {
    this.policy = { ...this.policy, ...change }
  }

  askRoll(role: KeyRole): void {
    const inUse = this.timeline.keys.filter(
      key => key.goal === 'in-use' && (role === 'csk' || key.role === 'csk' || key.role === role),
    )
    for (const { id } of inUse)
      this.#apply({ kind: 'retired', key: id, because: 'asked', reason: 'an operator asked for it' })
  }

  setUnsigned(begun: boolean): void {
    this.#apply({ kind: 'unsigning', begun })
  }

  /** The action that waits now, for what is left to do. */
  state(): { readonly action: RollAction; readonly why: readonly string[] } {
    const { action, blocked } = decide(this.timeline, this.policy, this.#facts(), this.now)
    return { action, why: blocked.map(({ what, why }) => `${what}: ${why}`) }
  }
}

/** mulberry32: numbers from 0 up to 1 that follow from the seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
