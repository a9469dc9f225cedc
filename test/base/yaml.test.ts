/** YAML with places: every fault where it stands, nothing that harms the process. */
import test from 'ava'
import fc from 'fast-check'
import { parseYaml, YAML_OCTETS_MAX, type YamlDocument } from '../../base/documents.ts'

const RUNS = { seed: 20261123, numRuns: 500 }

function octets(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function read(text: string): YamlDocument {
  const outcome = parseYaml(octets(text), 'a.yaml')
  if (outcome.kind === 'faults') throw new Error(JSON.stringify(outcome.faults))
  return outcome.document
}

/** `line:column what` of each fault. */
function faults(text: string | Uint8Array): string[] {
  const outcome = parseYaml(typeof text === 'string' ? octets(text) : text, 'a.yaml')
  if (outcome.kind === 'document') return []
  return outcome.faults.map(({ place, what }) => `${place.line}:${place.column} ${what}`)
}

test('values: YAML 1.2 knows true and false only, and no octal numbers', t => {
  const { value } = read('a: no\nb: true\nc: 012\nd: 1h\ne:\nf: "0"\ng: [x, {y: 1}]\n')
  t.is(JSON.stringify(value), '{"a":"no","b":true,"c":12,"d":"1h","e":null,"f":"0","g":["x",{"y":1}]}')
  t.is(read('').value, null)
})

test('I4: places of keys and values count octets', t => {
  const document = read('über: 1\nzones:\n  - {ü: x, file: y}\nempty:\n')
  t.deepEqual(document.placeOf(['über']), { file: 'a.yaml', line: 1, column: 8 })
  t.deepEqual(document.keyPlaceOf(['zones', 0, 'file']), { file: 'a.yaml', line: 3, column: 13 })
  t.deepEqual(document.placeOf(['zones', 0, 'file']), { file: 'a.yaml', line: 3, column: 19 })
  // What is not there stands where it is missing.
  t.deepEqual(document.placeOf(['zones', 0, 'name']), { file: 'a.yaml', line: 3, column: 5 })
  t.deepEqual(document.placeOf(['empty']), { file: 'a.yaml', line: 4, column: 7 })
  t.deepEqual(document.keyPlaceOf(['empty']), { file: 'a.yaml', line: 4, column: 1 })
})

test('scalars as they were written', t => {
  const document = read('a: 012\nb: "x"\nc: [1]\n')
  t.is(document.sourceOf(['a']), '012')
  t.is(document.sourceOf(['b']), 'x')
  t.is(document.sourceOf(['c']), undefined)
  t.is(document.sourceOf(['d']), undefined)
})

test('I3: a key given twice is a fault at its second place, and so is a key that is no text', t => {
  t.deepEqual(faults('a: 1\nb: {c: 1, c: 2}\na: 2\n'), [
    '2:11 the key "c" stands twice in this mapping',
    '3:1 the key "a" stands twice in this mapping',
  ])
  t.is(faults('? [a]\n: 1\n').length, 1)
  t.deepEqual(faults('__proto__: 1\n__proto__: 2\n'), [
    '2:1 the key "__proto__" stands twice in this mapping',
  ])
})

test('I1: all faults of the text, in order', t => {
  const found = faults('a: "x\nb: [1\nc: &a 1\n')
  t.true(found.length > 0)
  t.regex(faults('a: &x 1\nb: *x\nc: !!str 1\n').join('\n'), /^1:4 anchors .*\n2:4 aliases .*\n3:4 tags /)
  t.regex(faults('%YAML 1.1\n---\na: no\n')[0]!, /^1:1 directives/)
  t.true(faults('a: 1\n---\nb: 2\n').length > 0)
  t.true(faults('a: b: c\n').length > 0)
})

test('text that is not UTF-8 is told with its place', t => {
  t.deepEqual(faults(Uint8Array.of(0x61, 0x0a, 0xc3, 0xbc, 0xff)), ['2:3 the text is not UTF-8'])
})

test('I2: what would make the parser slow, or end the process, is refused before', t => {
  const deep = ['[', '- ', '? ', '{a: ', 'a: ', '- {'].map(piece => piece.repeat(20_000))
  const stairs = Array.from({ length: 2000 }, (_, index) => `${' '.repeat(index)}a:\n`).join('')
  for (const text of [...deep, stairs]) t.regex(faults(text)[0] ?? '', /nested too deeply/, text.slice(0, 20))
  t.regex(faults(new Uint8Array(YAML_OCTETS_MAX + 1))[0]!, /at most/)
  // What is within the limits is read in linear time.
  const zones = Array.from({ length: 20_000 }, (_, index) => `k${index}: {file: zones/${index}.zone}\n`).join(
    '',
  )
  t.deepEqual(faults(zones), [])
})

test('whatever the text, reading ends with a value or with faults that have a place', t => {
  const piece = fc.constantFrom(
    ...[
      '\n',
      '\n  ',
      '\n- ',
      '- ',
      ': ',
      'a',
      'zones',
      '[',
      ']',
      '{',
      '}',
      ', ',
      '"',
      "'",
      '|\n',
      '>-\n',
      '&a ',
      '*a',
      '!t ',
    ],
    ...[
      '%YAML',
      '---\n',
      '...\n',
      '#',
      '\t',
      '? ',
      '<<: ',
      '\\',
      '\u0000',
      'ü',
      '\ufeff',
      '1',
      '~',
      '\r\n',
      '@',
      '`',
    ],
  )
  const text = fc.oneof(
    fc.array(piece, { maxLength: 40 }).map(parts => parts.join('')),
    fc.string(),
  )
  fc.assert(
    fc.property(text, source => {
      const outcome = parseYaml(octets(source), 'a.yaml')
      if (outcome.kind === 'document') return true
      return (
        outcome.faults.length > 0 &&
        outcome.faults.every(({ place, what }) => place.line! >= 1 && what !== '')
      )
    }),
    RUNS,
  )
  t.pass()
})
