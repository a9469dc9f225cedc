/** What lint asks of a node: which types it owns, in a form that is quick to test, and the rules that need nothing but
 *  the node itself. */

import { nameLengthAt } from './name.ts'
import { firstRRsetAt, nextRRsetAt, RECORD_HEADER_OCTETS, RRSET_HEADER_OCTETS, u16 } from './node.ts'
import { decodeTypes } from './rdata-bitmap.ts'
import type { RuleCode } from './rules.ts'
import { TYPE, typeToText } from './types.ts'

/** Told of a fault of the node's RRset of that type. */
export type ReportType = (rule: RuleCode, type: number, what: string) => void

/** Types at a node, as bits. */
export const HAS_ADDRESS = 1
export const HAS_NS = 2
export const HAS_CNAME = 4
export const HAS_DNAME = 8
export const HAS_DS = 16
export const HAS_SOA = 32
export const HAS_NSEC = 64
/** NSEC, NSEC3 or NSEC3PARAM. */
export const HAS_DENIAL = 128
export const HAS_SIGNATURES = 256
/** MX or SRV: names of hosts to look up. */
export const HAS_HOSTS = 512
/** DNSKEY, NSEC3PARAM or ZONEMD. CDS and CDNSKEY are missing: RFC 9615 puts them below other names, too. */
export const HAS_APEX_ONLY = 1024
/** Something that may not stand beside a CNAME. */
export const HAS_DATA = 2048
export const HAS_TWO_CNAME = 4096
export const HAS_TWO_DNAME = 8192
export const HAS_TWO_SOA = 16_384
/** Something other than addresses. */
export const HAS_NO_GLUE = 32_768

const BITS = new Map<number, number>([
  [TYPE.A, HAS_ADDRESS | HAS_DATA],
  [TYPE.AAAA, HAS_ADDRESS | HAS_DATA],
  [TYPE.NS, HAS_NS | HAS_DATA | HAS_NO_GLUE],
  [TYPE.CNAME, HAS_CNAME | HAS_NO_GLUE],
  [TYPE.DNAME, HAS_DNAME | HAS_DATA | HAS_NO_GLUE],
  [TYPE.DS, HAS_DS | HAS_DATA | HAS_NO_GLUE],
  [TYPE.SOA, HAS_SOA | HAS_DATA | HAS_NO_GLUE],
  [TYPE.MX, HAS_HOSTS | HAS_DATA | HAS_NO_GLUE],
  [TYPE.SRV, HAS_HOSTS | HAS_DATA | HAS_NO_GLUE],
  [TYPE.NSEC, HAS_NSEC | HAS_DENIAL | HAS_NO_GLUE],
  [TYPE.NSEC3, HAS_DENIAL | HAS_NO_GLUE],
  [TYPE.NSEC3PARAM, HAS_DENIAL | HAS_APEX_ONLY | HAS_DATA | HAS_NO_GLUE],
  [TYPE.DNSKEY, HAS_APEX_ONLY | HAS_DATA | HAS_NO_GLUE],
  [TYPE.ZONEMD, HAS_APEX_ONLY | HAS_DATA | HAS_NO_GLUE],
  // RFC 2535 §4.1.8, §5.2, RFC 3007 §3.1.1: these may stand beside a CNAME as well.
  [TYPE.SIG, HAS_NO_GLUE],
  [TYPE.KEY, HAS_NO_GLUE],
  [TYPE.NXT, HAS_NO_GLUE],
])
const OTHER_BITS = HAS_DATA | HAS_NO_GLUE
const TABLE = new Uint16Array(256).fill(OTHER_BITS)
for (const [type, bits] of BITS) if (type < TABLE.length) TABLE[type] = bits

const TWO: readonly (readonly [number, number])[] = [
  [TYPE.CNAME, HAS_TWO_CNAME],
  [TYPE.DNAME, HAS_TWO_DNAME],
  [TYPE.SOA, HAS_TWO_SOA],
]

