/** How a zone is signed when nobody says otherwise.
 *  I1  Keys are made only for a zone that has none. */
import { type Name, sameName } from '../zones/index.ts'
import { algorithmWarning } from './algorithms.ts'
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
  readonly refreshSeconds: number
  /** Sign what others have signed, with keys of ours: their signatures go. */
  readonly replaceKeys: boolean
}

const ECDSAP256SHA256 = 13
const VALIDITY_SECONDS = 14 * 86_400

export const defaultSigningPolicy: SigningPolicy = {
  algorithm: ECDSAP256SHA256,
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
