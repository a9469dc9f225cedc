/** `conclave sign`, `digest` and `verify`: files in, files out, whole or not at all. Others judge what was written. */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { inProcess } from '../support/command.ts'
import { directoryOf, type Ran, run, type Scope, zoneText } from '../support/serve.ts'
import { needs, toolPath } from '../support/tools.ts'

const lines = [
  'www IN A 192.0.2.2',
  'WWW IN TXT "a b"',
  '*.wild IN MX 10 www',
  'a.b.c IN AAAA 2001:db8::1',
  'sub IN NS ns.sub',
  'ns.sub IN A 192.0.2.3',
  'svc IN HTTPS 1 . alpn=h2',
]
const text = zoneText('sign.example.', lines)

/** A directory with the zone file, and a command in it. */
function bench(t: Scope): { file: (name: string) => string; sign: (...words: string[]) => Promise<Ran> } {
  const cwd = directoryOf(t, { 'sign.zone': text })
  const file = (name: string): string => join(cwd, name)
  const sign = (...words: string[]): Promise<Ran> =>
    inProcess(['sign', file('sign.zone'), ...words.map(word => word.replace('%', cwd))])
  return { file, sign }
}

/** Of the SOA record that was written. */
const serialIn = (path: string): number =>
  Number(/\sSOA\s\S+\s\S+\s(\d+)/.exec(readFileSync(path, 'utf8'))?.[1])

/** Inception and expiration of the signature over the SOA. */
const timesIn = (path: string): string[] =>
  /RRSIG\tSOA \d+ \d+ \d+ (\d+) (\d+) /.exec(readFileSync(path, 'utf8'))?.slice(1) ?? []

for (const algorithm of [
  'rsasha256',
  'rsasha512',
  'ecdsap256sha256',
  'ecdsap384sha384',
  'ed25519',
  'ed448',
]) {
  for (const denial of algorithm === 'ecdsap256sha256' ? ['nsec', 'nsec3', 'opt-out'] : ['nsec']) {
    test.serial(
      `--algorithm ${algorithm} --denial ${denial}: verified by us, BIND, ldns and Knot`,
      async t => {
        const { file, sign } = bench(t)
        // ldns of Debian 12 does not know HTTPS in mnemonics it can hash; the generic form is the same record.
        const { code, err } = await sign(
          '-o',
          '%/out',
          '--algorithm',
          algorithm,
          '--denial',
          denial,
          '--generic',
          'HTTPS,ZONEMD',
        )
        t.is(code, 0, err)
        if (algorithm === 'rsasha512') t.regex(err, /^warning: .*(10|RSASHA512)/m)
        t.regex(err, /^key made: .*\.pem$/m)
        const ds = /^for the parent: sign\.example\. IN DS (.*)$/m.exec(err)?.[1]
        const verified = await inProcess(['verify', file('out'), '--ds', ds!])
        t.is(verified.code, 0, verified.err)
        if (!needs(t, 'dnssec-verify', 'ldns-verify-zone', 'kzonecheck')) return
        const judges: [string, string[]][] = [
          ['dnssec-verify', ['-q', '-z', '-o', 'sign.example.', file('out')]],
          ['ldns-verify-zone', ['-ZZ', '-V', '1', file('out')]],
          ['kzonecheck', ['-o', 'sign.example.', '-d', 'on', file('out')]],
        ]
        for (const [judge, words] of judges) {
          const judged = await run(toolPath(judge)!, words)
          t.is(judged.code, 0, `${judge}: ${judged.out}${judged.err}`)
        }
      },
    )
  }
}

test.serial('without -o the zone goes to standard output, figures to standard error', async t => {
  const { file, sign } = bench(t)
  const plain = await sign()
  t.is(plain.code, 0)
  t.regex(plain.err, /^sign\.example\. serial 1: \d+ records, \d+ signatures made, 0 kept$/m)
  writeFileSync(file('piped.zone'), plain.out)
  t.is((await inProcess(['verify', file('piped.zone')])).code, 0)
  // The keys are beside the zone file, whatever the working directory.
  t.is(readdirSync(file('.conclave/keys')).length, 1)
})

