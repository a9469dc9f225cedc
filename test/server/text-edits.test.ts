/** Texts of a zone file after one another: what is made of where they differ is what reading the whole makes. */
import test from 'ava'
import fc from 'fast-check'
import { atOnce } from '../../base/index.ts'
import { partsOf } from '../../server/file-text.ts'
import { servedNodes } from '../../server/program-zone.ts'
import { textEdits } from '../../server/text-edits.ts'
import type { ContentEdit } from '../../signer/index.ts'
import {
  checkSteps,
  DENIAL_NONE,
  editSteps,
  faultText,
  type KeptText,
  Landmarks,
  nameFromText,
  type ParseOptions,
  Store,
  type TextEdit,
  type TextPart,
  type ZoneContent,
  type ZoneRecord,
} from '../../zones/index.ts'

const OPTIONS = { file: 'example.zone', origin: nameFromText('example.'), errorsOnly: true }
const HEAD = '$TTL 3600\n@ SOA ns hostmaster 7 7200 3600 1209600 900\n@ NS ns\n'

interface Read {
  readonly store: Store
  readonly content: ZoneContent
  readonly landmarks: Landmarks
}

/** Read whole, or its faults. */
function readWhole(text: string, options: ParseOptions): Read | string[] {
  const store = new Store({ octetsMax: 16 << 20 })
  const landmarks = new Landmarks()
  const octets = Buffer.from(text)
  const large = { again: () => octets, onLandmark: landmarks.note }
  const outcome = atOnce(checkSteps(store, octets, options, large))
  if (outcome.kind === 'faults') return outcome.faults.map(faultText)
  return { store, content: outcome.content, landmarks }
}

function nodesOf({ store, content }: Read): Map<string, string> {
  const nodes = new Map<string, string>()
  const cursor = store.readTree()
  for (let placed = cursor.seekFirst(content.tree.root); placed; placed = cursor.next()) {
    const key = Buffer.from(cursor.key.subarray(0, cursor.loadKey()))
    const value = Buffer.from(cursor.bytes.subarray(cursor.valueStart, cursor.valueEnd))
    nodes.set(key.toString('hex'), value.toString('hex'))
  }
  return nodes
}

class Kept implements KeptText {
  parts: readonly TextPart[]
  octets: Buffer

  constructor(parts: readonly TextPart[], octets: Buffer) {
    this.parts = parts
    this.octets = octets
  }

  read({ at, octets }: TextPart): Uint8Array {
    return this.octets.subarray(at, at + octets)
  }

  get text(): string {
    return Buffer.concat(this.parts.map(part => this.read(part))).toString()
  }
}

/** What is served when that is the newest text: its content as it is. */
function recordOf({ content }: Read): ZoneRecord {
  const { apex, soaSerial, names, records, tree } = content
  const plain = { nsec3Root: 0, signed: false, serial: soaSerial, sourceSerial: soaSerial }
  const nsec3 = { iterations: 0, salt: Buffer.alloc(0) }
  return { ...plain, denial: DENIAL_NONE, nsec3, namesRoot: tree.root, names, records, apex }
}

interface Step {
  readonly edit: TextEdit
  readonly edits: readonly ContentEdit[]
}

function stepOf(kept: Kept, served: Read, text: string, options: ParseOptions): Step | undefined {
  const edit = atOnce(editSteps(kept, Buffer.from(text), kept.octets.length, options))
  if (edit === undefined) return undefined
  const nodes = servedNodes(served.store, served.content.tree.root)
  const zone = { apexKey: served.content.apexKey, record: recordOf(served), nodes, signs: true }
  const edits = textEdits(edit, zone)
  return edits === undefined ? undefined : { edit, edits }
}

/** Goes from text to text as a server does; tells how many were read by what they differ. Throws where that is not what
 *  reading the whole says. */
function follow(texts: readonly string[], landmarkOctets: number): number {
  const options = { ...OPTIONS, landmarkOctets }
  let served: Read | undefined
  let kept: Kept | undefined
  let edited = 0
  for (const text of texts) {
    const whole = readWhole(text, options)
    const step = served === undefined || kept === undefined ? undefined : stepOf(kept, served, text, options)
    if (step !== undefined) {
      edited++
      check(served!, whole, step, text)
      kept = new Kept(step.edit.parts, Buffer.concat([kept!.octets, ...step.edit.added]))
      same(kept.text, text, 'the text that is kept')
    }
    if (Array.isArray(whole)) continue
    served = whole
    if (step !== undefined) continue
    const parts = partsOf(whole.content, Buffer.byteLength(text), whole.landmarks)
    kept = parts === undefined ? undefined : new Kept(parts, Buffer.from(text))
  }
  return edited
}

