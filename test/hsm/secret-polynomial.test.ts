import { ED25519_TORSION_SUBGROUP } from '@noble/curves/ed25519.js'
import test from 'ava'
import { decodeScalar, FROST_SUITES, scalarOctets } from '../../hsm/edwards.ts'
import { integerOf, octetsOf } from '../../hsm/integers.ts'
import {
  committedAt,
  fitsCommitments,
  type ProofPlace,
  type ProvenCommitments,
  provenPoints,
  SecretPolynomial,
  sumOfLists,
} from '../../hsm/secret-polynomial.ts'
import { hashOf } from '../../hsm/transcript.ts'
import { SESSION } from './frost-support.ts'

const place: ProofPlace = { purpose: 'keygen', session: SESSION, size: { threshold: 3, nodes: 5 }, index: 2 }
const CHALLENGE_OCTETS = 32

function listOf(polynomial: SecretPolynomial): ProvenCommitments {
  return { commitments: polynomial.commitments, proofs: polynomial.proofs(place) }
}

for (const name of ['ed25519', 'ed448'] as const) {
  const suite = FROST_SUITES[name]

  test(`I1, I2: ${name}: proofs are good for one place and one coefficient, and every octet of them counts`, t => {
    const polynomial = SecretPolynomial.random(suite, 3)
    const list = listOf(polynomial)
    const { commitments, proofs } = list
    t.is(provenPoints(suite, place, list)?.length, 3)
    const places: Partial<ProofPlace>[] = [
      { purpose: 'reshare' },
      { session: new TextEncoder().encode('another') },
      { size: { threshold: 3, nodes: 4 } },
      { index: 3 },
    ]
    for (const other of places) t.is(provenPoints(suite, { ...place, ...other }, list), undefined)
    const again = polynomial.proofs(place)
    t.truthy(provenPoints(suite, place, { commitments, proofs: again }))
    for (const degree of [0, 1, 2]) {
      t.notDeepEqual(again[degree], proofs[degree])
      const otherProof = (proof: Uint8Array): ProvenCommitments => {
        return { commitments, proofs: proofs.with(degree, proof) }
      }
      for (let at = 0; at < proofs[degree]!.length; at += 7) {
        const changed = proofs[degree]!.map((octet, index) => (index === at ? octet ^ 1 : octet))
        t.is(provenPoints(suite, place, otherProof(changed)), undefined, `octet ${at}`)
      }
      for (const wrong of [new Uint8Array(), proofs[degree]!.slice(0, -1), proofs[(degree + 1) % 3]!]) {
        t.is(provenPoints(suite, place, otherProof(wrong)), undefined)
      }
    }
  })

  test(`I2: ${name}: a challenge is the hash of place, coefficient, commitment and the nonce's`, t => {
    const { commitments, proofs } = listOf(SecretPolynomial.random(suite, 3))
    for (const [degree, proof] of proofs.entries()) {
      const challenge = proof.subarray(0, CHALLENGE_OCTETS)
      const response = decodeScalar(suite, proof.subarray(CHALLENGE_OCTETS))!
      const factor = integerOf(challenge) % suite.order
      const times = suite.decode(commitments[degree]!)!.multiply(factor)
      const nonce = suite.base.multiply(response).subtract(times).toBytes()
      const parts = ['keygen', SESSION, name, 3, 5, 2, degree, commitments[degree]!, nonce]
      t.deepEqual(hashOf('coefficient proof', ...parts), new Uint8Array(challenge))
    }
  })

  test(`I1: ${name}: lists of another length, and what is no point or the identity, are not sound`, t => {
    const list = listOf(SecretPolynomial.random(suite, 3))
    const { commitments, proofs } = list
    const identity = suite.zero.toBytes()
    const lists: ProvenCommitments[] = [
      { commitments: [], proofs: [] },
      { commitments: commitments.slice(1), proofs: proofs.slice(1) },
      { commitments: commitments.slice(0, 2), proofs: proofs.slice(0, 2) },
      { commitments, proofs: proofs.slice(0, 2) },
      { commitments, proofs: [...proofs, proofs[0]!] },
      { commitments: commitments.slice(0, 2), proofs },
      { commitments: commitments.with(1, identity), proofs },
      { commitments: commitments.with(2, new Uint8Array(suite.elementOctets).fill(255)), proofs },
      { commitments: commitments.with(2, commitments[2]!.slice(1)), proofs },
    ]
    for (const [at, wrong] of lists.entries())
      t.is(provenPoints(suite, place, wrong), undefined, `list ${at}`)
    const larger = listOf(SecretPolynomial.random(suite, 4))
    t.is(provenPoints(suite, place, larger), undefined)
  })

  test(`I1: ${name}: a response has one encoding`, t => {
    const { commitments, proofs } = listOf(SecretPolynomial.random(suite, 3))
    const [first] = proofs
    const response = decodeScalar(suite, first!.subarray(CHALLENGE_OCTETS))!
    const longer = octetsOf(response + suite.order, suite.scalarOctets).reverse()
    const other = Uint8Array.of(...first!.subarray(0, CHALLENGE_OCTETS), ...longer)
    t.is(provenPoints(suite, place, { commitments, proofs: proofs.with(0, other) }), undefined)
  })

  test(`I3: ${name}: a value fits its own place, and the sum of values the sum of lists`, t => {
    const polynomials = [1, 2].map(() => SecretPolynomial.random(suite, 3))
    const lists = polynomials.map(one => provenPoints(suite, place, listOf(one))!)
    for (const [at, polynomial] of polynomials.entries()) {
      t.true(fitsCommitments(suite, lists[at]!, 4, polynomial.valueAt(4)))
      t.false(fitsCommitments(suite, lists[at]!, 3, polynomial.valueAt(4)))
      t.false(fitsCommitments(suite, lists[1 - at]!, 4, polynomial.valueAt(4)))
      t.false(fitsCommitments(suite, lists[at]!, 4, new Uint8Array(3)))
    }
    const sum = polynomials.reduce((total, one) => total + decodeScalar(suite, one.valueAt(4))!, 0n)
    const sums = committedAt(suite, sumOfLists(lists), 4)
    t.true(suite.base.multiply(sum % suite.order).equals(sums))
  })

  test(`I3: ${name}: zero fits nothing, not even commitments to it`, t => {
    // x − 1 is zero at 1.
    const polynomial = new SecretPolynomial(suite, [suite.order - 1n, 1n])
    const points = polynomial.commitments.map(octets => suite.decode(octets)!)
    t.true(committedAt(suite, points, 1).is0())
    t.deepEqual(polynomial.valueAt(1), scalarOctets(suite, 0n))
    t.false(fitsCommitments(suite, points, 1, polynomial.valueAt(1)))
    t.true(fitsCommitments(suite, points, 2, polynomial.valueAt(2)))
  })
}

test('I1: a commitment with a part in the small subgroup is not sound, however lucky its proof', t => {
  const suite = FROST_SUITES.ed25519
  const order2 = suite.decode(new Uint8Array(Buffer.from(ED25519_TORSION_SUBGROUP[4]!, 'hex')))!
  t.true(order2.double().is0())
  const liar = SecretPolynomial.random(suite, 3)
  const mixed = suite.decode(liar.commitments[0]!)!.add(order2).toBytes()
  Object.assign(liar, { commitments: liar.commitments.with(0, mixed) })
  // Every second proof would be right.
  for (let tries = 0; tries < 40; tries++) t.is(provenPoints(suite, place, listOf(liar)), undefined)
})
