/** What the RDATA of each type holds: one row a type. From the row come the reader and the writer of presentation
 *  form, the check of wire form, the canonical form and the embedded names; nothing else lists fields of types.
 *  A field is `kind label`; a third word `additional` marks the name whose addresses belong in the additional section.
 *  Left out on purpose: WKS, NULL, A6, EID, NIMLOC, ATMA, SINK and the rest, which exist as `\# n hex` only (RFC 3597).
 *
 *  I1  A kind ending in `?` may be absent, with no octets; it stands last.
 *  I2  Kinds of REST_KINDS read all tokens that are left and stand last too. */

import { TYPE, type TypeMnemonic } from './types.ts'

/** Names come in three kinds:
 *  - `compressed-name`: of RFC 1035 §3.3; compressible in messages (RFC 3597 §4) and lower case in canonical form;
 *  - `name`: not compressible, but listed in RFC 4034 §6.2, so lower case in canonical form;
 *  - `cased-name`: keeps its case (RFC 3597 §7; NSEC by RFC 6840 §5.1). */
export type NameKind = 'compressed-name' | 'name' | 'cased-name'

export type FieldKind =
  | NameKind
  /** Unsigned integers, decimal. */
  | 'u8'
  | 'u16'
  | 'u32'
  /** u32 in seconds, also as `1h30m`. */
  | 'ttl'
  /** u32, also as YYYYMMDDHHmmSS (RFC 4034 §3.2). */
  | 'time'
  /** u16, a mnemonic or TYPEnnn. */
  | 'type'
  /** u8, u16, u8; decimal or a mnemonic. */
  | 'algorithm'
  | 'certificate'
  | 'scheme'
  | 'ipv4'
  | 'ipv6'
  | 'eui48'
  | 'eui64'
  /** 64 bits as four groups of hexadecimal digits (RFC 6742 §2.1.2). */
  | 'locator'
  /** A <character-string> (RFC 1035 §3.3); one or more of them. */
  | 'string'
  | 'string?'
  | 'strings'
  /** A character-string of letters and digits (RFC 8659 §4.1). */
  | 'tag'
  /** All octets that are left, written as one quoted string; `text+` has at least one. */
  | 'text'
  | 'text+'
  /** All octets that are left, over any number of tokens. */
  | 'base64'
  | 'base64?'
  | 'hex'
  /** Hexadecimal whose length follows from the octet before it. */
  | 'ds-digest'
  | 'fingerprint'
  | 'zone-digest'
  /** Octets behind a length octet: hexadecimal or `-` (RFC 5155 §3.3), and base32hex. */
  | 'salt'
  | 'hash'
  /** Type bit maps (RFC 4034 §4.1.2), and those of RFC 2535 §5.2. */
  | 'types'
  | 'types?'
  | 'nxt-types'
  /** Forms of one type only. */
  | 'nsap'
  | 'loc'
  | 'apl?'
  | 'gateway'
  | 'relay'
  | 'hip'
  | 'svcparams?'

type FieldText = `${FieldKind} ${string}`

const SIGNATURE: readonly FieldText[] = [
  'type typeCovered',
  'algorithm algorithm',
  'u8 labels',
  'u32 originalTtl',
  'time expiration',
  'time inception',
  'u16 keyTag',
  'name signerName',
  'base64 signature',
]
const DELEGATION: readonly FieldText[] = [
  'u16 keyTag',
  'algorithm algorithm',
  'u8 digestType',
  'ds-digest digest',
]
const PUBLIC_KEY: readonly FieldText[] = [
  'u16 flags',
  'u8 protocol',
  'algorithm algorithm',
  'base64 publicKey',
]
const CERTIFICATE_ASSOCIATION: readonly FieldText[] = [
  'u8 usage',
  'u8 selector',
  'u8 matchingType',
  'hex association',
]
const SERVICE: readonly FieldText[] = [
  'u16 priority',
  'cased-name target additional',
  'svcparams? parameters',
]
const TEXT: readonly FieldText[] = ['strings text']