function check(before: Read, whole: Read | string[], { edits }: Step, text: string): void {
  if (Array.isArray(whole)) throw new Error(`faults were not seen: ${whole.join('; ')} in\n${text}`)
  same(whole.content.warnings.map(faultText).join('; '), '', `warnings of\n${text}`)
  const nodes = nodesOf(before)
  for (const { key, node } of edits) {
    const hex = Buffer.from(key).toString('hex')
    if (node === null) nodes.delete(hex)
    else nodes.set(hex, Buffer.from(node).toString('hex'))
  }
  same([...nodes].sort().join('\n'), [...nodesOf(whole)].sort().join('\n'), `nodes of\n${text}`)
}

function same(found: string, expected: string, what: string): void {
  if (found !== expected) throw new Error(`${what}: found\n${found}\nexpected\n${expected}`)
}

const OWNERS = [
  'a',
  'b',
  'B',
  'c.a',
  'cut',
  'x.cut',
  'd',
  'x.d',
  'long-name-of-a-host',
  '@',
  '*.w',
  'e.example.',
]
const KINDS = [
  (n: number) => `A 192.0.2.${n}`,
  (n: number) => `60 IN A 192.0.2.${n}`,
  (n: number) => `TXT "text ; ( ${n}"`,
  (n: number) => `IN 300 TXT ( "over"\n   ${n} )`,
  (n: number) => `MX ${n} A`,
  (n: number) => `MX ${n} a`,
  (n: number) => `AAAA 2001:db8::${n} ; comment`,
]
const RARE = [
  'a CNAME b',
  'd DNAME b',
  'cut NS ns.cut',
  '@ SOA ns hostmaster 8 7200 3600 1209600 900',
  '@ SOA ns hostmaster 8 7200 3600 1209600 60',
  'EXAMPLE. SOA ns hostmaster 9 7200 3600 1209600 900',
  'a SOA ns hostmaster 9 7200 3600 1209600 900',
  ' A 192.0.2.77',
  '$TTL 60',
  '$TTL 3600',
  '$ORIGIN sub.example.',
  '$ORIGIN example.',
  '$INCLUDE other.zone',
  '$GENERATE 1-3 g$ A 192.0.2.$',
  'away.test. A 192.0.2.1',
  'a ( A',
  '192.0.2.78 )',
  ')',
  'a TXT "open',
  'garbage',
  '; a comment',
  '',
  '\ufeffa A 192.0.2.79',
  'a 99999999999 A 192.0.2.80',
  '@ DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==',
  '@ CDS 0 0 0 00',
  'a NSEC b A',
]

const record = fc
  .tuple(fc.nat(OWNERS.length - 1), fc.nat(KINDS.length - 1), fc.integer({ min: 1, max: 40 }))
  .map(([owner, kind, n]) => `${OWNERS[owner]!} ${KINDS[kind]!(n)}`)
/** Records of one owner together, most of the time, and nothing that a warning comes from. */
const plainZone = fc
  .uniqueArray(fc.tuple(fc.nat(60), fc.constantFrom(0, 2, 3, 4, 6), fc.nat(3)), {
    minLength: 10,
    maxLength: 60,
    selector: one => one.join(),
  })
  .map(rows =>
    rows
      .sort((a, b) => a[0] - b[0])
      .map(([owner, kind, n]) => `${owner % 7 === 3 ? 'H' : 'h'}${owner} ${KINDS[kind]!(n + 1)}`),
  )
const anyZone = fc.array(record, { maxLength: 12 })
const newLine = fc.oneof({ weight: 4, arbitrary: record }, { weight: 2, arbitrary: fc.constantFrom(...RARE) })
const change = fc.oneof(
  fc.record({ kind: fc.constant('insert' as const), at: fc.nat(), line: newLine }),
  fc.record({ kind: fc.constantFrom('delete' as const, 'double' as const, 'swap' as const), at: fc.nat() }),
  fc.record({ kind: fc.constant('replace' as const), at: fc.nat(), line: newLine }),
  fc.record({
    kind: fc.constant('octet' as const),
    at: fc.nat(),
    line: fc.constantFrom('\n', '(', '"', 'A', ' ', '\\', ';'),
  }),
)
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never

