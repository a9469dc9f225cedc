import test from 'ava'
import { placeText } from '../../base/index.ts'
import { nameToText, originOfFile, parseZone } from '../../zones/index.ts'
import { GENERATE_RECORDS_MAX, INCLUDE_DEPTH_MAX } from '../../zones/limits.ts'
import { faultsOf, HEAD, load, octets, records, recordsAfterHead } from './zone-text.ts'

/** A `read` over files in memory. */
function filesOf(files: Readonly<Record<string, string>>): (path: string) => Uint8Array {
  return path => {
    const text = files[path]
    if (text === undefined) throw new Error(`no file ${path}`)
    return octets(text)
  }
}

test('RFC 1035 §5.3: the example of a master file', t => {
  const files = {
    'ISI-MAILBOXES.TXT': `MOE     MB      A.EXAMPLE.
LARRY   MB      A.EXAMPLE.
STOOGES MG      MOE.EXAMPLE.
        MG      LARRY.EXAMPLE.`,
  }
  const text = `@   IN  SOA     VENERA      Action\\.domains (
                                 20     ; SERIAL
                                 7200   ; REFRESH
                                 600    ; RETRY
                                 3600000; EXPIRE
                                 60)    ; MINIMUM

        NS      A.EXAMPLE.
        NS      VENERA
        NS      VAXA
        MX      10      VENERA
        MX      20      VAXA

A       A       26.3.0.103

VENERA  A       10.1.0.52
        A       128.9.0.32

VAXA    A       10.2.0.27
        A       128.9.0.33


$INCLUDE ISI-MAILBOXES.TXT
`
  t.deepEqual(records(text, filesOf(files)), [
    'example. 60 IN NS A.EXAMPLE.',
    'example. 60 IN NS VAXA.example.',
    'example. 60 IN NS VENERA.example.',
    'example. 60 IN MX 10 VENERA.example.',
    'example. 60 IN MX 20 VAXA.example.',
    'A.example. 60 IN A 26.3.0.103',
    'LARRY.example. 60 IN MB A.EXAMPLE.',
    'MOE.example. 60 IN MB A.EXAMPLE.',
    'STOOGES.example. 60 IN MG MOE.EXAMPLE.',
    'STOOGES.example. 60 IN MG LARRY.EXAMPLE.',
    'VAXA.example. 60 IN A 10.2.0.27',
    'VAXA.example. 60 IN A 128.9.0.33',
    'VENERA.example. 60 IN A 10.1.0.52',
    'VENERA.example. 60 IN A 128.9.0.32',
  ])
})

test('RFC 2308 §4: $TTL is for records without a TTL, until the next $TTL', t => {
  t.deepEqual(
    recordsAfterHead('a A 192.0.2.1\n$TTL 1h30m\nb A 192.0.2.1\nc 7 A 192.0.2.1\nd A 192.0.2.1\n'),
    [
      'a.example. 3600 IN A 192.0.2.1',
      'b.example. 5400 IN A 192.0.2.1',
      'c.example. 7 IN A 192.0.2.1',
      'd.example. 5400 IN A 192.0.2.1',
    ],
  )
})

test('RFC 1035 §5.1: without $TTL the last TTL stands, and the SOA takes its MINIMUM', t => {
  const soa = '@ SOA ns.test. host.test. 1 7200 3600 1209600 77\n'
  t.deepEqual(records(`${soa}@ NS ns.test.\na 60 A 192.0.2.1\nb A 192.0.2.1\n`).slice(1), [
    'a.example. 60 IN A 192.0.2.1',
    'b.example. 77 IN A 192.0.2.1',
  ])
  t.deepEqual(records(`@ 99 ${soa.slice(2)}@ NS ns.test.\na 60 A 192.0.2.1\nb A 192.0.2.1\n`).slice(1), [
    'a.example. 60 IN A 192.0.2.1',
    'b.example. 60 IN A 192.0.2.1',
  ])
})

test('RFC 1035 §5.1: TTL and class in either order, in any case, or absent', t => {
  const text = ['A', '30 A', 'IN A', '30 IN A', 'in 30 a', 'CLASS1 30 TYPE1', '1m in A']
  t.deepEqual(
    recordsAfterHead(text.map((fields, index) => `h${index} ${fields} 192.0.2.1\n`).join('')),
    [3600, 30, 3600, 30, 30, 30, 60].map((ttl, index) => `h${index}.example. ${ttl} IN A 192.0.2.1`),
  )
})

