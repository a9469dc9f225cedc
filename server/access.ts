/** Who may do what: rules of address prefixes and TSIG keys. Today they govern zone transfers (RFC 5936 §5).
 *
 *    rules of the zone, else the default ones:  any rule holds → permitted;  a rule holds when all it names holds
 *
 *  I1  What no rule permits is denied; without any rules, loopback is permitted.
 *  I2  `set` changes everything or, when something is wrong, nothing. What is under way goes on as it began. */
import { ConclaveError } from '../base/index.ts'
import { canonicalName, type Name, nameFromText, nameToText, rootName } from '../zones/index.ts'
import { prefixMatcher } from './address.ts'
import { type KeyringSource, type TsigKey, TsigKeyring } from './tsig-keyring.ts'
import { keyNameText } from './tsig-keys.ts'

/** At least one of the two; with both, a peer must come from one of the prefixes and sign with one of the keys. */
export interface AccessRule {
  /** As `prefixMatcher` reads them: 192.0.2.0/24, 2001:db8::/32, single addresses, `loopback`, `any`. */
  readonly prefixes?: readonly string[]
  /** Names of TSIG keys. */
  readonly keys?: readonly string[]
}

export interface TransferRules {
  /** For zones without rules of their own. Empty: nobody. */
  readonly default?: readonly AccessRule[]
  /** By the zone's name, with or without its last dot. */
  readonly zones?: Readonly<Record<string, readonly AccessRule[]>>
}

export interface AccessOptions {
  readonly tsig?: readonly TsigKey[]
  readonly transfer?: TransferRules
}

/** Those prefixes may transfer zones where no other rules say anything. */
export function withPrefixes(
  { tsig, transfer }: AccessOptions,
  prefixes: readonly string[] | undefined,
): AccessOptions {
  const usual = prefixes === undefined ? {} : { default: [{ prefixes }] }
  return { ...(tsig === undefined ? {} : { tsig }), transfer: { ...usual, ...transfer } }
}

const DEFAULT_RULES: readonly AccessRule[] = [{ prefixes: ['loopback'] }]

/** Whether a peer at that address may, that has signed with the key of that name, or with none. */
type Permits = (address: string, keyName: string | undefined) => boolean

interface Compiled {
  readonly keyring: TsigKeyring
  readonly default: Permits
  readonly zones: ReadonlyMap<string, Permits>
}

export class AccessControl implements KeyringSource {
  readonly #watchers = new Set<() => void>()
  #compiled: Compiled

  /** @throws ConclaveError ADDRESS_SYNTAX, NAME_SYNTAX, ACCESS_RULE, ACCESS_KEY, TSIG_TWICE */
  constructor(options: AccessOptions = {}) {
    this.#compiled = compile(options)
  }

  /** I2. @throws ConclaveError as the constructor */
  set(options: AccessOptions): void {
    this.#compiled = compile(options)
    for (const call of this.#watchers) call()
  }

  /** The keys of this moment. */
  current(): TsigKeyring {
    return this.#compiled.keyring
  }

  /** I1. The zone need not be one of ours. */
  mayTransfer(apex: Name, address: string, keyName: string | undefined): boolean {
    const { zones, default: permits } = this.#compiled
    const own = zones.size === 0 ? undefined : zones.get(nameToText(canonicalName(apex)))
    return (own ?? permits)(address, keyName)
  }

  /** Calls after every change; the result ends that. */
  watch(call: () => void): () => void {
    this.#watchers.add(call)
    return () => this.#watchers.delete(call)
  }
}

function compile(options: AccessOptions): Compiled {
  const keyring = new TsigKeyring(options.tsig ?? [])
  const { default: rules = DEFAULT_RULES, zones = {} } = options.transfer ?? {}
  return {
    keyring,
    default: compileRules(rules, keyring),
    zones: new Map(
      Object.entries(zones).map(([zone, own]) => [zoneText(zone), compileRules(own, keyring, zone)]),
    ),
  }
}

function compileRules(rules: readonly AccessRule[], keyring: TsigKeyring, zone?: string): Permits {
  const place = zone === undefined ? {} : { zone }
  const compiled = rules.map(({ prefixes, keys }): Permits => {
    if (prefixes === undefined && keys === undefined) {
      throw new ConclaveError('ACCESS_RULE', 'a rule of access names neither prefixes nor keys', {
        place,
        remedy: 'Give it prefixes, keys or both; `any` is the prefix of everybody.',
      })
    }
    const fromThere = prefixes === undefined ? () => true : prefixMatcher(prefixes)
    const names = keys?.map(name => knownKey(name, keyring, place))
    return (address, keyName) =>
      (names === undefined || (keyName !== undefined && names.includes(keyName))) && fromThere(address)
  })
  return (address, keyName) => compiled.some(permits => permits(address, keyName))
}

function knownKey(name: string, keyring: TsigKeyring, place: { readonly zone?: string }): string {
  const canonical = keyNameText(name, place)
  if (keyring.has(canonical)) return canonical
  throw new ConclaveError(
    'ACCESS_KEY',
    `a rule of access names the TSIG key ${canonical}, which is not there`,
    {
      place,
      remedy: 'Add the key, or correct its name in the rule.',
    },
  )
}

function zoneText(zone: string): string {
  return nameToText(canonicalName(nameFromText(zone, rootName)))
}
