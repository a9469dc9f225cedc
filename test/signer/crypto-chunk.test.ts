/** OpenSSL itself and node:crypto do the same with the same chunk. */
import { createHash, createPrivateKey, type KeyObject, randomBytes, verify } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { openssl } from '../../base/index.ts'
import { publicKeyOf } from '../../signer/algorithms.ts'
import { type CryptoChunk, nodeEngine, opensslEngine, runChunk } from '../../signer/crypto-chunk.ts'
import { algorithmOf, verifyingKey } from '../../signer/index.ts'
import { newPrivateKey } from '../../signer/local-keys.ts'

const P256 = algorithmOf(13)
const OCTETS = P256.signatureOctets
/** Of so many signatures some have an r or s that begins with a zero octet: all but one in six million times. */
const COUNT = 2000
const ENGINES = { openssl: opensslEngine, node: nodeEngine }

function shared(octets: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(octets))
}

/** Messages of 1 to 300 octets. */
function chunkOf(key: KeyObject, verify: boolean): CryptoChunk {
  const offsets = new Uint32Array(new SharedArrayBuffer(4 * (COUNT + 1)))
  for (let index = 0; index < COUNT; index++) offsets[index + 1] = offsets[index]! + 1 + (index % 300)
  const octets = shared(offsets[COUNT]!)
  octets.forEach((_, at) => {
    octets[at] = at & 255
  })
  const publicKey = publicKeyOf(P256, key)!
  const made = { signatures: shared(COUNT * OCTETS), signatureOctets: OCTETS, done: shared(COUNT) }
  return { chunk: 0, verify, algorithm: 13, key, publicKey, octets, offsets, start: 0, end: COUNT, ...made }
}

/** What the engine says of each message; those that it throws on are false. */
function outcomes(work: CryptoChunk, open: typeof opensslEngine): boolean[] {
  const engine = open(work)!
  const said = Array.from({ length: COUNT }, (_, index) => {
    try {
      return engine.step(index)
    } catch {
      return false
    }
  })
  engine.close()
  return said
}

function isRight(t: ExecutionContext, { octets, offsets, publicKey, signatures }: CryptoChunk): void {
  const { key } = verifyingKey(13, publicKey)
  for (let index = 0; index < COUNT; index++) {
    const message = octets.subarray(offsets[index], offsets[index + 1])
    const signature = signatures.subarray(index * OCTETS, (index + 1) * OCTETS)
    t.true(verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature))
  }
}

test('this program has an OpenSSL that can be called', t => {
  t.not(openssl(), undefined)
})

for (const [name, open] of Object.entries(ENGINES)) {
  test(`RFC 6605 §4: ${name} signs so that node:crypto verifies, r or s short or not`, async t => {
    const work = chunkOf(await newPrivateKey(P256, 0), false)
    t.false(outcomes(work, open).includes(false))
    const first = Array.from({ length: COUNT * 2 }, (_, half) => work.signatures[half * 32])
    t.true(first.includes(0))
    isRight(t, work)
  })

  test(`RFC 6605 §4: ${name} verifies what is right, and nothing else`, async t => {
    const key = await newPrivateKey(P256, 0)
    const signed = chunkOf(key, false)
    outcomes(signed, ENGINES.node)
    const work = { ...chunkOf(key, true), signatures: signed.signatures }
    t.false(outcomes(work, open).includes(false))
    const { signatures } = work
    const slot = (index: number): Uint8Array => signatures.subarray(index * OCTETS, (index + 1) * OCTETS)
    slot(1)[63]! ^= 1
    slot(2).fill(0)
    slot(3).fill(0, 0, 32)
    slot(4).fill(0, 32)
    slot(5).fill(0xff)
    slot(6).set(slot(7))
    work.octets[work.offsets[9]!]! ^= 1
    const wrong = outcomes(work, open).flatMap((right, index) => (right ? [] : [index]))
    t.deepEqual(wrong, [1, 2, 3, 4, 5, 6, 9])
    // Nothing is left that node:crypto would trip over.
    createHash('sha256').update('x').digest()
    t.throws(() => createPrivateKey('no key'), { message: /DECODER|unsupported|PEM/i })
  })
}

test('OpenSSL takes no point that is not on the curve', t => {
  t.is(openssl()!.publicKey(randomBytes(64).fill(1)), undefined)
  t.is(openssl()!.publicKey(new Uint8Array(63)), undefined)
})

test('few messages, other algorithms and memory that moves are left to node:crypto', async t => {
  const work = chunkOf(await newPrivateKey(P256, 0), false)
  t.is(opensslEngine({ ...work, end: 3 }), undefined)
  t.is(opensslEngine({ ...work, algorithm: 14 }), undefined)
  t.is(opensslEngine({ ...work, octets: work.octets.slice() }), undefined)
  t.is(runChunk({ ...work, end: 3 }), undefined)
  t.deepEqual([...work.done.subarray(0, 4)], [1, 1, 1, 0])
})
