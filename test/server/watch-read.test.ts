import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { letGo, octetsAgain, readSource } from '../../server/watch-read.ts'

test('the text of a large file is given back at once; small ones are left to the collector', t => {
  const large = new Uint8Array(2 << 20).fill(1)
  letGo(large)
  t.is(large.buffer.byteLength, 0)
  const small = Buffer.from('a zone')
  letGo(small)
  t.is(small.toString(), 'a zone')
})

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
