/** README's commands are run as they stand, so far as a test can. What differs is said beside each: ports are free ones
 *  instead of 5300 and 5301, `npx conclave` is the file from which bundle.ts makes the one that package.json's `bin` names,
 *  dig is given more time, `npm start` is the words of that script after its build, and `npm test` runs one file, since running all of them would run this one again. A command
 *  that is not listed here fails the test. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { COMMANDS } from '../bundle.ts'
import {
  commandFile,
  conclave,
  directoryOf,
  projectRoot,
  type Ran,
  run,
  type ServeProcess,
  serve,
  temporaryDirectory,
  zoneText,
} from './support/serve.ts'
import { needs, PATIENT, toolPath } from './support/tools.ts'

interface Package {
  readonly bin: { readonly conclave: string }
  readonly scripts: { readonly start: string; readonly test: string }
}

const manifest = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as Package
const COMMAND = `node ${manifest.bin.conclave} serve `

/** Lines of README's ```sh blocks. */
function commands(): string[] {
  const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8')
  return [...readme.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(block => block[1]!.trim().split('\n'))
}

/** `npm start` builds, then serves: those words in a copy of the examples. */
function startExamples(t: ExecutionContext): Promise<ServeProcess> {
  const [build, start] = manifest.scripts.start.split(' && ')
  t.is(build, 'npm run build')
  t.true(start!.startsWith(COMMAND), start)
  const cwd = temporaryDirectory(t)
  const unsigned = (source: string): boolean => !source.includes('.conclave')
  cpSync(join(projectRoot, 'examples'), join(cwd, 'examples'), { recursive: true, filter: unsigned })
  return serve(t, cwd, start!.slice(COMMAND.length).split(' '))
}

function dig(server: ServeProcess, command: string): Promise<Ran> {
  const words = command.replace(' -p 5300 ', ` -p ${server.port} `).split(' ').slice(1)
  return run(toolPath('dig')!, [PATIENT, ...words])
}

const NPM = ['npm install && npm start', 'npm install && CONCLAVE_INSTALL=1 npm test']
/** Of a second signer. */
const OTHERS_DNSKEY =
  '@ DNSKEY 257 3 13 uqKuoSgu29Jus/YQuIOzc2krl7EHACEVUDCa574J1jhBJKYwXTSqYhU4p9fsr/c9UK9lidBeNYav+qbpO4rJ5A=='
const NPX = 'npx conclave '

test('every command of README is run by a test of this file', t => {
  const others = commands().filter(line => !line.startsWith(NPX) && !line.startsWith('dig '))
  t.deepEqual(others, NPM)
  t.is(commands().filter(line => line.startsWith('dig ')).length, 2)
  t.is(commands().filter(line => line.startsWith(`${NPX}serve `)).length, 2)
  t.is(manifest.bin.conclave, 'dist/bundle/main.js')
  t.is(join(projectRoot, 'dist', COMMANDS['main']!.replace(/\.ts$/, '.js')), commandFile)
})

test('npm start, and the dig lines', async t => {
  const server = await startExamples(t)
  t.deepEqual(
    server.serving.zones.map(zone => [zone.zone, zone.state]),
    [
      ['andes.example.', 'serving'],
      ['everything.example.', 'serving'],
      ['gob.example.', 'serving'],
    ],
  )
  t.is(server.serving.ds.length, 3)
  if (!needs(t, 'dig')) return
  const [soa, axfr] = commands().filter(command => command.startsWith('dig '))
  const answer = await dig(server, soa!)
  t.regex(answer.out, /status: NOERROR/)
  t.regex(answer.out, /^andes\.example\.\s+3600\s+IN\s+RRSIG\s+SOA 13 2 /m)
  const transfer = await dig(server, axfr!)
  t.regex(transfer.out, /^andes\.example\.\s.*\sZONEMD\s/m)
  t.regex(transfer.out, /^;; XFR size: \d+ records/m)
})

/** The zone that is taken over, and the keys of whoever signed it; a KSK that is elsewhere. */
async function signElsewhere(cwd: string): Promise<void> {
  writeFileSync(join(cwd, 'old.zone'), zoneText('old.example.'))
  for (const words of [
    ['sign', 'old.zone', '--keys', 'other', '-o', 'old.example.signed'],
    ['keys', 'export', 'old.example', 'old-keys', '--keys', 'other'],
    ['keys', 'generate', 'vault.example', '--role', 'ksk', '--keys', 'offline'],
  ]) {
    await conclave(words, { cwd })
  }
}

test('conclave serve on a port of one’s own, and the other commands beside it, in the order of README', async t => {
  const [serving, ...others] = commands().flatMap(line =>
    line.startsWith(NPX) && !line.includes(' -c ') ? [line.slice(NPX.length).split(' ')] : [],
  )
  t.deepEqual([serving![0], ...serving!.slice(-2)], ['serve', '--listen', '127.0.0.1@5301'])
  const cwd = directoryOf(t, {
    'example.com.zone': zoneText('example.com.'),
    'vault.zone': zoneText('vault.example.'),
    'shared.zone': zoneText('shared.example.', [OTHERS_DNSKEY]),
    'zones/example.org.zone': zoneText('example.org.'),
  })
  await signElsewhere(cwd)
  const server = await serve(t, cwd, serving!.slice(1, -2))
  t.deepEqual(
    server.serving.zones.map(zone => zone.zone),
    ['example.com.', 'example.org.'],
  )
  for (const words of others) {
    const { code, out, err } = await conclave(words, { cwd })
    t.is(code, 0, `${words.join(' ')}: ${out}${err}`)
  }
})

test('the configuration of README is checked and served; ports are free ones', async t => {
  const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8')
  const [, text] = /^```yaml\n(listen: \[127\.0\.0\.1@5302\][\s\S]*?)^```$/m.exec(readme)!
  const cwd = directoryOf(t, {
    'conclave.yaml': text!,
    'example.com.zone': zoneText('example.com.'),
    'zones/example.org.zone': zoneText('example.org.'),
  })
  const [check, start, ...none] = commands().filter(line => line.includes(' -c '))
  t.deepEqual(none, [])
  const checked = await conclave(check!.slice(NPX.length).split(' '), { cwd })
  t.deepEqual([checked.code, checked.err], [0, ''])
  const words = start!.slice(NPX.length).split(' ')
  t.is(words[0], 'serve')
  const server = await serve(t, cwd, words.slice(1))
  t.deepEqual(
    server.serving.zones.map(({ zone, denial, state }) => [zone, denial, state]),
    [
      ['example.com.', 'nsec3', 'serving'],
      ['example.org.', 'nsec3', 'serving'],
    ],
  )
})

test('npm test: its script is there and ends with the counts', async t => {
  const [build, words] = manifest.scripts.test.split(' && ')
  t.is(build, 'npm run build')
  t.is(words, 'node dist/test/run.js')
  const file = 'dist/test/base/file-lock.test.js'
  const { code, out } = await run(process.execPath, ['dist/test/run.js', file], { cwd: projectRoot })
  t.is(code, 0)
  t.regex(out, /^tests: [1-9]\d* passed, 0 failed$/m)
})
