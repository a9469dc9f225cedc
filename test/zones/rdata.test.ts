import test from 'ava'
import { ConclaveError } from '../../base/index.ts'
import {
  genericRdataText,
  nameFromText,
  parseRdata,
  RDATA_SCRATCH_OCTETS,
  rdataFault,
  rdataFromText,
  rdataToText,
  TextTokens,
  TYPE,
  typeFromText,
} from '../../zones/index.ts'
import { rdataFields } from '../../zones/rdata-table.ts'
import { RDATA_SAMPLES } from '../vectors/rdata-samples.ts'

const hexOf = (octets: Uint8Array): string => Buffer.from(octets).toString('hex')

function fault(type: string, text: string): string {
  try {
    return `no fault: ${hexOf(rdataFromText(type, text))}`
  } catch (error) {
    if (!(error instanceof ConclaveError)) throw error
    return error.message
  }
}

test('RFC examples: text to wire, to text, and to the same wire through \\# as well', t => {
  for (const { type, text, wire, canonical } of RDATA_SAMPLES) {
    const number = typeFromText(type)!
    const octets = rdataFromText(type, text)
    const printed = rdataToText(number, octets)
    if (wire !== undefined) t.is(hexOf(octets), wire.replaceAll(' ', ''), `${type} ${text}`)
    t.is(printed, canonical ?? text, `${type} ${text}`)
    t.deepEqual(rdataFromText(type, printed), octets, `${type} ${text}`)
    t.deepEqual(rdataFromText(type, genericRdataText(octets)), octets, `${type} ${text}`)
    t.is(rdataFault(number, octets, 0, octets.length), undefined, `${type} ${text}`)
  }
})

test('every type with a row has a sample', t => {
  const sampled = new Set(RDATA_SAMPLES.map(sample => typeFromText(sample.type)))
  t.deepEqual(
    [...rdataFields.keys()].filter(type => !sampled.has(type)),
    [],
  )
  t.true(rdataFields.size >= 70)
})

test('relative names end at the origin', t => {
  const origin = nameFromText('Example.')
  t.is(rdataToText(TYPE.MX, rdataFromText('MX', '10 mail', origin)), '10 mail.Example.')
  t.is(rdataToText(TYPE.NS, rdataFromText('NS', '@', origin)), 'Example.')
  t.is(rdataToText(TYPE.NS, rdataFromText('NS', '\\@', origin)), '\\@.Example.')
})

test('parseRdata writes where it is told to', t => {
  const out = new Uint8Array(100 + RDATA_SCRATCH_OCTETS)
  t.is(
    parseRdata(
      TYPE.DS,
      new TextTokens('1 8 1 00112233445566778899aabbccddeeff00112233'),
      nameFromText('.'),
      out,
      100,
    ),
    124,
  )
  t.is(hexOf(out.subarray(100, 124)), '0001080100112233445566778899aabbccddeeff00112233')
  t.is(hexOf(out.subarray(0, 100)), '00'.repeat(100))
})

