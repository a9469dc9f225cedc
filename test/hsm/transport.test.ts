import { once } from 'node:events'
import { connect } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { Context } from 'zeromq'
import { generateCurveKeys, isCurveKey, type NodeDoors, openDoors, ZmqLink } from '../../hsm/transport.ts'

const node = generateCurveKeys()
const one = generateCurveKeys()
const two = generateCurveKeys()
const text = (octets: Uint8Array): string => new TextDecoder().decode(octets)
const octets = (words: string): Uint8Array => new TextEncoder().encode(words)

/** A node for coordinators one and two; it says who has spoken. */
async function doors(t: ExecutionContext): Promise<NodeDoors> {
  const opened = await openDoors(
    node,
    [
      { name: 'one', publicKey: one.publicKey, listen: 'tcp://127.0.0.1:0' },
      { name: 'two', publicKey: two.publicKey, listen: 'tcp://127.0.0.1:0' },
    ],
    async (coordinator, message) =>
      text(message) === 'silence' ? undefined : octets(`${coordinator}: ${text(message)}`),
  )
  t.teardown(() => opened.close())
  return opened
}

function linkTo(
  t: ExecutionContext,
  keys: typeof one,
  address: string,
  publicKey: string = node.publicKey,
): ZmqLink {
  const link = new ZmqLink(keys, { publicKey, address }, new Context())
  t.teardown(() => link.close())
  return link
}

/** So many answers, in order. */
function answers(link: ZmqLink, count: number): Promise<string[]> {
  const got: string[] = []
  return new Promise(resolve => {
    link.onMessage(message => {
      if (got.push(text(message)) === count) resolve(got)
    })
  })
}

test('each coordinator is heard at its own door, and answered', async t => {
  const { addresses } = await doors(t)
  const [first, second] = [linkTo(t, one, addresses.get('one')!), linkTo(t, two, addresses.get('two')!)]
  const both = [answers(first, 2), answers(second, 1)]
  for (const word of ['a', 'silence', 'b']) first.send(octets(word))
  second.send(octets('c'))
  t.deepEqual(await Promise.all(both), [['one: a', 'one: b'], ['two: c']])
})

test('a link outlives its node: what is sent when it is back arrives', async t => {
  const opened = await doors(t)
  const address = opened.addresses.get('one')!
  const link = linkTo(t, one, address)
  let hear: (state: string) => void = () => {}
  const heard = (wanted: string): Promise<void> =>
    new Promise(resolve => {
      hear = state => state === wanted && resolve()
    })
  link.onChange(state => hear(state))
  const open = heard('open')
  const first = answers(link, 1)
  link.send(octets('before'))
  t.deepEqual(await first, ['one: before'])
  await open
  const broken = heard('broken')
  await opened.close()
  await broken
  const openAgain = heard('open')
  const again = await openDoors(
    node,
    [{ name: 'one', publicKey: one.publicKey, listen: address }],
    async message => octets(message),
  )
  t.teardown(() => again.close())
  await openAgain
  const second = answers(link, 1)
  link.send(octets('after'))
  t.deepEqual(await second, ['one'])
})

test('I2: a stranger, another coordinator, or one with the wrong key of the node gets no session', async t => {
  const { addresses } = await doors(t)
  const address = addresses.get('one')!
  const strangers = [
    linkTo(t, generateCurveKeys(), address),
    linkTo(t, two, address),
    linkTo(t, one, address, one.publicKey),
  ]
  let heard = 0
  for (const stranger of strangers) {
    stranger.onMessage(() => heard++)
    stranger.send(octets('let me in'))
  }
  // Three rounds of the rightful one, after the strangers have spoken.
  const link = linkTo(t, one, address)
  for (const word of ['x', 'y', 'z']) {
    const got = answers(link, 1)
    link.send(octets(word))
    t.deepEqual(await got, [`one: ${word}`])
  }
  t.is(heard, 0)
})

test('noise on the port does not stop the node', async t => {
  const { addresses } = await doors(t)
  const address = addresses.get('one')!
  const { port } = new URL(address)
  const socket = connect(Number(port), '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.end(Buffer.alloc(100_000, 0x55))
  const link = linkTo(t, one, address)
  const got = answers(link, 1)
  link.send(octets('still there'))
  t.deepEqual(await got, ['one: still there'])
})

test('an address that cannot be listened on is a fault with the name of the door', async t => {
  const { addresses } = await doors(t)
  const taken = { name: 'other', publicKey: one.publicKey, listen: addresses.get('one')! }
  await t.throwsAsync(
    openDoors(node, [taken], async () => undefined),
    { code: 'NODE_LISTEN' },
  )
})

test('CURVE keys are 40 digits of Z85', t => {
  t.true(isCurveKey(one.publicKey))
  for (const wrong of ['', one.publicKey.slice(1), `${one.publicKey.slice(1)}"`]) t.false(isCurveKey(wrong))
})
