import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { type DenialMode, type VerifyOptions, verifyZone } from '../../signer/index.ts'
import { nameFromText } from '../../zones/index.ts'
import { contentOf, cskOf, hasProgram, NOW, pool, settingsOf, TestZone, textOf } from './build-support.ts'
import { RandomZone } from './random-zones.ts'

const apex = nameFromText('example.')
const DENIALS: readonly DenialMode[] = ['nsec', 'nsec3', 'opt-out']

const ZONE = `
@ 3600 SOA ns1 host 1 7200 3600 1209600 900
@ 3600 NS ns1
ns1 300 A 192.0.2.1
*.w 300 A 192.0.2.2
a.b.c 300 TXT "x"
sub 300 NS ns.sub
ns.sub 300 A 192.0.2.3
sec 300 NS ns.sub
sec 300 DS 1 13 2 ${'00'.repeat(32)}
d 300 DNAME ns1
`

/** Rules of the faults that a zone file, served as it is, has. */
async function faultsOf(text: string, options: Partial<VerifyOptions> = {}): Promise<string[]> {
  const zone = new TestZone('example.')
  const content = contentOf(zone.store, text, 'example.')
  const result = await zone.build({ edits: { kind: 'all', content } })
  if (result.kind === 'refused') return result.faults.map(({ rule }) => rule)
  if (result.kind !== 'built') throw new Error(result.kind)
  const { faults } = await verifyZone(zone.store, result.record, zone.apex, { pool, at: NOW, ...options })
  return faults.filter(({ severity }) => severity === 'error').map(({ rule }) => rule)
}

for (const denial of DENIALS) {
  test(`RFC 4035 §2: random zones that we build have no fault, printed and read again, ${denial}`, async t => {
    for (const [seed, algorithm] of [8, 10, 13, 14, 15, 16].entries()) {
      const zone = new TestZone('example.', settingsOf(cskOf(apex, algorithm).keys, { denial }))
      const random = new RandomZone(seed, 30)
      const built = await zone.load(random.text(true))
      const { faults } = await verifyZone(zone.store, built.record, apex, { pool, at: NOW })
      t.deepEqual(faults, [], random.text(true))
      t.deepEqual(await faultsOf(textOf(zone)), [], random.text(true))
    }
  })
}

async function signed(denial: DenialMode = 'nsec', text = ZONE): Promise<string> {
  const zone = new TestZone('example.', settingsOf(cskOf(apex).keys, { denial, zonemd: 'none' }))
  await zone.load(text)
  return textOf(zone)
}

/** One line that matches, changed or (undefined) taken out. */
function mutate(text: string, pattern: RegExp, change: (line: string) => string | undefined): string {
  const lines = text.split('\n')
  const at = lines.findIndex(line => pattern.test(line))
  if (at < 0) throw new Error(`no line matches ${pattern}`)
  const changed = change(lines[at]!)
  lines.splice(at, 1, ...(changed === undefined ? [] : [changed]))
  return lines.join('\n')
}

const RRSIG_A = /^ns1\.example\.\t.*RRSIG\tA /
const drop = (): undefined => undefined

test('RFC 4035 §2.2: a missing RRSIG', async t => {
  t.deepEqual(await faultsOf(mutate(await signed(), RRSIG_A, drop)), ['rrset-unsigned'])
})

test('RFC 4035 §2.2: an RRSIG over glue', async t => {
  const text = await signed()
  const rrsig = text.split('\n').find(line => RRSIG_A.test(line))!
  const extra = rrsig.replace('ns1.example.', 'ns.sub.example.').replace('A 13 2', 'A 13 3')
  t.deepEqual(await faultsOf(`${text}${extra}\n`), ['rrsig-extra'])
})

test('RFC 4035 §5.3.1: validity', async t => {
  const text = await signed()
  t.deepEqual([...new Set(await faultsOf(text, { at: NOW + 15 * 86400 }))], ['rrsig-expired'])
  t.deepEqual([...new Set(await faultsOf(text, { at: NOW - 7200 }))], ['rrsig-not-yet-valid'])
  t.deepEqual([...new Set(await faultsOf(text, { validForSeconds: 14 * 86400 }))], ['rrsig-expires-soon'])
  t.deepEqual(await faultsOf(text, { validForSeconds: 11 * 86400 }), [])
})

