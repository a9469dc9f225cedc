import { createPublicKey, generateKeyPairSync, type KeyObject, sign as signWhole, verify } from 'node:crypto'
import test from 'ava'
import { bitLength, integerOf, inverseModulo, lagrangeTimes, octetsOf } from '../../hsm/integers.ts'
import { Modulus } from '../../hsm/modulus.ts'
import { pkcs1Block, type RsaHash, RsaQuorum, type RsaShare } from '../../hsm/rsa.ts'
import { dealRsa, shareExisting, shareSafePrimes } from '../../hsm/rsa-deal.ts'
import { RsaReshare } from '../../hsm/rsa-reshare.ts'
import { SAFE_PRIMES_1024 } from './safe-primes.ts'

const [p, q] = SAFE_PRIMES_1024
const message = new TextEncoder().encode('a message')

/** Every set of so many of 1 … n. */
function subsets(n: number, size: number): number[][] {
  if (size === 0) return [[]]
  if (n < size) return []
  return [...subsets(n - 1, size), ...subsets(n - 1, size - 1).map(set => [...set, n])]
}

function publicKeyOf(quorum: RsaQuorum): KeyObject {
  const text = (value: bigint): string => Buffer.from(octetsOf(value)).toString('base64url')
  const { modulus, publicExponent } = quorum.key
  return createPublicKey({ key: { kty: 'RSA', n: text(modulus), e: text(publicExponent) }, format: 'jwk' })
}

function signBy(
  quorum: RsaQuorum,
  shares: readonly RsaShare[],
  set: readonly number[],
  hash: RsaHash = 'sha256',
): Uint8Array | undefined {
  const x = pkcs1Block(hash, message, quorum.octets)
  return quorum.combine(
    x,
    set.map(index => quorum.sign(shares[index - 1]!, x)),
  )
}

test('powers by OpenSSL are those of BigInt, at the edges too', t => {
  const modulus = new Modulus(p * q)
  const slow = (base: bigint, exponent: bigint): bigint => {
    let [result, square] = [1n, base % modulus.value]
    for (let rest = exponent; rest > 0n; rest >>= 1n) {
      if ((rest & 1n) === 1n) result = (result * square) % modulus.value
      square = (square * square) % modulus.value
    }
    return result
  }
  const bases = [0n, 1n, 2n, modulus.value - 1n, modulus.value - 2n, modulus.value + 3n, 1n << 2000n]
  for (const base of bases) {
    for (const exponent of [0n, 1n, 2n, 3n, 65_537n, 1n << 40n, (1n << 3000n) - 1n]) {
      t.is(modulus.power(base, exponent), slow(base, exponent), `${base} ^ ${exponent}`)
    }
  }
  t.is(modulus.multiply(modulus.power(2n, -65_537n), modulus.power(2n, 65_537n)), 1n)
  t.is(modulus.power(modulus.value - 1n, -3n), modulus.value - 1n)
  t.throws(() => modulus.power(p, -1n), { instanceOf: RangeError })
  t.throws(() => new Modulus(p * q - 1n), { instanceOf: RangeError })
})

test('Shoup §2.1: Lagrange coefficients times n! are integers that find f(0)', t => {
  const f = (x: bigint): bigint => 7n - 3n * x + 5n * x ** 2n
  for (const set of subsets(6, 3)) {
    const sum = set.reduce((total, index) => total + lagrangeTimes(720n, index, set) * f(BigInt(index)), 0n)
    t.is(sum, 720n * 7n)
  }
})

test('Shoup §2.2: any 3 of 5 make the signature that the whole key makes, octet for octet', t => {
  const { key, shares } = shareSafePrimes(p, q, { threshold: 3, nodes: 5 })
  const quorum = new RsaQuorum(key)
  const d = inverseModulo(65_537n, (p - 1n) * (q - 1n))
  for (const hash of ['sha256', 'sha512'] as const) {
    const whole = octetsOf(
      new Modulus(p * q).power(pkcs1Block(hash, message, quorum.octets), d),
      quorum.octets,
    )
    t.true(verify(hash, message, publicKeyOf(quorum), whole))
    for (const set of subsets(5, 3)) t.deepEqual(signBy(quorum, shares, set, hash), whole)
  }
})

