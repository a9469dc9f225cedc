/** Configurations: what is made of them, and each fault at its place. */
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { durationSeconds } from '../../base/documents.ts'
import {
  type Configuration,
  type ConfigurationOutcome,
  configurationError,
  parseConfiguration,
  readConfiguration,
} from '../../server/index.ts'
import { defaultSigningPolicy } from '../../signer/index.ts'
import { faultText } from '../../zones/index.ts'
import { directoryOf, type Scope, zoneText } from '../support/serve.ts'

const RUNS = { seed: 20261123, numRuns: 500 }
const HOUR = 3600
const DAY = 86_400

/** In a directory with a zone file and a directory of them. */
function read(t: Scope, text: string): { outcome: ConfigurationOutcome; directory: string } {
  const files = { 'a.zone': zoneText('a.example.'), 'zones/b.zone': zoneText('b.example.'), 'c.yaml': text }
  const directory = directoryOf(t, files)
  return { outcome: readConfiguration(join(directory, 'c.yaml')), directory }
}

function sound(t: Scope, text: string): Configuration {
  const { outcome } = read(t, text)
  if (outcome.kind === 'configuration') return outcome.configuration
  throw new Error(outcome.faults.map(faultText).join('\n'))
}

/** Faults and warnings as `line:column: text`, without the path of the file. */
function faults(t: Scope, text: string): string[] {
  const { outcome, directory } = read(t, text)
  const found = outcome.kind === 'faults' ? outcome.faults : outcome.warnings
  return found.map(fault => faultText(fault).replace(`${join(directory, 'c.yaml')}:`, ''))
}

test('an empty mapping has all defaults', t => {
  const configuration = sound(t, '{}')
  t.deepEqual(configuration.listen, ['127.0.0.1@5300'])
  t.deepEqual(configuration.zones, [])
  t.true(configuration.stateDirectory.endsWith('/.conclave'))
  t.deepEqual([...configuration.keystores], [['default', { type: 'file' }]])
})

test('a zone’s own words stand over its template’s, these over its policy’s, these over the defaults', t => {
  const { zones } = sound(
    t,
    `policies:
  default: { cds: never }
  strict: { denial: nsec3, nsec3: { salt: "0a0b" }, zonemd: sha512, ksk-lifetime: 2y, signature-validity: 9d }
templates:
  default: { policy: strict, zonemd: none, transfer: [any], parent: { ds-confirmation: 3h } }
zones:
  - { file: a.zone, zsk-lifetime: unlimited, keys: ksk-zsk, name: A.example }
  - { directory: zones, policy: default, transfer: [] }
`,
  )
  const [file, directory] = zones
  t.deepEqual(file!.policy.signing, {
    ...defaultSigningPolicy,
    splitKeys: true,
    denial: 'nsec3',
    nsec3: { iterations: 0, salt: Uint8Array.of(10, 11) },
    zonemd: 'none',
    kskLifetimeSeconds: 730 * DAY,
    zskLifetimeSeconds: null,
    signatureValiditySeconds: 9 * DAY,
    refreshSeconds: 3 * DAY,
    jitterSeconds: Math.floor((9 * DAY) / 7),
    parent: { ...defaultSigningPolicy.parent, confirmation: { afterSeconds: 3 * HOUR } },
  })
  t.is(file!.origin, 'a.example.')
  t.deepEqual(file!.transfer, [{ prefixes: ['any'] }])
  t.deepEqual(directory!.transfer, [])
  const { signing } = directory!.policy
  t.like(signing, { cds: 'never', denial: 'nsec', zonemd: 'none' })
  // Who says nothing of the kind of keys does not ask for a roll to another one.
  t.deepEqual([file!.policy.keepKeys, directory!.policy.keepKeys], [false, true])
})

test('sign: false serves as it is', t => {
  const { zones } = sound(t, 'zones: [{ file: a.zone, sign: false }]')
  t.deepEqual(zones[0]!.policy, {
    signing: false,
    keepKeys: true,
    keystores: { ksk: 'default', zsk: 'default' },
  })
})

