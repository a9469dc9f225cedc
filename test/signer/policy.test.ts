/** Signing policies and the keys of a zone. */
import test from 'ava'
import {
  defaultSigningPolicy,
  ensureKeys,
  type GenerateSpec,
  type KeyInfo,
  keysOfZone,
  oneStore,
  policyWarnings,
  type SigningPolicy,
  signingPolicyOf,
} from '../../signer/index.ts'
import { nameFromText } from '../../zones/index.ts'
import { TestKeyStore, testKey } from './build-support.ts'

const zone = nameFromText('example.')

class MakingStore extends TestKeyStore {
  readonly asked: GenerateSpec[] = []

  override generate(spec: GenerateSpec): Promise<KeyInfo> {
    this.asked.push(spec)
    const key = testKey(spec.zone, spec.algorithm, spec.role, this.asked.length)
    this.keys.push(key)
    return Promise.resolve(key.info)
  }
}

test('defaults: one CSK with ECDSAP256SHA256, NSEC, ZONEMD, 14 days, the last third for refreshing', t => {
  const policy = signingPolicyOf()
  t.deepEqual(policy, defaultSigningPolicy)
  t.is(policy.algorithm, 13)
  t.is(policy.signatureValiditySeconds, 14 * 86_400)
  t.is(policy.refreshSeconds * 3, policy.signatureValiditySeconds)
})

test('the time to refresh follows the validity unless it is said', t => {
  t.is(signingPolicyOf({ signatureValiditySeconds: 86_400 }).refreshSeconds, 28_800)
  t.is(signingPolicyOf({ signatureValiditySeconds: 86_400, refreshSeconds: 3600 }).refreshSeconds, 3600)
})

const FAULTS: readonly { title: string; wishes: Partial<SigningPolicy>; code?: string }[] = [
  { title: 'no time at all', wishes: { signatureValiditySeconds: 0 } },
  { title: 'RFC 4034 §3.1.5: beyond 2^31 seconds', wishes: { signatureValiditySeconds: 2 ** 31 } },
  { title: 'no number', wishes: { signatureValiditySeconds: Number.NaN } },
  {
    title: 'due as soon as they are made',
    wishes: { signatureValiditySeconds: 7 * 86_400, refreshSeconds: 6 * 86_400 },
  },
  { title: 'refreshed after they ended', wishes: { refreshSeconds: -1 } },
  { title: 'RFC 9276 §3.2: many iterations', wishes: { nsec3: { iterations: 51, salt: new Uint8Array(0) } } },
  { title: 'RFC 5155 §3.1.5: a long salt', wishes: { nsec3: { iterations: 0, salt: new Uint8Array(256) } } },
  { title: 'an algorithm of no kind', wishes: { algorithm: 5 }, code: 'ALGORITHM_UNSUPPORTED' },
]

for (const { title, wishes, code = 'SIGNING_POLICY' } of FAULTS) {
  test(`a policy that cannot be kept: ${title}`, t => {
    t.throws(() => signingPolicyOf(wishes), { code })
  })
}

test('I1: keys are made for a zone that has none, by role; else those that are there are taken', async t => {
  const store = new MakingStore(testKey(nameFromText('other.'), 13, 'csk'))
  const first = await ensureKeys(oneStore(store), zone, signingPolicyOf())
  t.deepEqual(first.made, first.keys.infos)
  t.deepEqual(
    store.asked.map(({ role, algorithm }) => [role, algorithm]),
    [['csk', 13]],
  )
  const second = await ensureKeys(
    oneStore(store),
    nameFromText('EXAMPLE.'),
    signingPolicyOf({ splitKeys: true }),
  )
  t.deepEqual([second.keys.infos, second.made], [first.keys.infos, []])
  t.is((await keysOfZone(store, zone)).length, 1)
  const split = await ensureKeys(
    oneStore(store),
    nameFromText('split.'),
    signingPolicyOf({ splitKeys: true, algorithm: 15 }),
  )
  t.deepEqual(
    split.made.map(({ role, algorithm }) => [role, algorithm]),
    [
      ['ksk', 15],
      ['zsk', 15],
    ],
  )
})

test('RFC 9276 §3.1, RFC 8624 §3.1: what an operator should hear', t => {
  t.deepEqual(policyWarnings(signingPolicyOf()), [])
  t.regex(policyWarnings(signingPolicyOf({ algorithm: 10 })).join(), /./)
  const salted = { iterations: 0, salt: Uint8Array.of(1) }
  t.regex(policyWarnings(signingPolicyOf({ denial: 'nsec3', nsec3: salted })).join(), /RFC 9276/)
  t.deepEqual(policyWarnings(signingPolicyOf({ nsec3: salted })), [], 'NSEC has no salt')
})