const ROWS: { readonly [mnemonic in TypeMnemonic]?: readonly FieldText[] } = {
  A: ['ipv4 address'],
  NS: ['compressed-name nameserver additional'],
  MD: ['compressed-name host additional'],
  MF: ['compressed-name host additional'],
  CNAME: ['compressed-name target'],
  SOA: [
    'compressed-name primary',
    'compressed-name mailbox',
    'u32 serial',
    'ttl refresh',
    'ttl retry',
    'ttl expire',
    'ttl minimum',
  ],
  MB: ['compressed-name host additional'],
  MG: ['compressed-name mailbox'],
  MR: ['compressed-name mailbox'],
  PTR: ['compressed-name target'],
  HINFO: ['string cpu', 'string system'],
  MINFO: ['compressed-name responsible', 'compressed-name errors'],
  MX: ['u16 preference', 'compressed-name exchange additional'],
  TXT: TEXT,
  RP: ['name mailbox', 'name text'],
  AFSDB: ['u16 subtype', 'name host additional'],
  X25: ['string address'],
  ISDN: ['string address', 'string? subaddress'],
  RT: ['u16 preference', 'name host additional'],
  NSAP: ['nsap address'],
  'NSAP-PTR': ['cased-name owner'],
  SIG: SIGNATURE,
  KEY: ['u16 flags', 'u8 protocol', 'algorithm algorithm', 'base64? publicKey'],
  PX: ['u16 preference', 'name map822', 'name mapX400'],
  GPOS: ['string longitude', 'string latitude', 'string altitude'],
  AAAA: ['ipv6 address'],
  LOC: ['loc location'],
  NXT: ['name next', 'nxt-types types'],
  SRV: ['u16 priority', 'u16 weight', 'u16 port', 'name target additional'],
  NAPTR: [
    'u16 order',
    'u16 preference',
    'string flags',
    'string services',
    'string regexp',
    'name replacement additional',
  ],
  KX: ['u16 preference', 'name exchanger additional'],
  CERT: ['certificate type', 'u16 keyTag', 'algorithm algorithm', 'base64 certificate'],
  DNAME: ['name target'],
  APL: ['apl? prefixes'],
  DS: DELEGATION,
  SSHFP: ['u8 algorithm', 'u8 fingerprintType', 'fingerprint fingerprint'],
  IPSECKEY: ['u8 precedence', 'u8 gatewayType', 'u8 algorithm', 'gateway gateway', 'base64? publicKey'],
  RRSIG: SIGNATURE,
  NSEC: ['cased-name next', 'types types'],
  DNSKEY: PUBLIC_KEY,
  DHCID: ['base64 identity'],
  NSEC3: [
    'u8 hashAlgorithm',
    'u8 flags',
    'u16 iterations',
    'salt salt',
    'hash nextHashedOwner',
    'types? types',
  ],
  NSEC3PARAM: ['u8 hashAlgorithm', 'u8 flags', 'u16 iterations', 'salt salt'],
  TLSA: CERTIFICATE_ASSOCIATION,
  SMIMEA: CERTIFICATE_ASSOCIATION,
  HIP: ['hip identity'],
  NINFO: TEXT,
  TALINK: ['cased-name start', 'cased-name end'],
  CDS: DELEGATION,
  CDNSKEY: PUBLIC_KEY,
  OPENPGPKEY: ['base64 publicKey'],
  CSYNC: ['u32 serial', 'u16 flags', 'types? types'],
  ZONEMD: ['u32 serial', 'u8 scheme', 'u8 hashAlgorithm', 'zone-digest digest'],
  SVCB: SERVICE,
  HTTPS: SERVICE,
  DSYNC: ['type type', 'scheme scheme', 'u16 port', 'cased-name target'],
  SPF: TEXT,
  NID: ['u16 preference', 'locator nodeIdentifier'],
  L32: ['u16 preference', 'ipv4 locator'],
  L64: ['u16 preference', 'locator locator'],
  LP: ['u16 preference', 'cased-name target additional'],
  EUI48: ['eui48 address'],
  EUI64: ['eui64 address'],
  URI: ['u16 priority', 'u16 weight', 'text+ target'],
  CAA: ['u8 flags', 'tag tag', 'text value'],
  AVC: TEXT,
  AMTRELAY: ['u8 precedence', 'relay relay'],
  RESINFO: TEXT,
  WALLET: TEXT,
  CLA: TEXT,
  TA: DELEGATION,
  DLV: DELEGATION,
}

/** Kinds that read every token that is left. */
const REST_KINDS: ReadonlySet<FieldKind> = new Set<FieldKind>([
  'strings',
  'base64',
  'base64?',
  'hex',
  'ds-digest',
  'fingerprint',
  'zone-digest',
  'types',
  'types?',
  'nxt-types',
  'loc',
  'apl?',
  'hip',
  'svcparams?',
])

export interface Field {
  readonly kind: FieldKind
  /** As messages name it: `preference`. */
  readonly label: string
  /** I2 */
  readonly rest: boolean
  /** I1 */
  readonly optional: boolean
  /** RFC 1035 §3.3, RFC 2782, RFC 9460 §4.1 and others: this name's addresses go to the additional section. */
  readonly additional: boolean
}

function fieldOf(text: FieldText): Field {
  const [kind, label, mark] = text.split(' ') as [FieldKind, string, string?]
  const additional = mark === 'additional'
  return { kind, label, rest: REST_KINDS.has(kind), optional: kind.endsWith('?'), additional }
}

/** Fields of each type that has a row. */
export const rdataFields: ReadonlyMap<number, readonly Field[]> = new Map(
  Object.entries(ROWS).map(([mnemonic, row]) => [TYPE[mnemonic as TypeMnemonic], row.map(fieldOf)]),
)

/** The row of each type number, from 1 on; 0 for types that have none. Type numbers are too far apart for an array. */
export const rowOfType: Uint8Array = new Uint8Array(65_536)
for (const [index, type] of [...rdataFields.keys()].entries()) rowOfType[type] = index + 1

/** A value for each type, to be looked up as `compiled[rowOfType[type]]`. */
export function compileByType<Value>(
  compile: (fields: readonly Field[]) => Value,
): readonly (Value | undefined)[] {
  return [undefined, ...[...rdataFields.values()].map(compile)]
}
