import { spawn } from 'node:child_process'
import test from 'ava'
import { ManualClock, silentLogger, systemClock } from '../../base/index.ts'
import { AccessControl } from '../../server/access.ts'
import { type TransferPeer, Transfers } from '../../server/axfr.ts'
import { type Store, TYPE } from '../../zones/index.ts'
import { type Message, queryOf, readMessage } from '../support/message.ts'
import { needs, needsIpv6, PATIENT, toolPath } from '../support/tools.ts'
import { commitZones, parseRecords, storeOf, type TestRecord, withSignatures } from '../support/zone.ts'
import { framed, listening, type Overrides, portOf, StreamClient } from './listening.ts'

const SMALL = `
$ORIGIN example.
@ 3600 SOA ns h 1 7200 3600 1209600 300
@ NS ns
@ NSEC ns NS SOA RRSIG NSEC
ns A 192.0.2.53
ns AAAA 2001:db8::53
ns NSEC a.b.c A AAAA RRSIG NSEC
a.b.c TXT "an empty non-terminal above"
a.b.c NSEC sub TXT RRSIG NSEC
sub NS ns.sub
sub DS 12345 13 2 0000000000000000000000000000000000000000000000000000000000000000
sub NSEC @ NS DS RRSIG NSEC
ns.sub A 192.0.2.54
`

const HASHED = `
$ORIGIN example.
@ 3600 SOA ns h 1 7200 3600 1209600 300
@ NS ns
@ NSEC3PARAM 1 0 0 -
ns A 192.0.2.53
0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NSEC3 1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr NS SOA NSEC3PARAM
2t7b4g4vsa5smi47k61mv5bv1a22bojr NSEC3 1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A
`

/** Some 300 KB, a record of 40,000 octets among it. */
function largeZone(serial = 1): string {
  const lines = ['$ORIGIN example.', `@ 3600 SOA ns h ${serial} 7200 3600 1209600 300`, '@ NS ns']
  for (let index = 0; index < 4000; index++)
    lines.push(`host${index} TXT "v${serial} ${'x'.repeat(index % 60)}"`)
  lines.push(`large TXT ${'"0123456789012345678901234567890123456789" '.repeat(970)}`)
  return lines.join('\n')
}

function withStore(store: Store, more: Overrides = {}): Overrides {
  return { handle: store.handle, store, answerOptions: {}, ...more }
}

/** The messages of a transfer and of what follows, up to `count` SOA records in answers. */
async function transferred(
  client: StreamClient,
  query: Uint8Array,
): Promise<{ messages: Message[]; records: string[]; octets: number[] }> {
  client.socket.write(framed(query))
  for (let count = 1; ; count++) {
    const raw = (await client.received(count)).slice(0, count)
    const messages = raw.map(one => readMessage(one))
    const records = messages.flatMap(one => one.answer)
    const soas = records.filter(one => /^\S+ \d+ SOA /.test(one)).length
    if (client.closed || soas === 2 || records.length === 0) {
      return { messages, records, octets: raw.map(one => one.length) }
    }
  }
}

const withoutSignature = (records: readonly string[]): string[] =>
  records.filter(one => !/^\S+ \d+ RRSIG /.test(one))

test('RFC 5936 §2.2: a transfer is the SOA, every other record once, and the SOA', async t => {
  const records = withSignatures(parseRecords(SMALL))
  const listeners = await listening(t, withStore(await storeOf(records)))
  const client = await StreamClient.open(t, portOf(listeners))
  const { messages, records: found } = await transferred(client, queryOf('example.', 'AXFR'))
  t.is(messages.length, 1)
  t.is(messages[0]!.rcode, 0)
  t.true(messages[0]!.authoritative)
  t.is(messages[0]!.question, 'example. 1 AXFR')
  t.is(messages[0]!.opt, undefined)
  t.is(found.length, records.length + 1)
  t.is(found[0], found.at(-1))
  t.is(new Set(found).size, records.length)
  t.deepEqual(
    withoutSignature(found)
      .slice(0, -1)
      .map(one => one.split(' ').slice(0, 3).join(' ')),
    [
      'example. 3600 SOA',
      'example. 3600 NS',
      'example. 3600 NSEC',
      'a.b.c.example. 3600 TXT',
      'a.b.c.example. 3600 NSEC',
      'ns.example. 3600 A',
      'ns.example. 3600 AAAA',
      'ns.example. 3600 NSEC',
      'sub.example. 3600 NS',
      'sub.example. 3600 DS',
      'sub.example. 3600 NSEC',
      'ns.sub.example. 3600 A',
    ],
  )
  t.is(listeners.counters().transfers.completed, 1)
})

