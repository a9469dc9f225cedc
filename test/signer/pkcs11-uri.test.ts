import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { type Pkcs11Uri, parsePkcs11Uri, pinFileOf, printPkcs11Uri } from '../../signer/index.ts'
import { modulesOf } from '../../signer/pkcs11-modules.ts'

const octets = (...values: number[]) => Uint8Array.from(values)

/** RFC 7512 §3, those without PINs in them. */
const EXAMPLES: readonly (readonly [text: string, uri: Pkcs11Uri])[] = [
  ['pkcs11:', {}],
  ['pkcs11:object=my-pubkey;type=public', { object: 'my-pubkey', type: 'public' }],
  [
    'pkcs11:object=my-key;type=private?pin-source=file:/etc/token',
    { object: 'my-key', type: 'private', pinSource: 'file:/etc/token' },
  ],
  [
    'pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;object=my-certificate;serial=',
    {
      token: 'The Software PKCS#11 Softtoken',
      manufacturer: 'Snake Oil, Inc.',
      model: '1.0',
      object: 'my-certificate',
      serial: '',
    },
  ],
  [
    'pkcs11:token=Software%20PKCS%2311%20softtoken;id=%69%95%3E%5C%F4%BD%EC%91',
    { token: 'Software PKCS#11 softtoken', id: octets(0x69, 0x95, 0x3e, 0x5c, 0xf4, 0xbd, 0xec, 0x91) },
  ],
  ['pkcs11:slot-id=327?module-path=/usr/lib/p.so', { slotId: 327, modulePath: '/usr/lib/p.so' }],
  [
    'pkcs11:slot-description=Sun%20Metaslot;library-version=1.3;library-manufacturer=me?module-name=softhsm2',
    {
      slotDescription: 'Sun Metaslot',
      libraryVersion: '1.3',
      libraryManufacturer: 'me',
      moduleName: 'softhsm2',
    },
  ],
  ['pkcs11:token=Jindřich', { token: 'Jindřich' }],
]

test('RFC 7512 §3: the attributes of a URI, percent-decoded', t => {
  for (const [text, uri] of EXAMPLES) t.deepEqual(parsePkcs11Uri(text), uri, text)
})

test('RFC 7512 §2.3: what was printed parses to the same', t => {
  const text = fc.string({ unit: 'grapheme', minLength: 1 })
  const uris = fc.record(
    {
      token: text,
      serial: text,
      object: text,
      id: fc.uint8Array({ minLength: 1 }),
      slotId: fc.nat(),
      type: fc.constantFrom('private', 'public'),
      modulePath: text,
      pinSource: text,
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(uris, uri => t.deepEqual(parsePkcs11Uri(printPkcs11Uri(uri as Pkcs11Uri)), uri as Pkcs11Uri)),
    { seed: 7512 },
  )
  t.is(printPkcs11Uri({ token: 'a b', id: octets(1, 0x41) }), 'pkcs11:token=a%20b;id=%01%41')
})

test('a PIN in a URI is refused, wherever it stands, and not repeated', t => {
  for (const text of ['pkcs11:token=a?pin-value=SECRET', 'pkcs11:pin-value=SECRET;token=a']) {
    const error = t.throws(() => parsePkcs11Uri(text), { code: 'PKCS11_URI' })
    t.false(JSON.stringify(error).includes('SECRET') || String(error).includes('SECRET'))
  }
})

test('what is wrong with a URI is said', t => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['token=a', /starts with pkcs11:/],
    ['pkcs11:token=a;token=b', /twice/],
    ['pkcs11:tokens=a', /"tokens" is no attribute/],
    ['pkcs11:token=a?object=b', /"object" is no attribute/],
    ['pkcs11:token=%2', /hexadecimal/],
    ['pkcs11:slot-id=x', /number of a slot/],
    ['pkcs11:type=cert', /type/],
    ['pkcs11:x-vendor=1', /no attribute/],
  ]
  for (const [text, message] of wrong)
    t.throws(() => parsePkcs11Uri(text), { code: 'PKCS11_URI', message }, text)
})

test('RFC 7512 §2.4: where the PIN is', t => {
  t.is(pinFileOf('/etc/pin'), '/etc/pin')
  t.is(pinFileOf('file:/etc/pin'), '/etc/pin')
  t.is(pinFileOf('file:///etc/pin'), '/etc/pin')
  t.throws(() => pinFileOf('|/bin/pin'), { code: 'PKCS11_URI' })
  t.throws(() => pinFileOf('file://elsewhere/pin'), { code: 'PKCS11_URI' })
})

test('RFC 7512 §2.4: which library', t => {
  const directory = mkdtempSync(join(tmpdir(), 'conclave-module-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  t.deepEqual(modulesOf({ modulePath: '/x/y.so' }, undefined), ['/x/y.so'])
  t.deepEqual(modulesOf({ modulePath: '/x/y.so' }, '/z.so'), ['/z.so'])
  t.is(modulesOf({ modulePath: directory, moduleName: 'tok' }, undefined)[0], join(directory, 'libtok.so'))
  t.is(modulesOf({ moduleName: 'no-such-token' }, undefined)[0], 'libno-such-token.so')
  t.throws(() => modulesOf({}, undefined), { code: 'PKCS11_MODULE' })
})
