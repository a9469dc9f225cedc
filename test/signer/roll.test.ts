/** What keys do next: single steps. Whole lives are in roll-simulation.test.ts. */
import test from 'ava'
import {
  type ApexKeys,
  applyEvent,
  CDNSKEY_DELETE,
  CDS_DELETE,
  deleteSignals,
  explain,
  initialTimeline,
  KEYS_SHOWN_MAX,
  type KeyInfo,
  type KeyRole,
  type KeyStore,
  nextAction,
  type RollAction,
  type RollEvent,
  type RollFacts,
  type SigningPolicy,
  settle,
  shownKeys,
  signingKeysAt,
  signingPolicyOf,
  wantedDs,
  type ZoneTimeline,
} from '../../signer/index.ts'
import { nameFromText } from '../../zones/index.ts'

const zone = nameFromText('example.')
const NOW = 1_800_000_000

function info(id: string, role: KeyRole, createdUnix: number, algorithm = 13): KeyInfo {
  const publicKey = new TextEncoder().encode(id)
  const flags = role === 'zsk' ? 256 : 257
  return { id, zone, algorithm, role, flags, publicKey, keyTag: 1000, createdUnix, where: 'memory' }
}

const DAY = 86_400

class Life {
  timeline: ZoneTimeline
  policy: SigningPolicy
  readonly held = new Set<string>()
  cannotGenerate: string | undefined
  now = NOW
  #made = 0
  #serial = 1

  constructor(
    policy: Partial<SigningPolicy>,
    timeline: ZoneTimeline = initialTimeline([], { kind: 'nothing' }, NOW),
  ) {
    this.policy = signingPolicyOf(policy)
    this.timeline = timeline
    for (const { id } of timeline.keys) this.held.add(id)
  }

