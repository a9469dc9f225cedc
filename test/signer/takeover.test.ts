/** Zones signed elsewhere, made here with keys of all sorts: what is inferred of their keys, what is refused, and what
 *  `nextAction` makes of it afterwards. */

import test from 'ava'
import {
  applyEvent,
  dnskeyRdata,
  dsRdata,
  foreignKeysShown,
  inspectTakeover,
  type KeyInfo,
  type KeyRole,
  type KeyTiming,
  nextAction,
  type RollAction,
  type SignedZone,
  type SigningKey,
  type SigningPolicy,
  signedZoneOf,
  signingPolicyOf,
  type TakeoverInput,
  takeoverTimeline,
  type ZoneTimeline,
} from '../../signer/index.ts'
import { nameFromText, Store } from '../../zones/index.ts'
import { contentOf, NOW, settingsOf, TestKeyStore, TestZone, testKey, textOf } from './build-support.ts'

const ORIGIN = 'old.example.'
const apex = nameFromText(ORIGIN)
const DAY = 86_400
const ZONE_TTL = 7200
const DNSKEY_TTL = 1800
const TEXT = '@ 300 SOA ns1 hostmaster 41 7200 1800 1209600 300\n@ 7200 NS ns1\nns1 300 A 192.0.2.1\n'

const policy: SigningPolicy = signingPolicyOf({
  splitKeys: true,
  zskLifetimeSeconds: null,
  dnskeyTtlSeconds: DNSKEY_TTL,
  propagation: 'time',
  propagationSeconds: 60,
  publishSafetySeconds: 0,
  retireSafetySeconds: 0,
  parent: { ...signingPolicyOf().parent, confirmation: 'operator', dsTtlSeconds: 3600 },
})

interface OldKey {
  readonly role: KeyRole
  /** What it does besides being published; default by role. */
  readonly does?: 'signs' | 'nothing'
  readonly index: number
  readonly algorithm?: number
  /** Default: a KSK or CSK that signs has CDS. */
  readonly cds?: boolean
}

function infoOf({ role, index, algorithm = 13 }: OldKey, timing?: KeyTiming): KeyInfo {
  const { info } = testKey(apex, algorithm, role, index)
  return timing === undefined ? info : { ...info, timing }
}

/** The zone as a server with those keys has it. */
async function signedBy(keys: readonly OldKey[], at = NOW): Promise<SignedZone> {
  const locals = keys.map(({ role, index, algorithm = 13 }) => testKey(apex, algorithm, role, index))
  const store = new TestKeyStore(...locals)
  const signing = keys.map((key, place): SigningKey => {
    const signs = key.does !== 'nothing'
    const { info } = locals[place]!
    const [signsKeys, signsZone] = [signs && key.role !== 'zsk', signs && key.role !== 'ksk']
    return { info, store, published: true, signsKeys, signsZone, cds: key.cds ?? signsKeys }
  })
  const zone = new TestZone(ORIGIN, settingsOf(signing, { dnskeyTtl: DNSKEY_TTL }))
  await zone.load(TEXT)
  const other = new Store()
  const content = contentOf(other, textOf(zone), ORIGIN)
  return (await signedZoneOf(other, content, at))!
}

const ksk: OldKey = { role: 'ksk', index: 0 }
const zsk: OldKey = { role: 'zsk', index: 1 }
const dsOf = (key: OldKey): Uint8Array => dsRdata(apex, dnskeyRdata(infoOf(key)))

function inputOf(
  zone: SignedZone,
  held: readonly KeyInfo[],
  more: Partial<TakeoverInput> = {},
): TakeoverInput {
  return { zone, held, now: NOW, ds: [dsOf(ksk)], ...more }
}

function rulesOf(input: TakeoverInput): string[] {
  const result = takeoverTimeline(input, policy)
  return result.kind === 'refused' ? result.faults.map(({ rule }) => rule) : []
}

function timelineOf(input: TakeoverInput): ZoneTimeline {
  const result = takeoverTimeline(input, policy)
  if (result.kind === 'refused') throw new Error(JSON.stringify(result.faults))
  return result.timeline
}

function goalsOf(input: TakeoverInput): string[] {
  return inspectTakeover(input).keys.map(({ role, goal }) => `${role} ${goal}`)
}

const heldIds = (input: TakeoverInput): Set<string> => new Set(input.held.map(({ id }) => id))

const STEPS_MAX = 10

