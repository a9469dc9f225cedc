import test from 'ava'
import fc from 'fast-check'
import { atOnce } from '../../base/index.ts'
import {
  asName,
  checkSteps,
  contentFromRecords,
  decodeNode,
  faultText,
  keyOf,
  lintContent,
  NODE_CASE,
  nameFromText,
  type ProgramRecord,
  rdataFromText,
  relativeKeyOf,
  SOURCE_FILE,
  SOURCE_PROGRAM,
  Store,
  TYPE,
} from '../../zones/index.ts'
import {
  check,
  faultsOf,
  HEAD,
  type Loaded,
  lines,
  load,
  octets,
  print,
  records,
  STORE_OCTETS_MAX,
} from './zone-text.ts'

const RUNS = { seed: 20260311, numRuns: 100 }

function nodeAt({ content }: Loaded, owner: string): ReturnType<typeof decodeNode> {
  const key = relativeKeyOf(nameFromText(owner), content.apexKey)!
  return decodeNode(content.tree.get(key)!)
}

test('RFC 4034 §6.3: RRsets are sorted by type, records by canonical RDATA, each once', t => {
  const loaded = load(
    `${HEAD}a MX 20 b.test.\na A 192.0.2.2\na MX 10 c.test.\na A 192.0.2.1\na MX 10 C.test.\n`,
  )
  const node = nodeAt(loaded, 'a.example.')
  t.deepEqual(
    node.rrsets.map(rrset => [rrset.type, rrset.source, rrset.ttl, rrset.rdata.length]),
    [
      [TYPE.A, SOURCE_FILE, 3600, 2],
      [TYPE.MX, SOURCE_FILE, 3600, 2],
    ],
  )
  t.deepEqual(loaded.content.warnings.map(faultText), [
    'example.zone:8 a.example. MX: warning: a second MX record with the same RDATA; it is left out [duplicate]',
  ])
  t.is(loaded.content.records, 6)
  t.is(loaded.content.names, 2)
  t.is(loaded.content.soaSerial, 1)
})

test('RFC 2181 §5.2: where TTLs differ the lowest is used, with a warning', t => {
  const text = `${HEAD}a 60 A 192.0.2.1\na 30 A 192.0.2.2\na 90 A 192.0.2.3\n`
  t.deepEqual(faultsOf(text).length, 1)
  t.regex(
    faultsOf(text)[0]!,
    /^example.zone:\d a.example. A: warning: .* the lowest, 30, is used .*\[ttl-differs\]$/,
  )
  t.true(records(text).includes('a.example. 30 IN A 192.0.2.3'))
})

test('RFC 4343 §4: the spelling of an owner is kept, the first one; its key is lower case', t => {
  const loaded = load(`${HEAD}WwW.Sub A 192.0.2.1\nb A 192.0.2.1\nwww.sub TXT x\nB TXT x\n`)
  t.deepEqual(
    lines(print(loaded))
      .slice(2)
      .map(line => line.split(' ')[0]),
    ['b.example.', 'b.example.', 'WwW.Sub.example.', 'WwW.Sub.example.'],
  )
  t.is(nodeAt(loaded, 'www.sub.example.').flags, NODE_CASE)
  t.is(nodeAt(loaded, 'b.example.').flags, 0)
})

test('RRSIGs stand behind the RRset they cover; one that covers nothing stands alone', t => {
  const signature = (type: string): string =>
    `RRSIG ${type} 13 2 3600 20300101000000 20200101000000 1 example. ${'A'.repeat(86)}==`
  const loaded = load(
    `${HEAD}a ${signature('A')}\na ${signature('TXT')}\na A 192.0.2.1\na NSEC b A RRSIG NSEC\na ${signature('NSEC')}\n`,
  )
  t.true(loaded.content.presigned)
  t.deepEqual(
    nodeAt(loaded, 'a.example.').rrsets.map(rrset => [
      rrset.type,
      rrset.rdata.length,
      rrset.signatures.length,
    ]),
    [
      [TYPE.A, 1, 1],
      [TYPE.TXT, 0, 1],
      [TYPE.NSEC, 1, 1],
    ],
  )
  t.false(load(HEAD).content.presigned)
})

test('out-of-zone records are left out with a warning, names that only look alike too', t => {
  const text = `${HEAD}a.test. A 192.0.2.1\n  TXT x\nxexample. A 192.0.2.1\nb A 192.0.2.1\n`
  t.deepEqual(faultsOf(text), [
    'example.zone:4 a.test. A: warning: a record outside of the zone example.; it is left out [out-of-zone]',
    'example.zone:6 xexample. A: warning: a record outside of the zone example.; it is left out [out-of-zone]',
  ])
  t.is(load(text).content.names, 2)
})