test('2 of 3, 9 of 16 and 2 of 2 work; half or less does not', t => {
  for (const size of [
    { threshold: 2, nodes: 3 },
    { threshold: 9, nodes: 16 },
    { threshold: 2, nodes: 2 },
  ]) {
    const { key, shares } = shareSafePrimes(p, q, size)
    const quorum = new RsaQuorum(key)
    const last = shares.slice(-size.threshold).map(({ index }) => index)
    t.true(verify('sha256', message, publicKeyOf(quorum), signBy(quorum, shares, last)!))
  }
  for (const [threshold, nodes] of [
    [2, 4],
    [1, 2],
    [1, 1],
    [4, 3],
    [9, 17],
    [1.5, 2],
  ] as const) {
    const size = { threshold, nodes }
    t.throws(() => shareExisting(rsaKey(), size), { instanceOf: RangeError }, `${threshold} of ${nodes}`)
  }
})

test('what is no share is not combined, and a wrong share gives no signature', t => {
  const { key, shares } = shareSafePrimes(p, q, { threshold: 2, nodes: 3 })
  const quorum = new RsaQuorum(key)
  const x = pkcs1Block('sha256', message, quorum.octets)
  const [one, two] = shares.map(share => quorum.sign(share, x))
  for (const value of [0n, 1n, key.modulus, -5n, p, 12_345n]) {
    t.is(quorum.combine(x, [one!, { index: 2, value }]), undefined, `${value}`)
  }
  t.is(quorum.combine(x + 1n, [one!, two!]), undefined)
  t.is(quorum.combine(x, [one!, { index: 4, value: two!.value }]), undefined)
  t.throws(() => quorum.combine(x, [one!, one!]), { message: /different nodes/ })
  t.throws(() => quorum.combine(x, [one!]), { message: /different nodes/ })
})

test('Shoup §2.2: a proof shows a right share and names a wrong one; no field of it can be changed', t => {
  const { key, shares } = shareSafePrimes(p, q, { threshold: 3, nodes: 5 })
  const quorum = new RsaQuorum(key)
  const x = pkcs1Block('sha256', message, quorum.octets)
  const right = shares
    .slice(0, 3)
    .map(share => ({ share: quorum.sign(share, x), proof: quorum.prove(share, x) }))
  t.deepEqual(quorum.culprits(x, right), [])
  const { share, proof } = right[1]!
  const others = right[2]!
  const liar = { index: 2, value: 1_234_567n }
  const changed = { ...proof, challenge: proof.challenge.map((octet, at) => (at === 0 ? octet ^ 1 : octet)) }
  const wrong = [
    { share: { ...share, value: quorum.sign({ index: 2, value: 5n }, x).value }, proof },
    { share: { ...share, index: 3 }, proof },
    { share, proof: changed },
    { share, proof: { ...proof, challenge: proof.challenge.subarray(1) } },
    { share, proof: { ...proof, response: proof.response + 1n } },
    { share, proof: { ...proof, response: proof.response + (1n << 9000n) } },
    { share, proof: others.proof },
    { share, proof: quorum.prove(shares[1]!, x + 1n) },
    // A false share with a proof that is right for it: only v_i of the key's record gives it away.
    { share: quorum.sign(liar, x), proof: quorum.prove(liar, x) },
  ]
  for (const one of wrong) t.deepEqual(quorum.culprits(x, [one]), [one.share.index])
  t.deepEqual(quorum.culprits(x, [right[0]!, { share }]), [2])
})

test('a proof says nothing of the share: its mask is longer than challenge and share together', t => {
  const { key, shares } = shareSafePrimes(p, q, { threshold: 3, nodes: 5 })
  const quorum = new RsaQuorum(key)
  const x = pkcs1Block('sha256', message, quorum.octets)
  const { challenge, response } = quorum.prove(shares[0]!, x)
  const guess = response / integerOf(challenge)
  // The quotient would be the share itself with a short mask.
  t.true(bitLength(guess > shares[0]!.value ? guess - shares[0]!.value : shares[0]!.value - guess) > 2200)
})

