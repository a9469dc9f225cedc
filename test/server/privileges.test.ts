import { spawnSync } from 'node:child_process'
import test from 'ava'
import { dropPrivileges } from '../../server/index.ts'
import { WAIT_MILLISECONDS } from '../support/serve.ts'

const face = new URL('./listening-face.js', import.meta.url).href

test('privileges go for all threads at once, for good, and the server goes on', t => {
  if (process.getuid?.() !== 0 || process.platform !== 'linux') {
    t.log('skipped: needs root')
    return t.pass()
  }
  const program = `
    import { readdirSync, readFileSync } from 'node:fs'
    const { dropPrivileges, openListeners, silentLogger, Store, systemClock } = await import(process.argv[1])
    const store = new Store()
    const listeners = await openListeners({ handle: store.handle, store, addresses: ['127.0.0.1@0'], workers: 2,
      log: silentLogger, clock: systemClock })
    dropPrivileges('65534', '65534')
    const status = readdirSync('/proc/self/task').map(task => readFileSync('/proc/self/task/' + task + '/status', 'utf8'))
    const words = status.map(text => [/^Uid:.*$/m, /^Gid:.*$/m, /^Groups:.*$/m].map(line => line.exec(text)[0].trim()).join(' '))
    let back = 'refused'
    try { process.setuid(0); back = 'allowed' } catch {}
    await listeners.close()
    console.log(JSON.stringify({ words: [...new Set(words)], threads: words.length, back }))
  `
  const ended = spawnSync(process.execPath, ['--input-type=module', '--eval', program, face], {
    encoding: 'utf8',
    timeout: WAIT_MILLISECONDS,
  })
  t.is(ended.status, 0, ended.stderr)
  const found = JSON.parse(ended.stdout) as { words: string[]; threads: number; back: string }
  const id = '65534\t65534\t65534\t65534'
  t.deepEqual(found.words, [`Uid:\t${id} Gid:\t${id} Groups:`])
  t.true(found.threads > 2)
  t.is(found.back, 'refused')
})

test('a user that does not exist is an error with a remedy', t => {
  const error = t.throws(() => dropPrivileges('no-such-user-of-conclave'))
  t.is((error as { code?: string } | undefined)?.code, 'USER_CHANGE')
})
