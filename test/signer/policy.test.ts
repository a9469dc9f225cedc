/** Signing policies: defaults, faults, warnings. */
import test from 'ava'
import {
  defaultSigningPolicy,
  policyWarnings,
  type SigningPolicy,
  signingPolicyOf,
} from '../../signer/index.ts'

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

test('RFC 9276 §3.1, RFC 8624 §3.1: what an operator should hear', t => {
  t.deepEqual(policyWarnings(signingPolicyOf()), [])
  t.regex(policyWarnings(signingPolicyOf({ algorithm: 10 })).join(), /./)
  const salted = { iterations: 0, salt: Uint8Array.of(1) }
  t.regex(policyWarnings(signingPolicyOf({ denial: 'nsec3', nsec3: salted })).join(), /RFC 9276/)
  t.deepEqual(policyWarnings(signingPolicyOf({ nsec3: salted })), [], 'NSEC has no salt')
})