/** The bits of the node at `start`. Allocates nothing. */
export function nodeBits(octets: Uint8Array, start: number): number {
  let bits = 0
  let at = firstRRsetAt(octets, start)
  for (let left = octets[start + 2]!; left > 0; left--) {
    if (octets[at + 3] !== 0) bits |= HAS_SIGNATURES
    const records = u16(octets, at + 4)
    const type = u16(octets, at)
    if (records > 0) bits |= type < TABLE.length ? TABLE[type]! : OTHER_BITS
    if (records > 1) bits |= twoBit(type)
    at = nextRRsetAt(octets, at)
  }
  return bits
}

function twoBit(type: number): number {
  for (const [single, bit] of TWO) if (single === type) return bit
  return 0
}

/** Rules for names that own CNAME or DNAME; `wildcard`: the first label is `*`. */
export function lintAliases(bits: number, apex: boolean, wildcard: boolean, report: ReportType): void {
  if ((bits & HAS_CNAME) !== 0 && (bits & HAS_DATA) !== 0)
    report('cname-and-other', TYPE.CNAME, 'CNAME and other data; expected CNAME alone')
  if ((bits & HAS_TWO_CNAME) !== 0) report('cname-double', TYPE.CNAME, 'two CNAME records; expected one')
  if ((bits & HAS_TWO_DNAME) !== 0) report('dname-double', TYPE.DNAME, 'two DNAME records; expected one')
  if ((bits & HAS_DNAME) !== 0 && (bits & HAS_NS) !== 0 && !apex)
    report('dname-and-ns', TYPE.DNAME, 'DNAME and NS; expected one of them')
  if ((bits & HAS_DNAME) !== 0 && wildcard)
    report('wildcard-dname', TYPE.DNAME, 'DNAME at a wildcard; what it means is not defined')
}

/** Rules for delegations and for what belongs to one side of them. */
export function lintDelegation(bits: number, apex: boolean, wildcard: boolean, report: ReportType): void {
  if ((bits & HAS_DS) !== 0 && apex)
    report('ds-at-apex', TYPE.DS, 'DS at the apex; expected it in the parent')
  if ((bits & HAS_DS) !== 0 && (bits & HAS_NS) === 0 && !apex)
    report('ds-without-ns', TYPE.DS, 'DS without NS; expected DS at zone cuts')
  if ((bits & HAS_NS) !== 0 && wildcard)
    report('wildcard-ns', TYPE.NS, 'NS at a wildcard; what it delegates is not defined')
  if ((bits & HAS_APEX_ONLY) !== 0 && !apex)
    report('dnssec-below-apex', 0, 'DNSKEY, NSEC3PARAM or ZONEMD below the apex, where they mean nothing')
}

/** RFC 4034 §4.1.2, RFC 4035 §2.3: the types an NSEC lists are those of its name, at a zone cut NS and DS only. */
export function lintBitmap(octets: Uint8Array, start: number, cut: boolean, report: ReportType): void {
  let listed: number[] = []
  const present: number[] = []
  let signed = false
  let at = firstRRsetAt(octets, start)
  for (let left = octets[start + 2]!; left > 0; left--) {
    const type = u16(octets, at)
    if (octets[at + 3] !== 0) signed = true
    const authoritative = !cut || type === TYPE.NS || type === TYPE.DS || type === TYPE.NSEC
    if (u16(octets, at + 4) > 0 && authoritative) present.push(type)
    if (type === TYPE.NSEC) listed = listedTypes(octets, at + RRSET_HEADER_OCTETS)
    at = nextRRsetAt(octets, at)
  }
  if (signed) present.push(TYPE.RRSIG)
  present.sort((a, b) => a - b)
  if (present.join() !== listed.join()) {
    const text = (types: number[]): string => types.map(typeToText).join(' ')
    report('bitmap-wrong', TYPE.NSEC, `NSEC lists ${text(listed)}; expected ${text(present)}`)
  }
}

function listedTypes(octets: Uint8Array, record: number): number[] {
  const rdata = record + RECORD_HEADER_OCTETS
  const end = rdata + u16(octets, record + 10)
  return decodeTypes(octets, rdata + nameLengthAt(octets, rdata, end), end)
}
