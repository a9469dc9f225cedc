/** Canonical form and order of RDATA (RFC 4034 §6.2, §6.3, as amended by RFC 6840 §5.1), and the names inside it: where
 *  they are, which may be compressed (RFC 3597 §4), which ask for additional data.
 *  RFC 6840 §5.1: the next name of NSEC keeps its case; the signer's name of RRSIG is put in lower case. HINFO, which RFC
 *  4034 lists twice, holds no names. Lists hold by type number, so RDATA that was written `TYPE7 \# …` is MB's.
 *  RDATA here was checked before (rdataFault). The functions named …At and …InPlace allocate nothing. */

import { asName, compareOctets, lowerCase, type Name, nameLengthAt } from './name.ts'
import { endOfField } from './rdata-check.ts'
import { compileByType, type Field, rowOfType } from './rdata-table.ts'
import { TYPE } from './types.ts'

/** A name inside RDATA. */
export interface RdataName {
  readonly start: number
  readonly end: number
  readonly compressible: boolean
  readonly additional: boolean
  /** Whether the canonical form has it in lower case. */
  readonly lowered: boolean
}

interface NamePlan {
  /** Fields up to the last name; empty when there is none. */
  readonly fields: readonly Field[]
  readonly lowered: boolean
  readonly compressible: boolean
  /** Octets in front of the first name when it stands at a fixed offset, else −1. */
  readonly firstAt: number
  /** Names that follow one another from there on. */
  readonly count: number
  /** Whether the first name asks for additional data. */
  readonly additional: boolean
}

const FIXED_OCTETS: { readonly [kind: string]: number } = {
  u8: 1,
  u16: 2,
  u32: 4,
  type: 2,
  algorithm: 1,
  scheme: 1,
  time: 4,
}

function isName(field: Field): boolean {
  return field.kind === 'name' || field.kind === 'compressed-name' || field.kind === 'cased-name'
}

function planOf(fields: readonly Field[]): NamePlan {
  const first = fields.findIndex(isName)
  const last = fields.findLastIndex(isName)
  const front = fields.slice(0, Math.max(0, first)).map(field => FIXED_OCTETS[field.kind])
  const fixed = first >= 0 && front.every(octets => octets !== undefined)
  return {
    fields: fields.slice(0, last + 1),
    lowered: fields.some(field => field.kind === 'name' || field.kind === 'compressed-name'),
    compressible: fields.some(field => field.kind === 'compressed-name'),
    firstAt: fixed ? front.reduce<number>((sum, octets) => sum + octets!, 0) : -1,
    count: first < 0 ? 0 : last - first + 1,
    additional: first >= 0 && fields[first]!.additional,
  }
}

const plans: readonly (NamePlan | undefined)[] = compileByType(planOf)

/** The names of RDATA, in order. */
export function rdataNames(type: number, rdata: Uint8Array): RdataName[] {
  const names: RdataName[] = []
  let at = 0
  for (const field of plans[rowOfType[type]!]?.fields ?? []) {
    const end = endOfField(field, rdata, at, rdata.length)
    if (isName(field)) {
      const compressible = field.kind === 'compressed-name'
      const lowered = compressible || field.kind === 'name'
      names.push({ start: at, end, compressible, additional: field.additional, lowered })
    }
    at = end
  }
  return names
}

/** Names of that type may be compressed in messages: `count` of them follow one another from `offset` on. The same
 *  object each time; undefined for types whose names must not be (RFC 3597 §4). */
export function compressibleNames(type: number): CompressibleNames | undefined {
  return compressible[rowOfType[type]!]
}

export interface CompressibleNames {
  readonly offset: number
  readonly count: number
}

const compressible: readonly (CompressibleNames | undefined)[] = plans.map(plan =>
  plan?.compressible ? { offset: plan.firstAt, count: plan.count } : undefined,
)

