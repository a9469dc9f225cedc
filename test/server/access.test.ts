/** Rules of access, and keys as they are given. */
import { inspect } from 'node:util'
import test from 'ava'
import { ConclaveError } from '../../base/index.ts'
import { AccessControl, createNameserver, TSIG_ALGORITHMS, tsigKey } from '../../server/index.ts'
import { Secret } from '../../signer/index.ts'
import { nameFromText } from '../../zones/index.ts'

const SECRET = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8='
const KEY = tsigKey('Transfer.Example', 'HMAC-SHA256', SECRET)
const OTHER = tsigKey('other.', 'hmac-sha512', SECRET)
const zone = nameFromText('example.')

test('without rules, loopback may transfer, and nobody else, whatever key they have', t => {
  const access = new AccessControl({ tsig: [KEY] })
  t.true(access.mayTransfer(zone, '127.0.0.1', undefined))
  t.true(access.mayTransfer(zone, '::1', undefined))
  t.true(access.mayTransfer(zone, '::ffff:127.0.0.2', KEY.name))
  t.false(access.mayTransfer(zone, '192.0.2.1', KEY.name))
})

test('RFC 5936 §5: a rule holds when all that it names holds; any rule permits; none at all denies', t => {
  const access = new AccessControl({
    tsig: [KEY, OTHER],
    transfer: {
      default: [{ prefixes: ['192.0.2.0/24'], keys: ['transfer.example.'] }, { prefixes: ['2001:db8::/32'] }],
      zones: { 'Example.': [{ keys: ['OTHER'] }], 'closed.example': [] },
    },
  })
  const elsewhere = nameFromText('elsewhere.')
  t.true(access.mayTransfer(elsewhere, '192.0.2.1', KEY.name))
  t.false(access.mayTransfer(elsewhere, '192.0.2.1', undefined))
  t.false(access.mayTransfer(elsewhere, '192.0.2.1', OTHER.name))
  t.false(access.mayTransfer(elsewhere, '198.51.100.1', KEY.name))
  t.true(access.mayTransfer(elsewhere, '2001:db8::1', undefined))
  // A zone's own rules stand in place of the default ones.
  t.true(access.mayTransfer(nameFromText('EXAMPLE.'), '198.51.100.1', OTHER.name))
  t.false(access.mayTransfer(zone, '2001:db8::1', undefined))
  t.false(access.mayTransfer(nameFromText('closed.example.'), '127.0.0.1', KEY.name))
})

test('rules and keys change as a whole or not at all, and who watches is told', t => {
  const access = new AccessControl({ tsig: [KEY], transfer: { default: [{ keys: [KEY.name] }] } })
  let told = 0
  const end = access.watch(() => told++)
  const bad = { transfer: { default: [{ prefixes: ['any'] }], zones: { 'x.': [{ keys: ['gone.'] }] } } }
  t.is(t.throws(() => access.set(bad), { instanceOf: ConclaveError }).code, 'ACCESS_KEY')
  t.is(told, 0)
  t.true(access.mayTransfer(zone, '192.0.2.1', KEY.name))
  t.deepEqual(access.current().keys, [KEY])
  access.set({ tsig: [OTHER], transfer: { default: [] } })
  t.is(told, 1)
  t.false(access.mayTransfer(zone, '192.0.2.1', KEY.name))
  t.deepEqual(access.current().keys, [OTHER])
  end()
  access.set({})
  t.is(told, 1)
})

test('what is wrong with rules and keys has its code, and its place', t => {
  const codeOf = (call: () => unknown): string =>
    (t.throws(call, { instanceOf: ConclaveError }) as ConclaveError).code
  t.is(
    codeOf(() => new AccessControl({ transfer: { default: [{}] } })),
    'ACCESS_RULE',
  )
  t.is(
    codeOf(() => new AccessControl({ transfer: { default: [{ prefixes: ['192.0.2.0/33'] }] } })),
    'ADDRESS_SYNTAX',
  )
  t.is(
    codeOf(() => new AccessControl({ transfer: { zones: { 'a..b': [] } } })),
    'NAME_SYNTAX',
  )
  t.is(
    codeOf(() => new AccessControl({ tsig: [KEY, tsigKey('transfer.EXAMPLE.', 'hmac-sha1', SECRET)] })),
    'TSIG_TWICE',
  )
  t.is(
    codeOf(() => tsigKey('a', 'hmac-md5', SECRET)),
    'TSIG_ALGORITHM',
  )
  t.is(
    codeOf(() => tsigKey('a..b', 'hmac-sha256', SECRET)),
    'NAME_SYNTAX',
  )
  const place = { file: 'conclave.yaml', line: 3, column: 13 }
  for (const secret of ['', 'se*cret', 'AAF', '====']) {
    const error = t.throws(() => tsigKey('a', 'hmac-sha256', secret, place), { instanceOf: ConclaveError })
    t.is(error.code, 'TSIG_SECRET')
    t.deepEqual(error.place, place)
    if (secret !== '') t.false(error.message.includes(secret))
  }
})

test('a secret may be given as octets, which stay as they are', t => {
  const secret = new Secret(Uint8Array.from(Buffer.from(SECRET, 'base64')))
  t.true(tsigKey('a', 'hmac-sha256', secret).secret.equals(KEY.secret))
  t.is(secret.length, 32)
  const empty = new Secret(new Uint8Array(0))
  t.throws(() => tsigKey('a', 'hmac-sha256', empty), { instanceOf: ConclaveError })
})

test('RFC 8945 §6: each algorithm makes a key, whose secret is not shown', t => {
  t.is(KEY.name, 'transfer.example.')
  for (const algorithm of TSIG_ALGORITHMS) t.is(tsigKey('a', `${algorithm}.`, SECRET).algorithm, algorithm)
  for (const text of [inspect(KEY, { depth: 9, showHidden: true }), JSON.stringify(KEY)]) {
    t.false(text.includes('AAEC') || text.includes('00010203') || text.includes('00 01 02 03'))
  }
})

test('a nameserver takes axfrAllow where there are no other rules, refuses bad ones at once, and later as a whole', async t => {
  const error = await t.throwsAsync(createNameserver({ transfer: { default: [{ keys: ['gone'] }] } }))
  t.is((error as ConclaveError).code, 'ACCESS_KEY')
  const server = await createNameserver({ axfrAllow: ['192.0.2.0/24'], tsig: [KEY] })
  t.teardown(() => server.close())
  t.throws(() => server.setAccess({ transfer: { zones: { 'x.': [{ keys: ['gone'] }] } } }), {
    instanceOf: ConclaveError,
  })
  t.notThrows(() => server.setAccess({ tsig: [OTHER], transfer: { zones: { 'x.': [{ keys: ['other'] }] } } }))
})
