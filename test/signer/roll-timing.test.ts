/** How long rolls take: against RFC 7583's equations, second by second. Times in which nobody lags and the parent answers at
 *  once are those of the equations, so the plan is compared with them. */
import test from 'ava'
import {
  initialTimeline,
  type KeyInfo,
  type KeyRecord,
  type Plan,
  plan,
  planPicture,
  planTable,
  type RecordState,
  type RollFacts,
  type SigningPolicy,
  signingPolicyOf,
  type ZoneTimeline,
} from '../../signer/index.ts'
import { lifetimeEnd } from '../../signer/roll-target.ts'
import { nameFromText } from '../../zones/index.ts'

const NOW = 1_800_000_000
const DAY = 86_400

/** RFC 7583's letters: Dprp propagation in the zone, DprpP at the parent, TTLkey, TTLsig, TTLds; and the margins. */
interface Times {
  readonly Dprp: number
  readonly TTLkey: number
  readonly TTLsig: number
  readonly TTLds: number
  readonly publishSafety: number
  readonly retireSafety: number
  /** From the DS being wanted to all servers of the parent being seen with it: Dreg + DprpP. */
  readonly Dreg: number
}

const TABLE: readonly Times[] = [
  { Dprp: 300, TTLkey: 3600, TTLsig: 3600, TTLds: DAY, publishSafety: 3600, retireSafety: 3600, Dreg: 7200 },
  { Dprp: 0, TTLkey: 60, TTLsig: 7 * DAY, TTLds: 3600, publishSafety: 0, retireSafety: 0, Dreg: 1 },
  {
    Dprp: DAY,
    TTLkey: 2 * DAY,
    TTLsig: 600,
    TTLds: 2 * DAY,
    publishSafety: 10,
    retireSafety: 7,
    Dreg: 5 * DAY,
  },
]

const NEW = initialTimeline([], { kind: 'nothing' }, NOW)
const FACTS: RollFacts = { held: new Set(['old']), zoneTtlSeconds: 3600, serial: 1 }

const oldKey: KeyInfo = {
  id: 'old',
  zone: nameFromText('example.'),
  algorithm: 13,
  role: 'csk',
  flags: 257,
  publicKey: Uint8Array.of(1),
  keyTag: 1000,
  createdUnix: NOW - 100 * DAY,
  where: 'memory',
}
const signedBefore = {
  kind: 'signed',
  apex: { published: ['old'], keySigners: ['old'], zoneSigners: ['old'] },
  serial: 1,
  dsMaybe: ['old'],
} as const

function planOf(times: Times, policy: Partial<SigningPolicy>, begun: ZoneTimeline = NEW): Plan {
  const full = signingPolicyOf({
    propagationSeconds: times.Dprp,
    dnskeyTtlSeconds: times.TTLkey,
    publishSafetySeconds: times.publishSafety,
    retireSafetySeconds: times.retireSafety,
    parent: { ...signingPolicyOf().parent, dsTtlSeconds: times.TTLds },
    ...policy,
  })
  const facts = { ...FACTS, zoneTtlSeconds: times.TTLsig }
  return plan(begun, full, facts, NOW, NOW + 400 * DAY, { parentSeconds: times.Dreg })
}

/** When a record of a key came into that state first. */
function since(made: Plan, name: string, record: KeyRecord, state: Exclude<RecordState, 'hidden'>): number {
  const key = made.keys.find(one => one.name === name)
  const span = key?.spans.find(one => one.record === record && one.state === state)
  if (span === undefined) throw new Error(`${name} has no ${record} that is ${state}`)
  return span.fromUnix
}

