import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { ED25519_TORSION_SUBGROUP } from '@noble/curves/ed25519.js'
import test from 'ava'
import {
  FROST_SUITES,
  type FrostSuiteName,
  littleEndian,
  scalarOctets,
  sumOfProducts,
} from '../../hsm/edwards.ts'
import { type FrostCommitment, FrostQuorum, type FrostQuorumKey, type FrostShare } from '../../hsm/frost.ts'
import { FrostReshare } from '../../hsm/frost-reshare.ts'
import { randomBelow } from '../../hsm/integers.ts'
import { FROST_VECTORS } from '../vectors/rfc9591-frost.ts'
import { makeKey, SESSION } from './frost-support.ts'

const suites = ['ed25519', 'ed448'] as const
const message = new TextEncoder().encode('a message')
const octets = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex')

function signBy(key: FrostQuorumKey, shares: readonly FrostShare[], set: readonly number[]) {
  const quorum = new FrostQuorum(key)
  const nonces = set.map(index => quorum.commit(shares[index - 1]!))
  const commitments = nonces.map(one => one.commitment)
  const answers = set.map((index, at) => quorum.sign(shares[index - 1]!, nonces[at]!, commitments, message)!)
  return { quorum, commitments, answers, signature: quorum.combine(commitments, answers, message) }
}

function isValid(suite: FrostSuiteName, publicKey: Uint8Array, signature: Uint8Array): boolean {
  const crv = suite === 'ed25519' ? 'Ed25519' : 'Ed448'
  const x = Buffer.from(publicKey).toString('base64url')
  return verify(null, message, createPublicKey({ key: { kty: 'OKP', crv, x }, format: 'jwk' }), signature)
}

for (const vector of FROST_VECTORS) {
  test(`RFC 9591 Appendix E: ${vector.suite}, every intermediate value`, t => {
    const suite = FROST_SUITES[vector.suite]
    const shares = vector.shares.map((share, at) => ({ index: at + 1, value: littleEndian(octets(share)) }))
    const key: FrostQuorumKey = {
      suite: vector.suite,
      threshold: 2,
      nodes: 3,
      publicKey: octets(vector.publicKey),
      verifiers: shares.map(({ value }) => suite.base.multiply(value).toBytes()),
    }
    const quorum = new FrostQuorum(key)
    const nonces = vector.signers.map(signer => {
      const entropy = [octets(signer.hidingRandomness), octets(signer.bindingRandomness)]
      return quorum.commit(shares[signer.index - 1]!, () => entropy.shift()!)
    })
    const commitments = nonces.map(one => one.commitment)
    const answers = vector.signers.map(
      ({ index }, at) => quorum.sign(shares[index - 1]!, nonces[at]!, commitments, octets(vector.message))!,
    )
    vector.signers.forEach((signer, at) => {
      t.is(hex(commitments[at]!.hiding), signer.hidingCommitment)
      t.is(hex(commitments[at]!.binding), signer.bindingCommitment)
      t.is(hex(answers[at]!.value), signer.signatureShare)
    })
    t.is(hex(quorum.combine(commitments, answers, octets(vector.message))!), vector.signature)
  })
}

for (const suite of suites) {
  test(`RFC 9591 §5: ${suite}: 3 of 5 that made their key together sign as RFC 8032 has it`, t => {
    const made = makeKey(suite, { threshold: 3, nodes: 5 })
    const { key, echo } = made[0]!
    for (const one of made) {
      t.deepEqual(one.key, key)
      t.deepEqual(one.echo, echo)
    }
    const shares = made.map(({ share }) => share)
    for (const set of [
      [1, 2, 3],
      [5, 3, 1],
      [2, 4, 5],
    ]) {
      t.true(isValid(suite, key.publicKey, signBy(key, shares, set).signature!))
    }
  })

  test(`${suite}: the shared sum of products is the sum of the products`, t => {
    const { base, order, zero } = FROST_SUITES[suite]
    const scalars = [0n, 1n, 15n, 16n, order - 1n, randomBelow(order), randomBelow(order)]
    const points = scalars.map(() => base.multiply(randomBelow(order - 1n) + 1n))
    const expected = points.reduce((sum, point, at) => sum.add(point.multiplyUnsafe(scalars[at]!)), zero)
    t.true(sumOfProducts(FROST_SUITES[suite], points, scalars).equals(expected))
    t.true(sumOfProducts(FROST_SUITES[suite], [], []).equals(zero))
  })

  test(`${suite}: 2 of 3 become 3 of 4: the same key; a false holder or part is seen`, t => {
    const made = makeKey(suite, { threshold: 2, nodes: 3 })
    const old = made[0]!.key
    const size = { threshold: 3, nodes: 4 }
    const reshare = new FrostReshare(old, [3, 1], size)
    const dealt = [3, 1].map(index => reshare.deal(made[index - 1]!.share, SESSION))
    for (const { dealing, parts } of dealt) {
      t.true(reshare.isDealing(dealing, SESSION))
      t.false(reshare.isDealing(dealing, message))
      const { commitments, proofs } = dealing
      for (const wrong of [
        { from: dealing.from === 3 ? 1 : 3 },
        { from: 2 },
        { commitments: commitments.slice(0, 2), proofs: proofs.slice(0, 2) },
        { commitments: [...commitments, old.publicKey], proofs: [...proofs, proofs[0]!] },
        { proofs: [] },
        { proofs: [...proofs].reverse() },
      ]) {
        t.false(reshare.isDealing({ ...dealing, ...wrong }, SESSION))
      }
      t.true(parts.every((part, at) => reshare.isPart(dealing, at + 1, part)))
      t.false(reshare.isPart(dealing, 1, parts[1]!))
      t.false(reshare.isPart(dealing, 1, scalarOctets(FROST_SUITES[suite], 0n)))
    }
    t.false(reshare.isDealing(reshare.deal({ index: 3, value: 7n }, SESSION).dealing, SESSION))
    // One who holds a share, and does not deal.
    t.false(reshare.isDealing(reshare.deal(made[1]!.share, SESSION).dealing, SESSION))
    const shares = [1, 2, 3, 4].map(to =>
      reshare.share(
        to,
        dealt.map(({ parts }) => parts[to - 1]!),
      ),
    )
    const key = reshare.newKey(dealt.map(({ dealing }) => dealing))
    t.deepEqual(key.publicKey, old.publicKey)
    for (const set of [
      [1, 2, 3],
      [4, 2, 1],
    ]) {
      const { quorum, commitments, answers, signature } = signBy(key, shares, set)
      t.true(isValid(suite, key.publicKey, signature!))
      t.deepEqual(quorum.culprits(commitments, answers, message), [])
    }
    t.throws(() => new FrostReshare(old, [1], size), { message: /2 different holders/ })
    t.throws(() => new FrostReshare(old, [1, 1], size), { message: /2 different holders/ })
  })
}