test('RFC 4034 §3.1: wrong fields and octets of an RRSIG', async t => {
  const text = await signed()
  const change = (from: string, to: string): Promise<string[]> =>
    faultsOf(mutate(text, RRSIG_A, line => line.replace(from, to)))
  t.deepEqual(await change('A 13 2 300', 'A 13 1 300'), ['rrsig-labels'])
  t.deepEqual(await change('A 13 2 300', 'A 13 2 301'), ['rrsig-original-ttl'])
  t.deepEqual(await change(' example. ', ' other. '), ['rrsig-signer'])
  // The RRSIG itself is only a warning: its algorithm may be on the way in or out (RFC 6781 §4.1.4).
  t.deepEqual(await change('A 13 2 300', 'A 15 2 300'), ['algorithm-incomplete'])
  t.deepEqual(await faultsOf(mutate(text, /^ns1.*\tA\t/, line => line.replace('192.0.2.1', '192.0.2.9'))), [
    'rrsig-wrong',
  ])
})

test('RFC 4035 §2.2: every algorithm of the DNSKEY RRset signs every RRset', async t => {
  const keys = [...cskOf(apex, 13).keys, ...cskOf(apex, 15, 1).keys]
  const zone = new TestZone('example.', settingsOf(keys, { zonemd: 'none' }))
  await zone.load(ZONE)
  t.deepEqual(await faultsOf(textOf(zone)), [])
  t.deepEqual(await faultsOf(mutate(textOf(zone), /^ns1.*RRSIG\tA 15/, drop)), ['algorithm-incomplete'])
})

/** Signing with a key whose store signs whatever it is given would hide these: the signature goes wrong too. */
const without = (rules: readonly string[]): string[] => rules.filter(rule => rule !== 'rrsig-wrong')

test('RFC 4035 §2.3: faults of the NSEC chain and its bitmaps', async t => {
  const text = await signed()
  const NSEC = /^ns1\.example\.\t.*\tNSEC\t/
  const changed = async (change: (line: string) => string): Promise<string[]> =>
    without(await faultsOf(mutate(text, NSEC, change)))
  t.deepEqual(await changed(line => line.replace('sec.example.', 'sub.example.')), ['nsec-next'])
  t.deepEqual(await changed(line => line.replace(' A ', ' A AAAA ')), ['nsec-bitmap'])
  t.deepEqual(await changed(line => line.replace(' RRSIG', '')), ['nsec-bitmap'])
  const gone = mutate(mutate(text, NSEC, drop), /^ns1\.example\.\t.*RRSIG\tNSEC /, drop)
  t.deepEqual(await faultsOf(gone), ['nsec-missing'])
  const glue = text
    .split('\n')
    .find(line => NSEC.test(line))!
    .replace('ns1.', 'ns.sub.')
  t.deepEqual(await faultsOf(`${text}${glue}\n`), ['nsec-extra'])
})

test('RFC 5155 §7.1: faults of the NSEC3 chain and its bitmaps', async t => {
  const text = await signed('nsec3')
  const NSEC3 = /^\S{32}\.example\.\t.*\tNSEC3\t.* TXT/
  const changed = async (change: (line: string) => string | undefined): Promise<string[]> =>
    without(await faultsOf(mutate(text, NSEC3, change)))
  t.deepEqual(await changed(line => line.replace(' TXT', ' TXT AAAA')), ['nsec3-bitmap'])
  t.deepEqual(await changed(line => line.replace(/- \S{32}/i, `- ${'0'.repeat(32)}`)), ['nsec3-next'])
  t.deepEqual(await changed(line => line.replace('\t1 0 0', '\t1 2 0')), ['nsec3-parameters'])
  const owner = text
    .split('\n')
    .find(line => NSEC3.test(line))!
    .split('\t')[0]!
  const gone = text
    .split('\n')
    .filter(line => !line.startsWith(owner))
    .join('\n')
  t.deepEqual(await faultsOf(gone), ['nsec3-missing', 'nsec3-next'])
  // Names gone, their NSEC3 left: for a.b.c and the two empty ones above it.
  const extra = text
    .split('\n')
    .filter(line => !line.startsWith('a.b.c.'))
    .join('\n')
  t.deepEqual(await faultsOf(extra), ['nsec3-extra', 'nsec3-extra', 'nsec3-extra'])
})

