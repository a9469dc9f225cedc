/** Documents are true: every error code is listed once, and README names commands that exist. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'

const root = fileURLToPath(new URL('../..', import.meta.url))
const ROOMS = ['base', 'zones', 'hsm', 'signer', 'server', 'cli']

/** Errors that are thrown, outcomes that say why a version was refused, faults of a configuration, refusals of nodes. */
const CODE =
  /(?:new (?:Conclave|Token)Error\(|new NodeRefusal\(|\brefus(?:ed|ing)\(|changeFault\(|\bcode:)\s*'([A-Z0-9_]+)'|'(CONFIG_[A-Z_]+)'/g

function errorCodes(): Set<string> {
  const codes = new Set<string>()
  for (const room of ROOMS) {
    for (const entry of readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })) {
      if (!entry.endsWith('.ts')) continue
      const text = readFileSync(join(root, room, entry), 'utf8')
      for (const match of text.matchAll(CODE)) codes.add(match[1] ?? match[2]!)
    }
  }
  return codes
}

test('docs/errors.md lists every error code of the sources, and no other', t => {
  const listed = [
    ...readFileSync(join(root, 'docs/errors.md'), 'utf8').matchAll(/^\| `([A-Z0-9_]+)` *\|/gm),
  ].map(match => match[1]!)
  const used = [...errorCodes()].sort()
  t.true(used.length > 0)
  t.deepEqual([...listed].sort(), used)
})

test('the programs in README are parts of examples that run', t => {
  const read = (name: string): string => readFileSync(join(root, name), 'utf8')
  const examples = readdirSync(join(root, 'examples')).filter(name => name.endsWith('.ts'))
  const texts = examples.map(name => read(join('examples', name)))
  const blocks = [...read('README.md').matchAll(/```ts\n([^`]*)```/g)].map(match => match[1]!)
  t.true(blocks.length > 0)
  for (const block of blocks)
    t.true(
      texts.some(text => text.includes(block)),
      block,
    )
})
