import test from 'ava'
import { encode } from 'cborg'
import fc from 'fast-check'
import { Conversation, newBoot, type Receipt } from '../../hsm/envelope.ts'
import { generateIdentity, identityOf, openFrom, sealTo, signAs } from '../../hsm/identity.ts'

const [alice, bob, eve] = ['alice', 'bob', 'eve'].map(name => identityOf(generateIdentity(name)))
const [one, two, three] = [alice!, bob!, eve!]
const opens = (body: unknown): boolean => body === 'hello'
const secret = new TextEncoder().encode('a secret')

function pair(aliceUnix = 100, bobUnix = 100): { a: Conversation; b: Conversation } {
  return {
    a: new Conversation(one, two.publicIdentity, newBoot(aliceUnix)),
    b: new Conversation(two, one.publicIdentity, newBoot(bobUnix)),
  }
}

/** Alice says hello, Bob answers. */
function begun(): ReturnType<typeof pair> {
  const { a, b } = pair()
  const hello = b.read(a.write('hello').octets, opens)
  if (hello.kind !== 'received') throw new Error(hello.why)
  a.read(b.write('state', hello.message.sequence).octets, () => true)
  return { a, b }
}

function whyDropped(receipt: Receipt): string | undefined {
  return receipt.kind === 'dropped' ? receipt.why : undefined
}

test('a talk begins with hello; answers name what they answer', t => {
  const { a, b } = begun()
  const asked = a.write({ kind: 'sign', octets: new Uint8Array(3) })
  const receipt = b.read(asked.octets, opens)
  t.like(receipt, { kind: 'received', message: { sequence: 2, body: { kind: 'sign' } } })
  const answer = a.read(b.write(['done'], asked.sequence).octets, () => false)
  t.like(answer, { kind: 'received', message: { inReplyTo: 2 } })
})

test('I1: without hello nothing is taken, and nothing for an earlier start of the receiver', t => {
  const { a, b } = pair()
  t.is(whyDropped(b.read(a.write('sign').octets, opens)), 'it is for an earlier start of ours')
  const talk = begun()
  const late = talk.a.write('sign').octets
  const restarted = new Conversation(two, one.publicIdentity, newBoot(200))
  t.is(whyDropped(restarted.read(late, opens)), 'it is for an earlier start of ours')
})

test('I1: a hello of an earlier start of the peer does not bring it back', t => {
  const { a, b } = pair()
  const old = a.write('hello').octets
  const newer = new Conversation(one, two.publicIdentity, newBoot(150))
  t.is(b.read(newer.write('hello').octets, opens).kind, 'received')
  t.is(whyDropped(b.read(old, opens)), 'it is from an earlier start of the peer')
})

test('I2: copies and late messages are dropped', t => {
  const { a, b } = begun()
  const [first, second] = [a.write('one').octets, a.write('two').octets]
  t.is(b.read(second, opens).kind, 'received')
  t.is(whyDropped(b.read(second, opens)), 'it came before')
  t.is(whyDropped(b.read(first, opens)), 'it came before')
  t.is(b.read(a.write('three').octets, opens).kind, 'received')
})

test('I3: what the peer did not sign, or did for another, is dropped', t => {
  const { a, b } = begun()
  const forEve = new Conversation(one, three.publicIdentity, newBoot(300))
  t.is(whyDropped(b.read(forEve.write('hello').octets, opens)), 'it is for somebody else')
  const byEve = new Conversation(three, two.publicIdentity, newBoot(300))
  t.is(whyDropped(b.read(byEve.write('hello').octets, opens)), 'it is malformed, or not by the peer')
  const payload = encode([1, 'alice', 'bob', newBoot(400), null, 1, null, 'hello'])
  const version = encode([payload, signAs(one, 'envelope', payload)])
  t.is(whyDropped(b.read(version, opens)), 'its version is 1')
  const otherLabel = encode([payload, signAs(one, 'seal', payload)])
  t.is(whyDropped(b.read(otherLabel, opens)), 'it is malformed, or not by the peer')
  t.is(b.read(a.write('still good').octets, opens).kind, 'received')
})

test('I3: no octet can be changed, no other octets are taken, and the talk goes on', t => {
  const { a, b } = begun()
  const seed = 8949
  const message = a.write({ kind: 'sign', list: [1, 2, 3] }).octets
  fc.assert(
    fc.property(fc.nat(message.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
      const changed = message.map((octet, index) => (index === at ? octet ^ by : octet))
      return b.read(changed, opens).kind === 'dropped'
    }),
    { seed, numRuns: 500 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), octets => b.read(octets, opens).kind === 'dropped'),
    { seed, numRuns: 500 },
  )
  t.is(b.read(message, opens).kind, 'received')
})

test('RFC 8949 §4.2: what is not encoded in the one right way is dropped, though it is signed', t => {
  const { a, b } = begun()
  t.is(b.read(a.write('right').octets, opens).kind, 'received')
  // The list of two, of indefinite length.
  const right = a.write('wrong').octets
  const loose = Uint8Array.of(0x9f, ...right.subarray(1), 0xff)
  t.is(whyDropped(b.read(loose, opens)), 'it is malformed, or not by the peer')
})

test('what is sealed opens for its receiver, from its sender, in its context; and nowhere else', t => {
  const sealed = sealTo(one, two.publicIdentity, 'session 1', secret)
  t.deepEqual(openFrom(two, one.publicIdentity, 'session 1', sealed), secret)
  t.false(Buffer.from(sealed).includes(Buffer.from(secret)))
  t.is(openFrom(two, one.publicIdentity, 'session 2', sealed), undefined)
  t.is(openFrom(two, three.publicIdentity, 'session 1', sealed), undefined)
  t.is(openFrom(three, one.publicIdentity, 'session 1', sealed), undefined)
  t.is(openFrom(one, two.publicIdentity, 'session 1', sealed), undefined)
  for (let at = 0; at < sealed.length; at++) {
    const changed = sealed.map((octet, index) => (index === at ? octet ^ 1 : octet))
    t.is(openFrom(two, one.publicIdentity, 'session 1', changed), undefined, `octet ${at}`)
  }
  t.is(openFrom(two, one.publicIdentity, 'session 1', sealed.subarray(0, 100)), undefined)
  t.notDeepEqual(sealTo(one, two.publicIdentity, 'session 1', secret), sealed)
})