/** What is done until then, with its times after the takeover. */
function actionsUntil(input: TakeoverInput, seconds: number): { at: number; action: RollAction }[] {
  let timeline = applyEvent(timelineOf(input), { kind: 'shown' }, policy, NOW)
  const done: { at: number; action: RollAction }[] = []
  const held = heldIds(input)
  let serial = 42
  for (let now = NOW; now <= NOW + seconds; ) {
    const facts = { held, zoneTtlSeconds: ZONE_TTL, serial }
    const action = nextAction(timeline, policy, facts, now)
    if (action.kind === 'wait') {
      now = Math.min(action.untilUnix ?? Infinity, NOW + seconds + 1)
      continue
    }
    done.push({ at: now - NOW, action })
    if (action.kind !== 'publish') throw new Error(JSON.stringify(action))
    const { apex: keys } = action
    serial++
    const ttls = { dnskeyTtlSeconds: DNSKEY_TTL, zoneTtlSeconds: ZONE_TTL }
    const published = applyEvent(timeline, { kind: 'published', apex: keys, serial, ...ttls }, policy, now)
    timeline = applyEvent(published, { kind: 'shown' }, policy, now)
    if (done.length > STEPS_MAX) throw new Error('the steps do not end')
  }
  return done
}

test('KSK and ZSK, both at hand: they go on doing what they did', async t => {
  const zone = await signedBy([ksk, zsk])
  const input = inputOf(zone, [infoOf(ksk), infoOf(zsk)])
  t.deepEqual(goalsOf(input), ['ksk in-use', 'zsk in-use'])
  const timeline = timelineOf(input)
  const { published, keySigners, zoneSigners, serial, zoneTtlSeconds } = timeline.epochs.at(-1)!
  const [k, z] = [infoOf(ksk).id, infoOf(zsk).id]
  t.deepEqual([published, keySigners, zoneSigners], [[k, z], [k], [z]])
  t.deepEqual([serial, zoneTtlSeconds, zone.dnskeyTtlSeconds], [41, ZONE_TTL, DNSKEY_TTL])
  t.deepEqual(timeline.ds.at(-1)!.keys, [k])
  t.deepEqual(actionsUntil(input, 30 * DAY), [])
})

test('RFC 4035 §5.2: a DS whose private key is missing is refused, by name; without a DS nothing depends on it', async t => {
  const zone = await signedBy([ksk, zsk])
  const held = [infoOf(zsk)]
  t.deepEqual(rulesOf(inputOf(zone, held)), ['ds-key-missing'])
  const refused = inspectTakeover(inputOf(zone, held))
  t.regex(refused.kind === 'refused' ? refused.faults[0]!.what : '', new RegExp(`DS ${infoOf(ksk).keyTag} `))
  const { ds: _, ...unknown } = inputOf(zone, held)
  t.deepEqual(rulesOf(unknown), ['key-signer-missing'])
  // A DS that matches nothing in the zone.
  const stray = dsOf({ role: 'ksk', index: 4 })
  t.deepEqual(rulesOf(inputOf(zone, [infoOf(ksk), infoOf(zsk)], { ds: [stray] })), ['ds-key-missing'])
})

test('a ZSK whose private key is missing is refused: caches know no other', async t => {
  const zone = await signedBy([ksk, zsk])
  t.deepEqual(rulesOf(inputOf(zone, [infoOf(ksk)])), ['zone-signer-missing'])
})

const next: OldKey = { role: 'zsk', index: 3, does: 'nothing' }

test('RFC 6781 §4.1.1.1: a pre-published ZSK takes over when caches must have it, and the old one goes after its data', async t => {
  const zone = await signedBy([ksk, zsk, next])
  const publishUnix = NOW - 600
  const timing = { publishUnix, activateUnix: NOW + DAY }
  const input = inputOf(zone, [infoOf(ksk), infoOf(zsk), infoOf(next, timing)])
  t.deepEqual(goalsOf(input), ['ksk in-use', 'zsk retired', 'zsk in-use'])
  const [first, second, ...more] = actionsUntil(input, 30 * DAY)
  t.deepEqual(more, [])
  // The other server showed it 600 seconds before.
  t.is(first!.at, DNSKEY_TTL + 60 - 600)
  const [z, n] = [infoOf(zsk).id, infoOf(next).id]
  const shown = first!.action.kind === 'publish' ? first!.action.apex : undefined
  t.deepEqual(shown!.zoneSigners, [n])
  t.true(shown!.published.includes(z))
  t.is(second!.at, first!.at + 60 + ZONE_TTL)
  t.false(second!.action.kind === 'publish' && second!.action.apex.published.includes(z))
})

test('the same ZSK, and nobody knows since when it is there: it counts from now', async t => {
  const zone = await signedBy([ksk, zsk, next])
  const input = inputOf(zone, [infoOf(ksk), infoOf(zsk), infoOf(next, { activateUnix: NOW + DAY })])
  t.is(actionsUntil(input, 30 * DAY)[0]!.at, DNSKEY_TTL + 60)
})

