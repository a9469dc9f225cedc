import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { AuditLog, verifyAudit } from '../../hsm/audit.ts'
import type { StoredShare } from '../../hsm/node-keys.ts'
import { AuditFile, decodeShare, encodeShare, lockNode, VaultShares } from '../../hsm/node-storage.ts'
import { Vault, type VaultSecret } from '../../hsm/vault.ts'

const key: VaultSecret = { kind: 'key', octets: new Uint8Array(32).fill(7) }
const passphrase: VaultSecret = { kind: 'passphrase', passphrase: new TextEncoder().encode('a long one') }
const secret = new TextEncoder().encode('the share itself')

function scratch(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'conclave-vault-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

for (const opener of [key, passphrase]) {
  test(`a vault by ${opener.kind}: what was written is read, by nobody else, and hidden on disk`, async t => {
    const directory = join(scratch(t), 'node')
    await (await Vault.create(directory, opener)).write('one', secret)
    const vault = Vault.open(directory, opener)
    t.deepEqual(vault.names(), ['one'])
    t.deepEqual(vault.read('one'), secret)
    t.is(statSync(directory).mode & 0o777, 0o700)
    for (const name of readdirSync(directory)) {
      const file = join(directory, name)
      t.is(statSync(file).mode & 0o777, 0o600, name)
      t.false(readFileSync(file).includes(Buffer.from(secret)), name)
    }
    const wrong: VaultSecret =
      opener.kind === 'key'
        ? { kind: 'key', octets: new Uint8Array(32) }
        : { kind: 'passphrase', passphrase: new Uint8Array(3) }
    t.throws(() => Vault.open(directory, wrong), { code: 'VAULT_SECRET' })
    t.throws(() => Vault.open(directory, opener.kind === 'key' ? passphrase : key), { code: 'VAULT_SECRET' })
    await t.throwsAsync(Vault.create(directory, opener), { code: 'VAULT_EXISTS' })
    await vault.remove('one')
    t.deepEqual(vault.names(), [])
  })
}

test('I2, I3: damage and files under another name are told, each octet counts', async t => {
  const directory = scratch(t)
  const vault = await Vault.create(directory, key)
  await vault.write('one', secret)
  const file = join(directory, 'one.sealed')
  const whole = readFileSync(file)
  for (let at = 0; at < whole.length; at++) {
    writeFileSync(
      file,
      whole.map((octet, index) => (index === at ? octet ^ 1 : octet)),
    )
    t.throws(() => vault.read('one'), { code: 'VAULT_DAMAGED' }, `octet ${at}`)
  }
  writeFileSync(file, whole.subarray(0, 20))
  t.throws(() => vault.read('one'), { code: 'VAULT_DAMAGED' })
  writeFileSync(file, whole)
  renameSync(file, join(directory, 'two.sealed'))
  t.throws(() => vault.read('two'), { code: 'VAULT_DAMAGED' })
  for (const head of ['', '{}', '{"format":2}', '{"format":1,"kind":"key"}']) {
    writeFileSync(join(directory, 'vault'), head)
    t.throws(() => Vault.open(directory, key), { code: 'VAULT_OPEN' })
  }
  await t.throwsAsync(Vault.create(join(directory, 'more'), { kind: 'key', octets: secret }), {
    code: 'VAULT_SECRET',
  })
})

const share: StoredShare = {
  coordinator: 'one',
  state: 'active',
  session: 'ab',
  echo: secret,
  record: secret,
  index: 2,
  share: -123_456_789_012_345_678_901_234_567_890n,
}

test('shares are kept one file each, and told apart by coordinator and session', async t => {
  const vault = await Vault.create(scratch(t), key)
  const shares = new VaultShares(vault)
  const other = { ...share, coordinator: 'two' }
  await shares.save({ ...share, state: 'prepared' })
  await shares.save(other)
  await shares.save(share)
  const sorted = (list: readonly StoredShare[]): StoredShare[] =>
    [...list].sort((a, b) => (a.coordinator < b.coordinator ? -1 : 1))
  t.deepEqual(sorted(shares.load()), [share, other])
  await shares.remove(share)
  t.deepEqual(shares.load(), [other])
  await vault.write('share-no', encodeShare(share))
  t.throws(() => shares.load(), { code: 'VAULT_DAMAGED' })
  t.is(decodeShare(new Uint8Array(3)), undefined)
})

test('the audit log is in a file, chained; a torn last line is cut off', async t => {
  const path = join(scratch(t), 'audit.log')
  const file = new AuditFile(path)
  await file.mend()
  const log = AuditLog.open(file)
  await Promise.all([1, 2, 3].map(atUnix => log.append([{ atUnix, by: 'one', what: 'sign' }])))
  t.like(verifyAudit(file.lines()), { kind: 'whole', length: 3 })
  t.is(statSync(path).mode & 0o777, 0o600)
  writeFileSync(path, `${readFileSync(path, 'utf8')}{"number":4,"bef`)
  const again = new AuditFile(path)
  await again.mend()
  const reopened = AuditLog.open(again)
  t.deepEqual(reopened.state, log.state)
  await reopened.append([{ atUnix: 4, by: 'one', what: 'sign' }])
  t.like(verifyAudit(again.lines()), { kind: 'whole', length: 4 })
  t.deepEqual([...reopened.from(3, 1)], again.lines().slice(2, 3))
})

test('one node at a time in a directory', t => {
  const directory = scratch(t)
  const release = lockNode(directory)
  t.throws(() => lockNode(directory), { code: 'NODE_RUNNING' })
  release()
  t.notThrows(() => lockNode(directory)())
})