test('RFC 9591 §5.4: a wrong share, commitment or message gives no signature, and who lied is named', t => {
  const made = makeKey('ed25519', { threshold: 3, nodes: 5 })
  const { quorum, commitments, answers } = signBy(
    made[0]!.key,
    made.map(({ share }) => share),
    [1, 2, 4],
  )
  const changed = (value: Uint8Array): Uint8Array => value.map((octet, at) => (at === 0 ? octet ^ 1 : octet))
  const wrong = answers.map(one => (one.index === 2 ? { index: 2, value: changed(one.value) } : one))
  t.is(quorum.combine(commitments, wrong, message), undefined)
  t.deepEqual(quorum.culprits(commitments, wrong, message), [2])
  t.is(quorum.combine(commitments, answers, new Uint8Array(3)), undefined)
  const swapped = commitments.map(one => (one.index === 4 ? { ...one, hiding: one.binding } : one))
  t.is(quorum.combine(swapped, answers, message), undefined)
  const noPoint = commitments.map(one =>
    one.index === 4 ? { ...one, hiding: new Uint8Array(32).fill(2) } : one,
  )
  t.is(quorum.combine(noPoint, answers, message), undefined)
  t.deepEqual(quorum.culprits(noPoint, answers, message), [4])
  const large = answers.map(one =>
    one.index === 1 ? { index: 1, value: new Uint8Array(32).fill(255) } : one,
  )
  t.is(quorum.combine(commitments, large, message), undefined)
  t.deepEqual(quorum.culprits(commitments, large, message), [1])
  t.deepEqual(quorum.culprits(commitments, answers, message), [])
})

test('I4: a commitment with a part in the small subgroup gives no signature, and its node is named', t => {
  const made = makeKey('ed25519', { threshold: 2, nodes: 3 })
  const suite = FROST_SUITES.ed25519
  const { quorum, commitments, answers } = signBy(
    made[0]!.key,
    made.map(({ share }) => share),
    [1, 3],
  )
  const torsion = octets(ED25519_TORSION_SUBGROUP[1]!)
  t.is(suite.decode(octets(ED25519_TORSION_SUBGROUP[0]!)), undefined)
  const point = suite.decode(commitments[1]!.hiding)!.add(suite.decode(torsion)!)
  const mixed = [commitments[0]!, { ...commitments[1]!, hiding: point.toBytes() }]
  t.is(quorum.combine(mixed, answers, message), undefined)
  t.deepEqual(quorum.culprits(mixed, answers, message), [3])
})

test('I1, I2: nonces are spent once, also by a session that is refused', t => {
  const made = makeKey('ed25519', { threshold: 2, nodes: 3 })
  const quorum = new FrostQuorum(made[0]!.key)
  const [one, two] = made.map(({ share }) => share)
  const other = quorum.commit(two!).commitment
  const lists: (own: FrostCommitment) => FrostCommitment[][] = own => [
    [own],
    [own, other, { ...other, index: 3 }],
    [own, own],
    [other, { ...other, index: 3 }],
    [own, { ...other, index: 4 }],
    [own, { ...other, index: 0 }],
    [{ ...own, hiding: other.hiding }, other],
    [{ ...own, index: 2 }, other],
  ]
  for (let at = 0; at < lists(other).length; at++) {
    const nonces = quorum.commit(one!)
    const list = lists(nonces.commitment)[at]!
    t.throws(
      () => quorum.sign(one!, nonces, list, message),
      { message: /not those of a session/ },
      `list ${at}`,
    )
    t.true(nonces.spent)
    const right = [nonces.commitment, other]
    t.throws(() => quorum.sign(one!, nonces, right, message), { message: /used once/ })
  }
})

test('a key record that is not sound is refused', t => {
  const { key } = makeKey('ed25519', { threshold: 2, nodes: 3 })[0]!
  const whole = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x!
  t.notThrows(() => new FrostQuorum({ ...key, publicKey: new Uint8Array(Buffer.from(whole, 'base64url')) }))
  t.throws(() => new FrostQuorum({ ...key, verifiers: key.verifiers.slice(1) }), { instanceOf: RangeError })
  t.throws(() => new FrostQuorum({ ...key, publicKey: new Uint8Array(32) }), { instanceOf: RangeError })
})
