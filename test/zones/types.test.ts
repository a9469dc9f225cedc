import test from 'ava'
import {
  classFromOctets,
  classToText,
  isMetaType,
  TYPE,
  typeFromOctets,
  typeFromText,
  typeToText,
} from '../../zones/index.ts'

test('RFC 3597 §5: every number has a text that names it again', t => {
  for (let type = 0; type <= 0xffff; type++) {
    if (typeFromText(typeToText(type)) !== type) t.fail(`type ${type}`)
    if (typeFromText(`TYPE${type}`) !== type) t.fail(`TYPE${type}`)
  }
  t.pass()
})

test('RFC 1035 §2.3.3: mnemonics have no case', t => {
  for (const [mnemonic, type] of Object.entries(TYPE)) {
    t.is(typeFromText(mnemonic.toLowerCase()), type)
    t.is(typeToText(type), mnemonic)
  }
  t.is(typeFromText('type65280'), 65280)
})

test('RFC 3597 §5: numbers of types and classes may have zeros in front', t => {
  t.is(typeFromText('TYPE01'), TYPE.A)
  t.is(typeFromText('TYPE00731'), 731)
  const octets = new TextEncoder().encode('CLASS01')
  t.is(classFromOctets(octets, 0, octets.length), 1)
})

test('what names no type is refused', t => {
  for (const text of [
    '',
    'TYPE',
    'TYPE65536',
    'TYPE000001',
    'TYPE1x',
    'AA',
    'NSEC3PARAMS',
    'A\u0001',
    'IN',
    '1',
  ]) {
    t.is(typeFromText(text), undefined, text)
  }
  // Octets that differ from letters in the bit of the case only: "NSAP\x0dPTR" is not NSAP-PTR.
  t.is(typeFromText('NSAP\u000dPTR'), undefined)
  t.is(typeFromText('nsap-ptr'), TYPE['NSAP-PTR'])
})

test('a type is read out of the middle of a line', t => {
  const line = new TextEncoder().encode('www 300 IN AAAA 2001:db8::1')
  t.is(typeFromOctets(line, 11, 15), TYPE.AAAA)
  t.is(classFromOctets(line, 8, 10), 1)
  t.is(classFromOctets(line, 0, 3), -1)
})

test('RFC 3597 §5: classes by mnemonic and number', t => {
  const octets = new TextEncoder().encode('class4660')
  t.is(classFromOctets(octets, 0, octets.length), 4660)
  t.is(classToText(1), 'IN')
  t.is(classToText(4660), 'CLASS4660')
})

test('RFC 6895 §3.1: meta-types may not stand in a zone', t => {
  for (const type of [0, TYPE.OPT, TYPE.TSIG, TYPE.AXFR, TYPE.ANY, TYPE.NXNAME]) t.true(isMetaType(type))
  for (const type of [TYPE.A, TYPE.SPF, TYPE.URI, TYPE.DLV, 65280]) t.false(isMetaType(type))
})
