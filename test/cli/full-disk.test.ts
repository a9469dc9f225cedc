/** A disk that is full while a version is made: nothing of it is served, and the server goes on. A bound of the system on the
 *  size of files stands for the disk; what is beyond it cannot be written either. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { directoryOf, hosts, ServeProcess, zoneText } from '../support/serve.ts'

/** Blocks of 1,024 octets (bash); a small zone takes some 50, six thousand names more than a thousand. */
const BLOCKS_MAX = 700
const NAMES = 6000
/** The signal that comes with the bound would end the process; a full disk sends none. */
const BOUNDED = ['bash', '-c', `trap '' XFSZ; ulimit -f ${BLOCKS_MAX}; exec "$@"`, 'bash']

test('a version that does not fit on the disk is refused; the one before is served, and a smaller one follows', async t => {
  const cwd = directoryOf(t, { 'a.zone': zoneText('a.example.') })
  const words = ['serve', '--json', '--listen', '127.0.0.1@0', 'a.zone']
  const server = new ServeProcess(words, cwd, BOUNDED)
  t.teardown(async () => void (await server.stop('SIGKILL')))
  await server.started()
  const replace = (lines: readonly string[], serial: number): void => {
    writeFileSync(join(cwd, 'new'), zoneText('a.example.', lines, serial))
    renameSync(join(cwd, 'new'), join(cwd, 'a.zone'))
  }
  replace(hosts(NAMES), 2)
  const refused = await server.until('refusal', () => server.log.find(({ code }) => code === 'STATE_WRITE'))
  t.is(refused['zone'], 'a.example.')
  t.is(await server.serial('a.example.'), 1)
  replace(hosts(3), 3)
  await server.logged('published', { serial: 3 })
  t.is(await server.serial('a.example.'), 3)
  t.is(await server.stop(), 0)
})