test('RFC 1035 §5.1: @, $ORIGIN, relative and absolute names, blank owners', t => {
  const text = `a A 192.0.2.1
$ORIGIN sub
\tA 192.0.2.2
b CNAME @
c CNAME d
$ORIGIN other.example.
@ A 192.0.2.3
 TXT x
e.example. CNAME .
`
  t.deepEqual(recordsAfterHead(text), [
    'a.example. 3600 IN A 192.0.2.1',
    'a.example. 3600 IN A 192.0.2.2',
    'e.example. 3600 IN CNAME .',
    'other.example. 3600 IN A 192.0.2.3',
    'other.example. 3600 IN TXT "x"',
    'b.sub.example. 3600 IN CNAME sub.example.',
    'c.sub.example. 3600 IN CNAME d.sub.example.',
  ])
})

test('RFC 1035 §5.1: escapes in owners: dots, blanks, dollars, \\DDD, \\@, a lone @ inside a name', t => {
  const text = 'a\\.b A 192.0.2.1\nc\\032d A 192.0.2.1\n\\$e A 192.0.2.1\n\\@ A 192.0.2.1\nf@g A 192.0.2.1\n'
  t.deepEqual(
    recordsAfterHead(text).map(line => line.split(' ')[0]),
    ['\\$e.example.', '\\@.example.', 'a\\.b.example.', 'c\\032d.example.', 'f\\@g.example.'],
  )
})

test('RFC 3597 §5: unknown and known types as \\# n hex', t => {
  t.deepEqual(
    recordsAfterHead('a TYPE7 \\# 3 016100\na TYPE65400 ( \\# 4 01 02\n 0304 )\nb A \\# 4 c0000201\n'),
    [
      'a.example. 3600 IN MB a.',
      'a.example. 3600 IN TYPE65400 \\# 4 01020304',
      'b.example. 3600 IN A 192.0.2.1',
    ],
  )
})

test('CRLF, byte order mark and a missing last newline change nothing', t => {
  const text = `${HEAD}a TXT "x" ( y\n z )\n\nb A 192.0.2.1`
  const plain = records(text)
  t.deepEqual(records(`\ufeff${text}`), plain)
  t.deepEqual(records(text.replaceAll('\n', '\r\n')), plain)
  t.deepEqual(records(`${text}\n`), plain)
  t.deepEqual(records(`${text}\n\n;`), plain)
})

test('TXT up to 65,535 octets, and not beyond', t => {
  const strings = `"${'a'.repeat(255)}" `.repeat(254)
  // Header, question (example. and 4 octets) and the record's own header leave this much.
  const full = `a TXT ${strings}"${'b'.repeat(200)}"\n`
  t.is(recordsAfterHead(full).length, 1)
  t.regex(faultsOf(`${HEAD}a TXT ${strings}${strings}\n`)[0]!, /octets of RDATA; expected at most 65535/)
})

test('RFC 9460 §2.2: a parameter that is longer than its length can say is not read as others', t => {
  const hint = Array(20_000).fill('192.0.2.1').join(',')
  t.regex(
    faultsOf(`${HEAD}a SVCB 1 . ipv4hint=${hint}\n`).join(),
    /parameters of over 65535 octets; expected fewer/,
  )
})

test('$INCLUDE: relative to the including file, with origin; origin and owner come back, $TTL stays', t => {
  const text = `a A 192.0.2.1
$INCLUDE sub/one.inc sub
 TXT "of a"
b A 192.0.2.1
`
  const files = {
    'sub/one.inc': 'x A 192.0.2.2\n$ORIGIN deeper\n$INCLUDE "two.inc"\ny A 192.0.2.4\n',
    'sub/two.inc': '$TTL 5\n@ A 192.0.2.3\n',
  }
  t.deepEqual(recordsAfterHead(text, filesOf(files)), [
    'a.example. 3600 IN A 192.0.2.1',
    'a.example. 5 IN TXT "of a"',
    'b.example. 5 IN A 192.0.2.1',
    'deeper.sub.example. 5 IN A 192.0.2.3',
    'y.deeper.sub.example. 5 IN A 192.0.2.4',
    'x.sub.example. 3600 IN A 192.0.2.2',
  ])
  t.deepEqual(load(HEAD + text, filesOf(files)).content.includes, ['sub/one.inc', 'sub/two.inc'])
})

