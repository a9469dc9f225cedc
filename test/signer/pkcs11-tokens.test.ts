/** PKCS #11 key store and other people's tools on one token; PINs stay secret; what is ambiguous is an error. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import test from 'ava'
import type { ConclaveError, Logger } from '../../base/index.ts'
import { type KeyInfo, Pkcs11KeyStore, type Pkcs11Options, parsePkcs11Uri } from '../../signer/index.ts'
import { nameFromText, nameToText } from '../../zones/index.ts'
import { needsSoftHsm, type SoftToken, softToken, softTokenIn } from '../support/softhsm.ts'
import { assertSigned, batchFor } from './keystore-contract.ts'

const zone = nameFromText('example.com.')
const FOREVER = { deadlineUnix: Number.POSITIVE_INFINITY }

function open(token: SoftToken, more: Partial<Pkcs11Options> = {}): Promise<Pkcs11KeyStore> {
  return Pkcs11KeyStore.open({ uri: token.uri, environment: token.environment, ...more })
}

const hexOf = (id: Uint8Array): string => Buffer.from(id).toString('hex')

/** CKA_ID and label of the objects of a kind, as pkcs11-tool lists them. */
function objects(token: SoftToken, type: 'privkey' | 'pubkey'): string[] {
  const listed = token.pkcs11Tool('--list-objects', '--type', type)
  return [...listed.matchAll(/label: +(.*)\n +ID: +([0-9a-f]*)/g)]
    .map(found => `${found[2]} ${found[1]}`)
    .sort()
}

function objectsOf(keys: readonly KeyInfo[]): string[] {
  return keys
    .map(({ where }) => parsePkcs11Uri(where))
    .map(({ id, object }) => `${hexOf(id!)} ${object}`)
    .sort()
}

test('pkcs11-tool sees the keys that list() tells, sensitive and not extractable, and none once they are destroyed', async t => {
  if (!needsSoftHsm(t, 'pkcs11-tool')) return
  const token = softToken(t)
  const store = await open(token)
  for (const algorithm of [8, 13, 15]) await store.generate({ zone, algorithm, role: 'csk' })
  const keys = await store.list()
  t.is(keys.length, 3)
  t.deepEqual(objects(token, 'privkey'), objectsOf(keys))
  t.deepEqual(objects(token, 'pubkey'), objectsOf(keys))
  t.regex(
    keys[0]!.where,
    /^pkcs11:token=dnssec;serial=[0-9a-f]+;id=(%..){16};object=conclave%2F1%20example\.com\./,
  )
  const listed = token.pkcs11Tool('--list-objects', '--type', 'privkey')
  t.is(listed.match(/Access: +sensitive, always sensitive, never extractable, local/g)?.length, 3, listed)
  for (const key of keys) await store.destroy(key.id)
  t.deepEqual([...objects(token, 'privkey'), ...objects(token, 'pubkey')], [])
  await store.close()
})

