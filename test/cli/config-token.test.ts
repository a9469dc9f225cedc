/** `conclave serve -c` with a key store on a token: there, and away. */
import { join } from 'node:path'
import test from 'ava'
import { directoryOf, serveWords, zoneText } from '../support/serve.ts'
import { needsSoftHsm, softToken } from '../support/softhsm.ts'

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
