/** Wrong usage and user errors: exit codes, what is said, and that nothing is left behind. */
import { readdirSync } from 'node:fs'
import test from 'ava'
import { inProcess } from '../support/command.ts'
import { commandFile, conclave, directoryOf, run, temporaryDirectory, zoneText } from '../support/serve.ts'

/** No stack trace reaches a user. */
const STACK = /^\s+at .+:\d+:\d+\)?$/m

const usageErrors: readonly (readonly [words: string, says: RegExp])[] = [
  ['', /Usage: conclave/],
  ['nope', /unknown command 'nope'[\s\S]*Usage: conclave/],
  ['serve', /nothing to serve/],
  ['serve a.zone -c c.yaml', /zones stand in the configuration/],
  ['serve -c c.yaml --denial nsec3', /--denial stands in the configuration/],
  ['serve a.zone --nope', /unknown option '--nope'[\s\S]*Usage: conclave serve/],
  ['serve a.zone --workers 0', /A number from 1 to 64/],
  ['serve a.zone --denial maybe', /Allowed choices are nsec, nsec3, opt-out/],
  ['serve a.zone --algorithm rsamd5', /Use one of rsasha256/],
  ['serve a.zone --nsec3-iterations 51', /a number from 0 to 50/],
  ['serve a.zone --nsec3-salt abc', /pairs of hexadecimal digits/],
  ['serve a.zone --listen localhost@5300', /not an address to listen on/],
  ['serve --listen 127.0.0.1@0,::1@x a.zone', /"::1@x" is not an address/],
  ['serve a.zone --axfr-allow nowhere', /not an address or prefix/],
  ['serve b..example=a.zone', /empty label/],
  ['sign', /missing required argument 'zonefile'/],
  ['sign a.zone -o', /argument missing/],
  ['sign a.zone --inception tomorrow', /tomorrow is no time/],
  ['sign a.zone --expiration +soon', /soon is no duration/],
  ['sign a.zone --inception 20300101000000 --expiration 20290101000000', /expiration.*after.*inception/],
  ['sign a.zone --generic A,NOPE', /"NOPE" is no type/],
  ['sign a.zone --origin a..b', /empty label/],
  ['sign a.zone --serial sometimes', /Allowed choices are keep/],
  ['sign a.zone --keys k --ksk k.pem', /directory or files, not both/],
  ['sign -', /give --keys DIR/],
  ['digest', /missing required argument 'zonefile'/],
  ['digest a.zone --zonemd md5', /Allowed choices are sha384, sha512/],
  ['check', /nothing, or too much, to check/],
  ['keys generate', /missing required argument 'zone'/],
  ['keys generate a..b', /empty label/],
  ['keys generate a.example --algorithm dsa', /Use one of rsasha256/],
  ['keys generate a.example --role boss', /Allowed choices are csk, ksk, zsk/],
  ['keys ds a.example --digest sha1', /Allowed choices are sha256, sha384/],
  ['keys nope', /unknown command 'nope'/],
]

test.serial('wrong usage: exit code 2, the fault and help on standard error, nothing made', async t => {
  const cwd = directoryOf(t, { 'a.zone': zoneText('a.example.') })
  process.chdir(cwd)
  for (const [words, says] of usageErrors) {
    const { code, out, err } = await inProcess(words.split(' ').filter(Boolean))
    t.is(code, 2, words)
    t.is(out, '', words)
    t.regex(err, says, words)
    t.notRegex(err, STACK, words)
  }
  t.deepEqual(readdirSync(cwd), ['a.zone'])
})

const faults: readonly (readonly [words: string, says: RegExp])[] = [
  ['serve nothing.zone', /nothing\.zone: .*\[SOURCE_NOT_FOUND\]/],
  ['sign nothing.zone -o out', /nothing\.zone: .*\[FILE_READ\]/],
  ['sign . -o out', /\[FILE_READ\]/],
  ['sign bad.zone -o out', /bad\.zone:6:10: error: /],
  ['sign a.zone -o nowhere/out --keys k', /nowhere\/out: .*\[FILE_WRITE\]/],
  ['sign a.zone -o out --ksk nothing.pem', /nothing\.pem: .*\[KEY_UNREADABLE\]/],
  ['sign a.zone -o out --ksk a.zone', /a\.zone: .*\[KEY_UNREADABLE\]/],
  ['digest nothing.zone -o out', /\[FILE_READ\]/],
  ['digest bad.zone -o out', /bad\.zone:6:10: error: /],
  ['check nothing.zone', /\[FILE_READ\]/],
  ['check bad.zone', /bad\.zone:6:10: error: /],
  ['verify a.zone', /error/],
  ['keys ds a.example --keys nothing', /zone a\.example\.: .*\[KEYS_NONE\]/],
  ['keys export a.example out --keys nothing', /\[KEYS_NONE\]/],
  ['keys import a.example nothing.pem --keys k', /\[FILE_READ\]/],
  ['keys import a.example a.zone --keys k', /\[KEY_UNREADABLE\]/],
  ['keys generate a.example --algorithm rsasha256 --bits 512 --keys k', /\[KEY_GENERATE\]/],
  ['status', /\[CONTROL_UNREACHABLE\]/],
  ['zones', /\[CONTROL_UNREACHABLE\]/],
  ['stats', /\[CONTROL_UNREACHABLE\]/],
  ['reload', /\[CONTROL_UNREACHABLE\]/],
]

