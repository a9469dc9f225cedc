/** Years of keys' lives in a world of servers, a parent and resolvers (key-life-world.ts): at no instant is anything bogus
 *  to any resolver (caching-validator.ts), and every roll comes to its end. */
import test, { type ExecutionContext } from 'ava'
import {
  confirmedDs,
  type KeyRole,
  type SigningPolicy,
  settle,
  shownKeys,
  signingPolicyOf,
} from '../../signer/index.ts'
import { DAY, World, type WorldOptions } from '../support/key-life-world.ts'

const SEEDS = [1, 2, 3]
const SEEDS_MIXED = Number(process.env['ROLL_SEEDS'] ?? 12)
const YEAR = 365 * DAY

interface Story {
  readonly name: string
  readonly options: Omit<WorldOptions, 'seed'>
  /** What happens, besides lifetimes; called once at the beginning. */
  readonly plot?: (world: World) => void
  /** Roles of keys that must have come in the year, at least so many. */
  readonly made: Readonly<Record<string, number>>
}

const split: Partial<SigningPolicy> = {
  splitKeys: true,
  zskLifetimeSeconds: 30 * DAY,
  kskLifetimeSeconds: 90 * DAY,
}

function parent(confirmation: SigningPolicy['parent']['confirmation']): SigningPolicy['parent'] {
  return { ...signingPolicyOf().parent, confirmation }
}

const STORIES: readonly Story[] = [
  {
    name: 'RFC 7583 §3.2.1: ZSKs, pre-published',
    options: { policy: { splitKeys: true, zskLifetimeSeconds: 30 * DAY } },
    made: { ksk: 1, zsk: 12 },
  },
  {
    name: 'RFC 7583 §3.3.1: KSKs, doubled; ZSKs beside',
    options: { policy: split },
    made: { ksk: 4, zsk: 12 },
  },
  {
    name: 'RFC 6781 §4.1.4: CSKs of another algorithm, and back',
    options: {},
    plot: world => {
      world.after(30 * DAY, () => world.setPolicy({ algorithm: 15 }))
      world.after(150 * DAY, () => world.setPolicy({ algorithm: 13 }))
    },
    made: { csk: 3 },
  },
  {
    name: 'RFC 6781 §4.1.4: KSK and ZSK of another algorithm while they roll',
    options: { policy: split, zoneTtlSeconds: 600 },
    plot: world => {
      world.after(29 * DAY, () => world.setPolicy({ algorithm: 8 }))
      world.after(89 * DAY, () => world.setPolicy({ algorithm: 14 }))
    },
    made: { ksk: 5, zsk: 12 },
  },
  {
    name: 'RFC 6781 §3.1: CSK to KSK and ZSK, and back',
    options: {},
    plot: world => {
      world.after(30 * DAY, () => world.setPolicy({ splitKeys: true }))
      world.after(150 * DAY, () => world.setPolicy({ splitKeys: false }))
    },
    made: { csk: 2, ksk: 1, zsk: 1 },
  },
  {
    name: 'RFC 8078 §4: unsigned, and signed again',
    options: { policy: split, before: { kind: 'unsigned', zoneTtlSeconds: DAY } },
    plot: world => {
      world.after(100 * DAY, () => world.setUnsigned(true))
      world.after(150 * DAY, () => world.setUnsigned(false))
      world.after(200 * DAY, () => world.setUnsigned(true))
      // Before the parent has let the DS go.
      world.after(200 * DAY + 3600, () => world.setUnsigned(false))
    },
    made: { ksk: 3, zsk: 8 },
  },
  {
    name: 'servers that are asked and lag by days',
    options: { policy: { ...split, propagation: 'observe', propagationSeconds: 3600 } },
    made: { ksk: 3, zsk: 8 },
  },
  {
    name: 'a parent that only an operator sees',
    options: { policy: { ...split, parent: parent('operator') } },
    made: { ksk: 3, zsk: 12 },
  },
  {
    name: 'a parent that is given three days',
    options: { policy: { kskLifetimeSeconds: 60 * DAY, parent: parent({ afterSeconds: 3 * DAY }) } },
    made: { csk: 4 },
  },
  { name: 'RFC 7583: CSKs', options: { policy: { kskLifetimeSeconds: 60 * DAY } }, made: { csk: 5 } },
]

for (const { name, options, plot, made } of STORIES) {
  test(`${name}: a year in which nothing is ever bogus`, t => {
    for (const seed of SEEDS) {
      const world = new World({ ...options, seed })
      plot?.(world)
      world.run(YEAR)
      t.deepEqual(world.validator.bogus.slice(0, 3), [], `seed ${seed}`)
      t.true(world.validator.checked > 10, `seed ${seed}`)
      for (const [role, least] of Object.entries(made)) {
        const count = world.log.filter(
          ({ action }) => action.kind === 'generate' && action.role === role,
        ).length
        t.true(count >= least, `seed ${seed}: ${count} of ${role}`)
      }
    }
  })
}

