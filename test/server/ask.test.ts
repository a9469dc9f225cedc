/** One question to one server: what is believed, what is passed over, and that it always ends. */
import { createSocket } from 'node:dgram'
import { getEventListeners, once } from 'node:events'
import test from 'ava'
import { ManualClock } from '../../base/index.ts'
import { type AskOutcome, askServer, type Question } from '../../server/ask.ts'
import { nameFromText, nameToText, TYPE } from '../../zones/index.ts'
import { CountingClock } from '../support/counting-clock.ts'
import { NOW, until } from '../support/embedding.ts'
import { type FakeServer, fakeServer, recordOf, responseTo } from '../support/fake-server.ts'
import { readMessage } from '../support/message.ts'
import { freePort } from '../support/ports.ts'
import { needsIpv6 } from '../support/tools.ts'

const QUESTION: Question = { name: nameFromText('zone.test.'), type: TYPE.A, recursionDesired: false }
const RIGHT = [192, 0, 2, 1]
const WRONG = [192, 0, 2, 99]
const right = (query: Uint8Array): Uint8Array => responseTo(query, { answer: [recordOf(TYPE.A, 300, RIGHT)] })
const wrong = (query: Uint8Array): Uint8Array => responseTo(query, { answer: [recordOf(TYPE.A, 300, WRONG)] })

/** By a clock that stands still: no answer is late, however busy the machine. */
const ask = (server: FakeServer | { host: string; port: number }, question = QUESTION): Promise<AskOutcome> =>
  askServer(server, question, { clock: new ManualClock(NOW) })

/** RDATA of the answer, or why there is none. */
function outcomeOf(outcome: AskOutcome): unknown {
  return outcome.kind === 'failed' ? outcome.why : outcome.response.answer.map(({ rdata }) => [...rdata])
}

test('RFC 6891 §6.1, RFC 3225 §3: a query has EDNS with 1232 octets and DO, and RD as asked', async t => {
  const server = await fakeServer(t, query => query.reply(right(query.octets)))
  t.deepEqual(outcomeOf(await ask(server)), [RIGHT])
  t.deepEqual(outcomeOf(await ask(server, { ...QUESTION, recursionDesired: true })), [RIGHT])
  const messages = server.queries.map(({ octets }) => readMessage(octets))
  for (const { question, opt } of messages) {
    t.is(question, 'zone.test. 1 A')
    t.like(opt, { udpOctets: 1232, version: 0, dnssecOk: true })
  }
  t.deepEqual(
    messages.map(({ flags }) => flags),
    [0, 0x0100],
  )
})

test('a label with a dot, and the root, are asked as they are', async t => {
  const server = await fakeServer(t, query => query.reply(right(query.octets)))
  for (const text of ['a\\.b.\\000x.test.', '.']) {
    const name = nameFromText(text)
    t.deepEqual(outcomeOf(await ask(server, { ...QUESTION, name })), [RIGHT])
    t.is(readMessage(server.queries.at(-1)!.octets).question, `${nameToText(name)} 1 A`)
  }
})

test('RFC 5452 §9.1: what is not the response to the query is passed over', async t => {
  const changed = (octets: Uint8Array, change: (copy: Uint8Array) => void): Uint8Array => {
    const copy = Uint8Array.from(octets)
    change(copy)
    return copy
  }
  const server = await fakeServer(t, ({ octets, reply }) => {
    const forged = wrong(octets)
    reply(changed(forged, copy => (copy[1]! ^= 1)))
    reply(changed(forged, copy => (copy[2]! &= 0x7f)))
    reply(changed(forged, copy => (copy[2]! |= 0x10)))
    reply(changed(forged, copy => (copy[13]! += 1)))
    // The question's type and class, which letters' case must not blur: A and the number 32 above it.
    const questionEnd = 12 + QUESTION.name.length + 4
    reply(changed(forged, copy => (copy[questionEnd - 3]! ^= 32)))
    reply(changed(forged, copy => (copy[questionEnd - 1]! ^= 32)))
    reply(changed(forged, copy => (copy[5] = 0)))
    reply(changed(forged, copy => (copy[5] = 2)))
    reply(forged.subarray(0, 11))
    reply(forged.subarray(0, 20))
    reply(new Uint8Array(0))
    reply(right(octets))
  })
  t.deepEqual(outcomeOf(await ask(server)), [RIGHT])
})

