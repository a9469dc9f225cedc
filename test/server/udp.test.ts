import test from 'ava'
import fc from 'fast-check'
import { ManualClock } from '../../base/index.ts'
import { loadSyscalls } from '../../server/syscalls.ts'
import { needsIpv6 } from '../support/tools.ts'
import { storeOf } from '../support/zone.ts'
import { datagrams, exchange, KeptLog, listening, portOf, question } from './listening.ts'

const MODES = loadSyscalls() === null ? (['dgram'] as const) : (['batch', 'dgram'] as const)

for (const udp of MODES) {
  test(`${udp}: answers over IPv4 and IPv6 come from the port that was asked`, async t => {
    if (!needsIpv6(t)) return
    const listeners = await listening(t, { udp, addresses: ['127.0.0.1@0', '::1@0'] })
    t.is(listeners.udp, udp)
    const [v4, v6] = listeners.addresses
    const over4 = await exchange(await datagrams(t), question(0x1234, 'www.example.'), v4!.port, '127.0.0.1')
    t.is(over4.answer.length, 150)
    t.is(over4.from.port, v4!.port)
    const over6 = await exchange(await datagrams(t, 'udp6'), question(7, 'www.example.'), v6!.port, '::1')
    t.is(over6.answer.length, 150)
    t.is(over6.from.address, '::1')
    t.is(listeners.counters().answers['queriesUdp'], 2)
  })

  test(`${udp}: a burst of queries, some of which have no answer, gets each the answer of its own`, async t => {
    const port = portOf(await listening(t, { udp, workers: 2 }))
    const socket = await datagrams(t)
    const expected = new Set<number>()
    const done = new Promise<void>(resolve => {
      socket.on('message', answer => {
        const name = answer.subarray(13, 13 + answer[12]!).toString()
        const id = answer.readUInt16BE(0)
        t.is(name, `q${id}`)
        expected.delete(id)
        if (expected.size === 0) resolve()
      })
    })
    for (let id = 0; id < 300; id++) if (id % 3 !== 1) expected.add(id)
    for (let id = 0; id < 300; id++) {
      socket.send(question(id, id % 3 === 1 ? 'drop.' : `q${id}.example.`), port, '127.0.0.1')
    }
    await done
    t.is(expected.size, 0)
  })

  test(`${udp}: no datagram stops the server`, async t => {
    const port = portOf(await listening(t, { udp }))
    const socket = await datagrams(t)
    const whole = question(0x5555, 'www.example.')
    const mutated = fc
      .tuple(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length))
      .map(([at, octet, length]) => {
        const out = Buffer.from(whole)
        out[at] = octet
        return out.subarray(0, length)
      })
    const packet = fc.oneof(fc.uint8Array({ maxLength: 600 }), mutated)
    await fc.assert(
      fc.asyncProperty(fc.array(packet, { maxLength: 40 }), async packets => {
        for (const one of packets) socket.send(one, port, '127.0.0.1')
        socket.send(Buffer.alloc(9000), port, '127.0.0.1')
        // The packet after them is answered, so they did no harm; its ID is one they cannot have by luck alone.
        const { answer } = await exchange(socket, question(0xfedc, 'after.example.'), port, '127.0.0.1')
        return answer.includes('after')
      }),
      { numRuns: 40, seed: 20260101 },
    )
    t.pass()
  })
}

test('batch: on a wildcard address an answer leaves from the address that was asked', async t => {
  if (loadSyscalls() === null) return t.pass()
  if (!needsIpv6(t)) return
  const listeners = await listening(t, { udp: 'batch', addresses: ['0.0.0.0@0', '::@0'], workers: 2 })
  const socket = await datagrams(t)
  for (const address of ['127.0.0.2', '127.0.0.1', '127.9.9.9']) {
    const { from } = await exchange(socket, question(9, 'www.example.'), portOf(listeners), address)
    t.is(from.address, address)
  }
  const { from } = await exchange(
    await datagrams(t, 'udp6'),
    question(9, 'www.example.'),
    listeners.addresses[1]!.port,
    '::1',
  )
  t.is(from.address, '::1')
})

test('batch: in a burst, with gaps, each answer leaves from the address its query was sent to', async t => {
  if (loadSyscalls() === null) return t.pass()
  const port = portOf(await listening(t, { udp: 'batch', addresses: ['0.0.0.0@0'] }))
  const socket = await datagrams(t)
  const addressOf = (id: number): string => `127.0.0.${1 + (id % 5)}`
  const awaited = new Set(Array.from({ length: 200 }, (_, id) => id).filter(id => id % 7 !== 3))
  const done = new Promise<void>(resolve => {
    socket.on('message', (answer, from) => {
      t.is(from.address, addressOf(answer.readUInt16BE(0)))
      awaited.delete(answer.readUInt16BE(0))
      if (awaited.size === 0) resolve()
    })
  })
  for (let id = 0; id < 200; id++) {
    socket.send(question(id, id % 7 === 3 ? 'drop.' : 'www.example.'), port, addressOf(id))
  }
  await done
  t.is(awaited.size, 0)
})

test('batch: a thread that dies with a reader of the store has its slot cleared', async t => {
  if (loadSyscalls() === null) return t.pass()
  const cleared: number[] = []
  const store = await storeOf(
    '$ORIGIN example.\n@ 3600 SOA ns h 1 7200 3600 1209600 300\n@ NS ns\nns A 192.0.2.53',
  )
  const clock = new ManualClock(1000)
  const log = new KeptLog()
  const module = new URL('./crashing-answerer.js', import.meta.url).href
  const listeners = await listening(t, {
    udp: 'batch',
    clock,
    log,
    handle: store.handle,
    store: { clearReader: slot => void cleared.push(slot) },
    answerOptions: { module },
  })
  const socket = await datagrams(t)
  const { answer } = await exchange(socket, question(1, 'ns.example.', 1), portOf(listeners), '127.0.0.1')
  t.is(answer[7], 1)
  socket.send(question(2, 'crash.'), portOf(listeners), '127.0.0.1')
  await log.until('error')
  // The event loop's answerer has slot 0, the thread's is the next.
  t.deepEqual(cleared, [1])
})

test('batch: a thread that dies is reported and replaced after a wait that the clock keeps', async t => {
  if (loadSyscalls() === null) return t.pass()
  const clock = new ManualClock(1000)
  const log = new KeptLog()
  const listeners = await listening(t, { udp: 'batch', clock, log })
  const socket = await datagrams(t)
  socket.send(question(1, 'crash.'), portOf(listeners), '127.0.0.1')
  t.regex(await log.until('error'), /thread died/)
  // Asked while nobody serves: the socket is the main thread's and keeps the query.
  const answered = exchange(socket, question(2, 'www.example.'), portOf(listeners), '127.0.0.1')
  clock.advance(0.2)
  t.is((await answered).answer.length, 150)
  t.is(listeners.counters().udp.restarts, 1)
})

test('batch: datagrams longer than any query are counted and left alone', async t => {
  if (loadSyscalls() === null) return t.pass()
  const listeners = await listening(t, { udp: 'batch' })
  const socket = await datagrams(t)
  socket.send(
    Buffer.concat([question(1, 'www.example.'), Buffer.alloc(5000)]),
    portOf(listeners),
    '127.0.0.1',
  )
  await exchange(socket, question(2, 'www.example.'), portOf(listeners), '127.0.0.1')
  t.is(listeners.counters().udp.overlong, 1)
})