test('lifetimes are spread over a tenth, by key', t => {
  const policy = { zskLifetimeSeconds: 100 * DAY, kskLifetimeSeconds: null }
  const end = (id: number): number => lifetimeEnd({ id: `zone${id}`, role: 'zsk', activeUnix: NOW }, policy)!
  const days = Array.from({ length: 200 }, (_, id) => (end(id) - NOW) / DAY)
  t.true(days.every(one => one > 90 && one <= 100))
  t.is(new Set(days.map(one => Math.floor(one))).size, 10, 'every day has some')
  t.is(end(7), end(7))
  t.is(lifetimeEnd({ id: 'a', role: 'ksk', activeUnix: NOW }, policy), undefined)
})

for (const times of TABLE) {
  const about = `TTLs ${times.TTLkey}, ${times.TTLsig}, ${times.TTLds}, delays ${times.Dprp}, ${times.Dreg}`

  test(`RFC 7583 §3.2.1: a ZSK is pre-published and retired in time (${about})`, t => {
    const lifetimes = { zskLifetimeSeconds: 60 * DAY, kskLifetimeSeconds: null }
    const made = planOf(times, { splitKeys: true, ...lifetimes })
    const [old, next] = ['ZSK new-2', 'ZSK new-3']
    const lifetime = lifetimeEnd({ id: 'new-2', role: 'zsk', activeUnix: 0 }, lifetimes)!
    // (1) Ipub = Dprp + TTLkey; (2) Trdy = Tpub + Ipub; (3) Tpub(N+1) <= Tact(N) + Lzsk - Ipub.
    const Ipub = times.Dprp + times.TTLkey + times.publishSafety
    const Tact = NOW
    const Tpub = since(made, next, 'dnskey', 'rumoured')
    t.is(Tpub, Tact + lifetime - Ipub)
    // (4) Tret(N) = Tact(N+1) = Tact(N) + Lzsk.
    t.is(since(made, next, 'zoneSignature', 'rumoured'), Tact + lifetime)
    // (5) Iret = Dsgn + Dprp + TTLsig, and a version is signed whole before it is shown: Dsgn = 0. (6) Tdea = Tret + Iret.
    const Iret = times.Dprp + times.TTLsig + times.retireSafety
    t.is(since(made, old, 'dnskey', 'unretentive'), Tact + lifetime + Iret)
  })

  test(`RFC 7583 §3.3.1: a KSK is doubled and retired in time (${about})`, t => {
    const made = planOf(times, { splitKeys: true, zskLifetimeSeconds: null, kskLifetimeSeconds: 100 * DAY })
    const [old, next] = ['KSK new-1', 'KSK new-3']
    // (1) IpubC = DprpC + TTLkey, (2) TrdyC = Tpub + IpubC: the DS is wanted then, at the end of the old one's lifetime.
    const IpubC = times.Dprp + times.TTLkey + times.publishSafety
    const Tpub = since(made, next, 'dnskey', 'rumoured')
    const wanted = made.events.find(event => event.kind === 'want-ds' && event.keys[0] === 'new-3')!
    t.is(wanted.atUnix, Tpub + IpubC)
    // (7) Iret = DprpP + TTLds, from the new DS being there; the old DNSKEY goes then.
    const seen = made.events.find(event => event.kind === 'ds-seen' && event.keys[0] === 'new-3')!
    t.is(seen.atUnix, wanted.atUnix + times.Dreg)
    t.is(since(made, old, 'dnskey', 'unretentive'), seen.atUnix + times.TTLds + times.retireSafety)
  })

  test(`RFC 7583 §3.3.1: a CSK takes over signing while its DS is on its way (${about})`, t => {
    const made = planOf(times, { kskLifetimeSeconds: 100 * DAY })
    const [old, next] = ['CSK new-1', 'CSK new-2']
    const wanted = made.events.find(event => event.kind === 'want-ds' && event.keys[0] === 'new-2')!
    t.is(since(made, next, 'zoneSignature', 'rumoured'), wanted.atUnix)
    const dsGone = wanted.atUnix + times.Dreg + times.TTLds + times.retireSafety
    const signaturesGone = wanted.atUnix + times.Dprp + times.TTLsig + times.retireSafety
    t.is(since(made, old, 'dnskey', 'unretentive'), Math.max(dsGone, signaturesGone))
    // Never signed twice.
    t.is(since(made, old, 'zoneSignature', 'unretentive'), since(made, next, 'zoneSignature', 'rumoured'))
  })

  test(`RFC 6781 §4.1.4: an algorithm is rolled conservatively (${about})`, t => {
    const begun = initialTimeline(
      [oldKey],
      { ...signedBefore, dnskeyTtlSeconds: times.TTLkey, zoneTtlSeconds: times.TTLsig },
      NOW,
    )
    const made = planOf(times, { algorithm: 15 }, begun)
    const [old, next] = ['CSK 1000', 'CSK new-1']
    const { Dprp } = times
    const keysGone = Dprp + times.TTLkey + times.publishSafety
    const signaturesGone = Dprp + times.TTLsig + times.retireSafety
    // Signatures of the new algorithm come first; its DNSKEY when they are everywhere (CDS has the DNSKEYs' TTL) ...
    t.is(since(made, next, 'zoneSignature', 'rumoured'), NOW)
    const shown = since(made, next, 'dnskey', 'rumoured')
    t.is(shown, NOW + Math.max(signaturesGone, keysGone))
    // ... the DS when that is; and backwards for the old one: DS, DNSKEY, signatures.
    const wanted = made.events.find(({ kind }) => kind === 'want-ds')!.atUnix
    t.is(wanted, shown + keysGone)
    const taken = since(made, old, 'dnskey', 'unretentive')
    t.is(taken, wanted + times.Dreg + times.TTLds + times.retireSafety)
    t.is(since(made, old, 'zoneSignature', 'unretentive'), taken + keysGone)
  })
}