test.serial(
  '-o: the old file stays when signing fails; links stay links; the input may be the output',
  async t => {
    const { file, sign } = bench(t)
    writeFileSync(file('out'), 'precious')
    writeFileSync(file('bad.zone'), `${text}x IN A 1.2.3\n`)
    const refused = await inProcess(['sign', file('bad.zone'), '-o', file('out')])
    t.is(refused.code, 1)
    t.is(readFileSync(file('out'), 'utf8'), 'precious')
    symlinkSync('out', file('link'))
    t.is((await sign('-o', '%/link')).code, 0)
    t.true(lstatSync(file('link')).isSymbolicLink())
    t.is((await inProcess(['verify', file('out')])).code, 0)
    t.is((await sign('-o', '%/sign.zone')).code, 0)
    // Once more, now with signatures of a key that is ours: they are made anew, not added to.
    const again = await sign('-o', '%/sign.zone', '--json')
    t.is(again.code, 0)
    const verified = await inProcess(['verify', file('sign.zone'), '--json'])
    t.is(verified.code, 0)
    const made = (JSON.parse(again.out) as Record<string, unknown>)['signaturesMade']
    t.is((JSON.parse(verified.out) as Record<string, unknown>)['signatures'], made)
    t.deepEqual(
      readdirSync(file('')).filter(name => name.endsWith('.tmp')),
      [],
    )
  },
)

test.serial('-o: a directory or a device is never replaced', async t => {
  const { file, sign } = bench(t)
  mkdirSync(file('dir'))
  const directory = await sign('-o', '%/dir')
  t.is(directory.code, 1)
  t.regex(directory.err, /dir: .*\[FILE_WRITE\]/)
  if (!needs(t, 'mkfifo')) return
  await run('mkfifo', [file('pipe')])
  const pipe = await sign('-o', '%/pipe')
  t.is(pipe.code, 1)
  t.regex(pipe.err, /pipe: .*not a regular file.*\[FILE_WRITE\]/)
  t.true(lstatSync(file('pipe')).isFIFO())
})

test.serial(
  'RFC 4034 §3.1.5: --inception and --expiration as date, as Unix time and as a duration',
  async t => {
    const { file, sign } = bench(t)
    await sign('-o', '%/out', '--inception', '20240101000000', '--expiration', '20240201000000')
    t.deepEqual(timesIn(file('out')), ['20240201000000', '20240101000000'])
    const expired = await inProcess(['verify', file('out')])
    t.is(expired.code, 1)
    t.regex(expired.err, /expired/)
    t.is((await inProcess(['verify', file('out'), '--at', '20240115000000'])).code, 0)
    t.is((await inProcess(['verify', file('out'), '--at', '20240115000000', '--valid-for', '30d'])).code, 1)
    await sign('-o', '%/out', '--inception', '1704067200', '--expiration', '1706745600')
    t.deepEqual(timesIn(file('out')), ['20240201000000', '20240101000000'])
    const before = Math.floor(Date.now() / 1000)
    await sign('-o', '%/out', '--expiration', '+3d')
    const [expiration] = timesIn(file('out'))
    const iso = expiration!.replace(/(....)(..)(..)(..)(..)(..)/, '$1-$2-$3T$4:$5:$6Z')
    const seconds = Date.parse(iso) / 1000 - before - 3 * 86_400
    t.true(seconds >= 0 && seconds <= Date.now() / 1000 - before, String(seconds))
  },
)