test('a failed reading leaves nothing in the store', t => {
  const store = new Store({ octetsMax: STORE_OCTETS_MAX })
  const apex = nameFromText('example.')
  t.is(
    contentFromRecords(store, apex, [{ owner: apex, type: TYPE.A, ttl: 1, rdata: new Uint8Array(4) }]).kind,
    'faults',
  )
  t.is(store.stats().openDrafts, 0)
  t.is(store.stats().octetsUsed, new Store({ octetsMax: STORE_OCTETS_MAX }).stats().octetsUsed)
})

test('records of a program make the same content as their text', t => {
  const store = new Store({ octetsMax: STORE_OCTETS_MAX })
  const record = (owner: string, type: keyof typeof TYPE, text: string): ProgramRecord => ({
    owner: nameFromText(owner),
    type: TYPE[type],
    ttl: 3600,
    rdata: rdataFromText(type, text),
  })
  const outcome = contentFromRecords(store, nameFromText('example.'), [
    record('b.example.', 'A', '192.0.2.1'),
    record('example.', 'SOA', 'ns.test. host.test. 1 7200 3600 1209600 3600'),
    record('a.example.', 'A', '192.0.2.1'),
    record('b.example.', 'TXT', '"x"'),
    record('example.', 'NS', 'ns.test.'),
  ])
  if (outcome.kind === 'faults') return t.fail(outcome.faults.map(faultText).join())
  t.is(
    print({ store, content: outcome.content }),
    print(load(`${HEAD}b TXT x\na A 192.0.2.1\nb A 192.0.2.1\n`)),
  )
  t.is(nodeAt({ store, content: outcome.content }, 'a.example.').rrsets[0]!.source, SOURCE_PROGRAM)
  t.deepEqual(lintContent(store, outcome.content), [])
})

test('a record of a program with bad RDATA is a fault that names it', t => {
  const store = new Store({ octetsMax: STORE_OCTETS_MAX })
  const owner = nameFromText('a.example.')
  const outcome = contentFromRecords(store, nameFromText('example.'), [
    { owner, type: TYPE.A, ttl: 1, rdata: new Uint8Array(3) },
    { owner, type: TYPE.ANY, ttl: 1, rdata: new Uint8Array(3) },
  ])
  t.deepEqual(
    outcome.kind === 'faults' ? outcome.faults.map(fault => [fault.rule, fault.place.record]) : [],
    [
      ['rdata', 'a.example. A'],
      ['rdata', 'a.example. ANY'],
    ],
  )
})

test('I1: content does not depend on the order of records', t => {
  const owners = ['@', 'a', 'A', 'b.a', '*.a', 'c', 'C.b', '\\001.c', '\\000', 'zz']
  const rdata = [
    'A 192.0.2.1',
    'A 192.0.2.2',
    'TXT x',
    'TXT "x" "y"',
    'MX 1 M.test.',
    'MX 1 m.test.',
    'HINFO a b',
  ]
  const line = fc
    .tuple(fc.constantFrom(...owners), fc.constantFrom(...rdata))
    .map(([owner, data]) => `${owner} ${data}`)
  const property = fc.property(
    fc.array(line, { maxLength: 40 }),
    fc.infiniteStream(fc.nat(1000)),
    (list, random) => {
      const shuffled = list
        .map(text => [random.next().value as number, text] as const)
        .sort((a, b) => a[0] - b[0])
      const one = load(`${HEAD}${list.join('\n')}\n`)
      const other = load(`${HEAD}${shuffled.map(pair => pair[1]).join('\n')}\n`)
      return (
        print(one).toLowerCase() === print(other).toLowerCase() &&
        one.content.names === other.content.names &&
        one.content.records === other.content.records
      )
    },
  )
  t.notThrows(() => fc.assert(property, RUNS))
})

test('records of an owner in two places are one node, whichever types come first, and however it is spelled', t => {
  const [early, late] = ['z NS a.test.\nz NS b.test.', `z DS 1 13 2 ${'ab'.repeat(32)}`]
  for (const owner of ['z', 'Z']) {
    const [first, second] = [early, late].map(text => text.replaceAll('z ', `${owner} `))
    const whole = load(`${HEAD}m A 192.0.2.1\n${first}\n${second}\na A 192.0.2.2\n`)
    for (const [one, two] of [
      [first, second],
      [second, first],
    ]) {
      const parted = load(`${HEAD}zz A 192.0.2.3\n${one}\nm A 192.0.2.1\n${two}\na A 192.0.2.2\n`)
      t.deepEqual(nodeAt(parted, 'z.example.'), nodeAt(whole, 'z.example.'))
      t.is(parted.content.records, whole.content.records + 1)
      t.is(parted.content.names, whole.content.names + 1)
    }
  }
})