  facts(): RollFacts {
    const { held, cannotGenerate } = this
    const facts = { held, zoneTtlSeconds: 3600, serial: this.#serial, clockSeenUnix: this.now }
    return cannotGenerate === undefined ? facts : { ...facts, cannotGenerate }
  }

  next(): RollAction {
    return nextAction(this.timeline, this.policy, this.facts(), this.now)
  }

  /** What is waited for, nothing else being left to do. */
  wait(): Extract<RollAction, { kind: 'wait' }> {
    const action = this.next()
    if (action.kind !== 'wait') throw new Error(`${action.kind}: ${action.reason}`)
    return action
  }

  /** Does what is to be done now; what kinds of actions these were. */
  run(): string[] {
    const done: string[] = []
    for (;;) {
      const action = this.next()
      if (action.kind === 'wait') return done
      done.push(action.kind)
      this.do(action)
    }
  }

  /** Later, and what is to be done then. */
  runAt(unix: number): string[] {
    this.now = unix
    return this.run()
  }

  apply(event: RollEvent): void {
    this.timeline = applyEvent(this.timeline, event, this.policy, this.now)
  }

  seeDs(keys: readonly string[] = wantedDs(this.timeline)): void {
    this.apply({ kind: 'ds-confirmed', keys, ttlSeconds: 3600, by: 'parent' })
  }

  /** An operator wants the keys of that role replaced. */
  roll(role: KeyRole, reason = 'asked'): void {
    const inUse = this.timeline.keys.filter(key => key.goal === 'in-use' && key.role === role)
    for (const { id } of inUse) this.apply({ kind: 'retired', key: id, because: 'asked', reason })
  }

  do(action: Exclude<RollAction, { kind: 'wait' }>): void {
    const { now } = this
    const { reason } = action
    switch (action.kind) {
      case 'generate': {
        const made = info(`key${this.#made++}`, action.role, now, action.algorithm)
        this.held.add(made.id)
        const { predecessor } = action
        this.apply({
          kind: 'generated',
          info: made,
          reason,
          ...(predecessor === undefined ? {} : { predecessor }),
        })
        return
      }
      case 'publish':
        return this.show(action.apex)
      case 'unsign':
        return this.show({ published: [], keySigners: [], zoneSigners: [] })
      case 'want-ds':
        return this.apply({ kind: 'ds-wanted', keys: action.keys })
      case 'retire':
        return this.apply({ kind: 'retired', key: action.key, because: action.because, reason })
      case 'keep':
        return this.apply({ kind: 'kept', key: action.key, reason })
      case 'confirm-ds':
        return this.apply({
          kind: 'ds-confirmed',
          keys: action.keys,
          ttlSeconds: action.ttlSeconds,
          by: 'time',
        })
      case 'destroy':
        this.held.delete(action.key)
        return this.apply({ kind: 'destroyed', key: action.key })
    }
  }

  show(apex: ApexKeys): void {
    this.apply({
      kind: 'published',
      apex,
      serial: ++this.#serial,
      dnskeyTtlSeconds: 3600,
      zoneTtlSeconds: 3600,
    })
    this.apply({ kind: 'shown' })
  }
}

/** A zone that is signed for long, with its DS at the parent. */
function settled(policy: Partial<SigningPolicy> = {}): Life {
  const life = new Life(policy)
  life.run()
  life.seeDs()
  life.now += 10 * DAY
  return life
}

test('RFC 6781 §3.1: a new zone gets its keys, shows them, wants their DS, and waits for the parent', t => {
  const csk = new Life({})
  t.deepEqual(csk.run(), ['generate', 'publish', 'want-ds'])
  const split = new Life({ splitKeys: true })
  t.deepEqual(split.run(), ['generate', 'generate', 'publish', 'want-ds'])
  t.deepEqual(split.wait().ask, { parent: ['key0'] })
})

test('a zone that was served unsigned wants a DS only when no cache holds it unsigned any more', t => {
  const before = { kind: 'unsigned', zoneTtlSeconds: DAY } as const
  const life = new Life({}, initialTimeline([], before, NOW))
  t.deepEqual(life.run(), ['generate', 'publish'])
  const { untilUnix, reason } = life.wait()
  t.is(untilUnix, NOW + 300 + DAY + 3600)
  t.regex(
    reason,
    /ask the parent for the DS of CSK 1000: .* resolvers may hold these until 2027-01-16 09:05:00 UTC/,
  )
  t.deepEqual(life.runAt(untilUnix! - 1), [])
  t.deepEqual(life.runAt(untilUnix!), ['want-ds'])
})

test('a key that no store has is not replaced: what it would have to sign waits, and that is said', t => {
  const life = settled({ splitKeys: true })
  life.held.delete('key1')
  t.deepEqual(life.run(), [])
  life.roll('ksk')
  // The KSK's successor is made, since it was asked for; showing it takes a signature by the ZSK.
  t.deepEqual(life.run(), ['generate'])
  t.regex(life.wait().reason, /no key store has ZSK 1000/)
  life.held.add('key1')
  t.deepEqual(life.run(), ['publish'])
})

test('a missing key that is due is not replaced either way but by its successor', t => {
  const life = settled({ splitKeys: true, zskLifetimeSeconds: 30 * DAY })
  life.held.delete('key1')
  t.deepEqual(life.runAt(NOW + 40 * DAY), ['generate', 'retire'])
  t.regex(life.wait().reason, /no key store has ZSK 1000/)
})

test('while no key can be made, what was begun goes on, and that is said', t => {
  const life = settled()
  life.roll('csk')
  life.cannotGenerate = 'the token is away'
  t.deepEqual(life.run(), [])
  t.is(life.wait().reason, 'a new CSK is needed: the token is away')
  const shown = shownKeys(life.timeline)
  t.deepEqual([shown.published, shown.zoneSigners, wantedDs(life.timeline)], [['key0'], ['key0'], ['key0']])
  life.cannotGenerate = undefined
  t.deepEqual(life.run(), ['generate', 'publish'])
})

test('a roll that was asked for is done once', t => {
  const life = settled({ splitKeys: true })
  life.roll('zsk')
  t.deepEqual(life.run(), ['generate', 'publish'])
  for (let step = 0; step < 40; step++) life.runAt(life.now + 3600)
  t.is(life.timeline.keys.length, 3)
  t.deepEqual(shownKeys(life.timeline).zoneSigners, ['key2'])
})

test('rolls of KSK and ZSK go side by side', t => {
  const life = settled({ splitKeys: true })
  life.roll('ksk')
  life.roll('zsk')
  t.deepEqual(life.run(), ['generate', 'generate', 'publish'])
  t.deepEqual(shownKeys(life.timeline).published, ['key0', 'key1', 'key2', 'key3'])
  t.deepEqual(life.runAt(life.wait().untilUnix!), ['want-ds', 'publish'])
})

test('more rolls than the apex has room for wait', t => {
  const life = settled({ zskLifetimeSeconds: null })
  for (let count = 0; count < 30; count++) {
    life.roll('csk', 'again')
    life.now += 1
    life.run()
  }
  t.true(shownKeys(life.timeline).published.length <= KEYS_SHOWN_MAX)
})

test('a policy that is taken back at once costs no roll', t => {
  const life = settled()
  life.policy = { ...life.policy, algorithm: 15 }
  t.deepEqual(life.run(), ['retire', 'generate', 'publish'])
  life.policy = { ...life.policy, algorithm: 13 }
  t.deepEqual(life.run(), ['retire', 'keep', 'publish'])
  const { published, zoneSigners } = shownKeys(life.timeline)
  t.deepEqual([published, zoneSigners], [['key0'], ['key0']])
})

test('a clock that went back stops everything until it has come where it was', t => {
  const life = settled()
  life.roll('csk')
  const back = nextAction(life.timeline, life.policy, life.facts(), NOW - DAY)
  t.like(back, { kind: 'wait', untilUnix: life.now })
  t.regex(back.reason, /the clock says/)
})

test('RFC 8078 §4: a zone becomes unsigned when no cache has its DS; its keys go, and new ones come when it is signed again', t => {
  const life = settled()
  const infos = [info('key0', 'csk', NOW)]
  const store = {} as KeyStore
  t.deepEqual(
    signingKeysAt(life.timeline, life.policy, infos, () => store).map(({ cds }) => cds),
    [true],
  )
  t.is(deleteSignals(life.timeline, life.policy), undefined)
  life.apply({ kind: 'unsigning', begun: true })
  t.deepEqual(life.run(), ['want-ds'])
  t.deepEqual(deleteSignals(life.timeline, life.policy), { cds: [CDS_DELETE], cdnskey: [CDNSKEY_DELETE] })
  t.deepEqual(
    signingKeysAt(life.timeline, life.policy, infos, () => store).map(({ cds }) => cds),
    [false],
  )
  life.seeDs([])
  const { untilUnix } = life.wait()
  t.is(untilUnix, life.now + 3600 + 3600)
  t.deepEqual(life.runAt(untilUnix!), ['unsign', 'retire'])
  life.apply({ kind: 'unsigning', begun: false })
  t.deepEqual(life.run(), ['generate', 'publish'])
  t.false(shownKeys(life.timeline).published.includes('key0'))
})

test('an unsigned zone that was never at its parent is unsigned at once', t => {
  const life = new Life({})
  t.deepEqual([life.next().kind, life.timeline.ds], ['generate', []])
  life.do(life.next() as Exclude<RollAction, { kind: 'wait' }>)
  life.do(life.next() as Exclude<RollAction, { kind: 'wait' }>)
  life.apply({ kind: 'unsigning', begun: true })
  t.deepEqual(life.run(), ['unsign', 'retire'])
})

test('servers that are observed: nothing depends on a time, and they are asked', t => {
  const life = settled({ splitKeys: true, propagation: 'observe' })
  life.roll('zsk')
  life.run()
  t.deepEqual(life.wait().ask, { servers: 3 })
  t.regex(life.wait().reason, /may be at a server of the zone until all were seen with a newer version/)
  t.deepEqual(life.runAt(life.now + 100 * DAY), [])
  life.apply({ kind: 'everywhere', serial: 2 })
  t.deepEqual(life.run(), [])
  life.apply({ kind: 'everywhere', serial: 3 })
  t.deepEqual(life.wait().untilUnix, life.now + 3600 + 3600)
  t.deepEqual(life.runAt(life.now + 7200), ['publish'])
})

test('a DS that was asked for, and is not wanted any more, may still come: its key stays until that is out', t => {
  const life = settled({ splitKeys: false })
  life.policy = { ...life.policy, splitKeys: true }
  life.run()
  t.deepEqual(life.runAt(life.wait().untilUnix!), ['want-ds', 'publish'])
  const before = shownKeys(life.timeline).published
  life.policy = { ...life.policy, splitKeys: false }
  t.deepEqual(life.run(), ['retire', 'retire', 'keep', 'want-ds', 'publish'])
  t.deepEqual(life.timeline.dsMaybe, [['key1']])
  // The parent is seen with what it had; it may be about to do what it was asked before.
  life.seeDs(['key0'])
  life.runAt(life.now + DAY)
  t.true(shownKeys(life.timeline).published.includes('key1'))
  t.is(before.length, 3)
  life.now += 7 * DAY
  life.seeDs(['key0'])
  life.runAt(life.now + DAY)
  t.deepEqual(shownKeys(life.timeline).published, ['key0'])
})

test('what was decided and not shown is to be shown first, and caches keep what was before', t => {
  const life = settled({ splitKeys: true })
  life.roll('zsk')
  let action = life.next()
  while (action.kind !== 'publish') {
    life.do(action as Exclude<RollAction, { kind: 'wait' }>)
    action = life.next()
  }
  const { apex } = action
  life.apply({ kind: 'published', apex, serial: 9, dnskeyTtlSeconds: 3600, zoneTtlSeconds: 3600 })
  life.now += 10 * DAY
  t.like(life.next(), { kind: 'publish', apex })
  life.show(apex)
  t.is(life.wait().untilUnix, life.now + 300 + 3600 + 3600)
})

test('the DS of a zone that was signed before is not known: the parent may have it or not', t => {
  const apex = { published: ['old'], keySigners: ['old'], zoneSigners: ['old'] }
  const before = {
    kind: 'signed',
    apex,
    serial: 1,
    dnskeyTtlSeconds: 60,
    zoneTtlSeconds: 60,
    dsMaybe: ['old'],
  } as const
  const life = new Life({}, initialTimeline([info('old', 'csk', NOW - DAY)], before, NOW))
  t.deepEqual(life.run(), [])
  t.deepEqual(life.wait().ask, { parent: ['old'] })
  t.is(settle(life.timeline, life.policy, NOW).keys[0]!.records.ds.state, 'rumoured')
  life.seeDs()
  t.deepEqual(life.wait().ask, {})
})

test('a key is explained: what it is, why, the state of its records, what comes next and what that waits for', t => {
  const life = settled({ splitKeys: true, zskLifetimeSeconds: 90 * DAY })
  const { keys, sentences } = explain(life.timeline, life.policy, life.facts(), life.now)
  const [ksk, zsk] = keys
  t.like(ksk, { name: 'KSK 1000', goal: 'in-use', held: true, mnemonic: 'ECDSAP256SHA256', next: [] })
  t.is(ksk!.records.ds.state, 'omnipresent')
  const end = zsk!.lifetimeEndUnix!
  t.true(end > NOW + 81 * DAY && end <= NOW + 90 * DAY)
  t.deepEqual(
    zsk!.next.map(({ what, atUnix }) => [what, atUnix]),
    [
      ['a successor is made', end - 300 - 3600 - 3600],
      ['its successor begins to take over', end],
    ],
  )
  t.true(zsk!.sentences.includes('It signs the zone.'))
  t.regex(sentences[0]!, /^Waits until 2027-04-\d\d .*: ZSK 1000 is replaced at the end of its lifetime/)
  life.roll('ksk', 'an operator asked')
  life.run()
  life.runAt(life.wait().untilUnix!)
  const rolling = explain(life.timeline, life.policy, life.facts(), life.now)
  const next = rolling.keys.find(({ id }) => id === 'key2')!
  t.like(next.next[0], { what: 'the parent has its DS', waitsFor: 'parent' })
  t.like(rolling.keys[0], { goal: 'retired', reason: 'an operator asked' })
  t.like(rolling.keys[0]!.next[0], { what: 'take KSK 1000 away', waitsFor: 'parent' })
  t.like(rolling.ds, { confirmed: ['key0'], wanted: ['key2'], pending: true })
})
