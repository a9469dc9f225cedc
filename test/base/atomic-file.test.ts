import { promises as fs } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { ConclaveError, isTemporaryName, writeFileWhole } from '../../base/index.ts'

async function directory(t: { teardown: (call: () => Promise<void>) => void }): Promise<string> {
  const path = await fs.mkdtemp(join(tmpdir(), 'conclave-test-'))
  t.teardown(() => fs.rm(path, { recursive: true, force: true }))
  return path
}

test('a new file has the mode asked for, whatever the umask', async t => {
  const path = join(await directory(t), 'key.pem')
  await writeFileWhole(path, 'secret', { mode: 0o600 })
  t.is(await fs.readFile(path, 'utf8'), 'secret')
  t.is((await fs.stat(path)).mode & 0o777, 0o600)
})

test('a replaced file keeps its mode, and parts are joined', async t => {
  const path = join(await directory(t), 'out.zone')
  await fs.writeFile(path, 'old', { mode: 0o640 })
  await fs.chmod(path, 0o640)
  await writeFileWhole(path, ['one ', new TextEncoder().encode('two')])
  t.is(await fs.readFile(path, 'utf8'), 'one two')
  t.is((await fs.stat(path)).mode & 0o777, 0o640)
})

test('I2: a source that fails leaves the old file and no temporary one', async t => {
  const where = await directory(t)
  const path = join(where, 'out.zone')
  await fs.writeFile(path, 'old')
  async function* broken(): AsyncGenerator<string> {
    yield 'half'
    throw new Error('the source broke')
  }
  const error = await t.throwsAsync(writeFileWhole(path, broken()), { instanceOf: ConclaveError })
  t.is(error?.code, 'FILE_WRITE')
  t.is(await fs.readFile(path, 'utf8'), 'old')
  t.deepEqual(await fs.readdir(where), ['out.zone'])
})

test('I3: a directory is left as it is', async t => {
  const where = await directory(t)
  const error = await t.throwsAsync(writeFileWhole(where, 'new'), { instanceOf: ConclaveError })
  t.regex(error?.message ?? '', /not a regular file/)
  t.true((await fs.stat(where)).isDirectory())
})

test('I3: a symbolic link stays, its target is replaced', async t => {
  const where = await directory(t)
  await fs.mkdir(join(where, 'real'))
  await fs.writeFile(join(where, 'real/a'), 'old')
  await fs.symlink('real/a', join(where, 'link'))
  await writeFileWhole(join(where, 'link'), 'new')
  t.true((await fs.lstat(join(where, 'link'))).isSymbolicLink())
  t.is(await fs.readFile(join(where, 'real/a'), 'utf8'), 'new')
})

test('exclusive never replaces a file', async t => {
  const where = await directory(t)
  const path = join(where, 'key.pem')
  await writeFileWhole(path, 'first', { exclusive: true })
  const error = await t.throwsAsync(writeFileWhole(path, 'second', { exclusive: true }))
  t.is((error as ConclaveError).code, 'FILE_EXISTS')
  t.is(await fs.readFile(path, 'utf8'), 'first')
  t.deepEqual(await fs.readdir(where), ['key.pem'])
})

test('a directory that is not there is named', async t => {
  const path = join(await directory(t), 'none/out.zone')
  const error = await t.throwsAsync(writeFileWhole(path, 'x'))
  t.is((error as ConclaveError).code, 'FILE_WRITE')
  t.is((error as ConclaveError).place.file, path)
})

test('what a crash leaves behind is recognised', t => {
  t.true(isTemporaryName('/zones/.conclave-0011223344556677.tmp'))
  t.false(isTemporaryName('/zones/a.zone'))
})
