/** `conclave check -c`: as its users meet it. */
import { join } from 'node:path'
import test from 'ava'
import { inProcess } from '../support/command.ts'
import { directoryOf, projectRoot, zoneText } from '../support/serve.ts'

test.serial('check -c: a good configuration, in words and as JSON', async t => {
  const files = {
    'zones/a.zone': zoneText('a.example.'),
    'c.yaml': 'zones: [{ directory: zones }, { file: b.zone }]\n',
  }
  const directory = directoryOf(t, files)
  const path = join(directory, 'c.yaml')
  const { code, out, err } = await inProcess(['check', '-c', path])
  t.is(code, 0)
  t.is(out, `${path}: 1 zone files, 1 directories, 1 warnings\n`)
  t.is(
    err,
    `${path}:1:39: warning: b.zone: there is no such file or directory; the zone is left out until it is there [CONFIG_FILE]\n`,
  )
  const json = await inProcess(['--json', 'check', '-c', path])
  const lines = json.out
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
  t.like(lines[0], { rule: 'CONFIG_FILE', at: `${path}:1:39` })
  t.deepEqual(lines[1], {
    config: path,
    state: join(directory, '.conclave'),
    listen: ['127.0.0.1@5300'],
    files: 1,
    directories: 1,
    warnings: 1,
  })
})

test.serial('check -c: every fault with file:line:column, exit code 1', async t => {
  const text =
    'listen: [127.0.0.1:x]\npolices: {}\nzones:\n  - file: a.zone\n    denail: nsec3\n    keys: 12\n'
  const path = join(directoryOf(t, { 'c.yaml': text }), 'c.yaml')
  const { code, out, err } = await inProcess(['check', '-c', path])
  t.is(code, 1)
  t.is(out, '')
  t.deepEqual(err.split('\n'), [
    `${path}:1:10: error: listen: found "127.0.0.1:x", expected an address to listen on, such as 127.0.0.1@5300 or ::1@53 [CONFIG_VALUE]`,
    `${path}:2:1: error: unknown key "polices"; did you mean policies? [CONFIG_UNKNOWN_KEY]`,
    `${path}:5:5: error: unknown key "denail"; did you mean denial? [CONFIG_UNKNOWN_KEY]`,
    `${path}:6:11: error: keys: found the number 12, expected csk or ksk-zsk [CONFIG_VALUE]`,
    '',
  ])
})

test.serial('check: one thing at a time; --schema prints a JSON Schema', async t => {
  for (const words of [
    ['check'],
    ['check', 'a.zone', '-c', 'c.yaml'],
    ['check', '-c', 'c.yaml', '--schema'],
  ]) {
    const { code, err } = await inProcess(words)
    t.is(code, 2, words.join(' '))
    t.regex(err, /\[USAGE\]/)
  }
  const { code, out } = await inProcess(['check', '--schema'])
  t.is(code, 0)
  t.is((JSON.parse(out) as { type: string }).type, 'object')
})

test.serial('examples/conclave.yaml', async t => {
  const { code, err } = await inProcess(['check', '-c', join(projectRoot, 'examples/conclave.yaml')])
  t.is(code, 0, err)
})