/** Anything at any time. */
function chaos(seed: number, lies?: WorldOptions['lies']): World {
  const modes: readonly Partial<SigningPolicy>[] = [
    {},
    { propagation: 'observe' },
    { parent: parent('operator') },
    { parent: parent({ afterSeconds: 2 * DAY }) },
    { publishSafetySeconds: 0, retireSafetySeconds: 0, propagationSeconds: 7200 },
    { publishSafetySeconds: 0, retireSafetySeconds: 0, parent: parent('operator') },
    { publishSafetySeconds: 0, retireSafetySeconds: 0, parent: parent({ afterSeconds: 2 * DAY }) },
  ]
  const world = new World({
    seed,
    mischief: true,
    policy: { ...(seed % 2 === 0 ? split : { kskLifetimeSeconds: 60 * DAY }), ...modes[seed % modes.length] },
    ...(seed % 3 === 0 ? { before: { kind: 'unsigned', zoneTtlSeconds: DAY } } : {}),
    ...(lies === undefined ? {} : { lies }),
  })
  const happen = (): void => {
    if (world.calm) return
    world.after(world.pick([60, 3600, DAY, 7 * DAY, 20 * DAY]), happen)
    world.pick<() => void>([
      () => world.askRoll(world.pick<KeyRole>(['ksk', 'zsk', 'csk'])),
      () => world.setPolicy({ algorithm: world.pick([13, 15]) }),
      () => world.setPolicy({ splitKeys: world.pick([true, false]) }),
      () => world.setPolicy({ zskLifetimeSeconds: world.pick([DAY, 30 * DAY, null]) }),
      () => world.setPolicy({ kskLifetimeSeconds: world.pick([5 * DAY, 60 * DAY, null]) }),
      () => world.setPolicy({ purgeSeconds: world.pick([0, 90 * DAY, null]) }),
      () => world.setUnsigned(world.pick([true, false, false])),
    ])()
  }
  world.after(DAY, happen)
  return world
}

test('all at once by seed, with restarts, crashes and a failing store: nothing is ever bogus', t => {
  for (let seed = 1; seed <= SEEDS_MIXED; seed++) {
    const world = chaos(seed)
    world.run(YEAR)
    // Left alone, it comes to rest.
    world.calm = true
    world.setUnsigned(false)
    world.setPolicy({ kskLifetimeSeconds: null, zskLifetimeSeconds: null })
    world.run(60 * DAY)
    t.deepEqual(world.validator.bogus.slice(0, 3), [], `seed ${seed}`)
    isAtRest(t, world, `seed ${seed}`)
  }
})

/** The policy's keys and no others are shown, one signs the zone, and the parent has the DS of one. (A successor may be there
 *  that was made before lifetimes were said to have no end.) */
function isAtRest(t: ExecutionContext, world: World, about: string): void {
  const { policy } = world
  const timeline = settle(world.timeline, policy, world.now)
  t.deepEqual(world.state().why, [], about)
  const inUse = timeline.keys.filter(({ goal }) => goal === 'in-use')
  const roles = [...new Set(inUse.map(({ role }) => role))].sort()
  t.deepEqual(roles, policy.splitKeys ? ['ksk', 'zsk'] : ['csk'], about)
  t.true(inUse.every(({ algorithm }) => algorithm === policy.algorithm))
  const idsBut = (not: KeyRole): string[] => inUse.filter(({ role }) => role !== not).map(({ id }) => id)
  const { published, keySigners, zoneSigners } = shownKeys(timeline)
  t.deepEqual([...published].sort(), inUse.map(({ id }) => id).sort(), about)
  t.deepEqual(keySigners, idsBut('zsk'), about)
  t.true(zoneSigners.length === 1 && idsBut('ksk').includes(zoneSigners[0]!), about)
  const ds = confirmedDs(timeline)
  t.true(ds.length === 1 && keySigners.includes(ds[0]!), about)
  t.true(
    timeline.keys.every(({ goal, goneUnix }) => goal === 'in-use' || goneUnix !== undefined),
    about,
  )
}

test('the model of resolvers finds what is wrong when the core is lied to', t => {
  const lies: readonly NonNullable<WorldOptions['lies']>[] = [
    { lagFactor: 30 },
    { ttlFactor: 3 },
    { dsSeenBlindly: true },
  ]
  for (const lie of lies) {
    let found = 0
    for (let seed = 1; seed <= 5; seed++) {
      const world = chaos(seed, lie)
      world.run(YEAR)
      if (world.validator.bogus.length > 0) found++
    }
    t.true(found >= 2, `${JSON.stringify(lie)} was found in ${found} of 5 years`)
  }
})
