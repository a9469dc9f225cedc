import { spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import test from 'ava'
import { ConclaveError } from '../../base/index.ts'
import { addressOctets, isWildcard, parseListenAddress, prefixMatcher } from '../../server/address.ts'
import { listenFailure } from '../../server/listen-errors.ts'
import { loadSyscalls } from '../../server/syscalls.ts'
import { freePort } from '../support/ports.ts'
import { WAIT_MILLISECONDS } from '../support/serve.ts'
import { needsIpv6 } from '../support/tools.ts'
import { datagrams, exchange, framed, listening, portOf, question, STUB, StreamClient } from './listening.ts'

const MODES = loadSyscalls() === null ? (['dgram'] as const) : (['batch', 'dgram'] as const)

test('addresses to listen on, in every form', t => {
  t.deepEqual(parseListenAddress('127.0.0.1@5300'), { host: '127.0.0.1', port: 5300 })
  t.deepEqual(parseListenAddress('127.0.0.1:5300'), { host: '127.0.0.1', port: 5300 })
  t.deepEqual(parseListenAddress('192.0.2.1'), { host: '192.0.2.1', port: 53 })
  t.deepEqual(parseListenAddress('::1@5300'), { host: '::1', port: 5300 })
  t.deepEqual(parseListenAddress('[::1]:5300'), { host: '::1', port: 5300 })
  t.deepEqual(parseListenAddress('[::1]'), { host: '::1', port: 53 })
  t.deepEqual(parseListenAddress('2001:db8::53'), { host: '2001:db8::53', port: 53 })
  t.deepEqual(parseListenAddress('fe80::1%lo@53'), { host: 'fe80::1%lo', port: 53 })
  for (const wrong of [
    '',
    'localhost@53',
    '127.0.0.1@',
    '127.0.0.1@65536',
    '127.0.0.1@-1',
    '1.2.3@53',
    '@53',
  ]) {
    const error = t.throws(() => parseListenAddress(wrong), { instanceOf: ConclaveError })
    t.is(error?.code, 'LISTEN_SYNTAX', wrong)
  }
})

test('octets of addresses, wildcards and prefixes', t => {
  t.deepEqual([...addressOctets('192.0.2.255')], [192, 0, 2, 255])
  t.deepEqual([...addressOctets('2001:db8::53')], [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53])
  t.deepEqual([...addressOctets('::ffff:192.0.2.1')].slice(10), [255, 255, 192, 0, 2, 1])
  t.true(isWildcard('0.0.0.0') && isWildcard('::') && isWildcard('0:0::0'))
  t.false(isWildcard('0.0.0.1') || isWildcard('::1'))
  const loopback = prefixMatcher(['loopback'])
  t.true(loopback('127.0.0.1') && loopback('127.9.9.9') && loopback('::1') && loopback('::ffff:127.0.0.1'))
  t.false(loopback('128.0.0.1') || loopback('::2'))
  const nets = prefixMatcher(['192.0.2.128/25', '2001:db8::/33'])
  t.true(nets('192.0.2.128') && nets('2001:db8:7fff::1'))
  t.false(nets('192.0.2.127') || nets('2001:db8:8000::1'))
  t.true(prefixMatcher(['any'])('198.51.100.1') && prefixMatcher(['any'])('2001:db8::1'))
  for (const wrong of ['192.0.2.0/33', '192.0.2.0/', 'here', '::/129', '1.2.3.4/8/9']) {
    t.throws(() => prefixMatcher([wrong]), { code: 'ADDRESS_SYNTAX' }, wrong)
  }
})

test('a bind that fails says why and what to do', t => {
  const denied = listenFailure('EACCES', { host: '127.0.0.1', port: 53 }, 'UDP')
  t.is(denied.code, 'LISTEN_DENIED')
  t.regex(denied.remedy ?? '', /CAP_NET_BIND_SERVICE.*examples\/conclave\.service/)
  t.is(listenFailure('EADDRNOTAVAIL', { host: '192.0.2.1', port: 53 }, 'TCP').code, 'LISTEN_NO_ADDRESS')
  t.is(listenFailure('EMFILE', { host: '127.0.0.1', port: 5300 }, 'TCP').code, 'LISTEN_FAILED')
})

for (const udp of MODES) {
  test(`${udp}: a port that another program has is an error that names it, and nothing stays open`, async t => {
    const tcpPort = await freePort()
    const tcp = createServer().listen({ port: tcpPort, host: '127.0.0.1' })
    await once(tcp, 'listening')
    await t.throwsAsync(listening(t, { udp, addresses: ['127.0.0.1@0', `127.0.0.1@${tcpPort}`] }), {
      code: 'LISTEN_IN_USE',
      message: /\(TCP\)/,
    })
    await new Promise(resolve => tcp.close(resolve))

    const taken = createSocket('udp4')
    const port = await freePort()
    taken.bind(port, '127.0.0.1')
    await once(taken, 'listening')
    const addresses = [`127.0.0.1@${port}`]
    await t.throwsAsync(listening(t, { udp, addresses, workers: 2 }), {
      code: 'LISTEN_IN_USE',
      message: /\(UDP\)/,
    })
    await new Promise<void>(resolve => taken.close(() => resolve()))
    // Now it can be had.
    t.is(portOf(await listening(t, { udp, addresses, workers: 2 })), port)
  })

  test(`${udp}: a second server of ours cannot join a port, closed ones give it back`, async t => {
    const addresses = [`127.0.0.1@${await freePort()}`]
    const first = await listening(t, { udp, addresses, workers: 2 })
    await t.throwsAsync(listening(t, { udp, addresses, workers: 2 }), { code: 'LISTEN_IN_USE' })
    await first.close({ drainSeconds: 0 })
    const second = await listening(t, { udp, addresses })
    t.is(
      (await exchange(await datagrams(t), question(1, 'a.'), portOf(second), '127.0.0.1')).answer.length,
      150,
    )
  })

  test(`${udp}: several servers in one process; after close the process ends by itself`, t => {
    if (!needsIpv6(t)) return
    const program = `
      const { openListeners, Store, silentLogger, systemClock } = await import(process.argv[1])
      const open = async () => {
        const store = new Store()
        return openListeners({ handle: store.handle, store, addresses: ['127.0.0.1@0', '::1@0'], workers: 2,
          udp: '${udp}', answerOptions: { module: '${STUB}' }, log: silentLogger, clock: systemClock })
      }
      const servers = [await open(), await open()]
      for (const server of servers) await server.close()
      process.on('exit', () => console.log(JSON.stringify(process.getActiveResourcesInfo())))
    `
    const face = new URL('./listening-face.js', import.meta.url).href
    const ended = spawnSync(process.execPath, ['--input-type=module', '--eval', program, face], {
      encoding: 'utf8',
      timeout: WAIT_MILLISECONDS,
    })
    t.is(ended.status, 0, ended.stderr)
    t.is(ended.stderr, '')
    const left = (JSON.parse(ended.stdout) as string[]).filter(name => !/^(Pipe|TTY|FS)/.test(name))
    t.deepEqual(left, [])
  })
}

test('process.exit() ends a process whose UDP threads wait', async t => {
  const program = `
    const { openListeners, Store, silentLogger, systemClock } = await import(process.argv[1])
    const store = new Store()
    await openListeners({ handle: store.handle, store, addresses: ['127.0.0.1@0'], workers: 2,
      answerOptions: { module: '${STUB}' }, log: silentLogger, clock: systemClock })
    process.exit(7)
  `
  const face = new URL('./listening-face.js', import.meta.url).href
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program, face], { stdio: 'ignore' })
  const [code] = (await once(child, 'exit')) as [number]
  t.is(code, 7)
})

