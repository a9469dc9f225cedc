import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { letGo } from '../../base/index.ts'
import { octetsAgain, readSource, readStable } from '../../server/watch-read.ts'

test('octets that were let go are had again while the file has them, and not when it has others', t => {
  const directory = mkdtempSync(join(tmpdir(), 'conclave-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'large')
  writeFileSync(path, 'x'.repeat(2 << 20))
  const read = readSource(path)
  t.is(octetsAgain(read), read.octets)
  letGo(read.octets)
  t.is(octetsAgain(read)?.length, 2 << 20)
  writeFileSync(path, 'y'.repeat(2 << 20))
  t.is(octetsAgain(read), undefined)
  rmSync(path)
  t.is(octetsAgain(read), undefined)
})

for (const [size, octets] of Object.entries({ small: 1000, large: 3 << 20 })) {
  test(`a ${size} file that has not been looked at is read when its last change is older than the moment given`, async t => {
    const directory = mkdtempSync(join(tmpdir(), 'conclave-'))
    t.teardown(() => rmSync(directory, { recursive: true }))
    const path = join(directory, 'zone')
    writeFileSync(path, 'x'.repeat(octets))
    const changedUnix = statSync(path).ctimeMs / 1000
    t.deepEqual(await readStable(path, changedUnix - 1), { kind: 'changing', writer: false })
    const outcome = await readStable(path, changedUnix + 1)
    t.is(outcome.kind === 'read' && outcome.read.octets.length, octets)
  })
}
