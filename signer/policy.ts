/** How a zone is signed when nobody says otherwise.
 *  I1  A policy that `signingPolicyOf` gave can be signed with: what is signed is not due at once, and times are such
 *      that validators compare them rightly. */
import { ALGORITHM_DEFAULT, algorithmWarning } from './algorithms.ts'
import type { DenialMode, GateMode, Nsec3Parameters, ZonemdMode } from './build-types.ts'
import type { ForeignKeysMode } from './foreign-keys.ts'
import { checkPolicy } from './policy-check.ts'

export interface SigningPolicy {
  /** DNSSEC algorithm number; keys of another one are replaced by keys of this one (RFC 6781 §4.1.4). */
  readonly algorithm: number
  /** A KSK and a ZSK instead of one CSK. */
  readonly splitKeys: boolean
  /** Modulus of new RSA keys. */
  readonly rsaBits: number
  /** How long a KSK or CSK signs before a new one takes over, or up to a tenth less, so that zones do not roll together; null:
   *  until somebody asks for it. */
  readonly kskLifetimeSeconds: number | null
  readonly zskLifetimeSeconds: number | null
  /** TTL of DNSKEY, CDS and CDNSKEY. */
  readonly dnskeyTtlSeconds: number
  /** Greater TTLs of the zone are lowered to this; null: they stay. What is cached longest decides how long rolls take. */
  readonly zoneTtlMaxSeconds: number | null
  /** How a version is known to be at all servers of the zone: they are asked, or a time is waited for. */
  readonly propagation: 'observe' | 'time'
  /** Servers that are asked, `ADDRESS@PORT`; none: the addresses of the zone's NS. */
  readonly secondaries: readonly string[]
  /** RFC 7583 §1.1's propagation delay: from a version being served here until the slowest secondary has it. */
  readonly propagationSeconds: number
  /** Beyond what TTLs ask for, before something new is relied on and before something old goes. */
  readonly publishSafetySeconds: number
  readonly retireSafetySeconds: number
  /** A private key is destroyed so long after nothing of it is in any cache; null: it is kept. */
  readonly purgeSeconds: number | null
  readonly parent: ParentPolicy
  /** RFC 7344 §4, RFC 8078: CDS and CDNSKEY are in the zone always, only while the DS has to change, or never. */
  readonly cds: 'always' | 'rollover' | 'never'
  readonly denial: DenialMode
  readonly nsec3: Nsec3Parameters
  readonly zonemd: ZonemdMode
  readonly gate: GateMode
  readonly signatureValiditySeconds: number
  /** Signatures with less than this left are made anew. */
  readonly refreshSeconds: number
  /** Expirations are spread over so much before the furthest. */
  readonly jitterSeconds: number
  /** Signatures begin so long ago: clocks of validators differ. */
  readonly inceptionOffsetSeconds: number
  /** Sign what others have signed, with keys of ours: their signatures go. */
  readonly replaceKeys: boolean
  /** DNSKEY, CDS and CDNSKEY of others in the zone's source: another signer's of the same zone (RFC 8901). */
  readonly foreignKeys: ForeignKeysMode
}

/** What is known of the parent, and how it is known that it has changed the DS. */
export interface ParentPolicy {
  /** The parent is asked, an operator says so (`conclave keys ds-seen`), or a time is waited for. */
  readonly confirmation: 'observe' | 'operator' | { readonly afterSeconds: number }
  /** `ADDRESS@PORT`; none: they are found by way of the resolver. */
  readonly servers: readonly string[]
  /** Resolvers that may be asked for the parent's servers. With neither, nobody is asked, and an operator has to say. */
  readonly resolver: readonly string[]
  /** Used until the parent was seen with a DS. */
  readonly dsTtlSeconds: number
  /** From a DS being at one of the parent's servers until the slowest has it; not counted when all were asked. */
  readonly propagationSeconds: number
}

const VALIDITY_SECONDS = 14 * 86_400
const HOUR_SECONDS = 3600
const DAY_SECONDS = 86_400

