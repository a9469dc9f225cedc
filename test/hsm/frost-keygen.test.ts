import test from 'ava'
import { FROST_SUITES } from '../../hsm/edwards.ts'
import { FrostKeygen, KeygenFault, type KeygenRound1, pledgeOf } from '../../hsm/frost-keygen.ts'
import { type ProofPlace, SecretPolynomial } from '../../hsm/secret-polynomial.ts'
import { finished, parties, partsFor, SESSION, shown } from './frost-support.ts'

const size = { threshold: 2, nodes: 3 }
const suite = FROST_SUITES.ed25519

const place = (index: number, session: Uint8Array = SESSION): ProofPlace => {
  return { purpose: 'keygen', session, size, index }
}

/** Of a node that proves what it likes, for that place. */
function round1Of(
  polynomial: SecretPolynomial,
  index: number,
  proven: ProofPlace = place(index),
): KeygenRound1 {
  return { index, salt: SESSION, commitments: polynomial.commitments, proofs: polynomial.proofs(proven) }
}

function pledged(round1: KeygenRound1): { index: number; pledge: Uint8Array } {
  return { index: round1.index, pledge: pledgeOf('ed25519', place(round1.index), round1) }
}

test('I1: round 1 is shown for one pledge of each node, its own as it was, and once', t => {
  const [one, two, three] = parties('ed25519', size)
  const pledges = [one!, two!, three!].map(({ pledge }) => pledge)
  const other = parties('ed25519', size)[0]!.pledge
  const lists: (readonly [typeof pledges, RegExp])[] = [
    [[], /not one pledge of node 1/],
    [pledges.slice(0, 2), /not one pledge of node 3/],
    [[pledges[0]!, pledges[1]!, pledges[1]!], /not one pledge of node 2/],
    [[...pledges, pledges[2]!], /3 nodes make the key/],
    [[pledges[0]!, pledges[1]!, { ...pledges[2]!, index: 4 }], /not one pledge of node 3/],
    [[other, pledges[1]!, pledges[2]!], /is not among them as it was/],
  ]
  for (const [list, message] of lists) {
    t.throws(() => one!.reveal(list), { instanceOf: RangeError, message })
    t.throws(() => one!.round2([]), { instanceOf: RangeError })
  }
  one!.reveal([...pledges].reverse())
  t.throws(() => one!.reveal(pledges), { instanceOf: RangeError, message: /not due/ })
  t.throws(() => one!.reveal([pledges[0]!, pledges[1]!, { ...other, index: 3 }]), { message: /not due/ })
})

test('I4: steps happen once, in order', t => {
  const all = parties('ed25519', size)
  const [one] = all
  t.throws(() => one!.finish([]), { message: /not due, but reveal/ })
  const whole = shown(parties('ed25519', size))
  t.throws(() => one!.round2(whole), { message: /not due, but reveal/ })
  const round1 = shown(all)
  t.throws(() => one!.finish([]), { message: /not due, but round 2/ })
  const sent = all.map(party => party.round2(round1))
  t.throws(() => one!.round2(round1), { message: /not due, but finish/ })
  one!.finish(partsFor(1, sent))
  t.throws(() => one!.finish(partsFor(1, sent)), { message: /not due, but nothing/ })
})

test('I1, I2: what was not pledged, is not proven or is no list names its node', t => {
  const bad = (
    change: (sound: KeygenRound1) => Partial<KeygenRound1>,
    isPledged: boolean,
  ): number | undefined => {
    const [one, two] = parties('ed25519', size)
    const sound = round1Of(SecretPolynomial.random(suite, size.threshold), 3)
    const wrong = { ...sound, ...change(sound) }
    const pledges = [one!.pledge, two!.pledge, pledged(isPledged ? wrong : sound)]
    const round1 = [one!.reveal(pledges), two!.reveal(pledges), wrong]
    return t.throws(() => one!.round2(round1), { instanceOf: KeygenFault })?.culprit
  }
  const other = round1Of(SecretPolynomial.random(suite, size.threshold), 3)
  const changes: ((sound: KeygenRound1) => Partial<KeygenRound1>)[] = [
    () => ({ salt: new Uint8Array(32) }),
    () => other,
    () => ({ commitments: other.commitments }),
    () => ({ proofs: other.proofs }),
    ({ commitments }) => ({ commitments: commitments.with(0, other.commitments[0]!) }),
    ({ commitments }) => ({ commitments: commitments.with(1, other.commitments[1]!) }),
    ({ commitments, proofs }) => ({ commitments: commitments.slice(1), proofs: proofs.slice(1) }),
    ({ commitments, proofs }) => ({
      commitments: [...commitments, commitments[0]!],
      proofs: [...proofs, proofs[0]!],
    }),
    ({ proofs }) => ({ proofs: proofs.slice(1) }),
    ({ proofs }) => ({ proofs: [...proofs].reverse() }),
  ]
  for (const [at, change] of changes.entries()) t.is(bad(change, false), 3, `change ${at}`)
  for (const [at, change] of changes.slice(2).entries())
    t.is(bad(change, true), 3, `pledged change ${at + 2}`)
})

