import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { promises as fs } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import {
  type ControlHandler,
  type ControlServer,
  callControl,
  controlPath,
  serveControl,
} from '../../base/control.ts'
import { ConclaveError, silentLogger } from '../../base/index.ts'

const handlers: Readonly<Record<string, ControlHandler>> = {
  status: () => ({ zones: 3 }),
  reload: async args => {
    if (args['zone'] === 'bad.') {
      throw new ConclaveError('ZONE_UNKNOWN', 'not served here', {
        place: { zone: 'bad.' },
        remedy: 'See `zones`.',
      })
    }
    return args
  },
  nothing: () => undefined,
  bug: () => {
    throw new TypeError('a bug')
  },
  large: () => 'x'.repeat(5_000_000),
}

async function directory(t: ExecutionContext): Promise<string> {
  const path = await fs.mkdtemp(join(tmpdir(), 'conclave-test-'))
  t.teardown(() => fs.rm(path, { recursive: true, force: true }))
  return path
}

async function served(t: ExecutionContext): Promise<ControlServer> {
  const { path } = controlPath(await directory(t))
  const server = await serveControl({ path, handlers, log: silentLogger })
  t.teardown(() => server.close())
  return server
}

const codeOf = async (t: ExecutionContext, promise: Promise<unknown>): Promise<string | undefined> =>
  ((await t.throwsAsync(promise)) as ConclaveError | undefined)?.code

test('commands are answered, with their results or with the error, its place and its remedy', async t => {
  const { path } = await served(t)
  t.deepEqual(await callControl(path, 'status'), { zones: 3 })
  t.deepEqual(await callControl(path, 'reload', { zone: 'example.' }), { zone: 'example.' })
  t.is(await callControl(path, 'nothing'), null)
  t.is(((await callControl(path, 'large')) as string).length, 5_000_000)
  const error = (await t.throwsAsync(callControl(path, 'reload', { zone: 'bad.' }))) as ConclaveError
  t.is(error.code, 'ZONE_UNKNOWN')
  t.is(error.place.zone, 'bad.')
  t.is(error.remedy, 'See `zones`.')
  t.is(await codeOf(t, callControl(path, 'bug')), 'CONTROL_FAILED')
  t.is(await codeOf(t, callControl(path, 'toString')), 'CONTROL_COMMAND')
})

test('I1: only the owner gets at the socket', async t => {
  const { path } = await served(t)
  t.is((await fs.stat(path)).mode & 0o777, 0o600)
  t.is((await fs.stat(join(path, '..'))).mode & 0o777, 0o700)
})

test('I2: a living server keeps its socket; after close it is gone', async t => {
  const { path } = controlPath(await directory(t))
  const first = await serveControl({ path, handlers, log: silentLogger })
  t.is(await codeOf(t, serveControl({ path, handlers, log: silentLogger })), 'CONTROL_IN_USE')
  t.deepEqual(await callControl(path, 'status'), { zones: 3 })
  await first.close()
  t.is(await codeOf(t, callControl(path, 'status')), 'CONTROL_UNREACHABLE')
})

test('I2: the socket of a killed server is replaced', async t => {
  const { path } = controlPath(await directory(t))
  await fs.mkdir(join(path, '..'))
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`
  const child = spawn(process.execPath, ['-e', script])
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.true((await fs.lstat(path)).isSocket(), 'the file is left behind')
  t.is(await codeOf(t, callControl(path, 'status')), 'CONTROL_UNREACHABLE')
  const server = await serveControl({ path, handlers, log: silentLogger })
  t.deepEqual(await callControl(path, 'status'), { zones: 3 })
  await server.close()
})

/** Sends octets and gives all that comes back until the server ends or `lines` lines are there. */
async function raw(path: string, octets: Uint8Array | string, lines: number): Promise<string[]> {
  const socket = connect(path)
  socket.on('error', () => {})
  socket.write(octets)
  let text = ''
  for await (const part of socket) {
    text += String(part)
    if (text.split('\n').length > lines) break
  }
  socket.destroy()
  return text.split('\n').slice(0, -1)
}

test('I3: requests that are none get an error, one by one, in order', async t => {
  const { path } = await served(t)
  const answers = await raw(
    path,
    'x\n[]\n{"command":1}\n{"command":"status","arguments":[]}\n{"command":"status"}\n',
    5,
  )
  t.deepEqual(
    answers.map(line => (JSON.parse(line) as { ok: boolean }).ok),
    [false, false, false, false, true],
  )
  t.regex(answers[0] ?? '', /CONTROL_REQUEST/)
})

test('I3: a request without end is refused and the connection ended', async t => {
  const { path } = await served(t)
  const answers = await raw(path, 'x'.repeat(100_000), 2)
  t.is(answers.length, 1)
  t.regex(answers[0] ?? '', /at most 65536 octets/)
  t.deepEqual(await callControl(path, 'status'), { zones: 3 })
})

test('I3: random octets never harm the server', async t => {
  const { path } = await served(t)
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async octets => {
      await raw(path, Buffer.concat([octets, Buffer.from('\n')]), 1)
    }),
    { seed: 4, numRuns: 50 },
  )
  t.deepEqual(await callControl(path, 'status'), { zones: 3 })
})

test('a path too long for a socket gives a short one, the same each time, under our own directory', t => {
  const long = `/${'directory/'.repeat(12)}state`
  const first = controlPath(long)
  t.true(first.shortened)
  t.true(Buffer.byteLength(first.path) <= 107)
  t.deepEqual(controlPath(long), first)
  t.not(controlPath(`${long}2`).path, first.path)
  t.false(controlPath('/var/lib/conclave').shortened)
})