test('close lets a connection finish and takes no new ones', async t => {
  const listeners = await listening(t, { addresses: [`127.0.0.1@${await freePort()}`] })
  const client = await StreamClient.open(t, portOf(listeners))
  client.socket.write(framed(...Array.from({ length: 50 }, (_, id) => question(id, 'big.example.'))))
  await client.received(1)
  await listeners.close()
  t.is((await client.received(50)).length, 50)
  await client.untilClosed()
  // The port is free again.
  const late = createServer().listen({ port: portOf(listeners), host: '127.0.0.1' })
  await t.notThrowsAsync(once(late, 'listening'))
  await new Promise(resolve => late.close(resolve))
})

test('no address, and an address twice, are refused', async t => {
  await t.throwsAsync(listening(t, { addresses: [] }), { code: 'LISTEN_NONE' })
  await t.throwsAsync(listening(t, { addresses: ['127.0.0.1@5399', '127.0.0.1:5399'] }), {
    code: 'LISTEN_IN_USE',
  })
})

test('I4: addresses come and go; one that stays is answered all the while, and what cannot be opened changes nothing', async t => {
  for (const udp of MODES) {
    const listeners = await listening(t, { udp, workers: 2, addresses: ['127.0.0.1@0', '127.0.0.2@0'] })
    const [stays, goes] = listeners.addresses
    const client = await datagrams(t)
    const ask = (
      id: number,
      { host, port }: { readonly host: string; readonly port: number },
    ): Promise<unknown> => exchange(client, question(id, 'name.example.'), port, host)
    const stream = (async () => {
      for (let id = 1; id <= 2000; id++) await ask(id, stays!)
    })()
    const open = await StreamClient.open(t, stays!.port)
    open.socket.write(framed(question(4001, 'before.example.')))
    await open.received(1)
    await listeners.change(['127.0.0.3@0', '127.0.0.1@0'])
    t.deepEqual(
      listeners.addresses.map(({ host }) => host),
      ['127.0.0.3', '127.0.0.1'],
    )
    t.deepEqual(listeners.addresses[1], stays)
    await ask(3000, listeners.addresses[0]!)
    // A connection that is open goes on; nobody listens where we no longer do.
    open.socket.write(framed(question(4002, 'after.example.')))
    t.is((await open.received(2)).length, 2)
    const late = connect(goes!.port, goes!.host)
    await t.throwsAsync(once(late, 'connect'), { code: 'ECONNREFUSED' })
    const before = listeners.addresses
    const taken = createServer()
    taken.listen(0, '127.0.0.4')
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    await t.throwsAsync(listeners.change(['127.0.0.1@0', '127.0.0.5@0', `127.0.0.4@${port}`]), {
      code: 'LISTEN_IN_USE',
    })
    taken.close()
    t.deepEqual(listeners.addresses, before)
    await ask(3001, before[0]!)
    await stream
    // What threads counted that others took over from is not forgotten.
    t.true(listeners.counters().udp.batches > 1900)
  }
})
