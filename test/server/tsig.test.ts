/** TSIG on the answer path (RFC 8945): what is verified, what is refused and how, and what responses carry. */
import test from 'ava'
import fc from 'fast-check'
import {
  AccessControl,
  type Answerer,
  COUNTER_BUGS,
  COUNTER_TSIG_FAILED,
  COUNTER_TSIG_VERIFIED,
  createAnswerer,
  createNameserver,
  TRANSPORT_TCP,
  TRANSPORT_UDP,
  TSIG_ALGORITHMS,
  tsigKey,
} from '../../server/index.ts'
import { StoreReader } from '../../zones/index.ts'
import { queryOf, readMessage } from '../support/message.ts'
import {
  type ClientKey,
  type SignOptions,
  signedQuery,
  signedResponse,
  TEST_KEY,
  TEST_SECRET,
  TEST_SECRET_TEXT,
} from '../support/tsig.ts'
import { storeOf } from '../support/zone.ts'
import { datagrams, exchange, listening, portOf } from './listening.ts'

const NOW = 1_800_000_000
const BADSIG = 16
const BADKEY = 17
const BADTIME = 18
const BADTRUNC = 22
const FORMERR = 1
const NOTIMP = 4
const REFUSED = 5
const NOTAUTH = 9

const ZONE = `
$ORIGIN example.
@ 3600 SOA ns h 1 7200 3600 1209600 300
@ NS ns
ns A 192.0.2.53
large TXT ${'"0123456789012345678901234567890123456789" '.repeat(28)}
`

interface Signed {
  readonly answerer: Answerer
  send(octets: Uint8Array, tcp?: boolean): Uint8Array
}

async function signedAsker(
  keys = [tsigKey(TEST_KEY.name, TEST_KEY.algorithm, TEST_SECRET_TEXT)],
): Promise<Signed> {
  const store = await storeOf(ZONE)
  const answerer = createAnswerer(new StoreReader(store.handle), {
    keyring: new AccessControl({ tsig: keys }),
    now: () => NOW,
  })
  const out = new Uint8Array(65_535)
  return {
    answerer,
    send(octets, tcp = false) {
      answerer.begin()
      const length = answerer.answer(octets, octets.length, tcp ? TRANSPORT_TCP : TRANSPORT_UDP, out)
      answerer.end()
      return out.slice(0, Math.max(0, length))
    },
  }
}

const verifiedBy = ({ counters }: Answerer): number => counters[COUNTER_TSIG_VERIFIED]!

const query = queryOf('ns.example.', 'A', { udpOctets: 1232 })

function clientKey(algorithm: string): ClientKey {
  const hash = /sha\d+/.exec(algorithm)![0]
  return { ...TEST_KEY, algorithm: `${algorithm}.`, hash }
}

for (const algorithm of TSIG_ALGORITHMS) {
  test(`RFC 8945 §5.3: a query signed with ${algorithm} is answered, signed over the query's MAC`, async t => {
    const key = clientKey(algorithm)
    const bits = /-(\d+)$/.exec(algorithm)?.[1]
    const macOctets = bits === undefined ? {} : { macOctets: Number(bits) / 8 }
    const { send, answerer } = await signedAsker([tsigKey(key.name, algorithm, TEST_SECRET_TEXT)])
    for (const tcp of [false, true]) {
      const { octets, mac } = signedQuery(query, key, { time: NOW, ...macOctets })
      const response = signedResponse(send(octets, tcp), key, mac)
      t.true(response.valid)
      t.is(response.error, 0)
      t.is(response.time, NOW)
      t.is(response.fudge, 300)
      t.is(response.mac.length, macOctets.macOctets ?? mac.length)
      const message = readMessage(response.message)
      t.is(message.rcode, 0)
      t.deepEqual(message.answer, ['ns.example. 3600 A 192.0.2.53'])
      t.true(message.opt !== undefined)
    }
    t.is(verifiedBy(answerer), 2)
  })
}

test('RFC 8945 §6: a key of a truncating algorithm takes MACs that BIND truncates, under the name of the whole one', async t => {
  const { send } = await signedAsker([tsigKey(TEST_KEY.name, 'hmac-sha256-128', TEST_SECRET_TEXT)])
  for (const macOctets of [16, 32]) {
    const { octets, mac } = signedQuery(query, TEST_KEY, { time: NOW, macOctets })
    const response = signedResponse(send(octets), TEST_KEY, mac)
    t.true(response.valid)
    t.is(response.mac.length, 16)
  }
})

