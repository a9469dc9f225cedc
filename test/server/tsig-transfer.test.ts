/** Zone transfers signed with TSIG (RFC 8945 §5.3.1, RFC 5936 §5). Other programs judge them in test/judges/tsig.test.ts. */

import test, { type ExecutionContext } from 'ava'
import { silentLogger, systemClock } from '../../base/index.ts'
import { type TransferPeer, Transfers } from '../../server/axfr.ts'
import {
  AccessControl,
  type AccessOptions,
  createAnswerer,
  DEFER,
  type Listeners,
  TRANSPORT_TCP,
  tsigKey,
} from '../../server/index.ts'
import { StoreReader } from '../../zones/index.ts'
import { queryOf, readMessage } from '../support/message.ts'
import {
  type SignedResponse,
  signedQuery,
  signedResponse,
  TEST_KEY,
  TEST_SECRET_TEXT,
} from '../support/tsig.ts'
import { storeOf } from '../support/zone.ts'
import { framed, portOf, StreamClient, serving } from './listening.ts'

const KEY = tsigKey(TEST_KEY.name, TEST_KEY.algorithm, TEST_SECRET_TEXT)
/** Only who signs may transfer. */
const SIGNED_ONLY: AccessOptions = { tsig: [KEY], transfer: { default: [{ keys: [KEY.name] }] } }
const HOSTS = 4000

const LARGE = [
  '$ORIGIN example.',
  '@ 3600 SOA ns h 1 7200 3600 1209600 300',
  '@ NS ns',
  'ns A 192.0.2.53',
  ...Array.from({ length: HOSTS }, (_, index) => `host${index} TXT "${'x'.repeat(index % 60)}"`),
].join('\n')

const SMALL = '$ORIGIN example.\n@ 3600 SOA ns h 1 7200 3600 1209600 300\n@ NS ns\nns A 192.0.2.53\n'

const now = (): number => Math.floor(Date.now() / 1000)

/** Sends a query and takes what comes until the second SOA, or the first message without records. */
async function transferred(
  t: ExecutionContext,
  listeners: Listeners,
  query: Uint8Array,
  mac: Uint8Array,
): Promise<{ readonly responses: SignedResponse[]; readonly records: string[] }> {
  const client = await StreamClient.open(t, portOf(listeners))
  client.socket.write(framed(query))
  const responses: SignedResponse[] = []
  const records: string[] = []
  let prior = mac
  for (let count = 1; ; count++) {
    const octets = (await client.received(count))[count - 1]
    if (octets === undefined) break
    const response = signedResponse(Uint8Array.from(octets), TEST_KEY, prior, count === 1)
    responses.push(response)
    prior = response.mac
    const { answer } = readMessage(response.message)
    records.push(...answer)
    const soas = records.filter(record => / SOA /.test(record)).length
    if (answer.length === 0 || soas === 2) break
  }
  client.socket.destroy()
  return { responses, records }
}

test('RFC 8945 §5.3.1: every message of a transfer is signed, over the MAC before it', async t => {
  const listeners = await serving(t, LARGE, SIGNED_ONLY)
  const { octets, mac } = signedQuery(queryOf('example.', 'AXFR'), TEST_KEY, { time: now() })
  const { responses, records } = await transferred(t, listeners, octets, mac)
  t.is(records.length, HOSTS + 4)
  t.true(responses.length > 10)
  t.true(responses.every(({ valid, error }) => valid && error === 0))
  t.is(readMessage(responses[0]!.message).question, 'example. 1 AXFR')
  t.is(listeners.counters().transfers.completed, 1)
})

test('RFC 1995 §2: IXFR is answered signed, with the whole zone and with the SOA alone', async t => {
  const listeners = await serving(t, SMALL, SIGNED_ONLY)
  const soa = (serial: number): Uint8Array => {
    const query = Uint8Array.from([
      ...queryOf('example.', 'IXFR'),
      ...[0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0],
      ...[0, 0, 0, serial],
      ...new Uint8Array(16),
    ])
    query[9] = 1
    return query
  }
  for (const [serial, count] of [
    [0, 4],
    [1, 1],
  ] as const) {
    const { octets, mac } = signedQuery(soa(serial), TEST_KEY, { time: now() })
    const client = await StreamClient.open(t, portOf(listeners))
    client.socket.write(framed(octets))
    const response = signedResponse(Uint8Array.from((await client.received(1))[0]!), TEST_KEY, mac)
    t.true(response.valid)
    t.is(readMessage(response.message).answer.length, count)
  }
})