test.serial('RFC 1982: --serial', async t => {
  const { file, sign } = bench(t)
  const serialOf = async (policy: string): Promise<number> => {
    const { code, err } = await sign('-o', '%/out', '--serial', policy)
    t.is(code, 0, err)
    return serialIn(file('out'))
  }
  t.is(await serialOf('keep'), 1)
  t.is(await serialOf('increment'), 2)
  const before = Math.floor(Date.now() / 1000)
  const unixtime = await serialOf('unixtime')
  t.true(unixtime >= before && unixtime <= Date.now() / 1000)
  const today = (): number => Number(new Date().toISOString().slice(0, 10).replaceAll('-', '')) * 100
  /** How far behind the first serial of its day the next one is; asked again when midnight came between. */
  const ofDay = async (write: (first: number) => void): Promise<number> => {
    for (;;) {
      const first = today()
      write(first)
      const serial = await serialOf('dateserial')
      if (today() === first) return serial - first
    }
  }
  t.is(await ofDay(() => {}), 0)
  // A serial that is there already is passed.
  const present = (first: number): void =>
    writeFileSync(file('sign.zone'), zoneText('sign.example.', lines, first + 7))
  t.is(await ofDay(present), 8)
})

test.serial('RFC 3597 §5: --generic writes types as TYPEnnn', async t => {
  const { sign } = bench(t)
  const { out } = await sign('--generic', 'HTTPS,TYPE63', '--zonemd', 'sha512')
  t.regex(out, /\sTYPE65\t\\# /)
  t.regex(out, /\sTYPE63\t\\# 70 /)
  t.notRegex(out, /IN\tHTTPS/)
})

test.serial('keys: a PEM file each, BIND pairs, or a directory of ours', async t => {
  const { file, sign } = bench(t)
  const zone = 'sign.example'
  for (const role of ['ksk', 'zsk'])
    t.is((await inProcess(['keys', 'generate', zone, '--keys', file('own'), '--role', role])).code, 0)
  const pem = (role: string): string =>
    join(file('own'), readdirSync(file('own')).find(name => name.includes(role))!)
  t.is((await sign('-o', '%/pem.zone', '--ksk', pem('ksk'), '--zsk', pem('zsk'))).code, 0)
  t.is((await inProcess(['keys', 'export', zone, file('pairs'), '--keys', file('own')])).code, 0)
  t.is((await sign('-o', '%/pairs.zone', '--keys', '%/pairs')).code, 0)
  t.is((await sign('-o', '%/own.zone', '--keys', '%/own')).code, 0)
  const keysIn = (name: string): string[] =>
    readFileSync(file(name), 'utf8')
      .split('\n')
      .filter(line => line.includes('\tDNSKEY\t'))
      .sort()
  t.is(keysIn('pem.zone').length, 2)
  t.deepEqual(keysIn('pairs.zone'), keysIn('pem.zone'))
  t.deepEqual(keysIn('own.zone'), keysIn('pem.zone'))
  for (const name of ['pem.zone', 'pairs.zone', 'own.zone'])
    t.is((await inProcess(['verify', file(name)])).code, 0, name)
  // One file is a CSK.
  t.is((await sign('-o', '%/csk.zone', '--ksk', pem('ksk'))).code, 0)
  t.is(keysIn('csk.zone').length, 1)
  t.is((await inProcess(['verify', file('csk.zone')])).code, 0)
  // No directory was made beside the zone file: none of this needed it.
  t.false(existsSync(file('.conclave')))
})

test.serial(
  'keys: a pair of another zone beside a key of ours does not hide it, and who may read it is told',
  async t => {
    const { file, sign } = bench(t)
    const make = (zone: string, directory: string): Promise<Ran> =>
      inProcess(['keys', 'generate', zone, '--keys', file(directory)])
    t.is((await make('sign.example', 'own')).code, 0)
    t.is((await make('other.example', 'other')).code, 0)
    t.is((await inProcess(['keys', 'export', 'other.example', file('own'), '--keys', file('other')])).code, 0)
    const before = readdirSync(file('own')).sort()
    t.true(before.some(name => name.endsWith('.private')))
    const pem = before.find(name => name.endsWith('.pem'))!
    chmodSync(join(file('own'), pem), 0o644)
    const { code, err } = await sign('-o', '%/out.zone', '--keys', '%/own')
    t.is(code, 0, err)
    t.notRegex(err, /key made/)
    t.regex(err, /^warning: /)
    t.true(err.includes(pem), err)
    t.deepEqual(readdirSync(file('own')).sort(), before)
    t.is((await inProcess(['verify', file('out.zone')])).code, 0)
  },
)

test.serial(
  'a KSK that was made before its ZSK: with --split-keys a ZSK of its algorithm is made, once',
  async t => {
    const { file, sign } = bench(t)
    const made = [
      'keys',
      'generate',
      'sign.example',
      '--keys',
      file('own'),
      '--role',
      'ksk',
      '--algorithm',
      'ed25519',
    ]
    t.is((await inProcess(made)).code, 0)
    const first = await sign('-o', '%/out.zone', '--keys', '%/own', '--split-keys')
    t.is(first.code, 0, first.err)
    t.regex(first.err, /key made: .*zsk/)
    t.is((await inProcess(['verify', file('out.zone')])).code, 0)
    const again = await sign('-o', '%/out.zone', '--keys', '%/own', '--split-keys')
    t.notRegex(again.err, /key made/)
    const dnskeys = readFileSync(file('out.zone'), 'utf8').match(/\tDNSKEY\t.* 15 .*$/gm)
    t.is(dnskeys?.length, 2)
  },
)

test.serial('signed by others: refused with exit code 1, and signed anew with --replace-keys', async t => {
  const { file, sign } = bench(t)
  t.is((await sign('-o', '%/signed.zone', '--keys', '%/theirs')).code, 0)
  const refused = await inProcess(['sign', file('signed.zone'), '-o', file('out'), '--keys', file('mine')])
  t.is(refused.code, 1)
  t.regex(refused.err, /\[signed-by-others\]/)
  t.false(existsSync(file('out')))
  t.false(existsSync(file('mine')) && readdirSync(file('mine')).length > 0)
  const words = ['sign', file('signed.zone'), '-o', file('out'), '--keys', file('mine'), '--replace-keys']
  t.is((await inProcess(words)).code, 0)
  t.is((await inProcess(['verify', file('out')])).code, 0)
})

test.serial(
  'RFC 8976: digest writes a ZONEMD that check, verify and ldns agree with; a changed zone is refused',
  async t => {
    const { file } = bench(t)
    const said = await inProcess(['digest', file('sign.zone'), '-o', file('out'), '--json'])
    t.is(said.code, 0)
    t.is((JSON.parse(said.out) as Record<string, unknown>)['zonemd'], 'sha384')
    t.is((await inProcess(['check', file('out')])).code, 0)
    const again = await inProcess(['digest', file('out')])
    t.is(again.out, readFileSync(file('out'), 'utf8'))
    writeFileSync(file('out'), readFileSync(file('out'), 'utf8').replace('192.0.2.2', '192.0.2.9'))
    const changed = await inProcess(['verify', file('out')])
    t.is(changed.code, 1)
    t.regex(changed.err, /ZONEMD/)
  },
)

test.serial('--json: one object of figures; faults as objects', async t => {
  const { file, sign } = bench(t)
  const signed = await sign('-o', '%/out', '--json')
  const figures = JSON.parse(signed.out) as Record<string, unknown>
  t.is(figures['zone'], 'sign.example.')
  t.is((figures['ds'] as string[]).length, 1)
  writeFileSync(file('sign.zone'), `${text}x IN A 1.2.3\n`)
  const refused = await sign('-o', '%/out2', '--json')
  t.is(refused.code, 1)
  const fault = JSON.parse(refused.out) as Record<string, unknown>
  t.is(fault['at'], `${file('sign.zone')}:13:8`)
  t.is(fault['severity'], 'error')
})

test.serial('standard output with --json and no -o is the zone alone', async t => {
  const { sign } = bench(t)
  const { out } = await sign('--json')
  t.true(out.startsWith('sign.example.\t'))
})