test("I2, I3: what another node has proven, or the same one in another session, is nobody else's", t => {
  const [one, two] = parties('ed25519', size)
  const polynomial = SecretPolynomial.random(suite, size.threshold)
  const session = new TextEncoder().encode('another')
  for (const proven of [place(2), place(3, session), { ...place(3), purpose: 'reshare' } as const]) {
    const [one, two] = parties('ed25519', size)
    const copied = round1Of(polynomial, 3, proven)
    const pledges = [one!.pledge, two!.pledge, pledged(copied)]
    const round1 = [one!.reveal(pledges), two!.reveal(pledges), copied]
    t.is(t.throws(() => one!.round2(round1), { instanceOf: KeygenFault })?.culprit, 3)
  }
  // Node 3 pledges what node 2 does, and shows it when it has seen it.
  const pledges = [one!.pledge, two!.pledge, { index: 3, pledge: two!.pledge.pledge }]
  const [first, second] = [one!.reveal(pledges), two!.reveal(pledges)]
  const fault = t.throws(() => one!.round2([first, second, { ...second, index: 3 }]), {
    instanceOf: KeygenFault,
  })
  t.is(fault?.culprit, 3)
})

test('I4: a value that does not fit names its node; one that is missing nobody', t => {
  const begin = (): { one: FrostKeygen; parts: ReturnType<typeof partsFor> } => {
    const all = parties('ed25519', size)
    const round1 = shown(all)
    const sent = all.map(party => party.round2(round1))
    return { one: all[0]!, parts: partsFor(1, sent) }
  }
  const { one, parts } = begin()
  const swapped = parts.map(part => (part.from === 2 ? { from: 2, value: parts[1]!.value } : part))
  t.is(t.throws(() => one.finish(swapped), { instanceOf: KeygenFault })?.culprit, 2)
  for (const missing of [parts.slice(1), [...parts, parts[0]!]]) {
    const { one } = begin()
    t.throws(() => one.finish(missing), { instanceOf: RangeError, message: /not one value of node 2/ })
  }
})

test('I2: who pledges one thing to some and another to others shows itself in the echo, though the key is the same', t => {
  const polynomial = SecretPolynomial.random(suite, size.threshold)
  const [one, two] = parties('ed25519', size)
  const [three, twin] = [1, 2].map(() => new FrostKeygen('ed25519', size, 3, SESSION, polynomial))
  const told = [three!, twin!].map(third => [one!, two!, third].map(({ pledge }) => pledge))
  const fromOne = one!.reveal(told[0]!)
  const fromTwo = two!.reveal(told[1]!)
  const [shownThree, shownTwin] = [three!.reveal(told[0]!), twin!.reveal(told[1]!)]
  const lists = [
    [fromOne, fromTwo, shownThree],
    [fromOne, fromTwo, shownTwin],
  ]
  const sentOne = one!.round2(lists[0]!)
  const sentTwo = two!.round2(lists[1]!)
  const first = one!.finish([
    { from: 2, value: sentTwo.get(1)! },
    { from: 3, value: polynomial.valueAt(1) },
  ])
  const second = two!.finish([
    { from: 1, value: sentOne.get(2)! },
    { from: 3, value: polynomial.valueAt(2) },
  ])
  t.deepEqual(first.key, second.key)
  t.notDeepEqual(first.echo, second.echo)
})

test('I3: a pledge is of one round 1, node, suite, size and session; all nodes have one echo', t => {
  const at = place(3)
  const sound = round1Of(SecretPolynomial.random(suite, size.threshold), 3)
  const { commitments, proofs } = sound
  const others = [
    pledgeOf('ed448', at, sound),
    pledgeOf('ed25519', { ...at, session: new TextEncoder().encode('another') }, sound),
    pledgeOf('ed25519', { ...at, size: { threshold: 3, nodes: 3 } }, sound),
    pledgeOf('ed25519', { ...at, size: { threshold: 2, nodes: 2 } }, sound),
    pledgeOf('ed25519', { ...at, index: 2 }, sound),
    pledgeOf('ed25519', at, { ...sound, salt: new Uint8Array(32) }),
    pledgeOf('ed25519', at, { ...sound, commitments: [...commitments].reverse() }),
    pledgeOf('ed25519', at, { ...sound, proofs: [...proofs].reverse() }),
    pledgeOf('ed25519', at, { ...sound, commitments: [...commitments, proofs[0]!], proofs: proofs.slice(1) }),
  ].map(pledge => Buffer.from(pledge).toString('hex'))
  const own = Buffer.from(pledgeOf('ed25519', at, sound)).toString('hex')
  t.is(new Set([own, ...others]).size, others.length + 1)
  const echoes = finished(parties('ed25519', size)).map(({ echo }) => Buffer.from(echo).toString('hex'))
  t.is(new Set(echoes).size, 1)
})

test('a key or a verifying share that would be the identity is none', t => {
  const { order } = suite
  const sums = [
    [
      [5n, 1n],
      [order - 5n, 1n],
    ],
    // 2 − x, at node 2.
    [
      [1n, 1n],
      [1n, order - 2n],
    ],
  ]
  for (const coefficients of sums) {
    const all = coefficients.map(
      (one, at) =>
        new FrostKeygen(
          'ed25519',
          { threshold: 2, nodes: 2 },
          at + 1,
          SESSION,
          new SecretPolynomial(suite, one),
        ),
    )
    t.throws(() => finished(all), { instanceOf: RangeError, message: /no point/ })
  }
})
