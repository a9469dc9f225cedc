/** The example zones: without any fault, liked by other people's checkers, and read by them as by us. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { checkZone, faultText, nameFromText, nameToText, Store } from '../../zones/index.ts'
import { needs, toolPath } from '../support/tools.ts'
import { unknownTypes } from '../support/zone-judges.ts'
import { type Loaded, lines, octets, print, STORE_OCTETS_MAX } from './zone-text.ts'

const directory = fileURLToPath(new URL('../../../examples/zones', import.meta.url))

interface Example {
  readonly file: string
  readonly names: number
  readonly records: number
}

const EXAMPLES: readonly Example[] = [
  { file: 'andes.example.zone', names: 24, records: 43 },
  { file: 'everything.example.zone', names: 76, records: 134 },
  { file: 'gob.example.zone', names: 5274, records: 10868 },
]

function loadExample(file: string): Loaded {
  return loadText(readFileSync(join(directory, file)), join(directory, file))
}

function loadText(text: Uint8Array, file: string): Loaded {
  const store = new Store({ octetsMax: STORE_OCTETS_MAX })
  const outcome = checkZone(store, text, { file, read: path => readFileSync(path) })
  if (outcome.kind === 'faults') throw new Error(outcome.faults.map(faultText).join('\n'))
  return { store, content: outcome.content }
}

function withFile<Result>(name: string, text: string, use: (file: string) => Result): Result {
  const place = mkdtempSync(join(tmpdir(), 'conclave-example-'))
  try {
    writeFileSync(join(place, name), text)
    return use(join(place, name))
  } finally {
    rmSync(place, { recursive: true })
  }
}

function run(
  tool: string,
  words: readonly string[],
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  // $INCLUDE is relative to the file for us and Knot, to the working directory for BIND and NSD.
  return spawnSync(toolPath(tool)!, words, { cwd: directory, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
}

test('all example zones are tested here', t => {
  const files = readdirSync(directory).filter(file => file.endsWith('.zone'))
  t.deepEqual(
    files.sort(),
    EXAMPLES.map(({ file }) => file),
  )
})

for (const { file, names, records } of EXAMPLES) {
  const origin = `${file.slice(0, -'.zone'.length)}.`

  test(`${file}: no faults, no warnings`, t => {
    const { content } = loadExample(file)
    t.deepEqual(content.warnings.map(faultText), [])
    t.is(nameToText(content.apex), origin)
    t.deepEqual({ names: content.names, records: content.records }, { names, records })
    t.false(content.presigned)
  })

  test(`${file}: printed and read again it prints the same`, t => {
    const printed = print(loadExample(file))
    t.is(print(loadText(octets(printed), file)), printed)
  })

  test(`${file}: named-checkzone, nsd-checkzone and kzonecheck accept it`, t => {
    if (!needs(t, 'named-checkzone', 'nsd-checkzone', 'kzonecheck')) return
    const loaded = loadExample(file)
    t.is(run('named-checkzone', ['-i', 'local', '-k', 'ignore', origin, file]).status, 0)
    withFile(file, print(loaded, unknownTypes('nsd')), path =>
      t.is(run('nsd-checkzone', [origin, path]).status, 0),
    )
    withFile(file, print(loaded, unknownTypes('knot')), path =>
      t.is(run('kzonecheck', ['-o', origin, path]).status, 0),
    )
  })

  test(`${file}: BIND reads the same records out of it`, t => {
    if (!needs(t, 'named-compilezone')) return
    const words = ['-i', 'none', '-k', 'ignore', '-q', '-s', 'full', '-o', '-', origin, file]
    const compiled = run('named-compilezone', words)
    t.is(compiled.status, 0)
    const theirs = loadText(octets(compiled.stdout), file)
    t.deepEqual(lines(print(theirs).toLowerCase()), lines(print(loadExample(file)).toLowerCase()))
  })

  test(`${file}: ldns reads what we print`, t => {
    if (!needs(t, 'ldns-read-zone')) return
    const printed = print(loadExample(file), unknownTypes('ldns'))
    const read = withFile(file, printed, path => run('ldns-read-zone', [path]))
    t.is(read.status, 0)
    // ldns does not escape the quote in the name of everything.example that has one.
    const text = read.stdout.replace(/^semi\\;colon"/m, 'semi\\;colon\\"')
    const theirs = loadText(octets(text), file)
    t.deepEqual(lines(print(theirs).toLowerCase()), lines(print(loadExample(file)).toLowerCase()))
  })
}

test('andes.example: its printers come from the included file', t => {
  const loaded = loadExample('andes.example.zone')
  t.deepEqual(loaded.content.includes, [join(directory, 'hosts/andes-printers.inc')])
  t.true(print(loaded).includes('front.printers.andes.example.\t3600\tIN\tA\t192.0.2.101\n'))
})

test('gob.example: delegations, glue, and DS for a third', t => {
  const { store, content } = loadExample('gob.example.zone')
  const text = lines(print({ store, content }))
  const owners = (type: string): Set<string> =>
    new Set(text.filter(line => line.split(' ')[3] === type).map(line => line.split(' ')[0]!))
  const cuts = owners('NS').size - 1
  t.is(cuts, 3000)
  t.true(Math.abs(owners('DS').size / cuts - 1 / 3) < 0.03)
  t.true(owners('A').size > 1500)
  t.deepEqual(content.apex, nameFromText('gob.example.'))
})