test('every fault of the values at once, in the order of the file, with the nearest known key', t => {
  const text = `server: { state: 12, wrkers: 3 }
listne: []
state: x
log: { level: warning }
keystores:
  a: { type: pkcs12 }
  b: { type: pkcs11, url: x, keys: [{ id: 01, zone: a., role: zks }, { labl: x }] }
policies:
  x: { algorithm: ecdsap256, sign: no, ksk-lifetime: 2x, nsec3: { salt: 0123 }, keystore: { ksk: a, zks: b } }
zones:
  - { file: a.zone, denail: nsec, name: 10, forwarders: [] }
`
  t.deepEqual(faults(t, text), [
    "1:18: error: state: found the number 12, expected a path: a text that looks like a number needs quotes: '12' [CONFIG_VALUE]",
    '1:22: error: unknown key "wrkers"; did you mean workers? [CONFIG_UNKNOWN_KEY]',
    '2:1: error: unknown key "listne"; did you mean listen? [CONFIG_UNKNOWN_KEY]',
    '3:1: error: unknown key "state"; it belongs to server [CONFIG_UNKNOWN_KEY]',
    '4:15: error: level: found "warning", expected debug, info, warn or error (did you mean warn?) [CONFIG_VALUE]',
    '6:14: error: type: found "pkcs12", expected file, pkcs11 or quorum (did you mean pkcs11?) [CONFIG_VALUE]',
    '7:6: error: uri: the key is missing; expected a PKCS#11 URI (RFC 7512) [CONFIG_VALUE]',
    '7:22: error: unknown key "url"; did you mean uri? [CONFIG_UNKNOWN_KEY]',
    "7:43: error: id: found the number 01, expected pairs of hexadecimal digits in quotes: a text that looks like a number needs quotes: '01' [CONFIG_VALUE]",
    '7:63: error: role: found "zks", expected csk, ksk or zsk (did you mean zsk?) [CONFIG_VALUE]',
    '7:70: error: zone: the key is missing; expected a domain name such as example.com [CONFIG_VALUE]',
    '7:70: error: role: the key is missing; expected csk, ksk or zsk [CONFIG_VALUE]',
    '7:72: error: unknown key "labl"; did you mean label? [CONFIG_UNKNOWN_KEY]',
    '9:19: error: algorithm: found "ecdsap256", expected ecdsap256sha256, ecdsap384sha384, ed25519, ed448, rsasha256 or rsasha512 (did you mean ecdsap256sha256?) [CONFIG_VALUE]',
    '9:36: error: sign: found "no", expected true or false: YAML 1.2 has true and false only [CONFIG_VALUE]',
    '9:54: error: ksk-lifetime: found "2x", expected unlimited, or a duration such as 14d, 1h30m or 2y (y, w, d, h, m, s), or a number of seconds [CONFIG_VALUE]',
    "9:73: error: salt: found the number 0123, expected pairs of hexadecimal digits in quotes, or - for none: a text that looks like a number needs quotes: '0123' [CONFIG_VALUE]",
    '9:91: error: zsk: the key is missing; expected the name of a key store [CONFIG_VALUE]',
    '9:101: error: unknown key "zks"; did you mean zsk? [CONFIG_UNKNOWN_KEY]',
    '11:21: error: unknown key "denail"; did you mean denial? [CONFIG_UNKNOWN_KEY]',
    "11:41: error: name: found the number 10, expected a domain name such as example.com: a text that looks like a number needs quotes: '10' [CONFIG_VALUE]",
    '11:45: error: unknown key "forwarders"; known are file, directory, name, template, policy, transfer, sign, algorithm, keys, rsa-bits, ksk-lifetime, zsk-lifetime, denial, nsec3, signature-validity, refresh, jitter, inception-offset, dnskey-ttl, zone-ttl-max, propagation, secondaries, propagation-delay, publish-safety, retire-safety, purge-after, parent, cds, serial, zonemd, gate, keystore, replace-keys, foreign-keys [CONFIG_UNKNOWN_KEY]',
  ])
})

