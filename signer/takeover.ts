/** Taking over a zone that another server signed, with its keys: what each key is to be here, and whether the change of
 *  servers can break the chain of trust (RFC 4035 §5, RFC 6781 §4.1). Pure; nothing is done.
 *
 *    DNSKEY RRset, who signs what (signed-zone.ts) ─┐
 *    DS at the parent, when it is known ────────────┼─▶ inspectTakeover ─▶ taken: every key, its goal, why │ refused: faults
 *    private keys at hand, and their timing ────────┘
 *
 *  A cache may hold the old server's DNSKEY RRset beside data of ours, and its data beside our DNSKEY RRset. So:
 *  I1  Every algorithm of the old DNSKEY RRset has a key at hand that caches know, and that can sign the zone.
 *  I2  Every DNSKEY of the old zone stays in the zone; those whose private keys are not here as well, until nothing that
 *      they signed is in any cache.
 *  I3  Of each algorithm in the parent's DS RRset a key at hand signs our DNSKEY RRset. With the DS unknown, every key that
 *      may have one has to be at hand. */

import { compareOctets } from '../zones/index.ts'
import { algorithmOf, isSupported } from './algorithms.ts'
import { decodeDs, dnskeyRdata, dsMatches, FLAG_SEP, keyTagOf } from './dnskey.ts'
import type { KeyTiming } from './key-timing.ts'
import { type KeyInfo, type KeyRole, keyId } from './keystore.ts'
import type { SignedZone } from './signed-zone.ts'

export interface TakeoverInput {
  readonly zone: SignedZone
  /** RDATA of the parent's DS RRset; empty: it has none; undefined: not known. */
  readonly ds?: readonly Uint8Array[]
  /** Keys of the zone whose private keys are at hand. */
  readonly held: readonly KeyInfo[]
  /** Unix seconds. */
  readonly now: number
}

/** A key of the old zone, or one that came with them. */
export interface TakenKey {
  readonly id: string
  readonly role: KeyRole
  readonly algorithm: number
  readonly keyTag: number
  readonly dnskey: Uint8Array
  /** The private key is at hand. */
  readonly info?: KeyInfo
  readonly published: boolean
  /** It signs the DNSKEY RRset; the SOA, and so what is new in the zone; some RRset. */
  readonly signsKeys: boolean
  readonly signsZone: boolean
  readonly signsSome: boolean
  /** The parent has its DS; undefined: not known. */
  readonly ds: boolean | undefined
  readonly timing: KeyTiming
  readonly goal: 'in-use' | 'retired'
  readonly reason: string
}

export interface TakeoverFault {
  readonly rule:
    | 'not-signed'
    | 'ds-key-missing'
    | 'key-signer-missing'
    | 'zone-signer-missing'
    | 'zone-signer-too-new'
    | 'unsafe'
  readonly what: string
  readonly remedy: string
}

export type Takeover =
  | { readonly kind: 'taken'; readonly keys: readonly TakenKey[]; readonly findings: readonly string[] }
  | {
      readonly kind: 'refused'
      readonly keys: readonly TakenKey[]
      readonly faults: readonly TakeoverFault[]
    }

export function inspectTakeover(input: TakeoverInput): Takeover {
  const seen = keysSeen(input)
  const keys = seen.map(key => ({ ...key, ...goalOf(key, seen, input) }))
  const faults = takeoverFaults(keys, input)
  if (faults.length > 0) return { kind: 'refused', keys, faults }
  return { kind: 'taken', keys, findings: findingsOf(keys, input) }
}

type SeenKey = Omit<TakenKey, 'goal' | 'reason'>

function keysSeen({ zone, ds, held }: TakeoverInput): SeenKey[] {
  const own = held.map(info => ({ info, dnskey: dnskeyRdata(info) }))
  const strange = zone.dnskeys
    .filter(
      rdata =>
        !isAmong(
          rdata,
          own.map(({ dnskey }) => dnskey),
        ),
    )
    .map(dnskey => ({ dnskey, info: undefined }))
  return [...own, ...strange].map(({ info, dnskey }) => {
    const signsKeys = isAmong(dnskey, zone.keySigners)
    const signsZone = isAmong(dnskey, zone.zoneSigners)
    const sep = (dnskey[1]! & FLAG_SEP) !== 0
    return {
      id: info?.id ?? keyId(zone.apex, dnskey[3]!, dnskey.subarray(4)),
      role: info?.role ?? (sep ? (signsZone ? 'csk' : 'ksk') : 'zsk'),
      algorithm: dnskey[3]!,
      keyTag: keyTagOf(dnskey),
      dnskey,
      ...(info === undefined ? {} : { info }),
      published: isAmong(dnskey, zone.dnskeys),
      signsKeys,
      signsZone,
      signsSome: zone.signerSets.some(set => isAmong(dnskey, set)),
      ds: ds?.some(one => dsMatches(zone.apex, dnskey, one)),
      timing: info?.timing ?? {},
    }
  })
}

