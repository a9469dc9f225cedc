/** How a zone is signed when nobody says otherwise.
 *  I1  Keys are made only for a zone that has none.
 *  I2  A policy that `signingPolicyOf` gave can be signed with: what is signed is not due at once, and times are such
 *      that validators compare them rightly. */
import { ConclaveError } from '../base/index.ts'
import { type Name, sameName } from '../zones/index.ts'
import { ALGORITHM_DEFAULT, algorithmOf, algorithmWarning } from './algorithms.ts'
import type { DenialMode, GateMode, Nsec3Parameters, ZonemdMode } from './build-types.ts'
import type { KeyInfo, KeyStore } from './keystore.ts'

export interface SigningPolicy {
  /** DNSSEC algorithm number of new keys. */
  readonly algorithm: number
  /** New zones get a KSK and a ZSK instead of one CSK. */
  readonly splitKeys: boolean
  readonly denial: DenialMode
  readonly nsec3: Nsec3Parameters
  readonly zonemd: ZonemdMode
  readonly gate: GateMode
  readonly signatureValiditySeconds: number
  /** Signatures with less than this left are made anew. */
  readonly refreshSeconds: number
  /** Sign what others have signed, with keys of ours: their signatures go. */
  readonly replaceKeys: boolean
}

const VALIDITY_SECONDS = 14 * 86_400

export const defaultSigningPolicy: SigningPolicy = {
  algorithm: ALGORITHM_DEFAULT,
  splitKeys: false,
  denial: 'nsec',
  // RFC 9276 §3.1: no iterations, no salt.
  nsec3: { iterations: 0, salt: new Uint8Array(0) },
  zonemd: 'sha384',
  gate: 'full',
  signatureValiditySeconds: VALIDITY_SECONDS,
  refreshSeconds: VALIDITY_SECONDS / 3,
  replaceKeys: false,
}

/** RFC 4034 §3.1.5: times are compared by serial number arithmetic, so nothing may last 2^31 seconds. */
const VALIDITY_SECONDS_MAX = 0x7fffffff
/** Clocks differ, and resolvers keep what they have for its TTL. */
const VALIDITY_SECONDS_MIN = 3600
/** Expirations are spread over the last seventh of the validity (signing-plan.ts), so this much is left of any. */
const VALIDITY_KEPT = 6 / 7
/** RFC 5155 §3.1.5: the salt's length is one octet. */
const SALT_OCTETS_MAX = 255
/** RFC 9276 §3.2: validators treat zones beyond so many iterations as insecure or bogus. */
const ITERATIONS_MAX = 50

/** The default policy with these changes; a third of the validity is the time to refresh unless it is said.
 *  @throws ConclaveError SIGNING_POLICY, ALGORITHM_UNSUPPORTED */
export function signingPolicyOf(wishes: Partial<SigningPolicy> = {}): SigningPolicy {
  const validity = wishes.signatureValiditySeconds ?? VALIDITY_SECONDS
  const policy = { ...defaultSigningPolicy, refreshSeconds: Math.floor(validity / 3), ...wishes }
  algorithmOf(policy.algorithm)
  const fault = policyFault(policy)
  if (fault === undefined) return policy
  throw new ConclaveError('SIGNING_POLICY', fault.what, { remedy: fault.remedy })
}

function policyFault(policy: SigningPolicy): { what: string; remedy: string } | undefined {
  const { signatureValiditySeconds: validity, refreshSeconds, nsec3 } = policy
  if (!(validity >= VALIDITY_SECONDS_MIN && validity <= VALIDITY_SECONDS_MAX)) {
    const remedy = `Give ${VALIDITY_SECONDS_MIN} to ${VALIDITY_SECONDS_MAX} seconds.`
    return { what: `signatures cannot be valid for ${validity} seconds`, remedy }
  }
  if (!(refreshSeconds >= 0 && refreshSeconds < validity * VALIDITY_KEPT)) {
    const what = `signatures valid for ${validity} seconds cannot be refreshed ${refreshSeconds} seconds before they end`
    return { what, remedy: 'A third of the validity is usual; at most six sevenths are possible.' }
  }
  if (!(Number.isInteger(nsec3.iterations) && nsec3.iterations >= 0 && nsec3.iterations <= ITERATIONS_MAX)) {
    const what = `${nsec3.iterations} additional NSEC3 iterations`
    return { what, remedy: `Give 0 (RFC 9276 §3.1), at most ${ITERATIONS_MAX}.` }
  }
  if (nsec3.salt.length > SALT_OCTETS_MAX) {
    const what = `an NSEC3 salt of ${nsec3.salt.length} octets`
    return { what, remedy: `Give none (RFC 9276 §3.1), at most ${SALT_OCTETS_MAX} octets.` }
  }
  return undefined
}

/** The zone's keys in the store, and whether they had to be made (I1). */
export async function ensureKeys(
  store: KeyStore,
  zone: Name,
  policy: SigningPolicy,
): Promise<{ readonly keys: KeyInfo[]; readonly made: KeyInfo[] }> {
  const keys = await keysOfZone(store, zone)
  if (keys.length > 0) return { keys, made: [] }
  const made: KeyInfo[] = []
  for (const role of policy.splitKeys ? (['ksk', 'zsk'] as const) : (['csk'] as const)) {
    made.push(await store.generate({ zone, algorithm: policy.algorithm, role }))
  }
  return { keys: made, made }
}

export async function keysOfZone(store: KeyStore, zone: Name): Promise<KeyInfo[]> {
  if (store.keysOf !== undefined) return store.keysOf(zone)
  return (await store.list()).filter(key => sameName(key.zone, zone))
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
