/** What a node signs: its own rules, judged by itself on every message.
 *
 *  I1  Nothing is signed for a zone that has no rule, with a key of another zone, role or algorithm, or without a place in
 *      every limit. A KSK signs DNSKEY, CDS and CDNSKEY only; a ZSK never does.
 *  I2  Times are judged by the node's own clock: inception not long ago and hardly ahead, expiration not too far.
 *  I3  Unless the rule takes any: every DNSKEY in a DNSKEY RRset, and every key in CDS and CDNSKEY, must be one that the rule approves: a key slipped
 *      in there could sign the whole zone elsewhere, and without its DS the zone is anybody's.
 *  I4  The judgement depends on rule, key, message, approvals, clock and the keys held, on nothing the asker says besides. */

import { createHash } from 'node:crypto'
import { canonicalName, type Name, nameToText, sameName, TYPE, typeToText } from '../zones/index.ts'
import { approvalsOf } from './approval.ts'
import type { KeyRole } from './key-record.ts'
import type { Approval } from './messages.ts'
import type { ToSign } from './to-be-signed.ts'

export interface ZoneRule {
  /** `any`: for zones that no other rule names. */
  readonly zone: Name | 'any'
  readonly roles: readonly KeyRole[]
  /** Types a ZSK or CSK may sign besides; `any` of them. */
  readonly types: 'any' | readonly number[]
  /** From now to expiration. */
  readonly validitySecondsMax: number
  readonly inceptionPastSecondsMax: number
  readonly inceptionFutureSecondsMax: number
  readonly ttlSecondsMax: number
  readonly recordsMax: number
  /** Of one request; what it has beyond them is refused. */
  readonly messagesPerRequestMax: number
  readonly messagesPerMinuteMax: number
  /** Which DNSKEYs may be in the zone: any; those that this quorum holds; or those and a list (RDATA). */
  readonly dnskeys: 'any' | 'quorum' | readonly Uint8Array[]
  /** Whether CDS and CDNSKEY may ask for the DS to go (RFC 8078 §4), where `dnskeys` is not `any`: it ends the zone's security. */
  readonly cdsDelete?: boolean
  readonly approvals?: ApprovalRule
}

export interface ApprovalRule {
  /** So many of the operators. */
  readonly required: number
  /** Ed25519 public keys. */
  readonly operators: readonly Uint8Array[]
  readonly types: readonly number[]
}

export interface NodePolicy {
  readonly zones: readonly ZoneRule[]
  /** Which of these a coordinator may start for the zones above. */
  readonly keygen: boolean
  readonly deal: boolean
  readonly reshare: boolean
  readonly erase: boolean
  /** How many nodes must be needed for a key that is made, dealt or shared anew; without it, no fewer than before. */
  readonly thresholdMin?: number
}

export interface JudgedKey {
  readonly id: string
  readonly zone: Name
  readonly role: KeyRole
  readonly algorithm: number
  readonly keyTag: number
}

export type Judgement =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'pending'; readonly needs: string }
  | { readonly kind: 'refused'; readonly code: string; readonly what: string }

export interface JudgedBy {
  readonly rule: ZoneRule
  readonly key: JudgedKey
  readonly approvals: readonly Approval[]
  readonly nowUnix: number
  /** DNSKEY RDATA of the zone's keys that this node has shares of. */
  readonly held: readonly Uint8Array[]
}

const KEY_TYPES: readonly number[] = [TYPE.DNSKEY, TYPE.CDS, TYPE.CDNSKEY]
/** RFC 4034 §3.1.5: times compare by serial number arithmetic. */
const TIME_HALF = 0x80000000

export function ruleOf(policy: NodePolicy, zone: Name): ZoneRule | undefined {
  const named = policy.zones.find(rule => rule.zone !== 'any' && sameName(rule.zone, zone))
  return named ?? policy.zones.find(rule => rule.zone === 'any')
}

export function judge(toSign: ToSign, by: JudgedBy): Judgement {
  const fault =
    keyFault(toSign, by) ?? limitFault(toSign, by) ?? timeFault(toSign, by) ?? contentFault(toSign, by)
  return fault ?? judgeApprovals(toSign, by)
}

function refused(code: string, what: string): Judgement {
  return { kind: 'refused', code, what }
}

/** I1. */
function keyFault(
  { type, algorithm, keyTag, signer }: ToSign,
  { rule, key }: JudgedBy,
): Judgement | undefined {
  if (!sameName(signer, key.zone)) return refused('POLICY_ZONE', 'the signer is not the zone of the key')
  if (algorithm !== key.algorithm || keyTag !== key.keyTag) {
    return refused('POLICY_KEY', 'algorithm or key tag are not those of the key')
  }
  if (!rule.roles.includes(key.role))
    return refused('POLICY_ROLE', `keys that are ${key.role} sign nothing here`)
  const ofKeys = KEY_TYPES.includes(type)
  if (ofKeys ? key.role === 'zsk' : key.role === 'ksk') {
    return refused('POLICY_ROLE', `a ${key.role} does not sign ${typeToText(type)}`)
  }
  if (!ofKeys && rule.types !== 'any' && !rule.types.includes(type)) {
    return refused('POLICY_TYPE', `${typeToText(type)} is not among the types allowed`)
  }
  // RFC 4035 §2.2: RRSIG RRsets are never signed.
  if (type === TYPE.RRSIG) return refused('POLICY_TYPE', 'RRSIGs are not signed')
  return undefined
}

