/** The model of resolvers itself: sequences that are known to be wrong are bogus in it, and right ones are not. */
import test from 'ava'
import { CachingValidator, type ModelKey, type Rule, type ServedZone } from '../support/caching-validator.ts'

const KSK: ModelKey = { name: 'ksk', algorithm: 13 }
const NEXT_KSK: ModelKey = { name: 'next ksk', algorithm: 13 }
const ZSK: ModelKey = { name: 'zsk', algorithm: 13 }
const NEXT_ZSK: ModelKey = { name: 'next zsk', algorithm: 13 }
const OTHER: ModelKey = { name: 'other', algorithm: 15 }
const TTL = 100
const ZONE_TTL = 1000
const DS_TTL = 5000

interface Shown {
  readonly dnskeys: readonly ModelKey[]
  readonly keys: readonly ModelKey[]
  readonly zone: readonly ModelKey[]
}

type Step =
  | { readonly at: number; readonly show: Shown; readonly server?: string }
  | { readonly at: number; readonly ds: readonly ModelKey[] }

function zoneOf({ dnskeys, keys, zone }: Shown): ServedZone {
  const dnskey = { signers: keys, ttl: TTL }
  return { dnskeys, dnskey, cds: dnskey, other: { signers: zone, ttl: ZONE_TTL } }
}

function rulesBroken(steps: readonly Step[]): Rule[] {
  const validator = new CachingValidator()
  for (const step of steps) {
    if ('ds' in step) validator.parentServes('parent', { keys: step.ds, ttl: DS_TTL }, step.at)
    else validator.zoneServes(step.server ?? 'primary', zoneOf(step.show), step.at)
  }
  return [...new Set(validator.bogus.map(({ rule }) => rule))]
}

const STEADY: Shown = { dnskeys: [KSK, ZSK], keys: [KSK], zone: [ZSK] }
const BEGIN: readonly Step[] = [
  { at: 0, show: STEADY },
  { at: 2000, ds: [KSK] },
]
const PREPUBLISHED: Shown = { ...STEADY, dnskeys: [KSK, ZSK, NEXT_ZSK] }
const SWITCHED: Shown = { ...PREPUBLISHED, zone: [NEXT_ZSK] }
const ROLLED: Shown = { dnskeys: [KSK, NEXT_ZSK], keys: [KSK], zone: [NEXT_ZSK] }
const DOUBLED: Shown = { dnskeys: [KSK, NEXT_KSK, ZSK], keys: [KSK, NEXT_KSK], zone: [ZSK] }
const KSK_ROLLED: Shown = { dnskeys: [NEXT_KSK, ZSK], keys: [NEXT_KSK], zone: [ZSK] }

const CASES: readonly (readonly [string, Rule | undefined, ...Step[]])[] = [
  ['RFC 4035 §5.2: nothing is bogus without a DS', undefined, { at: 3000, show: { ...STEADY, zone: [] } }],
  [
    'RFC 7583 §3.2.1: a ZSK pre-published, and retired, long enough',
    undefined,
    { at: 3000, show: PREPUBLISHED },
    { at: 3100, show: SWITCHED },
    { at: 4100, show: ROLLED },
  ],
  ['a ZSK not pre-published', 'any', { at: 3000, show: ROLLED }],
  [
    'a ZSK pre-published a second too short',
    'any',
    { at: 3000, show: PREPUBLISHED },
    { at: 3099, show: SWITCHED },
  ],
  [
    'a ZSK retired a second too early',
    'any',
    { at: 3000, show: PREPUBLISHED },
    { at: 3100, show: SWITCHED },
    { at: 4099, show: ROLLED },
  ],
  [
    'a secondary that had the old version longer than was waited for',
    'any',
    { at: 0, show: STEADY, server: 'secondary' },
    { at: 3000, show: PREPUBLISHED },
    { at: 3050, show: PREPUBLISHED, server: 'secondary' },
    { at: 3100, show: SWITCHED },
  ],
  [
    'RFC 7583 §3.3.1: a KSK doubled, and the old DS gone',
    undefined,
    { at: 3000, show: DOUBLED },
    { at: 3100, ds: [NEXT_KSK] },
    { at: 8100, show: KSK_ROLLED },
  ],
  [
    'a DS changed before the new DNSKEY is everywhere',
    'any',
    { at: 3000, show: DOUBLED },
    { at: 3099, ds: [NEXT_KSK] },
  ],
  [
    'a KSK taken away while its DS is in caches',
    'any',
    { at: 3000, show: DOUBLED },
    { at: 3100, ds: [NEXT_KSK] },
    { at: 8099, show: KSK_ROLLED },
  ],
  [
    'RFC 4035 §2.2: a DNSKEY of an algorithm that signs nothing',
    'dnskey',
    { at: 3000, show: { ...STEADY, dnskeys: [KSK, ZSK, OTHER] } },
  ],
  [
    'a DS of an algorithm whose signatures are not everywhere',
    'ds',
    { at: 3000, show: { dnskeys: [KSK, ZSK, OTHER], keys: [KSK, OTHER], zone: [ZSK, OTHER] } },
    { at: 3200, ds: [KSK, OTHER] },
  ],
]

for (const [name, rule, ...steps] of CASES) {
  test(`${rule === undefined ? 'valid' : 'bogus'}: ${name}`, t => {
    const begin = rule === undefined && name.includes('without') ? BEGIN.slice(0, 1) : BEGIN
    const rules = rulesBroken([...begin, ...steps])
    t.is(rules.includes(rule ?? 'any'), rule !== undefined, rules.join(' '))
    if (rule === undefined) t.deepEqual(rules, [])
  })
}
