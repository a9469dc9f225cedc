/** The rules that a zone's text and data are held against. Severity `error` (the version is refused) stands only where
 *  at least two of NSD, Knot and BIND refuse to load such a zone, or where no message and no node could hold the data;
 *  test/zones/lint.test.ts asks all three. Everything else is a warning: told, and served. */

import type { Place } from '../base/index.ts'
import type { Fault } from './fault.ts'

export const ERROR_RULES = {
  syntax: 'The text is a zone file (RFC 1035 §5).',
  rdata: 'RDATA has the wire form of its type.',
  'soa-missing': 'A zone has an SOA record at its apex (RFC 1035 §5.2).',
  'soa-double': 'A zone has one SOA record (RFC 1035 §5.2).',
  'soa-below-apex': 'SOA stands at the apex only (RFC 1035 §5.2).',
  'rrset-too-large': 'An RRset with its RRSIGs fits into a message (RFC 1035 §4.2.2).',
  'signatures-per-rrset': 'An RRset has at most 255 RRSIG records.',
  'types-per-name': 'A name has at most 255 types.',
  'cname-and-other': 'CNAME stands alone but for DNSSEC (RFC 1034 §3.6.2, RFC 4034 §3).',
  'cname-double': 'A name has one CNAME record (RFC 2181 §10.1).',
  'dname-double': 'A name has one DNAME record (RFC 6672 §2.4).',
  'below-dname': 'There are no names below a DNAME (RFC 6672 §2.4).',
} as const

export const WARNING_RULES = {
  'ttl-missing': 'The first record has a TTL, or $TTL stands before it (RFC 2308 §4).',
  'ttl-range': 'A TTL is at most 2^31 − 1 (RFC 2181 §8).',
  'more-faults': 'Faults beyond the number that is kept.',
  'ns-missing': 'A zone has NS records at its apex (RFC 1034 §4.2.1).',
  'out-of-zone': 'All owners are the apex or below it (RFC 1035 §5.2).',
  duplicate: 'No two records of an RRset are the same (RFC 2181 §5).',
  'ttl-differs': 'The records of an RRset have one TTL (RFC 2181 §5.2), its RRSIGs too (RFC 4034 §3).',
  'records-per-rrset': 'An RRset has no more records than BIND serves by default.',
  'dname-and-ns': 'DNAME and NS meet at the apex only (RFC 6672 §2.3).',
  'wildcard-dname': 'A wildcard owns no DNAME (RFC 6672 §3.3).',
  occluded: 'Below a zone cut stand only addresses of its nameservers (RFC 1034 §4.2.1).',
  'wildcard-ns': 'A wildcard owns no NS (RFC 4592 §4.2).',
  'ds-without-ns': 'DS stands at zone cuts (RFC 4035 §2.4).',
  'ds-at-apex': 'DS belongs to the parent (RFC 4035 §2.4).',
  'glue-missing': 'A nameserver below its own zone cut has glue (RFC 1034 §4.2.1).',
  'ns-is-alias': 'NS names no alias (RFC 2181 §10.3).',
  'mx-is-alias': 'MX names no alias (RFC 2181 §10.3).',
  'srv-is-alias': 'SRV names no alias (RFC 2782).',
  'target-missing': 'NS, MX and SRV name a host of this zone that has addresses.',
  'dnssec-in-unsigned': 'Without RRSIG there is no NSEC, NSEC3 or NSEC3PARAM (RFC 4035 §2).',
  'dnssec-below-apex': 'DNSKEY, CDS, CDNSKEY, NSEC3PARAM, ZONEMD stand at the apex (RFC 4035 §2.1).',
  'bitmap-wrong': 'The bitmap of NSEC lists the types of its name (RFC 4034 §4.1.2).',
} as const

export type RuleCode = keyof typeof ERROR_RULES | keyof typeof WARNING_RULES

/** A fault under that rule, with the rule's severity. */
export function faultOf(rule: RuleCode, what: string, place: Place): Fault {
  return { place, what, severity: rule in ERROR_RULES ? 'error' : 'warning', rule }
}
