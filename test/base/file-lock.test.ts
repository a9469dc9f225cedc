import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, promises as fs, openSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { lockFile, writersOf } from '../../base/index.ts'

const linux = process.platform === 'linux' ? test : test.skip

async function file(t: { teardown: (call: () => Promise<void>) => void }): Promise<string> {
  const directory = await fs.mkdtemp(join(tmpdir(), 'conclave-test-'))
  t.teardown(() => fs.rm(directory, { recursive: true, force: true }))
  await fs.writeFile(join(directory, 'a'), 'text')
  return join(directory, 'a')
}

linux('a lock excludes a second opening in the same process, and says whose it is', async t => {
  const path = await file(t)
  const first = lockFile(path)
  t.is(first.kind, 'locked')
  t.deepEqual(lockFile(path), { kind: 'held', pid: process.pid })
  if (first.kind === 'locked') first.release()
  const again = lockFile(path)
  t.is(again.kind, 'locked')
  if (again.kind === 'locked') again.release()
})

linux('a lock does not outlive a killed process', async t => {
  const path = await file(t)
  const script = `import { lockFile } from ${JSON.stringify(new URL('../../base/index.js', import.meta.url).href)}
    console.log(lockFile(${JSON.stringify(path)}).kind)
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script])
  t.teardown(() => child.kill('SIGKILL'))
  t.is(String((await once(child.stdout, 'data'))[0]).trim(), 'locked')
  t.deepEqual(lockFile(path), { kind: 'held', pid: child.pid })
  child.kill('SIGKILL')
  await once(child, 'exit')
  const outcome = lockFile(path)
  t.is(outcome.kind, 'locked')
  if (outcome.kind === 'locked') outcome.release()
})

linux(
  'a writer is seen while it has the file open, and opening during many askings harms nobody',
  async t => {
    const path = await file(t)
    const reader = openSync(path, 'r')
    t.teardown(() => closeSync(reader))
    if (writersOf(reader, path) === 'unknown') return t.pass('this file system has no leases')
    const writer = openSync(path, 'r+')
    t.is(writersOf(reader, path), 'some')
    closeSync(writer)
    t.is(writersOf(reader, path), 'none')
    // I1: a lease broken by another process must not end this one.
    const child = spawn('sh', ['-c', `i=0; while [ $i -lt 300 ]; do echo x > "$0"; i=$((i+1)); done`, path])
    const exited = once(child, 'exit')
    let running = true
    exited.then(() => {
      running = false
    })
    while (running) {
      for (let asked = 0; asked < 200; asked++) writersOf(reader, path)
      await new Promise(resolve => setImmediate(resolve))
    }
    t.is((await exited)[0], 0)
  },
)