test('RFC 1035 §5.1: an included file that begins without an owner goes on with the last one stated', t => {
  const text = `a A 192.0.2.1
$INCLUDE one.inc other.example.
 TXT "of a"
`
  const files = { 'one.inc': ' A 192.0.2.2\nb A 192.0.2.3\n' }
  t.deepEqual(recordsAfterHead(text, filesOf(files)), [
    'a.example. 3600 IN A 192.0.2.1',
    'a.example. 3600 IN A 192.0.2.2',
    'a.example. 3600 IN TXT "of a"',
    'b.other.example. 3600 IN A 192.0.2.3',
  ])
  t.deepEqual(faultsOf('$INCLUDE one.inc\n', filesOf(files)), [
    'one.inc:1:2: error: a record without an owner; expected an owner on the first record [syntax]',
    'one.inc:2:1: warning: no TTL before the first record; expected $TTL; 3600 is used [ttl-missing]',
  ])
  // One fault is told once, wherever the records without an owner stand.
  t.deepEqual(faultsOf(`${HEAD}a..b A 192.0.2.1\n$INCLUDE one.inc\n TXT "x"\n`, filesOf(files)), [
    'example.zone:4:1: error: an empty label in "a..b"; expected an owner, a label between dots [syntax]',
  ])
})

test('$INCLUDE: faults name the included file; loops, depth and missing files are faults', t => {
  t.deepEqual(faultsOf(`${HEAD}$INCLUDE a.inc\nb A bad\n`, filesOf({ 'a.inc': '\nx A 1\n' })), [
    'a.inc:2:5: error: "1"; expected address, IPv4 such as 192.0.2.1 [syntax]',
    'example.zone:5:5: error: "bad"; expected address, IPv4 such as 192.0.2.1 [syntax]',
  ])
  t.deepEqual(faultsOf(`${HEAD}$INCLUDE a.inc\n`, filesOf({ 'a.inc': '$INCLUDE example.zone\n' })), [
    'a.inc:1:1: error: $INCLUDE of example.zone inside itself; expected another file [syntax]',
  ])
  t.deepEqual(faultsOf(`${HEAD}$INCLUDE none\n`, filesOf({})), [
    'example.zone:4:1: error: $INCLUDE: no file none; expected a file that can be read [syntax]',
  ])
  t.deepEqual(faultsOf(`${HEAD}$INCLUDE none\n`), [
    'example.zone:4:1: error: $INCLUDE; expected a text without it: no files are read here [syntax]',
  ])
  const chain = Object.fromEntries(
    Array.from({ length: 20 }, (_, index) => [`f${index}`, `$INCLUDE f${index + 1}\n`]),
  )
  t.deepEqual(faultsOf(`${HEAD}$INCLUDE f0\n`, filesOf(chain)), [
    `f${INCLUDE_DEPTH_MAX - 1}:1:1: error: $INCLUDE ${INCLUDE_DEPTH_MAX + 1} files deep; expected at most ${INCLUDE_DEPTH_MAX} [syntax]`,
  ])
})

test('an SOA that is not the first record is found', t => {
  const text = '$TTL 60\na A 192.0.2.1\n$INCLUDE soa.inc\nb A 192.0.2.2\n'
  const files = filesOf({ 'soa.inc': '@ SOA ns.test. host.test. 1 2 3 4 5\n@ NS ns.test.\n' })
  t.deepEqual(records(text, files), [
    'example. 60 IN NS ns.test.',
    'a.example. 60 IN A 192.0.2.1',
    'b.example. 60 IN A 192.0.2.2',
  ])
})

test("the zone's name is its SOA's owner, also when it is the root", t => {
  const other = load('$ORIGIN Other.TEST.\n$TTL 60\n@ SOA ns host 9 2 3 4 5\n@ NS ns.example.\n')
  t.is(nameToText(other.content.apex), 'Other.TEST.')
  t.is(other.content.soaSerial, 9)
  const root = load('. 60 SOA ns.test. host.test. 1 2 3 4 5\n. NS a.root.\na.root. A 192.0.2.1\n')
  t.is(nameToText(root.content.apex), '.')
  t.is(root.content.names, 2)
})