function isAmong(rdata: Uint8Array, all: readonly Uint8Array[]): boolean {
  return all.some(one => compareOctets(one, rdata) === 0)
}

interface Goal {
  readonly goal: TakenKey['goal']
  readonly reason: string
}

const retired = (reason: string): Goal => ({ goal: 'retired', reason })
const inUse = (reason: string): Goal => ({ goal: 'in-use', reason })

function goalOf(key: SeenKey, all: readonly SeenKey[], input: TakeoverInput): Goal {
  if (key.info === undefined) return retired('its private key is not here')
  if (!key.published && key.ds !== true) return retired('it was not in the zone')
  const successor = all.find(other => isSuccessor(other, key, input))
  if (successor !== undefined) return retired(successorWords(key, successor))
  if (isLeaving(key, input)) return retired('it was on its way out already')
  if (key.ds === true) return inUse('the parent has its DS')
  if (key.signsZone || (key.signsKeys && key.role !== 'zsk')) return inUse('it signed the zone')
  if (isWaiting(key, input)) return inUse('it was published to take over')
  if (key.role === 'zsk') {
    const signers = all.filter(other => signsHere(other, key))
    if (signers.length === 0) return inUse('what signs is not here')
    if (signers.every(other => isLeaving(other, input))) return inUse('what signs was on its way out already')
  }
  return retired('it was published and signed nothing')
}

/** RFC 7344 §4: of KSKs the zone's CDS says which the parent is to have. */
function successorWords({ role }: SeenKey, { keyTag }: SeenKey): string {
  return role === 'zsk'
    ? `key ${keyTag} was to take over from it`
    : `the zone's CDS asks for key ${keyTag} instead`
}

/** Its time was over. */
function isLeaving({ timing }: SeenKey, { now }: TakeoverInput): boolean {
  const { inactiveUnix = Infinity, deleteUnix = Infinity } = timing
  return Math.min(inactiveUnix, deleteUnix) <= now
}

function signsHere(key: SeenKey, { algorithm }: SeenKey): boolean {
  return key.info !== undefined && key.algorithm === algorithm && (key.signsZone || key.signsSome)
}

/** Whether `key` is to take over from `old` (RFC 6781 §4.1.1 and §4.1.2). */
function isSuccessor(key: SeenKey, old: SeenKey, input: TakeoverInput): boolean {
  if (key === old || key.info === undefined || !key.published) return false
  if (key.role !== old.role || key.algorithm !== old.algorithm) return false
  if (key.role === 'zsk') {
    return old.signsZone ? isWaiting(key, input) : old.signsSome && key.signsZone
  }
  // An old key whose time was over is still in CDS until its successor is everywhere.
  if (isLeaving(key, input)) return false
  // CDS asks for it and not for the other, which the parent may still have (RFC 7344 §4).
  return isAskedFor(key, input.zone) && !isAskedFor(old, input.zone)
}

function isAskedFor({ dnskey }: SeenKey, { cds, apex }: SignedZone): boolean {
  return cds.some(one => dsMatches(apex, dnskey, one))
}

/** Published ahead of its use. */
function isWaiting({ timing, published, signsSome }: SeenKey, { now }: TakeoverInput): boolean {
  return published && !signsSome && timing.activateUnix !== undefined && timing.activateUnix > now
}

function takeoverFaults(keys: readonly TakenKey[], input: TakeoverInput): TakeoverFault[] {
  const { zone } = input
  if (zone.keySigners.length === 0 || zone.zoneSigners.length === 0) {
    const what = 'no signature over the DNSKEY RRset, or none over the SOA, is valid now'
    const remedy = 'Take the zone as the other server has it now: an old copy does not say who signs it.'
    return [{ rule: 'not-signed', what, remedy }]
  }
  const algorithms = [...new Set(zone.dnskeys.map(dnskey => dnskey[3]!))]
  return [
    ...dsFaults(keys, input),
    ...algorithms.flatMap(algorithm => zoneSignerFaults(keys, algorithm, input)),
  ]
}