const BAD: readonly (readonly [string, string, string])[] = [
  ['A', '1.2.3', 'found "1.2.3"; expected address, IPv4 such as 192.0.2.1'],
  ['A', '1.2.3.04', 'found "1.2.3.04"; expected address, IPv4'],
  ['A', '1.2.3.256', 'expected address, IPv4'],
  ['A', '1.2.3.4.5', 'expected address, IPv4'],
  ['A', '', 'found the end of the record; expected address'],
  ['A', '1.2.3.4 5', 'found "5"; expected the end of the record'],
  ['A', '\\# 3 010203', 'found RDATA that is no A (3 octets); expected address, 4 octets'],
  ['A', '\\# 5 01020304', 'found 4 octets of RDATA; expected 5, as \\# 5 says'],
  ['A', '\\# 4 0102030', 'found an odd number of hexadecimal digits'],
  ['A', '\\# x', 'found "x"; expected the number of octets'],
  ['A', '\\#', 'found the end of the record; expected the number of octets'],
  ['A', '"\\#" 4 01020304', 'expected address, IPv4'],
  ['AAAA', '1::2::3', 'expected address, IPv6 such as 2001:db8::1'],
  ['AAAA', ':1::', 'expected address, IPv6'],
  ['AAAA', '1:2:3:4:5:6:7', 'expected address, IPv6'],
  ['AAAA', '1:2:3:4:5:6:7:8:9', 'expected address, IPv6'],
  ['AAAA', '1:2:3:4:5:6:7::8', 'found "1:2:3:4:5:6:7::8"; expected address, IPv6'],
  ['AAAA', '12345::', 'expected address, IPv6'],
  ['AAAA', '1:', 'expected address, IPv6'],
  ['AAAA', '1:2:3:4:5:6:7:1.2.3.4', 'expected address, IPv6'],
  ['MX', '70000 a.', 'found "70000"; expected preference, a number from 0 to 65535'],
  ['MX', '-1 a.', 'found "-1"; expected preference'],
  ['MX', '10', 'found the end of the record; expected exchange'],
  ['MX', '10 a..b.', 'found an empty label in "a..b."; expected exchange, a label between dots'],
  ['MX', '10 .a.', 'found an empty label'],
  ['NS', `${'a'.repeat(64)}.`, 'found a label of more than 63 octets'],
  ['NS', `${'a'.repeat(64)}`, 'found a label of more than 63 octets'],
  ['NS', `${'abcdefg.'.repeat(32)}`, 'found a name of more than 255 octets'],
  ['NS', 'a\\256.', 'found a bad escape in "a\\\\256."; expected nameserver, \\X or \\DDD'],
  ['NS', 'a\\1.', 'found a bad escape'],
  ['SOA', 'a. b. 4294967296 1 1 1 1', 'expected serial, a number from 0 to 4294967295'],
  [
    'SOA',
    'a. b. 1 1x 1 1 1',
    'found "1x"; expected refresh, seconds up to 4294967295 or a span such as 1h30m',
  ],
  ['SOA', 'a. b. 1 h 1 1 1', 'found "h"; expected refresh'],
  ['SOA', 'a. b. 1 9000w 1 1 1', 'found "9000w"; expected refresh'],
  [
    'TXT',
    `"${'x'.repeat(256)}"`,
    'found a string of 256 octets; expected text, at most 255 a string: split it into several',
  ],
  ['TXT', '"a\\300"', 'found a bad escape'],
  ['TXT', '', 'found the end of the record; expected text'],
  ['CAA', '0 is-sue ""', 'found "is-sue"; expected tag of letters and digits'],
  ['CAA', '256 issue ""', 'found "256"; expected flags, a number from 0 to 255'],
  ['DS', '1 13 2 abcd', 'found a digest of 2 octets; expected 32 by its type 2'],
  ['DS', '1 13 9', 'found the end of the record; expected digest'],
  ['DS', '1 RSAX 2 00', 'found "RSAX"; expected algorithm, a number from 0 to 255 or a mnemonic (RSASHA256,'],
  ['DS', '1 13 9 0g', 'found "g" in "0g"; expected digest in hexadecimal'],
  ['SSHFP', '1 2 00', 'found a fingerprint of 1 octets; expected 32 by its type 2'],
  ['ZONEMD', '1 1 1 00', 'found a digest of 1 octets; expected 48 by its type 1'],
  ['ZONEMD', '1 1 9 00', 'found a digest of 1 octets; expected at least 12'],
  [
    'DNSKEY',
    '256 3 13 AAA',
    'found the end of base64 in the middle of a group; expected publicKey, padded with "="',
  ],
  ['DNSKEY', '256 3 13 AAB=', 'found base64 with bits set behind its last octet'],
  ['DNSKEY', '256 3 13 AAA=A', 'found "A" in "AAA=A"; expected publicKey in base64'],
  ['DNSKEY', '256 3 13 A===', 'found "=" in "A==="; expected publicKey in base64'],
  ['DNSKEY', '256 3 13 AA*=', 'found "*" in'],
  ['DNSKEY', '256 3 13 ""', 'found an empty publicKey; expected base64'],
  [
    'RRSIG',
    'A 13 2 1 20261301000000 0 1 . AAAA',
    'found "20261301000000"; expected expiration, YYYYMMDDHHmmSS',
  ],
  ['RRSIG', 'A 13 2 1 20260229000000 0 1 . AAAA', 'expected expiration, YYYYMMDDHHmmSS'],
  ['RRSIG', 'A 13 2 1 22000101000000 0 1 . AAAA', 'expected expiration, YYYYMMDDHHmmSS before February 2106'],
  ['RRSIG', 'A 13 2 1 4294967296 0 1 . AAAA', 'expected expiration'],
  ['NSEC', 'a.', 'found the end of the record; expected types'],
  ['NSEC', 'a. A WHAT', 'found "WHAT"; expected types, a record type or TYPEnnn'],
  ['NSEC', 'a. \\# 0', 'found "\\\\#"; expected types'],
  ['NSEC', '\\# 1 00', 'found RDATA that is no NSEC (none); expected types'],
  ['NSEC', '\\# 3 000000', 'found RDATA that is no NSEC (a window of 0 octets); expected types, 1 to 32'],
  ['NSEC', '\\# 4 00000100', '(a zero octet at the end of a window); expected types, none'],
  ['NSEC', '\\# 7 00010140000140', '(window 0 behind window 1); expected types, ascending order'],
  ['NSEC', `\\# 36 000021${'01'.repeat(33)}`, '(a window of 33 octets); expected types, 1 to 32'],
  ['NSEC', '\\# 3 00 00 02', '(0 octets of a window); expected types, 2 octets'],
  ['NSEC3', '1 0 0 - !', 'found "!"; expected nextHashedOwner, unpadded base32hex'],
  ['NSEC3', '1 0 0 abc 00', 'found "abc"; expected salt, two hexadecimal digits an octet'],
  ['NXT', 'a. TYPE128', 'found "TYPE128"; expected types, types from 1 to 127'],
  ['LOC', '91 N 0 E 0', 'found an angle above 90 degrees'],
  ['LOC', '60 60 N 0 E 0', 'found "60"; expected latitude, degrees up to 90, minutes and seconds below 60'],
  ['LOC', '60 N 0 E', 'found the end of the record; expected altitude'],
  ['LOC', '60 N 0 N 0', 'expected longitude'],
  ['LOC', '60 N 0 E x', 'found "x"; expected altitude, metres from -100000 to 42849672.95'],
  ['LOC', '60 N 0 E 1 1 1 1 1', 'found "1"; expected the end of the record'],
  ['APL', '3:1.2.3.4/8', 'found "3:1.2.3.4/8"; expected prefixes, such as 1:192.0.2.0/24'],
  ['APL', '1:1.2.3.4/33', 'expected prefixes'],
  ['APL', '1:1.2.3.4', 'expected prefixes'],
  ['IPSECKEY', '10 1 2 ::1 AAAA', 'found "::1"; expected gateway, an IPv4 address by its type 1'],
  ['IPSECKEY', '10 0 2 a. AAAA', 'found "a."; expected gateway, "." because its type is 0'],
  ['IPSECKEY', '10 4 2 a. AAAA', 'found gateway of type 4; expected type 0 to 3'],
  ['AMTRELAY', '10 2 1 1.2.3.4', 'found "2"; expected discovery optional, a number from 0 to 1'],
  ['HIP', '2 20', 'found the end of the record; expected a public key'],
  ['EUI48', '00-00-5e-00-53', 'found "00-00-5e-00-53"; expected address such as 00-00-5e-00-53-2a'],
  ['EUI48', '00-00-5e-00-53-2', 'expected address such as'],
  ['NID', '1 1:2:3', 'expected nodeIdentifier such as'],
  ['NSAP', '47', 'found "47"; expected address, 0x and pairs'],
  ['URI', '1 1 ""', 'found an empty target; expected at least one octet'],
  [
    'TYPE731',
    '1.2.3.4',
    'found "1.2.3.4"; expected \\# and the octets in hexadecimal, the only form of TYPE731',
  ],
  ['WKS', '10.0.0.1 6 25', 'the only form of WKS'],
  ['X25', '"1', 'found the end of the text inside quotes; expected a closing quote'],
]

