/** What worker threads load: every server starts several, and each has its own copy of all that it imports. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'

const dist = fileURLToPath(new URL('..', import.meta.url))

/** Files and packages that a compiled module imports when it is loaded, itself and node: apart. */
function closure(file: string, found: Set<string> = new Set()): Set<string> {
  const text = readFileSync(join(dist, file), 'utf8')
  for (const [, target = ''] of text.matchAll(/^(?:import|export)\s[^;]*?from\s+'([^']+)'/gms)) {
    const name = target.startsWith('.') ? join(dirname(file), target) : target
    if (name.startsWith('node:') || found.has(name)) continue
    found.add(name)
    if (target.startsWith('.')) closure(name, found)
  }
  return found
}

function packagesOf(found: Set<string>): string[] {
  return [...found].filter(name => !name.endsWith('.js'))
}

test('an answering thread loads what answering needs: no parser, no signer, one package', t => {
  const found = closure('server/udp-worker.js')
  t.true(found.has('server/answer.js'), 'the check sees imports')
  t.deepEqual(packagesOf(found), ['lru-cache'])
  t.deepEqual(
    [...found].filter(name => name.startsWith('signer/') || /zonefile|scanner|store\/edit/.test(name)),
    [],
  )
})

test('a thread that signs loads no package and no zone', t => {
  const found = closure('signer/crypto-worker.js')
  t.true(found.has('signer/verify-signature.js'), 'the check sees imports')
  t.deepEqual(packagesOf(found), [])
  t.deepEqual(
    [...found].filter(name => name.startsWith('zones/')),
    [],
  )
})
