/** A directory that the system does not watch, since it has no watch left. */
import fs, { mkdtempSync, rmSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { watch } from 'chokidar'
import { silentLogger } from '../../base/index.ts'
import { DirectoryWatch } from '../../server/watch-directory.ts'

test('I3: a directory that the system does not watch is deaf, and stays so until it is watched', async t => {
  fs.watch = (() => {
    throw Object.assign(new Error('ENOSPC: System limit for number of file watchers reached'), {
      code: 'ENOSPC',
    })
  }) as unknown as typeof fs.watch
  syncBuiltinESMExports()
  const path = mkdtempSync(join(tmpdir(), 'conclave-watch-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  let warned = (): void => {}
  const warning = new Promise<void>(resolve => (warned = resolve))
  const directory = new DirectoryWatch(path, { log: { ...silentLogger, warn: warned }, onHint: () => {} })
  t.teardown(() => directory.close())
  await warning
  // chokidar says that it is ready after it has failed, too; one that began later says so later.
  const other = watch(path, { depth: 0 }).on('error', () => {})
  t.teardown(() => other.close())
  await new Promise<void>(resolve => other.on('ready', resolve))
  t.true(directory.deaf)
})
