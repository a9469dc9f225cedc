/** What an edit costs, counted in calls of node:fs, so that no clock decides. */
import fs, { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { silentLogger } from '../../base/index.ts'
import { watchSources } from '../../server/watch.ts'

/** Names of the calls made since it was emptied, those of promises too. */
const calls: string[] = []

/** Counts calls of node:fs, whoever makes them, until the file ends. */
function countCalls(): void {
  const counted = (face: Record<string, unknown>): void => {
    for (const [name, call] of Object.entries(face)) {
      if (typeof call !== 'function' || !/^l?stat|^readdir|^opendir|^open$|^openSync$|^realpath/.test(name))
        continue
      face[name] = Object.assign((...words: unknown[]) => {
        calls.push(name)
        return (call as (...words: unknown[]) => unknown)(...words)
      }, call)
    }
  }
  counted(fs as unknown as Record<string, unknown>)
  counted(fs.promises as unknown as Record<string, unknown>)
  syncBuiltinESMExports()
}

test.before(countCalls)

/** What is called from an edit of one of so many zone files until it is reported. */
async function callsOfEdit(t: ExecutionContext, files: number): Promise<string[]> {
  const directory = mkdtempSync(join(tmpdir(), 'conclave-watch-'))
  for (let index = 0; index < files; index++) writeFileSync(join(directory, `${index}.zone`), `${index}`)
  let reported = 0
  let wake = (): void => {}
  const watcher = watchSources({
    log: silentLogger,
    stillSeconds: 0.06,
    // No sweep comes between.
    sweepSeconds: 3600,
    onStable: () => {
      reported++
      wake()
    },
    onGone: () => {},
    onUnreadable: () => {},
  })
  t.teardown(async () => {
    await watcher.close()
    rmSync(directory, { recursive: true })
  })
  const until = async (count: number): Promise<void> => {
    while (reported < count) await new Promise<void>(resolve => (wake = resolve))
  }
  watcher.addDirectory(directory)
  await until(files)
  await new Promise(resolve => setImmediate(resolve))
  calls.length = 0
  writeFileSync(join(directory, 'new'), 'edited')
  renameSync(join(directory, 'new'), join(directory, '0.zone'))
  await until(files + 1)
  return calls.slice()
}

test.serial('I4: an edit in a directory of 300 files calls the system as often as an edit alone', async t => {
  const [alone, among] = [await callsOfEdit(t, 1), await callsOfEdit(t, 300)]
  t.true(alone.length > 0)
  t.deepEqual(
    among.filter(name => /dir/.test(name)),
    [],
  )
  // A hint more or less is the system's affair.
  t.true(among.length <= alone.length + 8, `${alone.length} calls alone, ${among.length} among 300: ${among}`)
})