test('every fault of references, files and policies at once, in the order of the file', t => {
  const text = `listen: [127.0.0.1@53, 127.0.0.1@53]
tsig:
  k.example: { secret: "!!" }
  l.example: {}
  m.example: { secret-file: none.key }
acl:
  loopback: { addresses: [any] }
  lost: {}
  some: { keys: [kk.example] }
keystores: { hsm: { type: pkcs11, uri: "pkcs11:token=x", pin-file: none.pin, keys: [{ zone: a., role: csk }] } }
policies:
  short: { signature-validity: 60 }
  two: { keystore: { ksk: hsm, zsk: defualt } }
templates:
  t: { policy: shrot, transfer: [sone] }
zones:
  - { file: a.zone, policy: other, template: tt }
  - { file: ./a.zone, name: x. }
  - { directory: nowhere, name: X }
  - { directory: zones, file: a.zone }
  - { directory: a.zone }
`
  const found = faults(t, text)
  t.deepEqual(
    found.map(line => line.split(': ')[0]),
    [
      '1:24',
      '3:24',
      '3:24',
      '4:14',
      '5:29',
      '7:3',
      '8:9',
      '9:18',
      '10:68',
      '10:85',
      '12:10',
      '13:8',
      '13:37',
      '15:16',
      '15:34',
      '17:29',
      '17:46',
      '18:13',
      '19:18',
      '19:33',
      '19:33',
      '20:5',
      '20:31',
      '21:18',
      '21:18',
    ],
  )
  const text2 = found.join('\n')
  for (const words of [
    'the address 127.0.0.1@53 stands in line 1 already [CONFIG_TWICE]',
    'expected the secret in base64 and nothing else [CONFIG_VALUE]',
    'a TSIG key has either a secret or a secret-file',
    'none.key: there is no such file or directory [CONFIG_FILE]',
    'loopback is an ACL of its own already',
    'there is no TSIG key "kk.example."; did you mean k.example.? [CONFIG_REFERENCE]',
    'none.pin: there is no such file',
    'a key of a token has a label, an id or both',
    'signatures cannot be valid for 60 seconds. Give 3600 to',
    'two key stores need two keys: say keys: ksk-zsk [CONFIG_POLICY]',
    'there is no key store "defualt"; did you mean default?',
    'there is no policy "shrot"; did you mean short?',
    'there is no ACL "sone"; did you mean some?',
    'there is no policy "other"; known are default, short, two',
    'there is no template "tt"; did you mean t?',
    'stands in line 17 already [CONFIG_TWICE]',
    'nowhere: there is no such file or directory',
    'the zone x. stands in line 18 already',
    'a zone has either a file or a directory',
    'a.zone: it is not a directory',
  ])
    t.true(text2.includes(words), `${words}\n${text2}`)
})

test('RFC 8901 §6.2: keys that roll by time beside those of others are a warning, where it is said', t => {
  const told = (policies: string): string[] => faults(t, `policies:\n${policies}`)
  const shared = (more: string): string => `  a: { foreign-keys: include, ${more} }\n`
  const [warning, ...others] = told(shared('keys: ksk-zsk, publish-safety: 2d'))
  t.regex(warning!, /^2:6: warning: a new ZSK signs .* within 172800 seconds .* zsk-lifetime: unlimited/)
  t.deepEqual(others, [])
  t.regex(told(shared('ksk-lifetime: 1y'))[0]!, /^2:6: warning: a new CSK signs .* ksk-lifetime: unlimited/)
  t.deepEqual(told(shared('keys: ksk-zsk, zsk-lifetime: unlimited, ksk-lifetime: 1y')), [])
  t.deepEqual(told(shared('keys: csk')), [])
  t.deepEqual(told('  a: { keys: ksk-zsk }\n'), [])
})

