/** How a zone is signed according to a configuration: its own words, then its template's, then its policy's, then what
 *  goes without saying (signer/policy.ts). */
import { type SerialPolicy, type SigningPolicy, signingPolicyOf } from '../signer/index.ts'
import type { ParentShape, PolicyShape, RoleStores } from './config-shape.ts'

export interface ZonePolicy {
  /** False: served as it is. */
  readonly signing: SigningPolicy | false
  /** Neither algorithm nor split was said: both are for zones without keys. */
  readonly keepKeys: boolean
  /** Absent: what is usual for the zone (zone-builds.ts I5). */
  readonly serial?: SerialPolicy
  /** Names of key stores. */
  readonly keystores: RoleStores
}

/** The name of the key store that is there without being configured. */
export const KEYSTORE_DEFAULT = 'default'

/** Keys of the first shapes win over those of later ones, key by key; `nsec3` and `parent` are single keys in this.
 *  @throws ConclaveError SIGNING_POLICY */
export function zonePolicyOf(shapes: readonly PolicyShape[]): ZonePolicy {
  const shape = merged(shapes)
  const { keystore = KEYSTORE_DEFAULT, sign = true } = shape
  return {
    signing: sign ? signingPolicyOf(policyOf(shape)) : false,
    keepKeys: shape.algorithm === undefined && shape.keys === undefined,
    ...(shape.serial === undefined ? {} : { serial: shape.serial }),
    keystores: typeof keystore === 'string' ? { ksk: keystore, zsk: keystore } : keystore,
  }
}

function merged(shapes: readonly PolicyShape[]): PolicyShape {
  const whole: Record<string, unknown> = {}
  for (const shape of [...shapes].reverse()) {
    for (const [key, value] of Object.entries(shape)) if (value !== undefined) whole[key] = value
  }
  return whole
}

function policyOf(shape: PolicyShape): Partial<SigningPolicy> {
  const { nsec3, parent, keys } = shape
  const wishes = {
    algorithm: shape.algorithm,
    splitKeys: keys === undefined ? undefined : keys === 'ksk-zsk',
    rsaBits: shape['rsa-bits'],
    kskLifetimeSeconds: shape['ksk-lifetime'],
    zskLifetimeSeconds: shape['zsk-lifetime'],
    dnskeyTtlSeconds: shape['dnskey-ttl'],
    zoneTtlMaxSeconds: shape['zone-ttl-max'],
    propagation: shape.propagation,
    secondaries: shape.secondaries,
    propagationSeconds: shape['propagation-delay'],
    publishSafetySeconds: shape['publish-safety'],
    retireSafetySeconds: shape['retire-safety'],
    purgeSeconds: shape['purge-after'],
    parent: parent === undefined ? undefined : { ...signingPolicyOf().parent, ...present(parentOf(parent)) },
    cds: shape.cds,
    denial: shape.denial,
    nsec3: nsec3 === undefined ? undefined : { ...signingPolicyOf().nsec3, ...present(nsec3) },
    zonemd: shape.zonemd,
    gate: shape.gate,
    signatureValiditySeconds: shape['signature-validity'],
    refreshSeconds: shape.refresh,
    jitterSeconds: shape.jitter,
    inceptionOffsetSeconds: shape['inception-offset'],
    replaceKeys: shape['replace-keys'],
    foreignKeys: shape['foreign-keys'],
  }
  return present(wishes)
}

function parentOf(shape: ParentShape): {
  [K in keyof SigningPolicy['parent']]: SigningPolicy['parent'][K] | undefined
} {
  return {
    confirmation: shape['ds-confirmation'],
    servers: shape.servers,
    resolver: shape.resolver,
    dsTtlSeconds: shape['ds-ttl'],
    propagationSeconds: shape['propagation-delay'],
  }
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** Without what was not said, so that it does not stand over what goes without saying. */
function present<T extends object>(wishes: T): Present<T> {
  return Object.fromEntries(Object.entries(wishes).filter(([, value]) => value !== undefined)) as Present<T>
}
