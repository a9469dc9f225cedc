/** Whether a policy can be signed with (policy.ts I1), and whether it is one: a program in JavaScript may give anything. */
import {
  amount,
  ConclaveError,
  either,
  type KindFault,
  type Kinds,
  kindFault,
  listOf,
  nothing,
  object,
  oneOf,
  text,
} from '../base/index.ts'
import { algorithmOf } from './algorithms.ts'
import type { Nsec3Parameters } from './build-types.ts'
import type { ParentPolicy, SigningPolicy } from './policy.ts'

/** RFC 4034 §3.1.5: times are compared by serial number arithmetic, so nothing may last 2^31 seconds. */
const VALIDITY_SECONDS_MAX = 0x7fffffff
/** Clocks differ, and resolvers keep what they have for its TTL. */
const VALIDITY_SECONDS_MIN = 3600
/** RFC 5155 §3.1.5: the salt's length is one octet. */
const SALT_OCTETS_MAX = 255
/** RFC 9276 §3.2: validators treat zones beyond so many iterations as insecure or bogus. */
const ITERATIONS_MAX = 50

const truth = oneOf(true, false)
const amountOrNull = either(amount, nothing)

const POLICY: Kinds<SigningPolicy> = {
  algorithm: amount,
  splitKeys: truth,
  rsaBits: amount,
  kskLifetimeSeconds: amountOrNull,
  zskLifetimeSeconds: amountOrNull,
  dnskeyTtlSeconds: amount,
  zoneTtlMaxSeconds: amountOrNull,
  propagation: oneOf('observe', 'time'),
  secondaries: listOf(text),
  propagationSeconds: amount,
  publishSafetySeconds: amount,
  retireSafetySeconds: amount,
  purgeSeconds: amountOrNull,
  parent: object,
  cds: oneOf('always', 'rollover', 'never'),
  denial: oneOf('nsec', 'nsec3', 'opt-out'),
  nsec3: object,
  zonemd: oneOf('sha384', 'sha512', 'none'),
  gate: oneOf('full', 'keys'),
  signatureValiditySeconds: amount,
  refreshSeconds: amount,
  jitterSeconds: amount,
  inceptionOffsetSeconds: amount,
  replaceKeys: truth,
  foreignKeys: oneOf('refuse', 'include'),
}

const PARENT: Kinds<ParentPolicy> = {
  confirmation: either(oneOf('observe', 'operator'), object),
  servers: listOf(text),
  resolver: listOf(text),
  dsTtlSeconds: amount,
  propagationSeconds: amount,
}

const NSEC3: Kinds<Nsec3Parameters> = { iterations: amount, salt: object }

/** @throws ConclaveError SIGNING_POLICY, ALGORITHM_UNSUPPORTED */
export function checkPolicy(policy: SigningPolicy): void {
  refuse(kindsFault(policy))
  algorithmOf(policy.algorithm)
  refuse(policyFault(policy))
}

function refuse(fault: KindFault | undefined): void {
  if (fault !== undefined) throw new ConclaveError('SIGNING_POLICY', fault.what, { remedy: fault.remedy })
}

function kindsFault(policy: SigningPolicy): KindFault | undefined {
  return (
    wholeFault(policy, POLICY, "the policy's") ??
    wholeFault(policy.parent, PARENT, "the policy's parent") ??
    wholeFault(policy.nsec3, NSEC3, "the policy's nsec3")
  )
}

/** Of what must have all of its parts. */
function wholeFault<Whole extends object>(
  value: Whole,
  kinds: Kinds<Whole>,
  whose: string,
): KindFault | undefined {
  const missing = Object.keys(kinds).find(name => value[name as keyof Whole] === undefined)
  if (missing === undefined) return kindFault(value, kinds, whose)
  return {
    what: `${whose} option ${missing} is missing`,
    remedy: 'signingPolicyOf makes a whole policy of some options.',
  }
}

function policyFault(policy: SigningPolicy): KindFault | undefined {
  const { signatureValiditySeconds: validity, refreshSeconds, jitterSeconds, nsec3 } = policy
  if (!(validity >= VALIDITY_SECONDS_MIN && validity <= VALIDITY_SECONDS_MAX)) {
    const remedy = `Give ${VALIDITY_SECONDS_MIN} to ${VALIDITY_SECONDS_MAX} seconds.`
    return { what: `signatures cannot be valid for ${validity} seconds`, remedy }
  }
  // Expirations are spread over the jitter, so this much less is left of the first.
  if (!(refreshSeconds >= 0 && jitterSeconds >= 0 && refreshSeconds + jitterSeconds < validity)) {
    const what = `signatures valid for ${validity} seconds cannot be refreshed ${refreshSeconds} seconds before they end`
    return {
      what,
      remedy: 'A third of the validity is usual; with the jitter it must be less than the whole.',
    }
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
