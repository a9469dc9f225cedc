/** A configuration that was read and checked: what the nameserver takes. Data only. */
import type { Place } from '../base/index.ts'
import type { Secret } from '../signer/index.ts'
import type { ZonePolicy } from './config-policy.ts'
import type { TsigAlgorithm } from './config-shape.ts'
import type { LogLevel } from './log.ts'

export interface Configuration {
  /** Absolute. */
  readonly file: string
  readonly stateDirectory: string
  readonly workers?: number
  readonly udp?: 'batch' | 'dgram'
  readonly user?: string
  readonly listen: readonly string[]
  readonly log: { readonly level?: LogLevel; readonly format: 'auto' | 'json' | 'text' }
  readonly tsig: readonly TsigKeyConfiguration[]
  /** By name; `default` is always there. */
  readonly keystores: ReadonlyMap<string, KeystoreConfiguration>
  readonly zones: readonly ZoneConfiguration[]
}

export interface TsigKeyConfiguration {
  /** In canonical form, with its last dot. */
  readonly name: string
  readonly algorithm: TsigAlgorithm
  readonly secret: Secret
}

/** Who may do something: a client with one of the addresses, when there are any, and one of the keys, when there are any. */
export interface AclConfiguration {
  readonly addresses: readonly string[]
  /** Names in canonical form. */
  readonly keys: readonly string[]
}

export type KeystoreConfiguration =
  | { readonly type: 'file'; readonly directory?: string }
  | {
      readonly type: 'pkcs11'
      readonly uri: string
      readonly pinFile?: string
      readonly pinEnvironment?: string
    }

export interface ZoneConfiguration {
  readonly kind: 'file' | 'directory'
  /** Absolute. */
  readonly path: string
  readonly origin?: string
  readonly policy: ZonePolicy
  /** Any of them may transfer it. */
  readonly transfer: readonly AclConfiguration[]
  readonly place: Place
}
