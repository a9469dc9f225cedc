import test from 'ava'
import {
  additionalNameAt,
  canonicalizeInPlace,
  canonicalRdata,
  compareCanonicalRdata,
  compressibleNames,
  hasLoweredNames,
  namesOf,
  nameToText,
  rdataFromText,
  rdataNames,
  rdataToText,
  TYPE,
  type TypeMnemonic,
} from '../../zones/index.ts'

/** RFC 4034 §6.2, item 3, less HINFO (no names) and NSEC (RFC 6840 §5.1). */
const LOWERED: readonly (readonly [TypeMnemonic, string])[] = [
  ['NS', 'A.B.'],
  ['MD', 'A.B.'],
  ['MF', 'A.B.'],
  ['CNAME', 'A.B.'],
  ['SOA', 'A.B. C.D. 1 2 3 4 5'],
  ['MB', 'A.B.'],
  ['MG', 'A.B.'],
  ['MR', 'A.B.'],
  ['PTR', 'A.B.'],
  ['MINFO', 'A.B. C.D.'],
  ['MX', '16705 A.B.'],
  ['RP', 'A.B. C.D.'],
  ['AFSDB', '16705 A.B.'],
  ['RT', '16705 A.B.'],
  ['SIG', 'A 8 65 1094795585 1094795585 1094795585 16705 A.B. QUJDRA=='],
  ['PX', '16705 A.B. C.D.'],
  ['NXT', 'A.B. NS'],
  ['NAPTR', '16705 16705 "A" "B" "C" A.B.'],
  ['KX', '16705 A.B.'],
  ['SRV', '16705 16705 16705 A.B.'],
  ['DNAME', 'A.B.'],
  ['RRSIG', 'A 8 65 1094795585 1094795585 1094795585 16705 A.B. QUJDRA=='],
]

/** Everything else keeps its case, names or not. */
const KEPT: readonly (readonly [TypeMnemonic, string])[] = [
  ['NSEC', 'A.B. NS'],
  ['HINFO', '"ABC" "DEF"'],
  ['TXT', '"ABC"'],
  ['SVCB', '16705 A.B. alpn=H2'],
  ['HTTPS', '16705 A.B.'],
  ['LP', '16705 A.B.'],
  ['NSAP-PTR', 'A.B.'],
  ['TALINK', 'A.B. C.D.'],
  ['IPSECKEY', '10 3 2 A.B. QUJD'],
  ['HIP', '2 4142 QUJD A.B.'],
  ['AMTRELAY', '10 0 3 A.B.'],
  ['DSYNC', 'CDS 1 5359 A.B.'],
  ['CAA', '0 ISSUE "A.B"'],
  ['URI', '1 1 "A.B"'],
]

test('RFC 4034 §6.2: names of the listed types are in lower case, and nothing else', t => {
  for (const [type, text] of LOWERED) {
    const rdata = rdataFromText(type, text)
    const expected = rdataFromText(type, text.replaceAll('A.B.', 'a.b.').replaceAll('C.D.', 'c.d.'))
    t.deepEqual(canonicalRdata(TYPE[type], rdata), expected, type)
    t.is(canonicalRdata(TYPE[type], expected), expected, type)
    t.is(compareCanonicalRdata(TYPE[type], rdata, expected), 0, type)
    t.true(hasLoweredNames(TYPE[type]), type)
    const inPlace = Uint8Array.of(0x41, ...rdata, 0x41)
    canonicalizeInPlace(TYPE[type], inPlace, 1, 1 + rdata.length)
    t.deepEqual(inPlace, Uint8Array.of(0x41, ...expected, 0x41), type)
  }
})

test('RFC 6840 §5.1, RFC 3597 §7: other types keep their case', t => {
  for (const [type, text] of KEPT) {
    const rdata = rdataFromText(type, text)
    t.is(canonicalRdata(TYPE[type], rdata), rdata, type)
    t.false(hasLoweredNames(TYPE[type]), type)
  }
})

test('RFC 4034 §6.2: RDATA written as TYPE7 \\# has the canonical form of MB', t => {
  const rdata = rdataFromText('TYPE7', '\\# 5 0141014200')
  t.deepEqual(canonicalRdata(7, rdata), Uint8Array.of(1, 0x61, 1, 0x62, 0))
})