test('many records at one name, more than are sorted in place', t => {
  const addresses = Array.from({ length: 90 }, (_, index) => `a A 192.0.2.${(index * 37) % 90}\n`)
  const found = records(HEAD + addresses.join('')).slice(1)
  t.is(found.length, 90)
  t.is(found[89], 'a.example. 3600 IN A 192.0.2.89')
  t.is(found[9], 'a.example. 3600 IN A 192.0.2.9')
})

test('an RRset that no message can hold is an error', t => {
  const text = Array.from({ length: 300 }, (_, index) => `a TXT "${'x'.repeat(220)}${index}"\n`).join('')
  const outcome = check(HEAD + text)
  t.deepEqual('faults' in outcome ? outcome.faults.map(fault => fault.rule) : [], [
    'rrset-too-large',
    'records-per-rrset',
  ])
})

test('keys of the content tree are relative to the apex', t => {
  const { content } = load(
    '$ORIGIN a.b.\n@ 60 SOA ns.test. host.test. 1 2 3 4 5\n@ NS ns.test.\nc A 192.0.2.1\n',
  )
  t.deepEqual(content.apexKey, keyOf(nameFromText('a.b.')))
  t.truthy(content.tree.get(new Uint8Array([0x63, 0])))
  t.is(content.tree.count, 2)
  t.deepEqual(content.apex, asName(nameFromText('a.b.')))
})

test('a large zone is read in steps; its text is let go before the lint, whose places are found in it again', t => {
  const store = new Store({ octetsMax: STORE_OCTETS_MAX })
  const names = Array.from({ length: 6000 }, (_, index) => `h${index} A 192.0.2.1`)
  const text = Buffer.from(`${HEAD}${names.join('\n')}\nx MX 10 nowhere\n`)
  for (const kept of [true, false]) {
    const log: string[] = []
    const large = {
      letGo: () => void log.push('letGo'),
      again: () => (log.push('again') && kept ? text : undefined),
    }
    const steps = checkSteps(store, text, { file: 'example.zone', origin: nameFromText('example.') }, large)
    let yields = 0
    let step = steps.next()
    for (; step.done !== true; step = steps.next()) yields++
    t.true(yields >= 6, `${yields} yields: lines, owners that waited, names that were linted`)
    t.deepEqual(log, ['letGo', 'again'])
    if (step.value.kind === 'faults') throw new Error('faults')
    const line = kept ? `example.zone:${HEAD.split('\n').length + 6000}` : ''
    t.regex(step.value.content.warnings.map(faultText).join(), new RegExp(`^${line}.*target-missing`))
  }
})

test('a text that is being read is let go up to where it may still be looked at', t => {
  const names = Array.from({ length: 2500 }, (_, index) => [
    `h${index} A 192.0.2.1`,
    `h${index} MX ( 10 ; over lines`,
    ' ns.test. )',
    `${index === 1300 ? '$INCLUDE more.zone\n' : ''} TXT "h"`,
    ...(index === 1200 ? Array.from({ length: 2300 }, (_, number) => ` TXT "${number}"`) : []),
  ])
  const comments = '; nothing yet\n'.repeat(3000)
  const text = `$ORIGIN example.\n${comments}a A 192.0.2.1\n${comments}${HEAD}${names.flat().join('\n')}\n`
  const read = (): Uint8Array => octets('more A 192.0.2.1\nmore AAAA 2001:db8::1\n')
  const expected = load(text, read)
  const store = new Store({ octetsMax: STORE_OCTETS_MAX })
  const given = octets(text)
  const offsets: number[] = []
  const letGoBefore = (at: number): void => {
    offsets.push(at)
    given.fill(0, 0, at)
  }
  const options = { file: 'example.zone', origin: nameFromText('example.'), read }
  const outcome = atOnce(checkSteps(store, given, options, { letGoBefore, again: () => octets(text) }))
  if (outcome.kind === 'faults') throw new Error(outcome.faults.map(faultText).join('\n'))
  t.true(offsets.length >= 6 && offsets.at(-1)! > text.length / 2)
  t.true(offsets[0]! >= text.indexOf('a A'), 'nothing before the apex is known')
  t.is(print({ store, content: outcome.content }), print(expected))
})
