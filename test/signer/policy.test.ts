/** Signing policies: defaults, faults, warnings. */
import test from 'ava'
import { ConclaveError } from '../../base/index.ts'
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
  { title: 'a word that means nothing', wishes: { denial: 'nsec9' as 'nsec' } },
  { title: 'an object for a word', wishes: { denial: { kind: 'nsec3' } as unknown as 'nsec3' } },
  { title: 'a digest that is not made', wishes: { zonemd: 'md5' as 'none' } },
  { title: 'a string for a switch', wishes: { splitKeys: 'no' as unknown as boolean } },
  { title: 'a string for a number', wishes: { dnskeyTtlSeconds: '1h' as unknown as number } },
  { title: 'a part of what is known of the parent', wishes: { parent: { servers: [] } as never } },
  { title: 'an option that means nothing', wishes: { denail: 'nsec3' } as Partial<SigningPolicy> },
  { title: 'an algorithm of no kind', wishes: { algorithm: 5 }, code: 'ALGORITHM_UNSUPPORTED' },
]

for (const { title, wishes, code = 'SIGNING_POLICY' } of FAULTS) {
  test(`a policy that cannot be kept: ${title}`, t => {
    t.throws(() => signingPolicyOf(wishes), { code })
  })
}

test('an option that is undefined was not given; the remedy names what is possible, or what may be meant', t => {
  t.deepEqual(
    signingPolicyOf({ denial: undefined } as unknown as Partial<SigningPolicy>),
    defaultSigningPolicy,
  )
  const remedyOf = (wishes: object): string | undefined =>
    t.throws(() => signingPolicyOf(wishes), { instanceOf: ConclaveError })?.remedy
  t.is(remedyOf({ denial: 'nsec9' }), 'Give nsec, nsec3 or opt-out.')
  t.regex(remedyOf({ denail: 'nsec3' }) ?? '', /^denial may be meant/)
})

test('RFC 9276 §3.1, RFC 8624 §3.1: what an operator should hear', t => {
  t.deepEqual(policyWarnings(signingPolicyOf()), [])
  t.regex(policyWarnings(signingPolicyOf({ algorithm: 10 })).join(), /./)
  const salted = { iterations: 0, salt: Uint8Array.of(1) }
  t.regex(policyWarnings(signingPolicyOf({ denial: 'nsec3', nsec3: salted })).join(), /RFC 9276/)
  t.deepEqual(policyWarnings(signingPolicyOf({ nsec3: salted })), [], 'NSEC has no salt')
})