test('RFC 8945 §4.3.2, §4.3.3: the original ID is what was signed, and names are compared in any case', async t => {
  const { send } = await signedAsker()
  const { octets, mac } = signedQuery(query, TEST_KEY, { time: NOW, originalId: 0x7777 })
  const response = signedResponse(send(octets), TEST_KEY, mac)
  t.true(response.valid)
  t.is(readMessage(response.message).id, 0x1234)
  const shouting = { ...TEST_KEY, name: 'TRANSFER.Example.', algorithm: 'HMAC-SHA256.' }
  const loud = signedQuery(query, shouting, { time: NOW })
  t.true(signedResponse(send(loud.octets), TEST_KEY, loud.mac).valid)
})

test('RFC 8945 §5.2.1, §5.2.2: an unknown key and a wrong MAC are answered unsigned, without data', async t => {
  const { send, answerer } = await signedAsker()
  const wrong: [number, ClientKey][] = [
    [BADKEY, { ...TEST_KEY, name: 'unknown.example.' }],
    [BADKEY, { ...TEST_KEY, algorithm: 'hmac-sha512.', hash: 'sha512' }],
    [BADKEY, { ...TEST_KEY, algorithm: 'hmac-md5.sig-alg.reg.int.', hash: 'md5' }],
    [BADSIG, { ...TEST_KEY, secret: Uint8Array.of(...TEST_SECRET.subarray(1), 0) }],
  ]
  for (const [error, key] of wrong) {
    const { octets, mac } = signedQuery(query, key, { time: NOW - 100_000 })
    const response = signedResponse(send(octets), key, mac)
    t.is(response.error, error)
    t.is(response.mac.length, 0)
    const message = readMessage(response.message)
    t.is(message.rcode, NOTAUTH)
    t.is(message.question, 'ns.example. 1 A')
    t.deepEqual(message.answer, [])
  }
  t.is(answerer.counters[COUNTER_TSIG_FAILED], wrong.length)
})

test('RFC 8945 §5.2.3: a query from another time is BADTIME, signed, with both times', async t => {
  const { send } = await signedAsker()
  const times: [number, number, number][] = [
    [NOW - 300, 300, 0],
    [NOW + 300, 300, 0],
    [NOW - 301, 300, BADTIME],
    [NOW + 301, 300, BADTIME],
    [NOW - 1, 0, BADTIME],
    [2 ** 48 - 1, 65_535, BADTIME],
    [0, 300, BADTIME],
  ]
  for (const [time, fudge, error] of times) {
    const { octets, mac } = signedQuery(query, TEST_KEY, { time, fudge })
    const response = signedResponse(send(octets), TEST_KEY, mac)
    t.is(response.error, error, `${time}`)
    t.true(response.valid)
    if (error === 0) continue
    t.is(response.time, time)
    t.is(response.fudge, fudge)
    t.is(Buffer.from(response.other).readUIntBE(0, 6), NOW)
    t.is(readMessage(response.message).rcode, NOTAUTH)
    t.deepEqual(readMessage(response.message).answer, [])
  }
})

test('RFC 8945 §5.2.2.1, §5.2.4: MACs that are too short or too long are FORMERR, permitted ones BADTRUNC', async t => {
  const { send } = await signedAsker()
  for (const macOctets of [16, 31]) {
    const { octets, mac } = signedQuery(query, TEST_KEY, { time: NOW, macOctets })
    const response = signedResponse(send(octets), TEST_KEY, mac)
    t.is(response.error, BADTRUNC)
    t.true(response.valid)
    t.is(readMessage(response.message).rcode, NOTAUTH)
  }
  for (const macOctets of [0, 9, 15]) {
    const message = readMessage(send(signedQuery(query, TEST_KEY, { time: NOW, macOctets }).octets))
    t.is(message.rcode, FORMERR)
    t.deepEqual(message.answer, [])
  }
})

test('RFC 8945 §5.2: a TSIG record that is not the last, or not well-formed, is FORMERR, and the response has none', async t => {
  const { send } = await signedAsker()
  const { octets } = signedQuery(query, TEST_KEY, { time: NOW })
  const patched = (at: number, value: number): Uint8Array => {
    const out = Uint8Array.from(octets)
    out[at] = value
    return out
  }
  const record = octets.subarray(query.length)
  const twice = Uint8Array.from([...octets, ...record])
  twice[11]! += 1
  const before = Uint8Array.from([...octets, ...octets.subarray(query.length - 11, query.length)])
  before[11]! += 1
  const inAnswer = Uint8Array.from([...query, ...record])
  inAnswer.set(octets.subarray(0, 12))
  inAnswer[7] = 1
  inAnswer[11] = 0
  const rdata = query.length + 18 + 10
  const bad: Record<string, Uint8Array> = {
    twice,
    'another record behind it': before,
    'in the answer section': inAnswer,
    'octets behind it': Uint8Array.from([...octets, 0]),
    'cut short': octets.subarray(0, octets.length - 1),
    'a pointer in the algorithm': patched(rdata, 0xc0),
    'MAC size beyond the end': patched(rdata + 13 + 8, 0xff),
    'other size beyond the end': patched(octets.length - 1, 1),
    class: signedQuery(query, TEST_KEY, { time: NOW, class: 1 }).octets,
    ttl: signedQuery(query, TEST_KEY, { time: NOW, ttl: 1 }).octets,
  }
  for (const [what, message] of Object.entries(bad)) {
    const response = readMessage(send(message))
    t.is(response.rcode, FORMERR, what)
    t.deepEqual(response.answer, [], what)
  }
})

