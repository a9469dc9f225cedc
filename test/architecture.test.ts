/** The arrows between rooms (ARCHITECTURE.md): a room imports itself, rooms below it, packages and node:, nothing else. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Each room and the rooms it may import. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  base: [],
  zones: ['base'],
  hsm: ['zones', 'base'],
  signer: ['zones', 'hsm', 'base'],
  server: ['signer', 'zones', 'base'],
  cli: ['server', 'signer', 'hsm', 'zones', 'base'],
}
/** One way each of zones/ to the outside is closed: it has no socket, clock, randomness or key. */
const FORBIDDEN_IN_ZONES = ['node:net', 'node:dgram', 'node:crypto', 'node:fs', 'node:child_process']

function importsOf(text: string): string[] {
  const pattern =
    /(?:^|\n)\s*(?:import|export)\b[^'"\n;]*?(?:\{[^}]*\}[^'"\n;]*?)?\bfrom\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]|(?:^|\n)import\s*['"]([^'"]+)['"]/g
  return [...text.matchAll(pattern)].map(match => match[1] ?? match[2] ?? match[3]!)
}

/** What is wrong with the imports of a file of that room, as sentences. */
function importFaults(file: string, text: string): string[] {
  const room = file.split('/')[0]!
  const faults: string[] = []
  for (const target of importsOf(text)) {
    if (room === 'zones' && FORBIDDEN_IN_ZONES.includes(target)) faults.push(`${file} imports ${target}`)
    if (!target.startsWith('.')) continue
    const other = relative(root, resolve(root, dirname(file), target)).split('/')[0]!
    if (other !== room && !(ALLOWED[room] ?? []).includes(other)) faults.push(`${file} imports ${target}`)
  }
  return faults
}

function sourceFiles(): string[] {
  const rooms = Object.keys(ALLOWED).filter(room => existsSync(join(root, room)))
  return rooms.flatMap(room => {
    const entries = readdirSync(join(root, room), { recursive: true, withFileTypes: true })
    return entries
      .filter(entry => entry.isFile() && entry.name.endsWith('.ts'))
      .map(entry => relative(root, join(entry.parentPath, entry.name)))
  })
}

test('rooms import only rooms below them', t => {
  const files = sourceFiles()
  t.true(files.length >= 150, `only ${files.length} files were found to check`)
  const texts = files.map(file => [file, readFileSync(join(root, file), 'utf8')] as const)
  t.true(texts.flatMap(([, text]) => importsOf(text)).length >= 500, 'the check sees no imports')
  t.deepEqual(
    texts.flatMap(([file, text]) => importFaults(file, text)),
    [],
  )
})

test('the check of the arrows catches each kind of wrong import', t => {
  const wrong = [
    "import { answer } from '../server/index.ts'",
    "import {\n  answer,\n  type Context,\n} from '../server/index.ts'",
    "export * from '../signer/index.ts'",
    "const late = await import('../cli/main.ts')",
    "import '../server/index.ts'",
    "import { createSocket } from 'node:dgram'",
  ]
  for (const text of wrong) t.is(importFaults('zones/fixture.ts', text).length, 1, text)
  t.deepEqual(
    importFaults(
      'zones/fixture.ts',
      "import { Place } from '../base/index.ts'\nimport { x } from './name.ts'",
    ),
    [],
  )
})
