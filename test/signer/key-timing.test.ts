/** What BIND and Knot note of a key's life: the files of BIND's own programs, and keymgr's own listing. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import {
  bindTiming,
  type KeyLife,
  knotListing,
  type RecordSince,
  type RecordState,
  timingOf,
} from '../../signer/index.ts'
import { run, temporaryDirectory } from '../support/serve.ts'
import { needs, toolPath } from '../support/tools.ts'

const CREATED = 1_795_000_000

test('BIND: the same times in .key and .private; what is not set is absent', async t => {
  if (!needs(t, 'dnssec-keygen')) return
  const directory = temporaryDirectory(t)
  const words = ['-q', '-a', '13', '-K', directory, '-P', '20270101000000', '-A', '20270102000000']
  const { out } = await run(toolPath('dnssec-keygen')!, [...words, '-I', '20270103000000', 'timing.example'])
  const expected = { publishUnix: 1_798_761_600, activateUnix: 1_798_848_000, inactiveUnix: 1_798_934_400 }
  for (const ending of ['key', 'private']) {
    t.deepEqual(bindTiming(readFileSync(join(directory, `${out.trim()}.${ending}`), 'utf8')), expected)
  }
})

test('BIND: a .state file of dnssec-policy', t => {
  const state = [
    '; This is the state of key 1247, for pol.',
    'Algorithm: 13',
    'Lifetime: 0',
    'Generated: 20270101000000 (Fri Jan  1 00:00:00 2027)',
    'Published: 20270101000000 (Fri Jan  1 00:00:00 2027)',
    'Active: 20270102000000 (Sat Jan  2 00:00:00 2027)',
    'Retired: 20270103000000 (Sun Jan  3 00:00:00 2027)',
    'Removed: 20270104000000 (Mon Jan  4 00:00:00 2027)',
    'DNSKEYChange: 20270105000000 (Tue Jan  5 00:00:00 2027)',
    '',
  ].join('\n')
  t.deepEqual(bindTiming(state), {
    publishUnix: 1_798_761_600,
    activateUnix: 1_798_848_000,
    inactiveUnix: 1_798_934_400,
    deleteUnix: 1_799_020_800,
  })
})

test('keymgr: lines and JSON say the same', async t => {
  if (!needs(t, 'keymgr')) return
  const directory = temporaryDirectory(t)
  const keymgr = (...words: string[]): Promise<{ out: string; code: number | null }> =>
    run(toolPath('keymgr')!, ['-D', directory, ...words])
  const times = `publish=${CREATED} ready=${CREATED} active=${CREATED}`
  await keymgr('timing.example', 'generate', 'ksk=yes', 'zsk=no', ...times.split(' '))
  await keymgr(
    'timing.example',
    'generate',
    `publish=${CREATED}`,
    `active=${CREATED + 9}`,
    `retire=${CREATED + 10}`,
  )
  const listed = knotListing((await keymgr('timing.example', 'list')).out)
  t.deepEqual(knotListing((await keymgr('-j', 'timing.example', 'list')).out), listed)
  t.deepEqual(
    listed
      .map(({ ksk, zsk, timing }) => ({ ksk, zsk, timing }))
      .sort((a, b) => Number(a.zsk) - Number(b.zsk)),
    [
      { ksk: true, zsk: false, timing: { publishUnix: CREATED, activateUnix: CREATED } },
      {
        ksk: false,
        zsk: true,
        timing: { publishUnix: CREATED, activateUnix: CREATED + 9, inactiveUnix: CREATED + 10 },
      },
    ],
  )
})

test('RFC 6781 §4.1.1: times of a ZSK that has left, out of the timeline', t => {
  const since = (state: RecordState, sinceUnix: number): RecordSince => ({ state, sinceUnix })
  const key: KeyLife = {
    ...{ id: 'a', role: 'zsk', algorithm: 13, keyTag: 1, createdUnix: 10, reason: 'it rolled' },
    ...{ goal: 'retired', goalUnix: 300, introducedUnix: 100.5, activeUnix: 200 },
    records: {
      dnskey: since('omnipresent', 150),
      ds: since('hidden', 10),
      keySignature: since('hidden', 10),
      zoneSignature: since('unretentive', 300),
    },
  }
  t.deepEqual(timingOf(key), { publishUnix: 100, activateUnix: 200, inactiveUnix: 300 })
  const gone = { ...key.records, dnskey: since('unretentive', 400), zoneSignature: since('hidden', 390) }
  t.deepEqual(timingOf({ ...key, records: gone }).deleteUnix, 400)
  // A KSK signs as soon as it is shown; that the parent has its DS is another matter.
  const ksk: KeyLife = { ...key, role: 'ksk', goal: 'in-use' }
  t.deepEqual(timingOf(ksk), { publishUnix: 100, activateUnix: 100 })
})