test('the origin comes from the file name when nothing else gives it', t => {
  const of = (file: string): string | undefined => {
    const origin = originOfFile(file)
    return origin === undefined ? undefined : nameToText(origin)
  }
  t.is(of('/etc/zones/example.org.zone'), 'example.org.')
  t.is(of('db.example.org'), 'example.org.')
  t.is(of('example.org.db'), 'example.org.')
  t.is(of('example.org'), 'example.org.')
  t.is(of('-'), undefined)
  t.is(of('a..b.zone'), undefined)
})

test('without any origin the first owner must be absolute, and gives it', t => {
  const read = (text: string): string[] => {
    const owners: string[] = []
    const sink = { record: (owner: Uint8Array) => void owners.push(nameToText(owner)) }
    const { errors } = parseZone(octets(text), { file: '-' }, sink)
    return [...owners, ...errors.map(fault => `${placeText(fault.place)} ${fault.what}`)]
  }
  t.deepEqual(read('example. 60 A 192.0.2.1\nb A 192.0.2.1\n'), ['example.', 'b.example.'])
  t.deepEqual(read('b\\. 60 A 192.0.2.1\n c'), [
    '-:1:1 the relative name "b\\\\." and no origin; expected a dot at its end, $ORIGIN before it, or an origin given with the file',
  ])
})

/** A directive, with & for the dollars that JavaScript would want for itself. */
function generate(text: string): string {
  return `$GENERATE ${text.replaceAll('&', '$')}\n`
}

test('$GENERATE: ranges, steps and modifiers, as BIND has them', t => {
  t.deepEqual(recordsAfterHead('$GENERATE 1-5/2 h$ A 10.0.0.$\n'), [
    'h1.example. 3600 IN A 10.0.0.1',
    'h3.example. 3600 IN A 10.0.0.3',
    'h5.example. 3600 IN A 10.0.0.5',
  ])
  t.deepEqual(recordsAfterHead(generate('10-11 h&{0,3}-&{-10}-&{0,2,x}-&{0,0,X}-&{0,3,o} 60 IN TXT x')), [
    'h010-0-0a-A-012.example. 60 IN TXT "x"',
    'h011-1-0b-B-013.example. 60 IN TXT "x"',
  ])
  t.deepEqual(recordsAfterHead(generate('16-17 &{0,7,n} PTR p&{4096,0,N}.test.')), [
    '0.1.0.0.example. 3600 IN PTR p0.1.0.1.test.',
    '1.1.0.0.example. 3600 IN PTR p1.1.0.1.test.',
  ])
})

test('$GENERATE: a record without an owner behind it has the owner before it, as in BIND', t => {
  t.deepEqual(recordsAfterHead('a A 192.0.2.1\n$GENERATE 1-2 g$ A 192.0.2.$\n TXT "of a"\n'), [
    'a.example. 3600 IN A 192.0.2.1',
    'a.example. 3600 IN TXT "of a"',
    'g1.example. 3600 IN A 192.0.2.1',
    'g2.example. 3600 IN A 192.0.2.2',
  ])
})

test('$GENERATE: dollars stay with \\$ and $$; RDATA in quotes loses them', t => {
  t.deepEqual(recordsAfterHead('$GENERATE 1-1 a$ TXT b\\$c$$d\n'), ['a1.example. 3600 IN TXT "b$c$d"'])
  t.deepEqual(recordsAfterHead('$GENERATE 1-1 a$ MX "10 m$.test."\n'), ['a1.example. 3600 IN MX 10 m1.test.'])
  t.deepEqual(recordsAfterHead('$GENERATE 1-1 a$ TXT "\\"b $\\" c"\n'), ['a1.example. 3600 IN TXT "b 1" "c"'])
})

test('$GENERATE: faults have the place of the directive and come once; the total is bounded', t => {
  t.deepEqual(faultsOf(`${HEAD}$GENERATE 250-260 h$ A 10.0.0.$\nx A 192.0.2.1\n`), [
    'example.zone:4:1: error: $GENERATE at 256: "10.0.0.256"; expected address, IPv4 such as 192.0.2.1 [syntax]',
  ])
  t.deepEqual(faultsOf(`${HEAD}$GENERATE 1-${GENERATE_RECORDS_MAX + 1} h$ A 10.0.0.1\n`), [
    `example.zone:4:11: error: $GENERATE of ${GENERATE_RECORDS_MAX + 1} records; expected at most ${GENERATE_RECORDS_MAX} in a zone [syntax]`,
  ])
  t.deepEqual(faultsOf(`${HEAD}$GENERATE 1-2 h\${0,5,q} A 10.0.0.1\n`), [
    `example.zone:4:1: error: the modifier "\${0,5,q}"; expected \${offset,width,base} with base d, o, x, X, n or N [syntax]`,
  ])
})