test('RFC 5155 §7.3: NSEC3 records and their signatures are transferred', async t => {
  const records = withSignatures(parseRecords(HASHED))
  const client = await StreamClient.open(t, portOf(await listening(t, withStore(await storeOf(records)))))
  const { records: found } = await transferred(client, queryOf('example.', 'AXFR'))
  t.is(found.length, records.length + 1)
  t.deepEqual(
    found.filter(one => / NSEC3 /.test(one) && !/^\S+ \d+ RRSIG /.test(one)).map(one => one.slice(0, 32)),
    ['0p9mhaveqvm6t7vbl5lop2u3t2rp3tom', '2t7b4g4vsa5smi47k61mv5bv1a22bojr'],
  )
})

test('RFC 5936 §2.2: a large zone is many well-packed messages; what is asked next is answered after them', async t => {
  const records = parseRecords(largeZone())
  const client = await StreamClient.open(t, portOf(await listening(t, withStore(await storeOf(records)))))
  client.socket.write(framed(queryOf('example.', 'AXFR', { id: 1, udpOctets: 1232, dnssecOk: true })))
  client.socket.write(framed(queryOf('ns.example.', 'A', { id: 2 })))
  let raw: Buffer[] = []
  do raw = await client.received(raw.length + 1)
  while (raw.at(-1)!.readUInt16BE(0) !== 2)
  const messages = raw.map(one => readMessage(one))
  const transfer = messages.slice(0, -1)
  t.is(transfer.flatMap(one => one.answer).length, records.length + 1)
  t.is(transfer[0]!.question, 'example. 1 AXFR')
  t.true(transfer.slice(1).every(one => one.question === undefined && one.id === 1 && one.opt === undefined))
  t.true(transfer[0]!.opt?.dnssecOk)
  const sizes = raw.slice(0, -1).map(one => one.length)
  t.is(sizes.filter(size => size > 16_384).length, 1)
  // Owner names are compressed: 4,000 names cost less than their text would.
  t.true(sizes.length <= 24)
})

test('a peer without permission gets REFUSED with its reason, whether or not we have the zone', async t => {
  const store = await storeOf(SMALL)
  const elsewhere = new AccessControl({ transfer: { default: [{ prefixes: ['192.0.2.0/24'] }] } })
  const listeners = await listening(t, withStore(store, { access: elsewhere }))
  const client = await StreamClient.open(t, portOf(listeners))
  for (const [index, zone] of ['example.', 'elsewhere.'].entries()) {
    client.socket.write(framed(queryOf(zone, 'AXFR', { udpOctets: 1232 })))
    const message = readMessage((await client.received(index + 1))[index]!)
    t.is(message.rcode, 5)
    // RFC 8914 §4.19: Prohibited.
    t.deepEqual(message.ede, [18])
    t.is(message.answer.length, 0)
    t.false(message.authoritative)
  }
  t.is(listeners.counters().transfers.refused, 2)
})

test('RFC 5936 §2.2.1: NOTAUTH for what is no apex of ours', async t => {
  const client = await StreamClient.open(t, portOf(await listening(t, withStore(await storeOf(SMALL)))))
  for (const [index, zone] of ['elsewhere.', 'ns.example.', '.'].entries()) {
    client.socket.write(framed(queryOf(zone, 'AXFR', { udpOctets: 1232 })))
    const message = readMessage((await client.received(index + 1))[index]!)
    t.is(message.rcode, 9)
    t.deepEqual(message.ede, [20])
  }
})

/** An IXFR query: the client's SOA in the authority section. */
function ixfr(serial: number): Uint8Array {
  const query = Buffer.from(queryOf('example.', TYPE['IXFR'] ?? 251))
  query[9] = 1
  const soa = Buffer.from([0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0, ...new Uint8Array(20)])
  soa.writeUInt32BE(serial, 14)
  return Buffer.concat([query, soa])
}

test('RFC 1995 §2: IXFR is the SOA alone for who is up to date, else the whole zone', async t => {
  const port = portOf(await listening(t, withStore(await storeOf(SMALL))))
  for (const [serial, count] of [
    [1, 1],
    [2, 1],
    [0, 13],
    [0xffff_fff0, 13],
  ] as const) {
    const client = await StreamClient.open(t, port)
    client.socket.write(framed(ixfr(serial)))
    const message = readMessage((await client.received(1))[0]!)
    t.is(message.answer.length, count, `serial ${serial}`)
    t.regex(message.question ?? '', /IXFR|TYPE251/)
  }
  const none = await StreamClient.open(t, port)
  none.socket.write(framed(queryOf('example.', 251)))
  t.is(readMessage((await none.received(1))[0]!).answer.length, 13)
})

