/** `--keys DIR` with BIND's K* pairs: what `sign` takes for a zone's keys, the commands of `keys` do, too. */
import { chmodSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { inProcess } from '../support/command.ts'
import { directoryOf, type Ran, type Scope, zoneText } from '../support/serve.ts'

const ZONE = 'sign.example'

interface Bench {
  readonly file: (name: string) => string
  readonly sign: (directory: string) => Promise<Ran>
  readonly keys: (command: string, directory: string, ...words: string[]) => Promise<Ran>
}

function bench(t: Scope): Bench {
  const cwd = directoryOf(t, { 'sign.zone': zoneText(`${ZONE}.`) })
  const file = (name: string): string => join(cwd, name)
  return {
    file,
    sign: directory =>
      inProcess(['sign', file('sign.zone'), '-o', file('signed'), '--keys', file(directory)]),
    keys: (command, directory, ...words) => inProcess(['keys', command, ...words, '--keys', file(directory)]),
  }
}

/** A KSK and a ZSK as K* pairs in the directory `pairs`. */
async function withPairs(
  t: Scope & { is(a: unknown, b: unknown, message?: string): unknown },
): Promise<Bench> {
  const made = bench(t)
  for (const role of ['ksk', 'zsk']) t.is((await made.keys('generate', 'own', ZONE, '--role', role)).code, 0)
  t.is((await made.keys('export', 'own', ZONE, made.file('pairs'))).code, 0)
  return made
}

/** The tags of DNSKEY records or of a listing, sorted. */
const tagsIn = (json: string): unknown[] =>
  json
    .trimEnd()
    .split('\n')
    .map(line => (JSON.parse(line) as { keyTag: unknown }).keyTag)
    .sort()

test.serial('K* pairs: list, ds, export and generate see the keys that sign uses', async t => {
  const { file, keys, sign } = await withPairs(t)
  const listed = await keys('list', 'pairs', '--json')
  t.deepEqual(tagsIn(listed.out), tagsIn((await keys('list', 'own', '--json')).out))
  t.deepEqual(tagsIn((await keys('list', 'pairs', ZONE, '--json')).out), tagsIn(listed.out))
  t.is((await keys('ds', 'pairs', ZONE)).out, (await keys('ds', 'own', ZONE)).out)
  t.is((await keys('export', 'pairs', ZONE, file('pem'), '--format', 'pem')).code, 0)
  t.is(readdirSync(file('pem')).length, 2)
  // A new key goes where the others are, so that sign finds it.
  t.is((await keys('generate', 'pairs', ZONE, '--role', 'zsk')).code, 0)
  t.is(readdirSync(file('pairs')).filter(name => name.endsWith('.private')).length, 3)
  t.is(tagsIn((await keys('list', 'pairs', '--json')).out).length, 3)
  t.is((await sign('pairs')).code, 0)
})

test.serial('K* pairs: a request is made and signed with them', async t => {
  const { file, keys } = bench(t)
  t.is((await keys('generate', 'own', ZONE, '--role', 'ksk')).code, 0)
  t.is((await keys('export', 'own', ZONE, file('pairs'))).code, 0)
  const request = await keys('ksr', 'pairs', ZONE, '--until', '+30d', '-o', file('a.ksr'))
  t.is(request.code, 0, request.err)
  t.true(readdirSync(file('pairs')).every(name => !name.endsWith('.pem')))
  const signed = await keys('sign-ksr', 'pairs', file('a.ksr'), '-o', file('a.skr'))
  t.is(signed.code, 0, signed.err)
  const taken = await keys('import-skr', 'pairs', file('a.skr'))
  t.is(taken.code, 0, taken.err)
})

test.serial(
  'files of ours beside pairs of the zone: each is listed once, and who is left out is told',
  async t => {
    const { file, keys, sign } = await withPairs(t)
    const pems = readdirSync(file('own'))
    t.is((await keys('export', 'own', ZONE, file('own'))).code, 0)
    t.is(tagsIn((await keys('list', 'own', '--json')).out).length, 2)
    const same = await sign('own')
    t.is(same.code, 0, same.err)
    t.notRegex(same.err, /warning/)
    t.is((await keys('generate', 'third', ZONE, '--role', 'zsk')).code, 0)
    t.is((await keys('import', 'own', ZONE, join(file('third'), readdirSync(file('third'))[0]!))).code, 0)
    const [third] = readdirSync(file('own')).filter(name => name.endsWith('.pem') && !pems.includes(name))
    const other = await sign('own')
    t.is(other.code, 0, other.err)
    t.true(
      other.err.includes(`the zone has K* pairs, so this file is not used: ${file('own')}/${third}`),
      other.err,
    )
  },
)

test.serial(
  'pairs of an algorithm that is not supported, alone: nothing is signed, and no key is made',
  async t => {
    const { file, sign, keys } = bench(t)
    const base = file(`old/K${ZONE}.+005+12345`)
    t.is((await keys('generate', 'old', 'other.example')).code, 0)
    writeFileSync(`${base}.key`, `${ZONE}. IN DNSKEY 257 3 5 AwEAAaetidLzsKWUt4swWR8yu0wPHPiUi8LU\n`)
    writeFileSync(`${base}.private`, 'Private-key-format: v1.3\nAlgorithm: 5 (RSASHA1)\n', { mode: 0o600 })
    const before = readdirSync(file('old')).sort()
    const refused = await sign('old')
    t.is(refused.code, 1)
    t.regex(refused.err, /algorithm 5 is not supported.*\[KEY_UNREADABLE\]/)
    t.deepEqual(readdirSync(file('old')).sort(), before)
    for (const command of ['ds', 'list']) {
      const { code, err } = await keys(command, 'old', ZONE)
      t.is(code, 1, command)
      t.regex(err, /\[KEY_UNREADABLE\]/, command)
    }
    // It says what it leaves out, and refuses nothing to other zones.
    const all = await keys('list', 'old')
    t.is(all.code, 0)
    t.true(all.err.includes(`${base}.key`), all.err)
    const imported = await keys('import', 'own', ZONE, file('old'))
    t.regex(imported.err, /warning: .*not supported/)
    t.regex(imported.err, /\[KEY_UNREADABLE\]/)
    t.is((await keys('ds', 'old', 'other.example')).code, 0)
  },
)

test.serial('ds of a zone that has a ZSK alone is an error, not nothing', async t => {
  const { keys } = bench(t)
  t.is((await keys('generate', 'own', ZONE, '--role', 'zsk')).code, 0)
  const { code, out, err } = await keys('ds', 'own', ZONE)
  t.is(code, 1)
  t.is(out, '')
  t.regex(err, /no KSK or CSK.*\[KEYS_NONE\]/)
})

test.serial('ds: a key that has left the zone has none, and that is told', async t => {
  const { file, keys } = bench(t)
  for (const role of ['ksk', 'ksk']) t.is((await keys('generate', 'own', ZONE, '--role', role)).code, 0)
  t.is((await keys('export', 'own', ZONE, file('pairs'))).code, 0)
  const gone = (name: string): void => {
    const path = join(file('pairs'), name)
    writeFileSync(path, `; Delete: 20200101000000\n${readFileSync(path, 'utf8')}`)
  }
  const [first, second] = readdirSync(file('pairs')).filter(name => name.endsWith('.key'))
  t.is((await keys('ds', 'pairs', ZONE)).out.trimEnd().split('\n').length, 2)
  gone(first!)
  const one = await keys('ds', 'pairs', ZONE)
  t.is(one.code, 0, one.err)
  t.is(one.out.trimEnd().split('\n').length, 1)
  const tag = (name: string): number => Number(/\+(\d{5})\.key$/.exec(name)![1])
  t.true(one.out.includes(`DS ${tag(second!)} `), one.out)
  t.true(one.err.includes(`note: KSK ${tag(first!)} has left the zone`), one.err)
  gone(second!)
  const none = await keys('ds', 'pairs', ZONE)
  t.is(none.code, 1)
  t.regex(none.err, /no KSK or CSK here is in the zone.*\[KEYS_NONE\]/)
})

test.serial('import: a directory of ours says zone and role of each key', async t => {
  const { file, keys } = bench(t)
  t.is((await keys('generate', 'own', 'other.example')).code, 0)
  for (const role of ['ksk', 'zsk']) t.is((await keys('generate', 'own', ZONE, '--role', role)).code, 0)
  const { code, err } = await keys('import', 'again', ZONE, file('own'))
  t.is(code, 0, err)
  const rolesIn = async (directory: string): Promise<string[]> =>
    (await keys('list', directory, ZONE, '--json')).out
      .trimEnd()
      .split('\n')
      .map(line => {
        const { role, keyTag } = JSON.parse(line) as Record<string, unknown>
        return `${role} ${keyTag}`
      })
      .sort()
  t.deepEqual(await rolesIn('again'), await rolesIn('own'))
})

test.serial("import: Knot's list says that a key is a CSK, though it signs no data yet", async t => {
  const { file, sign, keys } = bench(t)
  for (const role of ['csk', 'ksk']) t.is((await keys('generate', 'own', ZONE, '--role', role)).code, 0)
  t.is((await sign('own')).code, 0)
  t.is((await keys('export', 'own', ZONE, file('pem'), '--format', 'pem')).code, 0)
  const listed = readdirSync(file('pem')).map(name => {
    const [, tag] = /-(\d+)\./.exec(name)!
    const id = tag!.padStart(40, '0')
    renameSync(join(file('pem'), name), join(file('pem'), `${id}.pem`))
    return `${id} ${tag} CSK ECDSAP256SHA256 publish=1795492169 ready=1795492169\n`
  })
  writeFileSync(file('list'), listed.join(''))
  const words = ['--signed', file('signed'), '--list', file('list')]
  const { code, err } = await keys('import', 'again', ZONE, file('pem'), ...words)
  t.is(code, 0, err)
  const { out } = await keys('list', 'again', '--json')
  t.deepEqual(out.match(/"role":"\w+"/g), ['"role":"csk"', '"role":"csk"'])
})

test.serial('list warns of a key that others may read', async t => {
  const { file, keys } = bench(t)
  t.is((await keys('generate', 'own', ZONE)).code, 0)
  const [name] = readdirSync(file('own'))
  chmodSync(join(file('own'), name!), 0o644)
  const { code, err } = await keys('list', 'own')
  t.is(code, 0)
  t.regex(err, /^warning: a private key can be read by others: /)
})
