import { spawnSync } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import {
  chmodSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { ConclaveError, type LogFields, type Logger, silentLogger } from '../../base/index.ts'
import { publicKeyOf } from '../../signer/algorithms.ts'
import { algorithmOf, CryptoPool, ExplicitKeyStore, FileKeyStore } from '../../signer/index.ts'
import { nameFromText } from '../../zones/index.ts'
import { needs, toolPath } from '../support/tools.ts'
import { assertSigned, batchFor, keyStoreContract } from './keystore-contract.ts'

const pool = new CryptoPool({ threads: 1 })
test.after.always(() => pool.close())
const zone = nameFromText('example.com.')
const FOREVER = { deadlineUnix: Number.POSITIVE_INFINITY }

function scratch(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'conclave-keys-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  return directory
}

const places = new WeakMap<ExecutionContext, string>()
keyStoreContract('file key store', {
  open(t) {
    const directory = join(scratch(t), 'keys')
    places.set(t, directory)
    return FileKeyStore.open(directory, { pool })
  },
  reopen: t => FileKeyStore.open(places.get(t)!, { pool }),
})

/** A store with one P-256 key, and the path of its file. */
async function oneKey(t: ExecutionContext) {
  const directory = join(scratch(t), 'keys')
  const store = await FileKeyStore.open(directory, { pool })
  const key = await store.generate({ zone, algorithm: 13, role: 'csk' })
  return { directory, store, key, path: key.where }
}

function warnings(): { log: Logger; lines: [string, LogFields | undefined][] } {
  const lines: [string, LogFields | undefined][] = []
  return { lines, log: { ...silentLogger, warn: (message, fields) => lines.push([message, fields]) } }
}

test('a key file is 0600 in a 0700 directory, says what it is, and OpenSSL reads it', async t => {
  const { directory, path, key } = await oneKey(t)
  t.is(statSync(path).mode & 0o777, 0o600)
  t.is(statSync(directory).mode & 0o777, 0o700)
  t.deepEqual(readdirSync(directory), [`example.com.+013+${String(key.keyTag).padStart(5, '0')}.csk.pem`])
  const text = readFileSync(path, 'latin1')
  t.regex(
    text,
    /^Conclave-Key: 1\nZone: example\.com\.\nRole: csk\nAlgorithm: 13 ECDSAP256SHA256\nKey-Tag: \d+\nCreated: /,
  )
  if (!needs(t, 'openssl')) return
  const run = spawnSync(toolPath('openssl')!, ['pkey', '-in', path, '-pubout'], { encoding: 'utf8' })
  t.is(run.status, 0, run.stderr)
  t.deepEqual(publicKeyOf(algorithmOf(13), createPublicKey(run.stdout)), key.publicKey)
})

test('a file under another name is the same key; a second copy is left out with a warning', async t => {
  const { directory, path, key } = await oneKey(t)
  const moved = join(directory, 'a.pem')
  renameSync(path, moved)
  writeFileSync(join(directory, 'b.pem'), readFileSync(moved), { mode: 0o600 })
  const { log, lines } = warnings()
  const store = await FileKeyStore.open(directory, { pool, log })
  t.deepEqual(await store.list(), [{ ...key, where: moved }])
  t.like(lines, [['a key is in two files; the first is used', { file: join(directory, 'b.pem') }]])
})

test('keys that others add and remove are seen by list', async t => {
  const { directory, store, key } = await oneKey(t)
  const other = await FileKeyStore.open(directory, { pool })
  const added = await other.generate({ zone, algorithm: 15, role: 'zsk' })
  t.is((await store.list()).length, 2)
  rmSync(key.where)
  t.deepEqual(await store.list(), [added])
})

test('what a crash left while a key was written goes with the key; a write that is under way stays', async t => {
  const { directory, store, key, path } = await oneKey(t)
  const left = join(directory, '.conclave-0011223344556677.tmp')
  linkSync(path, left)
  const hourAgo = new Date(Date.now() - 3_600_000)
  utimesSync(left, hourAgo, hourAgo)
  writeFileSync(join(directory, '.conclave-8899aabbccddeeff.tmp'), 'half a key')
  await store.destroy(key.id)
  t.deepEqual(readdirSync(directory), ['.conclave-8899aabbccddeeff.tmp'])
})

test('a key file that others may read is used, with a warning that says what to do', async t => {
  const { directory, path } = await oneKey(t)
  chmodSync(path, 0o640)
  const { log, lines } = warnings()
  await FileKeyStore.open(directory, { pool, log })
  t.deepEqual(lines, [['a private key can be read by others', { file: path, remedy: `chmod 600 ${path}` }]])
})

const SPOILT: readonly [what: string, spoil: (text: string) => string, message: RegExp][] = [
  ['cut short', text => text.slice(0, -80), /no private key that can be used/],
  ['empty', () => '', /no private key/],
  ['without its lines', text => text.slice(text.indexOf('-----')), /Conclave-Key: is missing/],
  ['of another format', text => text.replace('Conclave-Key: 1', 'Conclave-Key: 2'), /format 2 is not known/],
  ['without a role', text => text.replace(/Role: .*\n/, ''), /Role: is missing/],
  ['with a wrong role', text => text.replace('Role: csk', 'Role: boss'), /boss is not a role/],
  ['with a wrong zone', text => text.replace('Zone: example', 'Zone: exam..ple'), /an empty label/],
  [
    'with another algorithm',
    text => text.replace('Algorithm: 13', 'Algorithm: 15'),
    /Public-Key is not that of the private key/,
  ],
  [
    'with another public key',
    text => text.replace(/Public-Key: ..../, 'Public-Key: AAAA'),
    /Public-Key is not that/,
  ],
  [
    'encrypted',
    text => text.replaceAll('PRIVATE KEY', 'ENCRYPTED PRIVATE KEY'),
    /encrypted with a passphrase/,
  ],
  [
    'encrypted as openssl ec -aes128 does it',
    text =>
      text.replace(
        /BEGIN (PRIVATE KEY-----)/,
        'BEGIN EC $1\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n',
      ),
    /encrypted with a passphrase/,
  ],
]

for (const [what, spoil, message] of SPOILT) {
  test(`a key file ${what} stops the store from opening, and nothing is changed`, async t => {
    const { directory, path } = await oneKey(t)
    const spoilt = spoil(readFileSync(path, 'latin1'))
    writeFileSync(path, spoilt)
    const error = await t.throwsAsync(FileKeyStore.open(directory, { pool }), { instanceOf: ConclaveError })
    t.like(error, { code: 'KEY_UNREADABLE', place: { file: path } })
    t.regex(error!.message, message)
    t.truthy((error as ConclaveError).remedy)
    t.is(readFileSync(path, 'latin1'), spoilt)
  })
}

test('a directory that is a file is an error, not an empty store', async t => {
  const path = join(scratch(t), 'keys')
  writeFileSync(path, '')
  await t.throwsAsync(FileKeyStore.open(path, { pool }), { code: 'KEY_UNREADABLE' })
})

test('names of zones become names of files: escapes, the root, the longest name', async t => {
  const directory = scratch(t)
  const store = await FileKeyStore.open(directory, { pool })
  const long = `${'\\000'.repeat(62)}.`.repeat(3)
  for (const text of ['.', 'a\\.b/c.Example.', '\\000.example.', '..%2e.'.slice(2), long]) {
    const key = await store.generate({ zone: nameFromText(text), algorithm: 13, role: 'csk' })
    t.true(statSync(key.where).isFile())
  }
  const names = readdirSync(directory).sort()
  t.is(names.length, 5)
  t.true(
    names.some(name => /^\.\+013\+\d{5}\.csk\.pem$/.test(name)),
    names.join(' '),
  )
  t.true(
    names.some(name => name.startsWith('a%2Eb%2Fc.example.+013+')),
    names.join(' '),
  )
  const again = await FileKeyStore.open(directory, { pool })
  t.is((await again.list()).length, 5)
})

test('explicit PEM files: with our lines, without them, and in the old kinds of PEM', async t => {
  const { path, key } = await oneKey(t)
  const ours = await ExplicitKeyStore.open(zone, [{ path, role: 'ksk' }], { pool })
  t.like(await ours.list(), [{ id: key.id, role: 'ksk', algorithm: 13, flags: 257 }])
  await t.throwsAsync(ours.generate({ zone, algorithm: 13, role: 'csk' }), { code: 'KEY_STORE_READ_ONLY' })
  const elsewhere = nameFromText('example.net.')
  await t.throwsAsync(ExplicitKeyStore.open(elsewhere, [{ path, role: 'ksk' }], { pool }), {
    code: 'KEY_MISMATCH',
  })
  if (!needs(t, 'openssl')) return
  const directory = scratch(t)
  const made: readonly [name: string, words: readonly string[], algorithm: number][] = [
    ['sec1', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout'], 13],
    ['pkcs1', ['genrsa', '-traditional', '2048'], 8],
    ['ed448', ['genpkey', '-algorithm', 'ed448'], 16],
    ['p384', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'], 14],
  ]
  for (const [name, words, algorithm] of made) {
    const file = join(directory, name)
    const run = spawnSync(toolPath('openssl')!, [words[0]!, '-out', file, ...words.slice(1)], {
      encoding: 'utf8',
    })
    t.is(run.status, 0, run.stderr)
    chmodSync(file, 0o600)
    const store = await ExplicitKeyStore.open(zone, [{ path: file, role: 'zsk' }], { pool })
    const [info] = await store.list()
    t.is(info!.algorithm, algorithm)
    const batch = batchFor(info!, 2).batch(info!.id)
    assertSigned(t, info!, batch, await store.sign(batch, FOREVER))
  }
  const rsa = { path: join(directory, 'pkcs1'), role: 'zsk', algorithm: 10 } as const
  t.like(await (await ExplicitKeyStore.open(zone, [rsa], { pool })).list(), [{ algorithm: 10 }])
  const wrong = { path: join(directory, 'sec1'), role: 'zsk', algorithm: 15 } as const
  await t.throwsAsync(ExplicitKeyStore.open(zone, [wrong], { pool }), { code: 'KEY_MALFORMED' })
  const absent = { path: join(directory, 'absent'), role: 'zsk' } as const
  await t.throwsAsync(ExplicitKeyStore.open(zone, [absent], { pool }), { code: 'KEY_UNREADABLE' })
})

test('RSA keys below 2048 bits are not made', async t => {
  const store = await FileKeyStore.open(scratch(t), { pool })
  const spec = { zone, algorithm: 8, role: 'csk' } as const
  await t.throwsAsync(store.generate({ ...spec, bits: 1024 }), { code: 'KEY_GENERATE' })
  await t.throwsAsync(store.generate({ ...spec, algorithm: 5 }), { code: 'ALGORITHM_UNSUPPORTED' })
})

test('keys made while the directory is read are neither lost nor seen twice', async t => {
  const { log, lines } = warnings()
  const store = await FileKeyStore.open(scratch(t), { pool, log })
  const made: string[] = []
  let making = true
  const maker = async (): Promise<void> => {
    for (let round = 0; round < 20; round++)
      made.push((await store.generate({ zone, algorithm: 15, role: 'zsk' })).id)
    making = false
  }
  const reader = async (): Promise<void> => {
    while (making) {
      const before = [...made]
      const listed = new Set((await store.list()).map(key => key.id))
      t.deepEqual(
        before.filter(id => !listed.has(id)),
        [],
      )
    }
  }
  await Promise.all([maker(), reader()])
  t.is((await store.list()).length, 20)
  t.deepEqual(lines, [])
})