function limitFault({ ttl, rdata }: ToSign, { rule }: JudgedBy): Judgement | undefined {
  if (ttl > rule.ttlSecondsMax)
    return refused('POLICY_TTL', `a TTL of ${ttl} s; ${rule.ttlSecondsMax} s at most`)
  if (rdata.length > rule.recordsMax) {
    return refused('POLICY_RECORDS', `${rdata.length} records; ${rule.recordsMax} at most`)
  }
  return undefined
}

/** I2. */
function timeFault(
  { inceptionUnix, expirationUnix }: ToSign,
  { rule, nowUnix }: JudgedBy,
): Judgement | undefined {
  const now = Math.floor(nowUnix)
  const [past, left] = [since(inceptionUnix, now), since(now, expirationUnix)]
  if (past > rule.inceptionPastSecondsMax) return refused('POLICY_INCEPTION', `it begins ${past} s ago`)
  if (-past > rule.inceptionFutureSecondsMax) return refused('POLICY_INCEPTION', `it begins in ${-past} s`)
  if (left <= 0) return refused('POLICY_VALIDITY', 'it ends before now')
  if (since(inceptionUnix, expirationUnix) <= 0) return refused('POLICY_VALIDITY', 'it ends before it begins')
  if (left > rule.validitySecondsMax) {
    return refused('POLICY_VALIDITY', `it lasts ${left} s; ${rule.validitySecondsMax} s at most`)
  }
  return undefined
}

/** Seconds from one time to the other, both modulo 2^32; negative when the first is the later one. */
function since(from: number, to: number): number {
  const seconds = (to - from) >>> 0
  return seconds >= TIME_HALF ? seconds - 2 * TIME_HALF : seconds
}

/** I3. */
function contentFault(toSign: ToSign, { rule, held, key }: JudgedBy): Judgement | undefined {
  const { type, rdata, owner } = toSign
  if (!KEY_TYPES.includes(type)) return undefined
  if (!sameName(owner, key.zone)) return refused('POLICY_OWNER', `${typeToText(type)} belongs at the apex`)
  if (rule.dnskeys === 'any') return undefined
  const approved = rule.dnskeys === 'quorum' ? held : [...held, ...rule.dnskeys]
  const unknown = rdata.find(one => {
    if (type !== TYPE.DNSKEY && isDelete(type, one)) return rule.cdsDelete !== true
    return !isApproved(type, one, approved, key.zone)
  })
  if (unknown === undefined) return undefined
  return refused('POLICY_DNSKEY', `a ${typeToText(type)} names a key that is not approved`)
}

function isApproved(type: number, rdata: Uint8Array, approved: readonly Uint8Array[], zone: Name): boolean {
  if (type === TYPE.CDS) return approved.some(dnskey => isDsOf(rdata, dnskey, zone))
  return approved.some(dnskey => Buffer.compare(dnskey, rdata) === 0)
}

/** RFC 8078 §4: the records that ask for the DS to go name no key. */
function isDelete(type: number, rdata: Uint8Array): boolean {
  const text = Buffer.from(rdata).toString('hex')
  return text === (type === TYPE.CDS ? '0000000000' : '0000030000')
}

/** RFC 4034 §5.1.4, RFC 4509 §2.1, RFC 6605 §2: digests of types 2 and 4. */
function isDsOf(ds: Uint8Array, dnskey: Uint8Array, zone: Name): boolean {
  const hash = ds[3] === 2 ? 'sha256' : ds[3] === 4 ? 'sha384' : undefined
  if (hash === undefined || ds[2] !== dnskey[3]) return false
  const digest = createHash(hash).update(canonicalName(zone)).update(dnskey).digest()
  return Buffer.compare(digest, ds.subarray(4)) === 0
}

function judgeApprovals(toSign: ToSign, { rule, key, approvals, nowUnix }: JudgedBy): Judgement {
  const { approvals: wanted } = rule
  if (wanted === undefined || !wanted.types.includes(toSign.type)) return { kind: 'allowed' }
  const name = nameToText(canonicalName(key.zone))
  const count = approvalsOf(approvals, wanted.operators, { zone: name, key: key.id, toSign, nowUnix })
  if (count >= wanted.required) return { kind: 'allowed' }
  const needs = `${wanted.required - count} more of ${wanted.operators.length} operators for ${typeToText(toSign.type)}`
  return { kind: 'pending', needs }
}