/** Where RDATA at `start` has the name whose addresses belong in the additional section (NS, MX, SRV, SVCB, …), or −1. */
export function additionalNameAt(type: number, octets: Uint8Array, start: number): number {
  const plan = plans[rowOfType[type]!]
  if (plan?.additional !== true) return -1
  if (plan.firstAt >= 0) return start + plan.firstAt
  return behindStrings(octets, start)
}

/** Copies of the names of RDATA. */
export function namesOf(type: number, rdata: Uint8Array): Name[] {
  return rdataNames(type, rdata).map(({ start, end }) => asName(rdata.slice(start, end)))
}

/** Whether the canonical form of that type's RDATA can differ from the RDATA. */
export function hasLoweredNames(type: number): boolean {
  return loweredRows[rowOfType[type]!] === 1 || type === TYPE.A6
}

const loweredRows: Uint8Array = Uint8Array.from(plans, plan => (plan?.lowered === true ? 1 : 0))

/** Canonical form; the same object when nothing changes. */
export function canonicalRdata(type: number, rdata: Uint8Array): Uint8Array {
  if (!locateLowered(type, rdata, 0, rdata.length)) return rdata
  for (let at = loweredStart; at < loweredEnd; at++) {
    if (lowerCase[rdata[at]!] === rdata[at]) continue
    const copy = rdata.slice()
    for (; at < loweredEnd; at++) copy[at] = lowerCase[copy[at]!]!
    return copy
  }
  return rdata
}

/** Turns the RDATA octets[start..end) into its canonical form where it lies. */
export function canonicalizeInPlace(type: number, octets: Uint8Array, start: number, end: number): void {
  // Most is so already, and a loop that only reads is four times as fast.
  if (!hasCapital(octets, start, end) || !locateLowered(type, octets, start, end)) return
  for (let at = loweredStart; at < loweredEnd; at++) octets[at] = lowerCase[octets[at]!]!
}

export function hasCapital(octets: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const octet = octets[at]!
    if (octet >= 0x41 && octet <= 0x5a) return true
  }
  return false
}

/** Canonical order of RDATA of one type: negative, zero (canonically the same record) or positive.
 *  RFC 4034 §6.3: the canonical forms as left-justified octets; where one ends, absence sorts first. */
export function compareCanonicalRdata(type: number, a: Uint8Array, b: Uint8Array): number {
  if (!locateLowered(type, a, 0, a.length)) return compareOctets(a, b)
  // As long as both are the same so far, their names lie at the same offsets; so those of one suffice.
  const shorter = Math.min(a.length, b.length)
  for (let at = 0; at < shorter; at++) {
    const inName = at >= loweredStart && at < loweredEnd
    const difference = inName ? lowerCase[a[at]!]! - lowerCase[b[at]!]! : a[at]! - b[at]!
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** The stretch that locateLowered found; names that go to lower case follow one another in every type, and the length
 *  octets between them have no case. */
let loweredStart = 0
let loweredEnd = 0

/** Finds the names that are in lower case in canonical form; false when there are none. */
function locateLowered(type: number, octets: Uint8Array, start: number, end: number): boolean {
  const plan = plans[rowOfType[type]!]
  let count = 1
  if (plan?.lowered) {
    count = plan.count
    loweredStart = plan.firstAt >= 0 ? start + plan.firstAt : behindStrings(octets, start)
  } else if (type === TYPE.A6 && octets[start]! > 0) {
    // RFC 2874 §3.1: prefix length, the octets of the suffix, and a name unless the prefix is empty.
    loweredStart = start + 1 + ((128 - octets[start]! + 7) >> 3)
  } else return false
  loweredEnd = loweredStart
  for (let left = count; left > 0; left--) {
    const length = nameLengthAt(octets, loweredEnd, end)
    if (length < 0) break
    loweredEnd += length
  }
  return loweredEnd > loweredStart
}

/** NAPTR (RFC 3403 §4.1): order, preference and three strings stand in front of the name. */
function behindStrings(octets: Uint8Array, start: number): number {
  let at = start + 4
  for (let strings = 0; strings < 3; strings++) at += 1 + octets[at]!
  return at
}