/** One line behind HEAD, and its fault. */
const FAULTS: readonly (readonly [text: string, fault: string])[] = [
  ['x', '4:2: error: the end of the line; expected a type [syntax]'],
  ['x A', '4:4: error: the end of the record; expected address [syntax]'],
  ['x A 192.0.2.1 y', '4:15: error: "y"; expected the end of the record [syntax]'],
  ['x FOO y', '4:3: error: "FOO"; expected a record type, a TTL, a class [syntax]'],
  ['x 60 IN FOO y', '4:9: error: "FOO"; expected a record type [syntax]'],
  ['x 60 70 A 192.0.2.1', '4:6: error: "70"; expected a record type, a class [syntax]'],
  ['x CH A 192.0.2.1', '4:3: error: class "CH"; expected class IN, the only one served [syntax]'],
  ['x ANY y', '4:3: error: the meta-type "ANY"; expected a type of data [syntax]'],
  ['x TYPE0 \\# 0', '4:3: error: the meta-type "TYPE0"; expected a type of data [syntax]'],
  [
    'x..y A 192.0.2.1',
    '4:1: error: an empty label in "x..y"; expected an owner, a label between dots [syntax]',
  ],
  [
    'x\\999 A 192.0.2.1',
    '4:1: error: a bad escape in "x\\\\999"; expected an owner, \\X or \\DDD with DDD up to 255 [syntax]',
  ],
  ['$DATE x', '4:1: error: "$DATE"; expected $ORIGIN, $TTL, $INCLUDE or $GENERATE [syntax]'],
  ['$ORIGIN', '4:8: error: the end of the line; expected an origin [syntax]'],
  ['$ORIGIN x y', '4:11: error: "y"; expected the end of the line [syntax]'],
  ['$TTL x', '4:6: error: "x"; expected a TTL, seconds up to 4294967295 or a span such as 1h30m [syntax]'],
  [
    '$GENERATE 3-1 h$ A 10.0.0.$',
    '4:11: error: "3-1"; expected a range: start-stop or start-stop/step [syntax]',
  ],
  ['$GENERATE 1-3', '4:14: error: the end of the line; expected an owner, a type and RDATA [syntax]'],
  ['x TXT "a', '4:7: error: a quoted string without an end on its line; expected a closing quote [syntax]'],
  ['x TXT a )', '4:9: error: a closing parenthesis; expected ( before it [syntax]'],
  [
    'x TXT ( a',
    '4:7: error: a parenthesis that is never closed; expected ) before the end of the text [syntax]',
  ],
  ['x TXT', '4:6: error: the end of the record; expected text [syntax]'],
  ['x TYPE1234 \\# 3 0102', '4:21: error: 2 octets of RDATA; expected 3, as \\# 3 says [syntax]'],
]

for (const [text, fault] of FAULTS) {
  test(`fault of: ${text}`, t => {
    t.deepEqual(faultsOf(`${HEAD}${text}\n`), [`example.zone:${fault}`])
  })
}

test('all faults are told, and records after them are read', t => {
  const found = faultsOf(`${HEAD}a A 1\nb A 192.0.2.1\nc X\n..  A 192.0.2.1\n  TXT "not told of again\n`)
  t.deepEqual(
    found.map(line => line.split(' ')[0]),
    ['example.zone:4:5:', 'example.zone:6:3:', 'example.zone:7:1:', 'example.zone:8:7:'],
  )
})

test('a record without an owner at the start of a text is a fault', t => {
  t.deepEqual(faultsOf(' 60 SOA ns.test. host.test. 1 2 3 4 5\n'), [
    'example.zone:1:2: error: a record without an owner; expected an owner on the first record [syntax]',
  ])
})

test('faults are bounded', t => {
  const found = faultsOf(HEAD + 'x A bad\n'.repeat(5000))
  t.is(found.length, 101)
  t.regex(found.at(-1)!, /more than 100 errors/)
})