test('RFC 8945 §5.2: a key name may be compressed, and pointers that do not point back are FORMERR', async t => {
  const { send } = await signedAsker()
  const { octets, mac } = signedQuery(query, TEST_KEY, { time: NOW })
  const compress = (pointer: number): Uint8Array => {
    const label = octets.subarray(query.length, query.length + 9)
    const rest = octets.subarray(query.length + 18)
    return Uint8Array.from([
      ...octets.subarray(0, query.length),
      ...label,
      0xc0 | (pointer >> 8),
      pointer & 255,
      ...rest,
    ])
  }
  // The question is ns.example.
  t.true(signedResponse(send(compress(15)), TEST_KEY, mac).valid)
  for (const pointer of [query.length, query.length + 9, 0x3fff]) {
    t.is(readMessage(send(compress(pointer))).rcode, FORMERR)
  }
})

test('RFC 8945 §5.3: what does not fit with its TSIG is question, OPT and TSIG with TC; over TCP it is whole', async t => {
  const { send } = await signedAsker()
  const large = queryOf('large.example.', 'TXT', { udpOctets: 1232 })
  // Without a signature it fits.
  t.is(readMessage(send(large)).truncated, false)
  const { octets, mac } = signedQuery(large, TEST_KEY, { time: NOW })
  const response = signedResponse(send(octets), TEST_KEY, mac)
  t.true(response.valid)
  const message = readMessage(response.message)
  t.true(message.truncated)
  t.is(message.rcode, 0)
  t.true(message.opt !== undefined)
  t.is(message.answer.length + message.authority.length + message.additional.length, 0)
  const whole = signedResponse(send(octets, true), TEST_KEY, mac)
  t.true(whole.valid)
  t.is(readMessage(whole.message).answer.length, 1)
})

test('signed responses keep to the size that the client takes, for all questions and sizes', async t => {
  const { send } = await signedAsker()
  for (const name of ['ns.example.', 'large.example.', 'nothing.example.', 'elsewhere.']) {
    for (let udpOctets = 512; udpOctets <= 1300; udpOctets += 7) {
      const { octets, mac } = signedQuery(queryOf(name, 'TXT', { udpOctets }), TEST_KEY, { time: NOW })
      const response = send(octets)
      t.true(response.length <= udpOctets)
      t.true(signedResponse(response, TEST_KEY, mac).valid)
    }
  }
})

test('RFC 8945 §5.3: failures of a verified query are signed: REFUSED, NOTIMP, BADVERS', async t => {
  const { send } = await signedAsker()
  const cases: [Uint8Array, number][] = [
    [queryOf('elsewhere.', 'A'), REFUSED],
    [queryOf('example.', 'AXFR'), NOTIMP],
    [queryOf('example.', 'A', { udpOctets: 1232, version: 1 }), 16],
  ]
  for (const [unsigned, rcode] of cases) {
    const { octets, mac } = signedQuery(unsigned, TEST_KEY, { time: NOW })
    const response = signedResponse(send(octets), TEST_KEY, mac)
    t.true(response.valid)
    t.is(readMessage(response.message).rcode, rcode)
  }
})

test('without a TSIG record nothing is signed', async t => {
  const plain = await signedAsker([])
  const { send } = await signedAsker()
  for (const udpOctets of [undefined, 1232]) {
    const unsigned = queryOf('ns.example.', 'A', udpOctets === undefined ? {} : { udpOctets })
    t.deepEqual(send(unsigned), plain.send(unsigned))
    t.is(readMessage(send(unsigned)).additional.length, 0)
  }
})

/** Octets in which a flipped bit changes nothing that is signed: the ID (RFC 8945 §4.3.2 has the original one), and
 *  the case of letters in the names of key and algorithm. */