test('all of a transfer is of one version, whatever is published meanwhile', async t => {
  const store = await storeOf(largeZone(1))
  const transfers = new Transfers({ handle: store.handle, log: silentLogger, clock: systemClock })
  const found: string[] = []
  const peer: TransferPeer = {
    address: '127.0.0.1',
    async send(message) {
      found.push(...readMessage(message).answer)
      await commitZones(store, largeZone(2))
      return true
    },
    abort: () => t.fail('aborted'),
  }
  await transfers.answer(queryOf('example.', 'AXFR'), peer)
  t.is(found.length, 4004)
  t.false(found.some(one => one.includes('"v2')))
  t.is(transfers.completed, 1)
})

test('a transfer that takes too long is ended, and its version let go', async t => {
  const store = await storeOf(largeZone())
  const clock = new ManualClock(1000)
  const limits = { secondsMax: 60, inFlightMax: 1 }
  const transfers = new Transfers({ handle: store.handle, log: silentLogger, clock, limits })
  let gone: (room: boolean) => void = () => {}
  const stuck: TransferPeer = {
    address: '127.0.0.1',
    send: () =>
      new Promise(resolve => {
        gone = resolve
      }),
    abort: () => gone(false),
  }
  const slow = transfers.answer(queryOf('example.', 'AXFR'), stuck)
  const rcodes: number[] = []
  const other: TransferPeer = {
    address: '127.0.0.1',
    async send(message) {
      rcodes.push(readMessage(message).rcode)
      return true
    },
    abort: () => t.fail('aborted'),
  }
  await transfers.answer(queryOf('example.', 'AXFR'), other)
  t.deepEqual(rcodes, [2], 'one at a time here')
  clock.advance(61)
  await slow
  t.is(transfers.completed, 0)
  await transfers.answer(queryOf('example.', 'AXFR'), other)
  t.is(transfers.completed, 1)
})

test('a connection that goes away in the middle of a transfer leaves the server as it was', async t => {
  const listeners = await listening(t, withStore(await storeOf(largeZone())))
  for (let round = 0; round < 20; round++) {
    const client = await StreamClient.open(t, portOf(listeners))
    client.socket.write(framed(queryOf('example.', 'AXFR')))
    await client.received(1)
    client.socket.destroy()
  }
  const client = await StreamClient.open(t, portOf(listeners))
  const { records } = await transferred(client, queryOf('example.', 'AXFR'))
  t.is(records.length, 4004)
})

async function run(tool: string, words: readonly string[]): Promise<{ code: number; text: string }> {
  const child = spawn(toolPath(tool)!, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    text += piece
  })
  const code = await new Promise<number>(resolve => child.on('close', status => resolve(status ?? 1)))
  return { code, text }
}

const lines = (text: string): string[] =>
  text.split('\n').filter(line => line !== '' && !line.startsWith(';'))

test('dig asks over UDP, TCP with one connection for all, and for transfers', async t => {
  if (!needs(t, 'dig') || !needsIpv6(t)) return
  const records: TestRecord[] = parseRecords(largeZone())
  const listeners = await listening(
    t,
    withStore(await storeOf(records), { addresses: ['127.0.0.1@0', '::1@0'], workers: 2 }),
  )
  for (const address of listeners.addresses) {
    const server = [`@${address.host}`, '-p', String(address.port), PATIENT, '+tries=1']
    const udp = await run('dig', [...server, '+short', 'host7.example', 'TXT'])
    t.deepEqual(udp, { code: 0, text: '"v1 xxxxxxx"\n' })
    const names = ['host1.example', 'host2.example', 'host3.example']
    const tcp = await run('dig', [
      ...server,
      '+tcp',
      '+keepopen',
      '+short',
      ...names.flatMap(name => [name, 'TXT']),
    ])
    t.is(lines(tcp.text).length, 3)
    const whole = await run('dig', [...server, 'example', 'AXFR', '+onesoa'])
    t.is(lines(whole.text).length, records.length)
    const current = await run('dig', [...server, 'example', 'IXFR=1'])
    t.is(lines(current.text).length, 1)
  }
  t.is(listeners.counters().tcp.accepted, 6)
})

test('kdig reads a signed zone whole', async t => {
  if (!needs(t, 'kdig')) return
  const records = withSignatures(parseRecords(SMALL))
  const port = String(portOf(await listening(t, withStore(await storeOf(records)))))
  const { code, text } = await run('kdig', ['@127.0.0.1', '-p', port, PATIENT, 'example', 'AXFR'])
  t.is(code, 0)
  t.is(lines(text).length, records.length + 1)
})