test('a pre-published ZSK without the one that signs: refused until caches must have it', async t => {
  const zone = await signedBy([ksk, zsk, next])
  const heldWith = (publishUnix: number): KeyInfo[] => [infoOf(ksk), infoOf(next, { publishUnix })]
  t.deepEqual(rulesOf(inputOf(zone, [infoOf(ksk), infoOf(next)])), ['zone-signer-too-new'])
  t.deepEqual(rulesOf(inputOf(zone, heldWith(NOW - DNSKEY_TTL + 1))), ['zone-signer-too-new'])
  // Caches let go of it, but a secondary may have been late.
  t.deepEqual(rulesOf(inputOf(zone, heldWith(NOW - DNSKEY_TTL))), ['unsafe'])
  const input = inputOf(zone, heldWith(NOW - DNSKEY_TTL - 60))
  const timeline = timelineOf(input)
  t.deepEqual(timeline.epochs.at(-1)!.zoneSigners, [infoOf(next).id])
  // The other's DNSKEY stays as long as caches may have what it signed.
  const missing = infoOf(zsk)
  t.deepEqual(foreignKeysShown(timeline, heldIds(input)), { dnskey: [dnskeyRdata(missing)] })
  const [gone] = actionsUntil(input, 30 * DAY)
  t.is(gone!.at, 60 + ZONE_TTL)
  t.false(gone!.action.kind === 'publish' && gone!.action.apex.published.includes(missing.id))
})

test('a ZSK that signs no more, and of which nothing is known, stays until its data are gone', async t => {
  const zone = await signedBy([ksk, zsk, next])
  for (const held of [
    [infoOf(ksk), infoOf(zsk), infoOf(next)],
    [infoOf(ksk), infoOf(zsk)],
  ]) {
    const input = inputOf(zone, held)
    t.true(timelineOf(input).epochs.at(-1)!.published.includes(infoOf(next).id))
    const [gone, ...more] = actionsUntil(input, 30 * DAY)
    t.deepEqual(more, [])
    t.is(gone!.at, 60 + ZONE_TTL)
  }
})

test('rolls that the other server began, with the time of the old keys over: the new ones go on, and no others are made', async t => {
  const newKsk: OldKey = { role: 'ksk', index: 3, cds: false }
  const zone = await signedBy([ksk, newKsk, zsk, next])
  const over = { activateUnix: NOW - DAY, inactiveUnix: NOW - 60 }
  const begun = { publishUnix: NOW - 300, activateUnix: NOW - 60 }
  const held = [infoOf(ksk, over), infoOf(newKsk, begun), infoOf(zsk, over), infoOf(next, begun)]
  const input = inputOf(zone, held)
  const goals = new Map(inspectTakeover(input).keys.map(({ id, goal }) => [id, goal]))
  t.deepEqual(
    held.map(({ id }) => goals.get(id)),
    ['retired', 'in-use', 'retired', 'in-use'],
  )
  const timeline = applyEvent(timelineOf(input), { kind: 'shown' }, policy, NOW)
  const facts = { held: heldIds(input), zoneTtlSeconds: ZONE_TTL, serial: 42 }
  t.not(nextAction(timeline, policy, facts, NOW).kind, 'generate')
  // Before that time CDS says which the parent is to have.
  const early = inputOf(zone, [infoOf(ksk), infoOf(newKsk), infoOf(zsk), infoOf(next)])
  const { goal, reason } = inspectTakeover(early).keys.find(({ id }) => id === infoOf(newKsk).id)!
  t.deepEqual([goal, reason], ['retired', `the zone's CDS asks for key ${infoOf(ksk).keyTag} instead`])
})

test('RFC 6781 §4.1.2: two KSKs sign; which has the DS is not known: both must be at hand, and both go on', async t => {
  const other: OldKey = { role: 'ksk', index: 2 }
  const zone = await signedBy([ksk, other, zsk])
  const { ds: _, ...unknown } = inputOf(zone, [infoOf(ksk), infoOf(other), infoOf(zsk)])
  const timeline = timelineOf(unknown)
  t.deepEqual(timeline.epochs.at(-1)!.keySigners, [infoOf(ksk).id, infoOf(other).id])
  t.deepEqual(timeline.dsMaybe, [[infoOf(ksk).id], [infoOf(other).id]])
  const one = { ...unknown, held: [infoOf(ksk), infoOf(zsk)] }
  t.deepEqual(rulesOf(one), ['key-signer-missing'])
  // The other's DS may have left the parent a moment ago.
  t.deepEqual(rulesOf({ ...one, ds: [dsOf(ksk)] }), ['unsafe'])
})

test('RFC 4035 §2.2: an algorithm of which no key is at hand is refused', async t => {
  const both = { role: 'csk', index: 0, algorithm: 15 } as const
  const zone = await signedBy([ksk, zsk, both])
  t.deepEqual(rulesOf(inputOf(zone, [infoOf(ksk), infoOf(zsk)])), ['zone-signer-missing'])
})

test('a copy of the zone whose signatures have expired says nothing', async t => {
  const zone = await signedBy([ksk, zsk], NOW + 30 * DAY)
  t.deepEqual(rulesOf(inputOf(zone, [infoOf(ksk), infoOf(zsk)])), ['not-signed'])
})