test('a plan ends after so many steps, and says so: lifetimes of minutes would make it endless', t => {
  const policy = signingPolicyOf({ splitKeys: true })
  const made = plan(NEW, policy, FACTS, NOW, NOW + 730 * DAY, { stepsMax: 20 })
  t.is(made.ends, 'more than 20 steps')
  t.true(made.events.length > 0 && made.events.length <= 20)
})

test('two years are planned in well under a second, and say when nothing more will come', t => {
  const begin = process.cpuUsage()
  const made = plan(
    NEW,
    signingPolicyOf({ splitKeys: true, zskLifetimeSeconds: 30 * DAY }),
    FACTS,
    NOW,
    NOW + 730 * DAY,
  )
  t.true(process.cpuUsage(begin).user < 1_000_000)
  t.true(made.events.filter(({ kind }) => kind === 'generate').length > 24)
  t.is(made.ends, undefined)
  const still = plan(NEW, signingPolicyOf(), FACTS, NOW, NOW + 730 * DAY, { parentSeconds: null })
  t.deepEqual(
    still.events.map(({ kind }) => kind),
    ['generate', 'publish', 'want-ds'],
  )
  t.regex(still.ends ?? '', /the parent was not seen with the DS of CSK new-1/)
})

test('a plan is a table and a picture', t => {
  const made = plan(NEW, signingPolicyOf({ splitKeys: true }), FACTS, NOW, NOW + 200 * DAY)
  const lines = planTable(made)
  t.is(lines.length, made.events.length)
  t.regex(lines[0]!, /^2027-01-15 08:00:00 UTC {2}generate/)
  const picture = planPicture(made, 'Keys of <example.>')
  t.regex(picture, /^<svg xmlns=/)
  t.true(picture.includes('Keys of &lt;example.&gt;'))
  for (const key of made.keys) t.true(picture.includes(`>${key.name}<`), key.name)
  const bars = made.keys.flatMap(({ spans }) => spans).length
  t.is(picture.match(/<title>(rumoured|omnipresent|unretentive), /g)?.length, bars)
  t.deepEqual(picture, planPicture(made, 'Keys of <example.>'))
})
