/** `conclave keys`: made, listed, imported and exported; BIND's own programs read and write the other side. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { createNameserver } from '../../server/index.ts'
import { bindTiming } from '../../signer/index.ts'
import { inProcess } from '../support/command.ts'
import { conclave, type Ran, run, type Scope, temporaryDirectory, zoneText } from '../support/serve.ts'
import { needs, toolPath } from '../support/tools.ts'

const ZONE = 'keys.example'
const ALGORITHMS = ['rsasha256', 'rsasha512', 'ecdsap256sha256', 'ecdsap384sha384', 'ed25519', 'ed448']

/** A directory, and `conclave keys` for its subdirectory `own`. */
function bench(t: Scope): {
  file: (name: string) => string
  keys: (command: string, ...words: string[]) => Promise<Ran>
} {
  const cwd = temporaryDirectory(t)
  const file = (name: string): string => join(cwd, name)
  const keys = (command: string, ...words: string[]): Promise<Ran> =>
    inProcess(['keys', command, ...words, '--keys', file('own')])
  return { file, keys }
}

const lines = (text: string): string[] => text.trimEnd().split('\n')

/** A DS record without spaces inside of its digest, in upper case. */
function dsFields(text: string): string {
  const match = /\sDS\s+(\d+)\s+(\d+)\s+(\d+)\s+([0-9A-Fa-f ]+)$/.exec(text.trim())
  return match === null ? text : [...match.slice(1, 4), match[4]!.replaceAll(' ', '').toUpperCase()].join(' ')
}

test.serial(
  'generate and list: a table for people, an object a line for machines; files that only the owner reads',
  async t => {
    const { file, keys } = bench(t)
    const made = await keys('generate', ZONE)
    t.is(made.code, 0)
    t.regex(
      made.out,
      /^zone +role +algorithm +tag +created +where\nkeys\.example\. +csk +ECDSAP256SHA256 +\d+ /,
    )
    t.is((await keys('generate', 'other.example', '--role', 'ksk', '--algorithm', 'ed25519')).code, 0)
    const all = lines((await keys('list', '--json')).out).map(
      line => JSON.parse(line) as Record<string, unknown>,
    )
    t.deepEqual(all.map(key => [key['zone'], key['role'], key['algorithm']]).sort(), [
      ['keys.example.', 'csk', 13],
      ['other.example.', 'ksk', 15],
    ])
    t.is(lines((await keys('list', 'OTHER.example.', '--json')).out).length, 1)
    t.is(statSync(file('own')).mode & 0o777, 0o700)
    for (const name of readdirSync(file('own'))) t.is(statSync(join(file('own'), name)).mode & 0o777, 0o600)
  },
)

test.serial(
  'ds: what dnssec-dsfromkey says of the exported pairs, of every algorithm, SHA-256 and SHA-384',
  async t => {
    const { file, keys } = bench(t)
    for (const algorithm of ALGORITHMS) {
      const { code, err } = await keys('generate', ZONE, '--role', 'ksk', '--algorithm', algorithm)
      t.is(code, 0, err)
    }
    t.is((await keys('generate', ZONE, '--role', 'zsk')).code, 0)
    const exported = await keys('export', ZONE, file('pairs'))
    t.is(exported.code, 0, exported.err)
    const publics = readdirSync(file('pairs')).filter(name => name.endsWith('.key'))
    t.is(publics.length, ALGORITHMS.length + 1)
    for (const name of readdirSync(file('pairs')).filter(one => one.endsWith('.private')))
      t.is(statSync(join(file('pairs'), name)).mode & 0o777, 0o600)
    if (!needs(t, 'dnssec-dsfromkey')) return
    for (const [digest, option] of [
      ['sha256', '-2'],
      ['sha384', '-a SHA-384'],
    ] as const) {
      const ours = lines((await keys('ds', ZONE, '--digest', digest)).out)
      // A ZSK has no DS.
      t.is(ours.length, ALGORITHMS.length)
      const theirs: string[] = []
      for (const name of publics.filter(one =>
        readFileSync(join(file('pairs'), one), 'utf8').includes(' 257 '),
      )) {
        const said = await run(toolPath('dnssec-dsfromkey')!, [
          ...option.split(' '),
          join(file('pairs'), name),
        ])
        theirs.push(dsFields(said.out))
      }
      t.deepEqual(ours.map(dsFields).sort(), theirs.sort())
    }
  },
)