test('RFC 5155 §6: with opt-out an insecure delegation needs no NSEC3, others do', async t => {
  const text = await signed('opt-out')
  t.deepEqual(await faultsOf(text), [])
  t.deepEqual(await faultsOf(text.replaceAll('\t1 1 0 -', '\t1 0 0 -')).then(rules => without(rules)), [
    'nsec3-missing',
  ])
  const ds = mutate(mutate(text, /^sec.*\tDS\t/, drop), /^sec.*RRSIG\tDS/, drop)
  t.deepEqual(await faultsOf(ds), ['nsec3-bitmap'])
})

test('RFC 8976 §4: a ZONEMD that does not match, or of another serial', async t => {
  const zone = new TestZone('example.', settingsOf(cskOf(apex).keys))
  await zone.load(ZONE)
  t.deepEqual(await faultsOf(textOf(zone)), [])
  // Glue is not signed: only the digest tells.
  t.deepEqual(await faultsOf(textOf(zone).replace('192.0.2.3', '192.0.2.33')), ['zonemd-mismatch'])
  const other = mutate(textOf(zone), /\tZONEMD\t/, line => line.replace('ZONEMD\t1 ', 'ZONEMD\t2 '))
  t.deepEqual(await faultsOf(other), ['rrsig-wrong', 'zonemd-serial'])
})

test('RFC 4035 §5.2: a DS must lead to a DNSKEY', async t => {
  const text = await signed()
  const ds = Buffer.from(`0001${'0d02'}${'00'.repeat(32)}`, 'hex')
  t.deepEqual(await faultsOf(text, { ds: [ds] }), ['ds-mismatch'])
})

test('a zone without signatures', async t => {
  t.deepEqual(await faultsOf(ZONE), ['dnskey-missing'])
})

if (hasProgram('dnssec-signzone') && hasProgram('ldns-signzone')) {
  for (const denial of DENIALS) {
    test(`what BIND and ldns sign has no fault, ${denial}`, async t => {
      const directory = mkdtempSync(join(tmpdir(), 'conclave-verify-'))
      try {
        for (const signer of [signWithBind, signWithLdns]) {
          const text = signer(directory, new RandomZone(7, 30).text(true), denial)
          t.deepEqual(await faultsOf(text, { at: Date.now() / 1000 }), [], signer.name)
        }
      } finally {
        rmSync(directory, { recursive: true })
      }
    })
  }
}

function signWithBind(directory: string, text: string, denial: DenialMode): string {
  const where = mkdtempSync(join(directory, 'bind-'))
  const run = (program: string, words: string[]): Buffer =>
    execFileSync(program, words, { cwd: where, stdio: 'pipe' })
  writeFileSync(join(where, 'zone'), `$ORIGIN example.\n${text}`)
  run('dnssec-keygen', ['-q', '-a', 'ECDSAP256SHA256', '-f', 'KSK', 'example.'])
  run('dnssec-keygen', ['-q', '-a', 'ECDSAP256SHA256', 'example.'])
  const nsec3 = denial === 'nsec' ? [] : ['-3', '-', ...(denial === 'opt-out' ? ['-A'] : [])]
  run('dnssec-signzone', ['-q', '-S', '-O', 'full', '-o', 'example.', ...nsec3, '-f', 'signed', 'zone'])
  return readFileSync(join(where, 'signed'), 'utf8')
}

function signWithLdns(directory: string, text: string, denial: DenialMode): string {
  const where = mkdtempSync(join(directory, 'ldns-'))
  const run = (program: string, words: string[]): Buffer =>
    execFileSync(program, words, { cwd: where, stdio: 'pipe' })
  writeFileSync(join(where, 'zone'), `$ORIGIN example.\n${text}`)
  const key = run('ldns-keygen', ['-a', 'ED25519', '-k', 'example.']).toString().trim()
  const nsec3 = denial === 'nsec' ? [] : ['-n', ...(denial === 'opt-out' ? ['-p'] : [])]
  run('ldns-signzone', [...nsec3, '-o', 'example.', '-f', 'signed', 'zone', key])
  return readFileSync(join(where, 'signed'), 'utf8')
}