for (const [type, text, expected] of BAD) {
  test(`a fault tells what was found and what was expected: ${type} ${text.slice(0, 60)} (${text.length})`, t => {
    const message = fault(type, text)
    t.true(message.includes(expected), message)
  })
}

test('RDATA is at most 65535 octets (RFC 1035 §3.2.1)', t => {
  t.is(rdataFromText('TXT', '"" '.repeat(65_535)).length, 65_535)
  t.true(fault('TXT', '"" '.repeat(65_536)).includes('found 65536 octets of RDATA; expected at most 65535'))
})

test('RFC 1035 §5.1: a TTL as numbers with units, in any order and case', t => {
  const refresh = (text: string): number => {
    const octets = rdataFromText('SOA', `. . 0 ${text} 0 0 0`)
    return Buffer.from(octets).readUInt32BE(6)
  }
  t.is(refresh('1w2d3h4m5s'), 788_645)
  t.is(refresh('5S4M'), 245)
  t.is(refresh('1h30'), 3630)
  t.is(refresh('4294967295'), 4_294_967_295)
})

test('RFC 4034 §3.2: times as digits or seconds, leap days, the last second', t => {
  const times = (text: string): string =>
    rdataToText(TYPE.RRSIG, rdataFromText('RRSIG', `A 8 1 0 ${text} 0 . AAAA`))
  t.is(times('20240229235959 0'), 'A 8 1 0 20240229235959 19700101000000 0 . AAAA')
  t.is(times('4294967295 20000301000000'), 'A 8 1 0 21060207062815 20000301000000 0 . AAAA')
  t.is(times('21060207062815 1709251199'), 'A 8 1 0 21060207062815 20240229235959 0 . AAAA')
})

test('types that a reader does not know are written for it in generic form', t => {
  const nsec = rdataFromText('NSEC', 'a. A WALLET')
  t.is(rdataToText(TYPE.NSEC, nsec, { generic: new Set([TYPE.WALLET]) }), 'a. A TYPE262')
  t.is(rdataToText(TYPE.A, rdataFromText('A', '1.2.3.4'), { generic: new Set([TYPE.A]) }), '\\# 4 01020304')
})

test('what a type cannot express is written in generic form', t => {
  t.is(rdataToText(TYPE.A, Uint8Array.of(1, 2, 3)), '\\# 3 010203')
  t.is(rdataToText(TYPE.APL, Uint8Array.of(0, 3, 8, 1, 9)), '\\# 5 0003080109')
  const loc = rdataFromText('LOC', '60 N 24 E 10')
  loc[1] = 0x02
  t.true(rdataToText(TYPE.LOC, loc).startsWith('\\# 16'))
})
