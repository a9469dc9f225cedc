/** A configuration as its file has it, once each value was found sound (config-schema.ts): durations in seconds, names in
 *  canonical form; what refers to something else is a name still. */
import type { KeyRole, SerialPolicy, SigningPolicy } from '../signer/index.ts'
import type { LogLevel } from './log.ts'
import type { TsigAlgorithm } from './tsig-keyring.ts'

type Maybe<T> = T | undefined

export interface PolicyShape {
  readonly sign?: Maybe<boolean>
  readonly algorithm?: Maybe<number>
  readonly keys?: Maybe<'csk' | 'ksk-zsk'>
  readonly 'rsa-bits'?: Maybe<number>
  readonly 'ksk-lifetime'?: Maybe<number | null>
  readonly 'zsk-lifetime'?: Maybe<number | null>
  readonly denial?: Maybe<SigningPolicy['denial']>
  readonly nsec3?: Maybe<{ readonly iterations?: Maybe<number>; readonly salt?: Maybe<Uint8Array> }>
  readonly 'signature-validity'?: Maybe<number>
  readonly refresh?: Maybe<number>
  readonly jitter?: Maybe<number>
  readonly 'inception-offset'?: Maybe<number>
  readonly 'dnskey-ttl'?: Maybe<number>
  readonly 'zone-ttl-max'?: Maybe<number | null>
  readonly propagation?: Maybe<'observe' | 'time'>
  readonly secondaries?: Maybe<readonly string[]>
  readonly 'propagation-delay'?: Maybe<number>
  readonly 'publish-safety'?: Maybe<number>
  readonly 'retire-safety'?: Maybe<number>
  readonly 'purge-after'?: Maybe<number | null>
  readonly parent?: Maybe<ParentShape>
  readonly cds?: Maybe<SigningPolicy['cds']>
  readonly serial?: Maybe<SerialPolicy>
  readonly zonemd?: Maybe<SigningPolicy['zonemd']>
  readonly gate?: Maybe<SigningPolicy['gate']>
  readonly keystore?: Maybe<string | RoleStores>
  readonly 'replace-keys'?: Maybe<boolean>
  readonly 'foreign-keys'?: Maybe<SigningPolicy['foreignKeys']>
}

/** A key store for each role. */
export interface RoleStores {
  readonly ksk: string
  readonly zsk: string
}

export interface ParentShape {
  readonly 'ds-confirmation'?: Maybe<SigningPolicy['parent']['confirmation']>
  readonly servers?: Maybe<readonly string[]>
  readonly resolver?: Maybe<readonly string[]>
  readonly 'ds-ttl'?: Maybe<number>
  readonly 'propagation-delay'?: Maybe<number>
}

/** What a template says, and a zone too. */
export interface TemplateShape extends PolicyShape {
  readonly policy?: Maybe<string>
  readonly transfer?: Maybe<readonly string[]>
}

export interface ZoneShape extends TemplateShape {
  readonly file?: Maybe<string>
  readonly directory?: Maybe<string>
  readonly name?: Maybe<string>
  readonly template?: Maybe<string>
}

export interface TsigShape {
  readonly algorithm?: Maybe<TsigAlgorithm>
  readonly secret?: Maybe<string>
  readonly 'secret-file'?: Maybe<string>
}

export interface AclShape {
  readonly addresses?: Maybe<readonly string[]>
  readonly keys?: Maybe<readonly string[]>
}

export interface TokenKeyShape {
  readonly label?: Maybe<string>
  readonly id?: Maybe<Uint8Array>
  readonly zone: string
  readonly role: KeyRole
  readonly algorithm?: Maybe<number>
}

export type KeystoreShape =
  | { readonly type: 'file'; readonly directory?: Maybe<string> }
  | {
      readonly type: 'pkcs11'
      readonly uri: string
      readonly 'pin-file'?: Maybe<string>
      readonly 'pin-environment'?: Maybe<string>
      readonly keys?: Maybe<readonly TokenKeyShape[]>
    }
  | { readonly type: 'quorum'; readonly file: string }

export interface ConfigurationShape {
  readonly server?: Maybe<{
    readonly state?: Maybe<string>
    readonly workers?: Maybe<number>
    readonly udp?: Maybe<'batch' | 'dgram'>
    readonly user?: Maybe<string>
  }>
  readonly listen?: Maybe<readonly string[]>
  readonly tsig?: Maybe<Readonly<Record<string, TsigShape>>>
  readonly acl?: Maybe<Readonly<Record<string, AclShape>>>
  readonly keystores?: Maybe<Readonly<Record<string, KeystoreShape>>>
  readonly policies?: Maybe<Readonly<Record<string, PolicyShape>>>
  readonly templates?: Maybe<Readonly<Record<string, TemplateShape>>>
  readonly zones?: Maybe<readonly ZoneShape[]>
  readonly log?: Maybe<{
    readonly level?: Maybe<LogLevel>
    readonly format?: Maybe<'auto' | 'json' | 'text'>
  }>
}
