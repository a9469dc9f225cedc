/** Random and mutated zone files: whatever the octets, reading ends with content or with faults that have a place. */
import test from 'ava'
import fc from 'fast-check'
import { FAULTS_MAX, WARNINGS_MAX } from '../../zones/limits.ts'
import { RDATA_SAMPLES } from '../vectors/rdata-samples.ts'
import { check, HEAD, octets } from './zone-text.ts'

const RUNS = { seed: 20260313, numRuns: 300 }

/** A zone with every type and directive, as ground for mutations. */
const SAMPLE = octets(
  `${HEAD}${RDATA_SAMPLES.map(({ type, text }, index) => `n${index} ${type} ( ${text}\n ) ; comment\n`).join('')}
$ORIGIN sub
a\\.b 1h30m IN TXT "quoted \\" \\000" word
\tIN 60 A 192.0.2.1
$INCLUDE other.inc origin
$GENERATE 1-20/3 h\${1,3,x} AAAA 2001:db8::$
`,
)

/** Reads the text and checks what must hold of any outcome. */
function survives(text: Uint8Array): boolean {
  // The text includes itself in a part, so that faults are met in included files, too.
  const outcome = check(text, () => text.subarray(0, text.length >>> 1))
  const faults = 'faults' in outcome ? outcome.faults : outcome.content.warnings
  const bounded = faults.length <= FAULTS_MAX + WARNINGS_MAX + 2
  const placed = faults.every(({ place, rule, what }) => what !== '' && (place.line ?? 1) >= 1 && rule !== '')
  return bounded && placed
}

/** Pieces that mean something, so that random texts reach deep. */
const piece = fc.constantFrom(
  ...[
    '\n',
    '\n',
    ' ',
    '\t',
    '\r\n',
    '(',
    ')',
    '"',
    '\\',
    ';',
    '@',
    '.',
    'a',
    'A',
    'IN',
    '60',
    '1h',
    'TXT',
    'SOA',
  ],
  ...[
    'NS',
    'MX 1',
    '\\# 2 0102',
    'TYPE65000',
    '192.0.2.1',
    '$ORIGIN',
    '$TTL',
    '$INCLUDE',
    '$GENERATE',
    '1-3/2',
  ],
  ...[
    `\${0,9,n}`,
    '$',
    '=',
    '-',
    '\0',
    '\xff',
    '\\999',
    '\\046',
    'ns.test. h.test. 1 2 3 4 5',
    'HTTPS 1 . alpn="h2"',
  ],
)

test('random octets', t => {
  t.notThrows(() => fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), survives), RUNS))
})

test('random words of zone files', t => {
  const text = fc.array(piece, { maxLength: 120 }).map(pieces => octets(HEAD + pieces.join(' ')))
  t.notThrows(() => fc.assert(fc.property(text, survives), RUNS))
  const dense = fc.array(piece, { maxLength: 120 }).map(pieces => octets(pieces.join('')))
  t.notThrows(() => fc.assert(fc.property(dense, survives), RUNS))
})

test('a whole zone file with some octets changed, taken out or doubled', t => {
  const change = fc.tuple(fc.nat(SAMPLE.length - 1), fc.nat(255), fc.constantFrom('set', 'cut', 'double'))
  const text = fc.array(change, { minLength: 1, maxLength: 12 }).map(changes => {
    const out = [...SAMPLE]
    for (const [at, octet, how] of changes) {
      if (how === 'set') out[at] = octet
      else if (how === 'cut') out.splice(at, (octet & 31) + 1)
      else out.splice(at, 0, ...out.slice(at, at + (octet & 31)))
    }
    return Uint8Array.from(out)
  })
  t.notThrows(() => fc.assert(fc.property(text, survives), RUNS))
})

test('a zone file cut off at any octet', t => {
  for (let end = 0; end < SAMPLE.length; end += 7) t.true(survives(SAMPLE.subarray(0, end)))
})

test('texts that are made to be slow are not', t => {
  const many = 100_000
  const texts = [
    '(',
    '(\n',
    ')',
    '"',
    '"\n',
    'a (\n',
    '\\',
    ' (',
    'a b (\n',
    '.',
    'a.',
    '$',
    ';\n',
    '\r',
    ' \n',
  ]
  for (const text of texts) t.true(survives(octets(HEAD + text.repeat(many))), text)
})
