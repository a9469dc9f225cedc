/** Keys of zones that nobody has asked for so far: which are taken, and which are made. */
import test from 'ava'
import {
  type FirstKeys,
  firstKeys,
  initialTimeline,
  type KeyInfo,
  type KeyRole,
  policyOfKeys,
  type SigningPolicy,
  signingPolicyOf,
  timelineByRole,
} from '../../signer/index.ts'
import { nameFromText } from '../../zones/index.ts'
import { NOW, testKey } from './build-support.ts'

const zone = nameFromText('example.')

function keyOf(role: KeyRole, algorithm = 13, index = 0): KeyInfo {
  return testKey(zone, algorithm, role, index).info
}

/** The first keys, when those are there; the maker fails at the key of that number. */
function first(infos: readonly KeyInfo[], policy: SigningPolicy, failsAt = 9): Promise<FirstKeys> {
  const held = infos.map(({ id }) => id)
  const face = {
    policy: () => policyOfKeys(policy, infos),
    facts: () => ({ held: new Set(held), zoneTtlSeconds: 0, serial: 0 }),
    make: ({ role, algorithm }: { role: KeyRole; algorithm: number }) => {
      if (held.length === failsAt) return Promise.reject(new Error('no more'))
      const info = keyOf(role, algorithm, held.length + 10)
      held.push(info.id)
      return Promise.resolve(info)
    },
  }
  return firstKeys(initialTimeline(infos, { kind: 'nothing' }, NOW), face, NOW)
}

const kinds = (keys: readonly KeyInfo[]): string[] =>
  keys.map(({ role, algorithm }) => `${role} ${algorithm}`)
const split = signingPolicyOf({ splitKeys: true, algorithm: 15 })

interface Row {
  readonly title: string
  readonly there: readonly KeyInfo[]
  readonly policy: SigningPolicy
  readonly made: readonly string[]
}

const ROWS: readonly Row[] = [
  { title: 'a CSK', there: [], policy: signingPolicyOf(), made: ['csk 13'] },
  { title: 'a KSK and a ZSK', there: [], policy: split, made: ['ksk 15', 'zsk 15'] },
  {
    title: 'RFC 4035 §2.2: the ZSK of a KSK that is there, of its algorithm',
    there: [keyOf('ksk')],
    policy: split,
    made: ['zsk 13'],
  },
  {
    title: 'nothing beside a CSK, whatever the policy wants',
    there: [keyOf('csk')],
    policy: split,
    made: [],
  },
]

for (const { title, there, policy, made } of ROWS) {
  test(`what lacks is made: ${title}`, async t => {
    const found = await first(there, policy)
    t.deepEqual(kinds(found.made), [...made])
    t.deepEqual(
      [...(found.apex?.published ?? [])].sort(),
      [...there, ...found.made].map(({ id }) => id).sort(),
      'all of them are published at once: nothing is in any cache',
    )
  })
}

test('I1: where a key cannot be made, the next beginning takes the one that was', async t => {
  await t.throwsAsync(first([], split, 1), { message: 'no more' })
  const again = await first([keyOf('ksk', 15, 10)], split)
  t.deepEqual(kinds(again.made), ['zsk 15'])
})

test('RFC 6781 §3.1, RFC 4035 §2.2: keys do what their roles say; of one role only, they do both', t => {
  const apexOf = (infos: readonly KeyInfo[]): readonly string[][] => {
    const served = { serial: 1, dnskeyTtlSeconds: 60, zoneTtlSeconds: 60 }
    const { keySigners, zoneSigners } = timelineByRole(infos, served, NOW).epochs[0]!
    const roles = (ids: readonly string[]): string[] => kinds(infos.filter(({ id }) => ids.includes(id)))
    return [roles(keySigners), roles(zoneSigners)]
  }
  t.deepEqual(apexOf([keyOf('ksk'), keyOf('zsk', 13, 1)]), [['ksk 13'], ['zsk 13']])
  t.deepEqual(apexOf([keyOf('csk')]), [['csk 13'], ['csk 13']])
  t.deepEqual(apexOf([keyOf('zsk')]), [['zsk 13'], ['zsk 13']])
  t.deepEqual(
    apexOf([keyOf('ksk'), keyOf('zsk', 13, 1), keyOf('ksk', 15, 2)]),
    [
      ['ksk 13', 'ksk 15'],
      ['zsk 13', 'ksk 15'],
    ],
    'each algorithm by itself',
  )
})