test.serial(
  'import: pairs of dnssec-keygen keep their tags, DS and roles; exported again they are the same keys',
  async t => {
    if (!needs(t, 'dnssec-keygen', 'dnssec-dsfromkey')) return
    const { file, keys } = bench(t)
    const bind = temporaryDirectory(t)
    const names: string[] = []
    for (const words of [
      ['-a', 'ECDSAP256SHA256', '-f', 'KSK'],
      ['-a', 'ECDSAP256SHA256'],
      // A key with the SEP flag that has no ZSK of its algorithm beside it signs everything.
      ['-a', 'RSASHA256', '-b', '2048', '-f', 'KSK'],
    ])
      names.push((await run(toolPath('dnssec-keygen')!, ['-q', '-K', bind, ...words, ZONE])).out.trim())
    const imported = await keys('import', ZONE, bind, '--json')
    t.is(imported.code, 0, imported.err)
    const taken = lines(imported.out).map(line => JSON.parse(line) as Record<string, unknown>)
    const tags = names.map(name => Number(name.slice(-5))).sort((a, b) => a - b)
    t.deepEqual(
      taken.map(key => Number(key['keyTag'])).sort((a, b) => a - b),
      tags,
    )
    t.deepEqual(taken.map(key => key['role']).sort(), ['csk', 'ksk', 'zsk'])
    const theirs: string[] = []
    for (const name of [names[0]!, names[2]!])
      theirs.push(dsFields((await run(toolPath('dnssec-dsfromkey')!, ['-2', join(bind, name)])).out))
    t.deepEqual(
      lines((await keys('ds', ZONE)).out)
        .map(dsFields)
        .sort(),
      theirs.sort(),
    )

    await keys('export', ZONE, file('back'))
    const fieldsOf = (directory: string, name: string): string[] =>
      lines(readFileSync(join(directory, `${name}.private`), 'utf8'))
        .filter(line => /^(PrivateKey|Modulus|PrivateExponent|Prime\d):/.test(line))
        // Numbers: BIND writes those of ECDSA without zeros in front.
        .map(line =>
          line.replace(/ .*/, text => String(BigInt(`0x${Buffer.from(text, 'base64').toString('hex')}`))),
        )
        .sort()
    for (const name of names) t.deepEqual(fieldsOf(file('back'), name), fieldsOf(bind, name), name)
    // What is there already is not taken twice.
    await keys('import', ZONE, bind)
    t.is(lines((await keys('list', '--json')).out).length, 3)
  },
)

test.serial('import: a PEM file that openssl made, with the role that is asked for', async t => {
  if (!needs(t, 'openssl')) return
  const { file, keys } = bench(t)
  const words = [
    'genpkey',
    '-algorithm',
    'EC',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-out',
    file('key.pem'),
  ]
  t.is((await run(toolPath('openssl')!, words)).code, 0)
  const { code, out, err } = await keys('import', ZONE, file('key.pem'), '--role', 'zsk', '--json')
  t.is(code, 0, err)
  const key = JSON.parse(out) as Record<string, unknown>
  t.is(key['role'], 'zsk')
  t.is(key['algorithm'], 13)
})

test.serial('import: pairs of another zone are refused, nothing is taken', async t => {
  if (!needs(t, 'dnssec-keygen')) return
  const { keys } = bench(t)
  const bind = temporaryDirectory(t)
  await run(toolPath('dnssec-keygen')!, ['-q', '-K', bind, '-a', 'ED25519', 'else.example'])
  const { code, err } = await keys('import', ZONE, bind)
  t.is(code, 1)
  t.regex(err, /\[KEYS_NONE\]/)
  t.is((await keys('list', '--json')).out, '')
})