test('RFC 2874 §3.1: A6, in the list of RFC 4034 §6.2, though it has the generic form only', t => {
  const rdata = rdataFromText('A6', `\\# 12 40 ${'41'.repeat(8)} 01 41 00`)
  t.deepEqual(canonicalRdata(TYPE.A6, rdata), Uint8Array.of(0x40, ...new Array(8).fill(0x41), 1, 0x61, 0))
  const whole = rdataFromText('A6', `\\# 17 00 ${'41'.repeat(16)}`)
  t.is(canonicalRdata(TYPE.A6, whole), whole)
})

test('RFC 4034 §6.3: canonical order is that of unsigned octets, left-justified', t => {
  const sorted = ['"" ""', '"A"', '"A" ""', '"\\127"', '"\\128"', '"AA"'].map(text =>
    rdataFromText('TXT', text),
  )
  for (let first = 0; first < sorted.length; first++) {
    for (let second = 0; second < sorted.length; second++) {
      const order = Math.sign(compareCanonicalRdata(TYPE.TXT, sorted[first]!, sorted[second]!))
      t.is(order, Math.sign(first - second))
    }
  }
  // By canonical form, not as written: "B" (0x42) would sort before "a" (0x61).
  const ns = (text: string): Uint8Array => rdataFromText('NS', text)
  t.true(compareCanonicalRdata(TYPE.NS, ns('B.'), ns('a.')) > 0)
  t.true(compareCanonicalRdata(TYPE.NSEC, rdataFromText('NSEC', 'B. A'), rdataFromText('NSEC', 'a. A')) < 0)
  t.true(compareCanonicalRdata(TYPE.NS, ns('a.b.'), ns('a.')) > 0)
})

test('embedded names: where they are, and what they are for', t => {
  const soa = rdataFromText('SOA', 'Ns.example. admin.example. 1 2 3 4 5')
  t.deepEqual(
    namesOf(TYPE.SOA, soa).map(name => nameToText(name)),
    ['Ns.example.', 'admin.example.'],
  )
  t.deepEqual(rdataNames(TYPE.MX, rdataFromText('MX', '10 a.')), [
    { start: 2, end: 5, compressible: true, additional: true, lowered: true },
  ])
  t.deepEqual(rdataNames(TYPE.SRV, rdataFromText('SRV', '1 2 3 a.')), [
    { start: 6, end: 9, compressible: false, additional: true, lowered: true },
  ])
  t.deepEqual(rdataNames(TYPE.NSEC, rdataFromText('NSEC', 'a. A')), [
    { start: 0, end: 3, compressible: false, additional: false, lowered: false },
  ])
  t.deepEqual(rdataNames(TYPE.A, rdataFromText('A', '1.2.3.4')), [])
  t.deepEqual(rdataNames(65280, Uint8Array.of(1)), [])
})

test('RFC 3597 §4: only names of the types of RFC 1035 may be compressed', t => {
  const types: TypeMnemonic[] = ['NS', 'MD', 'MF', 'CNAME', 'SOA', 'MB', 'MG', 'MR', 'PTR', 'MINFO', 'MX']
  const found: string[] = []
  for (const [mnemonic, type] of Object.entries(TYPE)) if (compressibleNames(type)) found.push(mnemonic)
  t.deepEqual(found, types)
  t.deepEqual(compressibleNames(TYPE.SOA), { offset: 0, count: 2 })
  t.deepEqual(compressibleNames(TYPE.MX), { offset: 2, count: 1 })
})

test('names that ask for additional data', t => {
  const cases: readonly (readonly [TypeMnemonic, string, number])[] = [
    ['NS', 'a.', 0],
    ['MX', '1 a.', 2],
    ['SRV', '1 1 1 a.', 6],
    ['HTTPS', '1 a.', 2],
    ['NAPTR', '1 1 "s" "" "xyz" a.', 11],
    ['CNAME', 'a.', -1],
    ['A', '1.2.3.4', -1],
  ]
  for (const [type, text, offset] of cases) {
    const rdata = rdataFromText(type, text)
    t.is(additionalNameAt(TYPE[type], rdata, 0), offset, type)
    t.is(rdataToText(TYPE[type], rdata).length > 0, true)
  }
  t.is(additionalNameAt(65280, Uint8Array.of(1), 0), -1)
})