export const defaultSigningPolicy: SigningPolicy = {
  algorithm: ALGORITHM_DEFAULT,
  splitKeys: false,
  rsaBits: 2048,
  kskLifetimeSeconds: null,
  zskLifetimeSeconds: 90 * DAY_SECONDS,
  dnskeyTtlSeconds: HOUR_SECONDS,
  zoneTtlMaxSeconds: null,
  propagation: 'time',
  secondaries: [],
  propagationSeconds: 300,
  publishSafetySeconds: HOUR_SECONDS,
  retireSafetySeconds: HOUR_SECONDS,
  purgeSeconds: 90 * DAY_SECONDS,
  parent: {
    confirmation: 'observe',
    servers: [],
    resolver: [],
    dsTtlSeconds: DAY_SECONDS,
    propagationSeconds: HOUR_SECONDS,
  },
  cds: 'always',
  denial: 'nsec',
  // RFC 9276 §3.1: no iterations, no salt.
  nsec3: { iterations: 0, salt: new Uint8Array(0) },
  zonemd: 'sha384',
  gate: 'full',
  signatureValiditySeconds: VALIDITY_SECONDS,
  refreshSeconds: VALIDITY_SECONDS / 3,
  jitterSeconds: VALIDITY_SECONDS / 7,
  inceptionOffsetSeconds: HOUR_SECONDS,
  replaceKeys: false,
  foreignKeys: 'refuse',
}

/** The default policy with these changes; unless they are said, a third of the validity is the time to refresh and a
 *  seventh the jitter.
 *  @throws ConclaveError SIGNING_POLICY, ALGORITHM_UNSUPPORTED */
export function signingPolicyOf(wishes: Partial<SigningPolicy> = {}): SigningPolicy {
  const validity = wishes.signatureValiditySeconds ?? VALIDITY_SECONDS
  const refreshSeconds = Math.floor(validity / 3)
  const jitterSeconds = Math.floor(validity / 7)
  const policy = { ...defaultSigningPolicy, refreshSeconds, jitterSeconds, ...given(wishes) }
  checkPolicy(policy)
  return policy
}

/** What is undefined was not given (base/kinds.ts I1). */
function given(wishes: Partial<SigningPolicy>): Partial<SigningPolicy> {
  return Object.fromEntries(Object.entries(wishes).filter(([, value]) => value !== undefined))
}

/** A policy that leaves the kind of keys to those that are there. */
export function policyOfKeys(
  policy: SigningPolicy,
  keys: readonly { readonly role: string; readonly algorithm: number }[],
): SigningPolicy {
  const [first] = keys
  if (first === undefined) return policy
  const algorithm = keys.some(key => key.algorithm === policy.algorithm) ? policy.algorithm : first.algorithm
  const splitKeys = keys.every(({ role }) => role !== 'csk')
  return { ...policy, algorithm, splitKeys }
}

/** What an operator should hear about a policy; empty when there is nothing to say. */
export function policyWarnings(policy: SigningPolicy): string[] {
  const algorithm = algorithmWarning(policy.algorithm)
  const warnings = algorithm === undefined ? [] : [algorithm]
  if (policy.denial !== 'nsec' && (policy.nsec3.iterations > 0 || policy.nsec3.salt.length > 0)) {
    warnings.push('NSEC3 iterations and salt make answers dearer and zones no safer (RFC 9276 §3.1)')
  }
  return warnings
}

/** The same about keys that others sign with, too, where a server rolls ours by itself. RFC 8901 §6.2: before a key signs data, caches
 *  must have it from every signer. */
export function foreignRollWarnings(policy: SigningPolicy): string[] {
  const { foreignKeys, splitKeys, publishSafetySeconds } = policy
  const [role, lifetimeSeconds] = splitKeys
    ? (['zsk', policy.zskLifetimeSeconds] as const)
    : (['csk', policy.kskLifetimeSeconds] as const)
  if (foreignKeys !== 'include' || lifetimeSeconds === null) return []
  const option = splitKeys ? 'zsk-lifetime' : 'ksk-lifetime'
  return [
    `a new ${role.toUpperCase()} signs by itself when the lifetime of the old one ends, and the other signers must show it within ` +
      `${publishSafetySeconds} seconds (publish-safety) after it is shown here, or caches find data bogus (RFC 8901 §6.2); ` +
      `give them longer, or say ${option}: unlimited and roll when they can`,
  ]
}