test.serial(
  'faults: exit code 1, place and code on standard error, no output and no half-written file',
  async t => {
    const bad = zoneText('b.example.', ['www IN A 192.0.2.300'])
    const cwd = directoryOf(t, { 'a.zone': zoneText('a.example.'), 'bad.zone': bad })
    process.chdir(cwd)
    for (const [words, says] of faults) {
      const { code, out, err } = await inProcess(words.split(' '))
      t.is(code, 1, words)
      if (!words.startsWith('verify')) t.is(out, '', words)
      t.regex(err, says, words)
      t.notRegex(err, STACK, words)
    }
    t.deepEqual(
      readdirSync(cwd).filter(name => !['a.zone', 'bad.zone', 'k'].includes(name)),
      [],
    )
  },
)

test('--json: a fault is one JSON value with code and place', async t => {
  const cwd = temporaryDirectory(t)
  const { code, out, err } = await conclave(['check', 'nothing.zone', '--json'], { cwd })
  t.is(code, 1)
  t.is(out, '')
  const { error } = JSON.parse(err) as { error: Record<string, unknown> }
  t.is(error['code'], 'FILE_READ')
  t.is(error['file'], 'nothing.zone')
})

test.serial('--json: wrong usage is one JSON value, too', async t => {
  process.chdir(directoryOf(t, { 'a.zone': zoneText('a.example.') }))
  for (const [words, says] of usageErrors) {
    const { code, out, err } = await inProcess([...words.split(' ').filter(Boolean), '--json'])
    t.is(code, 2, words)
    t.is(out, '', words)
    const { error } = JSON.parse(err) as { error: { code: string; message: string; remedy: string } }
    t.is(error.code, 'USAGE', words)
    // Help follows in words only.
    const [fault] = says.source.split(/(?:\[\\s\\S\]\*)?Usage: /)
    t.regex(
      `${error.message}. ${error.remedy}`,
      new RegExp(fault === '' ? 'a command is missing' : fault!),
      words,
    )
  }
})

test.serial('help and version go to standard output, with exit code 0', async t => {
  for (const words of ['--help', 'help', 'serve --help', 'keys --help', 'sign -h', '--version']) {
    const { code, out, err } = await inProcess(words.split(' '))
    t.is(code, 0, words)
    t.not(out, '', words)
    t.is(err, '', words)
  }
})

test('check: 0 and figures for a sound file, with warnings on standard error; 1 and all faults at their places', async t => {
  const faulty = ['www IN A 192.0.2.300', 'mail IN MX ten mail', 'x IN CNAME y', 'x IN A 192.0.2.1']
  const cwd = directoryOf(t, {
    'good.zone': zoneText('good.example.'),
    'warned.zone': zoneText('warned.example.', ['sub IN NS ns.sub']),
    'faulty.zone': zoneText('faulty.example.', faulty),
  })
  const good = await conclave(['check', 'good.zone'], { cwd })
  t.deepEqual(
    [good.code, good.out, good.err],
    [0, 'good.example. serial 1: 2 names, 3 records, 0 warnings\n', ''],
  )
  const warned = await conclave(['check', 'warned.zone', '--json'], { cwd })
  t.is(warned.code, 0)
  const lines = warned.out
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
  t.is(lines[0]?.['severity'], 'warning')
  t.is(lines[1]?.['warnings'], 1)
  const bad = await conclave(['check', 'faulty.zone'], { cwd })
  t.is(bad.code, 1)
  t.regex(bad.err, /^faulty\.zone:6:10: error: /m)
  t.regex(bad.err, /^faulty\.zone:7:12: error: /m)
})

test('standard input: check, digest and sign read `-`', async t => {
  const cwd = temporaryDirectory(t)
  const input = zoneText('in.example.')
  t.is((await conclave(['check', '-'], { cwd, input })).code, 0)
  const relative = input.replace('$ORIGIN in.example.\n', '')
  t.is((await conclave(['check', '-'], { cwd, input: relative })).code, 1)
  t.is((await conclave(['check', '-', '--origin', 'in.example'], { cwd, input: relative })).code, 0)
  t.regex((await conclave(['digest', '-'], { cwd, input })).out, /IN\tZONEMD\t1 1 1 /)
  t.regex((await conclave(['sign', '-', '--keys', 'k'], { cwd, input })).out, /IN\tRRSIG\tSOA 13 2 /)
  t.deepEqual(readdirSync(cwd), ['k'])
})

test('standard output that is closed early: no stack trace, exit code 1', async t => {
  const lines = Array.from({ length: 20_000 }, (_, index) => `host${index} IN A 192.0.2.1`)
  const cwd = directoryOf(t, { 'long.zone': zoneText('long.example.', lines) })
  const script = `"$@" | head -n 1; exit "\${PIPESTATUS[0]}"`
  const words = ['-c', script, 'bash', process.execPath, commandFile, 'digest', 'long.zone']
  const { code, out, err } = await run('bash', words, { cwd })
  t.is(code, 1)
  t.regex(out, /^long\.example\./)
  t.notRegex(err, STACK)
  t.notRegex(err, /unsettled/i)
})
