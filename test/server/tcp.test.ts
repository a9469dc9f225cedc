import test from 'ava'
import fc from 'fast-check'
import { ManualClock } from '../../base/index.ts'
import { StreamFraming } from '../../server/tcp-framing.ts'
import { framed, listening, portOf, question, StreamClient } from './listening.ts'

const ids = (messages: readonly Buffer[]): number[] => messages.map(one => one.readUInt16BE(0))

test('RFC 7766 §6.2.1.1: pipelined queries are answered, in their order', async t => {
  const client = await StreamClient.open(t, portOf(await listening(t)))
  const queries = Array.from({ length: 2000 }, (_, id) => question(id, `q${id}.example.`))
  client.socket.write(framed(...queries))
  const messages = await client.received(2000)
  t.deepEqual(
    ids(messages),
    queries.map((_, id) => id),
  )
})

test('RFC 7766 §8: messages may be split anywhere over segments', async t => {
  const client = await StreamClient.open(t, portOf(await listening(t)))
  const octets = framed(question(1, 'a.example.'), question(2, 'b.example.'))
  for (const octet of octets) {
    await new Promise<void>(resolve => client.socket.write(Buffer.from([octet]), () => resolve()))
  }
  t.deepEqual(ids(await client.received(2)), [1, 2])
})

test('framing gives back the messages of a stream, however it is cut', t => {
  const message = fc.uint8Array({ maxLength: 900 })
  fc.assert(
    fc.property(fc.array(message), fc.array(fc.integer({ min: 1, max: 700 })), (messages, cuts) => {
      const stream = framed(...messages)
      const framing = new StreamFraming()
      const found: Buffer[] = []
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const end = at + (cuts[turn % cuts.length] ?? 3)
        framing.push(stream.subarray(at, end))
        for (let one = framing.next(); one !== undefined; one = framing.next()) found.push(Buffer.from(one))
        at = end
      }
      t.true(framing.empty)
      t.deepEqual(
        found,
        messages.map(one => Buffer.from(one)),
      )
    }),
    { numRuns: 200, seed: 20260101 },
  )
})

test('a peer that does not read is not read from, and gets all when it reads again', async t => {
  const port = portOf(await listening(t))
  const client = await StreamClient.open(t, port)
  client.socket.pause()
  const queries = Array.from({ length: 400 }, (_, id) => question(id, 'big.example.'))
  client.socket.write(framed(...queries))
  // Somebody else is served meanwhile.
  const other = await StreamClient.open(t, port)
  other.socket.write(framed(question(77, 'www.example.')))
  await other.received(1)
  client.socket.resume()
  const messages = await client.received(400)
  t.is(messages.length, 400)
  t.true(messages.every(one => one.length === 60_000))
})

test('RFC 7766 §6.2.3: a connection without progress is closed; trickling octets are no progress', async t => {
  const clock = new ManualClock(1000)
  const listeners = await listening(t, { clock, limits: { tcp: { idleSeconds: 10 } } })
  const idle = await StreamClient.open(t, portOf(listeners))
  const busy = await StreamClient.open(t, portOf(listeners))
  for (const client of [idle, busy]) client.socket.write(framed(question(1, 'www.example.')))
  await Promise.all([idle.received(1), busy.received(1)])
  clock.advance(6)
  busy.socket.write(framed(question(2, 'www.example.')))
  idle.socket.write(Buffer.from([0]))
  await busy.received(2)
  clock.advance(6)
  await idle.untilClosed()
  t.false(busy.closed)
  t.is(listeners.counters().tcp.timedOut, 1)
  clock.advance(6)
  await busy.untilClosed()
  t.is(listeners.counters().tcp.timedOut, 2)
})

test('a peer that shuts down its side gets its answers first', async t => {
  const client = await StreamClient.open(t, portOf(await listening(t)))
  client.socket.end(framed(question(1, 'a.example.'), question(2, 'b.example.')))
  t.deepEqual(ids(await client.received(2)), [1, 2])
  await client.untilClosed()
})

for (const octets of [0, 11]) {
  test(`a message of ${octets} octets ends the connection behind the answers that are due`, async t => {
    const client = await StreamClient.open(t, portOf(await listening(t)))
    const [first, last] = [question(1, 'a.example.'), question(2, 'b.example.')]
    client.socket.write(framed(first, new Uint8Array(octets), last))
    t.deepEqual(ids(await client.received(1)), [1])
    await client.untilClosed()
    t.deepEqual(ids(await client.received(1)), [1])
  })
}

test('connections are bounded: the idlest makes room, and one address has its share', async t => {
  const clock = new ManualClock(1000)
  const total = await listening(t, { clock, limits: { tcp: { connectionsMax: 2 } } })
  const first = await StreamClient.open(t, portOf(total))
  first.socket.write(framed(question(1, 'www.example.')))
  await first.received(1)
  clock.advance(1)
  const second = await StreamClient.open(t, portOf(total))
  second.socket.write(framed(question(1, 'www.example.')))
  await second.received(1)
  clock.advance(1)
  const third = await StreamClient.open(t, portOf(total))
  await first.untilClosed()
  third.socket.write(framed(question(3, 'www.example.')))
  t.is((await third.received(1)).length, 1)

  const each = await listening(t, { limits: { tcp: { connectionsPerAddressMax: 1 } } })
  const kept = await StreamClient.open(t, portOf(each))
  kept.socket.write(framed(question(1, 'www.example.')))
  await kept.received(1)
  const refused = await StreamClient.open(t, portOf(each))
  await refused.untilClosed()
  t.is(each.counters().tcp.rejected, 1)
  t.false(kept.closed)
})

test('a fault while answering ends its connection, no other', async t => {
  const port = portOf(await listening(t))
  const bystander = await StreamClient.open(t, port)
  const faulty = await StreamClient.open(t, port)
  faulty.socket.write(framed(question(1, 'crash.')))
  await faulty.untilClosed()
  bystander.socket.write(framed(question(2, 'www.example.')))
  t.deepEqual(ids(await bystander.received(1)), [2])
})

test('no stream of octets stops the server', async t => {
  const port = portOf(await listening(t))
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 8 }), async pieces => {
      const client = await StreamClient.open(t, port)
      for (const piece of pieces) client.socket.write(piece)
      client.socket.end()
      await client.untilClosed()
      const after = await StreamClient.open(t, port)
      after.socket.write(framed(question(9, 'after.example.')))
      const messages = await after.received(1)
      after.socket.destroy()
      return messages.length === 1
    }),
    { numRuns: 40, seed: 20260101 },
  )
  t.pass()
})
