import test from 'ava'
import { ConclaveError } from '../../base/index.ts'
import { rdataFault, rdataFromText, rdataToText, TYPE } from '../../zones/index.ts'

const hexOf = (octets: Uint8Array): string => Buffer.from(octets).toString('hex')
const FOO_COM = '03666f6f076578616d706c6503636f6d00'
const FOO_ORG = '03666f6f076578616d706c65036f726700'

/** RFC 9460 appendix D.1 and D.2, figures 2 to 10. */
const VECTORS: readonly (readonly [figure: string, text: string, wire: string, canonical?: string])[] = [
  ['D.1 figure 2', '0 foo.example.com.', `0000${FOO_COM}`],
  ['D.2 figure 3', '1 .', '000100'],
  ['D.2 figure 4', '16 foo.example.com. port=53', `0010${FOO_COM}000300020035`],
  ['D.2 figure 5', '1 foo.example.com. key667=hello', `0001${FOO_COM}029b000568656c6c6f`],
  ['D.2 figure 6', '1 foo.example.com. key667="hello\\210qoo"', `0001${FOO_COM}029b000968656c6c6fd2716f6f`],
  [
    'D.2 figure 7',
    '1 foo.example.com. ( ipv6hint="2001:db8::1,2001:db8::53:1" )',
    `0001${FOO_COM}0006002020010db800000000000000000000000120010db8000000000000000000530001`,
    '1 foo.example.com. ipv6hint=2001:db8::1,2001:db8::53:1',
  ],
  [
    'D.2 figure 8',
    '1 example.com. ( ipv6hint="2001:db8:122:344::192.0.2.33" )',
    '0001076578616d706c6503636f6d000006001020010db8012203440000 0000c0000221'.replace(' ', ''),
    '1 example.com. ipv6hint=2001:db8:122:344::c000:221',
  ],
  [
    'D.2 figure 9',
    '16 foo.example.org. ( alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1 )',
    `0010${FOO_ORG}000000040001000400010009026832 0568332d3139 00040004c0000201`.replaceAll(' ', ''),
    '16 foo.example.org. mandatory=alpn,ipv4hint alpn=h2,h3-19 ipv4hint=192.0.2.1',
  ],
  [
    'D.2 figure 10, quoted',
    '16 foo.example.org. alpn="f\\\\\\\\oo\\\\,bar,h2"',
    `0010${FOO_ORG}0001000c08665c6f6f2c626172026832`,
  ],
  [
    'D.2 figure 10, unquoted',
    '16 foo.example.org. alpn=f\\\\\\092oo\\092,bar,h2',
    `0010${FOO_ORG}0001000c08665c6f6f2c626172026832`,
    '16 foo.example.org. alpn="f\\\\\\\\oo\\\\,bar,h2"',
  ],
]

for (const type of ['SVCB', 'HTTPS'] as const) {
  for (const [figure, text, wire, canonical] of VECTORS) {
    test(`RFC 9460 ${figure}: ${type} ${text}`, t => {
      const octets = rdataFromText(type, text)
      t.is(hexOf(octets), wire)
      t.is(rdataToText(TYPE[type], octets), canonical ?? text)
      t.is(rdataFault(TYPE[type], octets, 0, octets.length), undefined)
    })
  }
}

