import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { open } from 'lmdb'
import { giveBackMapped, isLetGo, letGo, letGoPart } from '../../base/index.ts'

test('large buffers are given back at once; small ones are left to the collector', t => {
  const large = [new Uint8Array(2 << 20).fill(1), new Uint8Array(1 << 20)]
  const words = new Uint32Array(1 << 20)
  const small = Buffer.from('a zone')
  letGo(small, ...large, words)
  const page = 64 << 10
  for (const { buffer } of [...large, words]) {
    const left = new Uint8Array(buffer)
    t.is(left.length > 0, process.platform === 'linux', 'I1')
    t.true(left.subarray(page, -page).every(octet => octet === 0))
  }
  t.is(small.toString(), 'a zone')
  t.deepEqual([isLetGo(large[0]!), isLetGo(small)], [true, false])
})

test('of a large buffer the start is given back; what is left stays as it is', t => {
  const octets = new Uint8Array(32 << 20).fill(1)
  const first = letGoPart(octets, 0, 9_000_000)
  const second = letGoPart(octets, first, 20_000_000)
  t.true(first <= 9_000_000 && first <= second && second <= 20_000_000)
  if (process.platform === 'linux') t.true(second > 19_000_000)
  t.true(octets.subarray(second).every(octet => octet === 1))
  t.is(letGoPart(octets, second, second + 1000), second, 'too little')
  const small = new Uint8Array(1000).fill(1)
  t.is(letGoPart(small, 0, 1000), 0)
  t.true(small.every(octet => octet === 1))
})

test('pages of a mapped file leave the process; what was written stays, and more can be', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'conclave-mapped-'))
  const file = join(directory, 'state.mdb')
  const database = open<Buffer, number>({ path: file, noSubdir: true, encoding: 'binary' })
  t.teardown(async () => {
    await database.close()
    rmSync(directory, { recursive: true })
  })
  const values = Array.from({ length: 16 }, (_, index) => Buffer.alloc(1 << 18, index + 1))
  for (const [key, value] of values.entries()) await database.put(key, value)
  const same = (value: Buffer, key: number): boolean => value.equals(database.get(key) ?? Buffer.alloc(0))
  t.true(values.every(same))
  const linked = join(directory, 'linked')
  symlinkSync(directory, linked)
  const before = residentOctets(file)
  const given = giveBackMapped(join(linked, 'state.mdb'))
  if (process.platform === 'linux') {
    t.true(before > 3 << 20)
    t.true(given >= 4 << 20)
    t.true(residentOctets(file) < before / 4)
  }
  t.true(values.every(same))
  await database.put(99, values[3]!)
  t.true(same(values[3]!, 99))
  t.is(giveBackMapped(join(directory, 'another')), 0)
})

/** Of the mapping of a file in this process (proc(5), smaps); 0 elsewhere. */
function residentOctets(file: string): number {
  if (process.platform !== 'linux') return 0
  const mappings = readFileSync('/proc/self/smaps', 'latin1').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
  const resident = mappings.filter(one => one.includes(file)).map(one => /^Rss:\s+(\d+)/m.exec(one)?.[1])
  return resident.reduce((sum, kibibytes) => sum + Number(kibibytes ?? 0) * 1024, 0)
}
