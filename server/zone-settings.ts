/** What holds for a zone: what was said for its source, else what the nameserver's options say. */
import { type KeyStore, oneStore, type SerialPolicy, type SigningPolicy } from '../signer/index.ts'
import type { ZoneOptions } from './nameserver-types.ts'
import { checkZoneOptions } from './option-check.ts'
import type { ZoneSettings } from './zone-life-types.ts'

export interface SettingsDefaults {
  /** Undefined: zones are served as they are. */
  readonly policy: SigningPolicy | undefined
  readonly serialPolicy: SerialPolicy | undefined
  /** SignedSettings. */
  readonly keepKeys: boolean
  /** The nameserver's own store; opened when a zone needs it.
   *  @throws ConclaveError KEY_UNREADABLE */
  openKeys(): Promise<KeyStore>
}

/** @throws ConclaveError OPTION_INVALID, SIGNING_POLICY, KEY_UNREADABLE */
export async function zoneSettings(defaults: SettingsDefaults, options: ZoneOptions): Promise<ZoneSettings> {
  checkZoneOptions(options)
  const signing = await signingOf(defaults, options.signing)
  const serialPolicy = options.serialPolicy ?? defaults.serialPolicy
  return {
    ...(serialPolicy === undefined ? {} : { serialPolicy }),
    ...(signing === undefined ? {} : { signing }),
  }
}

async function signingOf(
  defaults: SettingsDefaults,
  wished: ZoneOptions['signing'],
): Promise<ZoneSettings['signing']> {
  const policy = wished === undefined ? defaults.policy : wished === false ? undefined : wished.policy
  if (policy === undefined) return undefined
  const own = wished === undefined || wished === false ? undefined : wished
  const stores = own?.stores ?? oneStore(await defaults.openKeys())
  const keepKeys = own === undefined ? defaults.keepKeys : own.keepKeys === true
  return { policy, stores, keepKeys, unsign: own?.unsign === true }
}

/** A signed zone that is to be served as it is goes there in steps (RFC 8078 §4), by the policy that it has. Its serials go on
 *  as well: versions that are signed anew meanwhile are none of the file's. */
export function staysSigned(before: ZoneSettings, wished: ZoneSettings): ZoneSettings {
  if (before.signing === undefined || wished.signing !== undefined) return wished
  return { ...before, signing: { ...before.signing, unsign: true } }
}

/** Whether what is served says too little of the content: TTLs were lowered further, or it was not read for signing. */
export function isLossy(before: ZoneSettings, after: ZoneSettings): boolean {
  if (after.signing === undefined || before.signing === undefined) return true
  const ttlMax = (settings: ZoneSettings): number => settings.signing?.policy.zoneTtlMaxSeconds ?? Infinity
  return ttlMax(after) > ttlMax(before)
}
