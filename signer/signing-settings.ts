/** From a policy to the settings of one build: what a policy says of signatures and records, with the keys of the moment. */

import type { ForeignKeys, SigningKey, SigningSettings } from './build-types.ts'
import type { SigningPolicy } from './policy.ts'

/** `seed` decides the jitter; `now` is in Unix seconds. */
export function signingSettingsOf(
  policy: SigningPolicy,
  keys: readonly SigningKey[],
  seed: string,
  now: number,
  foreign?: ForeignKeys,
): SigningSettings {
  const { denial, nsec3, zonemd, zoneTtlMaxSeconds, dnskeyTtlSeconds } = policy
  const { signatureValiditySeconds, refreshSeconds, jitterSeconds, inceptionOffsetSeconds } = policy
  return {
    keys,
    denial,
    nsec3,
    zonemd,
    now,
    seed,
    signatureValiditySeconds,
    refreshSeconds,
    jitterSeconds,
    inceptionOffsetSeconds,
    dnskeyTtl: dnskeyTtlSeconds,
    ...(zoneTtlMaxSeconds === null ? {} : { ttlMax: zoneTtlMaxSeconds }),
    ...(foreign === undefined ? {} : { foreign }),
  }
}