/** RFC 9460 appendix D.3, and the rules around them. */
const FAILURES: readonly (readonly [rule: string, parameters: string, message: string])[] = [
  ['D.3: multiple instances of a key', 'key123=abc key123=def', 'found key123 twice; expected each key once'],
  ['D.3: mandatory without a value', 'mandatory', 'found ""; expected mandatory, a list of parameters'],
  ['D.3: alpn without a value', 'alpn', 'found a protocol of 0 octets; expected alpn, a list'],
  ['D.3: port without a value', 'port', 'found ""; expected port, a number from 0 to 65535'],
  ['D.3: ipv4hint without a value', 'ipv4hint', 'found ""; expected ipv4hint, a list of IPv4 addresses'],
  ['D.3: ipv6hint without a value', 'ipv6hint', 'found ""; expected ipv6hint, a list of IPv6 addresses'],
  [
    'D.3: no-default-alpn with a value',
    'no-default-alpn=abc',
    'found value "abc"; expected no-default-alpn, none',
  ],
  [
    'D.3: a mandatory key is missing',
    'mandatory=key123',
    'found mandatory without key123; expected it among the parameters',
  ],
  [
    'D.3: mandatory in its own list',
    'mandatory=mandatory',
    'found mandatory in its own list; expected mandatory, other parameters',
  ],
  [
    'D.3: a key twice in mandatory',
    'mandatory=key123,key123 key123=abc',
    'found key123 twice; expected mandatory, each once',
  ],
  ['§14.3.2: the invalid key', 'key65535=a', 'found "key65535=a"; expected a parameter: mandatory, alpn'],
  ['§2.1: a number with a leading zero', 'key0123=a', 'found "key0123=a"; expected a parameter'],
  ['§2.1: an unknown name', 'foo=bar', 'found "foo=bar"; expected a parameter'],
  ['§7.2: a port that is too great', 'port=65536', 'found "65536"; expected port, a number from 0 to 65535'],
  ['§7.1.1: an empty protocol', 'alpn=h2,,h3', 'found a protocol of 0 octets; expected alpn, a list'],
  ['appendix A.1: a bad escape in a list', 'alpn="h2\\\\x"', 'found a bad escape in the list'],
  [
    '§7.3: not an address',
    'ipv4hint=192.0.2.1,1.2.3',
    'found "1.2.3"; expected ipv4hint, a list of IPv4 addresses',
  ],
  ['RFC 9540 §4: ohttp has no value', 'ohttp=1', 'found value "1"; expected ohttp, none'],
  ['RFC 9848: ech is base64', 'ech=***', 'found "***"; expected ech, base64'],
  [
    '§2.2: keyNNNNN of a known key is checked as that key',
    'key3=abc',
    'found 3 octets; expected port, a number in 2',
  ],
]

for (const [rule, parameters, message] of FAILURES) {
  test(`RFC 9460 ${rule}`, t => {
    const error = t.throws(() => rdataFromText('HTTPS', `1 foo.example.com. ${parameters}`), {
      instanceOf: ConclaveError,
    })
    t.true(error.message.includes(message), error.message)
  })
}

test('RFC 9460 §2.1: a quoted value as part of its token or as the token behind "="', t => {
  const whole = rdataFromText('SVCB', '1 . alpn="h2" key9999="a b" ech="AAAA"')
  t.is(rdataToText(TYPE.SVCB, whole), '1 . alpn=h2 ech=AAAA key9999="a b"')
  t.is(rdataToText(TYPE.SVCB, rdataFromText('SVCB', '1 . key9999= key9998')), '1 . key9998 key9999')
})

test('RFC 9461 §5, RFC 9540 §4 and groups: the other registered keys', t => {
  const text = '1 dns.example. no-default-alpn dohpath="/dns-query{?dns}" ohttp tls-supported-groups=29,23'
  t.is(rdataToText(TYPE.SVCB, rdataFromText('SVCB', text)), text)
})

test('RFC 9460 §2.2: wire form must be ascending and whole', t => {
  const wire = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))
  const check = (text: string): string | undefined => {
    const octets = wire(text)
    return rdataFault(TYPE.SVCB, octets, 0, octets.length)
  }
  t.is(check('0001 00 0003 0002 0035'), undefined)
  t.is(
    check('0001 00 0008 0000 0003 0002 0035'),
    'found port behind ohttp, expected parameters, ascending keys',
  )
  t.is(check('0001 00 0003 0003 0035'), 'found 2 octets, expected parameters, port, 3 octets')
  t.is(check('0001 00 0003 00'), 'found 3 octets, expected parameters, a key and a length')
  t.is(
    check('0001 00 0000 0004 0004 0001'),
    'found descending keys, expected parameters, mandatory, ascending ones',
  )
  t.is(
    check('0001 00 0001 0003 056832'),
    'found its end inside a protocol, expected parameters, alpn, whole ones',
  )
  t.is(check('0001 00 ffff 0000'), 'found key65535, expected parameters, key0 to key65534')
})
