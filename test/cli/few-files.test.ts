/** A server that has no open files left: what it could not read then is read when it has some again. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import test from 'ava'
import { directoryOf, ServeProcess, zoneText } from '../support/serve.ts'

/** A server takes some forty, hundreds while its modules are loaded, and each connection one. */
const FILES_MAX = 512
const CONNECTIONS = 600
const BOUNDED = ['bash', '-c', `ulimit -n ${FILES_MAX}; exec "$@"`, 'bash']

test('an edit that could not be read for want of open files is served when there are some again', async t => {
  const cwd = directoryOf(t, { 'a.zone': zoneText('a.example.') })
  const words = ['serve', '--json', '--listen', '127.0.0.1@0', 'a.zone']
  const server = new ServeProcess(words, cwd, BOUNDED)
  t.teardown(async () => void (await server.stop('SIGKILL')))
  const { port } = await server.started()
  const sockets = Array.from({ length: CONNECTIONS }, (_, index) =>
    connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${1 + (index % 16)}` }).on('error', () => {}),
  )
  await Promise.all(sockets.map(socket => once(socket, 'connect')))
  writeFileSync(join(cwd, 'a.zone'), zoneText('a.example.', ['www A 192.0.2.10'], 2))
  const refused = await server.logged('version refused; what was served goes on')
  t.is(refused['code'], 'SOURCE_UNREADABLE')
  t.regex(String(refused['faults']), /more open files/)
  for (const socket of sockets) socket.destroy()
  await server.logged('published', { serial: 2 })
  t.is(await server.serial('a.example.'), 2)
  const refusals = server.log.filter(({ msg }) => msg === 'version refused; what was served goes on')
  t.is(refusals.length, 1)
  t.is(await server.stop(), 0)
})