/** I3. */
function dsFaults(keys: readonly TakenKey[], { ds, zone }: TakeoverInput): TakeoverFault[] {
  if (ds === undefined) {
    const missing = keys.filter(key => key.info === undefined && key.signsKeys && key.role !== 'zsk')
    return missing.map(key => ({
      rule: 'key-signer-missing',
      what: `${named(key)} signs the DNSKEY RRset, and its private key is not here: the parent's DS may point at it`,
      remedy: "Import it too; or give the parent's DS records, when none of them is its.",
    }))
  }
  const algorithms = new Set(ds.flatMap(one => decodeDs(one)?.algorithm ?? []))
  return [...algorithms].flatMap(algorithm => {
    if (keys.some(key => key.ds === true && key.info !== undefined && key.algorithm === algorithm)) return []
    const tags = ds.filter(one => one[2] === algorithm).map(one => decodeDs(one)!.keyTag)
    const some = zone.dnskeys.some(dnskey => ds.some(one => dsMatches(zone.apex, dnskey, one)))
    return {
      rule: 'ds-key-missing' as const,
      what:
        `the parent's DS ${tags.join(', ')} of ${algorithmText(algorithm)} ` +
        (some ? 'points at a key whose private key is not here' : 'matches no DNSKEY of the zone'),
      remedy: 'Import the private key of that KSK, or have the other server roll to one that you hold first.',
    }
  })
}

/** I1. */
function zoneSignerFaults(
  keys: readonly TakenKey[],
  algorithm: number,
  { zone, now }: TakeoverInput,
): TakeoverFault[] {
  const held = keys.filter(key => key.info !== undefined && key.algorithm === algorithm)
  if (held.some(key => key.signsZone || key.signsSome)) return []
  const known = held.filter(({ published, role }) => published && role !== 'ksk')
  const inCaches = known.some(({ timing }) => {
    return timing.publishUnix !== undefined && timing.publishUnix + zone.dnskeyTtlSeconds <= now
  })
  if (inCaches) return []
  const missing = keys.filter(key => key.info === undefined && key.algorithm === algorithm && key.signsZone)
  const who = missing.length === 0 ? 'no key' : missing.map(named).join(', ')
  if (known.length === 0) {
    const what = `${who} of ${algorithmText(algorithm)} signs the zone, and no private key that could do it is here`
    const remedy = 'Import its private key; caches know no other key.'
    return [{ rule: 'zone-signer-missing', what, remedy }]
  }
  const what =
    `${named(known[0]!)} has not signed yet, and caches may have DNSKEY records without it; ` +
    `${who} signs the zone, and the private key is not here`
  const remedy =
    `Import that private key; or wait until the key was published for ${zone.dnskeyTtlSeconds} seconds and more, ` +
    'and bring its timing along (K*.state, or `keymgr ZONE list`).'
  return [{ rule: 'zone-signer-too-new', what, remedy }]
}

function named({ role, keyTag }: TakenKey): string {
  return `${role.toUpperCase()} ${keyTag}`
}

function findingsOf(keys: readonly TakenKey[], { zone, ds, now }: TakeoverInput): string[] {
  const findings: string[] = []
  for (const key of keys) {
    if (key.info === undefined) {
      findings.push(
        `${named(key)} is not held here: its DNSKEY stays until nothing it signed can be in a cache`,
      )
      if (key.signsKeys && key.role !== 'zsk')
        findings.push(`${named(key)} signed the DNSKEY RRset: its DS must have left the parent's caches`)
    } else if (!key.published) findings.push(`${named(key)} is not in the zone; it will not be used`)
    if (key.ds === true && !key.published)
      findings.push(`${named(key)} has a DS at the parent and is not in the zone yet; it will be`)
    const { inactiveUnix } = key.timing
    if (key.goal === 'in-use' && inactiveUnix !== undefined && inactiveUnix > now)
      findings.push(
        `${named(key)} was to retire on ${dateOf(inactiveUnix)}; here the policy's lifetimes count`,
      )
  }
  for (const one of ds ?? []) {
    if (zone.dnskeys.some(dnskey => dsMatches(zone.apex, dnskey, one))) continue
    findings.push(`the parent's DS ${decodeDs(one)?.keyTag} matches no DNSKEY of the zone`)
  }
  if (ds?.length === 0) findings.push('the parent has no DS: nobody validates the zone so far')
  if (ds === undefined)
    findings.push("the parent's DS is not known: every KSK counts as one that it may have")
  if (zone.signerSets.length > 1) findings.push('RRsets are signed by different keys: a roll was under way')
  return findings
}

function dateOf(unix: number): string {
  return new Date(unix * 1000).toISOString().slice(0, 10)
}

function algorithmText(algorithm: number): string {
  return isSupported(algorithm) ? algorithmOf(algorithm).mnemonic : `algorithm ${algorithm}`
}