function changed(text: string, change: Change): string {
  if (change.kind === 'octet') {
    const at = change.at % (text.length + 1)
    return text.slice(0, at) + change.line + text.slice(at + (change.at % 2))
  }
  const lines = text.split('\n')
  const at = change.at % lines.length
  if (change.kind === 'insert') lines.splice(at, 0, change.line)
  else if (change.kind === 'replace') lines.splice(at, 1, change.line)
  else if (change.kind === 'delete') lines.splice(at, 1)
  else if (change.kind === 'double') lines.splice(at, 0, lines[at]!)
  else lines.splice(at, 2, lines[at + 1] ?? '', lines[at]!)
  return lines.join('\n')
}

const history = fc
  .tuple(
    fc.oneof({ weight: 5, arbitrary: plainZone }, { weight: 1, arbitrary: anyZone }),
    fc.array(fc.array(change, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 4 }),
  )
  .map(([lines, steps]) => {
    const texts = [`${HEAD}${lines.join('\n')}\n`]
    for (const step of steps) texts.push(step.reduce(changed, texts.at(-1)!))
    return texts
  })

test('a text read by what it differs is the text read whole: content, faults, warnings', t => {
  let edited = 0
  const property = fc.property(history, fc.constantFrom(20, 60, 200, 1000), (texts, landmarkOctets) => {
    edited += follow(texts, landmarkOctets)
  })
  fc.assert(property, { seed: 20261123, numRuns: Number(process.env['EDIT_RUNS'] ?? 300) })
  t.log(`${edited} edits`)
  t.true(edited > 100)
})

const HOSTS = Array.from({ length: 40 }, (_, index) => `host${index} A 192.0.2.${index}\n`).join('')
const BASE = `${HEAD}${HOSTS}`

function isEdited(...texts: string[]): boolean {
  return follow(texts, 100) === texts.length - 1
}

test('an ordinary edit is read by what differs', t => {
  const edit = (from: string | RegExp, to: string): boolean => isEdited(BASE, BASE.replace(from, to))
  t.true(edit('host20 A 192.0.2.20', 'host20 A 192.0.2.120'))
  t.true(edit('host20 A 192.0.2.20\n', ''))
  t.true(edit('host20 A', 'new A 192.0.2.200\nhost20 A'))
  t.true(edit('hostmaster 7 ', 'hostmaster 8 '))
  t.true(edit('host20 A', '; a comment\n\nhost20 A'))
  t.true(edit(/$/, 'last A 192.0.2.201\n'))
  t.true(edit(/host39.*\n/, 'host39 A 192.0.2.39'), 'without a newline at the end')
  t.true(edit(/$/, ''))
  const both = BASE.replace('hostmaster 7 ', 'hostmaster 8 ').replace('host30 A', 'host30 60 A')
  t.true(isEdited(BASE, both, BASE, both.replace('host2 A', 'host2 TXT x\nhost2 A')))
})

test('what only the whole text can say is left to it', t => {
  const left = (from: string | RegExp, to: string): boolean => !isEdited(BASE, BASE.replace(from, to))
  t.true(left('$TTL 3600', '$TTL 60'), 'a default that others have')
  t.true(left('host20 A', '$ORIGIN sub.example.\nhost20 A'), 'names of what follows')
  t.true(left('host20 A', '$INCLUDE x\nhost20 A'))
  t.true(left('host20 A 192.0.2.20', 'host20 A 192.0.2.256'), 'a fault')
  t.true(left(/$/, 'host1 A 192.0.2.99\n'), 'records of one owner that stand apart')
  t.true(left(/$/, 'HOST1 A 192.0.2.1\n'), 'a duplicate')
  t.true(left('host20 A', '@ CDS 0 0 0 00\nhost20 A'), 'keys of others')
  t.true(left('host20 A', 'host20 CNAME host1\nhost20 A'))
  t.true(left(/(host\d+ A .*\n){20}/, ''), 'half of the zone')
})

test('RFC 6672 §2.4: names below a DNAME are found when a zone cut above them goes', t => {
  const cut = `cut NS ns.away.test.\nd.cut DNAME x.away.test.\nwww.d.cut A 192.0.2.1\n`
  t.true(!isEdited(BASE + cut, BASE + cut.replace('cut NS ns.away.test.', 'cut TXT x')))
  t.true(isEdited(BASE + cut, BASE + cut.replace('192.0.2.1\n', '192.0.2.2\n')))
})