function rsaKey(options: { publicExponent?: number } = {}): KeyObject {
  return generateKeyPairSync('rsa', { modulusLength: 2048, ...options }).privateKey
}

test('a key that exists is shared over the integers and signs as before', t => {
  const whole = rsaKey()
  const { key, shares } = shareExisting(whole, { threshold: 3, nodes: 5 })
  const quorum = new RsaQuorum(key)
  const expected = new Uint8Array(signWhole('sha256', message, whole))
  for (const set of subsets(5, 3)) t.deepEqual(signBy(quorum, shares, set), expected)
  const x = pkcs1Block('sha256', message, quorum.octets)
  const proved = { share: quorum.sign(shares[4]!, x), proof: quorum.prove(shares[4]!, x) }
  t.deepEqual(quorum.culprits(x, [proved]), [])
  const small = rsaKey({ publicExponent: 3 })
  t.throws(() => shareExisting(small, { threshold: 2, nodes: 3 }), { message: /public exponent 3/ })
})

test('3 of 5 become 2 of 3, then 4 of 6: the same key, and a false holder is named', t => {
  const first = shareSafePrimes(p, q, { threshold: 3, nodes: 5 })
  const expected = signBy(new RsaQuorum(first.key), first.shares, [1, 2, 3])
  let { key, shares }: { key: typeof first.key; shares: readonly RsaShare[] } = first
  for (const [set, size] of [
    [[1, 3, 5], { threshold: 2, nodes: 3 }],
    [[2, 3], { threshold: 4, nodes: 6 }],
  ] as const) {
    const reshare = new RsaReshare(key, set, size)
    const dealt = set.map(index => reshare.deal(shares[index - 1]!))
    for (const { dealing, parts } of dealt) {
      t.true(reshare.isDealing(dealing))
      t.false(reshare.isDealing({ ...dealing, from: set.find(index => index !== dealing.from)! }))
      t.false(reshare.isDealing({ ...dealing, commitments: dealing.commitments.slice(1) }))
      t.false(reshare.isDealing({ ...dealing, commitments: [...dealing.commitments, 1n] }))
      parts.forEach((part, at) => {
        t.true(reshare.isPart(dealing, at + 1, part))
        t.false(reshare.isPart(dealing, at + 1, part + 1n))
      })
    }
    const liar = reshare.deal({ index: set[0], value: 99n })
    t.false(reshare.isDealing(liar.dealing))
    shares = Array.from({ length: size.nodes }, (_, at) =>
      reshare.share(
        at + 1,
        dealt.map(({ parts }) => parts[at]!),
      ),
    )
    key = reshare.newKey(dealt.map(({ dealing }) => dealing))
    for (const share of shares)
      t.true(bitLength(share.value < 0n ? -share.value : share.value) <= key.shareBits)
    const quorum = new RsaQuorum(key)
    for (const some of subsets(size.nodes, size.threshold).slice(0, 4)) {
      t.deepEqual(signBy(quorum, shares, some), expected)
    }
    const x = pkcs1Block('sha256', message, quorum.octets)
    const proofs = shares.map(share => ({ share: quorum.sign(share, x), proof: quorum.prove(share, x) }))
    t.deepEqual(quorum.culprits(x, proofs), [])
  }
})

test('dealing: sizes that cannot be are refused', async t => {
  for (const bits of [1024, 2047, 2049, 8192]) {
    await t.throwsAsync(dealRsa(bits, { threshold: 2, nodes: 3 }), { message: /bits/ })
  }
})

test('RFC 8017 §9.2: the block has eight octets of padding at least', t => {
  t.throws(() => pkcs1Block('sha512', message, 64), { message: /too short/ })
  t.is(octetsOf(pkcs1Block('sha256', message, 256), 256).length, 256)
})