test('RFC 5452 §9.1: a response from another address or port is not heard', async t => {
  const forger = createSocket('udp4')
  t.teardown(() => forger.close())
  const otherAddress = createSocket('udp4')
  t.teardown(() => otherAddress.close())
  let sent = 0
  const server = await fakeServer(t, ({ octets, port, reply }) => {
    const both = (): void => {
      if (++sent === 2) reply(right(octets))
    }
    forger.send(wrong(octets), port, '127.0.0.1', both)
    otherAddress.send(wrong(octets), port, '127.0.0.1', both)
  })
  otherAddress.bind(server.port, '127.0.0.2')
  await once(otherAddress, 'listening')
  t.deepEqual(outcomeOf(await ask(server)), [RIGHT])
  t.is(sent, 2)
})

test('RFC 4343 §3: the question may come back in another case', async t => {
  const server = await fakeServer(t, ({ octets, reply }) => {
    const response = right(octets)
    response[13]! ^= 0x20
    reply(response)
  })
  t.deepEqual(outcomeOf(await ask(server)), [RIGHT])
})

test('RFC 7766 §5: a truncated response is asked for again over TCP, which may split it', async t => {
  const records = Array.from({ length: 1000 }, (_, at) => recordOf(TYPE.A, 300, [192, 0, at >> 8, at & 255]))
  const server = await fakeServer(t, ({ octets, reply, stream }) => {
    if (stream === undefined) return reply(responseTo(octets, { flags: 6 }))
    const response = responseTo(octets, { answer: records })
    // Another message comes first, then the answer in three pieces.
    const other = wrong(octets)
    other[0]! ^= 1
    reply(other)
    stream.write(Uint8Array.of(response.length >>> 8))
    setImmediate(() => {
      stream.write(Buffer.concat([Uint8Array.of(response.length & 255), response.subarray(0, 5000)]))
      setImmediate(() => stream.write(response.subarray(5000)))
    })
  })
  const outcome = await ask(server)
  t.is(outcome.kind === 'answered' ? outcome.response.answer.length : outcome.why, 1000)
  t.deepEqual(
    server.queries.map(({ transport }) => transport),
    ['udp', 'tcp'],
  )
})

test('a TCP connection that ends, and one that truncates, are faults', async t => {
  const truncated = ({ octets }: { octets: Uint8Array }): Uint8Array => responseTo(octets, { flags: 6 })
  const ends = await fakeServer(t, query =>
    query.stream === undefined ? query.reply(truncated(query)) : query.stream.end(),
  )
  t.is(outcomeOf(await ask(ends)), 'TCP: the connection was closed without an answer')
  const truncates = await fakeServer(t, query => query.reply(truncated(query)))
  t.is(outcomeOf(await ask(truncates)), 'TCP: a truncated response')
})

test('a malformed response is a fault at once', async t => {
  const server = await fakeServer(t, ({ octets, reply }) => {
    const response = right(octets)
    reply(response.subarray(0, response.length - 1))
  })
  t.is(outcomeOf(await ask(server)), 'a malformed response')
})

test('a server that cannot read the query says so without a question', async t => {
  const server = await fakeServer(t, ({ octets, reply }) => {
    reply(Uint8Array.from([octets[0]!, octets[1]!, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0]))
  })
  const outcome = await ask(server)
  t.is(outcome.kind === 'answered' ? outcome.response.rcode : outcome.why, 1)
})

