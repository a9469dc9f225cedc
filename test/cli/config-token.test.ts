/** `conclave serve -c` with a key store on a token: there, and away. */
import { join } from 'node:path'
import test from 'ava'
import { directoryOf, run, serveWords, zoneText } from '../support/serve.ts'
import { needsSoftHsm, softToken } from '../support/softhsm.ts'
import { PATIENT, toolPath } from '../support/tools.ts'

test('a KSK on a token and a ZSK in a file; a token that is away stops its own zones only', async t => {
  if (!needsSoftHsm(t)) return
  const token = softToken(t)
  Object.assign(process.env, token.environment)
  const uri = (label: string): string => `"pkcs11:token=${label}?module-path=${token.library}"`
  const directory = directoryOf(t, {
    'a.zone': zoneText('a.example.'),
    'b.zone': zoneText('b.example.'),
    'c.yaml': `listen: [127.0.0.1@0]
keystores:
  hsm: { type: pkcs11, uri: ${uri(token.label)}, pin-file: ${join(token.directory, 'pin')} }
  away: { type: pkcs11, uri: ${uri('nowhere')}, pin-file: ${join(token.directory, 'pin')} }
zones:
  - { file: a.zone, keys: ksk-zsk, keystore: { ksk: hsm, zsk: default } }
  - { file: b.zone, keystore: away }
`,
  })
  const server = await serveWords(t, directory, ['-c', 'c.yaml']).started()
  t.deepEqual(
    server.serving.zones.map(({ zone, state }) => [zone, state]),
    [
      ['a.example.', 'serving'],
      ['b.example.', 'refused'],
    ],
  )
  const made = server.log.filter(line => line.msg === 'key made')
  t.deepEqual(made.map(({ role, file }) => [role, String(file).startsWith('pkcs11:')]).sort(), [
    ['ksk', true],
    ['zsk', false],
  ])
  const { answer } = await server.ask('a.example.', 'DNSKEY')
  t.is(answer.filter(line => line.includes(' RRSIG ')).length, 1)
  t.truthy(
    server.log.find(
      line => line.msg === 'a key store is away; its zones wait for it' && line['keystore'] === 'away',
    ),
  )
})

test('keys that another program made on a token sign, and a zone that they have signed elsewhere is taken over', async t => {
  if (!needsSoftHsm(t, 'pkcs11-tool', 'dig')) return
  const token = softToken(t)
  Object.assign(process.env, token.environment)
  token.pkcs11Tool('--keypairgen', '--key-type', 'EC:prime256v1', '--id', 'a1', '--label', 'ksk of mine')
  token.pkcs11Tool('--keypairgen', '--key-type', 'EC:prime256v1', '--id', 'a2', '--label', 'zsk of mine')
  const uri = `"pkcs11:token=${token.label}?module-path=${token.library}"`
  const configuration = `listen: [127.0.0.1@0]
keystores:
  hsm:
    type: pkcs11
    uri: ${uri}
    pin-file: ${join(token.directory, 'pin')}
    keys:
      - { label: ksk of mine, zone: a.example, role: ksk }
      - { id: "a2", zone: a.example, role: zsk }
zones:
  - { file: a.zone, keys: ksk-zsk, keystore: hsm }
`
  const keysOf = ({ answer }: { readonly answer: readonly string[] }): string[] =>
    answer.filter(line => line.includes(' DNSKEY 2')).sort()
  const first = await serveWords(
    t,
    directoryOf(t, { 'a.zone': zoneText('a.example.'), 'c.yaml': configuration }),
    ['-c', 'c.yaml'],
  ).started()
  const keys = keysOf(await first.ask('a.example.', 'DNSKEY'))
  t.deepEqual(
    keys.map(line => / DNSKEY (\d+)/.exec(line)?.[1]),
    ['256', '257'],
  )
  t.deepEqual(
    first.log.filter(line => line.msg === 'key made'),
    [],
  )
  const words = [
    `@127.0.0.1`,
    '-p',
    String(first.port),
    PATIENT,
    '+noall',
    '+answer',
    '+onesoa',
    'a.example',
    'AXFR',
  ]
  const signed = (await run(toolPath('dig')!, words)).out
  t.regex(signed, /RRSIG\sSOA/)

  const second = await serveWords(t, directoryOf(t, { 'a.zone': signed, 'c.yaml': configuration }), [
    '-c',
    'c.yaml',
  ]).started()
  t.truthy(second.log.find(line => line.msg === 'the zone is taken over from another server'))
  t.deepEqual(
    second.log.filter(line => line.msg === 'key made'),
    [],
  )
  t.deepEqual(keysOf(await second.ask('a.example.', 'DNSKEY')), keys)
})