test.serial('a name that is none is wrong usage, with what to write', async t => {
  const { code, err } = await bench(t).keys('generate', 'bad..name')
  t.is(code, 2)
  t.regex(err, /an empty label; expected a label between dots\. Give a name such as example\.com\. \[USAGE\]/)
})

test.serial('no private octets are printed by any of it', async t => {
  const { file, keys } = bench(t)
  const said: string[] = []
  for (const words of [
    ['generate', ZONE],
    ['list'],
    ['list', '--json'],
    ['ds', ZONE],
    ['export', ZONE, file('out')],
  ]) {
    const { out, err } = await keys(words[0]!, ...words.slice(1))
    said.push(out, err)
  }
  const name = readdirSync(file('out')).find(one => one.endsWith('.private'))!
  const secret = /^PrivateKey: (.+)$/m.exec(readFileSync(join(file('out'), name), 'utf8'))![1]!
  t.false(said.join('').includes(secret))
  t.false(said.join('').includes('PRIVATE KEY'))
})

test.serial('import and export: times of a key stay with it; PEM files are read back', async t => {
  if (!needs(t, 'dnssec-keygen')) return
  const { file, keys } = bench(t)
  const bind = temporaryDirectory(t)
  const times = [
    '-P',
    '20270101000000',
    '-A',
    '20270102000000',
    '-I',
    '20270103000000',
    '-D',
    '20270104000000',
  ]
  const made = await run(toolPath('dnssec-keygen')!, ['-q', '-K', bind, '-a', '13', ...times, ZONE])
  const name = made.out.trim()
  t.is((await keys('import', ZONE, join(bind, `${name}.key`))).code, 0)
  t.is((await keys('export', ZONE, file('pairs'))).code, 0)
  const linesOf = (path: string): string[] =>
    lines(readFileSync(path, 'utf8')).filter(line => /^(Publish|Activate|Inactive|Delete): /.test(line))
  t.is(linesOf(join(bind, `${name}.private`)).length, 4)
  t.deepEqual(linesOf(join(file('pairs'), `${name}.private`)), linesOf(join(bind, `${name}.private`)))

  t.is((await keys('export', ZONE, file('pem'), '--format', 'pem')).code, 0)
  const [pem] = readdirSync(file('pem'))
  t.is(statSync(join(file('pem'), pem!)).mode & 0o777, 0o600)
  const again = await inProcess([
    'keys',
    'import',
    ZONE,
    file('pem'),
    '--role',
    'zsk',
    '--keys',
    file('again'),
  ])
  t.is(again.code, 1)
  t.regex(again.err, /KEYS_NONE/)
  const words = ['keys', 'import', ZONE, join(file('pem'), pem!), '--role', 'zsk', '--keys', file('again')]
  t.is((await inProcess([...words, '--dry-run'])).code, 0)
  t.throws(() => readdirSync(file('again')), { code: 'ENOENT' })
  t.is((await inProcess(words)).code, 0)
  t.regex(
    (await inProcess(['keys', 'list', '--keys', file('again')])).out,
    new RegExp(` ${Number(name.slice(-5))} `),
  )
})

test.serial('export: times of a served zone come from its state, also while it is served', async t => {
  const { file } = bench(t)
  const state = file('state')
  const server = await createNameserver({ state, watch: false, signing: { splitKeys: true } })
  t.teardown(() => server.close())
  const before = Math.floor(Date.now() / 1000)
  await server.addText(zoneText(`${ZONE}.`))
  await server.settled()
  const exported = await conclave(['keys', 'export', ZONE, file('pairs'), '--keys', join(state, 'keys')])
  t.is(exported.code, 0, exported.err)
  const pairs = readdirSync(file('pairs')).filter(name => name.endsWith('.private'))
  t.is(pairs.length, 2)
  for (const name of pairs) {
    const text = readFileSync(join(file('pairs'), name), 'utf8')
    const { publishUnix = 0, activateUnix = 0, ...over } = bindTiming(text)
    t.true(publishUnix >= before && activateUnix >= before)
    t.deepEqual(over, {})
  }
})
