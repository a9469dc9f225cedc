/** What `conclave sign` writes and what a zone transfer gives, judged by dnssec-verify, ldns-verify-zone and kzonecheck:
 *  the example zones and random ones, in all kinds of denial and all algorithms. Transfers are fetched by dig, once as
 *  text and once in the form of RFC 3597, from which each judge gets what it can read.
 *  I1  Over all, each algorithm meets each kind of denial, and each example zone both. */

import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { createNameserver } from '../../server/index.ts'
import type { DenialMode } from '../../signer/index.ts'
import { RandomZone } from '../signer/random-zones.ts'
import { withBrokenSignature, without } from '../support/tampering.ts'
import { needs } from '../support/tools.ts'
import { outputOf, portOf } from '../support/validators.ts'
import { genericFor, judgement, readableByLdns, ZONE_JUDGES, type ZoneJudge } from '../support/zone-judges.ts'

const examples = fileURLToPath(new URL('../../../examples/zones', import.meta.url))
const conclave = fileURLToPath(new URL('../../cli/main.js', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'conclave-judged-'))
test.after.always(() => rmSync(directory, { recursive: true }))

const ALGORITHMS: readonly (readonly [number, string])[] = [
  [8, 'rsasha256'],
  [10, 'rsasha512'],
  [13, 'ecdsap256sha256'],
  [14, 'ecdsap384sha384'],
  [15, 'ed25519'],
  [16, 'ed448'],
]
const DENIALS: readonly DenialMode[] = ['nsec', 'nsec3', 'opt-out']
const PROGRAMS = [...ZONE_JUDGES.map(judge => judge.program), 'dig']

/** ldns before 1.9.0 never ends on the ZONEMD of some zones with NSEC3 (its issue 287): for gob.example it is `ldnsLoops`. */
interface Source {
  readonly origin: string
  readonly file: string
  readonly ldnsLoops?: true
}

const example = (zone: string): Source => ({
  origin: `${zone}.example.`,
  file: join(examples, `${zone}.example.zone`),
})
const ANDES = example('andes')
const EVERYTHING = example('everything')
const GOB: Source = { ...example('gob'), ldnsLoops: true }

let filesWritten = 0

function written(text: string): string {
  const file = join(directory, `${filesWritten++}.zone`)
  writeFileSync(file, text)
  return file
}

/** The source as a file that ldns can read the signed form of. */
function readable(source: Source): Source {
  const text = readFileSync(source.file, 'utf8')
  const left = readableByLdns(text)
  return left === text ? source : { ...source, file: written(left) }
}

function randomSource(seed: number): Source {
  return { origin: 'example.', file: written(new RandomZone(seed, 60).text(true)) }
}

interface Signing {
  readonly algorithm: readonly [number, string]
  readonly denial: DenialMode
  readonly splitKeys: boolean
}

function titleOf({ algorithm, denial, splitKeys }: Signing): string {
  return `${algorithm[1]}, ${denial}${splitKeys ? ', KSK and ZSK' : ''}`
}

/** Every algorithm with every kind of denial. */
const SIGNINGS: readonly Signing[] = ALGORITHMS.flatMap((algorithm, row) =>
  DENIALS.map((denial, column) => ({ algorithm, denial, splitKeys: (row + column) % 2 === 1 })),
)

const runFile = promisify(execFile)

/** `conclave sign` into a file. */
async function signed(source: Source, signing: Signing, more: readonly string[]): Promise<string> {
  const out = join(directory, `${filesWritten++}.signed`)
  const { algorithm, denial, splitKeys } = signing
  const keys = join(directory, `keys-${algorithm[0]}-${splitKeys}`)
  const words = ['sign', source.file, '-o', out, '--origin', source.origin, '--keys', keys, ...more]
  words.push('--algorithm', algorithm[1], '--denial', denial, ...(splitKeys ? ['--split-keys'] : []))
  await runFile(process.execPath, [conclave, ...words])
  return out
}

/** Signs for each judge what it can read; judges who read the same share a file. */
async function judgeSigned(t: ExecutionContext, source: Source, signing: Signing): Promise<void> {
  const text = readFileSync(source.file, 'utf8')
  const files = new Map<string, Promise<string>>()
  for (const judge of ZONE_JUDGES) {
    const ldns = judge.program === 'ldns-verify-zone'
    const zonemd = !(ldns && source.ldnsLoops === true && signing.denial !== 'nsec')
    const read = ldns ? readable(source) : source
    const generic = genericFor(judge, text)
    const more = generic.length === 0 ? [] : ['--generic', generic.join(',')]
    if (!zonemd) more.push('--zonemd', 'none')
    const id = `${read.file} ${more.join(' ')}`
    const file = files.get(id) ?? signed(read, signing, more)
    files.set(id, file)
    const zone = { file: await file, origin: source.origin, csk: !signing.splitKeys, zonemd }
    t.is(judgement(judge, zone), '', source.file)
  }
}

// A run of the command costs: here each example meets each kind of denial in one algorithm; transfers have them all.
for (const [index, signing] of SIGNINGS.slice(0, 6).entries()) {
  const source = index < 3 ? ANDES : EVERYTHING
  test.serial(`conclave sign ${source.origin}: ${titleOf(signing)}: other verifiers accept it`, async t => {
    if (needs(t, ...PROGRAMS)) await judgeSigned(t, source, signing)
  })
}

