/** A configuration that was read and checked: what the nameserver takes. Data only. */
import type { Place } from '../base/index.ts'
import type { NamedTokenKey } from '../signer/index.ts'
import type { AccessRule } from './access.ts'
import type { ZonePolicy } from './config-policy.ts'
import type { LogLevel } from './log.ts'
import type { TsigKey } from './tsig-keyring.ts'

export interface Configuration {
  /** Absolute. */
  readonly file: string
  readonly stateDirectory: string
  readonly workers?: number
  readonly udp?: 'batch' | 'dgram'
  readonly user?: string
  readonly listen: readonly string[]
  readonly log: { readonly level?: LogLevel; readonly format: 'auto' | 'json' | 'text' }
  readonly tsig: readonly TsigKey[]
  /** By name; `default` is always there. */
  readonly keystores: ReadonlyMap<string, KeystoreConfiguration>
  readonly zones: readonly ZoneConfiguration[]
  /** Where those keys stand that cannot be changed while the server runs. */
  readonly places: Readonly<Record<FixedKey, Place>>
}

/** What is settled when the server starts. */
export type FixedKey = 'state' | 'workers' | 'udp' | 'user' | 'format'

export type KeystoreConfiguration =
  | { readonly type: 'file'; readonly directory?: string }
  | {
      readonly type: 'pkcs11'
      readonly uri: string
      readonly pinFile?: string
      readonly pinEnvironment?: string
      readonly keys?: readonly NamedTokenKey[]
    }
  /** Absolute path of quorum.yaml. */
  | { readonly type: 'quorum'; readonly file: string }

export interface ZoneConfiguration {
  readonly kind: 'file' | 'directory'
  /** Absolute. */
  readonly path: string
  readonly origin?: string
  readonly policy: ZonePolicy
  /** Any of them may transfer it. */
  readonly transfer: readonly AccessRule[]
  readonly place: Place
}
