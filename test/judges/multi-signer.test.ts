/** RFC 8901 model 2: two nameservers sign one zone, each with keys of its own, and publish each other's. unbound and delv
 *  get the DNSKEY RRset from one and everything else from the other. */

import test, { type ExecutionContext } from 'ava'
import { createNameserver, type Nameserver } from '../../server/index.ts'
import type { SigningPolicy } from '../../signer/index.ts'
import { TYPE } from '../../zones/index.ts'
import { queryOf, readMessage } from '../support/message.ts'
import { startSplitServer } from '../support/split-server.ts'
import { needs } from '../support/tools.ts'
import { delvOf, outcomeOf, portOf, startUnbound } from '../support/validators.ts'

const ZONE = 'multi.test.'
const TEXT = [
  `$ORIGIN ${ZONE}`,
  '$TTL 300',
  '@ SOA ns1 hostmaster 1 7200 1800 1209600 300',
  '@ NS ns1',
  'ns1 A 192.0.2.1',
  'www A 192.0.2.2',
  '*.wild TXT "here"',
  '',
].join('\n')
const QUESTIONS = [
  ['www.multi.test.', 'A', 'NOERROR AD'],
  ['www.multi.test.', 'AAAA', 'NOERROR AD'],
  ['no.multi.test.', 'A', 'NXDOMAIN AD'],
  ['x.wild.multi.test.', 'TXT', 'NOERROR AD'],
  ['multi.test.', 'CDS', 'NOERROR AD'],
] as const

interface Signer {
  readonly server: Nameserver
  readonly port: number
  readonly ds: string
}

async function startSigner(t: ExecutionContext, signing: Partial<SigningPolicy>): Promise<Signer> {
  const server = await createNameserver({
    listen: ['127.0.0.1@0'],
    workers: 1,
    signing: { ...signing, foreignKeys: 'include' },
  })
  t.teardown(() => server.close())
  let ds = ''
  server.on('key', event => {
    ds = event.ds ?? ds
  })
  await server.addText(TEXT)
  return { server, port: portOf(server), ds }
}

/** Records of the apex as a zone file has them. */
function records(server: Nameserver, ...types: string[]): string[] {
  return types.flatMap(type => {
    const response = server.answer(queryOf(ZONE, type, { udpOctets: 4096 }), 'tcp')
    return readMessage(response!).answer
  })
}

async function exchange(a: Signer, b: Signer): Promise<void> {
  const ofA = records(a.server, 'DNSKEY', 'CDS', 'CDNSKEY').join('\n')
  const ofB = records(b.server, 'DNSKEY', 'CDS', 'CDNSKEY').join('\n')
  await a.server.addText(`${TEXT}${ofB}\n`)
  // The other's file may well have one's own keys in it.
  await b.server.addText(`${TEXT}${ofA}\n${ofB}\n`)
}

for (const { denial, splitKeys } of [
  { denial: 'nsec', splitKeys: false },
  { denial: 'nsec3', splitKeys: true },
] as const) {
  test.serial(`RFC 8901 §2.1.2: keys from one signer, data from another, ${denial}: secure`, async t => {
    if (!needs(t, 'unbound', 'delv')) return
    const a = await startSigner(t, { denial, splitKeys })
    const b = await startSigner(t, { denial, splitKeys })
    const before = records(a.server, 'DNSKEY').length
    await exchange(a, b)
    for (const type of ['DNSKEY', 'CDS', 'CDNSKEY']) {
      t.deepEqual(records(a.server, type).sort(), records(b.server, type).sort())
    }
    t.is(records(a.server, 'DNSKEY').length, 2 * before)
    for (const [keys, data] of [
      [a, b],
      [b, a],
    ] as const) {
      const split = await startSplitServer(type => (type === TYPE.DNSKEY ? keys.port : data.port))
      t.teardown(split.close)
      const resolver = await startUnbound({
        zones: [{ name: ZONE, port: split.port }],
        anchors: [a.ds, b.ds],
      })
      t.teardown(resolver.stop)
      for (const [name, type, outcome] of QUESTIONS) {
        t.is(outcomeOf(await resolver.ask(name, type)), outcome, `${name} ${type}\n${resolver.log()}`)
      }
      t.true(split.asked.get(keys.port)! > 0 && split.asked.get(data.port)! > 0)
      const delv = delvOf(split.port, keys.ds)
      t.teardown(delv.stop)
      for (const [name, type] of QUESTIONS) t.is((await delv.ask(name, type)).verdict, 'secure', name)
    }
  })
}

test.serial('RFC 8901 §2.1.2: without the exchange of keys the same questions are bogus', async t => {
  if (!needs(t, 'unbound')) return
  const a = await startSigner(t, {})
  const b = await startSigner(t, {})
  const split = await startSplitServer(type => (type === TYPE.DNSKEY ? a.port : b.port))
  t.teardown(split.close)
  const resolver = await startUnbound({ zones: [{ name: ZONE, port: split.port }], anchors: [a.ds, b.ds] })
  t.teardown(resolver.stop)
  t.is(outcomeOf(await resolver.ask('www.multi.test.', 'A')), 'SERVFAIL')
})