test('keys that pkcs11-tool made sign, named by id, by label, or by both', async t => {
  if (!needsSoftHsm(t, 'pkcs11-tool')) return
  const token = softToken(t)
  token.pkcs11Tool('--keypairgen', '--key-type', 'EC:prime256v1', '--id', 'a1', '--label', 'ksk of mine')
  token.pkcs11Tool('--keypairgen', '--key-type', 'rsa:2048', '--id', 'a2', '--label', 'zsk of mine')
  token.pkcs11Tool('--keypairgen', '--key-type', 'EC:secp384r1', '--id', 'a3', '--label', 'twice')
  token.pkcs11Tool('--keypairgen', '--key-type', 'EC:secp384r1', '--id', 'a4', '--label', 'twice')
  token.pkcs11Tool('--keypairgen', '--key-type', 'EC:prime256v1', '--id', 'ff', '--label', 'nobody’s')
  const store = await open(token, {
    keys: [
      { id: Uint8Array.of(0xa1), zone, role: 'ksk' },
      { label: 'zsk of mine', zone, role: 'zsk', algorithm: 10, createdUnix: 1_700_000_000 },
      { id: Uint8Array.of(0xa4), label: 'twice', zone, role: 'csk' },
    ],
  })
  const keys = await store.list()
  t.deepEqual(
    keys.map(({ role, algorithm, createdUnix }) => [role, algorithm, createdUnix]),
    [
      ['ksk', 13, 0],
      ['zsk', 10, 1_700_000_000],
      ['csk', 14, 0],
    ],
  )
  for (const key of keys) {
    t.is(nameToText(key.zone), 'example.com.')
    const batch = batchFor(key, 5).batch(key.id)
    assertSigned(t, key, batch, await store.sign(batch, FOREVER))
  }
  await store.close()
  const named = (label: string) => open(token, { keys: [{ label, zone, role: 'csk' }] })
  await t.throwsAsync(named('twice'), { code: 'PKCS11_AMBIGUOUS', message: /id=%A3.*id=%A4/ })
  await t.throwsAsync(named('no such key'), { code: 'KEY_UNREADABLE' })
  const wrong = open(token, { keys: [{ label: 'ksk of mine', zone, role: 'csk', algorithm: 14 }] })
  await t.throwsAsync(wrong, { code: 'KEY_UNREADABLE', message: /P-256/ })
})

test('a key whose public half is gone stops the store from opening (keystore I5)', async t => {
  if (!needsSoftHsm(t, 'pkcs11-tool')) return
  const token = softToken(t)
  const store = await open(token)
  const key = await store.generate({ zone, algorithm: 13, role: 'csk' })
  await store.close()
  const id = hexOf(parsePkcs11Uri(key.where).id!)
  token.pkcs11Tool('--delete-object', '--type', 'pubkey', '--id', id)
  const error = await t.throwsAsync(open(token), { code: 'KEY_UNREADABLE', message: /no public key/ })
  t.is((error as ConclaveError).place.key, key.where)
})

test('a label that begins like ours and is cut stops the store from opening (keystore I5)', async t => {
  if (!needsSoftHsm(t, 'pkcs11-tool')) return
  const token = softToken(t)
  token.pkcs11Tool(
    '--keypairgen',
    '--key-type',
    'EC:prime256v1',
    '--id',
    'b1',
    '--label',
    'conclave/1 example.',
  )
  await t.throwsAsync(open(token), { code: 'KEY_UNREADABLE', message: /form of ours/ })
})

test('two stores on one token: each sees what the other makes and destroys, and both sign at once', async t => {
  if (!needsSoftHsm(t)) return
  const token = softToken(t)
  const [one, two] = await Promise.all([open(token), open(token)])
  const key = await one.generate({ zone, algorithm: 13, role: 'csk' })
  t.deepEqual(await two.keysOf(zone), [key])
  const other = await two.generate({ zone, algorithm: 13, role: 'zsk' })
  t.is((await one.list()).length, 2)
  const batch = batchFor(key, 200).batch(key.id)
  const outcomes = await Promise.all([one, two, one, two].map(store => store.sign(batch, FOREVER)))
  for (const signed of outcomes) assertSigned(t, key, batch, signed)
  await one.destroy(key.id)
  const late = [await two.sign(batch, FOREVER), await two.sign(batch, FOREVER)]
  for (const outcome of late[0]!) t.like(outcome, { kind: 'unavailable', code: 'PKCS11_KEY_GONE' })
  for (const outcome of late[1]!) t.like(outcome, { kind: 'refused', code: 'KEY_UNKNOWN' })
  t.deepEqual(await two.list(), [other])
  await Promise.all([one.close(), two.close()])
})

test('many stores log in at once', async t => {
  if (!needsSoftHsm(t)) return
  const token = softToken(t)
  const stores = await Promise.all(Array.from({ length: 6 }, () => open(token)))
  t.is(new Set(stores.map(store => store.pid)).size, 6)
  await Promise.all(stores.map(store => store.close()))
})