for (const [index, denial] of DENIALS.entries()) {
  const signing = { algorithm: ALGORITHMS[2]!, denial, splitKeys: false }
  if (denial !== 'nsec') {
    test.serial(`conclave sign gob.example: ${titleOf(signing)}: other verifiers accept it`, async t => {
      if (needs(t, ...PROGRAMS)) await judgeSigned(t, GOB, signing)
    })
  }
  test.serial(`conclave sign of a random zone, ${denial}: other verifiers accept it`, async t => {
    if (!needs(t, ...PROGRAMS)) return
    await judgeSigned(t, randomSource(7 + index), { ...signing, algorithm: ALGORITHMS[index + 3]! })
  })
}

interface Transfer {
  /** The records as dig writes them, and the same without any mnemonic, line by line. */
  readonly text: readonly string[]
  readonly generic: readonly string[]
}

async function transfer(port: number, origin: string): Promise<Transfer> {
  const words = ['@127.0.0.1', '-p', `${port}`, '+noall', '+answer', '+onesoa', origin, 'AXFR']
  const lines = async (...more: string[]): Promise<string[]> =>
    (await outputOf('dig', [...more, ...words]))
      .split('\n')
      .filter(line => /^[^;]/.test(line))
      // Knot does not know this way to write IN.
      .map(line => line.replace(/\sCLASS1\s/, '\tIN\t'))
  return { text: await lines(), generic: await lines('+unknownformat', '+nosplit') }
}

/** dig's text, with the generic form wherever a judge would stumble. */
function textFor(judge: ZoneJudge, { text, generic }: Transfer): string {
  const unknown = new Set<string>(judge.generic)
  const lines = text.map((line, index) =>
    line.split(/\s+/).some(word => unknown.has(word)) ? generic[index]! : line,
  )
  return `${lines.join('\n')}\n`
}

/** What is wrong with the transfer of a zone, in the eyes of all judges that can read it. */
async function judgeTransfer(port: number, source: Source, signing: Signing): Promise<string[]> {
  const received = await transfer(port, source.origin)
  if (received.text.length < 8 || received.text.length !== received.generic.length)
    return [`${received.text.length} and ${received.generic.length} records`]
  return ZONE_JUDGES.filter(judge => readableTransfer(judge, received)).map(judge => {
    const zone = { origin: source.origin, csk: !signing.splitKeys, zonemd: true }
    return judgement(judge, { ...zone, file: written(textFor(judge, received)) })
  })
}

function readableTransfer(judge: ZoneJudge, received: Transfer): boolean {
  return judge.program !== 'ldns-verify-zone' || !received.text.some(line => /\sNSAP-PTR\s/.test(line))
}

/** gob.example is large: once is enough, with NSEC; it is signed into files with the others. */
const GOB_TRANSFERRED = 6

/** A random zone, and one of the small examples: in turn, so that each meets each kind of denial. */
function transferSources(index: number): Source[] {
  const random = { ...randomSource(100 + index), origin: 'random.example.' }
  const everything = index % 4 === 0 ? EVERYTHING : readable(EVERYTHING)
  const large = index === GOB_TRANSFERRED ? [GOB] : []
  return [random, index % 2 === 0 ? everything : ANDES, ...large]
}

for (const [index, signing] of SIGNINGS.entries()) {
  test.serial(`a transfer: ${titleOf(signing)}: other verifiers accept it`, async t => {
    if (!needs(t, ...PROGRAMS)) return
    const { algorithm, denial, splitKeys } = signing
    const policy = { algorithm: algorithm[0], denial, splitKeys }
    const server = await createNameserver({ listen: ['127.0.0.1@0'], workers: 1, signing: policy })
    t.teardown(() => server.close())
    const sources = transferSources(index)
    for (const { file, origin } of sources) {
      t.is((await server.addFile(file, origin)).kind, 'published')
      t.deepEqual(
        (await judgeTransfer(portOf(server), { file, origin }, signing)).filter(Boolean),
        [],
        `${origin} ${file}`,
      )
    }
  })
}

test.serial('judges judge: a broken signature, a missing NSEC and a wrong digest are found', async t => {
  if (!needs(t, ...PROGRAMS)) return
  const out = join(directory, 'good.signed')
  const keys = join(directory, 'keys-good')
  execFileSync(process.execPath, [conclave, 'sign', ANDES.file, '-o', out, '--keys', keys], {
    stdio: 'ignore',
  })
  const good = readFileSync(out, 'utf8')
  const zone = { origin: ANDES.origin, csk: true, zonemd: true }
  const refusers = (text: string): string[] =>
    ZONE_JUDGES.filter(judge => judgement(judge, { ...zone, file: written(text) }) !== '').map(
      judge => judge.program,
    )
  t.deepEqual(refusers(good), [])
  const all = ZONE_JUDGES.map(judge => judge.program)
  t.deepEqual(refusers(withBrokenSignature(good, 'nas.andes.example.', 'A')), all)
  t.deepEqual(refusers(without(good, /^nas\.andes\.example\.\s.*\sNSEC\s/)), all)
  // Only ldns looks at digests; the glue of the unsigned delegation is covered by nothing else.
  t.deepEqual(refusers(good.replace('192.0.2.130', '192.0.2.131')), ['ldns-verify-zone'])
})

test('kdig receives what dig receives', async t => {
  if (!needs(t, 'dig', 'kdig')) return
  const server = await createNameserver({ listen: ['127.0.0.1@0'], workers: 1 })
  t.teardown(() => server.close())
  await server.addFile(EVERYTHING.file)
  const words = ['@127.0.0.1', '-p', `${portOf(server)}`, '+noall', '+answer', EVERYTHING.origin, 'AXFR']
  const lines = async (program: string, ...more: string[]): Promise<number> =>
    (await outputOf(program, [...more, ...words])).split('\n').filter(line => /^[^;]/.test(line)).length
  t.is(await lines('kdig'), await lines('dig'))
})
