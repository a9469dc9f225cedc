/** `conclave serve` and the rights of its user. These need root, as `--user` does. */
import { chmodSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { commandFile, conclave, directoryOf, run, serve, zoneText } from '../support/serve.ts'
import { needs, toolPath } from '../support/tools.ts'

const NOBODY = 65_534

function isRoot(t: ExecutionContext): boolean {
  if (process.getuid?.() === 0) return true
  t.log('skipped: needs root')
  t.pass()
  return false
}

test('--user: the server goes on as that user, signs edits and new zones, and is asked through its socket', async t => {
  if (!isRoot(t)) return
  const cwd = directoryOf(t, { 'zones/user.zone': zoneText('user.example.') })
  chmodSync(cwd, 0o755)
  const words = ['zones', '--user', 'nobody', '--state', 'state']
  const server = await serve(t, cwd, words)
  for (const path of ['state', 'state/state.mdb', 'state/keys', 'state/control/socket'])
    t.is(statSync(join(cwd, path)).uid, NOBODY, path)
  writeFileSync(join(cwd, 'zones/user.zone'), zoneText('user.example.', ['www A 192.0.2.1']))
  await server.logged('published', { zone: 'user.example.', serial: 2 })
  writeFileSync(join(cwd, 'zones/more.zone'), zoneText('more.example.'))
  await server.logged('published', { zone: 'more.example.' })
  t.is((await server.control('status')).code, 0)
  t.is(await server.stop(), 0)
  // And once more, with what belongs to the user now.
  const again = await serve(t, cwd, words)
  t.is(again.serving.zones.length, 2)
  t.deepEqual(again.serving.ds, [])
})

test('--user: one that does not exist is told, with exit code 1', async t => {
  if (!isRoot(t)) return
  const cwd = directoryOf(t, { 'user.zone': zoneText('user.example.') })
  const words = ['serve', 'user.zone', '--listen', '127.0.0.1@0', '--user', 'no-such-user-of-conclave']
  const { code, err } = await conclave(words, { cwd })
  t.is(code, 1)
  t.regex(err, /no-such-user-of-conclave.*\[USER_CHANGE\]/)
})

test('no permission: for the port, the directory, the state directory; each told without a stack', async t => {
  if (!isRoot(t) || !needs(t, 'setpriv')) return
  const cwd = directoryOf(t, { 'zones/user.zone': zoneText('user.example.'), 'closed/a.zone': '' })
  chmodSync(cwd, 0o777)
  chmodSync(join(cwd, 'closed'), 0o700)
  const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, commandFile]
  for (const [words, says] of [
    ['closed --listen 127.0.0.1@0 --state a', /SOURCE_UNREADABLE/],
    ['zones --listen 127.0.0.1@0', /zones\/\.conclave: .*\[STATE_OPEN\]/],
    ['zones --listen 127.0.0.1@0 --state b --user nobody', /USER_CHANGE/],
  ] as const) {
    const { code, err } = await run(toolPath('setpriv')!, [...asNobody, 'serve', ...words.split(' ')], {
      cwd,
    })
    t.is(code, 1, words)
    t.regex(err, says)
    t.notRegex(err, /^\s+at /m)
  }
})