test('a closed port is known at once, without the clock', async t => {
  const clock = new ManualClock(NOW)
  const port = await freePort()
  const outcome = await askServer({ host: '127.0.0.1', port }, QUESTION, { clock })
  t.regex(String(outcomeOf(outcome)), /^UDP: .*ECONNREFUSED/)
  t.false(outcome.kind === 'failed' && outcome.noRoute)
})

test('RFC 1035 §4.2.1: a silent server is asked three times from the same port, and given up at the deadline', async t => {
  const clock = new ManualClock(NOW)
  const server = await fakeServer(t, () => {})
  const asked = askServer(server, QUESTION, { clock })
  for (const times of [1, 2, 3]) {
    await until(() => server.queries.length === times)
    clock.advance(2)
  }
  t.is(outcomeOf(await asked), 'no answer in 6 seconds')
  t.is(
    new Set(server.queries.map(({ port, octets }) => `${port} ${Buffer.from(octets).toString('hex')}`)).size,
    1,
  )
})

test('a connection that hangs ends at the same deadline', async t => {
  const clock = new ManualClock(NOW)
  const server = await fakeServer(t, ({ octets, transport, reply }) => {
    if (transport === 'udp') reply(responseTo(octets, { flags: 6 }))
  })
  const asked = askServer(server, QUESTION, { clock, timeoutSeconds: 3 })
  await until(() => server.queries.length === 2)
  clock.advance(3)
  t.is(outcomeOf(await asked), 'no answer in 3 seconds')
})

test('a signal ends the question, and one that has fired asks nothing', async t => {
  const clock = new ManualClock(NOW)
  const server = await fakeServer(t, () => {})
  const stop = new AbortController()
  const asked = askServer(server, QUESTION, { clock, signal: stop.signal })
  await until(() => server.queries.length === 1)
  stop.abort()
  t.is(outcomeOf(await asked), 'the question was given up')
  const again = await askServer(server, QUESTION, { clock, signal: stop.signal })
  t.is(outcomeOf(again), 'the question was given up')
  t.is(server.queries.length, 1)
})

test('no timer is left, and no listener of the signal', async t => {
  const clock = new CountingClock(NOW)
  const { signal } = new AbortController()
  const small = await fakeServer(t, query => query.reply(right(query.octets)))
  const large = await fakeServer(t, ({ octets, transport, reply }) => {
    reply(transport === 'udp' ? responseTo(octets, { flags: 6 }) : right(octets))
  })
  const servers = Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? small : large))
  const all = servers.map(server => askServer(server, QUESTION, { clock, signal }))
  t.true((await Promise.all(all)).every(({ kind }) => kind === 'answered'))
  t.is(clock.waiting, 0)
  t.is(getEventListeners(signal, 'abort').length, 0)
})

test('questions differ in ID and port', async t => {
  const server = await fakeServer(t, query => query.reply(right(query.octets)))
  await Promise.all(Array.from({ length: 16 }, () => ask(server)))
  const ids = new Set(server.queries.map(({ octets }) => (octets[0]! << 8) | octets[1]!))
  // Two of 16 random numbers of 16 bits are equal once in 550 runs, three hardly ever.
  t.true(ids.size >= 14)
  t.true(new Set(server.queries.map(({ port }) => port)).size >= 14)
})

test('an address that no route leads to was not asked', async t => {
  // The loopback interface has no link-local addresses (RFC 4291 §2.5.6), so nothing leaves this machine.
  const outcome = await askServer({ host: 'fe80::1%lo', port: 53 }, QUESTION, { clock: new ManualClock(NOW) })
  t.like(outcome, { kind: 'failed', noRoute: true })
})

test('IPv6', async t => {
  if (!needsIpv6(t)) return
  const server = await fakeServer(t, query => query.reply(right(query.octets)), { host: '::1' })
  t.deepEqual(outcomeOf(await ask(server)), [RIGHT])
})
