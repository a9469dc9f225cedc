/** What package.json names is the bundle (bundle.ts); the other tests take dist/ file by file. */
import { isAscii } from 'node:buffer'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import { bundle, FACES } from '../bundle.ts'
import type { createNameserver } from '../server/index.ts'
import { askUdp, projectRoot, run, temporaryDirectory, zoneText } from './support/serve.ts'

const NAME = 'bundle-of-test'
const directory = join(projectRoot, 'dist', NAME)

test.before(() => bundle(NAME))
test.after.always(() => rmSync(directory, { recursive: true, force: true }))

function load(file: string): Promise<Record<string, unknown>> {
  return import(pathToFileURL(file).href) as Promise<Record<string, unknown>>
}

const manifest = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>
}

test('faces export what their rooms do, and types are of the same room', async t => {
  for (const { types, default: file } of Object.values(manifest.exports)) {
    const name = /^\.\/dist\/bundle\/(.*)\.mjs$/.exec(file)![1]!
    const room = FACES[name]!.replace(/\.ts$/, '')
    t.is(types, `./dist/${room}.d.ts`)
    const [ours, whole] = [
      await load(join(directory, `${name}.mjs`)),
      await load(join(projectRoot, 'dist', `${room}.js`)),
    ]
    t.deepEqual(Object.keys(ours).sort(), Object.keys(whole).sort())
  }
})

test('commands, and programs of threads and processes, are in the bundle', t => {
  for (const file of Object.values(manifest.bin)) t.true(existsSync(file.replace('dist/bundle', directory)))
  const programs = ['base', 'zones', 'signer', 'server', 'hsm', 'cli'].flatMap(room =>
    readdirSync(join(projectRoot, room), { recursive: true, encoding: 'utf8' })
      .filter(file => file.endsWith('.ts'))
      .flatMap(file => [...readFileSync(join(projectRoot, room, file), 'utf8').matchAll(PROGRAM)]),
  )
  t.true(programs.length >= 5)
  for (const [, name] of programs) t.true(existsSync(join(directory, name!)), name)
})

test('only comments of scripts are not ASCII: the loader reads octets', t => {
  for (const file of readdirSync(directory).filter(name => name.endsWith('.script.js'))) {
    const lines = readFileSync(join(directory, file), 'utf8').split('\n')
    const code = lines.filter(line => !/^\s*(\/?\*|\/\/)/.test(line))
    t.true(code.length > 100)
    t.deepEqual(
      code.filter(line => !isAscii(Buffer.from(line))),
      [],
      file,
    )
  }
})

/** Static imports of a compiled module, and theirs. */
function importsOf(file: string, seen: Set<string> = new Set()): Set<string> {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const [, from] of readFileSync(file, 'utf8').matchAll(/^(?:import|export|\}) .*?from '([^']+)';$/gm)) {
    if (from!.startsWith('.')) importsOf(join(file, '..', from!), seen)
    else seen.add(from!)
  }
  return seen
}

test('serve without a configuration loads nothing that reads one', t => {
  const loaded = importsOf(join(projectRoot, 'dist', 'cli', 'serve.js'))
  t.true(loaded.has('node:crypto'))
  t.false(loaded.has('zod'))
  t.true(importsOf(join(projectRoot, 'dist', 'cli', 'serve-config.js')).has('zod'))
})

const PROGRAM = /new URL\('\.\/([^']*)', import\.meta\.url\)/g

test('the command signs, with its threads', async t => {
  const cwd = temporaryDirectory(t)
  writeFileSync(join(cwd, 'example.zone'), zoneText('example.'))
  const words = [join(directory, 'main.js'), 'sign', 'example.zone', '-o', 'signed.zone']
  const first = await run(process.execPath, words, { cwd })
  t.is(first.code, 0, first.err)
  t.regex(readFileSync(join(cwd, 'signed.zone'), 'utf8'), /\sRRSIG\s/)
  t.true(existsSync(join(directory, 'conclave.main.sign.code')), 'for the next time')
  const { out } = await run(process.execPath, words, { cwd })
  t.is(out, first.out)
})

test('a program that embeds it answers, with its threads', async t => {
  const face = (await load(join(directory, 'index.mjs'))) as {
    readonly createNameserver: typeof createNameserver
  }
  const server = await face.createNameserver({ listen: ['127.0.0.1@0'] })
  t.teardown(() => server.close())
  await server.addText(zoneText('example.'), { origin: 'example.' })
  const answer = await askUdp(server.addresses[0]!, 'example.', 'SOA')
  t.true(answer.answer.some(line => line.includes(' RRSIG ')))
})