test('a token that is absent or ambiguous is an error that names those that are there', async t => {
  if (!needsSoftHsm(t)) return
  const token = softToken(t, 'twin')
  softTokenIn(token.directory, 'twin')
  await t.throwsAsync(open(token), {
    code: 'PKCS11_AMBIGUOUS',
    message: /"twin" \(serial \w+\), "twin" \(serial \w+\)/,
  })
  const query = token.uri.slice(token.uri.indexOf('?'))
  await t.throwsAsync(open(token, { uri: `pkcs11:token=other${query}` }), {
    code: 'PKCS11_TOKEN_ABSENT',
    message: /"twin" \(serial/,
  })
  const third = softTokenIn(token.directory, 'third')
  const store = await open(third)
  const { where } = await store.generate({ zone, algorithm: 13, role: 'csk' })
  await store.close()
  // By serial alone, and by the URI that a key is known by.
  const { serial } = parsePkcs11Uri(where)
  for (const path of [`pkcs11:serial=${serial}`, where]) {
    const again = await open(token, { uri: path + query })
    t.is((await again.list()).length, 1)
    await again.close()
  }
  await t.throwsAsync(open(third, { uri: `pkcs11:token=third;library-manufacturer=me${query}` }), {
    code: 'PKCS11_MODULE',
  })
})

test('the PIN is in no argument, environment, log or error', async t => {
  if (!needsSoftHsm(t)) return
  const token = softToken(t)
  const lines: string[] = []
  const note = (message: string, fields?: unknown) => void lines.push(message + inspect(fields))
  const log: Logger = { debug: note, info: note, warn: note, error: note }
  const uri = token.uri.replace(/&pin-source.*/, '')
  process.env['CONCLAVE_TEST_PIN'] = token.pin
  t.teardown(() => delete process.env['CONCLAVE_TEST_PIN'])
  const store = await open(token, { uri, pinVariable: 'CONCLAVE_TEST_PIN', log })
  const key = await store.generate({ zone, algorithm: 13, role: 'csk' })
  for (const file of ['cmdline', 'environ']) {
    const text = readFileSync(`/proc/${store.pid}/${file}`, 'latin1')
    t.true(text.length > 0)
    t.false(text.includes(token.pin), file)
  }
  process.kill(store.pid!, 'SIGKILL')
  const batch = batchFor(key, 3).batch(key.id)
  await store.sign(batch, FOREVER)
  assertSigned(t, key, batch, await store.sign(batch, FOREVER))
  const error = await t.throwsAsync(open(token, { uri, pinVariable: 'CONCLAVE_TEST_NO_PIN' }), {
    code: 'PKCS11_PIN_NEEDED',
  })
  t.true(lines.length > 0)
  for (const text of [...lines, inspect(store, { depth: 9, showHidden: true }), inspect(error)])
    t.false(text.includes(token.pin))
  await store.close()
})

test('a file with the PIN: its first line, with a warning when others may read it', async t => {
  if (!needsSoftHsm(t)) return
  const token = softToken(t)
  const path = join(token.directory, 'pin')
  const warned: unknown[] = []
  const log: Logger = {
    debug() {},
    info() {},
    error() {},
    warn: (_, fields) => warned.push(fields?.['file']),
  }
  writeFileSync(path, `${token.pin}\r\nmore\n`)
  chmodSync(path, 0o644)
  await (await open(token, { log })).close()
  t.deepEqual(warned, [path])
  writeFileSync(path, '\n')
  await t.throwsAsync(open(token), { code: 'PKCS11_PIN_NEEDED', message: /empty/ })
  const uri = token.uri.replace(path, `${path}.none`)
  await t.throwsAsync(open(token, { uri }), { code: 'PKCS11_PIN_NEEDED', message: /cannot be read/ })
})