test('a zone file that is missing is a warning; so is a secret that everybody may read', t => {
  const files = { 'c.yaml': 'tsig: { k: { secret: c2VjcmV0 } }\nzones: [{ file: none.zone }]\n' }
  const path = join(directoryOf(t, files), 'c.yaml')
  const rules = (): string[] => {
    const outcome = readConfiguration(path)
    return outcome.kind === 'configuration' ? outcome.warnings.map(({ rule }) => rule) : ['refused']
  }
  chmodSync(path, 0o644)
  t.deepEqual(rules(), ['CONFIG_EXPOSED', 'CONFIG_FILE'])
  chmodSync(path, 0o640)
  t.deepEqual(rules(), ['CONFIG_FILE'])
})

test('secrets are told to nobody', t => {
  const configuration = sound(t, 'tsig: { K.example: { secret: c2VjcmV0 } }')
  const [key] = configuration.tsig
  t.like(key, { name: 'k.example.', algorithm: 'hmac-sha256' })
  t.is(key!.secret.export().toString(), 'secret')
  t.false(JSON.stringify(configuration).includes('c2VjcmV0'))
})

test('YAML faults have their places, and a file that is not there is a fault, too', t => {
  t.deepEqual(faults(t, 'zones:\n  - file: &a x\n'), [
    '2:11: error: anchors (&name) are not used here: put what several zones share into a template or a policy [CONFIG_SYNTAX]',
  ])
  t.deepEqual(faults(t, ''), ['1:1: error: found nothing, expected a mapping [CONFIG_VALUE]'])
  const outcome = readConfiguration('/none/c.yaml')
  t.deepEqual(outcome.kind === 'faults' && outcome.faults.map(faultText), [
    '/none/c.yaml: error: there is no such file or directory [CONFIG_READ]',
  ])
})

test('one error for all names the first and counts the rest', t => {
  const { outcome } = read(t, 'a: 1\nb: 2\nlog: 3\n')
  const error = configurationError(outcome.kind === 'faults' ? outcome.faults : [])
  t.is(error.code, 'CONFIG_REFUSED')
  t.regex(error.message, /unknown key "a".*, and 2 more$/)
  t.is(error.place.line, 1)
})

test('durations', t => {
  t.is(durationSeconds('2y'), 730 * DAY)
  t.is(durationSeconds('1h30m'), 5400)
  t.is(durationSeconds('1W2D'), 9 * DAY)
  t.is(durationSeconds(0), 0)
  for (const wrong of ['', '1', 'd', '1x', '-1d', 1.5, -1, 2 ** 31, '69y', null, '1d ']) {
    t.is(durationSeconds(wrong), undefined, String(wrong))
  }
})

test('whatever the text, it is read or has faults with places', t => {
  const word = fc.constantFrom(
    ...[
      'server',
      'zones',
      'policies',
      'templates',
      'tsig',
      'acl',
      'keystores',
      'listen',
      'log',
      'default',
      'file',
      'keystore',
    ],
    ...[
      'nsec3',
      'type',
      'pkcs11',
      '__proto__',
      'constructor',
      'toString',
      'a.zone',
      '127.0.0.1@53',
      '1d',
      'ksk',
      'parent',
      'x',
    ],
  )
  const value = fc.letrec<{ any: unknown }>(tie => ({
    any: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.oneof(word, fc.integer(), fc.boolean(), fc.constant(null), fc.string()),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(word, tie('any'), { maxKeys: 5 }),
    ),
  })).any
  fc.assert(
    fc.property(
      fc.oneof(
        value.map(one => JSON.stringify(one)),
        fc.string(),
      ),
      text => {
        const outcome = parseConfiguration(Buffer.from(text), '/none/c.yaml')
        if (outcome.kind === 'configuration') return true
        return (
          outcome.faults.length > 0 &&
          outcome.faults.every(({ place, what }) => place.line! >= 1 && what !== '')
        )
      },
    ),
    RUNS,
  )
  t.pass()
})