function sameMeaning(at: number, bit: number, octets: Uint8Array): boolean {
  if (at < 2) return true
  const owner = query.length
  const algorithm = owner + 18 + 10
  const inNames = (at >= owner && at < owner + 18) || (at >= algorithm && at < algorithm + 13)
  const letter = String.fromCharCode(octets[at]!)
  return inNames && bit === 5 && /[a-z]/.test(letter)
}

test('RFC 8945 §5.2: with any one bit flipped, a signed query is not verified', async t => {
  const { send, answerer } = await signedAsker()
  const { octets } = signedQuery(query, TEST_KEY, { time: NOW })
  for (let at = 0; at < octets.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      if (sameMeaning(at, bit, octets)) continue
      const flipped = Uint8Array.from(octets)
      flipped[at]! ^= 1 << bit
      const before = verifiedBy(answerer)
      send(flipped)
      t.is(verifiedBy(answerer), before, `octet ${at}, bit ${bit}`)
    }
  }
  t.is(answerer.counters[COUNTER_BUGS], 0)
})

test('mutated signed queries never throw, are never verified, and what is answered is well-formed', async t => {
  const { send, answerer } = await signedAsker()
  const { octets, mac } = signedQuery(query, TEST_KEY, { time: NOW })
  const mutation = fc.record({
    at: fc.nat({ max: octets.length - 1 }),
    value: fc.nat({ max: 255 }),
    cut: fc.option(fc.nat({ max: octets.length }), { nil: undefined }),
    tail: fc.uint8Array({ maxLength: 12 }),
  })
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), mutations => {
      let mutated = Uint8Array.from(octets)
      for (const { at, value, cut, tail } of mutations) {
        if (at < mutated.length) mutated[at] = value
        if (cut !== undefined) mutated = Uint8Array.from([...mutated.subarray(0, cut), ...tail])
      }
      const verified = verifiedBy(answerer)
      const response = send(mutated)
      if (verifiedBy(answerer) > verified) {
        // Only what means the same: see above.
        return signedResponse(response, TEST_KEY, mac).valid
      }
      return response.length === 0 || response.length >= 12
    }),
    { seed: 8945, numRuns: 20_000 },
  )
  t.is(answerer.counters[COUNTER_BUGS], 0)
})

for (const udp of ['batch', 'dgram'] as const) {
  test(`keys change at run time, in UDP threads too: ${udp}`, async t => {
    const key = (secret: Uint8Array): ReturnType<typeof tsigKey> =>
      tsigKey(TEST_KEY.name, TEST_KEY.algorithm, Buffer.from(secret).toString('base64'))
    const access = new AccessControl({ tsig: [key(TEST_SECRET)] })
    const store = await storeOf(ZONE)
    const options = { handle: store.handle, store, answerOptions: {}, workers: 2, access, udp }
    const listeners = await listening(t, options)
    const errorOf = async (client: ClientKey, options: Partial<SignOptions> = {}): Promise<number> => {
      const socket = await datagrams(t)
      const { octets, mac } = signedQuery(query, client, { time: Math.floor(Date.now() / 1000), ...options })
      const { answer } = await exchange(socket, octets, portOf(listeners), '127.0.0.1')
      const response = signedResponse(Uint8Array.from(answer), client, mac)
      t.is(response.valid, response.error === 0)
      return response.error
    }
    const other = { ...TEST_KEY, secret: Uint8Array.from(TEST_SECRET).reverse() }
    for (let round = 0; round < 4; round++) {
      // Each question comes from a port of its own, so that both threads meet some.
      for (let index = 0; index < 4; index++) {
        t.is(await errorOf(TEST_KEY), 0)
        t.is(await errorOf(other), BADSIG)
      }
      access.set({ tsig: [key(other.secret)] })
      for (let index = 0; index < 4; index++) {
        t.is(await errorOf(TEST_KEY), BADSIG)
        t.is(await errorOf(other), 0)
      }
      access.set({})
      t.is(await errorOf(other), BADKEY)
      access.set({ tsig: [key(TEST_SECRET)] })
    }
  })
}

test('a nameserver without sockets verifies with its own keys and its own clock', async t => {
  const server = await createNameserver({
    signing: false,
    tsig: [tsigKey(TEST_KEY.name, TEST_KEY.algorithm, TEST_SECRET_TEXT)],
    clock: { now: () => NOW, after: () => ({ cancel() {} }) },
  })
  t.teardown(() => server.close())
  await server.addText(ZONE)
  const { octets, mac } = signedQuery(query, TEST_KEY, { time: NOW })
  t.true(signedResponse(server.answer(octets)!, TEST_KEY, mac).valid)
  server.setAccess({})
  t.is(signedResponse(server.answer(octets)!, TEST_KEY, mac).error, BADKEY)
})