test('RFC 5936 §5: who may not transfer is REFUSED, signed when the query was', async t => {
  const other = { ...TEST_KEY, name: 'another.example.' }
  const listeners = await serving(t, SMALL, {
    tsig: [KEY, tsigKey(other.name, other.algorithm, TEST_SECRET_TEXT)],
    transfer: { default: [{ prefixes: ['any'] }], zones: { 'example.': [{ keys: [KEY.name] }] } },
  })
  const client = await StreamClient.open(t, portOf(listeners))
  client.socket.write(framed(queryOf('example.', 'AXFR', { udpOctets: 1232 })))
  const unsigned = readMessage((await client.received(1))[0]!)
  t.is(unsigned.rcode, 5)
  t.deepEqual(unsigned.ede, [18])
  const { octets, mac } = signedQuery(queryOf('example.', 'AXFR'), other, { time: now() })
  client.socket.write(framed(octets))
  const response = signedResponse(Uint8Array.from((await client.received(2))[1]!), other, mac)
  t.true(response.valid)
  t.is(readMessage(response.message).rcode, 5)
  t.is(listeners.counters().transfers.refused, 2)
  // Not ours, and its rules are the default ones.
  const elsewhere = signedQuery(queryOf('elsewhere.', 'AXFR'), other, { time: now() })
  client.socket.write(framed(elsewhere.octets))
  const notOurs = signedResponse(Uint8Array.from((await client.received(3))[2]!), other, elsewhere.mac)
  t.true(notOurs.valid)
  t.is(readMessage(notOurs.message).rcode, 9)
  t.is(notOurs.error, 0)
})

test('a transfer that is under way goes on with its key after the key was taken away', async t => {
  const access = new AccessControl(SIGNED_ONLY)
  const { handle } = await storeOf(LARGE)
  const transfers = new Transfers({ handle, access, log: silentLogger, clock: systemClock })
  const { octets, mac } = signedQuery(queryOf('example.', 'AXFR'), TEST_KEY, { time: now() })
  let prior = mac
  let count = 0
  const errors: number[] = []
  const peer: TransferPeer = {
    address: '192.0.2.1',
    async send(message) {
      const response = signedResponse(message, TEST_KEY, prior, prior === mac)
      if (response.error === 0) t.true(response.valid)
      errors.push(response.error)
      prior = response.mac
      count += readMessage(response.message).answer.length
      access.set({ tsig: [], transfer: { default: [] } })
      return true
    },
    abort: () => t.fail('aborted'),
  }
  await transfers.answer(octets, peer)
  t.is(count, HOSTS + 4)
  t.true(errors.every(error => error === 0))
  // The next one meets the keys of this moment, also where the transport has let it pass.
  errors.length = 0
  prior = mac
  await transfers.answer(octets, peer)
  t.deepEqual(errors, [17])
  t.is(count, HOSTS + 4)
})

test('RFC 8945 §5.2: with any one bit flipped, a signed query transfers nothing', async t => {
  const store = await storeOf(SMALL)
  const access = new AccessControl(SIGNED_ONLY)
  const clock = { now: () => 1_800_000_000, after: systemClock.after }
  const answerer = createAnswerer(new StoreReader(store.handle), { keyring: access, now: clock.now })
  const transfers = new Transfers({ handle: store.handle, access, log: silentLogger, clock })
  const out = new Uint8Array(65_535)
  let records = 0
  const counted = (message: Uint8Array): void => {
    records += (message[6]! << 8) | message[7]!
  }
  const ask = async (query: Uint8Array): Promise<void> => {
    answerer.begin()
    const length = answerer.answer(query, query.length, TRANSPORT_TCP, out)
    answerer.end()
    if (length > 0) counted(out)
    const send = async (message: Uint8Array): Promise<boolean> => {
      counted(message)
      return true
    }
    const abort = (): void => t.fail('aborted')
    if (length === DEFER) await transfers.answer(query, { address: '127.0.0.1', send, abort })
    // Whatever the answerer made of it: the transfers decide by themselves.
    await transfers.answer(query, { address: '127.0.0.1', send, abort })
  }
  const query = queryOf('example.', 'AXFR')
  const { octets } = signedQuery(query, TEST_KEY, { time: clock.now() })
  await ask(octets)
  t.is(records, 8)
  const owner = query.length
  const algorithm = owner + TEST_KEY.name.length + 1 + 10
  for (let at = 2; at < octets.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const inName = (at >= owner && at < algorithm - 10) || (at >= algorithm && at < algorithm + 13)
      // RFC 8945 §4.3.3: names are signed in lower case.
      if (inName && bit === 5 && /[a-z]/.test(String.fromCharCode(octets[at]!))) continue
      const flipped = Uint8Array.from(octets)
      flipped[at]! ^= 1 << bit
      records = 0
      await ask(flipped)
      t.is(records, 0, `octet ${at}, bit ${bit}`)
    }
  }
})
