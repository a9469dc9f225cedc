/** What programs without a compiler may get wrong: it is refused, and what was served before goes on. */
import test from 'ava'
import { createNameserver, type NameserverOptions, type ZoneOptions } from '../../server/index.ts'
import { defaultSigningPolicy, signingPolicyOf } from '../../signer/index.ts'
import { answers, BASE, testServer } from '../support/embedding.ts'

const NAMESERVER: readonly { title: string; options: object; code?: string }[] = [
  { title: 'an address that is not in a list', options: { listen: '127.0.0.1@0' } },
  { title: 'threads that are no number', options: { workers: Number.NaN } },
  { title: 'no threads', options: { workers: 0 } },
  { title: 'half a thread', options: { workers: 1.5 } },
  { title: 'a kind of UDP that is none', options: { udp: 'foo' } },
  { title: 'a policy for serials that is none', options: { serialPolicy: 'random' } },
  { title: 'an option that means nothing', options: { signign: false } },
  { title: 'signing that is neither false nor a policy', options: { signing: 'nsec3' } },
  { title: 'a policy that is none', options: { signing: { denial: 'nsec9' } }, code: 'SIGNING_POLICY' },
]

for (const { title, options, code = 'OPTION_INVALID' } of NAMESERVER) {
  test(`a nameserver is refused: ${title}`, async t => {
    const error = await t.throwsAsync(createNameserver(options as NameserverOptions), { code })
    t.regex((error as { remedy?: string }).remedy ?? '', /\.$/)
  })
}

const ZONES: readonly { title: string; options: object; code?: string }[] = [
  { title: 'what a policy says without a policy', options: { signing: { denial: 'nsec3' } } },
  { title: 'signing that says nothing', options: { signing: {} } },
  { title: 'signing that is true', options: { signing: true } },
  { title: 'an option that means nothing', options: { sining: false } },
  {
    title: 'a part of a policy',
    options: { signing: { policy: { denial: 'nsec3' } } },
    code: 'SIGNING_POLICY',
  },
  {
    title: 'a policy with a word that is none',
    options: { signing: { policy: { ...defaultSigningPolicy, zonemd: 'md5' } } },
    code: 'SIGNING_POLICY',
  },
  { title: 'a policy for serials that is none', options: { serialPolicy: 'random' } },
]

for (const { title, options, code = 'OPTION_INVALID' } of ZONES) {
  test(`how a zone is served is refused: ${title}`, async t => {
    const { server } = await testServer(t)
    await server.addZone('example.', BASE, { signing: { policy: signingPolicyOf() } })
    const before = answers(server, 'example.', 'SOA')
    await t.throwsAsync(server.setZonePolicy('example.', options as ZoneOptions), { code })
    await t.throwsAsync(server.addZone('other.', BASE, options as ZoneOptions), { code })
    t.deepEqual(answers(server, 'example.', 'SOA'), before)
    t.deepEqual(
      server.zones().map(({ zone, signed }) => [zone, signed]),
      [['example.', true]],
    )
  })
}

test('addresses that are not in a list are refused later, too', async t => {
  const { server } = await testServer(t)
  const address = '127.0.0.1@0' as unknown as string[]
  await t.throwsAsync(server.listen(address), { code: 'OPTION_INVALID' })
  await t.throwsAsync(server.setListen(address), { code: 'OPTION_INVALID' })
  await server.setListen(['127.0.0.1@0'])
  await t.throwsAsync(server.setListen(address), { code: 'OPTION_INVALID' })
  t.is(server.addresses.length, 1)
})
