/** Types and classes of records (RFC 1035 §3.2, RFC 6895 §3; numbers and mnemonics as IANA registers them) and their
 *  text, `TYPEnnn` and `CLASSnnn` of RFC 3597 §5 included. What a type's RDATA holds is in rdata-table.ts.
 *  I1  typeFromText(typeToText(n)) = n for every number from 0 to 65535.
 *  I2  Mnemonics are matched without regard to case (RFC 1035 §2.3.3); look-up allocates nothing. */

/** Every registered type that may stand in a zone, and the meta-types a server meets in questions. */
export const TYPE = {
  A: 1,
  NS: 2,
  MD: 3,
  MF: 4,
  CNAME: 5,
  SOA: 6,
  MB: 7,
  MG: 8,
  MR: 9,
  NULL: 10,
  WKS: 11,
  PTR: 12,
  HINFO: 13,
  MINFO: 14,
  MX: 15,
  TXT: 16,
  RP: 17,
  AFSDB: 18,
  X25: 19,
  ISDN: 20,
  RT: 21,
  NSAP: 22,
  'NSAP-PTR': 23,
  SIG: 24,
  KEY: 25,
  PX: 26,
  GPOS: 27,
  AAAA: 28,
  LOC: 29,
  NXT: 30,
  EID: 31,
  NIMLOC: 32,
  SRV: 33,
  ATMA: 34,
  NAPTR: 35,
  KX: 36,
  CERT: 37,
  A6: 38,
  DNAME: 39,
  SINK: 40,
  OPT: 41,
  APL: 42,
  DS: 43,
  SSHFP: 44,
  IPSECKEY: 45,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  DHCID: 49,
  NSEC3: 50,
  NSEC3PARAM: 51,
  TLSA: 52,
  SMIMEA: 53,
  HIP: 55,
  NINFO: 56,
  RKEY: 57,
  TALINK: 58,
  CDS: 59,
  CDNSKEY: 60,
  OPENPGPKEY: 61,
  CSYNC: 62,
  ZONEMD: 63,
  SVCB: 64,
  HTTPS: 65,
  DSYNC: 66,
  SPF: 99,
  UINFO: 100,
  UID: 101,
  GID: 102,
  UNSPEC: 103,
  NID: 104,
  L32: 105,
  L64: 106,
  LP: 107,
  EUI48: 108,
  EUI64: 109,
  NXNAME: 128,
  TKEY: 249,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  MAILB: 253,
  MAILA: 254,
  ANY: 255,
  URI: 256,
  CAA: 257,
  AVC: 258,
  DOA: 259,
  AMTRELAY: 260,
  RESINFO: 261,
  WALLET: 262,
  CLA: 263,
  IPN: 264,
  TA: 32768,
  DLV: 32769,
} as const

/** A type that has a mnemonic. */
export type TypeMnemonic = keyof typeof TYPE

/** Classes (RFC 1035 §3.2.4, RFC 2136 §1.3, RFC 6895 §3.2). */
export const CLASS = { IN: 1, CH: 3, HS: 4, NONE: 254, ANY: 255 } as const

/** RFC 6895 §3.1: OPT, and 128 to 255, are meta-types or question types; 0 is reserved. None may stand in a zone. */
export function isMetaType(type: number): boolean {
  return type === 0 || type === TYPE.OPT || (type >= 128 && type <= 255)
}

/** The mnemonic, or `TYPEnnn` where there is none. */
export function typeToText(type: number): string {
  return mnemonicOfType.get(type) ?? `TYPE${type}`
}

/** The number of a mnemonic or of `TYPEnnn`; undefined when it is neither. */
export function typeFromText(text: string): number | undefined {
  const octets = new TextEncoder().encode(text)
  const type = typeFromOctets(octets, 0, octets.length)
  return type < 0 ? undefined : type
}

/** As typeFromText, from octets of a zone file; −1 when they name no type. Allocates nothing. */
export function typeFromOctets(octets: Uint8Array, start: number, end: number): number {
  const length = end - start
  if (length === 0 || length > MNEMONIC_OCTETS_MAX) return -1
  let hash = 0
  for (let at = start; at < end; at++) hash = Math.imul(hash, HASH_FACTOR) + (octets[at]! & 0xdf)
  for (let slot = hash & SLOT_MASK; slotOctets[slot] !== undefined; slot = (slot + 1) & SLOT_MASK) {
    if (sameMnemonic(slotOctets[slot]!, octets, start, length)) return slotTypes[slot]!
  }
  return numberAfter(TYPE_PREFIX, octets, start, end)
}

/** The mnemonic of a class, or `CLASSnnn`. */
export function classToText(klass: number): string {
  for (const [text, number] of Object.entries(CLASS)) if (number === klass) return text
  return `CLASS${klass}`
}

/** The number of a class's mnemonic or of `CLASSnnn`, from octets of a zone file; −1 when they name no class. */
export function classFromOctets(octets: Uint8Array, start: number, end: number): number {
  if (end - start === 2) {
    const letters = ((octets[start]! & 0xdf) << 8) | (octets[start + 1]! & 0xdf)
    if (letters === 0x494e) return CLASS.IN
    if (letters === 0x4348) return CLASS.CH
    if (letters === 0x4853) return CLASS.HS
  }
  return numberAfter(CLASS_PREFIX, octets, start, end)
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text)
const TYPE_PREFIX = ascii('TYPE')
const CLASS_PREFIX = ascii('CLASS')

/** RFC 3597 §5: the word, then a decimal number up to 65535; else −1. */
function numberAfter(prefix: Uint8Array, octets: Uint8Array, start: number, end: number): number {
  const digits = start + prefix.length
  if (end <= digits || end - digits > 5 || !sameMnemonic(prefix, octets, start, prefix.length)) return -1
  let value = 0
  for (let at = digits; at < end; at++) {
    const digit = octets[at]! - 0x30
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value > 0xffff ? -1 : value
}

function sameMnemonic(mnemonic: Uint8Array, octets: Uint8Array, start: number, length: number): boolean {
  if (mnemonic.length !== length) return false
  for (let at = 0; at < length; at++) {
    const octet = octets[start + at]!
    const upper = octet >= 0x61 && octet <= 0x7a ? octet - 32 : octet
    if (upper !== mnemonic[at]) return false
  }
  return true
}

/** `NSEC3PARAM`, `OPENPGPKEY` and `TYPE65535` are the longest. */
const MNEMONIC_OCTETS_MAX = 10
/** Fewer than a hundred mnemonics in 512 slots: a look-up meets hardly ever a second one. */
const SLOT_MASK = 511
const HASH_FACTOR = 31
const slotOctets: (Uint8Array | undefined)[] = new Array(SLOT_MASK + 1).fill(undefined)
const slotTypes = new Uint16Array(SLOT_MASK + 1)
const mnemonicOfType = new Map<number, string>()

for (const [mnemonic, type] of Object.entries(TYPE)) {
  mnemonicOfType.set(type, mnemonic)
  const octets = ascii(mnemonic)
  let hash = 0
  for (const octet of octets) hash = Math.imul(hash, HASH_FACTOR) + (octet & 0xdf)
  let slot = hash & SLOT_MASK
  while (slotOctets[slot] !== undefined) slot = (slot + 1) & SLOT_MASK
  slotOctets[slot] = octets
  slotTypes[slot] = type
}
